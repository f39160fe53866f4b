//! What the bridge counts, under Vector's names where Vector has them.

use std::time::Instant;

use abort_reason::Outcome;
use abort_reason::reasons::Class;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use serde_json::Value;

type Labels = [(&'static str, String); 1];

/// Class, fault and outcome.
type Words = [(&'static str, &'static str); 3];

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
    /// Records that the component issued, by their words.
    issued: Family<Words, Counter>,
}

/// Where records hold class and outcome, in the words of each profile.
const WORDS: [[&str; 2]; 4] = [
    ["abort.class", "abort.outcome"],
    ["error.type", "puremessage.abort.outcome"],
    ["status_code", "unmapped.abort.outcome"],
    ["attributes.error.type", "attributes.puremessage.abort.outcome"],
];

/// A value by its whole name, however much of that is one name.
fn find<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let members = value.as_object()?;
    members.get(name).or_else(|| {
        let mut dots = name.match_indices('.');
        dots.find_map(|(at, _)| find(members.get(&name[..at])?, &name[at + 1..]))
    })
}

impl Metrics {
    /// All series of aborts at 0: one that is born at 1 would never be seen to grow.
    pub(super) fn begin(&self) {
        for (class, outcome) in
            Class::ALL.iter().flat_map(|class| Outcome::ALL.iter().map(move |outcome| (class, outcome)))
        {
            drop(self.issued.get_or_create(&words(*class, *outcome)));
        }
    }

    /// Counts a record that was issued; revisions as well. What has no class is not counted.
    pub(super) fn issued(&self, record: &[u8]) {
        let Ok(record) = serde_json::from_slice::<Value>(record) else { return };
        for [class, outcome] in WORDS {
            let word = |name: &str| find(&record, name).cloned().unwrap_or_default();
            if let (Ok(class), Ok(outcome)) =
                (serde_json::from_value(word(class)), serde_json::from_value(word(outcome)))
            {
                self.issued.get_or_create(&words(class, outcome)).inc();
                return;
            }
        }
    }

    /// Enters the component's counters, a JSON object of numbers.
    pub(super) fn set_component(&self, stats: &str) {
        let stats: serde_json::Map<String, Value> = serde_json::from_str(stats).unwrap_or_default();
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
        registry.register(
            "transform_issued",
            "Records issued with a reason, revisions among them, since the start",
            self.issued.clone(),
        );
        registry.register("uptime_seconds", "Seconds since the start", uptime);
        registry.register("build", "What runs here", build);
        let mut text = String::new();
        // Writing to memory does not fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

fn words(class: Class, outcome: Outcome) -> Words {
    [("class", class.as_str()), ("fault", class.fault().as_str()), ("outcome", outcome.as_str())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_issued_is_counted_by_its_words() {
        let metrics = Metrics::default();
        metrics.begin();
        let series = |outcome: &str| {
            format!(r#"transform_issued_total{{class="filter_timeout",fault="filter",outcome="{outcome}"}}"#)
        };
        let record =
            br#"{"message":"m","abort":{"class":"filter_timeout","outcome":"delivered_unscanned","revision":0}}"#;
        metrics.issued(record);
        for other in [&br#"{"message":"m"}"#[..], b"", br#"{"abort":{"class":"x","outcome":"unknown"}}"#] {
            metrics.issued(other);
        }
        for other in [
            r#"{"error":{"type":"filter_timeout"},"puremessage.abort.outcome":"rejected"}"#,
            r#"{"status_code":"filter_timeout","unmapped":{"abort":{"outcome":"rejected"}}}"#,
            r#"{"attributes":{"error.type":"filter_timeout","puremessage.abort.outcome":"rejected"}}"#,
        ] {
            metrics.issued(other.as_bytes());
        }
        let text = metrics.text(Instant::now());
        let lines = [("delivered_unscanned", 1), ("tempfailed", 0), ("rejected", 3)];
        for line in lines.map(|(outcome, count)| format!("{} {count}\n", series(outcome))) {
            assert!(text.contains(&line), "{line} is not in {text}");
        }
        assert_eq!(text.matches("transform_issued_total{").count(), Class::ALL.len() * Outcome::ALL.len());
    }

    /// Rules and dashboards name what is there: figures of the bridge, and counters of the component.
    #[test]
    fn rules_and_dashboards_name_what_is_there() {
        let metrics = Metrics::default();
        metrics.begin();
        metrics.set_component(&serde_json::to_string(&abort_reason::Stats::default()).unwrap());
        for (family, label) in [(&metrics.answers, "code"), (&metrics.send_errors, "error_type")] {
            family.get_or_create(&[(label, "x".to_owned())]).inc();
        }
        let text = metrics.text(Instant::now());
        let mut named = 0;
        for file in [
            include_str!("../../../siem/prometheus/alerts.yml"),
            include_str!("../../../siem/grafana/dashboard-prometheus.json"),
        ] {
            let words = file.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let begins = ["transform_", "bridge_", "component_", "buffer_", "uptime_", "build_"];
            for name in words.filter(|word| begins.iter().any(|begin| word.starts_with(begin))) {
                let is_there = ["{", " "].iter().any(|end| text.contains(&format!("\n{name}{end}")));
                assert!(is_there, "{name} is not in {text}");
                named += 1;
            }
            for selected in file.replace('\\', "").split("counter=").skip(1) {
                let value = selected.trim_start_matches(['~', '"']).split('"').next().unwrap();
                for counter in value.split('|') {
                    assert!(text.contains(&format!("counter=\"{counter}\"")), "{counter}");
                }
            }
        }
        assert!(named > 20, "{named}");
    }
}
