//! What is known of one message: its lines of evidence, its entries, and which lines belong to which entry.

use serde::{Deserialize, Serialize};

use crate::address;
use crate::case::{self, Case, CaseState, EntryFacts, Evidence, Kind, Told};
use crate::envelope::{Delivery, FromLine, refused_sender};
use crate::reasons::{Class, Matcher, Rank, Role};
use crate::zone::{Offset, WIDEST_MS, half_hours};

use super::clock::{CLOCKS_MS, was_set_back};
use super::names::{Home, host_number};

/// One message: one queue id on one host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Group {
    pub host: Option<Box<str>>,
    /// In the order of the mail log.
    pub evidence: Vec<Evidence>,
    pub cases: Vec<Case>,
    /// Entries that are no cases.
    pub others: Vec<(u64, EntryFacts)>,
    /// The text was received.
    pub collected: bool,
    /// What a delivery or refusal said first.
    pub delivery: Option<Delivery>,
    /// How far both logs had come when something of it came last, in mail time: what comes late, or is of a clock that was
    /// set back, is kept as long as what comes in time.
    pub came: Option<i64>,
    /// Lines of it were given up: what is left may be what followed from the cause.
    pub evicted: bool,
    /// Ordinary lines of it may have been given up unread: that none told of the text says nothing.
    pub lost: bool,
    /// An entry names no host.
    pub nameless: bool,
    /// Another host has the same queue id, and the entries don't say which is theirs.
    pub ambiguous: bool,
    /// The sender of a message that may have passed without an entry.
    pub sender: Option<Box<str>>,
    /// Tickets of further parts of lines that came in parts.
    pub part_tickets: Vec<u64>,
    /// The host's clocks.
    pub home: Home,
    /// Place in the order of eviction.
    pub place: Option<(u8, u64)>,
    pub bytes: usize,
}

/// The lines of one transaction under a queue id. A refused MAIL keeps the id for the next one, so there may be several;
/// all but the last end with such a refusal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Transaction<'g> {
    pub evidence: &'g [Evidence],
    /// Ended by a refusal of MAIL.
    pub refused: bool,
    pub last: bool,
}

/// An entry with the order of its arrival, and its place among the cases if it is one.
type InOrder<'g> = (u64, &'g EntryFacts, Option<usize>);

impl Group {
    /// Puts a line in its place; false if it is there already. Lines are ordered by time, as precisely as they give it:
    /// pipelines repeat what was refused, and bring one process's lines in disorder. Those of one process that seem to
    /// step back by half an hour and more were written in this order, and the clock was set back between them.
    pub(crate) fn insert(&mut self, evidence: Evidence) -> bool {
        // The first line of a log without years has no time, and has one when it comes again.
        let same_time = |known: &Evidence| known.time.zip(evidence.time).is_none_or(|(known, now)| known == now);
        let same = |known: &Evidence| known.text == evidence.text && known.pid == evidence.pid && same_time(known);
        if self.evidence.iter().any(same) {
            return false;
        }
        let behind = self.evidence.iter().rposition(|known| {
            let (Some(before), Some(now)) = (known.moment(), evidence.moment()) else { return true };
            let same_process = known.pid.is_some() && known.pid == evidence.pid;
            before <= now || same_process && was_set_back(before.0, now.0)
        });
        self.evidence.insert(behind.map_or(0, |at| at + 1), evidence);
        true
    }

    /// Gives up a line for one of another rule: a further refusal of a recipient, or for a decisive one any that decides
    /// nothing, the last one first; false if there is none.
    pub(crate) fn make_room(&mut self, matcher: &Matcher, rule: u16, released: &mut impl Extend<u64>) -> bool {
        let refuses = |rule: u16| matcher.rule(rule).role == Role::RefusesRecipient;
        let first = self.evidence.iter().position(|line| refuses(line.rule));
        let further =
            self.evidence.iter().rposition(|line| refuses(line.rule)).filter(|at| Some(*at) != first && !refuses(rule));
        let decides = |line: &Evidence| matcher.rule(line.rule).rank == Rank::Decisive;
        let weak = || {
            self.evidence.iter().rposition(|line| !decides(line)).filter(|_| matcher.rule(rule).rank == Rank::Decisive)
        };
        further
            .or_else(weak)
            .map(|at| self.evidence.remove(at))
            .map(|line| released.extend((line.ticket != 0).then_some(line.ticket)))
            .is_some()
    }

    /// Lets go of the transactions of which all is said: those that ended by a refusal and whose records have left.
    pub(crate) fn let_go_told(&mut self, matcher: &Matcher, offset: Offset, released: &mut impl Extend<u64>) {
        let mut told_cases = Vec::new();
        let mut told_lines = Vec::new();
        for (case, transaction) in self.cases.iter().zip(self.align(matcher, offset)) {
            if let (
                CaseState::Issued { told: Told { settled: true, .. }, .. },
                Some(Transaction { refused: true, evidence, .. }),
            ) = (&case.state, transaction)
            {
                told_cases.push(case.seq);
                told_lines.extend(evidence.iter().map(|line| line.seq));
            }
        }
        self.cases.retain(|case| !told_cases.contains(&case.seq));
        let gone = self.evidence.extract_if(.., |line| told_lines.contains(&line.seq));
        released.extend(gone.map(|line| line.ticket).filter(|ticket| *ticket != 0));
    }

    /// Notes what a `to=` line says: the first that settles it counts. A refusal is the same for all recipients, and no
    /// delivery follows it.
    pub(crate) fn deliver(&mut self, delivery: Delivery) {
        self.delivery.get_or_insert(delivery);
    }

    /// Whether PureMessage has judged a text under this id that is not an abort's: what was delivered is that.
    pub(crate) fn has_other_verdict(&self) -> bool {
        let is_unnoticed = |case: &Case| case.kind == Kind::Unnoticed;
        self.others.iter().any(|(_, entry)| entry.has_size) || self.cases.iter().any(is_unnoticed)
    }

    /// The transactions, in the order of the log.
    pub(crate) fn transactions(&self, matcher: &Matcher) -> Vec<Transaction<'_>> {
        let mut list = Vec::new();
        let mut start = 0;
        for (index, evidence) in self.evidence.iter().enumerate() {
            let refused = matcher.rule(evidence.rule).role == Role::RefusesMail;
            if refused || index + 1 == self.evidence.len() {
                let last = index + 1 == self.evidence.len();
                list.push(Transaction { evidence: &self.evidence[start..=index], refused, last });
                start = index + 1;
            }
        }
        list
    }

    /// The transaction of each case, by the index of the case. Entries and transactions of one id follow each other in
    /// the same order; a sender tells them apart, where both name one. Time tells only which of several is meant.
    pub(crate) fn align<'g>(&'g self, matcher: &Matcher, offset: Offset) -> Vec<Option<Transaction<'g>>> {
        // Most lines come before their entry.
        if self.cases.is_empty() {
            return Vec::new();
        }
        // Most messages have one entry, and no refusal of MAIL: nothing is to be told apart.
        let refuses = |line: &Evidence| matcher.rule(line.rule).role == Role::RefusesMail;
        if let ([case], []) = (&*self.cases, &*self.others)
            && !self.evidence.iter().any(refuses)
        {
            let whole = Transaction { evidence: &self.evidence, refused: false, last: true };
            return vec![Some(whole).filter(|_| !self.evidence.is_empty() && !case.entry.refuses_mail)];
        }
        let transactions = self.transactions(matcher);
        let (entries, found) = self.refused(matcher, &transactions, offset);
        let mut aligned = vec![None; self.cases.len()];
        // What no refusal ended is the last entry's of those that are left.
        let last = found.iter().rposition(Option::is_none);
        for (order, (_, entry, case)) in entries.into_iter().enumerate() {
            let is_last = last == Some(order) && !entry.refuses_mail;
            let rest = transactions.last().filter(|transaction| is_last && !transaction.refused);
            if let Some(case) = case {
                aligned[case] = found[order].map(|index| transactions[index]).or(rest.copied());
            }
        }
        aligned
    }

    /// All entries in their order, and which transaction that ended by a refusal is whose, by its index.
    fn refused(
        &self,
        matcher: &Matcher,
        transactions: &[Transaction<'_>],
        offset: Offset,
    ) -> (Vec<InOrder<'_>>, Vec<Option<usize>>) {
        let cases = self.cases.iter().enumerate().map(|(index, case)| (case.seq, &case.entry, Some(index)));
        let mut arrived: Vec<InOrder<'_>> =
            cases.chain(self.others.iter().map(|(seq, entry)| (*seq, entry, None))).collect();
        arrived.sort_by_key(|(seq, ..)| *seq);
        // By time, as lines are; also here a clock may have been set back.
        let mut entries: Vec<InOrder<'_>> = Vec::with_capacity(arrived.len());
        for entry in arrived {
            let follows = |(before, now)| before <= now || was_set_back(before, now);
            let before = |known: &InOrder<'_>| known.1.at.zip(entry.1.at).is_none_or(follows);
            entries.insert(entries.iter().rposition(before).map_or(0, |at| at + 1), entry);
        }
        let mut found = refusals(matcher, transactions, &entries, offset, false);
        // Where none fits, the difference between the clocks may be another than was thought.
        if found.iter().all(Option::is_none) {
            found = refusals(matcher, transactions, &entries, offset, true);
        }
        (entries, found)
    }

    /// Gives back the tickets of transactions that ended by a refusal and whose entries have left: an engine that is taught
    /// by tickets does not know those entries, and would take the lines for those of the next entry under the id.
    pub(crate) fn give_back_refused(&mut self, matcher: &Matcher, offset: Offset, released: &mut impl Extend<u64>) {
        let refuses = |line: &Evidence| line.ticket != 0 && matcher.rule(line.rule).role == Role::RefusesMail;
        let left = |case: &Case| matches!(case.state, CaseState::Issued { .. });
        if self.others.is_empty() && !self.cases.iter().any(left) || !self.evidence.iter().any(refuses) {
            return;
        }
        let transactions = self.transactions(matcher);
        let (entries, found) = self.refused(matcher, &transactions, offset);
        let left =
            |case: Option<usize>| case.is_none_or(|case| matches!(self.cases[case].state, CaseState::Issued { .. }));
        let of_those_that_left = entries.iter().zip(found).filter(|((.., case), _)| left(*case));
        let lines: Vec<u64> = of_those_that_left
            .filter_map(|(_, found)| transactions.get(found?))
            .flat_map(|transaction| transaction.evidence.iter().map(|line| line.seq))
            .collect();
        for line in self.evidence.iter_mut().filter(|line| lines.contains(&line.seq)) {
            released.extend(Some(std::mem::take(&mut line.ticket)).filter(|ticket| *ticket != 0));
        }
    }

    /// What the table of seen ids knows its host by.
    pub(crate) fn host_number(&self) -> u32 {
        host_number(self.host.as_deref().unwrap_or_default().as_bytes())
    }

    /// The tickets of all that is in it, 0 for what has none.
    pub(crate) fn tickets(&self) -> impl Iterator<Item = u64> {
        let lines = self.evidence.iter().map(|line| line.ticket).chain(self.part_tickets.iter().copied());
        lines.chain(self.cases.iter().map(|case| case.ticket))
    }

    /// How readily this is given up when memory is short: the lower, the sooner.
    pub(crate) fn tier(&self, matcher: &Matcher) -> u8 {
        let failure = self.evidence.iter().any(|line| {
            let rule = matcher.rule(line.rule);
            rule.rank == Rank::Decisive
        });
        if self.cases.iter().any(|case| matches!(case.state, CaseState::Held { .. })) {
            4
        } else if self.cases.iter().any(|case| matches!(&case.state, CaseState::Issued { told, .. } if !told.settled)) {
            3
        } else if !self.cases.is_empty() || !self.others.is_empty() && !failure {
            // All is said, or the message ended well.
            0
        } else if failure {
            2
        } else {
            1
        }
    }

    /// Whether this is its age in the store.
    pub(crate) fn has_age(&self, age: u64) -> bool {
        self.place.is_some_and(|(_, own)| own == age)
    }

    /// Bytes of memory, with an allowance for what surrounds them.
    pub(crate) fn weigh(&self) -> usize {
        let evidence: usize = self.evidence.iter().map(Evidence::weigh).sum();
        let cases: usize = self.cases.iter().map(Case::weigh).sum();
        let others: usize = self.others.iter().map(|(_, entry)| 112 + case::length(entry.from.as_deref())).sum();
        320 + case::length(self.host.as_deref())
            + case::length(self.sender.as_deref())
            + evidence
            + cases
            + others
            + 8 * self.part_tickets.len()
    }

    /// The latest mail time of anything in it, or entry time where it has none; or how far the logs had come, if that is
    /// later.
    pub(crate) fn time(&self) -> i64 {
        let (mail, entry) = self.latest();
        mail.or(entry).max(self.came).unwrap_or(i64::MIN)
    }

    /// Notes how far the logs have come. What seems to be years behind is not: a line's time was forged.
    pub(crate) fn comes(&mut self, at: Option<i64>) {
        let (mail, entry) = self.latest();
        let is_near = |at: &i64| mail.or(entry).is_none_or(|own| at.saturating_sub(own) <= WIDEST_MS);
        self.came = at.filter(is_near).max(self.came);
    }

    /// The latest time of anything in it: mail time, entry time.
    pub(crate) fn latest(&self) -> (Option<i64>, Option<i64>) {
        let entries = self.cases.iter().map(|case| &case.entry).chain(self.others.iter().map(|(_, entry)| entry));
        (self.evidence.iter().filter_map(|line| line.at).max(), entries.filter_map(|entry| entry.at).max())
    }
}

/// Which refused transaction each entry is of, in order; by time, too, where the difference of the clocks is given.
fn refusals(
    matcher: &Matcher,
    transactions: &[Transaction<'_>],
    entries: &[InOrder<'_>],
    offset: Offset,
    any_zone: bool,
) -> Vec<Option<usize>> {
    let only = entries.len() == 1 && transactions.len() == 1;
    // Each is searched for once.
    let mut senders = vec![None; transactions.len()];
    let mut next = 0;
    let of = |(_, entry, _): &InOrder<'_>| {
        // No recipient follows a refused MAIL.
        if entry.recipients > 0 || entry.has_size {
            return None;
        }
        let found = (next..transactions.len()).find(|at| {
            let transaction = &transactions[*at];
            transaction.refused && transaction.not_before(entry, offset, any_zone) && {
                let sender = || *senders[*at].get_or_insert_with(|| transaction.sender(matcher));
                has_sender(entry, sender).unwrap_or(only)
            }
        })?;
        next = found + 1;
        Some(found)
    };
    entries.iter().map(of).collect()
}

impl<'g> Transaction<'g> {
    /// The sender, where a line names it.
    fn sender(&self, matcher: &Matcher) -> Option<&'g str> {
        self.evidence.iter().rev().find_map(|line| sender(matcher, line))
    }

    /// Whether the transaction did not end before the entry's message began, by clocks that differ by this, or by any
    /// number of half hours.
    fn not_before(&self, entry: &EntryFacts, offset: Offset, any_zone: bool) -> bool {
        let end = self.evidence.last().and_then(|line| line.at);
        let (Some(end), Some(at), Some(processing)) = (end, entry.at, entry.processing_ms) else { return true };
        let gap = offset.mail_time(at) - processing as i64 - end;
        let zones = half_hours(gap);
        let within = -(processing as i64) - CLOCKS_MS..=CLOCKS_MS;
        // By any zone only what was not found by the one that is known.
        if any_zone { gap > CLOCKS_MS && zones != 0 && within.contains(&(gap - zones)) } else { gap <= CLOCKS_MS }
    }
}

/// Whether an entry may be of a transaction by its sender, where both name one.
fn has_sender<'s>(entry: &EntryFacts, sender: impl FnOnce() -> Option<&'s str>) -> Option<bool> {
    let from = entry.from.as_deref()?;
    Some(address::may_be_same(from.as_bytes(), sender()?.as_bytes()))
}

/// The sender that a line names, where its rule says that it does.
fn sender<'e>(matcher: &Matcher, line: &'e Evidence) -> Option<&'e str> {
    let bytes = match matcher.rule(line.rule) {
        rule if rule.role == Role::RefusesMail => refused_sender(line.text.as_bytes())?,
        rule if rule.role == Role::EndOfEnvelope && rule.class == Class::ClientEnded => {
            FromLine::parse(line.text.as_bytes())?.sender
        }
        _ => return None,
    };
    std::str::from_utf8(bytes).ok()
}
