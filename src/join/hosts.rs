//! Hosts: when two names mean one host, and the clocks of each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::words;

use super::clock::Clocks;
use super::names::{HostIndex, NAMELESS, clipped, host_number, short_name};

/// The hosts whose lines were seen, at most as many as the limits allow; those beyond share one place.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Hosts {
    most: usize,
    clocks: Vec<Clocks>,
    /// What [`super::seen`] knows each host by.
    numbers: Vec<u32>,
    /// Each host's name as it was first written.
    names: Vec<Box<str>>,
    /// Lower-case name to place.
    places: BTreeMap<Box<str>, HostIndex>,
    /// The place asked for last: lines of one host come in a row.
    #[serde(skip)]
    last: Option<(Box<[u8]>, HostIndex)>,
}

impl Hosts {
    pub(crate) fn new(most: usize) -> Hosts {
        Hosts {
            most,
            clocks: vec![Clocks::default()],
            numbers: vec![0],
            names: vec![Box::default()],
            places: BTreeMap::new(),
            last: None,
        }
    }

    /// The place of a host, made for it if need be. A short name and a full one that begins with it are one host.
    pub(crate) fn place(&mut self, host: &[u8]) -> HostIndex {
        let host = clipped(host);
        if host.is_empty() {
            return NAMELESS;
        }
        if let Some((name, place)) = &self.last
            && **name == *host
        {
            return *place;
        }
        let name = words::text(host).to_ascii_lowercase();
        let known = self.places.get(name.as_str()).copied().or_else(|| {
            let short = std::str::from_utf8(short_name(name.as_bytes())).unwrap_or(&name);
            if short.len() < name.len() {
                self.places.get(short).copied()
            } else {
                let full = format!("{short}.");
                self.places
                    .range(Box::from(full.as_str())..)
                    .next()
                    .filter(|(known, _)| known.starts_with(&full))
                    .map(|(_, place)| *place)
            }
        });
        let place = known.unwrap_or_else(|| {
            if self.clocks.len() >= self.most {
                return NAMELESS;
            }
            self.clocks.push(Clocks::default());
            self.numbers.push(host_number(host));
            self.names.push(words::text(host).into());
            (self.clocks.len() - 1) as HostIndex
        });
        if self.places.len() < self.most * 2 {
            self.places.insert(name.into(), place);
        }
        self.last = Some((host.into(), place));
        place
    }

    /// The place of a host that had the last line.
    pub(crate) fn known(&self, host: &[u8]) -> Option<HostIndex> {
        self.last.as_ref().filter(|(name, _)| **name == *clipped(host)).map(|(_, place)| *place)
    }

    /// Whether two places may be one host's: by their names, or because one has none.
    pub(crate) fn may_be_same(&self, a: HostIndex, b: HostIndex) -> bool {
        let (a, b) = (self.number(a), self.number(b));
        a == b || a == 0 || b == 0
    }

    pub(crate) fn number(&self, place: HostIndex) -> u32 {
        self.numbers.get(usize::from(place)).copied().unwrap_or_default()
    }

    /// The name of the host with a number, where one host only has it.
    pub(crate) fn name(&self, number: u32) -> Option<&str> {
        let mut places = (1..self.numbers.len()).filter(|place| self.numbers[*place] == number);
        match (places.next(), places.next()) {
            (Some(place), None) => Some(&self.names[place]),
            _ => None,
        }
    }

    pub(crate) fn clocks(&self, place: HostIndex) -> &Clocks {
        &self.clocks[usize::from(place)]
    }

    pub(crate) fn clocks_mut(&mut self, place: HostIndex) -> &mut Clocks {
        &mut self.clocks[usize::from(place)]
    }

    /// Whose clocks an entry goes by that names no host: the one host that there is, or none.
    pub(crate) fn only(&self) -> HostIndex {
        let mut with_mail = (0..self.clocks.len()).filter(|place| self.clocks[*place].mail.latest.is_some());
        match (with_mail.next(), with_mail.next()) {
            (Some(place), None) => place as HostIndex,
            _ => NAMELESS,
        }
    }

    /// How far the mail logs of all hosts have come that have one: the least of them, and whose that is. Those that have given
    /// nothing for as long as an abort waits are left out, unless all have.
    pub(crate) fn all_mail_in_entry_time(&self, silent: impl Fn(u64) -> bool) -> Option<(i64, HostIndex)> {
        let (mut least, mut least_of_all) = (None, None);
        for (place, clocks) in self.clocks.iter().enumerate() {
            let Some(at) = clocks.mail_in_entry_time() else { continue };
            let known: &mut Option<(i64, HostIndex)> =
                if silent(clocks.mail.arrived) { &mut least_of_all } else { &mut least };
            // Of equal ones the last: where hosts come by turns, it is the last one to go on.
            if known.is_none_or(|(least, _)| at <= least) {
                *known = Some((at, place as HostIndex));
            }
        }
        least.or(least_of_all)
    }

    /// When the mail log of a host begins; that of any host where the place has no name, and the one without a name where
    /// the host has given none.
    pub(crate) fn mail_begins_in_entry_time(&self, place: HostIndex) -> Option<i64> {
        let of = |clocks: &Clocks| Some(clocks.mail.first?.saturating_add(clocks.offset()));
        match of(self.clocks(place)) {
            None if place == NAMELESS => self.clocks.iter().filter_map(of).min(),
            None => of(self.clocks(NAMELESS)),
            first => first,
        }
    }

    /// Sets all times of arrival back.
    pub(crate) fn set_back(&mut self, by: u64) {
        for clocks in &mut self.clocks {
            clocks.mail.arrived = clocks.mail.arrived.saturating_sub(by);
            clocks.entries.arrived = clocks.entries.arrived.saturating_sub(by);
        }
    }

    /// How far `message_log` of a host has come; where its entries name no host, how far those have come.
    pub(crate) fn entries(&self, place: HostIndex) -> Option<i64> {
        self.clocks(place).entries.latest.or(self.clocks(NAMELESS).entries.latest)
    }

    /// How far both logs of a host have come, in mail time.
    pub(crate) fn both(&self, place: HostIndex) -> Option<i64> {
        let (mail, entries) = self.each(place);
        Some(mail?.min(entries?))
    }

    /// The same where only one of them has given a time.
    pub(crate) fn either(&self, place: HostIndex) -> Option<i64> {
        let (mail, entries) = self.each(place);
        self.both(place).or(mail).or(entries)
    }

    fn each(&self, place: HostIndex) -> (Option<i64>, Option<i64>) {
        let clocks = self.clocks(place);
        let mail = clocks.mail.latest.or(self.clocks(NAMELESS).mail.latest);
        (mail, self.entries(place).map(|entries| entries.saturating_sub(clocks.offset())))
    }

    /// When the last entry came from any host, by the host's clock.
    pub(crate) fn last_entry_arrival(&self) -> Option<u64> {
        let seen = self.clocks.iter().filter(|clocks| clocks.entries.latest.is_some());
        seen.map(|clocks| clocks.entries.arrived).max()
    }

    /// When the last mail line came from a host, by the host's clock; from any host where the place has no name, and from
    /// one without a name where the host has given none.
    pub(crate) fn mail_arrival(&self, place: HostIndex) -> Option<u64> {
        let of = |clocks: &Clocks| clocks.mail.latest.map(|_| clocks.mail.arrived);
        match of(self.clocks(place)) {
            None if place == NAMELESS => self.clocks.iter().filter_map(of).max(),
            None => of(self.clocks(NAMELESS)),
            arrived => arrived,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_and_a_full_one_share_a_place() {
        let mut hosts = Hosts::new(3);
        let (full, other) = (hosts.place(b"mx1.example.net"), hosts.place(b"mx2"));
        assert_eq!(hosts.place(b"mx1"), full);
        assert_ne!(full, other);
        assert_eq!(hosts.place(b"mx3"), NAMELESS);
        assert_eq!(hosts.place(b""), NAMELESS);
    }
}
