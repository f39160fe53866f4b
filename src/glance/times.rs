//! Times of lines at a glance: lines of one second share theirs.

#![allow(clippy::inline_always, reason = "an interpreter pays dearly for each call, and this is run for every record")]

use crate::queue_id;
use crate::time::{BsdTime, LogTime};

/// A time, as [`LogTime::ms`] has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    pub ms: i64,
    /// The same in seconds: to divide costs as much as ten other instructions.
    pub secs: i64,
}

impl From<LogTime> for Moment {
    fn from(time: LogTime) -> Moment {
        let ms = time.ms();
        Moment { ms, secs: ms.div_euclid(1_000) }
    }
}

/// The last time of each form.
#[derive(Debug, Default)]
pub(super) struct Times {
    bsd: Second<15>,
    /// What queue ids begin with that are made in its year.
    pub(super) year: u8,
    iso: Second<19>,
    /// What followed the last time in ISO 8601: `+01:00`, or nothing.
    zone: Box<[u8]>,
}

/// The text of a second, and what it says.
#[derive(Debug)]
struct Second<const LENGTH: usize> {
    text: [u8; LENGTH],
    at: Moment,
}

impl<const LENGTH: usize> Default for Second<LENGTH> {
    fn default() -> Self {
        Second { text: [0; LENGTH], at: Moment::default() }
    }
}

impl<const LENGTH: usize> Second<LENGTH> {
    /// Whether a text is of the same second. In words, the last one overlapping the one before.
    #[inline]
    fn is(&self, text: &[u8; LENGTH]) -> bool {
        let words = |text: &[u8; LENGTH]| {
            let (words, _) = text.as_chunks::<8>();
            let last = text.last_chunk().map_or(0, |last| u64::from_le_bytes(*last));
            (
                words.first().map_or(0, |word| u64::from_le_bytes(*word)),
                words.last().map_or(0, |word| u64::from_le_bytes(*word)),
                last,
            )
        };
        words(&self.text) == words(text)
    }
}

impl Times {
    /// `Nov 23 13:01:05`, in the year nearest to what `latest` gives in milliseconds.
    #[inline(always)]
    pub(super) fn bsd(&mut self, line: &[u8], latest: impl Fn() -> Option<i64>) -> Option<Moment> {
        let text = line.first_chunk()?;
        if self.bsd.is(text) {
            return Some(self.bsd.at);
        }
        self.new_bsd(*text, latest()?)
    }

    #[inline(never)]
    fn new_bsd(&mut self, text: [u8; 15], latest: i64) -> Option<Moment> {
        let (time, _) = BsdTime::parse(&text).filter(|(_, used)| *used == text.len())?;
        let at = Moment::from(time.resolve(latest.div_euclid(1_000)));
        self.bsd = Second { text, at };
        self.year = queue_id::year_of(at.ms);
        Some(at)
    }

    /// `2026-11-23T13:01:05.022833+01:00`, and where it ends.
    #[inline]
    pub(super) fn iso(&mut self, line: &[u8]) -> Option<(Moment, usize)> {
        let text = line.first_chunk()?;
        self.known_iso(line, text).or_else(|| self.new_iso(line, *text))
    }

    #[inline(always)]
    fn known_iso(&self, line: &[u8], text: &[u8; 19]) -> Option<(Moment, usize)> {
        if !self.iso.is(text) {
            return None;
        }
        let (fraction, end) = fraction(line, text.len());
        let zone = end + self.zone.len();
        let is_same = line.get(zone) == Some(&b' ') && (zone == end || line[end..zone] == *self.zone);
        is_same.then_some((Moment { ms: self.iso.at.ms + fraction, ..self.iso.at }, zone))
    }

    /// The time of a line, and where it ends, if it is of the same second as one before.
    pub(super) fn known(&self, line: &[u8]) -> Option<(Moment, usize)> {
        match line.first()? {
            b'A'..=b'Z' => line.first_chunk().filter(|text| self.bsd.is(text)).map(|_| (self.bsd.at, 15)),
            _ => self.known_iso(line, line.first_chunk()?),
        }
    }

    #[inline(never)]
    fn new_iso(&mut self, line: &[u8], text: [u8; 19]) -> Option<(Moment, usize)> {
        let (time, used) = LogTime::parse_iso(line)?;
        let (fraction, end) = fraction(line, text.len());
        if line.get(used) != Some(&b' ') || used < end {
            return None;
        }
        self.zone = line[end..used].into();
        let at = Moment::from(time);
        self.iso = Second { text, at: Moment { ms: at.ms - fraction, ..at } };
        Some((at, used))
    }
}

/// Milliseconds of the fraction of a second that stands at a place, and where it ends.
#[inline]
fn fraction(line: &[u8], at: usize) -> (i64, usize) {
    let Some([b'.' | b',', rest @ ..]) = line.get(at..) else { return (0, at) };
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let ms = (0..3)
        .fold(0, |ms, place| ms * 10 + rest.get(place).filter(|_| place < digits).map_or(0, |b| i64::from(b - b'0')));
    (ms, if digits == 0 { at } else { at + 1 + digits })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_a_full_reading() {
        let mut times = Times::default();
        let near = LogTime::parse_iso(b"2026-11-23T12:00:00").unwrap().0.ms();
        for text in ["Nov 23 13:01:05", "Nov 23 13:01:05", "Nov  3 13:01:06", "Jan  1 00:00:00", "Nov 23 13:01:05"] {
            let (time, _) = BsdTime::parse(text.as_bytes()).unwrap();
            let line = format!("{text} mx1");
            assert_eq!(times.bsd(line.as_bytes(), || Some(near)), Some(time.resolve(near / 1_000).into()), "{text}");
        }
        for text in ["Nov 31 13:01:05 x", "Foo 23 13:01:05 x", "Nov 3 2026 13:01:05 x", "Nov 23"] {
            assert_eq!(times.bsd(text.as_bytes(), || Some(near)), None, "{text}");
        }
        for text in [
            "2026-11-23T13:01:05",
            "2026-11-23T13:01:05.022833+00:00",
            "2026-11-23T13:01:05.999999+00:00",
            "2026-11-23T13:01:05.9+01:00",
            "2026-11-23T13:01:05,12Z",
            "2026-11-23T13:01:05.1234567891Z",
            "2026-11-23T13:01:05.Z",
            "2026-11-23 13:01:05Z",
            "2026-11-23T13:01:05+01:00",
            "2026-11-23T13:01:05+01:0",
            "2026-11-23T13:01:05-0730",
            "2026-13-23T13:01:05",
        ] {
            let line = format!("{text} mx1");
            let read = LogTime::parse_iso(line.as_bytes()).filter(|(_, used)| line.as_bytes()[*used] == b' ');
            let read = read.map(|(time, used)| (Moment::from(time), used));
            // The second time by what is remembered.
            for _ in 0..2 {
                let told = times.iso(line.as_bytes());
                assert!(told.is_none() || told == read, "{text}: {told:?}, {read:?}");
                assert!(told.is_some() || read.is_none() || text.contains("78"), "{text}");
            }
        }
    }
}
