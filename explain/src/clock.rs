//! What a log's times are in UTC. Classic syslog and `message_log` name no zone, and the two logs of one host may be
//! whole or half hours apart; but sendmail's queue ids hold the UTC time at which they were made.
//!
//! A line about a message is never older than the message's id, and most lines are seconds younger. So the distance of
//! a line's time from its id's, rounded to half hours, is at least the zone's offset, and is the offset for every mail
//! that was not delayed. The offset is therefore the smallest distance that more than a few lines have: runs of an old
//! queue don't shift it, and neither does an id that is none. Later lines go on to be counted, because local time
//! changes twice a year.

use abort_reason::{Peek, Peeker};

const HALF_HOUR_MS: i64 = 1_800_000;
/// Different distances counted at a time. More of them only occur where there is no common one.
const MOST_DISTANCES: usize = 64;
/// A new count begins after so many lines...
const WINDOW_LINES: u32 = 256;
/// ...and so much time: a run of an old queue is shorter.
const WINDOW_MS: i64 = 3 * 3_600_000;

/// Turns a log's times into UTC.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock {
    offset_half_hours: Option<i64>,
    window: Distances,
    window_began: Option<i64>,
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
        self.offset_half_hours = self.window.offset().or(self.offset_half_hours);
    }

    /// A line's time in UTC, in milliseconds.
    pub(crate) fn utc(&self, peek: &Peek) -> Option<i64> {
        Some(peek.time? - self.offset_half_hours.unwrap_or(0) * HALF_HOUR_MS)
    }

    fn observe(&mut self, peek: &Peek) {
        let (Some(time), Some(id_time)) = (peek.time, peek.id_time) else { return };
        let began = *self.window_began.get_or_insert(time);
        self.window.add((time - id_time + HALF_HOUR_MS / 2).div_euclid(HALF_HOUR_MS));
        if self.window.lines >= WINDOW_LINES && time - began >= WINDOW_MS {
            self.settle();
            self.window = Distances::default();
            self.window_began = None;
        }
    }
}

/// How many lines have which distance from their ids, in half hours.
#[derive(Debug, Clone, Default)]
struct Distances {
    counts: Vec<(i64, u32)>,
    lines: u32,
}

impl Distances {
    fn add(&mut self, half_hours: i64) {
        self.lines += 1;
        if let Some((_, count)) = self.counts.iter_mut().find(|(distance, _)| *distance == half_hours) {
            *count += 1;
        } else if self.counts.len() < MOST_DISTANCES {
            self.counts.push((half_hours, 1));
        }
    }

    /// The smallest distance that at least one line in sixteen has.
    fn offset(&self) -> Option<i64> {
        let few = self.lines / 16;
        self.counts.iter().filter(|(_, count)| *count > few).map(|(distance, _)| *distance).min()
    }
}

#[cfg(test)]
mod tests {
    use abort_reason::LineKind;

    use super::*;

    const HOUR: i64 = 2 * HALF_HOUR_MS;

    fn line(time: i64, id_time: impl Into<Option<i64>>) -> Peek {
        Peek { kind: LineKind::Mail, time: Some(time), id_time: id_time.into() }
    }

    fn learn(lines: &[Peek]) -> Clock {
        let mut clock = Clock::default();
        for line in lines {
            clock.observe(line);
        }
        clock.settle();
        clock
    }

    #[test]
    fn the_offset_comes_from_the_ids() {
        for offset in [0, 2 * HOUR, -7 * HOUR, 5 * HOUR + HALF_HOUR_MS] {
            let clock = learn(&[line(1_000 * HOUR + 2_000 + offset, 1_000 * HOUR)]);
            assert_eq!(clock.utc(&line(1_001 * HOUR + offset, None)), Some(1_001 * HOUR));
        }
    }

    #[test]
    fn neither_an_old_queue_nor_a_false_id_shifts_it() {
        let mut lines: Vec<Peek> = (0..40).map(|n| line(1_000 * HOUR, 1_000 * HOUR - (n % 9 + 1) * HOUR)).collect();
        lines.extend((0..8).map(|n| line(1_000 * HOUR + n, 1_000 * HOUR)));
        lines.push(line(1_000 * HOUR, 90_000 * HOUR));
        assert_eq!(learn(&lines).utc(&line(7, None)), Some(7));
    }

    #[test]
    fn it_follows_the_change_of_local_time() {
        let mut clock = learn(&[line(1_000 * HOUR, 1_000 * HOUR)]);
        for minute in 0..600 {
            let id_time = 1_001 * HOUR + minute * 60_000;
            clock.observe(&line(id_time + HOUR + 500, id_time));
        }
        assert_eq!(clock.utc(&line(2_000 * HOUR, None)), Some(1_999 * HOUR));
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
