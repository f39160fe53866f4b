//! `demo`: builds, then shows the project at work on logs that a real sendmail and a filter wrote side by side.
//!
//! The two logs go as one stream of records through `abort-reason pipe`, as a log shipper would send them: through the
//! component in its sandbox. Then `abort-reason explain` reads the same files offline.

use std::cmp::Reverse;
use std::process::Command;

use serde_json::{Value, json};

use crate::dist;
use crate::fold::{fold, fold_json};
use crate::shell::{Failure, Result, Style, colours, filter, io_failure, run as run_command};
use crate::workspace::root;

const FILTER: &str = "PureMessage";
const MAILLOG: &str = "tests/corpus/mixed/maillog.iso";
const MESSAGE_LOG: &str = "tests/corpus/mixed/message_log";
/// Both logs begin a line with a time of this many characters, `2026-11-23T13:01:05`.
const TIME: usize = 19;

const NEXT: &str = "
Now with logs of your own. Copies will do, rotated and compressed ones too; nothing is sent anywhere:

  dist/abort-reason explain --filter-name NAME --maillog /var/log/maillog /opt/pmx6/var/log/message_log

NAME is what sendmail calls PureMessage: the first word of its INPUT_MAIL_FILTER line in sendmail's .mc file.
`dist/abort-reason reasons` says what the classes mean; `dist/abort-reason --help` shows what else there is.";

/// Builds, and shows.
pub(crate) fn run() -> Result<()> {
    dist::run()?;
    let text = |file: &str| std::fs::read_to_string(root().join(file)).map_err(io_failure(file));
    let records = records(&text(MAILLOG)?, &text(MESSAGE_LOG)?);
    let output = filter(&mut command("pipe"), &records.join("\n"))?;
    let enriched: Vec<(&str, Value)> = output.lines().filter_map(|line| Some((line, abort(line)?))).collect();
    if enriched.is_empty() {
        return Err(Failure::new("no abort came out of `abort-reason pipe`"));
    }
    let terminal = colours(&std::io::stdout());
    println!("{}", Style::Bold.paint("\nAborts, as they leave the pipeline", terminal));
    println!(
        "{} lines of two logs went in, {} left with a reason added. One of each class:",
        records.len(),
        enriched.len()
    );
    for (number, example) in one_of_each(&enriched).iter().enumerate() {
        print!("{}", if number == 0 { example.whole(terminal) } else { example.essence(terminal) });
    }
    println!("{}", Style::Bold.paint("\nThe same logs, offline", terminal));
    run_command(command("explain").args(["--format", "table", "--maillog", MAILLOG, MESSAGE_LOG]))?;
    println!("{NEXT}");
    Ok(())
}

/// The program that was built, with a subcommand and the filter's name.
fn command(subcommand: &str) -> Command {
    let mut command = Command::new(dist::folder().join(dist::command_name()));
    command.current_dir(root()).args([subcommand, "--filter-name", FILTER]);
    command
}

/// The two logs as one stream of records, in order of time; of one second's lines, those of the mail log first.
fn records(maillog: &str, message_log: &str) -> Vec<String> {
    let mut lines: Vec<&str> = maillog.lines().chain(message_log.lines()).collect();
    lines.sort_by_key(|line| line.get(..TIME).unwrap_or_default());
    lines.into_iter().map(|line| json!({ "message": line }).to_string()).collect()
}

/// What was added to a record, if anything was.
fn abort(line: &str) -> Option<Value> {
    let record: Value = serde_json::from_str(line).ok()?;
    record.get("abort").cloned()
}

/// The first record of each class, and how many there are of it: first what wants action, then the rest.
fn one_of_each<'a>(enriched: &'a [(&str, Value)]) -> Vec<Example<'a>> {
    let mut examples: Vec<Example> = Vec::new();
    for (line, abort) in enriched {
        match examples.iter_mut().find(|example| example.abort["class"] == abort["class"]) {
            Some(example) => example.count += 1,
            None => examples.push(Example { line, abort, count: 1 }),
        }
    }
    examples.sort_by_key(|example| {
        let urgency = match example.abort["ignorable"].as_bool() {
            Some(false) => 0,
            None => 1,
            Some(true) => 2,
        };
        (urgency, Reverse(example.count))
    });
    examples
}

/// A record to show.
struct Example<'a> {
    /// As it left the pipeline.
    line: &'a str,
    /// The object that was added.
    abort: &'a Value,
    /// Records of its class.
    count: usize,
}

impl Example<'_> {
    /// The whole record.
    fn whole(&self, terminal: bool) -> String {
        let mut text = self.headline(terminal);
        text.push_str(&fold_json(self.line));
        text.push_str(
            &Style::Faint.paint("(One line of JSON, folded here. Of the other classes, the essence:)", terminal),
        );
        text.push('\n');
        text
    }

    /// Entry, reason and advice.
    fn essence(&self, terminal: bool) -> String {
        let record: Value = serde_json::from_str(self.line).unwrap_or_default();
        let mut text = self.headline(terminal);
        let parts = [
            ("  entry   ", &record["message"]),
            ("  reason  ", &self.abort["reason"]),
            ("  advice  ", &self.abort["advice"]["text"]),
        ];
        for (name, part) in parts {
            if let Some(part) = part.as_str() {
                text.push_str(&fold(name, part));
            }
        }
        text
    }

    fn headline(&self, terminal: bool) -> String {
        let word = |name: &str| self.abort[name].as_str().unwrap_or_default().replace('_', " ");
        let action = match self.abort["ignorable"].as_bool() {
            Some(true) => "can be ignored",
            Some(false) => "wants action",
            None => "depends on what you find",
        };
        let class = Style::Bold.paint(&word("class"), terminal);
        format!("\n{class} ({}): {action}; the mail was {}\n", self.count, word("outcome"))
    }
}
