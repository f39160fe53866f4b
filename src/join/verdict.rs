//! The judgement: from the lines of a transaction to what happened, and what became of the mail.
//!
//! Pure: it reads evidence and changes nothing, so that it can be asked again whenever a line comes.

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::envelope::{FromLine, Reply, reply};
use crate::reasons::{Class, Matcher, Rank, Role, Stage, words};
use crate::record::Kind;

use super::group::{Delivery, EntryFacts, Evidence, Transaction};

words! {
    /// How sure the reason is.
    Status {
        /// A line names it.
        Explained = "explained",
        /// Inferred from circumstantial evidence only.
        Inferred = "inferred",
        /// Nothing explains it.
        Unexplained = "unexplained",
        /// Issued before its reason could be known.
        Provisional = "provisional",
    }
}

words! {
    /// What became of the mail.
    Outcome {
        /// Its text never came, or the client withdrew it.
        NotReceived = "not_received",
        /// The client was told to try again.
        TempFailed = "tempfailed",
        /// The client was told that it is refused.
        Rejected = "rejected",
        /// It was accepted and thrown away.
        Discarded = "discarded",
        /// It was delivered.
        Delivered = "delivered",
        /// It was delivered, and PureMessage had not given its verdict.
        DeliveredUnscanned = "delivered_unscanned",
        /// The log does not say.
        Unknown = "unknown",
    }
}

/// What was found out about a case.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Verdict<'g> {
    pub status: Status,
    pub class: Class,
    pub outcome: Outcome,
    pub stage: Option<Stage>,
    pub timeout: Option<char>,
    pub filter: Option<&'g str>,
    pub own_filter: Option<bool>,
    /// The lines, first the reason.
    pub evidence: Vec<&'g Evidence>,
    /// The first of `evidence` is the reason, in words.
    pub has_reason: bool,
    /// The log has said all that it will say of it.
    pub settled: bool,
}

/// What of a verdict makes another one worth issuing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub status: Status,
    pub class: Class,
    pub outcome: Outcome,
    pub settled: bool,
}

impl Verdict<'_> {
    pub(crate) fn told(&self) -> Told {
        Told { status: self.status, class: self.class, outcome: self.outcome, settled: self.settled }
    }
}

impl Told {
    /// Whether `new` says something that this did not: a reason where there was none or another, or what became of the
    /// mail where that was unknown.
    pub(crate) fn outdated_by(self, new: Told) -> bool {
        self.class != new.class
            || self.status != new.status
            || self.outcome != new.outcome && new.outcome != Outcome::Unknown
    }
}

/// What the judgement rests on, beside the lines of the transaction.
pub(crate) struct Facts<'g> {
    pub kind: Kind,
    pub entry: &'g EntryFacts,
    /// Recipients in the entry.
    pub recipients: usize,
    pub collected: bool,
    pub delivery: Option<Delivery>,
    /// A failure of a filter earlier in the same connection.
    pub earlier: Option<&'g Evidence>,
}

/// Judges a case.
pub(crate) fn judge<'g>(
    config: &Config,
    matcher: &Matcher,
    facts: &Facts<'g>,
    transaction: Option<Transaction<'g>>,
) -> Verdict<'g> {
    Judge {
        config,
        matcher,
        facts,
        lines: transaction.map_or(&[], |transaction| transaction.evidence),
        refused: transaction.is_some_and(|transaction| transaction.refused),
    }
    .verdict()
}

struct Judge<'a, 'g> {
    config: &'a Config,
    matcher: &'a Matcher,
    facts: &'a Facts<'g>,
    lines: &'g [Evidence],
    refused: bool,
}

/// A line and the class that it speaks for.
type Reason<'g> = (&'g Evidence, Class);

impl<'g> Judge<'_, 'g> {
    fn verdict(&self) -> Verdict<'g> {
        let stated = self.decisive().or_else(|| self.ranked(Rank::Consequence).next());
        let (found, status) = match stated {
            Some((line, Class::FilterFailureSuspected)) => {
                (Some((line, Class::FilterFailureSuspected)), Status::Inferred)
            }
            Some(reason) => (Some(reason), Status::Explained),
            None => (self.inference(), Status::Inferred),
        };
        let delivered = self.facts.delivery == Some(Delivery::Sent);
        let (reason, class, status) = match found {
            Some((line, class)) => (Some(line), class, status),
            // PureMessage never gave its verdict, and the mail passed all the same.
            None if delivered && self.facts.kind == Kind::Abort => {
                (None, Class::FilterFailureSuspected, Status::Inferred)
            }
            None => (None, Class::Unexplained, Status::Unexplained),
        };
        let filter_line = reason.filter(|line| line.filter.is_some()).or_else(|| {
            // A refusal without a name, after a filter of this connection had failed.
            self.facts.earlier.filter(|earlier| class == Class::OtherFilter && self.own(earlier) != Some(true))
        });
        let mut evidence: Vec<&Evidence> = reason.into_iter().collect();
        evidence.extend(filter_line.filter(|line| !evidence.iter().any(|known| known.seq == line.seq)));
        // Up to the line that ends the envelope, or the first `to=`: those that follow repeat it for each recipient, and
        // may come after the record has left.
        let told =
            self.lines.iter().position(|line| self.role(line) == Role::EndOfEnvelope || line.text.starts_with("to="));
        let told = told.map_or(self.lines.len(), |at| at + 1);
        for line in &self.lines[..told] {
            if evidence.len() < 8 && !evidence.iter().any(|known| known.seq == line.seq) {
                evidence.push(line);
            }
        }
        let outcome = self.outcome(class);
        let stated = status == Status::Explained;
        Verdict {
            status,
            class,
            outcome,
            stage: reason.and_then(|line| line.stage),
            timeout: reason.and_then(|line| self.matcher.rule(line.rule).timeout),
            filter: filter_line.and_then(|line| line.filter.as_deref()),
            own_filter: filter_line.and_then(|line| self.own(line)),
            has_reason: reason.is_some(),
            evidence,
            settled: stated && (self.refused || outcome != Outcome::Unknown && self.ended()),
        }
    }

    /// Whether the line that ends an envelope has come.
    fn ended(&self) -> bool {
        self.facts.delivery.is_some() || self.lines.iter().any(|line| self.role(line) == Role::EndOfEnvelope)
    }

    fn role(&self, line: &Evidence) -> Role {
        self.matcher.rule(line.rule).role
    }

    fn own(&self, line: &Evidence) -> Option<bool> {
        self.config.is_own(line.filter.as_deref()?)
    }

    /// The class of a line, in view of whose filter it names.
    fn class(&self, line: &Evidence) -> Class {
        let class = self.matcher.rule(line.rule).class;
        let failure = class.is_filter_failure() || class == Class::FilterFailureSuspected;
        if failure && self.own(line) == Some(false) { Class::OtherFilter } else { class }
    }

    /// PureMessage's own verdict is no reason why it was told to stop.
    fn own_verdict(&self, line: &Evidence) -> bool {
        self.role(line) == Role::Verdict && self.own(line) == Some(true)
    }

    fn ranked(&self, rank: Rank) -> impl Iterator<Item = Reason<'g>> {
        let lines =
            self.lines.iter().filter(move |line| self.matcher.rule(line.rule).rank == rank && !self.own_verdict(line));
        lines.map(|line| (line, self.class(line)))
    }

    fn decisive(&self) -> Option<Reason<'g>> {
        if self.facts.kind == Kind::Abort {
            return self.ranked(Rank::Decisive).next();
        }
        self.ranked(Rank::Decisive)
            .chain(self.facts.earlier.map(|line| (line, self.class(line))))
            .find(|(_, class)| class.is_filter_failure())
    }

    /// What circumstantial lines say together.
    fn inference(&self) -> Option<Reason<'g>> {
        let of = |wanted: Class| self.ranked(Rank::Circumstantial).find(|(_, class)| *class == wanted);
        if let Some(reason) = of(Class::MtaError).or_else(|| of(Class::FilterFailureSuspected)) {
            return Some(reason);
        }
        let end = self.lines.iter().find(|line| self.role(line) == Role::EndOfEnvelope);
        let accepted = end.and_then(|line| FromLine::parse(line.text.as_bytes())).and_then(|line| line.recipients);
        let none_left = accepted.map_or(self.facts.recipients == 0, |accepted| accepted == 0);
        let refused = self.ranked(Rank::Circumstantial).find(|(line, _)| self.role(line) == Role::RefusesRecipient);
        if let Some(reason) = refused.filter(|_| none_left) {
            return Some(reason);
        }
        let text_came = self.facts.collected || self.facts.entry.has_size;
        end.filter(|_| !text_came).map(|line| (line, Class::ClientEnded))
    }

    fn outcome(&self, class: Class) -> Outcome {
        match self.facts.delivery {
            Some(Delivery::Sent) if self.facts.kind != Kind::Abort && class == Class::OtherFilter => {
                return Outcome::Delivered;
            }
            Some(Delivery::Sent) => return Outcome::DeliveredUnscanned,
            Some(Delivery::Discarded) => return Outcome::Discarded,
            Some(Delivery::Rejected) => return Outcome::Rejected,
            Some(Delivery::TempFailed) => return Outcome::TempFailed,
            None => {}
        }
        let ended = self.lines.iter().any(|line| self.role(line) == Role::EndOfEnvelope);
        let mut said = self.lines.iter().rev().filter(|line| match self.role(line) {
            Role::Verdict | Role::RefusesMail => true,
            // Of sendmail's rules only those whose arguments are its own: a header may hold any reply.
            Role::Cause => self.class(line) == Class::PolicyRejected && line.stage.is_some(),
            // One recipient's refusal is the message's only where none was left.
            Role::RefusesRecipient => {
                class == Class::RecipientsRejected || class.fault() != crate::reasons::Fault::Peer
            }
            _ => false,
        });
        match said.find_map(|line| reply(line.text.as_bytes())) {
            Some(Reply::TempFailed) => return Outcome::TempFailed,
            Some(Reply::Rejected) => return Outcome::Rejected,
            Some(Reply::Discarded) => return Outcome::Discarded,
            None => {}
        }
        if self.lines.iter().any(|line| {
            self.class(line) == Class::FilterFailureSuspected && line.text.contains("Please try again later")
        }) {
            return Outcome::TempFailed;
        }
        match class {
            Class::PeerDisconnected | Class::PeerTimeout | Class::PeerProtocolError | Class::ClientEnded => {
                Outcome::NotReceived
            }
            _ if ended && !self.facts.collected => Outcome::NotReceived,
            _ => Outcome::Unknown,
        }
    }
}
