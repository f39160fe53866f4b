//! What waits for what: each held case for a log to reach its time and to pass it by a while, or, where that log can't be
//! expected to, for the host's clock.
//!
//! Every wait is in `looks` once, under the next time of the host's clock at which it may be over. It is in one of two
//! more queues by the time of the log that it waits for: `ahead` until that log has reached it, then `due` until it has
//! passed it. Each log has such two.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::peek::LineKind;
use crate::queue_id::QueueId;

use super::names::Home;

/// How a case waits. Times of a log are in entry time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wait {
    pub id: QueueId,
    /// The log that it waits for, and of which host.
    pub log: LineKind,
    pub home: Home,
    /// The time at which that log has reached the case; a case without one waits by the host's clock alone.
    pub reach: Option<i64>,
    /// By how much the log has to pass it, and how long it waits by the host's clock once it may be over; milliseconds.
    pub hold_ms: u64,
    /// When it began, by the host's clock.
    pub since: u64,
    pub seen: Awaited,
    look: u64,
}

/// How far the log has come that a case waits for; times of the host's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Awaited {
    /// Nobody knows: it has given no time yet.
    Unknown,
    /// It is behind the case: how far it had come when that was first seen, and when that was.
    Behind { since: u64, from: i64 },
    /// It has reached the case, then.
    CaughtUp(u64),
}

impl Wait {
    /// A wait that begins now, for a log that has come so far.
    pub(crate) fn new(
        id: QueueId,
        (log, home): (LineKind, Home),
        reach: Option<i64>,
        hold_ms: u64,
        now: u64,
        progress: Option<i64>,
    ) -> Wait {
        let mut wait = Wait {
            id,
            log,
            home,
            reach,
            hold_ms,
            since: now,
            seen: Awaited::Unknown,
            look: now.saturating_add(hold_ms),
        };
        wait.observe(progress, now);
        wait
    }

    /// Notes how far the log has come.
    pub(crate) fn observe(&mut self, progress: Option<i64>, now: u64) {
        let Some((progress, reach)) = progress.zip(self.reach) else { return };
        self.seen = match self.seen {
            caught_up @ Awaited::CaughtUp(_) => caught_up,
            _ if progress >= reach => Awaited::CaughtUp(now),
            Awaited::Unknown => Awaited::Behind { since: now, from: progress },
            behind @ Awaited::Behind { .. } => behind,
        };
    }

    /// When it is over by the host's clock if the log gives nothing, or has reached it.
    pub(crate) fn end(&self) -> u64 {
        match self.seen {
            Awaited::CaughtUp(since) => since.max(self.since).saturating_add(self.hold_ms),
            _ => self.since.saturating_add(self.hold_ms),
        }
    }

    /// The time of the mail log by which it is over. How far `message_log` has come ends nothing: it may be several hosts'.
    fn due(&self) -> Option<i64> {
        Some(self.reach.filter(|_| self.log == LineKind::Mail)?.saturating_add_unsigned(self.hold_ms))
    }

    /// Whether the log has yet to reach it.
    fn is_ahead(&self) -> bool {
        !matches!(self.seen, Awaited::CaughtUp(_))
    }

    /// The time of the log that it waits for next.
    fn next(&self) -> Option<i64> {
        if self.is_ahead() { self.reach } else { self.due() }
    }

    /// What it waits for while it is in the queues by log time.
    fn awaited(&self) -> (LineKind, Home) {
        (self.log, self.home)
    }
}

/// All waits, by the numbers of their cases.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    all: BTreeMap<u64, Wait>,
    looks: BTreeSet<(u64, u64)>,
    /// The first time in `looks`: it is asked for with every record that comes in.
    next_look: Option<u64>,
    by_log: BTreeMap<(LineKind, Home), Queues>,
}

/// What waits for one log, by its time.
#[derive(Debug, Default)]
struct Queues {
    ahead: BTreeSet<(i64, u64)>,
    due: BTreeSet<(i64, u64)>,
}

impl Waits {
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(crate) fn add(&mut self, seq: u64, wait: Wait) {
        self.look_at(seq, wait.look);
        self.queue(seq, &wait);
        self.all.insert(seq, wait);
    }

    pub(crate) fn remove(&mut self, seq: u64) -> Option<Wait> {
        let wait = self.all.remove(&seq)?;
        self.look_no_more(seq, wait.look);
        self.unqueue(seq, &wait);
        Some(wait)
    }

    /// A wait goes on as another one: only what differs is moved.
    fn change(&mut self, seq: u64, change: impl FnOnce(&mut Wait)) {
        let Some(wait) = self.all.get_mut(&seq) else { return };
        let before = *wait;
        change(wait);
        let now = *wait;
        if now.look != before.look {
            self.look_no_more(seq, before.look);
            self.look_at(seq, now.look);
        }
        let place = |wait: &Wait| (wait.awaited(), wait.is_ahead(), wait.next());
        if place(&now) != place(&before) {
            self.unqueue(seq, &before);
            self.queue(seq, &now);
        }
    }

    fn look_at(&mut self, seq: u64, look: u64) {
        self.looks.insert((look, seq));
        self.next_look = Some(self.next_look.map_or(look, |next| next.min(look)));
    }

    fn look_no_more(&mut self, seq: u64, look: u64) {
        self.looks.remove(&(look, seq));
        if self.next_look == Some(look) {
            self.next_look = self.looks.first().map(|(look, _)| *look);
        }
    }

    /// What waits for one host's log waits for another's.
    pub(crate) fn rehome(&mut self, seq: u64, home: Home) {
        self.change(seq, |wait| wait.home = home);
    }

    /// The first of all, with what it is about.
    pub(crate) fn first(&self) -> Option<(u64, QueueId)> {
        self.all().next()
    }

    /// All of them, in the order of their entries.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u64, QueueId)> {
        self.all.iter().map(|(seq, wait)| (*seq, wait.id))
    }

    /// How far a log has to come until anything that waits for it is reached or passed; none where nothing does.
    pub(crate) fn first_for(&self, log: LineKind, home: Home) -> Option<i64> {
        let Queues { ahead, due } = self.by_log.get(&(log, home))?;
        let first = ahead.first().into_iter().chain(due.first());
        first.map(|(time, _)| *time).min()
    }

    /// A log has come so far: those that it has reached wait on, and the first one that it has passed is given.
    pub(crate) fn passed(&mut self, log: LineKind, home: Home, progress: i64, now: u64) -> Option<(u64, QueueId)> {
        let first = |queue: &BTreeSet<(i64, u64)>| queue.first().copied().filter(|(time, _)| *time <= progress);
        while let Some((_, seq)) = self.by_log.get(&(log, home)).and_then(|queues| first(&queues.ahead)) {
            self.observe(seq, Some(progress), now);
        }
        let (_, seq) = self.by_log.get(&(log, home)).and_then(|queues| first(&queues.due))?;
        self.all.get(&seq).map(|wait| (seq, wait.id))
    }

    fn observe(&mut self, seq: u64, progress: Option<i64>, now: u64) {
        self.change(seq, |wait| {
            wait.observe(progress, now);
            wait.look = wait.end().max(now);
        });
    }

    /// The next time of the host's clock at which a wait may be over.
    #[inline]
    pub(crate) fn next_look(&self) -> Option<u64> {
        self.next_look
    }

    /// The case to look at by now, if there is one, and how it waits.
    pub(crate) fn look(&self, now: u64) -> Option<(u64, Wait)> {
        let (_, seq) = self.looks.first().filter(|(look, _)| *look <= now)?;
        self.all.get(seq).map(|wait| (*seq, *wait))
    }

    /// A wait goes on as this, to be looked at again then.
    pub(crate) fn go_on(&mut self, seq: u64, wait: Wait, look: u64) {
        self.change(seq, |known| *known = Wait { look, ..wait });
    }

    /// The host's clock begins anew, earlier by so much.
    pub(crate) fn set_back(&mut self, by: u64) {
        let waits = std::mem::take(self);
        for (seq, mut wait) in waits.all {
            wait.since = wait.since.saturating_sub(by);
            wait.look = wait.look.saturating_sub(by);
            if let Awaited::Behind { since, .. } | Awaited::CaughtUp(since) = &mut wait.seen {
                *since = since.saturating_sub(by);
            }
            self.add(seq, wait);
        }
    }

    /// All of them, for a snapshot.
    pub(crate) fn stored(&self) -> BTreeMap<u64, Wait> {
        self.all.clone()
    }

    pub(crate) fn restored(all: BTreeMap<u64, Wait>) -> Waits {
        let mut waits = Waits::default();
        for (seq, wait) in all {
            waits.add(seq, wait);
        }
        waits
    }

    fn queue(&mut self, seq: u64, wait: &Wait) {
        if let Some(time) = wait.next() {
            self.by_log.entry(wait.awaited()).or_default().of(wait).insert((time, seq));
        }
    }

    fn unqueue(&mut self, seq: u64, wait: &Wait) {
        let (Some(time), Entry::Occupied(mut queues)) = (wait.next(), self.by_log.entry(wait.awaited())) else {
            return;
        };
        queues.get_mut().of(wait).remove(&(time, seq));
        if queues.get().ahead.is_empty() && queues.get().due.is_empty() {
            queues.remove();
        }
    }
}

impl Queues {
    /// The one that a wait is in.
    fn of(&mut self, wait: &Wait) -> &mut BTreeSet<(i64, u64)> {
        if wait.is_ahead() { &mut self.ahead } else { &mut self.due }
    }
}
