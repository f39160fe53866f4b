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
use crate::schema::{Profile, ProfileKeys};

use fields::{Abort, Fields};

impl Config {
    /// A native record in the words of [`Config::profile`]. What is no record with the object `abort` stays as it is.
    pub fn in_profile(&self, record: Vec<u8>) -> Vec<u8> {
        if self.profile == Profile::Native {
            return record;
        }
        self.translated(&record).unwrap_or(record)
    }

    fn translated(&self, record: &[u8]) -> Option<Vec<u8>> {
        // The object is the last member, as it was added.
        let (mut before, mut last) = (1, None);
        let mut members = Members::new(record)?;
        let mut end = members.position();
        while let Some(member) = members.next() {
            (before, end, last) = (end, members.position(), Some(member));
        }
        let (key, value) = last?;
        if *json::string(key)? != *MEMBER.as_bytes() {
            return None;
        }
        let object: Map<String, Value> = serde_json::from_slice(value).ok()?;
        let source = [std::str::from_utf8(record.get(..before)?).ok()?, "}"].concat();
        let read = |config: &Config| {
            let reading = input::read(config, Input::Record(source.as_bytes()))?;
            Some(String::from_utf8_lossy(&reading.line).into_owned())
        };
        // A bare line is in the field of the defaults, whatever records are to hold it in.
        let line = read(self).or_else(|| read(&Config::default()));
        let abort = Abort { object, line };
        let mut fields = Fields::beside(&source, self.profile_keys == ProfileKeys::Nested);
        let has_place = match self.profile {
            Profile::Native => return None,
            Profile::Ecs => ecs::write(&abort, &mut fields),
            Profile::Ocsf => ocsf::write(&abort, &mut fields),
            Profile::Otel => otel::write(&abort, &mut fields),
        };
        // Where the source record has something else in the place of what is ours alone, the object stands as it is.
        if !has_place {
            fields.add(MEMBER, abort.object);
        }
        let body = source.strip_suffix('}')?;
        let members = serde_json::to_string(&fields.into_members()).ok()?;
        let comma = if body.ends_with('{') || members == "{}" { "" } else { "," };
        Some([body, comma, &members[1..]].concat().into_bytes())
    }
}
