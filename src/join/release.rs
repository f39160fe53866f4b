//! When cases leave, and how: settled ones at once, the others when the mail log has passed them or time is over.

use std::collections::BinaryHeap;

use crate::case::{Case, CaseState, EntryFacts, Kind, Status, Told, Verdict, WhyNot};
use crate::config::Others;
use crate::envelope::Delivery;
use crate::event::{Output, Revision};
use crate::peek::LineKind;
use crate::queue_id::QueueId;
use crate::reasons::Class;
use crate::record::Issue;
use crate::zone::WIDEST_MS;

use super::Join;
use super::group::{Group, Transaction};
use super::names::{Home, NAMELESS};
use super::parts::Whole;
use super::seen::{Found, flag};
use super::verdict::{Facts, judge};
use super::waits::{Awaited, Wait};

impl Join {
    /// Judges a case by the lines of its transaction.
    pub(super) fn judge<'g>(
        &'g self,
        id: &QueueId,
        group: &'g Group,
        case: &'g Case,
        transaction: Option<Transaction<'g>>,
    ) -> Verdict<'g> {
        let last = transaction.is_none_or(|transaction| transaction.last && !transaction.refused);
        let known = self.is_known(id, group);
        let ours = last && known;
        let end = transaction.and_then(|transaction| transaction.evidence.last());
        let earlier = self.connections.before(group.home, id).filter(|_| known).find(|line| {
            // Under the same id it may have come later.
            if end.is_some_and(|end| line.seq > end.seq) {
                return false;
            }
            // An abort shows that PureMessage was still there.
            if case.kind == Kind::Abort { line.own == Some(false) } else { line.own != Some(false) }
        });
        let facts = Facts {
            kind: case.kind,
            entry: &case.entry,
            entry_at: case.entry.at.map(|at| self.hosts.clocks(group.home).offset().mail_time(at)),
            // What was delivered has come.
            collected: (group.collected || group.delivery == Some(Delivery::Sent)) && ours,
            lost: group.lost && ours,
            delivery: group.delivery.filter(|_| ours && !(case.kind == Kind::Abort && group.has_other_verdict())),
            cases: &group.cases,
            others: &group.others,
            earlier,
        };
        judge(&self.matcher, &facts, transaction.filter(|_| known))
    }

    /// Of a message that may be another host's, and of one of which lines are gone, nothing that was logged is known.
    fn is_known(&self, id: &QueueId, group: &Group) -> bool {
        !self.is_ambiguous(id, group) && !group.evicted
    }

    /// Whether entries that name no host may be of another one than the lines under their id.
    pub(super) fn is_ambiguous(&self, id: &QueueId, group: &Group) -> bool {
        group.ambiguous || group.nameless && self.seen.of_several_hosts(id)
    }

    /// The record of a case as it stands, and what it says.
    fn record(
        &self,
        id: &QueueId,
        group: &Group,
        index: usize,
        transaction: Option<Transaction<'_>>,
        revision: u32,
    ) -> (Vec<u8>, Told) {
        let verdict = self.judge(id, group, &group.cases[index], transaction);
        (self.write(id, group, index, &verdict, revision), verdict.told())
    }

    /// The transaction of each case.
    pub(super) fn aligned<'g>(&self, group: &'g Group) -> Vec<Option<Transaction<'g>>> {
        group.align(&self.matcher, self.hosts.clocks(group.home).offset())
    }

    /// The record that says this of a case.
    pub(super) fn write(
        &self,
        id: &QueueId,
        group: &Group,
        index: usize,
        verdict: &Verdict<'_>,
        revision: u32,
    ) -> Vec<u8> {
        let issue = Issue {
            case: &group.cases[index],
            queue_id: id.as_str(),
            host: group.host.as_deref().or_else(|| self.host_of(id)).filter(|_| !self.is_ambiguous(id, group)),
            verdict,
            why_not: match verdict.status {
                Status::Unexplained => Some(self.why_not(id, group, index)),
                Status::Provisional if self.stateless => Some(WhyNot::StatelessHost),
                _ => None,
            },
            revision,
            offset: self.hosts.clocks(group.home).offset(),
        };
        issue.write(&self.matcher)
    }

    /// The host whose mail log named a queue id, where it was one only.
    fn host_of(&self, id: &QueueId) -> Option<&str> {
        self.hosts.name(self.seen.host(id)?)
    }

    /// Issues a case at once: for good if all is known, or else as provisional, and it goes on waiting for its reason.
    pub(super) fn issue_at_once(&mut self, id: &QueueId, group: &mut Group, index: usize) {
        let mut verdict = self.judge(id, group, &group.cases[index], self.aligned(group)[index]);
        if verdict.told().settled {
            return self.issue(id, group, index);
        }
        verdict.status = Status::Provisional;
        let (record, told) = (self.write(id, group, index, &verdict, 0), verdict.told());
        if let CaseState::Held { revision, told: before, .. } = &mut group.cases[index].state {
            *revision = 1;
            *before = Some(told);
        }
        self.stats.provisional += 1;
        self.stats.issued += 1;
        let case = &group.cases[index];
        self.leave(record, case.ticket, Some(Revision { id: case.id.0, number: 0 }));
    }

    /// Issues a case as it stands.
    pub(super) fn issue(&mut self, id: &QueueId, group: &mut Group, index: usize) {
        let CaseState::Held { revision, .. } = group.cases[index].state else { return };
        let (record, told) = self.record(id, group, index, self.aligned(group)[index], revision);
        self.issue_as(id, group, index, record, told);
    }

    /// Issues a case by a record that says this of it.
    pub(super) fn issue_as(&mut self, id: &QueueId, group: &mut Group, index: usize, record: Vec<u8>, told: Told) {
        let CaseState::Held { revision, told: before, .. } = group.cases[index].state else { return };
        self.unwait(group.cases[index].seq);
        let known = self.is_known(id, group);
        let case = &mut group.cases[index];
        let kind = case.kind;
        let unchanged = before.is_some_and(|before| !before.outdated_by(told));
        case.state = CaseState::Issued { revision: revision - u32::from(unchanged), told };
        let ticket = std::mem::take(&mut case.ticket);
        self.released.extend((ticket != 0).then_some(ticket));
        if unchanged {
            return;
        }
        if kind != Kind::Abort && told.class == Class::Unexplained && (kind == Kind::Unnoticed || !known) {
            // The failure turned out to be another message's, or nothing is known of this one any more, neither whether it
            // has an entry. An entry leaves as it came, unless it has left; a delivery has.
            if kind == Kind::Unnoticed && revision == 0 && self.config.others == Others::Pass {
                let record = case.record.as_bytes().to_vec();
                self.leave(record, ticket, None);
            }
            return;
        }
        let tells = Revision { id: case.id.0, number: revision };
        let first = before.is_none_or(|before| before.status == Status::Provisional);
        self.count(kind, told.status, revision, first);
        self.leave(record, ticket, Some(tells));
    }

    fn count(&mut self, kind: Kind, status: Status, revision: u32, first: bool) {
        let stats = &mut self.stats;
        stats.issued += 1;
        stats.revisions += u64::from(revision > 0);
        if !first {
            return;
        }
        match (kind, status) {
            (Kind::Unnoticed, _) => stats.unnoticed += 1,
            (Kind::Unlogged, _) => stats.unlogged += 1,
            (Kind::Abort, Status::Explained) => stats.explained += 1,
            (Kind::Abort, Status::Inferred) => stats.inferred += 1,
            (Kind::Abort, _) => stats.unexplained += 1,
        }
    }

    /// Makes room among the cases and lines of a message.
    pub(super) fn let_go_told(&mut self, group: &mut Group) {
        let offset = self.hosts.clocks(group.home).offset();
        group.let_go_told(&self.matcher, offset, &mut self.released);
    }

    /// Takes a case from those that wait.
    pub(super) fn unwait(&mut self, seq: u64) {
        self.waits.remove(seq);
        self.stats.held = self.waits.len() as u64;
    }

    /// What waits for one host's log waits for another's.
    pub(super) fn move_waits(&mut self, group: &Group, home: Home) {
        for case in &group.cases {
            self.waits.rehome(case.seq, home);
        }
    }

    fn why_not(&self, id: &QueueId, group: &Group, index: usize) -> WhyNot {
        if self.is_ambiguous(id, group) {
            return WhyNot::AmbiguousHost;
        }
        // What has seen an id is known by short names. Of the groups of the id this one is taken out.
        let is_namesake = |other: &Group| other.host_number() == group.host_number() && !other.evidence.is_empty();
        if self.store.get(id).iter().any(is_namesake) {
            return WhyNot::OtherHost;
        }
        let slot = self.seen.find(id.number(), group.host_number());
        match slot {
            Found::Slot(slot) if slot.flags & flag::EVICTED != 0 => WhyNot::Evicted,
            Found::Displaced => WhyNot::Evicted,
            _ if group.lost => WhyNot::Evicted,
            Found::Slot(slot) if slot.flags & flag::MAIL != 0 => WhyNot::OnlyOrdinaryLines,
            _ if self.seen.is_of_another_host(id, group.host_number()) => WhyNot::OtherHost,
            _ if self.older_than_the_mail_log(group.home, &group.cases[index].entry) => WhyNot::StartedLate,
            _ => WhyNot::NoMailLines,
        }
    }

    /// Whether a message began before the mail log that was read, or before all of them if it may be any host's.
    fn older_than_the_mail_log(&self, home: Home, entry: &EntryFacts) -> bool {
        let Some(at) = entry.at else { return false };
        let began = at.saturating_sub(entry.processing_ms.unwrap_or(0) as i64);
        self.hosts.mail_begins_in_entry_time(home).is_some_and(|first| began.saturating_add(1_000) < first)
    }

    /// Issues the case with this number.
    pub(super) fn settle(&mut self, id: QueueId, seq: u64) {
        self.unwait(seq);
        let Some((mut group, index)) = self.take_case(&id, seq) else { return };
        self.issue(&id, &mut group, index);
        self.put(id, group);
    }

    /// Takes a message out, for one of its cases.
    fn take_case(&mut self, id: &QueueId, seq: u64) -> Option<(Group, usize)> {
        let mut groups = self.store.get(id).iter().enumerate();
        let (place, index) =
            groups.find_map(|(place, group)| Some((place, group.cases.iter().position(|case| case.seq == seq)?)))?;
        Some((self.store.take_at(id, place)?, index))
    }

    /// Issues all aborts that wait.
    #[inline(never)]
    pub(super) fn let_go(&mut self) {
        let held: Vec<(u64, QueueId)> = self.waits.all().collect();
        for (seq, id) in held {
            let Some((mut group, index)) = self.take_case(&id, seq) else { continue };
            let case = &group.cases[index];
            if case.kind == Kind::Abort && matches!(case.state, CaseState::Held { told: None, .. }) {
                self.issue_at_once(&id, &mut group, index);
            }
            self.put(id, group);
        }
    }

    /// Issues all that waits in a group; gives their number.
    pub(super) fn issue_held(&mut self, id: &QueueId, group: &mut Group) -> u64 {
        let judged = self.aligned(group).into_iter().enumerate().filter_map(|(index, transaction)| {
            let CaseState::Held { revision, .. } = group.cases[index].state else { return None };
            let (record, told) = self.record(id, group, index, transaction, revision);
            Some((index, told, record))
        });
        let held: Vec<(usize, Told, Vec<u8>)> = judged.collect();
        let count = held.len() as u64;
        for (index, told, record) in held {
            self.issue_as(id, group, index, record, told);
        }
        count
    }

    /// Issues what has waited until a log passed it.
    #[inline(never)]
    pub(super) fn release_due(&mut self, log: LineKind, home: Home) {
        let homes = [Some(home), Some(NAMELESS).filter(|nameless| *nameless != home)];
        for home in homes.into_iter().flatten() {
            let Some(first) = self.waits.first_for(log, home) else { continue };
            let progress = if self.goes_by_all(log, home) {
                // All are looked at only when those have come so far that are known to have been behind.
                if [home, self.furthest_behind].into_iter().any(|home| self.is_before(home, first)) {
                    continue;
                }
                let least = self.least_of_all();
                self.furthest_behind = least.map_or(NAMELESS, |(_, home)| home);
                least.map(|(progress, _)| progress)
            } else {
                self.progress((log, home))
            };
            let Some(progress) = progress else { continue };
            while let Some((seq, id)) = self.waits.passed(log, home, progress, self.now) {
                self.settle(id, seq);
            }
        }
    }

    /// Notes that `message_log` has come so far.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "an interpreter pays dearly for each call, and this is run for every record"
    )]
    pub(super) fn reach_entry(&mut self, home: Home, at: i64) {
        let clocks = self.hosts.clocks_mut(home);
        clocks.entries.arrived = self.now;
        if clocks.entries.see(at) {
            self.expire(home);
            self.release_due(LineKind::MessageLog, home);
        }
    }

    /// No more input will come.
    pub(crate) fn finish(&mut self) {
        let pending: Vec<Whole> = self.parts.drain().collect();
        for whole in pending {
            self.whole_line(&whole, 0);
        }
        while let Some((seq, id)) = self.waits.first() {
            self.settle(id, seq);
        }
        // Nothing will come that what is kept could explain.
        let mut tickets = self.store.take_tickets();
        tickets.extend(self.connections.take_tickets());
        self.released.extend(sorted(tickets).into_iter().filter(|ticket| *ticket != 0));
    }

    /// How far a log of a host has come, in entry time.
    pub(super) fn progress(&self, (log, home): (LineKind, Home)) -> Option<i64> {
        if log == LineKind::MessageLog {
            return self.hosts.entries(home);
        }
        match self.hosts.clocks(home).mail_in_entry_time() {
            None if self.goes_by_all(log, home) => self.least_of_all().map(|(progress, _)| progress),
            None => self.hosts.clocks(NAMELESS).mail_in_entry_time(),
            progress => progress,
        }
    }

    fn least_of_all(&self) -> Option<(i64, Home)> {
        self.hosts.all_mail_in_entry_time(|arrived| self.gives_nothing(Some(arrived)))
    }

    /// Whether the mail log of a host gives lines, and has not come so far yet.
    fn is_before(&self, home: Home, time: i64) -> bool {
        let clocks = self.hosts.clocks(home);
        clocks.mail_in_entry_time().is_some_and(|at| at < time) && !self.gives_nothing(Some(clocks.mail.arrived))
    }

    /// Whether the mail logs of all hosts count for what waits for that of none.
    fn goes_by_all(&self, log: LineKind, home: Home) -> bool {
        log == LineKind::Mail && home == NAMELESS && self.hosts.clocks(NAMELESS).mail.latest.is_none()
    }

    /// Lets time pass by the host's clock.
    #[inline]
    pub(crate) fn advance(&mut self, now: u64) {
        if self.resumed || self.waits.next_look().is_some_and(|look| look <= now) {
            self.let_pass(now);
        }
        self.now = self.now.max(now);
    }

    #[inline(never)]
    fn let_pass(&mut self, now: u64) {
        if std::mem::take(&mut self.resumed) && now < self.now {
            self.set_back(self.now - now);
        }
        self.now = self.now.max(now);
        let mut over = Vec::new();
        while let Some((seq, wait)) = self.waits.look(self.now) {
            if let Some((wait, look)) = self.goes_on(wait) {
                self.waits.go_on(seq, wait, look);
            } else {
                self.waits.remove(seq);
                over.push((seq, wait.id));
            }
        }
        // The cases of one message leave in the order of their entries.
        for (seq, id) in sorted(over) {
            self.settle(id, seq);
        }
    }

    /// How a wait goes on, and when it is to be looked at again; none if it is over by the host's clock: the log that it
    /// waits for has reached it some time ago, or gives nothing, or can't be expected to come there.
    fn goes_on(&self, mut wait: Wait) -> Option<(Wait, u64)> {
        let given = match wait.log {
            LineKind::Mail => self.hosts.mail_arrival(wait.home),
            LineKind::MessageLog => self.hosts.last_entry_arrival(),
        };
        let progress = self.progress((wait.log, wait.home));
        wait.observe(progress, self.now);
        let end = match (wait.seen, wait.reach) {
            (Awaited::Behind { since, from }, Some(reach)) if !self.gives_nothing(given) => {
                let silent = given.unwrap_or_default().saturating_add(self.hold_ms());
                let progress = progress.unwrap_or(from);
                if catches_up(progress.saturating_sub(from), self.now - since) {
                    // The next look measures anew: one leap is no pace.
                    wait.seen = Awaited::Behind { since: self.now, from: progress };
                    silent
                } else {
                    let end = self.given_up(&wait, reach, since, from);
                    end.min(silent).max(wait.end())
                }
            }
            _ => wait.end(),
        };
        (end > self.now).then_some((wait, end))
    }

    /// When a wait is over though the log gives lines: it will not come there, or so late that this can't be its delay; the
    /// case's time is wrong then, or the log's clock.
    fn given_up(&self, wait: &Wait, reach: i64, since: u64, from: i64) -> u64 {
        let behind = reach.saturating_sub(from).max(0) as u64;
        let delay = if behind <= self.lookback_ms() { behind } else { 0 };
        since.saturating_add(delay).saturating_add(wait.hold_ms)
    }

    fn gives_nothing(&self, arrived: Option<u64>) -> bool {
        arrived.is_none_or(|arrived| arrived.saturating_add(self.hold_ms()) <= self.now)
    }

    /// The host's clock begins anew after a restart: as if no time had passed.
    fn set_back(&mut self, by: u64) {
        self.now -= by;
        self.hosts.set_back(by);
        self.waits.set_back(by);
    }

    /// Whether [`poll`](Join::poll) gives something.
    #[inline]
    pub(crate) fn is_ready(&self) -> bool {
        !self.out.is_empty()
    }

    pub(crate) fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    pub(crate) fn poll_released(&mut self) -> Option<u64> {
        self.released.pop_front()
    }

    /// When [`Join::advance`] should be called at the latest.
    pub(crate) fn poll_timeout(&self) -> Option<u64> {
        self.waits.next_look().map(|look| look.max(self.now))
    }

    /// Gives up evidence and issued cases whose lookback is over, by the progress of `message_log`.
    #[inline(never)]
    pub(super) fn expire(&mut self, home: Home) {
        let lookback = self.lookback_ms() as i64;
        let hosts = &self.hosts;
        // Up to where a host's evidence is over, in mail time.
        let limit = |home: Home| Some(hosts.both(home)?.saturating_sub(lookback));
        let over = |group: &Group| {
            let Some(limit) = limit(group.home) else { return false };
            let offset = hosts.clocks(group.home).offset();
            let (mail, entry) = group.latest();
            let held = group.cases.iter().any(|case| matches!(case.state, CaseState::Held { .. }));
            let over = |at: Option<i64>| at.is_none_or(|at| at <= limit);
            !held && over(mail) && over(entry.map(|at| offset.mail_time(at))) && over(group.came)
        };
        // Entries without a host may be of any.
        let latest = hosts.clocks(NAMELESS).entries.latest.map(|latest| latest.saturating_add(WIDEST_MS));
        let Some(bound) = (if home == NAMELESS { latest } else { limit(home) }) else { return };
        let gone: Vec<(QueueId, Group)> = std::iter::from_fn(|| self.store.pop_over(bound, over)).collect();
        let stale = self.parts.close(|whole| whole.at.zip(limit(whole.home)).is_some_and(|(at, limit)| at <= limit));
        for (id, group) in gone {
            self.stats.expired += 1;
            self.forget(&group);
            if !group.evidence.is_empty() {
                self.seen.mark(&id, group.host_number(), flag::EVICTED);
            }
        }
        for whole in stale {
            self.whole_line(&whole, 0);
        }
    }
}

/// Sorts without a function that calls itself: where stack is short, there may be much to sort.
fn sorted<T: Ord>(list: Vec<T>) -> Vec<T> {
    BinaryHeap::from(list).into_sorted_vec()
}

/// Whether a log is read from behind: it comes on faster than the host's clock does.
fn catches_up(come_ms: i64, passed_ms: u64) -> bool {
    come_ms > (passed_ms as i64).saturating_mul(2)
}
