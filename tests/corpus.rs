//! Logs that a real sendmail and a real filter wrote side by side: every abort gets its reason, in every syslog form, in
//! every order of arrival, as bare lines and as records. `BLESS=1` rewrites what stands beside the logs.

#![allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)] // Those rules are the core's.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use support::judge::{FILTER, Verdict, judge_all};
use support::{FORMS, Host, Order, Scenario, arrange, compare, config, last_revisions, run, scenarios, text};

const CONFIG: &str = r#"{"filter_names": ["PureMessage"]}"#;
const ORDERS: [Order; 3] = [Order::Merged, Order::MailFirst, Order::EntriesFirst];

/// What a program must at least get right of the corpus: aborts, and failures that no abort entry tells.
const LEAST_RIGHT: usize = 498;

fn issue(scenario: &Scenario, form: &str, order: Order, json: &str, as_records: bool) -> Host {
    let mail = scenario.maillog(form);
    run(&config(json), &arrange(&mail, &scenario.message_log, order), as_records)
}

#[test]
fn every_abort_gets_its_reason_in_every_form_and_order() {
    for order in ORDERS {
        for form in FORMS {
            let mut total: BTreeMap<Verdict, usize> = BTreeMap::new();
            let mut complaints = Vec::new();
            for scenario in scenarios() {
                let host = issue(&scenario, form, order, CONFIG, false);
                let (counts, new) = judge_all(&scenario, &host.records());
                counts.into_iter().for_each(|(verdict, count)| *total.entry(verdict).or_default() += count);
                complaints.extend(new);
                counters(&scenario, &host);
            }
            assert!(complaints.is_empty(), "{order:?} {form}: {total:?}\n{}", complaints.join("\n"));
            let right = total.get(&Verdict::Right).copied().unwrap_or_default();
            assert!(right >= LEAST_RIGHT, "{order:?} {form}: {total:?}");
        }
    }
}

/// What the counters say is what happened.
fn counters(scenario: &Scenario, host: &Host) {
    let stats = host.engine.stats();
    let records = host.records();
    let aborts = scenario.message_log.iter().filter(|line| line.ends_with("/abort")).count() as u64;
    assert_eq!(stats.aborts, aborts, "{}", scenario.name);
    assert_eq!(stats.explained + stats.inferred + stats.unexplained, aborts, "{}", scenario.name);
    assert_eq!(stats.entries, scenario.message_log.len() as u64, "{}", scenario.name);
    assert_eq!((stats.other, stats.unreadable, stats.duplicates), (0, 0, 0), "{}", scenario.name);
    assert_eq!((stats.evicted, stats.released_early, stats.crowded_out), (0, 0, 0), "{}", scenario.name);
    assert_eq!(stats.issued, records.len() as u64, "{}", scenario.name);
    let last = last_revisions(&records);
    let issued_aborts = last.iter().filter(|abort| text(abort, "kind") == "abort").count() as u64;
    assert_eq!(issued_aborts, aborts, "{}", scenario.name);
}

#[test]
fn records_stay_as_they_are() {
    let mut complaints = Vec::new();
    for scenario in scenarios() {
        let records = issue(&scenario, "iso", Order::Merged, CONFIG, false).records();
        let now = records.iter().map(|record| format!("{record}\n")).collect::<String>();
        complaints.extend(compare(&scenario.folder.join("expected.ndjson"), &now).err());
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn bare_lines_and_records_give_the_same_bytes() {
    for scenario in scenarios() {
        for order in ORDERS {
            let bare = issue(&scenario, "bsd", order, CONFIG, false);
            let records = issue(&scenario, "bsd", order, CONFIG, true);
            assert_eq!(bare.issued, records.issued, "{} {order:?}", scenario.name);
        }
    }
}

/// With an empty `F=` mail passes while the filter is away: all that did says so, and nothing that was scanned does.
#[test]
fn what_was_delivered_unscanned_says_so() {
    let all = scenarios();
    let scenario = all.iter().find(|scenario| scenario.name == "filter-Fnone-L9").expect("the scenario");
    let json = r#"{"filter_names": ["PureMessage"], "unlogged": true}"#;
    for order in ORDERS {
        for form in FORMS {
            let sent: BTreeSet<String> = scenario.maillog(form).iter().filter_map(|line| sent(line)).collect();
            let unscanned = |row: &&Value| text(row, "cause").starts_with("filter") && text(row, "filter") == FILTER;
            let expected: BTreeSet<&str> = scenario
                .truth
                .iter()
                .filter(unscanned)
                .map(|row| text(row, "queue_id"))
                .filter(|id| sent.contains(*id))
                .collect();
            assert!(expected.len() > 40, "{}", expected.len());
            let host = issue(scenario, form, order, json, false);
            let objects = last_revisions(&host.records());
            let said: BTreeSet<&str> = objects
                .iter()
                .filter(|abort| text(abort, "outcome") == "delivered_unscanned")
                .map(|abort| text(abort, "queue_id"))
                .collect();
            assert_eq!(said, expected, "{order:?} {form}");
            assert_eq!(host.engine.stats().unlogged, unlogged(scenario, &expected), "{order:?} {form}");
        }
    }
}

/// How many of these messages have no entry.
fn unlogged(scenario: &Scenario, ids: &BTreeSet<&str>) -> u64 {
    let logged = |id: &str| scenario.message_log.iter().any(|line| line.contains(&format!("q={id} ")));
    ids.iter().filter(|id| !logged(id)).count() as u64
}

/// The queue id of a line that says `stat=Sent`.
fn sent(line: &str) -> Option<String> {
    let (before, _) = line.split_once(": to=<").filter(|(_, behind)| behind.contains(", stat=Sent"))?;
    before.rsplit(' ').next().map(str::to_owned)
}
