//! The record with the counters, in answer to a tick.

use abort_reason::Stats;
use abort_reason_filter::{Counts, Filter, Health};
use serde::Serialize;
use serde_json::json;

use crate::system::System;

/// The module's version.
#[allow(clippy::disallowed_macros, reason = "the compiler's environment, not the host's")]
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is told of the host.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Host {
    /// Records that Fluent Bit did not pass on to the module.
    pub not_passed: u64,
    /// What is wrong with its heap.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub heap_trouble: String,
}

#[derive(Serialize)]
struct Report<'a> {
    version: &'static str,
    #[serde(flatten)]
    health: &'a Health,
    #[serde(flatten)]
    host: &'a Host,
    #[serde(flatten)]
    counts: &'a Counts,
    #[serde(flatten)]
    stats: &'a Stats,
    #[serde(skip_serializing_if = "str::is_empty")]
    failure: &'a str,
}

/// Writes the record, with how the filter failed, if it did.
pub(crate) fn write(filter: &Filter<System>, host: &Host, failure: &str) -> Vec<u8> {
    let (counts, stats) = filter.counts();
    json_of(&Report { version: VERSION, health: &filter.health(), host, counts, stats, failure })
}

fn json_of(report: &Report<'_>) -> Vec<u8> {
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
    use abort_reason_filter::Journal;

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
        let (health, counts) = (Health { journal, hint: Some("x"), ..Health::default() }, Counts::default());
        let (host, stats) = (Host { heap_trouble: "x".to_owned(), ..Host::default() }, Stats::default());
        let report =
            Report { version: VERSION, health: &health, host: &host, counts: &counts, stats: &stats, failure: "x" };
        let report = json_of(&report);
        let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
        for name in report["abort_reason"].as_object().unwrap().keys() {
            assert!(is_told(page, name), "{name}");
        }
        for name in report["abort_reason"]["journal"].as_object().unwrap().keys() {
            assert!(own.contains(&format!("`{name}`")), "{name}");
        }
    }
}
