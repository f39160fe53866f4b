//! The counters.

use serde::{Deserialize, Serialize};

use crate::reasons::Class;

/// What the engine has counted since its start. Every record that came in is in exactly one of `mail_lines`,
/// `entries`, `other` and `unreadable`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Records that came in.
    pub records: u64,
    /// Lines of sendmail's log.
    pub mail_lines: u64,
    /// Mail lines about a message that no program of sendmail's wrote; no evidence is taken from them.
    pub foreign_lines: u64,
    /// Entries of `message_log`.
    pub entries: u64,
    /// Readable records that are neither.
    pub other: u64,
    /// Records that are no JSON object or hold no line; they pass unchanged.
    pub unreadable: u64,
    /// Abort entries, repeated ones not counted.
    pub aborts: u64,
    /// Repeated abort entries, each told once: the very record that came before ends here, another one passes unchanged.
    pub duplicates: u64,
    /// Records that carry the object already; they pass unchanged.
    pub enriched_before: u64,
    /// Mail lines that were kept as evidence.
    pub evidence: u64,
    /// Messages at which PureMessage failed, by the mail log: one that it never saw has no entry, and leaves no record.
    pub filter_failures: u64,
    /// Those of them for which sendmail could not connect to it.
    pub filter_unreachable: u64,
    /// Records issued, revisions among them.
    pub issued: u64,
    /// Aborts issued with a decisive or following line.
    pub explained: u64,
    /// Aborts issued with an inference.
    pub inferred: u64,
    /// Aborts issued without a reason.
    pub unexplained: u64,
    /// Aborts issued before their reason could be known.
    pub provisional: u64,
    /// Entries issued with a failure that they don't tell.
    pub unnoticed: u64,
    /// Messages issued that have no entry.
    pub unlogged: u64,
    /// Records issued again.
    pub revisions: u64,
    /// Aborts that wait.
    pub held: u64,
    /// Aborts that left early because memory was short.
    pub released_early: u64,
    /// Messages whose evidence was given up because memory was short.
    pub evicted: u64,
    /// Messages whose evidence was given up because its time was over.
    pub expired: u64,
    /// Lines of evidence that were not kept because one message had too many.
    pub crowded_out: u64,
    /// Passed entries that were given up because memory was short.
    pub entries_forgotten: u64,
    /// Ordinary lines and entries that were told at a glance, and passed unread; see [`Config::glance`](crate::Config::glance).
    pub unread: u64,
    /// Bytes of memory in use for evidence, aborts and what has passed.
    pub bytes: u64,
}

impl Stats {
    /// Counts a message at which PureMessage failed.
    pub(crate) fn note_failure(&mut self, class: Class) {
        self.filter_failures += 1;
        self.filter_unreachable += u64::from(class == Class::FilterUnreachable);
    }
}
