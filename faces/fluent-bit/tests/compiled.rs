//! The module compiled ahead of time, in a real Fluent Bit with the configuration that is shipped: the same aborts and
//! classes, also over kills, and records longer than the heap that Fluent Bit would have without `wasm_heap_size`.
//!
//! Where there is no Fluent Bit or no compiler for it, the test says that it was skipped.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "runs programs over files"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use running::{Running, classes, fluent_bit, native, wait};

mod host;
mod running;

/// The module, compiled into a folder; none where there is no compiler.
fn compiled(fluent_bit: &Path, folder: &Path) -> Option<PathBuf> {
    let named = std::env::var_os("WAMRC").filter(|name| !name.is_empty());
    let on_path =
        || std::env::split_paths(&std::env::var_os("PATH")?).map(|at| at.join("wamrc")).find(|at| at.is_file());
    let Some(compiler) = named.map(PathBuf::from).or_else(on_path) else {
        eprintln!("\n!! SKIPPED: no wamrc on PATH, and WAMRC names none. Nothing was compiled.\n");
        return None;
    };
    let module = host::module_path();
    let ours = module.with_file_name("abort-reason");
    assert!(ours.exists(), "{} is missing: `cargo xtask test` builds it", ours.display());
    let made = folder.join("made.aot");
    let mut command = Command::new(ours);
    command.args(["configure", "--face", "fluent-bit", "--aot", "--module"]).arg(module);
    command.arg("--output").arg(&made).arg("--wamrc").arg(compiler).arg("--fluent-bit").arg(fluent_bit);
    assert!(command.status().is_ok_and(|status| status.success()));
    Some(made)
}

#[test]
fn a_compiled_module_does_what_an_interpreted_one_does() {
    let Some(program) = fluent_bit() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let Some(module) = compiled(&program, folder.path()) else { return };
    for (n, scenario) in host::scenarios().iter().enumerate() {
        let mut running = Running::start(&program, &module);
        let file = |name: &str| fs::read(scenario.join(name)).expect(name);
        // An entry that passes, of many recipients, and an abort like that.
        let long = |id: &str, action: &str| {
            let to: String = (0..6_000).map(|n| format!(" t=<r{n}@example.net>")).collect();
            format!("2026-11-23T13:01:05 q={id} f=<a@b>{to} tm=0.10 a={action}\n")
        };
        let (passing, abort) = (long("6AND15V7999999", "a/eom"), long("6AND15V7999998", "c/abort"));
        running.write("message_log", passing.as_bytes());
        running.write("maillog", &file("maillog.bsd"));
        wait(|| running.lines("passed").len() == 1);
        running.append("message_log", abort.as_bytes());
        let is_killed = n % 4 == 0;
        if is_killed {
            running.signal("KILL");
            running.ended();
            running.go_on(&program);
        }
        running.append("message_log", &file("message_log"));
        let expected: Vec<_> = native(scenario).into_iter().map(|(id, (class, _))| (id, class)).collect();
        let got = || {
            let issued: Vec<String> =
                running.lines("issued").into_iter().filter(|record| !record.contains("6AND15V799999")).collect();
            classes(&issued).into_iter().map(|(id, (class, _))| (id, class)).collect::<Vec<_>>()
        };
        let long_ones = |name: &str, line: &str| {
            running.lines(name).iter().filter(|record| record.contains(line.trim_end())).count()
        };
        wait(|| got() == expected && long_ones("issued", &abort) > 0);
        assert_eq!(got(), expected, "{}", scenario.display());
        let long_ones = [long_ones("issued", &abort), long_ones("passed", &passing)];
        // After a kill something may come twice, and Fluent Bit has a word on what it had not written.
        assert!(long_ones.iter().all(|times| *times == 1 || is_killed && *times > 0), "{long_ones:?}");
        let complaints = running.stop();
        assert!(is_killed || complaints.is_empty(), "{}: {complaints:?}", scenario.display());
    }
}
