//! What the hosts hand in: a bare line, or a JSON record that holds one in a field, with what its other fields add.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

use crate::config::Config;
use crate::event::{Input, Source};
use crate::json::{self, Members};
use crate::mail_line::{self, Stamp};
use crate::record::MEMBER;
use crate::schema;
use crate::time::LogTime;
use crate::words::{self, decimal};

/// A log line and what the record around it says of it.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Reading<'a> {
    pub line: Cow<'a, [u8]>,
    /// Where the line stands in the record, if it does as it is.
    pub place: Option<Range<usize>>,
    pub host: Option<Cow<'a, [u8]>>,
    pub program: Option<Cow<'a, [u8]>>,
    pub pid: Option<u32>,
    pub time: Option<Stamp>,
    pub source: Source,
    /// The record has a member with the object's name already, other than `null`.
    pub enriched: bool,
    /// The record has that member as `null`: it is replaced.
    pub has_null: bool,
}

/// What a member of a record is to its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    /// The line itself, and the place of the member's name among those that it may have: the first counts.
    Line(usize),
    Host,
    Program,
    Pid,
    Time,
}

impl Field {
    /// What a member of this name is.
    pub(crate) fn of(config: &Config, key: &[u8]) -> Option<Field> {
        let place = |names: &[String]| names.iter().position(|name| words::same(name.as_bytes(), key));
        let others = [
            (&config.host_fields, Field::Host),
            (&config.program_fields, Field::Program),
            (&config.pid_fields, Field::Pid),
            (&config.time_fields, Field::Time),
        ];
        place(&config.message_fields)
            .map(Field::Line)
            .or_else(|| others.into_iter().find(|(names, _)| place(names).is_some()).map(|(_, field)| field))
    }
}

impl<'a> Reading<'a> {
    /// Notes what a member says that is not the line: its text, if it is a string, and its value as it is written.
    pub(crate) fn note(&mut self, field: Field, text: Option<Cow<'a, [u8]>>, value: &'a [u8]) {
        let said = |text: Option<Cow<'a, [u8]>>| text.filter(|text| !text.is_empty());
        match field {
            Field::Line(_) => {}
            Field::Host => self.host = said(text).or(self.host.take()),
            Field::Program => {
                if let Some(tag) = said(text) {
                    let (program, pid) = program(tag);
                    // A field of its own says it better, wherever it stands.
                    (self.program, self.pid) = (Some(program), self.pid.or(pid));
                }
            }
            Field::Pid => self.pid = decimal(text.as_deref().unwrap_or(value)).or(self.pid),
            // The first that names its year, or else the first.
            Field::Time => {
                if !matches!(self.time, Some(Stamp::Full(_))) {
                    let time = time(text.as_deref().unwrap_or(value));
                    self.time = time.filter(|time| matches!(time, Stamp::Full(_))).or(self.time).or(time);
                }
            }
        }
    }
}

/// Reads what was handed in; `None` if it is no JSON object or holds no line.
pub(crate) fn read<'a>(config: &Config, input: Input<'a>) -> Option<Reading<'a>> {
    let bytes = match input {
        Input::Line(line) => return Some(Reading { line: Cow::Borrowed(bare(line)), ..Reading::default() }),
        Input::Record(bytes) => bytes,
    };
    let mut reading = Reading::default();
    // The place in the list of names of the field found so far: the first name counts, not the first field.
    let mut best = usize::MAX;
    let mut members = Members::new(bytes)?;
    while let Some((key, value)) = members.next() {
        let name = if key.contains(&b'\\') { json::string(key) } else { None };
        let key = name.as_deref().unwrap_or(&key[1..key.len() - 1]);
        if key == MEMBER.as_bytes() {
            reading.has_null |= value == b"null";
            reading.enriched |= value != b"null";
        }
        reading.enriched |= schema::marks(key, value);
        match Field::of(config, key) {
            Some(Field::Line(at)) => {
                if at < best
                    && let Some((line, before)) = line(value)
                {
                    best = at;
                    let start = members.position() - value.len() + before;
                    reading.place = matches!(line, Cow::Borrowed(_)).then(|| start..start + line.len());
                    reading.line = line;
                }
            }
            Some(field) => reading.note(field, json::string(value), value),
            None => {}
        }
        if config.source_field.as_ref().is_some_and(|name| name.as_bytes() == key) {
            reading.source = json::string(value).map_or(Source::Auto, |value| source(config, &value));
        }
    }
    (members.complete() && best < usize::MAX).then_some(reading)
}

/// The line in a string, and where in it that begins, if it stands there as it is.
fn line(value: &[u8]) -> Option<(Cow<'_, [u8]>, usize)> {
    let text = without_ends(value.strip_prefix(b"\"")?.strip_suffix(b"\"")?);
    if json::is_plain(text) {
        let line = bare(text);
        return Some((Cow::Borrowed(line), 1 + behind_mark(text)));
    }
    let line = json::string(value)?;
    Some((Cow::Owned(bare(&line).to_vec()), 0))
}

/// What stands in a string before the line ends behind it, as they are escaped: many shippers keep them.
fn without_ends(mut text: &[u8]) -> &[u8] {
    // Where the backslash is escaped itself, another one is left, and the whole is unescaped.
    while let [rest @ .., b'\\', b'n' | b'r' | b't'] = text {
        text = rest;
    }
    text
}

/// The mark that some systems put before UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Where the line begins behind it.
pub(crate) fn behind_mark(text: &[u8]) -> usize {
    if text.starts_with(MARK) { MARK.len() } else { 0 }
}

/// A line without what is no part of it: that mark, and control characters behind it, line ends above all.
pub(crate) fn bare(text: &[u8]) -> &[u8] {
    let text = &text[behind_mark(text)..];
    let end = text.iter().rposition(|byte| !byte.is_ascii_control()).map_or(0, |last| last + 1);
    &text[..end]
}

fn source(config: &Config, value: &[u8]) -> Source {
    let begins = |starts: &[String]| starts.iter().any(|start| value.starts_with(start.as_bytes()));
    if begins(&config.mail_sources) {
        Source::Mail
    } else if begins(&config.message_log_sources) {
        Source::MessageLog
    } else {
        Source::Auto
    }
}

/// The program of a field, which may be a whole tag, `sendmail[14029]:`, and its process. A tag without a name is nobody's.
fn program(tag: Cow<'_, [u8]>) -> (Cow<'_, [u8]>, Option<u32>) {
    let text = tag.strip_suffix(b":").unwrap_or(&tag);
    let process = || {
        let inside = text.strip_suffix(b"]")?;
        let at = memchr(b'[', inside)?;
        Some((at, decimal(&inside[at + 1..])?))
    };
    let (end, pid) = process().map_or((text.len(), None), |(at, pid)| (at, Some(pid)));
    if end == 0 { (tag, None) } else { (clipped(tag, end), pid) }
}

/// The beginning of a text.
fn clipped(text: Cow<'_, [u8]>, end: usize) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
        Cow::Owned(mut text) => {
            text.truncate(end);
            Cow::Owned(text)
        }
    }
}

/// A line's own time, as a shipper has taken it out of the line, or journald's microseconds since the epoch.
fn time(text: &[u8]) -> Option<Stamp> {
    if text.len() == 16 && text.iter().all(u8::is_ascii_digit) {
        return LogTime::from_epoch_micros(std::str::from_utf8(text).ok()?.parse().ok()?).map(Stamp::Full);
    }
    let (stamp, used) = mail_line::stamp(text)?;
    (used == text.len() || matches!(stamp, Stamp::Full(_))).then_some(stamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &str) -> Option<Reading<'_>> {
        read(&Config::default(), Input::Record(text.as_bytes()))
    }

    #[test]
    fn the_first_name_counts() {
        let reading = record(r#"{"log":"b","x":{"message":"no"},"message":"a","hostname":"mx1","pid":"12"}"#).unwrap();
        assert_eq!((&*reading.line, reading.host.as_deref(), reading.pid), (&b"a"[..], Some(&b"mx1"[..]), Some(12)));
        let reading = record(r#"{"MESSAGE":"x\ty","_PID":7,"__REALTIME_TIMESTAMP":"1795438865022833"}"#).unwrap();
        assert_eq!((&*reading.line, reading.pid), (&b"x\ty"[..], Some(7)));
        let Some(Stamp::Full(time)) = reading.time else { panic!("{reading:?}") };
        assert_eq!(time.to_string(), "2026-11-23T13:01:05.022833Z");
        let reading = record(r#"{"time":"Nov 23 13:01:05","message":"x"}"#).unwrap();
        assert!(matches!(reading.time, Some(Stamp::Bsd(_))), "{reading:?}");
        let reading =
            record(r#"{"time":"Nov 23 13:01:05","__REALTIME_TIMESTAMP":"1795438865022833","message":"x"}"#).unwrap();
        assert!(matches!(reading.time, Some(Stamp::Full(_))), "{reading:?}");
        assert_eq!(record(r#"{"time":"Nov 23 13:01:05 2025","message":"x"}"#).unwrap().time, None);
    }

    #[test]
    fn what_is_no_part_of_a_line() {
        for (value, line, place) in [
            (r"a b\n", "a b", Some(12..15)),
            (r"a\r\n", "a", Some(12..13)),
            (r"\u0041\r\n\u0000", "A", None),
            (r"a\\n", r"a\n", None),
            (r"a\tb\n", "a\tb", None),
            ("\u{feff}a ", "a ", Some(15..17)),
            ("\u{feff}a\u{7f}", "a", Some(15..16)),
            (r"\ufeffa", "a", None),
            (r"\n", "", Some(12..12)),
            ("", "", Some(12..12)),
        ] {
            let text = format!("{{\"message\":\"{value}\"}}");
            let reading = record(&text).unwrap();
            assert_eq!((&*reading.line, &reading.place), (line.as_bytes(), &place), "{text}");
            assert!(place.is_none_or(|place| text.as_bytes()[place] == *reading.line), "{text}");
        }
        assert_eq!(*read(&Config::default(), Input::Line(b"\xef\xbb\xbfa \r\n\0")).unwrap().line, b"a "[..]);
    }

    #[test]
    fn what_holds_no_line() {
        for text in [
            "",
            "x",
            "[]",
            "{}",
            r#"{"message":1}"#,
            r#"{"message":"a""#,
            r#"{"message":"\q"}"#,
            "{\"message\":\"a\"} x",
        ] {
            assert_eq!(record(text), None, "{text}");
        }
    }

    #[test]
    fn the_log_can_be_pinned() {
        let config = Config::from_json(
            r#"{"source_field":"file","mail_sources":["/var/log/mail"],"message_log_sources":["/opt/pmx"]}"#,
        )
        .unwrap();
        let pinned = |text: &'static str| read(&config, Input::Record(text.as_bytes())).unwrap().source;
        assert_eq!(pinned(r#"{"message":"a","file":"/var/log/maillog.1"}"#), Source::Mail);
        assert_eq!(pinned(r#"{"file":"/opt/pmx6/var/log/message_log","message":"a"}"#), Source::MessageLog);
        assert_eq!(pinned(r#"{"message":"a","file":"/var/log/messages"}"#), Source::Auto);
    }
}
