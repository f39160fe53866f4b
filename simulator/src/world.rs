//! Worlds: hosts on which connections bring messages that end in every way, and the lines that sendmail and PureMessage
//! write of them, by clocks and in forms of every kind. Everything follows from a plan that proptest makes and shrinks, the
//! truth with it.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use crate::fate::{FATES, Fate};
use crate::setting::{self, Setting};
use crate::stranger;

/// What proptest makes up.
#[derive(Debug, Clone)]
pub struct Plan {
    hosts: Vec<Setting>,
    connections: Vec<Connection>,
    /// Messages that are delivered on each host, from half a minute before the others on.
    ordinary: usize,
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
    /// What a hostile client gives as its sender instead, and what else it makes sendmail log.
    stranger: Option<(Vec<u8>, Vec<String>)>,
    /// How long a callback of PureMessage hangs after sendmail has given up.
    hang_ms: i64,
    /// PureMessage notices before sendmail has written its line.
    early: bool,
}

/// Worlds of up to `connections` connections on hosts whose clocks are right and in UTC.
pub fn plans(connections: usize) -> impl Strategy<Value = Plan> {
    (setting::plain(), connections_of(connections, 60_000, Just(None))).prop_map(|(hosts, connections)| Plan {
        hosts,
        connections,
        ordinary: 0,
    })
}

/// Worlds of every kind.
pub fn worlds(connections: usize) -> impl Strategy<Value = Plan> {
    let stranger = prop_oneof![3 => Just(None), 1 => (stranger::address(), stranger::noise()).prop_map(Some)];
    let ordinary = prop_oneof![4 => Just(0), 1 => 20..80usize];
    (setting::any_kind(), connections_of(connections, 120_000, stranger), ordinary)
        .prop_map(|(hosts, connections, ordinary)| Plan { hosts, connections, ordinary })
}

fn connections_of(
    most: usize,
    span_ms: i64,
    stranger: impl Strategy<Value = Option<(Vec<u8>, Vec<String>)>>,
) -> impl Strategy<Value = Vec<Connection>> {
    let message = (0..FATES.len(), 0..2usize, stranger, prop_oneof![Just(0), 0..20_000i64], any::<bool>()).prop_map(
        |(fate, sender, stranger, hang_ms, early)| Message { fate: FATES[fate], sender, stranger, hang_ms, early },
    );
    let connection =
        (0..3usize, 0..span_ms, 0..3_590usize, prop::bool::weighted(0.2), prop::collection::vec(message, 1..4))
            .prop_map(|(host, start_ms, sequence, twin, messages)| Connection {
                host,
                start_ms,
                sequence,
                twin,
                messages,
            });
    prop::collection::vec(connection, 1..=most)
}

/// What came of a plan.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// For each host its mail log and its `message_log`, as records, each in its own order.
    pub streams: Vec<Vec<String>>,
    /// The entries that are issued.
    pub truth: Vec<Truth>,
    /// No clock changes on the way.
    pub steady: bool,
    /// Two hosts have one queue id.
    pub twins: bool,
    /// For each stream, whether its times tell the order of its lines.
    pub precise: Vec<bool>,
}

/// What a record is to say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Truth {
    /// The entry, as it stands in `message_log`.
    pub entry: String,
    /// Whose it is.
    pub host: String,
    /// The record's `kind`.
    pub kind: &'static str,
    /// The record's `class`.
    pub class: &'static str,
    /// All lines about it have come.
    pub told: bool,
}

/// A line in the making: its time and its text, with the process where it is sendmail's.
type Timed = (i64, usize, String);

struct Building {
    plan: Plan,
    mail: Vec<Vec<Timed>>,
    entries: Vec<Vec<Timed>>,
    truth: Vec<Truth>,
    count: usize,
    twins: bool,
}

impl Plan {
    /// The world that comes of it.
    pub fn build(&self) -> World {
        let mut building = Building {
            plan: self.clone(),
            mail: vec![Vec::new(); self.hosts.len()],
            entries: vec![Vec::new(); self.hosts.len()],
            truth: Vec::new(),
            count: 0,
            twins: false,
        };
        for (host, number) in
            (0..self.hosts.len()).flat_map(|host| (0..self.ordinary).map(move |number| (host, number)))
        {
            building.ordinary(host, number);
        }
        let mut before: Option<Origin> = None;
        let mut used = std::collections::BTreeSet::new();
        for (number, connection) in self.connections.iter().enumerate() {
            let host = connection.host % self.hosts.len();
            // Two hosts may have one id, three have not: the table of seen ids has room for two.
            let (origin, next) = match before {
                Some(origin)
                    if connection.twin
                        && self.hosts[host].shows(origin.start_ms, origin.start_ms) == origin.shown_ms
                        && used.insert((host, origin.pid)) =>
                {
                    (origin, None)
                }
                _ => {
                    let pid = 10_000 + number;
                    let shown_ms = self.hosts[host].shows(connection.start_ms, connection.start_ms);
                    let origin = Origin { start_ms: connection.start_ms, shown_ms, sequence: connection.sequence, pid };
                    (origin, Some(origin))
                }
            };
            used.insert((host, origin.pid));
            building.twins |= next.is_none();
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
    /// By the host's clock.
    shown_ms: i64,
    sequence: usize,
    pid: usize,
}

impl Origin {
    fn id(self, message: usize) -> String {
        let digit =
            |n: i64| char::from(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx"[n as usize % 60]);
        let time = Timestamp::from_millisecond(self.shown_ms).expect("a time").to_zoned(TimeZone::UTC);
        let sequence = (self.sequence + message) as i64;
        let digits = [
            i64::from(time.year()) - 1_900,
            i64::from(time.month()) - 1,
            time.day().into(),
            time.hour().into(),
            time.minute().into(),
            time.second().into(),
            sequence / 60,
            sequence,
        ];
        digits.map(digit).into_iter().collect::<String>() + &format!("{:06}", self.pid)
    }
}

const PMX: &str = "Milter (PureMessage): ";
const AGAIN: &str = "451 4.3.2 Please try again later";
const RELAY: &str = "relay.example.com [192.0.2.1]";

impl Building {
    /// A message that is delivered; what else sendmail says of one.
    fn ordinary(&mut self, host: usize, number: usize) {
        let at = 1_900 * number as i64 - 30_000;
        let setting = self.plan.hosts[host];
        let shown_ms = setting.shows(at, at);
        let origin = Origin { start_ms: at, shown_ms, sequence: 0, pid: 60_000 + 1_000 * host + number };
        let stamp = setting.stamp(shown_ms, at);
        let added = format!("{}: Milter (PureMessage) add: header: X-PMX-Version: 6.4.9", origin.id(0));
        for text in [format!("NOQUEUE: connect from {RELAY}"), added] {
            self.count += 1;
            if setting.tells_all(at) {
                let line = format!("{stamp} mx{host} sendmail[{}]: {text}", origin.pid);
                self.mail[host].push((at, self.count, line));
            }
        }
        let message = Message { fate: Fate::Delivered, sender: number % 7, stranger: None, hang_ms: 0, early: false };
        self.message(host, origin.pid, &origin.id(0), (at, at), &message);
    }

    fn connection(&mut self, host: usize, origin: Origin, messages: &[Message]) {
        let mut now = origin.start_ms;
        let mut message_number = 0;
        let mut other_filter_failed = false;
        for message in messages {
            let id = origin.id(message_number);
            let fate = if other_filter_failed { Fate::MailRefused } else { message.fate };
            self.message(host, origin.pid, &id, (origin.start_ms, now), &Message { fate, ..message.clone() });
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
    fn message(&mut self, host: usize, pid: usize, id: &str, (began, at): (i64, i64), message: &Message) {
        let setting = self.plan.hosts[host];
        let plain = format!("<s{}@example.org>", message.sender).into_bytes();
        let (address, noise) = message.stranger.clone().unwrap_or((plain, Vec::new()));
        // Only a `from=` line cuts it.
        let (from, whole) = (stranger::sender(&address), stranger::printed(&address));
        let tail = format!("proto=ESMTP, daemon=MTA, relay={RELAY}");
        let begun = format!("from={from}, size=900, class=0, nrcpts=1, msgid=<{id}@example.org>, {tail}");
        let ended = |left: u32| format!("from={from}, size=0, class=0, nrcpts={left}, {tail}");
        let sent = "to=<r@example.net>, delay=00:00:01, xdelay=00:00:00, mailer=esmtp, pri=30500, relay=s.example.net. [198.51.100.7], dsn=2.0.0, stat=Sent (ok)".to_owned();
        let later = "to=<r@example.net>, delay=00:00:03, pri=30500, stat=Please try again later".to_owned();
        let lost = format!("lost input channel from {RELAY} to MTA after rcpt");
        let failed = format!("{PMX}to error state");
        let refused = format!("Milter: data, reject={AGAIN}");
        let timeout = |stage: &str| match setting.old {
            true => format!("{PMX}timeout before data read"),
            false => format!("{PMX}timeout before data read, where={stage}"),
        };
        let function = if setting.old { "milter_read" } else { "milter_sys_read" };
        let closed = format!("{function}(PureMessage): cmd read returned 0, expecting 5");
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
                let how = format!("collect: relay=relay.example.com, from={whole}, info=unexpected close");
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
            Fate::MailRefused => (10, vec![format!("Milter: from={whole}, reject={AGAIN}")], near, "other_filter"),
            Fate::Killed => (100, vec![], near, "unexplained"),
            Fate::Suspected => (500, vec![begun, later], near, "filter_failure_suspected"),
            Fate::DataRefused => {
                let refused = "Milter: cmd=data, reject=554 5.7.1 no".to_owned();
                (
                    800,
                    vec![refused, later.replace("Please try again later", "aborted by sender"), ended(1)],
                    near,
                    "other_filter",
                )
            }
            Fate::DiscardedAtMail => {
                (10, vec![format!("Milter: from={whole}, discard"), lost, ended(0)], near, "other_filter")
            }
            Fate::Discarded => {
                let thrown_away = later.replace("Please try again later", "discarded");
                (400, vec!["Milter: to=<r@example.net>, discard".to_owned(), begun, thrown_away], near, "other_filter")
            }
            Fate::DiscardedThenLost => {
                let discard = "Milter: to=<r@example.net>, discard".to_owned();
                (400, vec![discard, lost, ended(1)], near, "peer_disconnected")
            }
            Fate::HeadersThenLost => {
                let refused = format!("ruleset=check_eoh, arg1=3, arg2=512, relay={RELAY}, reject=554 5.7.1 no");
                let closed = "collect: premature EOM: unexpected close".to_owned();
                (900, vec![refused, closed, ended(1)], near, "peer_disconnected")
            }
            Fate::OwnTrouble => {
                let trouble = format!("{PMX}select(read): Bad file descriptor");
                (3_000, vec![begun, trouble, failed, sent], hung, "mta_error")
            }
            Fate::BrokenTls => {
                let said =
                    "STARTTLS=read: error:0A0001BB:SSL routines::bad record type:ssl/record/rec_layer_s3.c:1650:";
                let left = "STARTTLS: read error=generic SSL error (-1), errno=0, get_error=error:00000000:lib(0)::reason(0), retry=99, ssl_err=1";
                (900, vec![said.to_owned(), left.to_owned(), lost, ended(1)], near, "peer_protocol_error")
            }
        };
        // What a client says, it says before sendmail ends the session.
        let mut lines: Vec<String> = lines
            .into_iter()
            .map(|line| if line.starts_with("STARTTLS") { line } else { format!("{id}: {line}") })
            .collect();
        lines.splice(0..0, noise.into_iter().map(|line| format!("{id}{line}")));
        let count = lines.len() as i64;
        for (number, line) in lines.into_iter().enumerate() {
            self.count += 1;
            let at = at + first + number as i64;
            if setting.tells_all(at) {
                let stamp = setting.stamp(setting.shows(began, at), at);
                self.mail[host].push((at, self.count, format!("{stamp} mx{host} sendmail[{pid}]: {line}")));
            }
        }
        let entry_at = at + first + to_entry;
        let told = setting.tells_all(at + first + count);
        let action = if message.fate.is_judged() { "a/eom" } else { "c/abort" };
        let size = if message.fate.has_size() { " Size=900" } else { "" };
        let to = if message.fate.has_recipient() { " t=<r@example.net>" } else { "" };
        let secs = (entry_at - at) as f64 / 1_000.0;
        self.count += 1;
        let number = self.count;
        let stamp = setting.entry_stamp(setting.shows(began, entry_at), entry_at);
        let from = String::from_utf8_lossy(&address);
        let entry = format!("{stamp} q={id} f={from}{to}{size} r=relay.example.com n={number} tm={secs:.2} a={action}");
        if message.fate != Fate::Delivered {
            let kind = if message.fate.is_judged() { "unnoticed" } else { "abort" };
            self.truth.push(Truth { entry: entry.clone(), host: format!("mx{host}"), kind, class, told });
        }
        self.entries[host].push((entry_at, number, entry));
    }

    fn world(mut self) -> World {
        let (mut streams, mut precise) = (Vec::new(), Vec::new());
        for host in 0..self.plan.hosts.len() {
            let name = format!("mx{host}");
            let mut stream = |lines: &mut Vec<Timed>| {
                lines.sort();
                let record = |(_, _, line)| serde_json::json!({ "message": line, "host": name }).to_string();
                streams.push(lines.drain(..).map(record).collect());
            };
            stream(&mut self.mail[host]);
            stream(&mut self.entries[host]);
            precise.extend([self.plan.hosts[host].is_precise(), false]);
        }
        self.truth.sort();
        let steady = self.plan.hosts.iter().all(Setting::is_steady);
        World { streams, truth: self.truth, steady, twins: self.twins, precise }
    }
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
