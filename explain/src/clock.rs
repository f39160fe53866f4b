//! What a log's times are in UTC, by the queue ids of its lines.

use abort_reason::{Peek, Peeker, Zone};

/// Turns a log's times into UTC.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock {
    zone: Zone,
    lines: Peeker,
}

impl Clock {
    /// Looks at a line of this clock's log. Of the lines of one second, one tells how the clock goes.
    pub(crate) fn peek(&mut self, line: &[u8]) -> Option<Peek> {
        let peek = self.lines.peek(line)?;
        self.observe(&peek);
        Some(peek)
    }

    /// The same, and every line tells how the clock goes.
    pub(crate) fn peek_in_full(&mut self, line: &[u8]) -> Option<Peek> {
        let peek = self.lines.peek_in_full(line)?;
        self.observe(&peek);
        Some(peek)
    }

    /// Takes the offset from the lines looked at so far.
    pub(crate) fn settle(&mut self) {
        self.zone.settle();
    }

    /// A line's time in UTC, in milliseconds.
    pub(crate) fn utc(&self, peek: &Peek) -> Option<i64> {
        Some(peek.time? - self.zone.offset().unwrap_or(0))
    }

    fn observe(&mut self, peek: &Peek) {
        if let (Some(time), Some(id_time)) = (peek.time, peek.id_time) {
            self.zone.see(time, id_time);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_utc() {
        let mut clock = Clock::default();
        let line = b"Nov 23 15:01:07 mx1 sendmail[14029]: 6AND15V7014029: to=<a@example.org>, stat=Sent";
        let peek = clock.peek(line).unwrap();
        assert_eq!(clock.utc(&peek), peek.time);
        clock.settle();
        assert_eq!(clock.utc(&peek), peek.id_time.map(|id_time| id_time + 2_000));
    }

    #[test]
    fn a_year_is_taken_from_the_line_before() {
        let mut clock = Clock::default();
        assert_eq!(clock.peek(b"Dec 31 23:59:59 mx1 sendmail[7]: starting daemon").and_then(|peek| peek.time), None);
        let id = b"Dec 31 23:59:59 mx1 sendmail[7]: 6BVNxxoB000007: to=<a@example.org>, stat=Sent";
        let old_year = clock.peek(id).and_then(|peek| peek.time).unwrap();
        let new_year =
            clock.peek(b"Jan  1 00:00:01 mx1 sendmail[7]: starting daemon").and_then(|peek| peek.time).unwrap();
        assert_eq!(new_year - old_year, 2_000);
    }
}
