//! The record in a schema's own words: what a SIEM reads without being taught.
//!
//! A profile is made from the native record, in one place for all faces: the source record stays as it is, and in place of
//! the object `abort` stand the schema's fields. What a schema has no field for goes where it says that such things go.

mod ecs;
mod ocsf;
mod otel;

use memchr::memmem;
use serde_json::{Map, Value};

use crate::config::Config;
use crate::event::Input;
use crate::input;
use crate::json::{self, Members};
use crate::queue_id::QueueId;
use crate::reasons::words;
use crate::record::MEMBER;
use crate::time::{HALF_HOUR, LogTime};

words! {
    /// In whose words records are issued.
    Profile {
        /// The object `abort` of docs/record.md.
        Native = "native",
        /// Elastic Common Schema.
        Ecs = "ecs",
        /// Open Cybersecurity Schema Framework, Email Activity.
        Ocsf = "ocsf",
        /// OpenTelemetry's log record.
        Otel = "otel",
    }
}

words! {
    /// How the names of a profile's fields are written.
    Keys {
        /// `{"event": {"reason": …}}`
        Nested = "nested",
        /// `{"event.reason": …}`
        Flat = "flat",
    }
}

impl Profile {
    /// Whether a member of a record shows that it went through here before.
    pub(crate) fn marks(self, key: &[u8], value: &[u8]) -> bool {
        let is = |name: &str| key == name.as_bytes();
        match self {
            Profile::Native => false,
            Profile::Ecs => is(ecs::OWN) || key.starts_with(b"puremessage.abort."),
            Profile::Ocsf => is("enrichments") && memmem::find(value, br#""provider":"abort-reason""#).is_some(),
            Profile::Otel => is("eventName") && value.starts_with(b"\"puremessage."),
        }
    }

    /// A native record in the words of the profile. What is no record with the object `abort` stays as it is.
    pub fn of_native(self, config: &Config, record: Vec<u8>) -> Vec<u8> {
        if self == Profile::Native {
            return record;
        }
        self.translated(config, &record).unwrap_or(record)
    }

    fn translated(self, config: &Config, record: &[u8]) -> Option<Vec<u8>> {
        // The object is the last member, as it was added.
        let (mut names, mut before, mut last) = (Vec::new(), 1, None);
        let mut members = Members::new(record)?;
        let mut end = members.position();
        while let Some((key, value)) = members.next() {
            names.push(String::from_utf8(json::string(key)?.into_owned()).ok()?);
            (before, end, last) = (end, members.position(), Some(value));
        }
        if names.pop()? != MEMBER {
            return None;
        }
        let object: Map<String, Value> = serde_json::from_slice(last?).ok()?;
        let source = [std::str::from_utf8(record.get(..before)?).ok()?, "}"].concat();
        let read = |config: &Config| {
            let reading = input::read(config, Input::Record(source.as_bytes()))?;
            Some(String::from_utf8_lossy(&reading.line).into_owned())
        };
        // A bare line is in the field of the defaults, whatever records are to hold it in.
        let line = read(config).or_else(|| read(&Config::default()));
        let abort = Abort { object, line };
        let mut fields = Fields { names, nested: config.profile_keys == Keys::Nested, members: Map::new() };
        match self {
            Profile::Native => return None,
            Profile::Ecs => ecs::write(&abort, &mut fields),
            Profile::Ocsf => ocsf::write(&abort, &mut fields),
            Profile::Otel => otel::write(&abort, &mut fields),
        }
        let body = source.strip_suffix('}')?;
        let members = serde_json::to_string(&fields.members).ok()?;
        let comma = if body.ends_with('{') { "" } else { "," };
        Some([body, comma, &members[1..]].concat().into_bytes())
    }
}

/// What a profile is written from.
struct Abort {
    /// The object of the native record.
    object: Map<String, Value>,
    /// The log line; none where PureMessage wrote no entry.
    line: Option<String>,
}

impl Abort {
    fn get(&self, name: &str) -> Option<&Value> {
        self.object.get(name)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    fn word(&self, name: &str) -> Value {
        self.get(name).cloned().unwrap_or_default()
    }

    /// What to do: its text, and where more is said of it.
    fn advice(&self) -> (Option<&Value>, Option<&Value>) {
        let advice = self.get("advice");
        (advice.and_then(|advice| advice.get("text")), advice.and_then(|advice| advice.get("url")))
    }

    /// The addresses of the envelope as schemas want them: without brackets, and none where it is empty.
    fn addresses(&self) -> (Option<&str>, Vec<&str>) {
        let to = self.get("to").and_then(Value::as_array).into_iter().flatten();
        (self.text("from").and_then(bare), to.filter_map(Value::as_str).filter_map(bare).collect())
    }

    /// The relay, by name or by address.
    fn relay(&self) -> Option<Relay<'_>> {
        let relay = self.text("relay").filter(|relay| !relay.is_empty())?;
        let bare = relay.strip_prefix('[').and_then(|relay| relay.strip_suffix(']')).unwrap_or(relay);
        let bare = bare.strip_prefix("IPv6:").unwrap_or(bare);
        Some(if bare.parse::<std::net::IpAddr>().is_ok() { Relay::Ip(bare) } else { Relay::Name(relay) })
    }

    fn processing_ms(&self) -> Option<i64> {
        Some((self.get("processing_secs")?.as_f64()? * 1_000.0).round() as i64)
    }

    /// Milliseconds since the epoch. Where the log names no zone, the queue id tells how far it is from UTC: it holds the
    /// time of its connection; as a last resort the time is taken for UTC.
    fn time_ms(&self) -> Option<i64> {
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
enum Relay<'a> {
    Ip(&'a str),
    Name(&'a str),
}

/// The members that a profile adds.
struct Fields {
    /// The source record's own: none of them is changed.
    names: Vec<String>,
    nested: bool,
    members: Map<String, Value>,
}

impl Fields {
    /// Adds a value by its name in the schema, unless there is none.
    fn add(&mut self, name: &str, value: impl Into<Value>) {
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
