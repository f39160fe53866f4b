//! What outlives the process: a journal in a file, and what is said where it can't be used.

use abort_reason_journal::{Journal, Trouble};

use crate::system::File;

/// Under this number the journal remembers that slots came, and under which tag.
const SLOTS: u64 = 0;

/// A file that can't be opened is tried again, at most so many ticks later.
const LONGEST_PAUSE: u32 = 63;

/// The journal, if there is to be one.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    journal: Option<Journal<File>>,
    trouble: Option<Trouble>,
    /// The trouble has been told since it began.
    told: bool,
    /// Tickets of the process before, and whether their records are held.
    remembered: std::vec::IntoIter<(u64, bool)>,
    /// Numbers up to this one are this process's own: it began without the journal.
    used: u64,
    /// Ticks to go until the next attempt to open the file, and how many there were between the last two.
    pause: u32,
    last_pause: u32,
}

/// What a record was to the process before.
#[derive(Debug)]
pub(crate) struct Remembered {
    pub ticket: u64,
    /// Nobody else has it.
    pub held: bool,
    pub record: Vec<u8>,
}

impl Memory {
    /// Opens the file with a name; none is wanted where it is empty. The process has used the numbers up to one.
    pub(crate) fn open(&mut self, name: &str, used: u64) {
        if name.is_empty() {
            return;
        }
        match Journal::open(File::new(name)) {
            Ok(journal) => {
                let mut remembered = journal.records();
                remembered.retain(|(ticket, _)| *ticket != SLOTS);
                let (journal, remembered) = (Some(journal), remembered.into_iter());
                *self = Memory { journal, remembered, used, ..Memory::default() };
            }
            Err(trouble) => self.trouble = Some(trouble),
        }
    }

    /// Whether the file could not be opened, and is to be tried again now. Asked at each tick.
    pub(crate) fn is_to_be_opened(&mut self) -> bool {
        if self.journal.is_some() || self.trouble.is_none() {
            return false;
        }
        if let Some(pause) = self.pause.checked_sub(1) {
            self.pause = pause;
            return false;
        }
        self.last_pause = (2 * self.last_pause + 1).min(LONGEST_PAUSE);
        self.pause = self.last_pause;
        true
    }

    /// Whether nothing gets lost that is noted here, or nobody wants that.
    pub(crate) fn is_safe(&self) -> bool {
        self.trouble.is_none()
    }

    /// The trouble, once.
    pub(crate) fn news(&mut self) -> bool {
        let is_new = self.trouble.is_some() && !self.told;
        self.told = self.trouble.is_some();
        is_new
    }

    pub(crate) fn trouble(&self) -> String {
        self.trouble.map(|trouble| trouble.to_string()).unwrap_or_default()
    }

    /// Bytes of the file, and those of it that were torn or spoilt.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        self.journal.as_ref().map_or((0, 0), |journal| (journal.size(), journal.lost()))
    }

    /// Whether slots came to the process before, under this tag.
    pub(crate) fn has_slots(&mut self, tag: &str) -> bool {
        self.journal.as_mut().is_some_and(|journal| journal.record(SLOTS).is_ok_and(|known| known == tag.as_bytes()))
    }

    /// The next record that the process before had, in their order.
    pub(crate) fn next_remembered(&mut self) -> Option<Remembered> {
        let journal = self.journal.as_mut()?;
        loop {
            let (mut ticket, held) = self.remembered.next()?;
            match journal.record(ticket) {
                Ok(record) => {
                    // Under the number of before it stays until it has another one.
                    let own = self.used.max(journal.last_number()) + 1;
                    if self.used > 0 && journal.keep(own, held, &record) {
                        journal.release(ticket);
                        ticket = own;
                        self.trouble = journal.flush().err();
                    }
                    return Some(Remembered { ticket, held, record });
                }
                Err(trouble) => self.trouble = Some(trouble),
            }
        }
    }

    /// What waited to leave, by its numbers. What holds a zero is no record: somebody else wrote it, and it would not
    /// arrive whole.
    pub(crate) fn waiting(&mut self) -> Vec<(u64, Vec<u8>)> {
        let Some(journal) = &mut self.journal else { return Vec::new() };
        let mut waiting = Vec::new();
        for number in journal.waiting() {
            match journal.waits(number) {
                Ok(record) if record.contains(&0) => journal.go(number),
                Ok(record) if self.used > 0 => {
                    let own = self.used.max(journal.last_number()) + 1;
                    journal.wait(own, &record);
                    journal.go(number);
                    waiting.push((own, record));
                }
                Ok(record) => waiting.push((number, record)),
                Err(_) => {}
            }
        }
        waiting
    }

    /// The highest ticket or number that was used.
    pub(crate) fn last_number(&self) -> u64 {
        self.journal.as_ref().map_or(0, Journal::last_number)
    }

    /// Remembers that slots come.
    pub(crate) fn note_slots(&mut self, tag: &str) {
        self.note(|journal| journal.keep(SLOTS, false, tag.as_bytes()));
    }

    /// A record is kept; held, if nobody else has it. False if it is, and has no place.
    pub(crate) fn keep(&mut self, ticket: u64, held: bool, record: &[u8]) -> bool {
        self.note(|journal| journal.keep(ticket, held, record)).unwrap_or(true) || !held
    }

    /// Notes something, if there is a journal.
    pub(crate) fn note<T>(&mut self, note: impl FnOnce(&mut Journal<File>) -> T) -> Option<T> {
        self.journal.as_mut().map(note)
    }

    /// Writes what was noted; whether all is safe. Behind a failure only [`Memory::retry`] tries again.
    pub(crate) fn flush(&mut self) -> bool {
        if self.is_safe() {
            self.retry();
        }
        self.is_safe()
    }

    /// Writes what was noted, also behind a failure.
    pub(crate) fn retry(&mut self) {
        if let Some(journal) = &mut self.journal {
            self.trouble = journal.flush().err();
        }
    }

    /// Leaves the file as it is: what is in it comes again after a restart.
    pub(crate) fn abandon(&mut self) {
        std::mem::forget(self.journal.take());
    }
}
