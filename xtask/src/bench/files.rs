//! What reads files: `explain`; ripgrep, which only counts lines with one of a few words, as the limit; SEC and syslog-ng.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::logs::{Logs, of_record};
use super::measure::{Contender, End};
use super::{Bench, Table, compare};
use crate::debian;
use crate::shell::{Failure, Result, read, succeeds, warn};
use crate::workspace::root;

/// What ripgrep counts: a few words, or all that `explain` compares lines with.
const WORDS: [&str; 4] = ["a=c/abort", "to error state", "lost input channel", "info=read timeout"];

/// syslog-ng's groups are told when they are 30 s old.
const GROUPS: Duration = Duration::from_secs(40);

pub(super) fn table(bench: &Bench) -> Result<Table> {
    let options = ["--messages".into(), bench.messages.to_string()];
    let logs = Logs::new(bench.folder.join("files"), &options)?;
    let both = logs.both()?;
    let mut contenders = vec![explain(bench, &logs)];
    if is_there("rg", "ripgrep") {
        let words = WORDS.map(str::to_owned).to_vec();
        contenders.push(ripgrep("`rg -c -F`, four words, the files mapped", "--mmap", words.clone(), &logs));
        contenders.push(ripgrep("`rg -c -F`, four words, the files read", "--no-mmap", words, &logs));
        let all = beginnings(bench)?;
        let name = format!("`rg -c -F`, the {} beginnings of the table of reasons, the files read", all.len());
        contenders.push(ripgrep(&name, "--no-mmap", all, &logs));
    }
    if is_there("sec", "sec") {
        contenders.push(sec(both));
    }
    if is_there("syslog-ng", "syslog-ng-core") {
        contenders.push(syslog_ng(&logs)?);
    }
    compare::table(bench, "files", &format!("over {} messages", bench.messages), &logs, &contenders)
}

/// Whether a program is there, installed from a package where that is possible.
fn is_there(program: &str, package: &str) -> bool {
    let runs = || succeeds(Command::new(program).arg("--version"));
    if !runs() {
        debian::install("To measure against", &[package]);
    }
    let is_there = runs();
    if !is_there {
        warn(&format!("{program} is not there: it is left out"));
    }
    is_there
}

/// `explain` over both logs.
pub(super) fn explain(bench: &Bench, logs: &Logs) -> Contender {
    let (ours, mail, entries) = (bench.ours.clone(), logs.mail(), logs.entries());
    Contender::new("`explain`", End::Itself, move || {
        let mut command = Command::new(&ours);
        command.args(["explain", "--filter-name", "PureMessage", "--format", "ndjson", "--maillog"]);
        command.args([&mail, &entries]);
        command
    })
    .finds(of_record)
}

/// How the texts of the table's rules begin, up to the first field, where they stand in a line: behind the queue id.
fn beginnings(bench: &Bench) -> Result<Vec<String>> {
    let table = read(Command::new(&bench.ours).args(["reasons", "--format", "json"]))?;
    let table: Vec<serde_json::Value> = serde_json::from_str(&table)
        .map_err(|error| Failure::new(format!("the table of reasons is no JSON: {error}")))?;
    let starts = table.iter().filter_map(|rule| rule["start"].as_str()?.split('{').next());
    // A lone bracket stands in nearly every line.
    let mut all: Vec<String> = starts.filter(|start| start.len() > 1).map(|start| format!(": {start}")).collect();
    all.push("a=c/abort".to_owned());
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

fn ripgrep(name: &str, how: &'static str, words: Vec<String>, logs: &Logs) -> Contender {
    let files = [logs.mail(), logs.entries()];
    Contender::new(name, End::Itself, move || {
        let mut command = Command::new("rg");
        command.args(["--no-config", "-c", "-F", how]).args(words.iter().flat_map(|word| ["-e", word])).args(&files);
        command
    })
}

fn sec(both: PathBuf) -> Contender {
    Contender::new("SEC", End::Itself, move || {
        let mut command = Command::new("sec");
        command.arg(format!("--conf={}", root().join("benches/peers/sec.conf").display()));
        command.arg(format!("--input={}", both.display()));
        command.args(["--notail", "--nointevents", "--log=/dev/null"]);
        command
    })
    .finds(of_words)
}

fn syslog_ng(logs: &Logs) -> Result<Contender> {
    let config = logs.peer("syslog-ng.conf")?;
    let folder = logs.folder.clone();
    let file = move |name: &str| folder.join(format!("syslog-ng.{name}"));
    let out = file("out");
    let contender = Contender::new("syslog-ng", End::Quiet(GROUPS), move || {
        // What it has written, and where it has read to: it begins again each time.
        for name in ["out", "persist"] {
            let _ = std::fs::remove_file(file(name));
        }
        let mut command = Command::new("syslog-ng");
        command.args(["--foreground", "--no-caps", "--cfgfile"]).arg(&config);
        command.arg("--persist-file").arg(file("persist")).arg("--pidfile").arg(file("pid"));
        command.arg("--control").arg(file("ctl"));
        command
    });
    Ok(contender.finds(of_words).into_file(out))
}

/// Queue id of `QUEUE-ID a reason`, as SEC and syslog-ng are told to write it: no class, and perhaps no reason.
fn of_words(line: &str) -> Option<(String, Option<String>)> {
    let line = line.trim_start_matches("- ");
    let (id, reason) = line.split_once(' ')?;
    let reason = reason.replace("a=c/abort", "").replace([' ', '"', ','], "");
    (!reason.is_empty() && reason != "unexplained").then(|| (id.into(), None))
}

#[cfg(test)]
mod tests {
    use super::of_words;

    #[test]
    fn only_a_reason_counts() {
        for (line, has_reason) in [
            ("- 6AK8011G001532 Milter (PureMessage): timeout before data read, where=eom", true),
            ("- 6AK8011G001532 unexplained", false),
            ("6AK8011G001532 a=c/abort,a=c/abort \"\",\"\"", false),
            ("6AK8032g002134 \"\",a=c/abort \"lost input channel from x to MTA after rcpt\",\"\"", true),
        ] {
            assert_eq!(of_words(line).is_some(), has_reason, "{line}");
        }
    }
}
