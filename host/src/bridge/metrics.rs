//! What the bridge counts, under Vector's names where Vector has them.

use std::time::Instant;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

type Labels = [(&'static str, String); 1];

/// The counters. Clones count together.
#[derive(Debug, Clone, Default)]
pub(super) struct Metrics {
    pub received_events: Counter,
    pub received_bytes: Counter,
    pub sent_events: Counter,
    pub sent_bytes: Counter,
    /// Requests answered, by the answer.
    pub answers: Family<Labels, Counter>,
    /// Attempts to deliver that failed, by their cause.
    pub send_errors: Family<Labels, Counter>,
    /// Events of requests that were taken before.
    pub repeated: Counter,
    pub dead_letters: Counter,
    pub component_failures: Counter,
    /// Events that passed without the component.
    pub passed_without: Counter,
    /// Outputs of the component that are no JSON objects.
    pub unusable_outputs: Counter,
    pub journal_bytes: Gauge,
    /// The counters of the component.
    pub component: Family<Labels, Gauge>,
}

impl Metrics {
    /// Enters the component's counters, a JSON object of numbers.
    pub(super) fn set_component(&self, stats: &str) {
        let stats: serde_json::Map<String, serde_json::Value> = serde_json::from_str(stats).unwrap_or_default();
        for (name, value) in stats {
            if let Some(value) = value.as_i64() {
                self.component.get_or_create(&[("counter", name)]).set(value);
            }
        }
    }

    /// All figures in the format of Prometheus.
    pub(super) fn text(&self, began: Instant) -> String {
        let mut registry = Registry::default();
        let uptime = Gauge::<i64>::default();
        uptime.set(began.elapsed().as_secs() as i64);
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        let mut counter = |name: &str, help: &str, counter: &Counter| registry.register(name, help, counter.clone());
        counter("component_received_events", "Events received", &self.received_events);
        counter("component_received_bytes", "Bytes of events received", &self.received_bytes);
        counter("component_sent_events", "Events that the destination accepted", &self.sent_events);
        counter("component_sent_bytes", "Bytes of events that the destination accepted", &self.sent_bytes);
        counter("component_discarded_events", "Events in the dead-letter file", &self.dead_letters);
        counter("bridge_repeated_events", "Events that came again and were known", &self.repeated);
        counter("bridge_transform_failures", "Times that the component failed", &self.component_failures);
        counter(
            "bridge_passed_without_transform_events",
            "Events that passed unchanged because the component failed, or kept too much",
            &self.passed_without,
        );
        counter("bridge_unusable_outputs", "Outputs of the component that are no JSON objects", &self.unusable_outputs);
        registry.register("bridge_requests", "Requests answered, by gRPC status", self.answers.clone());
        registry.register("component_errors", "Failed attempts to deliver, by cause", self.send_errors.clone());
        registry.register("buffer_byte_size", "Bytes in the journal", self.journal_bytes.clone());
        registry.register("transform_stat", "The component's own counters", self.component.clone());
        registry.register("uptime_seconds", "Seconds since the start", uptime);
        registry.register("build", "What runs here", build);
        let mut text = String::new();
        // Writing to memory does not fail.
        let _ = encode(&mut text, &registry);
        text
    }
}
