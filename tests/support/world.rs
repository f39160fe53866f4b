//! Small worlds for the properties: hosts on which connections bring messages that end in every way, and the lines that
//! sendmail and PureMessage write of them. Everything follows from a plan that proptest makes and shrinks.

use proptest::prelude::*;

/// What proptest makes up.
#[derive(Debug, Clone)]
pub struct Plan {
    hosts: usize,
    /// Classic syslog, in whole seconds and without a year.
    bsd: bool,
    connections: Vec<Connection>,
}

#[derive(Debug, Clone)]
struct Connection {
    host: usize,
    start_ms: i64,
    sequence: usize,
    /// On another host, with the queue ids of the connection before it.
    twin: bool,
    messages: Vec<Message>,
}

#[derive(Debug, Clone)]
struct Message {
    fate: Fate,
    sender: usize,
    /// How long a callback of PureMessage hangs after sendmail has given up.
    hang_ms: i64,
    /// PureMessage notices before sendmail has written its line.
    early: bool,
}

/// How a message ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Delivered,
    TimeoutAtRcpt,
    TimeoutAtEom,
    /// As above, and PureMessage does not notice.
    TimeoutUnnoticed,
    /// The same with an empty `F=`: the message is delivered.
    TimeoutDelivered,
    Closed,
    Lost,
    Silent,
    LostInData,
    LostUnderTls,
    Reset,
    RecipientsRefused,
    OtherFilterFails,
    OtherFilterRefuses,
    /// Another filter refuses MAIL, so that the next message has the same id.
    MailRefused,
    Killed,
    /// sendmail's milter logging is off.
    Suspected,
}

const FATES: [Fate; 17] = [
    Fate::Delivered,
    Fate::Lost,
    Fate::Reset,
    Fate::MailRefused,
    Fate::TimeoutAtRcpt,
    Fate::TimeoutAtEom,
    Fate::TimeoutUnnoticed,
    Fate::TimeoutDelivered,
    Fate::Closed,
    Fate::Silent,
    Fate::LostInData,
    Fate::LostUnderTls,
    Fate::RecipientsRefused,
    Fate::OtherFilterFails,
    Fate::OtherFilterRefuses,
    Fate::Killed,
    Fate::Suspected,
];

/// Worlds of up to `connections` connections.
pub fn plans(connections: usize) -> impl Strategy<Value = Plan> {
    let message = (0..FATES.len(), 0..2usize, prop_oneof![Just(0), 0..20_000i64], any::<bool>())
        .prop_map(|(fate, sender, hang_ms, early)| Message { fate: FATES[fate], sender, hang_ms, early });
    let connection =
        (0..3usize, 0..60_000i64, 0..3_590usize, prop::bool::weighted(0.2), prop::collection::vec(message, 1..4))
            .prop_map(|(host, start_ms, sequence, twin, messages)| Connection {
                host,
                start_ms,
                sequence,
                twin,
                messages,
            });
    (1..4usize, any::<bool>(), prop::collection::vec(connection, 1..=connections))
        .prop_map(|(hosts, bsd, connections)| Plan { hosts, bsd, connections })
}

/// What came of a plan.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// For each host its mail log and its `message_log`, as records, each in its own order.
    pub streams: Vec<Vec<String>>,
    /// The entries that are issued.
    pub truth: Vec<Truth>,
}

/// What a record is to say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Truth {
    pub entry: String,
    pub host: String,
    pub kind: &'static str,
    pub class: &'static str,
}

/// A line in the making: its time and its text, with the process where it is sendmail's.
type Timed = (i64, usize, String);

struct Building {
    plan: Plan,
    mail: Vec<Vec<Timed>>,
    entries: Vec<Vec<Timed>>,
    truth: Vec<Truth>,
    count: usize,
}

impl Plan {
    pub fn build(&self) -> World {
        let mut building = Building {
            plan: self.clone(),
            mail: vec![Vec::new(); self.hosts],
            entries: vec![Vec::new(); self.hosts],
            truth: Vec::new(),
            count: 0,
        };
        let mut before: Option<Origin> = None;
        let mut used = std::collections::BTreeSet::new();
        for (number, connection) in self.connections.iter().enumerate() {
            let host = connection.host % self.hosts;
            // Two hosts may have one id, three have not: the table of seen ids has room for two.
            let (origin, next) = match before {
                Some(origin) if connection.twin && used.insert((host, origin.pid)) => (origin, None),
                _ => {
                    let pid = 10_000 + number;
                    let origin = Origin { start_ms: connection.start_ms, sequence: connection.sequence, pid };
                    (origin, Some(origin))
                }
            };
            used.insert((host, origin.pid));
            before = next;
            building.connection(host, origin, &connection.messages);
        }
        building.world()
    }
}

/// What the queue ids of a connection are made of.
#[derive(Debug, Clone, Copy)]
struct Origin {
    start_ms: i64,
    sequence: usize,
    pid: usize,
}

impl Origin {
    fn id(self, message: usize) -> String {
        let digit = |n: usize| char::from(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx"[n % 60]);
        let secs = (self.start_ms / 1_000) as usize;
        let sequence = self.sequence + message;
        format!(
            "6AND{}{}{}{}{:06}",
            digit(secs / 60),
            digit(secs % 60),
            digit(sequence / 60),
            digit(sequence % 60),
            self.pid
        )
    }
}

const PMX: &str = "Milter (PureMessage): ";
const AGAIN: &str = "451 4.3.2 Please try again later";
const RELAY: &str = "relay.example.com [192.0.2.1]";

impl Building {
    fn connection(&mut self, host: usize, origin: Origin, messages: &[Message]) {
        let mut now = origin.start_ms;
        let mut message_number = 0;
        let mut other_filter_failed = false;
        for message in messages {
            let id = origin.id(message_number);
            let fate = if other_filter_failed { Fate::MailRefused } else { message.fate };
            self.message(host, origin.pid, &id, now, &Message { fate, ..message.clone() });
            now += 4_000;
            match fate {
                Fate::MailRefused => {}
                Fate::OtherFilterFails => {
                    other_filter_failed = true;
                    message_number += 1;
                }
                Fate::Delivered | Fate::Reset | Fate::RecipientsRefused | Fate::OtherFilterRefuses => {
                    message_number += 1;
                }
                _ => break,
            }
        }
    }

    /// Writes what one message leaves in both logs; `at` is its MAIL.
    fn message(&mut self, host: usize, pid: usize, id: &str, at: i64, message: &Message) {
        let from = format!("<s{}@example.org>", message.sender);
        let tail = format!("proto=ESMTP, daemon=MTA, relay={RELAY}");
        let begun = format!("from={from}, size=900, class=0, nrcpts=1, msgid=<{id}@example.org>, {tail}");
        let ended = |left: u32| format!("from={from}, size=0, class=0, nrcpts={left}, {tail}");
        let sent = "to=<r@example.net>, delay=00:00:01, xdelay=00:00:00, mailer=esmtp, pri=30500, relay=s.example.net. [198.51.100.7], dsn=2.0.0, stat=Sent (ok)".to_owned();
        let later = "to=<r@example.net>, delay=00:00:03, pri=30500, stat=Please try again later".to_owned();
        let lost = format!("lost input channel from {RELAY} to MTA after rcpt");
        let failed = format!("{PMX}to error state");
        let refused = format!("Milter: data, reject={AGAIN}");
        let timeout = |stage: &str| format!("{PMX}timeout before data read, where={stage}");
        let closed = "milter_sys_read(PureMessage): cmd read returned 0, expecting 5".to_owned();
        let hung = 1 + message.hang_ms;
        let near = if message.early { -2 } else { 2 };
        // Milliseconds to the first line, the lines, those from the first line to the entry, the class.
        let (first, lines, to_entry, class) = match message.fate {
            Fate::Delivered => (200, vec![begun, sent], 50, ""),
            Fate::TimeoutAtRcpt => {
                let refused = format!("Milter: to=<r@example.net>, reject={AGAIN}");
                (3_000, vec![timeout("rcpt"), failed, refused, ended(0)], hung, "filter_timeout")
            }
            Fate::TimeoutAtEom | Fate::TimeoutUnnoticed => {
                (3_000, vec![begun, timeout("eom"), failed, refused, later], hung, "filter_timeout")
            }
            Fate::TimeoutDelivered => (3_000, vec![begun, timeout("body chunk"), failed, sent], hung, "filter_timeout"),
            Fate::Closed => (500, vec![begun, closed, failed, refused, later], near, "filter_closed"),
            Fate::Lost => (700, vec![lost, ended(1)], near, "peer_disconnected"),
            Fate::Silent => {
                let silent = "timeout waiting for input from relay.example.com during server cmd read";
                (2_500, vec![silent.to_owned(), lost, ended(1)], near, "peer_timeout")
            }
            Fate::LostInData => {
                let how = format!("collect: relay=relay.example.com, from={from}, info=unexpected close");
                (
                    900,
                    vec!["collect: premature EOM: unexpected close".to_owned(), how, begun],
                    near,
                    "peer_disconnected",
                )
            }
            Fate::LostUnderTls => {
                (900, vec!["STARTTLS: read error=timeout".to_owned(), lost, ended(1)], near, "peer_timeout")
            }
            Fate::Reset => (600, vec![ended(1)], near, "client_ended"),
            Fate::RecipientsRefused => {
                let unknown = format!(
                    "ruleset=check_rcpt, arg1=<r@example.net>, relay={RELAY}, reject=550 5.1.1 <r@example.net>... User unknown"
                );
                (400, vec![unknown, ended(0)], near, "recipients_rejected")
            }
            Fate::OtherFilterFails => {
                let other = |text: &str| text.replace("PureMessage", "avscan");
                let refused = format!("Milter: cmd=data, reject={AGAIN}");
                (800, vec![other(&timeout("data")), other(&failed), refused, ended(1)], near, "other_filter")
            }
            Fate::OtherFilterRefuses => {
                let refused = "Milter: data, reject=554 5.7.1 virus".to_owned();
                (800, vec![begun, refused, later.replace("Please try again later", "virus")], near, "other_filter")
            }
            Fate::MailRefused => (10, vec![format!("Milter: from={from}, reject={AGAIN}")], near, "other_filter"),
            Fate::Killed => (100, vec![], near, "unexplained"),
            Fate::Suspected => (500, vec![begun, later], near, "filter_failure_suspected"),
        };
        for (number, line) in lines.into_iter().enumerate() {
            let text = if line.starts_with("STARTTLS") { line } else { format!("{id}: {line}") };
            self.count += 1;
            self.mail[host].push((at + first + number as i64, self.count, format!("sendmail[{pid}]: {text}")));
        }
        let entry_at = at + first + to_entry;
        let action = if matches!(message.fate, Fate::Delivered | Fate::TimeoutUnnoticed) { "a/eom" } else { "c/abort" };
        let size = if matches!(
            message.fate,
            Fate::Reset
                | Fate::RecipientsRefused
                | Fate::Lost
                | Fate::Silent
                | Fate::LostUnderTls
                | Fate::MailRefused
                | Fate::TimeoutAtRcpt
                | Fate::Killed
                | Fate::LostInData
        ) {
            ""
        } else {
            " Size=900"
        };
        let to =
            if matches!(message.fate, Fate::MailRefused | Fate::RecipientsRefused) { "" } else { " t=<r@example.net>" };
        let secs = (entry_at - at) as f64 / 1_000.0;
        self.count += 1;
        let number = self.count;
        let entry = format!(
            "{} q={id} f={from}{to}{size} r=relay.example.com n={number} tm={secs:.2} a={action}",
            clock(entry_at, "2026-11-23T")
        );
        if message.fate != Fate::Delivered {
            let kind = if message.fate == Fate::TimeoutUnnoticed { "unnoticed" } else { "abort" };
            self.truth.push(Truth { entry: entry.clone(), host: format!("mx{host}"), kind, class });
        }
        self.entries[host].push((entry_at, number, entry));
    }

    fn world(mut self) -> World {
        let mut streams = Vec::new();
        for host in 0..self.plan.hosts {
            let name = format!("mx{host}");
            let record = |line: String| serde_json::json!({ "message": line, "host": name }).to_string();
            self.mail[host].sort();
            self.entries[host].sort();
            let mail = self.mail[host].drain(..).map(|(at, _, text)| {
                let stamp = match self.plan.bsd {
                    true => clock(at, "Nov 23 "),
                    false => format!("{}.{:03}Z", clock(at, "2026-11-23T"), at.rem_euclid(1_000)),
                };
                record(format!("{stamp} {name} {text}"))
            });
            streams.push(mail.collect());
            streams.push(self.entries[host].drain(..).map(|(_, _, text)| record(text)).collect());
        }
        self.truth.sort();
        World { streams, truth: self.truth }
    }
}

/// A time of the day that begins at 13:00.
fn clock(ms: i64, date: &str) -> String {
    let secs = 13 * 3_600 + ms.div_euclid(1_000);
    format!("{date}{:02}:{:02}:{:02}", secs / 3_600, secs / 60 % 60, secs % 60)
}

impl World {
    /// The streams as one, each in its own order; `picks` say which comes next.
    pub fn interleaved(&self, picks: &[u8]) -> Vec<&str> {
        let mut left: Vec<&[String]> = self.streams.iter().map(Vec::as_slice).collect();
        let mut picks = picks.iter().cycle();
        let mut lines = Vec::new();
        loop {
            left.retain(|stream| !stream.is_empty());
            if left.is_empty() {
                return lines;
            }
            let pick = usize::from(picks.next().copied().unwrap_or_default()) % left.len();
            // Low picks take one line, high ones a run: real streams come in batches.
            let run = if picks.clone().next().copied().unwrap_or_default() >= 128 { 8 } else { 1 };
            for _ in 0..run {
                if let Some((line, rest)) = left[pick].split_first() {
                    lines.push(line.as_str());
                    left[pick] = rest;
                }
            }
        }
    }

    /// All mail lines, and all entries behind them.
    pub fn mail_first(&self) -> Vec<&str> {
        let of = |rest: usize| self.streams.iter().skip(rest).step_by(2).flatten().map(String::as_str);
        of(0).chain(of(1)).collect()
    }
}
