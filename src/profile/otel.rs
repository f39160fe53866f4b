//! OpenTelemetry's log record (semantic conventions 1.44), with the field names of OTLP in JSON and attributes as one object.
//! There are no conventions for mail: attributes without one are named `puremessage.…`, lists and objects are JSON text.

use serde_json::Value;

use super::fields::{Abort, Fields, Relay};

/// What of the object has an attribute by convention, or is not one.
const ELSEWHERE: [&str; 6] = ["id", "class", "queue_id", "from", "to", "relay"];

pub(super) fn write(abort: &Abort, fields: &mut Fields) -> bool {
    let time = abort.time_ms().filter(|ms| *ms >= 0);
    fields.add("timeUnixNano", time.map(|ms| ms.saturating_mul(1_000_000).to_string()));
    fields.add("severityNumber", 13);
    fields.add("severityText", "WARN");
    fields.add("eventName", format!("puremessage.{}", abort.text("kind").unwrap_or("abort")));
    fields.add("body", abort.line.clone());
    let mut add = |name: &str, value: Value| fields.add_below("attributes", name, value);
    add("log.record.original", abort.line.clone().into());
    add("log.record.uid", abort.word("id"));
    add("error.type", abort.word("class"));
    add("puremessage.queue_id", abort.word("queue_id"));
    let (from, to) = abort.addresses();
    // The empty sender of a bounce is one.
    add("puremessage.envelope.from", from.or(abort.text("from").map(|_| "")).into());
    add("puremessage.envelope.to", to.into());
    let relay = abort.relay().map(|relay| match relay {
        Relay::Ip(relay) | Relay::Name(relay) => relay,
    });
    add("source.address", relay.into());
    let mut has_place = true;
    for (name, value) in abort.object.iter().filter(|(name, _)| !ELSEWHERE.contains(&name.as_str())) {
        let value = if value.is_object() || value.is_array() { value.to_string().into() } else { value.clone() };
        has_place &= add(&format!("puremessage.abort.{name}"), value);
    }
    has_place
}
