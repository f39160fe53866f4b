//! `abort-reason advise` on made-up mail hosts whose fault is known: the right letter and value, and silence where nothing is
//! wrong.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, clippy::disallowed_types, reason = "runs a program")]

mod common;
#[path = "common/corpus.rs"]
#[allow(dead_code, unreachable_pub)]
mod corpus;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use common::{Folder, MAILLOG, MESSAGE_LOG, program, run};
use serde_json::Value;

const BEGAN: i64 = 1_795_420_800; // 2026-11-23T08:00:00Z
const MESSAGES: i64 = 2_000;

/// Numbers that look random, and are the same each time.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn between(&mut self, least: f64, most: f64) -> f64 {
        least + self.next() * (most - least)
    }
}

/// What is wrong with a host.
#[derive(Debug, Clone, Copy)]
struct Fault {
    /// The letter of `T=` that runs out, what is configured, and between which seconds the slow answers come.
    letter: char,
    waits: f64,
    slow: (f64, f64),
    /// How many of 100 messages are slow.
    share: f64,
}

/// A host's logs, and how long each answer that came too late took.
fn host(seed: u64, fault: Option<Fault>) -> (String, String, Vec<f64>) {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (seed + 1) << 17);
    let mut mail: Vec<(f64, String)> = Vec::new();
    let mut entries: Vec<(f64, String)> = Vec::new();
    let mut took = Vec::new();
    for number in 0..MESSAGES {
        let began = BEGAN as f64 + number as f64 * 7.0 + dice.between(0.0, 5.0);
        let pid = 20_000 + number % 9_000;
        let id = queue_id(began as i64, pid);
        let usual = dice.between(0.05, 1.5) + if dice.next() < 0.02 { dice.between(0.5, 3.0) } else { 0.0 };
        let size = (dice.between(3.0, 6.5) * std::f64::consts::LN_10).exp() as u64;
        let mut line = |at: f64, text: &str| mail.push((at, format!("{} mx1 sendmail[{pid}]: {id}: {text}", bsd(at))));
        let slow = fault.filter(|fault| dice.next() * 100.0 < fault.share);
        let Some(Fault { letter, waits, slow: (least, most), .. }) = slow else {
            let (at, secs) = (began + usual, usual);
            line(
                at,
                &format!(
                    "from=<a@example.org>, size={size}, class=0, nrcpts=1, msgid=<{id}@x>, proto=ESMTP, daemon=MTA, relay=r.example.com [192.0.2.7]"
                ),
            );
            line(
                at + 0.1,
                "to=<b@example.net>, delay=00:00:01, xdelay=00:00:00, mailer=esmtp, pri=30500, relay=s.example.net. [198.51.100.7], dsn=2.0.0, stat=Sent (ok)",
            );
            entries.push((
                at,
                format!(
                    "{} q={id} f=<a@example.org> t=<b@example.net> Size={size} r=r.example.com tm={secs:.2} a=a/eom",
                    iso(at)
                ),
            ));
            continue;
        };
        let talk = dice.between(0.05, 0.6);
        let answer = dice.between(least, most);
        took.push(answer);
        let given_up = began + talk + waits;
        let action = if letter == 'E' { "a/eom" } else { "c/abort" };
        line(
            given_up,
            match letter {
                'E' => "milter_data(PureMessage): EOM ACK/NAK timeout",
                'S' => "Milter (PureMessage): timeout before data write, where=rcpt",
                _ => "Milter (PureMessage): timeout before data read, where=rcpt",
            },
        );
        line(given_up, "Milter (PureMessage): to error state");
        line(given_up, "Milter: to=<b@example.net>, reject=451 4.3.2 Please try again later");
        line(
            given_up + 0.2,
            "from=<a@example.org>, size=0, class=0, nrcpts=0, proto=ESMTP, daemon=MTA, relay=r.example.com [192.0.2.7]",
        );
        let at = began + talk + answer;
        let size = if letter == 'E' { format!(" Size={size}") } else { String::new() };
        entries.push((
            at,
            format!(
                "{} q={id} f=<a@example.org> t=<b@example.net>{size} r=r.example.com tm={:.2} a={action}",
                iso(at),
                talk + answer
            ),
        ));
    }
    let text = |mut lines: Vec<(f64, String)>| {
        lines.sort_by(|a, b| a.0.total_cmp(&b.0));
        lines.iter().fold(String::new(), |mut text, (_, line)| {
            let _ = writeln!(text, "{line}");
            text
        })
    };
    (text(mail), text(entries), took)
}

/// `6AND15V7014029`: the connection's time in sendmail's digits, and its process.
fn queue_id(secs: i64, pid: i64) -> String {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx";
    let time = jiff::Timestamp::from_second(secs).unwrap().to_zoned(jiff::tz::TimeZone::UTC);
    let digits = [
        (i64::from(time.year()) - 1_900) % 60,
        i64::from(time.month()) - 1,
        i64::from(time.day()),
        i64::from(time.hour()),
        i64::from(time.minute()),
        i64::from(time.second()),
        pid % 60,
    ];
    let text: String = digits.iter().map(|digit| char::from(DIGITS[*digit as usize])).collect();
    format!("{text}0{pid:06}")
}

fn bsd(at: f64) -> String {
    stamp(at, "%b %e %H:%M:%S")
}

fn iso(at: f64) -> String {
    stamp(at, "%Y-%m-%dT%H:%M:%S")
}

fn stamp(at: f64, form: &str) -> String {
    jiff::Timestamp::from_second(at as i64).unwrap().to_zoned(jiff::tz::TimeZone::UTC).strftime(form).to_string()
}

fn advise(folder: &Folder, mail: &str, entries: &str) -> Value {
    advise_with(folder, &["--filter-name", "PureMessage"], mail, entries)
}

fn advise_with(folder: &Folder, arguments: &[&str], mail: &str, entries: &str) -> Value {
    let mut command = program();
    command.args(["advise", "--format", "json"]).args(arguments).arg("--maillog");
    command.arg(folder.file("maillog", mail)).arg(folder.file("message_log", entries));
    serde_json::from_slice(&run(&mut command).ok().stdout).unwrap()
}

/// What 95 of 100 of the answers took.
fn needed(mut took: Vec<f64>) -> f64 {
    took.sort_by(f64::total_cmp);
    took[(0.95 * took.len() as f64).ceil() as usize - 1]
}

#[test]
fn the_right_letter_and_a_value_within_ten_percent() {
    let folder = Folder::new();
    let mut wrong = Vec::new();
    for seed in 0..50 {
        let mut dice = Dice(seed * 7_919 + 13);
        let letter = ['R', 'E', 'S'][seed as usize % 3];
        let waits = match letter {
            'E' => [60.0, 120.0, 300.0][seed as usize / 3 % 3],
            _ => [10.0, 20.0, 30.0][seed as usize / 3 % 3],
        };
        let least = waits + 1.0;
        let most = match letter {
            'S' => dice.between(least + 10.0, 110.0),
            'R' => dice.between(least + 10.0, 200.0),
            _ => dice.between(least + 20.0, 500.0),
        };
        let fault = Fault { letter, waits, slow: (least, most), share: dice.between(1.0, 6.0) };
        let (mail, entries, took) = host(seed, Some(fault));
        let advice = advise(&folder, &mail, &entries);
        let timeouts = &advice["timeouts"][0];
        let (needed, suggested) = (needed(took), timeouts["suggested_secs"].as_f64().unwrap_or_default());
        let step = format!("raise-{}", letter.to_ascii_lowercase());
        let is_told = advice["steps"].as_array().unwrap().iter().any(|found| found["id"] == step.as_str());
        let is_right = timeouts["letter"] == letter.to_string() && (suggested / needed - 1.0).abs() <= 0.1 && is_told;
        if !is_right {
            wrong.push(format!("{seed}: {fault:?}, needed {needed:.1}, {suggested}: {}", advice["steps"]));
        }
        assert_eq!(timeouts["waited_secs"], waits, "{seed}: {fault:?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn silent_where_nothing_is_wrong() {
    let folder = Folder::new();
    for seed in 100..110 {
        let (mail, entries, _) = host(seed, None);
        let advice = advise(&folder, &mail, &entries);
        assert_eq!((&advice["steps"], &advice["limits"]), (&serde_json::json!([]), &serde_json::json!([])), "{seed}");
        assert_eq!(advice["took"]["messages"], MESSAGES);
        assert!(advice["by_size"].as_array().unwrap().len() >= 3 && !advice["by_hour"].as_array().unwrap().is_empty());
    }
}

#[test]
fn what_hangs_for_hours_is_saved_by_no_value() {
    let folder = Folder::new();
    let (mail, entries, _) = host(7, Some(Fault { letter: 'R', waits: 10.0, slow: (2_000.0, 3_000.0), share: 3.0 }));
    let advice = advise(&folder, &mail, &entries);
    assert_eq!(advice["steps"][0]["id"], "find-hang-r", "{advice:#}");
    assert_eq!(advice["timeouts"][0]["suggested_secs"], Value::Null);
}

fn ids(advice: &Value) -> Vec<&str> {
    advice["steps"].as_array().unwrap().iter().map(|step| step["id"].as_str().unwrap()).collect()
}

fn limits(advice: &Value) -> String {
    advice["limits"].to_string()
}

#[test]
fn hosts_and_filters_are_not_mixed() {
    let folder = Folder::new();
    let fault = |waits: f64| Fault { letter: 'R', waits, slow: (waits + 4.0, waits + 6.0), share: 3.0 };
    let (mail, entries, _) = host(1, Some(fault(10.0)));
    let (slow_mail, slow_entries, _) = host(2, Some(fault(180.0)));
    let mail = mail + &slow_mail.replace(" mx1 ", " mx2 ");
    let advice = advise(&folder, &mail, &(entries + &slow_entries));
    let timeouts = advice["timeouts"].as_array().unwrap();
    let told: Vec<_> =
        timeouts.iter().map(|one| (one["host"].as_str().unwrap(), one["waited_secs"].as_f64())).collect();
    assert_eq!(told, [("mx1", Some(10.0)), ("mx2", Some(180.0))], "{advice:#}");

    // Without a name nobody knows which of two filters is meant.
    let (mail, entries, _) = host(3, Some(fault(10.0)));
    let other = mail.replace("(PureMessage)", "(OpenDKIM)").replace(" mx1 ", " mx2 ");
    let (_, other_entries, _) = host(3, Some(fault(10.0)));
    let other = other.replace(": 6AN", ": 6AM");
    let other_entries = other_entries.replace("q=6AN", "q=6AM");
    let advice = advise_with(&folder, &[], &(mail + &other), &(entries + &other_entries));
    assert_eq!((ids(&advice).len(), advice["timeouts"].as_array().unwrap().len()), (0, 0), "{advice:#}");
    assert!(limits(&advice).contains("of several filters (OpenDKIM, PureMessage)"), "{advice:#}");
}

/// A healthy host, on which 60 messages met a PureMessage that was down, and what sendmail says of each.
fn outage(texts: &[&str]) -> (String, String) {
    let (mut mail, entries, _) = host(4, None);
    for number in 0..60 {
        let at = (BEGAN + 15_000 + number) as f64;
        let (id, pid) = (queue_id(at as i64, 29_500 + number), 29_500 + number);
        for text in texts {
            let _ = writeln!(mail, "{} mx1 sendmail[{pid}]: {id}: {text}", bsd(at));
        }
    }
    (mail, entries)
}

/// PureMessage was down, `F=` is empty, and `message_log` knows nothing of it.
#[test]
fn an_outage_without_a_single_entry() {
    let folder = Folder::new();
    let (mail, entries) = outage(&[
        "Milter (PureMessage): error connecting to filter: Connection refused by localhost",
        "Milter (PureMessage): to error state",
        "from=<a@example.org>, size=900, class=0, nrcpts=1, msgid=<x@y>, proto=ESMTP, daemon=MTA, relay=r.example.com [192.0.2.7]",
        "to=<b@example.net>, delay=00:00:01, xdelay=00:00:00, mailer=esmtp, pri=30500, relay=s.example.net. [198.51.100.7], dsn=2.0.0, stat=Sent (ok)",
    ]);
    let advice = advise(&folder, &mail, &entries);
    assert_eq!(ids(&advice), ["stop-unscanned", "keep-it-running"], "{advice:#}");
}

/// PureMessage was down, and `F=T` makes clients try again: neither log has a record of these messages.
#[test]
fn an_outage_that_no_record_tells_of() {
    let folder = Folder::new();
    let (mail, entries) = outage(&[
        "Milter (PureMessage): error connecting to filter: Connection refused by localhost",
        "Milter (PureMessage): to error state",
        "Milter: initialization failed, temp failing commands",
    ]);
    let advice = advise(&folder, &mail, &entries);
    assert_eq!((ids(&advice), &advice["unreachable"]), (vec!["keep-it-running"], &serde_json::json!(60)), "{advice:#}");
    let text = advice["steps"][0]["text"].as_str().unwrap();
    assert!(
        text.contains("sendmail could not connect for 60 messages; those that it then refused have no entry"),
        "{text}"
    );
    // Nobody knows which of two filters is meant.
    let other = mail.replace("(PureMessage)", "(OpenDKIM)").replace(" mx1 ", " mx2 ");
    let advice = advise_with(&folder, &[], &(mail.clone() + &other), &entries);
    assert_eq!(ids(&advice), Vec::<&str>::new());
    assert!(limits(&advice).contains("could not connect to for 120 messages: --filter-name says"), "{advice:#}");
    // Nor does a stranger, in whose address a filter stands, silence it.
    let stranger =
        format!("{} mx1 sendmail[29999]: 6AN0000029999: Milter (Evil): x... User unknown\n", bsd(BEGAN as f64));
    let advice = advise_with(&folder, &[], &(mail.clone() + &stranger), &entries);
    assert!(limits(&advice).contains("could not connect to for 60 messages: --filter-name says"), "{advice:#}");
    // One connection that was not made is no outage.
    let (healthy, ..) = host(4, None);
    let one = mail.lines().find(|line| line.contains("error connecting")).unwrap();
    let advice = advise(&folder, &format!("{healthy}{one}\n"), &entries);
    assert_eq!((ids(&advice), &advice["unreachable"]), (vec![], &serde_json::json!(1)), "{advice:#}");
    assert!(limits(&advice).contains("a restart is enough to explain so few"), "{advice:#}");
}

#[test]
fn a_mail_log_of_another_day_is_said() {
    let folder = Folder::new();
    let (mail, entries, _) = host(5, Some(Fault { letter: 'R', waits: 10.0, slow: (14.0, 20.0), share: 3.0 }));
    let other = mail.replace("Nov 23", "Nov 20").replace(": 6AN", ": 6AK");
    let advice = advise(&folder, &other, &entries);
    assert!(limits(&advice).contains("the mail log has no line of these messages"), "{advice:#}");
    assert!(!limits(&advice).contains("LogLevel"), "{advice:#}");
}

/// A letter that is left out of `T=` falls back to sendmail's default: the line to paste keeps what is known.
#[test]
fn the_line_to_paste_keeps_the_other_letters() {
    let folder = Folder::new();
    let (mail, entries, _) = host(6, Some(Fault { letter: 'R', waits: 10.0, slow: (14.0, 20.0), share: 3.0 }));
    for (timeouts, setting) in [
        (&["--timeouts", "C:5m;S:10s;R:10s;E:5m"][..], "T=C:5m;S:10s;R:20s;E:5m"),
        (&["--timeouts", "R:10s;E:5m"], "T=...;R:20s;E:5m"),
        (&[], "T=...;R:20s"),
    ] {
        let advice = advise_with(&folder, timeouts, &mail, &entries);
        let line = format!("INPUT_MAIL_FILTER(`PureMessage', `S=..., F=..., {setting}')dnl");
        assert_eq!(advice["steps"][0]["setting"], line, "{advice:#}");
    }
    // What the logs contradict is not believed.
    let advice = advise_with(&folder, &["--timeouts", "R:3m"], &mail, &entries);
    assert_eq!(advice["timeouts"][0]["contradicted_secs"], 180.0);
    assert_eq!((ids(&advice), &advice["timeouts"][0]["suggested_secs"]), (vec!["raise-r"], &20.0.into()), "{advice:#}");
    assert!(limits(&advice).contains("--timeouts says R:3m, but these came sooner (after about 10s)"), "{advice:#}");
}

/// A name from the log that would break out of m4's quotes.
#[test]
fn a_strange_name_makes_no_line_to_paste() {
    let folder = Folder::new();
    let (mail, entries, _) = host(6, Some(Fault { letter: 'R', waits: 10.0, slow: (14.0, 20.0), share: 3.0 }));
    let advice = advise_with(&folder, &[], &mail.replace("(PureMessage)", "(P'x)"), &entries);
    assert_eq!((ids(&advice), &advice["steps"][0]["setting"]), (vec!["raise-r"], &Value::Null), "{advice:#}");
}

#[test]
fn few_lines_are_said_to_be_few() {
    let folder = Folder::new();
    let mut command = program();
    command.args(["advise", "--filter-name", "PureMessage", "--timeouts", "R:10s", "--maillog"]);
    command.arg(folder.file("maillog", MAILLOG)).arg(folder.file("message_log", MESSAGE_LOG));
    let told = run(&mut command).ok();
    assert!(
        told.words().contains("Not told: how long PureMessage usually takes: only 1 message finished."),
        "{told:?}"
    );
    assert!(told.words().contains("Not told: 1 timeout by R: too few to advise a value."), "{told:?}");
}

#[test]
fn what_is_no_timeout_is_refused() {
    let folder = Folder::new();
    let mut command = program();
    command.args(["advise", "--timeouts", "R:soon", "--maillog"]).arg(folder.file("maillog", MAILLOG));
    run(command.arg(folder.file("message_log", MESSAGE_LOG))).failed(64, &["is not like C:5m;S:10s;R:10s;E:5m"]);
}

/// What a scenario of the corpus did to its filter: the letters of `T=` that ran out, and the longest answer in seconds where
/// the times of all of them are written down.
fn done_to(folder: &Path) -> (BTreeSet<String>, Option<f64>) {
    let truth = std::fs::read_to_string(folder.join("truth.jsonl")).unwrap();
    let (mut letters, mut longest) = (BTreeSet::new(), Some(0.0_f64));
    for message in truth.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let text = |member: &str| message[member].as_str().unwrap_or_default().to_owned();
        if text("cause") != "filter_timeout" || text("filter") != "PureMessage" {
            continue;
        }
        match text("case").as_str() {
            "progress-eom" => {
                letters.insert("E".to_owned());
                continue;
            }
            // The message after one that was counted, and one whose client went away meanwhile.
            "slow-then-retry" | "slow-mail-disc" => {}
            _ => {
                let detail = text("detail");
                let secs = detail.split_once("takes ").or_else(|| detail.split_once("hangs for "));
                let secs = secs.and_then(|(_, rest)| rest.split(' ').next()?.parse::<f64>().ok());
                longest = longest.zip(secs).map(|(longest, secs)| longest.max(secs));
            }
        }
        letters.insert("R".to_owned());
    }
    (letters, longest)
}

/// A real sendmail with `R:3s` and `E:5s`, whose log counts whole seconds.
#[test]
fn the_corpus_gets_its_letters_and_values() {
    let (mut letters, mut values) = (0, 0);
    for folder in corpus::scenarios() {
        let mut command = program();
        command.args(["advise", "--format", "json", "--filter-name", "PureMessage", "--maillog"]);
        command.arg(folder.join("maillog.iso")).arg(folder.join("message_log"));
        let advice: Value = serde_json::from_str(run(&mut command).ok().text()).unwrap();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let (ran_out, longest) = done_to(&folder);
        let timeouts = advice["timeouts"].as_array().unwrap();
        let told: BTreeSet<String> = timeouts.iter().map(|one| one["letter"].as_str().unwrap().to_owned()).collect();
        // There `Milter.LogLevel=0` keeps all of it out of the log.
        let ran_out = if name == "levels-L9-milter0" { BTreeSet::new() } else { ran_out };
        assert_eq!(told, ran_out, "{name}");
        letters += told.len();
        for one in timeouts {
            let (letter, waited) = (one["letter"].as_str().unwrap(), one["waited_secs"].as_f64().unwrap());
            let configured = if letter == "R" { 3.0 } else { 5.0 };
            assert!((0.0..=2.0).contains(&(waited - configured)), "{name}: {one}");
            if let (Some(suggested), Some(longest)) = (one["suggested_secs"].as_f64(), longest) {
                assert!(suggested >= longest && suggested <= (longest * 1.1).ceil(), "{name}: {longest}, {one}");
                values += 1;
            }
        }
        for step in ids(&advice).iter().filter_map(|step| step.strip_prefix("raise-")) {
            assert!(told.contains(&step.to_uppercase()), "{name}: {step}");
        }
    }
    assert!(letters >= 20 && values >= 5, "{letters} letters, {values} values: the corpus is not what it was");
}
