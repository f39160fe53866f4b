//! How far a log's times are from UTC. Classic syslog and `message_log` name no zone, and the two logs of one host may be
//! whole or half hours apart; but sendmail's queue ids hold the UTC time at which they were made.
//!
//! A line about a message is never older than the message's id, and most lines are seconds younger. So the distance of
//! a line's time from its id's, rounded to half hours, is at least the zone's offset, and is the offset for every mail
//! that was not delayed. The offset is therefore the smallest distance that more than a few lines have: runs of an old
//! queue don't shift it, and neither does an id that is none. Local time changes twice a year, so a host may let later lines
//! be counted as well.

use serde::{Deserialize, Serialize};

use crate::time::HALF_HOUR;

/// How far the clock of `message_log` is ahead of the mail log's, in milliseconds. Only by it a time of one log becomes one of
/// the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Offset(pub i64);

impl Offset {
    /// A time of the mail log as `message_log` would have it.
    pub(crate) fn entry_time(self, mail: i64) -> i64 {
        mail.saturating_add(self.0)
    }

    /// A time of `message_log` as the mail log would have it.
    pub(crate) fn mail_time(self, entry: i64) -> i64 {
        entry.saturating_sub(self.0)
    }
}

/// No zone is wider, and no two clocks are further apart, in milliseconds.
pub(crate) const WIDEST_MS: i64 = 15 * 3_600_000;

const HALF_HOUR_MS: i64 = HALF_HOUR * 1_000;
/// A new count begins after so many lines...
const WINDOW_LINES: u32 = 256;
/// ...and so much time: a run of an old queue is shorter.
const WINDOW_MS: i64 = 3 * 3_600_000;

/// A log's distance from UTC, learnt from its lines. Times are milliseconds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Zone {
    offset: Option<i64>,
    /// How many lines have which distance from their ids.
    counts: Vec<(i64, u32)>,
    lines: u32,
    /// The time of the first line that is counted.
    began: Option<i64>,
}

impl Zone {
    /// What a line's time is more than UTC, if that is known.
    pub fn offset(&self) -> Option<i64> {
        self.offset
    }

    /// How many lines were counted for what is learnt next.
    pub(crate) fn lines(&self) -> u32 {
        self.lines
    }

    /// Counts a line at a time, about a message whose id names a time in UTC.
    pub fn see(&mut self, at: i64, id_time: i64) {
        let distance = half_hours(at.saturating_sub(id_time));
        // A message from the queue may be older than any zone is wide.
        if distance.abs() > WIDEST_MS {
            return;
        }
        let began = *self.began.get_or_insert(at);
        self.lines += 1;
        match self.counts.iter_mut().find(|(other, _)| *other == distance) {
            Some((_, count)) => *count += 1,
            None => self.counts.push((distance, 1)),
        }
        if self.lines >= WINDOW_LINES && at - began >= WINDOW_MS {
            self.settle();
            *self = Zone { offset: self.offset, ..Zone::default() };
        }
    }

    /// Takes the offset from the lines that were counted so far: the smallest distance that one in sixteen has.
    pub fn settle(&mut self) {
        let few = self.lines / 16;
        let common = self.counts.iter().filter(|(_, count)| *count > few);
        self.offset = common.map(|(distance, _)| *distance).min().or(self.offset);
    }
}

/// Rounds milliseconds to the nearest half hour.
pub(crate) fn half_hours(ms: i64) -> i64 {
    ms.saturating_add(HALF_HOUR_MS / 2).div_euclid(HALF_HOUR_MS) * HALF_HOUR_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn learnt(lines: &[(i64, i64)]) -> Zone {
        let mut zone = Zone::default();
        lines.iter().for_each(|(at, id_time)| zone.see(*at, *id_time));
        zone.settle();
        zone
    }

    #[test]
    fn the_offset_comes_from_the_ids() {
        for offset in [0, 2 * HOUR, -7 * HOUR, 5 * HOUR + HALF_HOUR_MS] {
            assert_eq!(learnt(&[(1_000 * HOUR + 2_000 + offset, 1_000 * HOUR)]).offset(), Some(offset));
        }
        assert_eq!(learnt(&[]).offset(), None);
    }

    #[test]
    fn neither_an_old_queue_nor_a_false_id_shifts_it() {
        let mut lines: Vec<_> = (0..40).map(|n| (1_000 * HOUR, 1_000 * HOUR - (n % 9 + 1) * HOUR)).collect();
        lines.extend((0..8).map(|n| (1_000 * HOUR + n, 1_000 * HOUR)));
        lines.extend([(1_000 * HOUR, 90_000 * HOUR), (1_000 * HOUR, 1_003 * HOUR), (i64::MIN, i64::MAX)]);
        assert_eq!(learnt(&lines).offset(), Some(0));
        // Nothing but an old queue tells nothing.
        assert_eq!(learnt(&[(1_000 * HOUR, 900 * HOUR)]).offset(), None);
    }

    #[test]
    fn it_follows_the_change_of_local_time() {
        let mut zone = learnt(&[(1_000 * HOUR, 1_000 * HOUR)]);
        for minute in 0..600 {
            let id_time = 1_001 * HOUR + minute * 60_000;
            zone.see(id_time + HOUR + 500, id_time);
        }
        assert_eq!(zone.offset(), Some(HOUR));
    }
}
