//! What must not be lost, on disk: one file of redb, every commit of what was promised synced.
//!
//! A component computes nothing but from what it is given, so its state is that of the snapshot and of all that went in
//! since. One commit holds what requests brought, what the component made of it, and what it let go of: all of it happened
//! or nothing, and the requests are answered accordingly.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

use super::parcel::{Parcel, ParcelKind};
pub(super) use error::{JournalError, Result};

mod error;
mod opening;

/// What went in since the snapshot, in order.
const INPUT: TableDefinition<'_, u64, (u64, u64, &[u8])> = TableDefinition::new("input");
/// Events that the component keeps, by ticket: whether they have left, and their bytes.
const KEPT: TableDefinition<'_, u64, (bool, &[u8])> = TableDefinition::new("kept");
/// What the destination has not accepted yet, in order: each the events of a request, and what they are, see [`Parcel`].
const OUTBOX: TableDefinition<'_, u64, (u8, &[u8])> = TableDefinition::new("outbox");
/// Names of the requests that were taken, and the same in order.
const TAKEN: TableDefinition<'_, &[u8], u64> = TableDefinition::new("taken");
const TAKEN_ORDER: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("taken_order");
/// The snapshot, counters, and the format of this file.
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

/// Raised with every change of what is stored.
const FORMAT: &[u8] = b"abort-reason journal 2";
/// How many requests are remembered, to recognise those that come again.
const REMEMBERED: u64 = 20_000;
/// Bytes of the file that redb keeps in memory.
const CACHE: usize = 64 << 20;

/// One call that changed the component: `push` of JSON objects, a line each, or `advance` where there are none.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Input {
    pub now_ms: u64,
    /// The ticket of the first object; the others follow.
    pub first_ticket: u64,
    pub lines: Vec<u8>,
}

/// An event that the component keeps.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kept {
    pub ticket: u64,
    /// It has been forwarded, or something about it was issued: it is kept for others' sake, or for a later word.
    pub left: bool,
    pub event: Bytes,
}

/// One change, all or nothing.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub input: Vec<Input>,
    pub keep: Vec<Kept>,
    pub left: BTreeSet<u64>,
    pub release: Vec<u64>,
    pub outbox: Vec<Parcel>,
    /// Entries of the outbox that the destination has accepted.
    pub accepted: Vec<u64>,
    /// Names of the requests that were taken.
    pub taken: Vec<Vec<u8>>,
    /// The component's state after all that; what went in before is then forgotten.
    pub snapshot: Option<Vec<u8>>,
    /// The first ticket that is free after all that, and the clock, where they have changed.
    pub next_ticket: Option<u64>,
    pub now_ms: Option<u64>,
}

impl Change {
    pub(super) fn is_empty(&self) -> bool {
        self.input.is_empty()
            && self.keep.is_empty()
            && self.left.is_empty()
            && self.release.is_empty()
            && self.outbox.is_empty()
            && self.accepted.is_empty()
            && self.taken.is_empty()
            && self.snapshot.is_none()
            && self.now_ms.is_none()
    }
}

/// How much there is, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sizes {
    pub input: u64,
    pub kept: u64,
    pub outbox: u64,
}

impl Sizes {
    pub(super) fn sum(self) -> u64 {
        self.input + self.kept + self.outbox
    }
}

/// The journal, for the one who writes it.
pub(super) struct Journal {
    file: PathBuf,
    database: Shared,
    next: Next,
    pub sizes: Sizes,
}

/// The outbox, for the one who empties it.
#[derive(Clone)]
pub(super) struct Outbox(Shared);

/// An entry of the outbox.
#[derive(Debug, PartialEq)]
pub(super) struct Entry {
    pub number: u64,
    pub parcel: Parcel,
}

/// The store. A failure of the disk closes it, whoever met it; who writes it opens it again.
#[derive(Clone)]
struct Shared(Arc<RwLock<Option<Database>>>);

impl Shared {
    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T>) -> Result<T> {
        let done = match self.0.read().unwrap_or_else(PoisonError::into_inner).as_ref() {
            Some(database) => work(database),
            None => Err(JournalError::Store("it is closed after a failure".to_owned())),
        };
        if done.is_err() {
            // It may go on to read from memory what it can't write any more.
            *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
        done
    }

    fn is_closed(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

/// The numbers to give next.
#[derive(Debug, Clone, Copy)]
struct Next {
    input: u64,
    outbox: u64,
    taken: u64,
}

/// What the component is made of again.
#[derive(Debug, Default, PartialEq)]
pub(super) struct State {
    pub snapshot: Option<Vec<u8>>,
    pub input: Vec<Input>,
    pub next_ticket: u64,
    pub now_ms: u64,
}

impl Journal {
    /// Opens the journal in a folder, which is made if need be.
    pub(super) fn open(folder: &Path) -> Result<Journal> {
        let unusable = |error: std::io::Error| JournalError::Store(error.to_string());
        std::fs::create_dir_all(folder).map_err(unusable)?;
        let file = folder.join("journal.redb");
        match std::fs::symlink_metadata(&file) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => opening::create(folder, &file)?,
            Err(error) => return Err(unusable(error)),
        }
        let (database, next, sizes) = opening::start(&file)?;
        Ok(Journal { file, database: Shared(Arc::new(RwLock::new(Some(database)))), next, sizes })
    }

    /// Closes the store and opens it again.
    pub(super) fn reopen(&mut self) -> Result<()> {
        let mut database = self.database.0.write().unwrap_or_else(PoisonError::into_inner);
        // The file is locked until this is gone.
        *database = None;
        let (opened, next, sizes) = opening::start(&self.file)?;
        *database = Some(opened);
        (self.next, self.sizes) = (next, sizes);
        Ok(())
    }

    /// Whether a failure has closed the store.
    pub(super) fn is_closed(&self) -> bool {
        self.database.is_closed()
    }

    /// The number of the last entry of the outbox.
    pub(super) fn last_outgoing(&self) -> u64 {
        self.next.outbox - 1
    }

    /// The end at which the outbox is emptied.
    pub(super) fn outbox(&self) -> Outbox {
        Outbox(self.database.clone())
    }

    /// Makes a change durable.
    pub(super) fn commit(&mut self, change: &Change) -> Result<()> {
        if change.is_empty() {
            return Ok(());
        }
        let (next, sizes) = self.database.with(|database| write(database, change, self.next, self.sizes))?;
        (self.next, self.sizes) = (next, sizes);
        Ok(())
    }

    /// What the component is made of again.
    pub(super) fn state(&self) -> Result<State> {
        self.database.with(|database| {
            let read = database.begin_read()?;
            let meta = read.open_table(META)?;
            let mut input = Vec::new();
            for entry in read.open_table(INPUT)?.iter()? {
                let (_, value) = entry?;
                let (now_ms, first_ticket, lines) = value.value();
                input.push(Input { now_ms, first_ticket, lines: lines.to_vec() });
            }
            Ok(State {
                snapshot: meta.get("snapshot")?.map(|value| value.value().to_vec()),
                input,
                next_ticket: number(&meta, "next_ticket")?.max(1),
                now_ms: number(&meta, "now_ms")?,
            })
        })
    }

    /// All events that the component keeps, in the order in which they came.
    pub(super) fn all_kept(&self) -> Result<Vec<Kept>> {
        self.database.with(|database| {
            let read = database.begin_read()?;
            let mut all = Vec::new();
            for entry in read.open_table(KEPT)?.iter()? {
                let (ticket, value) = entry?;
                let (left, event) = value.value();
                all.push(Kept { ticket: ticket.value(), left, event: Bytes::copy_from_slice(event) });
            }
            Ok(all)
        })
    }

    /// One event that the component keeps.
    pub(super) fn kept(&self, ticket: u64) -> Result<Option<Kept>> {
        self.database.with(|database| {
            let read = database.begin_read()?;
            Ok(read.open_table(KEPT)?.get(ticket)?.map(|value| {
                let (left, event) = value.value();
                Kept { ticket, left, event: Bytes::copy_from_slice(event) }
            }))
        })
    }

    /// Whether a request was taken before.
    pub(super) fn has_taken(&self, name: &[u8]) -> Result<bool> {
        self.database.with(|database| Ok(database.begin_read()?.open_table(TAKEN)?.get(name)?.is_some()))
    }
}

impl Outbox {
    /// The first entry behind one.
    pub(super) fn after(&self, last: u64) -> Result<Option<Entry>> {
        self.0.with(|database| {
            let read = database.begin_read()?;
            let first = read.open_table(OUTBOX)?.range(last + 1..)?.next().transpose()?;
            Ok(first.map(|(number, value)| {
                let (kind, events) = value.value();
                let parcel = Parcel { kind: ParcelKind::of(kind), events: events.to_vec() };
                Entry { number: number.value(), parcel }
            }))
        })
    }
}

/// Writes a change in one transaction.
fn write(database: &Database, change: &Change, mut next: Next, mut sizes: Sizes) -> Result<(Next, Sizes)> {
    let write = database.begin_write()?;
    {
        let mut meta = write.open_table(META)?;
        let mut input = write.open_table(INPUT)?;
        for call in &change.input {
            input.insert(next.input, (call.now_ms, call.first_ticket, call.lines.as_slice()))?;
            next.input += 1;
            sizes.input += weight(call.lines.len());
        }
        if let Some(snapshot) = &change.snapshot {
            meta.insert("snapshot", snapshot.as_slice())?;
            input.retain(|_, _| false)?;
            sizes.input = 0;
        }
        let mut kept = write.open_table(KEPT)?;
        for Kept { ticket, left, event } in &change.keep {
            kept.insert(ticket, (*left, &event[..]))?;
            sizes.kept += event.len() as u64;
        }
        for ticket in &change.left {
            let event = kept.get(ticket)?.map(|kept| kept.value().1.to_vec());
            if let Some(event) = event {
                kept.insert(ticket, (true, event.as_slice()))?;
            }
        }
        for ticket in &change.release {
            if let Some(gone) = kept.remove(ticket)? {
                sizes.kept = sizes.kept.saturating_sub(gone.value().1.len() as u64);
            }
        }
        let mut outbox = write.open_table(OUTBOX)?;
        for Parcel { kind, events } in &change.outbox {
            outbox.insert(next.outbox, (*kind as u8, events.as_slice()))?;
            next.outbox += 1;
            sizes.outbox += events.len() as u64;
        }
        for accepted in &change.accepted {
            if let Some(gone) = outbox.remove(accepted)? {
                sizes.outbox = sizes.outbox.saturating_sub(gone.value().1.len() as u64);
            }
        }
        let numbers =
            [("next_ticket", change.next_ticket), ("now_ms", change.now_ms), ("next_outbox", Some(next.outbox))];
        for (name, number) in numbers {
            if let Some(number) = number {
                meta.insert(name, &number.to_le_bytes()[..])?;
            }
        }
        next.taken = take(&write, &change.taken, next.taken)?;
    }
    write.commit()?;
    Ok((next, sizes))
}

/// What a call takes on disk, and in memory when it is read again: most calls are small.
fn weight(lines: usize) -> u64 {
    lines as u64 + 64
}

/// Remembers names of requests, and forgets the oldest.
fn take(write: &WriteTransaction, names: &[Vec<u8>], mut next: u64) -> Result<u64> {
    if names.is_empty() {
        return Ok(next);
    }
    let (mut taken, mut order) = (write.open_table(TAKEN)?, write.open_table(TAKEN_ORDER)?);
    for name in names {
        taken.insert(name.as_slice(), next)?;
        order.insert(next, name.as_slice())?;
        next += 1;
    }
    loop {
        let oldest = order.first()?.map(|(key, name)| (key.value(), name.value().to_vec()));
        let Some((oldest, name)) = oldest.filter(|(oldest, _)| oldest + REMEMBERED < next) else { return Ok(next) };
        taken.remove(name.as_slice())?;
        order.remove(oldest)?;
    }
}

fn number(meta: &impl ReadableTable<&'static str, &'static [u8]>, name: &str) -> Result<u64> {
    let bytes = meta.get(name)?.map(|value| value.value().to_vec()).unwrap_or_default();
    Ok(bytes.try_into().map_or(0, u64::from_le_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(ticket: u64, left: bool, event: &'static str) -> Kept {
        Kept { ticket, left, event: event.into() }
    }

    fn plain(events: &[u8]) -> Parcel {
        Parcel { events: events.to_vec(), ..Parcel::default() }
    }

    #[test]
    fn a_failure_closes_it_until_it_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path()).unwrap();
        let change = Change { outbox: vec![plain(b"first")], ..Change::default() };
        journal.commit(&change).unwrap();
        // As a read of the outbox meets it.
        let failed = journal.outbox().0.with(|_| Err::<(), _>(JournalError::Store("the disk".to_owned())));
        assert!(failed.is_err() && journal.is_closed());
        assert!(journal.commit(&change).is_err() && journal.state().is_err());
        journal.reopen().unwrap();
        journal.commit(&change).unwrap();
        assert_eq!(journal.last_outgoing(), 2);
    }

    #[test]
    fn what_was_half_made_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("journal.new"), b"\0\0\0").unwrap();
        drop(Journal::open(folder.path()).unwrap());
        assert!(!folder.path().join("journal.new").exists());
        std::fs::write(folder.path().join("journal.redb"), vec![0; 1 << 20]).unwrap();
        assert!(matches!(Journal::open(folder.path()), Err(JournalError::Damaged(_))));
    }

    #[test]
    fn what_is_committed_is_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path()).unwrap();
        assert!(matches!(Journal::open(folder.path()), Err(JournalError::InUse)));
        let input = Input { now_ms: 7, first_ticket: 1, lines: b"{}\n{}\n".to_vec() };
        let change = Change {
            input: vec![input.clone()],
            keep: vec![kept(1, false, "abort"), kept(2, true, "line"), kept(3, false, "entry")],
            outbox: vec![plain(b"first"), plain(b"second")],
            taken: vec![b"name".to_vec()],
            next_ticket: Some(4),
            now_ms: Some(7),
            ..Change::default()
        };
        journal.commit(&change).unwrap();
        assert_eq!(journal.last_outgoing(), 2);
        let change = Change { release: vec![2], left: BTreeSet::from([3, 9]), accepted: vec![1], ..Change::default() };
        journal.commit(&change).unwrap();
        journal.reopen().unwrap();
        drop(journal);
        let mut journal = Journal::open(folder.path()).unwrap();
        assert_eq!(journal.state().unwrap(), State { snapshot: None, input: vec![input], next_ticket: 4, now_ms: 7 });
        assert_eq!(journal.all_kept().unwrap(), [kept(1, false, "abort"), kept(3, true, "entry")]);
        assert_eq!((journal.kept(2).unwrap(), journal.kept(1).unwrap()), (None, Some(kept(1, false, "abort"))));
        assert_eq!(journal.outbox().after(0).unwrap(), Some(Entry { number: 2, parcel: plain(b"second") }));
        assert_eq!(journal.sizes, Sizes { input: 6 + 64, kept: 10, outbox: 6 });
        assert!(journal.has_taken(b"name").unwrap() && !journal.has_taken(b"other").unwrap());
        journal.commit(&Change { snapshot: Some(b"state".to_vec()), accepted: vec![2], ..Change::default() }).unwrap();
        drop(journal);
        let mut journal = Journal::open(folder.path()).unwrap();
        let state = State { snapshot: Some(b"state".to_vec()), input: Vec::new(), next_ticket: 4, now_ms: 7 };
        assert_eq!(journal.state().unwrap(), state);
        journal
            .commit(&Change {
                outbox: vec![Parcel { kind: ParcelKind::Later, ..plain(b"third") }],
                ..Change::default()
            })
            .unwrap();
        assert_eq!(journal.last_outgoing(), 3);
        assert_eq!(
            journal.outbox().after(2).unwrap(),
            Some(Entry { number: 3, parcel: Parcel { kind: ParcelKind::Later, ..plain(b"third") } })
        );
    }
}
