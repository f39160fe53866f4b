//! A host with a clock and a disk in memory, which outlive the filter.

use std::cell::Cell;
use std::rc::Rc;

use abort_reason::Config;
use abort_reason_filter::{Answer, Filter, Host, Incoming, MailLines};
use ram::Ram;

#[path = "../../../journal/tests/ram/mod.rs"]
pub(crate) mod ram;

/// What outlives a process.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// None where there is no folder.
    pub(crate) disk: Option<Ram>,
    /// Milliseconds.
    pub(crate) now: Rc<Cell<u64>>,
}

impl Machine {
    pub(crate) fn new() -> Machine {
        Machine { disk: Some(Ram::new(b"")), now: Rc::new(Cell::new(1_000_000)) }
    }

    pub(crate) fn passes(&self, ms: u64) {
        self.now.set(self.now.get() + ms);
    }

    /// A process.
    pub(crate) fn start(&self, config: &str, report_secs: u64) -> Filter<Machine> {
        let config = Config::from_json(config).unwrap();
        Filter::new(&config, "ticks", report_secs, self.clone())
    }
}

impl Host for Machine {
    type Disk = Ram;

    fn disk(&self) -> Option<Ram> {
        self.disk.clone()
    }

    fn now_ms(&self) -> Option<u64> {
        Some(self.now.get())
    }
}

/// A filter to which ticks have come, and records of two streams.
pub(crate) fn with_slots(machine: &Machine, config: &str) -> Filter<Machine> {
    let mut filter = machine.start(config, 0);
    filter.next_stream();
    assert_eq!(filter.answer(Incoming::Tick(0)), Answer::Nothing);
    filter.next_stream();
    filter
}

/// A record of the `tail` input's.
pub(crate) fn record(line: &str) -> Vec<u8> {
    serde_json::json!({ "log": line }).to_string().into_bytes()
}

/// A mail line or an entry through the filter.
pub(crate) fn line(filter: &mut Filter<Machine>, line: &str) -> Answer {
    let mail_lines = if line.contains(" sendmail[") { MailLines::End } else { MailLines::Pass };
    filter.answer(Incoming::Record(mail_lines, &record(line)))
}
