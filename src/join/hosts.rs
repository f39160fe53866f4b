//! Hosts: when two names mean one host, and the clocks of each.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use crate::words;

use super::clock::Clocks;
use super::names::{Home, NAMELESS, clipped, host_number, short_name};

/// The hosts whose lines were seen, at most as many as the limits allow; those beyond share one home.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Hosts {
    most: usize,
    clocks: Vec<Clocks>,
    /// What [`super::seen`] knows each host by.
    numbers: Vec<u32>,
    /// Each host's name as it was first written.
    names: Vec<Box<str>>,
    /// Lower-case name to home.
    homes: BTreeMap<Box<str>, Home>,
    /// The home asked for last: lines of one host come in a row.
    #[serde(skip)]
    last: Option<(Box<[u8]>, Home)>,
}

impl Hosts {
    pub(crate) fn new(most: usize) -> Hosts {
        Hosts {
            most: most.min(usize::from(Home::MAX)),
            clocks: vec![Clocks::default()],
            numbers: vec![0],
            names: vec![Box::default()],
            homes: BTreeMap::new(),
            last: None,
        }
    }

    /// The home of a host, made for it if need be. A short name and a full one that begins with it are one host.
    pub(crate) fn home(&mut self, host: &[u8]) -> Home {
        let host = clipped(host);
        if host.is_empty() {
            return NAMELESS;
        }
        if let Some((name, home)) = &self.last
            && words::same(name, host)
        {
            return *home;
        }
        let mut name = words::text(host).to_ascii_lowercase();
        let known = self.homes.get(name.as_str()).copied().or_else(|| {
            let short = short_name(name.as_bytes()).len();
            if short < name.len() {
                return self.homes.get(name.get(..short)?).copied();
            }
            name.push('.');
            let from = (Bound::Included(name.as_str()), Bound::Unbounded);
            let next = self.homes.range::<str, _>(from).next();
            let home = next.filter(|(known, _)| known.starts_with(&name)).map(|(_, home)| *home);
            name.pop();
            home
        });
        let home = known.unwrap_or_else(|| {
            if self.clocks.len() >= self.most {
                return NAMELESS;
            }
            self.clocks.push(Clocks::default());
            self.numbers.push(host_number(host));
            self.names.push(words::text(host).into());
            (self.clocks.len() - 1) as Home
        });
        if self.homes.len() < self.most * 2 {
            self.homes.insert(name.into(), home);
        }
        self.last = Some((host.into(), home));
        home
    }

    /// The home of a host that had the last line.
    pub(crate) fn known(&self, host: &[u8]) -> Option<Home> {
        self.last.as_ref().filter(|(name, _)| **name == *clipped(host)).map(|(_, home)| *home)
    }

    /// Whether two homes may be one host's: by their names, or because one has none.
    pub(crate) fn may_be_same(&self, a: Home, b: Home) -> bool {
        let (a, b) = (self.number(a), self.number(b));
        a == b || a == 0 || b == 0
    }

    pub(crate) fn number(&self, home: Home) -> u32 {
        self.numbers.get(usize::from(home)).copied().unwrap_or_default()
    }

    /// The name of the host with a number, where one host only has it.
    pub(crate) fn name(&self, number: u32) -> Option<&str> {
        let mut homes = (1..self.numbers.len()).filter(|home| self.numbers[*home] == number);
        match (homes.next(), homes.next()) {
            (Some(home), None) => Some(&self.names[home]),
            _ => None,
        }
    }

    pub(crate) fn clocks(&self, home: Home) -> &Clocks {
        &self.clocks[usize::from(home)]
    }

    pub(crate) fn clocks_mut(&mut self, home: Home) -> &mut Clocks {
        &mut self.clocks[usize::from(home)]
    }

    /// Whether any host has a name.
    #[inline]
    pub(crate) fn are_named(&self) -> bool {
        self.clocks.len() > 1
    }

    /// Whose clocks an entry goes by that names no host: the one host that there is, or none.
    pub(crate) fn only(&self) -> Home {
        let mut with_mail = (0..self.clocks.len()).filter(|home| self.clocks[*home].mail.latest.is_some());
        match (with_mail.next(), with_mail.next()) {
            (Some(home), None) => home as Home,
            _ => NAMELESS,
        }
    }

    /// How far the mail logs of all hosts have come that have one: the least of them, and whose that is. Those that have given
    /// nothing for as long as an abort waits are left out, unless all have.
    pub(crate) fn all_mail_in_entry_time(&self, silent: impl Fn(u64) -> bool) -> Option<(i64, Home)> {
        let (mut least, mut least_of_all) = (None, None);
        for (home, clocks) in self.clocks.iter().enumerate() {
            let Some(at) = clocks.mail_in_entry_time() else { continue };
            let known: &mut Option<(i64, Home)> =
                if silent(clocks.mail.arrived) { &mut least_of_all } else { &mut least };
            // Of equal ones the last: where hosts come by turns, it is the last one to go on.
            if known.is_none_or(|(least, _)| at <= least) {
                *known = Some((at, home as Home));
            }
        }
        least.or(least_of_all)
    }

    /// When the mail log of a host begins; that of any host where the home has no name, and the one without a name where
    /// the host has given none.
    pub(crate) fn mail_begins_in_entry_time(&self, home: Home) -> Option<i64> {
        let of = |clocks: &Clocks| Some(clocks.offset().entry_time(clocks.mail.first?));
        match of(self.clocks(home)) {
            None if home == NAMELESS => self.clocks.iter().filter_map(of).min(),
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
    pub(crate) fn entries(&self, home: Home) -> Option<i64> {
        self.clocks(home).entries.latest.or(self.clocks(NAMELESS).entries.latest)
    }

    /// How far both logs of a host have come, in mail time.
    pub(crate) fn both(&self, home: Home) -> Option<i64> {
        let (mail, entries) = self.each(home);
        Some(mail?.min(entries?))
    }

    /// The same where only one of them has given a time.
    pub(crate) fn either(&self, home: Home) -> Option<i64> {
        let (mail, entries) = self.each(home);
        self.both(home).or(mail).or(entries)
    }

    fn each(&self, home: Home) -> (Option<i64>, Option<i64>) {
        let clocks = self.clocks(home);
        let mail = clocks.mail.latest.or(self.clocks(NAMELESS).mail.latest);
        (mail, self.entries(home).map(|entries| clocks.offset().mail_time(entries)))
    }

    /// When the last entry came from any host, by the host's clock.
    pub(crate) fn last_entry_arrival(&self) -> Option<u64> {
        let seen = self.clocks.iter().filter(|clocks| clocks.entries.latest.is_some());
        seen.map(|clocks| clocks.entries.arrived).max()
    }

    /// When the last mail line came from a host, by the host's clock; from any host where the home has no name, and from
    /// one without a name where the host has given none.
    pub(crate) fn mail_arrival(&self, home: Home) -> Option<u64> {
        let of = |clocks: &Clocks| clocks.mail.latest.map(|_| clocks.mail.arrived);
        match of(self.clocks(home)) {
            None if home == NAMELESS => self.clocks.iter().filter_map(of).max(),
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
        let (full, other) = (hosts.home(b"mx1.example.net"), hosts.home(b"mx2"));
        assert_eq!(hosts.home(b"mx1"), full);
        assert_ne!(full, other);
        assert_eq!(hosts.home(b"mx3"), NAMELESS);
        assert_eq!(hosts.home(b""), NAMELESS);
    }
}
