//! The front of the engine: tells ordinary lines by a few bytes, so that they need not be read.
//!
//! Almost all of a mail log is ordinary: it says something about a message that is only wanted if the message turns out to
//! matter, which hardly one does. Lines of one program of one host have the same bytes between time and process id; what
//! these bytes are is learnt from a line that was read in full. What is behind them is told by [`ordinary`].
//!
//! A line that any rule could match, or that could be kept as evidence for another reason, is never ordinary. What is not
//! surely ordinary is read in full.

mod ordinary;
mod times;

use std::collections::HashMap;

use crate::config::Config;
use crate::engine::{Input, Source};
use crate::hash::Mixed;
use crate::join::HostIndex;
use crate::mail_line::{MailLine, Stamp};
use crate::peek::LineKind;
use crate::queue_id::QueueId;
use crate::reasons::Matcher;
use crate::time::{BsdTime, LogTime};

use ordinary::Ordinary;
pub(crate) use ordinary::Says;
use times::Times;

/// How many beginnings of lines are remembered: hosts times programs. Beyond, all are learnt anew.
const STARTS: usize = 4_096;

/// The longest text between time and process id: ` mx1.example.net sendmail[`.
const LONGEST_TAG: usize = 96;

/// A longer line is read in full.
const LONGEST: usize = 16_384;

/// What a line is at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    pub log: LineKind,
    pub says: Says,
    /// The host that a mail line names; an entry names none.
    pub host: HostIndex,
    /// Milliseconds, as [`LogTime::ms`].
    pub at: i64,
}

/// How lines have begun so far.
#[derive(Debug)]
pub(crate) struct Glance {
    ordinary: Ordinary,
    /// `{"message":"`, for records that begin with their line and end with it.
    opening: Vec<u8>,
    /// Whether a record alone tells the log that its line is of.
    told_by_content: bool,
    /// What stands between the time and the process id of mail lines, and whose they are.
    starts: HashMap<Box<[u8]>, HostIndex, Mixed>,
    /// The start of the mail line before: lines of one host come in a row.
    last: (Box<[u8]>, HostIndex),
    times: Times,
}

impl Glance {
    pub(crate) fn new(config: &Config, matcher: &Matcher) -> Glance {
        let field = config.message_fields.first().map_or("", String::as_str);
        Glance {
            ordinary: Ordinary::new(matcher),
            opening: format!("{{{}:\"", serde_json::Value::from(field)).into_bytes(),
            told_by_content: config.source_field.is_none(),
            starts: HashMap::default(),
            last: (Box::default(), HostIndex::default()),
            times: Times::default(),
        }
    }

    /// Looks at what came in: a bare line, or a record that is nothing but its line.
    #[inline]
    pub(crate) fn look(
        &mut self,
        source: Source,
        input: Input<'_>,
        latest: impl Fn(HostIndex) -> Option<i64>,
    ) -> Option<Look> {
        let line = match input {
            Input::Line(line) => line,
            Input::Record(record) => {
                let line = record.strip_prefix(&*self.opening)?.strip_suffix(b"\"}")?;
                if !self.told_by_content || line.contains(&b'"') {
                    return None;
                }
                line
            }
        };
        self.line(source, line, latest)
    }

    /// Looks at a line. `latest` tells how far the mail log of a host has come.
    #[inline]
    pub(crate) fn line(
        &mut self,
        source: Source,
        line: &[u8],
        latest: impl Fn(HostIndex) -> Option<i64>,
    ) -> Option<Look> {
        if line.len() > LONGEST {
            return None;
        }
        match line.first()? {
            b'A'..=b'Z' if source != Source::MessageLog => {
                // `Nov 23 13:01:05`
                let host = self.writer(line, 15)?;
                let at = self.times.bsd(line, || latest(host))?;
                self.mail(line, 15 + self.last.0.len(), host, at)
            }
            b'0'..=b'9' => {
                let (at, end) = self.times.iso(line)?;
                if line.get(end..)?.starts_with(b" q=") {
                    return if source == Source::Mail { None } else { entry(line, end + 3, at) };
                }
                if source == Source::MessageLog {
                    return None;
                }
                let host = self.writer(line, end)?;
                self.mail(line, end + self.last.0.len(), host, at)
            }
            _ => None,
        }
    }

    /// The host of a mail line by what stands behind its time; its start is [`Glance::last`] then.
    #[inline]
    fn writer(&mut self, line: &[u8], time: usize) -> Option<HostIndex> {
        let rest = line.get(time..)?;
        if !self.last.0.is_empty() && begins(rest, &self.last.0) {
            return Some(self.last.1);
        }
        let tag = &rest[..=rest.iter().take(LONGEST_TAG).position(|b| *b == b'[')?];
        let (start, host) = self.starts.get_key_value(tag)?;
        self.last = (start.clone(), *host);
        Some(*host)
    }

    /// A mail line from its process id on: `14029]: 6AND15V7014029: from=…`.
    #[inline]
    fn mail(&self, line: &[u8], pid: usize, host: HostIndex, at: i64) -> Option<Look> {
        let rest = line.get(pid..)?;
        let digits = rest.iter().take(8).position(|b| !b.is_ascii_digit()).filter(|digits| *digits > 0)?;
        let rest = rest[digits..].strip_prefix(b"]: ")?;
        let look = |says| Look { log: LineKind::Mail, says, host, at };
        let Some(text) = rest.get(14..).and_then(|rest| rest.strip_prefix(b": ")) else {
            return ordinary::is_about_nothing(rest).then_some(look(Says::Nothing));
        };
        let id = QueueId::of_14(rest.first_chunk()?)?;
        Some(look(self.ordinary.mail(id, text)?))
    }

    /// Remembers how a mail line begins that was read in full, of sendmail's and of a known host.
    pub(crate) fn learn(&mut self, line: &[u8], read: &MailLine<'_>, host: HostIndex) {
        let time = match read.time {
            Some(Stamp::Bsd(_)) => BsdTime::parse(line).map(|(_, used)| used).filter(|used| *used == 15),
            Some(Stamp::Full(_)) => LogTime::parse_iso(line).map(|(_, used)| used),
            None => None,
        };
        let Some(rest) = time.and_then(|time| line.get(time..)) else { return };
        let Some(end) = rest.iter().take(LONGEST_TAG).position(|b| *b == b'[') else { return };
        let tag = &rest[..=end];
        // Nothing else may stand between the two names.
        let plain = [b" ", read.host, b" ", read.program, b"["].concat() == tag && !tag.contains(&b':');
        if !plain || read.host.is_empty() || self.last.0[..] == *tag {
            return;
        }
        if self.starts.len() >= STARTS {
            self.starts.clear();
        }
        self.starts.insert(tag.into(), host);
    }
}

/// An entry from its queue id on: `6AND15V7014029 … a=a/eom`.
#[inline]
fn entry(line: &[u8], id: usize, at: i64) -> Option<Look> {
    let rest = line.get(id..)?;
    let id = QueueId::of_14(rest.first_chunk()?).filter(|_| rest.get(14) == Some(&b' '))?;
    ordinary::is_verdict(rest).then_some(Look {
        log: LineKind::MessageLog,
        says: Says::Much(id),
        host: HostIndex::default(),
        at,
    })
}

/// Whether a text begins so: eight bytes at a time, since an interpreter has no fast comparison.
#[inline]
fn begins(text: &[u8], start: &[u8]) -> bool {
    let Some(text) = text.get(..start.len()) else { return false };
    let (Some(text_end), Some(start_end)) = (text.last_chunk::<8>(), start.last_chunk::<8>()) else {
        return text == start;
    };
    let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
    let ((text, _), (start, _)) = (text.as_chunks::<8>(), start.as_chunks::<8>());
    let apart = text.iter().zip(start).fold(0, |apart, (a, b)| apart | (word(a) ^ word(b)));
    apart | (word(text_end) ^ word(start_end)) == 0
}
