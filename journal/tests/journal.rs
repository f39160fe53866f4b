//! A journal on a disk in memory, which can be cut, spoilt, filled and taken over.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::disallowed_macros, reason = "a test")]

mod ram;

use std::collections::BTreeMap;

use abort_reason_journal::{Journal, Trouble};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use ram::{FULL, Ram};

/// What a journal should hold.
type Held = (BTreeMap<u64, (bool, Vec<u8>)>, BTreeMap<u64, Vec<u8>>);

fn held(journal: &mut Journal<Ram>) -> Held {
    let records = journal.records().into_iter().map(|(ticket, held)| (ticket, (held, journal.record(ticket).unwrap())));
    let records = records.collect();
    (records, journal.waiting().into_iter().map(|number| (number, journal.waits(number).unwrap())).collect())
}

#[derive(Debug, Clone)]
enum Step {
    Keep(u64, bool, Vec<u8>),
    Leave(u64),
    Release(u64),
    Wait(u64, Vec<u8>),
    Go(u64),
    Flush,
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        (0_usize..40_000, any::<u8>()).prop_map(|(length, byte)| vec![byte; length])
    ];
    prop_oneof![
        3 => (0_u64..20, any::<bool>(), bytes.clone()).prop_map(|(ticket, held, bytes)| Step::Keep(ticket, held, bytes)),
        1 => (0_u64..20).prop_map(Step::Leave),
        2 => (0_u64..20).prop_map(Step::Release),
        2 => (0_u64..20, bytes).prop_map(|(number, bytes)| Step::Wait(number, bytes)),
        2 => (0_u64..20).prop_map(Step::Go),
        3 => Just(Step::Flush),
    ]
}

fn run(journal: &mut Journal<Ram>, step: &Step) -> Result<(), Trouble> {
    match step {
        Step::Keep(ticket, held, bytes) => {
            journal.keep(*ticket, *held, bytes);
        }
        Step::Leave(ticket) => journal.leave(*ticket),
        Step::Release(ticket) => journal.release(*ticket),
        Step::Wait(number, bytes) => journal.wait(*number, bytes),
        Step::Go(number) => journal.go(*number),
        Step::Flush => return journal.flush(),
    }
    Ok(())
}

fn expect(model: &mut Held, step: &Step) {
    match step {
        Step::Keep(ticket, held, bytes) => drop(model.0.insert(*ticket, (*held, bytes.clone()))),
        Step::Leave(ticket) => {
            if let Some((held, _)) = model.0.get_mut(ticket) {
                *held = false;
            }
        }
        Step::Release(ticket) => drop(model.0.remove(ticket)),
        Step::Wait(number, bytes) => drop(model.1.insert(*number, bytes.clone())),
        Step::Go(number) => drop(model.1.remove(number)),
        Step::Flush => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, rng_seed: RngSeed::Fixed(7), ..ProptestConfig::default() })]

    /// What was written is there afterwards, and nothing else; also where the disk was full for a while.
    #[test]
    fn what_was_flushed_is_there_afterwards(steps in prop::collection::vec(step(), 0..120), full in 0_usize..60) {
        let disk = Ram::new(b"");
        let mut journal = Journal::open(disk.clone()).unwrap();
        let (mut model, mut flushed) = (Held::default(), Held::default());
        for (at, step) in steps.iter().enumerate() {
            let is_full = (full..full + 10).contains(&at);
            let length = disk.file().len();
            disk.files.borrow_mut().room = if is_full { length + 100 } else { usize::MAX };
            expect(&mut model, step);
            let done = run(&mut journal, step);
            prop_assert!(held(&mut journal) == model, "{at}");
            prop_assert!(done.is_ok() || is_full && journal.trouble() == Some(FULL));
            if matches!(step, Step::Flush) && done.is_ok() {
                flushed = model.clone();
            }
            if matches!(step, Step::Flush) {
                let mut next = Journal::open(disk.afterwards()).unwrap();
                prop_assert!(held(&mut next) == flushed && next.lost() == 0, "{at}");
            }
        }
        // What is needed bounds the file.
        if journal.flush().is_ok() {
            let needed: usize = model.0.values().map(|(_, bytes)| bytes.len() + 17).sum::<usize>()
                + model.1.values().map(|bytes| bytes.len() + 17).sum::<usize>();
            prop_assert!(journal.size() as usize <= 3 * needed + (2 << 20) + 80_000);
        }
    }

    /// A file that was cut anywhere gives what stands before the cut, and goes on.
    #[test]
    fn a_torn_end_is_cut_off(numbers in prop::collection::vec(0_u64..9, 1..20), cut in any::<prop::sample::Index>()) {
        let disk = Ram::new(b"");
        let mut journal = Journal::open(disk.clone()).unwrap();
        let mut states = vec![(disk.file().len(), held(&mut journal))];
        for number in numbers {
            journal.keep(number, true, format!("record {number}").as_bytes());
            journal.flush().unwrap();
            states.push((disk.file().len(), held(&mut journal)));
        }
        let cut = cut.index(disk.file().len() + 1);
        let disk = Ram::new(&disk.file()[..cut]);
        let mut journal = Journal::open(disk.clone()).unwrap();
        let (end, state) = states.iter().rev().find(|(end, _)| *end <= cut).unwrap_or(&states[0]).clone();
        prop_assert_eq!(&held(&mut journal), &state);
        prop_assert_eq!(journal.lost() as usize, cut.saturating_sub(end));
        journal.keep(99, false, b"and on");
        journal.flush().unwrap();
        prop_assert_eq!(held(&mut Journal::open(disk.afterwards()).unwrap()), held(&mut journal));
    }

    /// Whatever stands in the file, nothing ends the program, and what is read is bounded.
    #[test]
    fn a_spoilt_file_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..300), at in any::<prop::sample::Index>()) {
        let mut file = b"abort-reason journal 2\n".to_vec();
        file.extend_from_slice(&bytes);
        let _ = Journal::open(Ram::new(&file)).map(|mut journal| held(&mut journal));

        let disk = Ram::new(b"");
        let mut journal = Journal::open(disk.clone()).unwrap();
        (0..4).for_each(|number| assert!(journal.keep(number, true, b"record")));
        journal.flush().unwrap();
        let mut file = disk.file();
        let at = 23 + at.index(file.len() - 23);
        file[at] ^= 0x10;
        let mut journal = Journal::open(Ram::new(&file)).unwrap();
        // It costs none of the others.
        let (records, _) = held(&mut journal);
        prop_assert!(journal.lost() >= 23 && records.len() == 3, "{records:?}");
    }
}

#[test]
fn what_is_no_journal_of_this_version_is_left_alone() {
    for (file, said) in [
        ("somebody's letters\n", "this file is no journal of abort-reason"),
        ("abort-reason journal 1\n", "this journal is of another version"),
    ] {
        let disk = Ram::new(file.as_bytes());
        assert_eq!(Journal::open(disk.clone()).unwrap_err().said, said);
        assert_eq!(disk.file(), file.as_bytes());
    }
}

/// Each fourth byte begins what has the length of an entry of 64 KiB: to look at all of them would take 13 GB of reading.
#[test]
fn what_was_written_to_take_time_is_given_up() {
    let mut file = b"abort-reason journal 2\n".to_vec();
    file.extend([0, 0, 1, 0].repeat(200_000));
    let mut journal = Journal::open(Ram::new(&file)).unwrap();
    assert_eq!((held(&mut journal), journal.lost()), (Held::default(), 800_000));
}

#[test]
fn two_that_write_are_noticed() {
    let disk = Ram::new(b"");
    let mut first = Journal::open(disk.clone()).unwrap();
    first.keep(1, true, b"one");
    first.flush().unwrap();
    let mut second = Journal::open(disk.clone()).unwrap();
    second.keep(2, true, b"two");
    second.flush().unwrap();
    first.keep(3, true, b"three");
    assert_eq!(first.flush().unwrap_err().said, "somebody else has changed the file");
    assert_eq!(Journal::open(disk.afterwards()).unwrap().records(), [(1, true), (2, true)]);
}

#[test]
fn a_file_that_somebody_took_away_is_written_anew() {
    let disk = Ram::new(b"");
    let mut journal = Journal::open(disk.clone()).unwrap();
    journal.keep(1, true, b"one");
    journal.keep(2, true, b"two");
    journal.flush().unwrap();
    disk.files.borrow_mut().is_gone = true;
    // There is no room for another one at first.
    disk.files.borrow_mut().room = disk.file().len();
    journal.keep(3, false, b"three");
    journal.release(1);
    journal.wait(4, b"four");
    assert_eq!(journal.flush(), Err(FULL));
    disk.files.borrow_mut().room = usize::MAX;
    journal.flush().unwrap();
    let mut next = Journal::open(disk.afterwards()).unwrap();
    assert_eq!(held(&mut next), held(&mut journal));
    assert_eq!((next.records(), next.waiting()), (vec![(2, true), (3, false)], vec![4]));
    // It is noticed where nothing else is to be written, too.
    disk.files.borrow_mut().is_gone = true;
    journal.flush().unwrap();
    assert!(!disk.files.borrow().is_gone);
    journal.go(4);
    journal.flush().unwrap();
    assert!(Journal::open(disk.afterwards()).unwrap().waiting().is_empty());
}

/// While the disk is full nothing is noted that rests on what was not: a record that has left is only gone when what became
/// of it is there.
#[test]
fn what_is_not_noted_takes_nothing_along() {
    let disk = Ram::new(b"");
    let mut journal = Journal::open(disk.clone()).unwrap();
    assert!(journal.keep(1, true, b"abort"));
    journal.flush().unwrap();
    disk.files.borrow_mut().room = disk.file().len();
    assert!(journal.keep(2, false, &[b'x'; 1_000]) && journal.flush().is_err());
    for ticket in 3..2_000 {
        journal.keep(ticket, false, &[b'x'; 1_000]);
    }
    journal.wait(2_001, &[b'y'; 1_000]);
    journal.leave(1);
    journal.release(1);
    assert!(!journal.keep(2_002, true, b"another"));
    disk.files.borrow_mut().room = usize::MAX;
    journal.flush().unwrap();
    let next = Journal::open(disk.afterwards()).unwrap();
    assert_eq!(next.records()[0], (1, true));
    assert!(journal.keep(2_003, true, b"and on"));
}
