//! What a profile is written from, and the members that it adds.

use serde_json::{Map, Value};

use crate::queue_id::QueueId;
use crate::time::{HALF_HOUR, LogTime};

/// What a profile is written from.
pub(super) struct Abort {
    /// The object of the native record.
    pub(super) object: Map<String, Value>,
    /// The log line; none where PureMessage wrote no entry.
    pub(super) line: Option<String>,
}

impl Abort {
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.object.get(name)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    pub(super) fn word(&self, name: &str) -> Value {
        self.get(name).cloned().unwrap_or_default()
    }

    /// What to do: its text, and where more is said of it.
    pub(super) fn advice(&self) -> (Option<&Value>, Option<&Value>) {
        let advice = self.get("advice");
        (advice.and_then(|advice| advice.get("text")), advice.and_then(|advice| advice.get("url")))
    }

    /// The addresses of the envelope as schemas want them: without brackets, and none where it is empty.
    pub(super) fn addresses(&self) -> (Option<&str>, Vec<&str>) {
        let to = self.get("to").and_then(Value::as_array).into_iter().flatten();
        (self.text("from").and_then(bare), to.filter_map(Value::as_str).filter_map(bare).collect())
    }

    /// The relay, by name or by address.
    pub(super) fn relay(&self) -> Option<Relay<'_>> {
        let relay = self.text("relay").filter(|relay| !relay.is_empty())?;
        let bare = relay.strip_prefix('[').and_then(|relay| relay.strip_suffix(']')).unwrap_or(relay);
        let bare = bare.strip_prefix("IPv6:").unwrap_or(bare);
        Some(if bare.parse::<core::net::IpAddr>().is_ok() { Relay::Ip(bare) } else { Relay::Name(relay) })
    }

    pub(super) fn processing_ms(&self) -> Option<i64> {
        Some((self.get("processing_secs")?.as_f64()? * 1_000.0).round() as i64)
    }

    /// Milliseconds since the epoch. Where the log names no zone, the queue id tells how far it is from UTC: it holds the
    /// time of its connection; as a last resort the time is taken for UTC.
    pub(super) fn time_ms(&self) -> Option<i64> {
        let (time, _) = LogTime::parse_iso(self.text("time")?.as_bytes())?;
        if let Some(ms) = time.utc_ms() {
            return Some(ms);
        }
        let began = QueueId::any(self.text("queue_id")?.as_bytes()).and_then(|id| id.utc_secs());
        let step = HALF_HOUR * 1_000;
        let offset = began.map_or(0, |began| {
            let apart = time.civil_ms() - self.processing_ms().unwrap_or_default() - began * 1_000;
            (apart + step / 2).div_euclid(step) * step
        });
        // No zone is further from UTC: the id is not of this connection.
        Some(time.civil_ms() - if offset.abs() > 15 * 3_600_000 { 0 } else { offset })
    }
}

/// An address without its brackets; none where there is nothing in them.
fn bare(address: &str) -> Option<&str> {
    let bare = address.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(address);
    (!bare.is_empty()).then_some(bare)
}

/// Who sent the mail.
pub(super) enum Relay<'a> {
    Ip(&'a str),
    Name(&'a str),
}

/// The members that a profile adds.
pub(super) struct Fields {
    /// The source record's own: none of them is changed.
    pub(super) names: Vec<String>,
    pub(super) nested: bool,
    pub(super) members: Map<String, Value>,
}

impl Fields {
    /// Adds a value by its name in the schema, unless there is none.
    pub(super) fn add(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        if value.is_null() || value.as_array().is_some_and(Vec::is_empty) {
            return;
        }
        let (first, rest) = name.split_once('.').unwrap_or((name, ""));
        // Where the source record has an object of the name, the whole name stands beside it, which means the same.
        if rest.is_empty() || !self.nested || self.has(first) {
            if !self.has(name) {
                self.members.insert(name.to_owned(), value);
            }
            return;
        }
        let mut place = self.members.entry(first).or_insert_with(|| Value::Object(Map::new()));
        let mut parts = rest.split('.').peekable();
        while let Some(part) = parts.next() {
            let Some(object) = place.as_object_mut() else { return };
            if parts.peek().is_none() {
                object.insert(part.to_owned(), value);
                return;
            }
            place = object.entry(part).or_insert_with(|| Value::Object(Map::new()));
        }
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|other| other == name)
    }
}
