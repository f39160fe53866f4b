//! What a record's tag says of it.

use abort_reason_filter::MailLines;

use crate::settings::Settings;

/// The last tag, and of what kind it was.
#[derive(Debug)]
pub(crate) struct TagMemo {
    tag: Vec<u8>,
    kind: TagKind,
}

/// Whose records have a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TagKind {
    Tick,
    /// A log's.
    Of(MailLines),
}

impl Default for TagMemo {
    fn default() -> TagMemo {
        TagMemo { tag: Vec::new(), kind: TagKind::Of(MailLines::Pass) }
    }
}

impl TagMemo {
    /// The kind of the last tag.
    #[inline]
    pub(crate) fn kind(&self) -> TagKind {
        self.kind
    }

    /// Whether a tag is the one of before: records come in chunks of one tag.
    #[inline]
    pub(crate) fn is_same(&self, tag: &[u8]) -> bool {
        same(&self.tag, tag)
    }

    /// Takes another one.
    #[inline(never)]
    pub(crate) fn note(&mut self, tag: &[u8], settings: &Settings) {
        self.kind = if tag == settings.tick_tag.as_bytes() {
            TagKind::Tick
        } else if tag.starts_with(settings.evidence_prefix.as_bytes()) {
            TagKind::Of(MailLines::End)
        } else {
            TagKind::Of(MailLines::Pass)
        };
        self.tag.clear();
        self.tag.extend_from_slice(tag);
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
