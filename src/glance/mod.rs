//! The front of the engine: tells ordinary lines by a few bytes, so that they need not be read.
//!
//! Almost all of a mail log is ordinary: it says something about a message that is only wanted if the message turns out to
//! matter, which hardly one does. Lines of one program of one host have the same bytes between time and process id; what
//! these bytes are is learnt from a line that was read in full. What is behind them is told by [`ordinary`].
//!
//! A line that any rule could match, or that could be kept as evidence for another reason, is never ordinary. What is not
//! surely ordinary is read in full.

#![allow(clippy::inline_always, reason = "an interpreter pays dearly for each call, and this is run for every record")]

mod few;
mod frames;
mod ordinary;
mod shapes;
mod times;

use crate::config::Config;
use crate::event::{Input, Source};
use crate::input::Reading;
use crate::join::Home;
use crate::mail_line::{MailId, MailLine, Stamp};
use crate::peek::LineKind;
use crate::queue_id::ShortId;
use crate::reasons::Matcher;
use crate::tags::{self, Tags};
use crate::time::{BsdTime, LogTime};
use crate::words::{self, is_unquoted, starts};

use frames::Frames;
use ordinary::Ordinary;
pub(crate) use ordinary::Says;
use shapes::Shapes;
pub(crate) use times::Moment;
use times::Times;

/// A longer line is read in full.
const LONGEST: usize = 16_384;

/// What a line is at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look<'l> {
    pub log: LineKind,
    pub says: Says,
    /// The host that a mail line names; an entry names none.
    pub home: Home,
    pub at: Moment,
    /// A mail line from its process id on, as it came.
    pub from_process: &'l [u8],
}

/// What of an input is new to the glance, so that something can be learnt of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unseen {
    Nothing,
    /// How its line begins.
    Line,
    /// What stands around its line in the record, and how that begins.
    Frame,
}

/// How lines have begun so far.
#[derive(Debug)]
pub(crate) struct Glance {
    ordinary: Ordinary,
    frames: Frames,
    shapes: Shapes,
    /// What stands between the time and the process id of mail lines, and whose they are.
    tags: Tags<Home>,
    times: Times,
}

impl Glance {
    pub(crate) fn new(matcher: &Matcher) -> Glance {
        Glance {
            ordinary: Ordinary::new(matcher),
            frames: Frames::default(),
            shapes: Shapes::default(),
            tags: Tags::default(),
            times: Times::default(),
        }
    }

    /// Looks at what came in. `latest` tells how far the mail log of a host has come.
    #[inline(always)]
    pub(crate) fn look<'i>(
        &mut self,
        source: Source,
        input: Input<'i>,
        latest: impl Fn(Home) -> Option<i64>,
    ) -> Option<Look<'i>> {
        match input {
            Input::Line(line) => self.look_at(source, line, false, latest),
            Input::Record(record) => {
                let (line, source_of_frame) = self.frames.line(record)?;
                self.look_at(source.or(source_of_frame), line, true, latest)
            }
        }
    }

    /// Looks at a line that stands in a record of another form.
    pub(crate) fn line<'l>(
        &mut self,
        source: Source,
        line: &'l [u8],
        latest: impl Fn(Home) -> Option<i64>,
    ) -> Option<Look<'l>> {
        self.look_at(source, line, false, latest)
    }

    /// `in_json`: the line is as it stands in a JSON string.
    #[inline(always)]
    fn look_at<'l>(
        &mut self,
        source: Source,
        line: &'l [u8],
        in_json: bool,
        latest: impl Fn(Home) -> Option<i64>,
    ) -> Option<Look<'l>> {
        if line.len() > LONGEST {
            return None;
        }
        let (at, behind) = match line.first()? {
            // `Nov 23 13:01:05`
            b'A'..=b'Z' => (None, line.get(15..)?),
            b'0'..=b'9' => {
                let (at, end) = self.times.iso(line)?;
                let behind = line.get(end..)?;
                if let Some(entry) = words::behind(behind, b" q=") {
                    let says = ordinary::entry(entry, in_json)?;
                    let look = Look { log: LineKind::MessageLog, says, home: Home::default(), at, from_process: b"" };
                    return (source != Source::Mail).then_some(look);
                }
                (Some(at), behind)
            }
            _ => return None,
        };
        if source == Source::MessageLog {
            return None;
        }
        let (home, behind) = self.tags.behind(behind)?;
        let (at, year) = match at {
            Some(at) => (at, None),
            None => (self.times.bsd(line, || latest(*home))?, Some(self.times.year)),
        };
        let says = self.ordinary.line(behind, in_json, year)?;
        Some(Look { log: LineKind::Mail, says, home: *home, at, from_process: behind })
    }

    /// The host that is named around the line of what was looked at.
    #[inline(always)]
    pub(crate) fn host_of(&self, input: Input<'_>) -> Option<&[u8]> {
        if matches!(input, Input::Record(_)) { self.frames.host() } else { None }
    }

    /// What was not seen of an input that a search has read. A line is seen where all up to its text is known.
    #[inline(always)]
    pub(crate) fn unseen(&self, input: Input<'_>, reading: &Reading<'_>) -> Unseen {
        match input {
            Input::Line(line) if self.has_begun_so(line) => Unseen::Nothing,
            Input::Line(_) => Unseen::Line,
            Input::Record(record) if self.frames.is_around(record, reading) && self.has_begun_so(&reading.line) => {
                Unseen::Nothing
            }
            Input::Record(_) => Unseen::Frame,
        }
    }

    /// Whether a line begins as the last one did that was looked at.
    fn has_begun_so(&self, line: &[u8]) -> bool {
        let behind = self.times.known(line).and_then(|(_, end)| line.get(end..));
        behind.is_some_and(|behind| starts(behind, b" q=") || self.tags.is_last(behind))
    }

    /// Reads a record whose line was taken apart, if it is of a known shape.
    pub(crate) fn read<'r>(&mut self, record: &'r [u8]) -> Option<Reading<'r>> {
        self.shapes.read(record)
    }

    /// Remembers what stands around the line of a record that was read in full.
    pub(crate) fn learn_frame(&mut self, config: &Config, record: &[u8], reading: &Reading<'_>) {
        if reading.pid.is_some() || reading.time.is_some() {
            // No other line is surrounded by the same process or time.
            self.shapes.learn(config, record);
        } else {
            self.frames.learn(record, reading);
        }
    }

    /// What a line says that was taken apart, whatever it begins with, if its text is ordinary.
    pub(crate) fn says(&self, line: &MailLine<'_>) -> Option<Says> {
        let MailId::Queue(id) = line.id else { return None };
        if line.part.is_some() || line.text.len() > LONGEST {
            return None;
        }
        let id = ShortId::at_a_glance(id.as_bytes().try_into().ok()?)?;
        self.ordinary.mail(id, line.text, false)
    }

    /// Remembers how a mail line begins that was read in full, of sendmail's and of a known host.
    pub(crate) fn learn(&mut self, line: &[u8], read: &MailLine<'_>, home: Home) {
        let time = match read.time {
            Some(Stamp::Bsd(_)) => BsdTime::parse(line).map(|(_, used)| used).filter(|used| *used == 15),
            Some(Stamp::Full(_)) => LogTime::parse_iso(line).map(|(_, used)| used),
            None => None,
        };
        let Some(rest) = time.and_then(|time| line.get(time..)) else { return };
        let Some(tag) = tags::tag(rest) else { return };
        // Nothing else may stand between the two names.
        let is_plain = || {
            let names = [b" ", read.host, b" ", read.program, b"["].concat();
            names == tag && !tag.contains(&b':') && is_unquoted(tag)
        };
        if !read.host.is_empty() && self.tags.find(tag).is_none() && is_plain() {
            self.tags.add(tag, home);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input;

    #[test]
    fn the_host_is_that_of_the_record_at_hand() {
        let config = Config::default();
        let mut glance = Glance::new(&Matcher::new(&[]));
        let record = |host: &str, line: &str| format!(r#"{{"host":"{host}","message":"{line}"}}"#).into_bytes();
        let entry = |pid: u32| {
            format!(
                "2026-11-23T13:01:05 q=6AND15V70{pid} f=<a@example.org> t=<b@example.net> r=relay.example.com tm=0.10 a=a/eom"
            )
        };
        for host in ["mx1", "mx2"] {
            let learnt = record(host, &entry(14_000));
            let reading = input::read(&config, Input::Record(&learnt)).unwrap();
            glance.learn_frame(&config, &learnt, &reading);
        }
        let mut host = |record: &[u8]| {
            let input = Input::Record(record);
            let look = glance.look(Source::Auto, input, |_| None);
            look.map(|_| glance.host_of(input).map(<[u8]>::to_vec).unwrap())
        };
        assert_eq!(host(&record("mx1", &entry(14_001))).unwrap(), b"mx1");
        // It has the form of the other host's records, and is none that is told.
        assert_eq!(
            host(&record(
                "mx2",
                "2026-11-23T13:01:06 mx2 unknown[1]: nobody has said anything of this program before, nor will"
            )),
            None
        );
        assert_eq!(host(&record("mx1", &entry(14_002))).unwrap(), b"mx1");
        assert_eq!(host(&record("mx2", &entry(14_003))).unwrap(), b"mx2");
    }
}
