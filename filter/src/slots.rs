//! Records that wait for a slot, and whether slots come at all.

use std::collections::{BTreeMap, VecDeque};

/// Where no tick came for so long, no slot is expected: what would wait leaves in its own call. Milliseconds; a Fluent Bit
/// that reads a backlog may be some seconds late.
const EXPECTED_MS: u64 = 30_000;

/// What waits, and what has left so lately that Fluent Bit may not have it yet.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    /// By the number of their abort, so that the oldest leaves first, and a number of their own.
    waiting: BTreeMap<(u64, u64), Vec<u8>>,
    bytes: usize,
    /// Own numbers of what has left, and at which tick.
    left: VecDeque<(u64, u64)>,
    ticks: u64,
    /// When the last tick came.
    last_ms: Option<u64>,
}

impl Slots {
    /// Records that wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Bytes of them.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a record; `place` is the number of its abort.
    pub(crate) fn add(&mut self, place: u64, number: u64, record: Vec<u8>) {
        self.bytes += record.len();
        self.waiting.insert((place, number), record);
    }

    /// What waits, by own numbers.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.waiting.iter().map(|((_, number), record)| (*number, record.as_slice()))
    }

    /// The record that has waited longest.
    pub(crate) fn next(&mut self) -> Option<Vec<u8>> {
        let ((_, number), record) = self.waiting.pop_first()?;
        self.bytes -= record.len();
        self.left.push_back((number, self.ticks));
        Some(record)
    }

    /// Ticks are to come from now on.
    pub(crate) fn expect(&mut self, now_ms: Option<u64>) {
        self.last_ms = Some(now_ms.unwrap_or_default());
    }

    /// A tick has come; gives the numbers of what left before the tick before it: Fluent Bit has taken that over.
    pub(crate) fn tick(&mut self, now_ms: Option<u64>) -> impl Iterator<Item = u64> {
        self.expect(now_ms);
        self.ticks += 1;
        let ticks = self.ticks;
        std::iter::from_fn(move || {
            let (number, _) = self.left.pop_front_if(|(_, tick)| *tick + 1 < ticks)?;
            Some(number)
        })
    }

    /// Whether slots come, by a clock; where there is none, whether one has come.
    pub(crate) fn come(&self, now_ms: Option<u64>) -> bool {
        let passed = |last: u64| now_ms.unwrap_or_default().saturating_sub(last);
        self.last_ms.is_some_and(|last| passed(last) <= EXPECTED_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::Slots;

    #[test]
    fn slots_are_expected_while_they_come() {
        let mut slots = Slots::default();
        assert!(!slots.come(Some(7)));
        slots.expect(Some(10));
        assert!(slots.come(Some(10)) && slots.come(Some(30_010)) && !slots.come(Some(30_011)));
        slots.tick(Some(90_000)).for_each(drop);
        assert!(slots.come(Some(90_000)));
    }

    #[test]
    fn what_left_is_gone_two_ticks_later() {
        let mut slots = Slots::default();
        slots.add(2, 8, b"second".to_vec());
        slots.add(1, 9, b"first".to_vec());
        assert_eq!(slots.next(), Some(b"first".to_vec()));
        assert_eq!(slots.tick(None).count(), 0);
        assert_eq!(slots.next(), Some(b"second".to_vec()));
        assert_eq!(slots.tick(None).collect::<Vec<_>>(), [9]);
        assert_eq!(slots.tick(None).collect::<Vec<_>>(), [8]);
        assert_eq!((slots.len(), slots.bytes()), (0, 0));
    }
}
