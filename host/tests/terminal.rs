//! What reaches a terminal: columns that fit, colours unless they are unwelcome, and no control character of a log.
#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};

use common::{Folder, MAILLOG, MESSAGE_LOG, program};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// What a command shows on a terminal of some width.
fn shown(command: &mut Command, width: u16) -> String {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    tcsetwinsize(&master, Winsize { ws_row: 50, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let terminal = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let mut child = command
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .stdout(terminal.try_clone().unwrap())
        .stderr(terminal)
        .spawn()
        .unwrap();
    // The command holds the terminal's other ends; they go with it.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut bytes = Vec::new();
    // At its end a terminal gives an error, not an end of file.
    let _ = File::from(master).read_to_end(&mut bytes);
    assert!(child.wait().unwrap().success());
    String::from_utf8(bytes).unwrap()
}

/// The text without the escape sequences of colours and of the progress bar.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c == '\x1b' {
            rest.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(c);
        }
    }
    plain
}

#[test]
fn the_table_is_the_default_and_fits_the_terminal() {
    let folder = Folder::new();
    for width in [60, 80, 100, 132, 200] {
        let text = plain(&shown(&mut folder.explain(MAILLOG, MESSAGE_LOG), width));
        assert!(text.contains("QUEUE ID"), "{text}");
        // The lines of the two tables are indented; the sentences between them are the terminal's to wrap.
        for line in text.lines().filter(|line| line.starts_with(' ')) {
            assert!(line.chars().count() <= usize::from(width), "wider than {width}: {line}");
        }
    }
    // Narrower than any table can be: wrapped by the terminal, but shown.
    assert!(shown(&mut folder.explain(MAILLOG, MESSAGE_LOG), 20).contains("2 aborts"));
}

#[test]
fn colours_unless_unwelcome() {
    let folder = Folder::new();
    let mut command = folder.explain(MAILLOG, MESSAGE_LOG);
    assert!(shown(&mut command, 100).contains("\x1b[38;5;9m"), "no red for what wants action");
    let uncoloured = shown(command.env("NO_COLOR", "1"), 100);
    assert!(!uncoloured.contains("\x1b[38") && !uncoloured.contains("\x1b[1m"), "{uncoloured:?}");
}

/// A log line's worth of attacks: colours, a title, C1 controls, direction overrides, no width, a carriage return.
const ATTACK: &str = "\x1b[2J\x1b]0;owned\x07\u{9b}31m\u{202e}\u{200b}\u{2066}\rx";

fn attacked() -> (String, String) {
    let maillog = MAILLOG.replace("where=rcpt", &format!("where=rcpt{ATTACK}"))
        + &format!(
            "Nov 23 13:01:08 mx1{ATTACK} sendmail[14032]: 6AND18bb014032: lost input channel from r{ATTACK} [192.0.2.7] to MTA after rcpt\n"
        );
    let message_log = MESSAGE_LOG.replace("<a@", &format!("<{ATTACK}a@")).replace("r=r", &format!("r={ATTACK}r"));
    (maillog, message_log)
}

#[test]
fn nothing_in_a_log_controls_the_terminal() {
    let folder = Folder::new();
    let (maillog, message_log) = attacked();
    for format in ["table", "ndjson", "json", "csv"] {
        let text = shown(folder.explain(&maillog, &message_log).args(["--format", format]).env("NO_COLOR", "1"), 200);
        // The progress bar comes and goes before the first line.
        let from = text.find(['{', '[']).map_or(0, |at| text[..at].len());
        let text = if matches!(format, "ndjson" | "json") { &text[from..] } else { &text };
        for bad in ["\x1b[2J", "\x1b]0;", "\x07", "\u{9b}", "\u{202e}", "\u{200b}", "\u{2066}", "\rx"] {
            assert!(!text.contains(bad), "{bad:?} in {format}: {text:?}");
        }
    }
}

#[test]
fn what_a_log_holds_is_shown_written_out() {
    let folder = Folder::new();
    let (maillog, message_log) = attacked();
    let text = shown(folder.explain(&maillog, &message_log).args(["--format", "csv"]), 200);
    assert!(text.contains(r"\x1b[2J") && text.contains(r"\x9b31m") && text.contains(r"\u{202e}"), "{text}");
    // As JSON it keeps its value.
    let text = shown(folder.explain(&maillog, &message_log).args(["--format", "ndjson"]), 200);
    let record =
        text.lines().find_map(|line| serde_json::from_str::<serde_json::Value>(line.get(line.find('{')?..)?).ok());
    assert!(record.unwrap()["message"].as_str().unwrap().contains(ATTACK));
}

#[test]
fn neither_do_file_names_and_configurations() {
    let folder = Folder::new();
    let ran = common::run(program().args(["explain", "--maillog", "a\x1b[31mb", "c"]));
    assert!(ran.stderr.contains(r"a\x1b[31mb"), "{ran:?}");
    let config = folder.file("config", "{\"\\u001b[31m\": 1}");
    let ran = common::run(program().arg("check").arg(config));
    assert!(!ran.stderr.contains('\x1b'), "{ran:?}");
}
