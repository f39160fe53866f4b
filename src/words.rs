//! Looks at text eight bytes at a time: no processor and no interpreter needs anything special for it.

#![allow(clippy::inline_always, reason = "an interpreter pays dearly for each call, and this is run for every record")]

use std::borrow::Cow;

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGHS: u64 = ONES << 7;

/// Bytes that text is searched for. All of them are ASCII; what is not in the text is taken for one of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Any<const N: usize>([u64; N]);

impl<const N: usize> Any<N> {
    pub(crate) const fn of(bytes: [u8; N]) -> Any<N> {
        let mut words = [0; N];
        let mut n = 0;
        while n < N {
            words[n] = bytes[n] as u64 * ONES;
            n += 1;
        }
        Any(words)
    }

    /// Where the highest bit of a byte is set, it is one of them or no ASCII, or stands behind such a byte; the other bits
    /// say nothing.
    #[inline(always)]
    fn within(&self, word: u64) -> u64 {
        self.0.iter().fold(0, |found, byte| found | (word ^ byte).wrapping_sub(ONES))
    }

    /// Where the first of them stands.
    #[inline(always)]
    pub(crate) fn find(&self, text: &[u8]) -> Option<usize> {
        let (words, rest) = text.as_chunks::<8>();
        for (at, word) in words.iter().enumerate() {
            let found = self.within(u64::from_le_bytes(*word)) & HIGHS;
            if found != 0 {
                return Some(8 * at + (found.trailing_zeros() / 8) as usize);
            }
        }
        let found = self.within(last(rest)) & HIGHS;
        let at = (found.trailing_zeros() / 8) as usize;
        (at < rest.len()).then_some(text.len() - rest.len() + at)
    }
}

/// Whether a text holds neither a quote nor a backslash. What is no ASCII is taken for one of them, and so is `#`, which
/// stands beside the quote: one operation less for each word.
#[inline(always)]
pub(crate) fn is_unquoted(text: &[u8]) -> bool {
    let special = |word: u64| {
        let apart = word ^ (u64::from(b'\\') * ONES);
        // A backslash is 0 now, a quote 0x7e.
        apart.wrapping_sub(ONES) | apart.wrapping_add(2 * ONES)
    };
    let of = |word: &[u8; 8]| special(u64::from_le_bytes(*word));
    let Some(end) = text.last_chunk::<8>() else {
        return text.iter().all(|b| b.is_ascii() && !matches!(b, b'"' | b'#' | b'\\'));
    };
    // The end overlaps the word before. No branch for each: what has none is the rule. Four words a turn: to an interpreter
    // the turn itself costs as much as half a word.
    let (turns, rest) = text.as_chunks::<8>().0.as_chunks::<4>();
    let mut found = of(end);
    for [a, b, c, d] in turns {
        found |= (of(a) | of(b)) | (of(c) | of(d));
    }
    for word in rest {
        found |= of(word);
    }
    found & HIGHS == 0
}

const ESCAPED: Any<2> = Any::of([b'"', b'\\']);

/// Whether a JSON string holds a text as it is; of what is no ASCII, nothing is said.
pub(crate) fn is_plain(text: &[u8]) -> bool {
    let Some(end) = text.last_chunk::<8>() else {
        return text.iter().all(|byte| matches!(byte, b' '..=0x7f) && !matches!(byte, b'"' | b'\\'));
    };
    // A control character borrows from the byte behind it, or sets its own highest bit.
    let special = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        ESCAPED.within(word) | word.wrapping_sub(u64::from(b' ') * ONES)
    };
    text.as_chunks::<8>().0.iter().fold(special(end), |found, word| found | special(word)) & HIGHS == 0
}

/// Fewer than eight bytes as a word.
#[inline(always)]
pub(crate) fn last(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// Whether a text begins with a few bytes, up to eight: one comparison, where `starts_with` is a call in WebAssembly.
#[inline(always)]
pub(crate) fn starts<const N: usize>(text: &[u8], start: &[u8; N]) -> bool {
    text.first_chunk() == Some(start)
}

/// What stands behind a few bytes.
#[inline(always)]
pub(crate) fn behind<'t, const N: usize>(text: &'t [u8], start: &[u8; N]) -> Option<&'t [u8]> {
    let (first, rest) = text.split_first_chunk()?;
    (first == start).then_some(rest)
}

/// Whether a text begins so.
#[inline(always)]
pub(crate) fn begins(text: &[u8], start: &[u8]) -> bool {
    behind_start(text, start).is_some()
}

/// What stands behind a start that is no constant.
#[inline(always)]
pub(crate) fn behind_start<'t>(text: &'t [u8], start: &[u8]) -> Option<&'t [u8]> {
    let (first, rest) = text.split_at_checked(start.len())?;
    are_same(first, start).then_some(rest)
}

/// Whether a text ends so.
#[inline(always)]
pub(crate) fn ends(text: &[u8], end: &[u8]) -> bool {
    text.len().checked_sub(end.len()).and_then(|at| text.get(at..)).is_some_and(|text| are_same(text, end))
}

/// Whether two texts are the same.
#[inline]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && are_same(a, b)
}

/// Whether two texts of one length are the same.
#[inline(always)]
fn are_same(a: &[u8], b: &[u8]) -> bool {
    let (Some(a_end), Some(b_end)) = (a.last_chunk::<8>(), b.last_chunk::<8>()) else {
        return a.iter().zip(b).all(|(a, b)| a == b);
    };
    let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
    let ends = word(a_end) ^ word(b_end);
    if let (Some(a), Some(b), ..=16) = (a.first_chunk(), b.first_chunk(), a.len()) {
        return (word(a) ^ word(b)) | ends == 0;
    }
    let ((a, _), (b, _)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    a.iter().zip(b).fold(ends, |apart, (a, b)| apart | (word(a) ^ word(b))) == 0
}

/// A digit has 3 as its high half, and still has it when 6 is added: the bits by which a byte is none.
#[inline(always)]
fn no_digits(word: u64) -> u64 {
    let high = |word: u64| (word & (0xf0 * ONES)) ^ (0x30 * ONES);
    high(word) | high(word.wrapping_add(6 * ONES))
}

/// Whether the last bytes of a word are decimal digits, so many of them.
#[inline(always)]
pub(crate) fn all_digits(word: u64, count: u32) -> bool {
    no_digits(word) >> (64 - 8 * count) == 0
}

/// Whether all bytes of a word are letters and digits of ASCII.
#[inline(always)]
pub(crate) fn all_alphanumeric(word: u64) -> bool {
    let ascii = word & !HIGHS;
    let lower = ascii | (u64::from(b' ') * ONES);
    // The highest bit of a byte is set from this one on.
    let from = |text: u64, first: u8| text + u64::from(0x80 - first) * ONES;
    let digits = from(ascii, b'0') ^ from(ascii, b'9' + 1);
    let letters = from(lower, b'a') ^ from(lower, b'z' + 1);
    (digits | letters) & !word & HIGHS == HIGHS
}

/// How many decimal digits a text begins with, up to eight.
#[inline(always)]
pub(crate) fn digits(text: &[u8]) -> usize {
    let word = match text.first_chunk() {
        Some(word) => u64::from_le_bytes(*word),
        None => last(text),
    };
    ((no_digits(word).trailing_zeros() / 8) as usize).min(text.len())
}

/// Bytes with one mark for any run of those that are no ASCII: hosts on the way spoil such bytes, each in its own way.
pub(crate) fn marked(bytes: impl Iterator<Item = u8>) -> impl Iterator<Item = u8> {
    let mut is_run = false;
    bytes.filter_map(move |byte| {
        let was_run = std::mem::replace(&mut is_run, !byte.is_ascii());
        (!(was_run && is_run)).then_some(if is_run { 0x80 } else { byte })
    })
}

/// The number that a text of one to nine digits is.
pub(crate) fn decimal(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    digits.iter().try_fold(0u32, |n, b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')))
}

/// Bytes as text, in which others stand for what is none. Mostly all is text, which is told many bytes at a time.
pub(crate) fn text(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_byte_is_told() {
        for (byte, at) in (0..=u8::MAX).flat_map(|byte| (0..8).map(move |at| (byte, at))) {
            let mut word = *b"0AZaz9b1";
            word[at] = byte;
            assert_eq!(all_alphanumeric(u64::from_le_bytes(word)), byte.is_ascii_alphanumeric(), "{byte}");
            let mut word = *b"09182736";
            word[at] = byte;
            assert_eq!(all_digits(u64::from_le_bytes(word), 8), byte.is_ascii_digit(), "{byte}");
        }
    }

    proptest! {
        #[test]
        fn each_is_what_it_is_byte_by_byte(text in prop::collection::vec(prop_oneof![9 => 30u8..100, 1 => any::<u8>()], 0..60), at in 0usize..60) {
            let any = Any::of([b'"', b'\\', b'0']);
            let is = |b: &u8| [b'"', b'\\', b'0'].contains(b) || !b.is_ascii();
            prop_assert_eq!(any.find(&text), text.iter().position(is));
            prop_assert_eq!(is_unquoted(&text), text.iter().all(|b| b.is_ascii() && ![b'"', b'#', b'\\'].contains(b)));
            prop_assert_eq!(is_plain(&text), text.iter().all(|b| (b' '..=0x7f).contains(b) && ![b'"', b'\\'].contains(b)));
            if let Some(word) = text.first_chunk() {
                let is = word.iter().all(u8::is_ascii_alphanumeric);
                prop_assert_eq!(all_alphanumeric(u64::from_le_bytes(*word)), is);
            }
            prop_assert_eq!(digits(&text), text.iter().take(8).take_while(|b| b.is_ascii_digit()).count());
            let (start, end) = text.split_at(at.min(text.len()));
            prop_assert!(begins(&text, start) && ends(&text, end));
            let mut other = text.clone();
            if let Some(byte) = other.get_mut(at) {
                *byte ^= 1;
                prop_assert!(!begins(&text, &other) && !ends(&text, &other) && !same(&text, &other));
            }
            prop_assert!(same(&text, &text.clone()) && !same(&text, &[start, b"0", end].concat()));
        }
    }
}
