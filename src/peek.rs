//! A look at a line without an engine: for hosts that put files and streams in order.

use serde::{Deserialize, Serialize};

use crate::entry::Entry;
use crate::mail_line::{MailId, MailLine, Stamp};
use crate::time::LogTime;

/// Which log a line is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LineKind {
    /// sendmail's log.
    Mail,
    /// PureMessage's `message_log`.
    MessageLog,
}

/// What a line says of its place in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peek {
    /// Which log it is of.
    pub kind: LineKind,
    /// Its time in milliseconds: UTC if the line names its zone, or else as it stands there.
    pub time: Option<i64>,
    /// The time of the first queue id of the same connection, in milliseconds UTC.
    pub id_time: Option<i64>,
}

/// Looks at a line. `near` is a time in milliseconds close to it, for classic syslog lines, which name no year; without
/// it such a line has a time only if it has a queue id.
pub fn peek(line: &[u8], near: Option<i64>) -> Option<Peek> {
    if let Some(line) = MailLine::parse(line) {
        let id_secs = match line.id {
            MailId::Queue(id) => id.utc_secs(),
            MailId::NoQueue | MailId::None => None,
        };
        let time = match line.time {
            Some(Stamp::Full(time)) => Some(time.ms()),
            Some(Stamp::Bsd(time)) => {
                id_secs.or(near.map(|ms| ms.div_euclid(1_000))).map(|near| time.resolve(near).ms())
            }
            None => None,
        };
        return Some(Peek { kind: LineKind::Mail, time, id_time: id_secs.map(|secs| secs * 1_000) });
    }
    let (time, id) = Entry::head(line)?;
    let id_time = id.utc_secs().map(|secs| secs * 1_000);
    Some(Peek { kind: LineKind::MessageLog, time: time.map(LogTime::ms), id_time })
}
