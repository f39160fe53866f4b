//! What stands between the time and the process id of mail lines, ` mx1.example.net sendmail[`: a log has few of them, one
//! for each host and program, and lines of many hosts come by turns.

use std::hash::{BuildHasher, Hasher};

use crate::hash::Mixed;
use crate::words::{Any, begins};

/// The longest one.
const LONGEST: usize = 96;

/// How many are remembered. Beyond, all are learnt anew.
const MOST: usize = 4_096;

/// How many places of the index are looked at for one. Whoever could choose more for one place would choose tags that nobody
/// finds.
const TRIES: usize = 8;

const BRACKET: Any<1> = Any::of([b'[']);

/// How many texts are remembered by their first bytes, with the places of their tags: most need no search for their end.
const LATELY: usize = 4_096;

/// So many bytes of a text, at most and at least, choose its place there.
const HEAD: usize = 24;
const LEAST_HEAD: usize = 12;

/// Tags, and what is known of each.
#[derive(Debug, Clone)]
pub(crate) struct Tags<T> {
    list: Vec<(Box<[u8]>, T)>,
    /// By their hashes, places in `list` plus one; 0 for none. At least four times as many as there are tags.
    index: Vec<u16>,
    lately: Vec<u16>,
    /// How many: no more than any tag has that is not very short.
    head: usize,
}

impl<T> Default for Tags<T> {
    fn default() -> Self {
        Tags { list: Vec::new(), index: Vec::new(), lately: Vec::new(), head: HEAD }
    }
}

/// The tag that a text begins with.
pub(crate) fn tag(text: &[u8]) -> Option<&[u8]> {
    let tag = text.get(..=BRACKET.find(&text[..text.len().min(LONGEST)])?)?;
    tag.ends_with(b"[").then_some(tag)
}

impl<T> Tags<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// A tag by its place.
    #[inline]
    pub(crate) fn get(&self, place: usize) -> Option<&(Box<[u8]>, T)> {
        self.list.get(place)
    }

    /// The place of the tag that a text begins with.
    #[inline]
    pub(crate) fn begin(&mut self, text: &[u8]) -> Option<usize> {
        let slot = self.slot(text);
        if let Some(place) = slot.and_then(|slot| self.lately.get(slot)).map(|place| usize::from(*place))
            && let Some((known, _)) = self.list.get(place)
            && begins(text, known)
        {
            return Some(place);
        }
        let place = self.find(tag(text)?)?;
        if let Some(lately) = slot.and_then(|slot| self.lately.get_mut(slot)) {
            *lately = place as u16;
        }
        Some(place)
    }

    /// Where a text is remembered: by three words of its first bytes.
    #[inline]
    fn slot(&self, text: &[u8]) -> Option<usize> {
        let text = text.get(..self.head)?;
        let word = |text: &[u8; 8]| u64::from_le_bytes(*text);
        let middle = text.get((self.head - 8) / 2..)?.first_chunk().map_or(0, word);
        let (first, last) = (word(text.first_chunk()?), word(text.last_chunk()?));
        let mixed = (first ^ middle.rotate_left(21) ^ last.rotate_left(42)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Some((mixed >> (u64::BITS - LATELY.ilog2())) as usize)
    }

    /// The place of a tag.
    #[inline]
    pub(crate) fn find(&self, tag: &[u8]) -> Option<usize> {
        for at in self.tries(tag) {
            let place = usize::from(*self.index.get(at)?).checked_sub(1)?;
            let (known, _) = self.list.get(place)?;
            if known.len() == tag.len() && begins(tag, known) {
                return Some(place);
            }
        }
        None
    }

    /// Remembers a tag that is not known.
    pub(crate) fn add(&mut self, tag: &[u8], value: T) {
        if self.list.len() >= MOST {
            self.list.clear();
            self.index.fill(0);
            self.head = HEAD;
        }
        self.lately.resize(LATELY, 0);
        // What is so short that others can't be told by as much of them is looked for each time.
        if tag.len() >= LEAST_HEAD {
            self.head = self.head.min(tag.len());
        }
        self.list.push((tag.into(), value));
        if self.index.len() >= 4 * self.list.len() {
            self.note(self.list.len() - 1);
            return;
        }
        self.index = vec![0; (8 * self.list.len()).next_power_of_two()];
        (0..self.list.len()).for_each(|place| self.note(place));
    }

    /// Puts a tag into the index.
    fn note(&mut self, place: usize) {
        let free = self.tries(&self.list[place].0).find(|at| self.index[*at] == 0);
        if let Some(at) = free {
            self.index[at] = place as u16 + 1;
        }
    }

    /// The places of the index to look at for a tag.
    #[inline]
    fn tries(&self, tag: &[u8]) -> impl Iterator<Item = usize> + use<T> {
        let mut hasher = Mixed.build_hasher();
        hasher.write(tag);
        let (first, mask) = (hasher.finish() as usize, self.index.len().wrapping_sub(1));
        (0..TRIES).map(move |more| first.wrapping_add(more) & mask)
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, Tags, tag};

    #[test]
    fn many_are_found_until_there_are_too_many() {
        let text = |n: usize| format!(" mx{n}.example.net sendmail[");
        let mut tags = Tags::default();
        assert_eq!(tags.find(b" mx1 sendmail["), None);
        for n in 0..MOST {
            tags.add(text(n).as_bytes(), n);
        }
        let found = (0..MOST).filter(|n| tags.find(text(*n).as_bytes()) == Some(*n)).count();
        assert!(found > MOST - 8, "{found}");
        for n in (0..MOST).chain([7, 7, 8, 7]) {
            let line = format!("{}14029]: x", text(n));
            let found = tags.find(text(n).as_bytes());
            assert_eq!((tags.begin(line.as_bytes()), tags.begin(line.as_bytes())), (found, found), "{line}");
        }
        assert_eq!(tags.begin(b" mx1.example.net sendmai"), None);
        assert_eq!(tags.find(text(MOST).as_bytes()), None);
        tags.add(text(MOST).as_bytes(), MOST);
        assert_eq!((tags.find(text(0).as_bytes()), tags.find(text(MOST).as_bytes())), (None, Some(0)));
        assert_eq!(tags.get(0).map(|(_, value)| *value), Some(MOST));
    }

    #[test]
    fn a_tag_ends_with_its_bracket() {
        assert_eq!(tag(b" mx1 sendmail[14029]: x"), Some(b" mx1 sendmail[".as_slice()));
        assert_eq!(tag(b" mx1 sendmail: x"), None);
        assert_eq!(tag("\u{fc} sendmail[1]".as_bytes()), None);
        assert_eq!(tag(&[&[b'x'; 100][..], b"["].concat()), None);
    }
}
