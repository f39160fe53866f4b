//! Where things are, and the cargo that every task calls.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{Failure, Result, io_failure, read};

/// The workspace's root.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> Result<PathBuf> {
    let metadata = read(cargo("metadata").args(["--locked", "--no-deps", "--format-version", "1"]))?;
    let metadata: serde_json::Value =
        serde_json::from_str(&metadata).map_err(|error| Failure::new(format!("cargo metadata: {error}")))?;
    let target = metadata["target_directory"]
        .as_str()
        .ok_or_else(|| Failure::new("cargo metadata names no target directory"))?;
    Ok(target.into())
}

/// The cargo that runs this task, for one of its subcommands.
pub(crate) fn cargo(subcommand: &str) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    forget_this_task(&mut command);
    command.current_dir(root()).arg(subcommand);
    command
}

/// Takes out of a command's environment what `cargo run` set for this task: build scripts that read it would be run
/// again.
pub(crate) fn forget_this_task(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
}

/// Copies a file, making its folder.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    let folder = to.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(io_failure(folder.display()))?;
    // Replaced, not written into: the old file may be running.
    let new = folder.join(format!(".{}.new", to.file_name().unwrap_or_default().display()));
    std::fs::copy(from, &new).map_err(io_failure(format_args!("{} to {}", from.display(), new.display())))?;
    std::fs::rename(&new, to).map_err(io_failure(to.display()))
}

/// A path as a person in the workspace's root would type it.
pub(crate) fn shown(path: &Path) -> String {
    let root = root().canonicalize().unwrap_or_default();
    let path = path.canonicalize().unwrap_or_else(|_| path.into());
    path.strip_prefix(&root).unwrap_or(&path).display().to_string()
}
