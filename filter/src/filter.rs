//! What goes out in place of a record that came in.

use abort_reason::{Config, Disposition, Engine, Input, Output, Source, Stats, What, is_object};
use abort_reason_journal::{Memory, Remembered};

use crate::health::{self, Counts, Health, Journal};
use crate::mend;
use crate::slots::Slots;
use crate::{Answer, Host, Incoming, MailLines};

/// Longer records pass without being looked at.
const LONGEST: usize = 1 << 20;
/// Bytes of records that wait for a slot; beyond, no mail line is read until there is room, and no second word is kept where
/// none comes.
const MOST_WAITING: usize = 16 << 20;
/// While records stream in, a tick counts for no more than this many milliseconds: ticks that Fluent Bit was too busy
/// to give are no time that the mail log was silent.
const BUSY_TICK: u64 = 1_000;
/// Milliseconds from the first tick in which nothing leaves by ticks.
const FIRST_TICKS: u64 = 2_000;
/// Milliseconds from the first tick after which what is missing is missed.
const SETTLED: u64 = 60_000;
/// More records than this since the last tick, and what was made of them, are a stream.
const BUSY: u64 = 500;

/// The filter: an engine, and the slots in which its records leave.
#[derive(Debug)]
pub struct Filter<H: Host> {
    host: H,
    engine: Engine,
    slots: Slots,
    /// What the journal says of a process to which slots came.
    note: String,
    /// Seconds between two reports; 0 for none.
    report_secs: u64,
    /// What outlives the process.
    memory: Memory<H::Disk>,
    /// The journal was opened, or that was tried: not before the first call, since a stored module is no process yet.
    opened: bool,
    /// The process before had slots, so this one will.
    had_slots: bool,
    /// How many times records of another stream came.
    streams: u64,
    /// A report is wanted with the next tick.
    wants_report: bool,
    hint: Option<&'static str>,
    /// How many records came from the journal.
    again: u64,
    /// Aborts can't wait.
    stateless: bool,
    sequence: u64,
    look: Look,
    now: u64,
    ticks: Option<Ticks>,
    /// The last number that was given before the last tick.
    ticked: u64,
    counts: Counts,
}

/// How the last record was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// By a few bytes: it is as whole as those that were read before.
    Glance,
    /// It was read, and may be no JSON.
    Read,
    /// The same, and it is not to be looked at again.
    Last,
}

/// When ticks came, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Ticks {
    first: u64,
    last: u64,
    /// The last with a report, and whether it was the last of all.
    reported: u64,
    has_reported: bool,
}

/// Whether a record may be an abort's.
fn is_abort(record: &[u8]) -> bool {
    const CALLBACK: &[u8] = b"/abort";
    record.windows(CALLBACK.len()).any(|part| part.eq_ignore_ascii_case(CALLBACK))
}

/// Whether what is issued tells of an entry for the first time, so that the entry is in it and nowhere else. A message
/// without one has no ticket.
fn is_first_word(output: &Output) -> bool {
    output.tells.is_none_or(|tells| tells.number == 0 && output.ticket != 0)
}

impl<H: Host> Filter<H> {
    /// A filter with a configuration. `note` names what slots come by, and `report_secs` are between two reports, 0 for none.
    pub fn new(config: &Config, note: &str, report_secs: u64, host: H) -> Filter<H> {
        let mut engine = Engine::new(config);
        engine.warm_up();
        // Until a second stream shows that this filter outlives a chunk.
        engine.set_stateless(true);
        Filter {
            host,
            engine,
            slots: Slots::default(),
            note: note.to_owned(),
            report_secs,
            memory: Memory::new((config.lookback_secs * 1_000.0) as u64),
            opened: false,
            had_slots: false,
            streams: 0,
            wants_report: false,
            hint: None,
            again: 0,
            stateless: true,
            sequence: 0,
            look: Look::Glance,
            now: 0,
            ticks: None,
            ticked: 0,
            counts: Counts::default(),
        }
    }

    /// Records of another stream follow. A second one shows that this filter outlives a chunk of records.
    #[inline(never)]
    pub fn next_stream(&mut self) {
        self.streams += 1;
        self.update();
        self.engine.set_stateless(self.stateless);
    }

    /// There is something to tell, as soon as ticks come: one of many filters, each made for one chunk, has nothing to say.
    pub fn ask_for_report(&mut self) {
        self.wants_report = true;
    }

    /// Answers what came in.
    #[inline]
    pub fn answer(&mut self, incoming: Incoming<'_>) -> Answer {
        if !self.opened {
            self.opened = true;
            self.open();
            self.engine.set_stateless(self.stateless);
            while let Some(next) = self.memory.next_remembered() {
                let disposition = self.engine.push(Source::Auto, Input::Record(&next.record), next.ticket, self.now);
                self.pushed_again(next, disposition);
                self.again += 1;
            }
            self.sequence = self.sequence.max(self.memory.last_number());
        }
        let (mail_lines, mut record) = match incoming {
            Incoming::Tick(time) => return self.tick(time),
            Incoming::Record(mail_lines, record) => (mail_lines, record),
        };
        // A record that is no JSON is mended, and taken once more if it may tell of an abort. A loop, since a call in the call
        // would take from the host's short stack.
        let mut mended: Option<Vec<u8>> = None;
        loop {
            match (self.record(mail_lines, record), &mended) {
                (Answer::Given, Some(_)) => break,
                (Answer::Given, None) if self.look != Look::Glance => {}
                (answer, _) => return answer,
            }
            mended = mend::mended(record);
            let (Some(instead), Look::Read) = (&mended, self.look) else { break };
            record = instead;
        }
        mended.map_or(Answer::Given, |mended| {
            self.counts.mended += 1;
            Answer::Record(mended)
        })
    }

    #[inline]
    fn record(&mut self, mail_lines: MailLines, record: &[u8]) -> Answer {
        if record.len() > LONGEST {
            self.counts.too_long += 1;
            self.look = Look::Last;
            return Answer::Given;
        }
        if self.slots.bytes() > MOST_WAITING && mail_lines == MailLines::Pass && !is_abort(record) {
            // It takes no record with it: nothing is lost but reasons.
            self.counts.skipped += 1;
            self.look = Look::Last;
            return Answer::Given;
        }
        self.sequence += 1;
        let ticket = self.sequence;
        let disposition = self.engine.push(Source::Auto, Input::Record(record), ticket, self.now);
        self.look = match disposition {
            Disposition { unread: true, .. } => Look::Glance,
            Disposition { keep: false, what: What::Entry | What::Unreadable, .. } => Look::Read,
            _ => Look::Last,
        };
        let held = !disposition.forward;
        let noted = !disposition.keep || self.memory.keep(ticket, held, record);
        let mut own = self.collect(ticket);
        if disposition.keep && own.is_none() && !self.is_secure(held, noted) {
            self.engine.set_stateless(true);
            own = self.collect(ticket);
            if held && own.is_none() {
                // An entry with a failure that is no abort: it leaves as it came, and once more with the failure.
                self.memory.leave(ticket);
                return Answer::Given;
            }
        }
        if let Some(own) = own {
            return Answer::Record(own);
        }
        // Under `others: drop` too, what may tell of an abort is mended.
        if held && self.look == Look::Read && !is_object(record) {
            return Answer::Given;
        }
        let of_mail_log = matches!(disposition.what, What::MailLine | What::Other);
        if mail_lines == MailLines::End && of_mail_log || held { self.slot() } else { Answer::Given }
    }

    /// Opens the journal, at the start or, where that failed, later: what the process before had is handed in again, by
    /// [`Filter::answer`].
    #[inline(never)]
    fn open(&mut self) {
        if let Some(disk) = self.host.disk() {
            self.memory.open(disk, self.sequence);
        }
        let waiting = self.memory.waiting();
        for (number, record) in self.slots.waiting() {
            self.memory.wait(number, record);
        }
        for (number, record) in waiting {
            self.slots.add(number, number, record);
        }
        self.sequence = self.sequence.max(self.memory.last_number());
        if self.memory.has_note(&self.note) {
            self.had_slots = true;
        } else if self.had_slots {
            self.memory.leave_note(&self.note);
        }
        if self.had_slots {
            self.slots.expect(self.host.now_ms());
        }
        self.update();
    }

    /// What becomes of it now.
    #[inline(never)]
    fn pushed_again(&mut self, remembered: Remembered, disposition: Disposition) {
        let Remembered { ticket, held, record } = remembered;
        // What is issued waits for a slot before its ticket is given up.
        self.collect(0);
        if held && disposition.forward {
            // Under another configuration it may be no abort any more: it leaves as it came.
            self.add(ticket, record);
        }
        if !disposition.keep {
            self.memory.release(ticket);
        }
    }

    /// Makes sure that what is kept outlives the process; whether what is held may wait: not without that, and not without
    /// slots to come.
    #[inline(never)]
    fn is_secure(&mut self, held: bool, noted: bool) -> bool {
        let is_safe = self.memory.flush() && noted;
        self.stateless |= !is_safe || held && !self.slots.come(self.host.now_ms());
        !self.stateless
    }

    /// Looks whether aborts can wait. The engine is told by the call itself, and not from here: Fluent Bit's stack has room
    /// for few calls in calls.
    #[inline(never)]
    fn update(&mut self) {
        self.stateless = self.is_one_of_many() || !self.slots.come(self.host.now_ms()) || !self.memory.is_safe();
    }

    /// The next of what is held or waits, whether or not it is time: for a filter that has failed.
    pub fn give_up(&mut self) {
        // What is in the journal comes again after a restart.
        self.memory.abandon();
        self.engine.finish();
        self.collect(0);
    }

    /// The record that has waited longest.
    #[inline(never)]
    pub fn next_waiting(&mut self) -> Option<Vec<u8>> {
        self.slots.next()
    }

    fn slot(&mut self) -> Answer {
        if self.slots.bytes() == 0 {
            return Answer::Nothing;
        }
        self.next_waiting().map_or(Answer::Nothing, Answer::Record)
    }

    #[inline(never)]
    fn tick(&mut self, time: u64) -> Answer {
        // The clock of the records may be set.
        let time = self.host.now_ms().unwrap_or(time);
        let busy = self.sequence - std::mem::replace(&mut self.ticked, self.sequence) > BUSY;
        let mut ticks = self.ticks.unwrap_or(Ticks { first: time, last: time, reported: 0, has_reported: false });
        let mut passed = time.saturating_sub(ticks.last);
        ticks.last = time.max(ticks.last);
        if busy {
            passed = passed.min(BUSY_TICK);
        }
        self.now += passed;
        for number in self.slots.tick(self.host.now_ms()) {
            self.memory.go(number);
        }
        self.opened &= !self.memory.tick(self.now);
        self.note_slots();
        self.update();
        self.engine.set_stateless(self.stateless);
        self.engine.advance(self.now);
        self.collect(0);
        // Of what leaves before it has looked at what an earlier process stored, Fluent Bit 5.1 makes a chunk that it takes twice,
        // and dies of.
        // The clock may be set back meanwhile.
        if time.abs_diff(ticks.first) < FIRST_TICKS {
            self.ticks = Some(ticks);
            return Answer::Nothing;
        }
        if ticks.last - ticks.first >= SETTLED {
            let hint = health::hint(self.engine.stats(), self.again, ticks.last - ticks.first);
            self.wants_report |= hint.is_some() && hint != std::mem::replace(&mut self.hint, hint);
        }
        let is_wanted = self.wants_report && !self.is_one_of_many();
        self.wants_report &= !is_wanted;
        if self.memory.news() || is_wanted {
            ticks.reported = time;
            self.ticks = Some(ticks);
            return Answer::Report;
        }
        // However many wait: nobody would know of them.
        let is_due = self.report_secs > 0 && time >= ticks.reported + self.report_secs * 1_000;
        // Nor would they leave where each tick brought a report.
        let reports = is_due && (self.slots.len() == 0 || !ticks.has_reported);
        ticks.has_reported = reports;
        if reports {
            ticks.reported = time;
        }
        self.ticks = Some(ticks);
        if reports { Answer::Report } else { self.slot() }
    }

    /// Whether this instance may be one of many, each made for one chunk.
    fn is_one_of_many(&self) -> bool {
        self.streams < 2 && !self.had_slots
    }

    /// Remembers for the next process that slots come to one that outlives a chunk.
    fn note_slots(&mut self) {
        if self.had_slots || self.is_one_of_many() {
            return;
        }
        self.had_slots = true;
        self.memory.leave_note(&self.note);
    }

    /// How it is.
    pub fn health(&self) -> Health {
        let (bytes, lost_bytes) = self.memory.bytes();
        let incomplete_secs = self.memory.incomplete_secs();
        Health {
            state_age_secs: self.ticks.map_or(0, |ticks| (ticks.last - ticks.first) / 1_000),
            stateless_host: self.stateless,
            one_for_each_chunk: self.is_one_of_many(),
            slots: self.slots.come(self.host.now_ms()),
            waiting: self.slots.len(),
            journal: Journal {
                bytes,
                lost_bytes,
                trouble: self.memory.trouble().map(|trouble| trouble.to_string()),
                incomplete_secs: Some(incomplete_secs).filter(|secs| *secs > 0),
            },
            hint: self.hint,
        }
    }

    /// What it has counted, and the engine.
    pub fn counts(&self) -> (&Counts, &Stats) {
        (&self.counts, self.engine.stats())
    }

    /// Takes what the engine issues; gives back what answers the record with this ticket.
    #[inline]
    fn collect(&mut self, ticket: u64) -> Option<Vec<u8>> {
        let first = self.engine.poll();
        let own = first.and_then(|first| self.collect_from(first, ticket));
        if let Some(released) = self.engine.poll_released() {
            self.release(released);
        }
        own
    }

    /// Notes what the engine gives back.
    #[inline(never)]
    fn release(&mut self, first: u64) {
        let mut next = Some(first);
        while let Some(ticket) = next {
            self.memory.release(ticket);
            next = self.engine.poll_released();
        }
    }

    /// Adds a record to those that wait for a slot.
    fn add(&mut self, place: u64, record: Vec<u8>) {
        self.sequence += 1;
        let number = self.sequence;
        self.memory.wait(number, &record);
        self.slots.add(place, number, record);
    }

    #[inline(never)]
    fn collect_from(&mut self, first: Output, ticket: u64) -> Option<Vec<u8>> {
        let mut own = None;
        let mut next = Some(first);
        while let Some(output) = next {
            next = self.engine.poll();
            let left = output.ticket;
            if own.is_none() && ticket != 0 && left == ticket {
                own = Some(output.data);
                self.memory.leave(left);
                continue;
            }
            // Where no slots come, second words on what has left would pile up: nothing of the user's is in them.
            if self.slots.bytes() > MOST_WAITING && self.stateless && !is_first_word(&output) {
                self.counts.dropped += 1;
                self.memory.leave(left);
                continue;
            }
            let place = if left == 0 { self.sequence + 1 } else { left };
            // Behind it in the journal: a disk that fills may take the one and not the other.
            self.add(place, output.data);
            self.memory.leave(left);
        }
        own
    }
}
