//! Which filters sendmail names in its log: a host compares them with those of its configuration, where a typing error
//! would make another filter of PureMessage.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// How many names are remembered.
const MOST: usize = 16;

/// The longest name: sendmail's own configuration has far shorter ones.
const LONGEST: usize = 64;

/// The names seen so far, the first [`MOST`] of them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Filters(BTreeSet<Box<str>>);

impl Filters {
    /// Notes the filter of a text like `Milter (NAME): …`, whether it says that something went wrong or not.
    pub(crate) fn learn(&mut self, text: &[u8]) {
        if let Some(rest) = text.strip_prefix(b"Milter (")
            && let Some(end) = memchr::memchr(b')', &rest[..rest.len().min(LONGEST + 1)])
            && rest[end..].starts_with(b"): ")
        {
            self.note(&rest[..end]);
        }
    }

    /// Notes a name.
    pub(crate) fn note(&mut self, name: &[u8]) {
        if let Ok(name) = std::str::from_utf8(name)
            && !name.is_empty()
            && name.len() <= LONGEST
            && self.0.len() < MOST
            && !self.0.contains(name)
        {
            self.0.insert(name.into());
        }
    }

    /// The names, in their order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|name| &**name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_sendmail_gives() {
        let mut filters = Filters::default();
        let long = format!("Milter ({}): x", "y".repeat(65));
        for text in [
            "Milter (PureMessage): init success to negotiate",
            "Milter (PureMessage) add: header: X-A: Milter (b): timeout",
            "Milter (): x",
            "Milter: (a): b",
            "Milter (x",
            &long,
        ] {
            filters.learn(text.as_bytes());
        }
        assert_eq!(filters.names().collect::<Vec<_>>(), ["PureMessage"]);
        (0..100).for_each(|number| filters.note(format!("f{number}").as_bytes()));
        assert_eq!(filters.names().next(), Some("PureMessage"));
        assert_eq!(filters.names().count(), MOST);
    }
}
