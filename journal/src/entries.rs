//! Where entries stand in the file, by their numbers.
//!
//! Numbers grow, so nearly every entry belongs behind all others, where a list takes it without a search. What comes out of
//! order, as in a file that somebody has changed, stands in a tree, so that it costs no more than there.

use std::collections::BTreeMap;

/// Where an entry's bytes stand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place {
    pub offset: u64,
    pub length: usize,
    /// Nobody else has the record.
    pub held: bool,
}

/// The places of entries.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    /// In the order of the numbers; none for an entry that was removed.
    list: Vec<(u64, Option<Place>)>,
    removed: usize,
    /// Those that came behind one with a higher number.
    strays: BTreeMap<u64, Place>,
}

/// So many removed entries may stand in the list, or as many as others.
const REMOVED: usize = 64;

impl Entries {
    fn listed(&self, number: u64) -> Option<usize> {
        self.list.binary_search_by_key(&number, |(number, _)| *number).ok()
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Place> {
        match self.listed(number) {
            Some(at) => self.list[at].1.as_ref(),
            None => self.strays.get(&number),
        }
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut Place> {
        match self.listed(number) {
            Some(at) => self.list[at].1.as_mut(),
            None => self.strays.get_mut(&number),
        }
    }

    /// Adds an entry; gives the place of the one that had the number.
    pub(crate) fn insert(&mut self, number: u64, place: Place) -> Option<Place> {
        if self.list.last().is_none_or(|(last, _)| *last < number) {
            self.list.push((number, Some(place)));
            // It may have come before what was let go of since.
            return self.strays.remove(&number);
        }
        let Some(at) = self.listed(number) else { return self.strays.insert(number, place) };
        let before = self.list[at].1.replace(place);
        self.removed -= usize::from(before.is_none());
        before
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<Place> {
        let Some(at) = self.listed(number) else { return self.strays.remove(&number) };
        let place = self.list[at].1.take()?;
        self.removed += 1;
        if self.removed > REMOVED.max(self.list.len() / 2) {
            self.list.retain(|(_, place)| place.is_some());
            self.removed = 0;
        }
        Some(place)
    }

    /// All of them, in the order of their numbers.
    pub(crate) fn all(&self) -> Vec<(u64, Place)> {
        let listed = self.list.iter().filter_map(|(number, place)| Some((*number, (*place)?)));
        if self.strays.is_empty() {
            return listed.collect();
        }
        let mut all = self.strays.clone();
        all.extend(listed);
        all.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_same_as_a_tree(steps in prop::collection::vec((0u8..3, 0u64..400, any::<u16>()), 0..1_500), grows in any::<bool>()) {
            let (mut entries, mut tree, mut next) = (Entries::default(), BTreeMap::new(), 0);
            for (step, number, length) in steps {
                let place = Place { offset: 0, length: length.into(), held: false };
                next += 1;
                match step {
                    0 => {
                        let number = if grows { next } else { number };
                        prop_assert_eq!(entries.insert(number, place), tree.insert(number, place));
                    }
                    1 => prop_assert_eq!(entries.remove(number), tree.remove(&number)),
                    _ => prop_assert_eq!(entries.get_mut(number).copied(), tree.get(&number).copied()),
                }
                prop_assert_eq!(entries.get(number), tree.get(&number));
                prop_assert!(entries.list.len() <= 2 * tree.len() + REMOVED + 1);
            }
            prop_assert_eq!(entries.all(), tree.into_iter().collect::<Vec<_>>());
        }
    }
}
