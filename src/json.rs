//! Finds the members of a JSON object without building a tree: almost every record only needs one of its fields read.
//!
//! The scan is as strict as it must be to find members; a record that is going to be changed is checked in full first.

use std::borrow::Cow;
use std::fmt;

use memchr::memchr;
use serde::de::{Deserialize, Deserializer, IgnoredAny, Visitor};

use crate::words::{Any, is_unquoted};

const QUOTE_OR_ESCAPE: Any<2> = Any::of([b'"', b'\\']);

/// The members of an object: each key and value as they are written, strings with their quotes.
pub(crate) struct Members<'a> {
    text: &'a [u8],
    at: usize,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    First,
    Next,
    Done,
    Broken,
}

impl<'a> Members<'a> {
    /// The members of a text that begins like an object.
    pub(crate) fn new(text: &'a [u8]) -> Option<Members<'a>> {
        let at = blanks(text, 0);
        (text.get(at) == Some(&b'{')).then_some(Members { text, at: at + 1, state: State::First })
    }

    /// Whether the object ended as it should, with nothing behind it. Holds once all members were read.
    pub(crate) fn complete(&self) -> bool {
        self.state == State::Done
    }

    /// Where the value of the last member ends.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    fn member(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let mut at = blanks(self.text, self.at);
        if self.text.get(at) == Some(&b'}') && self.state == State::First {
            return self.close(at);
        }
        if self.state == State::Next {
            match self.text.get(at) {
                Some(b',') => at = blanks(self.text, at + 1),
                Some(b'}') => return self.close(at),
                _ => return None,
            }
        }
        let key_end = string_end(self.text, at)?;
        let colon = blanks(self.text, key_end);
        if self.text.get(colon) != Some(&b':') {
            return None;
        }
        let value = blanks(self.text, colon + 1);
        let value_end = value_end(self.text, value)?;
        self.at = value_end;
        self.state = State::Next;
        Some((&self.text[at..key_end], &self.text[value..value_end]))
    }

    fn close(&mut self, brace: usize) -> Option<(&'a [u8], &'a [u8])> {
        let rest = blanks(self.text, brace + 1);
        self.state = if rest == self.text.len() { State::Done } else { State::Broken };
        None
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if matches!(self.state, State::Done | State::Broken) {
            return None;
        }
        let member = self.member();
        if member.is_none() && self.state != State::Done {
            self.state = State::Broken;
        }
        member
    }
}

/// What a string says; `None` if the value is none, or can't be read.
pub(crate) fn string(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if is_plain(inner) {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_slice::<Text>(value).ok().map(|Text(text)| Cow::Owned(text))
}

/// Whether what stands in a string is what it says.
pub(crate) fn is_plain(text: &[u8]) -> bool {
    is_unquoted(text) || memchr(b'\\', text).is_none()
}

/// The bytes of a string. Hosts that keep bytes which are no UTF-8 as half a surrogate pair write that as an escape, which
/// is no text: such a half stays as its own three bytes, and the rest can be read.
struct Text(Vec<u8>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Text, E> {
                Ok(Text(bytes.to_vec()))
            }
        }

        deserializer.deserialize_bytes(Bytes)
    }
}

/// Whether a text is a whole JSON object in UTF-8, as every reader takes it: with no number beyond what a `double` holds.
pub fn is_object(text: &[u8]) -> bool {
    Members::new(text).is_some()
        && std::str::from_utf8(text).is_ok()
        && serde_json::from_slice::<IgnoredAny>(text).is_ok()
        && are_finite(text)
}

/// So many digits are no number that is too large, unless there is an exponent.
const FINITE_DIGITS: usize = 300;

/// Whether the numbers of a JSON text are finite.
fn are_finite(text: &[u8]) -> bool {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at = match byte {
            b'"' => string_end(text, at).unwrap_or(text.len()),
            b'-' | b'0'..=b'9' => {
                let length = bare_length(&text[at..]).unwrap_or(1);
                if !is_finite(&text[at..at + length]) {
                    return false;
                }
                at + length
            }
            _ => at + 1,
        }
    }
    true
}

/// Whether a number is one that a `double` holds; what is none is no matter.
pub fn is_finite(number: &[u8]) -> bool {
    let is_small = number.len() <= FINITE_DIGITS && !number.iter().any(|byte| matches!(byte, b'e' | b'E'));
    let value = || std::str::from_utf8(number).ok()?.parse::<f64>().ok();
    is_small || value().is_none_or(f64::is_finite)
}

/// An object without the members of a name.
pub(crate) fn without_member(object: &str, name: &str) -> String {
    let is_other = |(key, _): &(&[u8], &[u8])| string(key).is_none_or(|key| *key != *name.as_bytes());
    let others = Members::new(object.as_bytes()).into_iter().flatten().filter(is_other);
    let members: Vec<String> = others
        .map(|(key, value)| format!("{}:{}", String::from_utf8_lossy(key), String::from_utf8_lossy(value)))
        .collect();
    format!("{{{}}}", members.join(","))
}

/// A whole object with one more member behind the others, whose value `write` adds.
pub(crate) fn with_member(object: &str, name: &str, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let body = object.trim_ascii();
    let body = body.strip_suffix('}').unwrap_or(body).trim_ascii_end();
    // Most values fit.
    let mut out = Vec::with_capacity(object.len() + name.len() + 2_048);
    out.extend_from_slice(body.as_bytes());
    if !body.ends_with('{') {
        out.push(b',');
    }
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    write(&mut out);
    out.push(b'}');
    out
}

fn blanks(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// The end of the string that begins at `at`, behind its closing quote.
fn string_end(text: &[u8], at: usize) -> Option<usize> {
    if text.get(at) != Some(&b'"') {
        return None;
    }
    let mut at = at + 1;
    loop {
        at += QUOTE_OR_ESCAPE.find(text.get(at..)?)?;
        match text[at] {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            // Where it stands, nothing is said of what is no ASCII.
            _ => at += 1,
        }
    }
}

/// How many bytes the number or the word has that a text begins with.
pub(crate) fn bare_length(text: &[u8]) -> Option<usize> {
    let goes_on = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.');
    matches!(text.first()?, b'-' | b'0'..=b'9' | b't' | b'f' | b'n').then(|| text.iter().take_while(goes_on).count())
}

/// The end of the value that begins at `at`. Brackets are only counted, so depth costs nothing.
fn value_end(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at)? {
        b'"' => string_end(text, at),
        b'{' | b'[' => {
            let (mut depth, mut at) = (0usize, at);
            loop {
                match text.get(at)? {
                    b'"' => {
                        at = string_end(text, at)?;
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => {
                        depth -= 1;
                        if depth == 0 {
                            return Some(at + 1);
                        }
                    }
                    _ => {}
                }
                at += 1;
            }
        }
        _ => Some(at + bare_length(&text[at..])?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(text: &str) -> Option<Vec<(String, String)>> {
        let mut members = Members::new(text.as_bytes())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let list = members.by_ref().map(|(key, value)| (text(key), text(value))).collect();
        members.complete().then_some(list)
    }

    #[test]
    fn half_a_surrogate_pair_hides_no_line() {
        let text = |json: &str| string(json.as_bytes()).map(|text| String::from_utf8_lossy(&text).into_owned());
        assert_eq!(
            text(r#""t=<j\udcffck@example.net> \ud83d\ude00""#).unwrap(),
            "t=<j\u{fffd}\u{fffd}\u{fffd}ck@example.net> \u{1f600}"
        );
        assert_eq!(text(r#""\udcf""#), None);
    }

    #[test]
    fn members_of_objects() {
        let pair = |key: &str, value: &str| (format!("\"{key}\""), value.to_owned());
        assert_eq!(members("{}"), Some(vec![]));
        assert_eq!(
            members(" {\"a\" : 1, \"b\":\"x\\\"}\" ,\"c\":{\"d\":[\"]\"]}, \"e\":null}\n"),
            Some(vec![pair("a", "1"), pair("b", "\"x\\\"}\""), pair("c", "{\"d\":[\"]\"]}"), pair("e", "null")])
        );
        for broken in [
            "",
            "[]",
            "{",
            "{\"a\"}",
            "{\"a\":1",
            "{\"a\":1}}",
            "{\"a\":1,}",
            "{,}",
            "{\"a\":\"x}",
            "{\"a\":\"\\",
            "{\"a\":[}",
            "null",
        ] {
            assert_eq!(members(broken), None, "{broken}");
        }
    }

    #[test]
    fn one_more_member() {
        for (object, with) in [
            ("{}", "{\"x\":1}"),
            (" { } ", "{\"x\":1}"),
            ("{\"a\":1}\n", "{\"a\":1,\"x\":1}"),
            ("{\"a\":{\"b\":\"}\"} }", "{\"a\":{\"b\":\"}\"},\"x\":1}"),
        ] {
            assert!(is_object(object.as_bytes()));
            assert_eq!(with_member(object, "x", |out| out.push(b'1')), with.as_bytes());
        }
        for broken in ["{\"a\":01}", "{\"a\":tru}", "[1]", "{\"a\":1}}"] {
            assert!(!is_object(broken.as_bytes()), "{broken}");
        }
        assert!(!is_object(b"{\"a\":\"\xff\"}"));
        for (number, is_one) in [
            ("1e308", true),
            ("-1.797693134862316e+308", false),
            ("1E999", false),
            ("1e-999", true),
            (&"1".repeat(308), true),
            (&"9".repeat(400), false),
        ] {
            assert_eq!(is_object(format!("{{\"a\":[\"1e999\",{number}]}}").as_bytes()), is_one, "{number}");
        }
    }

    #[test]
    fn depth_costs_nothing() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(is_object(deep.as_bytes()) && members(&deep).is_some());
    }
}
