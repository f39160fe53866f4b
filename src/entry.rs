//! Entries of PureMessage's `message_log`: date and time, then `key=value` fields in no fixed order.
//!
//! Values in angle brackets are taken as a whole: an address may hold blanks, `=`, even ` a=c/abort`.

use memchr::memchr;

use crate::address;
use crate::queue_id::QueueId;
use crate::time::LogTime;

/// An entry, as far as the join needs it. Everything borrows from the line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry<'a> {
    pub time: Option<LogTime>,
    pub id: QueueId,
    /// `f=`: the envelope sender, with its angle brackets.
    pub from: Option<&'a [u8]>,
    /// `t=`: the envelope recipients.
    pub to: Vec<&'a [u8]>,
    /// `r=`: the relay.
    pub relay: Option<&'a [u8]>,
    /// `tm=`: milliseconds that PureMessage spent on the message.
    pub processing_ms: Option<u64>,
    /// `a=`: the action and the callback that it came from.
    pub action: Option<Action<'a>>,
    /// Whether there is a `Size=`: PureMessage had seen headers or body.
    pub has_size: bool,
    /// `Size=`: bytes, where it is a number.
    pub size: Option<u64>,
}

/// The value of `a=`: `c/abort` is the letter `c` in the callback `abort`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Action<'a> {
    pub letter: &'a [u8],
    pub callback: &'a [u8],
}

impl Action<'_> {
    pub(crate) fn is_abort(&self) -> bool {
        self.callback.eq_ignore_ascii_case(b"abort")
    }

    pub(crate) fn is_end_of_message(&self) -> bool {
        self.callback.eq_ignore_ascii_case(b"eom")
    }

    /// PureMessage itself refused MAIL, so that sendmail keeps the queue id for the next one.
    pub(crate) fn refuses_mail(&self) -> bool {
        self.callback.eq_ignore_ascii_case(b"envfrom") && !self.letter.eq_ignore_ascii_case(b"a")
    }
}

impl<'a> Entry<'a> {
    /// The time and the queue id of an entry, under the same conditions as [`Entry::parse`].
    pub(crate) fn head(line: &[u8]) -> Option<(Option<LogTime>, QueueId)> {
        let (time, id, _) = beginning(line)?;
        Some((time, id))
    }

    /// Reads an entry; `None` if the line is none (a time mark, another program's line): it begins with a time and `q=`, or
    /// with what an indexer made of these.
    pub(crate) fn parse(line: &'a [u8]) -> Option<Entry<'a>> {
        let (time, id, fields) = beginning(line)?;
        let mut entry = Entry {
            time,
            id,
            from: None,
            to: Vec::new(),
            relay: None,
            processing_ms: None,
            action: None,
            has_size: false,
            size: None,
        };
        for (key, value) in fields {
            match key {
                b"f" if entry.from.is_none() => entry.from = Some(value),
                b"t" => entry.to.push(value),
                b"r" if entry.relay.is_none() && !value.is_empty() => entry.relay = Some(value),
                b"tm" => entry.processing_ms = milliseconds(value).or(entry.processing_ms),
                b"Size" => {
                    entry.has_size = true;
                    entry.size = std::str::from_utf8(value).ok().and_then(|size| size.parse().ok());
                }
                // The last one counts: `a=` ends every sample, and a free text before it may imitate it.
                b"a" => entry.action = action(value).or(entry.action),
                _ => {}
            }
        }
        Some(entry)
    }

    pub(crate) fn is_abort(&self) -> bool {
        self.action.as_ref().is_some_and(Action::is_abort)
    }
}

/// The time of an entry, its id, and its fields.
type Beginning<'a> = (Option<LogTime>, QueueId, Fields<'a>);

fn beginning(line: &[u8]) -> Option<Beginning<'_>> {
    let Some((time, used)) = LogTime::parse_iso(line) else { return re_keyed(line).or_else(|| without_time(line)) };
    let rest = line[used..].trim_ascii_start();
    let value = rest.strip_prefix(b"q=").filter(|_| rest.len() < line.len() - used)?;
    // An id holds no blank, and a value in angle brackets is none.
    let id = QueueId::any(&value[..memchr(b' ', value).unwrap_or(value.len())])?;
    Some((Some(time), id, Fields { rest, separator: b' ' }))
}

/// `q=ID key=value …`, where a parser has taken the time out. The id is one of sendmail's: anybody may write `q=`.
fn without_time(line: &[u8]) -> Option<Beginning<'_>> {
    let rest = line.trim_ascii_start();
    let value = rest.strip_prefix(b"q=")?;
    let id = QueueId::parse(&value[..memchr(b' ', value)?])?;
    Some((None, id, Fields { rest, separator: b' ' }))
}

/// `ID<TAB>time|key=value|…`, as an indexer writes it.
fn re_keyed(line: &[u8]) -> Option<Beginning<'_>> {
    let tab = memchr(b'\t', line.get(..line.len().min(40))?)?;
    let id = QueueId::any(&line[..tab])?;
    let (time, used) = LogTime::parse_iso(&line[tab + 1..])?;
    Some((Some(time), id, Fields { rest: &line[tab + 1 + used..], separator: b'|' }))
}

/// Splits the part behind the time into keys and values.
struct Fields<'a> {
    rest: &'a [u8],
    separator: u8,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let separator = self.separator;
        let blanks = self.rest.iter().take_while(|b| **b == separator).count();
        self.rest = &self.rest[blanks..];
        if self.rest.is_empty() {
            return None;
        }
        let key_end = self.rest.iter().position(|b| *b == b'=' || *b == separator).unwrap_or(self.rest.len());
        let (key, behind) = self.rest.split_at(key_end);
        let Some(value) = behind.strip_prefix(b"=") else {
            self.rest = behind;
            return Some((key, b""));
        };
        let address = matches!(key, b"f" | b"t") || value.starts_with(b"<");
        let length = address.then(|| address::raw(value, separator).or_else(|| bracketed(value, separator))).flatten();
        let length = length.unwrap_or_else(|| memchr(separator, value).unwrap_or(value.len()));
        self.rest = &value[length..];
        Some((key, &value[..length]))
    }
}

/// Length of a value in angle brackets in which something does not pair: to the first `>` at the end of a field.
fn bracketed(value: &[u8], separator: u8) -> Option<usize> {
    let value = &value[..value.len().min(address::LONGEST)];
    if value.first() != Some(&b'<') {
        return None;
    }
    let ends_field = |at: usize| value.get(at + 1).is_none_or(|b| *b == separator);
    (1..value.len()).find(|at| value[*at] == b'>' && ends_field(*at)).map(|at| at + 1)
}

fn action(value: &[u8]) -> Option<Action<'_>> {
    let slash = memchr(b'/', value)?;
    Some(Action { letter: &value[..slash], callback: &value[slash + 1..] })
}

/// `1.80` seconds as milliseconds.
fn milliseconds(value: &[u8]) -> Option<u64> {
    let dot = memchr(b'.', value).unwrap_or(value.len());
    let digits = |text: &[u8]| {
        text.iter().take(9).try_fold(0u64, |n, b| b.is_ascii_digit().then(|| n * 10 + u64::from(b - b'0')))
    };
    let whole = digits(&value[..dot]).filter(|_| (1..=9).contains(&dot))?;
    let mut fraction = 0;
    if let Some(text) = value.get(dot + 1..) {
        let shown = &text[..text.len().min(3)];
        fraction = digits(shown)? * 10u64.pow(3 - shown.len() as u32);
        digits(&text[shown.len()..])?;
    }
    Some(whole * 1_000 + fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Option<&[u8]>) -> &str {
        std::str::from_utf8(bytes.unwrap_or(b"-")).unwrap()
    }

    #[test]
    fn the_documented_sample() {
        let entry = Entry::parse(b"2007-01-27T16:48:58 q=i0S0miXk018339 f=<sender@domain.com> t=<recipient@example.org> p=0.351 h=RCVD_IN_SBL h=EXCUSE_19 Size=2274 r=relay.someplace.net tm=1.80 a=a/eom").unwrap();
        assert_eq!(entry.id.as_str(), "i0S0miXk018339");
        assert_eq!(entry.time.unwrap().to_string(), "2007-01-27T16:48:58");
        assert_eq!(text(entry.from), "<sender@domain.com>");
        assert_eq!(entry.to, [b"<recipient@example.org>"]);
        assert_eq!(text(entry.relay), "relay.someplace.net");
        assert_eq!(entry.processing_ms, Some(1_800));
        assert!(entry.has_size && !entry.is_abort());
        assert!(entry.action.unwrap().is_end_of_message());
    }

    #[test]
    fn the_re_keyed_form() {
        let entry = Entry::parse(b"451AC87F_1271_3613_1\t2006-09-27T18:52:48|f=<a@b>|t=<c@d>|Size=7477|inbound|action=deliver|r=200.46.204.254|tm=1.00|a=c/ABORT").unwrap();
        assert_eq!(entry.id.as_str(), "451AC87F_1271_3613_1");
        assert_eq!(text(entry.from), "<a@b>");
        assert!(entry.is_abort());
    }

    #[test]
    fn addresses_are_taken_as_a_whole() {
        for (line, from, abort) in [
            ("f=<\"x a=c/abort\"@e> tm=0.1 a=a/eom", "<\"x a=c/abort\"@e>", false),
            ("f=<\"x> a=c/abort\"@e> a=a/eom", "<\"x> a=c/abort\"@e>", false),
            ("f=<b=c@d> a=/abort", "<b=c@d>", true),
            ("f=<> a=c/abort", "<>", true),
            ("f=x( r=evil tm=9 a=a/eom )@e r=relay tm=0.1 a=c/abort", "x( r=evil tm=9 a=a/eom )@e", true),
            ("f=<a(\" b=c)@d> a=c/abort", "<a(\" b=c)@d>", true),
            ("f=<a\\> b@c> a=c/abort", "<a\\> b@c>", true),
            ("f=<\"odd> t=<x@y> a=c/abort", "<\"odd>", true),
            ("f=plain a=c/abort", "plain", true),
            ("S=now a=c/abort f=<x@y> a=a/eom", "<x@y>", false),
            ("inbound f=<x@y> a=abort", "<x@y>", false),
        ] {
            let line = format!("2026-11-23T13:01:06 q=6AND15d3014029 {line}");
            let entry = Entry::parse(line.as_bytes()).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(Entry::head(line.as_bytes()), Some((entry.time, entry.id)), "{line}");
            assert_eq!(text(entry.from), from, "{line}");
            assert_eq!(entry.is_abort(), abort, "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_head_is_that_of_the_whole(parts in proptest::collection::vec(0usize..14, 0..8)) {
            let pieces = ["2026-11-23T13:01:06", " ", "q=", "6AND15d3014029", "<", ">", "\"", "\t", "|", "=", "a=c/abort", "\\", "f=<x@y>", "Z"];
            let line: String = parts.iter().map(|part| pieces[*part]).collect();
            for line in [line.clone(), format!("2026-11-23T13:01:06 q={line}"), format!("X1\t2026-11-23T13:01:06{line}")] {
                let whole = Entry::parse(line.as_bytes()).map(|entry| (entry.time, entry.id));
                proptest::prop_assert_eq!(Entry::head(line.as_bytes()), whole, "{}", line);
            }
        }
    }

    #[test]
    fn lines_that_are_none() {
        for line in [
            "",
            "2026-11-23T13:01:06 -- MARK --",
            "q=",
            "2026-11-23T13:01:06 f=<q=x>",
            "2026-11-23T13:01:06 q= a=c/abort",
            "\t",
            "x\ty",
        ] {
            assert_eq!(Entry::parse(line.as_bytes()), None, "{line:?}");
            assert_eq!(Entry::head(line.as_bytes()), None, "{line:?}");
        }
    }

    #[test]
    fn processing_times() {
        for (value, ms) in [
            ("1.80", Some(1_800)),
            ("0", Some(0)),
            ("12.3456", Some(12_345)),
            ("x", None),
            ("", None),
            ("1.x", None),
            ("-1", None),
        ] {
            assert_eq!(milliseconds(value.as_bytes()), ms, "{value}");
        }
    }
}
