//! The faces compared: `explain` runs the core natively, `pipe` runs it as a component; over every scenario of the corpus
//! they must issue the same bytes. And the README's example must be true.

mod common;
#[path = "common/corpus.rs"]
// Every test program uses its part of it.
#[allow(dead_code, unreachable_pub)]
mod corpus;

use std::fs;
use std::path::{Path, PathBuf};

use common::{pipe, program, record, run, run_with};
use corpus::scenarios;
use serde_json::Value;

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn explain_and_pipe_issue_the_same_bytes() {
    for form in ["bsd", "iso", "rfc5424"] {
        let mail: Vec<PathBuf> = scenarios().iter().map(|folder| folder.join(format!("maillog.{form}"))).collect();
        let entries: Vec<PathBuf> = scenarios().iter().map(|folder| folder.join("message_log")).collect();
        let mut explain = program();
        explain.args(["explain", "--format", "ndjson", "--filter-name", "PureMessage"]);
        for file in &mail {
            explain.arg("--maillog").arg(file);
        }
        let explained = run(explain.args(&entries)).ok();
        // One after the other, which no order by time is: the records must not depend on it.
        let lines = mail.iter().chain(&entries).flat_map(|file| {
            let log = fs::read(file).expect("a log of the corpus");
            String::from_utf8_lossy(&log).lines().map(record).collect::<Vec<_>>()
        });
        let records: String = lines.map(|record| record + "\n").collect();
        let piped = run_with(&mut pipe(), records.as_bytes()).ok();
        let (explained, piped) = (issued(explained.text()), issued(piped.text()));
        assert!(explained.len() >= 521, "{form}: only {} records", explained.len());
        assert!(explained == piped, "{form}: {:#?}", explained.iter().zip(&piped).find(|(a, b)| a != b));
    }
}

/// The records with the object, in an order of their own: the two commands read the logs in different orders.
fn issued(text: &str) -> Vec<String> {
    let mut list: Vec<String> =
        text.lines().filter(|line| line.contains(",\"abort\":{\"schema\"")).map(str::to_owned).collect();
    list.sort();
    list
}

#[test]
fn the_example_of_the_readme_is_true() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    let block = |language: &str| {
        let behind = readme.split_once(&format!("```{language}\n")).expect("a block").1;
        behind.split_once("\n```").expect("its end").0.to_owned()
    };
    let console = block("console");
    let words: Vec<&str> = console.strip_prefix("$ abort-reason ").expect("a command").split_whitespace().collect();
    let ran = run(program().args(words).current_dir(root())).ok();
    let printed: Value = serde_json::from_str(ran.text()).expect("JSON");
    let shown: Value = serde_json::from_str(&block("json")).expect("JSON in the README");
    assert_holds(&printed, &shown, "");
}

/// Everything shown stands in what was printed; what is left out in objects may stand there.
fn assert_holds(printed: &Value, shown: &Value, path: &str) {
    match (printed, shown) {
        (Value::Object(printed), Value::Object(shown)) => {
            for (key, value) in shown {
                let found = printed.get(key).unwrap_or_else(|| panic!("{path}.{key} is not printed"));
                assert_holds(found, value, &format!("{path}.{key}"));
            }
        }
        (Value::Array(printed), Value::Array(shown)) => {
            assert_eq!(printed.len(), shown.len(), "{path}");
            for (at, (printed, shown)) in printed.iter().zip(shown).enumerate() {
                assert_holds(printed, shown, &format!("{path}[{at}]"));
            }
        }
        _ => assert_eq!(printed, shown, "{path}"),
    }
}
