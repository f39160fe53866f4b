//! `abort-reason watch`: logs that grow, over rotations, as lines and on a terminal, which is left as it was.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, clippy::disallowed_types, reason = "runs a program")]

mod common;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use common::{Folder, MAILLOG, MESSAGE_LOG, program, run};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};

/// Waits until something holds.
fn wait(mut holds: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds() {
        if Instant::now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(50));
    }
    true
}

fn append(path: &Path, text: &str) {
    let file = File::options().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).unwrap();
}

/// `watch` with a folder's two logs.
fn watch(folder: &Folder) -> Command {
    let mut command = program();
    command.args(["watch", "--filter-name", "PureMessage", "--maillog"]);
    command.arg(folder.path("maillog")).arg(folder.path("message_log"));
    command
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status().unwrap().success());
}

/// Whether a process has a file open and has read it to its end.
fn has_read(child: &Child, path: &Path) -> bool {
    let proc = Path::new("/proc").join(child.id().to_string());
    let length = fs::metadata(path).unwrap().len();
    let of = |entry: fs::DirEntry| {
        let is_it = fs::read_link(entry.path()).is_ok_and(|link| link == path);
        let info = fs::read_to_string(proc.join("fdinfo").join(entry.file_name())).unwrap_or_default();
        let position = info.lines().find_map(|line| line.strip_prefix("pos:")?.trim().parse::<u64>().ok());
        is_it && position == Some(length)
    };
    fs::read_dir(proc.join("fd")).is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(of)))
}

/// The corpus at fifty times its speed, both logs rotated on the way: by renaming, then by truncation.
#[test]
fn every_abort_through_two_rotations() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/mixed");
    let folder = Folder::new();
    folder.file("maillog", "");
    let mut child = watch(&folder).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let reading = thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        text
    });
    let lines = |name: &str| -> Vec<String> {
        fs::read_to_string(corpus.join(name)).unwrap().lines().map(str::to_owned).collect()
    };
    // The second of the day of each line: both logs of this corpus are in one zone.
    let second = |line: &str| {
        let at = line.find(':').unwrap() - 2;
        line[at..at + 8].split(':').fold(0u64, |all, part| all * 60 + part.parse::<u64>().unwrap())
    };
    let mut all: Vec<(u64, PathBuf, String)> = Vec::new();
    for (source, name) in [("maillog.bsd", "maillog"), ("message_log", "message_log")] {
        all.extend(lines(source).into_iter().map(|line| (second(&line), folder.path(name), line + "\n")));
    }
    all.sort_by_key(|(at, ..)| *at);
    // It begins at the end of what is there when it has started.
    assert!(wait(|| has_read(&child, &folder.path("maillog"))));
    let (third, mut now) = (all.len() / 3, all[0].0);
    for (number, (at, path, line)) in all.iter().enumerate() {
        thread::sleep(Duration::from_millis((at - now) * 1_000 / 50));
        now = *at;
        for name in ["maillog", "message_log"].map(|name| folder.path(name)) {
            if number == third {
                fs::rename(&name, name.with_extension("1")).unwrap();
            } else if number == 2 * third {
                // As `copytruncate` does; what nobody has read by then is lost to everybody.
                assert!(wait(|| has_read(&child, &name)));
                File::create(&name).unwrap();
                // Nobody can tell a file that has grown again to where it was.
                assert!(wait(|| has_read(&child, &name)));
            }
        }
        append(path, line);
    }
    let expected = explained(&corpus);
    assert!(["maillog", "message_log"].iter().all(|name| wait(|| has_read(&child, &folder.path(name)))));
    // The last lines are pushed behind their reading.
    thread::sleep(Duration::from_secs(1));
    signal(&child, "TERM");
    assert!(child.wait().unwrap().success());
    let mut got: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in reading.join().unwrap().lines() {
        let parts: Vec<&str> = line.split("  ").collect();
        let (id, class) = (parts[2].to_owned(), parts[3].trim_end_matches(" (again)").to_owned());
        let classes = got.entry(id).or_default();
        if line.contains(" (again)") {
            classes.pop();
        }
        classes.push(class);
    }
    got.values_mut().for_each(|classes| classes.sort());
    assert_eq!(got, expected);
}

/// Messages that PureMessage never saw have no entry, and so no line of their own.
#[test]
fn an_outage_is_said() {
    let folder = Folder::new();
    folder.file("maillog", MAILLOG);
    folder.file("message_log", MESSAGE_LOG);
    let said = folder.file("said", "");
    let mut child = watch(&folder).stdout(Stdio::null()).stderr(File::create(&said).unwrap()).spawn().unwrap();
    assert!(wait(|| has_read(&child, &folder.path("maillog"))));
    let refused = "Milter (PureMessage): error connecting to filter: Connection refused by localhost";
    append(&folder.path("maillog"), &format!("Nov 23 13:03:00 mx1 sendmail[14100]: 6AND3015014100: {refused}\n"));
    assert!(wait(|| fs::read_to_string(&said).unwrap().contains("could not connect to the filter: 1 message so far")));
    signal(&child, "TERM");
    assert!(child.wait().unwrap().success());
}

/// The classes under each queue id by `explain`.
fn explained(corpus: &Path) -> BTreeMap<String, Vec<String>> {
    let mut command = program();
    command.args(["explain", "--filter-name", "PureMessage", "--format", "ndjson", "--maillog"]);
    command.arg(corpus.join("maillog.bsd")).arg(corpus.join("message_log"));
    let mut classes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in run(&mut command).ok().objects() {
        let text = |name: &str| record["abort"][name].as_str().unwrap().to_owned();
        classes.entry(text("queue_id")).or_default().push(text("class").replace('_', " "));
    }
    classes.values_mut().for_each(|classes| classes.sort());
    classes
}

/// The two ends of a terminal.
fn pty() -> (OwnedFd, File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    (master, slave)
}

/// A command with a terminal for its own. `setsid` becomes the program, in a session of which the terminal is: so it hears
/// of a new size, and of the terminal's end.
fn on_terminal(command: &Command, slave: &File) -> Command {
    let other = || Stdio::from(slave.try_clone().unwrap());
    let mut on_terminal = Command::new("setsid");
    on_terminal.arg("--ctty").arg(command.get_program()).args(command.get_args());
    on_terminal.env("TERM", "xterm").stdin(other()).stdout(other()).stderr(other());
    on_terminal
}

/// A program on a terminal.
struct Terminal {
    master: OwnedFd,
    child: Child,
    slave: File,
    shown: Arc<Mutex<(vt100::Parser, Vec<u8>)>>,
}

impl Terminal {
    fn start(command: &Command) -> Terminal {
        let (master, slave) = pty();
        let mut on_terminal = on_terminal(command, &slave);
        let shown = Arc::new(Mutex::new((vt100::Parser::new(30, 120, 0), Vec::new())));
        let mut terminal = Terminal { master, child: on_terminal.spawn().unwrap(), slave, shown };
        terminal.resize(30, 120);
        let (mut bytes, shown) = (File::from(terminal.master.try_clone().unwrap()), Arc::clone(&terminal.shown));
        thread::spawn(move || {
            let mut block = [0; 4_096];
            while let Ok(read) = bytes.read(&mut block) {
                let (parser, all) = &mut *shown.lock().unwrap();
                parser.process(&block[..read]);
                all.extend_from_slice(&block[..read]);
            }
        });
        terminal
    }

    fn resize(&mut self, rows: u16, columns: u16) {
        // What is drawn for the new size comes behind both.
        let mut shown = self.shown.lock().unwrap();
        shown.0.screen_mut().set_size(rows, columns);
        tcsetwinsize(&self.master, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    }

    fn screen(&self) -> String {
        self.shown.lock().unwrap().0.screen().contents()
    }

    #[track_caller]
    fn shows(&self, text: &str) {
        assert!(wait(|| self.screen().contains(text)), "no {text:?} in:\n{}", self.screen());
    }

    fn press(&self, keys: &str) {
        rustix::io::write(&self.master, keys.as_bytes()).unwrap();
    }

    /// It ends, and the terminal is as it was.
    #[track_caller]
    fn ends(&mut self) {
        assert!(wait(|| self.child.try_wait().unwrap().is_some()));
        assert!(self.child.wait().unwrap().success());
        let left = || {
            let shown = self.shown.lock().unwrap();
            !shown.0.screen().alternate_screen() && !shown.0.screen().hide_cursor()
        };
        assert!(wait(left), "the terminal is not as it was");
        let modes = tcgetattr(&self.slave).unwrap().local_modes;
        assert!(modes.contains(rustix::termios::LocalModes::ICANON | rustix::termios::LocalModes::ECHO));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

/// `watch` on a terminal: the mail log is there, and `message_log` comes.
fn mail_log_first() -> (Folder, Terminal) {
    let folder = Folder::new();
    folder.file("maillog", MAILLOG);
    let terminal = Terminal::start(watch(&folder).arg("--from-start"));
    terminal.shows("message_log: not there yet");
    append(&folder.path("message_log"), MESSAGE_LOG);
    (folder, terminal)
}

#[test]
fn on_a_terminal_from_start_to_end() {
    let (folder, mut terminal) = mail_log_first();
    terminal.shows("6AND15d3014029");
    terminal.shows("1 of them want action");
    terminal.shows("filter timeout");
    // Both aborts; then only the one that wants action.
    terminal.shows("6AND18bb014032");
    terminal.press("/timeout\r");
    assert!(wait(|| !terminal.screen().contains("6AND18bb014032")), "{}", terminal.screen());
    terminal.press("j\r");
    terminal.shows("Raise the timeout that the record names");
    terminal.resize(20, 70);
    terminal.shows("to do");
    terminal.press("\r");
    terminal.press("y");
    terminal.shows("copied 6AND15d3014029");
    // A rotation under way.
    fs::rename(folder.path("message_log"), folder.path("message_log.1")).unwrap();
    terminal.press("\u{1b}");
    append(&folder.path("message_log"), "2026-11-23T13:01:30 q=6AND1Tbb014099 f=<e@example.org> tm=0.20 a=c/abort\n");
    terminal.shows("6AND1Tbb014099");
    terminal.press("q");
    terminal.ends();
}

/// A window that is closed, or a connection that breaks.
#[test]
fn it_ends_with_its_terminal() {
    let folder = Folder::new();
    let (master, slave) = pty();
    let mut child = on_terminal(&watch(&folder), &slave).spawn().unwrap();
    thread::sleep(Duration::from_secs(1));
    assert!(child.try_wait().unwrap().is_none());
    drop((master, slave));
    let ended = wait(|| child.try_wait().unwrap().is_some());
    let _ = child.kill();
    assert!(ended, "it goes on without a terminal");
}

/// A key that is held down keeps neither aborts nor signals from being seen.
#[test]
fn keys_hold_nothing_up() {
    let (_folder, mut terminal) = mail_log_first();
    let seen = wait(|| {
        terminal.press("j");
        terminal.screen().contains("6AND15d3014029")
    });
    assert!(seen, "{}", terminal.screen());
    signal(&terminal.child, "TERM");
    let ended = wait(|| {
        terminal.press("j");
        terminal.child.try_wait().unwrap().is_some()
    });
    assert!(ended);
    terminal.ends();
}

/// Neither does a new size that comes at the same moment.
#[test]
fn a_new_size_takes_no_key() {
    let (_folder, mut terminal) = mail_log_first();
    terminal.shows("6AND15d3014029");
    for round in 0..100 {
        let text = format!("round-{round};");
        terminal.press(&format!("/{text}"));
        terminal.resize(20 + round % 2, 100);
        terminal.press("!");
        terminal.shows(&format!("filter: {text}!_"));
        terminal.press("\u{1b}");
        terminal.shows("q quit");
    }
    terminal.press("q");
    terminal.ends();
}

/// A pipe in a log's place is no log, and nothing waits for its writer.
#[test]
fn a_pipe_in_the_place_of_a_log() {
    let folder = Folder::new();
    folder.file("maillog", "");
    let mut terminal = Terminal::start(&watch(&folder));
    terminal.shows("maillog: silent");
    fs::remove_file(folder.path("maillog")).unwrap();
    assert!(Command::new("mkfifo").arg(folder.path("maillog")).status().unwrap().success());
    terminal.shows("maillog: no regular file");
    terminal.press("q");
    terminal.ends();
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    let folder = Folder::new();
    let mut terminal = Terminal::start(&watch(&folder));
    terminal.shows("maillog: not there yet");
    signal(&terminal.child, "TERM");
    terminal.ends();
}

#[test]
fn nothing_in_a_log_controls_the_terminal() {
    const ATTACK: &str = "\x1b[2J\x1b]0;owned\x07\u{9b}31m\u{202e}\u{200b}\rx";
    let folder = Folder::new();
    folder.file("maillog", MAILLOG.replace("where=rcpt", &format!("where=rcpt{ATTACK}")));
    folder.file(
        "message_log",
        MESSAGE_LOG.replace("<a@", &format!("<{ATTACK}a@")).replace("r=r", &format!("r={ATTACK}r")),
    );
    let mut command = watch(&folder);
    command.arg("--from-start");
    let mut terminal = Terminal::start(&command);
    terminal.shows("6AND15d3014029");
    terminal.press("j\r");
    terminal.shows("relay");
    terminal.press("jjk");
    terminal.press("q");
    terminal.ends();
    let text = String::from_utf8_lossy(&terminal.shown.lock().unwrap().1).into_owned();
    for bad in ["owned\x07", "\x1b]0;", "\u{9b}", "\u{202e}", "\u{200b}"] {
        assert!(!text.contains(bad), "{bad:?}");
    }
    assert!(text.contains(r"\x1b[2J"), "it is shown written out");
}

#[test]
fn what_can_never_be_there_is_said() {
    let folder = Folder::new();
    let there = folder.file("maillog", "");
    let ran = |log: &Path| run(program().args(["watch", "--maillog"]).arg(&there).arg(log));
    ran(&folder.path("no/such/log")).failed(66, &["there is no folder"]);
    ran(folder.path("maillog").parent().unwrap()).failed(66, &["is a directory"]);
}
