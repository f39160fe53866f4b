//! `docs/output.md` and what is printed say the same.

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Ran, pipe, program, run, run_with};
use serde_json::Value;

const PAGE: &str = include_str!("../../docs/output.md");

/// A recording of a real sendmail with timeouts, closed connections and messages that end well.
fn recording(log: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/recorded").join(RECORDING).join(log)
}

const RECORDING: &str = "8.18.0.2-ap-FTF0-L9";

fn over_the_recording(command: &mut Command) -> Ran {
    command.args(["--filter-name", "PureMessage", "--maillog"]).arg(recording("maillog")).arg(recording("message_log"));
    run(command).ok()
}

/// The part of the page below a heading.
fn section(heading: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("\n## {heading}\n")).unwrap();
    rest.split("\n## ").next().unwrap()
}

/// What stands between backticks.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The names in the first column of the tables of a section.
fn fields(section: &str) -> BTreeSet<&str> {
    section
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .flat_map(|row| words(row.split(" | ").next().unwrap()))
        .collect()
}

/// The keys of an object, of the objects in it as well.
fn keys(value: &Value) -> BTreeSet<&str> {
    match value {
        Value::Object(members) => {
            members.iter().flat_map(|(key, value)| keys(value).into_iter().chain([key.as_str()])).collect()
        }
        Value::Array(items) => items.iter().flat_map(keys).collect(),
        _ => BTreeSet::new(),
    }
}

fn top(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn columns_of_csv() {
    let ran = over_the_recording(program().args(["explain", "--format", "csv"]));
    let text = ran.text();
    let row = section("`explain`").lines().find(|line| line.starts_with("| `csv`")).unwrap();
    let columns: Vec<&str> = words(row).skip(1).take_while(|word| *word != "'").collect();
    assert_eq!(text.lines().next().unwrap(), columns.join(","));
}

#[test]
fn fields_of_advice() {
    let ran = over_the_recording(program().args(["advise", "--format", "json"]));
    let advice: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let section = section("`advise`");
    assert_eq!(top(&advice), fields(section));
    let mut advice = advice;
    // Its keys are values: classes of what became of the mail.
    advice["outcomes"].take();
    let told: BTreeSet<&str> = words(section).collect();
    let keys = keys(&advice);
    assert!(keys.len() > 25, "{keys:?}");
    assert_eq!(keys.difference(&told).collect::<Vec<_>>(), [&""; 0]);
}

#[test]
fn counters_of_a_pipe() {
    let ran = run_with(pipe().arg("--stats"), b"{\"message\":\"x\"}\n").ok();
    let stats: Value = serde_json::from_str(&ran.stderr).unwrap();
    let (engine, own) = section("Counters").split_once("Beside `component`").unwrap();
    assert_eq!(top(&stats["component"]), fields(engine));
    assert_eq!(top(&stats["pipe"]), fields(own));
}
