//! What hosts and the engine hand each other: records on their way in and out, and what becomes of each.

use serde::{Deserialize, Serialize};

use crate::peek::LineKind;

/// Which log a record belongs to, as far as the host knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Source {
    /// Tell it by the content.
    #[default]
    Auto,
    /// sendmail's log.
    Mail,
    /// PureMessage's `message_log`.
    MessageLog,
}

impl Source {
    /// This one, or another where it is not known.
    pub(crate) fn or(self, other: Source) -> Source {
        if self == Source::Auto { other } else { self }
    }
}

/// What is pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input<'a> {
    /// A bare log line, without its line end; a record issued for it is `{"message": <the line>, "abort": {…}}`.
    Line(&'a [u8]),
    /// A JSON object that holds the line in one of [`Config::message_fields`](crate::Config::message_fields).
    Record(&'a [u8]),
}

/// What becomes of what was pushed. The two are independent: evidence is passed on and kept, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disposition {
    /// The host passes it on, unchanged, now.
    pub forward: bool,
    /// The engine needs it until it gives the ticket back by [`Engine::poll_released`](crate::Engine::poll_released).
    pub keep: bool,
    /// What it was.
    pub what: What,
    /// It was told at a glance: a record that was is like others that were read, and whole as they are, if its writer leaves no
    /// control character in a string as it is.
    pub unread: bool,
}

/// What a record was, each by the counter of [`Stats`](crate::Stats) that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A line of sendmail's log.
    MailLine,
    /// An entry of `message_log`.
    Entry,
    /// It can be read, and is neither.
    Other,
    /// It carries the object already.
    Enriched,
    /// No JSON object, or one without a line.
    Unreadable,
}

impl Disposition {
    /// Of what no engine takes in.
    pub(crate) const fn past(what: What) -> Disposition {
        Disposition { forward: true, keep: false, what, unread: false }
    }
}

impl From<LineKind> for What {
    fn from(log: LineKind) -> What {
        match log {
            LineKind::Mail => What::MailLine,
            LineKind::MessageLog => What::Entry,
        }
    }
}

/// A record that the engine issues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// A JSON object, without a line end.
    pub data: Vec<u8>,
    /// The ticket of the event that it replaces or repeats; 0 if there is none.
    pub ticket: u64,
    /// The ticket of the event that was pushed last when it was issued: a host that pushes many at a time can put it
    /// where it would stand if it had pushed one.
    pub behind: u64,
    /// What it tells of; `None` for an entry that leaves as it came.
    pub tells: Option<Revision>,
}

/// Which abort a record tells of, and how often that was told before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// `abort.id`, a number of 128 bits.
    pub id: u128,
    /// `abort.revision`.
    pub number: u32,
}

/// What waits to be taken, as hosts take it that pay for each call.
#[derive(Debug, Default)]
pub struct Batch {
    /// Records that are ready.
    pub outputs: Vec<Output>,
    /// Tickets that are given back; none before the output that ends the need for them.
    pub released: Vec<u64>,
    /// Whether more may wait.
    pub more: bool,
}
