//! Who wrote a mail line, and about which message.

use crate::queue_id::QueueId;
use crate::time::LogTime;

use super::names::Home;

/// Who wrote a line, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written<'a> {
    pub home: Home,
    /// As the line names it.
    pub host: &'a [u8],
    pub program: &'a [u8],
    pub pid: Option<u32>,
    pub time: Option<LogTime>,
    /// Milliseconds, as [`LogTime::ms`].
    pub at: Option<i64>,
    pub ticket: u64,
}

/// The message that a line is about, and who wrote the line.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    pub id: QueueId,
    pub by: Written<'a>,
}
