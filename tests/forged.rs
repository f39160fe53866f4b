//! What a real sendmail 8.17 logged while strangers wrote sendmail's own lines into every field that they may: recipients,
//! senders, names, arguments, headers, lines long enough to be split. A filter timed out or closed, or the client left, and
//! every record says so: no class and no outcome comes from what a client wrote.
//!
//! `truth.jsonl` holds for each message what was done to it, and the field that was hostile.

#![allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)] // Those rules are the core's.

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use abort_reason::{Input, Source};
use serde_json::Value;
use support::{Host, config, folders, last_revisions, text};

fn lines(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}

/// The classes that are true of a cause.
fn classes(cause: &str) -> &'static [&'static str] {
    match cause {
        "filter_timeout" => &["filter_timeout"],
        "filter_closed" => &["filter_closed"],
        "client_rset" => &["client_ended", "recipients_rejected"],
        // It went away behind its HELO.
        "client_helo_reset" => &["client_ended", "peer_disconnected"],
        "peer_disconnect" => &["peer_disconnected"],
        "peer_timeout" => &["peer_timeout"],
        // A rule of the configuration refused a header, or took the message and threw it away.
        "eom_refused" | "delivered" => &["policy_rejected"],
        // It passed behind a filter that had failed before.
        "delivered_unscanned" => &["filter_timeout", "filter_closed"],
        _ => panic!("no such cause: {cause}"),
    }
}

/// The outcomes that are true of what became of a message.
fn outcomes(row: &Value) -> &'static [&'static str] {
    match (text(row, "disposition"), text(row, "cause")) {
        // What a rule has quarantined waits in the queue.
        ("delivered_unscanned", _) => &["delivered_unscanned", "unknown"],
        ("delivered", _) => &["discarded", "unknown"],
        ("eom_refused" | "mail_refused" | "client_quit", "filter_timeout" | "filter_closed") => &["tempfailed"],
        ("eom_refused", _) => &["rejected", "unknown"],
        ("client_rset" | "client_helo_reset", "filter_timeout" | "filter_closed") => {
            &["tempfailed", "delivered_unscanned"]
        }
        ("client_rset" | "client_helo_reset" | "peer_disconnect" | "peer_timeout", _) => &["not_received"],
        (other, cause) => panic!("no such end: {other}, {cause}"),
    }
}

#[test]
fn nothing_that_a_client_wrote_is_believed() {
    let mut complaints = Vec::new();
    let mut judged = 0;
    for folder in folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/forged")) {
        let (mail, entries) = (lines(&folder.join("maillog")), lines(&folder.join("message_log")));
        for entries_first in [false, true] {
            let mut host = Host::new(&config(r#"{"filter_names": ["PureMessage"], "unlogged": true}"#));
            let logs = if entries_first { [&entries, &mail] } else { [&mail, &entries] };
            for line in logs.into_iter().flatten() {
                host.push(Source::Auto, Input::Line(line));
            }
            host.finish();
            let mut records: BTreeMap<String, Vec<Value>> = BTreeMap::new();
            for abort in last_revisions(&host.records()) {
                records.entry(text(&abort, "queue_id").to_owned()).or_default().push(abort);
            }
            for row in support::lines(&folder.join("truth.jsonl")) {
                let row: Value = serde_json::from_str(&row).expect("truth is JSON");
                let id = text(&row, "queue_id");
                for abort in records.remove(id).unwrap_or_default() {
                    judged += 1;
                    let (class, outcome) = (text(&abort, "class"), text(&abort, "outcome"));
                    let unlogged = text(&abort, "kind") == "unlogged" && outcome == "delivered_unscanned";
                    let right = classes(text(&row, "cause")).contains(&class) && outcomes(&row).contains(&outcome);
                    if !right && !unlogged {
                        let name = folder.file_name().unwrap_or_default().to_string_lossy();
                        complaints.push(format!("{name} {row}: {class}, {outcome}: {}", abort["reason"]));
                    }
                }
            }
        }
    }
    assert!(complaints.is_empty(), "{} of {judged}:\n{}", complaints.len(), complaints.join("\n"));
    assert!(judged > 2_000, "{judged}");
}
