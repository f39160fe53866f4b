//! The judgement: from the lines of a transaction to what happened, and what became of the mail.
//!
//! Pure: it reads evidence and changes nothing, so that it can be asked again whenever a line comes.

use crate::address;
use crate::case::{Case, EntryFacts, Evidence, Kind, Outcome, Status, Verdict};
use crate::envelope::{Delivery, FromLine, Reply, reply};
use crate::reasons::{Class, Fault, Matcher, Rank, Role, Stage};

use super::clock::CLOCKS_MS;
use super::group::Transaction;

/// What the judgement rests on, beside the lines of the transaction.
pub(crate) struct Facts<'g> {
    pub kind: Kind,
    pub entry: &'g EntryFacts,
    /// The entry's time, in mail time.
    pub entry_at: Option<i64>,
    pub collected: bool,
    /// The line that tells that the text came may be lost.
    pub lost: bool,
    pub delivery: Option<Delivery>,
    /// What else has an entry under the queue id.
    pub cases: &'g [Case],
    pub others: &'g [(u64, EntryFacts)],
    /// A failure of a filter earlier in the same connection.
    pub earlier: Option<&'g Evidence>,
}

/// Whether anything can be said for good by now: a refusal ended the transaction, its envelope has ended, or it is known what
/// became of the mail. Before, no judgement settles anything.
pub(crate) fn may_settle(matcher: &Matcher, transaction: Option<Transaction<'_>>, delivery: Option<Delivery>) -> bool {
    delivery.is_some() || transaction.is_some_and(|it| it.refused || has_ended(matcher, it))
}

/// Whether a line ended the envelope, as of those whose text did not come.
fn has_ended(matcher: &Matcher, transaction: Transaction<'_>) -> bool {
    transaction.evidence.iter().any(|line| matcher.rule(line.rule).role == Role::EndOfEnvelope)
}

/// Judges a case. Where nobody knows whether the text came, what would be said of both is said.
pub(crate) fn judge<'g>(matcher: &Matcher, facts: &Facts<'g>, transaction: Option<Transaction<'g>>) -> Verdict<'g> {
    let verdict = judge_as(matcher, facts, transaction);
    if !facts.lost || facts.collected || transaction.is_none_or(|it| has_ended(matcher, it)) {
        return verdict;
    }
    let with_text = judge_as(matcher, &Facts { collected: true, ..*facts }, transaction);
    let is_known = verdict.outcome == with_text.outcome;
    let outcome = if is_known { verdict.outcome } else { Outcome::Unknown };
    if (verdict.class, verdict.status) == (with_text.class, with_text.status) {
        return Verdict { outcome, settled: verdict.settled && is_known, ..verdict };
    }
    Verdict { outcome, ..judge_as(matcher, &Facts { delivery: None, ..*facts }, None) }
}

fn judge_as<'g>(matcher: &Matcher, facts: &Facts<'g>, transaction: Option<Transaction<'g>>) -> Verdict<'g> {
    Judge {
        matcher,
        facts,
        lines: transaction.map_or(&[], |transaction| transaction.evidence),
        refused: transaction.is_some_and(|transaction| transaction.refused),
        may_settle: may_settle(matcher, transaction, facts.delivery),
    }
    .verdict()
}

struct Judge<'a, 'g> {
    matcher: &'a Matcher,
    facts: &'a Facts<'g>,
    lines: &'g [Evidence],
    refused: bool,
    may_settle: bool,
}

/// When what a line says ends a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    AtOnce,
    /// When the text has come to its end: until then the client may leave.
    WithText,
    /// A refusal of DATA, unless the text comes after all.
    UnlessText,
}

/// A line and the class that it speaks for.
type Reason<'g> = (&'g Evidence, Class);

impl<'g> Judge<'_, 'g> {
    fn verdict(&self) -> Verdict<'g> {
        let (found, status) = match self.stated() {
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
            // A refusal without a name, after a filter of this connection had failed: in its place not even MAIL is taken.
            let is_early = |line: &Evidence| matches!(line.stage, Some(Stage::Connect | Stage::Helo | Stage::Mail));
            self.facts.earlier.filter(|earlier| {
                class == Class::OtherFilter
                    && earlier.own != Some(true)
                    && reason.is_some_and(|line| is_early(line) && is_in_place_of_a_filter(&line.text))
            })
        });
        let mut evidence: Vec<(&Evidence, Rank)> = reason.map(|line| (line, self.rank(line))).into_iter().collect();
        let listed =
            |evidence: &[(&Evidence, Rank)], line: &Evidence| evidence.iter().any(|(known, _)| known.seq == line.seq);
        if let Some(line) = filter_line.filter(|line| !listed(&evidence, line)) {
            evidence.push((line, self.rank(line)));
        }
        // Up to the line that ends the envelope, or the first `to=`: those that follow repeat it for each recipient, and
        // may come after the record has left.
        let told =
            self.lines.iter().position(|line| self.role(line) == Role::EndOfEnvelope || line.text.starts_with("to="));
        let told = told.map_or(self.lines.len(), |at| at + 1);
        let blamed = reason.and_then(|line| line.filter.as_deref());
        for line in &self.lines[..told] {
            if evidence.len() < 8 && !listed(&evidence, line) {
                let aside = self.is_others_failure(line) && line.filter.as_deref() != blamed;
                evidence.push((line, if aside { Rank::Circumstantial } else { self.rank(line) }));
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
            own_filter: filter_line.and_then(|line| line.own),
            has_reason: reason.is_some(),
            evidence,
            settled: self.may_settle && stated && (self.refused || outcome != Outcome::Unknown),
        }
    }

    fn role(&self, line: &Evidence) -> Role {
        self.matcher.rule(line.rule).role
    }

    fn rank(&self, line: &Evidence) -> Rank {
        self.matcher.rule(line.rule).rank
    }

    /// The class of a line, in view of whose filter it names.
    fn class(&self, line: &Evidence) -> Class {
        if self.is_others_failure(line) { Class::OtherFilter } else { self.matcher.rule(line.rule).class }
    }

    /// PureMessage's own verdict is no reason why it was told to stop.
    fn is_own_verdict(&self, line: &Evidence) -> bool {
        self.role(line) == Role::Verdict && line.own == Some(true)
    }

    /// The lines that may tell a reason: not PureMessage's own verdicts, nor what sendmail says at once of such a one, without
    /// a name.
    fn candidates(&self) -> impl Iterator<Item = &'g Evidence> {
        let all = self.lines.iter().enumerate();
        all.filter(move |(at, line)| !self.is_own_verdict(line) && !self.is_echo(*at, line)).map(|(_, line)| line)
    }

    /// Whether a line repeats PureMessage's own verdict, which stands before it, or before other lines without a name: of two
    /// such verdicts in one second only one is kept.
    fn is_echo(&self, at: usize, line: &Evidence) -> bool {
        let is_unnamed = |line: &Evidence| line.text.starts_with("Milter: ");
        let before = self.lines[..at].iter().rev().find(|before| !is_unnamed(before) || before.at != line.at);
        let is_own = |before: &&Evidence| before.own == Some(true) && before.stage == line.stage;
        let Some(own) = before.filter(|before| is_unnamed(line) && is_own(before)) else { return false };
        // `milter=PureMessage, action=rcpt, reject=550 5.7.1 no`
        let said = own.text.strip_prefix("milter=").and_then(|rest| rest.splitn(3, ", ").nth(2));
        said.is_some_and(|said| match said {
            "reject" => line.text.ends_with("Command rejected"),
            "tempfail" => line.text.ends_with("Please try again later"),
            said => line.text.strip_suffix(said).is_some_and(|rest| rest.ends_with(", ")),
        })
    }

    fn ranked(&self, rank: Rank) -> impl Iterator<Item = Reason<'g>> {
        self.candidates().filter(move |line| self.rank(line) == rank).map(|line| (line, self.class(line)))
    }

    /// The line that ends the envelope.
    fn end(&self) -> Option<&'g Evidence> {
        self.lines.iter().find(|line| self.role(line) == Role::EndOfEnvelope)
    }

    /// Whether the text came to its end, as far as the log tells of that.
    fn has_text(&self) -> bool {
        let Facts { collected, delivery, entry, .. } = self.facts;
        let is_thrown_away = |line: &Evidence| &*line.text == "discarded";
        *collected || delivery.is_some() || entry.has_size || self.lines.iter().any(is_thrown_away)
    }

    /// Whether the text began to come.
    fn text_began(&self) -> bool {
        self.has_text() || self.lines.iter().any(|line| self.role(line) == Role::Text)
    }

    /// Whether DATA was refused, as far as only what the client did then tells of it: behind an accepted DATA its leaving has
    /// another line, or none.
    fn left_behind_data(&self) -> bool {
        let lost =
            |line: &Evidence| line.stage == Some(Stage::Data) && line.text.starts_with("lost input channel from ");
        let refuses = |line: &Evidence| self.role(line) == Role::RefusesRecipient;
        // Below LogLevel 5 no line ends the envelope; PureMessage may have heard of a recipient that was refused behind it.
        let heard_of = || self.facts.entry.recipients > 0 && !self.lines.iter().any(refuses);
        let has_recipient = self.accepted().map_or_else(heard_of, |accepted| accepted > 0);
        has_recipient && self.lines.iter().any(lost) && !self.lines.iter().any(|line| self.is_own_verdict(line))
    }

    /// Whether something may have ended the transaction of which nobody knows whether it is a client's words.
    fn may_have_ended(&self) -> bool {
        self.lines.iter().any(|line| self.role(line) == Role::MayHaveEnded)
    }

    /// How many recipients had been accepted when the envelope ended.
    fn accepted(&self) -> Option<u32> {
        FromLine::parse(self.end()?.text.as_bytes())?.recipients
    }

    /// When a verdict ends a transaction.
    fn effect(&self, line: &Evidence) -> Effect {
        let (class, role) = (self.class(line), self.role(line));
        if class != Class::PolicyRejected && role != Role::Verdict || role == Role::MayHaveEnded {
            return Effect::AtOnce;
        }
        match line.stage {
            // sendmail looks for room when it has the text, and at MAIL, of which no filter hears then.
            _ if class == Class::MtaError => Effect::WithText,
            // Headers are checked while the text still comes.
            None | Some(Stage::Eoh) if class == Class::PolicyRejected => Effect::WithText,
            Some(Stage::Rcpt | Stage::Data) if reply(line.text.as_bytes()) == Some(Reply::Discarded) => {
                Effect::WithText
            }
            // A discard at a command that sendmail does not know.
            None if line.text.starts_with("Milter: unknown=") && line.text.ends_with(", discard") => Effect::WithText,
            Some(Stage::Data) => Effect::UnlessText,
            _ => Effect::AtOnce,
        }
    }

    /// Whether a verdict had its effect, as far as that is told by whether the text came. Nothing is said before it is told.
    fn took_effect(&self, line: &Evidence) -> bool {
        let is_over = self.end().is_some();
        match self.effect(line) {
            Effect::AtOnce => true,
            // A message without a message id ends as if its text had not come.
            Effect::WithText if self.class(line) == Class::PolicyRejected && line.stage != Some(Stage::Rcpt) => {
                let is_discard = line.stage == Some(Stage::Data);
                self.has_text() || is_over && !is_discard
            }
            Effect::WithText => self.has_text(),
            Effect::UnlessText => {
                is_over && !self.facts.collected && !self.lines.iter().any(|line| self.role(line) == Role::Text)
            }
        }
    }

    /// What a line names: the earliest that is decisive, or else what follows from a cause.
    ///
    /// The failure of a filter that is not PureMessage ends nothing by itself: with an empty `F=` sendmail goes on without
    /// it. It is the cause where sendmail's verdict in that filter's place comes before anything else that is decisive.
    fn stated(&self) -> Option<Reason<'g>> {
        if self.facts.kind != Kind::Abort {
            let earlier = self.facts.earlier.map(|line| (line, self.class(line)));
            let failed = |(line, class): &Reason<'_>| *class != Class::OtherFilter && self.is_failure(line);
            return self.ranked(Rank::Decisive).chain(earlier).find(failed);
        }
        // Whoever is refused DATA may well leave: the refusal came first, in whatever order the lines did.
        let is_refusal = |line: &&Evidence| self.effect(line) == Effect::UnlessText;
        let refusal = self.candidates().find(is_refusal).map(|line| (line, self.class(line)));
        let mut failed: Option<&Evidence> = None;
        // A verdict that takes effect with the text, a refusal of DATA, and what follows from a cause.
        let (mut pending, mut refused, mut follows) = (None, None, None);
        for line in self.candidates() {
            let (rank, effect, reason) = (self.rank(line), self.effect(line), (line, self.class(line)));
            if self.is_others_failure(line) {
                failed = if rank == Rank::Decisive { Some(line) } else { failed.or(Some(line)) };
            } else if effect == Effect::WithText {
                pending = pending.or_else(|| Some(reason).filter(|(line, _)| self.took_effect(line)));
            } else if let Some(cause) = failed.filter(|cause| rank != Rank::Decisive && self.ends_for(cause, line)) {
                return Some((cause, Class::OtherFilter));
            } else if effect == Effect::UnlessText {
                refused = refused.or(follows).or(Some(reason));
            } else if rank == Rank::Decisive {
                let left = client_left(reason.1) && self.role(line) != Role::Text && !self.facts.collected;
                let may_be_sent_away =
                    reason.1 == Class::ClientEnded && self.may_have_ended() || self.left_behind_data();
                if left && refused.or(refusal).is_none() && may_be_sent_away {
                    continue;
                }
                return refused.or(refusal).filter(|_| left).or_else(|| self.went_first(line)).or(Some(reason));
            } else if rank == Rank::Consequence && follows.is_none() {
                follows = Some(reason);
            }
        }
        refused.filter(|(line, _)| self.took_effect(line)).or(pending).or(follows)
    }

    /// Whether a line says that a filter failed that is not PureMessage.
    fn is_others_failure(&self, line: &Evidence) -> bool {
        let suspected = self.matcher.rule(line.rule).class == Class::FilterFailureSuspected;
        line.own == Some(false) && (suspected || self.is_failure(line))
    }

    /// Whether a line names the failure of a filter.
    fn is_failure(&self, line: &Evidence) -> bool {
        self.matcher.rule(line.rule).is_filter_failure()
    }

    /// Whether a line is what sendmail did because of this filter's failure. Its texts are the same for every filter in
    /// an error state, and may be PureMessage's own verdict on a recipient: it has to be of the stage that failed, and of the
    /// same moment. Only a reply that makes no sense counts as consent, and has its consequence at the next command.
    fn ends_for(&self, cause: &Evidence, line: &Evidence) -> bool {
        let verdict = matches!(
            self.role(line),
            Role::Verdict | Role::RefusesMail | Role::RefusesRecipient | Role::ClosesConnection | Role::Doubt
        );
        if !verdict || line.own == Some(true) || !is_in_place_of_a_filter(&line.text) {
            return false;
        }
        let senseless = cause.text.contains("returned bogus response");
        let is_prompt = line.at.zip(cause.at).is_none_or(|(now, before)| now - before <= CLOCKS_MS);
        if !senseless && !is_prompt {
            return false;
        }
        // Where a recipient is refused in a filter's place, DATA is as well, and up to 8.13 the text.
        if line.stage == Some(Stage::Rcpt) && self.text_began() {
            return false;
        }
        match (cause.stage, line.stage) {
            (None, _) => true,
            (Some(Stage::Mail), _) if self.may_refuse_sender(line) => true,
            (Some(failed), Some(at)) => failed == at || senseless && failed < at,
            // The end of the text, or a log level at which nothing tells the stage.
            (Some(failed), None) => senseless || failed >= Stage::Data || !line.text.contains('='),
        }
    }

    /// Whether a line may be about the entry's own sender, or the one with whom the envelope ended; see [`may_refuse`].
    fn may_refuse_sender(&self, line: &Evidence) -> bool {
        let end =
            || FromLine::parse(self.end()?.text.as_bytes()).and_then(|line| std::str::from_utf8(line.sender).ok());
        may_refuse(line, self.facts.entry.from.as_deref().into_iter().chain(end()))
    }

    /// The same of any sender under the queue id: a refused MAIL leaves it to the next message.
    fn may_refuse_any_sender(&self, line: &Evidence) -> bool {
        let Facts { cases, others, .. } = self.facts;
        let entries = cases.iter().map(|case| &case.entry).chain(others.iter().map(|(_, entry)| entry));
        self.may_refuse_sender(line) || may_refuse(line, entries.filter_map(|entry| entry.from.as_deref()))
    }

    /// PureMessage's end where it came before the client's: a filter that closes while nothing is asked of it is noticed
    /// at sendmail's next write to it, behind the client's end, but its entry is older than both.
    fn went_first(&self, line: &Evidence) -> Option<Reason<'g>> {
        let peer = self.class(line).fault() == Fault::Peer;
        let before = line.at.zip(self.facts.entry_at).is_some_and(|(end, entry)| entry + CLOCKS_MS <= end);
        let gone = |line: &&Evidence| self.class(line) == Class::FilterClosed && self.rank(line) == Rank::Decisive;
        let closed = self.lines.iter().filter(|_| peer && before).find(gone)?;
        Some((closed, Class::FilterClosed))
    }

    /// What circumstantial lines say together.
    fn inference(&self) -> Option<Reason<'g>> {
        let of = |wanted: Class| self.ranked(Rank::Circumstantial).find(|(_, class)| *class == wanted);
        let is_trouble =
            |(line, class): &Reason<'_>| *class == Class::MtaError && self.role(line) != Role::RefusesRecipient;
        let trouble = self.ranked(Rank::Circumstantial).find(is_trouble);
        if let Some(reason) = trouble.or_else(|| of(Class::FilterFailureSuspected)) {
            return Some(reason);
        }
        // PureMessage itself had the connection closed: whatever else was refused is not why.
        if self.lines.iter().any(|line| self.is_own_verdict(line) && line.text.contains("reject=421")) {
            return None;
        }
        // A filter that is not named had it closed, whatever recipients had been accepted.
        let closes = |(line, _): &Reason<'_>| self.role(line) == Role::ClosesConnection;
        if let Some(reason) = self.ranked(Rank::Circumstantial).find(closes) {
            return Some(reason);
        }
        // Without a recipient no text is taken.
        let recipients = self.accepted().map_or(self.facts.entry.recipients, |accepted| accepted as usize);
        let none_left = recipients == 0 && !self.facts.collected;
        let is_of_recipient = |line: &Evidence| match self.role(line) {
            Role::RefusesRecipient => !self.may_refuse_any_sender(line),
            role => role == Role::MayHaveEnded && line.stage == Some(Stage::Rcpt),
        };
        let refused = || self.ranked(Rank::Circumstantial).filter(|(line, _)| is_of_recipient(line));
        // A map that can't be read may have refused nobody.
        let refused = refused().find(|(_, class)| *class != Class::MtaError).or_else(|| refused().next());
        if let Some(reason) = refused.filter(|_| none_left) {
            return Some(reason);
        }
        // Where no recipient is left, and something was refused of which nobody knows what or by whom, that may be why.
        let of_anybody = |line: &Evidence| self.role(line) == Role::Doubt || self.may_refuse_sender(line);
        let is_doubtful = none_left && self.lines.iter().any(of_anybody);
        let may_have_left = !self.has_text() && !is_doubtful && !self.left_behind_data() && !self.may_have_ended();
        self.end().filter(|_| may_have_left).map(|line| (line, Class::ClientEnded))
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
        let client_left = client_left(class);
        let mut said = self.lines.iter().rev().filter(|line| {
            let counts = match self.role(line) {
                Role::Verdict | Role::RefusesMail => true,
                // Up to 8.12 it closes nothing.
                Role::ClosesConnection => !client_left && !self.text_began(),
                // Of sendmail's rules only those whose arguments are its own: a header may hold any reply.
                Role::Cause => self.class(line) == Class::PolicyRejected && line.stage.is_some(),
                // One recipient's refusal is the message's only where none was left, or where sendmail refused it in the
                // place of a filter. A line of sendmail's own may be in a client's words up to its last error text: that
                // there was an error is true, its number need not be.
                Role::RefusesRecipient if class == Class::RecipientsRejected => {
                    !(line.text.contains("... ") && reply(line.text.as_bytes()) == Some(Reply::TempFailed))
                }
                Role::RefusesRecipient => {
                    class.fault() != Fault::Peer && is_in_place_of_a_filter(&line.text) && !self.text_began()
                }
                _ => false,
            };
            counts && self.took_effect(line) && !(client_left && self.effect(line) == Effect::WithText)
        });
        match said.find_map(|line| reply(line.text.as_bytes())) {
            Some(Reply::TempFailed) => return Outcome::TempFailed,
            Some(Reply::Rejected) => return Outcome::Rejected,
            Some(Reply::Discarded) if self.end().is_none() || self.has_text() => return Outcome::Discarded,
            Some(Reply::Discarded) | None => {}
        }
        if self.lines.iter().any(|line| {
            self.class(line) == Class::FilterFailureSuspected && line.text.contains("Please try again later")
        }) {
            return Outcome::TempFailed;
        }
        match class {
            _ if client_left => Outcome::NotReceived,
            // What a header brought about was told to the client behind the whole text.
            Class::PolicyRejected => Outcome::Unknown,
            _ if self.end().is_some() && !self.facts.collected => Outcome::NotReceived,
            _ => Outcome::Unknown,
        }
    }
}

/// Whether a line about a refused address may be about one of these senders: at low levels sendmail logs what it told the
/// client, and before it whichever address it refused. No text that only a recipient can bring about is.
fn may_refuse<'s>(line: &Evidence, mut senders: impl Iterator<Item = &'s str>) -> bool {
    const OF_RECIPIENTS: [&str; 5] = ["User unknown", "No such user", "Relaying ", "Recipient ", "ailbox "];
    let named = line.text.split_once("... ").filter(|_| line.text.starts_with('<'));
    named.is_some_and(|(address, said)| {
        !OF_RECIPIENTS.iter().any(|text| said.contains(text))
            && senders.any(|sender| address::may_be_same(sender.as_bytes(), address.as_bytes()))
    })
}

/// Whether a class says that the client left, or was sent away, before its text had come.
fn client_left(class: Class) -> bool {
    matches!(class, Class::PeerDisconnected | Class::PeerTimeout | Class::PeerProtocolError | Class::ClientEnded)
}

/// Whether a text is one of those that sendmail itself writes where a filter's `F=` says so: `Milter: to=<a@b>,
/// reject=451 4.3.2 Please try again later`, `… 550 5.7.1 Command rejected`, `… temp failing commands`.
fn is_in_place_of_a_filter(text: &str) -> bool {
    const TEXTS: [&str; 7] = [
        "Please try again later",
        "Command rejected",
        "closing connection",
        "errormode=4",
        "temp failing commands",
        "rejecting commands",
        ", shutdown",
    ];
    !text.starts_with("ruleset=") && TEXTS.iter().any(|end| text.ends_with(end))
}
