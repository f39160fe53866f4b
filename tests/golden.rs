//! Cases written by hand, one folder each in `tests/golden/`: `config.json` if it needs one, `input.txt`, and
//! `expected.ndjson`, which `BLESS=1` rewrites. What a case is about is asserted in its input, so that nobody blesses it
//! away.
//!
//! `input.txt` has one step in a line:
//!
//! | a line that begins with | is |
//! |---|---|
//! | `#` | a comment; the first line says what the case is about |
//! | `{` | a record |
//! | `@mail `, `@message_log ` | a line or record of which the host knows the log |
//! | `@advance MS` | time that passes on the host's clock |
//! | `@restart` | a new engine that goes on from the old one's snapshot |
//! | `@finish` | the end of the input; the last step if there is none |
//! | `@issued N` | the number of records issued since the last `@issued` |
//! | `@last KEY=VALUE & …` | members of the last record's object; `KEY=-` where there is none, `KEY~TEXT` for a part of it |
//! | anything else | a bare log line |
//!
//! `expected.ndjson` says for each line of the input what left at it: `issued`, a record; `ends`, where what came in does
//! not go on. Then come the counters that are not 0.

#![allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)] // Those rules are the core's.

mod support;

use std::fmt::Write;
use std::path::Path;

use abort_reason::{Input, Source};
use serde_json::Value;
use support::{Host, compare, config, folders, lines};

#[test]
fn every_case_gives_what_it_gave() {
    let cases = folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"));
    assert!(cases.len() >= 35, "{} cases", cases.len());
    let complaints: Vec<String> = cases
        .iter()
        .flat_map(|folder| {
            let mut case = Case::new(folder);
            let now = case.run();
            case.complaints.extend(compare(&folder.join("expected.ndjson"), &now).err());
            case.complaints
        })
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

struct Case {
    name: String,
    config: String,
    steps: Vec<String>,
    host: Host,
    /// The line of the input.
    at: usize,
    /// How many of the issued records were written, and how many were counted.
    written: usize,
    counted: usize,
    out: String,
    complaints: Vec<String>,
}

impl Case {
    fn new(folder: &Path) -> Case {
        let config_json = std::fs::read_to_string(folder.join("config.json")).unwrap_or_default();
        let host = Host::new(&config(&config_json));
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let steps = lines(&folder.join("input.txt"));
        assert!(steps.first().is_some_and(|line| line.starts_with("# ")), "{name}: what is it about?");
        Case {
            name,
            config: config_json,
            steps,
            host,
            at: 0,
            written: 0,
            counted: 0,
            out: String::new(),
            complaints: Vec::new(),
        }
    }

    /// Runs the steps; gives what left.
    fn run(&mut self) -> String {
        let steps = std::mem::take(&mut self.steps);
        let mut finished = false;
        for (at, step) in steps.iter().enumerate() {
            self.at = at + 1;
            finished = finished || step == "@finish";
            self.step(step);
            self.write();
        }
        if !finished {
            self.at = steps.len() + 1;
            self.step("@finish");
            self.write();
        }
        let mut stats: Value = serde_json::from_str(&self.host.engine.stats_json()).expect("JSON");
        if let Some(stats) = stats.as_object_mut() {
            stats.retain(|key, value| key != "bytes" && *value != 0);
        }
        let _ = writeln!(self.out, "{{\"stats\":{stats}}}");
        std::mem::take(&mut self.out)
    }

    fn step(&mut self, step: &str) {
        let (word, rest) = step.split_once(' ').unwrap_or((step, ""));
        match word {
            "" | "#" => {}
            "@mail" => self.push(Source::Mail, rest),
            "@message_log" => self.push(Source::MessageLog, rest),
            "@advance" => self.host.advance(rest.parse().expect("milliseconds")),
            "@restart" => self.host.restart(&config(&self.config)),
            "@finish" => self.host.finish(),
            "@issued" => {
                let count = self.host.issued.len() - self.counted;
                self.counted = self.host.issued.len();
                let wanted: usize = rest.parse().expect("a number");
                self.check(count == wanted, &format!("{count} records issued, not {wanted}"));
            }
            "@last" => self.last(rest),
            _ => self.push(Source::Auto, step),
        }
    }

    fn push(&mut self, source: Source, text: &str) {
        let input = if text.starts_with('{') { Input::Record(text.as_bytes()) } else { Input::Line(text.as_bytes()) };
        let disposition = self.host.push(source, input);
        if !disposition.forward && !disposition.keep {
            let _ = writeln!(self.out, "{{\"line\":{},\"ends\":true}}", self.at);
        }
    }

    /// Asserts on the object of the last record.
    fn last(&mut self, wanted: &str) {
        let record = self.host.records().pop().unwrap_or_default();
        let record: Value = serde_json::from_str(&record).unwrap_or_default();
        for want in wanted.split(" & ") {
            let at = want.find(['=', '~']).expect("KEY=VALUE");
            let (key, value) = (&want[..at], &want[at + 1..]);
            let is = match &record["abort"][key] {
                Value::Null => "-".to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let fits = if want[at..].starts_with('~') { is.contains(value) } else { is == value };
            self.check(fits, &format!("{key} is {is}, not {value}"));
        }
    }

    fn check(&mut self, holds: bool, complaint: &str) {
        if !holds {
            self.complaints.push(format!("{}, line {}: {complaint}", self.name, self.at));
        }
    }

    /// Writes what was issued since the last time.
    fn write(&mut self) {
        for record in &self.host.records()[self.written..] {
            let _ = writeln!(self.out, "{{\"line\":{},\"issued\":{record}}}", self.at);
        }
        self.written = self.host.issued.len();
    }
}
