//! How the cost grows with what a stranger can make grow: twice the input should take twice the time, and no more. Each
//! row pushes a size and the double of it through new engines, to the end.
//!
//! `cargo bench --bench growth [-- PART OF A ROW'S NAME]`

#![allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)] // Those rules are the core's.

use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use abort_reason::{Config, Engine, Input, Source};

/// Twice the input, at most so many times the time.
const MOST: f64 = 2.2;
const ROUNDS: usize = 9;
const DIGITS: &[u8; 60] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx";

/// What grows, in numbers of which, and the input of a size.
type Row = (&'static str, usize, fn(usize) -> Vec<String>);

const ROWS: [Row; 17] = [
    ("bytes of one line: an address that never ends", 100_000, |n| {
        vec![mail(1, &format!("from=<\"{}", "x".repeat(n)))]
    }),
    ("bytes of one line: quotes in an address", 100_000, |n| {
        vec![mail(1, &format!("from=<{}>, size=0", "\"\\\"".repeat(n / 3)))]
    }),
    ("bytes of one line: a ruleset's arguments", 100_000, |n| {
        vec![mail(1, &format!("ruleset=check_rcpt, arg1={}, reject=550", "<a>, arg1=".repeat(n / 10)))]
    }),
    ("bytes of one entry: quoted senders", 100_000, |n| vec![entry(1, &"f=<\"x ".repeat(n / 6), "c/abort")]),
    ("bytes of one entry: blanks and equal signs", 100_000, |n| vec![entry(1, &" a=".repeat(n / 3), "c/abort")]),
    ("recipients of one entry", 16_000, |n| vec![entry(1, &recipients(n, "t=<", ">"), "c/abort")]),
    ("recipients of one delivery", 8_000, |n| vec![mail(1, &format!("to={}, stat=Sent", recipients(n, "<", ">,")))]),
    ("members of one record", 20_000, |n| {
        let members: String = (0..n).map(|at| format!("\"k{at}\":{at},")).collect();
        vec![format!("{{{members}\"message\":\"2026-11-23T13:01:06 q={} f=<a@b> a=c/abort\"}}", id(1))]
    }),
    ("depth of one record", 20_000, |n| {
        vec![format!("{{\"x\":{}{},\"message\":\"y\"}}", "[".repeat(n), "]".repeat(n))]
    }),
    ("lines of evidence under one id", 20_000, |n| {
        (0..n).map(|at| mail(1, &format!("Milter: to=<r{at}@b>, reject=550 5.7.1 no"))).collect()
    }),
    ("refused MAILs under one id, an abort for each", 10_000, |n| {
        (0..n)
            .flat_map(|at| {
                [
                    mail(1, &format!("Milter: from=<s{at}@b>, reject=550 5.7.1 no")),
                    entry(1, &format!("f=<s{at}@b>"), "c/abort"),
                ]
            })
            .collect()
    }),
    ("aborts under one id", 10_000, |n| (0..n).map(|at| entry(1, &format!("f=<s{at}@b>"), "c/abort")).collect()),
    ("accepted messages under one id, then failures", 10_000, |n| {
        let entries = (0..n).map(|at| entry(1, &format!("f=<s{at}@b>"), "a/eom"));
        let failures = (0..n).map(|at| mail(1, &format!("Milter (f{at}): timeout before data read, where=eom")));
        entries.chain(failures).collect()
    }),
    ("hosts, up to the limit, while an abort of each waits", 500, |n| hosts(n, 20_000)),
    ("hosts beyond the limit", 4_000, |n| hosts(n, 2 * n)),
    ("queue ids, an abort for each", 20_000, |n| {
        (0..n)
            .flat_map(|at| {
                [entry(at, "f=<a@b>", "c/abort"), mail(at, "Milter (f): timeout before data read, where=eom")]
            })
            .collect()
    }),
    ("parts of lines, none of them whole", 20_000, |n| {
        (0..n).map(|at| mail(at, "[1/3] Milter (f): timeout")).collect()
    }),
];

fn main() {
    // Memory that is given back to the system and asked for again costs more than what is measured: it is kept.
    const KEPT: [&str; 2] = ["MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"];
    if KEPT.iter().any(|name| std::env::var_os(name).is_none()) {
        let program = std::env::current_exe().expect("the name of this program");
        let done = Command::new(program)
            .args(std::env::args().skip(1))
            .envs(KEPT.map(|name| (name, "33554432")))
            .status()
            .expect("this program");
        std::process::exit(done.code().unwrap_or(1));
    }
    println!("| what grows | from, to | time | ratio |\n|---|---|---|---|");
    let mut failed = false;
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    for (name, size, make) in ROWS.into_iter().filter(|(name, ..)| name.contains(&wanted)) {
        let (once, twice) = (make(size), make(2 * size));
        // The machine does other things, too: the best of three.
        let measured =
            (0..3).map(|_| [&once[..], &twice].map(best)).map(|[a, b]| (b.as_secs_f64() / a.as_secs_f64(), a, b));
        let (ratio, a, b) = measured.min_by(|(a, ..), (b, ..)| a.total_cmp(b)).expect("three");
        failed |= ratio > MOST;
        let mark = if ratio > MOST { ", more than it should" } else { "" };
        println!("| {name} | {size}, {} | {a:.2?}, {b:.2?} | {ratio:.2}{mark} |", 2 * size);
    }
    assert!(!failed, "something grows faster than {MOST} times");
}

/// The best of several rounds, more of them where one is short.
fn best(input: &[String]) -> Duration {
    let start = Instant::now();
    let mut best = Duration::MAX;
    let mut rounds = 0;
    while rounds < ROUNDS || start.elapsed() < Duration::from_millis(200) {
        best = best.min(time(input));
        rounds += 1;
    }
    best
}

fn time(input: &[String]) -> Duration {
    let mut engine = Engine::new(&Config::from_json(r#"{"filter_names":["f"]}"#).unwrap());
    engine.warm_up();
    let start = Instant::now();
    for (at, line) in input.iter().enumerate() {
        let input = if line.starts_with('{') { Input::Record(line.as_bytes()) } else { Input::Line(line.as_bytes()) };
        engine.push(Source::Auto, input, at as u64 + 1, at as u64 / 10);
        while black_box(engine.poll()).is_some() {}
        while black_box(engine.poll_released()).is_some() {}
    }
    engine.finish();
    while black_box(engine.poll()).is_some() {}
    start.elapsed()
}

fn id(number: usize) -> String {
    let digit = |n: usize| char::from(DIGITS[n % 60]);
    format!("6AND1{}{}{}{:06}", digit(number / 60_000), digit(number / 60), digit(number), 100_000 + number)
}

/// An abort for each host, and so many lines of them in turn, each later than the one before.
fn hosts(count: usize, lines: usize) -> Vec<String> {
    let aborts = (0..count).map(|at| entry(at, "f=<a@b>", "c/abort"));
    let lines = (0..lines).map(|at| {
        let (secs, ms) = (at / 1_000, at % 1_000);
        let (host, id) = (at % count, id(at % count));
        format!("2026-11-23T13:00:{secs:02}.{ms:03}Z mx{host} sendmail[14029]: {id}: Milter (f): to error state")
    });
    aborts.chain(lines).collect()
}

fn mail(number: usize, said: &str) -> String {
    format!("Nov 23 13:01:05 mx1 sendmail[{}]: {}: {said}", 100_000 + number, id(number))
}

fn entry(number: usize, fields: &str, action: &str) -> String {
    format!("2026-11-23T13:01:06 q={} {fields} tm=1.00 a={action}", id(number))
}

fn recipients(count: usize, before: &str, behind: &str) -> String {
    (0..count).map(|at| format!("{before}r{at}@example.net{behind} ")).collect()
}
