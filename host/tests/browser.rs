//! What a browser shows, in a real Chromium: `web/test/`. Where Node, its packages or Chromium are missing, this says so and
//! tests nothing.

mod common;
#[path = "common/corpus.rs"]
#[allow(dead_code, unreachable_pub)]
mod corpus;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Folder, host_program, program, run};
use corpus::scenarios;

/// A report on logs.
fn report(output: PathBuf, mail: &[PathBuf], entries: &[PathBuf]) -> PathBuf {
    let mut explain = program();
    explain.args(["explain", "--format", "html", "--filter-name", "PureMessage", "--output"]).arg(&output);
    for file in mail {
        explain.arg("--maillog").arg(file);
    }
    run(explain.args(entries)).ok();
    output
}

/// Runs a file of tests in Node, where all is there that it takes; `None` where something is missing, which is said.
fn browser_tests(file: &str) -> Option<Command> {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web").canonicalize().unwrap();
    let (Some(node), Some(chromium)) = (host_program("NODE", "node"), host_program("CHROMIUM", "chromium")) else {
        eprintln!("SKIPPED: no Node or no Chromium: install both, or name them in NODE and CHROMIUM");
        return None;
    };
    if !web.join("node_modules").exists() {
        eprintln!(
            "SKIPPED: no packages for the browser's tests: run the tests by `cargo xtask test`, which installs them"
        );
        return None;
    }
    let mut test = Command::new(node);
    test.args(["--test", file]).env("CHROMIUM", chromium).current_dir(web);
    Some(test)
}

fn must_pass(test: &mut Command) {
    let ran = test.output().unwrap();
    assert!(ran.status.success(), "{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn the_page_in_a_browser() {
    let Some(mut test) = browser_tests("test/page.test.mjs") else { return };
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist/site/index.html");
    assert!(page.exists(), "{} is missing: run the tests by `cargo xtask test`, which builds it", page.display());
    let folder = Folder::new();
    let (first, rest): (Vec<_>, Vec<_>) = scenarios().into_iter().partition(|folder| folder.ends_with("mixed"));
    let read = |folders: &[PathBuf], name: &str| -> Vec<u8> {
        folders.iter().flat_map(|folder| std::fs::read(folder.join(name)).unwrap()).collect()
    };
    let maillog = folder.file("maillog", read(&rest, "maillog.iso"));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(&read(&first, "maillog.iso")).unwrap();
    let gzipped = folder.file("maillog.gz", packed.finish().unwrap());
    let message_log = folder.file("message_log", [read(&first, "message_log"), read(&rest, "message_log")].concat());
    for format in ["ndjson", "csv"] {
        let mut explain = program();
        explain.args(["explain", "--filter-name", "PureMessage", "--format", format, "--output"]);
        explain.arg(folder.path(&format!("explained.{format}"))).arg("--maillog").arg(&gzipped);
        run(explain.arg("--maillog").arg(&maillog).arg(&message_log)).ok();
    }
    must_pass(test.env("PAGE", page.canonicalize().unwrap()).env("LOGS", folder.path(".")));
}

#[test]
fn the_package_in_a_browser() {
    let Some(mut test) = browser_tests("test/package.test.mjs") else { return };
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/npm");
    assert!(package.exists(), "{} is missing: run the tests by `cargo xtask test`, which builds it", package.display());
    must_pass(test.env("PACKAGE", package.canonicalize().unwrap()));
}

#[test]
fn the_report_in_a_browser() {
    let Some(mut test) = browser_tests("test/report.test.mjs") else { return };
    let folder = Folder::new();
    let mail: Vec<_> = scenarios().iter().map(|folder| folder.join("maillog.iso")).collect();
    let entries: Vec<_> = scenarios().iter().map(|folder| folder.join("message_log")).collect();
    let corpus = report(folder.path("corpus.html"), &mail, &entries);

    let (mut mail, mut entries) = (String::new(), String::new());
    let strange = [
        "<script>broken=1</script>",
        "<img src=x onerror=broken=1>",
        "\u{202e}moc.elpmaxe",
        "\u{1b}[31mred",
        "</script>",
    ];
    for (at, strange) in strange.iter().enumerate() {
        let id = format!("6AND1{at}d301402{at}");
        let _ = writeln!(
            mail,
            "Nov 23 13:01:0{at} mx1 sendmail[1402{at}]: {id}: lost input channel from {strange} [192.0.2.1] to MTA after rcpt"
        );
        let _ = writeln!(
            entries,
            "2026-11-23T13:01:0{at} q={id} f=<a{strange}@example.org> t=<{strange}@example.net> r={strange} tm=1.04 a=c/abort"
        );
    }
    let long = "x".repeat(1 << 20);
    let _ = writeln!(
        entries,
        "2026-11-23T13:01:09 q=6AND19d3014029 f=<{long}@example.org> r=r.example.com tm=1.04 a=c/abort"
    );
    let hostile =
        report(folder.path("hostile.html"), &[folder.file("maillog", mail)], &[folder.file("message_log", entries)]);

    must_pass(test.env("REPORT", corpus).env("HOSTILE", hostile));
}
