//! The clocks of a host's two logs: how far each log has come, and how far their clocks are apart.
//!
//! Both logs may be in local time or UTC, so they may differ by whole or half hours. Times in the mail log's terms are
//! called *mail time* here, those of `message_log` *entry time*; both are milliseconds.

use serde::{Deserialize, Serialize};

use crate::mail_line::Stamp;
use crate::time::{HALF_HOUR, LogTime};
use crate::zone::{Offset, WIDEST_MS, Zone, half_hours};

use super::passed::Key;

/// A log that leaps by more than this is believed only when so many lines in a row agree.
const LEAP_MS: i64 = 3_600_000;
const LEAP_LINES: u8 = 4;

/// How many differences between the logs are remembered; their median counts.
const SAMPLES: usize = 9;

/// Two logs of one host that count in different units may seem to be this far apart, in milliseconds.
pub(crate) const CLOCKS_MS: i64 = 2_000;

/// What is nearer to a time than this is of its year, if it names none.
const HALF_YEAR_MS: i64 = 182 * 86_400_000;

/// How many lines a log's zone is guessed from: then messages that stand in both logs tell more.
const GUESSES: u32 = 16;

/// The clocks of one host. What each of its lines asks for stands first, in what a processor reads at once.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[repr(C, align(64))]
pub(crate) struct Clocks {
    /// The time of the last line of the mail log.
    last: Option<i64>,
    differ: Differ,
    /// The zone of the mail log has been guessed from enough lines.
    is_guessed: bool,
    pub mail: Watermark,
    pub entries: Watermark,
    /// By what is known.
    offset: Offset,
    /// Entry time minus mail time of messages that stand in both logs, rounded to half hours, in milliseconds.
    differences: Vec<i64>,
    mail_zone: Zone,
    entry_zone: Zone,
}

/// What is known of the differences between a host's logs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Differ {
    /// Fewer than are remembered.
    #[default]
    Few,
    Enough,
    /// As many as are remembered, and all are the same.
    Same,
}

/// How far a log has come, in milliseconds. One line with a forged or broken time does not move it.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[repr(C)]
pub struct Watermark {
    /// The latest time seen: the log has probably nothing older to give.
    pub(crate) latest: Option<i64>,
    /// When the last line came, by the host's clock.
    pub(crate) arrived: u64,
    /// How many lines have agreed with the latest time; the first one alone may be wrong, so that it can be gone back
    /// from.
    agreeing: u8,
    /// Where a leap would lead to, and how many lines in a row agree on it.
    ahead: Option<(i64, u8)>,
    /// The first time seen.
    pub(crate) first: Option<i64>,
}

impl Watermark {
    /// The latest time seen that can be believed.
    pub fn latest(&self) -> Option<i64> {
        self.latest
    }

    /// Notes a line's time; true if the watermark moved.
    #[inline]
    pub fn see(&mut self, at: i64) -> bool {
        // Many lines share a time.
        if self.latest == Some(at) && self.ahead.is_none() && self.agreeing >= LEAP_LINES {
            return false;
        }
        self.see_another(at)
    }

    #[inline(never)]
    fn see_another(&mut self, at: i64) -> bool {
        let Some(latest) = self.latest else {
            self.first = Some(at);
            self.latest = Some(at);
            return true;
        };
        let apart = at.saturating_sub(latest);
        let leaps = apart > LEAP_MS || apart < -LEAP_MS && self.agreeing < LEAP_LINES;
        if !leaps {
            self.ahead = None;
            self.agreeing = self.agreeing.saturating_add(1);
            self.latest = Some(at.max(latest));
            return apart > 0;
        }
        let agreed = match self.ahead {
            Some((there, lines)) if at.abs_diff(there) <= LEAP_MS as u64 => lines + 1,
            _ => 1,
        };
        if agreed < LEAP_LINES {
            self.ahead = Some((at, agreed));
            return false;
        }
        self.ahead = None;
        self.agreeing = LEAP_LINES;
        self.first = self.first.min(Some(at));
        self.latest = Some(at);
        true
    }
}

impl Clocks {
    /// The time of a stamp. Classic syslog leaves the year out: the queue id's (in seconds) is near, or that of the line before
    /// where both have one stamp, or how far the log has come.
    pub(crate) fn time(&mut self, stamp: Stamp, id_secs: Option<i64>) -> Option<LogTime> {
        let time = match stamp {
            Stamp::Full(time) => time,
            Stamp::Bsd(bsd) => {
                let near = |ms: i64| bsd.resolve(ms.div_euclid(1_000));
                let by_id = id_secs.map(|secs| bsd.resolve(secs));
                let as_before = || self.last.map(near).filter(|time| self.last == Some(time.ms()));
                by_id.or_else(as_before).or_else(|| self.mail.latest.map(near))?
            }
        };
        self.last = Some(time.ms());
        Some(time)
    }

    /// Notes a line of the mail log that was told at a glance, and when it came; true if the log has come further.
    #[inline]
    pub(crate) fn pass(&mut self, at: i64, now: u64) -> bool {
        self.last = Some(at);
        self.mail.arrived = now;
        self.mail.see(at)
    }

    /// Whether a line without an id is surely of this time, to which its stamp was resolved: [`Clocks::time`] gives the same.
    #[inline]
    pub(crate) fn agree_on(&self, at: i64) -> bool {
        let is_near = |other: Option<i64>| other.is_some_and(|other| (at - other).abs() < HALF_YEAR_MS);
        self.last == Some(at) || is_near(self.last) && is_near(self.mail.latest)
    }

    /// Notes the time of a mail line about a message.
    pub(crate) fn see_mail_id(&mut self, at: i64, id_secs: Option<i64>) {
        if let Some(secs) = id_secs {
            self.mail_zone.see(at, secs * 1_000);
            self.mail_zone.settle();
            self.is_guessed = self.mail_zone.lines() >= GUESSES;
            self.offset = self.measured();
        }
    }

    /// Notes the time of an entry about a message.
    pub(crate) fn see_entry_id(&mut self, at: i64, id_secs: Option<i64>) {
        if let Some(secs) = id_secs.filter(|_| self.wants_entry_ids()) {
            self.entry_zone.see(at, secs * 1_000);
            self.entry_zone.settle();
            self.offset = self.measured();
        }
    }

    /// Whether more lines are wanted for the guess of the zones.
    pub(crate) fn wants_mail_ids(&self) -> bool {
        !self.is_guessed
    }

    /// Whether more entries are wanted for that.
    pub(crate) fn wants_entry_ids(&self) -> bool {
        self.entry_zone.lines() < GUESSES
    }

    /// Whether a message that stands in both logs is wanted where its entry came first, to know how far these are apart:
    /// until enough are known, and one in sixteen from then on.
    #[inline]
    pub(super) fn wants(&self, message: Key) -> bool {
        (message.is_sample() || self.differ == Differ::Few) && self.entries.latest.is_some()
    }

    /// The same where its mail lines came first, if at all, and those of others behind them: each until enough are known and
    /// say the same, and one in sixteen from then on.
    #[inline]
    pub(super) fn wants_behind_others(&self, message: Key) -> bool {
        message.is_sample() || self.differ != Differ::Same
    }

    /// Whether one more message that stands in both logs, by times in seconds, would say what all others did.
    #[inline]
    pub(crate) fn is_known(&self, entry_secs: i64, mail_secs: i64) -> bool {
        // Half an hour is far more than what either log is late.
        let apart = self.offset.mail_time(entry_secs * 1_000) - mail_secs * 1_000;
        self.differ == Differ::Same && apart.abs() < HALF_HOUR * 500
    }

    /// Notes that a message stands in both logs.
    pub(crate) fn see_both(&mut self, entry_at: i64, mail_at: i64) {
        let difference = half_hours(entry_at - mail_at);
        if difference.abs() > WIDEST_MS {
            return;
        }
        if self.differences.len() == SAMPLES {
            self.differences.remove(0);
        }
        self.differences.push(difference);
        self.differ = match self.differences.iter().all(|one| *one == difference) {
            _ if self.differences.len() < SAMPLES => Differ::Few,
            true => Differ::Same,
            false => Differ::Enough,
        };
        self.offset = self.measured();
    }

    /// How far the two logs are apart.
    pub(crate) fn offset(&self) -> Offset {
        self.offset
    }

    /// The median of the differences where there are enough, or else what the zones say.
    fn measured(&self) -> Offset {
        let by_zones = self.entry_zone.offset().zip(self.mail_zone.offset()).map(|(entry, mail)| entry - mail);
        if self.differences.len() >= 3 || by_zones.is_none() && !self.differences.is_empty() {
            let mut sorted = self.differences.clone();
            sorted.sort_unstable();
            return Offset(sorted[sorted.len() / 2]);
        }
        Offset(by_zones.unwrap_or(0))
    }

    /// Whether the mail log's clock was set forward, by half an hour or an hour, between two lines about a message whose id was
    /// made at `id_secs`, in UTC: from the second one on it stands differently to the ids.
    pub(crate) fn was_set_forward(&self, id_secs: i64, before: i64, now: i64) -> bool {
        let step = half_hours(now - before);
        let is_step = (HALF_HOUR * 1_000..=HALF_HOUR * 2_000).contains(&step);
        let as_before = !self.wants_mail_ids() && self.mail_zone.offset() == Some(half_hours(now - id_secs * 1_000));
        is_step && (now - before).abs_diff(step) <= CLOCKS_MS as u64 && !as_before
    }

    /// How far the mail log has come, in entry time.
    pub(crate) fn mail_in_entry_time(&self) -> Option<i64> {
        self.mail.latest.map(|latest| self.offset.entry_time(latest))
    }
}

/// Whether the clock was set back between two lines or entries of one process: they were written in the order in which they
/// came.
pub(crate) fn was_set_back(before: i64, now: i64) -> bool {
    before - now >= HALF_HOUR * 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn one_forged_time_does_not_move_the_watermark() {
        let mut mark = Watermark::default();
        assert!(mark.see(1_000));
        assert!(!mark.see(1_000 + 50 * HOUR));
        assert!(mark.see(2_000));
        // Four that don't agree are four forged ones.
        for year in [27, 30, 28, 99] {
            assert!(!mark.see(year * 8_766 * HOUR));
        }
        for _ in 1..LEAP_LINES {
            assert!(!mark.see(50 * HOUR));
        }
        assert!(mark.see(50 * HOUR));
        assert_eq!((mark.first, mark.latest), (Some(1_000), Some(50 * HOUR)));
    }

    #[test]
    fn a_clock_that_was_set_forward_stands_differently_to_the_ids() {
        let mut clocks = Clocks::default();
        for second in 0..i64::from(GUESSES) {
            clocks.see_mail_id(1_000 * second, Some(second));
        }
        assert!(clocks.was_set_forward(60, 61_000, 61_000 + HOUR));
        assert!(clocks.was_set_forward(60, 61_000, 62_000 + HOUR / 2));
        // Time passed, and the process has another message; or the time is none by which clocks are set.
        assert!(!clocks.was_set_forward(60 + 3_600, 61_000, 61_000 + HOUR));
        assert!(!clocks.was_set_forward(60, 61_000, 61_000 + 2 * HOUR));
        assert!(!clocks.was_set_forward(60, 61_000, 66_000 + HOUR));
        assert!(!clocks.was_set_forward(60, 61_000, 62_000));
    }

    #[test]
    fn the_offset_comes_from_ids_until_messages_stand_in_both_logs() {
        let mut clocks = Clocks::default();
        clocks.see_entry_id(2 * HOUR + 7_000, Some(0));
        clocks.see_mail_id(3_000, Some(0));
        assert_eq!(clocks.offset(), Offset(2 * HOUR));
        for _ in 0..2 {
            clocks.see_both(HOUR + 100, 0);
        }
        assert_eq!(clocks.offset(), Offset(2 * HOUR));
        clocks.see_both(HOUR - 100, 0);
        assert_eq!(clocks.offset(), Offset(HOUR));
        // A callback that hung for half an hour is outvoted.
        clocks.see_both(HOUR + 1_800_000, 0);
        assert_eq!(clocks.offset(), Offset(HOUR));
    }
}
