//! What goes to the destination in one request, and how events are put together to that.

use bytes::{BufMut, Bytes};
use prost::encoding::{WireType, encode_key, encode_varint};

/// What the destination is given at a time, at most; one event more, however large.
const MOST_EVENTS: usize = 1_000;
const MOST_BYTES: usize = 1 << 20;

/// The events of a request to the destination.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Parcel {
    pub kind: ParcelKind,
    pub events: Vec<u8>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum ParcelKind {
    /// They may go beside others.
    #[default]
    Plain = 0,
    /// One is a later word on what has left: it must not overtake that.
    Later = 1,
    /// Nobody would take them.
    Dead = 2,
}

impl ParcelKind {
    pub(super) fn of(stored: u8) -> ParcelKind {
        let all = [ParcelKind::Later, ParcelKind::Dead];
        all.into_iter().find(|kind| *kind as u8 == stored).unwrap_or_default()
    }
}

/// Puts events together to requests, each the bytes of a `PushEventsRequest`.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    plain: Pile,
    later: Pile,
    dead: Pile,
}

/// Requests of one kind.
#[derive(Debug, Default)]
struct Pile {
    requests: Vec<Vec<u8>>,
    /// Of the last one.
    events: usize,
}

impl Outgoing {
    pub(super) fn push(&mut self, kind: ParcelKind, event: &Bytes) {
        match kind {
            ParcelKind::Plain => self.plain.push(event),
            ParcelKind::Later => self.later.push(event),
            ParcelKind::Dead => self.dead.push(event),
        }
    }

    /// The requests: what is a later word stands behind all that it may be about.
    pub(super) fn into_parcels(self) -> Vec<Parcel> {
        let Outgoing { plain, later, dead } = self;
        let kinds = [(ParcelKind::Plain, plain), (ParcelKind::Later, later), (ParcelKind::Dead, dead)];
        let parcel = |kind| move |events| Parcel { kind, events };
        kinds.into_iter().flat_map(|(kind, pile)| pile.requests.into_iter().map(parcel(kind))).collect()
    }
}

impl Pile {
    fn push(&mut self, event: &Bytes) {
        let has_room = |last: &Vec<u8>| self.events < MOST_EVENTS && last.len() < MOST_BYTES;
        if !self.requests.last().is_some_and(has_room) {
            self.requests.push(Vec::new());
            self.events = 0;
        }
        if let Some(last) = self.requests.last_mut() {
            encode_key(1, WireType::LengthDelimited, last);
            encode_varint(event.len() as u64, last);
            last.put_slice(event);
            self.events += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::super::wire::vector::PushEventsRequest;
    use super::*;

    #[test]
    fn events_come_out_as_they_went_in() {
        let event = |size: usize| Bytes::from(vec![b'x'; size]);
        let mut outgoing = Outgoing::default();
        let sizes: Vec<usize> = (0..2_500).chain([3 << 20, 0, 1]).collect();
        sizes.iter().for_each(|size| outgoing.push(ParcelKind::Plain, &event(*size)));
        let requests = outgoing.into_parcels();
        assert!(requests.len() > 4);
        let mut back = Vec::new();
        for request in requests {
            let decoded = PushEventsRequest::decode(&request.events[..]).unwrap();
            assert!(decoded.events.len() <= MOST_EVENTS);
            back.extend(decoded.events.iter().map(Bytes::len));
        }
        assert_eq!(back, sizes);
    }
}
