//! A real Fluent Bit, with the configuration that is shipped: the corpus as two tailed files, in both orders.
//!
//! Where no Fluent Bit is named by `FLUENT_BIT` or found on `PATH`, the tests say that they were skipped.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "runs a program over files"
)]

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use running::{
    MANY_HOSTS, ORDINARY, Running, SHIPPED, classes, fluent_bit, last_classes, native, to_file, wait, with_inputs,
};

mod host;
mod running;

/// The corpus, one log after the other, with a file's filter in front of the module.
fn corpus_in_order(first: &str, second: &str, filter: &str) {
    let Some(program) = fluent_bit() else { return };
    let module = host::module_path();
    let source = |name: &str| if name == "maillog" { "maillog.bsd" } else { "message_log" };
    let mut wrong = Vec::new();
    for batch in host::scenarios().chunks(7) {
        let running: Vec<_> =
            batch.iter().map(|scenario| (scenario, Running::start_behind(filter, &program, &module))).collect();
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
    corpus_in_order("maillog", "message_log", "");
}

#[test]
fn the_message_log_first() {
    corpus_in_order("message_log", "maillog", "");
}

/// Where Fluent Bit drops what is ordinary, every abort has its class all the same.
#[test]
fn without_ordinary_lines() {
    corpus_in_order("maillog", "message_log", ORDINARY);
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
    let expected = last_classes(native(&scenario));
    // A reason that came behind its abort's wait comes as a revision: the last one counts, and the first one is one.
    let got = || {
        let issued = running.lines("issued");
        let first = issued.iter().filter(|record| record.contains(r#""revision":0"#)).cloned().collect::<Vec<_>>();
        assert!(classes(&first).values().all(|(_, count)| *count == 1), "an abort left twice");
        last_classes(classes(&issued))
    };
    wait(|| got() == expected);
    assert_eq!(got(), expected);
    assert_eq!(running.stop(), Vec::<String>::new());
}

/// Another Fluent Bit sends both logs by `forward`, to the input that is shipped for it.
#[test]
fn from_another_host() {
    let Some(program) = fluent_bit() else { return };
    let scenario = host::scenarios().into_iter().find(|folder| folder.ends_with("mixed")).expect("the scenario");
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let (_, inputs) = MANY_HOSTS.split_once("    - name: forward").expect("the input");
    let input = inputs.split("\n\n").next().expect("its keys").replace("24224", &port.to_string());
    let central = with_inputs(&format!("    - name: forward{}\n\n", input.replace("0.0.0.0", "127.0.0.1")));
    let running = Running::start_shipped(&central, &program, &host::module_path());
    let at = running.folder.path();
    let tail = |tag: &str, file: &str| {
        let path = scenario.join(file).display().to_string();
        format!("    - name: tail\n      tag: {tag}\n      path: {path}\n      read_from_head: true\n")
    };
    let inputs = tail("evidence.maillog", "maillog.bsd") + &tail("pmx.message_log", "message_log");
    let output = format!("    - name: forward\n      match: '*'\n      host: 127.0.0.1\n      port: {port}\n");
    let sends = format!("service:\n  flush: 0.2\npipeline:\n  inputs:\n{inputs}  outputs:\n{output}");
    fs::write(at.join("sends.yaml"), sends).expect("a configuration");
    let log = fs::File::create(at.join("sends.log")).expect("a log");
    let mut sender = Command::new(&program)
        .arg("-c")
        .arg(at.join("sends.yaml"))
        .stdout(log.try_clone().expect("a log"))
        .stderr(log)
        .spawn()
        .expect("fluent-bit");
    let expected = last_classes(native(&scenario));
    let got = || last_classes(classes(&running.lines("issued")));
    wait(|| got() == expected);
    let _ = sender.kill();
    let _ = sender.wait();
    assert_eq!(got(), expected);
    assert_eq!(running.stop(), Vec::<String>::new());
}

/// sendmail's log comes by syslog, to the input that is shipped for it.
#[test]
fn by_syslog() {
    let Some(program) = fluent_bit() else { return };
    let scenario = host::scenarios().into_iter().find(|folder| folder.ends_with("mixed")).expect("the scenario");
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let (parsers, inputs) = MANY_HOSTS.split_once("pipeline:").expect("its parsers");
    let (_, input) = inputs.split_once("    - name: syslog").expect("the input");
    let input = input.replace("5140", &port.to_string()).replace("0.0.0.0", "127.0.0.1");
    let (_, entries) = SHIPPED.split_once("    # PureMessage's log").expect("the second input");
    let (entries, _) = entries.split_once("    # The filter's clock").expect("the tick");
    let central =
        parsers.to_owned() + &with_inputs(&format!("    - name: syslog{input}\n    # PureMessage's log{entries}"));
    let running = Running::start_shipped(&central, &program, &host::module_path());
    let mail = fs::read_to_string(scenario.join("maillog.bsd")).expect("the mail log");
    let mail: String = mail.lines().map(|line| format!("<22>{line}\n")).collect();
    wait(|| TcpStream::connect(("127.0.0.1", port)).is_ok_and(|mut to| to.write_all(mail.as_bytes()).is_ok()));
    running.write("message_log", &fs::read(scenario.join("message_log")).expect("the entries"));
    let expected = native(&scenario);
    wait(|| classes(&running.lines("issued")) == expected);
    let issued = running.lines("issued");
    assert_eq!(classes(&issued), expected);
    // The lines have kept their times: the entry is told from them.
    let with = |what: &str| issued.iter().filter(|record| record.contains(what)).count();
    assert_eq!(with(r#""offset_secs":"#), with(r#""evidence":["#));
    assert!(with(r#""evidence":["#) > 0, "{issued:?}");
    assert_eq!(running.stop(), Vec::<String>::new());
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

/// An entry that waits because of a failure, and turns out to be another host's, goes on where entries go.
#[test]
fn an_entry_that_waited_in_vain() {
    let Some(program) = fluent_bit() else { return };
    let running = Running::start(&program, &host::module_path());
    let failure = |host: &str| {
        let text = "Milter (PureMessage): timeout before data read, where=eom";
        format!("Nov 23 13:01:05 {host} sendmail[14029]: 6AND15V7014029: {text}\n")
    };
    let entry = "2026-11-23T13:01:06 q=6AND15V7014029 f=<a@example.org> r=relay.example.com tm=9.00 a=a/eom";
    running.write("maillog", failure("mx1").as_bytes());
    std::thread::sleep(Duration::from_secs(2));
    running.write("message_log", format!("{entry}\n").as_bytes());
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(running.lines("passed"), Vec::<String>::new(), "it waits");
    running.append("maillog", failure("mx2").as_bytes());
    wait(|| !running.lines("passed").is_empty());
    let passed = running.lines("passed");
    assert!(passed.len() == 1 && passed[0].contains(entry) && !passed[0].contains("\"abort\""), "{passed:?}");
    assert_eq!(running.stop(), Vec::<String>::new());
}

/// A module that knows another tag of ticks: aborts leave at once. A tick that leaves at the start kills Fluent Bit 5.1.1.
#[test]
fn under_another_tag_of_ticks() {
    let Some(program) = fluent_bit() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let module = configured(folder.path(), "fluent_bit: {tick_tag: other.tick}\n");
    let file = |name: &str, tag: &str| to_file(folder.path(), name, tag);
    let outputs = file("ticks", "abort_reason.tick") + &file("issued", "abort_reason.issued");
    let mut running = Running::start_with(&program, &module, &outputs);
    let scenarios = host::scenarios();
    let mixed = scenarios.iter().find(|folder| folder.ends_with("mixed")).expect("the scenario");
    for (name, from) in [("maillog", "maillog.bsd"), ("message_log", "message_log")] {
        running.write(name, &fs::read(mixed.join(from)).expect(from));
    }
    let told = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    let ids = || {
        let records = told("issued");
        let records = records.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        records.map(|record| record["abort"]["id"].to_string()).collect::<std::collections::BTreeSet<_>>()
    };
    let all = native(mixed).len();
    wait(|| ids().len() == all);
    assert_eq!(ids().len(), all);
    for _ in 0..2 {
        std::thread::sleep(Duration::from_secs(3));
        running.signal("TERM");
        running.ended();
        running.go_on(&program);
    }
    assert_eq!(told("ticks"), "");
    let died = |line: &String| line.contains("caught signal") && !line.contains("SIGTERM");
    assert!(!running.lines("log").iter().any(died), "{:#?}", running.lines("log"));
    assert_eq!(running.stop(), Vec::<String>::new());
}

/// The report that a first tick would bring killed Fluent Bit 5.1.1 at its start.
#[test]
fn with_reports() {
    let Some(program) = fluent_bit() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let module = configured(folder.path(), "fluent_bit: {report_secs: 1}\n");
    let output = to_file(folder.path(), "reports", "abort_reason.tick");
    let mut running = Running::start_with(&program, &module, &output);
    let reports = || fs::read_to_string(folder.path().join("reports")).unwrap_or_default().lines().count();
    for start in 1..=2 {
        let before = reports();
        wait(|| reports() > before + 1);
        assert!(reports() > before + 1, "start {start}");
        running.signal("TERM");
        running.ended();
        running.go_on(&program);
    }
    assert_eq!(running.stop(), Vec::<String>::new());
}

/// The module with a configuration of its own, in a folder.
fn configured(folder: &Path, text: &str) -> PathBuf {
    let (module, config) = (folder.join("configured.wasm"), folder.join("configured.yaml"));
    fs::write(&config, text).expect("a configuration");
    let mut command = Command::new(host::module_path().with_file_name("abort-reason"));
    command.args(["configure", "--face", "fluent-bit", "--config"]).arg(&config);
    command.arg("--module").arg(host::module_path()).arg("--output").arg(&module);
    assert!(command.status().is_ok_and(|status| status.success()));
    module
}
