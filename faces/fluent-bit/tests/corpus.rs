//! The module over the whole corpus: the same records as the native engine, in any order of arrival.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "reads cases from files"
)]

use std::collections::BTreeMap;

use abort_reason::{Config, Engine, Input, Source};
use abort_reason_simulator::worlds;
use host::{Filter, HEAP, Outcome, records, scenarios};
use proptest::test_runner::TestRng;
use serde_json::Value;

mod host;

/// The configuration that a module holds which nobody configured.
const CONFIG: &str = r#"{"message_fields": ["log", "message", "MESSAGE", "msg"],
    "limits": {"join_bytes": 16777216, "messages": 50000, "passed_bytes": 4194304, "seen_ids": 16384}}"#;

/// A record and whether it is of the mail log.
type Event = (bool, Vec<u8>);

/// What the native engine issues.
fn native(events: &[Event]) -> Vec<String> {
    let mut engine = Engine::new(&Config::from_json(CONFIG).unwrap());
    for (_, record) in events {
        engine.push(Source::Auto, Input::Record(record), 0, 0);
    }
    engine.finish();
    std::iter::from_fn(|| engine.poll()).map(|output| String::from_utf8(output.data).unwrap()).collect()
}

/// What the module issues, and what it lets pass.
fn module(events: &[Event], tag: &str) -> (Vec<String>, Vec<Vec<u8>>) {
    let mut filter = Filter::new(HEAP);
    let (mut issued, mut passed) = (Vec::new(), Vec::new());
    let mut now = 1_800_000_000_000;
    let mut see = |outcome, record: Option<&[u8]>| match outcome {
        Outcome::Record(text, true) => {
            assert_eq!(Some(text.as_bytes()), record);
            passed.push(text.into_bytes());
        }
        Outcome::Record(text, false) => issued.push(text),
        Outcome::Dropped => {}
        Outcome::Lost(error) => panic!("lost: {error}"),
    };
    see(filter.tick(now), None);
    for (mail, record) in events {
        let tag = if *mail { tag } else { "pmx.message_log" };
        see(filter.record(tag, now, record), Some(record));
    }
    // Long enough for the longest wait; then the ticks are slots.
    for _ in 0..20 {
        now += 1_000;
        see(filter.tick(now), None);
    }
    for _ in 0..2_000 {
        see(filter.tick(now), None);
    }
    (issued, passed)
}

/// The last revision of each case, without what tells only when it left.
fn last_revisions(records: &[String]) -> BTreeMap<String, Value> {
    let mut last = BTreeMap::new();
    for record in records {
        let mut value: Value = serde_json::from_str(record).expect("a record");
        let abort = value["abort"].as_object_mut().expect("an object `abort`");
        let id = abort["id"].as_str().unwrap().to_owned();
        abort.remove("revision");
        last.insert(id, value);
    }
    last
}

fn compare(name: &str, events: &[Event], tag: &str) {
    let expected = native(events);
    let (issued, passed) = module(events, tag);
    let (a, b) = (last_revisions(&expected), last_revisions(&issued));
    for (id, record) in &a {
        assert_eq!(Some(record), b.get(id), "{name}");
    }
    assert_eq!(a.len(), b.len(), "{name}");
    let mut revisions: Vec<_> = issued
        .iter()
        .map(|record| {
            let value: Value = serde_json::from_str(record).unwrap();
            (value["abort"]["id"].to_string(), value["abort"]["revision"].to_string())
        })
        .collect();
    let count = revisions.len();
    revisions.sort();
    revisions.dedup();
    assert_eq!(revisions.len(), count, "{name}: a record left twice");
    // What went in came out once: aborts with their reasons, the rest as it was.
    if tag == "maillog" {
        let held = a.values().filter(|record| record["abort"]["kind"] == "abort").count();
        assert!(passed.len() + held <= events.len(), "{name}");
        assert!(passed.len() + b.len() >= events.len(), "{name}: a record is missing");
    }
}

/// Both logs in order of time, as far as their times tell.
fn merged(mail: &[Vec<u8>], entries: &[Vec<u8>]) -> Vec<Event> {
    let time = |record: &Vec<u8>| record.get(8..27).map(<[u8]>::to_vec);
    let mut events: Vec<Event> = mail.iter().map(|record| (true, record.clone())).collect();
    events.extend(entries.iter().map(|record| (false, record.clone())));
    events.sort_by_key(|(_, record)| time(record));
    events
}

#[test]
fn the_same_records_as_natively_in_both_orders() {
    for folder in scenarios() {
        for file in ["maillog.bsd", "maillog.iso", "maillog.rfc5424"] {
            let name = format!("{} {file}", folder.display());
            let mail: Vec<Event> = records(&folder, file).into_iter().map(|record| (true, record)).collect();
            let entries: Vec<Event> =
                records(&folder, "message_log").into_iter().map(|record| (false, record)).collect();
            compare(&name, &[mail.clone(), entries.clone()].concat(), "evidence.maillog");
            compare(&name, &[entries, mail].concat(), "maillog");
        }
    }
}

#[test]
fn the_same_records_as_natively_in_order_of_time() {
    for folder in scenarios() {
        let events = merged(&records(&folder, "maillog.iso"), &records(&folder, "message_log"));
        compare(&folder.display().to_string(), &events, "evidence.maillog");
    }
}

#[test]
fn the_same_records_as_natively_in_any_order() {
    use proptest::prelude::Rng;
    let mut random = TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    for folder in scenarios() {
        let (mail, entries) = (records(&folder, "maillog.bsd"), records(&folder, "message_log"));
        for _ in 0..3 {
            let (mut m, mut e) = (mail.iter().peekable(), entries.iter().peekable());
            let mut events = Vec::new();
            while m.peek().is_some() || e.peek().is_some() {
                // Runs of one log, as Fluent Bit's chunks make them.
                let run = random.next_u32() % 40;
                let of_mail = random.next_u32().is_multiple_of(2);
                for _ in 0..=run {
                    let next = if of_mail { m.next() } else { e.next() };
                    events.extend(next.map(|record| (of_mail, record.clone())));
                }
            }
            compare(&folder.display().to_string(), &events, "maillog");
        }
    }
}

/// The simulator's worlds.
#[test]
fn the_same_records_as_natively_in_simulated_worlds() {
    let done = worlds(3_000_000, 40, &mut |world, shipping| {
        let of_the_mail_log = |record: &str| record.contains(" sendmail[");
        let steps = shipping.interleaved(world);
        let events: Vec<Event> =
            steps.iter().map(|step| (of_the_mail_log(step.record), step.record.as_bytes().to_vec())).collect();
        compare("simulated", &events, "maillog");
        Ok(())
    });
    println!("{} worlds", done.unwrap_or_else(|wrong| panic!("{wrong}")));
}
