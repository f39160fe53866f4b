//! What is told at a glance, and what is read in full, gives the same: the same records behind the same events, the same
//! dispositions, the same counters. The cases are those by which an attack told the two apart.

use abort_reason::{Config, Disposition, Engine, Input, Output, Source, Stats};

const ABORT: &str = "2026-11-23T13:01:07 q=6AND1501014000 f=<a@b> a=c/abort";
const FROM: &str = "from=<a@b>, size=9, class=0, nrcpts=1, msgid=<x@y>, proto=ESMTP, relay=z [192.0.2.1]";

fn mail(host: &str, id: &str, text: &str) -> String {
    let pid = id.get(8..).unwrap_or_default();
    format!("Nov 23 13:01:06 {host} sendmail[{pid}]: {id}: {text}")
}

fn of_x(text: &str) -> String {
    mail("mx1", "6AND1501014000", text)
}

/// A record that is nothing but a line.
fn record(line: &str) -> String {
    serde_json::json!({ "message": line }).to_string()
}

/// Ordinary traffic, by which a glance learns: 40 messages of each host in both logs.
fn warm_up(hosts: &[&str]) -> Vec<String> {
    let of = |host: &&str| {
        let host = (*host).to_owned();
        (0..40).flat_map(move |n| {
            let id = format!("6AND0500{n:06}");
            let entry = format!("2026-11-23T13:01:05 q={id} f=<a@b> tm=0.10 a=a/eom");
            [record(&mail(&host, &id, FROM)), record(&entry)]
        })
    };
    hosts.iter().flat_map(of).collect()
}

/// `pace` is how many milliseconds pass from record to record.
fn run(config: &str, glance: bool, records: &[String], pace: u64) -> (Vec<Disposition>, Vec<Output>, Stats) {
    let config = config.replacen('{', &format!(r#"{{"glance": {glance}, "hold_secs": 1, "#), 1).replace(", }", "}");
    let mut engine = Engine::new(&Config::from_json(&config).unwrap());
    let mut dispositions = Vec::new();
    for (ticket, record) in (1..).zip(records) {
        let disposition = engine.push(Source::Auto, Input::Record(record.as_bytes()), ticket, ticket * pace);
        // How it was told is what differs.
        dispositions.push(Disposition { unread: false, ..disposition });
    }
    engine.finish();
    let outputs = std::iter::from_fn(|| engine.poll()).collect();
    (dispositions, outputs, *engine.stats())
}

/// Runs records both ways; gives what was issued of the message.
fn both(name: &str, config: &str, hosts: &[&str], records: &[String]) -> String {
    let all: Vec<String> = warm_up(hosts).into_iter().chain(records.iter().cloned()).collect();
    let (dispositions, outputs, stats) = run(config, true, &all, 0);
    let in_full = run(config, false, &all, 0);
    assert!(stats.unread > 20, "{name}: {stats:?}");
    assert_eq!(outputs, in_full.1, "{name}");
    assert_eq!(dispositions, in_full.0, "{name}");
    assert_eq!(Stats { unread: 0, bytes: 0, ..stats }, Stats { bytes: 0, ..in_full.2 }, "{name}");
    outputs.iter().map(|output| String::from_utf8_lossy(&output.data).into_owned() + "\n").collect()
}

#[test]
fn a_line_ends_where_its_string_does() {
    let with = |line: &str, rest: &str| record(line).replace("\"}", rest);
    let issued = both("an abort", "{}", &["mx1"], &[with(ABORT, r#"","note":"x a=a/eom"}"#)]);
    assert!(issued.contains(r#""queue_id":"6AND1501014000""#));
    let later = of_x("to=<b@c>, delay=00:00:00, pri=30024, stat=Please try again later");
    let records = [with(&later, r#"","note":"x, stat=Sent"}"#), record(ABORT)];
    assert!(both("a verdict", "{}", &["mx1"], &records).contains("filter_failure_suspected"));
    let enriched = with(&of_x(FROM), r#"","abort":{},"x":"y"}"#);
    both("enriched", "{}", &["mx1"], &[record(ABORT), enriched.clone()]);
    both("enriched, others end here", r#"{"others": "drop"}"#, &["mx1"], &[enriched]);
    both("unreadable", "{}", &["mx1"], &[record(ABORT), with(&of_x(FROM), r#"\q"}"#)]);
}

#[test]
fn escapes_are_undone() {
    let line = of_x("Milter (PureMessage): timeout before data read, where=eom");
    let escaped = record(&line).replace("Milter", r"\u004dilter");
    assert!(both("an escape", "{}", &["mx1"], &[escaped, record(ABORT)]).contains("filter_timeout"));
    for (start, text) in [(r#"virus \""#, "virus \"x"), ("Überlast ", "Überlast x"), ("in/out: ", "in/out: x")] {
        let config =
            format!(r#"{{"rules": [{{"id": "U-1", "class": "filter_closed", "start": "{start}", "rest": ".*"}}]}}"#);
        let line = record(&of_x(text)).replace("in/out", r"in\/out").replace('Ü', r"\u00dc");
        assert!(both(text, &config, &["mx1"], &[line, record(ABORT)]).contains("U-1"), "{text}");
    }
}

/// What is escaped is what it stands for, wherever in a line that is.
#[test]
fn what_is_escaped_is_no_end() {
    let too_large = "to=<b@c>, delay=00:00:00, pri=30024, stat=Message exceeds maximum fixed size (300000)";
    let delivered =
        "to=<b@c>, delay=00:00:00, xdelay=00:00:00, mailer=esmtp, pri=1, dsn=2.0.0, stat=Sent (a\\b \"c\" 1)";
    for (name, text, plain, escaped) in [
        (
            "a blank before max",
            "to=<b@c>, delay=00:00:00, pri=0, stat=Headers too large (32768 max)",
            " max)",
            r"\u0020max)",
        ),
        ("a bracket before a number", too_large, "(300000)", r"\u0028300000)"),
        (
            "a longer number",
            &too_large.replace('3', "12345678901234"),
            "(1234567890123400000)",
            r"\u00281234567890123400000)",
        ),
        ("the bracket at the end", delivered, "1)", r"1\u0029"),
        ("a backslash and quotes", delivered, "", ""),
        ("a name's end", "Milter (PureMessage): timeout before data read, where=eom", "): t", r")\u003a t"),
        ("a message id", &FROM.replace("<x@y>", "<\\x\"@y>"), "", ""),
        ("a sender", FROM, "<a@b>", r"<a\u0040b>"),
        ("what it is about", FROM, "from=", r"fro\u006d="),
    ] {
        let line = record(&of_x(text)).replacen(plain, escaped, 1);
        for records in [[line.clone(), record(ABORT)], [record(ABORT), line.clone()]] {
            both(name, "{}", &["mx1"], &records);
        }
    }
    for (name, escaped) in [
        ("a blank in a field", r"f=x\u005c a=a/eom"),
        ("another one", r"f=x\\ a=a/eom"),
        ("the end", r"f=x a=a/eo\u006d"),
    ] {
        let entry = |rest: &str| record("2026-11-23T13:01:06 q=6AND1501014000 -").replace('-', rest);
        let failed = record(&of_x("Milter (PureMessage): timeout before data read, where=eom"));
        both(name, "{}", &["mx1"], &[entry(escaped), failed, record(ABORT)]);
    }
}

#[test]
fn each_host_is_known_by_its_own_lines() {
    let records =
        [record(&of_x(FROM)), record(&mail("mx2", "6AND1501014000", "done; delay=00:00:01, ntries=1")), record(ABORT)];
    assert!(both("two hosts", "{}", &["mx1", "mx2"], &records).contains("ambiguous_host"));
}

#[test]
fn mail_lines_take_no_entries_place() {
    let config = r#"{"limits": {"passed_bytes": 16384}}"#;
    let others: Vec<String> = (0..200).map(|n| record(&mail("mx1", &format!("6AND0600{n:06}"), FROM))).collect();
    let entry = |rest: &str| vec![record(&format!("2026-11-23T13:01:06 q=6AND1501014000 f=<a@b> {rest}"))];
    let failed = record(&of_x("Milter (PureMessage): timeout before data read, where=eom"));
    let records = [entry("tm=0.10 a=a/eom"), others.clone(), vec![failed]].concat();
    assert!(both("unnoticed", config, &["mx1"], &records).contains(r#""kind":"unnoticed""#));
    let refused = record(&of_x("Milter: from=<a@b>, reject=550 5.7.1 Command rejected"));
    let lost = record(&of_x("lost input channel from x [1.2.3.4] to MTA after rcpt"));
    let records = [entry("a=r/envfrom"), others, vec![refused, record(ABORT), lost]].concat();
    assert!(both("the second message", config, &["mx1"], &records).contains("peer_disconnected"));
}

#[test]
fn the_year_is_the_queue_ids() {
    let line = |n: usize| format!("Nov 23 13:02:00 mx1 sendmail[{n:06}]: 7AND0600{n:06}: {FROM}");
    let records: Vec<String> = [record(ABORT)].into_iter().chain((0..60).map(|n| record(&line(n)))).collect();
    both("a year later", "{}", &["mx1"], &records);
}

#[test]
fn what_is_no_id_makes_nothing_lost() {
    let config = r#"{"limits": {"passed_bytes": 16384}}"#;
    let strange = record("Nov 23 13:01:06 mx1 sendmail[1]: zzzzzzzzz12345: whatever");
    let others = (0..200).map(|n| record(&mail("mx1", &format!("6AND0600{n:06}"), FROM)));
    let abort = "2026-11-23T13:01:07 q=6AND1y00014000 f=<a@b> a=c/abort";
    let records: Vec<String> = [strange].into_iter().chain(others).chain([record(abort)]).collect();
    assert!(both("no id", config, &["mx1"], &records).contains("no_mail_lines"));
}

/// Runs records both ways from the start, five a second; gives what was issued.
fn both_at_first(name: &str, records: &[String]) -> String {
    let config = r#"{"filter_names": ["PureMessage"]}"#;
    let (at_a_glance, in_full) = (run(config, true, records, 200), run(config, false, records, 200));
    assert_eq!(at_a_glance.1, in_full.1, "{name}");
    assert_eq!(at_a_glance.0, in_full.0, "{name}");
    assert_eq!(clocks(true, records), clocks(false, records), "{name}");
    at_a_glance.1.iter().map(|output| String::from_utf8_lossy(&output.data).into_owned() + "\n").collect()
}

/// What was learnt of each host: how far its logs are apart, and how far they have come.
fn clocks(glance: bool, records: &[String]) -> Vec<serde_json::Value> {
    let mut engine = Engine::new(&Config::from_json(&format!(r#"{{"glance": {glance}}}"#)).unwrap());
    for record in records {
        engine.push(Source::Auto, Input::Record(record.as_bytes()), 0, 0);
    }
    let state: serde_json::Value = serde_json::from_slice(&engine.snapshot()).unwrap();
    let of = |clocks: &serde_json::Value| {
        assert!(clocks["offset"].is_i64(), "{clocks}");
        serde_json::json!([clocks["offset"], clocks["mail"]["latest"], clocks["entries"]["latest"]])
    };
    state["hosts"]["clocks"].as_array().unwrap().iter().map(of).collect()
}

#[test]
fn a_year_that_one_line_forged_is_not_confirmed_by_lines_without_an_id() {
    let at = |second: u32, text: &str| record(&format!("Nov 23 13:01:{second:02} mx1 sendmail[14001]: {text}"));
    let mut records = vec![at(0, "8AND1000014000: done; delay=00:00:01, ntries=1")];
    for second in 1..5 {
        records.push(at(second, &format!("6AND05000{second:05}: {FROM}")));
        records.push(at(second, "NOQUEUE: connect from z [192.0.2.1]"));
    }
    records.extend((6..12).map(|second| at(second, &format!("6AND05010{second:05}: {FROM}"))));
    records.push(record(ABORT).replace("13:01:07", "13:01:30"));
    records.extend((20..30).map(|second| at(second, &format!("6AND05020{second:05}: {FROM}"))));
    records.push(at(30, "6AND1501014000: lost input channel from z [192.0.2.1] to MTA after rcpt"));
    let issued = both_at_first("a forged year", &records);
    assert!(issued.contains("peer_disconnected") && issued.contains(r#""revision":0"#), "{issued}");
}

#[test]
fn no_evidence_is_taken_for_ordinary() {
    for name in ["Prüfer", "a\\\"b"] {
        let line = of_x(&format!("Milter ({name}): timeout before data read, where=eom"));
        let records = [record(&line).replace(r#"\\\""#, r#"\""#), record(ABORT)];
        assert!(both(name, "{}", &["mx1"], &records).contains("filter_timeout"), "{name}");
    }
    let solaris = "[ID xxxxx12345: ] 6AND1501014000: Milter (PureMessage): timeout before data read, where=eom";
    let line = format!("2026-11-23T13:01:06+00:00 mx1 sendmail[14000]: {solaris}");
    let learnt = "2026-11-23T13:01:06+00:00 mx1 sendmail[14000]: 6AND1501014002: done; delay=00:00:01, ntries=1";
    both("a message's number", "{}", &["mx1"], &[record(learnt), record(&line), record(ABORT)]);
}

#[test]
fn what_a_glance_takes_for_a_line_is_one() {
    let entries = ["q=6AN*15V7014029 f=<a@b> tm=0.1 a=a/eom", "q=6AND15V7014029 f=<a@b> tm=0.1 a=a/eom"]
        .map(|entry| record(&format!("2026-11-23T13:01:05 {entry}")));
    both("no id", "{}", &["mx1"], &entries);
    // The process id stands in the record.
    let without = r#"{"pid":"77","message":"Nov 23 05:00:05 mx1 sendmail[]: 6ANC5005014000: from=<a@b>, size=9, class=0, nrcpts=1, msgid=<x@y>"}"#;
    let records = vec![without.to_owned(); 20];
    let entries = (0..3).map(|n| record(&format!("2026-11-23T05:00:0{n} q=6AND050001400{n} f=<a@b> a=c/abort")));
    both_at_first("no process id", &records.into_iter().chain(entries).collect::<Vec<_>>());
}

/// The zone of a log is guessed from lines of the process that received a message: what stands before the id in the record is
/// not always that process's.
#[test]
fn the_process_is_that_of_the_line() {
    let relay = "relay=relay.example.com [192.0.2.1]";
    let mail = |fields: &str, head: &str| {
        format!(
            r#"{{{fields}"message":"{head}: from=<a@example.org>, size=9, class=0, nrcpts=1, msgid=<x@y>, proto=ESMTP, {relay}"}}"#
        )
    };
    let connect = "NOQUEUE: connect from x.example.org [192.0.2.1] and so on until it is long enough for a glance";
    let connect = record(&format!("2026-06-30T00:00:00+00:00 mx1 sendmail[14003]: {connect}"));
    let abort = record("2026-06-30T00:00:01Z q=65TNxx1F014002 f=<a@example.org> tm=0.30 a=c/abort");
    let of_abort = mail(r#""host":"mx1","#, "2026-06-30T00:00:01 mx1 sendmail[14002]: 65TNxx1F014002");
    for (what, fields, process) in [
        ("a digit is escaped", "", r"1400\u0033]"),
        ("a bracket is escaped", "", r"99999\u005d"),
        ("another field has the id", r#""x":"z[99]: 65U0001L014003","#, "14003]"),
    ] {
        let line = mail(fields, &format!("2026-06-30T00:00:01.5+01:00 mx1 sendmail[{process}: 65U0001L014003"));
        both_at_first(what, &[connect.clone(), abort.clone(), line, of_abort.clone()]);
    }
}

#[test]
fn entries_without_a_host_tell_how_far_the_logs_are_apart() {
    let records: Vec<String> = (0..12)
        .flat_map(|n| {
            let id = format!("6AND1000{n:06}");
            let entry = format!("2026-11-23T13:01:05 q={id} f=<a@b> tm=0.10 a=a/eom");
            [mail("mx1", &id, FROM).replace("13:01", "14:01"), mail("mx2", &format!("6AND1001{n:06}"), FROM), entry]
        })
        .map(|line| record(&line))
        .chain([record(ABORT), record(&of_x("lost input channel from z [192.0.2.1] to MTA after rcpt"))])
        .collect();
    both_at_first("no host", &records);
}

/// A mail line as it comes from another syslog, or from a shipper that takes lines apart.
fn in_other_forms(id: &str, text: &str) -> [String; 5] {
    let pid = &id[8..];
    let json = |value: serde_json::Value| value.to_string();
    [
        record(&format!("Nov 23 13:01:06 mx1 sendmail[{pid}]: [ID 801593 mail.info] {id}: {text}")),
        record(&format!("<22>1 2026-11-23T13:01:06Z mx1 sendmail {pid} - - {id}: {text}")),
        json(
            serde_json::json!({ "pri": "22", "time": "Nov 23 13:01:06", "host": "mx1", "ident": "sendmail", "pid": pid, "message": format!("{id}: {text}") }),
        ),
        json(
            serde_json::json!({ "appname": "sendmail", "hostname": "mx1", "message": format!("{id}: {text}"), "procid": 14_000, "timestamp": "2026-11-23T13:01:06.5Z" }),
        ),
        json(
            serde_json::json!({ "MESSAGE": format!("{id}: {text}"), "SYSLOG_IDENTIFIER": "sendmail", "_HOSTNAME": "mx1", "_PID": pid, "__REALTIME_TIMESTAMP": "1795438866022833" }),
        ),
    ]
}

#[test]
fn whatever_a_line_begins_with_an_ordinary_one_passes_unread() {
    for form in 0..5 {
        let of = |id: &str, text: &str| in_other_forms(id, text)[form].clone();
        let ordinary = (0..40).map(|n| of(&format!("6AND0500{n:06}"), FROM));
        // Its first line is ordinary, and is read when the message turns out to matter.
        let ours = [
            of("6AND1501014000", FROM),
            of("6AND1501014000", "Milter (PureMessage): timeout before data read, where=eom"),
            of("6AND1501014000", "Milter: data, reject=451 4.3.2 Please try again later"),
            of("6AND1501014000", "to=<b@c>, delay=00:00:01, pri=30009, stat=Please try again later"),
            record(ABORT),
        ];
        let records: Vec<String> = ordinary.chain(ours).collect();
        let issued = both_at_first(&format!("form {form}"), &records);
        assert!(issued.contains("filter_timeout") && issued.contains(r#""outcome":"tempfailed""#), "{form}: {issued}");
        let (_, _, stats) = run("{}", true, &records, 200);
        assert!(stats.unread >= 38, "{form}: {stats:?}");
    }
}

#[test]
fn a_frame_that_looks_like_a_shorter_one_is_learnt() {
    let line = |n: u32| record(&mail("mx1", &format!("6AND0600{n:06}"), FROM));
    let longer = |n: u32| line(n).replace("\"}", r#"","id":"x17"}"#);
    let records: Vec<String> = (0..10).map(line).chain((10..50).map(longer)).collect();
    both_at_first("a longer frame", &records);
    let (_, _, stats) = run("{}", true, &records, 200);
    assert!(stats.unread >= 45, "{stats:?}");
}

/// What a shipper puts around a line takes no room where the line was taken apart.
#[test]
fn the_ring_holds_lines_without_their_records() {
    let of = |id: &str, text: &str| {
        let pad = "x".repeat(2_000);
        serde_json::json!({ "host": "mx1", "ident": "sendmail", "pid": &id[8..], "time": "2026-11-23T13:01:06Z", "pad": pad, "message": format!("{id}: {text}") })
            .to_string()
    };
    let others = (0..500).map(|n| of(&format!("6AND1600{n:06}"), FROM));
    let records: Vec<String> = [of("6AND1501014000", FROM)].into_iter().chain(others).chain([record(ABORT)]).collect();
    let config = r#"{"limits": {"passed_bytes": 1048576}}"#;
    let issued = both("large records", config, &["mx1"], &records);
    assert!(issued.contains("only_ordinary_lines"), "{issued}");
}

/// A line that stands in another member as well tells nothing of the process that wrote the one at hand.
#[test]
fn the_process_is_the_records() {
    let twice = |n: u32| {
        let text = format!("6AND15V701{n:04}: {FROM}");
        serde_json::json!({ "host": "mx1", "ident": "sendmail", "pid": 77, "time": "2026-11-23T15:01:05", "message": text, "log": format!("Nov 23 13:01:05 mx1 sendmail[01{n:04}]: {text}") })
            .to_string()
    };
    let entry = |n: u32| record(&format!("2026-11-23T13:01:05 q=6AND15V702{n:04} f=<a@b> tm=0.10 a=a/eom"));
    let records: Vec<String> = (0..30).map(twice).chain((0..2).map(entry)).collect();
    both_at_first("a line twice", &records);
}

/// Of a message's entries the last counts for how far the clocks of the logs are apart, whether it was read or not.
#[test]
fn the_last_entry_counts_for_the_clocks() {
    let ids: Vec<String> = (0..24).map(|n| format!("6AND0501{n:06}")).collect();
    let entry =
        |hour: u32, id: &String, rest: &str| record(&format!("2026-11-23T{hour}:01:06 q={id} f=<a@b> t=<b@c>{rest}"));
    let failed = record(&of_x("Milter (PureMessage): timeout before data read, where=eom"));
    let first = ids.iter().map(|id| entry(14, id, ""));
    let last = ids.iter().map(|id| entry(13, id, " tm=1 a=q/eom"));
    let lines = ids.iter().map(|id| record(&mail("mx1", id, FROM)));
    let teaching = record(&mail("mx1", "6AND0500000000", FROM));
    let records = [teaching].into_iter().chain(first).chain(last).chain(lines).chain([failed, record(ABORT)]);
    let issued = both("the clocks", "{}", &[], &records.collect::<Vec<_>>());
    assert!(issued.contains(r#""class":"filter_timeout""#) && issued.contains(r#""offset_secs":-1.0"#), "{issued}");
}
