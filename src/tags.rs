//! What stands between the time and the process id of mail lines, ` mx1.example.net sendmail[`: a log has few of them, one
//! for each host and program, and lines of many hosts come by turns.

#![allow(clippy::inline_always, reason = "an interpreter pays dearly for each call, and this is run for every record")]

use std::hash::{BuildHasher, Hasher};

use crate::hash::{Mixed, SEED, mix};
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
const LATELY: usize = 8_192;

/// What a text begins with, in words: hardly any tag is longer.
type Head = [u64; 4];
const HEAD: usize = size_of::<Head>();

/// As many of the first bytes of a text as the shortest tag has choose its place there, unless that is shorter than this.
const LEAST: usize = 12;

/// Tags, and what is known of each.
#[derive(Debug, Clone)]
pub(crate) struct Tags<T> {
    list: Vec<Tag<T>>,
    /// By their hashes, places in `list` plus one; 0 for none. At least four times as many as there are tags.
    index: Vec<u16>,
    lately: Vec<u16>,
    /// The bits of a text's head that choose its place there.
    choosing: Head,
    /// The place of the tag that was found last: lines of one host come in a row.
    last: usize,
    /// And its length.
    length: usize,
}

/// A tag, in what a processor reads at once.
#[derive(Debug, Clone)]
#[repr(align(64))]
struct Tag<T> {
    head: Head,
    length: usize,
    /// What is longer than the head.
    behind: Box<[u8]>,
    value: T,
}

impl<T> Tag<T> {
    /// Whether a text with this head begins with the tag.
    #[inline(always)]
    fn begins(&self, text: &[u8], head: &Head) -> bool {
        let [a, b, c, d] = &MASKS[self.length.min(HEAD)];
        let [own_a, own_b, own_c, own_d] = &self.head;
        let [of_a, of_b, of_c, of_d] = head;
        (((own_a ^ of_a) & a) | ((own_b ^ of_b) & b)) | (((own_c ^ of_c) & c) | ((own_d ^ of_d) & d)) == 0
            && (self.length <= HEAD || text.get(HEAD..).is_some_and(|text| begins(text, &self.behind)))
    }

    fn hash(&self) -> u64 {
        hash(&self.head, &self.behind)
    }
}

/// The bits of a head that are of so many first bytes.
static MASKS: [Head; HEAD + 1] = {
    let mut masks = [[0; 4]; HEAD + 1];
    let mut length = 1;
    while length <= HEAD {
        masks[length] = masks[length - 1];
        masks[length][(length - 1) / 8] |= 0xff << (8 * ((length - 1) % 8));
        length += 1;
    }
    masks
};

/// The first bytes of a text that has so many.
#[inline(always)]
fn head(text: &[u8]) -> Option<Head> {
    let word = |word: &[u8; 8]| u64::from_le_bytes(*word);
    match text.first_chunk::<HEAD>()?.as_chunks() {
        ([a, b, c, d], _) => Some([word(a), word(b), word(c), word(d)]),
        _ => None,
    }
}

/// The first bytes of a text, and zeros where it is shorter.
fn padded_head(text: &[u8]) -> Head {
    let mut padded = [0; HEAD];
    padded.iter_mut().zip(text).for_each(|(place, byte)| *place = *byte);
    head(&padded).unwrap_or_default()
}

/// The hash of a tag: its head, and what is behind that.
fn hash(head: &Head, behind: &[u8]) -> u64 {
    let mut hasher = Mixed.build_hasher();
    head.iter().for_each(|word| hasher.write_u64(*word));
    hasher.write(behind);
    hasher.finish()
}

impl<T> Default for Tags<T> {
    fn default() -> Self {
        Tags { list: Vec::new(), index: Vec::new(), lately: Vec::new(), choosing: [u64::MAX; 4], last: 0, length: 0 }
    }
}

/// The tag that a text begins with.
pub(crate) fn tag(text: &[u8]) -> Option<&[u8]> {
    let tag = text.get(..=BRACKET.find(&text[..text.len().min(LONGEST)])?)?;
    tag.ends_with(b"[").then_some(tag)
}

impl<T> Tags<T> {
    /// What is known of the tag that a text begins with, and what stands behind that.
    #[inline(always)]
    pub(crate) fn behind<'t>(&mut self, text: &'t [u8]) -> Option<(&T, &'t [u8])> {
        let Some(head) = head(text) else { return self.behind_in_short(text) };
        // A processor guesses that this one is as long as the last, and goes on with what stands behind it while it looks.
        let length = self.length;
        let behind = text.get(length..)?;
        if !self.is_at(self.last, text, &head) {
            let slot = self.slot(&head);
            let place = usize::from(*self.lately.get(slot)?);
            self.last = if self.is_at(place, text, &head) { place } else { self.find_anew(text, slot)? };
        }
        if self.list.get(self.last)?.length != length {
            return self.behind_another(text);
        }
        self.list.get(self.last).map(|known| (&known.value, behind))
    }

    /// The same of a text that is shorter than a head.
    #[cold]
    #[inline(never)]
    fn behind_in_short<'t>(&mut self, text: &'t [u8]) -> Option<(&T, &'t [u8])> {
        self.last = self.find(tag(text)?)?;
        self.behind_another(text)
    }

    /// The same where it has not the length of the last.
    #[cold]
    #[inline(never)]
    fn behind_another<'t>(&mut self, text: &'t [u8]) -> Option<(&T, &'t [u8])> {
        let known = self.list.get(self.last)?;
        self.length = known.length;
        Some((&known.value, text.get(known.length..)?))
    }

    /// Whether a text begins with the tag that was found last.
    pub(crate) fn is_last(&self, text: &[u8]) -> bool {
        self.is_at(self.last, text, &padded_head(text))
    }

    #[inline(always)]
    fn is_at(&self, place: usize, text: &[u8], head: &Head) -> bool {
        self.list.get(place).is_some_and(|known| known.begins(text, head))
    }

    /// Where a text with this head is remembered.
    #[inline(always)]
    fn slot(&self, head: &Head) -> usize {
        let ([a, b, c, d], choosing) = (head, &self.choosing);
        let (a, b, c, d) = (a & choosing[0], b & choosing[1], c & choosing[2], d & choosing[3]);
        let mixed = mix(SEED, (a ^ b.rotate_left(21)) ^ (c.rotate_left(42) ^ d.rotate_left(11))).wrapping_mul(SEED);
        (mixed >> (u64::BITS - LATELY.ilog2())) as usize
    }

    /// The place of the tag that a text begins with, remembered for others that begin with the same bytes.
    #[inline(never)]
    fn find_anew(&mut self, text: &[u8], slot: usize) -> Option<usize> {
        let place = self.find(tag(text)?)?;
        *self.lately.get_mut(slot)? = place as u16;
        Some(place)
    }

    /// The place of a tag.
    pub(crate) fn find(&self, tag: &[u8]) -> Option<usize> {
        let head = padded_head(tag);
        let behind = tag.get(HEAD..).unwrap_or_default();
        let mut places =
            self.tries(hash(&head, behind)).map_while(|at| usize::from(*self.index.get(at)?).checked_sub(1));
        places.find(|place| {
            self.list.get(*place).is_some_and(|known| known.length == tag.len() && known.begins(tag, &head))
        })
    }

    /// Remembers a tag that is not known.
    pub(crate) fn add(&mut self, tag: &[u8], value: T) {
        if self.list.len() >= MOST {
            self.list.clear();
            self.index.fill(0);
            self.choosing = [u64::MAX; 4];
        }
        self.lately.resize(LATELY, 0);
        // What is so short that others can't be told by as much of them is looked for each time.
        if tag.len() >= LEAST {
            let mask = MASKS[tag.len().min(HEAD)];
            self.choosing.iter_mut().zip(mask).for_each(|(choosing, mask)| *choosing &= mask);
        }
        let behind = tag.get(HEAD..).unwrap_or_default().into();
        self.list.push(Tag { head: padded_head(tag), length: tag.len(), behind, value });
        if self.index.len() >= 4 * self.list.len() {
            self.note(self.list.len() - 1);
            return;
        }
        self.index = vec![0; (8 * self.list.len()).next_power_of_two()];
        (0..self.list.len()).for_each(|place| self.note(place));
    }

    /// Puts a tag into the index.
    fn note(&mut self, place: usize) {
        let free = self.tries(self.list[place].hash()).find(|at| self.index[*at] == 0);
        if let Some(at) = free {
            self.index[at] = place as u16 + 1;
        }
    }

    /// The places of the index to look at for a tag with this hash.
    fn tries(&self, hash: u64) -> impl Iterator<Item = usize> + use<T> {
        let (first, mask) = (hash as usize, self.index.len().wrapping_sub(1));
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
            let is_known = tags.find(text(n).as_bytes()).is_some();
            let found = is_known.then_some((n, b"14029]: x".as_slice()));
            for _ in 0..2 {
                assert_eq!(tags.behind(line.as_bytes()).map(|(n, behind)| (*n, behind)), found, "{line}");
                assert_eq!(tags.is_last(line.as_bytes()), is_known, "{line}");
            }
        }
        assert_eq!(tags.behind(b" mx1.example.net sendmai"), None);
        assert_eq!(tags.find(text(MOST).as_bytes()), None);
        tags.add(text(MOST).as_bytes(), MOST);
        assert_eq!((tags.find(text(0).as_bytes()), tags.find(text(MOST).as_bytes())), (None, Some(0)));
        assert_eq!(tags.behind(text(MOST).as_bytes()), Some((&MOST, b"".as_slice())));
    }

    #[test]
    fn each_length_is_told() {
        for last in [8, 13, 31, 32, 33, 40, 41, 96] {
            let mut tags = Tags::default();
            let texts: Vec<Vec<u8>> = (8..=last).map(|length| [vec![b'x'; length - 1], vec![b'[']].concat()).collect();
            texts.iter().for_each(|text| tags.add(text, text.len()));
            for text in &texts {
                let line = [text, b"1]: y".as_slice()].concat();
                assert_eq!(tags.behind(&line), Some((&text.len(), b"1]: y".as_slice())), "{line:?}");
                for at in 0..text.len() {
                    let mut other = line.clone();
                    other[at] ^= 0x80;
                    assert_eq!(tags.behind(&other), None, "{other:?}");
                }
                assert_eq!(tags.behind(&text[..text.len() - 1]), None);
            }
        }
    }

    #[test]
    fn a_tag_ends_with_its_bracket() {
        assert_eq!(tag(b" mx1 sendmail[14029]: x"), Some(b" mx1 sendmail[".as_slice()));
        assert_eq!(tag(b" mx1 sendmail: x"), None);
        assert_eq!(tag("\u{fc} sendmail[1]".as_bytes()), None);
        assert_eq!(tag(&[&[b'x'; 100][..], b"["].concat()), None);
    }
}
