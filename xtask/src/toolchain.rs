//! Finds a way to build for WebAssembly, installs it where that is possible, and says which way it took.
//!
//! In this order:
//!
//! 1. the compiler at work has the target's standard library;
//! 2. rustup is there, and adds the target to the toolchain at work;
//! 3. Debian's packages: a second compiler with the standard library's source, which cargo builds along;
//! 4. nothing: what to install is said, and the task ends with exit code 69.
//!
//! `ABORT_REASON_WASM_TOOLCHAIN` restricts the choice to the first two ways (`rustup`) or to the third (`debian`).

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::debian;
use crate::shell::{Failure, Result, read, run, say, succeeds, warn};
use crate::workspace::{cargo, forget_this_task, root, target};

const TARGET: &str = "wasm32-unknown-unknown";
const CHOICE: &str = "ABORT_REASON_WASM_TOOLCHAIN";
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-19"];

/// A compiler that can build for `wasm32-unknown-unknown`.
pub(crate) enum Toolchain {
    /// The one that builds everything else, too.
    Active,
    /// Debian's, which brings the standard library as source.
    Debian {
        /// What links the module, by name or path.
        linker: PathBuf,
    },
}

impl Toolchain {
    /// Finds one, installs one, or says what to install.
    pub(crate) fn find() -> Result<Toolchain> {
        let choice = std::env::var(CHOICE).unwrap_or_default();
        let (rustup, debian) = match choice.as_str() {
            "" => (true, true),
            "rustup" => (true, false),
            "debian" => (false, true),
            other => return Err(Failure::usage(format!("{CHOICE}={other}: allowed are `rustup` and `debian`"))),
        };
        if rustup && let Some(found) = active() {
            return Ok(found);
        }
        if debian && let Some(found) = from_debian() {
            return Ok(found);
        }
        Err(Failure::unavailable(format!(
            "There is no way to build for {TARGET} here. One of these brings it:\n  \
             rustup:      rustup target add {TARGET}\n  \
             Debian 12:   sudo apt-get install {}\n  \
             elsewhere:   your distribution's package with Rust's standard library for {TARGET}\n\
             Then call the task again.",
            DEBIAN_PACKAGES.join(" ")
        )))
    }

    /// Builds a package for WebAssembly, with the profile `wasm`; gives the folder that holds the modules. `features` are
    /// those of the machine beyond what every host of modules has, such as `+simd128`.
    pub(crate) fn build(&self, package: &str, features: Option<&str>) -> Result<PathBuf> {
        let (mut command, folder) = match self {
            Toolchain::Active => (cargo("build"), target()?),
            Toolchain::Debian { linker } => debian_cargo(linker)?,
        };
        // Builds with other flags in one folder would undo each other's work.
        let folder = features.map_or(folder.clone(), |features| folder.join(features.trim_start_matches('+')));
        command.env("CARGO_TARGET_DIR", &folder);
        command.args(["--locked", "--package", package, "--profile", "wasm", "--target", TARGET]);
        // Whatever flags the caller's environment holds are meant for the machine, not for the module.
        let features = features.map(|features| format!("\u{1f}-Ctarget-feature={features}")).unwrap_or_default();
        command.env("CARGO_ENCODED_RUSTFLAGS", portable_paths() + &features);
        run(&mut command)?;
        Ok(folder.join(TARGET).join("wasm"))
    }
}

/// Ways 1 and 2.
fn active() -> Option<Toolchain> {
    if has_target() {
        say(&format!("WebAssembly: the compiler at work has the target {TARGET}."));
        return Some(Toolchain::Active);
    }
    if !succeeds(Command::new("rustup").arg("--version")) {
        return None;
    }
    say(&format!("WebAssembly: adding the target {TARGET} to rustup's toolchain."));
    if let Err(failure) = run(Command::new("rustup").args(["target", "add", TARGET]).current_dir(root())) {
        warn(&format!("{failure}; going on without it"));
    }
    has_target().then_some(Toolchain::Active)
}

/// Whether the compiler at work has a standard library for the target.
fn has_target() -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let print = ["--print", "target-libdir", "--target", TARGET];
    let Ok(folder) = read(Command::new(rustc).args(print).current_dir(root())) else { return false };
    std::fs::read_dir(folder.trim()).is_ok_and(|files| {
        files.flatten().any(|file| {
            let name = file.file_name();
            let name = name.to_string_lossy();
            name.starts_with("libstd-") && name.ends_with(".rlib")
        })
    })
}

/// Way 3.
fn from_debian() -> Option<Toolchain> {
    let found = installed_in_debian().or_else(|| {
        debian::install("WebAssembly", &DEBIAN_PACKAGES);
        installed_in_debian()
    })?;
    say("WebAssembly: Debian's compiler builds the standard library for it from source.");
    Some(found)
}

/// Debian's compiler, if it is complete and new enough.
fn installed_in_debian() -> Option<Toolchain> {
    let complete = [debian_bin("rustc"), debian_bin("cargo"), "/usr/lib/rustlib/src/rust/library/Cargo.lock".into()];
    if !complete.iter().all(|file| Path::new(file).exists()) {
        return None;
    }
    let version = read(Command::new(debian_bin("rustc")).arg("--version").env_remove("LD_LIBRARY_PATH")).ok()?;
    let version = version.split(' ').nth(1)?;
    if numbers(version) < numbers(env!("CARGO_PKG_RUST_VERSION")) {
        warn(&format!("Debian's rustc is {version}; {} or newer is needed", env!("CARGO_PKG_RUST_VERSION")));
        return None;
    }
    let mut linkers: Vec<String> = (19..=29).rev().map(|version| format!("wasm-ld-{version}")).collect();
    linkers.insert(0, "wasm-ld".into());
    let linker = linkers.iter().map(|name| PathBuf::from(debian_bin(name))).find(|file| file.exists())?;
    Some(Toolchain::Debian { linker })
}

/// Debian's cargo, told to build the standard library too, and its own target directory: two compilers in one rebuild
/// each other's work.
fn debian_cargo(linker: &Path) -> Result<(Command, PathBuf)> {
    let folder = target()?.join("debian");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(PathBuf::from("/usr/bin")).chain(std::env::split_paths(&path));
    let path = std::env::join_paths(path).map_err(|error| Failure::new(format!("PATH: {error}")))?;
    let mut command = Command::new(debian_bin("cargo"));
    forget_this_task(&mut command);
    command.current_dir(root()).arg("build").arg("-Zbuild-std=std,panic_abort");
    // What belongs to the compiler at work must not reach this one.
    for name in ["CARGO", "RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH", "RUSTC_WRAPPER"] {
        command.env_remove(name);
    }
    command.env("PATH", path).env("CARGO_TARGET_DIR", &folder);
    command.env("RUSTC", debian_bin("rustc")).env("RUSTDOC", debian_bin("rustdoc"));
    // `-Zbuild-std` is for nightly compilers by name only: the source is that of this very compiler.
    command.env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
    Ok((command, folder))
}

/// Flags that keep the builder's folders out of the module: the same source gives the same bytes everywhere.
fn portable_paths() -> String {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let cargo_home = std::env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    let root = root().canonicalize().unwrap_or_else(|_| root().into());
    // Separated as cargo wants it, so that a blank in a path does no harm.
    format!(
        "--remap-path-prefix={}=/cargo\u{1f}--remap-path-prefix={}=/abort-reason",
        cargo_home.display(),
        root.display()
    )
}

fn debian_bin(name: &str) -> String {
    format!("/usr/bin/{name}")
}

/// The numbers of a version, to compare.
fn numbers(version: &str) -> Vec<u32> {
    version.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn versions_compare_by_number() {
        assert!(numbers("1.100.0") > numbers("1.96"));
        assert!(numbers("1.95.0") >= numbers("1.95"));
        assert!(numbers("1.85.0") < numbers("1.95"));
        assert!(numbers("1.96.0-nightly") >= numbers("1.96"));
    }
}
