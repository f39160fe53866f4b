//! Checks by tools that cargo does not bring: cargo-deny and cargo-machete, installed into the target directory at a
//! pinned version where they are not there.

use std::process::Command;

use super::Verdict;
use crate::shell::{Result, run, say};
use crate::workspace::{cargo, root, target};

const DENY: (&str, &str) = ("cargo-deny", "0.20.2");
const MACHETE: (&str, &str) = ("cargo-machete", "0.9.2");

/// Dependencies that no source file names.
pub(crate) fn machete() -> Result<()> {
    run(tool(MACHETE)?.arg("--skip-target-dir").arg("."))
}

/// Some of cargo-deny's checks, as `deny.toml` says.
pub(crate) fn deny(which: &[&str]) -> Result<()> {
    run(tool(DENY)?.args(["--locked", "--log-level", "warn", "check", "--hide-inclusion-graph"]).args(which))
}

/// Known vulnerabilities of dependencies. The data is fetched anew each time, and can't be had everywhere.
pub(crate) fn advisories() -> Verdict {
    let fetched = tool(DENY).and_then(|mut tool| run(tool.args(["--log-level", "error", "fetch", "db"])));
    if let Err(failure) = fetched {
        return Verdict::Skipped(format!("the advisory data can't be had here ({failure})"));
    }
    tool(DENY).and_then(|mut tool| run(tool.args(["--offline", "--locked", "check", "advisories"]))).into()
}

/// A tool: the one of the system if it is of the pinned version, otherwise our own.
fn tool((name, version): (&str, &str)) -> Result<Command> {
    let folder = target()?.join("tools");
    let own = folder.join("bin").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let fits = |program: &mut Command| {
        program.arg("--version").output().is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(version))
    };
    let program = if fits(&mut Command::new(name)) {
        name.into()
    } else {
        if !fits(&mut Command::new(&own)) {
            say(&format!("Installing {name} {version} into the target directory: it takes a minute or two."));
            let mut install = cargo("install");
            // Unoptimised: it is built more often than it runs.
            install.args(["--locked", "--debug", "--quiet", name, "--version", version]);
            run(install.arg("--root").arg(&folder).arg("--target-dir").arg(folder.join("build")))?;
        }
        own
    };
    let mut command = Command::new(program);
    command.current_dir(root());
    Ok(command)
}
