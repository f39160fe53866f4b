//! Lines that are evidence: found by the rules, kept with their message, and what follows from them at once.

use crate::case::Evidence;
use crate::envelope::Delivery;
use crate::mail_line::{MailId, MailLine};
use crate::reasons::{Class, Match, Rank, Role};
use crate::words;

use super::Join;
use super::about::{About, Written};
use super::names::{self, host_name};
use super::said::of_reception;

impl Join {
    /// A text that may be evidence: only here is a regular expression asked, and only for texts with the right start.
    /// What it says became of the message is noted with it.
    pub(super) fn candidate(&mut self, about: &About<'_>, text: &[u8], delivery: Option<Delivery>) -> bool {
        let Some(found) = self.matcher.find(text) else {
            self.filters.learn(text);
            return false;
        };
        self.found(about, text, &found, delivery)
    }

    /// Not a part of what asks the regular expressions: an interpreter may have a stack of 8 KiB.
    #[inline(never)]
    fn found(&mut self, about: &About<'_>, text: &[u8], found: &Match<'_>, delivery: Option<Delivery>) -> bool {
        if let Some(name) = found.filter {
            self.filters.note(name);
        }
        let rule = self.matcher.rule(found.rule);
        match rule.role {
            Role::Connection => return false,
            // Deliveries keep the id but run in another process: their trouble is not the reception's.
            Role::Trouble | Role::RefusesRecipient
                if rule.class == Class::MtaError && !of_reception(about.by.pid, &about.id) =>
            {
                return false;
            }
            _ => {}
        }
        let evidence = self.evidence(found, &about.by, text);
        self.add(about, evidence, delivery)
    }

    fn evidence(&mut self, found: &Match<'_>, by: &Written<'_>, text: &[u8]) -> Evidence {
        self.seq += 1;
        let text = &text[..text.len().min(self.config.limits.text_bytes)];
        let filter: Option<Box<str>> = found.filter.map(|name| words::text(name).into());
        Evidence {
            seq: self.seq,
            time: by.time,
            at: by.at,
            program: words::text(names::clipped(by.program)).into(),
            pid: by.pid,
            text: words::text(text).into(),
            rule: found.rule,
            stage: found.stage,
            own: filter.as_deref().and_then(|filter| self.config.is_own(filter)),
            filter,
            ticket: by.ticket,
        }
    }

    /// Keeps a line of evidence, and looks at the cases of its message again.
    fn add(&mut self, about: &About<'_>, evidence: Evidence, delivery: Option<Delivery>) -> bool {
        let rule = self.matcher.rule(evidence.rule);
        let (class, role, rank) = (rule.class, rule.role, rule.rank);
        let failed = rule.is_filter_failure();
        let failed_own = failed && evidence.own != Some(false);
        let peer_left =
            matches!(class, Class::PeerDisconnected | Class::PeerTimeout) && matches!(role, Role::Cause | Role::Text);
        let mut group = self.take(about.by.home, &about.id, host_name(about.by.host).as_deref());
        delivery.into_iter().for_each(|delivery| group.deliver(delivery));
        if group.evidence.len() >= self.config.limits.per_message {
            self.let_go_told(&mut group);
        }
        if group.evidence.len() >= self.config.limits.per_message
            && !group.make_room(&self.matcher, evidence.rule, &mut self.released)
        {
            self.stats.crowded_out += 1;
            self.put(about.id, group);
            return false;
        }
        if failed && names::is_known(about.by.home, about.by.host) {
            self.connections.failed(about.by.home, &about.id, &evidence, self.config.limits.join_bytes / 8);
        }
        // A client that is waited for may be silent for an hour; one that went away is not.
        let set_forward = |trouble: &Evidence| {
            let times = trouble.at.zip(evidence.at).zip(about.id.utc_secs());
            let clocks = self.hosts.clocks(about.by.home);
            class == Class::PeerDisconnected
                && group.evidence.iter().all(|line| line.seq < trouble.seq)
                && times.is_some_and(|((before, now), made)| clocks.was_set_forward(made, before, now))
        };
        let decides = |trouble: &Evidence| self.matcher.rule(trouble.rule).rank == Rank::Decisive;
        if peer_left && self.connections.has_tls(about.by.home, evidence.pid) {
            for tls in self.connections.take_tls(about.by.home, &evidence, decides, set_forward) {
                let ticket = tls.ticket;
                if !group.insert(Evidence { at: evidence.at.min(tls.at), ..tls }) {
                    self.released.extend((ticket != 0).then_some(ticket));
                }
            }
        }
        let known = group.evidence.iter().any(|line| self.matcher.rule(line.rule).class == class);
        let kept = group.insert(evidence);
        if kept {
            self.stats.evidence += 1;
            if failed_own && rank == Rank::Decisive {
                // Several lines may tell of one failure.
                if !known {
                    self.stats.note_failure(class);
                }
                self.recall(&about.id, &mut group);
            }
            self.reconsider(about.by.home, &about.id, &mut group, about.by.at);
        }
        self.put(about.id, group);
        kept
    }

    /// TLS trouble has no queue id; the lines of the same process that follow have.
    pub(super) fn without_id(&mut self, by: &Written<'_>, line: &MailLine<'_>) -> bool {
        self.programs.learn(line.program, line.text);
        let Some(pid) = by.pid else { return false };
        let known_host = names::is_known(by.home, by.host);
        if line.id != MailId::None || !line.text.starts_with(b"STARTTLS") || line.part.is_some() || !known_host {
            return false;
        }
        let Some(found) = self.matcher.find(line.text) else { return false };
        if self.matcher.rule(found.rule).role != Role::Connection {
            return false;
        }
        let evidence = self.evidence(&found, by, line.text);
        let gone = self.connections.tls(by.home, pid, evidence, self.config.limits.join_bytes / 16);
        self.released.extend(gone.into_iter().filter(|ticket| *ticket != 0));
        true
    }
}
