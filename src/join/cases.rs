//! Entries become cases, cases wait, and leave as records.

use crate::case::{Case, CaseId, CaseState, EntryFacts, Evidence, Kind, Taken, Told};
use crate::config::Mode;
use crate::entry::{Action, Entry};
use crate::envelope::Delivery;
use crate::event::Input;
use crate::input::Reading;
use crate::mail_line::Stamp;
use crate::peek::LineKind;
use crate::queue_id::QueueId;
use crate::reasons::{Class, Stage};
use crate::record;
use crate::time::LogTime;
use crate::words;

use super::Join;
use super::about::About;
use super::group::Group;
use super::names::{Home, host_name, host_number, is_known, same_host};
use super::passed::Record;
use super::seen::{Found, flag};
use super::verdict::may_settle;
use super::waits::Wait;

/// An entry on its way in.
#[derive(Clone, Copy)]
struct Incoming<'a> {
    home: Home,
    host: Option<&'a str>,
    entry: &'a Entry<'a>,
    reading: &'a Reading<'a>,
    ticket: u64,
}

impl Join {
    /// Takes an entry, as it came in `input`.
    pub(crate) fn entry(&mut self, entry: &Entry<'_>, reading: &Reading<'_>, input: Input<'_>, ticket: u64) -> Taken {
        let host = reading.host.as_deref().and_then(host_name);
        let host = host.as_deref();
        let home = match host {
            Some(name) => self.hosts.home(name.as_bytes()),
            None => self.hosts.only(),
        };
        let at = time(entry, reading).map(LogTime::ms);
        self.bring_back(&entry.id);
        self.see_entry(home, host, entry, at);
        let incoming = Incoming { home, host, entry, reading, ticket };
        if entry.is_abort() {
            return self.abort(incoming, input);
        }
        let mut group = None;
        if self.store.contains(&entry.id) {
            let mut found = self.take(home, &entry.id, host);
            self.drop_unlogged(&mut found);
            if ends(entry)
                && self.own_failure(&found)
                && let Some(record) = record::of_input(input, reading.has_null)
            {
                return self.keep(Kind::Unnoticed, incoming, found, record);
            }
            group = Some(found);
        }
        self.seq += 1;
        let seq = self.seq;
        if let Some(mut group) = group {
            let facts = facts(entry, reading);
            // What is delivered again is the same entry, and takes no transaction of its own.
            let is_new = group.others.iter().all(|(_, known)| *known != facts);
            if is_new && group.others.len() < self.config.limits.per_message {
                group.others.push((seq, facts));
            }
            self.reconsider(home, &entry.id, &mut group, None);
            self.put(entry.id, group);
        }
        if self.config.reissue {
            let secs = at.map_or(0, |at| at.div_euclid(1_000) as u32);
            let record = Record { log: LineKind::MessageLog, input, home, secs, seq, is_read: true };
            self.stats.entries_forgotten += self.entries.push((&entry.id).into(), record);
        }
        Taken::Passes
    }

    /// Notes an entry for the clocks and in the table of seen ids.
    fn see_entry(&mut self, home: Home, host: Option<&str>, entry: &Entry<'_>, at: Option<i64>) {
        let slot = self.seen.touch(&entry.id, host.map_or(0, |host| host_number(host.as_bytes())));
        slot.flags |= flag::ENTRY | if entry.is_abort() { flag::ABORT } else { 0 };
        let Some(at) = at else { return };
        let first = slot.entry_secs == 0;
        slot.entry_secs = at.div_euclid(1_000) as u32;
        let mail_secs = slot.mail_secs;
        let clocks = self.hosts.clocks_mut(home);
        // An abort may be written long after its mail lines; where a log comes in pieces, such ones may come in a row.
        if first && mail_secs != 0 && !entry.is_abort() {
            clocks.see_both(at, i64::from(mail_secs) * 1_000);
        }
        clocks.see_entry_id(at, entry.id.utc_secs());
        self.reach_entry(home, at);
    }

    fn abort(&mut self, incoming: Incoming<'_>, input: Input<'_>) -> Taken {
        let Some(record) = record::of_input(input, incoming.reading.has_null) else { return Taken::Passes };
        let id = incoming.entry.id;
        let mut group = self.take(incoming.home, &id, incoming.host);
        self.drop_unlogged(&mut group);
        self.keep(Kind::Abort, incoming, group, record)
    }

    /// Makes an entry a case of its message, unless it is one already.
    fn keep(&mut self, kind: Kind, incoming: Incoming<'_>, mut group: Group, record: String) -> Taken {
        let Incoming { home, host, entry, reading, ticket } = incoming;
        group.nameless |= host.is_none();
        let name = record::case_id(kind, host, entry.id.as_str(), &reading.line);
        let known = group.cases.iter().find(|case| case.id == name);
        let (repeated, same) = (known.is_some(), known.is_some_and(|case| *case.record == *record));
        if repeated {
            self.stats.duplicates += 1;
        } else {
            self.stats.aborts += u64::from(kind == Kind::Abort);
            self.bound_cases(&entry.id, &mut group);
            let case = Case { ticket, ..new_case(kind, name, record, entry, reading) };
            let index = self.add_held(home, &mut group, case);
            if kind == Kind::Abort && (self.stateless || self.config.mode == Mode::Annotate) {
                self.issue_at_once(&entry.id, &mut group, index);
            }
            self.reconsider(home, &entry.id, &mut group, None);
            // Most have their reason when they come.
            if matches!(group.cases[index].state, CaseState::Held { .. }) {
                self.let_wait(&entry.id, &group, index, self.hold_ms());
            }
        }
        self.put(entry.id, group);
        match (repeated, same) {
            (false, _) => Taken::Kept,
            (true, true) => Taken::Repeated,
            // The same entry in another record: it is told once, and this one goes on as it came.
            (true, false) => Taken::Passes,
        }
    }

    /// Keeps the cases of a message within their bound: first those go of which all is told, then all that are held.
    fn bound_cases(&mut self, id: &QueueId, group: &mut Group) {
        if group.cases.len() >= self.config.limits.per_message {
            self.let_go_told(group);
        }
        if group.cases.len() >= self.config.limits.per_message {
            self.stats.released_early += self.issue_held(id, group);
            group.cases.clear();
        }
    }

    /// Adds a case that is held to a message; gives its index.
    fn add_held(&mut self, home: Home, group: &mut Group, case: Case) -> usize {
        self.seq += 1;
        if group.cases.is_empty() && group.evidence.is_empty() {
            group.home = home;
        }
        group.cases.push(Case { seq: self.seq, ..case });
        group.cases.len() - 1
    }

    /// Puts a held case among those that wait.
    fn let_wait(&mut self, id: &QueueId, group: &Group, index: usize, wait_ms: u64) {
        let case = &group.cases[index];
        // What has no entry waits for the other log.
        let log = if case.kind == Kind::Unlogged { LineKind::MessageLog } else { LineKind::Mail };
        self.wait(id, (log, group.home), case.seq, case.entry.at, wait_ms);
    }

    /// Puts a case among those that wait until a log has reached and passed a time.
    fn wait(&mut self, id: &QueueId, log: (LineKind, Home), seq: u64, reach: Option<i64>, wait_ms: u64) {
        self.waits.add(seq, Wait::new(*id, log, reach, wait_ms, self.now, self.progress(log)));
        self.stats.held = self.waits.len() as u64;
    }

    pub(super) fn hold_ms(&self) -> u64 {
        (self.config.hold_secs * 1_000.0) as u64
    }

    pub(super) fn lookback_ms(&self) -> u64 {
        (self.config.lookback_secs * 1_000.0) as u64
    }

    /// A failure was logged for a message whose entry has passed: the entry becomes a case after all.
    pub(super) fn recall(&mut self, id: &QueueId, group: &mut Group) {
        let mut wanted: Vec<(u64, bool, Case)> = self
            .passed_readings(id)
            .filter(|(seq, ..)| group.others.iter().any(|(known, _)| known == seq))
            .filter_map(|(seq, input, reading)| {
                let entry = Entry::parse(&reading.line).filter(ends)?;
                let record = record::of_input(input, reading.has_null)?;
                let host = reading.host.as_deref().and_then(host_name);
                let name = record::case_id(Kind::Unnoticed, host.as_deref(), id.as_str(), &reading.line);
                Some((seq, host.is_none(), new_case(Kind::Unnoticed, name, record, &entry, &reading)))
            })
            .collect();
        wanted.reverse();
        for (seq, nameless, case) in wanted {
            group.others.retain(|(known, _)| *known != seq);
            if !group.cases.iter().any(|known| known.id == case.id) {
                group.nameless |= nameless;
                // The record has passed once without the object.
                let case = Case { state: CaseState::Held { revision: 1, told: None }, ..case };
                let index = self.add_held(group.home, group, case);
                self.let_wait(id, group, index, self.hold_ms());
            }
        }
    }

    /// The entries of a message that have passed, in the order in which they came.
    pub(super) fn passed_entries(&self, id: &QueueId, host: Option<&str>) -> Vec<(u64, EntryFacts)> {
        let read = |(seq, _, reading): (u64, Input<'_>, Reading<'_>)| {
            let theirs = reading.host.as_deref().and_then(host_name);
            if let (Some(a), Some(b)) = (theirs.as_deref(), host)
                && !same_host(a, b)
            {
                return None;
            }
            let entry = Entry::parse(&reading.line)?;
            Some((seq, facts(&entry, &reading)))
        };
        let mut list: Vec<_> = self.passed_readings(id).take(self.config.limits.per_message).filter_map(read).collect();
        list.reverse();
        list
    }

    /// The entries of a message that have passed and may be issued again, the latest first.
    fn passed_readings(&self, id: &QueueId) -> impl Iterator<Item = (u64, Input<'_>, Reading<'_>)> {
        let entries = self.entries.of(id.into()).filter(|_| self.config.reissue);
        entries.filter_map(|(_, record)| {
            let reading = crate::input::read(&self.config, record.input)?;
            // Another message may have the same number.
            let is_its = Entry::parse(&reading.line)?.id == *id;
            is_its.then_some((record.seq, record.input, reading))
        })
    }

    /// A message was delivered after PureMessage had failed in its connection, perhaps without an entry.
    pub(super) fn passed_unlogged(&mut self, about: &About<'_>, text: &[u8], raw: &[u8]) {
        let host = host_name(about.by.host);
        if !is_known(about.by.home, about.by.host) || self.failed_own(about.by.home, &about.id).is_none() {
            return;
        }
        if let Found::Slot(slot) = self.seen.find(about.id.number(), host_number(about.by.host))
            && slot.flags & flag::ENTRY != 0
        {
            return;
        }
        // An entry may have passed unread, and be forgotten by now.
        if self.entries.may_have_lost((&about.id).into()) {
            return;
        }
        let mut group = self.take(about.by.home, &about.id, host.as_deref());
        if group.cases.is_empty() && group.others.is_empty() {
            group.deliver(Delivery::Sent);
            let id = record::case_id(Kind::Unlogged, host.as_deref(), about.id.as_str(), b"");
            let offset = self.hosts.clocks(about.by.home).offset();
            let entry = EntryFacts {
                time: about.by.time,
                at: about.by.at.map(|at| offset.entry_time(at)),
                processing_ms: None,
                from: group.sender.take(),
                recipients: 0,
                has_size: false,
                refuses_mail: false,
            };
            let to = crate::envelope::recipients(text).map(|to| words::text(to).into()).collect();
            let case = Case {
                seq: 0,
                kind: Kind::Unlogged,
                id,
                record: record::of_line(raw).into(),
                to,
                relay: None,
                entry,
                state: CaseState::Held { revision: 0, told: None },
                ticket: 0,
            };
            let wait = if self.entry_may_come(&group) { self.lookback_ms() } else { self.hold_ms() };
            let index = self.add_held(about.by.home, &mut group, case);
            self.let_wait(&about.id, &group, index, wait);
        }
        self.put(about.id, group);
    }

    /// PureMessage's failure in the connection of a message, not after it.
    pub(super) fn failed_own(&self, home: Home, id: &QueueId) -> Option<&Evidence> {
        self.connections.before(home, id).find(|line| line.own != Some(false))
    }

    /// Whether PureMessage still has the message: it writes the entry when the callback for which sendmail did not wait returns.
    fn entry_may_come(&self, group: &Group) -> bool {
        group.evidence.iter().any(|line| {
            let rule = self.matcher.rule(line.rule);
            rule.is_filter_failure()
                && matches!(rule.class, Class::FilterTimeout | Class::MtaError)
                && !matches!(line.stage, Some(Stage::Connect | Stage::Helo))
        })
    }

    /// A message is not told as one without an entry any more.
    pub(super) fn drop_unlogged(&mut self, group: &mut Group) {
        let held = |case: &Case| case.kind == Kind::Unlogged && matches!(case.state, CaseState::Held { .. });
        for case in group.cases.iter().filter(|case| held(case)) {
            self.unwait(case.seq);
        }
        group.cases.retain(|case| !held(case));
    }

    /// Whether PureMessage failed at a message, by a line that names the cause.
    fn own_failure(&self, group: &Group) -> bool {
        group.evidence.iter().any(|line| {
            self.matcher.rule(line.rule).is_filter_failure()
                && self.matcher.rule(line.rule).rank == crate::reasons::Rank::Decisive
                && line.own != Some(false)
        })
    }

    /// Looks at the cases of a message again after something came. `at` is the mail time of what came.
    pub(super) fn reconsider(&mut self, home: Home, id: &QueueId, group: &mut Group, at: Option<i64>) {
        let offset = self.hosts.clocks(home).offset();
        // The cases of one message leave in the order of their entries: one that waits keeps those behind it.
        let mut waits = false;
        let ambiguous = self.is_ambiguous(id, group);
        let judged: Vec<Option<(Told, Option<Vec<u8>>)>> = self
            .aligned(group)
            .into_iter()
            .enumerate()
            .map(|(index, transaction)| {
                let case = &group.cases[index];
                // What waits leaves when all is told.
                if matches!(case.state, CaseState::Held { .. })
                    && !may_settle(&self.matcher, transaction, group.delivery)
                {
                    return None;
                }
                let verdict = self.judge(id, group, case, transaction);
                let told = verdict.told();
                // A message without an entry may still get one.
                let may_leave = case.kind != Kind::Unlogged || !matches!(case.state, CaseState::Held { .. });
                let revision = case.unsaid(told, ambiguous).filter(|_| told.settled && may_leave);
                Some((told, revision.map(|revision| self.write(id, group, index, &verdict, revision))))
            })
            .collect();
        for (index, judged) in judged.into_iter().enumerate() {
            let Some((told, record)) = judged else {
                waits = true;
                continue;
            };
            let record = record.filter(|_| !waits);
            let case = &mut group.cases[index];
            if let CaseState::Issued { told: before, .. } = case.state {
                let Some(revision) = case.unsaid(told, ambiguous) else { continue };
                case.state = CaseState::Held { revision, told: Some(before) };
                let (seq, reach) = (case.seq, at.map(|at| offset.entry_time(at)).or(case.entry.at));
                self.wait(id, (LineKind::Mail, group.home), seq, reach, self.hold_ms());
            } else {
                waits |= record.is_none();
            }
            if let Some(record) = record {
                self.issue_as(id, group, index, record, told);
            }
        }
    }
}

fn new_case(kind: Kind, id: CaseId, record: String, entry: &Entry<'_>, reading: &Reading<'_>) -> Case {
    let text = |bytes: &[u8]| words::text(bytes).into();
    Case {
        seq: 0,
        kind,
        id,
        record: record.into(),
        to: entry.to.iter().map(|to| text(to)).collect(),
        relay: entry.relay.map(text),
        entry: facts(entry, reading),
        state: CaseState::Held { revision: 0, told: None },
        ticket: 0,
    }
}

/// Whether an entry tells the end of a message, where PureMessage can't notice that nobody waits any more.
fn ends(entry: &Entry<'_>) -> bool {
    entry.action.as_ref().is_none_or(Action::is_end_of_message)
}

fn time(entry: &Entry<'_>, reading: &Reading<'_>) -> Option<LogTime> {
    entry.time.or_else(|| match reading.time? {
        Stamp::Full(time) => Some(time),
        Stamp::Bsd(time) => entry.id.utc_secs().map(|secs| time.resolve(secs)),
    })
}

fn facts(entry: &Entry<'_>, reading: &Reading<'_>) -> EntryFacts {
    let time = time(entry, reading);
    EntryFacts {
        time,
        at: time.map(LogTime::ms),
        processing_ms: entry.processing_ms,
        from: entry.from.map(|from| words::text(from).into()),
        recipients: entry.to.len(),
        has_size: entry.has_size,
        refuses_mail: entry.action.as_ref().is_some_and(Action::refuses_mail),
    }
}
