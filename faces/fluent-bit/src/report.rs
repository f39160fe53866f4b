//! The record with the counters, in answer to a tick.

use abort_reason::Stats;
use serde::Serialize;
use serde_json::json;

/// The module's version.
#[allow(clippy::disallowed_macros, reason = "the compiler's environment, not the host's")]
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the filter has counted beside the engine.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Counts {
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
#[derive(Debug, Default, Serialize)]
pub(crate) struct Health<'a> {
    /// The age of the module's state by the ticks.
    pub state_age_secs: u64,
    /// Aborts can't wait, for whatever reason.
    pub stateless_host: bool,
    /// No second tag has come: as far as that shows, the host makes a new module for every chunk.
    pub one_for_each_chunk: bool,
    /// Slots come.
    pub slots: bool,
    /// Records that wait for one.
    pub waiting: usize,
    pub journal: Journal,
    /// What is wrong with the host's heap.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub heap_trouble: &'a str,
    /// How the filter failed.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub failure: &'a str,
}

/// How the journal is.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Journal {
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

/// Writes the record.
pub(crate) fn write(health: &Health<'_>, counts: &Counts, stats: &Stats) -> Vec<u8> {
    #[derive(Serialize)]
    struct Report<'a> {
        version: &'static str,
        #[serde(flatten)]
        health: &'a Health<'a>,
        #[serde(flatten)]
        counts: &'a Counts,
        #[serde(flatten)]
        stats: &'a Stats,
    }
    json!({ "abort_reason": Report { version: VERSION, health, counts, stats } }).to_string().into_bytes()
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
        let journal = Journal { trouble: Some("x".to_owned()), incomplete_secs: Some(1), ..Journal::default() };
        let health = Health { journal, heap_trouble: "x", failure: "x", ..Health::default() };
        let report = write(&health, &Counts::default(), &Stats::default());
        let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
        for name in report["abort_reason"].as_object().unwrap().keys() {
            assert!(is_told(page, name), "{name}");
        }
        for name in report["abort_reason"]["journal"].as_object().unwrap().keys() {
            assert!(own.contains(&format!("`{name}`")), "{name}");
        }
    }
}
