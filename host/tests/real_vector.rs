//! The shipped configuration, a real Vector, and the bridge. Vector is taken from `VECTOR` or from `PATH`; where there is
//! none, these tests say so and test nothing.

mod common;
#[path = "common/corpus.rs"]
#[allow(unreachable_pub)]
mod corpus;
#[path = "common/vector.rs"]
// Every test program uses its part of it.
#[allow(dead_code, unreachable_pub)]
mod vector;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Folder, Running};
use corpus::{Chance, scenarios, truth};
use vector::{Bridge, free_address};

const LONG: Duration = Duration::from_secs(40);

/// The program, where there is one.
fn real_vector() -> Option<PathBuf> {
    let found = common::host_program("VECTOR", "vector");
    if found.is_none() {
        eprintln!("SKIPPED: no Vector: put `vector` on PATH, or name it in VECTOR");
    }
    found
}

/// Vector and the bridge with the configurations of `vector-config/`, all paths and addresses in a folder of their own.
struct Pair {
    folder: Folder,
    vector: PathBuf,
    listen: SocketAddr,
}

impl Pair {
    fn new(vector: PathBuf) -> Pair {
        let folder = Folder::new();
        let (listen, back) = (free_address(), free_address());
        let shipped = |name: &str| {
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../vector-config").join(name)).unwrap()
        };
        let path = |name: &str| folder.path(name).display().to_string();
        let changes = [
            ("127.0.0.1:6000", listen.to_string()),
            ("127.0.0.1:6001", back.to_string()),
            ("/var/log/maillog", path("maillog")),
            ("/opt/pmx6/var/log/message_log", path("message_log")),
            ("/var/log/abort-reason/aborts-%Y-%m-%d.ndjson", path("aborts.ndjson")),
            ("/var/lib/vector", path("data")),
            ("/var/lib/abort-reason", path("state")),
            ("api_listen", "# api_listen".to_owned()),
        ];
        for name in ["one-host.yaml", "bridge.yaml"] {
            let text = shipped(name);
            let text = text.split("\ntests:\n").next().unwrap();
            let text = changes.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
            folder.file(name, text);
        }
        std::fs::create_dir(folder.path("data")).unwrap();
        Pair { folder, vector, listen }
    }

    fn vector(&self) -> Running {
        let log = OpenOptions::new().create(true).append(true).open(self.folder.path("vector.log")).unwrap();
        let mut command = Command::new(&self.vector);
        command.arg("--config").arg(self.folder.path("one-host.yaml")).stdin(Stdio::null());
        Running(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap())
    }

    fn bridge(&self) -> Bridge {
        let mut command = common::program();
        command.args(["bridge", "--listen", &self.listen.to_string()]);
        command.arg("--config").arg(self.folder.path("bridge.yaml")).arg("--component").arg(common::component());
        command.arg("--cache-dir").arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled"));
        Bridge::start(command.env("ABORT_REASON_LOG", "error"))
    }

    /// The latest word on every abort by its id: revision, class, reason; and how often it was told.
    fn told(&self) -> BTreeMap<String, (i64, String, String, usize)> {
        let text = std::fs::read_to_string(self.folder.path("aborts.ndjson")).unwrap_or_default();
        let mut told: BTreeMap<String, (i64, String, String, usize)> = BTreeMap::new();
        // A killed Vector may leave half a line.
        for record in text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
            let abort = &record["abort"];
            let member = |name: &str| abort[name].as_str().unwrap_or_default().to_owned();
            if abort["kind"] != "abort" {
                continue;
            }
            let revision = abort["revision"].as_i64().unwrap_or_default();
            let word = told.entry(member("id")).or_insert((revision, member("class"), member("reason"), 0));
            match revision.cmp(&word.0) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => word.3 += 1,
                std::cmp::Ordering::Greater => *word = (revision, member("class"), member("reason"), 1),
            }
        }
        told
    }

    /// Waits until every abort is told as it is.
    fn until_true(&self, truth: &BTreeMap<String, (String, String)>) -> BTreeMap<String, (i64, String, String, usize)> {
        let began = Instant::now();
        loop {
            let told = self.told();
            let wrong: Vec<_> = truth
                .iter()
                .filter(|(id, truth)| told.get(*id).is_none_or(|word| (&word.1, &word.2) != (&truth.0, &truth.1)))
                .map(|(id, truth)| (id, truth, told.get(id)))
                .collect();
            if wrong.is_empty() {
                return told;
            }
            assert!(
                began.elapsed() < LONG,
                "{} of {} aborts are missing or wrong: {:#?}\n{}",
                wrong.len(),
                truth.len(),
                wrong.iter().take(3).collect::<Vec<_>>(),
                std::fs::read_to_string(self.folder.path("vector.log")).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// Aborts of the corpus: what `explain` says of those that have entries of their own.
fn aborts() -> BTreeMap<String, (String, String)> {
    truth(&scenarios(), "abort")
}

#[test]
fn the_shipped_configuration_tells_every_abort_once() {
    let Some(vector) = real_vector() else { return };
    let pair = Pair::new(vector);
    for name in ["maillog", "message_log"] {
        let form = if name == "maillog" { "maillog.iso" } else { name };
        let logs: Vec<u8> = scenarios().iter().flat_map(|folder| std::fs::read(folder.join(form)).unwrap()).collect();
        pair.folder.file(name, logs);
    }
    let (_bridge, _vector) = (pair.bridge(), pair.vector());
    let told = pair.until_true(&aborts());
    let twice: Vec<_> = told.iter().filter(|(_, word)| word.3 > 1).collect();
    assert!(twice.is_empty(), "told twice: {twice:?}");
}

#[test]
fn killed_by_turns_a_hundred_times_nothing_is_lost() {
    let Some(program) = real_vector() else { return };
    let pair = Pair::new(program);
    let mut chance = Chance::new(0x0ddb_a115);
    let scenarios = scenarios();
    let mut logs = ["maillog", "message_log"].map(|name| File::create(pair.folder.path(name)).unwrap());
    let lines = |name: &str| -> Vec<Vec<u8>> {
        let all: Vec<u8> = scenarios.iter().flat_map(|folder| std::fs::read(folder.join(name)).unwrap()).collect();
        all.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
    };
    let (mail, entries) = (lines("maillog.iso"), lines("message_log"));
    let (mut mail, mut entries) = (mail.chunks(mail.len() / 99), entries.chunks(entries.len() / 99));
    let (mut bridge, mut vector) = (Some(pair.bridge()), Some(pair.vector()));
    for round in 0..100 {
        // Load in each round: a hundredth of both logs.
        for (log, lines) in logs.iter_mut().zip([mail.next(), entries.next()]) {
            lines.into_iter().flatten().for_each(|line| log.write_all(line).unwrap());
        }
        std::thread::sleep(Duration::from_millis(100 + chance.below(900)));
        if round % 2 == 0 {
            drop(bridge.take());
            std::thread::sleep(Duration::from_millis(chance.below(100)));
            bridge = Some(pair.bridge());
        } else {
            drop(vector.take());
            vector = Some(pair.vector());
        }
    }
    for (log, lines) in logs.iter_mut().zip([mail, entries]) {
        lines.flatten().for_each(|line| log.write_all(line).unwrap());
    }
    pair.until_true(&aborts());
    drop((bridge, vector));
}
