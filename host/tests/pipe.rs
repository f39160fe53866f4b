//! `abort-reason pipe`: what passes, what is issued, when it leaves, and what happens if the component fails.

mod common;
#[path = "common/corpus.rs"]
// Every test program uses its part of it.
#[allow(dead_code, unreachable_pub)]
mod corpus;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use common::{Folder, MAILLOG, MESSAGE_LOG, broken, pipe, program, record, run, run_with};
use serde_json::Value;

/// How long to wait for what must come.
const PATIENCE: Duration = Duration::from_mins(1);

/// Both logs as records, in order of time.
fn records() -> Vec<String> {
    let mail: Vec<&str> = MAILLOG.lines().collect();
    let entries: Vec<&str> = MESSAGE_LOG.lines().collect();
    [mail[0], mail[1], entries[0], mail[2], entries[1], entries[2]].map(record).into()
}

#[test]
fn aborts_leave_with_their_reason_and_the_rest_unchanged() {
    let records = records();
    let ran = run_with(pipe().arg("--stats"), (records.join("\n") + "\n").as_bytes()).ok();
    let out: Vec<&str> = ran.text().lines().collect();
    let (issued, passed): (Vec<&str>, Vec<&str>) = out.iter().partition(|line| line.contains("\"abort\":"));
    assert_eq!(passed, [&records[0], &records[1], &records[3], &records[4]]);
    let stats: Value = serde_json::from_str(ran.stderr.trim()).unwrap();
    assert_eq!((&stats["pipe"]["lines"], &stats["component"]["aborts"]), (&6.into(), &2.into()));
    // The same bytes as offline.
    let folder = Folder::new();
    let mut explained: Vec<String> =
        run(&mut folder.explain(MAILLOG, MESSAGE_LOG)).ok().text().lines().map(str::to_owned).collect();
    let mut issued: Vec<String> = issued.into_iter().map(str::to_owned).collect();
    explained.sort();
    issued.sort();
    assert_eq!(issued, explained);
}

#[test]
fn what_is_no_record_passes_byte_for_byte() {
    let mut input = Vec::new();
    for line in [
        &b""[..],
        b"\r",
        b"   ",
        b"no JSON",
        b"[1,2]",
        b"\"text\"",
        b"{\"message\":",
        b"{\"message\":\"\xff\xfe\"}",
        b"{}}",
        b"{}",
        b"{\"message\":1}",
        b" {\"message\":\"other\"} \r",
        b"\0\x1b[31m",
        b"{\"message\":\"a\\u0000b\"}",
        b"{\"a\":{\"b\":[{}]}}",
    ] {
        input.extend_from_slice(line);
        input.push(b'\n');
    }
    input.push(b'{');
    input.extend_from_slice(&vec![b'x'; 3 << 20]);
    input.extend_from_slice(b"}\n");
    input.extend_from_slice(&[b"{\"message\":\"".as_slice(), &vec![b'y'; 900_000], b"\"}\nno line end"].concat());
    let ran = run_with(&mut pipe(), &input).ok();
    assert!(ran.stdout == input, "{} bytes became {}", input.len(), ran.stdout.len());
    assert_eq!(ran.stderr, "");
}

#[test]
fn a_last_line_without_its_end_is_no_trap_for_a_record() {
    let abort = record(MESSAGE_LOG.lines().next().unwrap());
    let ran = run_with(&mut pipe(), format!("{abort}\nlast").as_bytes()).ok();
    let lines: Vec<&str> = ran.text().lines().collect();
    assert_eq!((lines.len(), lines[0]), (2, "last"));
    assert!(lines[1].contains("\"abort\":{"));
    let ran = run_with(&mut pipe(), abort.as_bytes()).ok();
    assert!(ran.text().ends_with("}\n"), "{ran:?}");
}

/// A running pipe, with what it says line by line.
struct Live {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Live {
    fn start(command: &mut Command) -> Live {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
        let stdin = child.stdin.take();
        Live { child, stdin, lines }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    fn hear(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("nothing came")
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.stdin = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn held_aborts_leave_in_time_while_nothing_comes_in() {
    let folder = Folder::new();
    let config = folder.file("config.yaml", "hold_secs: 1\n");
    let mut live = Live::start(pipe().arg("--config").arg(config));
    // What is forwarded does not wait in a buffer.
    live.say("first");
    assert_eq!(live.hear(), "first");
    let said = Instant::now();
    live.say(&record(MESSAGE_LOG.lines().next().unwrap()));
    assert!(live.hear().contains("\"abort\":{"));
    let waited = said.elapsed();
    assert!(waited >= Duration::from_millis(900), "the abort did not wait for its reason: {waited:?}");
    assert!(waited < Duration::from_secs(30), "{waited:?}");
    live.stdin = None;
    assert!(live.child.wait().unwrap().success());
}

#[cfg(unix)]
#[test]
fn a_signal_to_end_lets_go_of_what_is_held() {
    use rustix::process::{Pid, Signal, kill_process};
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut live = Live::start(&mut pipe());
        live.say(&record(MESSAGE_LOG.lines().next().unwrap()));
        live.say("after");
        // The abort came before it, and so is held by now.
        assert_eq!(live.hear(), "after");
        kill_process(Pid::from_child(&live.child), signal).unwrap();
        assert!(live.hear().contains("\"abort\":{"));
        assert!(live.child.wait().unwrap().success());
    }
}

/// Whatever was read before the signal leaves, also where nobody takes it for a while.
#[cfg(unix)]
#[test]
fn a_signal_to_end_loses_nothing_that_was_read() {
    use std::io::{Read, Seek};

    use rustix::process::{Pid, Signal, kill_process};
    let folder = Folder::new();
    let lines: String = (0..200_000).map(|n| format!("{{\"number\":{n},\"message\":\"x\"}}\n")).collect();
    // The place in a file is one and the same here and there.
    let mut input = std::fs::File::open(folder.file("records", &lines)).unwrap();
    let mut child =
        pipe().stdin(input.try_clone().unwrap()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    let mut read = 0;
    while read == 0 || input.stream_position().unwrap() != read {
        read = input.stream_position().unwrap();
        assert!(began.elapsed() < PATIENCE, "{read}");
        std::thread::sleep(Duration::from_millis(300));
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let mut written = String::new();
    child.stdout.take().unwrap().read_to_string(&mut written).unwrap();
    assert!(child.wait().unwrap().success());
    let read = usize::try_from(input.stream_position().unwrap()).unwrap();
    assert!(read < lines.len() && written == lines[..read], "{} of {read} bytes", written.len());
}

/// As under `nohup`, and more.
#[cfg(unix)]
#[test]
fn signals_that_are_ignored_end_nothing() {
    let folder = Folder::new();
    let program = env!("CARGO_BIN_EXE_abort-reason");
    let mut command = Command::new("sh");
    let script = "trap '' HUP INT TERM; exec \"$0\" pipe --component \"$1\"";
    command.args(["-c", script, program]).arg(common::component());
    command.stdin(std::fs::File::open(folder.file("records", "{\"a\":1}\nb\n")).unwrap());
    assert_eq!(run(&mut command).ok().text(), "{\"a\":1}\nb\n");
}

/// `pipe` with a component made for the test.
fn broken_pipe(folder: &Folder, bodies: &broken::Bodies) -> Command {
    let mut command = program();
    command.args(["pipe", "--stats", "--component"]).arg(folder.file("component.wasm", bodies.component()));
    command
}

fn counts(stderr: &str) -> Value {
    serde_json::from_str::<Value>(stderr.lines().last().unwrap()).unwrap()["pipe"].clone()
}

#[test]
fn a_component_that_traps_loses_no_line() {
    let folder = Folder::new();
    let bodies = broken::Bodies { push: "unreachable", ..broken::Bodies::default() };
    let input = "{\"a\":1}\nno record\n{\"b\":2}\n";
    let ran = run_with(&mut broken_pipe(&folder, &bodies), input.as_bytes()).ok();
    assert_eq!(ran.text(), input);
    assert_eq!(ran.stderr.matches("unreachable").count(), 1, "{}", ran.stderr);
    let counts = counts(&ran.stderr);
    assert_eq!((&counts["failures"], &counts["passed_after_failure"]), (&2.into(), &2.into()), "{counts}");
}

#[test]
fn what_a_component_held_leaves_unchanged_when_it_fails() {
    let folder = Folder::new();
    // It holds whatever it gets, never issues anything, and traps at the poison.
    let bodies = broken::Bodies { push: broken::TRAPS_AT_POISON, disposition: 2, ..broken::Bodies::default() };
    let mut live = Live::start(broken_pipe(&folder, &bodies).stderr(Stdio::piped()));
    live.say("{\"held\":1}");
    live.say("one");
    assert_eq!(live.hear(), "one");
    live.say("{\"poison\":1}");
    assert_eq!(live.hear(), "{\"poison\":1}");
    live.say("{\"held\":2}");
    live.say("two");
    assert_eq!(live.hear(), "two");
    live.stdin = None;
    assert_eq!([live.hear(), live.hear()], ["{\"held\":1}", "{\"held\":2}"]);
    assert!(live.child.wait().unwrap().success());
}

#[test]
fn a_component_that_hangs_is_stopped() {
    let folder = Folder::new();
    let bodies = broken::Bodies { push: broken::HANGS, ..broken::Bodies::default() };
    let ran = run_with(broken_pipe(&folder, &bodies).args(["--call-timeout", "0.3"]), b"{\"a\":1}\n").ok();
    assert_eq!(ran.text(), "{\"a\":1}\n");
    assert!(ran.stderr.contains("took longer than 300ms"), "{}", ran.stderr);
}

#[test]
fn a_component_that_hangs_in_every_call_is_left_alone() {
    let folder = Folder::new();
    let bodies = broken::Bodies { push: broken::HANGS, ..broken::Bodies::default() };
    let mut live = Live::start(broken_pipe(&folder, &bodies).args(["--call-timeout", "0.2"]).stderr(Stdio::piped()));
    let mut say = |number: u32| {
        let line = format!("{{\"a\":{number}}}");
        live.say(&line);
        assert_eq!(live.hear(), line);
    };
    // Some hang; the others pass at once.
    (0..50).for_each(&mut say);
    // Now and then it has another chance.
    std::thread::sleep(Duration::from_secs(11));
    (50..60).for_each(&mut say);
    live.stdin = None;
    let mut stderr = String::new();
    std::io::Read::read_to_string(&mut live.child.stderr.take().unwrap(), &mut stderr).unwrap();
    assert_eq!(stderr.matches("failed 4 times in a row").count(), 1, "{stderr}");
    let counts = counts(&stderr);
    assert_eq!((&counts["failures"], &counts["passed_after_failure"]), (&5.into(), &60.into()), "{counts}");
}

#[test]
fn a_component_that_swells_is_stopped() {
    let folder = Folder::new();
    let bodies = broken::Bodies { push: broken::SWELLS, ..broken::Bodies::default() };
    let ran = run_with(broken_pipe(&folder, &bodies).args(["--memory-limit", "16"]), b"{\"a\":1}\n").ok();
    assert_eq!(ran.text(), "{\"a\":1}\n");
    assert_eq!(counts(&ran.stderr)["failures"], 2);
}

#[test]
fn with_little_memory_less_is_kept() {
    let mut input = String::new();
    for number in 0..24_000 {
        let (id, second) = (format!("6AND{:02}d3{number:06}", number % 60), number / 1_000);
        let entry = format!(
            "2026-11-23T13:01:{second:02} q={id} f=<a@example.org> t=<b@example.net> r=r.example.com tm=1 a=c/abort"
        );
        let text =
            format!("Nov 23 13:01:{second:02} mx1 sendmail[{number}]: {id}: Milter (PureMessage): to error state");
        for line in [entry, text] {
            input.push_str(&record(&line));
            input.push('\n');
        }
    }
    let ran = run_with(pipe().args(["--memory-limit", "16", "--stats"]), input.as_bytes()).ok();
    assert!(ran.stderr.contains("16 MiB are too little for the limits"), "{}", ran.stderr);
    assert_eq!((&counts(&ran.stderr)["failures"], ran.text().lines().count()), (&0.into(), 48_000));
}

#[test]
fn a_filter_name_that_never_occurs_is_said() {
    let mut command = program();
    command.args(["pipe", "--filter-name", "PureMesage", "--component"]).arg(common::component());
    let line = MAILLOG.lines().next().unwrap();
    let ran = run_with(&mut command, format!("{}\n", serde_json::json!({ "message": line })).as_bytes()).ok();
    assert!(ran.stderr.contains("\"PureMesage\"; those that it names: \"PureMessage\""), "{}", ran.stderr);
}

#[test]
fn the_order_does_not_depend_on_how_the_input_is_cut() {
    let folder = corpus::scenarios().into_iter().find(|folder| folder.ends_with("upstream-8.17-L9")).unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let lines: Vec<String> =
        [read("maillog.iso"), read("message_log")].iter().flat_map(|log| log.lines()).map(record).collect();
    let whole = run_with(&mut pipe(), (lines.join("\n") + "\n").as_bytes()).ok();
    assert!(whole.text().contains("\"abort\":"));
    for step in [1, 7, 300] {
        let mut child = pipe().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let lines = lines.clone();
        let writing = std::thread::spawn(move || {
            for (number, chunk) in lines.chunks(step).enumerate() {
                stdin.write_all((chunk.join("\n") + "\n").as_bytes()).unwrap();
                if number % 16 == 0 {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        let out = child.wait_with_output().unwrap();
        writing.join().unwrap();
        assert!(out.stdout == whole.stdout, "another order where {step} lines come at a time");
    }
}
