//! Conversations of a sendmail with a client, with its own rulesets and with two filters, made up after its sources
//! (srvrsmtp.c, milter.c, collect.c, parseaddr.c, deliver.c): the lines that it logs of them at the default log levels and at
//! Milter.LogLevel 14, and the causes that an abort may be told to have. Where two things ended a message at once, there are
//! two.

#![allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)] // Those rules are the core's.

mod support;

use abort_reason::{Input, Source};
use support::{F, Host, config, last_revisions, text};

const ID: &str = "6AND12V7014029";
const RELAY: &str = "relay.example.com [192.0.2.1]";
const SENDER: &str = "<a@example.org>";
const AGAIN: &str = "451 4.3.2 Please try again later";
const REPLIES: [&str; 5] =
    ["550 5.7.1 spam source", "451 4.7.1 greylisted", "550 5.7.1 Command rejected", AGAIN, "554 5.7.1 go away"];

/// What may be the cause.
type Causes = Vec<&'static str>;

/// Random numbers: the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }

    fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// One message, in the making.
struct Talk {
    random: Random,
    /// Milter.LogLevel.
    level: u8,
    /// PureMessage is asked before the other filter.
    is_first: bool,
    f: F,
    at: i64,
    began: i64,
    lines: Vec<(i64, String)>,
    /// Recipients that PureMessage has heard of, and those that were accepted and refused.
    heard: Vec<&'static str>,
    accepted: u32,
    refused: u32,
    /// The other filter is in an error state.
    has_failed: bool,
    /// Who has the message discarded.
    discards: Option<&'static str>,
}

/// What came of it: the lines, the entry, its causes.
struct Told {
    lines: Vec<String>,
    entry: String,
    causes: Causes,
}

impl Talk {
    fn new(seed: u64, level: u8) -> Talk {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let (is_first, f) = (random.percent(50), random.one(&[F::Empty, F::Tempfail, F::Reject, F::Close]));
        Talk {
            random,
            level,
            is_first,
            f,
            at: 1_000,
            began: 1_000,
            lines: Vec::new(),
            heard: Vec::new(),
            accepted: 0,
            refused: 0,
            has_failed: false,
            discards: None,
        }
    }

    fn pass_time(&mut self) {
        self.at += self.random.one(&[1, 3, 30, 700, 2_500, 30_000]);
    }

    fn log(&mut self, text: &str) {
        self.lines.push((self.at, format!("{ID}: {text}")));
    }

    /// The entry, written when sendmail tells PureMessage to stop.
    fn aborted(mut self, causes: Causes) -> Told {
        let at = self.at + self.random.one(&[0, 5, 300]);
        let to: String = self.heard.iter().map(|to| format!(" t={to}")).collect();
        let secs = (at - self.began) as f64 / 1_000.0;
        let entry = format!("{} q={ID} f={SENDER}{to} r=relay.example.com tm={secs:.2} a=c/abort", time(at));
        let lines = self.lines.iter().map(|(at, text)| format!("{} mx1 sendmail[14029]: {text}", time(*at))).collect();
        Told { lines, entry, causes }
    }

    /// The envelope ends without a text.
    fn ended(mut self, causes: Causes) -> Told {
        let ended =
            format!("from={SENDER}, size=0, class=0, nrcpts={}, proto=ESMTP, daemon=MTA, relay={RELAY}", self.accepted);
        self.log(&ended);
        self.aborted(causes)
    }

    /// The client leaves, or says so.
    fn leaves(&mut self, command: &str) -> &'static str {
        self.pass_time();
        match self.random.below(10) {
            0..3 => {
                self.log(&format!("lost input channel from {RELAY} to MTA after {command}"));
                "peer_disconnected"
            }
            3 => {
                self.at += 60_000;
                self.log("timeout waiting for input from relay.example.com during server cmd read");
                "peer_timeout"
            }
            _ if self.refused > 0 && self.accepted == 0 => "recipients_rejected",
            _ => "client_ended",
        }
    }

    /// The other filter fails; whether sendmail ends the command for it.
    fn fails(&mut self, stage: &str) -> bool {
        let how = match self.random.below(4) {
            0 => format!("Milter (avscan): timeout before data read, where={stage}"),
            1 => "milter_sys_read(avscan): cmd read returned 0, expecting 5".to_owned(),
            2 => "Milter (avscan): read returned -1: Connection reset by relay.example.com".to_owned(),
            _ => "Milter (avscan): select(read): Bad file descriptor".to_owned(),
        };
        self.log(&how);
        self.log("Milter (avscan): to error state");
        self.has_failed = true;
        self.f != F::Empty
    }

    /// What sendmail says in the place of a filter that failed.
    fn in_its_place(&mut self, what: &str) {
        let reply = match (self.f, what) {
            (F::Reject, "data") => "554 5.7.1 Command rejected",
            (F::Reject, _) => "550 5.7.1 Command rejected",
            (F::Close, "data" | "cmd=data") => "421 4.7.0 mx1.example.net closing connection",
            (F::Close, _) => "421, errormode=4",
            _ => AGAIN,
        };
        self.log(&format!("Milter: {what}, reject={reply}"));
    }

    /// A filter's verdict, as sendmail tells of it.
    fn refuses(&mut self, filter: &str, action: &str, what: &str, reply: &str) {
        if self.level > 10 {
            self.log(&format!("milter={filter}, action={action}, reject={reply}"));
        }
        self.log(&format!("Milter: {what}, reject={reply}"));
    }

    fn is_asked(&self) -> bool {
        !self.has_failed && self.discards.is_none()
    }

    /// RCPT; the causes if it ends the message.
    fn recipient(&mut self, to: &'static str) -> Option<Causes> {
        self.pass_time();
        match self.random.below(100) {
            0..8 => {
                let reply = format!("reject=550 5.7.1 {to}... Relaying denied");
                self.log(&format!("ruleset=check_rcpt, arg1={to}, relay={RELAY}, {reply}"));
                self.refused += 1;
            }
            8..18 => {
                let said = self.random.one(&["User unknown", "No longer with the company", "Hostname required"]);
                self.log(&format!("{to}... {said}"));
                self.refused += 1;
            }
            18..22 => {
                self.log(&format!("ruleset=check_rcpt, arg1={to}, relay={RELAY}, discard"));
                self.discards.get_or_insert("policy_rejected");
                self.accepted += 1;
            }
            22..28 if self.is_asked() => {
                if self.is_first {
                    self.heard.push(to);
                }
                if self.fails("rcpt") {
                    self.in_its_place(&format!("to={to}"));
                    self.refused += 1;
                    return Some(vec!["other_filter"]);
                }
                self.accepted += 1;
            }
            28..36 if self.is_asked() => {
                let filter = self.random.one(&["avscan", "PureMessage"]);
                if filter == "PureMessage" || self.is_first {
                    self.heard.push(to);
                }
                let reply = self.random.one(&REPLIES);
                self.refuses(filter, "rcpt", &format!("to={to}"), reply);
                self.refused += 1;
            }
            36..39 if self.is_asked() => {
                let filter = self.random.one(&["avscan", "PureMessage"]);
                self.refuses(filter, "rcpt", &format!("to={to}"), "421 4.7.1 busy");
                // PureMessage is told to stop, whoever had the connection closed.
                return Some(vec![match filter {
                    _ if self.level <= 10 => "recipients_rejected",
                    "avscan" => "other_filter",
                    _ => "unexplained",
                }]);
            }
            39..42 if self.is_asked() => {
                self.log(&format!("Milter: to={to}, discard"));
                self.discards = Some("other_filter");
                self.accepted += 1;
            }
            _ => {
                if self.discards.is_none() {
                    self.heard.push(to);
                }
                self.accepted += 1;
            }
        }
        None
    }

    /// The whole conversation; none where PureMessage has judged the message.
    fn goes_on(mut self) -> Option<Told> {
        match self.random.below(100) {
            0..4 if self.is_first => {
                self.log(&format!("Milter: from={SENDER}, discard"));
                // PureMessage is told to stop at once, whatever comes.
                let mut entry = self.aborted(vec!["other_filter"]);
                entry.lines.push(format!(
                    "{} mx1 sendmail[14029]: {ID}: lost input channel from {RELAY} to MTA after rcpt",
                    time(40_000)
                ));
                return Some(entry);
            }
            4..10 if self.is_first => {
                let reply = self.random.one(&REPLIES);
                self.refuses("avscan", "mail", &format!("from={SENDER}"), reply);
                return Some(self.ended(vec!["other_filter"]));
            }
            10..14 => {
                let cause = self.leaves("mail");
                return Some(self.ended(vec![cause]));
            }
            _ => {}
        }
        for to in ["<b@example.net>", "<c@example.net>", "<d@example.net>"] {
            if let Some(causes) = self.recipient(to) {
                return Some(self.ended(causes));
            }
        }
        if self.accepted == 0 || self.random.percent(12) {
            let cause = self.leaves("rcpt");
            return Some(self.ended(vec![cause]));
        }
        self.pass_time();
        self.data()
    }

    /// DATA, and what follows.
    fn data(mut self) -> Option<Told> {
        let refused = match self.random.below(100) {
            0..6 => {
                self.log(&format!("ruleset=check_data, arg1=1, relay={RELAY}, reject=451 4.7.1 later"));
                Some("policy_rejected")
            }
            6..9 => {
                self.log(&format!("ruleset=check_data, arg1=1, relay={RELAY}, discard"));
                self.discards.get_or_insert("policy_rejected");
                None
            }
            9..17 if self.is_asked() => {
                let reply = self.random.one(&REPLIES);
                self.refuses("avscan", "data", "cmd=data", reply);
                Some("other_filter")
            }
            17..21 if self.is_asked() => self.fails("data").then(|| {
                self.in_its_place("cmd=data");
                "other_filter"
            }),
            _ => None,
        };
        if let Some(cause) = refused {
            self.leaves("data");
            return Some(self.ended(vec![cause]));
        }
        self.pass_time();
        self.text()
    }

    /// The text.
    fn text(mut self) -> Option<Told> {
        let mut error = None;
        for check in ["CheckSubject, arg1=I love you", "check_eoh, arg1=3, arg2=512"] {
            match self.random.below(100) {
                0..4 => {
                    self.log(&format!("ruleset={check}, relay={RELAY}, reject=554 5.7.1 refused"));
                    error = Some(("refused", "policy_rejected"));
                }
                4..7 => {
                    self.log(&format!("ruleset={check}, relay={RELAY}, discard"));
                    self.discards.get_or_insert("policy_rejected");
                }
                _ => {}
            }
        }
        if self.random.percent(10) {
            let cause = if self.random.percent(50) {
                self.log("collect: premature EOM: unexpected close");
                self.log(&format!("collect: unexpected close on connection from relay.example.com, sender={SENDER}"));
                "peer_disconnected"
            } else {
                self.at += 60_000;
                self.log(&format!(
                    "SYSERR(root): collect: read timeout on connection from relay.example.com, from={SENDER}"
                ));
                "peer_timeout"
            };
            return Some(self.ended(vec![cause]));
        }
        if error.is_none() && self.random.percent(4) {
            self.log("message size (2212) exceeds maximum (1000)");
            error = Some(("Message exceeds maximum fixed size (1000)", "peer_protocol_error"));
        }
        // A message that has no message id.
        let id = if self.random.percent(85) { "msgid=<x@y>, " } else { "" };
        let count = self.accepted;
        self.log(&format!(
            "from={SENDER}, size=2000, class=0, nrcpts={count}, {id}proto=ESMTP, daemon=MTA, relay={RELAY}"
        ));
        if error.is_none() && self.random.percent(3) {
            self.log(&format!("ruleset=check_eom, arg1=2000, relay={RELAY}, reject=554 5.7.1 refused"));
            error = Some(("refused", "policy_rejected"));
        }
        let told = |stat: &str| format!("to=<b@example.net>, delay=00:00:02, pri=30024, stat={stat}");
        if let Some((said, cause)) = error {
            self.log(&told(said));
            let causes = self.discards.into_iter().chain([cause]).collect();
            return Some(self.aborted(causes));
        }
        if let Some(cause) = self.discards {
            self.log("discarded");
            return Some(self.aborted(vec![cause]));
        }
        if self.is_first || self.has_failed {
            return None;
        }
        self.pass_time();
        let said = if self.random.percent(50) {
            if !self.fails("eom") {
                return None;
            }
            self.in_its_place("data");
            match self.f {
                F::Reject => "Command rejected",
                F::Close => "mx1.example.net closing connection",
                _ => "Please try again later",
            }
        } else {
            let reply = self.random.one(&REPLIES);
            self.log(&format!("Milter: data, reject={reply}"));
            reply.split_once(' ').and_then(|(_, rest)| rest.split_once(' ')).map_or("", |(_, said)| said)
        };
        self.log(&told(said));
        Some(self.aborted(vec!["other_filter"]))
    }
}

fn time(ms: i64) -> String {
    format!("2026-11-23T13:{:02}:{:02}.{:03}", ms / 60_000, ms / 1_000 % 60, ms % 1_000)
}

/// The class of the one abort.
fn class(lines: &[&str]) -> String {
    let mut host = Host::new(&config(r#"{"filter_names": ["PureMessage"]}"#));
    for line in lines {
        host.push(Source::Auto, Input::Line(line.as_bytes()));
    }
    host.finish();
    let records = last_revisions(&host.records());
    assert_eq!(records.len(), 1, "{lines:#?}");
    text(&records[0], "class").to_owned()
}

#[test]
fn every_abort_has_a_cause_that_it_may_have() {
    let mut told = 0;
    let mut wrong = Vec::new();
    for (seed, level) in (1..6_000).flat_map(|seed| [(seed, 9), (seed, 14)]) {
        let Some(Told { lines, entry, causes }) = Talk::new(seed, level).goes_on() else { continue };
        told += 1;
        let in_whole_seconds = |line: &str| [&line[..19], &line[23..]].concat();
        let cut: Vec<String> = lines.iter().map(|line| in_whole_seconds(line)).collect();
        for (lines, entry) in [(&cut, in_whole_seconds(&entry)), (&lines, entry)] {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            for all in [[&lines[..], &[&*entry]].concat(), [&[&*entry], &lines[..]].concat()] {
                let class = class(&all);
                if !causes.contains(&&*class) {
                    wrong.push(format!("{class}, not {causes:?}: {all:#?}"));
                }
            }
        }
    }
    assert!(told > 8_000, "{told}");
    assert!(wrong.is_empty(), "{} of {told}: {}", wrong.len(), wrong[..wrong.len().min(6)].join("\n"));
}
