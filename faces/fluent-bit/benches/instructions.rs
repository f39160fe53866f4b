//! How many instructions of an interpreter a record costs: a figure that is the same on every machine.
//!
//! `cargo xtask build && cargo bench -p abort-reason-fluent-bit -- MODULE MAILLOG MESSAGE_LOG`

#![allow(clippy::disallowed_macros, clippy::disallowed_methods, reason = "those rules are the core's")]

#[path = "../tests/host/mod.rs"]
mod host;

use host::{Filter, HEAP, TICK};

/// Lines of each log: those at the beginning are read in full.
const LINES: usize = 60_000;

fn main() {
    let files: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let [module, mail, entries] = &files[..] else {
        println!("needs the module and two logs: cargo bench -p abort-reason-fluent-bit -- MODULE MAILLOG MESSAGE_LOG");
        return;
    };
    let read = |path: &String| std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut filter = Filter::with(&read(module), HEAP, true);
    for (name, log, tag) in [("mail lines", mail, "evidence.maillog"), ("entries of message_log", entries, "pmx")] {
        let log = String::from_utf8_lossy(&read(log)).into_owned();
        let records: Vec<_> =
            log.lines().take(LINES).map(|line| serde_json::json!({ "log": line }).to_string()).collect();
        let mut each: Vec<u64> = records
            .iter()
            .enumerate()
            .map(|(n, record)| {
                if n % 1_000 == 0 {
                    filter.record(TICK, n as u64, b"{}");
                }
                let before = filter.instructions();
                filter.record(tag, n as u64, record.as_bytes());
                filter.instructions() - before
            })
            .collect();
        let all: u64 = each.iter().sum();
        each.sort_unstable();
        let at = |share: usize| each[each.len() * share / 100 - 1];
        println!(
            "{name:<24} {} in all: {} each; a half takes at most {}, 90 % {}, 97 % {}, 99 % {}",
            each.len(),
            all / each.len() as u64,
            at(50),
            at(90),
            at(97),
            at(99)
        );
    }
}
