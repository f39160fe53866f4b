//! What is known of an entry or a message that gets a record, the lines that speak of it, and what was found out.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::reasons::{Class, Rank, Stage, Timeout};
use crate::spelled::spelled;
use crate::time::LogTime;

spelled! {
    /// What a record tells.
    Kind {
        /// An abort, with its reason.
        Abort = "abort",
        /// An entry that is no abort, with the failure that it doesn't tell.
        Unnoticed = "unnoticed",
        /// A message that passed without an entry, because the filter was down.
        Unlogged = "unlogged",
    }
}

/// The name of a case: the same entry of the same host has the same one, wherever and whenever it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CaseId(pub u128);

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A mail line that says something about why a transaction ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Evidence {
    /// Order of arrival.
    pub seq: u64,
    pub time: Option<LogTime>,
    /// Mail time, in milliseconds.
    pub at: Option<i64>,
    pub program: Box<str>,
    pub pid: Option<u32>,
    pub text: Box<str>,
    pub rule: u16,
    pub stage: Option<Stage>,
    pub filter: Option<Box<str>>,
    /// Whether that filter is PureMessage, where its names are known.
    pub own: Option<bool>,
    pub ticket: u64,
}

impl Evidence {
    /// Bytes of memory.
    pub(crate) fn weigh(&self) -> usize {
        176 + self.text.len() + self.program.len() + length(self.filter.as_deref())
    }

    /// When the line was written: milliseconds, and nanoseconds beyond them.
    pub(crate) fn moment(&self) -> Option<(i64, i64)> {
        Some((self.at?, self.time.map_or(0, LogTime::nanos_beyond_ms)))
    }
}

/// An entry that is issued as a record, now or later; or a message that has none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Case {
    pub seq: u64,
    pub kind: Kind,
    pub id: CaseId,
    /// The record that came in, a JSON object; empty for a message without an entry.
    pub record: Box<str>,
    pub entry: EntryFacts,
    pub to: Vec<Box<str>>,
    pub relay: Option<Box<str>>,
    pub state: CaseState,
    pub ticket: u64,
}

impl Case {
    /// The revision under which what is told of it is yet to be said.
    pub(crate) fn unsaid(&self, told: Told, is_ambiguous: bool) -> Option<u32> {
        match self.state {
            CaseState::Held { revision, .. } => Some(revision),
            // What was told is not taken back because another host has lines under the id, too.
            CaseState::Issued { told: before, .. } if before.settled && is_ambiguous => None,
            CaseState::Issued { revision, told: before } => before.outdated_by(told).then_some(revision + 1),
        }
    }

    /// Bytes of memory.
    pub(crate) fn weigh(&self) -> usize {
        let to: usize = self.to.iter().map(|to| to.len() + 16).sum();
        360 + self.record.len() + to + length(self.relay.as_deref()) + length(self.entry.from.as_deref())
    }
}

/// What becomes of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It passes on.
    Passes,
    /// It waits here, and will leave as a record.
    Kept,
    /// It came before.
    Repeated,
}

/// Where a case stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum CaseState {
    /// Waits for its reason, or for what else the log has to say of it.
    Held { revision: u32, told: Option<Told> },
    /// Was issued with this; remembered for a late reason.
    Issued { revision: u32, told: Told },
}

/// What an entry says, as far as it tells entries of one queue id apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct EntryFacts {
    pub time: Option<LogTime>,
    /// Entry time, in milliseconds.
    pub at: Option<i64>,
    pub processing_ms: Option<u64>,
    pub from: Option<Box<str>>,
    /// How many recipients it names.
    pub recipients: usize,
    pub has_size: bool,
    /// PureMessage itself refused MAIL.
    pub refuses_mail: bool,
}

spelled! {
    /// How sure the reason is.
    Status {
        /// A line names it.
        Explained = "explained",
        /// Inferred from circumstantial evidence only.
        Inferred = "inferred",
        /// Nothing explains it.
        Unexplained = "unexplained",
        /// Issued before its reason could be known.
        Provisional = "provisional",
    }
}

spelled! {
    /// What became of the mail.
    Outcome {
        /// Its text never came, or the client withdrew it.
        NotReceived = "not_received",
        /// The client was told to try again.
        TempFailed = "tempfailed",
        /// The client was told that it is refused.
        Rejected = "rejected",
        /// It was accepted and thrown away.
        Discarded = "discarded",
        /// It was delivered.
        Delivered = "delivered",
        /// It was delivered, and PureMessage had not given its verdict.
        DeliveredUnscanned = "delivered_unscanned",
        /// The log does not say.
        Unknown = "unknown",
    }
}

spelled! {
    /// Why a case has no reason.
    WhyNot {
        /// No line of the mail log has its queue id.
        NoMailLines = "no_mail_lines",
        /// Its lines say nothing about its end: sendmail's log level is too low for that.
        OnlyOrdinaryLines = "only_ordinary_lines",
        /// Lines of it were given up because memory was short.
        Evicted = "evicted",
        /// The mail log begins behind it.
        StartedLate = "started_late",
        /// Several hosts have lines under its queue id, and the entry names none.
        AmbiguousHost = "ambiguous_host",
        /// Lines under its queue id are of another host than the one that the entry names.
        OtherHost = "other_host",
        /// It could not wait for its lines.
        StatelessHost = "stateless_host",
    }
}

/// What was found out about a case.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Verdict<'g> {
    pub status: Status,
    pub class: Class,
    pub outcome: Outcome,
    pub stage: Option<Stage>,
    pub timeout: Option<Timeout>,
    pub filter: Option<&'g str>,
    pub own_filter: Option<bool>,
    /// The lines, first the reason, with how strongly each speaks here.
    pub evidence: Vec<(&'g Evidence, Rank)>,
    /// The first of `evidence` is the reason, in words.
    pub has_reason: bool,
    /// The log has said all that it will say of it.
    pub settled: bool,
}

/// What of a verdict makes another one worth issuing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub status: Status,
    pub class: Class,
    pub outcome: Outcome,
    pub settled: bool,
}

impl Verdict<'_> {
    pub(crate) fn told(&self) -> Told {
        Told { status: self.status, class: self.class, outcome: self.outcome, settled: self.settled }
    }
}

impl Told {
    /// Whether `new` says something that this did not: a reason where there was none or another, or what became of the
    /// mail where that was unknown.
    pub(crate) fn outdated_by(self, new: Told) -> bool {
        self.class != new.class
            || self.status != new.status
            || self.outcome != new.outcome && new.outcome != Outcome::Unknown
    }
}

/// Bytes of a text that may be none.
pub(crate) fn length(text: Option<&str>) -> usize {
    text.map_or(0, str::len)
}
