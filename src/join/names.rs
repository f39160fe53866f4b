//! Names of hosts: when two mean one host, and what each is known by.

use std::borrow::Cow;

use crate::words;

/// Whose lines they are: a host by its place in [`super::hosts::Hosts`]. A message's home is the host whose log tells of it.
pub(crate) type Home = u16;

/// The longest name of a host.
const LONGEST: usize = 255;

/// The home of hosts without a name, and of those beyond the limit.
pub(crate) const NAMELESS: Home = 0;

/// Whether a host has a home of its own, or is the one without a name: of those beyond the limit, which share that home,
/// two may have the same queue id and processes of one number.
pub(crate) fn is_known(home: Home, host: &[u8]) -> bool {
    home != NAMELESS || host.is_empty()
}

/// A host's name as far as it can be one.
pub(crate) fn clipped(host: &[u8]) -> &[u8] {
    &host[..host.len().min(LONGEST)]
}

/// A host's name; none if a line has none.
pub(crate) fn host_name(host: &[u8]) -> Option<Cow<'_, str>> {
    (!host.is_empty()).then(|| words::text(clipped(host)))
}

/// The first label of a host's name; an address is its own.
pub(crate) fn short_name(host: &[u8]) -> &[u8] {
    let address = host.iter().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b':')) || host.contains(&b':');
    match host.iter().position(|b| *b == b'.') {
        Some(dot) if !address => &host[..dot],
        _ => host,
    }
}

/// Whether two names may mean the same host: equal, or one is the other without its domain.
pub(crate) fn same_host(a: &str, b: &str) -> bool {
    if a.eq_ignore_ascii_case(b) {
        return true;
    }
    let short = |name: &str| short_name(name.as_bytes()).len() == name.len();
    (short(a) != short(b)) && short_name(a.as_bytes()).eq_ignore_ascii_case(short_name(b.as_bytes()))
}

/// A number for a host's name without its domain; 0 stands for no name.
pub(crate) fn host_number(host: &[u8]) -> u32 {
    let short = short_name(host);
    if short.is_empty() {
        return 0;
    }
    let hash = short
        .iter()
        .fold(0x811c_9dc5u32, |hash, b| (hash ^ u32::from(b.to_ascii_lowercase())).wrapping_mul(0x0100_0193));
    hash.max(1)
}

#[cfg(test)]
mod tests {
    use super::same_host;

    #[test]
    fn names_of_one_host() {
        assert!(same_host("mx1", "MX1.example.net"));
        assert!(same_host("mx1.example.net", "mx1.example.net"));
        assert!(!same_host("mx1.example.net", "mx1.example.org"));
        assert!(!same_host("mx1", "mx2"));
        assert!(!same_host("192.0.2.1", "192.0.2.2"));
    }
}
