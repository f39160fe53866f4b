//! `build`: what a user takes away, in `dist/`.
//!
//! One function makes one thing and says where it put it: a further module or package is a further line in [`run`].

use std::path::{Path, PathBuf};

use crate::component;
use crate::fluent_bit::{self, Profile};
use crate::javascript;
use crate::shell::{Result, heading, run as run_command, say};
use crate::toolchain::Toolchain;
use crate::workspace::{cargo, copy, root, shown, target};

/// Builds everything and puts it into `dist/`.
pub(crate) fn run() -> Result<()> {
    let toolchain = Toolchain::find()?;
    let mut made = vec![component(&toolchain)?, command()?, fluent_bit(&toolchain, Profile::Release)?];
    made.extend(javascript::pack(&javascript::build(&toolchain)?, &folder())?);
    heading("Done");
    for file in made {
        let size = std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
        say(&format!("{:44} {:6.1} MiB", shown(&file), size as f64 / f64::from(1 << 20)));
    }
    Ok(())
}

/// The folder of what a user takes away.
pub(crate) fn folder() -> PathBuf {
    root().join("dist")
}

/// Builds the component and lays a copy beside each place where cargo puts the command, which looks for it there.
pub(crate) fn component(toolchain: &Toolchain) -> Result<PathBuf> {
    lay_out(&component::build(toolchain)?, component::FILE)
}

/// Builds the module for Fluent Bit and lays copies where the component's are.
pub(crate) fn fluent_bit(toolchain: &Toolchain, profile: Profile) -> Result<PathBuf> {
    lay_out(&fluent_bit::build(toolchain, profile)?, fluent_bit::FILE)
}

/// Copies what was built beside the command's places, and to where a user takes it from.
fn lay_out(built: &Path, name: &str) -> Result<PathBuf> {
    let beside: [&Path; 2] = ["release".as_ref(), "debug".as_ref()];
    for folder in beside {
        copy(built, &target()?.join(folder).join(name))?;
    }
    let file = folder().join(name);
    copy(built, &file)?;
    Ok(file)
}

/// Builds the command `abort-reason`.
pub(crate) fn command() -> Result<PathBuf> {
    heading("The command");
    run_command(cargo("build").args(["--locked", "--release", "--package", "abort-reason-host"]))?;
    let name = command_name();
    let file = folder().join(&name);
    copy(&target()?.join("release").join(&name), &file)?;
    Ok(file)
}

/// The command's file name.
pub(crate) fn command_name() -> String {
    format!("abort-reason{}", std::env::consts::EXE_SUFFIX)
}
