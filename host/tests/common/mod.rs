//! What the tests of the command share: the program, the component, logs, and a folder to work in.
// Every test program uses its part of it.
#![allow(dead_code, unreachable_pub)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

pub mod broken;

/// A reason, an abort of the same message, and another abort whose reason is missing.
pub const MAILLOG: &str = "\
Nov 23 13:01:05 mx1 sendmail[14029]: 6AND15d3014029: Milter (PureMessage): timeout before data read, where=rcpt
Nov 23 13:01:05 mx1 sendmail[14029]: 6AND15d3014029: Milter (PureMessage): to error state
Nov 23 13:01:07 mx1 sendmail[14031]: 6AND17aa014031: from=<c@example.org>, size=12, class=0, nrcpts=1, proto=ESMTP, daemon=MTA, relay=r.example.com [192.0.2.7]
";
pub const MESSAGE_LOG: &str = "\
2026-11-23T13:01:06 q=6AND15d3014029 f=<a@example.org> t=<b@example.net> r=relay.example.com tm=1.04 a=c/abort
2026-11-23T13:01:07 q=6AND17aa014031 f=<c@example.org> t=<d@example.net> Size=12 r=r.example.com tm=0.20 a=a/eom
2026-11-23T13:01:08 q=6AND18bb014032 f=<e@example.org> t=<f@example.net> r=r.example.com tm=0.20 a=c/abort
";

/// The program, with no component but the one that the test names.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_abort-reason"));
    command.env_remove("ABORT_REASON_COMPONENT").env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

/// `abort-reason pipe` with the project's component.
pub fn pipe() -> Command {
    let mut command = program();
    command.args(["pipe", "--filter-name", "PureMessage", "--component"]).arg(component());
    command
}

/// The project's component; the tests can't do without it.
pub fn component() -> PathBuf {
    const NAME: &str = "abort_reason.component.wasm";
    if let Some(path) = std::env::var_os("ABORT_REASON_COMPONENT") {
        return PathBuf::from(path);
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let places = ["target", "target/release", "dist"].map(|folder| root.join(folder).join(NAME));
    let newest = places.iter().filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path))).max();
    match newest {
        Some((_, path)) => path.clone(),
        None => panic!("{NAME} is missing: run the tests by `cargo xtask test`, which builds it"),
    }
}

/// The example of a transform, `examples/repeats`.
pub fn example() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/repeats.component.wasm");
    assert!(path.exists(), "{} is missing: run the tests by `cargo xtask test`, which builds it", path.display());
    path
}

/// A program that the project does not bring along: from the environment variable, or from `PATH`.
pub fn host_program(variable: &str, name: &str) -> Option<PathBuf> {
    let on_path = || {
        let folders = std::env::var_os("PATH")?;
        std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|file| file.is_file())
    };
    std::env::var_os(variable).map(PathBuf::from).or_else(on_path)
}

/// A process that is killed when it is dropped.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a server of HTTP answers, without the headers; none while it does not.
pub fn http_get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.split_once("\r\n\r\n")?.1.to_owned())
}

/// A folder that goes away with the test.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Folder {
        Folder(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file and gives its path.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// `explain` of the two logs.
    pub fn explain(&self, maillog: impl AsRef<[u8]>, message_log: impl AsRef<[u8]>) -> Command {
        let mut command = program();
        command.args(["explain", "--filter-name", "PureMessage", "--maillog"]);
        command.arg(self.file("maillog", maillog)).arg(self.file("message_log", message_log));
        command
    }
}

/// What a run said and how it ended.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Ran {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// Standard output without the way it is wrapped.
    pub fn words(&self) -> String {
        self.text().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The objects on standard output.
    pub fn objects(&self) -> Vec<serde_json::Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[track_caller]
    pub fn ok(self) -> Ran {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// That the run failed with a code, and said all of these on standard error.
    #[track_caller]
    pub fn failed(self, code: i32, said: &[&str]) -> Ran {
        assert_eq!(self.code, Some(code), "{self:?}");
        for part in said {
            assert!(self.stderr.contains(part), "{part:?} is missing: {self:?}");
        }
        self
    }
}

impl std::fmt::Debug for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stdout = String::from_utf8_lossy(&self.stdout);
        write!(f, "exit {:?}\n--- stdout\n{stdout}\n--- stderr\n{}", self.code, self.stderr)
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        let stderr = String::from_utf8(output.stderr).unwrap();
        Ran { code: output.status.code(), stdout: output.stdout, stderr }
    }
}

/// Runs a command.
pub fn run(command: &mut Command) -> Ran {
    command.output().unwrap().into()
}

/// Runs a command with an input.
pub fn run_with(command: &mut Command, input: &[u8]) -> Ran {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // On a thread of its own: the program may answer before it has read everything, or not read at all.
    let feeding = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap();
    output.into()
}

/// A log line as a record.
pub fn record(line: &str) -> String {
    serde_json::json!({ "message": line }).to_string()
}
