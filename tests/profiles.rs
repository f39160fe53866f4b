//! Every record of the corpus in the words of each profile, held against the names and types that the schemas publish
//! (`tests/schemas/`).
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, clippy::disallowed_types, reason = "reads the corpus")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use abort_reason::{Config, Engine, Input, Source};
use regex::Regex;
use serde_json::{Map, Value, json};
use support::scenarios;

mod support;

const ECS: &str = include_str!("schemas/ecs.csv");
const OCSF: &str = include_str!("schemas/ocsf.json");
const OTEL: &str = include_str!("schemas/otel.csv");

fn engine(profile: &str, keys: &str) -> Engine {
    let config = json!({"filter_names": ["PureMessage"], "profile": profile, "profile_keys": keys});
    Engine::new(&Config::from_value(&config).unwrap())
}

fn issued(mut engine: Engine, lines: &[&[u8]], as_records: bool) -> Vec<Map<String, Value>> {
    for line in lines {
        if as_records {
            let record = json!({"message": String::from_utf8_lossy(line), "event": {"ingested": 1}, "time": "now"});
            engine.push(Source::Auto, Input::Record(record.to_string().as_bytes()), 0, 0);
        } else {
            engine.push(Source::Auto, Input::Line(line), 0, 0);
        }
    }
    engine.finish();
    std::iter::from_fn(|| engine.poll()).map(|output| serde_json::from_slice(&output.data).unwrap()).collect()
}

/// The records of the corpus under a profile, each beside the native one.
fn corpus(profile: &str, keys: &str, as_records: bool) -> Vec<(Value, Map<String, Value>)> {
    let mut all = Vec::new();
    for scenario in scenarios() {
        let logs = [scenario.maillog("bsd"), scenario.message_log.clone()];
        let logs: Vec<&[u8]> = logs.iter().flatten().map(AsRef::as_ref).collect();
        let native = issued(engine("native", "nested"), &logs, as_records);
        let told = issued(engine(profile, keys), &logs, as_records);
        assert_eq!(native.len(), told.len());
        all.extend(native.into_iter().map(|mut record| record.remove("abort").unwrap()).zip(told));
    }
    assert!(all.len() > 500, "{}", all.len());
    all
}

/// The values of an object by their whole names.
fn flat(object: &Map<String, Value>, deep: &dyn Fn(&str) -> bool) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for (name, value) in object {
        match value.as_object().filter(|_| deep(name)) {
            Some(inner) => {
                for (rest, value) in flat(inner, &|rest| deep(&format!("{name}.{rest}"))) {
                    assert!(all.insert(format!("{name}.{rest}"), value).is_none());
                }
            }
            None => assert!(all.insert(name.clone(), value.clone()).is_none(), "{name} twice"),
        }
    }
    all
}

/// The rows of a list, without its comment.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(',').collect())
}

fn is_of_ecs(value: &Value, kind: &str) -> bool {
    match kind {
        "keyword" | "match_only_text" | "wildcard" => value.is_string(),
        "long" => value.is_i64(),
        "ip" => value.as_str().is_some_and(|text| text.parse::<IpAddr>().is_ok()),
        "object" => value.is_object(),
        _ => panic!("{kind}"),
    }
}

fn check_ecs(record: &BTreeMap<String, Value>) {
    let fields: BTreeMap<&str, (&str, bool)> = rows(ECS).map(|row| (row[0], (row[1], row[2] == "array"))).collect();
    for (name, value) in record {
        if name.starts_with("puremessage.") {
            continue;
        }
        if name.starts_with("labels.") {
            assert!(value.is_string(), "{name}");
            continue;
        }
        let (kind, is_array) = *fields.get(name.as_str()).unwrap_or_else(|| panic!("{name} is no field of ECS"));
        match value.as_array() {
            Some(values) if is_array => assert!(values.iter().all(|value| is_of_ecs(value, kind)), "{name}: {value}"),
            _ => assert!(!is_array && is_of_ecs(value, kind), "{name}: {value}"),
        }
    }
    assert!(["failure", "unknown"].contains(&record["event.outcome"].as_str().unwrap()));
    assert_eq!((&record["event.category"], &record["event.type"]), (&json!(["email"]), &json!(["info"])));
}

#[test]
fn ecs_holds_its_fields_and_types() {
    for (native, record) in corpus("ecs", "nested", false) {
        assert!(record.values().all(|value| !value.is_null()));
        let told = flat(&record, &|_| true);
        check_ecs(&told);
        assert_eq!((&told["event.id"], &told["error.type"]), (&native["id"], &native["class"]));
        assert_eq!(told.get("event.reason"), native.get("reason"));
        if let Some(seconds) = native.get("processing_secs").and_then(Value::as_f64) {
            assert!((told["event.duration"].as_f64().unwrap() / 1e9 - seconds).abs() < 1e-9);
        }
    }
}

#[test]
fn flat_keys_say_the_same() {
    let nested = corpus("ecs", "nested", false);
    for ((_, nested), (_, told)) in nested.iter().zip(corpus("ecs", "flat", false)) {
        assert!(told.iter().all(|(name, value)| !value.is_object() || name.ends_with(".advice")), "{told:?}");
        let inside = |name: &str| !name.ends_with(".advice");
        assert_eq!(flat(nested, &inside), flat(&told, &inside));
    }
}

/// The members that came in stay as they are; what has their names stands beside them, or is left out.
#[test]
fn nothing_of_the_source_record_changes() {
    for profile in ["ecs", "ocsf", "otel"] {
        for (_, record) in corpus(profile, "nested", true) {
            if record.contains_key("message") {
                assert_eq!((&record["event"], &record["time"]), (&json!({"ingested": 1}), &json!("now")), "{profile}");
                assert!(profile != "ecs" || record["event.kind"] == "event", "{record:?}");
            }
        }
    }
}

/// Whether a value has a type of the schema, and all that is wrong in it.
fn check_ocsf(schema: &Value, kind: &str, value: &Value, path: &str, wrong: &mut Vec<String>) {
    if let Some(class) = schema["classes"].get(kind) {
        let Some(object) = value.as_object() else { return wrong.push(format!("{path} is no object")) };
        check_class(schema, class, object, path, wrong);
        return;
    }
    let scalar = &schema["types"][kind];
    let is_right = match scalar["type"].as_str().unwrap_or(kind) {
        "integer_t" | "long_t" => value.is_i64(),
        "string_t" => value.is_string(),
        "json_t" => true,
        "object" => value.is_object(),
        other => panic!("{path}: {other}"),
    };
    let fits = |regex: &str| Regex::new(regex).unwrap().is_match(value.as_str().unwrap_or_default());
    if !is_right || scalar["regex"].as_str().is_some_and(|regex| kind == "email_t" && !fits(regex)) {
        wrong.push(format!("{path} is no {kind}: {value}"));
    }
}

fn check_class(schema: &Value, class: &Value, object: &Map<String, Value>, path: &str, wrong: &mut Vec<String>) {
    let attributes = class["attributes"].as_object().unwrap();
    for (name, attribute) in attributes {
        if attribute["required"] == true && !object.contains_key(name) {
            wrong.push(format!("{path}.{name} is missing"));
        }
    }
    for (name, value) in object {
        let path = format!("{path}.{name}");
        let Some(attribute) = attributes.get(name) else {
            wrong.push(format!("{path} is no attribute"));
            continue;
        };
        if attribute["deprecated"] == true {
            wrong.push(format!("{path} is deprecated"));
        }
        let kind = attribute["type"].as_str().unwrap();
        let values = if attribute["is_array"] == true { value.as_array().cloned() } else { Some(vec![value.clone()]) };
        for value in values.unwrap_or_else(|| panic!("{path} is no array")) {
            check_ocsf(schema, kind, &value, &path, wrong);
            if let Some(allowed) = attribute["enum"].as_array()
                && !allowed.contains(&value)
            {
                wrong.push(format!("{path}: {value} is not allowed"));
            }
        }
    }
    if let Some(least) = class["constraints"]["at_least_one"].as_array()
        && !least.iter().any(|name| object.contains_key(name.as_str().unwrap()))
    {
        wrong.push(format!("{path} has none of {least:?}"));
    }
}

#[test]
fn ocsf_holds_its_attributes_and_requirements() {
    let schema: Value = serde_json::from_str(OCSF).unwrap();
    for (native, mut record) in corpus("ocsf", "nested", false) {
        // What came in is no attribute, but for the one of the same name.
        record.retain(|name, _| name != "message");
        let mut wrong = Vec::new();
        check_class(&schema, &schema["classes"]["email_activity"], &record, "", &mut wrong);
        assert_eq!(wrong, Vec::<String>::new(), "{record:?}");
        let uids = ["category_uid", "class_uid", "type_uid", "activity_id"].map(|name| record[name].as_i64().unwrap());
        assert_eq!(uids, [4, 4009, 4009 * 100 + 3, 3]);
        assert_eq!((&record["metadata"]["uid"], &record["status_code"]), (&native["id"], &native["class"]));
    }
}

#[test]
fn otel_holds_its_fields_and_attributes() {
    let names = |kind: &str| rows(OTEL).filter(|row| row[0] == kind).map(|row| row[1]).collect::<BTreeSet<_>>();
    let (fields, attributes) = (names("field"), names("attribute"));
    for (native, record) in corpus("otel", "nested", false) {
        for name in record.keys() {
            assert!(fields.contains(name.as_str()) || name == "message", "{name}");
        }
        for (name, value) in record["attributes"].as_object().unwrap() {
            assert!(attributes.contains(name.as_str()) || name.starts_with("puremessage."), "{name}");
            // Attributes are of plain types, or lists of one.
            assert!(!value.is_object() && !value.is_null(), "{name}: {value}");
            let is_plain = |value: &Value| value.is_string();
            assert!(value.as_array().is_none_or(|list| list.iter().all(is_plain)), "{name}: {value}");
        }
        let time = record["timeUnixNano"].as_str().unwrap();
        assert!(
            time.parse::<u64>().is_ok()
                && (&record["severityNumber"], &record["severityText"]) == (&json!(13), &json!("WARN"))
        );
        assert_eq!(record["attributes"]["log.record.uid"], native["id"]);
    }
}

/// The queue id holds the time of its connection in UTC: so a time without a zone gets one.
#[test]
fn times_in_utc_are_told_by_the_queue_id() {
    let id = "6AND15V7014029";
    for (time, tm, utc) in [
        ("2026-11-23T13:01:09", "3.10", 1_795_438_869),
        ("2026-11-23T15:01:09", "3.10", 1_795_438_869),
        ("2026-11-23T09:31:09", "3.10", 1_795_438_869),
        // Half an hour in the filter is none in the zone, nor is half an hour before it.
        ("2026-11-23T13:58:00", "3.10", 1_795_442_280),
        ("2026-11-23T18:46:09", "3.10", 1_795_438_869),
        ("2026-11-23T14:31:09", "1800.00", 1_795_440_669),
        ("2026-11-23T14:01:09+01:00", "3.10", 1_795_438_869),
    ] {
        let entry = format!("{time} q={id} f=<a@example.org> t=<b@example.net> r=x tm={tm} a=c/abort");
        let record = issued(engine("otel", "nested"), &[entry.as_bytes()], false).remove(0);
        assert_eq!(record["timeUnixNano"].as_str().unwrap(), format!("{utc}000000000"), "{entry}");
    }
}

/// Source records that have fields of the schemas themselves: what comes of them is JSON, says each thing once, keeps what
/// was there, and names the abort.
#[test]
fn fields_that_are_taken() {
    let mail = br#"{"m":"Nov 23 13:01:06 mx1 sendmail[14029]: 6AND15d3014029: Milter (P): timeout before data read, where=rcpt"}"#;
    let entry = "2026-11-23T13:01:09 q=6AND15d3014029 f=<> t=<b@c.org> r=[192.0.2.1] tm=6.04 a=c/abort";
    for (profile, members, id) in [
        (
            "otel",
            json!({"attributes": {"a": 1}, "eventName": "x", "timeUnixNano": "1", "severityNumber": 9, "severityText": "INFO", "body": "x"}),
            "attributes.log.record.uid",
        ),
        ("otel", json!({"attributes": "none"}), "abort.id"),
        (
            "ecs",
            json!({"event": {"kind": "alert", "id": "mine"}, "source": "/opt/pmx/message_log"}),
            "puremessage.abort.id",
        ),
        ("ecs", json!({"event.dataset": "mine", "ecs.version": "1.6.0"}), "event.id"),
        ("ecs", json!({"puremessage": "message_log"}), "event.id"),
        (
            "ocsf",
            json!({"enrichments": [], "metadata": {"uid": "mine"}, "unmapped": {"a": 1}, "time": 1}),
            "unmapped.abort.id",
        ),
    ] {
        for keys in ["nested", "flat"] {
            let config = json!({"message_fields": ["m"], "profile": profile, "profile_keys": keys});
            let mut engine = Engine::new(&Config::from_value(&config).unwrap());
            let mut source = members.as_object().unwrap().clone();
            source.insert("m".into(), entry.into());
            engine.push(Source::Auto, Input::Record(mail), 0, 0);
            engine.push(Source::Auto, Input::Record(Value::Object(source.clone()).to_string().as_bytes()), 0, 0);
            engine.finish();
            let data = engine.poll().unwrap().data;
            let text = String::from_utf8(data.clone()).unwrap();
            let record: Map<String, Value> =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert!(source.iter().all(|(name, value)| record.get(name) == Some(value)), "{text}");
            // Each whole name stands once, and nothing is below what holds no members.
            let told = flat(&record, &|name| !name.ends_with(".advice"));
            for name in told.keys() {
                assert!(!told.keys().any(|other| other.starts_with(&format!("{name}."))), "{name}: {text}");
            }
            assert!(told[id].as_str().is_some_and(|id| id.len() == 32), "{id}: {text}");
            // It is known again, by an engine of any profile.
            let mut native = Engine::new(&Config::from_json(r#"{"message_fields": ["m"]}"#).unwrap());
            native.push(Source::Auto, Input::Record(&data), 0, 0);
            assert_eq!(native.stats().enriched_before, 1, "{text}");
        }
    }
}

/// What went through once is not read again.
#[test]
fn an_enriched_record_passes() {
    let lines: [&[u8]; 1] =
        [b"2026-11-23T13:01:09 q=6AND15V7014029 f=<a@example.org> t=<b@c.org> r=x tm=1.00 a=c/abort"];
    for profile in ["native", "ecs", "ocsf", "otel"] {
        for keys in ["nested", "flat"] {
            let record = Value::Object(issued(engine(profile, keys), &lines, false).remove(0)).to_string();
            let mut again = engine(profile, keys);
            let passed = again.push(Source::Auto, Input::Record(record.as_bytes()), 0, 0);
            assert!(passed.forward && again.stats().enriched_before == 1, "{record}");
        }
    }
}

/// The page shows what is written.
#[test]
fn the_page_shows_one_abort_in_all_profiles() {
    let lines: [&[u8]; 3] = [
        b"Nov 23 13:01:06 mx1 sendmail[14029]: 6AND15d3014029: Milter (PureMessage): timeout before data read, where=rcpt",
        b"Nov 23 13:01:06 mx1 sendmail[14029]: 6AND15d3014029: Milter (PureMessage): to error state",
        b"2026-11-23T13:01:09 q=6AND15d3014029 f=<a@example.org> t=<b@example.net> r=relay.example.com tm=6.04 a=c/abort",
    ];
    let page = include_str!("../docs/profiles.md");
    for profile in ["native", "ecs", "ocsf", "otel"] {
        let (_, shown) = page.split_once(&format!("\n`{profile}`:\n\n```json\n")).unwrap();
        let shown: Value = serde_json::from_str(shown.split_once("\n```").unwrap().0).unwrap();
        assert_eq!(shown, Value::Object(issued(engine(profile, "nested"), &lines, false).remove(0)), "{profile}");
    }
}
