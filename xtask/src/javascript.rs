//! The npm package: the module of `faces/js/`, its JavaScript and types by wasm-bindgen, and what is written by hand.

use std::path::{Path, PathBuf};
use std::process::Command;

use wasm_bindgen_cli_support::Bindgen;

use crate::shell::{Failure, Result, heading, io_failure, read, say};
use crate::toolchain::Toolchain;
use crate::workspace::{copy, root, shown, target};

/// The name of the packed package.
pub(crate) const FILE: &str = concat!("abort-reason-", env!("CARGO_PKG_VERSION"), ".tgz");

/// Builds the package as a folder, `target/npm/`, and gives that.
pub(crate) fn build(toolchain: &Toolchain) -> Result<PathBuf> {
    heading("The package for JavaScript");
    let module = toolchain.build("abort-reason-js", Some("+simd128"))?.join("abort_reason_js.wasm");
    let folder = target()?.join("npm");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(io_failure(folder.display()))?;
    }
    bind(&module, &folder)?;
    copy_all(&root().join("faces/js/package"), &folder)?;
    for name in ["LICENSE-MIT", "LICENSE-APACHE"] {
        copy(&root().join(name), &folder.join(name))?;
    }
    // What the module is built from, so that who has it can look.
    for (from, to) in [("src", "source/src"), ("faces/js/src", "source/faces/js/src")] {
        copy_all(&root().join(from), &folder.join(to))?;
    }
    for name in ["Cargo.toml", "Cargo.lock", "faces/js/Cargo.toml"] {
        copy(&root().join(name), &folder.join("source").join(name))?;
    }
    let manifest = folder.join("package.json");
    let text = std::fs::read_to_string(&manifest).map_err(io_failure(manifest.display()))?;
    let text = text.replace("\"version\": \"0.0.0\"", concat!("\"version\": \"", env!("CARGO_PKG_VERSION"), "\""));
    std::fs::write(&manifest, text).map_err(io_failure(manifest.display()))?;
    say(&format!("{}: a package of version {}", shown(&folder), env!("CARGO_PKG_VERSION")));
    Ok(folder)
}

/// Packs it as npm does, into `folder`; `None`, and said, where there is no npm.
pub(crate) fn pack(package: &Path, folder: &Path) -> Result<Option<PathBuf>> {
    std::fs::create_dir_all(folder).map_err(io_failure(folder.display()))?;
    let mut npm = Command::new("npm");
    npm.args(["pack", "--silent", "--ignore-scripts", "--pack-destination"]).arg(folder).current_dir(package);
    match read(&mut npm) {
        Ok(_) => Ok(Some(folder.join(FILE))),
        Err(failure) => {
            say(&format!("SKIPPED: the package is not packed, npm is missing or fails: {failure}"));
            Ok(None)
        }
    }
}

/// JavaScript and types for a module. The tool refuses a module of another version of wasm-bindgen, and says so.
pub(crate) fn bind(module: &Path, folder: &Path) -> Result<()> {
    let bound = Bindgen::new()
        .input_path(module)
        .out_name("abort_reason")
        // A host that says nothing finds the module beside its JavaScript.
        .omit_default_module_path(false)
        .web(true)
        .and_then(|bindgen| bindgen.typescript(true).generate(folder));
    bound.map_err(|error| Failure::new(format!("wasm-bindgen: {error:#}")))
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from).map_err(io_failure(from.display()))?.flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_all(&from, &to)?;
        } else {
            copy(&from, &to)?;
        }
    }
    Ok(())
}
