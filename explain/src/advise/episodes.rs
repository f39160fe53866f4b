//! When PureMessage failed: stretches of time in which its failures came close together.

use std::collections::BTreeMap;

use abort_reason::LogTime;
use serde::Serialize;

/// Minutes that are remembered, some ten weeks of a mail host that is never idle; the oldest go.
const MOST_MINUTES: usize = 100_000;

/// Failures further apart are of two stretches, in minutes.
const APART: i64 = 5;

/// Episodes that are told, those with the most failures.
const TOLD: usize = 20;

/// How PureMessage failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    Slow,
    Closed,
    Unreachable,
}

/// What happened in a minute.
#[derive(Debug, Clone, Copy, Default)]
struct Minute {
    entries: u32,
    slow: u32,
    closed: u32,
    unreachable: u32,
}

/// The minutes so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Minutes(BTreeMap<i64, Minute>);

/// What was wrong with PureMessage in a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// It answered too late.
    Slow,
    /// Too late, while far more mail came than usual: all its processes were busy.
    Busy,
    /// It closed connections: a process ended, or was restarted.
    Dying,
    /// It could not be reached.
    Down,
}

/// A stretch of time in which PureMessage failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Episode {
    /// Its first minute, as `message_log` counts.
    pub from: String,
    /// Its last minute.
    pub to: String,
    /// What was wrong.
    pub trouble: Trouble,
    /// Timeouts.
    pub slow: u64,
    /// Closed connections.
    pub closed: u64,
    /// Connections that could not be made.
    pub unreachable: u64,
}

impl Minutes {
    pub(super) fn entry(&mut self, ms: i64) {
        if let Some(minute) = self.minute(ms) {
            minute.entries = minute.entries.saturating_add(1);
        }
    }

    pub(super) fn failure(&mut self, ms: i64, failure: Failure) {
        let Some(minute) = self.minute(ms) else { return };
        let count = match failure {
            Failure::Slow => &mut minute.slow,
            Failure::Closed => &mut minute.closed,
            Failure::Unreachable => &mut minute.unreachable,
        };
        *count = count.saturating_add(1);
    }

    fn minute(&mut self, ms: i64) -> Option<&mut Minute> {
        let at = ms.div_euclid(60_000);
        if self.0.len() >= MOST_MINUTES && !self.0.contains_key(&at) {
            let (oldest, _) = self.0.first_key_value()?;
            if at < *oldest {
                return None;
            }
            self.0.pop_first();
        }
        Some(self.0.entry(at).or_default())
    }

    /// The stretches with the most failures, in order of time, and how many there are in all.
    pub(super) fn episodes(&self) -> (Vec<Episode>, usize) {
        let usual = self.usual();
        let failures =
            |minute: &Minute| u64::from(minute.slow) + u64::from(minute.closed) + u64::from(minute.unreachable);
        let mut runs: Vec<(i64, i64)> = Vec::new();
        for (at, _) in self.0.iter().filter(|(_, minute)| failures(minute) > 0) {
            match runs.last_mut().filter(|(_, to)| at - *to <= APART) {
                Some((_, to)) => *to = *at,
                None => runs.push((*at, *at)),
            }
        }
        let count = runs.len();
        let mut episodes: Vec<(i64, Episode)> =
            runs.into_iter().map(|(from, to)| (from, self.episode(from, to, usual))).collect();
        episodes.sort_by_key(|(_, episode)| std::cmp::Reverse(episode.slow + episode.closed + episode.unreachable));
        episodes.truncate(TOLD);
        episodes.sort_by_key(|(from, _)| *from);
        (episodes.into_iter().map(|(_, episode)| episode).collect(), count)
    }

    fn episode(&self, from: i64, to: i64, usual: f64) -> Episode {
        let minutes = self.0.range(from..=to).map(|(_, minute)| minute);
        let (mut slow, mut closed, mut unreachable, mut entries) = (0, 0, 0, 0);
        for minute in minutes {
            slow += u64::from(minute.slow);
            closed += u64::from(minute.closed);
            unreachable += u64::from(minute.unreachable);
            entries += u64::from(minute.entries);
        }
        let rate = entries as f64 / (to - from + 1) as f64;
        let trouble = if unreachable >= slow.max(closed) {
            Trouble::Down
        } else if closed >= slow {
            Trouble::Dying
        } else if rate > 3.0 * usual && usual > 0.0 && entries >= 30 {
            Trouble::Busy
        } else {
            Trouble::Slow
        };
        Episode { from: clock(from), to: clock(to), trouble, slow, closed, unreachable }
    }

    /// Entries in a minute that is neither busy nor idle: the median of those with any.
    fn usual(&self) -> f64 {
        let mut entries: Vec<u32> =
            self.0.values().map(|minute| minute.entries).filter(|entries| *entries > 0).collect();
        entries.sort_unstable();
        entries.get(entries.len() / 2).copied().map_or(0.0, f64::from)
    }
}

fn clock(minute: i64) -> String {
    let text = LogTime::from_civil_secs(minute.saturating_mul(60)).to_string();
    text.get(..16).unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn troubles(minutes: &Minutes) -> Vec<Trouble> {
        minutes.episodes().0.iter().map(|episode| episode.trouble).collect()
    }

    #[test]
    fn what_comes_close_together_is_one_stretch() {
        let mut minutes = Minutes::default();
        for (at, failure) in [
            (1_000, Failure::Slow),
            (1_004, Failure::Slow),
            (1_100, Failure::Unreachable),
            (1_101, Failure::Unreachable),
            (1_101, Failure::Closed),
            (2_000, Failure::Closed),
        ] {
            minutes.failure(at * MINUTE, failure);
        }
        assert_eq!(troubles(&minutes), [Trouble::Slow, Trouble::Down, Trouble::Dying]);
        assert_eq!(minutes.episodes().0[0].from, "1970-01-01T16:40");
    }

    #[test]
    fn too_late_in_a_rush_is_busy() {
        let mut minutes = Minutes::default();
        for at in 0..100 {
            let entries = if at == 50 { 400 } else { 40 };
            (0..entries).for_each(|_| minutes.entry(at * MINUTE));
        }
        minutes.failure(50 * MINUTE, Failure::Slow);
        minutes.failure(80 * MINUTE, Failure::Slow);
        assert_eq!(troubles(&minutes), [Trouble::Busy, Trouble::Slow]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut minutes = Minutes::default();
        (0..2 * MOST_MINUTES as i64).for_each(|at| minutes.entry(at * MINUTE));
        minutes.failure(0, Failure::Slow);
        assert_eq!((minutes.0.len(), minutes.episodes().1), (MOST_MINUTES, 0));
    }
}
