//! How many lines a second the streaming engine takes on one core, beside the limit: counting the line ends alone.
//!
//! `cargo bench --bench engine`, or over logs of your own: `cargo bench --bench engine -- MAILLOG MESSAGE_LOG`

#![allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)] // Those rules are the core's.

use std::fmt::Write;
use std::hint::black_box;
use std::ops::Range;
use std::time::{Duration, Instant};

use abort_reason::{Config, Engine, Input, Source};

const MESSAGES: usize = 200_000;
const ROUNDS: usize = 7;
const DIGITS: &[u8; 60] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx";

fn main() {
    let files: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if let [mail, entries] = &files[..] {
        return over_files(mail, entries);
    }
    let ordinary = Log::of(|messages| ordinary_lines(1, messages));
    let many_hosts = Log::of(|messages| ordinary_lines(500, messages));
    let entries = Log::of(entries);
    let records = Log::of(|messages| {
        let lines = ordinary_lines(1, messages);
        lines.lines().map(|line| format!("{{\"message\":\"{line}\",\"file\":\"/var/log/maillog\"}}\n")).collect()
    });
    println!(
        "| input | million lines a second, one core, best of {ROUNDS} | the limit | of the limit |\n|---|---|---|---|"
    );
    ordinary.print("ordinary mail lines, bare", false);
    many_hosts.print("the same, of 500 hosts by turns", false);
    records.print("ordinary mail lines, JSON records", true);
    entries.print("ordinary entries of message_log, bare", false);
    let new = Log { before: String::new(), ..ordinary };
    new.print("ordinary mail lines, bare, by an engine that was just made", false);
}

/// What is measured, and what an engine has taken before: enough to fill its rings, as in a shipper that has run for a
/// while. A new one asks the system for pages of memory meanwhile.
struct Log {
    before: String,
    text: String,
}

impl Log {
    fn of(text: impl Fn(Range<usize>) -> String) -> Log {
        Log { before: text(0..MESSAGES), text: text(MESSAGES..2 * MESSAGES) }
    }

    /// The engine and the limit by turns, over the same text.
    fn print(&self, name: &str, record: bool) {
        let (mut took, mut limit) = (Duration::MAX, Duration::MAX);
        let lines = self.text.lines().count();
        for _ in 0..ROUNDS {
            let mut engine = Engine::new(&Config::default());
            push_all(&mut engine, &self.before, record);
            let before = *engine.stats();
            took = took.min(time(|| push_all(&mut engine, &self.text, record)));
            limit = limit
                .min(time(|| assert_eq!(memchr::memchr_iter(b'\n', black_box(self.text.as_bytes())).count(), lines)));
            let stats = engine.stats();
            assert_eq!((stats.unread - before.unread) as usize, lines, "each is told at a glance");
            assert_eq!((stats.evidence, stats.unreadable), (0, 0));
        }
        let millions = |took: Duration| lines as f64 / took.as_secs_f64() / 1e6;
        let share = 100.0 * limit.as_secs_f64() / took.as_secs_f64();
        println!("| {name} | {:.1} | {:.0} | {share:.0} % |", millions(took), millions(limit));
    }
}

/// The best of five, printed as `faces/js/test/bench.mjs` prints it, so that the two can be compared.
fn over_files(mail: &str, entries: &str) {
    let logs = [(Source::Mail, mail), (Source::MessageLog, entries)]
        .map(|(source, file)| (source, std::fs::read(file).unwrap_or_else(|error| panic!("{file}: {error}"))));
    let config = Config::from_json(r#"{"filter_names":["PureMessage"]}"#).unwrap();
    let mut best = 0.0f64;
    for _ in 0..5 {
        let mut engine = Engine::new(&config);
        let start = Instant::now();
        for (source, log) in &logs {
            log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).for_each(|line| {
                engine.push(*source, Input::Line(line), 0, 0);
            });
        }
        engine.finish();
        while black_box(engine.poll()).is_some() {}
        best = best.max(engine.stats().records as f64 / start.elapsed().as_secs_f64());
    }
    println!("{best:.0} lines per second");
}

fn push_all(engine: &mut Engine, text: &str, record: bool) {
    let (text, mut start) = (black_box(text.as_bytes()), 0);
    for end in memchr::memchr_iter(b'\n', text) {
        let line = &text[start..end];
        let input = if record { Input::Record(line) } else { Input::Line(line) };
        engine.push(Source::Auto, input, 0, 0);
        start = end + 1;
    }
}

fn time(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

/// What sendmail writes for a delivery at its default log level.
fn ordinary_lines(hosts: usize, messages: Range<usize>) -> String {
    let mut text = String::new();
    for n in messages {
        let (id, pid, host) = (id(n), pid(n), n % hosts);
        let head = format!("Nov 20 {} mx{host:03} sm-mta[{pid}]: {id}: ", clock(n));
        let _ = writeln!(
            text,
            "{head}from=<user{n}@example.com>, size=4711, class=0, nrcpts=1, msgid=<{n}@mail.example.org>, proto=ESMTP, daemon=MTA, relay=host{n}.dyn.example.edu [203.0.113.7]"
        );
        let _ = writeln!(
            text,
            "{head}Milter (PureMessage) add: header: X-PMX-Version: 6.4.9.2830568, Antispam-Engine: 2.7.2.2107409, Antispam-Data: 2026.11.20.75115"
        );
        let _ = writeln!(
            text,
            "{head}to=<rcpt{n}@example.net>, delay=00:00:01, xdelay=00:00:00, mailer=esmtp, pri=30500, relay=store.example.net. [198.51.100.7], dsn=2.0.0, stat=Sent ({id} Message accepted for delivery)"
        );
    }
    text
}

fn entries(messages: Range<usize>) -> String {
    messages
        .map(|n| {
            format!(
                "2026-11-20T{} q={} f=<user{n}@example.com> t=<rcpt{n}@example.net> p=0.351 h=__HAS_MSGID h=HTML_70_90 Size=4711 r=host{n}.dyn.example.edu tm=0.80 a=a/eom\n",
                clock(n),
                id(n)
            )
        })
        .collect()
}

/// Fifty messages a second.
fn clock(n: usize) -> String {
    format!("{:02}:{:02}:{:02}", 8 + n / 180_000, n / 3_000 % 60, n / 50 % 60)
}

fn pid(n: usize) -> usize {
    1_000 + n * 7 % 60_000
}

fn id(n: usize) -> String {
    let digit = |n: usize| char::from(DIGITS[n % 60]);
    format!("6AK8{}{}{}{}{:06}", digit(n / 216_000), digit(n / 3_600), digit(n / 60), digit(n), pid(n))
}
