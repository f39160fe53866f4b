//! Two filters, of which one fails: every pair of the filter that fails, its `F=`, the stage, what fails, and what comes
//! after it, as sendmail 8.18 logs them. With an empty `F=` sendmail goes on without the filter, so the transaction ends for
//! what comes after; otherwise it says at once that it ends for the filter.

#![allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)] // Those rules are the core's.

mod support;

use support::{F, Host, config, last_revisions, text};

const ALL_F: [F; 4] = [F::Empty, F::Tempfail, F::Reject, F::Close];
const STAGES: [&str; 7] = ["connect", "helo", "mail", "rcpt", "data", "header", "eom"];

/// How a filter fails: the line and the class that it speaks for. Only a reply that makes no sense has its consequence at
/// the next command.
fn failures(filter: &str, stage: &str) -> Vec<(String, &'static str)> {
    let mut list = vec![
        (format!("Milter ({filter}): timeout before data read, where={stage}"), "filter_timeout"),
        (format!("Milter read({filter}): timeout before data read, where={stage}"), "filter_timeout"),
        (format!("milter_sys_read({filter}): cmd read returned 0, expecting 5"), "filter_closed"),
        (format!("Milter ({filter}): read returned -1: Connection reset by relay.example.com"), "filter_closed"),
    ];
    if stage == "connect" {
        let refused = format!("Milter ({filter}): error connecting to filter: Connection refused by /run/filter");
        list.push((refused, "filter_unreachable"));
        list.push((format!("Milter ({filter}): local socket name /run/filter unsafe"), "filter_unreachable"));
    }
    list
}

/// What sendmail says in the place of the filter, at a level at which it says so.
fn verdict(f: F, stage: &str) -> Vec<String> {
    let (init, reply) = match f {
        F::Empty => return Vec::new(),
        F::Tempfail => ("temp failing commands", "451 4.3.2 Please try again later"),
        F::Reject => ("rejecting commands", "550 5.7.1 Command rejected"),
        F::Close => ("closing connection", "421 4.7.0 mx1.example.net closing connection"),
    };
    let at_rcpt = if f == F::Close { "421, errormode=4" } else { reply };
    let line = match stage {
        "connect" => format!("Milter: initialization failed, {init}"),
        "helo" => format!("Milter: helo=c.example.org, reject={reply}"),
        "mail" => format!("Milter: from=<a@example.org>, reject={at_rcpt}"),
        "rcpt" => format!("Milter: to=<b@example.net>, reject={at_rcpt}"),
        "data" => format!("Milter: cmd=data, reject={reply}"),
        _ => format!("Milter: data, reject={}", reply.replace("550", "554")),
    };
    vec![line]
}

/// The same where `Milter.LogLevel` is 3 or less: the error that the client gets, or nothing.
fn quiet_verdict(f: F, stage: &str) -> Vec<String> {
    let line = match (f, stage) {
        (F::Tempfail, "mail" | "rcpt") => "Please try again later",
        (F::Reject, "mail") => "<a@example.org>... Command rejected",
        (F::Reject, "rcpt") => "<b@example.net>... Command rejected",
        (F::Close, "mail" | "rcpt") => "closing connection",
        (F::Tempfail, "header" | "eom") => "to=<b@example.net>, delay=00:00:02, pri=30024, stat=Please try again later",
        (F::Reject, "header" | "eom") => "to=<b@example.net>, delay=00:00:02, pri=30024, stat=Command rejected",
        _ => return Vec::new(),
    };
    vec![line.to_owned()]
}

const LOST: &str = "lost input channel from relay.example.com [192.0.2.1] to MTA after rcpt";
const END: &str =
    "from=<a@example.org>, size=0, class=0, nrcpts=1, proto=ESMTP, daemon=MTA, relay=relay.example.com [192.0.2.1]";

/// How the transaction ends after a failure that did not end it, and the class of that.
fn ends() -> Vec<(Vec<String>, &'static str)> {
    let own = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    vec![
        (
            own(&[
                "Milter (PureMessage): timeout before data read, where=rcpt",
                "Milter (PureMessage): to error state",
                "Milter: to=<b@example.net>, reject=451 4.3.2 Please try again later",
            ]),
            "filter_timeout",
        ),
        (
            own(&[
                "milter_sys_read(PureMessage): cmd read returned 0, expecting 5",
                "Milter (PureMessage): to error state",
                "Milter: cmd=data, reject=451 4.3.2 Please try again later",
            ]),
            "filter_closed",
        ),
        // An empty `F=` for PureMessage, too.
        (
            own(&["milter_data(PureMessage): returned bogus response Z", "Milter (PureMessage): to error state"]),
            "filter_protocol_error",
        ),
        (own(&[LOST]), "peer_disconnected"),
        (own(&["timeout waiting for input from relay.example.com during server cmd read", LOST]), "peer_timeout"),
        (
            own(&[
                "collect: premature EOM: unexpected close",
                "collect: relay=relay.example.com, from=<a@example.org>, info=unexpected close",
            ]),
            "peer_disconnected",
        ),
        (own(&["message size (2212) exceeds maximum (1000)"]), "peer_protocol_error"),
        // RSET, QUIT, a new EHLO.
        (own(&[]), "client_ended"),
        (own(&["to=<b@example.net>, delay=00:00:00, pri=0, stat=RSET"]), "client_ended"),
        (own(&["to=<b@example.net>, delay=00:00:00, pri=0, stat=aborted by sender"]), "client_ended"),
    ]
}

/// The object of the one abort that these lines explain, in both orders of the logs.
fn judged(lines: &[String]) -> serde_json::Value {
    let mut found: Vec<serde_json::Value> = [false, true]
        .iter()
        .map(|entry_first| {
            let mut host = Host::new(&config(r#"{"filter_names": ["PureMessage"]}"#));
            // Where MAIL is refused, nobody hears of a recipient.
            let refuses_mail = |line: &String| line.starts_with("Milter: from=") || line.starts_with("<a@example.org>");
            let to = if lines.iter().any(refuses_mail) { "" } else { " t=<b@example.net>" };
            let entry = format!(
                "2026-11-23T13:01:09 q=6AND15d3014029 f=<a@example.org>{to} r=relay.example.com tm=6.04 a=c/abort"
            );
            if *entry_first {
                host.line(&entry);
            }
            for line in lines {
                host.line(&format!("Nov 23 13:01:09 mx1 sendmail[14029]: 6AND15d3014029: {line}"));
            }
            if !entry_first {
                host.line(&entry);
            }
            host.finish();
            last_revisions(&host.records()).pop().expect("a record")
        })
        .collect();
    let (second, first) = (found.pop().expect("one"), found.pop().expect("another"));
    assert_eq!(text(&first, "class"), text(&second, "class"), "the order of the logs decides: {lines:#?}");
    first
}

fn error_state(filter: &str) -> String {
    format!("Milter ({filter}): to error state")
}

fn lines_begin(lines: &[String], start: &str) -> bool {
    lines.iter().any(|line| line.starts_with(start))
}

/// Whether a failure at this stage is before any message.
fn is_early(stage: &str) -> bool {
    matches!(stage, "connect" | "helo")
}

#[test]
fn the_other_filter_fails() {
    let mut count = 0;
    for (stage, f) in STAGES.iter().flat_map(|stage| ALL_F.map(|f| (*stage, f))) {
        for (failure, _) in failures("avscan", stage) {
            let begun = [failure.clone(), error_state("avscan")];
            for said in [verdict(f, stage), quiet_verdict(f, stage)] {
                for (end, class) in ends() {
                    let lines = [&begun[..], &said, &end, &[END.to_owned()]].concat();
                    let abort = judged(&lines);
                    // Where the text came, the recipient was refused by PureMessage, or somebody else: in that filter's
                    // place DATA would have been refused as well.
                    let has_text = ["collect: ", "message size "].iter().any(|start| lines_begin(&end, start));
                    let refuses = ["Milter: to=", "<"].iter().any(|start| lines_begin(&said, start));
                    let is_blamed = !(said.is_empty() || has_text && refuses);
                    // What sendmail said for the filter ended it; without that, what came later did.
                    let expected = if is_blamed { "other_filter" } else { class };
                    assert_eq!(text(&abort, "class"), expected, "{f:?} {stage}: {lines:#?}\n{abort:#}");
                    if expected == "other_filter" {
                        assert_eq!(text(&abort, "filter"), "avscan", "{abort}");
                    }
                    // It stays in the evidence, as circumstance where it was not the cause.
                    let listed = abort["evidence"].as_array().expect("evidence");
                    let line = listed.iter().find(|line| text(line, "text") == failure).expect("the failure");
                    let rank = if is_blamed { "decisive" } else { "circumstantial" };
                    assert_eq!(text(line, "rank"), rank, "{abort:#}");
                    count += 1;
                }
            }
        }
    }
    assert!(count > 2_000, "{count}");
}

#[test]
fn a_senseless_reply_has_its_consequence_at_the_next_command() {
    for (stage, next) in [("mail", "rcpt"), ("rcpt", "data"), ("data", "header")] {
        let failure = format!("milter_send_command(avscan): action={stage} returned bogus response Z");
        for f in ALL_F {
            let lines = [vec![failure.clone(), error_state("avscan")], verdict(f, next), vec![END.to_owned()]].concat();
            let expected = if f == F::Empty { "client_ended" } else { "other_filter" };
            assert_eq!(text(&judged(&lines), "class"), expected, "{f:?} {stage}");
        }
    }
}

/// PureMessage's own failure ends its part at once, whatever its `F=`, and whatever follows.
#[test]
fn puremessage_fails() {
    for (stage, f) in STAGES.iter().filter(|stage| !is_early(stage)).flat_map(|stage| ALL_F.map(|f| (*stage, f))) {
        for (failure, class) in failures("PureMessage", stage) {
            let others = failures("avscan", stage).into_iter().map(|(line, _)| vec![line, error_state("avscan")]);
            for (end, _) in others.map(|lines| (lines, "")).chain(ends()) {
                let begun = vec![failure.clone(), error_state("PureMessage")];
                let lines = [begun, verdict(f, stage), end, vec![END.to_owned()]].concat();
                let abort = judged(&lines);
                assert_eq!(text(&abort, "class"), class, "{f:?} {stage}: {lines:#?}");
                assert_eq!((text(&abort, "filter"), &abort["own_filter"]), ("PureMessage", &true.into()));
            }
        }
    }
}

/// The other filter has failed before, with an empty `F=`; then PureMessage's verdict on one recipient, or a third
/// filter's on the message, is not said in its place.
#[test]
fn a_verdict_of_another_stage_or_in_other_words_is_not_its() {
    let begun = ["Milter (avscan): timeout before data read, where=mail".to_owned(), error_state("avscan")];
    for (said, class) in [
        ("Milter: to=<c@example.net>, reject=550 5.7.1 Command rejected", "client_ended"),
        ("Milter: to=<c@example.net>, reject=550 5.1.1 not here", "client_ended"),
        ("Milter: data, reject=554 5.7.1 virus", "other_filter"),
    ] {
        let abort = judged(&[&begun[..], &[said.to_owned(), END.to_owned()]].concat());
        assert_eq!(text(&abort, "class"), class, "{said}");
        assert!(abort["filter"].is_null(), "{abort:#}");
    }
}

/// Two others fail, each without a verdict but the last: it is that one's.
#[test]
fn of_two_others_the_one_before_the_verdict_is_meant() {
    let lines = [
        "Milter (first): error connecting to filter: Connection refused by /run/first",
        "Milter (first): to error state",
        "Milter (second): timeout before data read, where=rcpt",
        "Milter (second): to error state",
        "Milter: to=<b@example.net>, reject=451 4.3.2 Please try again later",
        END,
    ];
    let abort = judged(&lines.map(str::to_owned));
    assert_eq!((text(&abort, "class"), text(&abort, "filter")), ("other_filter", "second"));
}

/// A verdict that names its filter needs no failure.
#[test]
fn a_named_verdict_ends_it() {
    for said in
        ["milter=avscan, action=mail, reject", "milter=avscan, reject=550 5.7.1 virus", "milter=avscan, tempfail"]
    {
        let abort = judged(&[said.to_owned(), END.to_owned()]);
        assert_eq!((text(&abort, "class"), text(&abort, "filter")), ("other_filter", "avscan"), "{said}");
    }
    let abort = judged(&["milter=PureMessage, action=mail, reject".to_owned(), LOST.to_owned(), END.to_owned()]);
    assert_eq!(text(&abort, "class"), "peer_disconnected");
}
