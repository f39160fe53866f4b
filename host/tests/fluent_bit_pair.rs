//! Two filters in one Fluent Bit, for two sendmails with logs of their own: each with its module, ticks, tags and folder, made
//! of the configuration that is shipped. Fluent Bit is taken from `FLUENT_BIT` or `PATH`; where there is none, this says so.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    clippy::disallowed_types,
    reason = "runs a program over files"
)]

mod common;
#[path = "common/corpus.rs"]
#[allow(dead_code, unreachable_pub)]
mod corpus;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Folder, Running, host_program, program, run};

const SHIPPED: &str = include_str!("../../fluent-bit-config/fluent-bit.yaml");

/// What is different for one of the two: its names for what the shipped configuration and its module call otherwise.
struct Side {
    name: &'static str,
    corpus: &'static str,
    tags: [(&'static str, &'static str); 3],
    settings: &'static str,
}

const SIDES: [Side; 2] = [
    Side {
        name: "first",
        corpus: "mixed",
        tags: [("evidence", "evidence"), ("pmx", "pmx"), ("abort_reason", "abort_reason")],
        settings: "{}",
    },
    Side {
        name: "second",
        corpus: "levels-L14",
        tags: [("evidence", "second"), ("pmx", "second_pmx"), ("abort_reason", "second_abort")],
        settings: r#"{"fluent_bit": {"tick_tag": "second_abort.tick", "evidence_prefix": "second."}}"#,
    },
];

impl Side {
    fn path(&self, folder: &Folder, name: &str) -> PathBuf {
        folder.path(&format!("{}-{name}", self.name))
    }

    /// Its module, and its inputs and filters.
    fn prepare(&self, folder: &Folder) -> (String, String) {
        let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/abort_reason_fluent_bit.wasm");
        assert!(module.exists(), "{} is missing: `cargo xtask test` builds it", module.display());
        let settings = folder.file(&format!("{}.json", self.name), self.settings);
        let mut configure = program();
        configure.args(["configure", "--face", "fluent-bit", "--module"]).arg(module).arg("--config").arg(settings);
        run(configure.arg("--output").arg(self.path(folder, "module.wasm"))).ok();
        fs::create_dir(self.path(folder, "state")).unwrap();
        let path = |name: &str| self.path(folder, name).display().to_string();
        let mut text = SHIPPED
            .replace("/etc/fluent-bit/abort_reason_fluent_bit.wasm", &path("module.wasm"))
            .replace("/var/lib/fluent-bit/abort-reason\n", &(path("state") + "\n"))
            .replace("/var/lib/fluent-bit/", &path(""))
            .replace("/var/log/maillog", &path("maillog"))
            .replace("/opt/pmx6/var/log/message_log", &path("message_log"))
            .replace("abort_reason_issued", &format!("{}_issued", self.name))
            .replace("pmx_passed", &format!("{}_passed", self.name));
        for (from, to) in self.tags {
            for (before, behind) in
                [("tag: ", "."), ("match: ", "."), ("(", "\\."), ("|", "\\."), ("] ^[0-9a-f]+$ ", "."), ("\\S ", ".")]
            {
                text = text.replace(&format!("{before}{from}{behind}"), &format!("{before}{to}{behind}"));
            }
        }
        let (_, pipeline) = text.split_once("  inputs:\n").unwrap();
        let (inputs, rest) = pipeline.split_once("  filters:\n").unwrap();
        let (filters, _) = rest.split_once("  outputs:\n").unwrap();
        (inputs.to_owned(), filters.to_owned())
    }

    /// The tag of what it issues.
    fn issued(&self) -> String {
        format!("{}.issued", self.tags[2].1)
    }

    fn told(&self, folder: &Folder) -> BTreeMap<String, (String, String)> {
        let text = fs::read_to_string(self.path(folder, "issued")).unwrap_or_default();
        let records = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let text =
            |record: &serde_json::Value, member: &str| record["abort"][member].as_str().unwrap_or_default().to_owned();
        let aborts = records.filter(|record| record["abort"]["kind"] == "abort");
        aborts.map(|record| (text(&record, "id"), (text(&record, "class"), text(&record, "reason")))).collect()
    }
}

#[test]
fn each_filter_has_its_own_aborts() {
    let Some(fluent_bit) = host_program("FLUENT_BIT", "fluent-bit") else {
        eprintln!("\n!! SKIPPED: no fluent-bit on PATH, and FLUENT_BIT names none. Nothing was tested here.\n");
        return;
    };
    let folder = Folder::new();
    fs::create_dir(folder.path("storage")).unwrap();
    let [first, second] = SIDES.each_ref().map(|side| side.prepare(&folder));
    let output = |side: &Side| {
        let (issued, folder, name) = (side.issued(), folder.path("").display().to_string(), side.name);
        format!(
            "    - name: file\n      match: {issued}\n      path: {folder}\n      file: {name}-issued\n      format: plain\n"
        )
    };
    let configuration = format!(
        "service:\n  flush: 1\n  storage.path: {}\npipeline:\n  inputs:\n{}{}  filters:\n{}{}  outputs:\n{}",
        folder.path("storage").display(),
        first.0,
        second.0,
        first.1,
        second.1,
        SIDES.each_ref().map(output).concat(),
    );
    let yaml = folder.file("fluent-bit.yaml", configuration);
    let log = fs::File::create(folder.path("log")).unwrap();
    let mut command = Command::new(fluent_bit);
    command.arg("--config").arg(yaml).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    let _running = Running(command.spawn().unwrap());
    let source = |side: &Side| Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus").join(side.corpus);
    for side in &SIDES {
        for (name, file) in [("maillog", "maillog.iso"), ("message_log", "message_log")] {
            let new = side.path(&folder, "new");
            fs::copy(source(side).join(file), &new).unwrap();
            fs::rename(&new, side.path(&folder, name)).unwrap();
        }
    }
    let expected = SIDES.each_ref().map(|side| corpus::truth(&[source(side)], "abort"));
    let end = Instant::now() + Duration::from_mins(1);
    while SIDES.each_ref().map(|side| side.told(&folder)) != expected && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(250));
    }
    let log = fs::read_to_string(folder.path("log")).unwrap();
    for (side, expected) in SIDES.iter().zip(expected) {
        assert_eq!(side.told(&folder), expected, "{}: {log}", side.name);
        assert!(
            fs::metadata(side.path(&folder, "state").join("abort_reason.journal")).is_ok_and(|file| file.len() > 0)
        );
    }
}
