//! Elastic Common Schema 9.4. It has no fields for an envelope, evidence or advice: those are in a field set of our own,
//! `puremessage`, as the schema asks for.

use serde_json::{Value, json};

use super::fields::{Abort, Fields, Relay};
use crate::schema::OWN_FIELDS;

const VERSION: &str = "9.4.0";

/// What of the object has a field of the schema, or one of its own above `abort`.
const ELSEWHERE: [&str; 6] = ["id", "queue_id", "from", "to", "relay", "processing_secs"];

pub(super) fn write(abort: &Abort, fields: &mut Fields) {
    fields.add("ecs.version", VERSION);
    fields.add("event.kind", "event");
    fields.add("event.category", json!(["email"]));
    fields.add("event.type", json!(["info"]));
    fields.add("event.dataset", "puremessage.message_log");
    fields.add("event.module", OWN_FIELDS);
    fields.add("event.provider", OWN_FIELDS);
    fields.add("event.original", abort.line.clone());
    fields.add("event.id", abort.word("id"));
    fields.add("event.action", action(abort));
    // Without a reason nobody knows what the abort came of.
    fields.add("event.outcome", if abort.get("reason").is_some() { "failure" } else { "unknown" });
    fields.add("event.reason", abort.word("reason"));
    fields.add("event.duration", abort.processing_ms().map(|ms| ms.saturating_mul(1_000_000)));
    let (_, url) = abort.advice();
    fields.add("event.reference", url.cloned());
    fields.add("error.type", abort.word("class"));
    fields.add("error.message", abort.word("reason"));
    fields.add("email.local_id", abort.word("queue_id"));
    fields.add("labels.abort_fault", abort.word("fault"));
    let (from, to) = abort.addresses();
    fields.add("puremessage.envelope.from", from);
    fields.add("puremessage.envelope.to", to);
    let host = abort.text("host");
    match abort.relay() {
        Some(Relay::Ip(ip)) => {
            fields.add("source.address", ip);
            fields.add("source.ip", ip);
            fields.add("related.ip", json!([ip]));
            fields.add("related.hosts", host.into_iter().collect::<Vec<_>>());
        }
        Some(Relay::Name(name)) => {
            fields.add("source.address", name);
            fields.add("source.domain", name);
            fields.add("related.hosts", host.into_iter().chain([name]).collect::<Vec<_>>());
        }
        None => fields.add("related.hosts", host.into_iter().collect::<Vec<_>>()),
    }
    for (name, value) in abort.object.iter().filter(|(name, _)| !ELSEWHERE.contains(&name.as_str())) {
        fields.add(&format!("puremessage.abort.{name}"), value.clone());
    }
}

fn action(abort: &Abort) -> Value {
    match abort.text("kind") {
        Some("abort") | None => "milter-abort".into(),
        Some(kind) => format!("milter-{kind}").into(),
    }
}
