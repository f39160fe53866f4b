//! What is shown: the aborts that came, and the totals. It knows nothing of terminals.

use std::collections::{BTreeMap, HashMap, VecDeque};

use abort_reason::{Kind, Outcome, Status};
use abort_reason_explain::record::{self, Abort};

use crate::explain::table::{spaced, why_not};
use crate::text::visible;

/// Aborts that can be looked at; older ones are only counted.
const MOST: usize = 10_000;

/// An abort, every text in it safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) time: String,
    pub(super) host: String,
    pub(super) queue_id: String,
    pub(super) kind: Kind,
    pub(super) class: String,
    pub(super) wants_action: bool,
    pub(super) outcome: String,
    pub(super) is_unscanned: bool,
    pub(super) status: Status,
    pub(super) reason: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) relay: String,
    pub(super) advice: String,
    pub(super) revision: u32,
}

/// How often a class came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Total {
    pub(super) count: u64,
    pub(super) wants_action: bool,
}

/// The state of the screen, but for what the user chose.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// The newest last.
    rows: VecDeque<Row>,
    /// The number of each abort's row, counted from the first ever.
    places: HashMap<String, u64>,
    first: u64,
    pub(super) totals: BTreeMap<String, Total>,
    pub(super) unscanned: u64,
}

impl Board {
    /// Takes an issued record; the row that came or changed.
    pub(super) fn take(&mut self, record: &[u8]) -> Option<&Row> {
        let row = Row::of(&record::abort(record)?);
        if row.revision > 0 && row.kind == Kind::Abort && self.first > 0 && !self.places.contains_key(&row.id) {
            // A later word on one that is only counted.
            return None;
        }
        let known = self.places.get(&row.id).map(|place| (place - self.first) as usize);
        if let Some(before) = known.and_then(|at| self.rows.get(at)).cloned() {
            // The word before does not count any more.
            self.uncount(&before);
        }
        self.count(&row);
        let at = if let Some(at) = known {
            self.rows[at] = row;
            at
        } else {
            self.push(row);
            self.rows.len() - 1
        };
        self.rows.get(at)
    }

    fn push(&mut self, row: Row) {
        if self.rows.len() == MOST
            && let Some(oldest) = self.rows.pop_front()
        {
            self.places.remove(&oldest.id);
            self.first += 1;
        }
        self.places.insert(row.id.clone(), self.first + self.rows.len() as u64);
        self.rows.push_back(row);
    }

    fn count(&mut self, row: &Row) {
        let total = self.totals.entry(row.class.clone()).or_default();
        total.count += 1;
        total.wants_action |= row.wants_action;
        self.unscanned += u64::from(row.is_unscanned);
    }

    fn uncount(&mut self, row: &Row) {
        if let Some(total) = self.totals.get_mut(&row.class) {
            total.count -= 1;
            if total.count == 0 {
                self.totals.remove(&row.class);
            }
        }
        self.unscanned -= u64::from(row.is_unscanned);
    }

    /// The rows that a filter lets through, the newest first.
    pub(super) fn rows<'a>(&'a self, filter: &'a str, only_action: bool) -> impl Iterator<Item = &'a Row> {
        self.rows.iter().rev().filter(move |row| (!only_action || row.wants_action) && row.holds(filter))
    }

    /// What wants action first, then by number.
    pub(super) fn totals(&self) -> Vec<(&str, &Total)> {
        let mut totals: Vec<_> = self.totals.iter().map(|(class, total)| (class.as_str(), total)).collect();
        totals.sort_by_key(|(_, total)| (!total.wants_action, std::cmp::Reverse(total.count)));
        totals
    }

    /// How many there are in all.
    pub(super) fn count_all(&self) -> u64 {
        self.totals.values().map(|total| total.count).sum()
    }
}

impl Row {
    fn of(abort: &Abort) -> Row {
        let text = |text: &str| visible(text).into_owned();
        let maybe = |text: &Option<String>| text.as_deref().map(|text| visible(text).into_owned()).unwrap_or_default();
        let said = abort.reason.clone().or_else(|| abort.why_not.map(why_not));
        Row {
            id: text(&abort.id),
            time: maybe(&abort.time),
            host: maybe(&abort.host),
            queue_id: text(&abort.queue_id),
            kind: abort.kind,
            class: spaced(abort.class.as_str()),
            wants_action: abort.ignorable == Some(false),
            outcome: spaced(abort.outcome.as_str()),
            is_unscanned: abort.outcome == Outcome::DeliveredUnscanned,
            status: abort.status,
            reason: maybe(&said),
            from: maybe(&abort.from),
            to: abort.to.iter().map(|to| visible(to).into_owned()).collect::<Vec<_>>().join(", "),
            relay: maybe(&abort.relay),
            advice: abort.advice.as_ref().map(|advice| text(&advice.text)).unwrap_or_default(),
            revision: abort.revision,
        }
    }

    /// Whether any of its texts holds another, without regard to case.
    fn holds(&self, filter: &str) -> bool {
        let filter = filter.to_lowercase();
        filter.is_empty()
            || [&self.queue_id, &self.class, &self.host, &self.from, &self.to, &self.relay, &self.reason, &self.outcome]
                .iter()
                .any(|text| text.to_lowercase().contains(&filter))
    }

    /// In one line.
    pub(super) fn to_line(&self) -> String {
        let again = if self.revision > 0 { " (again)" } else { "" };
        let urgent = if self.is_unscanned { "DELIVERED UNSCANNED" } else { &self.outcome };
        let class = format!("{}{again}", self.class);
        let host = if self.host.is_empty() { "-" } else { &self.host };
        let parts: [&str; 6] = [&self.time, host, &self.queue_id, &class, urgent, &self.reason];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: u32, revision: u32, class: &str, outcome: &str) -> Vec<u8> {
        let record = serde_json::json!({"message": "m", "abort": {
            "id": format!("{id:032x}"), "kind": "abort", "queue_id": format!("6AND15d3{id:06}"), "status": "explained",
            "class": class, "fault": "filter", "ignorable": class != "filter_timeout", "outcome": outcome,
            "reason": "x\u{1b}[2J", "revision": revision,
        }});
        record.to_string().into_bytes()
    }

    #[test]
    fn a_later_word_takes_the_place_of_the_first() {
        let mut board = Board::default();
        board.take(&record(1, 0, "unexplained", "unknown"));
        board.take(&record(2, 0, "filter_timeout", "delivered_unscanned"));
        let row = board.take(&record(1, 1, "client_ended", "not_received")).unwrap();
        assert!(row.to_line().contains("client ended (again)") && row.to_line().ends_with("x\\x1b[2J"), "{row:?}");
        let totals: Vec<_> = board.totals().into_iter().map(|(class, total)| (class, total.count)).collect();
        assert_eq!(totals, [("filter timeout", 1), ("client ended", 1)]);
        assert_eq!((board.count_all(), board.unscanned, board.rows("", true).count()), (2, 1, 1));
        assert_eq!(board.rows("CLIENT", false).next().unwrap().queue_id, "6AND15d3000001");
    }

    #[test]
    fn old_rows_go_and_are_counted() {
        let mut board = Board::default();
        for id in 0..MOST as u32 + 5 {
            board.take(&record(id, 0, "client_ended", "not_received"));
        }
        board.take(&record(0, 1, "client_ended", "not_received"));
        board.take(&record(MOST as u32, 1, "filter_timeout", "tempfailed"));
        assert_eq!((board.rows.len(), board.places.len()), (MOST, MOST));
        assert_eq!(board.totals["filter timeout"].count, 1);
        assert_eq!(board.count_all(), MOST as u64 + 5);
    }
}
