//! What a filter tells of itself.

use abort_reason::Stats;
use serde::Serialize;

/// What the filter has counted beside the engine.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Counts {
    /// Records too long to be looked at.
    pub too_long: u64,
    /// Records that were no JSON and were given back as they can be.
    pub mended: u64,
    /// Mail lines not looked at because too many records waited for a slot.
    pub skipped: u64,
    /// Later words on records that had left, given up because no slots came.
    pub dropped: u64,
}

/// How the filter is.
#[derive(Debug, Default, Serialize)]
pub struct Health {
    /// The age of the filter's state by the ticks.
    pub state_age_secs: u64,
    /// Aborts can't wait, for whatever reason.
    pub stateless_host: bool,
    /// Records of a second stream have not come: as far as that shows, the host makes a new filter for every chunk.
    pub one_for_each_chunk: bool,
    /// Slots come.
    pub slots: bool,
    /// Records that wait for one.
    pub waiting: usize,
    /// How the journal is.
    pub journal: Journal,
    /// What the set-up seems to lack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<&'static str>,
}

/// Milliseconds after which one log may be missed, or reasons: at first all aborts may be older than the mail log, and a queue
/// that is run has no entries.
const LONG: u64 = 900_000;

/// What a set-up seems to lack by what has come within so many milliseconds, a minute or more; `again` records of it came
/// from the journal.
pub(crate) fn hint(stats: &Stats, again: u64, age: u64) -> Option<&'static str> {
    let Stats {
        mail_lines, foreign_lines, entries, aborts, other, unreadable, unexplained, explained, inferred, ..
    } = *stats;
    let no_reasons = age >= LONG && unexplained >= 20 + again && explained + inferred == 0;
    let hints = [
        (
            mail_lines + entries == 0 && unreadable >= 100,
            "no record holds a line: name the field that does in message_fields",
        ),
        (
            mail_lines + entries == 0 && other >= 100,
            "no record is a line of sendmail's or an entry of message_log: a parser may have taken more out of them than can be told",
        ),
        (
            aborts >= 20 + again && mail_lines == 0,
            "aborts come, and no line of the mail log: both logs must come to one filter",
        ),
        (
            age >= LONG && mail_lines >= 1_000 && entries == 0,
            "mail lines come, and no entry of message_log: both logs must come to one filter",
        ),
        (
            no_reasons && foreign_lines == mail_lines,
            "no line is of a program that is sendmail: name it in mail_programs",
        ),
        (no_reasons, "no abort has a reason: see why_not in their records"),
    ];
    hints.into_iter().find_map(|(holds, hint)| holds.then_some(hint))
}

/// How the journal is.
#[derive(Debug, Default, Serialize)]
pub struct Journal {
    /// Bytes of the file.
    pub bytes: u64,
    /// Bytes of it that could not be read.
    pub lost_bytes: u64,
    /// Why it can't be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// For so many seconds aborts can't wait, since the journal does not have all that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incomplete_secs: Option<u64>,
}
