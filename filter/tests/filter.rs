//! What leaves when: slots that come or don't, reports, and what nothing is held for.

use abort_reason_filter::{Answer, Filter, Incoming, MailLines};
use host::{Machine, line, record, with_slots};

#[allow(dead_code, reason = "each test uses a part")]
mod host;

const FIELDS: &str = r#"{"message_fields": ["log"], "filter_names": ["PureMessage"]}"#;
const ABORT: &str = "2026-11-23T13:01:05 q=6AND15V7014029 f=<a@b> tm=1.00 a=c/abort";
const TIMEOUT: &str =
    "Nov 23 13:01:05 mx1 sendmail[14029]: 6AND15V7014029: Milter (PureMessage): timeout before data read, where=eom";
const END: &str =
    "Nov 23 13:01:05 mx1 sendmail[14029]: 6AND15V7014029: from=<a@b>, size=0, class=0, nrcpts=1, relay=x [192.0.2.1]";

fn text(answer: &Answer) -> &str {
    match answer {
        Answer::Record(record) => str::from_utf8(record).unwrap(),
        _ => "",
    }
}

fn tick(machine: &Machine, filter: &mut Filter<Machine>) -> Answer {
    machine.passes(1_000);
    filter.answer(Incoming::Tick(0))
}

#[test]
fn an_abort_leaves_with_its_reason_in_the_first_slot() {
    let machine = Machine::new();
    let mut filter = with_slots(&machine, FIELDS);
    assert_eq!(line(&mut filter, ABORT), Answer::Nothing);
    assert_eq!(line(&mut filter, TIMEOUT), Answer::Nothing);
    // The end of the message: what has waited leaves in place of this very line.
    let left = line(&mut filter, END);
    assert!(text(&left).contains(r#""class":"filter_timeout""#), "{left:?}");
    assert_eq!(line(&mut filter, "Nov 23 13:01:06 mx1 sendmail[9]: 6AND15V7014030: from=x"), Answer::Nothing);
}

#[test]
fn the_next_process_goes_on() {
    let machine = Machine::new();
    let mut filter = with_slots(&machine, FIELDS);
    line(&mut filter, TIMEOUT);
    line(&mut filter, ABORT);
    drop(filter);
    let mut filter = machine.start(FIELDS, 0);
    let left = line(&mut filter, END);
    assert!(text(&left).contains(r#""class":"filter_timeout""#), "{left:?}");
}

#[test]
fn nothing_is_held_by_one_of_many() {
    let machine = Machine::new();
    let mut filter = machine.start(FIELDS, 0);
    filter.next_stream();
    assert!(text(&line(&mut filter, ABORT)).contains(r#""why_not":"stateless_host""#));
    assert!(filter.health().stateless_host && filter.health().one_for_each_chunk && !filter.health().slots);
    // A second stream, and no ticks.
    filter.next_stream();
    assert!(filter.health().stateless_host && !filter.health().one_for_each_chunk);
    filter.next_stream();
    filter.answer(Incoming::Tick(0));
    assert!(!filter.health().stateless_host && filter.health().slots);
}

#[test]
fn where_no_journal_is_wanted_aborts_wait_all_the_same() {
    let machine = Machine { disk: None, ..Machine::new() };
    let mut filter = with_slots(&machine, FIELDS);
    assert_eq!(line(&mut filter, ABORT), Answer::Nothing);
}

#[test]
fn nothing_is_held_while_the_disk_fails() {
    let machine = Machine::new();
    machine.disk.as_ref().unwrap().files.borrow_mut().is_shut = true;
    let mut filter = machine.start(FIELDS, 0);
    filter.next_stream();
    filter.answer(Incoming::Tick(0));
    filter.next_stream();
    assert!(text(&line(&mut filter, ABORT)).contains(r#""why_not":"stateless_host""#));
    tick(&machine, &mut filter);
    assert_eq!(tick(&machine, &mut filter), Answer::Report, "it says so");
    assert!(filter.health().journal.trouble.is_some());
}

#[test]
fn reports_come_in_their_time_and_not_at_first() {
    let machine = Machine::new();
    let mut filter = machine.start(FIELDS, 10);
    filter.next_stream();
    let answers: Vec<bool> = (0..25).map(|_| tick(&machine, &mut filter) == Answer::Report).collect();
    let at: Vec<usize> = answers.iter().enumerate().filter(|(_, report)| **report).map(|(at, _)| at).collect();
    assert_eq!(at, [2, 12, 22]);
    // One that is asked for comes with the next tick, where there is more than one stream.
    filter.ask_for_report();
    assert_ne!(tick(&machine, &mut filter), Answer::Report);
    filter.next_stream();
    assert_eq!(tick(&machine, &mut filter), Answer::Report);
    assert_ne!(tick(&machine, &mut filter), Answer::Report);
}

#[test]
fn what_is_too_long_passes() {
    let machine = Machine::new();
    let mut filter = with_slots(&machine, FIELDS);
    let long = record(&format!("{TIMEOUT}{}", "x".repeat(1 << 20)));
    assert_eq!(filter.answer(Incoming::Record(MailLines::End, &long)), Answer::Given);
    assert_eq!(filter.counts().0.too_long, 1);
}

/// Fluent Bit writes such records, and ends where it gets one back.
#[test]
fn what_is_no_json_does_not_go_back_as_it_came() {
    let machine = Machine::new();
    let mut filter = with_slots(&machine, FIELDS);
    let mut pass = |record: &str| filter.answer(Incoming::Record(MailLines::Pass, record.as_bytes()));
    let with = |line: &str| format!(r#"{{"log":"{line}","p":nan}}"#);
    assert_eq!(text(&pass(r#"{"x":inf}"#)), r#"{"x":null}"#);
    let other = "Nov 23 13:01:05 mx1 dovecot: x";
    assert_eq!(text(&pass(&with(other))), with(other).replace("nan", "null"));
    assert_eq!(text(&pass(&with(TIMEOUT))), with(TIMEOUT).replace("nan", "null"));
    assert_eq!(text(&pass(&with(&ABORT.replace("c/abort", "a/eom")))), "", "it is held, with the failure");
    // An abort among them waits for its reason as any other.
    assert_eq!(pass(&with(ABORT)), Answer::Nothing);
    let left = text(&pass(r#"{"log":"x","y":-nan}"#)).to_owned();
    assert_eq!(left, r#"{"log":"x","y":null}"#);
    // Entries that are told at a glance are like others that were read.
    for n in 0..20 {
        let entry = format!("2026-11-23T13:01:05 q=6AND15V70{n:05} f=<a@b> tm=1.00 a=a/eom");
        assert_eq!(text(&pass(&with(&entry))), with(&entry).replace("nan", "null"));
        assert_eq!(pass(&format!(r#"{{"log":"{entry}"}}"#)), Answer::Given);
    }
    assert!(text(&pass(r#"{"log":"x""#)).contains(r#""record":"{\"log\":\"x\"""#));
    assert_eq!(filter.counts().0.mended, 25);
}

/// Fluent Bit writes bytes of types that JSON lacks so, `\x01`, and those of a whole record may begin and end as others do.
#[test]
fn an_escape_that_is_none_is_seen_in_an_ordinary_line() {
    let machine = Machine::new();
    let mut filter = with_slots(&machine, FIELDS);
    let mut pass = |line: &str| {
        let record = format!(r#"{{"log":"{line}"}}"#);
        filter.answer(Incoming::Record(MailLines::Pass, record.as_bytes()))
    };
    let mail = |n: u32, text: &str| format!("Nov 23 13:01:05 mx1 sendmail[1]: 6AND15V70{n:05}: {text}");
    let entry =
        |n: u32, from: &str| format!("2026-11-23T13:01:05 q=6AND15V70{n:05} f=<{from}> t=<b@c> tm=1.00 a=a/eom");
    let from = "from=<a@b>, size=9, class=0, nrcpts=1, msgid=<x@y>, relay=z";
    for n in 0..20 {
        assert_eq!(pass(&mail(n, from)), Answer::Given);
        assert_eq!(pass(&entry(n, "a@b")), Answer::Given);
    }
    let lines = [
        mail(50, &from.replace("x@y", r"\xfc@y")),
        mail(51, &format!(r"{from}\")),
        mail(52, &format!(r"{from}\u12")),
        mail(53, r"Milter (f) add: header: X: \x01"),
        mail(54, r"to=<b\xfc@c>, delay=00:00:00, pri=1, dsn=2.0.0, stat=Sent (ok, delivered to somebody's mailbox)"),
        entry(55, r"a\xfc@b"),
    ];
    for line in lines {
        assert!(matches!(pass(&line), Answer::Record(_)), "{line}");
    }
    assert_eq!(filter.counts().0.mended, 6);
}

#[test]
fn reports_come_though_much_waits() {
    let machine = Machine::new();
    let mut filter = machine.start(FIELDS, 5);
    filter.next_stream();
    filter.answer(Incoming::Tick(0));
    filter.next_stream();
    for n in 0..100 {
        let abort = ABORT.replace("014029", &format!("{n:06}"));
        assert_eq!(line(&mut filter, &abort), Answer::Nothing);
    }
    machine.passes(100_000);
    let answers: Vec<Answer> = (0..30).map(|_| tick(&machine, &mut filter)).collect();
    let reports = answers.iter().filter(|answer| **answer == Answer::Report).count();
    assert!(reports >= 5 && answers.iter().any(|answer| text(answer).contains("/abort")), "{reports}");
}

/// Makes the record with a number.
type Make<'m> = &'m dyn Fn(u32) -> Vec<u8>;

#[test]
fn what_the_set_up_lacks_is_told_once() {
    let abort = |n: u32| record(&ABORT.replace("014029", &format!("{n:06}")));
    let other = |_: u32| record("mx1 app[1]: x");
    let mail = |n: u32| record(&TIMEOUT.replace("014029", &format!("{n:06}")));
    let foreign = |n: u32| {
        let line = TIMEOUT.replace("014029", &format!("{:06}", n / 2)).replace("sendmail[", "postfix[9");
        if n.is_multiple_of(2) { record(&line) } else { abort(n / 2) }
    };
    let nested = |_: u32| br#"{"x":{"log":"y"}}"#.to_vec();
    let both = |n: u32| if n.is_multiple_of(2) { record(END) } else { abort(n) };
    let cases: [(&str, Make<'_>); 6] = [
        ("no record holds a line", &nested),
        ("no record is a line", &other),
        ("no line is of a program", &foreign),
        ("aborts come, and no line", &abort),
        ("mail lines come, and no entry", &mail),
        ("no abort has a reason", &both),
    ];
    for (hint, make) in cases {
        let machine = Machine::new();
        let mut filter = with_slots(&machine, FIELDS);
        let mut reports = 0;
        for second in 0..1_000 {
            for n in 0..2 {
                filter.answer(Incoming::Record(MailLines::End, &make(second * 2 + n)));
            }
            reports += usize::from(tick(&machine, &mut filter) == Answer::Report);
        }
        assert_eq!(reports, 1, "{hint}");
        let told = filter.health().hint.unwrap_or_default();
        assert!(told.starts_with(hint), "{hint}: {told}");
    }
    // Nothing where all is well, nor before it could be.
    let machine = Machine::new();
    let mut filter = with_slots(&machine, FIELDS);
    for n in 0..50 {
        filter.answer(Incoming::Record(MailLines::End, &mail(n)));
        filter.answer(Incoming::Record(MailLines::Pass, &abort(n)));
        assert_ne!(tick(&machine, &mut filter), Answer::Report);
    }
    (0..100).for_each(|_| assert_ne!(tick(&machine, &mut filter), Answer::Report));
}

#[test]
fn what_came_from_the_journal_is_no_sign() {
    let machine = Machine::new();
    let config = FIELDS.replacen('{', r#"{"hold_secs": 300, "#, 1);
    let mut filter = with_slots(&machine, &config);
    for n in 0..50 {
        assert_eq!(line(&mut filter, &ABORT.replace("014029", &format!("{n:06}"))), Answer::Nothing);
    }
    let mut filter = machine.start(&config, 0);
    filter.next_stream();
    (0..200).for_each(|_| assert_ne!(tick(&machine, &mut filter), Answer::Report));
    assert_eq!(filter.health().hint, None);
}

#[test]
fn one_tick_a_second_has_room_for_both() {
    let machine = Machine::new();
    let mut filter = machine.start(FIELDS, 1);
    filter.next_stream();
    filter.answer(Incoming::Tick(0));
    filter.next_stream();
    (0..5).for_each(|n| drop(line(&mut filter, &ABORT.replace("014029", &format!("{n:06}")))));
    let answers: Vec<Answer> = (0..60).map(|_| tick(&machine, &mut filter)).collect();
    assert_eq!(answers.iter().filter(|answer| text(answer).contains("/abort")).count(), 5);
    assert!(answers.iter().filter(|answer| **answer == Answer::Report).count() > 40);
}

#[test]
fn an_abort_that_is_no_json_is_told_where_others_are_dropped() {
    let machine = Machine::new();
    let mut filter = with_slots(&machine, &FIELDS.replacen('{', r#"{"others": "drop", "#, 1));
    let mut pass = |line: &str, rest: &str| {
        filter.answer(Incoming::Record(MailLines::Pass, format!(r#"{{"log":"{line}",{rest}}}"#).as_bytes()))
    };
    assert_eq!(pass(ABORT, r#""p":1e999"#), Answer::Nothing);
    assert_eq!(pass(&ABORT.replace("c/abort", "a/eom").replace("029", "030"), r#""p":nan"#), Answer::Nothing);
    assert_eq!(filter.counts().1.aborts, 1);
    let told = (0..20).map(|_| tick(&machine, &mut filter)).find(|answer| matches!(answer, Answer::Record(_)));
    assert!(text(&told.unwrap()).contains(r#""p":null"#));
}
