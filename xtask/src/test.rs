//! `test`: the whole test suite, with what it needs built first.
//!
//! With cargo-nextest, which runs tests side by side, or with `cargo test`: the tests are the same. Either way the
//! documentation's examples run, and the totals stand at the end.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::component;
use crate::debian;
use crate::dist;
use crate::fluent_bit::Profile;
use crate::javascript;
use crate::shell::{Failure, Result, announce, heading, io_failure, run as run_command, say, succeeds, warn};
use crate::toolchain::Toolchain;
use crate::web;
use crate::workspace::{cargo, target};

/// Builds what the tests look at.
pub(crate) fn prepare() -> Result<()> {
    let toolchain = Toolchain::find()?;
    dist::component(&toolchain)?;
    component::build_example(&toolchain)?;
    dist::fluent_bit(&toolchain, Profile::Dev)?;
    javascript::pack(&javascript::build(&toolchain)?, &target()?.join("npm-packed"))?;
    find_hosts();
    // The tests of the page say so where it is missing.
    if let Err(failure) = web::site(&toolchain) {
        warn(&format!("SKIPPED: the page can't be built, nor the report tested: {failure}"));
    }
    Ok(())
}

/// Runs the tests; `args` go to the test runner.
pub(crate) fn run(args: &[&str]) -> Result<()> {
    prepare()?;
    if succeeds(cargo("nextest").arg("--version")) {
        if args.is_empty() {
            heading("The documentation's examples");
            run_command(cargo("test").args(["--locked", "--workspace", "--doc"]))?;
        }
        heading("The tests");
        return run_command(cargo("nextest").args(["run", "--locked", "--workspace", "--no-fail-fast"]).args(args));
    }
    heading("The tests");
    say("cargo-nextest is not there: `cargo test` runs the same tests, one program after the other.");
    let totals = count(cargo("test").args(["--locked", "--workspace", "--no-fail-fast"]).args(args))?;
    println!("\n{} passed, {} failed, {} skipped", totals.passed, totals.failed, totals.ignored);
    if totals.success { Ok(()) } else { Err(Failure::new("the tests failed")) }
}

/// The programs that tests drive beside the project, installed where that is possible. The tests that miss one say so.
fn find_hosts() {
    if std::env::var_os("CHROMIUM").is_none() && !succeeds(Command::new("chromium").arg("--version")) {
        debian::install("A browser for the report's tests", &["chromium"]);
    }
    if !succeeds(Command::new("promtool").arg("--version")) {
        debian::install("promtool for the alert rules' tests", &["prometheus"]);
        let _ = succeeds(Command::new("systemctl").args(["disable", "--now", "prometheus"]));
    }
    if std::env::var_os("NATS_SERVER").is_none() && !succeeds(Command::new("nats-server").arg("--version")) {
        debian::install("A cluster for the bridge's tests", &["nats-server"]);
        // Debian starts it at once; the tests start their own. No harm where there is no systemd.
        let _ = succeeds(Command::new("systemctl").args(["disable", "--now", "nats-server"]));
    }
}

/// What all test programs of one run did.
#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    passed: u64,
    failed: u64,
    ignored: u64,
    success: bool,
}

impl Totals {
    /// Counts in the closing line of one test program:
    /// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s`
    fn add(&mut self, line: &str) {
        let Some((_, result)) = line.trim_start().strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for part in result.split("; ") {
            let (count, what) = part.split_once(' ').unwrap_or_default();
            let count: u64 = count.parse().unwrap_or_default();
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => {}
            }
        }
    }
}

/// Runs `cargo test`, passes on what it says, and adds up what its programs did.
fn count(command: &mut Command) -> Result<Totals> {
    announce(command);
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(io_failure("cargo test"))?;
    let mut totals = Totals::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.map_err(io_failure("cargo test"))?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            totals.add(&line);
        }
    }
    totals.success = child.wait().map_err(io_failure("cargo test"))?.success();
    Ok(totals)
}

#[cfg(test)]
mod tests {
    use super::Totals;

    #[test]
    fn closing_lines_add_up() {
        let mut totals = Totals::default();
        totals.add("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s");
        totals.add("test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured; 9 filtered out; finished in 1.01s");
        totals.add("test engine::tests::result ... ok");
        assert_eq!(totals, Totals { passed: 5, failed: 4, ignored: 1, success: false });
    }
}
