//! The record in a schema's own words: what a SIEM reads without being taught.
//!
//! A profile is made from the native record, in one place for all faces: the source record stays as it is, and in place of
//! the object `abort` stand the schema's fields. What a schema has no field for goes where it says that such things go.

mod ecs;
mod fields;
mod ocsf;
mod otel;

use serde_json::{Map, Value};

use crate::config::Config;
use crate::event::Input;
use crate::input;
use crate::json::{self, Members};
use crate::record::MEMBER;
use crate::schema::{Keys, Profile};

use fields::{Abort, Fields};

impl Profile {
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
