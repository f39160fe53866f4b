//! A real Fluent Bit at work, with the configuration that is shipped.
#![allow(dead_code, reason = "each test uses a part")]
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

use crate::host;

pub(crate) const SHIPPED: &str = include_str!("../../../../fluent-bit-config/fluent-bit.yaml");

/// Drops ordinary mail lines before the filter.
pub(crate) const ORDINARY: &str = include_str!("../../../../fluent-bit-config/filter-ordinary.yaml");

/// What the shipped configurations take from the environment.
pub(crate) const VARIABLES: [&str; 4] = ["ES_USER", "ES_PASSWORD", "SPLUNK_TOKEN", "HOSTNAME"];

/// Takes logs from other hosts.
pub(crate) const MANY_HOSTS: &str = include_str!("../../../../fluent-bit-config/inputs-many-hosts.yaml");

/// The Fluent Bit to test with.
pub(crate) fn fluent_bit() -> Option<PathBuf> {
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

/// The shipped configuration with a file's filter in front of the module; an empty text stands for none.
pub(crate) fn with_filter(file: &str) -> String {
    let filter = file.split_once("  filters:\n").map_or("", |(_, filter)| filter);
    SHIPPED.replace("    - name: wasm\n", &format!("{filter}    - name: wasm\n"))
}

/// The shipped configuration with other inputs beside the tick.
pub(crate) fn with_inputs(inputs: &str) -> String {
    let (before, rest) = SHIPPED.split_once("    # sendmail's log. The tag").expect("the first input");
    let (_, tick) = rest.split_once("    # The filter's clock").expect("the tick");
    format!("{before}{inputs}    # The filter's clock{tick}")
}

/// A shipped configuration with paths of the test's own, and other outputs.
fn configuration(folder: &Path, shipped: &str, module: &Path, outputs: &str) -> String {
    let shown = |path: &Path| path.display().to_string();
    let (inputs, _) = shipped.split_once("  outputs:").expect("outputs");
    let text = inputs
        .replace("/var/log/maillog", &shown(&folder.join("maillog")))
        .replace("/opt/pmx6/var/log/message_log", &shown(&folder.join("message_log")))
        .replace("/etc/fluent-bit/abort_reason_fluent_bit.wasm", &shown(module))
        .replace("/var/lib/fluent-bit/abort-reason\n", &format!("{}\n", shown(&folder.join("state"))))
        .replace("/var/lib/fluent-bit/", &format!("{}/", folder.display()))
        .replace("  http_server: true\n", "")
        .replace("  http_listen: 127.0.0.1\n", "");
    format!("{text}  outputs:\n{outputs}")
}

/// An output to a file of the test's folder.
pub(crate) fn to_file(folder: &Path, name: &str, tag: &str) -> String {
    let folder = folder.display();
    format!("    - name: file\n      match: {tag}\n      path: {folder}\n      file: {name}\n      format: plain\n")
}

/// A Fluent Bit at work.
pub(crate) struct Running {
    child: Option<Child>,
    pub(crate) folder: tempfile::TempDir,
}

impl Running {
    /// Starts one in a folder of its own, with all records in two files there.
    pub(crate) fn start(program: &Path, module: &Path) -> Running {
        Running::start_behind("", program, module)
    }

    /// The same with a file's filter in front of the module.
    pub(crate) fn start_behind(filter: &str, program: &Path, module: &Path) -> Running {
        Running::start_shipped(&with_filter(filter), program, module)
    }

    /// The same with a configuration that is made of what is shipped.
    pub(crate) fn start_shipped(shipped: &str, program: &Path, module: &Path) -> Running {
        let folder = tempfile::tempdir().expect("a folder");
        let outputs = ["issued", "passed"].iter().zip(["abort_reason.issued", "pmx.*"]);
        let outputs = outputs.map(|(name, tag)| to_file(folder.path(), name, tag)).collect::<String>();
        Running::start_in(folder, program, shipped, module, &outputs)
    }

    /// Starts one in a folder of its own, with other outputs.
    pub(crate) fn start_with(program: &Path, module: &Path, outputs: &str) -> Running {
        Running::start_in(tempfile::tempdir().expect("a folder"), program, SHIPPED, module, outputs)
    }

    fn start_in(folder: tempfile::TempDir, program: &Path, shipped: &str, module: &Path, outputs: &str) -> Running {
        for name in ["state", "storage"] {
            fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        fs::write(folder.path().join("fluent-bit.yaml"), configuration(folder.path(), shipped, module, outputs))
            .expect("a configuration");
        let mut running = Running { child: None, folder };
        running.go_on(program);
        running
    }

    /// Starts it again, where it was.
    pub(crate) fn go_on(&mut self, program: &Path) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("log"));
        let log = log.expect("a log");
        let child = Command::new(program)
            .args(["--enable-hot-reload", "--config"])
            .arg(self.folder.path().join("fluent-bit.yaml"))
            .envs(VARIABLES.map(|name| (name, "x")))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("fluent-bit"));
    }

    /// Changes the configuration for the next start.
    pub(crate) fn configure(&self, from: &str, to: &str) {
        let path = self.folder.path().join("fluent-bit.yaml");
        let text = fs::read_to_string(&path).expect("a configuration");
        assert!(text.contains(from), "{from}");
        fs::write(path, text.replace(from, to)).expect("a configuration");
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) {
        let status = self.child.as_mut().expect("a process").wait().expect("an end");
        assert!(status.success() || status.code().is_none(), "{status}");
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let new = self.folder.path().join(format!("{name}.new"));
        fs::write(&new, bytes).expect("a file");
        fs::rename(&new, self.folder.path().join(name)).expect("a file");
    }

    pub(crate) fn append(&self, name: &str, bytes: &[u8]) {
        let file = fs::OpenOptions::new().append(true).open(self.folder.path().join(name));
        file.and_then(|mut file| file.write_all(bytes)).expect("a file");
    }

    pub(crate) fn signal(&self, name: &str) {
        let told = Command::new("kill")
            .args([format!("-{name}"), self.child.as_ref().expect("a process").id().to_string()])
            .status();
        assert!(told.is_ok_and(|status| status.success()));
    }

    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Ends it, and gives what its log complains of.
    pub(crate) fn stop(mut self) -> Vec<String> {
        self.signal("TERM");
        self.ended();
        let complains = |line: &String| {
            line.contains("[error]") || line.contains("[ warn]") && !line.contains("service will shutdown")
        };
        self.lines("log").into_iter().filter(complains).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Class by `abort.id`, without the number of records.
pub(crate) fn last_classes(classes: BTreeMap<String, (String, usize)>) -> BTreeMap<String, String> {
    classes.into_iter().map(|(id, (class, _))| (id, class)).collect()
}

/// Class by `abort.id`, and how many records each has.
pub(crate) fn classes(records: &[String]) -> BTreeMap<String, (String, usize)> {
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

pub(crate) fn native(folder: &Path) -> BTreeMap<String, (String, usize)> {
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

/// Waits until a condition holds, or a minute is over.
pub(crate) fn wait(mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_mins(1);
    while !done() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(250));
    }
}
