//! What a record's tag says of it.

use crate::settings::Settings;

/// What kind of tag the last one was: tags come in rows.
#[derive(Debug, Default)]
pub(crate) struct TagMemo {
    tag: Vec<u8>,
    kind: TagKind,
    /// How many times the tag was another one. Records come in chunks of one tag.
    pub changes: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum TagKind {
    #[default]
    Other,
    Tick,
    Evidence,
}

impl TagMemo {
    #[inline]
    pub(crate) fn kind(&mut self, tag: &[u8], settings: &Settings) -> TagKind {
        if same(&self.tag, tag) {
            return self.kind;
        }
        self.note(tag, settings)
    }

    #[inline(never)]
    fn note(&mut self, tag: &[u8], settings: &Settings) -> TagKind {
        self.kind = if tag == settings.tick_tag.as_bytes() {
            TagKind::Tick
        } else if tag.starts_with(settings.evidence_prefix.as_bytes()) {
            TagKind::Evidence
        } else {
            TagKind::Other
        };
        self.changes += 1;
        self.tag.clear();
        self.tag.extend_from_slice(tag);
        self.kind
    }
}

/// Whether two texts are the same. Most tags have 8 to 16 bytes: two words, which may overlap. An interpreter has no
/// fast comparison.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match (a.first_chunk::<8>(), b.first_chunk::<8>(), a.last_chunk::<8>(), b.last_chunk::<8>()) {
        (Some(a_first), Some(b_first), Some(a_last), Some(b_last)) if a.len() <= 16 => {
            let different = |a: &[u8; 8], b: &[u8; 8]| u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
            different(a_first, b_first) | different(a_last, b_last) == 0
        }
        _ => a == b,
    }
}
