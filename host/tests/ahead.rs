//! `configure --aot`: with a compiler that is a script, for what goes wrong; and with the real one, where `WAMRC` or `PATH`
//! has it, up to a Fluent Bit that loads what was compiled.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    clippy::disallowed_types,
    reason = "runs a program over files"
)]

mod common;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Folder, host_program, program, run};

/// The project's module, set up.
fn module() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/abort_reason_fluent_bit.wasm");
    assert!(path.exists(), "{} is missing: `cargo xtask test` builds it", path.display());
    path
}

fn configure(folder: &Folder) -> Command {
    let mut command = program();
    // No compiler and no Fluent Bit but those that a test names.
    command.env("PATH", "/usr/bin:/bin").env_remove("WAMRC").args(["configure", "--face", "fluent-bit", "--aot"]);
    command.arg("--module").arg(module()).arg("--output").arg(folder.path("made.aot"));
    command
}

/// A program that is a script.
fn script(folder: &Folder, name: &str, lines: &str) -> PathBuf {
    let path = folder.file(name, format!("#!/bin/sh\n{lines}\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// The arguments end in `-o OUTPUT INPUT`.
const COMPILES: &str = r#"for last; do out=$before; before=$last; done; printf '\0aot\5\0\0\0 made' > "$out""#;

#[test]
fn what_is_missing_or_wrong_is_said_and_nothing_is_left() {
    let folder = Folder::new();
    let compiles = script(&folder, "compiles", COMPILES);
    let fails = script(&folder, "fails", "echo 'no such feature: v9' >&2; exit 3");
    let silent = script(&folder, "silent", "exit 0");
    let cannot = script(&folder, "cannot", "echo 'error while loading shared libraries: libpq.so.5' >&2; exit 127");
    let refuses = script(&folder, "refuses", "echo '[error] [filter:wasm] unknown binary version' >&2; exit 1");
    let nowhere = folder.path("nowhere");
    let cases = [
        (None, None, 69, "there is no wamrc"),
        (Some(&nowhere), None, 69, "cannot run"),
        (Some(&fails), None, 70, "no such feature: v9"),
        (Some(&silent), None, 70, "failed"),
        (Some(&compiles), Some(&refuses), 69, "unknown binary version"),
        (Some(&compiles), Some(&cannot), 69, "can't be tried (exit status: 127)"),
        (Some(&compiles), Some(&cannot), 69, "libpq.so.5"),
    ];
    for (wamrc, fluent_bit, code, said) in cases {
        let mut command = configure(&folder);
        for (flag, program) in [("--wamrc", wamrc), ("--fluent-bit", fluent_bit)] {
            command.args(program.map(|program| [OsStr::new(flag), program.as_os_str()]).into_iter().flatten());
        }
        run(&mut command).failed(code, &[said]);
        assert!(!folder.path("made.aot").exists(), "{said}");
    }
}

/// An empty variable names no compiler, and is no reason to refuse anything else.
#[test]
fn an_empty_variable_is_none() {
    let folder = Folder::new();
    run(configure(&folder).env("WAMRC", "")).failed(69, &["there is no wamrc"]);
    let mut plain = program();
    plain.env("WAMRC", "").args(["configure", "--face", "fluent-bit", "--module"]).arg(module());
    run(plain.arg("--output").arg(folder.path("made.wasm"))).ok();
}

/// A module is configured as often as one likes, and keeps all that hosts look for.
#[test]
fn a_module_is_configured_again_and_again() {
    let folder = Folder::new();
    let made = [module(), folder.path("first.wasm"), folder.path("second.wasm")];
    for two in made.windows(2) {
        let mut plain = program();
        plain.args(["configure", "--face", "fluent-bit", "--module"]).arg(&two[0]).arg("--output").arg(&two[1]);
        run(&mut plain).ok();
    }
    for file in made {
        let module = fs::read(&file).unwrap();
        // In the section of exports: the length of the name, the name, and what has it, a function or a global value.
        let has = |export: &str, kind: u8| {
            let entry = [&[export.len() as u8], export.as_bytes(), &[kind]].concat();
            module.windows(entry.len()).any(|bytes| bytes == entry)
        };
        for export in ["_initialize", "abort_reason"] {
            assert!(has(export, 0), "{export} in {}", file.display());
        }
        // With one of these Fluent Bit would not put its heap behind the module's memory.
        for (export, kind) in [("malloc", 0), ("free", 0), ("__heap_base", 3), ("__data_end", 3)] {
            assert!(!has(export, kind), "{export} in {}", file.display());
        }
    }
}

/// A signal ends what was started, with all that it started in turn, and leaves nothing behind.
#[test]
fn a_signal_takes_everything_along() {
    let folder = Folder::new();
    let hangs = script(&folder, "hangs", "echo $$ > pids; sleep 300 & echo $! >> pids; wait");
    let temporary = folder.path("tmp");
    fs::create_dir(&temporary).unwrap();
    let mut command = configure(&folder);
    command.env("TMPDIR", &temporary).current_dir(folder.path("")).arg("--wamrc").arg(hangs);
    let mut child = command.spawn().unwrap();
    let pids = || fs::read_to_string(folder.path("pids")).unwrap_or_default();
    let wait = |holds: &dyn Fn() -> bool| {
        (0..600).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            holds()
        })
    };
    assert!(wait(&|| pids().lines().count() == 2), "the compiler was not started");
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    child.wait().unwrap();
    let is_gone = |pid: &str| {
        // What has ended and was not waited for is gone, too.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    };
    assert!(wait(&|| pids().lines().all(is_gone)), "{}", pids());
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
    assert!(!folder.path("made.aot").exists());
}

#[test]
fn what_is_not_tried_is_said() {
    let folder = Folder::new();
    let compiles = script(&folder, "compiles", COMPILES);
    let other = if cfg!(target_arch = "aarch64") { "x86_64" } else { "aarch64" };
    let ran = run(configure(&folder).args(["--target", other, "--wamrc"]).arg(&compiles)).ok();
    assert!(ran.stderr.contains("not tried: it is not for this machine. Its format is version 5"), "{ran:?}");
    let made = folder.path("made.aot");
    assert!(fs::read(&made).unwrap().ends_with(b" made"));
    // What is compiled can't be set up again.
    let show = ["configure", "--face", "fluent-bit", "--show"];
    run(program().args(show).arg(&made)).failed(65, &["compiled already", "that it was made of"]);
}

#[test]
fn by_the_real_compiler_for_a_real_fluent_bit() {
    let (Some(wamrc), Some(fluent_bit)) = (host_program("WAMRC", "wamrc"), host_program("FLUENT_BIT", "fluent-bit"))
    else {
        eprintln!(
            "\n!! SKIPPED: no wamrc or no fluent-bit on PATH, by WAMRC or by FLUENT_BIT. Nothing was compiled.\n"
        );
        return;
    };
    let folder = Folder::new();
    let ran = run(configure(&folder).arg("--wamrc").arg(wamrc).arg("--fluent-bit").arg(fluent_bit)).ok();
    assert_eq!(ran.stderr, "", "tried, and well");
}
