//! What a mail line says at first sight, before any rule is asked.

use crate::envelope::{Delivery, FromLine, ToLine};
use crate::queue_id::QueueId;

use super::seen::flag;

/// What a text is by its first bytes: they decide whether it is looked at any further.
pub(super) enum Said<'t> {
    From(FromLine<'t>),
    To(ToLine<'t>),
    Other,
    /// A part of a line.
    Nothing,
}

impl<'t> Said<'t> {
    pub(super) fn read(text: &'t [u8]) -> Said<'t> {
        let read = match text.first() {
            Some(b'f') => FromLine::parse(text).map(Said::From),
            Some(b't') => ToLine::parse(text).map(Said::To),
            _ => None,
        };
        read.unwrap_or(Said::Other)
    }

    /// What the table of seen ids keeps of it beside what became of the message.
    pub(super) fn flags(&self) -> u16 {
        if matches!(self, Said::From(line) if line.collected) { flag::COLLECTED } else { 0 }
    }

    /// What became of the message.
    pub(super) fn delivery(&self) -> Option<Delivery> {
        if let Said::To(line) = self { line.outcome } else { None }
    }
}

/// Whether a line is of the process that received its message, as far as it can be told.
pub(super) fn of_reception(pid: Option<u32>, id: &QueueId) -> bool {
    pid.is_none_or(|pid| id.connection().is_none_or(|(connection, _)| connection.pid() == pid))
}
