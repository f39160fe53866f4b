//! What one process leaves to the next, over a disk that fails now and then.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::disallowed_macros, reason = "a test")]

mod ram;

use std::collections::BTreeMap;

use abort_reason_journal::Memory;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use ram::{FULL, Ram, SHUT};

const LOOKBACK: u64 = 60_000;

#[derive(Debug, Clone)]
enum Step {
    /// A record comes; it is held.
    Keep,
    /// The one that has been held longest leaves, and is not needed any more.
    Leave,
    /// What has left is not needed any more.
    Forget,
    Tick(u64),
    /// The disk fails from now on, or no longer.
    Fails(bool),
    /// The process ends, however it does; the next one begins.
    Ends,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Keep),
        3 => Just(Step::Leave),
        2 => Just(Step::Forget),
        3 => prop_oneof![Just(500), Just(2_000), Just(70_000)].prop_map(Step::Tick),
        1 => any::<bool>().prop_map(Step::Fails),
        1 => Just(Step::Ends),
    ]
}

/// A process: its memory, its last number, its time, the records that it holds by their tickets, and the tickets of others
/// that it knows.
struct Process {
    memory: Memory<Ram>,
    last: u64,
    now: u64,
    held: BTreeMap<u64, Vec<u8>>,
    known: Vec<u64>,
}

impl Process {
    fn new(disk: &Ram) -> Process {
        let mut process =
            Process { memory: Memory::new(LOOKBACK), last: 0, now: 0, held: BTreeMap::new(), known: Vec::new() };
        process.open(disk);
        process
    }

    fn open(&mut self, disk: &Ram) {
        self.memory.open(disk.clone(), self.last);
        while let Some(remembered) = self.memory.next_remembered() {
            // What comes in again may be all that an earlier record was kept for.
            self.known.pop().into_iter().for_each(|ticket| self.memory.release(ticket));
            if remembered.held {
                let before = self.held.insert(remembered.ticket, remembered.record);
                assert_eq!(before, None, "a ticket that is in use");
            } else {
                self.known.push(remembered.ticket);
            }
        }
        self.last = self.last.max(self.memory.last_number());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, rng_seed: RngSeed::Fixed(7), ..ProptestConfig::default() })]

    /// What was said to be safe, the next process has, under a ticket of its own; and nothing comes twice that has left while
    /// the disk was well.
    #[test]
    fn what_was_safe_is_remembered(steps in prop::collection::vec(step(), 0..150)) {
        let mut disk = Ram::new(b"");
        let mut process = Process::new(&disk);
        let (mut record, mut fails, mut safe, mut left) = (0_u32, false, Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Keep => {
                    record += 1;
                    process.last += 1;
                    let bytes = record.to_le_bytes().to_vec();
                    let noted = process.memory.keep(process.last, true, &bytes);
                    if process.memory.flush() && noted {
                        process.held.insert(process.last, bytes.clone());
                        safe.push(bytes);
                    } else {
                        // It leaves in its own call, and is known for a while.
                        process.memory.leave(process.last);
                        process.known.push(process.last);
                    }
                }
                Step::Leave => {
                    if let Some((ticket, bytes)) = process.held.pop_first() {
                        process.memory.leave(ticket);
                        process.memory.release(ticket);
                        safe.retain(|safe| *safe != bytes);
                        if process.memory.flush() {
                            left.push(bytes);
                        }
                    }
                }
                Step::Forget => process.known.drain(..).for_each(|ticket| process.memory.release(ticket)),
                Step::Tick(ms) => {
                    process.now += ms;
                    if process.memory.tick(process.now) {
                        process.open(&disk);
                    }
                }
                Step::Fails(so) => {
                    fails = so;
                    let length = disk.file().len();
                    let mut files = disk.files.borrow_mut();
                    (files.is_shut, files.room) = (so, if so { length } else { usize::MAX });
                }
                Step::Ends => {
                    disk = disk.afterwards();
                    disk.files.borrow_mut().is_shut = fails;
                    process = Process::new(&disk);
                }
            }
            let held = |bytes: &Vec<u8>| process.held.values().any(|held| held == bytes);
            let is_open = process.memory.bytes().0 > 0;
            prop_assert!(!is_open || safe.iter().all(held), "lost");
            prop_assert!(!left.iter().any(held), "it has left");
        }
    }
}

#[test]
fn what_fails_is_tried_again_after_longer_and_longer_pauses() {
    let disk = Ram::new(b"");
    disk.files.borrow_mut().is_shut = true;
    let mut memory = Memory::new(LOOKBACK);
    memory.open(disk.clone(), 0);
    assert_eq!((memory.trouble(), memory.is_safe(), memory.news(), memory.news()), (Some(SHUT), false, true, false));
    let tries: Vec<u64> = (0..300).filter(|second| memory.tick(second * 1_000)).collect();
    assert_eq!(tries, [0, 1, 3, 7, 15, 31, 63, 127, 191, 255]);
    disk.files.borrow_mut().is_shut = false;
    memory.open(disk, 0);
    assert!(memory.is_safe() && memory.trouble().is_none());
}

/// What found no place may be the reason of an abort to come: until it is too old for that, the next process would not say
/// what this one says.
#[test]
fn without_all_that_is_known_nothing_is_safe() {
    let disk = Ram::new(b"");
    let mut memory = Memory::new(LOOKBACK);
    memory.open(disk.clone(), 0);
    disk.files.borrow_mut().room = disk.file().len();
    let mut ticket = 0;
    while memory.keep(ticket, false, &[b'x'; 1_000]) {
        ticket += 1;
        assert!(!memory.flush());
    }
    assert_eq!((memory.trouble(), memory.incomplete_secs()), (Some(FULL), 60));
    disk.files.borrow_mut().room = usize::MAX;
    memory.tick(1_000);
    assert_eq!((memory.trouble(), memory.is_safe(), memory.incomplete_secs()), (None, false, 59));
    memory.tick(60_000);
    assert!(memory.is_safe() && memory.keep(ticket + 1, true, b"and on"));
}

#[test]
fn a_note_reaches_the_next_process() {
    let disk = Ram::new(b"");
    let mut memory = Memory::new(LOOKBACK);
    memory.open(disk.clone(), 0);
    memory.leave_note("ticks");
    assert!(memory.flush());
    let mut next = Memory::new(LOOKBACK);
    next.open(disk.afterwards(), 0);
    assert!(next.has_note("ticks") && !next.has_note("other") && next.next_remembered().is_none());
}
