//! OCSF 1.9, class Email Activity (4009), activity Scan: what PureMessage did. What the class has no attribute for is the
//! data of an enrichment of the message's trace id, and the rest stands under `unmapped`.

use serde_json::{Map, Value, json};

use super::fields::{Abort, Fields, Relay};

const VERSION: &str = "1.9.0";
const EMAIL_ACTIVITY: u32 = 4009;
const SCAN: u32 = 3;

/// What of the object is data of the enrichment.
const ENRICHING: [&str; 3] = ["fault", "advice", "evidence"];

pub(super) fn write(abort: &Abort, fields: &mut Fields) -> bool {
    fields.add("category_uid", 4);
    fields.add("class_uid", EMAIL_ACTIVITY);
    fields.add("activity_id", SCAN);
    fields.add("type_uid", EMAIL_ACTIVITY * 100 + SCAN);
    fields.add("severity_id", severity(abort));
    let mut said = Vec::new();
    let mut tell = |fields: &mut Fields, member: &'static str, name: &str, value: Value| {
        if fields.add(name, value) {
            said.push(member);
        }
    };
    fields.add("time", abort.time_ms());
    // The logs don't say which side is ours.
    fields.add("direction_id", 0);
    fields.add("metadata.version", VERSION);
    fields.add("metadata.product", json!({"name": "PureMessage for UNIX", "vendor_name": "Sophos"}));
    // What has no entry is known by sendmail's line.
    let is_entry = abort.text("kind") != Some("unlogged");
    fields.add("metadata.log_name", if is_entry { "message_log" } else { "maillog" });
    tell(fields, "id", "metadata.uid", abort.word("id"));
    tell(fields, "time", "metadata.original_time", abort.word("time"));
    fields.add("raw_data", abort.line.clone());
    fields.add("status_id", 2);
    tell(fields, "class", "status_code", abort.word("class"));
    tell(fields, "reason", "status_detail", abort.word("reason"));
    tell(fields, "queue_id", "message_trace_uid", abort.word("queue_id"));
    let (from, to) = abort.addresses();
    let (from, to) = (from.filter(|from| is_address(from)), to.into_iter().filter(|to| is_address(to)));
    let to: Vec<&str> = to.collect();
    // What has not the schema's form stands as it is with the rest.
    if from.is_some() {
        tell(fields, "from", "from", from.into());
    }
    if abort.get("to").and_then(Value::as_array).is_some_and(|all| all.len() == to.len()) {
        tell(fields, "to", "to", to.clone().into());
    } else {
        fields.add("to", to.clone());
    }
    // The class wants the header's addresses, too; the log has none but the envelope's.
    let mut email = Map::new();
    email.extend(from.map(|from| ("from".to_owned(), from.into())));
    if !to.is_empty() {
        email.insert("to".to_owned(), to.into());
    }
    fields.add("email", email);
    match abort.relay() {
        Some(Relay::Ip(ip)) => tell(fields, "relay", "src_endpoint.ip", ip.into()),
        Some(Relay::Name(name)) => tell(fields, "relay", "src_endpoint.name", name.into()),
        None => {}
    }
    // Where the source record has enrichments of its own, what ours would say is with the rest.
    if fields.add("enrichments", enrichment(abort)) {
        said.extend(ENRICHING);
    }
    let mut has_place = true;
    for (name, value) in abort.object.iter().filter(|(name, _)| !said.contains(&name.as_str())) {
        has_place &= fields.add(&format!("unmapped.abort.{name}"), value.clone());
    }
    has_place
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
