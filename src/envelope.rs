//! sendmail's `from=` and `to=` lines: most of a mail log, and read by their bytes alone.

use std::sync::LazyLock;

use memchr::memmem::{self, Finder};

use crate::mail_line::decimal;

/// Searches for the two fields of a `to=` line, made once.
static MAILER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(", mailer="));
static STAT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(", stat="));

/// What a `from=` line says of the message's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FromLine<'a> {
    /// The sender as it stands in the line.
    pub sender: &'a [u8],
    /// Recipients that were accepted.
    pub recipients: Option<u32>,
    /// Whether sendmail has received the text: it then knows the message id. A client's promise (`SIZE=`) is none.
    pub collected: bool,
}

impl<'a> FromLine<'a> {
    /// Reads a text that begins with `from=`.
    pub(crate) fn parse(text: &'a [u8]) -> Option<FromLine<'a>> {
        let (sender, rest) = address(text.strip_prefix(b"from=")?);
        let (_, rest) = number(rest.strip_prefix(b", size=")?)?;
        let rest = rest.strip_prefix(b", class=")?;
        let (_, rest) = number(rest.strip_prefix(b"-").unwrap_or(rest))?;
        let (recipients, rest) = number(rest.strip_prefix(b", nrcpts=")?)?;
        Some(FromLine { sender, recipients: decimal(recipients), collected: rest.starts_with(b", msgid=") })
    }
}

/// The digits at the beginning of a text, and what stands behind them.
fn number(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    (digits > 0).then(|| text.split_at(digits))
}

/// The sender of sendmail's line about a refused MAIL: `Milter: from=<a@b>, reject=…`.
pub(crate) fn refused_sender(text: &[u8]) -> Option<&[u8]> {
    Some(address(text.strip_prefix(b"Milter: from=")?).0)
}

/// The first digit of the reply in a line about a refusal: `…, reject=451 4.3.2 …`. An address before it may imitate it.
pub(crate) fn reply_code(text: &[u8]) -> Option<u8> {
    let address_at = [&b"Milter: from="[..], b"Milter: to=", b"arg1="]
        .iter()
        .find_map(|name| memmem::find(&text[..text.len().min(80)], name).map(|at| at + name.len()));
    let behind = match address_at {
        Some(at) => address(&text[at..]).1,
        None => text,
    };
    let code = memmem::find(behind, b"reject=")? + 7;
    behind.get(code).copied()
}

/// What a `to=` line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ToLine {
    pub outcome: Option<Stat>,
    /// Written by a delivery, not by the reception.
    pub delivery: bool,
}

/// `stat=` as far as it settles what became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stat {
    Sent,
    Discarded,
    Rejected,
    TempFailed,
    /// The client withdrew it.
    Withdrawn,
}

impl ToLine {
    /// Reads a text that begins with `to=`. Recipients come first, each perhaps with anything in its brackets.
    pub(crate) fn parse(text: &[u8]) -> Option<ToLine> {
        let list: usize = recipients(text).map(|recipient| recipient.len() + 1).sum();
        let rest = text.get(2 + list..).filter(|_| text.starts_with(b"to="))?;
        let delivery = MAILER.find(rest).is_some();
        let stat = &rest[STAT.find(rest)? + 7..];
        let outcome = match stat {
            _ if stat.starts_with(b"Sent") => Some(Stat::Sent),
            b"discarded" => Some(Stat::Discarded),
            _ if delivery => None,
            b"Please try again later" => Some(Stat::TempFailed),
            _ if stat.ends_with(b" closing connection") => Some(Stat::TempFailed),
            b"Command rejected" => Some(Stat::Rejected),
            _ if stat.starts_with(b"Message exceeds") || stat.starts_with(b"Headers too large") => Some(Stat::Rejected),
            b"aborted by sender" => Some(Stat::Withdrawn),
            _ if [&b"RSET"[..], b"EHLO", b"HELO"].iter().any(|word| stat.eq_ignore_ascii_case(word)) => {
                Some(Stat::Withdrawn)
            }
            _ => None,
        };
        Some(ToLine { outcome, delivery })
    }
}

/// The recipients of a text that begins with `to=`.
pub(crate) fn recipients(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text.strip_prefix(b"to=");
    std::iter::from_fn(move || {
        let (recipient, behind) = address(rest?);
        rest = behind.strip_prefix(b",").filter(|next| next.first() != Some(&b' '));
        Some(recipient)
    })
}

/// The characters that matter in an address.
static MARKS: [bool; 256] = {
    let mut marks = [false; 256];
    let mut n = 0;
    while n < 5 {
        marks[b"\\\"<>,"[n] as usize] = true;
        n += 1;
    }
    marks
};

/// An address and what stands behind it. In angle brackets and quotes it may hold anything.
fn address(text: &[u8]) -> (&[u8], &[u8]) {
    let (mut quoted, mut bracketed, mut ended, mut at) = (false, false, false, 0);
    while let Some(plain) = text.get(at..).and_then(|rest| rest.iter().position(|b| MARKS[usize::from(*b)])) {
        at += plain;
        match text[at] {
            b'\\' => at += 1,
            b'"' => quoted = !quoted,
            b'<' if !quoted => bracketed = true,
            b'>' if !quoted => bracketed = false,
            b',' if !quoted && !bracketed => {
                ended = true;
                break;
            }
            _ => {}
        }
        at += 1;
    }
    let end = if ended { at } else { text.len() };
    // Quotes that don't pair: sendmail cuts long addresses. The first comma with a blank ends them.
    if end == text.len()
        && let Some(comma) = memmem::find(text, b", ")
    {
        return text.split_at(comma);
    }
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_lines() {
        for (text, sender, recipients, collected) in [
            (
                "from=<a@b>, size=0, class=0, nrcpts=1, proto=ESMTP, daemon=MTA, relay=x [1.2.3.4]",
                "<a@b>",
                Some(1),
                false,
            ),
            ("from=<a@b>, size=1158, class=0, nrcpts=2, msgid=<x@y>, proto=ESMTP, relay=x", "<a@b>", Some(2), true),
            (
                "from=<\"x, size=0, class=0, nrcpts=0, msgid=\"@b>, size=99, class=0, nrcpts=3, proto=SMTP",
                "<\"x, size=0, class=0, nrcpts=0, msgid=\"@b>",
                Some(3),
                false,
            ),
            ("from=root, size=0, class=0, nrcpts=0, relay=x", "root", Some(0), false),
        ] {
            let line = FromLine::parse(text.as_bytes()).unwrap();
            assert_eq!(line, FromLine { sender: sender.as_bytes(), recipients, collected }, "{text}");
        }
        assert_eq!(FromLine::parse(b"from=<a@b>"), None);
        assert_eq!(FromLine::parse(b""), None);
    }

    #[test]
    fn reply_codes() {
        for (text, code) in [
            ("Milter: data, reject=451 4.3.2 Please try again later", Some(b'4')),
            ("Milter: to=<\"x, reject=451\"@y>, reject=550 5.7.1 no", Some(b'5')),
            (
                "ruleset=check_rcpt, arg1=<reject=4@x>, relay=h [1.2.3.4], reject=550 5.1.1 <reject=4@x>... User unknown",
                Some(b'5'),
            ),
            ("lost input channel", None),
        ] {
            assert_eq!(reply_code(text.as_bytes()), code, "{text}");
        }
    }

    #[test]
    fn to_lines() {
        for (text, outcome, delivery) in [
            (
                "to=<a@b>,<c@d>, delay=00:00:00, xdelay=00:00:00, mailer=sink, pri=92748, relay=x, dsn=2.0.0, stat=Sent",
                Some(Stat::Sent),
                true,
            ),
            (
                "to=<a@b>, delay=00:00:00, mailer=esmtp, pri=1, relay=x, dsn=4.0.0, stat=Deferred: Connection refused by x",
                None,
                true,
            ),
            (
                "to=<\"x, stat=Sent\"@b>, delay=00:00:02, pri=30024, stat=Please try again later",
                Some(Stat::TempFailed),
                false,
            ),
            ("to=<a@b>, delay=00:00:02, pri=30024, stat=Command rejected", Some(Stat::Rejected), false),
            ("to=<a@b>, delay=00:00:00, pri=0, stat=rset", Some(Stat::Withdrawn), false),
            ("to=<a@b>, delay=00:00:00, pri=0, stat=aborted by sender", Some(Stat::Withdrawn), false),
            ("to=<\"unpaired@b>, delay=00:00:00, pri=0, stat=RSET", Some(Stat::Withdrawn), false),
            ("to=root, ctladdr=<x>, delay=0, mailer=local, stat=Please try again later", None, true),
        ] {
            assert_eq!(ToLine::parse(text.as_bytes()), Some(ToLine { outcome, delivery }), "{text}");
        }
        assert_eq!(ToLine::parse(b"to="), None);
    }
}
