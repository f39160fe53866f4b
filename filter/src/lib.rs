//! The core for hosts that take at most one record out for each that goes in, never ask again, and may end at any moment.
//!
//! | module | what it is for |
//! |---|---|
//! | `filter` | what goes out in place of a record that came in |
//! | `slots` | what waits to leave, and whether slots come |
//! | `mend` | records that are no JSON |
//! | `health` | what a filter tells of itself |
//!
//! Every call whose own record ends here (a consumed mail line, an abort that has to wait, a tick) is a *slot*, in which a
//! record that waited leaves. What is held is in a journal before the call returns, so that a process that ends takes
//! nothing with it; where there is no journal, or no slots come, nothing is held.

// Nothing that a record can reach is taken for granted.
#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::unreachable, clippy::todo)
)]

mod filter;
mod health;
mod mend;
mod slots;

use abort_reason_journal::Disk;

pub use filter::Filter;
pub use health::{Counts, Health, Journal};
pub use mend::mended;

/// What a filter is given by its host.
pub trait Host {
    /// Where the journal lies.
    type Disk: Disk;

    /// The journal's file, not open yet; none where none is wanted.
    fn disk(&self) -> Option<Self::Disk>;

    /// A clock that never goes back, in milliseconds; none where there is no such clock.
    fn now_ms(&self) -> Option<u64>;
}

/// What comes in.
#[derive(Debug, Clone, Copy)]
pub enum Incoming<'r> {
    /// Time has passed, and this is a slot; by some clock, in milliseconds.
    Tick(u64),
    /// A record, JSON.
    Record(MailLines, &'r [u8]),
}

/// What goes out.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// The record that came in, which is a JSON object.
    Given,
    /// Nothing.
    Nothing,
    /// This record, JSON without a zero byte in it.
    Record(Vec<u8>),
    /// What the filter tells of itself, in the host's words: it is time for that.
    Report,
}

/// What becomes of mail lines that are not held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailLines {
    /// They go on.
    Pass,
    /// They end here: each is a slot.
    End,
}
