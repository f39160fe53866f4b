//! A look at the first bytes of a record, to tell an ordinary line without reading it.
//!
//! Fluent Bit interprets the module, so every byte looked at costs. Lines of one second, host and program begin alike:
//! what the line before began with is remembered, and compared eight bytes at a time. What is not surely ordinary is
//! [`Look::Unknown`], and read in full. So is the first line of every second, by which the engine tells how far the
//! log has come.

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
    /// The time of the last entry, to the second.
    entry_time: Words<3>,
}

/// How many prefixes are remembered: hosts times programs.
const PREFIXES: usize = 8;
/// The shortest and the longest record that is looked at.
const SIZES: std::ops::RangeInclusive<usize> = 80..=16_384;

/// What stands before a mail line's process id.
#[derive(Debug, Clone, Default)]
struct Prefix {
    time: Words<3>,
    /// ` host program[`
    writer: Words<8>,
}

/// A short text, to compare eight bytes at a time.
#[derive(Debug, Clone)]
struct Words<const N: usize> {
    words: [u64; N],
    length: usize,
}

impl<const N: usize> Default for Words<N> {
    fn default() -> Words<N> {
        Words { words: [0; N], length: usize::MAX }
    }
}

impl<const N: usize> Words<N> {
    fn new(text: &[u8]) -> Option<Words<N>> {
        if text.len() < 8 || text.len() > N * 8 {
            return None;
        }
        let mut words = [0; N];
        for (at, place) in words.iter_mut().enumerate().take(text.len().div_ceil(8)) {
            *place = word(text, (at * 8).min(text.len() - 8))?;
        }
        Some(Words { words, length: text.len() })
    }

    #[inline]
    fn is_at(&self, text: &[u8], at: usize) -> bool {
        let Some(place) = text.get(at..).and_then(|text| text.get(..self.length)) else { return false };
        let last = self.length - 8;
        let mut from = 0;
        for expected in &self.words {
            if from >= last {
                return word(place, last) == self.words.get(self.length.div_ceil(8) - 1).copied();
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

/// The bytes of the time, to the second, of a line that begins so; none if it begins otherwise.
#[inline]
fn time_length(first: u8) -> Option<usize> {
    match first {
        b'A'..=b'Z' => Some(15),
        b'0'..=b'9' => Some(19),
        _ => None,
    }
}

impl Glance {
    /// For records whose line stands in a field of this name.
    pub(crate) fn new(field: &str) -> Glance {
        let opening = format!("{{{}:\"", serde_json::Value::from(field)).into_bytes();
        Glance { opening, prefixes: Vec::new(), last: 0, next: 0, entry_time: Words::default() }
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
        // The line before is most likely of the same writer.
        if let Some(prefix) = self.prefixes.get(self.last)
            && let Some(pid) = prefix.end(record, line)
        {
            return mail(record, pid, tail);
        }
        if self.entry_time.is_at(record, line) {
            return entry(record, line + 19, tail);
        }
        self.look_again(record, line, tail)
    }

    /// Looks for another writer.
    #[inline(never)]
    fn look_again(&mut self, record: &[u8], line: usize, tail: u64) -> Look {
        for at in 0..self.prefixes.len() {
            if let Some(pid) = self.prefixes[at].end(record, line) {
                self.last = at;
                return mail(record, pid, tail);
            }
        }
        Look::Unknown
    }

    #[inline]
    fn opens(&self, record: &[u8]) -> bool {
        let opening = &self.opening;
        if opening.len() == 8 { word(record, 0) == word(opening, 0) } else { record.starts_with(opening) }
    }

    /// Remembers how a mail line begins that was read in full.
    pub(crate) fn learn_mail(&mut self, record: &[u8]) {
        let Some(line) = record.strip_prefix(&*self.opening) else { return };
        let Some(prefix) = Prefix::of(line) else { return };
        let known = self.prefixes.iter().position(|known| known.writer.words == prefix.writer.words);
        let at = match known {
            Some(at) => at,
            None if self.prefixes.len() < PREFIXES => {
                self.prefixes.push(Prefix::default());
                self.prefixes.len() - 1
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
    pub(crate) fn learn_entry(&mut self, record: &[u8]) {
        let time = record.strip_prefix(&*self.opening).and_then(|line| line.get(..19)).and_then(Words::new);
        self.entry_time = time.unwrap_or_default();
    }
}

impl Prefix {
    fn of(line: &[u8]) -> Option<Prefix> {
        let time = time_length(*line.first()?)?;
        let rest = line.get(time..)?;
        // The fraction of a second and the zone belong to neither part.
        let start = if time == 19 { rest.iter().take(20).position(|b| *b == b' ')? } else { 0 };
        let rest = &rest[start..];
        let end = rest.iter().take(64).position(|b| *b == b'[')?;
        let writer = &rest[..=end];
        let shape = writer.first() == Some(&b' ') && writer.split(|b| *b == b' ').count() == 3;
        (shape && !writer.iter().any(|b| matches!(b, b':' | b'\\' | b'"')))
            .then_some(())
            .and_then(|()| Some(Prefix { time: Words::new(&line[..time])?, writer: Words::new(writer)? }))
    }

    /// Where the process id begins, if a record's line begins so.
    #[inline]
    fn end(&self, record: &[u8], line: usize) -> Option<usize> {
        if !self.time.is_at(record, line) {
            return None;
        }
        let mut at = line + self.time.length;
        if self.time.length == 19 {
            at += record.get(at..)?.iter().take(20).position(|b| *b == b' ')?;
        }
        self.writer.is_at(record, at).then_some(at + self.writer.length)
    }
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
    use super::{Glance, Look};
    use crate::defer::number_of;

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
            glance.learn_mail(&record(&format!("{prefix}14029]: {from}")));
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
            let other = prefix.replace("05", "06");
            assert_eq!(glance.look(&record(&format!("{other}9]: {from}"))), Look::Unknown);
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
        glance.learn_entry(&entry("a/eom"));
        assert_eq!(glance.look(&entry("a/eom")), Look::Entry(number_of(ID.as_bytes()).unwrap()));
        assert_eq!(glance.look(&entry("c/abort")), Look::Unknown);
        let mut cut = entry("a/eom");
        cut.pop();
        assert_eq!(glance.look(&cut), Look::Unknown);
    }
}
