//! A request of Vector's sink, looked at.

use abort_reason_explain::LONGEST_LINE;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::wire::{self, Looked};

/// Bytes of a request whose events all stand beside their JSON, which is up to six times as long.
const SMALL: usize = 4 << 20;

/// A request that came in.
#[derive(Debug, Default)]
pub(super) struct Request {
    /// What is the same for every attempt to deliver the same request, and for no other; `None` where there is nothing to
    /// know it by.
    pub name: Option<Vec<u8>>,
    pub events: Vec<Incoming>,
    /// Of all events.
    pub bytes: usize,
}

/// An event that came in.
#[derive(Debug)]
pub(super) struct Incoming {
    pub event: Bytes,
    pub kind: Kind,
}

/// What becomes of an event.
#[derive(Debug)]
pub(super) enum Kind {
    /// The component sees it, as JSON; in a large request that is made when it is its turn.
    Log(Option<Vec<u8>>),
    /// It passes: no log, or too long to be a line of one.
    Other,
    /// No destination would take it.
    Broken,
}

impl Request {
    /// Looks at each event.
    pub(super) fn new(events: Vec<Bytes>) -> Request {
        let mut hash = Sha256::new();
        let mut has_ids = !events.is_empty();
        let bytes: usize = events.iter().map(Bytes::len).sum();
        let events = events
            .into_iter()
            .map(|event| {
                hash.update((event.len() as u64).to_le_bytes());
                hash.update(&event);
                let (kind, has_id) = match wire::look(&event) {
                    Looked::Log { json, source_event_id } => {
                        let kind = if event.len() > LONGEST_LINE {
                            Kind::Other
                        } else {
                            Kind::Log((bytes <= SMALL).then_some(json))
                        };
                        (kind, !source_event_id.is_empty())
                    }
                    Looked::Other { source_event_id } => (Kind::Other, !source_event_id.is_empty()),
                    Looked::Broken(_) => (Kind::Broken, false),
                };
                has_ids &= has_id;
                Incoming { event, kind }
            })
            .collect();
        Request { name: has_ids.then(|| hash.finalize().to_vec()), events, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_known_by_its_events_where_they_have_ids() {
        let own = |message: &str| wire::own(format!("{{\"message\":\"{message}\"}}").as_bytes()).unwrap();
        assert_eq!(Request::new(vec![own("a")]).name, None);
        assert_eq!(Request::new(Vec::new()).name, None);
    }
}
