//! What a browser shows: the report and the page of `web/`, bundled by esbuild from pinned packages.
//!
//! The bundled report is kept in the repository, so that `cargo build` needs no Node; `check` tells when it is out of date.

use std::path::PathBuf;
use std::process::Command;

use crate::dist;
use crate::javascript;
use crate::shell::{Failure, Result, heading, io_failure, run as run_command, say, succeeds};
use crate::toolchain::Toolchain;
use crate::workspace::{root, shown, target};

/// What `explain --format html` is made of.
const REPORT: &str = "web/bundled/report.html";

/// `web`: bundles the report anew.
pub(crate) fn run() -> Result<()> {
    needed()?;
    bundle(&["report"])
}

/// `site`: the page, in one file, with its module and an example.
pub(crate) fn site(toolchain: &Toolchain) -> Result<PathBuf> {
    needed()?;
    heading("The page");
    let module = toolchain.build("abort-reason-page", Some("+simd128"))?.join("abort_reason_page.wasm");
    let glue = target()?.join("page");
    javascript::bind(&module, &glue)?;
    let file = dist::folder().join("site/index.html");
    bundle(&["page", &file.to_string_lossy(), &glue.to_string_lossy()])?;
    say(&format!("{}: put it on any web server, or open it as it is", shown(&file)));
    Ok(file)
}

/// The packages, or what to do.
fn needed() -> Result<()> {
    if install()? { Ok(()) } else { Err(Failure::unavailable("npm is missing: install Node 20 or newer")) }
}

/// Whether the report in the repository is what its source gives; `None`, and said, where that can't be told.
pub(crate) fn up_to_date() -> Result<Option<bool>> {
    if !install()? {
        return Ok(None);
    }
    let file = root().join(REPORT);
    let kept = std::fs::read(&file).map_err(io_failure(REPORT))?;
    bundle(&["report"])?;
    let made = std::fs::read(&file).map_err(io_failure(REPORT))?;
    if kept != made && std::env::var_os("BLESS").is_none() {
        std::fs::write(&file, &kept).map_err(io_failure(REPORT))?;
        return Ok(Some(false));
    }
    Ok(Some(true))
}

/// Installs the packages that `web/package-lock.json` pins, where npm is there; false, and said, where it is not.
fn install() -> Result<bool> {
    let folder = root().join("web");
    let npm = |arguments: &[&str]| {
        let mut command = Command::new("npm");
        command.args(arguments).current_dir(&folder);
        command
    };
    if !succeeds(&mut npm(&["--version"])) {
        say("SKIPPED: no npm, so what a browser shows is neither bundled nor tested");
        return Ok(false);
    }
    let lock = |path: PathBuf| path.metadata().and_then(|metadata| metadata.modified()).ok();
    let installed = lock(folder.join("node_modules/.package-lock.json"));
    if installed.is_none() || installed < lock(folder.join("package-lock.json")) {
        run_command(&mut npm(&["ci", "--silent", "--no-audit", "--no-fund"]))?;
    }
    Ok(true)
}

fn bundle(arguments: &[&str]) -> Result<()> {
    run_command(Command::new("node").arg("bundle.mjs").args(arguments).current_dir(root().join("web")))
}
