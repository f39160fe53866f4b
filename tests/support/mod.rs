//! What the integration tests share: the corpus, the order of two logs, a host around the engine, and the verdicts on
//! its records.

// Each test program uses a part of this. The rules against files and output are the core's, not its tests'.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::disallowed_methods, clippy::disallowed_macros)]

pub mod anything;
pub mod judge;
pub mod model;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use abort_reason::{Config, Disposition, Engine, Input, Output, Source, Stats, peek};
use serde::Deserialize;
use serde_json::Value;

/// The forms in which the corpus has its mail log.
pub const FORMS: [&str; 3] = ["bsd", "iso", "rfc5424"];

/// What stands in `F=` of a filter: what sendmail does where it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum F {
    Empty,
    Tempfail,
    Reject,
    Close,
}

/// One folder of the corpus.
pub struct Scenario {
    pub name: String,
    pub folder: PathBuf,
    pub message_log: Vec<String>,
    pub truth: Vec<Value>,
}

/// In which order two logs arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By time, each log in its own order.
    Merged,
    MailFirst,
    EntriesFirst,
}

impl Scenario {
    /// Its mail log in one of [`FORMS`].
    pub fn maillog(&self, form: &str) -> Vec<String> {
        lines(&self.folder.join(format!("maillog.{form}")))
    }
}

/// All scenarios, by name.
pub fn scenarios() -> Vec<Scenario> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut list: Vec<Scenario> = folders(&corpus)
        .into_iter()
        .map(|folder| Scenario {
            name: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            message_log: lines(&folder.join("message_log")),
            truth: lines(&folder.join("truth.jsonl"))
                .iter()
                .map(|line| serde_json::from_str(line).expect("truth is JSON"))
                .collect(),
            folder,
        })
        .collect();
    assert!(!list.is_empty(), "the corpus is missing: {}", corpus.display());
    list.sort_by(|a, b| a.name.cmp(&b.name));
    list
}

/// The folders in a folder, by name.
pub fn folders(folder: &Path) -> Vec<PathBuf> {
    let read = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut list: Vec<PathBuf> =
        read.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir()).collect();
    list.sort();
    list
}

pub fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(str::to_owned).collect()
}

/// Compares with a file, or rewrites it where `BLESS` is set. Gives what is wrong.
pub fn compare(path: &Path, now: &str) -> Result<(), String> {
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, now).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        return Ok(());
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    if expected == now {
        return Ok(());
    }
    let at = expected.lines().zip(now.lines()).take_while(|(a, b)| a == b).count();
    let [old, new] = [&*expected, now].map(|text| text.lines().nth(at).unwrap_or("nothing"));
    let same = old.chars().zip(new.chars()).take_while(|(a, b)| a == b).count();
    let around = |text: &str| text.chars().skip(same.saturating_sub(60)).take(200).collect::<String>();
    let (path, line) = (path.display(), at + 1);
    Err(format!("{path} differs at line {line}; BLESS=1 rewrites it\n  was …{}\n  now …{}", around(old), around(new)))
}

/// The lines of both logs in an order, each with the host's clock at its arrival: the time of a live host for
/// [`Order::Merged`], or else a clock that stands still.
pub fn arrange<'a>(mail: &'a [String], entries: &'a [String], order: Order) -> Vec<(&'a str, u64)> {
    let stopped = |lines: &'a [String]| lines.iter().map(|line| (line.as_str(), 0));
    match order {
        Order::MailFirst => stopped(mail).chain(stopped(entries)).collect(),
        Order::EntriesFirst => stopped(entries).chain(stopped(mail)).collect(),
        Order::Merged => {
            let (mail, entries) = (timed(mail), timed(entries));
            let (mut mail, mut entries) = (mail.into_iter().peekable(), entries.into_iter().peekable());
            let mut merged = Vec::new();
            let mut clock = 0;
            while let Some((line, at)) = match (mail.peek(), entries.peek()) {
                (Some((_, mail_at)), Some((_, entry_at))) if mail_at <= entry_at => mail.next(),
                (_, Some(_)) => entries.next(),
                _ => mail.next(),
            } {
                clock = clock.max(at.max(0) as u64);
                merged.push((line, clock));
            }
            merged
        }
    }
}

/// Lines with their times; one without has that of the line before it.
fn timed(lines: &[String]) -> Vec<(&str, i64)> {
    let mut last = None;
    lines
        .iter()
        .map(|line| {
            last = peek(line.as_bytes(), last).and_then(|seen| seen.time).or(last);
            (line.as_str(), last.unwrap_or(0))
        })
        .collect()
}

/// A line as the record that a shipper makes of it.
pub fn record(line: &str) -> String {
    serde_json::json!({ "message": line }).to_string()
}

/// A record, of which only the object is looked at: the others may be as deep as they like.
#[derive(Deserialize)]
struct Issued {
    abort: Option<Value>,
}

/// A host around an engine: keeps account of every record and ticket, and checks the engine's promises at every step.
pub struct Host {
    pub engine: Engine,
    /// What the engine issued.
    pub issued: Vec<Output>,
    /// Tickets that the engine keeps.
    pub kept: BTreeSet<u64>,
    ticket: u64,
    pub now: u64,
    limits: abort_reason::Limits,
    /// The id and revision of everything issued.
    revisions: BTreeMap<String, u64>,
    /// Whether an entry that is no abort may be issued anew: an engine with tiny limits forgets what it has issued.
    pub forgets: bool,
}

impl Host {
    pub fn new(config: &Config) -> Host {
        Host {
            engine: Engine::new(config),
            issued: Vec::new(),
            kept: BTreeSet::new(),
            ticket: 0,
            now: 0,
            limits: config.limits,
            revisions: BTreeMap::new(),
            forgets: false,
        }
    }

    pub fn line(&mut self, line: &str) -> Disposition {
        self.push(Source::Auto, Input::Line(line.as_bytes()))
    }

    pub fn push(&mut self, source: Source, input: Input<'_>) -> Disposition {
        self.ticket += 1;
        let disposition = self.engine.push(source, input, self.ticket, self.now);
        if disposition.keep {
            assert!(self.kept.insert(self.ticket));
        }
        self.drain();
        disposition
    }

    pub fn advance(&mut self, ms: u64) {
        self.now += ms;
        self.engine.advance(self.now);
        self.drain();
    }

    pub fn finish(&mut self) {
        self.engine.finish();
        self.drain();
        assert_eq!(self.engine.stats().held, 0, "held after the end");
        assert_eq!(self.kept, BTreeSet::new(), "tickets that never came back");
    }

    /// Goes on with another engine that knows only the snapshot.
    pub fn restart(&mut self, config: &Config) {
        let snapshot = self.engine.snapshot();
        self.engine = Engine::new(config);
        self.engine.restore(&snapshot).expect("its own snapshot");
        assert_eq!(self.engine.snapshot(), snapshot, "what came back is not what was stored");
    }

    fn drain(&mut self) {
        while let Some(output) = self.engine.poll() {
            let issued: Issued = serde_json::from_slice(&output.data).expect("a JSON object");
            if let Some(abort) = issued.abort.as_ref().filter(|abort| abort.is_object()) {
                let id = text(abort, "id").to_owned();
                let revision = abort["revision"].as_u64().expect("a revision");
                let before = self.revisions.insert(id, revision);
                let forgotten = self.forgets && text(abort, "kind") != "abort";
                assert!(before.is_none_or(|before| before < revision || forgotten), "twice: {abort}");
            }
            assert!(output.ticket == 0 || self.kept.contains(&output.ticket), "whose ticket is {}?", output.ticket);
            self.issued.push(output);
        }
        while let Some(ticket) = self.engine.poll_released() {
            assert!(self.kept.remove(&ticket), "ticket {ticket} was given back and not kept");
        }
        check(self.engine.stats(), &self.limits);
    }

    pub fn records(&self) -> Vec<String> {
        self.issued.iter().map(|output| String::from_utf8(output.data.clone()).expect("UTF-8")).collect()
    }
}

/// What holds for the counters after every step.
fn check(stats: &Stats, limits: &abort_reason::Limits) {
    let Stats { records, mail_lines, entries, other, unreadable, .. } = *stats;
    assert_eq!(records, mail_lines + entries + other + unreadable, "{stats:?}");
    let most = limits.join_bytes + limits.passed_bytes;
    assert!(stats.bytes <= most as u64, "{} bytes of {most}", stats.bytes);
    assert!(stats.aborts + stats.duplicates <= entries, "{stats:?}");
    assert!(stats.evidence + stats.crowded_out <= mail_lines, "{stats:?}");
    assert!(stats.enriched_before <= other, "{stats:?}");
    assert!(stats.held <= stats.aborts + entries + mail_lines, "{stats:?}");
}

/// Runs lines through an engine to the end: bare, or as records.
pub fn run(config: &Config, lines: &[(&str, u64)], as_records: bool) -> Host {
    let mut host = Host::new(config);
    for (line, now) in lines {
        host.now = *now;
        if as_records {
            host.push(Source::Auto, Input::Record(record(line).as_bytes()));
        } else {
            host.line(line);
        }
    }
    host.finish();
    host
}

/// The last revision of each record's object, in the order in which they were first issued.
pub fn last_revisions<'a>(records: impl IntoIterator<Item = &'a String>) -> Vec<Value> {
    let mut list: Vec<Value> = Vec::new();
    for record in records {
        let mut record: Value = serde_json::from_str(record).expect("a JSON object");
        let abort = record["abort"].take();
        if abort.is_null() {
            continue;
        }
        match list.iter_mut().find(|known| known["id"] == abort["id"]) {
            Some(known) => *known = abort,
            None => list.push(abort),
        }
    }
    list
}

/// A member that is a string, or nothing.
pub fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

pub fn config(json: &str) -> Config {
    Config::from_json(json).expect("a configuration")
}
