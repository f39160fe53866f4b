//! The join: from mail lines and entries to cases with their reasons. Deterministic, without a clock of its own.
//!
//! This file takes in mail lines; [`evidence`] keeps those that tell of a failure; [`cases`] takes in entries; [`release`] issues
//! records.

mod about;
mod bytes;
mod cases;
mod clock;
mod connections;
mod evidence;
mod filters;
mod group;
mod hosts;
mod lists;
mod names;
mod parts;
mod passed;
mod programs;
mod release;
mod said;
mod seen;
mod snapshot;
mod store;
mod unread;
mod verdict;
mod waits;

use std::collections::VecDeque;

use crate::config::Config;
use crate::envelope::{Delivery, FromLine, ToLine};
use crate::event::{Output, Revision};
use crate::mail_line::{MailId, MailLine};
use crate::peek::LineKind;
use crate::queue_id::QueueId;
use crate::reasons::Matcher;
use crate::record;
use crate::stats::Stats;
use crate::time::LogTime;
use crate::words;

use about::{About, Written};
pub use clock::Watermark;
use connections::Connections;
use filters::Filters;
use group::Group;
use hosts::Hosts;
pub(crate) use names::Home;
use names::{NAMELESS, host_name, host_number};
use parts::{Parts, Whole};
use passed::Passed;
use programs::Programs;
use said::{Said, of_reception};
use seen::{Seen, flag};
use store::Store;
use waits::Waits;

/// All that is known, and what waits to leave.
#[derive(Debug)]
pub(crate) struct Join {
    config: Config,
    matcher: Matcher,
    hosts: Hosts,
    seen: Seen,
    store: Store,
    /// Ordinary mail lines that nobody read, and entries that have passed: each within half of the limit.
    lines: Passed,
    entries: Passed,
    connections: Connections,
    parts: Parts,
    programs: Programs,
    filters: Filters,
    /// Held cases.
    waits: Waits,
    seq: u64,
    /// The host's clock.
    now: u64,
    /// Goes on from a snapshot, and has not been told the time yet.
    resumed: bool,
    /// The host whose mail log had come least far when all were looked at; nothing depends on its being the one still.
    furthest_behind: Home,
    /// The host may not keep the state.
    stateless: bool,
    /// The ticket of the event that came last.
    pub pushed: u64,
    out: VecDeque<Output>,
    released: VecDeque<u64>,
    pub stats: Stats,
}

impl Join {
    pub(crate) fn new(config: &Config) -> Join {
        Join {
            matcher: Matcher::new(&config.rules),
            hosts: Hosts::new(config.limits.hosts),
            seen: Seen::new(config.limits.seen_ids),
            config: config.clone(),
            store: Store::default(),
            lines: Passed::new(config.limits.passed_bytes / 2),
            entries: Passed::new(config.limits.passed_bytes / 2),
            connections: Connections::default(),
            parts: Parts::default(),
            programs: Programs::default(),
            filters: Filters::default(),
            waits: Waits::default(),
            seq: 0,
            now: 0,
            resumed: false,
            furthest_behind: NAMELESS,
            stateless: false,
            pushed: 0,
            out: VecDeque::new(),
            released: VecDeque::new(),
            stats: Stats::default(),
        }
    }

    pub(crate) fn matcher(&self) -> &Matcher {
        &self.matcher
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn set_stateless(&mut self, stateless: bool) {
        let before = std::mem::replace(&mut self.stateless, stateless);
        if stateless && !before {
            self.let_go();
        }
    }

    pub(crate) fn filters(&self) -> impl Iterator<Item = &str> {
        self.filters.names()
    }

    pub(crate) fn warm_up(&self) {
        self.matcher.warm_up();
        record::warm_up();
    }

    fn leave(&mut self, data: Vec<u8>, ticket: u64, tells: Option<Revision>) {
        self.out.push_back(Output { data, ticket, behind: self.pushed, tells });
    }

    /// Something comes in.
    #[inline]
    pub(crate) fn begin(&mut self, ticket: u64, now: u64) {
        self.advance(now);
        self.stats.records += 1;
        self.pushed = ticket;
    }

    /// Takes a mail line; true if it was kept.
    pub(crate) fn mail_line(&mut self, line: &MailLine<'_>, raw: &[u8], ticket: u64) -> bool {
        let home = self.hosts.home(line.host);
        let id = match line.id {
            MailId::Queue(id) => Some(id),
            MailId::NoQueue | MailId::None => None,
        };
        let clocks = self.hosts.clocks_mut(home);
        let time = line.time.and_then(|stamp| clocks.time(stamp, id.and_then(|id| id.utc_secs())));
        let at = time.map(LogTime::ms);
        clocks.mail.arrived = self.now;
        let ours = self.programs.is_mail(&self.config.mail_programs, line.program, line.pid, id.as_ref());
        let mut risen = false;
        if let Some(at) = at {
            risen = clocks.mail.see(at);
            // A delivery from the queue may be far younger than the id.
            if clocks.wants_mail_ids() && ours && id.is_some_and(|id| of_reception(line.pid, &id)) {
                clocks.see_mail_id(at, id.and_then(|id| id.utc_secs()));
            }
        }
        let (host, program, pid) = (names::clipped(line.host), line.program, line.pid);
        let by = Written { home, host, program, pid, time, at, ticket };
        let kept = match id {
            Some(_) if !ours => {
                self.stats.foreign_lines += 1;
                false
            }
            Some(id) => self.about_message(&About { id, by }, line, raw),
            None => self.without_id(&by, line),
        };
        if risen && !self.waits.is_empty() {
            self.release_due(LineKind::Mail, home);
        }
        kept
    }

    fn about_message(&mut self, about: &About<'_>, line: &MailLine<'_>, raw: &[u8]) -> bool {
        self.bring_back(&about.id);
        let said = if line.part.is_none() { Said::read(line.text) } else { Said::Nothing };
        let slot = self.seen.touch(&about.id, self.hosts.number(about.by.home));
        slot.note(flag::MAIL | said.flags(), said.delivery());
        if let Some(at) = about.by.at
            && slot.mail_secs == 0
        {
            slot.mail_secs = at.div_euclid(1_000) as u32;
            // As in `see_entry`: an abort may be written long after its mail lines.
            let clocks = self.hosts.clocks_mut(about.by.home);
            if slot.entry_secs != 0 && slot.flags & flag::ABORT == 0 && clocks.wants((&about.id).into()) {
                clocks.see_both(i64::from(slot.entry_secs) * 1_000, at);
            }
        }
        if line.part == Some(1) {
            let same = |whole: &Whole| whole.id == about.id && whole.home == about.by.home && whole.pid == about.by.pid;
            for whole in self.parts.close(same) {
                self.whole_line(&whole, 0);
            }
        }
        if let Some(part) = line.part {
            let frame = Whole::frame(about);
            let (whole, waits) = self.parts.push(part, line, frame, self.config.limits.text_bytes);
            let kept = whole.is_some_and(|whole| self.whole_line(&whole, if waits { 0 } else { about.by.ticket }));
            return waits || kept;
        }
        self.text(about, &said, line.text, raw)
    }

    /// A line that came in parts, `last` the ticket of the one that came now; true if it was kept.
    fn whole_line(&mut self, whole: &Whole, last: u64) -> bool {
        let about = whole.about();
        // A text whose end is unknown says nothing.
        let said = if whole.cut { Said::Nothing } else { Said::read(&whole.text) };
        self.seen.touch(&about.id, self.hosts.number(about.by.home)).note(said.flags(), said.delivery());
        let kept = self.text(&about, &said, &whole.text, &whole.text);
        let rest = &whole.tickets[usize::from(kept).min(whole.tickets.len())..];
        if !kept || !self.store.add_tickets(&about.id, host_name(about.by.host).as_deref(), rest) {
            self.released.extend(rest.iter().filter(|ticket| kept || **ticket != last));
        }
        kept
    }

    fn text(&mut self, about: &About<'_>, said: &Said<'_>, text: &[u8], raw: &[u8]) -> bool {
        match said {
            Said::From(line) => self.from_line(about, line, text),
            Said::To(line) => self.to_line(about, *line, text, raw),
            Said::Other => self.candidate(about, text, None),
            Said::Nothing => false,
        }
    }

    fn from_line(&mut self, about: &About<'_>, line: &FromLine<'_>, text: &[u8]) -> bool {
        if !line.collected {
            return self.candidate(about, text, None);
        }
        let unscanned = self.config.unlogged && self.failed_own(about.by.home, &about.id).is_some();
        if unscanned || self.store.contains(&about.id) {
            let sender = unscanned.then(|| words::text(line.sender).into());
            self.change(about, |group| {
                group.collected = true;
                group.sender = sender.or(group.sender.take());
            });
        }
        false
    }

    fn to_line(&mut self, about: &About<'_>, line: ToLine<'_>, text: &[u8], raw: &[u8]) -> bool {
        // The line and what it says at once, so that a record that leaves because of it has both.
        let kept = !line.delivery && self.candidate(about, text, line.outcome);
        if let Some(delivery) = line.outcome {
            if delivery == Delivery::Sent && self.config.unlogged && self.connections.any_failed() {
                self.passed_unlogged(about, text, raw);
            }
            if !kept && self.store.contains(&about.id) {
                self.change(about, |group| group.deliver(delivery));
            }
        }
        kept
    }

    /// Changes what is known of a message that something is known of, and looks at its cases again.
    fn change(&mut self, about: &About<'_>, change: impl FnOnce(&mut Group)) {
        let mut group = self.take(about.by.home, &about.id, host_name(about.by.host).as_deref());
        change(&mut group);
        self.reconsider(about.by.home, &about.id, &mut group, about.by.at);
        self.put(about.id, group);
    }

    /// Takes a group out, a new one with what the table of seen ids and the passed entries know of it.
    fn take(&mut self, home: Home, id: &QueueId, host: Option<&str>) -> Group {
        let mut group = self.store.take(id, host);
        if group.host.is_none() {
            group.host = host.map(Box::from);
        }
        if group.place.is_none() {
            if let seen::Found::Slot(slot) =
                self.seen.find(id.number(), host_number(host.unwrap_or_default().as_bytes()))
            {
                group.collected = slot.flags & flag::COLLECTED != 0;
                group.evicted = slot.flags & flag::EVICTED != 0;
                group.delivery = group.delivery.or(slot.delivery);
            }
            group.lost = self.lines.may_have_lost(id.into());
            group.others = self.passed_entries(id, host);
        }
        if (home != NAMELESS || group.host.is_none()) && group.home != home {
            self.move_waits(&group, home);
            group.home = home;
        }
        group
    }

    fn put(&mut self, id: QueueId, mut group: Group) {
        group.comes(self.hosts.either(group.home));
        let offset = self.hosts.clocks(group.home).offset();
        group.give_back_refused(&self.matcher, offset, &mut self.released);
        self.store.put(id, group, &self.matcher);
        let limits = self.config.limits;
        while self.store.bytes() + self.connections.bytes() > limits.join_bytes || self.store.len() > limits.messages {
            let Some((id, mut group)) = self.store.pop_first() else { break };
            self.seen.touch(&id, group.host_number()).flags |= flag::EVICTED;
            self.stats.evicted += 1;
            // Whether it gets an entry after all is past knowing then.
            self.drop_unlogged(&mut group);
            self.stats.released_early += self.issue_held(&id, &mut group);
            self.forget(&group);
        }
        self.stats.bytes =
            (self.store.bytes() + self.connections.bytes() + self.lines.bytes() + self.entries.bytes()) as u64;
    }

    /// Gives back the tickets of what is let go.
    fn forget(&mut self, group: &Group) {
        self.released.extend(group.tickets().filter(|ticket| *ticket != 0));
    }
}
