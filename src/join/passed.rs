//! What has passed, as it came: ordinary mail lines that nobody read, and entries. Almost none is ever asked for, so each
//! is kept as bytes and read when its message turns out to matter.
//!
//! A ring of fixed size, in which a newer record takes the place of the oldest ones; records whose queue ids share a place
//! in a table form a list. Of what was given up, it is known up to which message it may have been.

#![allow(clippy::inline_always, reason = "an interpreter pays dearly for each call, and this is run for every record")]

use serde::{Deserialize, Serialize};

use crate::event::Input;
use crate::peek::LineKind;
use crate::queue_id::{QueueId, Second, ShortId};

use super::lists::Lists;
use super::names::Home;

/// Bytes before each record: four words, see [`Header`].
const HEADER: usize = 32;

/// The number of a mail line that was read after all.
const TAKEN: u32 = 0;

/// The bits of a record's kind: it came in a JSON object, it is an entry, it was read.
const RECORD: u8 = 1;
const ENTRY: u8 = 2;
const READ: u8 = 4;

/// The ring consists of so many blocks, each given up whole, the oldest first: then no record that was given up is looked
/// at, and the ring grows without a copy.
const BLOCKS: usize = 16;

/// Something that has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub log: LineKind,
    /// What came in.
    pub input: Input<'a>,
    /// Of which host, if it is known.
    pub home: Home,
    /// Its time in seconds, 0 if unknown.
    pub secs: u32,
    /// The number in the order of all that came, of an entry.
    pub seq: u64,
    /// It was read: what it says is known.
    pub is_read: bool,
}

/// What a message is known by here. Two with one number do no harm: the records name their ids.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    /// Never [`TAKEN`].
    number: u32,
    /// That of the message.
    second: Second,
}

/// The records, within a number of bytes.
#[derive(Debug, Clone)]
pub(crate) struct Passed {
    blocks: [Block; BLOCKS],
    /// Bytes of a block, a power of two; 0 where nothing is kept.
    block_bytes: usize,
    lists: Lists,
    /// Bytes written since the start: the next record's place, taken modulo the ring's size.
    head: u64,
    /// The place of the oldest record.
    tail: u64,
    /// The ages of the youngest message of all, and of those of which something was given up, see [`Second::age`].
    youngest: u64,
    lost: u64,
}

/// A piece of the ring. Each record stands in one.
#[derive(Debug, Clone, Default)]
struct Block {
    /// Of full length once it was begun; what was written stands in front, each record behind its header.
    bytes: Box<[u8]>,
    /// How many of the records are entries.
    entries: u64,
    /// Of the last record's message.
    second: Second,
    /// The age of the youngest message.
    age: u64,
}

/// What stands before a record.
#[derive(Debug, Clone, Copy)]
struct Header {
    length: u32,
    kind: u8,
    home: Home,
    /// The place, plus one, of the record before it in its list.
    before: u64,
    number: u32,
    secs: u32,
    /// Of a mail line the second of its message, of an entry its `seq`.
    word: u64,
}

/// A record for a snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stored {
    youngest: u64,
    lost: u64,
    records: Vec<StoredRecord>,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredRecord {
    kind: u8,
    home: Home,
    number: u32,
    secs: u32,
    word: u64,
    #[serde(with = "super::bytes")]
    bytes: Box<[u8]>,
}

impl Key {
    /// Whether the message is one of the few by which the logs are compared for ever: their clocks may change.
    #[inline]
    pub(crate) fn is_sample(self) -> bool {
        self.number & 0x1e0 == 0
    }
}

impl From<&QueueId> for Key {
    fn from(id: &QueueId) -> Key {
        Key { number: (id.number() >> 32) as u32 | 1, second: id.second() }
    }
}

impl From<ShortId> for Key {
    #[inline]
    fn from(id: ShortId) -> Key {
        Key { number: (id.number() >> 32) as u32 | 1, second: id.second() }
    }
}

impl Header {
    #[inline(always)]
    fn read(bytes: &[u8]) -> Option<Header> {
        let word = |at: usize| bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        let (first, third) = (word(0)?, word(16)?);
        Some(Header {
            length: first as u32,
            kind: (first >> 32) as u8,
            home: (first >> 40) as Home,
            before: word(8)?,
            number: third as u32,
            secs: (third >> 32) as u32,
            word: word(24)?,
        })
    }

    #[inline(always)]
    fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let first = u64::from(self.length) | u64::from(self.kind) << 32 | u64::from(self.home) << 40;
        let third = u64::from(self.number) | u64::from(self.secs) << 32;
        for (place, word) in bytes.as_chunks_mut().0.iter_mut().zip([first, self.before, third, self.word]) {
            *place = word.to_le_bytes();
        }
        bytes
    }

    fn log(&self) -> LineKind {
        if self.kind & ENTRY == 0 { LineKind::Mail } else { LineKind::MessageLog }
    }
}

fn kind(log: LineKind, input: Input<'_>) -> u8 {
    let record = if matches!(input, Input::Record(_)) { RECORD } else { 0 };
    record | if log == LineKind::MessageLog { ENTRY } else { 0 }
}

impl Passed {
    /// A ring of at most so many bytes.
    pub(crate) fn new(most: usize) -> Passed {
        let bytes = if most < BLOCKS * 2 * HEADER { 0 } else { 1 << most.ilog2() };
        Passed {
            blocks: Default::default(),
            block_bytes: bytes / BLOCKS,
            lists: Lists::new(bytes),
            head: 0,
            tail: 0,
            youngest: 0,
            lost: 0,
        }
    }

    /// Bytes in use.
    pub(crate) fn bytes(&self) -> usize {
        (self.head - self.tail) as usize
    }

    /// Whether there is a place for something as long.
    #[inline(always)]
    pub(crate) fn has_place_for(&self, input: Input<'_>) -> bool {
        self.size(bytes(input).len()) <= self.block_bytes
    }

    /// Bytes of the ring for a record of this length.
    #[inline(always)]
    fn size(&self, length: usize) -> usize {
        self.lists.round(HEADER + length)
    }

    /// Whether the last record of the message's list is a line of it, of this host. Where it is another, the message may
    /// be here all the same: to search for it would cost more than to keep one more of its lines.
    #[inline(always)]
    pub(crate) fn knows(&self, key: Key, home: Home) -> bool {
        self.last(key.number).is_some_and(|header| header.home == home && header.word == key.second.to_bits())
    }

    /// The time of the last record of a message of some hosts, in seconds, where no other's came behind it.
    #[inline(always)]
    pub(crate) fn last_time(&self, key: Key, is_of: impl Fn(Home) -> bool) -> Option<u32> {
        self.last(key.number).filter(|header| is_of(header.home)).map(|header| header.secs)
    }

    /// The last record of a list, if it has this number.
    #[inline(always)]
    fn last(&self, number: u32) -> Option<Header> {
        let place = self.lists.last_of(number, self.head, self.tail)?;
        self.header(place).filter(|header| header.number == number)
    }

    /// The times of the records of a message of some hosts, in seconds, the latest first, and whether each was read.
    pub(crate) fn times(&self, key: Key, is_of: impl Fn(Home) -> bool) -> impl Iterator<Item = (u32, bool)> {
        let theirs = self.places(key.number).filter(move |(_, header)| is_of(header.home));
        theirs.map(|(_, header)| (header.secs, header.kind & READ != 0))
    }

    /// Adds a record about a message; gives the number of entries that were given up for it.
    #[inline(always)]
    pub(crate) fn push(&mut self, key: Key, record: Record<'_>) -> u64 {
        if !self.has_place_for(record.input) {
            return u64::from(record.log == LineKind::MessageLog);
        }
        let word = if record.log == LineKind::Mail { key.second.to_bits() } else { record.seq };
        let header = Header {
            length: 0,
            kind: kind(record.log, record.input) | if record.is_read { READ } else { 0 },
            home: record.home,
            before: 0,
            number: key.number,
            secs: record.secs,
            word,
        };
        self.add(header, key.second, bytes(record.input))
    }

    #[inline(always)]
    fn add(&mut self, header: Header, second: Second, bytes: &[u8]) -> u64 {
        let block = self.block_bytes as u64;
        let room = block - (self.head & (block - 1));
        let mut forgotten = 0;
        let size = self.size(bytes.len());
        if room == block || room < size as u64 {
            self.head = self.head.next_multiple_of(block);
            forgotten = self.begin_block();
        }
        let before = self.lists.push(header.number, self.head, self.tail).map_or(0, |place| place + 1);
        let (index, offset) = (self.block(self.head), self.offset(self.head));
        let block = &mut self.blocks[index];
        // Most often it is the one before.
        if second != block.second {
            block.second = second;
            let age = second.age();
            // What is no id names no time.
            if age > block.age && second.is_time() {
                block.age = age;
                self.youngest = self.youngest.max(age);
            }
        }
        block.entries += u64::from(header.log() == LineKind::MessageLog);
        let header = Header { length: bytes.len() as u32, before, ..header };
        let place = block.bytes.get_mut(offset..).and_then(|place| place.get_mut(..HEADER + bytes.len()));
        if let Some((head, rest)) = place.and_then(|place| place.split_first_chunk_mut()) {
            *head = header.to_bytes();
            rest.copy_from_slice(bytes);
        }
        self.head += size as u64;
        forgotten
    }

    /// Gives up what stands in the block that begins here; gives the number of entries in it.
    #[inline(never)]
    fn begin_block(&mut self) -> u64 {
        let index = self.block(self.head);
        let block = &mut self.blocks[index];
        if block.bytes.is_empty() {
            block.bytes = vec![0; self.block_bytes].into();
        }
        block.second = Second::default();
        self.lost = self.lost.max(std::mem::take(&mut block.age));
        let others = (BLOCKS - 1) * self.block_bytes;
        self.tail = self.tail.max(self.head.saturating_sub(others as u64));
        self.lists.sweep(BLOCKS, self.head, self.tail);
        std::mem::take(&mut block.entries)
    }

    /// Whether something about the message may have been given up unread.
    pub(crate) fn may_have_lost(&self, key: Key) -> bool {
        self.lost > 0 && key.second.age() <= self.lost
    }

    /// The records of a message, the latest first, and the place of each; perhaps some of others.
    pub(crate) fn of(&self, key: Key) -> impl Iterator<Item = (u64, Record<'_>)> {
        self.places(key.number).filter_map(|(place, header)| Some((place, self.record(place, &header)?)))
    }

    fn record(&self, place: u64, header: &Header) -> Option<Record<'_>> {
        let bytes = self.bytes_of(place, header)?;
        let input = if header.kind & RECORD == 0 { Input::Line(bytes) } else { Input::Record(bytes) };
        let (log, seq) = (header.log(), if header.kind & ENTRY == 0 { 0 } else { header.word });
        let is_read = header.kind & READ != 0;
        Some(Record { log, input, home: header.home, secs: header.secs, seq, is_read })
    }

    fn bytes_of(&self, place: u64, header: &Header) -> Option<&[u8]> {
        self.at(place)?.get(HEADER..)?.get(..header.length as usize)
    }

    /// A mail line was read after all.
    pub(crate) fn take(&mut self, place: u64) {
        if let Some(number) = self.at_mut(place + 16).and_then(|rest| rest.first_chunk_mut()) {
            *number = TAKEN.to_le_bytes();
        }
    }

    /// An entry was read after all, and stays.
    pub(crate) fn note_read(&mut self, place: u64) {
        if let Some(kind) = self.at_mut(place + 4).and_then(|rest| rest.first_mut()) {
            *kind |= READ;
        }
    }

    /// The records with a number, the latest first.
    fn places(&self, number: u32) -> impl Iterator<Item = (u64, Header)> {
        self.list(number).filter(move |(_, header)| header.number == number)
    }

    /// The list in which the records with a number stand, the latest first.
    fn list(&self, number: u32) -> impl Iterator<Item = (u64, Header)> {
        self.list_from(self.lists.last(number, self.head, self.tail))
    }

    fn list_from(&self, last: Option<u64>) -> impl Iterator<Item = (u64, Header)> {
        let mut next = last.map_or(0, |place| place + 1);
        std::iter::from_fn(move || {
            let place = next.checked_sub(1).filter(|place| *place >= self.tail)?;
            let header = self.header(place)?;
            // A record is always behind the one before it.
            next = if header.before < next { header.before } else { 0 };
            Some((place, header))
        })
    }

    #[inline(always)]
    fn header(&self, place: u64) -> Option<Header> {
        Header::read(self.at(place)?)
    }

    /// What stands at a place and behind it in its block.
    #[inline(always)]
    fn at(&self, place: u64) -> Option<&[u8]> {
        self.blocks[self.block(place)].bytes.get(self.offset(place)..)
    }

    fn at_mut(&mut self, place: u64) -> Option<&mut [u8]> {
        let (block, offset) = (self.block(place), self.offset(place));
        self.blocks[block].bytes.get_mut(offset..)
    }

    /// The block of a place.
    #[inline(always)]
    fn block(&self, place: u64) -> usize {
        (place >> self.block_bytes.trailing_zeros()) as usize % BLOCKS
    }

    /// Where in its block a place is.
    #[inline(always)]
    fn offset(&self, place: u64) -> usize {
        place as usize & self.block_bytes.saturating_sub(1)
    }

    pub(crate) fn stored(&self) -> Stored {
        let lists = self.lists.all(self.head, self.tail);
        let mut headers: Vec<(u64, Header)> = lists.flat_map(|last| self.list_from(Some(last))).collect();
        headers.sort_unstable_by_key(|(place, _)| *place);
        let record = |(place, header): (u64, Header)| {
            let Header { kind, home, number, secs, word, .. } = header;
            let bytes = self.bytes_of(place, &header)?.into();
            (number != TAKEN).then_some(StoredRecord { kind, home, number, secs, word, bytes })
        };
        let records = headers.into_iter().filter_map(record).collect();
        Stored { lost: self.lost, youngest: self.youngest, records }
    }

    pub(crate) fn restored(most: usize, stored: Stored) -> Passed {
        let mut passed = Passed::new(most);
        (passed.youngest, passed.lost) = (stored.youngest, stored.lost);
        for StoredRecord { kind, home, number, secs, word, bytes } in stored.records {
            if passed.size(bytes.len()) <= passed.block_bytes {
                // Of an entry it is not known any more.
                let second = if kind & ENTRY == 0 { Second::from_bits(word) } else { Second::of_age(stored.youngest) };
                passed.add(Header { length: 0, kind, home, before: 0, number, secs, word }, second, &bytes);
            }
        }
        passed
    }
}

fn bytes(input: Input<'_>) -> &[u8] {
    match input {
        Input::Line(bytes) | Input::Record(bytes) => bytes,
    }
}
