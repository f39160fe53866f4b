//! The records that the component keeps, as they came, for the case that it fails.

use std::collections::BTreeMap;

/// By ticket. What has left already is given up, the oldest first, where it is more than so many bytes: a fresh component then
/// knows less, and nothing is lost.
pub(super) struct Kept {
    records: BTreeMap<u64, Record>,
    bytes: usize,
    most_bytes: usize,
    /// Before this ticket there is nothing to give up any more.
    from: u64,
}

/// A record that the component keeps.
pub(super) struct Record {
    pub line: Vec<u8>,
    pub state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It has not left yet.
    Owed,
    /// It has left unchanged; it may explain another record.
    Forwarded,
    /// It, or a record about it, was issued.
    Issued,
}

impl Kept {
    pub(super) fn new(most_bytes: usize) -> Kept {
        Kept { records: BTreeMap::new(), bytes: 0, most_bytes, from: 0 }
    }

    pub(super) fn add(&mut self, ticket: u64, line: &[u8], state: State) {
        self.bytes += line.len();
        self.records.insert(ticket, Record { line: line.to_vec(), state });
        while self.bytes > self.most_bytes {
            let mut others = self.records.range(self.from..).filter(|(_, record)| record.state != State::Owed);
            let Some(oldest) = others.next().map(|(oldest, _)| *oldest) else {
                self.from = ticket + 1;
                return;
            };
            self.remove(oldest);
            self.from = oldest + 1;
        }
    }

    pub(super) fn remove(&mut self, ticket: u64) {
        if let Some(record) = self.records.remove(&ticket) {
            self.bytes -= record.line.len();
        }
    }

    pub(super) fn get(&self, ticket: u64) -> Option<&Record> {
        self.records.get(&ticket)
    }

    pub(super) fn mark(&mut self, ticket: u64, state: State) {
        if let Some(record) = self.records.get_mut(&ticket) {
            record.state = state;
            if state != State::Owed {
                self.from = self.from.min(ticket);
            }
        }
    }

    /// The tickets of what was not issued; the rest is forgotten.
    pub(super) fn unissued(&mut self) -> Vec<u64> {
        self.records.retain(|_, record| record.state != State::Issued);
        self.bytes = self.records.values().map(|record| record.line.len()).sum();
        self.records.keys().copied().collect()
    }

    /// Forgets all; gives what is owed.
    pub(super) fn give_up(&mut self) -> impl Iterator<Item = Vec<u8>> + use<> {
        self.bytes = 0;
        let records = std::mem::take(&mut self.records).into_values();
        records.filter(|record| record.state == State::Owed).map(|record| record.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_left_is_given_up_first() {
        let mut kept = Kept::new(10);
        for (ticket, state) in [(1, State::Owed), (2, State::Forwarded), (3, State::Issued), (4, State::Owed)] {
            kept.add(ticket, b"1234", state);
        }
        // Twice two bytes too many.
        assert!(kept.get(2).is_none() && kept.get(3).is_none());
        for ticket in 5..100 {
            kept.add(ticket, b"1234", State::Forwarded);
        }
        kept.add(100, b"12", State::Forwarded);
        assert_eq!(kept.unissued(), [1, 4, 100]);
        assert_eq!(kept.give_up().count(), 2);
        kept.add(101, b"123456789", State::Owed);
        kept.add(102, b"12", State::Forwarded);
        assert!(kept.get(102).is_none());
        kept.mark(101, State::Forwarded);
        kept.add(103, b"12", State::Forwarded);
        assert_eq!(kept.unissued(), [103]);
    }
}
