//! What `siem/` brings names what records hold, is well-formed, and its alerts fire when they should.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, clippy::disallowed_types, reason = "reads files")]

mod common;
#[path = "common/corpus.rs"]
// Every test program uses its part of it.
#[allow(dead_code, unreachable_pub)]
mod corpus;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::host_program;
use corpus::{explained, scenarios};
use serde_json::Value;

fn siem() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../siem")
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The names of all members, those inside of others behind a dot.
fn names(value: &Value, before: &str, all: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let name = if before.is_empty() { name.clone() } else { format!("{before}.{name}") };
                all.insert(name.clone());
                names(value, &name, all);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| names(value, before, all)),
        _ => {}
    }
}

#[test]
fn every_field_exists() {
    let mut known = BTreeSet::new();
    explained(&scenarios()).iter().for_each(|record| names(record, "", &mut known));
    let mut named = 0;
    for path in files(&siem()) {
        let text = fs::read_to_string(&path).unwrap();
        // Loki writes `abort_class` for what `| json` finds.
        let in_loki = path.to_string_lossy().contains("loki");
        for (at, _) in text.match_indices(if in_loki { "abort_" } else { "abort." }) {
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
            if text[..at].chars().next_back().is_some_and(|c| is_word(c) || c == '-') {
                continue;
            }
            let name: String = text[at..].chars().take_while(|c| is_word(*c)).collect();
            let name = name.trim_end_matches(['.', '_']).replace("{}", "");
            let is_known = if in_loki {
                name == "abort_" || known.iter().any(|known| known.replace('.', "_") == name)
            } else {
                // A sentence may end behind the object.
                name == "abort" || known.contains(&name) || known.contains(name.trim_end_matches(".keyword"))
            };
            assert!(is_known, "{}: {name}", path.display());
            named += 1;
        }
    }
    assert!(named > 150, "{named}");
}

#[test]
fn json_is_json() {
    for path in files(&siem()) {
        let text = fs::read_to_string(&path).unwrap();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => drop(serde_json::from_str::<Value>(&text).expect("JSON")),
            Some("ndjson") => text.lines().for_each(|line| drop(serde_json::from_str::<Value>(line).expect("JSON"))),
            _ => {}
        }
    }
}

/// Everything that a record holds has a mapping.
#[test]
fn the_index_template_knows_every_field() {
    let template = fs::read_to_string(siem().join("elasticsearch/index-template.json")).unwrap();
    let template: Value = serde_json::from_str(&template).unwrap();
    let mut known = BTreeSet::new();
    explained(&scenarios()).iter().for_each(|record| names(&record["abort"], "abort", &mut known));
    for name in known {
        let mut place = &template["template"]["mappings"];
        for part in name.split('.') {
            place = &place["properties"][part];
        }
        assert!(place.is_object(), "{name}");
    }
}

#[test]
fn alerts_fire_when_they_should() {
    let Some(promtool) = host_program("PROMTOOL", "promtool") else {
        eprintln!("\n!! SKIPPED: no promtool on PATH, and PROMTOOL names none. The alert rules were not tried.\n");
        return;
    };
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        let ran = Command::new(&promtool).args(arguments).current_dir(siem().join("prometheus")).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success() && said.contains("SUCCESS"), "{arguments:?}: {said}");
    }
}
