//! Elastic Common Schema 9.4. It has no fields for an envelope, evidence or advice: those are in a field set of our own,
//! `puremessage`, as the schema asks for.

use serde_json::{Value, json};

use super::fields::{Abort, Fields, Relay};

/// Our own field set.
const OWN_FIELDS: &str = "puremessage";

const VERSION: &str = "9.4.0";

pub(super) fn write(abort: &Abort, fields: &mut Fields) -> bool {
    // What of the object needs no place of its own, because a field of the schema says it.
    let mut said = Vec::new();
    let mut tell = |fields: &mut Fields, member: &'static str, name: &str, value: Value| {
        if fields.add(name, value) {
            said.push(member);
        }
    };
    tell(fields, "id", "event.id", abort.word("id"));
    tell(fields, "queue_id", "email.local_id", abort.word("queue_id"));
    tell(
        fields,
        "processing_secs",
        "event.duration",
        abort.processing_ms().map(|ms| ms.saturating_mul(1_000_000)).into(),
    );
    let (from, to) = abort.addresses();
    // The empty sender of a bounce is one.
    tell(fields, "from", "puremessage.envelope.from", from.or(abort.text("from").map(|_| "")).into());
    tell(fields, "to", "puremessage.envelope.to", to.into());
    let mut hosts: Vec<&str> = abort.text("host").into_iter().collect();
    match abort.relay() {
        Some(Relay::Ip(ip)) => {
            tell(fields, "relay", "source.address", ip.into());
            fields.add("source.ip", ip);
            fields.add("related.ip", json!([ip]));
        }
        Some(Relay::Name(name)) => {
            tell(fields, "relay", "source.address", name.into());
            fields.add("source.domain", name);
            hosts.push(name);
        }
        None => {}
    }
    fields.add("related.hosts", hosts);
    fields.add("ecs.version", VERSION);
    fields.add("event.kind", "event");
    fields.add("event.category", json!(["email"]));
    fields.add("event.type", json!(["info"]));
    // What has no entry is known by sendmail's line.
    let is_entry = abort.text("kind") != Some("unlogged");
    fields.add("event.dataset", if is_entry { "puremessage.message_log" } else { "sendmail.maillog" });
    fields.add("event.module", OWN_FIELDS);
    fields.add("event.provider", OWN_FIELDS);
    fields.add("event.original", abort.line.clone());
    fields.add("event.action", action(abort));
    // Without a reason nobody knows what the abort came of.
    fields.add("event.outcome", if abort.get("reason").is_some() { "failure" } else { "unknown" });
    fields.add("event.reason", abort.word("reason"));
    let (_, url) = abort.advice();
    fields.add("event.reference", url.cloned());
    fields.add("error.type", abort.word("class"));
    fields.add("error.message", abort.word("reason"));
    fields.add("labels.abort_fault", abort.word("fault"));
    let mut has_place = true;
    for (name, value) in abort.object.iter().filter(|(name, _)| !said.contains(&name.as_str())) {
        has_place &= fields.add(&format!("puremessage.abort.{name}"), value.clone());
    }
    has_place
}

fn action(abort: &Abort) -> Value {
    match abort.text("kind") {
        Some("abort") | None => "milter-abort".into(),
        Some(kind) => format!("milter-{kind}").into(),
    }
}
