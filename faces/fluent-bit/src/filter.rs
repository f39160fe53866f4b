//! One call of Fluent Bit: what goes out in place of the record that came in.

use abort_reason::{Disposition, Engine, Input, Output, Source, What};
use abort_reason_journal::{Memory, Remembered};

use crate::report::{self, Counts, Health, Journal};
use crate::settings::Settings;
use crate::slots::Slots;
use crate::system::{self, File};
use crate::tags::{TagKind, TagMemo};

/// Longer records pass without being looked at.
const LONGEST: usize = 1 << 20;
/// With a smaller heap of the host's, records that are not extraordinary don't arrive.
const LEAST_HEAP: usize = 1 << 20;
/// Bytes of records that wait for a slot; beyond, no mail line is read until there is room, and no second word is kept where
/// none comes.
const MOST_WAITING: usize = 16 << 20;
/// While records stream in, a tick counts for no more than this many milliseconds: ticks that Fluent Bit was too busy
/// to give are no time that the mail log was silent.
const BUSY_TICK: u64 = 1_000;
/// Milliseconds from the first tick in which nothing leaves by ticks.
const FIRST_TICKS: u64 = 2_000;
/// More records than this since the last tick are a stream.
const BUSY: u64 = 500;

/// What goes out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The record that came in, by the pointer that was given.
    Given,
    /// Nothing.
    Nothing,
    /// This record.
    Record(Vec<u8>),
}

/// The filter: an engine, and the slots in which its records leave.
#[derive(Debug)]
pub(crate) struct Filter {
    settings: Settings,
    engine: Engine,
    tag: TagMemo,
    slots: Slots,
    /// What outlives the process.
    memory: Memory<File>,
    /// The journal was opened, or that was tried: not before the first call, since a stored module is no process yet.
    opened: bool,
    /// The process before had slots, so this one will.
    had_slots: bool,
    /// Aborts can't wait.
    stateless: bool,
    sequence: u64,
    now: u64,
    ticks: Option<Ticks>,
    since_tick: u64,
    counts: Counts,
    /// What is wrong with the host's heap, and whether it was told.
    heap_trouble: String,
    heap_told: bool,
}

/// When ticks came, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Ticks {
    first: u64,
    last: u64,
    /// The last with a report.
    reported: u64,
}

/// Whether what is issued tells of an entry for the first time, so that the entry is in it and nowhere else. A message
/// without one has no ticket.
fn is_first_word(output: &Output) -> bool {
    output.tells.is_none_or(|tells| tells.number == 0 && output.ticket != 0)
}

impl Filter {
    pub(crate) fn new(settings: Settings) -> Filter {
        let mut engine = Engine::new(&settings.core);
        engine.warm_up();
        // Until a second tag shows that this instance outlives a chunk.
        engine.set_stateless(true);
        Filter {
            engine,
            tag: TagMemo::default(),
            slots: Slots::default(),
            memory: Memory::new((settings.core.lookback_secs * 1_000.0) as u64),
            opened: false,
            had_slots: false,
            stateless: true,
            sequence: 0,
            now: 0,
            ticks: None,
            since_tick: 0,
            counts: Counts::default(),
            heap_trouble: String::new(),
            heap_told: false,
            settings,
        }
    }

    /// The tag of the ticks.
    pub(crate) fn tick_tag(&self) -> &str {
        &self.settings.tick_tag
    }

    /// Records come in a heap of the host's with so many bytes.
    #[inline(never)]
    pub(crate) fn has_heap(&mut self, bytes: usize) {
        if bytes < LEAST_HEAP {
            self.heap_trouble = report::small_heap(bytes);
        }
    }

    /// The text of the configuration.
    pub(crate) fn configuration(&self) -> &str {
        &self.settings.text
    }

    /// Answers a call.
    #[inline]
    pub(crate) fn call(&mut self, tag: &[u8], sec: u32, nsec: u32, record: &[u8]) -> Answer {
        if !self.opened {
            self.opened = true;
            self.open();
            self.engine.set_stateless(self.stateless);
            while let Some(next) = self.memory.next_remembered() {
                let disposition = self.engine.push(Source::Auto, Input::Record(&next.record), next.ticket, self.now);
                self.pushed_again(next, disposition);
            }
            self.sequence = self.sequence.max(self.memory.last_number());
        }
        let kind = self.kind(tag);
        if kind == TagKind::Tick {
            return self.tick(u64::from(sec) * 1_000 + u64::from(nsec) / 1_000_000);
        }
        self.since_tick += 1;
        if record.len() > LONGEST {
            self.counts.too_long += 1;
            return Answer::Given;
        }
        if self.slots.bytes() > MOST_WAITING && kind == TagKind::Other && !record.ends_with(b"/abort\"}") {
            // It takes no record with it: nothing is lost but reasons.
            self.counts.skipped += 1;
            return Answer::Given;
        }
        self.sequence += 1;
        let ticket = self.sequence;
        let disposition = self.engine.push(Source::Auto, Input::Record(record), ticket, self.now);
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
        let of_mail_log = matches!(disposition.what, What::MailLine | What::Other);
        if kind == TagKind::Evidence && of_mail_log || held { self.slot() } else { Answer::Given }
    }

    /// Opens the journal, at the start or, where that failed, later: what the process before had is handed in again, by
    /// [`Filter::call`].
    #[inline(never)]
    fn open(&mut self) {
        if let Some(file) = system::file(&self.settings.state_file) {
            self.memory.open(file, self.sequence);
        }
        let waiting = self.memory.waiting();
        for (number, record) in self.slots.waiting() {
            self.memory.wait(number, record);
        }
        for (number, record) in waiting {
            self.slots.add(number, number, record);
        }
        self.sequence = self.sequence.max(self.memory.last_number());
        if self.memory.has_note(&self.settings.tick_tag) {
            self.had_slots = true;
        } else if self.had_slots {
            self.memory.leave_note(&self.settings.tick_tag);
        }
        if self.had_slots {
            self.slots.expect(system::now_ms());
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
        self.stateless |= !is_safe || held && !self.slots.come(system::now_ms());
        !self.stateless
    }

    /// Looks whether aborts can wait. The engine is told by the call itself, and not from here: Fluent Bit's stack has room
    /// for few calls in calls.
    #[inline(never)]
    fn update(&mut self) {
        self.stateless = self.is_one_of_many() || !self.slots.come(system::now_ms()) || !self.memory.is_safe();
    }

    /// What a tag is for. A second one shows that this instance outlives a chunk.
    #[inline]
    fn kind(&mut self, tag: &[u8]) -> TagKind {
        let changes = self.tag.changes;
        let kind = self.tag.kind(tag, &self.settings);
        if self.tag.changes != changes {
            self.update();
            self.engine.set_stateless(self.stateless);
        }
        kind
    }

    /// Answers a call whose record the host did not pass.
    #[inline(never)]
    pub(crate) fn not_passed(&mut self, tag: &[u8], sec: u32, nsec: u32, length: usize) -> Answer {
        if self.kind(tag) == TagKind::Tick {
            return self.tick(u64::from(sec) * 1_000 + u64::from(nsec) / 1_000_000);
        }
        self.counts.not_passed += 1;
        Answer::Record(report::not_passed(length))
    }

    /// The next of what is held or waits, whether or not it is time: for a filter that has failed.
    pub(crate) fn give_up(&mut self) {
        // What is in the journal comes again after a restart.
        self.memory.abandon();
        self.engine.finish();
        self.collect(0);
    }

    /// The record that has waited longest.
    #[inline(never)]
    pub(crate) fn next_waiting(&mut self) -> Option<Vec<u8>> {
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
        let time = system::now_ms().unwrap_or(time);
        let busy = std::mem::take(&mut self.since_tick) > BUSY;
        let mut ticks = self.ticks.unwrap_or(Ticks { first: time, last: time, reported: 0 });
        let mut passed = time.saturating_sub(ticks.last);
        ticks.last = time.max(ticks.last);
        if busy {
            passed = passed.min(BUSY_TICK);
        }
        self.now += passed;
        for number in self.slots.tick(system::now_ms()) {
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
        // One of many instances would have nothing else to say.
        let heap_news = !self.heap_told && !self.heap_trouble.is_empty() && !self.is_one_of_many();
        self.heap_told |= heap_news;
        if self.memory.news() || heap_news {
            ticks.reported = time;
            self.ticks = Some(ticks);
            return Answer::Record(self.report(""));
        }
        let mut answer = self.slot();
        if answer == Answer::Nothing
            && self.settings.report_secs > 0
            && time >= ticks.reported + self.settings.report_secs * 1_000
        {
            ticks.reported = time;
            answer = Answer::Record(self.report(""));
        }
        self.ticks = Some(ticks);
        answer
    }

    /// Whether this instance may be one of many, each made for one chunk.
    fn is_one_of_many(&self) -> bool {
        self.tag.changes < 2 && !self.had_slots
    }

    /// Remembers for the next process that slots come to one that outlives a chunk.
    fn note_slots(&mut self) {
        if self.had_slots || self.is_one_of_many() {
            return;
        }
        self.had_slots = true;
        self.memory.leave_note(&self.settings.tick_tag);
    }

    /// The record with the counters.
    #[inline(never)]
    pub(crate) fn report(&self, failure: &str) -> Vec<u8> {
        let (bytes, lost_bytes) = self.memory.bytes();
        let incomplete_secs = self.memory.incomplete_secs();
        let health = Health {
            state_age_secs: self.ticks.map_or(0, |ticks| (ticks.last - ticks.first) / 1_000),
            stateless_host: self.stateless,
            one_for_each_chunk: self.is_one_of_many(),
            slots: self.slots.come(system::now_ms()),
            waiting: self.slots.len(),
            journal: Journal {
                bytes,
                lost_bytes,
                trouble: self.memory.trouble().map(|trouble| trouble.to_string()),
                incomplete_secs: Some(incomplete_secs).filter(|secs| *secs > 0),
            },
            heap_trouble: &self.heap_trouble,
            failure,
        };
        report::write(&health, &self.counts, self.engine.stats())
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
            self.memory.leave(output.ticket);
            if own.is_none() && ticket != 0 && output.ticket == ticket {
                own = Some(output.data);
                continue;
            }
            // Where no slots come, second words on what has left would pile up: nothing of the user's is in them.
            if self.slots.bytes() > MOST_WAITING && self.stateless && !is_first_word(&output) {
                self.counts.dropped += 1;
                continue;
            }
            let place = if output.ticket == 0 { self.sequence + 1 } else { output.ticket };
            self.add(place, output.data);
        }
        own
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Filter};
    use crate::settings::Settings;

    /// Settings without a journal: there are no files here.
    fn settings(text: &str) -> Settings {
        let mut settings = Settings::from_json(text).unwrap();
        settings.state_file.clear();
        settings
    }

    fn record(line: &str) -> Vec<u8> {
        format!("{{\"log\":{}}}", serde_json::Value::from(line)).into_bytes()
    }

    /// Whether an abort is explained by a line that looks ordinary, after many that are.
    fn explained(configuration: &str, text: &str) -> bool {
        let mut filter = Filter::new(settings(configuration));
        filter.call(b"abort_reason.tick", 0, 0, b"{}");
        let ordinary = "from=<a@example.org>, size=9, class=0, nrcpts=1, msgid=<x@y>, relay=x [192.0.2.1]";
        let mut call = |tag: &str, line: &str| filter.call(tag.as_bytes(), 0, 0, &record(line));
        for n in 0..200 {
            call("maillog", &format!("Nov 23 13:01:05 mx1 sendmail[9]: 6AND15V7{n:06}: {ordinary}"));
            call("pmx", &format!("2026-11-23T13:01:05 q=6AND15V7{n:06} f=<a@example.org> tm=0.10 a=a/eom"));
        }
        call("maillog", &format!("Nov 23 13:01:05 mx1 sendmail[14029]: 6AND15V7014029: {text}"));
        call("pmx", "2026-11-23T13:01:05 q=6AND15V7014029 f=<a@example.org> tm=0.10 a=c/abort");
        (0..40).any(|second| match filter.tick(1_000 * second) {
            Answer::Record(record) => String::from_utf8_lossy(&record).contains(r#""rule":"U-1""#),
            _ => false,
        })
    }

    #[test]
    fn a_second_tag_is_noticed_in_any_call() {
        let mut filter = Filter::new(settings(""));
        filter.call(b"abort_reason.tick", 0, 0, b"{}");
        filter.not_passed(b"maillog", 0, 0, 9);
        let abort = record("2026-11-23T13:01:05 q=6AND15V7014029 f=<a@b> tm=0.10 a=c/abort");
        assert_eq!(filter.call(b"maillog", 0, 0, &abort), Answer::Nothing, "it waits for its reason");
    }

    #[test]
    fn nothing_leaves_by_the_first_ticks() {
        let mut filter = Filter::new(settings(r#"{"fluent_bit": {"report_secs": 1}}"#));
        let reports = |filter: &mut Filter, time| matches!(filter.tick(time), Answer::Record(_));
        assert!(!reports(&mut filter, 100_000) && !reports(&mut filter, 101_999));
        // Nor is a clock that is set back waited for.
        assert!(reports(&mut filter, 40_000));
    }

    #[test]
    fn the_report_tells_why_aborts_leave_at_once() {
        let mut filter = Filter::new(settings(""));
        let says = |filter: &Filter| {
            let report: serde_json::Value = serde_json::from_slice(&filter.report("")).unwrap();
            ["stateless_host", "one_for_each_chunk", "slots"].map(|name| report["abort_reason"][name] == true)
        };
        filter.call(b"maillog", 0, 0, b"{}");
        assert_eq!(says(&filter), [true, true, false]);
        // No ticks.
        filter.call(b"pmx", 0, 0, b"{}");
        assert_eq!(says(&filter), [true, false, false]);
        filter.call(b"abort_reason.tick", 0, 0, b"{}");
        assert_eq!(says(&filter), [false, false, true]);
    }

    #[test]
    fn what_a_rule_of_the_user_may_match_is_never_ordinary() {
        for (start, rest, text) in [
            ("Milter ({filter}) gave ", "up", "Milter (PureMessage) gave up"),
            ("from=<x>, ", "gone", "from=<x>, gone"),
            ("to=<x>, delay=0, ", r"stat=Sent \\(y\\)", "to=<x>, delay=0, stat=Sent (y)"),
        ] {
            let rule = format!(r#"{{"id": "U-1", "class": "filter_closed", "start": "{start}", "rest": "{rest}"}}"#);
            assert!(explained(&format!(r#"{{"rules": [{rule}]}}"#), text), "{text}");
            assert!(!explained("", text), "{text}");
        }
    }
}
