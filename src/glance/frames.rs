//! What stands around the line in records: a shipper writes the same bytes around line after line.
//!
//! Where a record has the very bytes of one that was read before and another line, which needs no unescaping, it says the
//! same as that one but for the line.

use crate::event::Source;
use crate::input::Reading;
use crate::words::{Any, begins, ends};

/// How many are remembered: files and hosts whose records come by turns.
const MOST: usize = 8;

/// Records whose surroundings differ each time are not learnt from more often than once in so many.
const LONGEST_PAUSE: u32 = 1_024;

/// What a line in a JSON string must not hold to stand there as it is.
const NOT_PLAIN: Any<2> = Any::of([b'"', b'\\']);

/// Whether a part of a line that stands in a JSON string needs no unescaping, nor ends before: further fields may follow.
#[inline(always)]
pub(super) fn is_as_it_stands(text: &[u8]) -> bool {
    NOT_PLAIN.are_absent(text)
}

/// The bytes around a line, and what they say.
#[derive(Debug)]
pub(super) struct Frame {
    before: Box<[u8]>,
    behind: Box<[u8]>,
    host: Option<Box<[u8]>>,
    pub source: Option<Source>,
    used: bool,
}

/// The frames of the records so far.
#[derive(Debug, Default)]
pub(super) struct Frames {
    list: Vec<Frame>,
    /// The one around the line that was looked at last.
    pub last: usize,
    next: usize,
    /// How many records to let pass before the next frame is learnt, and how many after that.
    pause: u32,
    pauses: u32,
}

impl Frames {
    /// The line of a record, where it begins, and the log that the record names.
    pub(super) fn line<'r>(&mut self, record: &'r [u8]) -> Option<(&'r [u8], usize, Option<Source>)> {
        let fits = |frame: &Frame| begins(record, &frame.before) && ends(record, &frame.behind);
        if !self.list.get(self.last).is_some_and(fits) {
            self.last = self.list.iter().position(fits)?;
        }
        let frame = self.list.get_mut(self.last)?;
        frame.used = true;
        let (before, source) = (frame.before.len(), frame.source);
        Some((self.line_of(record)?.get(before..)?, before, source))
    }

    /// A record that is in the last frame, up to the end of its line, where that stands there as it is.
    #[inline(always)]
    pub(super) fn line_of<'r>(&self, record: &'r [u8]) -> Option<&'r [u8]> {
        let frame = self.list.get(self.last)?;
        // Most often the line is all there is.
        match &*frame.behind {
            b"\"}" => {
                let (line, end) = record.split_last_chunk()?;
                (end == b"\"}").then_some(line)
            }
            behind => record.strip_suffix(behind),
        }
    }

    /// The host that the last frame names.
    #[inline(always)]
    pub(super) fn host(&self) -> Option<&[u8]> {
        self.list.get(self.last)?.host.as_deref()
    }

    /// Remembers the frame of a record that was read in full; whether another one went for it.
    pub(super) fn learn(&mut self, record: &[u8], reading: &Reading<'_>) -> bool {
        // What names each line's process or time surrounds no other line.
        let is_alike = !reading.enriched && reading.pid.is_none() && reading.time.is_none();
        let Some(place) = reading.place.clone().filter(|_| is_alike) else { return false };
        if self.pause > 0 {
            self.pause -= 1;
            return false;
        }
        let (Some(before), Some(behind)) = (record.get(..place.start), record.get(place.end..)) else { return false };
        if self.list.iter().any(|frame| *frame.before == *before && *frame.behind == *behind) {
            return false;
        }
        let frame = Frame {
            before: before.into(),
            behind: behind.into(),
            host: reading.host.as_deref().map(Box::from),
            source: reading.source,
            used: false,
        };
        if self.list.len() < MOST {
            self.list.push(frame);
            return false;
        }
        self.next = (self.next + 1) % MOST;
        let gone = std::mem::replace(&mut self.list[self.next], frame);
        self.pauses = if gone.used { 0 } else { (2 * self.pauses + 1).min(LONGEST_PAUSE) };
        self.pause = self.pauses;
        true
    }
}
