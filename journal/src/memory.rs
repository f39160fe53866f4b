//! What outlives a process: a journal that is opened when it can be, tried again when it fails, and what is said meanwhile.

use crate::{Disk, Journal, Trouble};

/// Under this number the journal has the note that a process leaves for the next one.
const NOTE: u64 = 0;

/// What fails is tried again after so many milliseconds, and after twice as many each time, up to a bound.
const FIRST_PAUSE: u64 = 1_000;
const LONGEST_PAUSE: u64 = 64_000;

/// The journal, if there is to be one.
#[derive(Debug)]
pub struct Memory<D> {
    journal: Option<Journal<D>>,
    trouble: Option<Trouble>,
    /// The trouble has been told since it began.
    told: bool,
    /// Tickets of the process before, and whether their records are held.
    remembered: std::vec::IntoIter<(u64, bool)>,
    /// Numbers up to this one are this process's own, from before it had the journal, where they mean something else.
    used: u64,
    /// How long what is known may matter, in milliseconds, and until when something may be known that is not in the journal:
    /// the next process would not have it, and could give another reason than this one.
    lookback: u64,
    incomplete_until: u64,
    /// Bytes that the journal had lost when it was looked at last.
    lost: u64,
    /// The last tick; when to try again what failed, and the pause until then, in milliseconds.
    now: u64,
    next_try: u64,
    pause: u64,
}

/// What a record was to the process before.
#[derive(Debug)]
pub struct Remembered {
    /// Under which the engine is to have it now.
    pub ticket: u64,
    /// Nobody else has it.
    pub held: bool,
    /// As it came in.
    pub record: Vec<u8>,
}

impl<D: Disk> Memory<D> {
    /// A memory without a journal so far; what is known matters for so many milliseconds.
    pub fn new(lookback: u64) -> Memory<D> {
        Memory {
            journal: None,
            trouble: None,
            told: false,
            remembered: Vec::new().into_iter(),
            used: 0,
            lookback,
            incomplete_until: 0,
            lost: 0,
            now: 0,
            next_try: 0,
            pause: 0,
        }
    }

    /// Opens a journal. The process has used the numbers up to one.
    pub fn open(&mut self, disk: D, used: u64) {
        match Journal::open(disk) {
            Ok(journal) => {
                let mut remembered = journal.records();
                remembered.retain(|(ticket, _)| *ticket != NOTE);
                self.remembered = remembered.into_iter();
                (self.used, self.lost) = (used, journal.lost());
                self.journal = Some(journal);
                (self.trouble, self.told, self.next_try, self.pause) = (None, false, 0, 0);
            }
            Err(trouble) => self.trouble = Some(trouble),
        }
    }

    /// Writes what was noted, and tries again what failed, by a clock in milliseconds; true if the file is to be opened.
    pub fn tick(&mut self, now: u64) -> bool {
        self.now = now;
        if self.trouble.is_some() && now < self.next_try {
            return false;
        }
        let is_to_be_opened = self.trouble.is_some() && self.journal.is_none();
        if !is_to_be_opened {
            self.write();
        }
        let pause = (2 * self.pause).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.pause = if self.trouble.is_some() { pause } else { 0 };
        self.next_try = now + self.pause;
        is_to_be_opened
    }

    /// Whether nothing gets lost that is noted here, or nobody wants that.
    pub fn is_safe(&self) -> bool {
        self.trouble.is_none() && self.now >= self.incomplete_until
    }

    /// For how many seconds that is not so because the journal does not have all that is known.
    pub fn incomplete_secs(&self) -> u64 {
        self.incomplete_until.saturating_sub(self.now).div_ceil(1_000)
    }

    /// The trouble, once.
    pub fn news(&mut self) -> bool {
        let is_new = self.trouble.is_some() && !self.told;
        self.told = self.trouble.is_some();
        is_new
    }

    /// Why the journal can't be opened, read or written at present.
    pub fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }

    /// Bytes of the file, and those of it that were torn or spoilt.
    pub fn bytes(&self) -> (u64, u64) {
        self.journal.as_ref().map_or((0, 0), |journal| (journal.size(), journal.lost()))
    }

    /// Whether the process before has left this note.
    pub fn has_note(&mut self, text: &str) -> bool {
        self.journal.as_mut().is_some_and(|journal| journal.record(NOTE).is_ok_and(|known| known == text.as_bytes()))
    }

    /// The next record that the process before had, in their order.
    pub fn next_remembered(&mut self) -> Option<Remembered> {
        let journal = self.journal.as_mut()?;
        loop {
            let (mut ticket, held) = self.remembered.next()?;
            match journal.record(ticket) {
                Ok(record) => {
                    // Under the number of before it stays until it has another one.
                    let own = own_number(journal, self.used);
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
    pub fn waiting(&mut self) -> Vec<(u64, Vec<u8>)> {
        let Some(journal) = &mut self.journal else { return Vec::new() };
        let mut waiting = Vec::new();
        for number in journal.waiting() {
            match journal.waits(number) {
                Ok(record) if record.contains(&0) => journal.go(number),
                Ok(record) if number <= self.used => {
                    let own = own_number(journal, self.used);
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
    pub fn last_number(&self) -> u64 {
        self.journal.as_ref().map_or(0, Journal::last_number)
    }

    /// Leaves a note for the next process.
    pub fn leave_note(&mut self, text: &str) {
        self.note(|journal| journal.keep(NOTE, false, text.as_bytes()));
    }

    /// A record is kept; held, if nobody else has it. False if it has no place where one is wanted.
    pub fn keep(&mut self, ticket: u64, held: bool, record: &[u8]) -> bool {
        let noted = self.note(|journal| journal.keep(ticket, held, record)).unwrap_or(self.trouble.is_none());
        if !noted {
            self.incomplete_until = self.now + self.lookback;
        }
        noted
    }

    /// A held record has left, or something about it.
    pub fn leave(&mut self, ticket: u64) {
        if ticket > self.used {
            self.note(|journal| journal.leave(ticket));
        }
    }

    /// A ticket is given back.
    pub fn release(&mut self, ticket: u64) {
        if ticket > self.used {
            self.note(|journal| journal.release(ticket));
        }
    }

    /// Something waits to leave.
    pub fn wait(&mut self, number: u64, bytes: &[u8]) {
        self.note(|journal| journal.wait(number, bytes));
    }

    /// It is gone.
    pub fn go(&mut self, number: u64) {
        self.note(|journal| journal.go(number));
    }

    /// Notes something, if there is a journal.
    fn note<T>(&mut self, note: impl FnOnce(&mut Journal<D>) -> T) -> Option<T> {
        self.journal.as_mut().map(note)
    }

    /// Writes what was noted; whether all is safe. Behind a failure only [`Memory::tick`] tries again.
    pub fn flush(&mut self) -> bool {
        if self.trouble.is_none() {
            self.write();
        }
        self.is_safe()
    }

    fn write(&mut self) {
        if let Some(journal) = &mut self.journal {
            self.trouble = journal.flush().err();
            if journal.lost() > std::mem::replace(&mut self.lost, journal.lost()) {
                self.incomplete_until = self.now + self.lookback;
            }
        }
    }

    /// Leaves the file as it is: what is in it comes again after a restart.
    pub fn abandon(&mut self) {
        std::mem::forget(self.journal.take());
    }
}

/// The next number that neither this process nor the one before has used.
fn own_number<D: Disk>(journal: &Journal<D>, used: u64) -> u64 {
    used.max(journal.last_number()) + 1
}
