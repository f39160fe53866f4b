//! What a profile is written from, and the members that it adds.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::json::{self, Members};
use crate::queue_id::QueueId;
use crate::time::LogTime;

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

    /// Milliseconds since the epoch. Where the log names no zone, the queue id tells it: it holds the time of its connection
    /// in UTC, and the message is younger by what PureMessage spent on it, and by what passed before. The nearest offset below
    /// is taken; so a connection that stood for longer than what lies between two of them makes the time too early by that.
    pub(super) fn time_ms(&self) -> Option<i64> {
        let (time, _) = LogTime::parse_iso(self.text("time")?.as_bytes())?;
        if let Some(ms) = time.utc_ms() {
            return Some(ms);
        }
        let began = QueueId::any(self.text("queue_id")?.as_bytes()).and_then(|id| id.utc_secs());
        let offset = began.and_then(|began| {
            let apart = time.civil_ms() - self.processing_ms().unwrap_or_default() - began * 1_000;
            // The two clocks may be some seconds apart; an id far from it is not of this connection.
            let apart = (apart + 5_000).div_euclid(60_000);
            OFFSETS.iter().rev().find(|offset| **offset <= apart).filter(|_| apart < 15 * 60)
        });
        Some(time.civil_ms() - offset.map_or(0, |minutes| minutes * 60_000))
    }
}

/// The offsets from UTC that are in use somewhere, in minutes.
const OFFSETS: [i64; 38] = [
    -720, -660, -600, -570, -540, -480, -420, -360, -300, -240, -210, -180, -150, -120, -60, 0, 60, 120, 180, 210, 240,
    270, 300, 330, 345, 360, 390, 420, 480, 525, 540, 570, 600, 630, 660, 720, 765, 780,
];

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
    /// The whole names of the source record's own: none of them is changed, or said twice.
    taken: BTreeSet<String>,
    /// Those that hold members.
    objects: BTreeSet<String>,
    nested: bool,
    members: Map<String, Value>,
}

/// Members that are looked for in one another, at most.
const DEEPEST: usize = 4;

impl Fields {
    /// None yet, beside those of a source record.
    pub(super) fn beside(source: &str, nested: bool) -> Fields {
        let mut fields = Fields { taken: BTreeSet::new(), objects: BTreeSet::new(), nested, members: Map::new() };
        fields.know("", source.as_bytes(), DEEPEST);
        fields
    }

    /// Notes the names of a record's members, and those inside of others.
    fn know(&mut self, before: &str, object: &[u8], depth: usize) {
        for (key, value) in Members::new(object).into_iter().flatten() {
            let key = json::string(key).map(|key| String::from_utf8_lossy(&key).into_owned()).unwrap_or_default();
            let name = if before.is_empty() { key } else { format!("{before}.{key}") };
            if depth > 0 && value.starts_with(b"{") {
                self.know(&name, value, depth - 1);
                self.objects.insert(name);
            } else {
                self.taken.insert(name);
            }
        }
    }

    /// Whether the source record has a field of a name, or one that holds no others in the place of one that should.
    fn has(&self, name: &str) -> bool {
        let is_taken = |name: &str| self.taken.contains(name);
        let mut above = name.match_indices('.').map(|(at, _)| &name[..at]);
        is_taken(name) || self.objects.contains(name) || above.any(is_taken)
    }

    /// Adds a value by its name in the schema, unless there is none, or no place for it; whether the record says it now.
    pub(super) fn add(&mut self, name: &str, value: impl Into<Value>) -> bool {
        let (first, rest) = name.split_once('.').unwrap_or((name, ""));
        let parts: Vec<&str> = rest.split('.').filter(|part| !part.is_empty()).collect();
        self.put(name, first, &parts, value.into())
    }

    /// Adds a value to an object of values by names with dots.
    pub(super) fn add_below(&mut self, object: &str, name: &str, value: impl Into<Value>) -> bool {
        self.put(&format!("{object}.{name}"), object, &[name], value.into())
    }

    fn put(&mut self, name: &str, first: &str, parts: &[&str], value: Value) -> bool {
        if value.is_null() || value.as_array().is_some_and(Vec::is_empty) {
            return true;
        }
        if self.has(name) {
            return false;
        }
        let Some((last, above)) = parts.split_last() else {
            self.members.insert(name.to_owned(), value);
            return true;
        };
        // Where the source record has an object of the name, the whole name stands beside it, which means the same.
        if !self.nested || self.objects.contains(first) {
            self.members.insert(name.to_owned(), value);
            return true;
        }
        let mut place = self.members.entry(first).or_insert_with(|| Value::Object(Map::new()));
        for part in above {
            let Some(object) = place.as_object_mut() else { return false };
            place = object.entry(*part).or_insert_with(|| Value::Object(Map::new()));
        }
        place.as_object_mut().map(|object| object.insert((*last).to_owned(), value)).is_some()
    }

    pub(super) fn into_members(self) -> Map<String, Value> {
        self.members
    }
}
