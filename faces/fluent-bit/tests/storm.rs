//! Hostile records and hostile journals in one run: bytes changed, records cut, doubled and swollen, aborts forged; ends of
//! the process, and what it wrote down cut, changed, doubled and swollen. `STORM` asks for more than the suite's records.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "those rules are the core's")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use abort_reason_filter::mended;
use host::system::Folder;
use host::{Filter, Outcome, records, scenarios};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use serde_json::Value;

mod host;

const NAME: &str = "abort_reason.journal";
/// Lives of the process.
const LIVES: usize = 40;

/// What came, and what is owed.
struct Storm {
    random: TestRng,
    folder: Rc<RefCell<Folder>>,
    filter: Filter,
    now: u64,
    /// Lines that were held, and those that have left: a line that comes again is told once.
    owed: BTreeSet<String>,
    issued: BTreeSet<String>,
    passed: usize,
    held: usize,
    /// Of what was owed when the journal was spoilt, nobody knows more.
    spoilt: usize,
    pages: u64,
    bytes: usize,
}

impl Storm {
    fn new() -> Storm {
        let folder: Rc<RefCell<Folder>> = Rc::default();
        Storm {
            random: TestRng::deterministic_rng(RngAlgorithm::ChaCha),
            filter: Filter::in_folder(&folder),
            folder,
            now: 1_800_000_000_000,
            owed: BTreeSet::new(),
            issued: BTreeSet::new(),
            passed: 0,
            held: 0,
            spoilt: 0,
            pages: 0,
            bytes: 0,
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random.next_u32() as usize % bound
    }

    /// Makes a record that does harm of one of the corpus.
    fn harm(&mut self, record: &[u8], number: usize) -> Vec<u8> {
        let mut record = record.to_vec();
        match self.below(8) {
            0 => (0..=self.below(4)).for_each(|_| {
                let at = self.below(record.len());
                record[at] = self.random.next_u32() as u8;
            }),
            1 => record.truncate(self.below(record.len())),
            2 => record = [&record[..], &record[..]].concat(),
            3 => {
                let (count, bracket) = (self.below(3_000), [b"[", b"{", b"<", b"("][self.below(4)]);
                let at = self.below(record.len());
                record.splice(at..at, bracket.repeat(count));
            }
            4 => {
                let at = self.below(record.len());
                record.splice(at..at, *b"\\\"},{\\u0000\\");
            }
            5 | 6 => {
                let id = format!("6AND{:02}{}{number:06}", number / 900_000, ["a", "1V", "zz"][self.below(3)]);
                let code = ["c/abort", "x/abort", "a/eom", "r/eom"][self.below(4)];
                let text = format!("2026-11-23T13:01:09 q={id} f=<a@b> t=<{number}@d> tm=6.04 a={code}");
                record = serde_json::json!({ "log": text }).to_string().into_bytes();
            }
            _ => {}
        }
        record
    }

    fn push(&mut self, tag: &str, record: &[u8]) {
        let outcome = self.filter.record(tag, self.now, record);
        // What arrives of it, and what it is as JSON.
        let came = record.split(|byte| *byte == 0).next().unwrap_or_default();
        let mended = mended(came);
        let read = mended.as_deref().unwrap_or(came);
        let line = || Some(serde_json::from_slice::<Value>(read).ok()?["log"].as_str()?.to_owned());
        match &outcome {
            Outcome::Dropped if tag.starts_with("evidence.") => {}
            Outcome::Dropped if came.is_empty() => {}
            Outcome::Dropped => {
                let line = line().filter(|line| line.contains(" q="));
                let line = line.unwrap_or_else(|| panic!("lost: {}", String::from_utf8_lossy(record)));
                self.held += 1;
                if !self.issued.contains(&line) {
                    self.owed.insert(line);
                }
            }
            Outcome::Record(text, true) => {
                assert_eq!(*text, String::from_utf8_lossy(came));
                // What Fluent Bit writes in no string is not looked for at a glance.
                let is_written = |byte: &u8| (b' '..0x80).contains(byte);
                assert!(mended.is_none() || !came.iter().all(is_written), "{text}");
                self.passed += 1;
            }
            Outcome::Record(text, false) if mended.as_deref() == Some(text.as_bytes()) => self.passed += 1,
            Outcome::Record(_, false) | Outcome::Lost(_) => {}
        }
        // A slot of the mail log may bring another's record; one that is answered in its own call names its own line.
        self.take(outcome);
    }

    fn tick(&mut self) {
        let outcome = self.filter.tick(self.now);
        self.take(outcome);
    }

    fn take(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Record(text, false) => {
                let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
                if let Some(line) = value["log"].as_str().filter(|_| value["abort"].is_object()) {
                    self.owed.remove(line);
                    self.issued.insert(line.to_owned());
                }
            }
            Outcome::Lost(error) => panic!("a trap: {error}"),
            Outcome::Record(..) | Outcome::Dropped => {}
        }
        self.pages = self.pages.max(self.filter.pages());
    }

    /// The process ends, and what it wrote down is spoilt, or not.
    fn end(&mut self) {
        let mut bytes = self.folder.borrow().file(NAME);
        self.bytes = self.bytes.max(bytes.len());
        if bytes.is_empty() {
            return self.start();
        }
        match self.below(8) {
            0 => bytes.truncate(self.below(bytes.len())),
            1 => (0..20).for_each(|_| {
                let at = self.below(bytes.len());
                bytes[at] = self.random.next_u32() as u8;
            }),
            2 => bytes.extend((0..1 << 20).map(|_| self.random.next_u32() as u8)),
            3 => bytes.extend_from_within(..),
            4 => {
                let (from, count) = (self.below(bytes.len()), self.below(5_000));
                bytes.iter_mut().skip(from).take(count).for_each(|byte| *byte = 0);
            }
            _ => return self.start(),
        }
        self.folder.borrow_mut().put(NAME, &bytes);
        self.spoilt += std::mem::take(&mut self.owed).len();
        self.start();
        if self.folder.borrow().file(NAME) == bytes {
            // It is not ours any more, and stays as it is: the next life begins without.
            self.folder.borrow_mut().put(NAME, b"");
            self.start();
        }
    }

    fn start(&mut self) {
        self.filter = Filter::in_folder(&self.folder);
        self.tick();
    }
}

#[test]
fn nothing_is_lost_in_a_storm() {
    let many = std::env::var("STORM").map_or(8_000, |many| many.parse().expect("a number")).max(40 * LIVES);
    let mut storm = Storm::new();
    let sources: Vec<(&str, Vec<u8>)> = scenarios()
        .iter()
        .flat_map(|folder| {
            let of = |file: &str, tag| records(folder, file).into_iter().map(move |record| (tag, record));
            of("maillog.bsd", "evidence.maillog").chain(of("message_log", "pmx.message_log"))
        })
        .collect();
    let mut early = (0, 0);
    storm.start();
    for number in 0..many {
        let (tag, record) = &sources[storm.below(sources.len())];
        let record = storm.harm(record, number);
        // Under the tag of the mail log a record may end in the filter: what was made an entry comes under the other.
        let tag = if String::from_utf8_lossy(&record).contains(" q=") { "pmx.message_log" } else { tag };
        storm.push(tag, &record);
        if number % 40 == 39 {
            storm.now += 500;
            (0..20).for_each(|_| storm.tick());
        }
        if number % (many / LIVES) == many / LIVES - 1 {
            storm.end();
        }
        if number == many / 4 {
            early = (storm.pages, storm.bytes);
        }
    }
    for _ in 0..400 {
        storm.now += 1_000;
        (0..100).for_each(|_| storm.tick());
    }
    let Storm { owed, issued, passed, held, spoilt, pages, bytes, .. } = &storm;
    eprintln!(
        "{many} records: {passed} passed, {held} held, {} lines issued, {spoilt} in spoilt journals; {pages} pages and {bytes} bytes of journal at most, {early:?} of the first quarter",
        issued.len()
    );
    assert!(owed.is_empty(), "never issued: {owed:?}");
    assert!(*held > many / 50 && *passed > many / 10 && *spoilt > 0, "{held} held, {passed} passed, {spoilt} spoilt");
    assert!(*pages <= early.0 + early.0 / 4 && *bytes < 16 << 20, "{early:?} became {:?}", (pages, bytes));
}
