//! A real Fluent Bit, with the configuration that is shipped: the corpus as two tailed files, in both orders.
//!
//! Where no Fluent Bit is named by `FLUENT_BIT` or found on `PATH`, the tests say that they were skipped.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "runs a program over files"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use abort_reason::{Config, Engine, Input, Source};
use serde_json::Value;

#[path = "host/mod.rs"]
mod host;

const SHIPPED: &str = include_str!("../../../fluent-bit-config/fluent-bit.yaml");

/// The Fluent Bit to test with.
fn fluent_bit() -> Option<PathBuf> {
    let named = std::env::var_os("FLUENT_BIT").map(PathBuf::from);
    let found = named.or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join("fluent-bit")).find(|file| file.is_file())
    });
    if found.is_none() {
        eprintln!("\n!! SKIPPED: no fluent-bit on PATH, and FLUENT_BIT names none. Nothing was tested here.\n");
    }
    found
}

/// The shipped configuration with paths of the test's own, and all records in one file.
fn configuration(folder: &Path, module: &Path) -> String {
    let shown = |path: &Path| path.display().to_string();
    let (inputs, _) = SHIPPED.split_once("  outputs:").expect("outputs");
    let text = inputs
        .replace("/var/log/maillog", &shown(&folder.join("maillog")))
        .replace("/opt/pmx6/var/log/message_log", &shown(&folder.join("message_log")))
        .replace("/var/lib/fluent-bit/", &format!("{}/", folder.display()))
        .replace("/etc/fluent-bit/abort_reason_fluent_bit.wasm", &shown(module))
        .replace("/var/empty", &shown(&folder.join("empty")))
        .replace("  http_server: true\n", "")
        .replace("  http_listen: 127.0.0.1\n", "");
    let file = |name: &str, tag: &str| {
        format!(
            "    - name: file\n      match: {tag}\n      path: {}\n      file: {name}\n      format: plain\n",
            shown(folder)
        )
    };
    format!("{text}  outputs:\n{}{}", file("issued", "abort_reason.issued"), file("passed", "pmx.message_log"))
}

/// A Fluent Bit at work.
struct Running {
    child: Child,
    folder: tempfile::TempDir,
}

impl Running {
    fn start(program: &Path, module: &Path) -> Running {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("empty")).expect("a folder");
        let config = folder.path().join("fluent-bit.yaml");
        fs::write(&config, configuration(folder.path(), module)).expect("a configuration");
        let log = fs::File::create(folder.path().join("log")).expect("a log");
        let child = Command::new(program)
            .args(["--enable-hot-reload", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("fluent-bit");
        Running { child, folder }
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let new = self.folder.path().join(format!("{name}.new"));
        fs::write(&new, bytes).expect("a file");
        fs::rename(&new, self.folder.path().join(name)).expect("a file");
    }

    fn append(&self, name: &str, bytes: &[u8]) {
        let file = fs::OpenOptions::new().append(true).open(self.folder.path().join(name));
        file.and_then(|mut file| file.write_all(bytes)).expect("a file");
    }

    fn signal(&self, name: &str) {
        let told = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status();
        assert!(told.is_ok_and(|status| status.success()));
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Ends it, and gives what its log complains of.
    fn stop(mut self) -> Vec<String> {
        self.signal("TERM");
        let status = self.child.wait().expect("an end");
        assert!(status.success(), "{status}");
        let complains = |line: &String| {
            line.contains("[error]") || line.contains("[ warn]") && !line.contains("service will shutdown")
        };
        self.lines("log").into_iter().filter(complains).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Class by `abort.id`, and how many records each has.
fn classes(records: &[String]) -> BTreeMap<String, (String, usize)> {
    let mut classes = BTreeMap::new();
    for record in records {
        let value: Value = serde_json::from_str(record).expect("a record");
        let abort = &value["abort"];
        let text = |name: &str| abort[name].as_str().unwrap_or_default().to_owned();
        if text("kind") == "abort" {
            let entry = classes.entry(text("id")).or_insert((String::new(), 0));
            *entry = (text("class"), entry.1 + 1);
        }
    }
    classes
}

fn native(folder: &Path) -> BTreeMap<String, (String, usize)> {
    let mut engine = Engine::new(&Config::from_json(r#"{"message_fields": ["log"]}"#).expect("a configuration"));
    for file in ["maillog.bsd", "message_log"] {
        for record in host::records(folder, file) {
            engine.push(Source::Auto, Input::Record(&record), 0, 0);
        }
    }
    engine.finish();
    let issued: Vec<_> =
        std::iter::from_fn(|| engine.poll()).map(|output| String::from_utf8(output.data).expect("UTF-8")).collect();
    classes(&issued)
}

fn corpus_in_order(first: &str, second: &str) {
    let Some(program) = fluent_bit() else { return };
    let module = host::module_path();
    let source = |name: &str| if name == "maillog" { "maillog.bsd" } else { "message_log" };
    let mut wrong = Vec::new();
    for batch in host::scenarios().chunks(7) {
        let running: Vec<_> = batch.iter().map(|scenario| (scenario, Running::start(&program, &module))).collect();
        let both = |name: &str| {
            for (scenario, running) in &running {
                running.write(name, &fs::read(scenario.join(source(name))).expect(name));
            }
        };
        both(first);
        // Well within the time that an abort waits while the mail log is silent.
        std::thread::sleep(Duration::from_secs(1));
        both(second);
        let end = Instant::now() + Duration::from_mins(1);
        for (scenario, running) in running {
            let expected = native(scenario);
            let mut got = classes(&running.lines("issued"));
            while got.len() < expected.len() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(250));
                got = classes(&running.lines("issued"));
            }
            let complaints = running.stop();
            if got != expected || !complaints.is_empty() {
                let differ: Vec<_> = expected.iter().filter(|(id, class)| got.get(*id) != Some(*class)).collect();
                wrong.push(format!("{}: {differ:?} of {}; {complaints:?}", scenario.display(), got.len()));
            }
        }
    }
    assert!(wrong.is_empty(), "{first} first:\n{}", wrong.join("\n"));
}

#[test]
fn the_mail_log_first() {
    corpus_in_order("maillog", "message_log");
}

#[test]
fn the_message_log_first() {
    corpus_in_order("message_log", "maillog");
}

/// Both logs are rotated while they are read: the rest of the old files and the new ones are read, each line once.
#[test]
fn rotated_logs() {
    let Some(program) = fluent_bit() else { return };
    let scenario = host::scenarios().into_iter().find(|folder| folder.ends_with("mixed")).expect("the scenario");
    let halves = |file: &str| {
        let text = fs::read_to_string(scenario.join(file)).expect(file);
        let half = text.lines().count() / 2;
        let part = |lines: Vec<&str>| lines.iter().fold(String::new(), |text, line| text + line + "\n");
        (part(text.lines().take(half).collect()), part(text.lines().skip(half).collect()))
    };
    let (mail, entries) = (halves("maillog.bsd"), halves("message_log"));
    let running = Running::start(&program, &host::module_path());
    let both = |first: bool| {
        for (name, (old, new)) in [("maillog", &mail), ("message_log", &entries)] {
            running.write(name, if first { old.as_bytes() } else { new.as_bytes() });
        }
    };
    both(true);
    let found = |log: &[String]| ["/maillog", "/message_log"].map(|end| log.iter().any(|line| line.ends_with(end)));
    wait(|| found(&running.lines("log")) == [true, true]);
    for name in ["maillog", "message_log"] {
        let path = running.folder.path().join(name);
        fs::rename(&path, path.with_extension("1")).expect("a rotation");
    }
    both(false);
    let expected: BTreeMap<_, _> = native(&scenario).into_iter().map(|(id, (class, _))| (id, class)).collect();
    // A reason that came behind its abort's wait comes as a revision: the last one counts, and the first one is one.
    let got = || {
        let issued = running.lines("issued");
        let first = issued.iter().filter(|record| record.contains(r#""revision":0"#)).cloned().collect::<Vec<_>>();
        assert!(classes(&first).values().all(|(_, count)| *count == 1), "an abort left twice");
        classes(&issued).into_iter().map(|(id, (class, _))| (id, class)).collect::<BTreeMap<_, _>>()
    };
    wait(|| got() == expected);
    assert_eq!(got(), expected);
    assert_eq!(running.stop(), Vec::<String>::new());
}

/// Waits until a condition holds, or a minute is over.
fn wait(mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_mins(1);
    while !done() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(250));
    }
}

/// A reload makes a new module: it goes on behind the lines that the one before it has read.
#[test]
fn reloaded() {
    let Some(program) = fluent_bit() else { return };
    let scenarios = host::scenarios();
    let scenario = |name: &str| scenarios.iter().find(|folder| folder.ends_with(name)).expect("the scenario");
    let (before, after) = (scenario("mixed"), scenario("levels-L14"));
    let bytes = |folder: &Path, file: &str| fs::read(folder.join(file)).expect(file);
    let running = Running::start(&program, &host::module_path());
    for (name, file) in [("maillog", "maillog.bsd"), ("message_log", "message_log")] {
        running.write(name, &bytes(before, file));
    }
    let mut expected = native(before);
    wait(|| classes(&running.lines("issued")) == expected);
    assert_eq!(classes(&running.lines("issued")), expected, "before");
    running.signal("HUP");
    let starts = || running.lines("log").iter().filter(|line| line.contains("[input:dummy")).count();
    wait(|| starts() > 1 && running.lines("log").iter().any(|line| line.contains("[reload]")));
    for (name, file) in [("maillog", "maillog.bsd"), ("message_log", "message_log")] {
        running.append(name, &bytes(after, file));
    }
    expected.extend(native(after));
    wait(|| classes(&running.lines("issued")) == expected);
    assert_eq!(classes(&running.lines("issued")), expected, "after");
    assert_eq!(running.stop(), Vec::<String>::new());
}
