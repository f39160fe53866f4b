//! `bench`: takes the figures of `BENCHMARKS.md` anew and writes its tables, ours beside those of others in the same run.
//!
//! | module | what it is for |
//! |---|---|
//! | [`measure`] | what a run costs, and several programs by turns |
//! | [`logs`] | the logs that all of them read, and which aborts got their reason |
//! | [`compare`] | programs that read the same logs, as a table |
//! | [`document`] | the tables in `BENCHMARKS.md` |
//! | [`files`] | the table of what reads files: `explain`, ripgrep, SEC, syslog-ng |
//! | [`fluent_bit`] | the table of Fluent Bit: the module, and the join by hand |
//! | [`vector`] | the table of Vector: the bridge, and the join by hand |
//! | [`growth`] | the tables of time and memory for more lines, hosts, queue ids |

mod compare;
mod document;
mod files;
mod fluent_bit;
mod growth;
mod logs;
mod measure;
mod vector;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::dist;
use crate::shell::{Failure, Result, heading, io_failure, read, run as run_command, succeeds, warn};
use crate::workspace::{cargo, target};

const USAGE: &str = "\
usage: cargo xtask bench [--rounds N] [--messages N] [TABLE...]

Tables: engine, hostile, files, growth, fluent-bit, vector; all of them without a name. Each replaces the one that stands in
BENCHMARKS.md. The machine should have nothing else to do.";

/// A log shipper is done when it has not worked for so long: an abort may wait for its reason, and is told then.
const QUIET: Duration = Duration::from_secs(20);

/// What to measure with.
pub(crate) struct Bench {
    /// How often each program runs.
    rounds: usize,
    /// Messages in the logs that all of them read.
    messages: u64,
    /// Where logs and results are.
    folder: PathBuf,
    /// `abort-reason`, as it is released.
    ours: PathBuf,
}

/// A table: its lines, the header's two among them.
type Table = Vec<String>;

/// Makes a table; none where a program is missing.
type Measure = fn(&Bench) -> Result<Option<Table>>;

/// Measures what is asked for.
pub(crate) fn run(args: &[&str]) -> Result<()> {
    let (mut rounds, mut messages, mut names) = (3, 250_000, Vec::new());
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|value| value.parse::<u64>().ok()).filter(|value| *value > 0);
        match *arg {
            "--rounds" => rounds = number().ok_or_else(|| Failure::usage(USAGE))? as usize,
            "--messages" => messages = number().ok_or_else(|| Failure::usage(USAGE))?,
            name if TABLES.iter().any(|(table, _)| *table == name) => names.push(name),
            _ => return Err(Failure::usage(USAGE)),
        }
    }
    let folder = target()?.join("bench");
    std::fs::create_dir_all(&folder).map_err(io_failure(folder.display()))?;
    run_command(cargo("build").args(["--locked", "--release", "--package", "abort-reason-host"]))?;
    run_command(cargo("build").args(["--locked", "--release", "--example", "traffic"]))?;
    let ours = target()?.join("release").join(dist::command_name());
    let bench = Bench { rounds, messages, folder, ours };
    for (name, table) in TABLES.iter().filter(|(name, _)| names.is_empty() || names.contains(name)) {
        heading(&format!("The table `{name}`"));
        match table(&bench)? {
            Some(lines) => document::write(name, &lines)?,
            None => warn(&format!("SKIPPED: the table `{name}` stays as it is")),
        }
    }
    Ok(())
}

/// The tables, by the names that they have in `BENCHMARKS.md`.
const TABLES: [(&str, Measure); 6] = [
    ("engine", |_| printed("engine").map(Some)),
    ("hostile", |_| printed("growth").map(Some)),
    ("files", |bench| files::table(bench).map(Some)),
    ("growth", |bench| growth::table(bench).map(Some)),
    ("fluent-bit", fluent_bit::table),
    ("vector", vector::table),
];

/// The program that an environment variable names, or one on `PATH`.
fn program(variable: &str, name: &str) -> Option<OsString> {
    let program = std::env::var_os(variable).unwrap_or_else(|| name.into());
    if succeeds(Command::new(&program).arg("--version")) {
        return Some(program);
    }
    warn(&format!("{name} is not there: set {variable} to measure with it"));
    None
}

/// The table that one of the core's benches prints.
fn printed(bench: &str) -> Result<Table> {
    let text = read(cargo("bench").args(["--locked", "--package", "abort-reason", "--bench", bench]))?;
    let table: Table = text.lines().filter(|line| line.starts_with('|')).map(str::to_owned).collect();
    if table.len() > 2 { Ok(table) } else { Err(Failure::new(format!("the bench `{bench}` printed no table"))) }
}
