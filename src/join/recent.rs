//! Entries that have passed, for the failure that is logged after them: a ring bounded by bytes. An entry is kept as it
//! came and read again when it is asked for, since almost none ever is.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::engine::Input;
use crate::queue_id::QueueId;

use super::store::Map;

/// An entry that has passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Passed {
    pub seq: u64,
    pub id: QueueId,
    is_record: bool,
    #[serde(with = "super::snapshot::bytes")]
    bytes: Box<[u8]>,
    /// The number of the entry before it with the same id.
    before: Option<u64>,
}

/// The entries, the oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recent {
    ring: VecDeque<Passed>,
    /// How many entries have left the ring: the number of its first one.
    gone: u64,
    /// The number of the last entry with an id.
    last: Map<QueueId, u64>,
    bytes: usize,
}

impl Passed {
    /// What came in.
    pub(crate) fn input(&self) -> Input<'_> {
        if self.is_record { Input::Record(&self.bytes) } else { Input::Line(&self.bytes) }
    }

    /// Bytes of memory, with those of the index.
    fn weigh(&self) -> usize {
        160 + self.bytes.len()
    }
}

impl Recent {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds an entry, and gives the number of those that had to go for it.
    pub(crate) fn push(&mut self, seq: u64, id: QueueId, input: Input<'_>, most: usize) -> u64 {
        let (is_record, bytes) = match input {
            Input::Line(line) => (false, line),
            Input::Record(record) => (true, record),
        };
        self.add(Passed { seq, id, is_record, bytes: bytes.into(), before: None });
        let before = self.gone;
        while self.bytes > most {
            let Some(oldest) = self.ring.pop_front() else { break };
            self.bytes -= oldest.weigh();
            if self.last.get(&oldest.id) == Some(&self.gone) {
                self.last.remove(&oldest.id);
            }
            self.gone += 1;
        }
        self.gone - before
    }

    fn add(&mut self, passed: Passed) {
        let number = self.gone + self.ring.len() as u64;
        let before = self.last.insert(passed.id, number);
        self.bytes += passed.weigh();
        self.ring.push_back(Passed { before, ..passed });
    }

    /// The entries of a message, the latest first.
    pub(crate) fn of(&self, id: &QueueId) -> impl Iterator<Item = &Passed> {
        let at = |number: u64| self.ring.get(number.checked_sub(self.gone)? as usize);
        std::iter::successors(self.last.get(id).and_then(|number| at(*number)), move |passed| {
            passed.before.and_then(at)
        })
    }

    pub(crate) fn stored(&self) -> Vec<Passed> {
        self.ring.iter().cloned().collect()
    }

    pub(crate) fn restored(entries: Vec<Passed>) -> Recent {
        let mut recent = Recent::default();
        for passed in entries {
            recent.add(passed);
        }
        recent
    }
}
