//! `abort-reason explain`: its formats, its order of files, what it unpacks.

mod common;

use std::io::Write;

use common::{Folder, MAILLOG, MESSAGE_LOG, Ran, program, run, run_with};
use serde_json::Value;

/// Queue id and class of each record.
fn classes(ran: &Ran) -> Vec<(String, String)> {
    let word = |object: &Value, name: &str| object["abort"][name].as_str().unwrap().to_owned();
    ran.objects().iter().map(|object| (word(object, "queue_id"), word(object, "class"))).collect()
}

fn expected() -> Vec<(String, String)> {
    [("6AND15d3014029", "filter_timeout"), ("6AND18bb014032", "unexplained")]
        .map(|(id, class)| (id.to_owned(), class.to_owned()))
        .into()
}

#[test]
fn ndjson_is_the_default_away_from_a_terminal() {
    let folder = Folder::new();
    let ran = run(&mut folder.explain(MAILLOG, MESSAGE_LOG)).ok();
    assert_eq!(classes(&ran), expected());
    assert_eq!(ran.objects()[0]["message"], MESSAGE_LOG.lines().next().unwrap());
    assert_eq!(ran.stderr, "");
}

#[test]
fn json_is_one_array_of_the_same_records() {
    let folder = Folder::new();
    let lines = run(&mut folder.explain(MAILLOG, MESSAGE_LOG)).ok();
    let array = run(folder.explain(MAILLOG, MESSAGE_LOG).args(["--format", "json"])).ok();
    assert_eq!(serde_json::from_slice::<Vec<Value>>(&array.stdout).unwrap(), lines.objects());
    let none = run(folder.explain(MAILLOG, "").args(["--format", "json"])).ok();
    assert_eq!(none.text(), "[]\n");
}

#[test]
fn csv_has_a_header_and_flat_columns() {
    let folder = Folder::new();
    let ran = run(folder.explain(MAILLOG, MESSAGE_LOG).args(["--format", "csv"])).ok();
    let mut rows = csv::Reader::from_reader(ran.stdout.as_slice());
    let header = rows.headers().unwrap().clone();
    assert_eq!(header.iter().take(4).collect::<Vec<_>>(), ["id", "kind", "queue_id", "host"]);
    let rows: Vec<_> = rows.records().map(Result::unwrap).collect();
    let at = |row: usize, name: &str| rows[row].get(header.iter().position(|column| column == name).unwrap()).unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (at(0, "class"), at(0, "stage"), at(0, "timeout"), at(0, "own_filter")),
        ("filter_timeout", "rcpt", "R", "true")
    );
    assert_eq!((at(0, "from"), at(0, "to"), at(0, "processing_secs")), ("<a@example.org>", "<b@example.net>", "1.04"));
    assert_eq!((at(1, "status"), at(1, "reason"), at(1, "why_not")), ("unexplained", "", "no_mail_lines"));
}

#[test]
fn csv_holds_no_formula() {
    let folder = Folder::new();
    let message_log = "2026-11-23T13:01:06 q=6AND15d3014029 f==HYPERLINK(\"http://x\") t=@SUM(1) r=+1 a=c/abort\n";
    let ran = run(folder.explain(MAILLOG, message_log).args(["--format", "csv"])).ok();
    for cell in csv::Reader::from_reader(ran.stdout.as_slice())
        .records()
        .flat_map(|row| row.unwrap().into_iter().map(str::to_owned).collect::<Vec<_>>())
    {
        assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell}");
    }
    assert!(ran.text().contains("'=HYPERLINK"), "{}", ran.text());
}

#[test]
fn the_table_says_what_to_do() {
    let folder = Folder::new();
    let ran = run(folder.explain(MAILLOG, MESSAGE_LOG).args(["--format", "table"])).ok();
    let text = ran.words();
    for part in [
        "QUEUE ID",
        "6AND15d3014029",
        "filter timeout",
        "timeout before data read, where=rcpt",
        "2 aborts: 1 wants action, 1 ",
        "Raise the timeout",
        "no line of the mail log has this queue id",
        "Read 3 lines of the mail log and 3 of message_log; all could be read.",
    ] {
        assert!(text.contains(part), "{part:?} is missing in\n{}", ran.text());
    }
    assert!(!text.contains('\x1b'));
    let none = run(folder.explain(MAILLOG, "").args(["--format", "table"])).ok();
    assert!(none.text().starts_with("No aborts.\n"), "{none:?}");
}

#[test]
fn what_was_delivered_unscanned_comes_first() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpus/filter-Fnone-L9");
    let ran = run(program()
        .args(["explain", "--format", "table", "--filter-name", "PureMessage", "--maillog"])
        .args([format!("{corpus}/maillog.iso"), format!("{corpus}/message_log")]))
    .ok();
    let loud = ran.text().find("DELIVERED UNSCANNED: ").expect("a warning");
    assert!(loud < ran.text().find("WHAT TO DO").unwrap(), "{}", ran.text());
    assert!(ran.text().contains("The mail was: DELIVERED UNSCANNED "), "{}", ran.text());
}

#[test]
fn files_may_come_in_any_order_and_compressed_under_any_name() {
    let folder = Folder::new();
    let gzip = |text: &str| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap()
    };
    let xz = |text: &str| {
        let mut packed = liblzma::write::XzEncoder::new(Vec::new(), 6);
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap()
    };
    let zstd = |text: &str| zstd::encode_all(text.as_bytes(), 0).unwrap();
    let mail: Vec<&str> = MAILLOG.split_inclusive('\n').collect();
    let entries: Vec<&str> = MESSAGE_LOG.split_inclusive('\n').collect();
    let maillogs = [
        folder.file("new", mail[2]),
        // Two streams in one file, as concatenated rotations have them.
        folder.file("old.txt", [gzip(mail[0]), gzip(mail[1])].concat()),
    ];
    let message_logs =
        [folder.file("c", zstd(entries[2])), folder.file("b.gz", xz(entries[1])), folder.file("a", entries[0])];
    let mut command = program();
    command.args(["explain", "--filter-name", "PureMessage"]);
    for file in &maillogs {
        command.arg("--maillog").arg(file);
    }
    let ran = run(command.args(&message_logs)).ok();
    let plain = run(&mut folder.explain(MAILLOG, MESSAGE_LOG)).ok();
    assert_eq!(ran.text(), plain.text());
}

#[test]
fn marks_and_zeros_around_a_log_are_no_part_of_it() {
    let folder = Folder::new();
    let plain = run(&mut folder.explain(MAILLOG, MESSAGE_LOG)).ok();
    // A mark of UTF-8 in front, which hid the first entry; zeros behind what gzip packed.
    let marked = folder.file("marked", format!("\u{feff}{MESSAGE_LOG}"));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(MAILLOG.as_bytes()).unwrap();
    let filled = folder.file("filled.gz", [packed.finish().unwrap(), vec![0; 5_000]].concat());
    let mut command = program();
    command.args(["explain", "--filter-name", "PureMessage", "--maillog"]).arg(filled).arg(marked);
    assert_eq!(run(&mut command).ok().text(), plain.text());
}

#[cfg(unix)]
#[test]
fn a_file_that_is_replaced_keeps_its_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let output = folder.file("output", "old");
    for mode in [0o600, 0o640, 0o664] {
        std::fs::set_permissions(&output, std::fs::Permissions::from_mode(mode)).unwrap();
        run(folder.explain(MAILLOG, MESSAGE_LOG).arg("--output").arg(&output)).ok();
        let metadata = std::fs::metadata(&output).unwrap();
        assert_eq!((metadata.permissions().mode() & 0o777, metadata.len() > 3), (mode, true));
    }
}

#[test]
fn what_is_no_text_is_refused() {
    let folder = Folder::new();
    let maillog = folder.file("maillog", MAILLOG);
    let utf16: Vec<u8> = format!("\u{feff}{MESSAGE_LOG}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (file, words) in
        [(folder.file("a", utf16), "UTF-16"), (folder.file("b", b"\x7fELF\x02\x00\x00"), "binary data")]
    {
        let mut command = program();
        command.args(["explain", "--maillog"]).arg(&maillog).arg(&file);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(65), "{said}");
        assert!(said.contains("is no log: it looks like") && said.contains(words), "{said}");
    }
    // Zeros among lines, as a crash leaves them, are no reason to refuse a log.
    let holes = format!("{}{MESSAGE_LOG}", "\0".repeat(4_096));
    run(&mut folder.explain(MAILLOG, &holes)).ok();
}

#[test]
fn one_log_may_come_from_standard_input() {
    let folder = Folder::new();
    let plain = run(&mut folder.explain(MAILLOG, MESSAGE_LOG)).ok();
    let files = ["maillog", "message_log"].map(|name| folder.path(name));
    let mut command = program();
    command.args(["explain", "--filter-name", "PureMessage", "--maillog", "-"]).arg(&files[1]);
    assert_eq!(run_with(&mut command, MAILLOG.as_bytes()).ok().text(), plain.text());
    let mut command = program();
    command.args(["explain", "--filter-name", "PureMessage", "--maillog"]).arg(&files[0]).arg("-");
    let packed = zstd::encode_all(MESSAGE_LOG.as_bytes(), 0).unwrap();
    assert_eq!(run_with(&mut command, &packed).ok().text(), plain.text());
}

#[test]
fn logs_whose_clocks_are_hours_apart_are_read_side_by_side() {
    let folder = Folder::new();
    let local = MESSAGE_LOG.replace("2026-11-23T13:", "2026-11-23T18:").replace(":01:0", ":31:0");
    let ran = run(&mut folder.explain(MAILLOG, &local)).ok();
    assert_eq!(classes(&ran), expected());
}

#[test]
fn two_hosts_with_overlapping_logs_are_read_side_by_side() {
    let folder = Folder::new();
    let other = MAILLOG.replace(" mx1 ", " mx2 ").replace("6AND1", "6AND2").replace("13:01", "13:02");
    let entries = format!("{MESSAGE_LOG}{}", MESSAGE_LOG.replace("6AND1", "6AND2").replace("13:01", "13:02"));
    let other = folder.file("other", other);
    let ran = run(folder.explain(MAILLOG, &entries).arg("--maillog").arg(other)).ok();
    let ids: Vec<String> = classes(&ran).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["6AND15d3014029", "6AND18bb014032", "6AND25d3014029", "6AND28bb014032"]);
}

#[test]
fn no_line_is_too_long_or_too_strange() {
    let folder = Folder::new();
    let mut maillog = b"\xff\xfe\x00garbage\n\r\n".to_vec();
    maillog.extend_from_slice(MAILLOG.replace('\n', "\r\n").as_bytes());
    maillog.extend_from_slice(&vec![b'x'; 3 << 20]);
    let ran = run(folder.explain(&maillog, MESSAGE_LOG.trim_end()).args(["--format", "table"])).ok();
    assert!(ran.words().contains("timeout before data read"), "{ran:?}");
    assert!(ran.text().contains("1 was longer than 1 MiB and cut."), "{ran:?}");
}

#[test]
fn a_late_reason_replaces_the_abort_that_was_issued_without_it() {
    let folder = Folder::new();
    // The mail log passes the abort by an hour, then names the reason, as a delayed forwarder does.
    let maillog = "\
Nov 23 13:01:05 mx1 sendmail[14000]: 6AND15aa014000: from=<x@example.org>, size=12, class=0, nrcpts=1, proto=ESMTP, daemon=MTA, relay=r [192.0.2.7]
Nov 23 13:31:05 mx1 sendmail[14001]: 6ANDV5aa014001: from=<x@example.org>, size=12, class=0, nrcpts=1, proto=ESMTP, daemon=MTA, relay=r [192.0.2.7]
Nov 23 13:31:06 mx1 sendmail[14029]: 6AND15d3014029: Milter (PureMessage): timeout before data read, where=rcpt
";
    let entry = MESSAGE_LOG.lines().next().unwrap();
    let ran = run(&mut folder.explain(maillog, entry)).ok();
    let objects = ran.objects();
    assert_eq!(objects.len(), 1, "{ran:?}");
    assert_eq!(
        (&objects[0]["abort"]["class"], &objects[0]["abort"]["revision"]),
        (&"filter_timeout".into(), &1.into())
    );
}

#[test]
fn an_output_file_appears_only_when_it_is_complete() {
    let folder = Folder::new();
    let target = folder.file("out.ndjson", "old");
    run(folder.explain(MAILLOG, MESSAGE_LOG).args(["--config", "/nonexistent", "--output"]).arg(&target))
        .failed(66, &[]);
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "old");
    let ran = run(folder.explain(MAILLOG, MESSAGE_LOG).arg("--output").arg(&target)).ok();
    assert_eq!(ran.text(), "");
    let plain = run(&mut folder.explain(MAILLOG, MESSAGE_LOG)).ok();
    assert_eq!(std::fs::read_to_string(&target).unwrap(), plain.text());
    let left = std::fs::read_dir(target.parent().unwrap()).unwrap().count();
    assert_eq!(left, 3, "a temporary file was left behind");
}

#[cfg(unix)]
#[test]
fn who_is_told_to_stop_leaves_no_temporary_file() {
    use rustix::process::{Pid, Signal, kill_process};
    use std::os::unix::process::ExitStatusExt;
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let folder = Folder::new();
        let target = folder.file("out.ndjson", "old");
        let mut child = folder
            .explain(MAILLOG, MESSAGE_LOG)
            .args(["--maillog", "-", "--output"])
            .arg(&target)
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let names = || std::fs::read_dir(target.parent().unwrap()).unwrap().count();
        while names() < 4 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        kill_process(Pid::from_child(&child), signal).unwrap();
        let status = child.wait().unwrap();
        assert_eq!((status.signal(), names()), (Some(signal.as_raw()), 3), "{status:?}");
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "old");
        drop(stdin);
    }
}

#[test]
fn a_filter_name_that_never_occurs_is_said() {
    let folder = Folder::new();
    let (maillog, message_log) = (folder.file("maillog", MAILLOG), folder.file("message_log", MESSAGE_LOG));
    let named = |name: &str| {
        let mut command = program();
        command.args(["explain", "--filter-name", name, "--maillog"]).arg(&maillog).arg(&message_log);
        run(&mut command).ok().stderr
    };
    assert_eq!(named("PureMessage"), "");
    let said = named("PureMesage");
    assert!(
        said.contains("no line of the mail log names the filter \"PureMesage\"; those that it names: \"PureMessage\""),
        "{said}"
    );
}

#[test]
fn rotated_files_follow_each_other_whatever_their_order() {
    use std::time::{Duration, SystemTime};
    // PureMessage hangs at the end of one file; the client, told to try again, leaves at the beginning of the next one,
    // all in one second. Read the other way round, the client's end came first.
    let line =
        |second: u32, text: &str| format!("Nov 23 13:01:{second:02} mx1 sendmail[14029]: 6AND15d3014029: {text}\n");
    let entry =
        "2026-11-23T13:01:06 q=6AND15d3014029 f=<a@example.org> t=<b@example.net> r=r.example.com tm=1.04 a=c/abort\n";
    let filler = "Nov 23 13:01:01 mx1 sendmail[14001]: 6AND11d3014001: to=<b@example.net>, stat=Sent (ok)\n";
    let timeout = line(5, "Milter (PureMessage): timeout before data read, where=rcpt");
    let lost = line(5, "lost input channel from r.example.com [192.0.2.7] to MTA after rcpt");
    let end = line(
        5,
        "from=<a@example.org>, size=0, class=0, nrcpts=0, proto=ESMTP, daemon=MTA, relay=r.example.com [192.0.2.7]",
    );
    let later = "Nov 23 13:01:09 mx1 sendmail[14001]: 6AND19d3014001: to=<b@example.net>, stat=Sent (ok)\n";
    let (older, newer) = (timeout, lost + &end);
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_438_870);
    let cases = [
        // The beginning tells; then that only one goes on; then the time of the last change; then the names.
        ("the beginning", filler.to_owned() + &older, newer.clone(), 0),
        ("the end", older.clone(), newer.clone() + later, 0),
        ("the last change", older.clone(), newer.clone(), 10),
        ("the names", older, newer, 0),
    ];
    for (what, older, newer, seconds) in cases {
        for swapped in [false, true] {
            let folder = Folder::new();
            let mut files = [folder.file("maillog.1", &older), folder.file("maillog", &newer)];
            for (file, age) in files.iter().zip([seconds, 0]) {
                std::fs::File::options()
                    .write(true)
                    .open(file)
                    .unwrap()
                    .set_modified(now - Duration::from_secs(age))
                    .unwrap();
            }
            if swapped {
                files.reverse();
            }
            let mut command = program();
            command.args(["explain", "--filter-name", "PureMessage"]);
            for file in files {
                command.arg("--maillog").arg(file);
            }
            let objects = run(command.arg(folder.file("message_log", entry))).ok().objects();
            assert_eq!(objects[0]["abort"]["class"], "filter_timeout", "{what}, swapped: {swapped}");
        }
    }
}

#[cfg(unix)]
#[test]
fn what_was_started_by_nohup_does_not_end_with_its_terminal() {
    use rustix::process::{Pid, Signal, kill_process};
    let folder = Folder::new();
    let explain = folder.explain(MAILLOG, MESSAGE_LOG);
    let target = folder.path("out.ndjson");
    let mut nohup = std::process::Command::new("nohup");
    nohup.arg(explain.get_program()).args(explain.get_args()).args(["--maillog", "-", "--output"]).arg(&target);
    let mut child = nohup.stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    while std::fs::read_dir(folder.path("")).unwrap().count() < 3 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    drop(stdin);
    assert!(child.wait().unwrap().success() && target.exists());
}
