//! Ordinary lines as they came, by the queue id they are about: they are read only if their message turns out to matter,
//! which is so for few. A ring of fixed size: a newer line takes the place of the oldest one.

/// Bytes of the ring, a power of two.
const RING: usize = 8 << 20;
/// Lists of records, a power of two: messages whose numbers share a place share a list.
const LISTS: usize = 32_768;
/// What stands before each record in the ring: the place of the one before it in its list, its message, its length.
const HEADER: usize = 16;
/// The number of a record that was given back.
const TAKEN: u32 = 0;

/// The number that stands for a queue id of 14 characters, the length that sendmail's ids have; never 0. Two ids with
/// one number share a list, which does no harm: the lines name their ids themselves.
pub(crate) fn number(head: u64, tail: u64) -> u32 {
    let mixed = (head ^ tail.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as u32 | 1
}

/// The number of an id; none for ids of another length, which are never deferred.
pub(crate) fn number_of(id: &[u8]) -> Option<u32> {
    let head = id.first_chunk().filter(|_| id.len() == 14)?;
    let tail = id.last_chunk()?;
    Some(number(u64::from_le_bytes(*head), u64::from_le_bytes(*tail)))
}

/// The ring, and where in it the last record of each list is.
#[derive(Debug)]
pub(crate) struct Deferred {
    ring: Vec<u8>,
    /// Bytes written since the start: the next record's place, taken modulo the ring's size.
    head: u64,
    lists: Vec<List>,
}

#[derive(Debug, Clone, Copy, Default)]
struct List {
    /// The message that the last record is about.
    number: u32,
    /// The place of the last record, plus one; 0 for none.
    last: u64,
}

impl Deferred {
    pub(crate) fn new() -> Deferred {
        Deferred { ring: vec![0; RING], head: 0, lists: vec![List::default(); LISTS] }
    }

    /// Whether something about a message is here.
    pub(crate) fn knows(&self, number: u32) -> bool {
        let list = self.lists[place(number, LISTS)];
        list.number == number && self.is_there(list.last) || self.records(list).any(|(_, about, _)| about == number)
    }

    /// Keeps a record about a message.
    pub(crate) fn push(&mut self, number: u32, record: &[u8]) {
        let length = (HEADER + record.len() + 7) & !7;
        let mut at = self.head as usize & (RING - 1);
        if at + length > RING {
            self.head += (RING - at) as u64;
            at = 0;
        }
        let list = &mut self.lists[place(number, LISTS)];
        let before = list.last;
        *list = List { number, last: self.head + 1 };
        let word = u64::from(number) | (record.len() as u64) << 32;
        if let Some(place) = self.ring.get_mut(at..at + HEADER + record.len()) {
            let (header, body) = place.split_at_mut(HEADER);
            header[..8].copy_from_slice(&before.to_le_bytes());
            header[8..].copy_from_slice(&word.to_le_bytes());
            body.copy_from_slice(record);
        }
        self.head += length as u64;
    }

    /// Gives the records about a message back, the oldest first.
    pub(crate) fn take(&mut self, number: u32) -> Vec<Vec<u8>> {
        let list = self.lists[place(number, LISTS)];
        let mine = self.records(list).filter(|(_, about, _)| *about == number);
        let (places, mut records): (Vec<u64>, Vec<Vec<u8>>) =
            mine.map(|(place, _, record)| (place, record.to_vec())).unzip();
        for place in places {
            let at = (place as usize & (RING - 1)) + 8;
            if let Some(about) = self.ring.get_mut(at..at + 4) {
                about.copy_from_slice(&TAKEN.to_le_bytes());
            }
        }
        if list.number == number {
            self.lists[place(number, LISTS)].number = TAKEN;
        }
        records.reverse();
        records
    }

    /// The records of a list that are still there, the latest first: the place of each and the message that it is about.
    fn records(&self, list: List) -> impl Iterator<Item = (u64, u32, &[u8])> {
        let mut next = list.last;
        std::iter::from_fn(move || {
            if !self.is_there(next) {
                return None;
            }
            let place = next - 1;
            let (before, number, record) = self.read(place)?;
            // A record is always behind the one before it.
            next = if before < next { before } else { 0 };
            Some((place, number, record))
        })
    }

    /// Bytes written since the start.
    pub(crate) fn written(&self) -> u64 {
        self.head
    }

    /// The oldest record, once older ones have been given up.
    pub(crate) fn oldest(&self) -> Option<&[u8]> {
        // The place behind the newest one may be in the middle of a record: a list leads to whole ones. A few lists are as
        // good as all to tell how far back the ring reaches.
        if self.head <= RING as u64 {
            return None;
        }
        let there = self.lists.iter().filter(|list| self.is_there(list.last)).take(64);
        let last = there.filter_map(|list| self.records(*list).last());
        last.min_by_key(|(place, ..)| *place).map(|(_, _, record)| record)
    }

    fn is_there(&self, last: u64) -> bool {
        last > 0 && last - 1 + RING as u64 >= self.head
    }

    fn read(&self, place: u64) -> Option<(u64, u32, &[u8])> {
        let place = self.ring.get(place as usize & (RING - 1)..)?;
        let before = u64::from_le_bytes(*place.first_chunk()?);
        let word = u64::from_le_bytes(*place.get(8..)?.first_chunk()?);
        Some((before, word as u32, place.get(HEADER..HEADER + (word >> 32) as usize)?))
    }
}

/// The messages of which every line has to be read, by their number. Where two share a place, so do all that belong
/// there: a message may be taken for a live one, never the other way round.
#[derive(Debug)]
pub(crate) struct Live {
    places: Vec<u32>,
    /// How many were added since it was collected.
    added: usize,
}

/// Places for live messages, a power of two: far more than there are such messages.
const PLACES: usize = 1 << 16;
/// No message's number: the place has several.
const SEVERAL: u32 = 2;

impl Live {
    pub(crate) fn new() -> Live {
        Live { places: vec![0; PLACES], added: 0 }
    }

    #[inline]
    pub(crate) fn has(&self, number: u32) -> bool {
        let there = self.places[place(number, PLACES)];
        there == number || there == SEVERAL
    }

    /// Adds a message; gives how many were added since it was collected.
    pub(crate) fn add(&mut self, number: u32) -> usize {
        let there = &mut self.places[place(number, PLACES)];
        if *there != number && *there != SEVERAL {
            *there = if *there == 0 { number } else { SEVERAL };
            self.added += 1;
        }
        self.added
    }
}

impl FromIterator<u32> for Live {
    fn from_iter<T: IntoIterator<Item = u32>>(numbers: T) -> Live {
        let mut live = Live::new();
        for number in numbers {
            live.add(number);
        }
        live.added = 0;
        live
    }
}

/// Where a number belongs in a table of a size that is a power of two. The lowest bit is set in every number.
#[inline]
fn place(number: u32, size: usize) -> usize {
    (number >> 1) as usize & (size - 1)
}

#[cfg(test)]
mod tests {
    use super::{Deferred, Live, PLACES, RING, number_of};

    #[test]
    fn a_live_message_is_never_taken_for_another_kind() {
        let mut live = Live::new();
        let numbers = [1, 3, 3 + 2 * PLACES as u32, 5];
        assert!(!numbers.iter().any(|number| live.has(*number)));
        for number in [3, 3, 3 + 2 * PLACES as u32, 5] {
            live.add(number);
        }
        assert_eq!(numbers.map(|number| live.has(number)), [false, true, true, true]);
        assert_eq!(live.add(9), 4);
        let mut live: Live = [3, 5].into_iter().collect();
        assert!(live.has(3) && live.add(9) == 1);
    }

    #[test]
    fn lines_come_back_in_order_until_newer_ones_take_their_place() {
        let mut deferred = Deferred::new();
        let id = |n: u32| number_of(format!("6AND15V7{n:06}").as_bytes()).unwrap();
        for n in 0..100 {
            deferred.push(id(n), format!("a{n}").as_bytes());
        }
        for n in 0..100 {
            deferred.push(id(n), format!("b{n}").as_bytes());
        }
        assert_eq!(deferred.take(id(7)), [b"a7", b"b7"]);
        assert!(deferred.take(id(7)).is_empty() && !deferred.knows(id(7)) && deferred.knows(id(8)));
        assert!(deferred.oldest().is_none());
        let line = vec![b'x'; 1_000];
        for n in 0..(RING / 1_000) as u32 {
            deferred.push(id(1_000 + n % 50), &line);
        }
        assert!(deferred.take(id(8)).is_empty());
        assert_eq!(deferred.oldest(), Some(&line[..]));
        let taken = deferred.take(id(1_001));
        assert!(taken.len() > 100 && taken.iter().all(|record| *record == line));
    }

    #[test]
    fn messages_that_share_a_list_lose_nothing() {
        let mut deferred = Deferred::new();
        let numbers = [1, 1 + 2 * super::LISTS as u32, 1 + 4 * super::LISTS as u32];
        for round in 0..3 {
            for number in numbers {
                deferred.push(number, format!("{number} {round}").as_bytes());
            }
        }
        let expected = |number: u32| (0..3).map(|round| format!("{number} {round}").into_bytes()).collect::<Vec<_>>();
        for number in [numbers[1], numbers[2], numbers[0]] {
            assert!(deferred.knows(number));
            assert_eq!(deferred.take(number), expected(number));
            assert!(!deferred.knows(number) && deferred.take(number).is_empty());
        }
    }

    #[test]
    fn only_ids_of_the_usual_length_have_a_number() {
        assert!(number_of(b"6AND15V7014029").is_some_and(|number| number > 0));
        assert_eq!(number_of(b"6AND15V70140290"), None);
        assert_eq!(number_of(b""), None);
    }
}
