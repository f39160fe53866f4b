//! Records that are no JSON: some hosts write theirs so, and can't read it back.
//!
//! Fluent Bit writes numbers that are none as `nan` and `inf`, keys that are no texts as they are, and bytes of other types
//! as `\x01`. What it is given back it reads strictly, and where it can't, the record is lost, or the process is.

use abort_reason::{is_finite, is_object};
use serde_json::{Value, json};

/// A record as JSON, mended where that takes a few characters, or else as a text in a record that says so; `None` where it
/// is JSON.
#[inline(never)]
pub fn mended(record: &[u8]) -> Option<Vec<u8>> {
    if is_object(record) {
        return None;
    }
    let mended = mend(record);
    if is_object(&mended) {
        return Some(mended);
    }
    let told = "this record is no JSON, and can't be given back: its text is in `record`";
    let text = String::from_utf8_lossy(record);
    Some(json!({ "abort_reason": { "unreadable": told }, "record": text }).to_string().into_bytes())
}

/// Writes token by token what can be written otherwise: brackets and commas stay as they are.
fn mend(record: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(record.len() + 64);
    let mut rest = record;
    while let Some(first) = rest.first() {
        let length = match first {
            b'"' => string(rest, &mut out),
            first if stands(*first) => {
                out.push(*first);
                1
            }
            _ => word(rest, &mut out),
        };
        rest = &rest[length..];
    }
    out
}

/// Whether a byte stands for itself between strings and words.
fn stands(byte: u8) -> bool {
    matches!(byte, b'{' | b'}' | b'[' | b']' | b',' | b':' | b' ' | b'\t' | b'\r' | b'\n')
}

/// Writes the string that a text begins with; gives its length.
fn string(text: &[u8], out: &mut Vec<u8>) -> usize {
    let mut inside = Vec::new();
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match (byte, text.get(at + 1)) {
            (b'"', _) => break,
            (b'\\', Some(b'x')) => {
                let digits = text.get(at + 2..at + 4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
                inside.extend_from_slice(if digits.is_some() { br"\u00" } else { br"\\x" });
                at += 1;
            }
            (b'\\', Some(next @ (b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' | b'u'))) => {
                inside.extend_from_slice(&[b'\\', *next]);
                at += 1;
            }
            (b'\\', _) => inside.extend_from_slice(br"\\"),
            (0..b' ', _) => inside.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            (byte, _) => inside.push(*byte),
        }
        at += 1;
    }
    out.push(b'"');
    out.extend_from_slice(String::from_utf8_lossy(&inside).as_bytes());
    out.push(b'"');
    (at + 1).min(text.len())
}

/// Writes the number or the word that a text begins with: as a text where it is a key, as `null` where it is no value.
fn word(text: &[u8], out: &mut Vec<u8>) -> usize {
    let length = text.iter().position(|byte| *byte == b'"' || stands(*byte)).unwrap_or(text.len());
    let (word, behind) = text.split_at(length);
    let is_key = behind.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) == Some(&b':');
    let number = word.strip_prefix(b"-").unwrap_or(word).to_ascii_lowercase();
    if is_key {
        out.extend_from_slice(Value::from(String::from_utf8_lossy(word)).to_string().as_bytes());
    } else if matches!(number.as_slice(), b"nan" | b"inf" | b"infinity") || !is_finite(word) {
        out.extend_from_slice(b"null");
    } else {
        out.extend_from_slice(word);
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_mended_is() {
        for (record, expected) in [
            (
                r#"{"a":nan,"b":-nan,"c":inf,"d":[-inf,1,true,null]}"#,
                r#"{"a":null,"b":null,"c":null,"d":[null,1,true,null]}"#,
            ),
            (r#"{5:"x",null:1,"a":{1.5:{true:[]}}}"#, r#"{"5":"x","null":1,"a":{"1.5":{"true":[]}}}"#),
            (r#"{"a":"\x01\xZ\q\"\\\u00e4"}"#, r#"{"a":"\u0001\\xZ\\q\"\\\u00e4"}"#),
            ("{\"a\":\"\u{1}b\tc\"}", r#"{"a":"\u0001b\u0009c"}"#),
            (r#"{"a":[1e400,nan,1e30]}"#, r#"{"a":[null,null,1e30]}"#),
            ("{\u{c}:1,5 :2}", r#"{"\f":1,"5" :2}"#),
            (r#"{"a":"nan : inf, {5:6}","b":nan}"#, r#"{"a":"nan : inf, {5:6}","b":null}"#),
        ] {
            let mended = mended(record.as_bytes()).unwrap();
            assert_eq!(String::from_utf8_lossy(&mended), expected);
        }
        assert_eq!(mended(br#"{"a":"\ud83d\ude00 x","b":-1.5e9}"#), None);
    }

    #[test]
    fn what_can_not_is_a_text() {
        for record in
            [&b"{\"a\":\x0c1}"[..], b"{\"a\":\"x", b"[1]", b"x", b"{\"a\":b}", b"{]", b"", b"{\"a\":\"\\u12\"}"]
        {
            let told: Value = serde_json::from_slice(&mended(record).unwrap()).unwrap();
            assert_eq!(told["record"], String::from_utf8_lossy(record).as_ref());
            assert!(told["abort_reason"]["unreadable"].is_string());
        }
        let bytes = mended(b"{\"a\":\"\xff\"}").unwrap();
        assert_eq!(bytes, "{\"a\":\"\u{fffd}\"}".as_bytes());
    }
}
