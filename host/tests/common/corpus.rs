//! The corpus of `tests/corpus`, what `explain` says of it, and chance that is the same in every run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::common::{program, run};

/// Numbers that look like chance.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// The folders of the corpus, the oldest first.
pub fn scenarios() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus");
    let mut list: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    list.retain(|path| path.is_dir());
    assert!(list.len() >= 19, "the corpus is not whole: {list:?}");
    let first_line = |folder: &PathBuf| {
        std::fs::read_to_string(folder.join("maillog.iso")).unwrap().lines().next().map(str::to_owned)
    };
    list.sort_by_key(first_line);
    list
}

/// What `explain` says of scenarios, record by record.
pub fn explained(folders: &[PathBuf]) -> Vec<serde_json::Value> {
    let mut explain = program();
    explain.args(["explain", "--format", "ndjson", "--filter-name", "PureMessage"]);
    for folder in folders {
        explain.arg("--maillog").arg(folder.join("maillog.iso"));
    }
    explain.args(folders.iter().map(|folder| folder.join("message_log")));
    run(&mut explain).ok().objects()
}

/// What `explain` says: class and reason by the abort's id, of one kind, or of all where `kind` is empty.
pub fn truth(folders: &[PathBuf], kind: &str) -> BTreeMap<String, (String, String)> {
    let told = |record: serde_json::Value| {
        let text = |member: &str| record["abort"][member].as_str().unwrap_or_default().to_owned();
        (text("id"), (text("class"), text("reason")))
    };
    let records = explained(folders).into_iter();
    records.filter(|record| kind.is_empty() || record["abort"]["kind"] == kind).map(told).collect()
}
