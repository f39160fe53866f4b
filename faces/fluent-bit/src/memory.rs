//! What outlives the process: a journal in a file, and what is said where it can't be used.

use abort_reason_journal::{Journal, Trouble};

use crate::system::File;

/// Under this number the journal remembers that slots came, and under which tag.
const SLOTS: u64 = 0;

/// What fails is tried again after so many milliseconds, and after twice as many each time, up to a bound.
const FIRST_PAUSE: u64 = 1_000;
const LONGEST_PAUSE: u64 = 64_000;

/// The journal, if there is to be one.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    journal: Option<Journal<File>>,
    trouble: Option<Trouble>,
    /// The trouble has been told since it began.
    told: bool,
    /// Tickets of the process before, and whether their records are held.
    remembered: std::vec::IntoIter<(u64, bool)>,
    /// Numbers up to this one are this process's own, from before it had the journal, where they mean something else.
    used: u64,
    /// When to try again what failed, and the pause until then, in milliseconds.
    next_try: u64,
    pause: u64,
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

    /// Writes what was noted, and tries again what failed, by a clock in milliseconds; true if the file is to be opened.
    pub(crate) fn tick(&mut self, now: u64) -> bool {
        if !self.is_safe() && now < self.next_try {
            return false;
        }
        let is_to_be_opened = !self.is_safe() && self.journal.is_none();
        if !is_to_be_opened {
            self.write();
        }
        self.pause = if self.is_safe() { 0 } else { (2 * self.pause).clamp(FIRST_PAUSE, LONGEST_PAUSE) };
        self.next_try = now + self.pause;
        is_to_be_opened
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
                    if ticket <= self.used && journal.keep(own, held, &record) {
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
                Ok(record) if number <= self.used => {
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

    /// A record is kept; held, if nobody else has it. False if it has no place where one is wanted.
    pub(crate) fn keep(&mut self, ticket: u64, held: bool, record: &[u8]) -> bool {
        self.note(|journal| journal.keep(ticket, held, record)).unwrap_or(self.is_safe())
    }

    /// A held record has left, or something about it.
    pub(crate) fn leave(&mut self, ticket: u64) {
        if ticket > self.used {
            self.note(|journal| journal.leave(ticket));
        }
    }

    /// A ticket is given back.
    pub(crate) fn release(&mut self, ticket: u64) {
        if ticket > self.used {
            self.note(|journal| journal.release(ticket));
        }
    }

    /// Notes something, if there is a journal.
    pub(crate) fn note<T>(&mut self, note: impl FnOnce(&mut Journal<File>) -> T) -> Option<T> {
        self.journal.as_mut().map(note)
    }

    /// Writes what was noted; whether all is safe. Behind a failure only [`Memory::tick`] tries again.
    pub(crate) fn flush(&mut self) -> bool {
        if self.is_safe() {
            self.write();
        }
        self.is_safe()
    }

    fn write(&mut self) {
        if let Some(journal) = &mut self.journal {
            self.trouble = journal.flush().err();
        }
    }

    /// Leaves the file as it is: what is in it comes again after a restart.
    pub(crate) fn abandon(&mut self) {
        std::mem::forget(self.journal.take());
    }
}
