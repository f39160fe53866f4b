//! A real Fluent Bit that is stopped while both logs grow, by SIGTERM, SIGHUP and SIGKILL: nothing that the filter held is
//! lost.
//!
//! Where no Fluent Bit is named by `FLUENT_BIT` or found on `PATH`, the tests say that they were skipped. `STOPS` is the
//! number of stops for each corpus, if it is not to be 8.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "runs a program over files"
)]

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use running::{Running, classes, fluent_bit, last_classes, native, wait};

mod host;
mod running;

/// Lines that are written before the next pause, at most, and the pause.
const BURST: u32 = 12;
const PAUSE: Duration = Duration::from_millis(40);

/// The lines of a file that is not written any more, or only at its end: a line without its end is none yet.
fn whole(lines: &[String]) -> Vec<String> {
    lines.iter().filter(|line| line.ends_with('}')).cloned().collect()
}

fn growing_logs(name: &str, rotations: usize) {
    let Some(program) = fluent_bit() else { return };
    let stops: usize = std::env::var("STOPS").ok().and_then(|stops| stops.parse().ok()).unwrap_or(8);
    let scenario = host::scenarios().into_iter().find(|folder| folder.ends_with(name)).expect("the scenario");
    let lines = |file: &str| fs::read_to_string(scenario.join(file)).expect(file);
    let (mail, entries) = (lines("maillog.bsd"), lines("message_log"));
    let (mut mail, mut entries) = (mail.lines(), entries.lines());
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut running = Running::start(&program, &host::module_path());
    for file in ["maillog", "message_log"] {
        running.write(file, b"");
    }
    let all = mail.clone().count() + entries.clone().count();
    let entries_of_all: BTreeSet<&str> = entries.clone().filter(|line| !line.ends_with("/abort")).collect();
    let (mut written, mut stopped, mut rotated) = (0, 0, 0);
    while written < all {
        if rotated < rotations && written * (rotations + 1) > all * (rotated + 1) {
            rotated += 1;
            // What a Fluent Bit has not read of a file before it is stopped and the file is renamed, it never reads.
            std::thread::sleep(Duration::from_secs(3));
            for file in ["maillog", "message_log"] {
                let path = running.folder.path().join(file);
                fs::rename(&path, path.with_extension(rotated.to_string())).expect("a rotation");
                running.write(file, b"");
            }
        }
        // The logs grow side by side, with the mail log ahead at times and `message_log` at others.
        for (file, lines) in [("maillog", &mut mail), ("message_log", &mut entries)] {
            let burst = random.next_u32() % BURST;
            let text: String = lines.take(burst as usize).map(|line| format!("{line}\n")).collect();
            written += text.lines().count();
            running.append(file, text.as_bytes());
        }
        std::thread::sleep(PAUSE);
        if stopped < stops && written * (stops + 1) > all * (stopped + 1) {
            let signal = ["TERM", "HUP", "KILL"][stopped % 3];
            running.signal(signal);
            if signal != "HUP" {
                running.ended();
                running.go_on(&program);
            }
            stopped += 1;
            // Not always before it has begun again.
            std::thread::sleep(Duration::from_millis(u64::from(random.next_u32() % 1_500)));
        }
    }
    assert_eq!(stopped, stops);
    let expected = last_classes(native(&scenario));
    wait(|| last_classes(classes(&whole(&running.lines("issued")))) == expected);
    let got = last_classes(classes(&whole(&running.lines("issued"))));
    let differ: Vec<_> = expected.iter().filter(|(id, class)| got.get(*id) != Some(class)).collect();
    if !differ.is_empty() || got.len() != expected.len() {
        let log = running.lines("log").join("\n");
        panic!("{} of {}: {differ:?}; Fluent Bit says:\n{log}", differ.len(), expected.len());
    }
    // What passes as it is tells what Fluent Bit loses by itself.
    let passed = running.lines("passed").join("\n");
    let lost = entries_of_all.iter().filter(|line| !passed.contains(**line)).count();
    println!(
        "{name}: {stops} stops, {rotations} rotations, {} aborts, none lost; of {} other entries {lost}",
        got.len(),
        entries_of_all.len()
    );
}

#[test]
fn nothing_is_lost_over_stops_of_the_mixed_corpus() {
    growing_logs("mixed", 0);
}

#[test]
fn nothing_is_lost_over_stops_of_all_levels() {
    growing_logs("levels-L14", 0);
}

#[test]
fn nothing_is_lost_over_stops_and_rotations() {
    growing_logs("mixed", 2);
}
