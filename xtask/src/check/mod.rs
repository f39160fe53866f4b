//! `check`: everything that can be told without running the tests.
//!
//! Every check runs, also behind one that failed; the list at the end says what became of each. A check that can't run
//! here is skipped loudly and fails nothing.

mod circles;
mod invariants;
mod tools;

use std::process::Command;
use std::time::Instant;

use crate::dist;
use crate::shell::{Failure, Result, Style, colours, heading, io_failure, read, run as run_command, seconds, warn};
use crate::toolchain::Toolchain;
use crate::web;
use crate::workspace::{cargo, root};

/// What became of a check.
enum Verdict {
    Passed,
    /// Why it could not run.
    Skipped(String),
    Failed(String),
}

impl From<Result<()>> for Verdict {
    fn from(result: Result<()>) -> Verdict {
        match result {
            Ok(()) => Verdict::Passed,
            Err(failure) => Verdict::Failed(failure.to_string()),
        }
    }
}

type Check = (&'static str, fn() -> Verdict);

/// Cheap ones first.
const CHECKS: &[Check] = &[
    ("format", || formatted().into()),
    ("no file of the core is too long", || invariants::short_files().into()),
    ("no circle between files of the core", || circles::no_circles().into()),
    ("the core has no clock, files, environment, exports", || invariants::pure_sources().into()),
    ("the core's dependency tree", || invariants::dependency_tree().into()),
    ("lints", || lints().into()),
    ("documentation", || documentation().into()),
    ("the component imports nothing", || component().into()),
    ("docs/reasons.md is up to date", || reasons_page().into()),
    ("web/bundled is up to date", bundled),
    ("unused dependencies", || tools::machete().into()),
    ("licences, bans, sources of dependencies", || tools::deny(&["licenses", "bans", "sources"]).into()),
    ("security advisories", tools::advisories),
];

/// Runs all checks.
pub(crate) fn run() -> Result<()> {
    let mut lines = Vec::new();
    let mut failed = 0;
    let mut skipped = 0;
    for (name, check) in CHECKS {
        heading(name);
        let start = Instant::now();
        let verdict = check();
        let time = seconds(start.elapsed());
        let (word, why, style) = match verdict {
            Verdict::Passed => ("ok", String::new(), Style::Plain),
            Verdict::Skipped(why) => {
                skipped += 1;
                ("SKIPPED", why, Style::Warning)
            }
            Verdict::Failed(why) => {
                failed += 1;
                ("FAILED", why, Style::Warning)
            }
        };
        if !why.is_empty() {
            warn(&format!("{name}: {word}: {why}"));
        }
        lines.push((style, format!("{word:8} {name} ({time})")));
    }
    heading("The checks");
    let terminal = colours(&std::io::stdout());
    for (style, line) in lines {
        println!("{}", style.paint(&line, terminal));
    }
    if skipped > 0 {
        println!("{skipped} skipped: look above for why");
    }
    if failed > 0 { Err(Failure::new(format!("{failed} of {} checks failed", CHECKS.len()))) } else { Ok(()) }
}

fn formatted() -> Result<()> {
    // Only the files' names: `cargo fmt` puts the rest right.
    run_command(cargo("fmt").args(["--all", "--", "--check", "--files-with-diff"]))
        .map_err(|_| Failure::new("`cargo fmt` would change the files above"))
}

fn lints() -> Result<()> {
    run_command(cargo("clippy").args(["--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))
}

fn documentation() -> Result<()> {
    run_command(cargo("doc").args(["--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-Dwarnings"))
}

fn component() -> Result<()> {
    // Building it looks at it.
    dist::component(&Toolchain::find()?).map(|_| ())
}

/// What `explain --format html` is made of.
fn bundled() -> Verdict {
    match web::up_to_date() {
        Ok(Some(true)) => Verdict::Passed,
        Ok(Some(false)) => Verdict::Failed("web/bundled/ is not what web/ gives: run `cargo xtask web`".to_owned()),
        Ok(None) => Verdict::Skipped("Node and npm are needed to bundle it again".to_owned()),
        Err(failure) => Verdict::Failed(failure.to_string()),
    }
}

/// The reference page is what the command prints; `BLESS=1` writes it.
fn reasons_page() -> Result<()> {
    let page = root().join("docs/reasons.md");
    let printed = read(abort_reason().args(["reasons", "--format", "markdown"]))?;
    if std::env::var_os("BLESS").is_some() {
        return std::fs::write(&page, printed).map_err(io_failure("docs/reasons.md"));
    }
    let written = std::fs::read_to_string(&page).map_err(io_failure("docs/reasons.md"))?;
    if written == printed {
        Ok(())
    } else {
        Err(Failure::new(
            "it differs from `abort-reason reasons --format markdown`; BLESS=1 cargo xtask check rewrites it",
        ))
    }
}

/// The command, as the tests build it.
fn abort_reason() -> Command {
    let mut command = cargo("run");
    command.args(["--locked", "--quiet", "--package", "abort-reason-host", "--bin", "abort-reason", "--"]);
    command
}
