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

/// How PureMessage failed in a minute.
#[derive(Debug, Clone, Copy, Default)]
struct Minute {
    slow: u32,
    closed: u32,
    unreachable: u32,
}

/// The minutes so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Minutes {
    /// How many entries each has.
    entries: BTreeMap<i64, u32>,
    /// Those with failures: no ordinary minute takes the place of one.
    failures: BTreeMap<i64, Minute>,
    forgotten: u64,
}

/// What was wrong with PureMessage in a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ailment {
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
    pub trouble: Ailment,
    /// Timeouts.
    pub slow: u64,
    /// Closed connections.
    pub closed: u64,
    /// Connections that could not be made.
    pub unreachable: u64,
}

/// When PureMessage failed.
#[derive(Debug, Clone, Default)]
pub(super) struct Episodes {
    /// Those with the most failures, in order of time.
    pub worst: Vec<Episode>,
    /// How many there are of each kind.
    pub counts: BTreeMap<Ailment, usize>,
}

/// The place of a minute, made for it; none where there is none left, since older ones only make room.
fn place<V: Default>(minutes: &mut BTreeMap<i64, V>, at: i64) -> Option<&mut V> {
    if minutes.len() >= MOST_MINUTES && !minutes.contains_key(&at) {
        let (oldest, _) = minutes.first_key_value()?;
        if at < *oldest {
            return None;
        }
        minutes.pop_first();
    }
    Some(minutes.entry(at).or_default())
}

impl Minutes {
    pub(super) fn entry(&mut self, ms: i64) {
        if let Some(entries) = place(&mut self.entries, ms.div_euclid(60_000)) {
            *entries = entries.saturating_add(1);
        }
    }

    pub(super) fn failure(&mut self, ms: i64, failure: Failure) {
        let Some(minute) = place(&mut self.failures, ms.div_euclid(60_000)) else {
            self.forgotten += 1;
            return;
        };
        let count = match failure {
            Failure::Slow => &mut minute.slow,
            Failure::Closed => &mut minute.closed,
            Failure::Unreachable => &mut minute.unreachable,
        };
        *count = count.saturating_add(1);
    }

    /// Failures whose time is not known any more.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    pub(super) fn episodes(&self) -> Episodes {
        let usual = self.usual();
        let mut runs: Vec<(i64, i64)> = Vec::new();
        for at in self.failures.keys() {
            match runs.last_mut().filter(|(_, to)| at - *to <= APART) {
                Some((_, to)) => *to = *at,
                None => runs.push((*at, *at)),
            }
        }
        let mut episodes: Vec<(i64, Episode)> =
            runs.into_iter().map(|(from, to)| (from, self.episode(from, to, usual))).collect();
        let mut counts = BTreeMap::new();
        for (_, episode) in &episodes {
            *counts.entry(episode.trouble).or_default() += 1;
        }
        episodes.sort_by_key(|(_, episode)| std::cmp::Reverse(episode.slow + episode.closed + episode.unreachable));
        episodes.truncate(TOLD);
        episodes.sort_by_key(|(from, _)| *from);
        Episodes { worst: episodes.into_iter().map(|(_, episode)| episode).collect(), counts }
    }

    fn episode(&self, from: i64, to: i64, usual: f64) -> Episode {
        let (mut slow, mut closed, mut unreachable) = (0, 0, 0);
        for (_, minute) in self.failures.range(from..=to) {
            slow += u64::from(minute.slow);
            closed += u64::from(minute.closed);
            unreachable += u64::from(minute.unreachable);
        }
        let entries: u64 = self.entries.range(from..=to).map(|(_, entries)| u64::from(*entries)).sum();
        let rate = entries as f64 / (to - from + 1) as f64;
        let trouble = if unreachable >= slow.max(closed) {
            Ailment::Down
        } else if closed >= slow {
            Ailment::Dying
        } else if rate > 3.0 * usual && usual > 0.0 && entries >= 30 {
            Ailment::Busy
        } else {
            Ailment::Slow
        };
        Episode { from: clock(from), to: clock(to), trouble, slow, closed, unreachable }
    }

    /// Entries in a minute that is neither busy nor idle: the median of those with any.
    fn usual(&self) -> f64 {
        let mut entries: Vec<u32> = self.entries.values().copied().collect();
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

    fn troubles(minutes: &Minutes) -> Vec<Ailment> {
        minutes.episodes().worst.iter().map(|episode| episode.trouble).collect()
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
        assert_eq!(troubles(&minutes), [Ailment::Slow, Ailment::Down, Ailment::Dying]);
        assert_eq!(minutes.episodes().worst[0].from, "1970-01-01T16:40");
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
        assert_eq!(troubles(&minutes), [Ailment::Busy, Ailment::Slow]);
    }

    #[test]
    fn memory_is_bounded_and_no_failure_is_forgotten_for_ordinary_minutes() {
        let mut minutes = Minutes::default();
        minutes.failure(0, Failure::Unreachable);
        (0..2 * MOST_MINUTES as i64).for_each(|at| minutes.entry(at * MINUTE));
        minutes.failure(MINUTE, Failure::Unreachable);
        assert_eq!((minutes.entries.len(), minutes.episodes().counts[&Ailment::Down]), (MOST_MINUTES, 1));
        (0..2 * MOST_MINUTES as i64).for_each(|at| minutes.failure(at * MINUTE, Failure::Slow));
        minutes.failure(0, Failure::Slow);
        assert_eq!((minutes.failures.len(), minutes.forgotten()), (MOST_MINUTES, 1));
    }

    #[test]
    fn an_outage_is_counted_behind_worse_ones() {
        let mut minutes = Minutes::default();
        for at in 0..30 {
            (0..6).for_each(|_| minutes.failure(at * 100 * MINUTE, Failure::Slow));
            minutes.failure((at * 100 + 50) * MINUTE, Failure::Unreachable);
        }
        let Episodes { worst, counts } = minutes.episodes();
        assert_eq!((worst.len(), counts[&Ailment::Slow], counts[&Ailment::Down]), (TOLD, 30, 30));
    }
}
