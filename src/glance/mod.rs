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
use crate::words::{behind, digits, starts};

use frames::{Frames, is_as_it_stands};
use ordinary::Ordinary;
pub(crate) use ordinary::Says;
use shapes::Shapes;
use times::Times;

/// A longer line is read in full.
const LONGEST: usize = 16_384;

/// What a line is at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    pub log: LineKind,
    pub says: Says,
    /// The host that a mail line names; an entry names none.
    pub home: Home,
    /// Milliseconds, as [`LogTime::ms`].
    pub at: i64,
    /// The same in seconds.
    pub secs: i64,
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
    /// The place of the mail line before: lines of one host come in a row.
    last: usize,
    times: Times,
    head: Head,
}

/// What a line says up to a mail line's process id, or an entry's queue id, and where that stands.
#[derive(Debug, Clone, Copy)]
struct Begin {
    log: LineKind,
    home: Home,
    at: i64,
    /// The same in seconds: to divide costs as much as ten other instructions.
    secs: i64,
    end: usize,
    /// The time names no year, and is in this one where the queue id is of the same; see `queue_id::year_of`.
    year: Option<u8>,
}

impl Begin {
    fn new(log: LineKind, home: Home, at: i64, end: usize, year: Option<u8>) -> Begin {
        Begin { log, home, at, secs: at.div_euclid(1_000), end, year }
    }

    /// What a line that begins so says.
    #[inline(always)]
    fn look(self, says: Says) -> Look {
        Look { log: self.log, says, home: self.home, at: self.at, secs: self.secs }
    }
}

impl Glance {
    pub(crate) fn new(matcher: &Matcher) -> Glance {
        Glance {
            ordinary: Ordinary::new(matcher),
            frames: Frames::default(),
            shapes: Shapes::default(),
            tags: Tags::default(),
            last: 0,
            times: Times::default(),
            head: Head::default(),
        }
    }

    /// Looks at what came in. `latest` tells how far the mail log of a host has come.
    #[inline(always)]
    pub(crate) fn look(
        &mut self,
        source: Source,
        input: Input<'_>,
        latest: impl Fn(Home) -> Option<i64>,
    ) -> Option<Look> {
        let bytes = match input {
            Input::Line(bytes) | Input::Record(bytes) => bytes,
        };
        // What begins like the one before needs no more than that.
        if self.head.fits(input, bytes) && self.head.may_be_of(source) {
            let begin = self.head.begin;
            self.head.used = true;
            // What was looked at in between may have had another frame.
            self.frames.select(self.head.frame);
            let line = if self.head.is_record { self.frames.line_of(bytes)? } else { bytes };
            return self.rest(begin, line.get(begin.end..)?, self.head.is_record);
        }
        self.look_anew(source, input, bytes, latest)
    }

    #[inline(never)]
    fn look_anew(
        &mut self,
        source: Source,
        input: Input<'_>,
        bytes: &[u8],
        latest: impl Fn(Home) -> Option<i64>,
    ) -> Option<Look> {
        let (line, before, source) = match input {
            Input::Line(line) => (line, 0, source),
            Input::Record(record) => {
                let (line, before, frame_source) = self.frames.line(record)?;
                (line, before, source.or(frame_source))
            }
        };
        let last = self.last;
        let begin = self.begin(source, line, latest)?;
        // Where hosts come by turns, line by line, the next one begins in another way.
        if self.last == last || self.head.used {
            let whole = Begin { end: before + begin.end, ..begin };
            let frame = matches!(input, Input::Record(_)).then(|| self.frames.place());
            self.head.note(bytes, whole, source, frame);
        }
        self.rest(begin, line.get(begin.end..)?, matches!(input, Input::Record(_)))
    }

    /// Looks at a line that stands in a record of another form.
    pub(crate) fn line(&mut self, source: Source, line: &[u8], latest: impl Fn(Home) -> Option<i64>) -> Option<Look> {
        let begin = self.begin(source, line, latest)?;
        self.rest(begin, line.get(begin.end..)?, false)
    }

    /// The host that is named around the line of what was looked at.
    #[inline(always)]
    pub(crate) fn host_of(&self, input: Input<'_>) -> Option<&[u8]> {
        if matches!(input, Input::Record(_)) { self.frames.host() } else { None }
    }

    /// What was not seen of an input that a search has read. A line is seen where all up to its text is known.
    #[inline(always)]
    pub(crate) fn unseen(&self, input: Input<'_>, reading: &Reading<'_>) -> Unseen {
        let is_seen = match input {
            Input::Line(line) => self.head.fits(input, line),
            Input::Record(record) => self.head.fits(input, record) && self.frames.is_around(record, reading),
        };
        match input {
            _ if is_seen => Unseen::Nothing,
            Input::Line(_) => Unseen::Line,
            Input::Record(_) => Unseen::Frame,
        }
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
        } else if self.frames.learn(record, reading) {
            self.head = Head::default();
        }
    }

    fn begin(&mut self, source: Source, line: &[u8], latest: impl Fn(Home) -> Option<i64>) -> Option<Begin> {
        match line.first()? {
            b'A'..=b'Z' if source != Source::MessageLog => {
                // `Nov 23 13:01:05`
                let (home, end) = self.writer(line, 15)?;
                let at = self.times.bsd(line, || latest(home))?;
                Some(Begin::new(LineKind::Mail, home, at, end, Some(self.times.year)))
            }
            b'0'..=b'9' => {
                let (at, end) = self.times.iso(line)?;
                if starts(line.get(end..)?, b" q=") {
                    let begin = Begin::new(LineKind::MessageLog, Home::default(), at, end + 3, None);
                    return (source != Source::Mail).then_some(begin);
                }
                if source == Source::MessageLog {
                    return None;
                }
                let (home, end) = self.writer(line, end)?;
                Some(Begin::new(LineKind::Mail, home, at, end, None))
            }
            _ => None,
        }
    }

    /// What follows; `in_json`: as it stands in a JSON string.
    #[inline(always)]
    fn rest(&self, begin: Begin, rest: &[u8], in_json: bool) -> Option<Look> {
        if rest.len() > LONGEST {
            return None;
        }
        match begin.log {
            LineKind::Mail => self.mail(rest, begin, in_json),
            LineKind::MessageLog => entry(rest, begin).filter(|_| !in_json || is_as_it_stands(rest)),
        }
    }

    /// The host of a mail line by what stands behind its time, and where that ends.
    #[inline]
    fn writer(&mut self, line: &[u8], time: usize) -> Option<(Home, usize)> {
        self.last = self.tags.begin(line.get(time..)?)?;
        self.tags.get(self.last).map(|(tag, home)| (*home, time + tag.len()))
    }

    /// A mail line from its process id on: `14029]: 6AND15V7014029: from=…`.
    #[inline(always)]
    fn mail(&self, rest: &[u8], begin: Begin, in_json: bool) -> Option<Look> {
        let rest = behind(rest.get(digits(rest)..)?, b"]: ")?;
        let rest = if starts(rest, b"[ID ") { behind_mark(rest)? } else { rest };
        let (id, behind_id) = rest.split_first_chunk()?;
        let Some(text) = behind(behind_id, b": ") else {
            let is_plain = self.ordinary.is_about_nothing(rest) && (!in_json || is_as_it_stands(rest));
            return is_plain.then_some(begin.look(Says::Nothing));
        };
        let id = ShortId::at_a_glance(id).filter(|id| begin.year.is_none_or(|year| id.is_of_year(year)))?;
        let (says, rest) = self.ordinary.mail(id, text)?;
        (!in_json || is_as_it_stands(rest)).then_some(begin.look(says))
    }

    /// What a line says that was taken apart, whatever it begins with, if its text is ordinary.
    pub(crate) fn says(&self, line: &MailLine<'_>) -> Option<Says> {
        let MailId::Queue(id) = line.id else { return None };
        if line.part.is_some() || line.text.len() > LONGEST {
            return None;
        }
        let id = ShortId::at_a_glance(id.as_bytes().try_into().ok()?)?;
        self.ordinary.mail(id, line.text).map(|(says, _)| says)
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
            names == tag && !tag.contains(&b':') && is_as_it_stands(tag)
        };
        if !read.host.is_empty() && self.tags.find(tag).is_none() && is_plain() {
            self.tags.add(tag, home);
        }
    }
}

/// What stands behind the mark that Solaris puts before a message: `[ID 801593 mail.info] `.
#[inline(never)]
fn behind_mark(text: &[u8]) -> Option<&[u8]> {
    let number = behind(text, b"[ID ")?;
    let class = behind(number.get(digits(number)..)?, b" ")?;
    let end = class.iter().take(24).position(|b| !matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.'))?;
    behind(&class[end..], b"] ")
}

/// An entry from its queue id on: `6AND15V7014029 … a=a/eom`.
#[inline(always)]
fn entry(rest: &[u8], begin: Begin) -> Option<Look> {
    let id = ShortId::at_a_glance(rest.first_chunk()?).filter(|_| rest.get(14) == Some(&b' '))?;
    ordinary::is_verdict(rest).then_some(begin.look(Says::Much(id)))
}

/// The first bytes of what was looked at last.
#[derive(Debug)]
struct Head {
    bytes: [u8; HEAD],
    /// How many words are full, and the bits of the one behind them that count.
    count: usize,
    mask: u64,
    begin: Begin,
    source: Source,
    is_record: bool,
    /// Of a record the frame around it.
    frame: usize,
    /// A line has begun so since it was noted.
    used: bool,
}

/// Bytes of a head, at most.
const HEAD: usize = 8 * WORDS;
const WORDS: usize = 16;

impl Default for Head {
    fn default() -> Head {
        let begin = Begin::new(LineKind::Mail, Home::default(), 0, 0, None);
        Head {
            bytes: [0; HEAD],
            count: 0,
            mask: 0,
            begin,
            source: Source::Auto,
            is_record: false,
            frame: 0,
            used: false,
        }
    }
}

impl Head {
    #[inline(always)]
    fn fits(&self, input: Input<'_>, bytes: &[u8]) -> bool {
        let Some(head) = bytes.first_chunk::<HEAD>() else { return false };
        let ((head, _), (own, _)) = (head.as_chunks::<8>(), self.bytes.as_chunks::<8>());
        let apart = |at: usize| u64::from_le_bytes(head[at]) ^ u64::from_le_bytes(own[at]);
        // Hardly any start is shorter than three words, and a loop costs more than what it does.
        let mut different = (apart(0) | apart(1) | apart(2)) | (apart(self.count.min(WORDS - 1)) & self.mask);
        for at in 3..self.count.min(WORDS) {
            different |= apart(at);
        }
        different == 0 && self.count >= 3 && self.is_record == matches!(input, Input::Record(_))
    }

    /// Whether what begins so may be told where the host knows so much of the log.
    #[inline(always)]
    fn may_be_of(&self, source: Source) -> bool {
        source == self.source || source == Source::Auto
    }

    fn note(&mut self, bytes: &[u8], begin: Begin, source: Source, frame: Option<usize>) {
        (self.count, self.used) = (0, false);
        let (Some(head), true) = (bytes.first_chunk(), begin.end < HEAD) else { return };
        self.bytes = *head;
        self.count = begin.end / 8;
        self.mask = !(u64::MAX << (8 * (begin.end % 8)));
        (self.begin, self.source, self.is_record) = (begin, source, frame.is_some());
        self.frame = frame.unwrap_or_default();
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
