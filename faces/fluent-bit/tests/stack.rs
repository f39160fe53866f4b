//! No call goes deeper than the stack that Fluent Bit gives by default: see `host/stack.rs`.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "reads cases from files")]

use abort_reason_simulator::worlds;
use host::{Filter, Heap, Outcome, records, scenarios, stack};

mod host;

/// Bytes of the stack that Fluent Bit gives by default (`wasm_stack_size`, no less can be had), without the frame of its own
/// call with six arguments.
const STACK: u32 = (8 << 10) - 64;

/// Worlds of the simulator, hostile ones among them.
const WORLDS: u64 = 60;

fn filter() -> Filter {
    let module = std::fs::read(host::module_path()).expect("the module");
    let mut filter = Filter::of(&stack::measured(&module), Heap::Own);
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
