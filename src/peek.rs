//! A look at a line without an engine: for hosts that put files and streams in order.

use memchr::memchr;
use serde::{Deserialize, Serialize};

use crate::entry::Entry;
use crate::mail_line::{MailId, MailLine, Stamp, stamp};
use crate::queue_id::{QueueId, ShortId};
use crate::tags::{self, Tags};
use crate::time::LogTime;
use crate::words::{behind_start, digits, starts};

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

/// What an entry of `message_log` says of PureMessage's work on the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Processing {
    /// When it was written: milliseconds as they stand there.
    pub time: Option<i64>,
    /// `tm=`, in milliseconds.
    pub processing_ms: Option<u64>,
    /// `Size=`, in bytes.
    pub size: Option<u64>,
    /// The callback was not `abort`: PureMessage came to an end with it.
    pub is_done: bool,
}

/// Reads an entry; `None` if the line is none.
pub fn processing(line: &[u8]) -> Option<Processing> {
    let entry = Entry::parse(line)?;
    Some(Processing {
        time: entry.time.map(LogTime::civil_ms),
        processing_ms: entry.processing_ms,
        size: entry.size,
        is_done: !entry.is_abort(),
    })
}

/// Looks at the lines of one log in their order: most begin like the one before, and need no more than to be compared.
#[derive(Debug, Clone, Default)]
pub struct Peeker {
    /// The latest time, as it stands in a line.
    near: Option<i64>,
    alike: Option<Alike>,
    /// What stood between time and process id of mail lines so far: where hosts alternate, another one of them.
    tags: Tags<()>,
}

/// How a line begins that tells of others what it told of itself.
#[derive(Debug, Clone)]
struct Alike {
    peek: Peek,
    /// Its time up to the second.
    second: Box<[u8]>,
    /// No more than that belongs to its time.
    is_whole: bool,
    /// What stands between the time and the process id of a mail line, or the id of an entry.
    tag: Box<[u8]>,
}

impl Peeker {
    /// Looks at a line as [`peek`] does. Of lines that begin like the one before, the time of the queue id is left out.
    pub fn peek(&mut self, line: &[u8]) -> Option<Peek> {
        if let Some(alike) = &self.alike
            && let Some(peek) = alike.tells_of(line, &mut self.tags)
        {
            self.near = peek.time;
            return Some(peek);
        }
        self.peek_in_full(line)
    }

    /// Looks at a line as [`peek`] does.
    pub fn peek_in_full(&mut self, line: &[u8]) -> Option<Peek> {
        let peek = peek(line, self.near)?;
        self.near = peek.time.or(self.near);
        self.alike = Alike::new(line, peek);
        if let Some(alike) = self.alike.as_ref().filter(|alike| alike.peek.kind == LineKind::Mail)
            && self.tags.find(&alike.tag).is_none()
        {
            self.tags.add(&alike.tag, ());
        }
        Some(peek)
    }
}

impl Alike {
    fn new(line: &[u8], peek: Peek) -> Option<Alike> {
        peek.time?;
        let second = if line.first()?.is_ascii_digit() { line.get(..19)? } else { line.get(..15)? };
        let (_, end) = stamp(line)?;
        let behind = line.get(end..)?;
        let tag = match peek.kind {
            LineKind::MessageLog => behind.get(..3).filter(|tag| *tag == b" q=")?,
            LineKind::Mail => tags::tag(behind)?,
        };
        let is_whole = end == second.len();
        let peek_of_others = Peek { id_time: None, ..peek };
        let alike = Alike { peek: peek_of_others, second: second.into(), is_whole, tag: tag.into() };
        (alike.tells_of(line, &mut Tags::default())?.time == peek.time).then_some(alike)
    }

    /// What is told of a line; nothing if it begins in another way, but for one of some tags.
    #[inline]
    fn tells_of(&self, line: &[u8], tags: &mut Tags<()>) -> Option<Peek> {
        let behind = behind_start(line, &self.second)?;
        let (time, behind) = match behind.first()? {
            b' ' if self.is_whole => (self.peek.time, behind),
            _ => {
                let (time, end) = LogTime::parse_iso(line)?;
                (Some(time.ms()), line.get(end..)?)
            }
        };
        let rest = match behind_start(behind, &self.tag) {
            Some(rest) => rest,
            None if self.peek.kind == LineKind::Mail => tags.behind(behind)?.1,
            None => return None,
        };
        let is_one = match self.peek.kind {
            LineKind::Mail => starts(&rest[digits(rest)..], b"]: "),
            LineKind::MessageLog => {
                let is_short =
                    rest.first_chunk().and_then(ShortId::at_a_glance).is_some() && rest.get(14) == Some(&b' ');
                is_short || QueueId::any(&rest[..memchr(b' ', rest).unwrap_or(rest.len())]).is_some()
            }
        };
        is_one.then_some(Peek { time, ..self.peek })
    }
}

#[cfg(test)]
mod tests {
    use super::{LineKind, Peeker, peek};

    #[test]
    fn what_begins_alike_is_told_alike() {
        let mail = "Nov 23 13:01:05 mx1 sendmail[14029]: 6AND15V7014029: Milter (f): to error state";
        let lines = [
            mail,
            "Nov 23 13:01:05 mx1 sendmail[7]: NOQUEUE: x",
            "Nov 23 13:01:05 mx1 sendmail[x]: y",
            "Nov 23 13:01:05 mx1 sendmail[7] y",
            "Nov 23 13:01:05 mx1 dovecot: y",
            "Nov 23 13:01:05 mx2 sendmail[7]: y",
            "Nov 23 13:01:05 mx2 sendmail[y]: y",
            "Nov 23 13:01:06 mx1 sendmail[7]: NOQUEUE: x",
            "2026-11-23T13:01:05.100Z mx1 sendmail[7]: x",
            "2026-11-23T13:01:05.900Z mx1 sendmail[8]: x",
            "2026-11-23T13:01:05Z mx1 sendmail[8]: x",
            "2026-11-23T13:01:05 q=6AND15V7014029 f=<a@b>",
            "2026-11-23T13:01:05 q=6AND15V7014030 a=c/abort",
            "2026-11-23T13:01:05 q=6AND15V7014030",
            "2026-11-23T13:01:05 q=<> a=c/abort",
            "2026-11-23T13:01:05 mx1 sendmail[8]: x",
            "garbage",
        ];
        let near = peek(mail.as_bytes(), None).unwrap().time;
        let mut told = 0;
        for (first, second) in lines.iter().flat_map(|first| lines.iter().map(move |second| (first, second))) {
            let mut peeker = Peeker::default();
            peeker.peek_in_full(mail.as_bytes());
            peeker.peek_in_full(b"Nov 23 13:01:05 mx2 sendmail[9]: x");
            peeker.peek_in_full(first.as_bytes());
            let (looked, full) = (peeker.peek(second.as_bytes()), peek(second.as_bytes(), near));
            let shown = |peek: super::Peek| (peek.kind, peek.time);
            assert_eq!(looked.map(shown), full.map(shown), "{first}: {second}");
            told += usize::from(looked.is_some_and(|looked| looked.id_time != full.unwrap().id_time));
        }
        assert!(told > 10, "{told}");
        assert_eq!(peek(lines[11].as_bytes(), None).unwrap().kind, LineKind::MessageLog);
    }
}
