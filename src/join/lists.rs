//! Where the last record of each list of a ring stands, in 32 bits: nearly every record that comes asks for one of them,
//! and so all stay in a processor's cache.

#![allow(clippy::inline_always, reason = "an interpreter pays dearly for each call, and this is run for every record")]

/// Places are multiples of this power of two, at least.
const SHIFT: u32 = 3;

/// Places come again when the ring has come round so often: what was overwritten is told from what is there.
const LAPS: u64 = 4;

/// Bytes of a ring for each list.
const BYTES_PER_LIST: usize = 256;

/// The last record of each list.
#[derive(Debug, Clone)]
pub(super) struct Lists {
    /// Each a place, and behind it some bits of the record's number: most others are told from it without a look at what
    /// was written long ago. The lowest bit is always set: 0 is none.
    entries: Box<[u32]>,
    tag_bits: u32,
    /// Places are multiples of this power of two, which has so many bits below it.
    shift: u32,
    rest: usize,
    /// The entries that are looked at next for what was overwritten.
    next: usize,
}

/// How many bits of an entry are the record's number, and what places are multiples of, for a ring of so many bytes.
fn bits(ring: u64) -> (u32, u32) {
    let all = (ring * LAPS).next_power_of_two().trailing_zeros();
    let shift = all.saturating_sub(u32::BITS - 1).max(SHIFT);
    (u32::BITS - all.saturating_sub(shift).max(1), shift)
}

impl Lists {
    /// The lists of a ring of so many bytes.
    pub(super) fn new(ring: usize) -> Lists {
        let count = (ring / BYTES_PER_LIST).next_power_of_two();
        let (tag_bits, shift) = bits(ring as u64);
        Lists { entries: vec![0; count].into(), tag_bits, shift, rest: (1 << shift) - 1, next: 0 }
    }

    /// The next place at or behind some bytes.
    #[inline(always)]
    pub(super) fn round(&self, bytes: usize) -> usize {
        (bytes + self.rest) & !self.rest
    }

    /// Puts a record at the end of its list; gives the place of the one before.
    #[inline(always)]
    pub(super) fn push(&mut self, number: u32, place: u64, tail: u64) -> Option<u64> {
        let index = self.index(number);
        let before = self.place(self.entries[index], place, tail);
        self.entries[index] = ((place >> self.shift) as u32) << self.tag_bits | self.tag(number);
        before
    }

    /// The place of the last record of a number's list, if it may have that number.
    #[inline(always)]
    pub(super) fn last_of(&self, number: u32, head: u64, tail: u64) -> Option<u64> {
        let entry = self.entries[self.index(number)];
        self.place(entry, head, tail).filter(|_| entry & self.tag(u32::MAX) == self.tag(number))
    }

    /// The place of the last record of a number's list.
    pub(super) fn last(&self, number: u32, head: u64, tail: u64) -> Option<u64> {
        self.place(self.entries[self.index(number)], head, tail)
    }

    /// The place of the last record of every list.
    pub(super) fn all(&self, head: u64, tail: u64) -> impl Iterator<Item = u64> {
        self.entries.iter().filter_map(move |entry| self.place(*entry, head, tail))
    }

    /// Lets go of what was overwritten, in one of so many parts of the lists: all are looked at before the ring has come
    /// round as often as [`LAPS`].
    pub(super) fn sweep(&mut self, parts: usize, head: u64, tail: u64) {
        let count = self.entries.len().div_ceil(parts);
        let (from, to) = (self.next, (self.next + count).min(self.entries.len()));
        let (now, reach, tag_bits) = (head >> self.shift, self.reach(head, tail), self.tag_bits);
        // No branch for each: several are looked at at once.
        for entry in self.entries.get_mut(from..to).unwrap_or_default() {
            *entry = if back(*entry, now, tag_bits) <= reach { *entry } else { 0 };
        }
        self.next = if to < self.entries.len() { to } else { 0 };
    }

    /// How far back there is anything, in steps between places.
    #[inline(always)]
    fn reach(&self, head: u64, tail: u64) -> u32 {
        u32::try_from((head >> self.shift).saturating_sub(tail >> self.shift)).unwrap_or(u32::MAX)
    }

    /// What an entry says, if that has not been overwritten.
    #[inline(always)]
    fn place(&self, entry: u32, head: u64, tail: u64) -> Option<u64> {
        let now = head >> self.shift;
        let back = back(entry, now, self.tag_bits);
        (entry != 0 && back <= self.reach(head, tail)).then(|| (now - u64::from(back)) << self.shift)
    }

    #[inline(always)]
    fn index(&self, number: u32) -> usize {
        (number >> 1) as usize & (self.entries.len() - 1)
    }

    /// The upper bits: the lower ones choose the list.
    #[inline(always)]
    fn tag(&self, number: u32) -> u32 {
        number >> (u32::BITS - self.tag_bits) | 1
    }
}

/// How far back from the head, `now`, the place of an entry is, in steps between places.
#[inline(always)]
fn back(entry: u32, now: u64, tag_bits: u32) -> u32 {
    (now as u32).wrapping_sub(entry >> tag_bits) & (u32::MAX >> tag_bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// However often a ring has come round, its lists end where they would in a table that forgets nothing.
        #[test]
        fn what_was_overwritten_is_never_given(power in 11u32..14, from in any::<u32>(), steps in prop::collection::vec((prop_oneof![30 => 0u32..3, 1 => 3u32..200], 1usize..400), 1..800)) {
            const PARTS: u64 = 16;
            let ring = 1u64 << power;
            let block = ring / PARTS;
            let mut lists = Lists::new(ring as usize);
            let mut known: BTreeMap<u32, (u32, u64)> = BTreeMap::new();
            let (mut head, mut tail) = (u64::from(from).next_multiple_of(ring), 0);
            for (number, bytes) in steps {
                let number = number.wrapping_mul(0x9e37_79b9) | 1;
                let size = lists.round(bytes).min(block as usize) as u64;
                let room = block - head % block;
                if room == block || room < size {
                    head = head.next_multiple_of(block);
                    tail = tail.max(head.saturating_sub(ring - block));
                    lists.sweep(PARTS as usize, head, tail);
                }
                let list = lists.index(number) as u32;
                let before = known.get(&list).filter(|(_, place)| *place >= tail);
                prop_assert_eq!(lists.last_of(number, head, tail), before.filter(|(other, _)| lists.tag(*other) == lists.tag(number)).map(|(_, place)| *place));
                prop_assert_eq!(lists.push(number, head, tail), before.map(|(_, place)| *place));
                known.insert(list, (number, head));
                head += size;
            }
            let mut all: Vec<u64> = lists.all(head, tail).collect();
            all.sort_unstable();
            let mut expected: Vec<u64> = known.values().map(|(_, place)| *place).filter(|place| *place >= tail).collect();
            expected.sort_unstable();
            prop_assert_eq!(all, expected);
        }
    }

    #[test]
    fn every_ring_has_a_number_for_each_place() {
        for power in 0..40 {
            let ring = 1u64 << power;
            let (tag_bits, shift) = bits(ring);
            assert!(
                (1..u32::BITS).contains(&tag_bits) && u64::from(u32::MAX >> tag_bits) + 1 >= (ring >> shift) * LAPS
            );
            // Not much is lost to round a record up, where a ring is no larger than anybody's.
            assert!(shift == SHIFT || power > 32, "{power}");
        }
    }
}
