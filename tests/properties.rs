//! What holds for every input: small made-up worlds in any order of arrival, at any limits, across restarts, and bytes of
//! any kind. The seed is fixed; `PROPTEST_RNG_SEED` and `PROPTEST_CASES` ask for others, and what fails is kept in
//! `tests/properties.regressions`.

#![allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)] // Those rules are the core's.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use abort_reason::{Config, Input, Source, Stats};
use abort_reason_simulator::world::{Truth, plans};
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, RngSeed};
use serde_json::Value;
use support::{Host, config, last_revisions, model, text};

fn settings(cases: u32) -> ProptestConfig {
    let defaults = ProptestConfig::default();
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig {
        cases: if asked { defaults.cases } else { cases },
        rng_seed: if defaults.rng_seed == RngSeed::Random { RngSeed::Fixed(20_261_123) } else { defaults.rng_seed },
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/properties.regressions"))),
        max_shrink_iters: 2_000,
        ..defaults
    }
}

const PATIENT: &str = r#"{"filter_names": ["PureMessage"], "hold_secs": 86400, "lookback_secs": 86400}"#;

/// Pushes lines; `pauses` say how much time passes before each.
fn run(config: &Config, lines: &[&str], pauses: &[u16], restarts: &[bool]) -> Host {
    let mut host = Host::new(config);
    let mut restarts = restarts.iter().cycle();
    for (line, pause) in lines.iter().zip(pauses.iter().cycle()) {
        if restarts.next().copied().unwrap_or_default() {
            host.restart(config);
        }
        host.now += u64::from(*pause);
        host.push(Source::Auto, Input::Record(line.as_bytes()));
    }
    host
}

/// The entry and host of each record that was issued, with its object.
fn objects(records: &[String]) -> Vec<(String, String, Value)> {
    let mut list: BTreeMap<String, (String, String, Value)> = BTreeMap::new();
    for record in records {
        let record: Value = serde_json::from_str(record).expect("a record");
        let id = text(&record["abort"], "id").to_owned();
        list.insert(
            id,
            (text(&record, "message").to_owned(), text(&record, "host").to_owned(), record["abort"].clone()),
        );
    }
    list.into_values().collect()
}

/// What the records say, to be compared with the truth.
fn told(records: &[String]) -> Vec<Truth> {
    let word = |value: &Value, key| -> &'static str { String::leak(text(value, key).to_owned()) };
    let mut told: Vec<Truth> = objects(records)
        .into_iter()
        .map(|(entry, host, abort)| Truth {
            entry,
            host,
            kind: word(&abort, "kind"),
            class: word(&abort, "class"),
            told: true,
        })
        .collect();
    told.sort();
    told
}

/// The records without the number of their revision, of entries that are no aborts.
fn comparable(host: &Host) -> BTreeSet<String> {
    let unnumbered = |record: &String| record.replace(r#""revision":1}"#, r#""revision":0}"#);
    let numbered = |record: &String| record.contains(r#""kind":"abort""#);
    host.records().iter().map(|record| if numbered(record) { record.clone() } else { unnumbered(record) }).collect()
}

/// The lines of both logs of a scenario, by time.
static LINES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let scenarios = support::scenarios();
    let mixed = scenarios.iter().find(|scenario| scenario.name == "mixed").expect("the scenario");
    let mut lines = mixed.maillog("iso");
    lines.extend_from_slice(&mixed.message_log);
    lines.sort();
    lines.into_iter().map(String::into_bytes).collect()
});

proptest! {
    #![proptest_config(settings(96))]

    /// Lines of a real log, some of them cut or with a byte changed, bare or as records: what the fuzzer checks, too.
    #[test]
    fn spoilt_logs(
        first in any::<u8>(),
        start in any::<prop::sample::Index>(),
        how in prop::collection::vec((0..8u8, any::<prop::sample::Index>(), any::<u8>()), 1..80),
    ) {
        let mut data = vec![first];
        let start = start.index(LINES.len());
        for ((kind, place, byte), line) in how.iter().zip(LINES.iter().cycle().skip(start)) {
            let mut line = if kind % 2 == 0 { line.clone() } else { support::record(std::str::from_utf8(line).unwrap_or_default()).into_bytes() };
            match kind {
                0 | 1 => line.truncate(place.index(line.len())),
                2 | 3 => { let at = place.index(line.len()); line[at] = *byte; }
                _ => {}
            }
            data.extend(line);
            data.push(b'\n');
        }
        support::anything::anything(&data);
    }

    /// The model that keeps everything says what was made to happen, and so does the engine, in whatever order the lines
    /// come; within the hold the records are the same to the byte.
    #[test]
    fn any_order_gives_the_same_records(plan in plans(6), picks in prop::collection::vec(any::<u8>(), 1..40)) {
        let world = plan.build();
        prop_assert_eq!(&model::judge(&world), &world.truth);
        let mut first = run(&config(PATIENT), &world.mail_first(), &[0], &[]);
        first.finish();
        prop_assert_eq!(&told(&first.records()), &world.truth);
        let mut mixed = run(&config(PATIENT), &world.interleaved(&picks), &[0], &[]);
        mixed.finish();
        prop_assert_eq!(comparable(&mixed), comparable(&first));
    }

    /// With a short hold a reason may come too late for the first record, and then comes as a revision.
    #[test]
    fn late_reasons_come_as_revisions(
        plan in plans(6),
        picks in prop::collection::vec(any::<u8>(), 1..40),
        hold in 0..4u32,
        annotate in any::<bool>(),
        pauses in prop::collection::vec(prop_oneof![Just(0), 0..4_000u16], 1..20),
    ) {
        let world = plan.build();
        let mode = if annotate { "annotate" } else { "hold" };
        let config =
            config(&format!(r#"{{"filter_names": ["PureMessage"], "hold_secs": {hold}, "mode": "{mode}"}}"#));
        let mut host = run(&config, &world.interleaved(&picks), &pauses, &[]);
        host.finish();
        prop_assert_eq!(&told(&host.records()), &world.truth);
        let mut patient = run(&support::config(PATIENT), &world.mail_first(), &[0], &[]);
        patient.finish();
        let full: BTreeMap<String, Value> =
            last_revisions(&patient.records()).into_iter().map(|abort| (text(&abort, "id").to_owned(), abort)).collect();
        for abort in last_revisions(&host.records()) {
            let wanted = &full[text(&abort, "id")];
            for key in ["status", "class", "outcome", "reason", "filter", "stage", "host"] {
                prop_assert_eq!(&abort[key], &wanted[key], "{}: {}", key, abort);
            }
            let lines = |abort: &Value| abort["evidence"].as_array().cloned().unwrap_or_default();
            let all = lines(wanted);
            prop_assert!(lines(&abort).iter().all(|line| all.contains(line)), "{}", abort);
        }
        let stats = host.engine.stats();
        let first = stats.explained + stats.inferred + stats.unexplained + stats.unnoticed + stats.unlogged;
        prop_assert_eq!(first, world.truth.len() as u64, "{:?}", stats);
        prop_assert!(stats.issued <= first + stats.revisions + stats.provisional, "{:?}", stats);
    }

    /// An engine that goes on from a snapshot does what the one before would have done.
    #[test]
    fn restarts_change_nothing(
        plan in plans(5),
        picks in prop::collection::vec(any::<u8>(), 1..40),
        restarts in prop::collection::vec(prop::bool::weighted(0.2), 1..20),
        pauses in prop::collection::vec(prop_oneof![Just(0), 0..3_000u16], 1..20),
        hold in 0..4u32,
    ) {
        let world = plan.build();
        let config = config(&format!(r#"{{"filter_names": ["PureMessage"], "unlogged": true, "hold_secs": {hold}}}"#));
        let lines = world.interleaved(&picks);
        let mut straight = run(&config, &lines, &pauses, &[]);
        let mut restarted = run(&config, &lines, &pauses, &restarts);
        prop_assert_eq!(straight.engine.poll_timeout(), restarted.engine.poll_timeout());
        prop_assert_eq!(&straight.kept, &restarted.kept);
        straight.finish();
        restarted.finish();
        prop_assert_eq!(&straight.issued, &restarted.issued);
        // Which lines were told at a glance is learnt anew, and what was is kept in another place.
        let stats = |host: &Host| Stats { unread: 0, bytes: 0, ..*host.engine.stats() };
        prop_assert_eq!(stats(&straight), stats(&restarted));
    }

    /// At the least limits memory stays within them, and every abort still leaves once.
    #[test]
    fn limits_hold_and_no_abort_is_lost(
        plan in plans(40),
        picks in prop::collection::vec(any::<u8>(), 1..40),
        pauses in prop::collection::vec(prop_oneof![Just(0), 0..3_000u16], 1..20),
        hosts in 1..4u32,
        annotate in any::<bool>(),
    ) {
        let world = plan.build();
        let mode = if annotate { "annotate" } else { "hold" };
        let json = format!(
            r#"{{"filter_names": ["PureMessage"], "unlogged": true, "mode": "{mode}", "limits": {{"join_bytes": 65536,
            "messages": 16, "per_message": 8, "passed_bytes": 2000, "seen_ids": 16, "text_bytes": 256, "hosts": {hosts}}}}}"#
        );
        let config = config(&json);
        let mut host = Host::new(&config);
        host.forgets = true;
        for (line, pause) in world.interleaved(&picks).iter().zip(pauses.iter().cycle()) {
            host.now += u64::from(*pause);
            host.push(Source::Auto, Input::Record(line.as_bytes()));
            // Groups of 16 messages, and at most as many evicted ones that wait to be polled.
            prop_assert!(host.engine.stats().held <= 16 * 16);
            let state: Value = serde_json::from_slice(&host.engine.snapshot()).unwrap();
            let messages = state["store"]["groups"].as_array().map(Vec::len);
            prop_assert!(messages.is_some_and(|messages| messages <= 16));
        }
        host.finish();
        let aborts = |list: Vec<Truth>| -> BTreeSet<String> {
            list.into_iter().filter(|truth| truth.kind == "abort").map(|truth| truth.host + &truth.entry).collect()
        };
        prop_assert_eq!(aborts(told(&host.records())), aborts(world.truth));
    }

    /// Bytes of any kind do no harm: what is no abort passes as it is.
    #[test]
    fn any_bytes_pass(steps in prop::collection::vec((pieces(), 0..4u8, 0..2_000u16), 1..30), drop in any::<bool>()) {
        let json = format!(r#"{{"others": "{}", "unlogged": true, "hold_secs": 1}}"#, if drop { "drop" } else { "pass" });
        let mut host = Host::new(&config(&json));
        let mut owed = 0;
        for (bytes, way, pause) in &steps {
            host.now += u64::from(*pause);
            let source = [Source::Auto, Source::Mail, Source::MessageLog, Source::Auto][usize::from(*way)];
            let input = if *way == 3 { Input::Record(bytes) } else { Input::Line(bytes) };
            let before = *host.engine.stats();
            let disposition = host.push(source, input);
            let repeated = host.engine.stats().duplicates > before.duplicates;
            let is_entry = host.engine.stats().entries > before.entries;
            owed += usize::from(is_entry && disposition.keep);
            prop_assert!(drop || disposition.forward || is_entry && (disposition.keep || repeated));
        }
        host.finish();
        let first = last_revisions(&host.records()).iter().filter(|abort| text(abort, "kind") == "abort").count();
        prop_assert!(first <= owed, "{first} of {owed}");
        // An entry that turned out to have no failure of its own leaves as it came, or not at all.
        prop_assert!(drop || host.issued.len() >= owed, "{} of {owed}", host.issued.len());
    }

    /// A record that is issued is the one that came in, with one more member.
    #[test]
    fn records_are_only_added_to(value in values(), lines in prop::collection::vec(any::<bool>(), 4)) {
        let mut host = Host::new(&config(r#"{"hold_secs": 0}"#));
        let entry = "2026-11-23T13:01:09 q=6AND15d3014029 f=<a@example.org> tm=4.05 a=c/abort";
        let mut record = serde_json::json!({ "n": value, "log": entry, "z": "\u{1f4e7}\\\"\u{7f}" });
        if lines[0] {
            host.line("Nov 23 13:01:05 mx1 sendmail[14029]: 6AND15d3014029: lost input channel from h [192.0.2.1] to MTA after rcpt");
        }
        let text = if lines[1] { serde_json::to_string_pretty(&record) } else { serde_json::to_string(&record) };
        host.push(Source::Auto, Input::Record(text.unwrap_or_default().as_bytes()));
        host.finish();
        let mut issued: Value = serde_json::from_slice(&host.issued[0].data).expect("JSON");
        let abort = issued["abort"].take();
        prop_assert!(abort.is_object());
        record["abort"] = Value::Null;
        prop_assert_eq!(issued, record);
    }
}

/// Numbers of rules mean nothing under another configuration.
#[test]
fn a_snapshot_of_another_configuration_is_refused() {
    let mut host = Host::new(&config(""));
    host.line("Nov 23 13:01:06 mx1 sendmail[14029]: 6AND15d3014029: Milter (PureMessage): to error state");
    let snapshot = host.engine.snapshot();
    let rule = r#"{"rules": [{"id": "U-1", "class": "mta_error", "start": "x"}]}"#;
    for (other, fits) in [("", true), (rule, false), (r#"{"hold_secs": 6}"#, false)] {
        assert_eq!(abort_reason::Engine::new(&config(other)).restore(&snapshot).is_ok(), fits, "{other}");
    }
}

/// Hosts whose records are text spoil bytes that are none, each in its own way: the same entry has the same id.
#[test]
fn a_spoilt_entry_has_the_same_id() {
    let entry =
        |from: &[u8]| [b"2026-11-23T13:01:09 q=6AND15d3014029 f=<x", from, b"@example.org> tm=4.05 a=c/abort"].concat();
    let ids: BTreeSet<String> = [&b"\xe9"[..], "\u{fffd}".as_bytes(), "\u{e0e9}".as_bytes(), "\u{e9}".as_bytes()]
        .iter()
        .map(|from| {
            let mut host = Host::new(&config(""));
            host.push(Source::Auto, Input::Line(&entry(from)));
            host.finish();
            text(&last_revisions(&host.records())[0], "id").to_owned()
        })
        .collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
}

/// Texts made of what the parsers look for, and of anything.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "Nov 23 13:01:05 ",
        "Feb 29 23:59:60 ",
        "2026-11-23T13:01:05",
        ".022833+00:00",
        "Z",
        " ",
        "  ",
        "\t",
        "<22>",
        "<22>1 ",
        "<mail.info>",
        "mx1 ",
        "sendmail[14029]: ",
        "sm-mta: ",
        "6AND15d3014029",
        "6AND15d4014029",
        "NOQUEUE",
        ": ",
        "[1]: ",
        "[2]: ",
        "[65535]: ",
        " ...",
        "Milter (PureMessage): ",
        "Milter (",
        "): ",
        "timeout before data read, where=eom",
        "to error state",
        "lost input channel from ",
        " to MTA after rcpt",
        "STARTTLS: read error=timeout",
        "from=<a@b>",
        ", size=0, class=0, nrcpts=1, ",
        "msgid=<x>, ",
        "to=<b@c>",
        ", delay=0, pri=0",
        ", mailer=esmtp",
        ", stat=Sent",
        ", stat=Please try again later",
        ", reject=451 x",
        "SYSERR(root): ",
        " q=",
        " f=<",
        "> ",
        " t=",
        " tm=1.5",
        " a=c/abort",
        " a=a/eom",
        "|",
        "=",
        "<",
        ">",
        "\"",
        "\\",
        "{\"message\":\"",
        "\"}",
        "\",\"host\":\"mx1\"}",
        "{",
        "}",
        "[",
        "]",
        ",",
        "\0",
        "\u{e9}",
    ])
    .prop_map(|text| text.as_bytes().to_vec());
    let line = Just(b"2026-11-23T13:01:09 q=6AND15d3014029 f=<a@example.org> tm=4.05 a=c/abort".to_vec());
    let reason = Just(
        b"Nov 23 13:01:05 mx1 sendmail[14029]: 6AND15d3014029: Milter (PureMessage): timeout before data read".to_vec(),
    );
    let anything = prop::collection::vec(any::<u8>(), 0..12);
    prop::collection::vec(prop_oneof![8 => known, 1 => line, 1 => reason, 2 => anything], 0..14)
        .prop_map(|list| list.concat())
}

/// JSON of any kind.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
