//! The journal of the module: ends of the process, disks that fail, ticks that don't come.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "those rules are the core's")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use abort_reason_simulator::worlds;
use host::system::Folder;
use host::{Filter, Outcome, records, scenarios};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use serde_json::Value;
use twox_hash::XxHash64;

mod host;

const NAME: &str = "abort_reason.journal";
const START: u64 = 1_800_000_000_000;

/// What leaves, over all processes.
#[derive(Default)]
struct Taken {
    issued: Vec<Value>,
    passed: Vec<Vec<u8>>,
    reports: Vec<Value>,
}

impl Taken {
    fn take(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Record(text, true) => self.passed.push(text.into_bytes()),
            Outcome::Record(text, false) => {
                let value: Value = serde_json::from_str(&text).expect("a record");
                let of = if value.get("abort").is_some() { &mut self.issued } else { &mut self.reports };
                of.push(value);
            }
            Outcome::Dropped => {}
            Outcome::Lost(error) => panic!("lost: {error}"),
        }
    }

    /// The class of each abort, by the last word on it.
    fn classes(&self) -> BTreeMap<String, String> {
        let aborts = self.issued.iter().map(|record| &record["abort"]).filter(|abort| abort["kind"] == "abort");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        aborts.map(|abort| (text(&abort["id"]), text(&abort["class"]))).collect()
    }
}

/// A record and whether it is of the mail log.
type Event = (bool, Vec<u8>);

/// The events of a scenario in the order of both logs, as far as whole seconds tell it.
fn events(name: &str) -> Vec<Event> {
    let folder = scenarios().into_iter().find(|folder| folder.ends_with(name)).expect("the scenario");
    let second = |record: &[u8]| record.get(8..27).map(<[u8]>::to_vec);
    let mut events: Vec<Event> = Vec::new();
    for (file, of_mail) in [("maillog.iso", true), ("message_log", false)] {
        events.extend(records(&folder, file).into_iter().map(|record| (of_mail, record)));
    }
    events.sort_by_key(|(_, record)| second(record));
    events
}

fn tag(of_mail: bool) -> &'static str {
    if of_mail { "evidence.maillog" } else { "pmx.message_log" }
}

/// Lets time pass, with as many slots as anything may need.
fn ticks(filter: &mut Filter, taken: &mut Taken, now: &mut u64) {
    for _ in 0..30 {
        *now += 1_000;
        (0..100).for_each(|_| taken.take(filter.tick(*now)));
    }
}

/// Runs events through filters that are ended before some of them.
fn with_ends(events: &[Event], mut ends: impl FnMut(usize) -> bool, folder: &Rc<RefCell<Folder>>) -> Taken {
    let (mut taken, mut now) = (Taken::default(), START);
    let mut filter = Filter::in_folder(folder);
    taken.take(filter.tick(now));
    for (at, (of_mail, record)) in events.iter().enumerate() {
        if ends(at) {
            filter = Filter::in_folder(folder);
            taken.take(filter.tick(now));
        }
        taken.take(filter.record(tag(*of_mail), now, record));
        now += 10;
        if at % 100 == 99 {
            taken.take(filter.tick(now));
        }
    }
    ticks(&mut filter, &mut taken, &mut now);
    taken
}

#[test]
fn nothing_is_lost_wherever_the_process_ends() {
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    for name in ["mixed", "levels-L14"] {
        let events = events(name);
        let expected = with_ends(&events, |_| false, &Rc::default()).classes();
        for _ in 0..4 {
            let taken = with_ends(&events, |_| random.next_u32().is_multiple_of(60), &Rc::default());
            assert_eq!(taken.classes(), expected, "{name}");
            let others = events.iter().filter(|(_, record)| !record.ends_with(b"/abort\"}"));
            let others = others.filter(|(of_mail, _)| !of_mail).count();
            assert!(taken.passed.len() >= others, "{name}");
        }
    }
}

#[test]
fn nothing_is_lost_in_simulated_worlds() {
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    worlds(3_100_000, 20, &mut |world, shipping| {
        let steps = shipping.interleaved(world);
        let events: Vec<Event> =
            steps.iter().map(|step| (step.record.contains(" sendmail["), step.record.as_bytes().to_vec())).collect();
        let expected = with_ends(&events, |_| false, &Rc::default()).classes();
        let got = with_ends(&events, |_| random.next_u32().is_multiple_of(40), &Rc::default()).classes();
        for (id, class) in &expected {
            // What only unread lines said is gone with the process; a wrong reason there never is.
            let now = got.get(id).map(String::as_str);
            assert!(now == Some(class) || now == Some("unexplained"), "{id}: {class}, now {now:?}");
        }
        Ok(())
    })
    .unwrap_or_else(|wrong| panic!("{wrong}"));
}

#[test]
fn a_full_disk_holds_nothing_up() {
    let events = events("mixed");
    let expected = with_ends(&events, |_| false, &Rc::default()).classes();
    for room in [0, 10, 200, 4_000] {
        let folder: Rc<RefCell<Folder>> = Rc::default();
        folder.borrow_mut().room = room;
        // The very record that the disk has no room for leaves in its own call: an end behind it loses nothing.
        let taken = with_ends(&events, |at| at % 50 == 49, &folder);
        let ids = |classes: BTreeMap<String, String>| classes.into_keys().collect::<Vec<_>>();
        assert_eq!(ids(taken.classes()), ids(expected.clone()), "{room}");
        let told = |report: &&Value| report["abort_reason"]["journal"]["trouble"].is_string();
        assert!(taken.reports.iter().any(|report| told(&report)), "{room}");
    }
}

#[test]
fn without_slots_aborts_leave_in_their_own_call() {
    let folder: Rc<RefCell<Folder>> = Rc::default();
    let abort = br#"{"log":"2026-11-23T13:01:06 q=6AND15V7014029 f=<a@b> tm=1.00 a=c/abort"}"#;
    let other = br#"{"log":"Nov 23 13:01:05 mx1 dovecot: x"}"#;
    let mut filter = Filter::in_folder(&folder);
    filter.record("maillog", START, other);
    let provisional = |outcome: &Outcome| {
        matches!(outcome, Outcome::Record(text, false) if text.contains(r#""status":"provisional""#)
            && text.contains(r#""why_not":"stateless_host""#))
    };
    // No tick has come, or one under another tag.
    filter.record("tick", START, br#"{"tick": true}"#);
    assert!(provisional(&filter.record("pmx.message_log", START, abort)));
    // They come, and stop.
    filter.tick(START + 1_000);
    let later = |id: u32| String::from_utf8_lossy(abort).replace("014029", &format!("{id:06}")).into_bytes();
    assert_eq!(filter.record("pmx.message_log", START + 2_000, &later(14_030)), Outcome::Dropped);
    assert!(provisional(&filter.record("pmx.message_log", START + 32_000, &later(14_031))));
    // What was held until then leaves with the first slot.
    let (mut taken, mut now) = (Taken::default(), START + 33_000);
    ticks(&mut filter, &mut taken, &mut now);
    assert_eq!(taken.classes().len(), 3);
}

#[test]
fn a_second_filter_on_one_file_is_noticed() {
    let folder: Rc<RefCell<Folder>> = Rc::default();
    let events = events("mixed");
    let (mut taken, mut now) = (Taken::default(), START);
    let mut filters = [Filter::in_folder(&folder), Filter::in_folder(&folder)];
    filters.iter_mut().for_each(|filter| taken.take(filter.tick(now)));
    for (at, (of_mail, record)) in events.iter().enumerate() {
        taken.take(filters[at % 2].record(tag(*of_mail), now, record));
    }
    filters.iter_mut().for_each(|filter| ticks(filter, &mut taken, &mut now));
    let said = taken.reports.iter().filter_map(|report| report["abort_reason"]["journal"]["trouble"].as_str());
    assert!(said.into_iter().any(|said| said.contains("somebody else has changed the file")));
    assert_eq!(taken.classes().len(), with_ends(&events, |_| false, &Rc::default()).classes().len());
}

#[test]
fn whatever_the_journal_holds_records_go_on() {
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let events = events("mixed");
    let folder: Rc<RefCell<Folder>> = Rc::default();
    with_ends(&events[..events.len() / 2], |_| false, &folder);
    let whole = folder.borrow().file(NAME);
    assert!(whole.len() > 10_000);
    let expected = with_ends(&events, |_| false, &Rc::default()).classes();
    for round in 0..12 {
        let mut bytes = whole.clone();
        match round % 3 {
            0 => bytes.truncate(random.next_u32() as usize % bytes.len()),
            1 => (0..20).for_each(|_| {
                let at = 23 + random.next_u32() as usize % (bytes.len() - 23);
                bytes[at] = random.next_u32() as u8;
            }),
            _ => bytes.extend((0..100_000).map(|_| random.next_u32() as u8)),
        }
        let folder: Rc<RefCell<Folder>> = Rc::default();
        folder.borrow_mut().put(NAME, &bytes);
        let taken = with_ends(&events, |_| false, &folder);
        let now = taken.classes();
        assert!(expected.keys().all(|id| now.contains_key(id)));
    }
    // A file that is somebody else's stays as it is.
    let folder: Rc<RefCell<Folder>> = Rc::default();
    folder.borrow_mut().put(NAME, b"letters");
    let taken = with_ends(&events, |_| false, &folder);
    assert_eq!(folder.borrow().file(NAME), b"letters");
    assert_eq!(taken.classes().len(), expected.len());
}

/// A folder that comes later, and what the process before had noted there.
#[test]
fn a_journal_that_opens_late_is_taken_up() {
    let events = events("mixed");
    let expected = with_ends(&events, |_| false, &Rc::default()).classes();
    let (first, second) = events.split_at(events.len() / 2);
    let folder: Rc<RefCell<Folder>> = Rc::default();
    let (mut taken, mut now) = (Taken::default(), START);
    let mut run = |events: &[Event], appears: Option<usize>, taken: &mut Taken| {
        folder.borrow_mut().missing = appears.is_some();
        let mut filter = Filter::in_folder(&folder);
        for (at, (of_mail, record)) in events.iter().enumerate() {
            if at % 20 == 0 {
                taken.take(filter.tick(now));
            }
            if appears == Some(at) {
                folder.borrow_mut().missing = false;
            }
            taken.take(filter.record(tag(*of_mail), now, record));
            now += 10;
        }
        (filter, now)
    };
    drop(run(first, None, &mut taken));
    assert!(!folder.borrow().file(NAME).is_empty());
    let (filter, _) = run(second, Some(second.len() / 3), &mut taken);
    assert_eq!(filter.open_files(), 1);
    let told = |report: &&Value| report["abort_reason"]["journal"]["trouble"].is_string();
    assert_eq!(taken.reports.iter().filter(|report| told(report)).count(), 1, "{:#?}", taken.reports);
    // What came behind it is in it.
    drop(filter);
    let mut filter = Filter::in_folder(&folder);
    now += 1_000;
    ticks(&mut filter, &mut taken, &mut now);
    let got = taken.classes();
    assert_eq!(got.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    let explained =
        |classes: &BTreeMap<String, String>| classes.values().filter(|class| *class != "unexplained").count();
    assert!(got.iter().all(|(id, class)| *class == expected[id] || class == "unexplained"));
    assert!(explained(&got) * 10 >= explained(&expected) * 9, "{} {}", explained(&got), explained(&expected));
}

#[test]
fn a_journal_that_is_taken_away_is_written_anew() {
    let events = events("mixed");
    let expected = with_ends(&events, |_| false, &Rc::default()).classes();
    let folder: Rc<RefCell<Folder>> = Rc::default();
    let gone = |at: usize| {
        if at % 50 == 25 {
            folder.borrow_mut().remove(NAME);
        }
        // A tick before each end: there all is to be safe.
        at.is_multiple_of(100)
    };
    let taken = with_ends(&events, gone, &folder);
    assert_eq!(taken.classes(), expected);
    assert!(taken.reports.is_empty(), "{:#?}", taken.reports);
}

fn of_mail(id: &str, text: &str) -> Vec<u8> {
    format!(r#"{{"log":"Nov 23 13:01:05 mx1 sendmail[14029]: {id}: {text}"}}"#).into_bytes()
}

fn abort_of(id: &str) -> Vec<u8> {
    format!(r#"{{"log":"2026-11-23T13:01:06 q={id} f=<a@b> tm=1.00 a=c/abort"}}"#).into_bytes()
}

const TIMEOUT: &str = "Milter (PureMessage): timeout before data read, where=eom";
const LOST: &str = "lost input channel from relay.example.com [192.0.2.1] to MTA after rcpt";
const END: &str = "from=<a@b>, size=0, class=0, nrcpts=1, proto=ESMTP, daemon=MTA, relay=relay.example.com [192.0.2.1]";

/// A filter that holds an abort, and evidence for another.
fn holding_an_abort(folder: &Rc<RefCell<Folder>>) -> Filter {
    let mut filter = Filter::in_folder(folder);
    filter.tick(START);
    filter.record("maillog", START, &of_mail("6AND15V7000001", LOST));
    filter.record("pmx.message_log", START, &abort_of("6AND15V7000002"));
    filter
}

/// Tickets of this process from before the opening are others than those of the process before.
#[test]
fn numbers_of_two_processes_are_told_apart() {
    let (first, second) = ("6AND15V7000001", "6AND15V7000002");
    for others in 0..5 {
        let folder: Rc<RefCell<Folder>> = Rc::default();
        let mut taken = Taken::default();
        let mut before = Filter::in_folder(&folder);
        before.tick(START);
        for record in [of_mail(first, LOST), of_mail(first, END), abort_of(second)] {
            taken.take(before.record("pmx.message_log", START, &record));
        }
        drop(before);
        folder.borrow_mut().missing = true;
        let mut filter = Filter::in_folder(&folder);
        filter.tick(START + 1_000);
        for _ in 0..others {
            filter.record("pmx.message_log", START + 1_000, br#"{"log":"Nov 23 13:01:05 mx1 dovecot: x"}"#);
        }
        taken.take(filter.record("pmx.message_log", START + 1_000, &abort_of(first)));
        folder.borrow_mut().missing = false;
        let mut now = START + 1_000;
        ticks(&mut filter, &mut taken, &mut now);
        assert_eq!(taken.classes().len(), 2, "{others}");
    }
}

/// What was known before the journal could be opened is not in it: what rests on that may not wait for a process that
/// would not know it.
#[test]
fn no_abort_waits_for_what_is_not_noted() {
    for ends in [false, true] {
        let folder: Rc<RefCell<Folder>> = Rc::default();
        folder.borrow_mut().missing = true;
        let (mut taken, id) = (Taken::default(), "6AND15V7000001");
        let mut filter = Filter::in_folder(&folder);
        taken.take(filter.tick(START));
        taken.take(filter.record("maillog", START, &of_mail(id, TIMEOUT)));
        folder.borrow_mut().missing = false;
        let mut now = START;
        ticks(&mut filter, &mut taken, &mut now);
        assert_eq!(filter.open_files(), 1);
        taken.take(filter.record("maillog", now, &of_mail(id, LOST)));
        taken.take(filter.record("pmx.message_log", now, &abort_of(id)));
        if ends {
            filter = Filter::in_folder(&folder);
        }
        taken.take(filter.record("maillog", now, &of_mail(id, END)));
        ticks(&mut filter, &mut taken, &mut now);
        assert_eq!(taken.classes().into_values().collect::<Vec<_>>(), ["filter_timeout"], "{ends}");
    }
}

#[test]
fn a_file_that_was_cut_goes_on_where_it_is_removed() {
    let folder: Rc<RefCell<Folder>> = Rc::default();
    let (mut taken, mut now) = (Taken::default(), START);
    let mut filter = holding_an_abort(&folder);
    folder.borrow_mut().cut(NAME, 0);
    ticks(&mut filter, &mut taken, &mut now);
    assert!(taken.reports[0]["abort_reason"]["journal"]["trouble"].is_string());
    folder.borrow_mut().remove(NAME);
    (0..4).for_each(|_| ticks(&mut filter, &mut taken, &mut now));
    assert!(!folder.borrow().file(NAME).is_empty());
    // Not before all that is known has come since.
    taken.take(filter.record("pmx.message_log", now, &abort_of("6AND15V7000003")));
    assert_eq!(taken.classes().len(), 2);
    now += 3_600_000;
    taken.take(filter.tick(now));
    assert_eq!(filter.record("pmx.message_log", now, &abort_of("6AND15V7000004")), Outcome::Dropped);
}

/// What a journal has lost is held by nobody but this process.
#[test]
fn a_file_that_was_cut_and_removed_takes_nothing_along() {
    let folder: Rc<RefCell<Folder>> = Rc::default();
    let (mut taken, mut now) = (Taken::default(), START);
    let mut filter = holding_an_abort(&folder);
    folder.borrow_mut().cut(NAME, 0);
    folder.borrow_mut().remove(NAME);
    for _ in 0..3 {
        now += 1_000;
        taken.take(filter.tick(now));
    }
    filter = Filter::in_folder(&folder);
    ticks(&mut filter, &mut taken, &mut now);
    assert_eq!(taken.classes().len(), 1);
}

/// A disk on which a journal can't be written anew: it is not tried at every tick, and takes no room.
#[test]
fn what_fails_costs_little() {
    let folder: Rc<RefCell<Folder>> = Rc::default();
    let (mut filter, mut now) = (Filter::counting_in_folder(&folder), START);
    filter.tick(now);
    for id in 0..3_000 {
        filter.record("maillog", now, &of_mail(&format!("6AND15V7{id:06}"), LOST));
    }
    filter.tick(now);
    let size = folder.borrow().used();
    folder.borrow_mut().remove(NAME);
    folder.borrow_mut().room = size / 2;
    let start = filter.instructions();
    filter.tick(now);
    let attempt = filter.instructions() - start;
    for _ in 0..600 {
        now += 100;
        filter.tick(now);
    }
    let all = filter.instructions() - start;
    assert!(all < 8 * attempt, "{attempt} {all}");
    assert_eq!(folder.borrow().used(), 0);
    // Nor does a file that can't be opened.
    folder.borrow_mut().blind = true;
    let mut filter = Filter::in_folder(&folder);
    (0..300).for_each(|second| drop(filter.tick(now + 1_000 * second)));
    assert_eq!(filter.open_files(), 0);
}

/// Whoever can write the file can make what waits anything; with a zero in it, it would not arrive whole.
#[test]
fn what_waits_is_no_record_with_a_zero() {
    let folder: Rc<RefCell<Folder>> = Rc::default();
    let mut filter = Filter::in_folder(&folder);
    filter.tick(START);
    let entry = br#"{"log":"2026-11-23T13:01:06 q=6AND15V7014029 f=<a@b> tm=1.00 a=c/abort"}"#;
    filter.record("pmx.message_log", START, entry);
    drop(filter);
    let mut bytes = folder.borrow().file(NAME);
    let record = br#"{"abort":"forged","#;
    for (number, zeros) in [(1_000u64, 1), (1_001, 0)] {
        let mut inside = [&[b'W'][..], &number.to_le_bytes(), record, &[0].repeat(zeros), br#""x":1}"#].concat();
        let sum = XxHash64::oneshot(0, &inside) as u32;
        bytes.extend((inside.len() as u32).to_le_bytes().into_iter().chain(sum.to_le_bytes()));
        bytes.append(&mut inside);
    }
    folder.borrow_mut().put(NAME, &bytes);
    let mut filter = Filter::in_folder(&folder);
    let mut issued = Vec::new();
    for second in 0..90 {
        if let Outcome::Record(text, false) = filter.tick(START + 1_000 * second) {
            issued.push(text);
        }
    }
    let forged = issued.iter().filter(|text| text.contains("forged")).count();
    let told = issued.iter().any(|text| text.contains("6AND15V7014029"));
    assert!(forged == 1 && told, "{issued:#?}");
}

#[test]
fn without_a_folder_nothing_is_held() {
    let folder: Rc<RefCell<Folder>> = Rc::default();
    folder.borrow_mut().missing = true;
    let taken = with_ends(&events("mixed"), |at| at % 9 == 8, &folder);
    assert_eq!(taken.classes().len(), with_ends(&events("mixed"), |_| false, &Rc::default()).classes().len());
}

/// An entry that is no abort, with a failure before it, is held as well, to be told with it: not where nothing may be held.
#[test]
fn without_a_folder_an_entry_with_a_failure_passes() {
    for (missing, expected) in [(false, false), (true, true)] {
        let folder: Rc<RefCell<Folder>> = Rc::default();
        folder.borrow_mut().missing = missing;
        let mut filter = Filter::in_folder(&folder);
        filter.tick(START);
        let mail = br#"{"log":"Nov 23 13:01:05 mx1 sendmail[14029]: 6AND15V7014029: Milter (PureMessage): timeout before data read, where=eom"}"#;
        filter.record("evidence.maillog", START, mail);
        let entry = br#"{"log":"2026-11-23T13:01:06 q=6AND15V7014029 f=<a@b> tm=1.00 a=a/eom"}"#;
        let passed = matches!(filter.record("pmx.message_log", START, entry), Outcome::Record(_, true));
        assert_eq!(passed, expected, "{missing}");
    }
}
