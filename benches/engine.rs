//! How many lines a second the streaming engine takes on one core, beside the limit: finding the line ends alone.
//!
//! `cargo bench --bench engine`, or over logs of your own: `cargo bench --bench engine -- MAILLOG MESSAGE_LOG`

#![allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)] // Those rules are the core's.

use std::fmt::Write;
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
    let ordinary = ordinary_lines(1);
    let many_hosts = ordinary_lines(500);
    let records = ordinary
        .lines()
        .map(|line| format!("{{\"message\":\"{line}\",\"file\":\"/var/log/maillog\"}}\n"))
        .collect::<String>();
    let entries = entries();
    println!("| input | million lines a second, one core, best of {ROUNDS} | of the limit |\n|---|---|---|");
    let limit = measure(&ordinary, |text| memchr::memchr_iter(b'\n', text).count());
    for (name, text, record) in [
        ("ordinary mail lines, bare", &ordinary, false),
        ("the same, of 500 hosts by turns", &many_hosts, false),
        ("ordinary mail lines, JSON records", &records, true),
        ("ordinary entries of message_log, bare", &entries, false),
    ] {
        let took = measure(text, |text| push_all(text, record));
        let lines = text.lines().count() as f64;
        println!(
            "| {name} | {:.1} | {:.0} % |",
            lines / took.as_secs_f64() / 1e6,
            100.0 * limit.as_secs_f64() / took.as_secs_f64()
        );
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
        while std::hint::black_box(engine.poll()).is_some() {}
        best = best.max(engine.stats().records as f64 / start.elapsed().as_secs_f64());
    }
    println!("{best:.0} lines per second");
}

fn push_all(text: &[u8], record: bool) -> usize {
    let mut engine = Engine::new(&Config::default());
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', text) {
        let line = &text[start..end];
        let input = if record { Input::Record(line) } else { Input::Line(line) };
        engine.push(Source::Auto, input, 0, 0);
        start = end + 1;
    }
    assert_eq!((engine.stats().evidence, engine.stats().unreadable), (0, 0));
    engine.stats().records as usize
}

fn measure(text: &str, mut run: impl FnMut(&[u8]) -> usize) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        assert!(std::hint::black_box(run(std::hint::black_box(text.as_bytes()))) > 0);
        best = best.min(start.elapsed());
    }
    best
}

/// What sendmail writes for a delivery at its default log level.
fn ordinary_lines(hosts: usize) -> String {
    let mut text = String::new();
    for n in 0..MESSAGES {
        let (id, pid, second) = (id(n), pid(n), n / 50 % 60);
        let host = n % hosts;
        let head = format!("Nov 20 08:{:02}:{second:02} mx{host:03} sm-mta[{pid}]: {id}: ", n / 3_000 % 60);
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

fn entries() -> String {
    (0..MESSAGES)
        .map(|n| {
            format!(
                "2026-11-20T08:{:02}:{:02} q={} f=<user{n}@example.com> t=<rcpt{n}@example.net> p=0.351 h=__HAS_MSGID h=HTML_70_90 Size=4711 r=host{n}.dyn.example.edu tm=0.80 a=a/eom\n",
                n / 3_000 % 60,
                n / 50 % 60,
                id(n)
            )
        })
        .collect()
}

fn pid(n: usize) -> usize {
    1_000 + n * 7 % 60_000
}

fn id(n: usize) -> String {
    let digit = |n: usize| char::from(DIGITS[n % 60]);
    format!("6AK8{}{}{}{}{:06}", digit(n / 216_000), digit(n / 3_600), digit(n / 60), digit(n), pid(n))
}
