//! What passes without being read, and is read after all when its message turns out to matter.
//!
//! Of a message of which something is kept, every line is read in full. So nothing that waits here is about such a message,
//! and what a line says reaches the join before the next one about its message does.

#![allow(clippy::inline_always, reason = "an interpreter pays dearly for each call, and this is run for every record")]

use crate::entry::Entry;
use crate::envelope::Delivery;
use crate::event::Input;
use crate::glance::{Look, Says};
use crate::mail_line::{MailId, MailLine};
use crate::peek::LineKind;
use crate::queue_id::{QueueId, ShortId};
use crate::words::{decimal, digits};

use super::Join;
use super::names::{Home, NAMELESS, host_name, host_number};
use super::passed::{Key, Record};
use super::said::{Said, of_reception};
use super::seen::{Found, Slot, flag};

/// What a line said that was read after all.
struct ReadAgain {
    log: LineKind,
    host: u32,
    secs: u32,
    flags: u16,
    delivery: Option<Delivery>,
}

impl Join {
    /// How far the mail log of a host has come.
    #[inline]
    pub(crate) fn latest(&self, home: Home) -> Option<i64> {
        self.hosts.clocks(home).mail.latest
    }

    /// The home of a host that wrote a line of sendmail's, if later lines of it can be told by their beginning.
    pub(crate) fn writer(&self, line: &MailLine<'_>) -> Option<Home> {
        let known = self.hosts.known(line.host).filter(|host| *host != NAMELESS);
        known.filter(|_| self.programs.is_named(&self.config.mail_programs, line.program))
    }

    /// Takes what was told at a glance; false if it has to be read in full. `host` is the one that the record around an
    /// entry names.
    #[inline(always)]
    pub(crate) fn pass_unread(&mut self, look: &Look<'_>, host: Option<&[u8]>, input: Input<'_>) -> bool {
        let passed = match look.log {
            LineKind::Mail => {
                self.pass_mail_line(look, input, || decimal(&look.from_process[..digits(look.from_process)]))
            }
            LineKind::MessageLog => self.pass_entry(look, host, input),
        };
        self.stats.unread += u64::from(passed);
        passed
    }

    /// Takes an ordinary line that was taken apart, `text`; false if it has to be read in full.
    pub(crate) fn pass_parsed(&mut self, line: &MailLine<'_>, says: Says, text: &[u8]) -> bool {
        let (Says::Mention(id) | Says::Much(id)) = says else { return false };
        let home = self.hosts.home(line.host);
        let is_named = || line.program.is_empty() || self.programs.is_named(&self.config.mail_programs, line.program);
        let Some(stamp) = line.time.filter(|_| home != NAMELESS && is_named()) else { return false };
        let Some(time) = self.hosts.clocks_mut(home).time(stamp, id.id().utc_secs()) else { return false };
        let look = Look { log: LineKind::Mail, says, home, at: time.into(), from_process: b"" };
        // Without the record around it, which may be far longer, and from the id on: all else that it says is known.
        let from = text.len().checked_sub(id.id().as_bytes().len() + 2 + line.text.len());
        let Some(text) = from.and_then(|from| text.get(from..)) else { return false };
        let passed = self.pass_mail_line(&look, Input::Line(text), || line.pid);
        self.stats.unread += u64::from(passed);
        passed
    }

    #[inline(always)]
    fn pass_mail_line(&mut self, look: &Look<'_>, input: Input<'_>, process: impl FnOnce() -> Option<u32>) -> bool {
        if let Says::Mention(id) | Says::Much(id) = look.says {
            if self.matters(look.home, id) {
                return false;
            }
            let is_known = matches!(look.says, Says::Mention(_)) && self.lines.knows(id.into(), look.home);
            if !is_known && !self.keep_unread(look, id, look.home, input) {
                return false;
            }
        } else if !self.hosts.clocks(look.home).agree_on(look.at.ms) {
            return false;
        }
        self.stats.mail_lines += 1;
        let clocks = self.hosts.clocks_mut(look.home);
        let risen = clocks.pass(look.at.ms, self.now);
        if clocks.wants_mail_ids()
            && let Says::Mention(id) | Says::Much(id) = look.says
        {
            let id = id.id();
            self.guess_zone(look.home, look.at.ms, &id, process());
        }
        if risen && !self.waits.is_empty() {
            self.release_due(LineKind::Mail, look.home);
        }
        true
    }

    #[inline(always)]
    fn pass_entry(&mut self, look: &Look<'_>, host: Option<&[u8]>, input: Input<'_>) -> bool {
        let Says::Much(id) = look.says else { return false };
        let home = match host.and_then(host_name) {
            Some(name) => self.hosts.home(name.as_bytes()),
            None => self.hosts.only(),
        };
        if self.matters(home, id) || !self.keep_unread(look, id, home, input) {
            return false;
        }
        let clocks = self.hosts.clocks_mut(home);
        if clocks.wants_entry_ids() {
            clocks.see_entry_id(look.at.ms, id.id().utc_secs());
        }
        self.stats.entries += 1;
        self.reach_entry(home, look.at.ms);
        true
    }

    /// Learns the zone of a host's mail log from one of the first messages, as [`Join::mail_line`] does.
    #[inline(never)]
    fn guess_zone(&mut self, home: Home, at: i64, id: &QueueId, process: Option<u32>) {
        if of_reception(process, id) {
            self.hosts.clocks_mut(home).see_mail_id(at, id.utc_secs());
        }
    }

    /// Whether all about a message has to be read.
    #[inline(always)]
    fn matters(&self, home: Home, id: ShortId) -> bool {
        self.store.contains_short(id)
            || self.config.unlogged
                && self.connections.any_failed()
                && self.connections.before(home, &id.id()).next().is_some()
    }

    /// Puts what came among what has passed, and learns from messages that stand in both logs; false if there is no place.
    #[inline(always)]
    fn keep_unread(&mut self, look: &Look<'_>, id: ShortId, home: Home, input: Input<'_>) -> bool {
        let ring = if look.log == LineKind::Mail { &self.lines } else { &self.entries };
        if !ring.has_place_for(input) {
            return false;
        }
        let key = Key::from(id);
        let clocks = self.hosts.clocks(home);
        // Two hosts may have one id.
        let is_of = |other: Home| other == home || self.hosts.may_be_same(other, home);
        let wanted = match look.log {
            // Only its first line counts.
            LineKind::Mail => clocks.wants(key) && self.lines.last_time(key, is_of).is_none(),
            // An entry comes behind its message's lines, nearly always; where logs are read one behind the other, it does
            // not, and to search for each would cost more than all the rest.
            LineKind::MessageLog => {
                (clocks.mail.latest.is_some() || home == NAMELESS && self.hosts.are_named())
                    && match self.lines.last_time(key, is_of).or_else(|| known(self.slot(id, home).mail_secs)) {
                        Some(mail_secs) => !clocks.is_known(look.at.secs, mail_secs.into()),
                        None => clocks.wants_behind_others(key),
                    }
            }
        };
        if wanted {
            self.compare_logs(look, id, home);
        }
        let record = Record { log: look.log, input, home, secs: look.at.secs as u32, seq: 0, is_read: false };
        if look.log == LineKind::Mail {
            self.lines.push(key, record);
        } else {
            self.seq += 1;
            let forgotten = self.entries.push(key, Record { seq: self.seq, ..record });
            self.stats.entries_forgotten += if self.config.reissue { forgotten } else { 0 };
        }
        true
    }

    /// What the table of seen ids has of a message; an empty slot where it has nothing.
    #[inline(never)]
    fn slot(&self, id: ShortId, home: Home) -> Slot {
        match self.seen.find(id.number(), self.hosts.number(home)) {
            Found::Slot(slot) => slot,
            Found::Never | Found::Displaced => Slot::default(),
        }
    }

    /// Notes how far the logs are apart by the first line of a message in one of them, where it is in the other.
    #[inline(never)]
    fn compare_logs(&mut self, look: &Look<'_>, id: ShortId, home: Home) {
        let is_of = |other: Home| self.hosts.may_be_same(other, home);
        let slot = self.slot(id, home);
        // Of a message's lines the first counts, of its entries the last.
        let mail = || known(slot.mail_secs).or_else(|| self.lines.times(id.into(), is_of).last().map(|(secs, _)| secs));
        let entry = || match self.entries.times(id.into(), is_of).next() {
            // It came behind all that the slot knows of.
            Some((secs, false)) => Some(secs),
            last => known(slot.entry_secs).or(last.map(|(secs, _)| secs)),
        };
        let ms = |secs: u32| i64::from(secs) * 1_000;
        // Most messages are not in the other log yet: that is asked first.
        let times = match look.log {
            LineKind::Mail if slot.flags & flag::ABORT == 0 => {
                entry().filter(|_| mail().is_none()).map(|entry| (ms(entry), look.at.ms))
            }
            LineKind::Mail => None,
            LineKind::MessageLog => mail().filter(|_| entry().is_none()).map(|mail| (look.at.ms, ms(mail))),
        };
        if let Some((entry, mail)) = times {
            self.hosts.clocks_mut(home).see_both(entry, mail);
        }
    }

    /// Reads what passed unread of a message, before something about it is read that may matter.
    pub(super) fn bring_back(&mut self, id: &QueueId) {
        if self.store.contains(id) {
            return;
        }
        let passed = self.lines.of(id.into()).chain(self.entries.of(id.into()));
        let unread = passed.filter(|(_, record)| !record.is_read);
        let mut told: Vec<(u64, ReadAgain)> =
            unread.filter_map(|(place, record)| Some((place, self.read_again(id, &record)?))).collect();
        told.reverse();
        for (place, told) in told {
            let slot = self.seen.touch(id, told.host);
            slot.note(told.flags, told.delivery);
            let secs = if told.log == LineKind::Mail { &mut slot.mail_secs } else { &mut slot.entry_secs };
            // The first line of a message counts, and the last entry.
            if *secs == 0 || told.log == LineKind::MessageLog {
                *secs = told.secs;
            }
            if told.log == LineKind::Mail {
                self.lines.take(place);
            } else {
                self.entries.note_read(place);
            }
        }
    }

    /// What a record says that has passed; none if it is another message's.
    fn read_again(&self, id: &QueueId, record: &Record<'_>) -> Option<ReadAgain> {
        let reading = crate::input::read(&self.config, record.input).filter(|reading| !reading.enriched)?;
        let (host, flags, delivery) = match record.log {
            LineKind::Mail => {
                let line = MailLine::parse(&reading.line).filter(|line| line.id == MailId::Queue(*id))?;
                let said = Said::read(line.text);
                (self.hosts.number(record.home), flag::MAIL | said.flags(), said.delivery())
            }
            LineKind::MessageLog => {
                Entry::parse(&reading.line).filter(|entry| entry.id == *id)?;
                (reading.host.as_deref().map_or(0, host_number), flag::ENTRY, None)
            }
        };
        Some(ReadAgain { log: record.log, host, secs: record.secs, flags, delivery })
    }
}

/// Seconds, where they are known.
fn known(secs: u32) -> Option<u32> {
    (secs != 0).then_some(secs)
}
