//! A call of Fluent Bit's in the filter's words, and its answer.

use abort_reason_filter::{Answer, Filter, Incoming};

use crate::report::{self, Host};
use crate::settings::Settings;
use crate::system::System;
use crate::tags::{TagKind, TagMemo};

/// With a smaller heap of the host's, records that are not extraordinary don't arrive.
const LEAST_HEAP: usize = 1 << 20;

/// The filter, and what only Fluent Bit has: tags, and a heap.
#[derive(Debug)]
pub(crate) struct Face {
    settings: Settings,
    filter: Filter<System>,
    tag: TagMemo,
    host: Host,
}

impl Face {
    pub(crate) fn new(settings: Settings) -> Face {
        let system = System(settings.state_file.clone());
        Face {
            filter: Filter::new(&settings.core, &settings.tick_tag, settings.report_secs, system),
            tag: TagMemo::default(),
            host: Host::default(),
            settings,
        }
    }

    /// The tag of the ticks.
    pub(crate) fn tick_tag(&self) -> &str {
        &self.settings.tick_tag
    }

    /// The text of the configuration.
    pub(crate) fn configuration(&self) -> &str {
        &self.settings.text
    }

    /// Records come in a heap of the host's with so many bytes.
    #[inline(never)]
    pub(crate) fn has_heap(&mut self, bytes: usize) {
        if bytes < LEAST_HEAP {
            self.host.heap_trouble = report::small_heap(bytes);
            self.filter.ask_for_report();
        }
    }

    /// Answers a call; a record that the host did not pass is none.
    #[inline]
    pub(crate) fn call(&mut self, tag: &[u8], sec: u32, nsec: u32, record: Option<&[u8]>, length: usize) -> Answer {
        if !self.tag.is_same(tag) {
            self.tag.note(tag, &self.settings);
            self.filter.next_stream();
        }
        let incoming = match (self.tag.kind(), record) {
            (TagKind::Of(mail_lines), Some(record)) => Incoming::Record(mail_lines, record),
            (TagKind::Of(_), None) => return self.not_passed(length),
            (TagKind::Tick, _) => Incoming::Tick(u64::from(sec) * 1_000 + u64::from(nsec) / 1_000_000),
        };
        self.filter.answer(incoming)
    }

    #[inline(never)]
    fn not_passed(&mut self, length: usize) -> Answer {
        self.host.not_passed += 1;
        Answer::Record(report::not_passed(length))
    }

    /// The record with the counters.
    #[inline(never)]
    pub(crate) fn report(&self, failure: &str) -> Vec<u8> {
        report::write(&self.filter, &self.host, failure)
    }

    /// Gives up what is held or waits, whether or not it is time: for a filter that has failed.
    pub(crate) fn give_up(&mut self) {
        self.filter.give_up();
    }

    /// The record that has waited longest.
    pub(crate) fn next_waiting(&mut self) -> Option<Vec<u8>> {
        self.filter.next_waiting()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_tag_is_noticed_in_any_call() {
        let mut face = Face::new(Settings::from_json("").unwrap());
        let mut call = |tag: &str, record: Option<&[u8]>| face.call(tag.as_bytes(), 0, 0, record, 9);
        assert_eq!(call("abort_reason.tick", Some(b"{}")), Answer::Nothing);
        assert!(matches!(call("maillog", None), Answer::Record(_)), "it was not passed, and is told of");
        let abort = br#"{"log":"2026-11-23T13:01:05 q=6AND15V7014029 f=<a@b> tm=1.00 a=c/abort"}"#;
        assert_eq!(call("maillog", Some(abort)), Answer::Nothing, "it waits for its reason");
    }

    #[test]
    fn a_small_heap_is_told_once() {
        let mut face = Face::new(Settings::from_json("").unwrap());
        face.has_heap(64 << 10);
        let mut call = |tag: &str, sec: u32| face.call(tag.as_bytes(), sec, 0, Some(b"{}"), 2);
        call("pmx", 0);
        let told: Vec<bool> = (1..9).map(|sec| call("abort_reason.tick", sec) == Answer::Report).collect();
        assert_eq!(told.iter().filter(|told| **told).count(), 1);
        assert!(String::from_utf8(face.report("")).unwrap().contains("wasm_heap_size"));
    }
}
