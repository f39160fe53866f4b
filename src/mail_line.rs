//! Lines of sendmail's log behind every prefix that occurs: finds who wrote them, about which message, and the text.
//!
//! The path of almost all input runs through here, so it looks at each byte of the prefix once and at none behind it.
//! There is always *a* reading: what has no known shape is `None`, never an error.

use memchr::memchr;

use crate::queue_id::QueueId;
use crate::time::{BsdTime, LogTime};
use crate::words::decimal;

/// A line of the mail log, taken apart. Everything borrows from the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MailLine<'a> {
    pub time: Option<Stamp>,
    /// The host that the prefix names; empty if none.
    pub host: &'a [u8],
    /// The program of the tag; empty if none.
    pub program: &'a [u8],
    pub pid: Option<u32>,
    pub id: MailId,
    /// Which part of a split line this is (`id[2]: …`).
    pub part: Option<u16>,
    /// What stands behind the queue id.
    pub text: &'a [u8],
}

/// The time of a line; classic syslog leaves the year to the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stamp {
    Full(LogTime),
    Bsd(BsdTime),
}

/// What stands where the queue id belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MailId {
    Queue(QueueId),
    /// `NOQUEUE:`
    NoQueue,
    /// Nothing: TLS, SASL and some ruleset lines.
    None,
}

impl<'a> MailLine<'a> {
    /// Takes a line apart; `None` if it has neither the prefix of a log line nor a queue id.
    pub(crate) fn parse(line: &'a [u8]) -> Option<MailLine<'a>> {
        let at = priority(line);
        let rest = &line[at..];
        if let Some((stamp, used)) = stamp(rest) {
            let rest = trim_start(&rest[used..]);
            let rest = trim_start(&rest[priority(rest)..]);
            return MailLine::behind_time(Some(stamp), rest);
        }
        if at > 0
            && let Some(rest) = rest.strip_prefix(b"1 ")
        {
            return MailLine::rfc5424(rest);
        }
        MailLine::bare(rest)
    }

    /// A record of the bare message, as journald and parsing shippers hold it: `id: text`.
    pub(crate) fn bare(text: &'a [u8]) -> Option<MailLine<'a>> {
        let line = MailLine::of_text(text);
        (line.id != MailId::None && text.first() != Some(&b' ')).then_some(line)
    }

    /// A line whose time is another field of the record: `host program[pid]: id: text`, with an id and a process, or it is
    /// anybody's text.
    pub(crate) fn without_time(text: &'a [u8]) -> Option<MailLine<'a>> {
        MailLine::behind_time(None, trim_start(text)).filter(|line| line.id != MailId::None && line.pid.is_some())
    }

    /// A message without an id is a line, too, where another field of the record says which program wrote it. Some parsers
    /// leave the blank before it.
    pub(crate) fn of_text(text: &'a [u8]) -> MailLine<'a> {
        let (id, part, text) = split_id(trim_start(text));
        MailLine { time: None, host: b"", program: b"", pid: None, id, part, text }
    }

    /// `host program[pid]: [ID …] id: text`
    fn behind_time(time: Option<Stamp>, rest: &'a [u8]) -> Option<MailLine<'a>> {
        let space = memchr(b' ', rest)?;
        let (first, behind) = (&rest[..space], trim_start(&rest[space + 1..]));
        // Some daemons leave the host out, so that the tag stands first.
        let (host, tagged) = if first.ends_with(b":") { (&b""[..], rest) } else { (first, behind) };
        if !host
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']' | b'/'))
        {
            return None;
        }
        let (program, pid, text) = tag(tagged)?;
        let (id, part, text) = split_id(solaris_id(text));
        Some(MailLine { time, host, program, pid, id, part, text })
    }

    /// RFC 5424 behind the version: `time host app procid msgid structured-data message`.
    fn rfc5424(rest: &'a [u8]) -> Option<MailLine<'a>> {
        let (time, rest) = field(rest)?;
        let (host, rest) = field(rest)?;
        let (program, rest) = field(rest)?;
        let (pid, rest) = field(rest)?;
        let (_msgid, rest) = field(rest)?;
        let text = structured_data(rest)?;
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let (id, part, text) = split_id(trim_start(text));
        let time = LogTime::parse_iso(time).map(|(time, _)| Stamp::Full(time));
        Some(MailLine { time, host: nil(host), program: nil(program), pid: decimal(pid), id, part, text })
    }
}

/// The length of what a line may begin with, `<22>` or `<mail.notice>`, and of the blanks behind it.
fn priority(line: &[u8]) -> usize {
    if line.first() != Some(&b'<') {
        return 0;
    }
    match line.iter().take(24).position(|b| *b == b'>') {
        Some(end) if line[1..end].iter().all(|b| b.is_ascii_alphanumeric() || *b == b'.') && end > 1 => {
            let blanks = line[end + 1..].iter().take_while(|b| **b == b' ').count();
            end + 1 + blanks
        }
        _ => 0,
    }
}

pub(crate) fn stamp(text: &[u8]) -> Option<(Stamp, usize)> {
    match text.first()? {
        b'0'..=b'9' => LogTime::parse_iso(text).map(|(time, used)| (Stamp::Full(time), used)),
        b'A'..=b'Z' => BsdTime::parse(text).map(|(time, used)| (Stamp::Bsd(time), used)),
        _ => None,
    }
}

/// `program[pid]: text` or `program: text`.
fn tag(text: &[u8]) -> Option<(&[u8], Option<u32>, &[u8])> {
    let end = text.iter().take(65).position(|b| matches!(b, b':' | b'[' | b' ' | b'='))?;
    let (program, rest) = text.split_at(end);
    let (pid, rest) = match rest.strip_prefix(b"[") {
        Some(rest) => {
            let end = rest.iter().take(65).position(|b| matches!(b, b']' | b':' | b' ' | b'='))?;
            (decimal(&rest[..end]), rest[end..].strip_prefix(b"]")?)
        }
        None => (None, rest),
    };
    let text = rest.strip_prefix(b": ")?;
    (end > 0).then_some((program, pid, text))
}

/// Solaris puts `[ID 801593 mail.error] ` before the message.
fn solaris_id(text: &[u8]) -> &[u8] {
    if !text.starts_with(b"[ID ") {
        return text;
    }
    match text.iter().take(48).position(|b| *b == b']') {
        Some(end) => trim_start(&text[end + 1..]),
        None => text,
    }
}

/// The id, the number of the part, and what stands behind them.
fn split_id(text: &[u8]) -> (MailId, Option<u16>, &[u8]) {
    let (id, rest) = if let Some(id) = QueueId::leading(text) {
        (MailId::Queue(id), &text[id.as_bytes().len()..])
    } else if let Some(rest) = text.strip_prefix(b"NOQUEUE") {
        (MailId::NoQueue, rest)
    } else {
        // A long line without an id is split as well: `[1]: `.
        (MailId::None, text)
    };
    let (part, behind) = match rest {
        rest if rest.first() == Some(&b'[') => match rest.iter().take(6).position(|b| *b == b']') {
            Some(end) => (decimal(&rest[1..end]).map(|n| n as u16), &rest[end + 1..]),
            None => return (MailId::None, None, text),
        },
        rest => (None, rest),
    };
    match behind.strip_prefix(b": ") {
        Some(behind) if id != MailId::None || part.is_some() => (id, part, behind),
        _ => (MailId::None, None, text),
    }
}

/// Skips RFC 5424 structured data, in whose values `]` and `"` are escaped with a backslash.
fn structured_data(text: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = text.strip_prefix(b"-") {
        return Some(rest.strip_prefix(b" ").unwrap_or(rest));
    }
    let (mut quoted, mut at) = (false, 0);
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b']' if !quoted => match text.get(at + 1) {
                Some(b'[') => {}
                _ => return Some(text[at + 1..].strip_prefix(b" ").unwrap_or(&text[at + 1..])),
            },
            _ => {}
        }
        at += 1;
    }
    None
}

fn field(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = memchr(b' ', text)?;
    Some((&text[..space], &text[space + 1..]))
}

fn nil(field: &[u8]) -> &[u8] {
    if field == b"-" { b"" } else { field }
}

fn trim_start(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|b| **b == b' ').count()..]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "lost input channel from h [192.0.2.1] to MTA after rcpt";

    #[test]
    fn every_prefix_leads_to_the_same_text() {
        let id = "6AND15V7014029";
        for (prefix, host, program, pid) in [
            ("Nov 23 13:01:05 mx1 sendmail[14029]: ", "mx1", "sendmail", Some(14_029)),
            ("Nov  3 13:01:05 mx1 sm-mta[14029]: ", "mx1", "sm-mta", Some(14_029)),
            ("<22>Nov 23 13:01:05 mx1 sendmail[14029]: ", "mx1", "sendmail", Some(14_029)),
            ("Nov 23 13:01:05 <mail.notice> mx1 sendmail[14029]: ", "mx1", "sendmail", Some(14_029)),
            ("<mail.notice> Nov 23 13:01:05 mx1 sendmail[14029]: ", "mx1", "sendmail", Some(14_029)),
            ("Nov 23 13:01:05 mx1 sendmail[14029]: [ID 801593 mail.error] ", "mx1", "sendmail", Some(14_029)),
            ("Nov 23 13:01:05 mx1.example.net sendmail: ", "mx1.example.net", "sendmail", None),
            ("Nov 23 13:01:05 sendmail[14029]: ", "", "sendmail", Some(14_029)),
            ("2026-11-23T13:01:05.022833+00:00 mx1 sendmail[14029]: ", "mx1", "sendmail", Some(14_029)),
            ("2026-11-23T13:01:05.022833+00:00mx1 sendmail[14029]: ", "mx1", "sendmail", Some(14_029)),
            ("2026-11-23T13:01:05Z mx1 sendmail[14029]: ", "mx1", "sendmail", Some(14_029)),
            ("<22>1 2026-11-23T13:01:05.022833+00:00 mx1 sendmail 14029 - -  ", "mx1", "sendmail", Some(14_029)),
            (
                "<22>1 2026-11-23T13:01:05Z mx1 sendmail 14029 ID7 [a@1 x=\"\\\"]\"][b@2 y=\"z\"] \u{feff}",
                "mx1",
                "sendmail",
                Some(14_029),
            ),
            ("<22>1 - - sendmail - - - ", "", "sendmail", None),
            ("", "", "", None),
        ] {
            let line = format!("{prefix}{id}: {TEXT}");
            let read = MailLine::parse(line.as_bytes()).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(read.host, host.as_bytes(), "{line}");
            assert_eq!(read.program, program.as_bytes(), "{line}");
            assert_eq!(read.pid, pid, "{line}");
            assert_eq!(read.id, MailId::Queue(QueueId::parse(id.as_bytes()).unwrap()), "{line}");
            assert_eq!(read.text, TEXT.as_bytes(), "{line}");
            assert_eq!(read.part, None);
        }
    }

    #[test]
    fn ids_and_parts() {
        let read = |text: &'static str| {
            let line = MailLine::parse(text.as_bytes()).unwrap();
            (line.id, line.part, std::str::from_utf8(line.text).unwrap())
        };
        let id = MailId::Queue(QueueId::parse(b"6AND15V7014029").unwrap());
        let prefix = "Nov 23 13:01:05 mx1 sendmail[9]: ";
        assert_eq!(read("6AND15V7014029[2]: word ..."), (id, Some(2), "word ..."));
        assert_eq!(read("NOQUEUE: connect from h"), (MailId::NoQueue, None, "connect from h"));
        let line = format!("{prefix}STARTTLS: read error=timeout").leak();
        assert_eq!(read(line), (MailId::None, None, "STARTTLS: read error=timeout"));
        let line = format!("{prefix}[2]: Milter (x): y").leak();
        assert_eq!(read(line), (MailId::None, Some(2), "Milter (x): y"));
    }

    #[test]
    fn what_is_no_mail_line() {
        for line in [
            "",
            "hello",
            "2026-11-23T13:01:06 q=6AND15d3014029 f=<a@b> r=relay tm=0.00 a=c/abort",
            "2026-11-23T13:01:06 q=X f=<a b[1]: 6AND15V7014029: lost@x> a=a/eom",
            "6AND15V7014029",
            "6AND15V7014029:",
            "<",
            "<22>",
            "<22>1 ",
            "Nov 23 13:01:05",
            "Nov 23 13:01:05 mx1 last message repeated 2 times",
        ] {
            assert_eq!(MailLine::parse(line.as_bytes()), None, "{line}");
        }
    }
}
