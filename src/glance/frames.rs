//! What stands around the line in records: a shipper writes the same bytes around line after line.
//!
//! Where a record has the very bytes of one that was read before and another line, which holds no quote and no backslash, it says
//! the same as that one but for the line.

use crate::event::Source;
use crate::input::Reading;
use crate::json;
use crate::words::{begins, behind_start, ends};

use super::few::Few;

/// What stands behind a line that is the last of its record.
const LAST: &[u8; 2] = b"\"}";

/// The bytes around a line, and what they say.
#[derive(Debug)]
pub(super) struct Frame {
    before: Box<[u8]>,
    behind: Box<[u8]>,
    /// What is behind is the end of a string, and of the record.
    is_last: bool,
    host: Option<Box<[u8]>>,
    source: Source,
}

impl Frame {
    /// The line of a record that it is around, as it stands there.
    #[inline(always)]
    fn line<'r>(&self, record: &'r [u8]) -> Option<&'r [u8]> {
        let line = if self.is_last {
            let (line, end) = record.split_last_chunk()?;
            (end == LAST).then_some(line)?
        } else {
            record.strip_suffix(&*self.behind)?
        };
        behind_start(line, &self.before)
    }
}

/// The frames of the records so far.
#[derive(Debug, Default)]
pub(super) struct Frames(Few<Frame>);

impl Frames {
    /// The line of a record, and the log that the record names.
    #[inline(always)]
    pub(super) fn line<'r>(&mut self, record: &'r [u8]) -> Option<(&'r [u8], Source)> {
        if let Some(line) = self.0.last().and_then(|frame| frame.line(record)) {
            return Some((line, self.0.last()?.source));
        }
        self.other_line(record)
    }

    #[inline(never)]
    fn other_line<'r>(&mut self, record: &'r [u8]) -> Option<(&'r [u8], Source)> {
        self.0.find(|frame| Some((frame.line(record)?, frame.source)))
    }

    /// Whether the last frame is what stands around a record's line.
    pub(super) fn is_around(&self, record: &[u8], reading: &Reading<'_>) -> bool {
        let (Some(place), Some(frame)) = (&reading.place, self.0.last()) else { return false };
        place.start == frame.before.len()
            && place.end + frame.behind.len() == record.len()
            && begins(record, &frame.before)
            && ends(record, &frame.behind)
    }

    /// The host that the last frame names.
    #[inline(always)]
    pub(super) fn host(&self) -> Option<&[u8]> {
        self.0.last()?.host.as_deref()
    }

    /// Remembers the frame of a record that was read in full.
    pub(super) fn learn(&mut self, record: &[u8], reading: &Reading<'_>) {
        let Some(place) = reading.place.clone().filter(|_| !reading.enriched) else { return };
        if !self.0.is_wanted() {
            return;
        }
        let (Some(before), Some(behind)) = (record.get(..place.start), record.get(place.end..)) else { return };
        if self.0.has(|frame| *frame.before == *before && *frame.behind == *behind) || !json::is_object(record) {
            return;
        }
        self.0.add(Frame {
            before: before.into(),
            behind: behind.into(),
            is_last: behind == LAST,
            host: reading.host.as_deref().map(Box::from),
            source: reading.source,
        });
    }
}
