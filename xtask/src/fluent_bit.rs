//! The module for Fluent Bit: built, then set up by `abort-reason configure`, so that it begins with its tables ready.

use std::path::PathBuf;
use std::process::Command;

use crate::shell::{Result, heading, run as run_command, say};
use crate::toolchain::Toolchain;
use crate::workspace::{cargo, shown, target};

/// The module's file name, wherever it lies.
pub(crate) const FILE: &str = "abort_reason_fluent_bit.wasm";

/// With which command a module is set up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// The one that a user gets.
    Release,
    /// The one that the tests build anyway.
    Dev,
}

/// Builds the module, sets it up, and gives the file it is in.
pub(crate) fn build(toolchain: &Toolchain, profile: Profile) -> Result<PathBuf> {
    heading("The module for Fluent Bit");
    let module = toolchain.build("abort-reason-fluent-bit", None)?.join(FILE);
    let file = target()?.join(FILE);
    run_command(configure(profile).arg("--module").arg(&module).arg("--output").arg(&file))?;
    let size = std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
    say(&format!("{}: {} KiB", shown(&file), size.div_ceil(1024)));
    Ok(file)
}

fn configure(profile: Profile) -> Command {
    let mut command = cargo("run");
    command.args(["--locked", "--quiet", "--package", "abort-reason-host"]);
    if profile == Profile::Release {
        command.arg("--release");
    }
    command.args(["--", "configure", "--face", "fluent-bit"]);
    command
}
