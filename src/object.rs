//! Writes a JSON object into bytes, member by member. Names are the writer's own; values may hold anything.

use crate::words;

/// An object that is being written.
pub(crate) struct Object<'o> {
    out: &'o mut Vec<u8>,
    is_first: bool,
}

impl<'o> Object<'o> {
    /// Writes an object whose members `write` adds.
    pub(crate) fn write(out: &'o mut Vec<u8>, write: impl FnOnce(&mut Object<'_>)) {
        out.push(b'{');
        let mut object = Object { out, is_first: true };
        write(&mut object);
        object.out.push(b'}');
    }

    /// A member whose value is written into what is given.
    pub(crate) fn member(&mut self, name: &'static str) -> &mut Vec<u8> {
        self.out.extend_from_slice(if self.is_first { b"\"" } else { b",\"" });
        self.is_first = false;
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    pub(crate) fn text(&mut self, name: &'static str, text: &str) {
        write_text(self.member(name), text);
    }

    /// A text, where there is one.
    pub(crate) fn some_text(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    pub(crate) fn some_flag(&mut self, name: &'static str, flag: Option<bool>) {
        if let Some(flag) = flag {
            self.member(name).extend_from_slice(if flag { b"true" } else { b"false" });
        }
    }

    /// A number of milliseconds as one of seconds.
    pub(crate) fn some_seconds(&mut self, name: &'static str, ms: Option<i64>) {
        if let Some(ms) = ms {
            write_value(self.member(name), &(ms as f64 / 1_000.0));
        }
    }

    pub(crate) fn number(&mut self, name: &'static str, number: u32) {
        write_value(self.member(name), &number);
    }

    pub(crate) fn some_number(&mut self, name: &'static str, number: Option<u32>) {
        if let Some(number) = number {
            self.number(name, number);
        }
    }

    /// A list, where it is not empty.
    pub(crate) fn list<T>(&mut self, name: &'static str, values: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
        if values.is_empty() {
            return;
        }
        let out = self.member(name);
        for (at, value) in values.iter().enumerate() {
            out.push(if at == 0 { b'[' } else { b',' });
            write(out, value);
        }
        out.push(b']');
    }
}

/// Writes a text as a string.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    if !words::is_plain(text.as_bytes()) {
        return write_value(out, text);
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// Writing a string or a number into memory can't fail.
fn write_value<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    drop(serde_json::to_writer(out, value));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_again(texts in prop::collection::vec("\\PC{0,9}[ -\u{ff}\"\\\\]{0,9}[a-z]{0,20}", 0..4), ms in any::<i32>(), flag in any::<Option<bool>>()) {
            let mut out = Vec::new();
            Object::write(&mut out, |object| {
                object.list("list", &texts, |out, text| write_text(out, text));
                object.some_text("first", texts.first().map(String::as_str));
                object.some_seconds("secs", Some(ms.into()));
                object.some_flag("flag", flag);
                object.some_number("number", None);
                object.number("last", ms.unsigned_abs());
            });
            let mut object = serde_json::Map::new();
            if let Some(first) = texts.first() {
                object.insert("list".into(), texts.clone().into());
                object.insert("first".into(), first.clone().into());
            }
            object.insert("secs".into(), (f64::from(ms) / 1_000.0).into());
            if let Some(flag) = flag {
                object.insert("flag".into(), flag.into());
            }
            object.insert("last".into(), ms.unsigned_abs().into());
            prop_assert_eq!(serde_json::from_slice::<serde_json::Map<_, _>>(&out).unwrap(), object);
            for text in &texts {
                let mut out = Vec::new();
                write_text(&mut out, text);
                prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(text).unwrap());
            }
        }
    }
}
