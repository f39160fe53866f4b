//! OCSF 1.9, class Email Activity (4009), activity Scan: what PureMessage did. What the class has no attribute for is the
//! data of an enrichment of the message's trace id, and the rest stands under `unmapped`.

use serde_json::{Map, Value, json};

use super::fields::{Abort, Fields, Relay};

const VERSION: &str = "1.9.0";
const EMAIL_ACTIVITY: u32 = 4009;
const SCAN: u32 = 3;

/// What of the object is in the class, or in the enrichment.
const ELSEWHERE: [&str; 11] =
    ["id", "queue_id", "time", "from", "to", "relay", "class", "fault", "reason", "advice", "evidence"];

pub(super) fn write(abort: &Abort, fields: &mut Fields) {
    fields.add("category_uid", 4);
    fields.add("class_uid", EMAIL_ACTIVITY);
    fields.add("activity_id", SCAN);
    fields.add("type_uid", EMAIL_ACTIVITY * 100 + SCAN);
    fields.add("severity_id", severity(abort));
    fields.add("time", abort.time_ms());
    // The logs don't say which side is ours.
    fields.add("direction_id", 0);
    fields.add("metadata.version", VERSION);
    fields.add("metadata.product", json!({"name": "PureMessage for UNIX", "vendor_name": "Sophos"}));
    fields.add("metadata.log_name", "message_log");
    fields.add("metadata.uid", abort.word("id"));
    fields.add("metadata.original_time", abort.word("time"));
    fields.add("raw_data", abort.line.clone());
    fields.add("status_id", 2);
    fields.add("status_code", abort.word("class"));
    fields.add("status_detail", abort.word("reason"));
    fields.add("message_trace_uid", abort.word("queue_id"));
    let (from, to) = abort.addresses();
    let (from, to) = (from.filter(|from| is_address(from)), to.into_iter().filter(|to| is_address(to)));
    let to: Vec<&str> = to.collect();
    fields.add("from", from);
    fields.add("to", to.clone());
    // The class wants the header's addresses, too; the log has none but the envelope's.
    let mut email = Map::new();
    email.extend(from.map(|from| ("from".to_owned(), from.into())));
    if !to.is_empty() {
        email.insert("to".to_owned(), to.into());
    }
    fields.add("email", email);
    match abort.relay() {
        Some(Relay::Ip(ip)) => fields.add("src_endpoint.ip", ip),
        Some(Relay::Name(name)) => fields.add("src_endpoint.name", name),
        None => {}
    }
    fields.add("enrichments", enrichment(abort));
    let rest = abort.object.iter().filter(|(name, _)| !ELSEWHERE.contains(&name.as_str()));
    for (name, value) in rest {
        fields.add(&format!("unmapped.abort.{name}"), value.clone());
    }
}

fn enrichment(abort: &Abort) -> Value {
    let (_, url) = abort.advice();
    let mut enrichment = json!({
        "name": "message_trace_uid",
        "value": abort.word("queue_id"),
        "type": "abort_reason",
        "provider": "abort-reason",
        "data": {"fault": abort.word("fault"), "advice": abort.word("advice"), "evidence": abort.word("evidence")},
    });
    if let (Some(enrichment), Some(url)) = (enrichment.as_object_mut(), url) {
        enrichment.insert("src_url".to_owned(), url.clone());
    }
    json!([enrichment])
}

/// Informational where it can be ignored, Medium where it wants action, High where mail passed unscanned.
fn severity(abort: &Abort) -> u32 {
    if abort.text("outcome") == Some("delivered_unscanned") {
        return 4;
    }
    match abort.get("ignorable").and_then(Value::as_bool) {
        Some(true) => 1,
        None => 2,
        Some(false) => 3,
    }
}

/// The form of an address that the schema asks for.
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let is_local = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+,-./=?^_`{|}~".contains(&b);
    let is_domain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    let Some((first, rest)) = domain.split_once('.') else { return false };
    !local.is_empty()
        && local.bytes().all(is_local)
        && !first.is_empty()
        && !rest.is_empty()
        && domain.bytes().all(is_domain)
}
