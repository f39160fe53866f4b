//! The record with the counters, in answer to a tick.

use abort_reason::Stats;
use serde_json::{Value, json};

/// The module's version.
#[allow(clippy::disallowed_macros, reason = "the compiler's environment, not the host's")]
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the filter has counted beside the engine.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Records of any kind, ticks left out.
    pub records: u64,
    /// Records too long to be looked at.
    pub too_long: u64,
    /// Records that Fluent Bit did not pass on to the module.
    pub not_passed: u64,
    /// Mail lines not looked at because too many records waited for a slot.
    pub skipped: u64,
    /// Later words on records that had left, given up because no slots came.
    pub dropped: u64,
}

/// How the filter is.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// The age of the module's state by the ticks.
    pub age_secs: u64,
    /// Aborts can't wait, for whatever reason.
    pub stateless: bool,
    /// No second tag has come: as far as that shows, the host makes a new module for every chunk.
    pub one_for_each_chunk: bool,
    /// Slots come.
    pub slots: bool,
    /// Records that wait for one.
    pub waiting: usize,
    /// Bytes of the journal, those of it that could not be read, and why it can't be written.
    pub journal_bytes: u64,
    pub journal_lost: u64,
    pub journal_trouble: String,
    /// For so many seconds aborts can't wait, since the journal does not have all that is known.
    pub journal_incomplete_secs: u64,
    /// What is wrong with the host's heap.
    pub heap_trouble: String,
}

/// Writes the record.
pub(crate) fn write(counts: &Counts, stats: &Stats, state: &State, failure: &str) -> Vec<u8> {
    let mut report = json!({
        "version": VERSION,
        "state_age_secs": state.age_secs,
        "stateless_host": state.stateless,
        "one_for_each_chunk": state.one_for_each_chunk,
        "slots": state.slots,
        "records": counts.records,
        "lines": stats.mail_lines,
        "entries": stats.entries,
        "aborts": stats.aborts,
        "duplicates": stats.duplicates,
        "issued": stats.issued,
        "explained": stats.explained,
        "inferred": stats.inferred,
        "unexplained": stats.unexplained,
        "provisional": stats.provisional,
        "unnoticed": stats.unnoticed,
        "unlogged": stats.unlogged,
        "filter_failures": stats.filter_failures,
        "filter_unreachable": stats.filter_unreachable,
        "revisions": stats.revisions,
        "held": stats.held,
        "waiting": state.waiting,
        "evicted": stats.evicted,
        "expired": stats.expired,
        "released_early": stats.released_early,
        "unreadable": stats.unreadable + counts.too_long,
        "not_passed": counts.not_passed,
        "skipped": counts.skipped,
        "unread": stats.unread,
        "dropped": counts.dropped,
        "bytes": stats.bytes,
    });
    report["journal"] = json!({ "bytes": state.journal_bytes, "lost_bytes": state.journal_lost });
    if !state.journal_trouble.is_empty() {
        report["journal"]["trouble"] = Value::from(state.journal_trouble.as_str());
    }
    if state.journal_incomplete_secs > 0 {
        report["journal"]["incomplete_secs"] = Value::from(state.journal_incomplete_secs);
    }
    if !state.heap_trouble.is_empty() {
        report["heap_trouble"] = Value::from(state.heap_trouble.as_str());
    }
    if !failure.is_empty() {
        report["failure"] = Value::from(failure);
    }
    json!({ "abort_reason": report }).to_string().into_bytes()
}

/// What is wrong with a heap of so many bytes.
pub(crate) fn small_heap(bytes: usize) -> String {
    format!(
        "Fluent Bit hands records over in a heap of {} KiB: longer ones are lost. Set wasm_heap_size to 8M in this filter",
        bytes.div_ceil(1024)
    )
}

/// The stand-in for a record that the host did not pass.
pub(crate) fn not_passed(length: usize) -> Vec<u8> {
    let told = format!(
        "Fluent Bit did not pass this record of {length} bytes to the filter, so it can't be given back; see the README"
    );
    json!({ "abort_reason": { "not_passed": told } }).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each field stands in the first column of `docs/output.md`.
    #[test]
    fn the_page_tells_every_field() {
        let page = include_str!("../../../docs/output.md");
        let (_, page) = page.split_once("\n## Counters\n").unwrap();
        let own = page.split_once("\n## Fluent Bit's report\n").unwrap().1;
        let is_told = |page: &str, name: &str| {
            let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
            rows.flat_map(|cell| cell.split('`').skip(1).step_by(2)).any(|word| word == name)
        };
        let trouble = || "x".to_owned();
        let state = State {
            journal_trouble: trouble(),
            journal_incomplete_secs: 1,
            heap_trouble: trouble(),
            ..State::default()
        };
        let report: Value = serde_json::from_slice(&write(&Counts::default(), &Stats::default(), &state, "x")).unwrap();
        for name in report["abort_reason"].as_object().unwrap().keys() {
            assert!(is_told(page, name), "{name}");
        }
        for name in report["abort_reason"]["journal"].as_object().unwrap().keys() {
            assert!(own.contains(&format!("`{name}`")), "{name}");
        }
    }
}
