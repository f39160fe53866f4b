//! What reads files: `explain`; ripgrep, which only counts lines with one of a few words, as the limit; SEC and syslog-ng.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::logs::{Logs, of_record};
use super::measure::{Contender, Cost, End, by_turns, range, ratio};
use super::{Bench, Table};
use crate::debian;
use crate::shell::{Result, io_failure, succeeds, warn};
use crate::workspace::root;

/// What ripgrep counts.
const WORDS: [&str; 4] = ["a=c/abort", "to error state", "lost input channel", "info=read timeout"];

/// syslog-ng's groups are told when they are 30 s old.
const GROUPS: Duration = Duration::from_secs(40);

pub(super) fn table(bench: &Bench) -> Result<Table> {
    let options = ["--messages".into(), bench.messages.to_string()];
    let logs = Logs::new(bench.folder.join("files"), &options)?;
    install(&[("rg", "ripgrep"), ("sec", "sec"), ("syslog-ng", "syslog-ng-core")]);
    let both = logs.both()?;
    let mut contenders = vec![explain(bench, &logs)];
    if succeeds(Command::new("rg").arg("--version")) {
        contenders.push(ripgrep("`rg -c -F`, the files mapped", "--mmap", &logs));
        contenders.push(ripgrep("`rg -c -F`, the files read", "--no-mmap", &logs));
    }
    if succeeds(Command::new("sec").arg("--version")) {
        contenders.push(sec(both));
    }
    if succeeds(Command::new("syslog-ng").arg("--version")) {
        contenders.push(syslog_ng(&logs.folder)?);
    }
    let output = |place: usize| bench.folder.join(format!("files.{place}"));
    let costs = by_turns(bench.rounds, &contenders, output)?;
    let mut table = vec![
        format!("| over {} messages | CPU | of `explain` | memory | aborts with a reason |", bench.messages),
        "|---|---|---|---|---|".to_owned(),
    ];
    for (place, contender) in contenders.iter().enumerate() {
        let found = match contender.name.as_str() {
            name if name.starts_with("`explain`") => logs.score(&output(place), of_record)?,
            "SEC" => logs.score(&output(place), of_words)?,
            "syslog-ng" => logs.score(&logs.folder.join("syslog-ng.out"), of_words)?,
            _ => String::new(),
        };
        table.push(row(&contender.name, &costs[place], &costs[0], &found));
    }
    Ok(table)
}

/// `| name | CPU | ratio | memory | aborts |`
pub(super) fn row(name: &str, costs: &[Cost], of: &[Cost], found: &str) -> String {
    format!(
        "| {name} | {} | {:.2} | {} | {found} |",
        range(costs, |cost| cost.cpu, "s"),
        ratio(costs, of),
        range(costs, |cost| cost.memory, "MiB"),
    )
}

/// Installs what is missing, where that is possible.
pub(super) fn install(programs: &[(&str, &str)]) {
    for (program, package) in programs {
        if !succeeds(Command::new(program).arg("--version")) {
            debian::install("To measure against", &[package]);
        }
        if !succeeds(Command::new(program).arg("--version")) {
            warn(&format!("{program} is not there: it is left out"));
        }
    }
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
}

fn ripgrep(name: &str, how: &'static str, logs: &Logs) -> Contender {
    let files = [logs.mail(), logs.entries()];
    Contender::new(name, End::Itself, move || {
        let mut command = Command::new("rg");
        command.args(["--no-config", "-c", "-F", how]).args(WORDS.iter().flat_map(|word| ["-e", word])).args(&files);
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
}

fn syslog_ng(folder: &Path) -> Result<Contender> {
    let config = peer("syslog-ng.conf", folder)?;
    let folder = folder.to_owned();
    Ok(Contender::new("syslog-ng", End::Quiet(GROUPS), move || {
        let _ = std::fs::remove_file(folder.join("syslog-ng.out"));
        let file = |name: &str| folder.join(format!("syslog-ng.{name}"));
        // Where it has read to: it begins again each time.
        let _ = std::fs::remove_file(file("persist"));
        let mut command = Command::new("syslog-ng");
        command.args(["--foreground", "--no-caps", "--cfgfile"]).arg(&config);
        command.arg("--persist-file").arg(file("persist")).arg("--pidfile").arg(file("pid"));
        command.arg("--control").arg(file("ctl"));
        command
    }))
}

/// A peer's configuration, for the folder that it reads from.
pub(super) fn peer(name: &str, folder: &Path) -> Result<PathBuf> {
    let text = std::fs::read_to_string(root().join("benches/peers").join(name)).map_err(io_failure(name))?;
    let file = folder.join(name);
    let text = text.replace("@FOLDER@", &folder.display().to_string());
    std::fs::write(&file, text).map_err(io_failure(file.display()))?;
    Ok(file)
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
