//! Which queue ids were seen, and what their ordinary lines said: a table of fixed size, so that a normal delivery
//! costs neither an allocation nor memory of its own. A newer id takes an older one's place.

use serde::{Deserialize, Serialize};

use crate::envelope::Delivery;
use crate::queue_id::QueueId;

/// What was seen of a message.
pub(crate) mod flag {
    /// A line of the mail log.
    pub(crate) const MAIL: u16 = 1;
    /// Its text was received.
    pub(crate) const COLLECTED: u16 = 2;
    /// An entry of `message_log`.
    pub(crate) const ENTRY: u16 = 4;
    /// An entry that is an abort.
    pub(crate) const ABORT: u16 = 8;
    /// Its evidence was given up because memory was short.
    pub(crate) const EVICTED: u16 = 16;
}

/// What is known of one id. Times are seconds, 0 if unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Slot {
    hash: u64,
    host: u32,
    pub mail_secs: u32,
    pub entry_secs: u32,
    pub flags: u16,
    pub delivery: Option<Delivery>,
}

/// The table. Ids share slots in pairs: the newer one stands first, and one id of two hosts has room.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    slots: Vec<Slot>,
}

/// What a search found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Slot(Slot),
    /// The id was never seen.
    Never,
    /// Another id stands in its place: nobody knows.
    Displaced,
}

impl Slot {
    /// Notes what was seen. Of what became of the message, the first counts, as in
    /// [`Group::deliver`](super::group::Group::deliver).
    pub(crate) fn note(&mut self, flags: u16, delivery: Option<Delivery>) {
        self.flags |= flags;
        self.delivery = self.delivery.or(delivery);
    }
}

impl Seen {
    pub(crate) fn new(ids: usize) -> Seen {
        Seen { slots: vec![Slot::default(); ids.max(2).next_power_of_two()] }
    }

    /// The slot of an id, made for it if need be.
    pub(crate) fn touch(&mut self, id: &QueueId, host: u32) -> &mut Slot {
        let hash = id.number();
        let first = self.index(hash);
        let is = |slot: &Slot| slot.hash == hash && may_be_same(slot.host, host);
        let mut index = first;
        if !is(&self.slots[first]) {
            index = first + 1;
            if !is(&self.slots[index]) {
                if self.slots[first].hash != 0 {
                    self.slots[index] = self.slots[first];
                }
                index = first;
                self.slots[index] = Slot { hash, host, ..Slot::default() };
            }
        }
        let slot = &mut self.slots[index];
        if slot.host == 0 {
            slot.host = host;
        }
        slot
    }

    /// Notes something of an id that is still remembered.
    pub(crate) fn mark(&mut self, id: &QueueId, host: u32, flags: u16) {
        if let Found::Slot(_) = self.find(id.number(), host) {
            self.touch(id, host).flags |= flags;
        }
    }

    /// What is known of an id by its number.
    pub(crate) fn find(&self, hash: u64, host: u32) -> Found {
        let first = self.index(hash);
        let pair = &self.slots[first..first + 2];
        if let Some(slot) = pair.iter().find(|slot| slot.hash == hash && may_be_same(slot.host, host)) {
            Found::Slot(*slot)
        } else if pair.iter().any(|slot| slot.hash == 0) {
            Found::Never
        } else {
            Found::Displaced
        }
    }

    /// The number of the host whose lines named an id; none where no host or several did.
    pub(crate) fn host(&self, id: &QueueId) -> Option<u32> {
        let hash = id.number();
        let first = self.index(hash);
        let mut slots = self.slots[first..first + 2].iter().filter(|slot| slot.hash == hash);
        match (slots.next(), slots.next()) {
            (Some(slot), None) if slot.host != 0 => Some(slot.host),
            _ => None,
        }
    }

    /// Whether lines of another host named an id.
    pub(crate) fn is_of_another_host(&self, id: &QueueId, host: u32) -> bool {
        let hash = id.number();
        let first = self.index(hash);
        let is_its = |slot: &Slot| slot.hash == hash && slot.flags & flag::MAIL != 0;
        self.slots[first..first + 2].iter().any(|slot| is_its(slot) && !may_be_same(slot.host, host))
    }

    /// Whether lines of several hosts named an id.
    pub(crate) fn of_several_hosts(&self, id: &QueueId) -> bool {
        let hash = id.number();
        let first = self.index(hash);
        let [a, b] = [self.slots[first], self.slots[first + 1]];
        a.hash == hash && b.hash == hash && !may_be_same(a.host, b.host)
    }

    /// The first of the two slots for a hash.
    fn index(&self, hash: u64) -> usize {
        (hash >> 20) as usize & (self.slots.len() - 2)
    }

    /// The slots in use, for a snapshot.
    pub(crate) fn used(&self) -> Vec<Slot> {
        self.slots.iter().copied().filter(|slot| slot.hash != 0).collect()
    }

    pub(crate) fn fill(&mut self, slots: &[Slot]) {
        for slot in slots {
            let first = self.index(slot.hash);
            let index = first + usize::from(self.slots[first].hash != 0);
            self.slots[index] = *slot;
        }
    }
}

fn may_be_same(a: u32, b: u32) -> bool {
    a == b || a == 0 || b == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_until_another_takes_its_place() {
        let mut seen = Seen::new(16);
        let id = |n: u32| QueueId::parse(format!("6AND15V7{n:06}").as_bytes()).unwrap();
        assert_eq!(seen.find(id(1).number(), 0), Found::Never);
        seen.touch(&id(1), 7).flags |= flag::MAIL;
        assert!(matches!(seen.find(id(1).number(), 0), Found::Slot(slot) if slot.flags == flag::MAIL));
        assert!(!matches!(seen.find(id(1).number(), 8), Found::Slot(_)));
        for n in 2..200 {
            seen.touch(&id(n), 7);
        }
        assert_eq!(seen.find(id(1).number(), 7), Found::Displaced);
    }
}
