//! Queue ids: the key that sendmail's log and PureMessage's log share.
//!
//! sendmail 8.10 and later writes `Y M D h m s N N pid`: one character each for the parts of a UTC time, one or two of
//! a sequence in base 60, and the process id in five to seven digits (sendmail's `queue.c`, `assign_queueid`).

#![allow(clippy::inline_always, reason = "an interpreter pays dearly for each call, and this is run for every record")]

use serde::{Deserialize, Serialize};

use crate::hash::{SEED, mix};
use crate::time::civil_secs;
use crate::words::{self, decimal};

const MOST: usize = 31;

/// The bit beside the number of characters that says that they have sendmail's form.
const SENDMAILS: u8 = 1 << 7;

/// A queue id, or whatever stands in its place in `message_log`: at most 31 visible ASCII characters.
///
/// Of a fixed size, so that copying, comparing and hashing are a few instructions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueueId(
    // The characters, zeros, and in the last byte how many characters there are, with `SENDMAILS` where they have its form.
    [u8; MOST + 1],
);

impl std::hash::Hash for QueueId {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(self.number());
    }
}

/// What the ids of one SMTP connection have in common: the time of the process's first id and the process id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct ConnectionId {
    start: [u8; 6],
    pid: u32,
}

impl QueueId {
    /// An id in sendmail's form, of 12 to 16 characters.
    pub fn parse(text: &[u8]) -> Option<QueueId> {
        QueueId::leading(text).filter(|id| id.as_bytes().len() == text.len())
    }

    /// The id that a text begins with: letters and digits, as many as there are.
    pub(crate) fn leading(text: &[u8]) -> Option<QueueId> {
        QueueId::length(text).map(|length| QueueId::from_bytes(&text[..length], true))
    }

    /// How long the id is that a text begins with.
    fn length(text: &[u8]) -> Option<usize> {
        let head = u64::from_le_bytes(*text.first_chunk()?);
        if !words::all_alphanumeric(head) {
            return None;
        }
        let length = 8 + text[8..].iter().take(9).take_while(|b| b.is_ascii_alphanumeric()).count();
        ((12..=16).contains(&length) && QueueId::is_dated(&text[..length])).then_some(length)
    }

    /// Whether it has sendmail's form.
    fn is_sendmails(&self) -> bool {
        self.0[MOST] & SENDMAILS != 0
    }

    /// Whether the date stands first and a process id last, as in an id.
    fn is_dated(text: &[u8]) -> bool {
        let (Some([year, month, day, hour]), Some(last)) = (text.first_chunk(), text.last_chunk()) else {
            return false;
        };
        DIGITS[usize::from(*year)] < 60
            && matches!(month, b'0'..=b'9' | b'A' | b'B')
            && matches!(day, b'1'..=b'9' | b'A'..=b'V')
            && matches!(hour, b'0'..=b'9' | b'A'..=b'N')
            && words::all_digits(u64::from_le_bytes(*last), 5)
    }

    /// Any name for a message that has the look of an id: PureMessage in SMTP mode writes ids of its own.
    pub fn any(text: &[u8]) -> Option<QueueId> {
        let visible = text.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/' | b'+'));
        let is_sendmails = || QueueId::length(text) == Some(text.len());
        (!text.is_empty() && text.len() <= MOST && visible).then(|| QueueId::from_bytes(text, is_sendmails()))
    }

    fn from_bytes(text: &[u8], is_sendmails: bool) -> QueueId {
        let mut bytes = [0; MOST + 1];
        bytes[..text.len()].copy_from_slice(text);
        bytes[MOST] = QueueId::end(text.len() as u8, is_sendmails);
        QueueId(bytes)
    }

    /// The last byte.
    fn end(length: u8, is_sendmails: bool) -> u8 {
        length | if is_sendmails { SENDMAILS } else { 0 }
    }

    /// A number for tables; never 0. Queue ids are sendmail's own making, so nobody can choose collisions.
    pub(crate) fn number(&self) -> u64 {
        let (words, _) = self.0.as_chunks::<8>();
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        let first = mix(SEED, words.next().unwrap_or_default());
        // Only PureMessage's own ids are longer than two words.
        let count = if self.as_bytes().len() > 16 { 3 } else { 1 };
        words.take(count).fold(first, mix).max(1)
    }

    /// The second that it names.
    pub(crate) fn second(&self) -> Second {
        self.0.first_chunk().map_or(Second::default(), |head| Second::of(u64::from_le_bytes(*head)))
    }

    /// The id's characters.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0[..usize::from(self.0[MOST] & !SENDMAILS)]
    }

    /// The id's characters.
    pub fn as_str(&self) -> &str {
        // Only ASCII gets in.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The time of the first id of the process that made this one, in seconds since the epoch: a lower bound for the
    /// message, and close to it unless the connection is old.
    pub fn utc_secs(&self) -> Option<i64> {
        if !self.is_sendmails() {
            return None;
        }
        let part = |at: usize| base60(self.0[at]);
        // (year - 1900) modulo 60, and the scheme is younger than 2000.
        let year = part(0)?;
        let year = if year >= 40 { 1960 + year } else { 2020 + year };
        let clock = part(3)? * 3_600 + part(4)?.min(59) * 60 + part(5)?.min(59);
        civil_secs(i64::from(year), part(1)? + 1, part(2)?, clock)
    }

    /// The connection that the message came in by, and the message's place in it: a sequence modulo 3600.
    pub(crate) fn connection(&self) -> Option<(ConnectionId, u32)> {
        if !self.is_sendmails() {
            return None;
        }
        let text = self.as_bytes();
        // Ids of 14 characters and more have two characters of sequence, shorter ones may have one.
        let width = if text.len() >= 13 { 2 } else { 1 };
        let (start, rest) = text.split_at(6);
        let (sequence, pid) = rest.split_at(width);
        let sequence = sequence.iter().try_fold(0, |n, b| base60(*b).map(|digit| n * 60 + digit))?;
        Some((ConnectionId { start: start.try_into().ok()?, pid: decimal(pid)? }, sequence))
    }
}

/// A [`QueueId`] of 14 characters, as all are that sendmail makes since 8.12.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShortId {
    /// Its first two words.
    words: [u64; 2],
    /// See [`QueueId::number`].
    number: u64,
}

impl ShortId {
    /// What stands where an id does, if it is letters and digits and ends in a process id: what else it is, a full reading
    /// tells.
    #[inline(always)]
    pub(crate) fn at_a_glance(text: &[u8; 14]) -> Option<ShortId> {
        let (head, tail) = (text.first_chunk()?, text.last_chunk()?);
        let (head, tail) = (u64::from_le_bytes(*head), u64::from_le_bytes(*tail));
        let is_one = words::all_digits(tail, 5) && words::all_alphanumeric(head) && text[8].is_ascii_alphanumeric();
        let words = [head, tail >> 16];
        is_one.then_some(ShortId { words, number: mix(mix(SEED, words[0]), words[1]).max(1) })
    }

    /// Whether it was made in a year, as [`year_of`] names it.
    #[inline]
    pub(crate) fn is_of_year(self, year: u8) -> bool {
        self.words[0] as u8 == year
    }

    /// The same as [`QueueId::number`].
    #[inline]
    pub(crate) fn number(self) -> u64 {
        self.number
    }

    /// The same as [`QueueId::second`].
    #[inline]
    pub(crate) fn second(self) -> Second {
        Second::of(self.words[0])
    }

    /// The id.
    pub(crate) fn id(self) -> QueueId {
        let mut bytes = [0; MOST + 1];
        let (words, _) = bytes.as_chunks_mut::<8>();
        for (place, word) in words.iter_mut().zip(self.words) {
            *place = word.to_le_bytes();
        }
        bytes[MOST] = QueueId::end(14, QueueId::is_dated(&bytes[..14]));
        QueueId(bytes)
    }
}

/// What ids begin with that are made in the year of a time in milliseconds.
pub(crate) fn year_of(ms: i64) -> u8 {
    let (year, _, _) = crate::time::civil_date(ms.div_euclid(86_400_000));
    let digit = (year - 1_900).rem_euclid(60);
    DIGITS.iter().position(|known| i64::from(*known) == digit).map_or(0, |byte| byte as u8)
}

/// The second that an id in sendmail's form names: its first six characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Second(u64);

impl Second {
    /// Of the first eight characters, of which two are a sequence.
    #[inline]
    fn of(head: u64) -> Second {
        Second(head << 16)
    }

    /// The one that an age is of.
    pub(crate) fn of_age(age: u64) -> Second {
        Second(age.swap_bytes())
    }

    /// A number that grows with it.
    #[inline]
    pub(crate) fn age(self) -> u64 {
        self.0.swap_bytes()
    }

    /// It as a word, and of one.
    #[inline]
    pub(crate) fn to_bits(self) -> u64 {
        self.0
    }

    pub(crate) fn from_bits(bits: u64) -> Second {
        Second(bits)
    }

    /// Whether it is one, and not what only stands where it does.
    pub(crate) fn is_time(self) -> bool {
        let [_, _, year, month, day, hour, ..] = self.0.to_le_bytes();
        DIGITS[usize::from(year)] < 60
            && matches!(month, b'0'..=b'9' | b'A' | b'B')
            && matches!(day, b'1'..=b'9' | b'A'..=b'V')
            && matches!(hour, b'0'..=b'9' | b'A'..=b'N')
    }
}

impl ConnectionId {
    /// The process id of the sendmail child that serves the connection.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }
}

impl std::fmt::Debug for QueueId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for QueueId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for QueueId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<QueueId, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        QueueId::any(text.as_bytes()).ok_or_else(|| serde::de::Error::custom("not a queue id"))
    }
}

fn base60(digit: u8) -> Option<u32> {
    let digit = DIGITS[usize::from(digit)];
    (digit != NONE).then_some(u32::from(digit))
}

/// sendmail's digits, and `y` and `z`, which are none but may stand where a sequence stands.
static DIGITS: [u8; 256] = {
    let mut digits = [NONE; 256];
    let mut n = 0;
    while n < 62 {
        digits[b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[n] as usize] = n as u8;
        n += 1;
    }
    digits
};
const NONE: u8 = u8::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_id_is_the_same() {
        let id = QueueId::parse(b"6AND15V7014029").unwrap();
        let short = ShortId::at_a_glance(b"6AND15V7014029").unwrap();
        assert!(short.is_of_year(year_of(1_795_438_800_000)) && !short.is_of_year(year_of(1_700_000_000_000)));
        assert_eq!((short.id(), short.number(), short.second()), (id, id.number(), id.second()));
        assert!(id.second().age() < QueueId::parse(b"6AND16A7014029").unwrap().second().age());
        assert_eq!(Second::of_age(id.second().age()), id.second());
        assert_eq!(ShortId::at_a_glance(b"6AND15V701402x"), None);
        let strange = ShortId::at_a_glance(b"6ZND15V7014029").unwrap().id();
        assert_eq!((strange, strange.utc_secs()), (QueueId::any(b"6ZND15V7014029").unwrap(), None));
        let (long, longer) = (QueueId::any(b"451AC87F_1271_3613_1"), QueueId::any(b"451AC87F_1271_3613_2"));
        assert_ne!(long.unwrap().number(), longer.unwrap().number());
    }

    #[test]
    fn forms() {
        for good in ["6ANClIOb031518", "i0S0miXk018339", "g1A2b3C12345", "g1A2b3Cd12345", "6ANClIOb1031518"] {
            assert!(QueueId::parse(good.as_bytes()).is_some(), "{good}");
        }
        for bad in
            ["", "NOQUEUE", "6ANClIOb03151x", "6ZNClIOb031518", "STARTTLS=server", "6ANClIOb031518123", "12345678901"]
        {
            assert!(QueueId::parse(bad.as_bytes()).is_none(), "{bad}");
        }
        assert_eq!(QueueId::any(b"451AC87F_1271_3613_1").unwrap().as_str(), "451AC87F_1271_3613_1");
        assert!(QueueId::any(b"<x>").is_none());
    }

    #[test]
    fn the_time_and_the_connection_are_in_the_id() {
        let id = QueueId::parse(b"6AND15d3014029").unwrap();
        assert_eq!(id.utc_secs(), civil_secs(2026, 11, 23, 13 * 3_600 + 65));
        let (connection, sequence) = id.connection().unwrap();
        let (next, later) = QueueId::parse(b"6AND15d4014029").unwrap().connection().unwrap();
        assert_eq!((connection, sequence + 1), (next, later));
        assert_eq!(connection.pid(), 14_029);
        assert_eq!(QueueId::parse(b"i0S0miXk018339").unwrap().utc_secs(), civil_secs(2004, 1, 28, 48 * 60 + 44));
    }
}
