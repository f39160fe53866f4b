//! Entries that have passed, for the failure that is logged after them: a ring bounded by bytes.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::queue_id::QueueId;

use super::group::EntryFacts;
use super::store::Map;

/// An entry that has passed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Passed {
    pub seq: u64,
    pub id: QueueId,
    pub host: Option<Box<str>>,
    pub entry: EntryFacts,
    /// The record, kept only where it may be issued again.
    pub record: Option<Box<str>>,
}

/// The entries, the oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recent {
    ring: VecDeque<Passed>,
    /// How many entries have left the ring: the number of its first one.
    gone: u64,
    by_id: Map<QueueId, Vec<u64>>,
    bytes: usize,
}

impl Recent {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds an entry, and gives the number of those that had to go for it.
    pub(crate) fn push(&mut self, passed: Passed, most: usize) -> u64 {
        self.bytes += weigh(&passed);
        self.by_id.entry(passed.id).or_default().push(self.gone + self.ring.len() as u64);
        self.ring.push_back(passed);
        let before = self.gone;
        while self.bytes > most {
            let Some(oldest) = self.ring.pop_front() else { break };
            self.bytes -= weigh(&oldest);
            if let Some(numbers) = self.by_id.get_mut(&oldest.id) {
                numbers.retain(|number| *number != self.gone);
                if numbers.is_empty() {
                    self.by_id.remove(&oldest.id);
                }
            }
            self.gone += 1;
        }
        self.gone - before
    }

    /// The entries of a message, in the order in which they came.
    pub(crate) fn of(&self, id: &QueueId) -> impl Iterator<Item = &Passed> {
        let numbers = self.by_id.get(id).map_or(&[][..], Vec::as_slice);
        numbers.iter().filter_map(|number| self.ring.get((number - self.gone) as usize))
    }

    pub(crate) fn stored(&self) -> Vec<Passed> {
        self.ring.iter().cloned().collect()
    }

    pub(crate) fn restored(entries: Vec<Passed>) -> Recent {
        let mut recent = Recent::default();
        for passed in entries {
            recent.push(passed, usize::MAX);
        }
        recent
    }
}

fn weigh(passed: &Passed) -> usize {
    288 + passed.record.as_deref().map_or(0, str::len) + passed.entry.from.as_deref().map_or(0, str::len)
}
