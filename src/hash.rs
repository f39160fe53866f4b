//! A hasher for tables of the engine: the same in every run, a few instructions for a word. Where a stranger may choose
//! keys, the tables are bounded.

use std::hash::{BuildHasher, Hasher};

use crate::words;

/// Makes [`Mixer`]s.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mixed;

/// Mixes words by multiplication.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mixer(u64);

impl BuildHasher for Mixed {
    type Hasher = Mixer;

    fn build_hasher(&self) -> Mixer {
        Mixer(SEED)
    }
}

/// What a hash begins with.
pub(crate) const SEED: u64 = 0xcbf2_9ce4_8422_2325;

/// A hash with one word more.
#[inline]
pub(crate) const fn mix(hash: u64, word: u64) -> u64 {
    let hash = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ (hash >> 29)
}

impl Mixer {
    fn mix(&mut self, word: u64) {
        self.0 = mix(self.0, word);
    }
}

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        // The end overlaps the word before.
        let last = bytes.last_chunk().map_or_else(|| words::last(rest), |end| u64::from_le_bytes(*end));
        self.mix(last ^ (rest.len() as u64) << 56);
    }

    fn write_u8(&mut self, number: u8) {
        self.mix(u64::from(number));
    }

    fn write_u16(&mut self, number: u16) {
        self.mix(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.mix(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}
