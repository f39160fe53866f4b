//! The verdict on an abort's class, by what was done to the real sendmail that wrote the logs.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::{Scenario, last_revisions, text};

/// PureMessage's milter in the corpus.
pub const FILTER: &str = "PureMessage";

/// How good a class is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It is the true one.
    Right,
    /// The log does not hold the cause in plain words, and the record says so.
    Honest,
    /// A line names the cause, and the record does not.
    Missed,
    /// It is not true, or the abort is not there once.
    Wrong,
}

/// Lines that name a cause in plain words.
static PLAIN: LazyLock<Regex> = LazyLock::new(|| {
    let lines = [
        r"Milter(?: read)? ?\(.*\): timeout ",
        r"milter_data\(.*\): EOM ACK",
        r"milter_(?:sys_)?read\(.*\): (?:cmd )?read returned",
        r"Milter \(.*\): (?:read returned|write\(|error connecting|local socket name|negotiate)",
        r"milter_[a-z_]+\(.*\): (?:.*bogus response|.*out of range)",
        "lost input channel",
        "timeout waiting for input",
        "collect: ",
        r"SYSERR\(.*\): collect: ",
        "message size ",
        "headers too large",
        "header overflow",
        ".*SMTP violation",
        "stat=RSET",
        ".*stat=(?:RSET|EHLO|HELO|aborted by sender)",
    ];
    Regex::new(&format!("^(?:{})", lines.join("|"))).expect("a regular expression")
});

fn reason_lines(row: &Value) -> Vec<&str> {
    row["reason_lines_in_maillog"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn class_of(cause: &str) -> &str {
    match cause {
        "filter_timeout" | "filter_closed" | "filter_unreachable" | "peer_timeout" => cause,
        "filter_protocol" => "filter_protocol_error",
        "peer_disconnect" => "peer_disconnected",
        "peer_protocol" => "peer_protocol_error",
        "client_rset" => "client_ended",
        "none" => "unexplained",
        _ => panic!("no such cause: {cause}"),
    }
}

/// Judges the object of one abort of the truth.
pub fn judge(row: &Value, abort: &Value) -> Verdict {
    let (case, cause, class) = (text(row, "case"), text(row, "cause"), text(abort, "class"));
    let (inferred, unexplained) = (text(abort, "status") == "inferred", class == "unexplained");
    let own = row["filter"].is_null() || text(row, "filter") == FILTER;
    let mut want = vec![if own { class_of(cause) } else { "other_filter" }];
    if cause == "client_rset" {
        want.push("recipients_rejected");
    }
    if cause == "client_rset" && case.contains("filter-reject") {
        want.push("other_filter");
    }
    if case.contains("other-reject-rcpt") {
        // The line does not name the filter.
        want.push("recipients_rejected");
    }
    if case.contains("garbage") || case.contains("badlen") {
        // sendmail itself may take it for a timeout.
        want.push("filter_timeout");
    }
    let lines = reason_lines(row);
    let peer = cause.starts_with("peer");
    if case.starts_with("tls-")
        && peer
        && class == "peer_disconnected"
        && !lines.iter().any(|line| line.contains("timed out"))
    {
        // Under TLS the cause stands in a line without an id, or nowhere.
        return if cause == "peer_disconnect" { Verdict::Right } else { Verdict::Honest };
    }
    if want.contains(&class) && (text(abort, "status") != "unexplained" || unexplained) {
        return Verdict::Right;
    }
    if cause != "none" && lines.iter().any(|line| PLAIN.is_match(line)) {
        return if unexplained || inferred { Verdict::Missed } else { Verdict::Wrong };
    }
    let harmless = peer && matches!(class, "client_ended" | "recipients_rejected")
        || cause.starts_with("filter") && class == "filter_failure_suspected"
        || cause == "none" && row["filter"].is_null() && class == "mta_error";
    if unexplained || inferred && harmless { Verdict::Honest } else { Verdict::Wrong }
}

/// The verdicts on all that was issued for a scenario, with a complaint for each that is missed or wrong.
pub fn judge_all(scenario: &Scenario, records: &[String]) -> (BTreeMap<Verdict, usize>, Vec<String>) {
    let mut counts = BTreeMap::new();
    let mut complaints = Vec::new();
    let mut count = |verdict, complaint: String| {
        *counts.entry(verdict).or_insert(0) += 1;
        if verdict >= Verdict::Missed {
            complaints.push(format!("{}: {verdict:?}: {complaint}", scenario.name));
        }
    };
    let objects = last_revisions(records);
    let of = |id: &str, kind: &str| -> Vec<&Value> {
        objects.iter().filter(|abort| text(abort, "queue_id") == id && text(abort, "kind") == kind).collect()
    };
    let aborted = |row: &&Value| row["abort_observed"] == true;
    let mut done: BTreeMap<&str, usize> = BTreeMap::new();
    for row in scenario.truth.iter().filter(aborted) {
        let id = text(row, "queue_id");
        let mine = of(id, "abort");
        let all = scenario.truth.iter().filter(|row| aborted(row) && text(row, "queue_id") == id).count();
        let place = done.entry(id).or_default();
        let verdict = if mine.len() == all { judge(row, mine[*place]) } else { Verdict::Wrong };
        *place += 1;
        let cause = (text(row, "case"), text(row, "cause"), text(row, "filter"));
        let got: Vec<_> = mine.iter().map(|abort| (text(abort, "class"), text(abort, "reason"))).collect();
        count(verdict, format!("{id} {cause:?} -> {got:?}, lines {:?}", reason_lines(row)));
    }
    // Failures at the end of a message that message_log calls `a/eom`.
    let ended = |row: &&Value| {
        let actions = row["message_log_actions"].as_array().into_iter().flatten().filter_map(Value::as_str);
        !aborted(row) && actions.into_iter().any(|action| action.ends_with("/eom"))
    };
    for row in scenario.truth.iter().filter(ended) {
        let id = text(row, "queue_id");
        let noticed = !of(id, "unnoticed").is_empty();
        let failure = text(row, "cause").starts_with("filter");
        let named = reason_lines(row).iter().any(|line| PLAIN.is_match(line) && line.contains(FILTER));
        if failure && text(row, "filter") == FILTER && named {
            count(if noticed { Verdict::Right } else { Verdict::Missed }, format!("{id} unnoticed failure"));
        }
        if noticed && !failure {
            count(Verdict::Wrong, format!("{id} is no unnoticed failure"));
        }
    }
    for abort in &objects {
        let known = scenario.truth.iter().any(|row| aborted(&row) && row["queue_id"] == abort["queue_id"]);
        if text(abort, "kind") == "abort" && !known {
            count(Verdict::Wrong, format!("{} is no abort", abort["queue_id"]));
        }
    }
    (counts, complaints)
}
