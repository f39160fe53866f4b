//! OpenTelemetry's log record (semantic conventions 1.44), with the field names of OTLP in JSON and attributes as one object.
//! There are no conventions for mail: attributes without one are named `puremessage.…`, lists and objects are JSON text.

use serde_json::{Map, Value};

use super::fields::{Abort, Fields, Relay};

/// What of the object has an attribute by convention, or is not one.
const ELSEWHERE: [&str; 6] = ["id", "class", "queue_id", "from", "to", "relay"];

pub(super) fn write(abort: &Abort, fields: &mut Fields) {
    fields.add("timeUnixNano", abort.time_ms().map(|ms| ms.saturating_mul(1_000_000).to_string()));
    fields.add("severityNumber", 13);
    fields.add("severityText", "WARN");
    fields.add("eventName", format!("puremessage.{}", abort.text("kind").unwrap_or("abort")));
    fields.add("body", abort.line.clone());
    let mut attributes = Map::new();
    let mut add = |name: &str, value: Value| {
        if !value.is_null() {
            attributes.insert(name.to_owned(), value);
        }
    };
    add("log.record.original", abort.line.clone().into());
    add("log.record.uid", abort.word("id"));
    add("error.type", abort.word("class"));
    add("puremessage.queue_id", abort.word("queue_id"));
    let (from, to) = abort.addresses();
    add("puremessage.envelope.from", from.into());
    add("puremessage.envelope.to", if to.is_empty() { Value::Null } else { to.into() });
    match abort.relay() {
        Some(Relay::Ip(relay) | Relay::Name(relay)) => add("source.address", relay.into()),
        None => {}
    }
    for (name, value) in abort.object.iter().filter(|(name, _)| !ELSEWHERE.contains(&name.as_str())) {
        let value = if value.is_object() || value.is_array() { value.to_string().into() } else { value.clone() };
        add(&format!("puremessage.abort.{name}"), value);
    }
    fields.add("attributes", attributes);
}
