//! The component's file: where it is found, and what is said where it does not serve.

use std::path::{Path, PathBuf};

use crate::failure::{Exit, Failure, Result};
use crate::sandbox::SandboxError;

/// The component's file name, where it stands beside the program.
const COMPONENT: &str = "abort_reason.component.wasm";

/// Where the component is: as told, or beside this program.
pub(crate) fn path(told: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = told {
        return Ok(path.to_path_buf());
    }
    match beside(COMPONENT) {
        Some(path) => Ok(path),
        None => Err(Failure::new(Exit::Unavailable, format!("{COMPONENT} is not beside this program"))
            .hint("Name it with --component or ABORT_REASON_COMPONENT. `cargo xtask build` puts both into dist/.")),
    }
}

/// A file that stands beside this program.
pub(crate) fn beside(name: &str) -> Option<PathBuf> {
    let path = std::env::current_exe().ok()?.parent()?.join(name);
    path.is_file().then_some(path)
}

/// Why a component does not serve, for people.
pub(crate) fn unusable(path: &Path, error: &SandboxError) -> Failure {
    let path = path.display();
    match error {
        SandboxError::Unreadable(error) => {
            Failure::new(Exit::NoInput, format!("cannot read the component {path}: {error}"))
                .hint("Name abort_reason.component.wasm with --component; `cargo xtask build` puts it into dist/.")
        }
        SandboxError::Unfit(_) => Failure::new(Exit::Data, format!("{path}: {error}"))
            .hint("Name abort_reason.component.wasm with --component, not one of the modules for other hosts."),
        SandboxError::Unavailable(_) => {
            Failure::new(Exit::Unavailable, error.to_string()).hint("`abort-reason explain` works without WebAssembly.")
        }
        SandboxError::Refused(_) => Failure::new(Exit::Config, format!("{path} refuses the configuration: {error}"))
            .hint("Are this program and the component of the same version?"),
        SandboxError::TimedOut(_) | SandboxError::Trapped(_) => {
            Failure::new(Exit::Unavailable, format!("{path} does not start: {error}")).hint(
                "Take the component that came with this program; a memory limit that is too low shows like this, too.",
            )
        }
    }
}
