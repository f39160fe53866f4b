//! When cases leave, and how: settled ones at once, the others when the mail log has passed them or time is over.

use crate::config::Others;
use crate::peek::LineKind;
use crate::queue_id::QueueId;
use crate::reasons::Class;
use crate::record::{Issue, Kind, WhyNot};

use super::clock::WIDEST_MS;
use super::group::{Awaited, Case, CaseState, EntryFacts, Group, Transaction};
use super::hosts::{HostIndex, NAMELESS};
use super::parts::Whole;
use super::seen::{Found, flag, host_number};
use super::verdict::{Facts, Status, Told, Verdict, judge};
use super::{Join, Mark};

/// How often, in milliseconds, cases are looked at that wait by the host's clock.
const SWEEP_MS: u64 = 100;
/// The same for those whose time the mail log has not reached.
const SWEEP_ALL_MS: u64 = 1_000;

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
        // Of a message that may be another host's, nothing that was logged is known.
        let ours = last && !group.ambiguous;
        let end = transaction.and_then(|transaction| transaction.evidence.last());
        let earlier = self.connections.before(group.home, id).filter(|_| !group.ambiguous).find(|line| {
            // Under the same id it may have come later.
            if end.is_some_and(|end| line.seq > end.seq) {
                return false;
            }
            let own = line.filter.as_deref().and_then(|filter| self.config.is_own(filter));
            // An abort shows that PureMessage was still there.
            if case.kind == Kind::Abort { own == Some(false) } else { own != Some(false) }
        });
        let facts = Facts {
            kind: case.kind,
            entry: &case.entry,
            entry_at: case.entry.at.map(|at| at - self.hosts.clocks(group.home).offset()),
            recipients: case.to.len(),
            collected: group.collected && ours,
            delivery: group.delivery.filter(|_| ours),
            earlier,
        };
        judge(&self.config, &self.matcher, &facts, transaction.filter(|_| !group.ambiguous))
    }

    /// The record of a case as it stands, or as one that is issued before its reason can be known.
    fn record(&self, id: &QueueId, group: &Group, index: usize, revision: u32, provisional: bool) -> (Vec<u8>, Told) {
        let case = &group.cases[index];
        let offset = self.hosts.clocks(group.home).offset();
        let transaction = group.align(&self.matcher, offset)[index];
        let mut verdict = self.judge(id, group, case, transaction);
        if provisional {
            verdict.status = Status::Provisional;
        }
        let issue = Issue {
            case,
            queue_id: id.as_str(),
            host: group.only_host().or_else(|| self.host_of(id).filter(|_| !group.ambiguous)),
            verdict: &verdict,
            why_not: match verdict.status {
                Status::Unexplained => Some(self.why_not(id, group, index)),
                Status::Provisional if self.stateless => Some(WhyNot::StatelessHost),
                _ => None,
            },
            revision,
            offset,
        };
        (issue.write(&self.matcher), verdict.told())
    }

    /// The host whose mail log named a queue id, where it was one only.
    fn host_of(&self, id: &QueueId) -> Option<&str> {
        self.hosts.name(self.seen.host(id)?)
    }

    pub(super) fn issue_provisional(&mut self, id: &QueueId, group: &mut Group) {
        let index = group.cases.len() - 1;
        let (record, told) = self.record(id, group, index, 0, true);
        if told.settled {
            return;
        }
        if let CaseState::Held { revision, told: before, .. } = &mut group.cases[index].state {
            *revision = 1;
            *before = Some(told);
        }
        self.stats.provisional += 1;
        self.stats.issued += 1;
        self.leave(record, group.cases[index].ticket);
    }

    /// Issues a case as it stands.
    pub(super) fn issue(&mut self, id: &QueueId, group: &mut Group, index: usize) {
        let CaseState::Held { revision, told: before, .. } = group.cases[index].state else { return };
        self.unwait(group.home, &group.cases[index]);
        let (record, told) = self.record(id, group, index, revision, false);
        let case = &mut group.cases[index];
        let unchanged = before.is_some_and(|before| !before.outdated_by(told));
        case.state = CaseState::Issued { revision: revision - u32::from(unchanged), told };
        let ticket = std::mem::take(&mut case.ticket);
        self.released.extend((ticket != 0).then_some(ticket));
        if unchanged {
            return;
        }
        if case.kind == Kind::Unnoticed && told.class == Class::Unexplained {
            // The failure turned out to be another message's. The record leaves as it came, unless it has left.
            if revision == 0 && self.config.others == Others::Pass {
                let record = case.record.as_bytes().to_vec();
                self.leave(record, ticket);
            }
            return;
        }
        let first = before.is_none_or(|before| before.status == Status::Provisional);
        self.count(group.cases[index].kind, told.status, revision, first);
        self.leave(record, ticket);
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
    pub(super) fn unwait(&mut self, home: HostIndex, case: &Case) {
        self.held.remove(&case.seq);
        self.timeless.remove(&case.seq);
        if let CaseState::Held { due: Some(due), .. } = case.state
            && let Some(queue) = self.due.get_mut(&home)
        {
            queue.remove(&(due, case.seq));
        }
        self.stats.held = self.held.len() as u64;
    }

    /// What waits for one host's log waits for another's.
    pub(super) fn move_waits(&mut self, group: &Group, home: HostIndex) {
        for case in &group.cases {
            if let CaseState::Held { due: Some(due), .. } = case.state
                && self.due.get_mut(&group.home).is_some_and(|queue| queue.remove(&(due, case.seq)))
            {
                self.due.entry(home).or_default().insert((due, case.seq));
            }
        }
    }

    fn why_not(&self, id: &QueueId, group: &Group, index: usize) -> WhyNot {
        if group.ambiguous {
            return WhyNot::AmbiguousHost;
        }
        let host = host_number(group.host.as_deref().unwrap_or_default().as_bytes());
        let slot = self.seen.find(id, host);
        match slot {
            Found::Slot(slot) if slot.flags & flag::EVICTED != 0 => WhyNot::Evicted,
            Found::Displaced => WhyNot::Evicted,
            Found::Slot(slot) if slot.flags & flag::MAIL != 0 => WhyNot::OnlyOrdinaryLines,
            _ if self.older_than_the_mail_log(group.home, &group.cases[index].entry) => WhyNot::StartedLate,
            _ => WhyNot::NoMailLines,
        }
    }

    /// Whether a message began before the mail log that was read, or before all of them if it may be any host's.
    fn older_than_the_mail_log(&self, home: HostIndex, entry: &EntryFacts) -> bool {
        let Some(at) = entry.at else { return false };
        let began = at.saturating_sub(entry.processing_ms.unwrap_or(0) as i64);
        self.hosts.mail_begins_in_entry_time(home).is_some_and(|first| began.saturating_add(1_000) < first)
    }

    /// Issues the case with this number.
    pub(super) fn settle(&mut self, id: QueueId, seq: u64) {
        self.held.remove(&seq);
        let found = self
            .store
            .get(&id)
            .iter()
            .enumerate()
            .find_map(|(at, group)| group.cases.iter().position(|case| case.seq == seq).map(|index| (at, index)));
        let Some((at, index)) = found else { return };
        let Some(mut group) = self.store.take_at(&id, at) else { return };
        self.issue(&id, &mut group, index);
        self.put(id, group);
    }

    /// Issues all that waits in a group; gives their number.
    pub(super) fn issue_held(&mut self, id: &QueueId, group: &mut Group) -> u64 {
        let held: Vec<usize> =
            (0..group.cases.len()).filter(|at| matches!(group.cases[*at].state, CaseState::Held { .. })).collect();
        for index in &held {
            self.issue(id, group, *index);
        }
        held.len() as u64
    }

    /// Issues what has waited until the mail log passed it.
    pub(super) fn release_due(&mut self, place: HostIndex) {
        for home in [place, NAMELESS] {
            let Some(limit) = self.mail_progress(home) else { continue };
            while let Some((due, seq)) = self.due.get(&home).and_then(|queue| queue.first().copied()) {
                if due > limit {
                    break;
                }
                if let Some(queue) = self.due.get_mut(&home) {
                    queue.remove(&(due, seq));
                }
                if let Some(id) = self.held.get(&seq).copied() {
                    self.settle(id, seq);
                }
            }
        }
    }

    /// Where the line or entry that came last stands.
    pub(crate) fn mark(&self) -> Option<Mark> {
        self.mark
    }

    /// Notes that a log has come so far.
    pub(crate) fn reach(&mut self, mark: Mark) {
        let clocks = self.hosts.clocks_mut(mark.host);
        match mark.log {
            LineKind::Mail => {
                clocks.mail.arrived = self.now;
                if clocks.mail.see(mark.at) {
                    self.release_due(mark.host);
                }
            }
            LineKind::MessageLog => {
                clocks.entries.arrived = self.now;
                if clocks.entries.see(mark.at) {
                    self.expire(mark.host);
                }
            }
        }
    }

    /// No more input will come.
    pub(crate) fn finish(&mut self) {
        let pending: Vec<Whole> = self.parts.drain().collect();
        for whole in pending {
            self.whole_line(&whole, 0);
        }
        while let Some((seq, id)) = self.held.first_key_value().map(|(seq, id)| (*seq, *id)) {
            self.settle(id, seq);
        }
        // Nothing will come that what is kept could explain.
        let mut tickets = self.store.take_tickets();
        tickets.extend(self.connections.take_tickets());
        tickets.sort_unstable();
        self.released.extend(tickets.into_iter().filter(|ticket| *ticket != 0));
    }

    /// How far the mail log of a host has come, in entry time.
    fn mail_progress(&self, home: HostIndex) -> Option<i64> {
        match self.hosts.clocks(home).mail_in_entry_time() {
            None if home == NAMELESS => self.hosts.all_mail_in_entry_time(|arrived| self.gives_nothing(Some(arrived))),
            None => self.hosts.clocks(NAMELESS).mail_in_entry_time(),
            progress => progress,
        }
    }

    /// Lets time pass by the host's clock.
    pub(crate) fn advance(&mut self, now: u64) {
        if std::mem::take(&mut self.resumed) && now < self.now {
            self.set_back(self.now - now);
        }
        self.now = self.now.max(now);
        if self.held.is_empty() || self.now < self.swept + SWEEP_MS {
            return;
        }
        self.swept = self.now;
        for seq in self.candidates() {
            if let Some(id) = self.held.get(&seq).copied()
                && self.waited(&id, seq)
            {
                self.settle(id, seq);
            }
        }
    }

    /// Cases that can be over by the host's clock: those whose time the mail log has reached, or will not reach because it
    /// is silent, and those that don't wait for it; and all of them now and then, since a log that gives lines may still
    /// never come there.
    fn candidates(&mut self) -> Vec<u64> {
        if self.now >= self.swept_all + SWEEP_ALL_MS {
            self.swept_all = self.now;
            return self.held.keys().copied().collect();
        }
        let mut list: Vec<u64> = self.timeless.iter().copied().collect();
        for (home, queue) in &self.due {
            let limit = if self.mail_silent(*home) { Some(i64::MAX) } else { self.mail_progress(*home) };
            let Some(limit) = limit.map(|progress| progress.saturating_add(self.hold_ms())) else { continue };
            list.extend(queue.iter().take_while(|(due, _)| *due <= limit).map(|(_, seq)| *seq));
        }
        list.sort_unstable();
        list
    }

    /// Whether a case has waited long enough by the host's clock: since it came where the log that it waits for is silent,
    /// since that log reached its time, or where it can't be expected to.
    fn waited(&mut self, id: &QueueId, seq: u64) -> bool {
        let found = self
            .store
            .get(id)
            .iter()
            .find_map(|group| group.cases.iter().find(|case| case.seq == seq).map(|case| (group.home, case)));
        let Some((home, Case { kind, entry, state: CaseState::Held { arrived, log, due, .. }, .. })) = found else {
            return true;
        };
        let (arrived, log, due) = (*arrived, *log, *due);
        // What has no entry waits for the other log, and may have a wait of its own.
        let (silent, progress, hold) = match (kind, due.zip(entry.at)) {
            (Kind::Unlogged, Some((due, at))) => {
                (self.entries_silent(), self.hosts.entries(home), due.saturating_sub(at))
            }
            _ => (self.mail_silent(home), self.mail_progress(home), self.hold_ms()),
        };
        let over = |since: u64| since.saturating_add(hold.max(0) as u64) <= self.now;
        let Some(due) = due.filter(|_| !silent) else { return over(arrived) };
        let Some(progress) = progress else { return false };
        let reached = progress >= due.saturating_sub(hold);
        let seen = match log {
            Awaited::CaughtUp(since) => return over(since.max(arrived)),
            _ if reached => Awaited::CaughtUp(self.now),
            Awaited::Unknown => Awaited::Behind { since: self.now, from: progress },
            Awaited::Behind { since, from } => return self.never_comes(due, hold, since, from, progress),
        };
        self.store.edit_case(id, seq, |case| {
            if let CaseState::Held { log, .. } = &mut case.state {
                *log = seen;
            }
        });
        false
    }

    /// Whether a log that gives lines will not come to a case's time, or so late that this can't be its delay: the time is
    /// wrong then, or the log's clock. One that is read from behind comes on faster than the host's clock does.
    fn never_comes(&self, due: i64, hold: i64, since: u64, from: i64, progress: i64) -> bool {
        let waited = (self.now - since) as i64;
        let behind = due.saturating_sub(hold).saturating_sub(from);
        let delay = if behind <= self.lookback_ms() { behind } else { 0 };
        let catches_up = progress.saturating_sub(from) > waited.saturating_mul(2);
        !catches_up && waited >= delay.saturating_add(hold)
    }

    /// Whether a host's mail log has given nothing for as long as an abort waits.
    fn mail_silent(&self, home: HostIndex) -> bool {
        self.gives_nothing(self.hosts.mail_arrival(home))
    }

    fn entries_silent(&self) -> bool {
        self.gives_nothing(self.hosts.last_entry_arrival())
    }

    fn gives_nothing(&self, arrived: Option<u64>) -> bool {
        arrived.is_none_or(|arrived| arrived.saturating_add(self.hold_ms() as u64) <= self.now)
    }

    /// The host's clock begins anew after a restart: as if no time had passed.
    fn set_back(&mut self, by: u64) {
        self.now -= by;
        self.swept = self.swept.saturating_sub(by);
        self.swept_all = self.swept_all.saturating_sub(by);
        self.hosts.set_back(by);
        self.store.edit_cases(|case| {
            if let CaseState::Held { arrived, log, .. } = &mut case.state {
                *arrived = arrived.saturating_sub(by);
                if let Awaited::Behind { since, .. } | Awaited::CaughtUp(since) = log {
                    *since = since.saturating_sub(by);
                }
            }
        });
    }

    /// When [`Join::advance`] should be called at the latest.
    pub(crate) fn poll_timeout(&self) -> Option<u64> {
        (!self.held.is_empty()).then_some(self.now.max(self.swept) + SWEEP_MS)
    }

    /// Gives up evidence and issued cases whose lookback is over, by the progress of `message_log`.
    pub(super) fn expire(&mut self, place: HostIndex) {
        let lookback = self.lookback_ms();
        let hosts = &self.hosts;
        // Up to where a host's evidence is over, in mail time.
        let limit = |home: HostIndex| {
            let clocks = hosts.clocks(home);
            let entries = hosts.entries(home)?.saturating_sub(clocks.offset());
            let mail = clocks.mail.latest.or(hosts.clocks(NAMELESS).mail.latest)?;
            Some(entries.min(mail).saturating_sub(lookback))
        };
        let over = |group: &Group| {
            let Some(limit) = limit(group.home) else { return false };
            let offset = hosts.clocks(group.home).offset();
            let (mail, entry) = group.latest();
            let held = group.cases.iter().any(|case| matches!(case.state, CaseState::Held { .. }));
            !held && mail.is_none_or(|at| at <= limit) && entry.is_none_or(|at| at - offset <= limit)
        };
        // Entries without a host may be of any.
        let latest = hosts.clocks(NAMELESS).entries.latest.map(|latest| latest.saturating_add(WIDEST_MS));
        let Some(bound) = (if place == NAMELESS { latest } else { limit(place) }) else { return };
        let gone: Vec<Group> =
            std::iter::from_fn(|| self.store.pop_over(bound, over)).map(|(_, group)| group).collect();
        let stale =
            self.parts.close(|whole| whole.at.zip(limit(whole.host_index)).is_some_and(|(at, limit)| at <= limit));
        for group in gone {
            self.stats.expired += 1;
            self.forget(&group);
        }
        for whole in stale {
            self.whole_line(&whole, 0);
        }
    }
}
