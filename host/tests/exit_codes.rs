//! Every way to end: exit codes of `sysexits.h`, and a message that says what, where and what to do.

mod common;

use std::process::Stdio;

use common::{Folder, MAILLOG, MESSAGE_LOG, broken, component, pipe, program, run, run_with};

#[test]
fn wrong_usage_is_64() {
    run(&mut program()).failed(64, &["Usage: abort-reason"]);
    run(program().arg("explian")).failed(64, &["unrecognized subcommand"]);
    run(program().args(["explain", "message_log"])).failed(64, &["--maillog <FILE>"]);
    run(program().args(["explain", "--maillog", "-", "-"])).failed(64, &["only once", "Name a file"]);
    run(program().args(["explain", "--format", "xml", "--maillog", "a", "b"])).failed(64, &["[possible values: table"]);
    run(pipe().args(["--memory-limit", "1"])).failed(64, &["1 is not in 16..=4096"]);
    run(pipe().args(["--call-timeout", "never"])).failed(64, &["a number of seconds"]);
}

#[test]
fn unusable_input_is_65() {
    let folder = Folder::new();
    run(&mut folder.explain(MAILLOG, MAILLOG))
        .failed(65, &["is given as a message_log, but holds sendmail's log", "--maillog"]);
    run(&mut folder.explain(MESSAGE_LOG, MESSAGE_LOG)).failed(65, &["is given with --maillog, but holds"]);
    let watch = |mail: &[u8]| {
        let mut command = program();
        command.args(["watch", "--maillog"]).arg(folder.file("maillog", mail)).arg(folder.path("message_log"));
        command
    };
    run(&mut watch(MESSAGE_LOG.as_bytes())).failed(65, &["is given with --maillog, but holds"]);
    run(&mut watch(b"\x1f\x8b\x08\0garbage")).failed(65, &["maillog is packed", "Name the file that is being written"]);
    let packed = zstd::encode_all(MAILLOG.as_bytes(), 0).unwrap();
    run(&mut folder.explain(&packed[..packed.len() / 2], MESSAGE_LOG)).failed(65, &["maillog ends in the middle"]);
    run(&mut folder.explain(b"BZh91AY&SY....", MESSAGE_LOG)).failed(65, &["compressed by bzip2", "bzip2 -dc"]);
    run(&mut folder.explain(b"\xfd7zXZ\0garbage, garbage, garbage", MESSAGE_LOG))
        .failed(65, &["cannot unpack", "damaged"]);
    for file in [folder.file("text", "no module"), folder.file("module", wat::parse_str("(module)").unwrap())] {
        run(program().args(["pipe", "--component"]).arg(file)).failed(65, &["not a component", "--component"]);
    }
    let importing = folder.file("importing", wat::parse_str("(component (import \"f\" (func)))").unwrap());
    run(program().args(["pipe", "--component"]).arg(importing)).failed(65, &["not a component of the world"]);
}

#[test]
fn missing_input_is_66() {
    let folder = Folder::new();
    let missing = folder.path("nowhere");
    run(folder.explain(MAILLOG, MESSAGE_LOG).arg(&missing)).failed(66, &["cannot find", "nowhere", "Check the name"]);
    run(folder.explain(MAILLOG, MESSAGE_LOG).arg(folder.path("."))).failed(66, &["is a directory"]);
    run(folder.explain(MAILLOG, MESSAGE_LOG).arg("--config").arg(&missing))
        .failed(66, &["cannot read the configuration"]);
    run(program().args(["pipe", "--component"]).arg(&missing))
        .failed(66, &["cannot read the component", "xtask build"]);
}

/// The program without a component beside it, by another link to the same file.
#[test]
fn a_component_that_is_nowhere_is_69() {
    let folder = Folder::new();
    let alone = folder.path("abort-reason");
    std::fs::hard_link(env!("CARGO_BIN_EXE_abort-reason"), &alone).unwrap();
    let mut command = std::process::Command::new(&alone);
    command.arg("pipe").env_remove("ABORT_REASON_COMPONENT").stdin(Stdio::null());
    run(&mut command).failed(69, &["abort_reason.component.wasm is not beside this program", "--component"]);
    // Beside it, it is found.
    std::fs::copy(component(), folder.path("abort_reason.component.wasm")).unwrap();
    run(&mut command).ok();
}

#[test]
fn a_component_that_does_not_start_is_69_and_one_that_refuses_is_78() {
    let folder = Folder::new();
    let start = |init, name: &str| {
        let file = folder.file(name, broken::Bodies { init, ..broken::Bodies::default() }.component());
        run(program().args(["pipe", "--component"]).arg(file))
    };
    start("unreachable", "traps").failed(69, &["does not start", "unreachable"]);
    start("i32.const 1", "refuses").failed(78, &["refuses the configuration"]);
}

#[test]
fn an_output_that_cannot_be_made_is_73() {
    let folder = Folder::new();
    for target in [folder.path("no/such/folder"), folder.path(".")] {
        run(folder.explain(MAILLOG, MESSAGE_LOG).arg("--output").arg(target))
            .failed(73, &["cannot create", "--output"]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_74() {
    let folder = Folder::new();
    let full = || Stdio::from(std::fs::File::options().write(true).open("/dev/full").unwrap());
    let run = |command: &mut std::process::Command| -> common::Ran {
        command.stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap().into()
    };
    for format in ["ndjson", "json", "csv", "table"] {
        run(folder.explain(MAILLOG, MESSAGE_LOG).args(["--format", format]).stdout(full()))
            .failed(74, &["cannot write to standard output", "Make room"]);
    }
    run(folder.explain(MAILLOG, MESSAGE_LOG).args(["--output", "/dev/full"]))
        .failed(74, &["cannot write to /dev/full"]);
    run(program().arg("reasons").stdout(full())).failed(74, &["cannot write"]);
}

#[test]
fn a_reader_that_has_gone_away_is_0() {
    let folder = Folder::new();
    let gone = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    let quiet = |command: &mut std::process::Command| {
        let ran: common::Ran =
            command.stdout(gone()).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap().into();
        assert_eq!(ran.ok().stderr, "");
    };
    quiet(&mut folder.explain(MAILLOG, MESSAGE_LOG));
    quiet(folder.explain(MAILLOG, MESSAGE_LOG).args(["--format", "csv"]));
    quiet(program().args(["reasons", "--format", "json"]));
    quiet(program().args(["completions", "bash"]));
    let file = folder.file("forwards", broken::Bodies::default().component());
    quiet(
        program().args(["pipe", "--component"]).arg(file).stdin(std::fs::File::open(folder.path("maillog")).unwrap()),
    );
}

#[test]
fn a_wrong_configuration_is_78() {
    let folder = Folder::new();
    for (config, said) in [
        ("{\"hold_secs\": -1}", "hold_secs: -1 is not allowed; allowed is"),
        ("hold_secs: soon\n", "hold_secs: \"soon\" is not allowed; allowed is"),
        ("filter_name: x\n", "filter_name: unknown key; known are mail_programs, filter_names"),
        ("{\"hold_secs\": ", "no valid JSON"),
        ("a: [\n", "no valid YAML"),
        ("- a\n", "configuration"),
    ] {
        let file = folder.file("config", config);
        run(folder.explain(MAILLOG, MESSAGE_LOG).arg("--config").arg(&file)).failed(78, &[said]);
        run(pipe().arg("--config").arg(&file)).failed(78, &[said]);
        run(program().arg("check").arg(&file)).failed(78, &[said]);
    }
    for (config, hint) in [
        ("hold_secs: -1\n", "`abort-reason check FILE`"),
        ("fluent_bit: {}\n", "only `abort-reason configure` reads it"),
        ("forward: \"-\"\n", "`abort-reason bridge --check --config FILE`"),
    ] {
        let file = folder.file("config", config);
        run(folder.explain(MAILLOG, MESSAGE_LOG).arg("--config").arg(&file)).failed(78, &[hint]);
    }
    let file = folder.file("config", "forward: \"-\"\nlisten: foo\n");
    run(program().args(["bridge", "--check", "--config"]).arg(&file)).failed(78, &["`listen: \"foo\"`: invalid"]);
    let file = folder.file("config", b"\xff\xfe");
    run(program().arg("check").arg(&file)).failed(78, &["not UTF-8"]);
    run_with(program().args(["check", "-"]), b"nonsense: 1").failed(78, &["standard input", "nonsense: unknown key"]);
}

/// What would run, and do harm without a word.
#[test]
fn a_bridge_is_checked_against_itself() {
    let folder = Folder::new();
    let check = |text: &str| {
        let file = folder.file("bridge.yaml", text);
        let mut command = program();
        command.args(["bridge", "--check", "--component"]).arg(component());
        command.arg("--state-dir").arg(folder.path("state")).arg("--config").arg(file);
        run(&mut command)
    };
    for (listen, forward) in [
        ("127.0.0.1:6000", "http://127.0.0.1:6000"),
        ("127.0.0.1:6000", "http://localhost:6000/"),
        ("\"[::]:6000\"", "http://[::1]:6000"),
    ] {
        let text = format!("listen: {listen}\nforward: {forward}\n");
        check(&text).failed(78, &["is where the bridge itself listens"]);
    }
    check("listen: 127.0.0.1:6000\nforward: http://127.0.0.1:6001\n").ok();
}

/// Limits that don't fit into what the bridge has are lowered, as `pipe` does, where the component is its own.
#[test]
fn a_bridge_lowers_limits_that_do_not_fit() {
    let folder = Folder::new();
    let here = folder.path("abort-reason");
    std::fs::copy(env!("CARGO_BIN_EXE_abort-reason"), &here).unwrap();
    std::fs::copy(component(), folder.path("abort_reason.component.wasm")).unwrap();
    let check = |text: &str| {
        let file = folder.file("bridge.yaml", format!("forward: http://127.0.0.1:6001\n{text}"));
        let mut command = std::process::Command::new(&here);
        command.env_remove("ABORT_REASON_COMPONENT").args(["bridge", "--check", "--state-dir"]);
        run(command.arg(folder.path("state")).arg("--config").arg(file)).ok()
    };
    assert!(!check("").text().contains("do not fit"));
    for (text, join_bytes) in [
        ("memory_limit_mib: 64\n", "join_bytes 16"),
        ("journal_max_bytes: 16777216\n", "join_bytes 2097152,"),
        ("transform: {limits: {join_bytes: 8589934592}}\n", "join_bytes 1"),
    ] {
        let ran = check(text);
        assert!(ran.text().contains("do not fit") && ran.text().contains(join_bytes), "{text}: {}", ran.text());
    }
}
