//! The shape of records whose line was taken apart: `{"host":"…","pid":"…","message":"…"}`. What stands between the values is
//! the same in each, and is compared; only the values are searched for their ends.
//!
//! A record of a known shape gives the very [`Reading`] that a search of all its members would.

use std::borrow::Cow;

use crate::config::Config;
use crate::event::{Input, Source};
use crate::input::{self, Field, Reading};
use crate::json::{self, Members};
use crate::record::MEMBER;
use crate::schema;
use crate::words::{Any, behind_start, same};

use super::few::Few;

/// The shape of a longer record is not learnt, in bytes.
const LONGEST: usize = 16_384;

/// Values in one record, at most.
const MOST: usize = 8;

/// What a string ends with; what is no ASCII, or is escaped, is left to a search of all members.
const END: Any<2> = Any::of([b'"', b'\\']);

/// A record with holes in it.
#[derive(Debug)]
struct Shape {
    holes: Vec<Hole>,
    end: Box<[u8]>,
    source: Source,
}

/// A value that may be another one in the next record.
#[derive(Debug)]
struct Hole {
    /// What stands before it, with the quote if it is a string.
    before: Box<[u8]>,
    is_text: bool,
    field: Field,
}

/// The shapes of the records so far.
#[derive(Debug, Default)]
pub(super) struct Shapes(Few<Shape>);

impl Shapes {
    /// Reads a record of a known shape.
    pub(super) fn read<'r>(&mut self, record: &'r [u8]) -> Option<Reading<'r>> {
        self.0.find(|shape| shape.read(record))
    }

    /// Remembers the shape of a record that is of none yet.
    pub(super) fn learn(&mut self, config: &Config, record: &[u8]) {
        if record.len() <= LONGEST
            && self.0.is_wanted()
            && let Some(shape) = Shape::of(config, record)
        {
            self.0.add(shape);
        }
    }
}

impl Shape {
    fn of(config: &Config, record: &[u8]) -> Option<Shape> {
        let mut members = Members::new(record)?;
        let mut found = Vec::new();
        while let Some((key, value)) = members.next() {
            let key = key.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
            let tells_more = key == MEMBER.as_bytes() || schema::may_mark(key) || key.contains(&b'\\');
            let field = Field::of(config, key);
            let is_source = config.source_field.as_ref().is_some_and(|name| name.as_bytes() == key);
            if tells_more || is_source && field.is_some() {
                return None;
            }
            let end = members.position();
            match (field, value) {
                (Some(field), [b'"', ..]) => found.push((end - value.len() + 1..end - 1, true, field)),
                (Some(field @ (Field::Pid | Field::Time)), [b'0'..=b'9', ..]) => {
                    found.push((end - value.len()..end, false, field));
                }
                _ => {}
            }
        }
        // Of several lines only the one counts whose name comes first among the names.
        let lines = found.iter().filter_map(|(.., field)| match field {
            Field::Line(place) => Some(*place),
            _ => None,
        });
        let line = lines.min()?;
        let mut has_line = false;
        found.retain(|(.., field)| match field {
            Field::Line(place) => *place == line && !std::mem::replace(&mut has_line, true),
            _ => true,
        });
        if !members.complete() || found.len() > MOST {
            return None;
        }
        let mut from = 0;
        let holes = found.into_iter().map(|(place, is_text, field)| {
            let before = record[from..place.start].into();
            from = place.end;
            Hole { before, is_text, field }
        });
        let holes = holes.collect();
        let source = input::read(config, Input::Record(record))?.source;
        Some(Shape { holes, end: record[from..].into(), source })
    }

    fn read<'r>(&self, record: &'r [u8]) -> Option<Reading<'r>> {
        let mut reading = Reading { source: self.source, ..Reading::default() };
        let mut rest = record;
        for hole in &self.holes {
            rest = behind_start(rest, &hole.before)?;
            let length = if hole.is_text { END.find(rest)? } else { json::bare_length(rest)? };
            let (value, behind) = rest.split_at_checked(length)?;
            if let Field::Line(_) = hole.field {
                let line = input::bare(value);
                let start = record.len() - rest.len() + input::behind_mark(value);
                reading.place = Some(start..start + line.len());
                reading.line = Cow::Borrowed(line);
            } else {
                reading.note(hole.field, hole.is_text.then_some(Cow::Borrowed(value)), value);
            }
            rest = behind;
        }
        same(rest, &self.end).then_some(reading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn members() -> impl Strategy<Value = Vec<(String, String)>> {
        let name = prop_oneof![
            8 => prop::sample::select(vec!["message", "log", "host", "hostname", "ident", "pid", "procid", "time", "timestamp", "file"]),
            1 => prop::sample::select(vec!["abort", "x", "event", "\\u0068ost", "abort_reason", "unmapped"])
        ];
        let text = prop_oneof![
            "[a-z0-9: ]{0,12}",
            "\\PC{0,4}",
            Just("Nov 23 13:01:05".to_owned()),
            Just("/var/log/mail".to_owned())
        ];
        let value = prop_oneof![
            8 => text.prop_map(|text| serde_json::Value::from(text).to_string()),
            2 => "[1-9][0-9]{0,5}",
            1 => prop::sample::select(vec!["null", "true", "1.5e3", "{\"a\":\"b\"}", "[]", "-1", "1795438865022833"]).prop_map(str::to_owned)
        ];
        prop::collection::vec((name.prop_map(str::to_owned), value), 0..8)
    }

    fn record(members: &[(String, String)]) -> Vec<u8> {
        let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(",")).into_bytes()
    }

    proptest! {
        /// However a record came by its shape, and whatever is changed in it, it is read as without one.
        #[test]
        fn the_same_as_a_search_of_all_members(first in members(), other in members(), swaps in prop::collection::vec((0usize..8, 0usize..8), 0..3), cut in 0usize..400, byte in any::<u8>()) {
            let config = Config::from_json(r#"{"source_field":"file","mail_sources":["/var/log/mail"]}"#).unwrap();
            let mut shapes = Shapes::default();
            shapes.learn(&config, &record(&first));
            // The same names, and mostly the same values.
            let mut second = first.clone();
            for (to, from) in swaps {
                if let (Some(place), Some((_, value))) = (second.get_mut(to), other.get(from)) {
                    place.1.clone_from(value);
                }
            }
            let mut spoilt = record(&second);
            if let Some(place) = spoilt.get_mut(cut) {
                *place = byte;
            }
            for record in [record(&first), record(&second), record(&other), spoilt] {
                if let Some(reading) = shapes.read(&record) {
                    prop_assert_eq!(Some(reading), input::read(&config, Input::Record(&record)));
                }
            }
        }
    }

    #[test]
    fn records_of_a_shipper() {
        let config = Config::default();
        let mut shapes = Shapes::default();
        let of = |host: &str, pid: u32, text: &str| {
            format!(
                r#"{{"pri":"22","time":"Nov 23 13:01:05","host":"{host}","ident":"sm-mta","pid":"{pid}","n":{pid},"message":"{text}","_PID":{pid}}}"#
            )
        };
        let first = of("mx1", 1, "x");
        let bytes = first.replace("\"n\":1,", "");
        shapes.learn(&config, bytes.as_bytes());
        let second = of("mx2.example.net", 14_029, "6AND15V7014029: from=<a@b>").replace("\"n\":14029,", "");
        let reading = shapes.read(second.as_bytes()).unwrap();
        assert_eq!(Some(reading), input::read(&config, Input::Record(second.as_bytes())));
        // A value that is none, a member more, and what is escaped.
        let spoilt = bytes.replace("\"_PID\":1", "\"_PID\":a");
        assert_eq!(shapes.read(spoilt.as_bytes()), None);
        assert_eq!(shapes.read(first.as_bytes()), None);
        assert_eq!(shapes.read(of("mx1", 1, "a\\\\b").replace("\"n\":1,", "").as_bytes()), None);
    }
}
