//! A journal in one file: what a filter holds outlives its process.
//!
//! It keeps *records*, as they came in, by the ticket under which the engine has them, until the ticket is given back; and
//! what *waits* to leave, by numbers of its own, until it is gone. An entry is written before the call returns that needs
//! it to be, so that the end of the process, however it comes, takes nothing with it. The system's own end may: nothing
//! waits for the disk, but for the file as a whole when it is written anew.
//!
//! A torn end is cut off, a spoilt entry left out, both counted. Entries are records, not state: another version reads
//! them, too, as long as their form is the same; a file of another form is refused. The file is written anew, with what is
//! still needed, when most of it is not.

// Nothing that a record can reach is taken for granted.
#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::unreachable, clippy::todo)
)]

mod disk;
mod entries;
mod frame;
mod memory;
#[cfg(target_family = "wasm")]
pub mod wasi;

pub use disk::{Disk, Named, Trouble};
use entries::{Entries, Place};
use frame::{Read, Verb};
pub use memory::{Memory, Remembered};

/// How every journal begins; the number is that of the form of its entries.
const MAGIC: &[u8] = b"abort-reason journal 2\n";

/// How a journal begins whatever its form.
const NAME: &[u8] = b"abort-reason journal ";

/// Bytes that are looked at in vain, for each one of the file, before the search for whole entries in what is spoilt ends:
/// what somebody has written there on purpose must not take for ever.
const PATIENCE: u64 = 8;

/// Bytes read and written at a time.
const CHUNK: usize = 64 << 10;

/// A file of more bytes than this, and than three times what is needed of it, is written anew.
const LEAST: u64 = 1 << 20;

/// Beyond so many bytes of what is needed only held records are kept, and beyond twice as many none.
const MOST: u64 = 64 << 20;

/// Bytes that may wait to be written while the disk fails. Where there is more, nothing is noted any more until the disk is
/// well again: what is in the file is then older than it should be, and something may come twice.
const PENDING: usize = 1 << 20;

const SHORTER: Trouble = Trouble { tried: "read", said: "the file is shorter than it was" };

/// A journal on a disk.
#[derive(Debug)]
pub struct Journal<D> {
    disk: D,
    /// Bytes of the file.
    size: u64,
    records: Entries,
    waiting: Entries,
    /// Bytes of the entries that are needed.
    needed: u64,
    pending: Vec<u8>,
    /// The file is not written anew before it has grown to this.
    due: u64,
    last_number: u64,
    lost: u64,
    trouble: Option<Trouble>,
    /// Something was not noted since the disk began to fail.
    refuses: bool,
    /// A part of what could not be written may stand behind the end.
    torn: bool,
}

impl<D: Disk> Journal<D> {
    /// Opens a journal, or begins one. A file that is none is left alone.
    pub fn open(mut disk: D) -> Result<Journal<D>, Trouble> {
        let length = disk.open()?;
        let mut journal = Journal {
            disk,
            size: 0,
            records: Entries::default(),
            waiting: Entries::default(),
            needed: 0,
            pending: Vec::new(),
            due: LEAST,
            last_number: 0,
            lost: 0,
            trouble: None,
            refuses: false,
            torn: false,
        };
        let mut magic = [0; MAGIC.len()];
        let read = journal.disk.read_at(0, &mut magic)?;
        if !MAGIC.starts_with(&magic[..read]) {
            let is_one = magic[..read].starts_with(NAME);
            let said =
                if is_one { "this journal is of another version" } else { "this file is no journal of abort-reason" };
            return Err(Trouble { tried: "open", said });
        }
        if read < MAGIC.len() {
            journal.disk.truncate(0)?;
            journal.disk.append(MAGIC)?;
            journal.size = MAGIC.len() as u64;
            return Ok(journal);
        }
        journal.size = journal.scan(length)?;
        if journal.size < length {
            journal.lost += length - journal.size;
            journal.disk.truncate(journal.size)?;
        }
        Ok(journal)
    }

    /// Reads the entries; gives where they end. Behind what is spoilt the next whole entry is looked for, byte by byte:
    /// records are text, in which no entry can seem to begin.
    fn scan(&mut self, length: u64) -> Result<u64, Trouble> {
        let mut at = MAGIC.len() as u64;
        let (mut buffer, mut start, mut wanted) = (Vec::new(), 0, 1);
        // Spoilt bytes that may be followed by an entry.
        let mut doubtful = 0;
        let mut in_vain = 0;
        while at < length && in_vain <= PATIENCE * length.max(LEAST) {
            // An entry that would end behind the file is none.
            let is_there = at + wanted as u64 <= length;
            if is_there && buffer.len() - start < wanted {
                buffer.drain(..start);
                start = 0;
                let room = CHUNK.max(wanted).min((length - at) as usize);
                if fill(&mut self.disk, &mut buffer, at, room)? < wanted {
                    return Err(SHORTER);
                }
            }
            let read = if is_there { frame::read(&buffer[start..]) } else { Read::Nothing { looked_at: 0 } };
            let passed = match read {
                Read::Needs(bytes) => {
                    wanted = bytes;
                    continue;
                }
                Read::Nothing { looked_at } => {
                    in_vain += looked_at as u64;
                    doubtful += 1;
                    1
                }
                Read::Entry { verb, number, bytes } => {
                    self.lost += std::mem::take(&mut doubtful);
                    let length = bytes.len();
                    self.note(verb, number, at, length);
                    frame::HEADER + length
                }
                Read::Unknown(bytes) => {
                    self.lost += std::mem::take(&mut doubtful) + bytes as u64;
                    bytes
                }
            };
            (at, start, wanted) = (at + passed as u64, start + passed, 1);
        }
        Ok(at - doubtful)
    }

    /// What an entry at a place changes.
    fn note(&mut self, verb: Verb, number: u64, at: u64, length: usize) {
        self.last_number = self.last_number.max(number);
        let offset = at + frame::HEADER as u64;
        let place = Place { offset, length, held: verb == Verb::Hold };
        let gone = match verb {
            Verb::Hold | Verb::Keep => self.records.insert(number, place),
            Verb::Wait => self.waiting.insert(number, place),
            Verb::Release => self.records.remove(number),
            Verb::Go => self.waiting.remove(number),
            Verb::Leave => {
                if let Some(record) = self.records.get_mut(number) {
                    record.held = false;
                }
                None
            }
        };
        let whole = |length: usize| (frame::HEADER + length) as u64;
        if matches!(verb, Verb::Hold | Verb::Keep | Verb::Wait) {
            self.needed += whole(length);
        }
        self.needed -= gone.map_or(0, |place| whole(place.length));
    }

    /// The tickets of the records, in their order, each with whether it is held.
    pub fn records(&self) -> Vec<(u64, bool)> {
        self.records.all().into_iter().map(|(ticket, place)| (ticket, place.held)).collect()
    }

    /// The numbers of what waits to leave, in their order.
    pub fn waiting(&self) -> Vec<u64> {
        self.waiting.all().into_iter().map(|(number, _)| number).collect()
    }

    /// A record.
    pub fn record(&mut self, ticket: u64) -> Result<Vec<u8>, Trouble> {
        let place = self.records.get(ticket).copied();
        place.map_or(Ok(Vec::new()), |place| self.bytes(place))
    }

    /// What waits under a number.
    pub fn waits(&mut self, number: u64) -> Result<Vec<u8>, Trouble> {
        let place = self.waiting.get(number).copied();
        place.map_or(Ok(Vec::new()), |place| self.bytes(place))
    }

    fn bytes(&mut self, place: Place) -> Result<Vec<u8>, Trouble> {
        if let Some(at) = place.offset.checked_sub(self.size) {
            return Ok(self
                .pending
                .get(at as usize..)
                .and_then(|rest| rest.get(..place.length))
                .unwrap_or_default()
                .into());
        }
        let mut bytes = vec![0; place.length];
        let read = self.disk.read_at(place.offset, &mut bytes)?;
        if read < place.length {
            return Err(SHORTER);
        }
        Ok(bytes)
    }

    /// The highest ticket or number that is in use, or was.
    pub fn last_number(&self) -> u64 {
        self.last_number
    }

    /// Bytes that were torn or spoilt.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Why nothing can be written at present.
    pub fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }

    /// A record that the engine needs until its ticket is given back. It is held if nobody else has it; false if it has no
    /// place here.
    pub fn keep(&mut self, ticket: u64, held: bool, record: &[u8]) -> bool {
        if self.needed > if held { 2 * MOST } else { MOST } {
            return false;
        }
        self.add(if held { Verb::Hold } else { Verb::Keep }, ticket, record)
    }

    /// A held record has left, or something about it.
    pub fn leave(&mut self, ticket: u64) {
        if self.records.get(ticket).is_some_and(|record| record.held) {
            let _ = self.add(Verb::Leave, ticket, b"");
        }
    }

    /// A ticket is given back.
    pub fn release(&mut self, ticket: u64) {
        if self.records.get(ticket).is_some() {
            let _ = self.add(Verb::Release, ticket, b"");
        }
    }

    /// Something waits to leave.
    pub fn wait(&mut self, number: u64, bytes: &[u8]) {
        let _ = self.add(Verb::Wait, number, bytes);
    }

    /// It is gone.
    pub fn go(&mut self, number: u64) {
        if self.waiting.get(number).is_some() {
            let _ = self.add(Verb::Go, number, b"");
        }
    }

    fn add(&mut self, verb: Verb, number: u64, bytes: &[u8]) -> bool {
        let whole = frame::HEADER + bytes.len();
        // What follows may rest on what is not noted: that a record has left, on its being among those that wait.
        self.refuses |= whole > frame::LONGEST || self.trouble.is_some() && self.pending.len() + whole > PENDING;
        if self.refuses {
            return false;
        }
        self.note(verb, number, self.size + self.pending.len() as u64, bytes.len());
        frame::write(&mut self.pending, verb, number, bytes);
        true
    }

    /// Writes what has been noted. After an error it is kept for the next attempt. Where the file was taken away, there is one
    /// again.
    pub fn flush(&mut self) -> Result<(), Trouble> {
        let written = self.write();
        self.trouble = written.err();
        written?;
        self.refuses = false;
        if self.size > self.due.max(3 * self.needed) {
            self.due = LEAST;
            if self.write_anew().is_err() {
                // The file at hand is as good as it was.
                self.due += self.size;
            }
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), Trouble> {
        match self.disk.named()? {
            Named::Open(length) if length == self.size => {}
            Named::Open(length) if self.torn && length > self.size => self.disk.truncate(self.size)?,
            Named::Nothing => {
                let lost = self.lost;
                self.write_anew()?;
                // Once: the new file has all that there is.
                return if self.lost > lost { Err(SHORTER) } else { Ok(()) };
            }
            Named::Open(_) | Named::Other => {
                return Err(Trouble { tried: "write", said: "somebody else has changed the file" });
            }
        }
        if let Err(trouble) = self.disk.append(&self.pending) {
            // What was written of it would be taken for a torn end.
            self.torn = self.disk.truncate(self.size).is_err();
            return Err(trouble);
        }
        self.torn = false;
        self.size += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Writes what is needed into a new file, what waits to be written among it, which takes the place of the old one.
    fn write_anew(&mut self) -> Result<(), Trouble> {
        let written = self.try_anew();
        if written.is_err() {
            // What there is of it gives its room back.
            let _ = self.disk.begin_new();
        }
        written
    }

    fn try_anew(&mut self) -> Result<(), Trouble> {
        self.disk.begin_new()?;
        let mut moved = Moved { chunk: MAGIC.to_vec(), written: 0, lost: 0 };
        let records = self.copy_to(&mut moved, Verb::Keep, self.records.all())?;
        let waiting = self.copy_to(&mut moved, Verb::Wait, self.waiting.all())?;
        moved.flush(&mut self.disk)?;
        self.disk.commit_new()?;
        (self.size, self.records, self.waiting) = (moved.written, records, waiting);
        self.needed -= moved.lost;
        self.lost += moved.lost;
        self.pending.clear();
        self.torn = false;
        Ok(())
    }

    /// Copies entries to the new file; gives where they stand there.
    fn copy_to(&mut self, moved: &mut Moved, verb: Verb, entries: Vec<(u64, Place)>) -> Result<Entries, Trouble> {
        let mut copied = Entries::default();
        for (number, place) in entries {
            let bytes = match self.bytes(place) {
                // Somebody has cut the file off.
                Err(SHORTER) => {
                    moved.lost += (frame::HEADER + place.length) as u64;
                    continue;
                }
                bytes => bytes?,
            };
            let verb = if place.held { Verb::Hold } else { verb };
            let offset = moved.add(&mut self.disk, verb, number, &bytes)?;
            copied.insert(number, Place { offset, ..place });
        }
        Ok(copied)
    }
}

/// A new file on its way.
struct Moved {
    chunk: Vec<u8>,
    written: u64,
    /// Bytes of entries that could not be read any more.
    lost: u64,
}

impl Moved {
    /// Adds an entry; gives where its bytes stand.
    fn add<D: Disk>(&mut self, disk: &mut D, verb: Verb, number: u64, bytes: &[u8]) -> Result<u64, Trouble> {
        let at = self.written + self.chunk.len() as u64;
        frame::write(&mut self.chunk, verb, number, bytes);
        if self.chunk.len() > CHUNK {
            self.flush(disk)?;
        }
        Ok(at + frame::HEADER as u64)
    }

    fn flush<D: Disk>(&mut self, disk: &mut D) -> Result<(), Trouble> {
        disk.append_new(&self.chunk)?;
        self.written += self.chunk.len() as u64;
        self.chunk.clear();
        Ok(())
    }
}

/// Reads until a buffer, whose first byte stands at a place of the file, has so many bytes; gives how many it has.
fn fill<D: Disk>(disk: &mut D, buffer: &mut Vec<u8>, at: u64, bytes: usize) -> Result<usize, Trouble> {
    while buffer.len() < bytes {
        let had = buffer.len();
        buffer.resize(bytes, 0);
        let read = disk.read_at(at + had as u64, &mut buffer[had..]);
        buffer.truncate(had + *read.as_ref().unwrap_or(&0));
        if read? == 0 {
            break;
        }
    }
    Ok(buffer.len())
}
