//! The package for npm, installed as a user would into an empty project: its own tests, its README's examples, and the corpus
//! with the same bytes as `explain`. Where there is no Node, this says so and tests nothing.

mod common;
#[path = "common/corpus.rs"]
#[allow(dead_code, unreachable_pub)]
mod corpus;

use std::path::Path;
use std::process::Command;

use common::{Folder, host_program, program, run};
use corpus::scenarios;

#[test]
fn the_package_works_as_its_readme_says() {
    let (Some(node), Some(npm)) = (host_program("NODE", "node"), host_program("NPM", "npm")) else {
        eprintln!("SKIPPED: no Node: install Node 20 or newer, with npm, or name them in NODE and NPM");
        return;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
    let package = root.join(format!("target/npm-packed/abort-reason-{}.tgz", env!("CARGO_PKG_VERSION")));
    assert!(package.exists(), "{} is missing: run the tests by `cargo xtask test`, which builds it", package.display());
    let project = Folder::new();
    project.file("package.json", r#"{"private":true,"type":"module"}"#);
    let mut install = Command::new(npm);
    install.args(["install", "--offline", "--no-audit", "--no-fund"]).arg(package).current_dir(project.path(""));
    run(&mut install).ok();

    for name in ["corpus.test.js", "readme.test.js", "stream.test.js"] {
        std::fs::copy(root.join("faces/js/test").join(name), project.path(name)).unwrap();
    }
    for form in ["bsd", "iso", "rfc5424"] {
        let mut explain = program();
        explain.args(["explain", "--format", "ndjson", "--filter-name", "PureMessage", "--output"]);
        explain.arg(project.path(&format!("{form}.ndjson")));
        for folder in scenarios() {
            explain.arg("--maillog").arg(folder.join(format!("maillog.{form}")));
        }
        run(explain.args(scenarios().iter().map(|folder| folder.join("message_log")))).ok();
    }
    let mut test = Command::new(node);
    test.arg("--test").current_dir(project.path(""));
    test.env("CORPUS", root.join("tests/corpus")).env("EXPLAINED", project.path("."));
    let ran = test.output().unwrap();
    assert!(ran.status.success(), "{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
}
