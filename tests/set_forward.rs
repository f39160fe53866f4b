//! TLS trouble has no queue id: it is of the lost connection right behind it, of the same process. Where an hour lies between
//! the two, the clock was set forward, or time passed: the ids, which are in UTC, tell which. And the clocks of two logs may
//! step one without the other.
#![allow(clippy::disallowed_macros, reason = "a test")]

use abort_reason::{Config, Engine, Input, Source};

const TROUBLE: &str = "STARTTLS: read error=generic SSL error (-1), errno=0, get_error=error:0A0001BB:SSL routines::bad record type, retry=99, ssl_err=1";
const FILTER: &str = "Milter (PureMessage): timeout before data read, where=rcpt";
const LOST: &str = "lost input channel from h [192.0.2.1] to MTA after rcpt";
const WAITED: &str = "timeout waiting for input from h [192.0.2.1] during server cmd read";
const DIGITS: &[u8; 60] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx";

/// A queue id of 2026-11-20, by its hour, minute and second in UTC.
fn id(hour: usize, minute: usize, second: usize) -> String {
    let [hour, minute, second] = [hour, minute, second].map(|digit| char::from(DIGITS[digit]));
    format!("6AK{hour}{minute}{second}01014029")
}

fn line(time: &str, text: &str) -> String {
    format!("Nov 20 {time} mx1 sendmail[14029]: {text}")
}

/// The class of the one abort; before it the mail log tells its zone, or too little for that.
fn class(zone_is_known: bool, lines: &[String], time: &str, id: &str) -> String {
    let mut engine = Engine::new(&Config::default());
    for second in 0..if zone_is_known { 20 } else { 0 } {
        let text = format!("Nov 20 07:00:{second:02} mx1 sendmail[14029]: {}: x", self::id(7, 0, second));
        engine.push(Source::Mail, Input::Line(text.as_bytes()), 0, 0);
    }
    for line in lines {
        engine.push(Source::Mail, Input::Line(line.as_bytes()), 0, 0);
    }
    let entry = format!("2026-11-20T{time} q={id} f=<a@example.com> t=<b@example.net> r=h tm=2.00 a=c/abort");
    engine.push(Source::MessageLog, Input::Line(entry.as_bytes()), 0, 0);
    engine.finish();
    let records: Vec<String> =
        std::iter::from_fn(|| engine.poll()).map(|output| String::from_utf8(output.data).unwrap()).collect();
    let [record] = &records[..] else { panic!("{records:#?}") };
    let (_, class) = record.split_once(r#""class":""#).unwrap();
    class.split('"').next().unwrap().to_owned()
}

/// The process has trouble, and an hour later by its clock this line about a message.
fn an_hour_apart(text: &str, id: &str) -> [String; 2] {
    [line("08:00:00", TROUBLE), line("09:00:01", &format!("{id}: {text}"))]
}

#[test]
fn a_clock_that_is_set_forward_parts_nothing() {
    let id = id(7, 59, 50);
    for zone_is_known in [false, true] {
        assert_eq!(class(zone_is_known, &an_hour_apart(LOST, &id), "09:00:01", &id), "peer_protocol_error");
    }
}

#[test]
fn a_process_of_the_same_number_is_another_one() {
    let id = id(8, 59, 58);
    assert_eq!(class(true, &an_hour_apart(LOST, &id), "09:00:01", &id), "peer_disconnected");
}

#[test]
fn a_client_that_is_waited_for_may_be_silent_for_an_hour() {
    let id = id(7, 59, 50);
    assert_eq!(class(true, &an_hour_apart(WAITED, &id), "09:00:01", &id), "peer_timeout");
}

#[test]
fn what_came_behind_the_trouble_shows_that_the_connection_went_on() {
    let id = id(7, 59, 50);
    let [trouble, lost] = an_hour_apart(LOST, &id);
    let failed = line("08:00:00", &format!("{id}: {FILTER}"));
    assert_eq!(class(true, &[trouble, failed, lost], "09:00:01", &id), "filter_timeout");
}

#[test]
fn no_clock_is_set_by_forty_minutes() {
    let id = id(7, 59, 50);
    let lines = [line("08:00:00", TROUBLE), line("08:40:00", &format!("{id}: {LOST}"))];
    assert_eq!(class(true, &lines, "08:40:00", &id), "peer_disconnected");
}

/// One of a host's two logs goes on an hour earlier; a few messages later an abort is told by the new difference, whatever
/// form its mail lines have.
#[test]
fn a_step_of_one_log_is_learnt_from_a_few_messages() {
    let mail = |form: usize, (hour, minute, second): (usize, usize, usize), id: &str, text: &str| match form {
        0 => format!("Nov 20 {hour:02}:{minute:02}:{second:02} mx1 sendmail[14029]: {id}: {text}"),
        1 => format!("Nov 20 {hour:02}:{minute:02}:{second:02} sendmail[14029]: {id}: {text}"),
        _ => format!("<22>1 2026-11-20T{hour:02}:{minute:02}:{second:02}Z mx1 sendmail 14029 - - {id}: {text}"),
    };
    for form in 0..3 {
        let mut engine = Engine::new(&Config::default());
        let mut message = |minute: usize, second: usize, ahead: usize, lines: &[&str], end: &str| {
            let id = id(6, minute, second);
            for text in lines {
                let line = mail(form, (6, minute, second), &id, text);
                engine.push(Source::Mail, Input::Line(line.as_bytes()), 0, 0);
            }
            let time = format!("{:02}:{minute:02}:{second:02}", 6 + ahead);
            let entry = format!("2026-11-20T{time} q={id} f=<a@example.org> t=<b@example.net> tm=0.10 a={end}");
            engine.push(Source::MessageLog, Input::Line(entry.as_bytes()), 0, 0);
        };
        let delivered = ["from=<a@example.org>, size=9, class=0, nrcpts=1, msgid=<x@y>, relay=x [192.0.2.1]"];
        for n in 0..126 {
            message(n / 6, n % 6 * 10, if n < 120 { 2 } else { 1 }, &delivered, "a/eom");
        }
        let broken = "Milter (PureMessage): write(A) returned -1, expected 5: Broken pipe";
        message(21, 10, 1, &[LOST, broken], "c/abort");
        engine.finish();
        let record = String::from_utf8(engine.poll().unwrap().data).unwrap();
        assert!(record.contains(r#""class":"peer_disconnected""#), "form {form}: {record}");
    }
}
