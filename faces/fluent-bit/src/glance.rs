//! A look at the first bytes of a record, to tell an ordinary line without reading it.
//!
//! Fluent Bit interprets the module, so every byte looked at costs. Lines of one second, host and program begin alike:
//! what the line before began with is remembered, and compared eight bytes at a time. What is not surely ordinary is
//! [`Look::Unknown`], and read in full; so is the first line of every minute.

use abort_reason::{Mark, QueueId};

use crate::defer::number;

/// What a record is at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nobody knows without reading it.
    Unknown,
    /// A mail line that says something about the message with this number, but nothing about a failure.
    Mail(u32),
    /// A mail line that says nothing, except that the message with this number exists.
    Mention(u32),
    /// A mail line about no message.
    Idle,
    /// An entry of the message with this number, at the end of a message.
    Entry(u32),
}

/// How lines have begun so far.
#[derive(Debug)]
pub(crate) struct Glance {
    /// `{"log":"`, or what the first of the configured fields makes of it.
    opening: Vec<u8>,
    prefixes: Vec<Prefix>,
    last: usize,
    next: usize,
    entries: Option<Clock>,
    /// How far a log has come by a line that was told at a glance, where it is not the second of the line before.
    reached: Option<Mark>,
}

/// How many prefixes are remembered: hosts times programs.
const PREFIXES: usize = 8;
/// The shortest and the longest record that is looked at.
const SIZES: std::ops::RangeInclusive<usize> = 80..=16_384;

/// What stands before a mail line's process id.
#[derive(Debug, Clone)]
struct Prefix {
    clock: Clock,
    /// Bytes of the fraction of the second.
    fraction: usize,
    writer: Writer,
}

/// The time of a log's last line, to the second, as it is written: `Nov 23 13:01:05` or `2026-11-23T13:01:05`. The words
/// overlap: a comparison of eight bytes costs as much as one of a single byte.
#[derive(Debug, Clone, Copy)]
struct Clock {
    length: usize,
    first: u64,
    middle: u64,
    /// `13:01:05`
    last: u64,
    mark: Mark,
}

/// Whether a time is the clock's.
enum Fit {
    /// To the second.
    Second,
    /// To the minute.
    Minute,
    Not,
}

impl Clock {
    fn of(line: &[u8], mark: Mark) -> Option<Clock> {
        let length = match line.first()? {
            b'A'..=b'Z' => 15,
            b'0'..=b'9' => 19,
            _ => return None,
        };
        let [first, middle, last] = [0, middle(length), length - 8].map(|at| word(line, at));
        let clock = Clock { length, first: first?, middle: middle?, last: last?, mark };
        (clock.last & COLONS_MASK == COLONS).then_some(())?;
        seconds(clock.last).map(|_| clock)
    }

    #[inline]
    fn fit(&self, record: &[u8], at: usize) -> Fit {
        let Some(text) = record.get(at..at + 19) else { return Fit::Not };
        if word(text, 0) != Some(self.first) || word(text, middle(self.length)) != Some(self.middle) {
            return Fit::Not;
        }
        match word(text, self.length - 8) {
            Some(last) if last == self.last => Fit::Second,
            Some(last) if last << 16 == self.last << 16 => Fit::Minute,
            _ => Fit::Not,
        }
    }

    /// Goes on, or back, to the time of a record, which is of the same minute; the mark if it is a time.
    fn set(&mut self, record: &[u8], at: usize) -> Option<Mark> {
        let last = word(record, at + self.length - 8)?;
        let later = seconds(last)? - seconds(self.last)?;
        self.last = last;
        self.mark = self.mark.later(later);
        Some(self.mark)
    }
}

/// Where the word in the middle of a time stands: a short one needs none.
#[inline]
fn middle(length: usize) -> usize {
    if length == 19 { 8 } else { 0 }
}

/// The seconds of `13:01:05`.
fn seconds(clock: u64) -> Option<i64> {
    let [.., tens, ones] = clock.to_le_bytes();
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

/// A zone, a host and a program, as in `+00:00 mx1 sm-mta[`, to compare eight bytes at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Writer {
    words: [u64; 9],
    length: usize,
}

impl Writer {
    fn new(text: &[u8]) -> Option<Writer> {
        if text.len() < 8 || text.len() > 72 {
            return None;
        }
        let mut words = [0; 9];
        for (at, place) in words.iter_mut().enumerate().take(text.len().div_ceil(8)) {
            *place = word(text, (at * 8).min(text.len() - 8))?;
        }
        Some(Writer { words, length: text.len() })
    }

    #[inline]
    fn is_at(&self, text: &[u8], at: usize) -> bool {
        let Some(place) = text.get(at..).and_then(|text| text.get(..self.length)) else { return false };
        let last = self.length - 8;
        let mut from = 0;
        for expected in &self.words {
            if from >= last {
                return word(place, last) == Some(*expected);
            }
            if word(place, from) != Some(*expected) {
                return false;
            }
            from += 8;
        }
        false
    }
}

#[inline]
fn word(text: &[u8], at: usize) -> Option<u64> {
    text.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

impl Glance {
    /// For records whose line stands in a field of this name.
    pub(crate) fn new(field: &str) -> Glance {
        let opening = format!("{{{}:\"", serde_json::Value::from(field)).into_bytes();
        Glance { opening, prefixes: Vec::new(), last: 0, next: 0, entries: None, reached: None }
    }

    /// Looks at a record.
    #[inline]
    pub(crate) fn look(&mut self, record: &[u8]) -> Look {
        let Some(tail) = record.last_chunk().filter(|_| SIZES.contains(&record.len())) else { return Look::Unknown };
        let tail = u64::from_le_bytes(*tail);
        if tail >> 48 != CLOSE || !self.opens(record) {
            return Look::Unknown;
        }
        let line = self.opening.len();
        // The line before is most likely of the same writer and second.
        if let Some(prefix) = self.prefixes.get(self.last)
            && let Fit::Second = prefix.clock.fit(record, line)
            && let Some(pid) = prefix.end(record, line)
        {
            return mail(record, pid, tail);
        }
        self.look_again(record, line, tail)
    }

    /// Looks for another writer, another second, or an entry.
    #[inline(never)]
    fn look_again(&mut self, record: &[u8], line: usize, tail: u64) -> Look {
        if let Some(clock) = &mut self.entries {
            let fit = clock.fit(record, line);
            if !matches!(fit, Fit::Not)
                && let look @ Look::Entry(_) = entry(record, line + 19, tail)
            {
                if let Fit::Minute = fit {
                    self.reached = clock.set(record, line);
                }
                return look;
            }
        }
        for (at, prefix) in self.prefixes.iter_mut().enumerate() {
            let fit = prefix.clock.fit(record, line);
            if !matches!(fit, Fit::Not)
                && let Some(pid) = prefix.end(record, line)
            {
                self.last = at;
                let look = mail(record, pid, tail);
                if look != Look::Unknown && matches!(fit, Fit::Minute) {
                    self.reached = prefix.clock.set(record, line);
                }
                return look;
            }
        }
        Look::Unknown
    }

    /// The queue id of a record that was not told at a glance, where one can be: without it, it has to be read.
    pub(crate) fn queue_id(&self, record: &[u8]) -> Option<QueueId> {
        if !self.opens(record) || SIZES.end() < &record.len() {
            return None;
        }
        let line = self.opening.len();
        if let Some(clock) = &self.entries
            && !matches!(clock.fit(record, line), Fit::Not)
        {
            let start: &[u8; 18] = record.get(line + 19..)?.first_chunk()?;
            return (start.starts_with(b" q=") && start[17] == b' ').then(|| QueueId::parse(&start[3..17]))?;
        }
        let prefix = self.prefixes.iter().find(|prefix| !matches!(prefix.clock.fit(record, line), Fit::Not))?;
        let pid = record.get(prefix.end(record, line)?..)?;
        let digits = pid.iter().take(10).position(|b| !b.is_ascii_digit())?;
        let start: &[u8; 19] = pid.get(digits..)?.first_chunk()?;
        (start.starts_with(b"]: ") && start.ends_with(b": ")).then(|| QueueId::parse(&start[3..17]))?
    }

    /// How far a log has come since it was last asked, if it has.
    #[inline]
    pub(crate) fn reached(&mut self) -> Option<Mark> {
        self.reached.take()
    }

    #[inline]
    fn opens(&self, record: &[u8]) -> bool {
        let opening = &self.opening;
        if opening.len() == 8 { word(record, 0) == word(opening, 0) } else { record.starts_with(opening) }
    }

    /// Remembers how a mail line begins that was read in full.
    pub(crate) fn learn_mail(&mut self, record: &[u8], mark: Option<Mark>) {
        self.reached = None;
        let Some((line, mark)) = record.strip_prefix(&*self.opening).zip(mark) else { return };
        let Some(prefix) = Prefix::of(line, mark) else { return };
        let known = self.prefixes.iter().position(|known| known.writer == prefix.writer);
        let at = match known {
            Some(at) => at,
            None if self.prefixes.len() < PREFIXES => {
                self.prefixes.push(prefix);
                self.last = self.prefixes.len() - 1;
                return;
            }
            None => {
                self.next = (self.next + 1) % PREFIXES;
                self.next
            }
        };
        self.prefixes[at] = prefix;
        self.last = at;
    }

    /// Remembers the time of an entry that was read in full.
    pub(crate) fn learn_entry(&mut self, record: &[u8], mark: Option<Mark>) {
        self.reached = None;
        self.entries = record
            .strip_prefix(&*self.opening)
            .zip(mark)
            .and_then(|(line, mark)| Clock::of(line, mark))
            .filter(|clock| clock.length == 19);
    }
}

impl Prefix {
    fn of(line: &[u8], mark: Mark) -> Option<Prefix> {
        let clock = Clock::of(line, mark)?;
        let rest = line.get(clock.length..)?;
        let fraction = fraction(rest);
        let rest = &rest[fraction..];
        let end = rest.iter().take(72).position(|b| *b == b'[')?;
        let writer = &rest[..=end];
        let tag = writer.iter().position(|b| *b == b' ').and_then(|blank| writer.get(blank..))?;
        let shape = tag.iter().filter(|b| **b == b' ').count() == 2;
        (shape && !tag.iter().any(|b| matches!(b, b':' | b'\\' | b'"')))
            .then_some(())
            .and_then(|()| Some(Prefix { clock, fraction, writer: Writer::new(writer)? }))
    }

    /// Where the process id begins, if what follows the time in a record is this writer's.
    #[inline]
    fn end(&self, record: &[u8], line: usize) -> Option<usize> {
        let mut at = line + self.clock.length;
        if self.fraction > 0 {
            at += fraction(record.get(at..)?);
        }
        self.writer.is_at(record, at).then_some(at + self.writer.length)
    }
}

/// The length of the fraction of a second that a text begins with.
#[inline]
fn fraction(text: &[u8]) -> usize {
    if text.first() != Some(&b'.') {
        return 0;
    }
    1 + text[1..].iter().take(9).take_while(|b| b.is_ascii_digit()).count()
}

/// Looks at a mail line from its process id on.
#[inline]
fn mail(record: &[u8], pid: usize, tail: u64) -> Look {
    // Mostly of four to seven digits; then `]: `, an id of 14 characters, `: `, and a text.
    let Some(start) = record.get(pid..).and_then(|start| start.first_chunk::<48>()) else { return Look::Unknown };
    let mut at = 1;
    while start[at] != b']' {
        at += 1;
        if at == 10 {
            return Look::Unknown;
        }
    }
    let rest = &start[at..];
    if rest[1] != b':' || rest[2] != b' ' {
        return Look::Unknown;
    }
    let head = word(rest, 3).unwrap_or_default();
    if rest[17] != b':' || rest[18] != b' ' {
        let nothing = head == NOQUEUE || head == STARTTLS && rest[11] == b'=' || head == AUTH;
        return if nothing { Look::Idle } else { Look::Unknown };
    }
    if head == STARTTLS {
        return Look::Unknown;
    }
    let number = number(head, word(rest, 9).unwrap_or_default());
    let text = word(rest, 19).unwrap_or_default();
    match text as u32 {
        FROM => Look::Mail(number),
        // A line of a delivery ends as `stat=Sent (…)`.
        TO if (tail >> 40) as u8 == b')' || tail == SENT => Look::Mail(number),
        // `Milter (name) add: …` is ordinary, `Milter (name): …` may be a failure.
        _ if text == MILTER && !closes(&record[pid + at + 27..]) => Look::Mention(number),
        _ => Look::Unknown,
    }
}

/// Where a clock as `13:01:05` has its colons.
const COLONS_MASK: u64 = 0x0000_ff00_00ff_0000;
const COLONS: u64 = 0x0000_3a00_003a_0000;

const fn letters(text: [u8; 8]) -> u64 {
    u64::from_le_bytes(text)
}

/// `"}` as the last two of eight bytes.
const CLOSE: u64 = u16::from_le_bytes(*b"\"}") as u64;
const FROM: u32 = u32::from_le_bytes(*b"from");
const TO: u32 = u32::from_le_bytes(*b"to=<");
const MILTER: u64 = letters(*b"Milter (");
const NOQUEUE: u64 = letters(*b"NOQUEUE:");
const STARTTLS: u64 = letters(*b"STARTTLS");
const AUTH: u64 = letters(*b"AUTH=ser");
const SENT: u64 = letters(*b"t=Sent\"}");
const END_OF_MESSAGE: u64 = letters(*b"=a/eom\"}");

/// Whether the first word ends with a colon, or does not end.
#[inline]
fn closes(text: &[u8]) -> bool {
    let mut before = 0;
    for byte in text.iter().take(64) {
        if *byte == b' ' || *byte == b',' {
            return before == b':';
        }
        before = *byte;
    }
    true
}

/// Looks at an entry behind its time.
#[inline]
fn entry(record: &[u8], at: usize, tail: u64) -> Look {
    let Some(rest) = record.get(at..).and_then(|rest| rest.first_chunk::<18>()) else { return Look::Unknown };
    let id = rest[0] == b' ' && rest[1] == b'q' && rest[2] == b'=' && rest[17] == b' ';
    if !id || tail != END_OF_MESSAGE {
        return Look::Unknown;
    }
    Look::Entry(number(word(rest, 3).unwrap_or_default(), word(rest, 9).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use abort_reason::{Config, Engine, Input, Mark, QueueId, Source};

    use super::{Glance, Look};
    use crate::defer::number_of;

    fn mark(record: &[u8]) -> Option<Mark> {
        let mut engine = Engine::new(&Config::default());
        engine.push(Source::Auto, Input::Record(record), 0, 0);
        engine.mark()
    }

    fn record(line: &str) -> Vec<u8> {
        format!("{{\"log\":{}}}", serde_json::Value::from(line)).into_bytes()
    }

    const ID: &str = "6AND15V7014029";

    #[test]
    fn lines_of_one_second_and_writer_are_told_at_a_glance() {
        let number = number_of(ID.as_bytes()).unwrap();
        for prefix in [
            "Nov 23 13:01:05 mx1 sendmail[",
            "2026-11-23T13:01:05.022833+00:00 mx1.example.net sm-mta[",
            "2026-11-23T13:01:05Z mx1 sm-mta[",
        ] {
            let mut glance = Glance::new("log");
            let mut look = |text: &str| glance.look(&record(&format!("{prefix}14029]: {text}")));
            let from = format!("{ID}: from=<a@example.org>, size=9, class=0, nrcpts=1, msgid=<x@y>, relay=z");
            assert_eq!(look(&from), Look::Unknown, "{prefix}");
            let first = record(&format!("{prefix}14029]: {from}"));
            glance.learn_mail(&first, mark(&first));
            let mut look = |text: &str| glance.look(&record(&format!("{prefix}9]: {text}")));
            assert_eq!(look(&from), Look::Mail(number));
            assert_eq!(look(&format!("{ID}: to=<a@example.org>, delay=0, stat=Sent (ok)")), Look::Mail(number));
            assert_eq!(look(&format!("{ID}: to=<a@example.org>, stat=Please try again later")), Look::Unknown);
            assert_eq!(
                look(&format!("{ID}: Milter (PureMessage) add: header: X-A: Milter (b): c")),
                Look::Mention(number)
            );
            assert_eq!(look(&format!("{ID}: Milter (PureMessage): timeout before data read")), Look::Unknown);
            assert_eq!(look(&format!("{ID}: lost input channel from x [192.0.2.1] to MTA")), Look::Unknown);
            assert_eq!(look("NOQUEUE: connect from x.example.org [192.0.2.1] to MTA"), Look::Idle);
            assert_eq!(look("STARTTLS=server, relay=x.example.org [192.0.2.1], version=TLSv1.3"), Look::Idle);
            assert_eq!(look("STARTTLS: read error=timeout (-1), errno=0, get_error=error:0"), Look::Unknown);
            assert_eq!(glance.reached(), None);
            let later = record(&format!("{}9]: {from}", prefix.replace("01:05", "01:17")));
            assert_eq!(glance.look(&later), Look::Mail(number));
            assert_eq!(glance.reached(), mark(&first).map(|mark| mark.later(12)));
            assert_eq!(glance.queue_id(&later), QueueId::parse(ID.as_bytes()));
            for other in [prefix.replace("01:05", "02:05"), prefix.replace("23", "24"), prefix.replace("mx1", "mx2")] {
                let other = record(&format!("{other}9]: {from}"));
                assert_eq!((glance.look(&other), glance.queue_id(&other)), (Look::Unknown, None));
            }
        }
    }

    #[test]
    fn entries_at_the_end_of_a_message() {
        let mut glance = Glance::new("message");
        let entry = |action: &str| {
            let line =
                format!("2026-11-23T13:01:06 q={ID} f=<a@example.org> t=<b@example.net> r=relay tm=0.10 a={action}");
            format!("{{\"message\":\"{line}\"}}").into_bytes()
        };
        assert_eq!(glance.look(&entry("a/eom")), Look::Unknown);
        glance.learn_entry(&entry("a/eom"), mark(&entry("a/eom")));
        assert_eq!(glance.look(&entry("a/eom")), Look::Entry(number_of(ID.as_bytes()).unwrap()));
        assert_eq!(glance.look(&entry("c/abort")), Look::Unknown);
        assert_eq!(glance.queue_id(&entry("c/abort")), QueueId::parse(ID.as_bytes()));
        let mut cut = entry("a/eom");
        cut.pop();
        assert_eq!(glance.look(&cut), Look::Unknown);
    }
}
