//! How an entry of the journal stands in its file: its length and checksum, what it is, its number, its bytes.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | length of what is behind the checksum |
//! | 4 | the lower half of its XXH64, with a seed of 0 |
//! | 1 | what it is, see [`Verb`] |
//! | 8 | its number |
//! | the rest | its bytes |
//!
//! Numbers are in little-endian order.

use twox_hash::XxHash64;

/// Bytes before an entry's own.
pub(crate) const HEADER: usize = 17;

/// Longer entries are none.
pub(crate) const LONGEST: usize = 4 << 20;

/// Bytes that the length and the checksum take.
const OUTSIDE: usize = 8;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// A record is held: nobody else has it.
    Hold = b'H' as isize,
    /// A record is kept for what it says: it has left.
    Keep = b'K' as isize,
    /// A held record has left, or something about it has.
    Leave = b'L' as isize,
    /// A record that was held or kept is not needed any more.
    Release = b'R' as isize,
    /// A record of our own waits to leave.
    Wait = b'W' as isize,
    /// It is gone.
    Go = b'G' as isize,
}

impl Verb {
    fn from_byte(byte: u8) -> Option<Verb> {
        let all = [Verb::Hold, Verb::Keep, Verb::Leave, Verb::Release, Verb::Wait, Verb::Go];
        all.into_iter().find(|verb| *verb as u8 == byte)
    }
}

/// Writes an entry behind what stands in `to`.
pub(crate) fn write(to: &mut Vec<u8>, verb: Verb, number: u64, bytes: &[u8]) {
    let start = to.len();
    to.extend_from_slice(&((HEADER - OUTSIDE + bytes.len()) as u32).to_le_bytes());
    to.extend_from_slice(&[0; 4]);
    to.push(verb as u8);
    to.extend_from_slice(&number.to_le_bytes());
    to.extend_from_slice(bytes);
    let sum = checksum(&to[start + OUTSIDE..]);
    to[start + 4..start + OUTSIDE].copy_from_slice(&sum.to_le_bytes());
}

fn checksum(bytes: &[u8]) -> u32 {
    XxHash64::oneshot(0, bytes) as u32
}

/// What stands at the beginning of bytes.
#[derive(Debug, PartialEq)]
pub(crate) enum Read<'a> {
    Entry {
        verb: Verb,
        number: u64,
        bytes: &'a [u8],
    },
    /// So many bytes are an entry of a later version: nothing here needs it.
    Unknown(usize),
    /// More bytes are needed to tell: so many in all.
    Needs(usize),
    /// No entry begins so; so many bytes had to be looked at for that.
    Nothing {
        looked_at: usize,
    },
}

/// Reads an entry.
pub(crate) fn read(from: &[u8]) -> Read<'_> {
    let Some((length, rest)) = from.split_first_chunk::<4>() else { return Read::Needs(HEADER) };
    let inside = u32::from_le_bytes(*length) as usize;
    if !(HEADER - OUTSIDE..=LONGEST).contains(&inside) {
        return Read::Nothing { looked_at: 0 };
    }
    let whole = OUTSIDE + inside;
    let (Some((sum, _)), Some(inside)) = (rest.split_first_chunk::<4>(), from.get(OUTSIDE..whole)) else {
        return Read::Needs(whole);
    };
    if checksum(inside) != u32::from_le_bytes(*sum) {
        return Read::Nothing { looked_at: inside.len() };
    }
    let parts = inside.split_first().and_then(|(verb, rest)| Some((*verb, rest.split_first_chunk::<8>()?)));
    match parts.and_then(|(verb, parts)| Some((Verb::from_byte(verb)?, parts))) {
        Some((verb, (number, bytes))) => Read::Entry { verb, number: u64::from_le_bytes(*number), bytes },
        None => Read::Unknown(whole),
    }
}
