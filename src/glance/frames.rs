//! What stands around the line in records: a shipper writes the same bytes around line after line.
//!
//! Where a record has the very bytes of one that was read before and another line, which needs no unescaping, it says the
//! same as that one but for the line.

use crate::event::Source;
use crate::input::Reading;
use crate::json;
use crate::words::{Any, begins, ends};

use super::few::Few;

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
    source: Source,
}

/// The frames of the records so far.
#[derive(Debug, Default)]
pub(super) struct Frames(Few<Frame>);

impl Frames {
    /// The line of a record, where it begins, and the log that the record names.
    pub(super) fn line<'r>(&mut self, record: &'r [u8]) -> Option<(&'r [u8], usize, Source)> {
        let fits = |frame: &Frame| begins(record, &frame.before) && ends(record, &frame.behind);
        let found = self.0.find(|frame| fits(frame).then_some((frame.before.len(), frame.source)));
        let (before, source) = found?;
        Some((self.line_of(record)?.get(before..)?, before, source))
    }

    /// The place of the last frame.
    pub(super) fn place(&self) -> usize {
        self.0.last
    }

    /// Makes the one of a place the last.
    #[inline(always)]
    pub(super) fn select(&mut self, place: usize) {
        self.0.last = place;
    }

    /// A record that is in the last frame, up to the end of its line, where that stands there as it is.
    #[inline(always)]
    pub(super) fn line_of<'r>(&self, record: &'r [u8]) -> Option<&'r [u8]> {
        let frame = self.0.last()?;
        // Most often the line is all there is.
        match &*frame.behind {
            b"\"}" => {
                let (line, end) = record.split_last_chunk()?;
                (end == b"\"}").then_some(line)
            }
            behind => record.strip_suffix(behind),
        }
    }

    /// Whether the last frame is what stands around a record's line, where the record begins as the frame does.
    pub(super) fn is_around(&self, record: &[u8], reading: &Reading<'_>) -> bool {
        let (Some(place), Some(frame)) = (&reading.place, self.0.last()) else { return false };
        place.start == frame.before.len()
            && place.end + frame.behind.len() == record.len()
            && ends(record, &frame.behind)
    }

    /// The host that the last frame names.
    #[inline(always)]
    pub(super) fn host(&self) -> Option<&[u8]> {
        self.0.last()?.host.as_deref()
    }

    /// Remembers the frame of a record that was read in full; whether another one went for it.
    pub(super) fn learn(&mut self, record: &[u8], reading: &Reading<'_>) -> bool {
        let Some(place) = reading.place.clone().filter(|_| !reading.enriched) else { return false };
        if !self.0.is_wanted() {
            return false;
        }
        let (Some(before), Some(behind)) = (record.get(..place.start), record.get(place.end..)) else { return false };
        if self.0.has(|frame| *frame.before == *before && *frame.behind == *behind) || !json::is_object(record) {
            return false;
        }
        self.0.add(Frame {
            before: before.into(),
            behind: behind.into(),
            host: reading.host.as_deref().map(Box::from),
            source: reading.source,
        })
    }
}
