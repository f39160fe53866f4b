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
    starts: Vec<Start>,
    last: usize,
    next: usize,
    /// How far a log has come by a line that was told at a glance, where it is not the second of the line before.
    reached: Option<Mark>,
}

/// How many starts are remembered: hosts times programs, and `message_log`.
const STARTS: usize = 8;
/// The bytes of a record that are compared with a start.
const HEAD: usize = 96;
const WORDS: usize = HEAD / 8;
/// The longest record that is looked at.
const LONGEST: usize = 16_384;

/// Which log a start is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Log {
    Mail,
    Entries,
}

/// What stands before a mail line's process id or an entry's queue id: `{"log":"Nov 23 13:01:05 mx1 sendmail[`.
#[derive(Debug, Clone)]
struct Start {
    log: Log,
    words: [u64; WORDS],
    /// The bits that lines of the same second have in common, and those of the same minute.
    second: [u64; WORDS],
    minute: [u64; WORDS],
    /// How many words count, and where the start ends.
    count: usize,
    end: usize,
    /// The second of the minute.
    at_second: i64,
    /// What follows the time.
    tag: Vec<u8>,
    mark: Mark,
}

impl Start {
    /// The start of a record that was read in full; none if it has no usual form.
    fn of(log: Log, record: &[u8], opening: usize, mark: Mark) -> Option<Start> {
        let head: &[u8; HEAD] = record.first_chunk()?;
        let time = match head.get(opening)? {
            b'A'..=b'Z' if log == Log::Mail => 15,
            b'0'..=b'9' => 19,
            _ => return None,
        };
        let after = opening + time;
        let fraction = fraction(head.get(after..)?);
        let rest = &head[after + fraction..];
        let length = match log {
            Log::Mail => {
                let length = rest.iter().position(|b| *b == b'[')? + 1;
                let blank = rest.iter().position(|b| *b == b' ')?;
                let writer = rest.get(blank..length)?;
                let shape = writer.split(|b| *b == b' ').count() == 3;
                (shape && !writer.iter().any(|b| matches!(b, b':' | b'\\' | b'"'))).then_some(length)?
            }
            Log::Entries => rest.starts_with(b" q=").then_some(3)?,
        };
        let end = after + fraction + length;
        let mut words = [0; WORDS];
        let mut second = [0; WORDS];
        for at in 0..end {
            let shift = 8 * (at % 8);
            words[at / 8] |= u64::from(head[at]) << shift;
            if !(after..after + fraction).contains(&at) {
                second[at / 8] |= 0xff << shift;
            }
        }
        let [b':', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] = head[after - 3..after] else { return None };
        let at_second = i64::from(tens - b'0') * 10 + i64::from(ones - b'0');
        let mut minute = second;
        for at in [after - 2, after - 1] {
            minute[at / 8] &= !(0xff << (8 * (at % 8)));
        }
        let count = end.div_ceil(8);
        let tag = rest[..length].to_vec();
        Some(Start { log, words, second, minute, count, end, at_second, tag, mark })
    }

    /// Whether a record begins so, but for what the mask hides.
    #[inline]
    fn fits(&self, head: &[u8; HEAD], mask: &[u64; WORDS]) -> bool {
        let (head, _) = head.as_chunks::<8>();
        let different = |at: usize| (u64::from_le_bytes(head[at]) ^ self.words[at]) & mask[at];
        // Hardly any start is shorter than four words, and a loop costs more than what it does.
        let first = different(0) | different(1) | different(2) | different(3);
        (4..self.count.min(WORDS)).fold(first, |before, at| before | different(at)) == 0
    }

    /// Goes on, or back, to the second of a record of the same minute; none if it has none.
    fn go_on(&mut self, record: &[u8], opening: usize) -> Option<Mark> {
        let start = Start::of(self.log, record, opening, self.mark)?;
        let mark = self.mark.later(start.at_second - self.at_second);
        *self = Start { mark, ..start };
        Some(mark)
    }
}

/// The length of the fraction of a second that a text begins with.
fn fraction(text: &[u8]) -> usize {
    if text.first() != Some(&b'.') {
        return 0;
    }
    1 + text[1..].iter().take(9).take_while(|b| b.is_ascii_digit()).count()
}

#[inline]
fn word(text: &[u8], at: usize) -> Option<u64> {
    text.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

impl Glance {
    /// For records whose line stands in a field of this name.
    pub(crate) fn new(field: &str) -> Glance {
        let opening = format!("{{{}:\"", serde_json::Value::from(field)).into_bytes();
        Glance { opening, starts: Vec::new(), last: 0, next: 0, reached: None }
    }

    /// Looks at a record.
    #[inline]
    pub(crate) fn look(&mut self, record: &[u8]) -> Look {
        let (Some(head), Some(tail)) = (record.first_chunk(), record.last_chunk()) else { return Look::Unknown };
        let tail = u64::from_le_bytes(*tail);
        if tail >> 48 != CLOSE || record.len() > LONGEST {
            return Look::Unknown;
        }
        // The line before is most likely of the same writer and second.
        if let Some(start) = self.starts.get(self.last)
            && start.fits(head, &start.second)
        {
            return behind(start, record, tail);
        }
        self.look_again(record, head, tail)
    }

    /// Looks for another writer, or another second.
    #[inline(never)]
    fn look_again(&mut self, record: &[u8], head: &[u8; HEAD], tail: u64) -> Look {
        let Some(at) = self.find(head) else { return Look::Unknown };
        self.last = at;
        let start = &mut self.starts[at];
        let look = behind(start, record, tail);
        if look != Look::Unknown && !start.fits(head, &start.second) {
            self.reached = start.go_on(record, self.opening.len());
        }
        look
    }

    /// The start that a record has, but for its second.
    fn find(&self, head: &[u8; HEAD]) -> Option<usize> {
        self.starts.iter().position(|start| start.fits(head, &start.minute))
    }

    /// The queue id of a record that was not told at a glance, where one can be: without it, it has to be read.
    pub(crate) fn queue_id(&self, record: &[u8]) -> Option<QueueId> {
        let start = &self.starts[self.find(record.first_chunk()?)?];
        let rest = record.get(start.end..)?;
        let (id, behind) = match start.log {
            Log::Entries => (rest, b" ".as_slice()),
            Log::Mail => {
                let digits = rest.iter().take(10).position(|b| !b.is_ascii_digit())?;
                (rest.get(digits..)?.strip_prefix(b"]: ")?, b": ".as_slice())
            }
        };
        let (id, rest) = id.split_at_checked(14)?;
        rest.starts_with(behind).then(|| QueueId::parse(id))?
    }

    /// How far a log has come since it was last asked, if it has.
    #[inline]
    pub(crate) fn reached(&mut self) -> Option<Mark> {
        self.reached.take()
    }

    /// Remembers how a record begins that was read in full.
    pub(crate) fn learn(&mut self, log: Log, record: &[u8], mark: Option<Mark>) {
        self.reached = None;
        if !record.starts_with(&self.opening) {
            return;
        }
        let Some(start) = mark.and_then(|mark| Start::of(log, record, self.opening.len(), mark)) else { return };
        let known = self.starts.iter().position(|known| known.log == log && known.tag == start.tag);
        self.last = known.unwrap_or_else(|| {
            self.next = (self.next + 1) % STARTS;
            self.next.min(self.starts.len())
        });
        match self.starts.get_mut(self.last) {
            Some(place) => *place = start,
            None => self.starts.push(start),
        }
    }
}

/// Looks at what follows a start.
#[inline]
fn behind(start: &Start, record: &[u8], tail: u64) -> Look {
    match start.log {
        Log::Mail => mail(record, start.end, tail),
        Log::Entries => entry(record, start.end, tail),
    }
}

/// Looks at a mail line from its process id on.
#[inline]
fn mail(record: &[u8], pid: usize, tail: u64) -> Look {
    // Up to seven digits; then `]: `, an id of 14 characters, `: `, and a text.
    let Some(start) = word(record, pid) else { return Look::Unknown };
    let apart = start ^ BRACKETS;
    // The highest bit of the first byte that is a bracket, and perhaps of some behind it.
    let bracket = apart.wrapping_sub(ONES) & !apart & (ONES << 7);
    let at = pid + (bracket.trailing_zeros() / 8) as usize;
    let Some(rest) = record.get(at..).and_then(|rest| rest.first_chunk::<27>()) else { return Look::Unknown };
    let head = word(rest, 3).unwrap_or_default();
    if !rest.starts_with(b"]: ") {
        return Look::Unknown;
    }
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
        _ if text == MILTER && !closes(&record[at + 27..]) => Look::Mention(number),
        _ => Look::Unknown,
    }
}

const fn letters(text: [u8; 8]) -> u64 {
    u64::from_le_bytes(text)
}

/// `"}` as the last two of eight bytes.
const CLOSE: u64 = u16::from_le_bytes(*b"\"}") as u64;
const ONES: u64 = 0x0101_0101_0101_0101;
const BRACKETS: u64 = b']' as u64 * ONES;
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

/// Looks at an entry from its queue id on.
#[inline]
fn entry(record: &[u8], id: usize, tail: u64) -> Look {
    let Some(rest) = record.get(id..).and_then(|rest| rest.first_chunk::<15>()) else { return Look::Unknown };
    if rest[14] != b' ' || tail != END_OF_MESSAGE {
        return Look::Unknown;
    }
    Look::Entry(number(word(rest, 0).unwrap_or_default(), word(rest, 6).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use abort_reason::{Config, Engine, Input, Mark, QueueId, Source};

    use super::{Glance, Log, Look};
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
            glance.learn(Log::Mail, &first, mark(&first));
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

    /// What any row of the table may match is read, or kept as it came: it never only counts as a line that was there.
    #[test]
    fn no_reason_is_ordinary() {
        let prefix = "Nov 23 13:01:05 mx1 sendmail[14029]: ";
        let first = record(&format!("{prefix}{ID}: from=<a@example.org>, size=9, class=0, nrcpts=1, relay=z"));
        for row in abort_reason::reasons::TABLE {
            for text in [format!("{ID}: {}", row.example), row.example.to_owned()] {
                let mut glance = Glance::new("log");
                glance.learn(Log::Mail, &first, mark(&first));
                let look = glance.look(&record(&format!("{prefix}{text}")));
                assert!(matches!(look, Look::Unknown | Look::Mail(_)), "{}: {look:?}", row.id);
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
        glance.learn(Log::Entries, &entry("a/eom"), mark(&entry("a/eom")));
        assert_eq!(glance.look(&entry("a/eom")), Look::Entry(number_of(ID.as_bytes()).unwrap()));
        assert_eq!(glance.look(&entry("c/abort")), Look::Unknown);
        assert_eq!(glance.queue_id(&entry("c/abort")), QueueId::parse(ID.as_bytes()));
        let mut cut = entry("a/eom");
        cut.pop();
        assert_eq!(glance.look(&cut), Look::Unknown);
    }
}
