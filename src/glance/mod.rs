//! The front of the engine: tells ordinary lines by a few bytes, so that they need not be read.
//!
//! Almost all of a mail log is ordinary: it says something about a message that is only wanted if the message turns out to
//! matter, which hardly one does. Lines of one program of one host have the same bytes between time and process id; what
//! these bytes are is learnt from a line that was read in full. What is behind them is told by [`ordinary`].
//!
//! A line that any rule could match, or that could be kept as evidence for another reason, is never ordinary. What is not
//! surely ordinary is read in full.

mod frames;
mod ordinary;
mod times;

use std::collections::HashMap;

use crate::engine::{Input, Source};
use crate::hash::Mixed;
use crate::input::Reading;
use crate::join::HostIndex;
use crate::mail_line::{MailLine, Stamp};
use crate::peek::LineKind;
use crate::queue_id::ShortId;
use crate::reasons::Matcher;
use crate::time::{BsdTime, LogTime};
use crate::words::{Any, begins, digits};

use frames::Frames;
use ordinary::Ordinary;
pub(crate) use ordinary::Says;
use times::Times;

/// How many beginnings of lines are remembered: hosts times programs. Beyond, all are learnt anew.
const STARTS: usize = 4_096;

/// The longest text between time and process id: ` mx1.example.net sendmail[`.
const LONGEST_TAG: usize = 96;

/// A longer line is read in full.
const LONGEST: usize = 16_384;

const BRACKET: Any<1> = Any::of([b'[']);

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
    frames: Frames,
    /// What stands between the time and the process id of mail lines, and whose they are.
    starts: HashMap<Box<[u8]>, HostIndex, Mixed>,
    /// The start of the mail line before: lines of one host come in a row.
    last: (Box<[u8]>, HostIndex),
    times: Times,
}

impl Glance {
    pub(crate) fn new(matcher: &Matcher) -> Glance {
        Glance {
            ordinary: Ordinary::new(matcher),
            frames: Frames::default(),
            starts: HashMap::default(),
            last: (Box::default(), HostIndex::default()),
            times: Times::default(),
        }
    }

    /// Looks at what came in.
    #[inline]
    pub(crate) fn look(
        &mut self,
        source: Source,
        input: Input<'_>,
        latest: impl Fn(HostIndex) -> Option<i64>,
    ) -> Option<Look> {
        let (line, source) = match input {
            Input::Line(line) => (line, source),
            Input::Record(record) => {
                let (line, frame) = self.frames.line(record)?;
                (line, if source == Source::Auto { frame.source.unwrap_or_default() } else { source })
            }
        };
        self.line(source, line, latest)
    }

    /// The host that is named around the line of what was looked at.
    pub(crate) fn host_of(&self, input: Input<'_>) -> Option<&[u8]> {
        if matches!(input, Input::Record(_)) { self.frames.host() } else { None }
    }

    /// Remembers what stands around the line of a record that was read in full.
    pub(crate) fn learn_frame(&mut self, record: &[u8], reading: &Reading<'_>) {
        self.frames.learn(record, reading);
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
        let tag = &rest[..=BRACKET.find(&rest[..rest.len().min(LONGEST_TAG)])?];
        let (start, host) = self.starts.get_key_value(tag)?;
        self.last = (start.clone(), *host);
        Some(*host)
    }

    /// A mail line from its process id on: `14029]: 6AND15V7014029: from=…`.
    #[inline]
    fn mail(&self, line: &[u8], pid: usize, host: HostIndex, at: i64) -> Option<Look> {
        let rest = line.get(pid..)?;
        let rest = rest.get(digits(rest)..)?.strip_prefix(b"]: ")?;
        let look = |says| Look { log: LineKind::Mail, says, host, at };
        let Some(text) = rest.get(14..).and_then(|rest| rest.strip_prefix(b": ")) else {
            return ordinary::is_about_nothing(rest).then_some(look(Says::Nothing));
        };
        let id = ShortId::parse(rest.first_chunk()?)?;
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
    let id = ShortId::parse(rest.first_chunk()?).filter(|_| rest.get(14) == Some(&b' '))?;
    ordinary::is_verdict(rest).then_some(Look {
        log: LineKind::MessageLog,
        says: Says::Much(id),
        host: HostIndex::default(),
        at,
    })
}
