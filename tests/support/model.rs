//! A naive model of the join: it keeps everything, judges at the end, and knows only the lines of [`abort_reason_simulator::world`].

use std::collections::BTreeMap;

use serde_json::Value;

use super::text;
use abort_reason_simulator::world::{Truth, World};

/// What is known of one queue id on one host.
#[derive(Default)]
struct Message {
    lines: Vec<String>,
    entries: Vec<String>,
}

/// What each entry is to be issued as.
pub fn judge(world: &World) -> Vec<Truth> {
    let mut messages: BTreeMap<(String, String), Message> = BTreeMap::new();
    let mut tls: BTreeMap<(String, String), String> = BTreeMap::new();
    for (host, line) in world.mail_first().into_iter().map(parsed) {
        if let Some((_, rest)) = line.split_once(" q=") {
            let id = rest.split(' ').next().unwrap_or_default().to_owned();
            messages.entry((host, id)).or_default().entries.push(line);
            continue;
        }
        let (head, said) = line.split_once("]: ").expect("a mail line");
        let process = (host.clone(), head.rsplit('[').next().unwrap_or_default().to_owned());
        let Some((id, said)) = said.split_once(": ").filter(|(id, _)| id.len() == 14) else {
            tls.entry(process).or_insert_with(|| said.to_owned());
            continue;
        };
        let message = messages.entry((host, id.to_owned())).or_default();
        if said.starts_with("lost input channel") {
            message.lines.extend(tls.remove(&process));
        }
        message.lines.push(said.to_owned());
    }
    let mut issued: Vec<Truth> = messages.iter().flat_map(|((host, _), message)| message.judge(host)).collect();
    issued.sort();
    issued
}

fn parsed(record: &str) -> (String, String) {
    let record: Value = serde_json::from_str(record).expect("a record");
    (text(&record, "host").to_owned(), text(&record, "message").to_owned())
}

impl Message {
    fn judge(&self, host: &str) -> Vec<Truth> {
        // A refused MAIL ends a transaction and leaves the id to the next.
        let mut refused: Vec<&[String]> = Vec::new();
        let mut rest = self.lines.as_slice();
        while let Some(at) =
            rest.iter().position(|line| line.starts_with("Milter: from=") && line.contains(", reject="))
        {
            refused.push(&rest[..=at]);
            rest = &rest[at + 1..];
        }
        let mut refused = refused.into_iter();
        let mut issued = Vec::new();
        for (number, entry) in self.entries.iter().enumerate() {
            let last = number + 1 == self.entries.len();
            let lines = refused.next().unwrap_or(if last { rest } else { &[] });
            let kind = if entry.ends_with("/abort") { "abort" } else { "unnoticed" };
            let class = class(lines);
            if kind == "abort" || class.starts_with("filter_") || class == "mta_error" {
                issued.push(Truth { entry: entry.clone(), host: host.to_owned(), kind, class, told: true });
            }
        }
        issued
    }
}

fn class(lines: &[String]) -> &'static str {
    let starts = |start: &str| lines.iter().any(|line| line.starts_with(start));
    let decisive = lines.iter().find_map(|line| {
        Some(match line.as_str() {
            line if line.contains("(avscan): timeout ") => "other_filter",
            line if line.contains("): timeout before ") => "filter_timeout",
            line if line.starts_with("milter_sys_read(") => "filter_closed",
            line if line.contains("): select(read): ") => "mta_error",
            line if line.starts_with("Milter: from=") && line.ends_with(", discard") => "other_filter",
            line if line.starts_with("STARTTLS=read: error:") => "peer_protocol_error",
            line if line.starts_with("STARTTLS: read error=timeout") => "peer_timeout",
            line if line.starts_with("timeout waiting ") => "peer_timeout",
            line if line.starts_with("lost input channel ") => "peer_disconnected",
            line if line.starts_with("collect: ") => "peer_disconnected",
            _ => return None,
        })
    });
    if let Some(class) = decisive {
        class
    } else if starts("Milter: from=")
        || starts("Milter: data, reject=")
        || starts("Milter: cmd=data, reject=")
        || lines.iter().any(|line| line.ends_with("stat=discarded"))
    {
        "other_filter"
    } else if lines.iter().any(|line| line.ends_with("stat=Please try again later")) {
        "filter_failure_suspected"
    } else if starts("ruleset=check_rcpt") {
        "recipients_rejected"
    } else if lines.iter().any(|line| line.starts_with("from=") && !line.contains("msgid=")) {
        "client_ended"
    } else {
        "unexplained"
    }
}
