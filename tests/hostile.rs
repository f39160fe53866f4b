//! Input that means harm: time and memory stay bounded, and what is no abort passes. Memory is measured by the snapshot,
//! which holds all of the state but the empty part of the table of seen ids.

#![allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)] // Those rules are the core's.

mod support;

use std::fmt::Write;

use abort_reason::{Config, Engine, Input, Source};
use support::{Host, config, text};

const ID: &str = "6AND15d3014029";

/// Bytes that a snapshot may have over the limits: lines of which parts are missing, the tables of hosts and ids, and JSON
/// around it all.
const FRAME: usize = 300_000;

fn tiny() -> Config {
    config(
        r#"{"filter_names": ["PureMessage"], "unlogged": true, "limits": {"join_bytes": 65536, "messages": 16,
        "per_message": 8, "passed_bytes": 4096, "seen_ids": 16, "text_bytes": 256, "hosts": 4}}"#,
    )
}

/// The most that the state may take: text may be three times as long in JSON, in which control characters are escaped.
fn most(config: &Config) -> usize {
    3 * (config.limits.join_bytes + config.limits.passed_bytes) + FRAME
}

/// An engine that is given lines, and drained as a host does.
struct Flood {
    engine: Engine,
    issued: u64,
    out_bytes: usize,
    largest: usize,
    pushed: u64,
}

impl Flood {
    fn new(config: &Config) -> Flood {
        Flood { engine: Engine::new(config), issued: 0, out_bytes: 0, largest: 0, pushed: 0 }
    }

    fn push(&mut self, input: Input<'_>) {
        self.pushed += 1;
        self.engine.push(Source::Auto, input, self.pushed, self.pushed);
        while let Some(output) = self.engine.poll() {
            self.issued += 1;
            self.out_bytes += output.data.len();
        }
        while self.engine.poll_released().is_some() {}
        if self.pushed.is_power_of_two() || self.pushed.is_multiple_of(20_000) {
            self.largest = self.largest.max(self.engine.snapshot().len());
        }
    }

    fn line(&mut self, line: &str) {
        self.push(Input::Line(line.as_bytes()));
    }

    fn stays_within(&mut self, config: &Config) {
        let stats = self.engine.stats();
        assert!(stats.bytes <= (config.limits.join_bytes + config.limits.passed_bytes) as u64, "{stats:?}");
        self.largest = self.largest.max(self.engine.snapshot().len());
        assert!(self.largest <= most(config), "{} of {}", self.largest, most(config));
        self.engine.finish();
        while self.engine.poll().is_some() {
            self.issued += 1;
        }
        assert_eq!(self.engine.stats().held, 0);
        assert!(self.issued >= self.engine.stats().aborts, "{} of {:?}", self.issued, self.engine.stats());
    }
}

/// A queue id that no other number has.
fn id(number: usize) -> String {
    let digit = |n: usize| char::from(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx"[n % 60]);
    format!(
        "6AND{}{}{}{}{:06}",
        digit(number / 216_000),
        digit(number / 3_600),
        digit(number / 60),
        digit(number),
        number
    )
}

fn mail(id: &str, said: &str) -> String {
    format!(
        "2026-11-23T13:01:05Z mx1 sendmail[{}]: {id}: {said}",
        id.trim_start_matches(|c: char| !c.is_ascii_digit()).len()
    )
}

fn abort(id: &str, rest: &str) -> String {
    format!("2026-11-23T13:01:09 q={id} f=<a@example.org> t=<b@example.net> {rest}tm=4.05 a=c/abort")
}

#[test]
fn a_refused_mail_a_hundred_thousand_times() {
    let config = tiny();
    let mut flood = Flood::new(&config);
    for n in 0..100_000 {
        flood.line(&mail(ID, &format!("Milter: from=<s{n}@example.org>, reject=550 5.7.1 no")));
        flood.line(&format!("2026-11-23T13:01:05 q={ID} f=<s{n}@example.org> tm=0.00 a=c/abort"));
    }
    let stats = *flood.engine.stats();
    // The oldest make room, so that each still gets its own reason.
    assert_eq!((stats.aborts, stats.explained, stats.crowded_out), (100_000, 100_000, 0));
    flood.stays_within(&config);
    assert_eq!(flood.engine.stats().issued, flood.issued);
}

#[test]
fn entries_of_one_message_without_end() {
    let config = tiny();
    let mut flood = Flood::new(&config);
    flood.line(&mail(ID, "Milter (PureMessage): timeout before data read, where=eom"));
    for n in 0..20_000 {
        flood.line(&format!("2026-11-23T13:01:05 q={ID} f=<a@example.org> n={n} tm=0.00 a=a/eom"));
    }
    assert!(flood.engine.stats().entries == 20_000);
    flood.stays_within(&config);
}

#[test]
fn no_more_cases_of_one_message_are_held_than_the_limit() {
    let config = Config::default();
    let mut flood = Flood::new(&config);
    flood.line(&mail(ID, "Milter (PureMessage): timeout before data read, where=eom"));
    for n in 0..3_000 {
        flood
            .line(&format!("2026-11-23T13:01:05 q={ID} f=<a{n}@example.org> t=<b@example.net> Size=3 tm=1.00 a=a/eom"));
        assert!(flood.engine.stats().held <= 64);
    }
    assert!(flood.engine.stats().released_early > 2_900);
}

#[test]
fn hosts_without_end() {
    let config = tiny();
    let mut flood = Flood::new(&config);
    let long = "h".repeat(300);
    for n in 0..100_000 {
        let id = id(n);
        flood.line(&format!(
            "2026-11-23T13:01:05Z {long}{n} sendmail[9]: {id}: lost input channel from x to MTA after rcpt"
        ));
        flood.push(Input::Record(format!(r#"{{"message":"{}","host":"{long}{n}"}}"#, abort(&id, "")).as_bytes()));
    }
    assert_eq!(flood.engine.stats().aborts, 100_000);
    flood.stays_within(&config);
}

#[test]
fn evidence_without_end_and_no_message_log() {
    let config = tiny();
    let mut flood = Flood::new(&config);
    for n in 0..100_000 {
        flood.line(&mail(&id(n), "lost input channel from x [192.0.2.1] to MTA after rcpt"));
    }
    assert_eq!(flood.engine.stats().evidence, 100_000);
    flood.stays_within(&config);
}

#[test]
fn failures_of_filters_without_end() {
    let config = tiny();
    let mut flood = Flood::new(&config);
    let long = "x".repeat(3_000);
    for n in 0..20_000 {
        let id = id(n);
        flood.line(&mail(&id, &format!("Milter (PureMessage): read returned -1: {long}")));
        flood.line(&mail(&id, "to=<b@example.net>, delay=00:00:01, mailer=esmtp, pri=1, stat=Sent"));
    }
    flood.stays_within(&config);
}

#[test]
fn lines_without_an_id_and_parts_without_end() {
    let config = tiny();
    let mut flood = Flood::new(&config);
    let long = "x".repeat(3_000);
    for n in 0..20_000 {
        flood.line(&format!("2026-11-23T13:01:05Z mx1 sendmail[{n}]: STARTTLS: read error={long} (-1), errno=104"));
        flood.line(&format!("2026-11-23T13:01:05Z mx1 {long} {}[1]: from=<{long} ...", id(n)));
        flood.line(&format!("2026-11-23T13:01:05Z mx1 sendmail[9]: {}[1]: from=<{long} ...", id(n)));
        flood.line(&format!("2026-11-23T13:01:05Z mx1 sendmail[9]: {ID}[{}]: {long} ...", n + 1));
    }
    flood.stays_within(&config);
}

#[test]
fn lines_of_a_megabyte() {
    let config = tiny();
    let long = "x".repeat(1 << 20);
    let mut host = Host::new(&config);
    for line in [
        mail(ID, &format!("lost input channel from {long} to MTA after rcpt")),
        mail(ID, &format!("Milter: to=<{long}>, reject=550 {long}")),
        mail(ID, &format!("from=<{long}>, size=0, class=0, nrcpts=0, proto=SMTP")),
        mail(ID, &format!("ruleset=check_rcpt, arg1=<{long}>, relay={long}, reject=550 {long}")),
        mail(ID, &long),
        format!("{long} {long}: {long}"),
        format!("2026-11-23T13:01:05Z {long} sendmail[9]: {ID}: lost input channel from x to MTA after rcpt"),
        format!("<22>1 2026-11-23T13:01:05Z mx1 {long} 9 - - {ID}: lost input channel from x to MTA after rcpt"),
        format!("2026-11-23T13:01:05 q={ID} f=<{long}> a=a/eom"),
        format!("2026-11-23T13:01:05 q={ID} {}", "t=<b@example.net> ".repeat(60_000)),
        // Fields that open and never close.
        format!("2026-11-23T13:01:06 q={ID} {} a=a/eom", "t=( ".repeat(100_000)),
        format!("2026-11-23T13:01:06 q={ID} {} a=a/eom", "x=<( ".repeat(100_000)),
        format!("2026-11-23T13:01:05 q={long} a=c/abort"),
        "<".repeat(1 << 20),
        "q=".repeat(1 << 19),
        "\"".repeat(1 << 20),
    ] {
        assert!(host.line(&line).forward);
        host.push(Source::Auto, Input::Record(support::record(&line).as_bytes()));
    }
    // Too long to be held: it leaves at once, as it is.
    let line = abort(ID, &format!("S={long} "));
    assert!(!host.line(&line).forward);
    assert_eq!(host.issued.len(), 1);
    assert!(host.issued[0].data.len() < 2 * line.len(), "{}", host.issued[0].data.len());
    assert!(host.engine.snapshot().len() < most(&config), "{}", host.engine.snapshot().len());
    host.finish();
}

#[test]
fn json_of_any_depth() {
    let mut host = Host::new(&config(""));
    let depth = 100_000;
    let (open, close) = ("[".repeat(depth), "]".repeat(depth));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    for record in [
        format!(r#"{{"n":{open}{close},"message":"{}"}}"#, abort(ID, "")),
        format!(r#"{{"message":"x","n":{objects}}}"#),
        objects.clone(),
        open.clone(),
        format!(r#"{{"message":{open}"#),
        format!(r#"{{{}"message":"x"}}"#, r#""message":1,"#.repeat(depth)),
        format!(r#"{{"message":"{}"}}"#, r"\u0000".repeat(depth)),
        format!(r#"{{"message":"{}"}}"#, r"\".repeat(2 * depth)),
    ] {
        let disposition = host.push(Source::Auto, Input::Record(record.as_bytes()));
        assert!(disposition.forward || disposition.keep);
    }
    host.finish();
    for record in host.records() {
        assert!(record.ends_with("}}") && record.contains(r#","abort":{"schema":"1""#));
    }
}

#[test]
fn bytes_that_are_no_text() {
    let mut host = Host::new(&config(""));
    for bytes in [
        &b"\0"[..],
        b"\xff\xfe",
        b"\0\0\0\0: \0",
        b"\xc3",
        b"<\0>",
        b"Nov 23 13:01:05 \0 \0[1]: \0: \0",
        b"\xef\xbb\xbf",
    ] {
        assert!(host.push(Source::Auto, Input::Line(bytes)).forward);
        assert!(host.push(Source::Auto, Input::Record(bytes)).forward);
    }
    let mut line = mail(ID, "lost input channel from \0 [192.0.2.1] to MTA after rcpt").into_bytes();
    line.extend(b"\0");
    host.push(Source::Auto, Input::Line(&line));
    let mut entry =
        b"2026-11-23T13:01:09 q=6AND15d3014029 f=<\0\xff\xc3(> t=<\x1b[31m@example.net> r=\0 a=c/abort".to_vec();
    host.push(Source::Auto, Input::Line(&entry));
    host.finish();
    let record: serde_json::Value = serde_json::from_slice(&host.issued[0].data).expect("JSON in UTF-8");
    assert_eq!(text(&record["abort"], "class"), "peer_disconnected");
    assert_eq!(text(&record["abort"], "from"), "<\0\u{fffd}\u{fffd}(>");
    // A record that is no UTF-8 can't be added to: it passes.
    entry.splice(0..0, *b"{\"message\":\"");
    entry.extend(b"\"}");
    assert!(host.push(Source::Auto, Input::Record(&entry)).forward);
}

#[test]
fn every_prefix_of_every_line_is_read() {
    let mut whole = String::new();
    for scenario in support::scenarios().iter().filter(|scenario| scenario.name.starts_with("levels-L20")) {
        for line in scenario.maillog("rfc5424").iter().chain(&scenario.message_log).step_by(7) {
            let _ = writeln!(whole, "{line}");
        }
    }
    let mut host = Host::new(&config(r#"{"hold_secs": 0}"#));
    for line in whole.lines() {
        for end in 0..line.len() {
            host.push(Source::Auto, Input::Line(&line.as_bytes()[..end]));
        }
        host.push(Source::Auto, Input::Record(support::record(line).trim_end_matches('}').as_bytes()));
    }
    host.finish();
}
