//! The messages that something is known of, within bounds.
//!
//! Invariants: the place of every group is in `order`; `bytes` is the sum of the groups' weights. A group is changed by
//! taking it out and putting it back, so that place and weight are always those of what it holds. Places that it had
//! before stay in `order`, and are no group's: to search for them would cost more than to pass them over.

#![allow(clippy::inline_always, reason = "an interpreter pays dearly for each call, and this is run for every record")]

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use crate::hash::Mixed;
use crate::queue_id::{QueueId, ShortId};
use crate::reasons::Matcher;

use super::group::Group;
use super::names::same_host;

/// A map whose order of iteration is never looked at, with the same hashes in every run.
pub(crate) type Map<K, V> = HashMap<K, V, Mixed>;

/// The messages, by queue id; those of several hosts under one id stand side by side.
#[derive(Debug, Clone, Default)]
pub(crate) struct Store {
    groups: Map<QueueId, Vec<Group>>,
    present: Present,
    /// What is given up first stands first: tier, age, id.
    order: BinaryHeap<Reverse<(u8, u64, QueueId)>>,
    /// Groups in the order in which their lookback may be over: their time when that was last looked at, age, id.
    ages: BTreeSet<(i64, u64, QueueId)>,
    /// The one of `ages` that was looked at last.
    looked_at: Option<(i64, u64, QueueId)>,
    count: usize,
    bytes: usize,
    sequence: u64,
}

/// Which of the messages are there, as far as a byte for each of some numbers tells: most are told to be absent by one
/// look.
#[derive(Debug, Clone)]
struct Present(Box<[u8]>);

impl Default for Present {
    fn default() -> Present {
        Present(vec![0; 1 << 16].into())
    }
}

impl Present {
    /// The byte for a number. There is a power of two of them, and to divide costs more than all else here.
    #[inline]
    fn at(&self, number: u64) -> usize {
        number as usize & (self.0.len() - 1)
    }

    fn place(&mut self, number: u64) -> Option<&mut u8> {
        let at = self.at(number);
        self.0.get_mut(at)
    }

    /// What has come to 255 stays there: then the number is taken for present.
    fn add(&mut self, number: u64) {
        if let Some(count) = self.place(number) {
            *count = count.saturating_add(1);
        }
    }

    fn remove(&mut self, number: u64) {
        if let Some(count) = self.place(number).filter(|count| **count < u8::MAX) {
            *count = count.saturating_sub(1);
        }
    }

    #[inline]
    fn may_have(&self, number: u64) -> bool {
        self.0.get(self.at(number)).is_none_or(|count| *count > 0)
    }
}

/// A store for a snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stored {
    groups: Vec<(QueueId, Vec<Group>)>,
    ages: BTreeSet<(i64, u64, QueueId)>,
    looked_at: Option<(i64, u64, QueueId)>,
    sequence: u64,
}

impl Store {
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    #[inline(never)]
    pub(crate) fn contains(&self, id: &QueueId) -> bool {
        self.count > 0 && self.groups.contains_key(id)
    }

    /// Whether there is something under an id; mostly told by one look.
    #[inline(always)]
    pub(crate) fn contains_short(&self, id: ShortId) -> bool {
        self.count > 0 && self.present.may_have(id.number()) && self.contains_id_of(id)
    }

    #[inline(never)]
    fn contains_id_of(&self, id: ShortId) -> bool {
        self.contains(&id.id())
    }

    /// All groups under an id.
    pub(crate) fn get(&self, id: &QueueId) -> &[Group] {
        self.groups.get(id).map_or(&[], Vec::as_slice)
    }

    /// Which group under an id is a host's; one that names no host is everybody's. An entry without a host among groups
    /// of several hosts belongs to none of them.
    pub(crate) fn find(&self, id: &QueueId, host: Option<&str>) -> Option<usize> {
        let groups = self.get(id);
        match host {
            Some(host) => groups
                .iter()
                .position(|group| group.host.as_deref().is_some_and(|name| same_host(name, host)))
                .or_else(|| groups.iter().position(|group| group.host.is_none() && !group.ambiguous)),
            None => match groups {
                [_] => Some(0),
                _ => groups.iter().position(|group| group.host.is_none()),
            },
        }
    }

    /// Takes a group out to change it, or a new one; [`Store::put`] it back.
    pub(crate) fn take(&mut self, id: &QueueId, host: Option<&str>) -> Group {
        let Some(place) = self.find(id, host) else {
            let others = self.groups.get_mut(id).into_iter().flatten();
            let ambiguous = others.map(|group| group.ambiguous |= group.nameless).count() > 0 && host.is_none();
            return Group { host: host.map(Box::from), ambiguous, ..Group::default() };
        };
        self.take_at(id, place).unwrap_or_default()
    }

    /// Takes out the group at a place under an id, to change it; [`Store::put`] it back.
    pub(crate) fn take_at(&mut self, id: &QueueId, place: usize) -> Option<Group> {
        let groups = self.groups.get_mut(id)?;
        if place >= groups.len() {
            return None;
        }
        let group = groups.remove(place);
        self.count -= 1;
        self.bytes -= group.bytes;
        Some(group)
    }

    /// Takes out the group at a place under an id for good.
    fn remove_at(&mut self, id: &QueueId, place: usize) -> Option<Group> {
        let group = self.take_at(id, place)?;
        if self.get(id).is_empty() {
            self.groups.remove(id);
            self.present.remove(id.number());
        }
        Some(group)
    }

    /// Puts a group back, in its place by what it now holds.
    pub(crate) fn put(&mut self, id: QueueId, mut group: Group, matcher: &Matcher) {
        let tier = group.tier(matcher);
        let age = if let Some((_, age)) = group.place {
            age
        } else {
            self.sequence += 1;
            self.ages.insert((group.time(), self.sequence, id));
            if self.ages.len() > 2 * self.count + 64 {
                let groups = &self.groups;
                let here =
                    |id: &QueueId, age| groups.get(id).is_some_and(|list| list.iter().any(|group| group.has_age(age)));
                // The group itself is put back below.
                self.ages.retain(|(_, age, id)| *age == self.sequence || here(id, *age));
            }
            self.sequence
        };
        if group.place.replace((tier, age)) != Some((tier, age)) {
            self.order.push(Reverse((tier, age, id)));
        }
        group.bytes = group.weigh();
        self.bytes += group.bytes;
        self.count += 1;
        match self.groups.entry(id) {
            Entry::Occupied(groups) => groups.into_mut().push(group),
            Entry::Vacant(groups) => {
                self.present.add(id.number());
                groups.insert(vec![group]);
            }
        }
        self.bound_order();
    }

    /// Takes out what is to be given up first.
    pub(crate) fn pop_first(&mut self) -> Option<(QueueId, Group)> {
        loop {
            let Reverse((tier, age, id)) = self.order.pop()?;
            if let Some(place) = self.get(&id).iter().position(|group| group.place == Some((tier, age))) {
                return self.remove_at(&id, place).map(|group| (id, group));
            }
        }
    }

    /// Makes `order` anew where most of it has passed. Nothing is sorted: what calls itself for that has no room on the
    /// stack of an interpreter.
    fn bound_order(&mut self) {
        if self.order.len() > 2 * self.count + 64 {
            let groups = self.groups.iter().flat_map(|(id, groups)| groups.iter().map(|group| (*id, group.place)));
            let places = groups.filter_map(|(id, place)| place.map(|(tier, age)| Reverse((tier, age, id))));
            self.order = places.collect::<Vec<_>>().into();
        }
    }

    /// Takes out a group that is `over`, of those whose time is up to `limit`. A few are looked at in a call, each behind
    /// the one before, so that none that is kept stands in the way of others, and the time of a call is bounded.
    pub(crate) fn pop_over(&mut self, limit: i64, over: impl Fn(&Group) -> bool) -> Option<(QueueId, Group)> {
        for _ in 0..4 {
            let from = self.looked_at.map_or(Bound::Unbounded, Bound::Excluded);
            let next = self.ages.range((from, Bound::Unbounded)).next().copied();
            let Some(next @ (at, age, id)) = next.filter(|(at, ..)| *at <= limit) else {
                self.looked_at = None;
                return None;
            };
            self.looked_at = Some(next);
            let Some(place) = self.get(&id).iter().position(|group| group.has_age(age)) else {
                self.ages.remove(&next);
                continue;
            };
            let group = &self.get(&id)[place];
            if over(group) {
                self.ages.remove(&next);
                return self.remove_at(&id, place).map(|group| (id, group));
            }
            let time = group.time();
            if time > at {
                self.ages.remove(&next);
                self.ages.insert((time, age, id));
            }
        }
        None
    }

    /// Adds tickets to the group of a host; false if there is none.
    pub(crate) fn add_tickets(&mut self, id: &QueueId, host: Option<&str>, tickets: &[u64]) -> bool {
        let Some(place) = self.find(id, host) else { return false };
        let Some(group) = self.groups.get_mut(id).and_then(|groups| groups.get_mut(place)) else { return false };
        group.part_tickets.extend(tickets);
        let bytes = group.weigh();
        self.bytes = self.bytes + bytes - group.bytes;
        group.bytes = bytes;
        true
    }

    /// Takes the tickets of all that is kept, in no order.
    pub(crate) fn take_tickets(&mut self) -> Vec<u64> {
        let mut taken = Vec::new();
        for group in self.groups.values_mut().flatten() {
            taken.extend(group.tickets());
            group.part_tickets.clear();
            group.evidence.iter_mut().for_each(|line| line.ticket = 0);
            group.cases.iter_mut().for_each(|case| case.ticket = 0);
        }
        taken
    }

    pub(crate) fn stored(&self) -> Stored {
        let mut groups: Vec<_> = self.groups.iter().map(|(id, groups)| (*id, groups.clone())).collect();
        groups.sort_by_key(|(id, _)| *id);
        Stored { groups, ages: self.ages.clone(), looked_at: self.looked_at, sequence: self.sequence }
    }

    pub(crate) fn restored(stored: Stored) -> Store {
        let mut store =
            Store { ages: stored.ages, looked_at: stored.looked_at, sequence: stored.sequence, ..Store::default() };
        for (id, groups) in stored.groups {
            for group in &groups {
                store.count += 1;
                store.bytes += group.bytes;
                store.order.extend(group.place.map(|(tier, age)| Reverse((tier, age, id))));
            }
            store.present.add(id.number());
            store.groups.insert(id, groups);
        }
        store
    }
}
