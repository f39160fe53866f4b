//! Records that nobody should send: none is lost, none traps, and memory stays where it is.
#![allow(clippy::disallowed_methods, reason = "reads how many cases are asked for; those rules are the core's")]

use std::collections::{BTreeMap, BTreeSet};

use abort_reason_filter::mended;
use host::{Filter, HEAP, Outcome, TICK, module_path};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::Value;

mod host;

const TAGS: [&str; 4] = ["evidence.maillog", "pmx.message_log", "", "abort_reason.ticks"];

fn hostile() -> Vec<Vec<u8>> {
    let line = "Nov 23 13:01:06 mx1 sendmail[14029]: 6AND15d3014029: Milter (PureMessage): timeout before data read, where=rcpt";
    let abort = "2026-11-23T13:01:09 q=6AND15d3014029 f=<a@example.org> t=<b@example.net> r=relay tm=6.04 a=c/abort";
    let deep = |n: usize| format!("{{\"log\":{}1{}}}", "[".repeat(n), "]".repeat(n)).into_bytes();
    vec![
        Vec::new(),
        b"x".to_vec(),
        b"{".to_vec(),
        b"{}".to_vec(),
        b"[]".to_vec(),
        b"null".to_vec(),
        b"{\"log\":\"".to_vec(),
        b"{\"log\":\"\xff\xfe\"}".to_vec(),
        b"{\"log\":\"Nov 23 13:01:06 mx1 sendmail[\xff]: 6AND15d3014029: x\"}".to_vec(),
        b"{\"log\":1}".to_vec(),
        b"{\"log\":\"a\\u0000b\"}".to_vec(),
        b"{\"abort\":{},\"log\":\"x\"}".to_vec(),
        format!("{{\"log\":\"{line}\"").into_bytes(),
        format!("{{\"log\":\"{line}\\").into_bytes(),
        format!("{{\"log\":\"{abort}\\u0000\"}}").into_bytes(),
        format!("{{\"log\":\"{}\"}}", "x".repeat(10 << 20)).into_bytes(),
        format!("{{\"log\":\"{line}{}\"}}", "y".repeat(10 << 20)).into_bytes(),
        format!("{{\"log\":\"{abort} {}\"}}", "z=".repeat(200_000)).into_bytes(),
        deep(100),
        deep(100_000),
        format!("{{\"a\":{}{}, \"log\":\"{abort}\"}}", "[".repeat(300), "]".repeat(300)).into_bytes(),
    ]
}

#[test]
fn what_can_not_be_read_passes_as_it_came() {
    for heap in [2 * HEAP, HEAP, 8 << 10] {
        let mut filter = Filter::new(heap);
        for tag in TAGS {
            for record in hostile() {
                match filter.record(tag, 1_800_000_000_000, &record) {
                    Outcome::Record(text, given) => assert!(
                        given || text.starts_with('{') && text.ends_with('}'),
                        "{tag}: {}",
                        &text[..text.len().min(200)]
                    ),
                    Outcome::Dropped => assert!(
                        tag.starts_with("evidence.")
                            || record.is_empty()
                            || String::from_utf8_lossy(&record).contains("a=c/abort"),
                        "{tag}: {}",
                        String::from_utf8_lossy(&record[..record.len().min(200)])
                    ),
                    Outcome::Lost(error) => {
                        panic!("{tag}: {error}: {}", String::from_utf8_lossy(&record[..record.len().min(200)]))
                    }
                }
            }
        }
        // It still works.
        let mail = br#"{"log":"Nov 23 13:02:06 mx1 sendmail[14030]: 6AND15d3014030: Milter (PureMessage): timeout before data read, where=rcpt"}"#;
        let abort = br#"{"log":"2026-11-23T13:02:09 q=6AND15d3014030 f=<a@example.org> t=<b@example.net> r=relay tm=6.04 a=c/abort"}"#;
        filter.record("evidence.maillog", 1_800_000_000_000, mail);
        filter.record("pmx.message_log", 1_800_000_000_000, abort);
        let explained = (0..40).any(|second| match filter.tick(1_800_000_000_000 + second * 1_000) {
            Outcome::Record(text, false) => {
                text.contains("q=6AND15d3014030") && text.contains(r#""class":"filter_timeout""#)
            }
            _ => false,
        });
        assert!(explained, "the abort was not explained");
    }
}

#[test]
fn a_record_that_was_not_passed_is_told_of() {
    let mut filter = Filter::new(8 << 10);
    let record = format!("{{\"log\":\"{}\"}}", "x".repeat(9_000));
    let Outcome::Record(text, false) = filter.record("pmx.message_log", 1, record.as_bytes()) else { panic!("lost") };
    assert!(text.contains("not_passed") && text.contains(&record.len().to_string()), "{text}");
}

/// Where a call fails, its record and what was held leave at the ticks that follow, and all else passes.
#[test]
fn what_a_failed_call_had_comes_back() {
    let module = std::fs::read(module_path()).expect("the module");
    let entry = |n: u32, padding: usize| {
        let more = "x".repeat(padding);
        format!("{{\"log\":\"2026-11-23T13:02:09 q=6AND15d301403{n} f=<a@b> r=relay{more} tm=6.04 a=c/abort\"}}")
    };
    let now = 1_800_000_000_000;
    // The failed call has a record that fits where most do, one that is longer, or one that Fluent Bit did not pass.
    for (heap, padding) in [HEAP, 60 << 10].into_iter().flat_map(|heap| [(heap, 0), (heap, 100_000)]) {
        let is_passed = heap == HEAP || padding == 0;
        let entry = |n: u32| entry(n, if n == 2 { padding } else { 0 });
        let mut filter = Filter::with(&module, heap, true);
        for tag in [TICK, "evidence.maillog", TICK] {
            filter.record(tag, now, br#"{"log":"x"}"#);
        }
        let mut pass = |n: u32, instructions: u64| {
            let record = entry(n);
            filter.failing(instructions, "pmx.message_log", now, record.as_bytes())
        };
        assert_eq!(pass(1, u64::MAX), Outcome::Dropped, "it waits");
        assert!(matches!(pass(2, 10_000), Outcome::Lost(_)));
        for n in [3, 4] {
            assert_eq!(pass(n, u64::MAX), Outcome::Record(entry(n), true), "after a failure all passes");
        }
        let issued: Vec<String> = (0..9)
            .filter_map(|second| match filter.tick(now + 1_000 * second) {
                Outcome::Record(text, false) => Some(text),
                _ => None,
            })
            .collect();
        let [rescued @ .., report, held] = &issued[..] else { panic!("{issued:?}") };
        assert_eq!(rescued, if is_passed { vec![entry(2)] } else { Vec::new() });
        assert!(report.contains("\"failure\":\"out of stack or memory\""), "{report}");
        assert!(held.contains("q=6AND15d3014031") && held.contains("\"abort\":{"), "{held}");
    }
}

/// A heap in which longer records have no place is told of at once.
#[test]
fn a_small_heap_is_told_of() {
    for (bytes, is_small, first) in [(8 << 10, true, 1), (8 << 10, true, 9_000), (8 << 20, false, 1)] {
        let mut filter = Filter::new(bytes);
        // The first record may be one that has no place there.
        filter.record(
            "pmx.message_log",
            1_800_000_000_000,
            format!("{{\"log\":\"{}\"}}", "x".repeat(first)).as_bytes(),
        );
        let told = (0..9).any(|second| match filter.tick(1_800_000_000_000 + 1_000 * second) {
            Outcome::Record(text, _) => text.contains("heap_trouble") && text.contains("wasm_heap_size"),
            _ => false,
        });
        assert_eq!(told, is_small, "{bytes} bytes, first a record of {first}");
    }
}

/// Failures of messages that never abort, and aborts that nothing explains, 20,000 of each; then, if slots come, as many
/// as are needed.
fn storm(filter: &mut Filter, round: u64, slots: bool) {
    let mut now = 1_800_000_000_000 + round * 400_000;
    for n in 0..20_000u64 {
        let id = format!("6AND{:02}{}{:06}", n % 60, (b'a' + (n / 60 % 26) as u8) as char, n % 900_000);
        let mail = format!(
            "{{\"log\":\"Nov 23 13:{:02}:{:02} mx1 sendmail[{n}]: {id}0: Milter (P): timeout before data read, where=rcpt\"}}",
            n / 600 % 60,
            n % 60
        );
        let abort = format!(
            "{{\"log\":\"2026-11-23T13:{:02}:{:02} q=6B{:02}15d3{:06} f=<a@b> a=c/abort\"}}",
            n / 600 % 60,
            n % 60,
            n % 10,
            n + round * 20_000
        );
        for (tag, record) in [("maillog", mail), ("pmx.message_log", abort)] {
            assert!(!matches!(filter.record(tag, now, record.as_bytes()), Outcome::Lost(_)));
        }
        now += 10;
        if slots && n % 100 == 99 {
            (0..100).for_each(|_| assert!(!matches!(filter.tick(now), Outcome::Lost(_))));
        }
    }
}

#[test]
fn memory_stays_where_it_is() {
    let mut filter = Filter::new(HEAP);
    (0..2).for_each(|round| storm(&mut filter, round, true));
    let after_warm_up = filter.pages();
    storm(&mut filter, 2, true);
    assert!(filter.pages() <= after_warm_up + after_warm_up / 8, "{after_warm_up} pages became {}", filter.pages());
    assert!(filter.pages() < 256 << 4, "{} pages", filter.pages());
}

/// Later words on aborts that have left wait in vain: what they take is bounded.
#[test]
fn memory_is_bounded_where_no_slots_come() {
    let mut filter = Filter::new(HEAP);
    (0..3).for_each(|round| storm(&mut filter, round, false));
    assert!(filter.pages() < 256 << 4, "{} pages", filter.pages());
}

/// The same cases in every run; `PROPTEST_RNG_SEED` and `PROPTEST_CASES` ask for others.
fn settings() -> ProptestConfig {
    let defaults = ProptestConfig::default();
    ProptestConfig {
        cases: if std::env::var_os("PROPTEST_CASES").is_some() { defaults.cases } else { 24 },
        rng_seed: if defaults.rng_seed == RngSeed::Random { RngSeed::Fixed(20_261_124) } else { defaults.rng_seed },
        failure_persistence: None,
        ..defaults
    }
}

/// What arrives of a record: Fluent Bit's end at a zero.
fn given(record: &[u8]) -> &[u8] {
    record.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// The line of a record in the form that the filter looks into.
fn log(record: &[u8]) -> Option<String> {
    let record = mended(given(record)).unwrap_or_else(|| given(record).to_vec());
    let value: Value = serde_json::from_slice(&record).ok()?;
    Some(value["log"].as_str()?.to_owned())
}

/// An entry: an abort, or one that may turn out to be a failure that nobody noticed.
fn is_entry(line: &str) -> bool {
    line.starts_with("2026-11-23T") && line.contains(" q=6AND15d301402")
}

/// Notes a record that the module made: the aborts issued, by their line, with the revisions of each.
fn note(issued: &mut BTreeMap<String, Vec<u64>>, text: &str) {
    let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert!(value.is_object(), "{text}");
    if let Some(line) = value["log"].as_str() {
        issued.entry(line.to_owned()).or_default().extend(value["abort"]["revision"].as_u64());
    }
}

/// Gives a filter records and then time; whatever they are, each abort leaves once per revision, and what did not come
/// back as it was left in some other way that it may.
fn nothing_is_lost(records: &[(usize, Vec<u8>)]) {
    let mut filter = Filter::new(HEAP);
    let mut issued = BTreeMap::new();
    let mut owed = BTreeSet::new();
    let mut now = 1_800_000_000_000;
    for (tag, record) in records {
        let entry = log(record).filter(|line| is_entry(line));
        match filter.record(TAGS[*tag], now, record) {
            Outcome::Record(text, true) => {
                assert_eq!(text, String::from_utf8_lossy(given(record)));
                // What Fluent Bit writes in no string is not looked for at a glance.
                let is_written = |byte: &u8| (b' '..0x80).contains(byte);
                assert!(mended(given(record)).is_none() || !given(record).iter().all(is_written), "{text}");
            }
            Outcome::Record(text, false) if mended(given(record)).is_some_and(|mended| mended == text.as_bytes()) => {}
            Outcome::Record(text, false) => {
                owed.extend(entry);
                note(&mut issued, &text);
            }
            Outcome::Dropped => match entry {
                Some(entry) => drop(owed.insert(entry)),
                None => assert!(
                    TAGS[*tag].starts_with("evidence.") || record.first().is_none_or(|b| *b == 0),
                    "lost: {}",
                    String::from_utf8_lossy(record)
                ),
            },
            Outcome::Lost(error) => panic!("{error}"),
        }
    }
    for _ in 0..400 {
        now += 1_000;
        match filter.tick(now) {
            Outcome::Record(text, _) => note(&mut issued, &text),
            Outcome::Dropped => {}
            Outcome::Lost(error) => panic!("{error}"),
        }
    }
    assert!(
        issued.keys().all(|line| records.iter().any(|(_, record)| log(record).as_ref() == Some(line))),
        "{issued:?}"
    );
    for (line, revisions) in &issued {
        // An entry that is no abort has passed before as it was.
        let first = u64::from(!line.ends_with("/abort"));
        let follow = revisions.is_sorted_by(|a, b| a < b);
        assert!(follow && revisions.first().is_none_or(|revision| *revision <= first), "{line}: {revisions:?}");
    }
    let missing: Vec<_> = owed.iter().filter(|line| !issued.contains_key(*line)).collect();
    assert!(missing.is_empty(), "never issued: {missing:?}");
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn nothing_is_lost_of_anything(records in proptest::collection::vec(
        (0..4usize, prop_oneof![
            "[ -~]{0,200}".prop_map(String::into_bytes),
            "\\{\"(log|message)\":\"(Nov 23 13:0[0-9]:0[0-9] mx1 sendmail\\[[0-9]{1,6}\\]: (6AND15d301402[0-9]|NOQUEUE|x): )?(from=|to=<|Milter \\(|lost input channel from ){0,2}[ -~]{0,80}(\"\\}|\\)\"\\})".prop_map(String::into_bytes),
            "\\{\"log\":\"2026-11-23T13:0[0-9]:0[0-9] q=6AND15d301402[0-9] (f=<[ -~]{0,9}> )?a=[ac]/(eom|abort)\"\\}".prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..100),
        ]), 0..300))
    {
        nothing_is_lost(&records);
    }
}

/// Found by chance once: a provisional record and its revision are two.
#[test]
fn a_provisional_record_and_its_revision() {
    nothing_is_lost(&[(0, br#"{"log":"2026-11-23T13:00:00 q=6AND15d3014020 a=c/abort"}"#.to_vec())]);
}

/// Fluent Bit before 4.1 made a new module for every chunk: an abort that waited there would be lost.
#[test]
fn where_the_state_may_be_lost_no_abort_waits() {
    let abort = br#"{"log":"2026-11-23T13:01:09 q=6AND15d3014029 f=<a@example.org> tm=4.05 a=c/abort"}"#;
    let mut filter = Filter::new(HEAP);
    let Outcome::Record(text, false) = filter.record("pmx.message_log", 0, abort) else { panic!("the abort waits") };
    assert!(text.contains(r#""status":"provisional""#) && text.contains(r#""why_not":"stateless_host""#), "{text}");
    // A second tag shows that this host keeps the module.
    filter.tick(1_000);
    let other = String::from_utf8_lossy(abort).replace("6AND15d3014029", "6AND15d3014030");
    assert_eq!(filter.record("pmx.message_log", 1_000, other.as_bytes()), Outcome::Dropped);
}
