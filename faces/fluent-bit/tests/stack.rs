//! No call goes deeper than the stack that Fluent Bit gives by default: see `host/stack.rs`.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "reads cases from files")]

use abort_reason_simulator::worlds;
use host::{Filter, HEAP, Outcome, records, scenarios, stack};

mod host;

/// Bytes of the stack that Fluent Bit gives by default (`wasm_stack_size`, no less can be had), without the frame of its own
/// call with six arguments.
const STACK: u32 = (8 << 10) - 64;

/// Worlds of the simulator, hostile ones among them.
const WORLDS: u64 = 60;

/// Records, each with its tag.
type Records = Vec<(&'static str, Vec<u8>)>;

fn filter() -> Filter {
    let module = std::fs::read(host::module_path()).expect("the module");
    let mut filter = Filter::of(&stack::measured(&module), HEAP);
    filter.tick(1_800_000_000_000);
    filter
}

#[test]
fn every_call_fits_into_the_stack_that_is_there() {
    let mut filter = filter();
    let mut now = 1_800_000_000_000;
    let mut deepest = 0;
    let mut see = |filter: &mut Filter, what: &str, record: Option<&[u8]>| {
        let outcome = if let Some(record) = record {
            filter.record(what, now, record)
        } else {
            now += 1_000;
            filter.tick(now)
        };
        assert!(!matches!(outcome, Outcome::Lost(_)), "{outcome:?}");
        if filter.deepest() > deepest {
            deepest = filter.deepest();
            let record = String::from_utf8_lossy(record.unwrap_or_default()).into_owned();
            assert!(deepest <= STACK, "{deepest} bytes: {what} {record}");
        }
    };
    for folder in scenarios() {
        for file in ["maillog.bsd", "maillog.iso", "maillog.rfc5424"] {
            for (tag, file) in [("pmx.message_log", "message_log"), ("evidence.maillog", file)] {
                for record in records(&folder, file) {
                    see(&mut filter, tag, Some(&record));
                }
            }
            (0..30).for_each(|_| see(&mut filter, "a tick", None));
        }
    }
    // What is no JSON is mended, and taken once more.
    let abort = br#"{"log":"2026-11-23T13:01:05 q=6AND15V7014029 f=<a@b> tm=1.00 a=c/abort","p":nan}"#;
    see(&mut filter, "pmx.message_log", Some(abort));
    worlds(1, WORLDS, &mut |world, _| {
        // Of each host the mail log, and its entries.
        for (stream, tag) in world.streams.iter().zip(["evidence.maillog", "pmx.message_log"].into_iter().cycle()) {
            for record in stream {
                see(&mut filter, tag, Some(record.as_bytes()));
            }
        }
        (0..30).for_each(|_| see(&mut filter, "a tick", None));
        Ok(())
    })
    .unwrap();
    // A meter that stands still would not tell.
    assert!(deepest > STACK / 4, "{deepest}");
}

/// The record of a line of the mail log, by its second behind 13:01.
fn mail(second: usize, id: &str, text: &str) -> Vec<u8> {
    let (minute, second) = (1 + second / 60, second % 60);
    format!(r#"{{"log":"Nov 23 13:{minute:02}:{second:02} mx1 sendmail[14029]: {id}: {text}"}}"#).into_bytes()
}

/// The record of an abort, by its second behind 13:01.
fn abort(second: usize, id: &str, sender: usize) -> Vec<u8> {
    let (minute, second) = (1 + second / 60, second % 60);
    let text = format!("2026-11-23T13:{minute:02}:{second:02} q={id} f=<s{sender}@example.org> tm=0.10 a=c/abort");
    format!(r#"{{"log":"{text}"}}"#).into_bytes()
}

/// What is ordered must not be sorted: a library's way to do that calls itself, the deeper, the more there is.
#[test]
fn however_much_is_known_a_call_goes_no_deeper() {
    let id = |n: usize| format!("6AND1500{n:06}");
    // Each second message first, so that no order is that of the messages.
    let disorder = |count: usize| (0..2).flat_map(move |odd| (odd..count).step_by(2));
    let lost = "lost input channel from relay.example.com [192.0.2.1] to MTA after rcpt";
    let end = |n: usize| {
        format!(
            "from=<s{n}@example.org>, size=0, class=0, nrcpts=1, proto=ESMTP, daemon=MTA, relay=relay.example.com [192.0.2.1]"
        )
    };
    let refused = |n: usize| format!("Milter: from=<s{n}@example.org>, reject=451 4.3.2 Please try again later");
    let (of_mail, of_entry) = ("evidence.maillog", "pmx.message_log");
    let all_known = (0..4_000).map(|n| (of_mail, mail(5, &id(n), lost)));
    let all_known = all_known
        .chain(disorder(4_000).map(|n| (of_entry, abort(6, &id(n), n))))
        .chain((0..4_000).map(|n| (of_mail, mail(7, &id(n), &end(n)))));
    // Of those that wait, the mail log passes some, in no order.
    let passed = |n: usize| n.wrapping_mul(0x9e37_79b9) >> 9 & 1 == 0;
    let all_waiting = [(of_mail, mail(5, &id(0), &end(0)))].into_iter();
    let all_waiting = all_waiting
        .chain((0..4_000).map(|n| (of_entry, abort(if passed(n) { 66 } else { 3_000 }, &id(n), n))))
        .chain([(of_mail, mail(68, &id(0), &end(0)))]);
    let one_id = (0..150).map(|n| (of_mail, mail(5, &id(0), &refused(n))));
    let one_id = one_id.chain(disorder(150).map(|n| (of_entry, abort(6 + n % 3, &id(0), n))));
    let cases: [Records; 3] = [all_known.collect(), all_waiting.collect(), one_id.collect()];
    for (what, records) in ["all known", "all waiting", "one id"].into_iter().zip(cases) {
        let mut filter = filter();
        let mut now = 1_800_000_000_000;
        let mut deepest = 0;
        let mut see = |filter: &Filter, outcome: Outcome| {
            assert!(!matches!(outcome, Outcome::Lost(_)), "{what}: {outcome:?}");
            deepest = deepest.max(filter.deepest());
        };
        for (tag, record) in &records {
            let outcome = filter.record(tag, now, record);
            see(&filter, outcome);
        }
        for _ in 0..60 {
            now += 10_000;
            let outcome = filter.tick(now);
            see(&filter, outcome);
        }
        assert!(deepest <= STACK, "{what}: {deepest} bytes");
    }
}
