//! sendmail's lines about envelopes, read by the fields that it writes, in the order in which it writes them. `from=` and
//! `to=` lines are most of a mail log.
//!
//! What a client wrote stands in known places only: addresses end where sendmail ends them ([`crate::address`]), the
//! name of a client has a known form, and the texts of errors, which may repeat what a client wrote, stand last. Such a
//! text is also a line of its own, and may then begin with anything: sendmail logs a refused recipient as the client wrote
//! it, with the highest bit of each byte cleared, then `... ` and the error. So a line is only read if it ends as it
//! should, too.

use memchr::memchr;
use memchr::memmem::{self, Finder};
use once_cell::sync::Lazy;
use serde::{Deserialize, Serialize};

use crate::address;
use crate::words::decimal;

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
        let (sender, rest) = address::sender(text.strip_prefix(b"from=")?)?;
        let (_, rest) = number(rest.strip_prefix(b", size=")?)?;
        let rest = rest.strip_prefix(b", class=")?;
        let (_, rest) = number(rest.strip_prefix(b"-").unwrap_or(rest))?;
        let (recipients, rest) = number(rest.strip_prefix(b", nrcpts=")?)?;
        let relay = &rest[memmem::rfind(rest, b", relay=")? + 8..];
        if relay != b"[RESPONSE]" && client(relay) != Some(relay.len()) {
            return None;
        }
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
    Some(address::leading(text.strip_prefix(b"Milter: from=")?)?.0)
}

/// What a client was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    TempFailed,
    Rejected,
    Discarded,
}

/// What a line about a filter's or sendmail's verdict says that the client was told: `…, reject=451 4.3.2 …`,
/// `…, discard`, `milter=…, tempfail`.
pub(crate) fn reply(text: &[u8]) -> Option<Reply> {
    match text {
        b"discarded" => return Some(Reply::Discarded),
        _ if text.starts_with(b"low on space (") => return Some(Reply::TempFailed),
        _ => {}
    }
    match verdict(text)? {
        b"discard" => Some(Reply::Discarded),
        b"tempfail" | b"temp failing commands" => Some(Reply::TempFailed),
        b"reject" | b"rejecting commands" | b"reject=Command rejected" => Some(Reply::Rejected),
        said => match said.strip_prefix(b"reject=")?.first()? {
            b'4' => Some(Reply::TempFailed),
            b'5' => Some(Reply::Rejected),
            _ => None,
        },
    }
}

/// The end of such a line, behind what a client wrote.
fn verdict(text: &[u8]) -> Option<&[u8]> {
    let comma = |rest: &'_ [u8]| rest.strip_prefix(b", ").map(<[u8]>::len);
    let from_end = |length: usize| &text[text.len() - length..];
    if let Some(rest) = text.strip_prefix(b"Milter: ") {
        let named = [&b"from="[..], b"to=", b"unknown="].iter().find_map(|key| rest.strip_prefix(*key));
        return match named {
            Some(rest) => comma(address::leading(rest)?.1).map(from_end),
            // `connect: host=…, addr=…, …`; `cmd=data, …`, `data, …`, `helo=name, …`, `initialization failed, …`
            None if rest.starts_with(b"connect: ") => behind_comma(behind_comma(rest)?),
            None => behind_comma(rest),
        };
    }
    if let Some(rest) = text.strip_prefix(b"milter=") {
        let said = &rest[memchr(b',', rest)? + 1..];
        let said = said.strip_prefix(b" action=").map_or(Some(said), |rest| Some(&rest[memchr(b',', rest)? + 1..]))?;
        return said.strip_prefix(b" ");
    }
    let rest = text.strip_prefix(b"ruleset=")?;
    let name = memmem::find(rest, b", arg1=")?;
    let argument = &rest[name + 7..];
    let mut rest = match &rest[..name] {
        // Numbers of sendmail's own.
        b"check_data" | b"check_eoh" | b"check_eom" => &argument[memchr(b',', argument)?..],
        _ => address::leading(argument)?.1,
    };
    if let Some(behind) = rest.strip_prefix(b", arg2=") {
        // Numbers as well, or nothing.
        rest = &behind[memchr(b',', behind)?..];
    }
    if let Some(behind) = rest.strip_prefix(b", relay=") {
        rest = &behind[client(behind)?..];
    }
    let said = rest.strip_prefix(b", ")?;
    // No client can write so, but who forwards lines might: two verdicts are none.
    let alone = memmem::find(said, b", reject=").is_none();
    // Before `... ` stands the address, or else a client's words of which this line is made.
    let repeated = memmem::find(said, b"... ").is_none_or(|_| {
        let address = &argument[..argument.len() - address::leading(argument).map_or(0, |(_, rest)| rest.len())];
        let again = memmem::find(said, address).filter(|_| !address.is_empty());
        again.is_some_and(|at| said[at + address.len()..].starts_with(b"... "))
    });
    (alone && repeated).then_some(said)
}

fn behind_comma(text: &[u8]) -> Option<&[u8]> {
    memmem::find(text, b", ").map(|at| &text[at + 2..])
}

/// The address of a client that came by a UNIX socket, as `sendmail -bs` may.
const OF_SOCKET: &[u8] = b"[[UNIX: localhost]]";

/// The length of a client's name, where a text begins with one: `user@host [192.0.2.1] (may be forged)`, all but the
/// address or the host perhaps missing. IDENT answers and host names hold none of the characters that matter here.
pub(crate) fn client(text: &[u8]) -> Option<usize> {
    let word = |text: &[u8]| {
        let ends = |b: &u8| matches!(b, b' ' | b'[' | b']' | b'(' | b')' | b'<' | b'>' | b'"' | b',' | b';' | b'\\');
        text.iter().position(ends).unwrap_or(text.len())
    };
    let mut at = word(text);
    let bracket = if text[at..].starts_with(b" [") { at + 1 } else { at };
    if text[bracket..].starts_with(OF_SOCKET) {
        at = bracket + OF_SOCKET.len();
    } else if text.get(bracket) == Some(&b'[') {
        let address =
            text[bracket + 1..].iter().take(64).position(|b| !(b.is_ascii_alphanumeric() || b".:".contains(b)))?;
        if text[bracket + 1 + address] != b']' {
            return None;
        }
        at = bracket + address + 2;
    }
    if text[at..].starts_with(b" (may be forged)") {
        at += 16;
    } else if let Some(behind) = text[at..].strip_prefix(b" (") {
        // `host (192.0.2.1)`, where sendmail knows no more.
        let address = behind.iter().take(64).take_while(|b| b.is_ascii_hexdigit() || b".:".contains(b)).count();
        if behind.get(address) == Some(&b')') {
            at += address + 3;
        }
    }
    (at > 0).then_some(at)
}

/// What a `to=` line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ToLine<'a> {
    /// What became of the message, where `stat=` settles that.
    pub outcome: Option<Delivery>,
    /// Written by a delivery, not by the reception.
    pub delivery: bool,
    /// What stands behind `stat=`: the text of the last error, which may repeat what a client wrote.
    pub stat: &'a [u8],
}

/// What became of a message by its `to=` lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Delivery {
    Sent,
    Discarded,
    Rejected,
    TempFailed,
}

/// The fields that sendmail writes between the recipients and `stat=`, in this order (deliver.c, `logdelivery`). Those
/// that other builds add stand among them.
const FIELDS: [&[u8]; 15] = [
    b"ctladdr",
    b"delay",
    b"xdelay",
    b"mailer",
    b"tls_verify",
    b"tls_version",
    b"cipher",
    b"bits",
    b"pri",
    b"relay",
    b"quarantine",
    b"dsn",
    b"ntries",
    b"stage",
    b"reply",
];

impl<'a> ToLine<'a> {
    /// Reads a text that begins with `to=`.
    pub(crate) fn parse(text: &'a [u8]) -> Option<ToLine<'a>> {
        ToLine::fields(text.strip_prefix(b"to=")?)
    }

    /// Reads what stands behind `to=`.
    pub(crate) fn fields(text: &'a [u8]) -> Option<ToLine<'a>> {
        let (_, rest) = address::list(text)?;
        let mut rest = rest.strip_prefix(b", [more]").unwrap_or(rest);
        let (mut next, mut delivery, mut dated) = (0, false, false);
        let stat = loop {
            rest = rest.strip_prefix(b", ")?;
            if let Some(stat) = rest.strip_prefix(b"stat=") {
                break stat;
            }
            let (key, value) = rest.split_at(memchr(b'=', rest)?);
            let value = &value[1..];
            next += FIELDS[next..].iter().position(|field| *field == key)? + 1;
            delivery |= key == b"mailer";
            dated |= key == b"delay";
            rest = match key {
                // An address that a client may have written; and what a server far away said, to the end.
                b"ctladdr" => controlling(value)?,
                b"reply" => &value[REPLY_ENDS.find(value)?..],
                _ => &value[memchr(b',', value)?..],
            };
        };
        // A list of recipients is cut behind any comma, one in quotes too, so a line may begin inside of an address.
        if !dated || REPLY_ENDS.find(stat).is_some() {
            return None;
        }
        Some(ToLine { outcome: outcome(stat, delivery), delivery, stat })
    }
}

/// Searches for the end of a text that may hold anything.
static REPLY_ENDS: Lazy<Finder<'static>> = Lazy::new(|| Finder::new(", stat="));

/// What stands behind a controlling address: `<address> (1000/1000), …`. sendmail shortens it to 83 characters.
fn controlling(text: &[u8]) -> Option<&[u8]> {
    let ids = |text: &'_ [u8]| {
        let numbers = text.strip_prefix(b" (").map_or(0, |rest| {
            let digits = rest.iter().take_while(|b| b.is_ascii_digit() || matches!(b, b'/' | b'-')).count();
            if rest.get(digits) == Some(&b')') { digits + 3 } else { 0 }
        });
        text[numbers..].starts_with(b", delay=").then_some(numbers)
    };
    if let Some(cut) = address::shortened(text, 83) {
        return ids(&text[cut..]).map(|numbers| &text[cut + numbers..]);
    }
    let end = match address::leading(text) {
        Some((address, _)) => address.len(),
        // The numbers stand behind a blank.
        None => memmem::find(text, b" (")
            .filter(|at| address::leading(&text[..*at]).is_some_and(|(_, rest)| rest.is_empty()))?,
    };
    ids(&text[end..]).map(|numbers| &text[end + numbers..])
}

fn outcome(stat: &[u8], delivery: bool) -> Option<Delivery> {
    // What a delivery did is `Sent` or `Sent (what the next server said)`.
    if delivery {
        let said = stat.starts_with(b"Sent (") && stat.ends_with(b")");
        let is_error = memmem::find(stat, b"... ").is_some() && !address::is_shortened(stat);
        let sent = stat == b"Sent" || said && !is_error;
        return match stat {
            _ if sent => Some(Delivery::Sent),
            b"discarded" => Some(Delivery::Discarded),
            _ => None,
        };
    }
    match stat {
        b"discarded" => Some(Delivery::Discarded),
        b"Please try again later" | b"Insufficient disk space; try again later" => Some(Delivery::TempFailed),
        b"Command rejected"
        | b"Eight bit data not allowed"
        | b"NUL byte not allowed"
        | b"Bare linefeed (LF) not allowed" => Some(Delivery::Rejected),
        _ if is_closing(stat) => Some(Delivery::TempFailed),
        _ if numbered(stat, b"Message exceeds maximum fixed size") || numbered(stat, b"Headers too large") => {
            Some(Delivery::Rejected)
        }
        // `RSET` and `aborted by sender`, too: what is withdrawn may come again.
        _ => None,
    }
}

/// `mx1.example.net closing connection`
fn is_closing(stat: &[u8]) -> bool {
    stat.strip_suffix(b" closing connection").is_some_and(|host| !host.contains(&b' '))
}

/// A text alone, or with a number in brackets: `Headers too large (32768 max)`.
fn numbered(stat: &[u8], text: &[u8]) -> bool {
    match stat.strip_prefix(text) {
        Some(b"") => true,
        Some(rest) => {
            let inside = rest.strip_prefix(b" (").and_then(|rest| rest.strip_suffix(b")"));
            let inside = inside.map(|inside| inside.strip_suffix(b" max").unwrap_or(inside));
            inside.is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
        }
        None => false,
    }
}

/// The recipients of a text that begins with `to=`.
pub(crate) fn recipients(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let list = text.strip_prefix(b"to=").and_then(address::list);
    address::each(list.map_or(&[], |(list, _)| list))
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
                "from=<\"x, size=0, class=0, nrcpts=0, msgid=\"@b>, size=99, class=0, nrcpts=3, proto=SMTP, relay=u@h [1.2.3.4] (may be forged)",
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
        // In a client's words, as sendmail logs them for a recipient that it refuses.
        let forged = "from=<x>, size=0, class=0, nrcpts=0, proto=ESMTP, daemon=MTA, relay=x [1.2.3.4]... User unknown";
        assert_eq!(FromLine::parse(forged.as_bytes()), None);
        assert_eq!(FromLine::parse(b""), None);
    }

    #[test]
    fn replies() {
        use Reply::{Discarded, Rejected, TempFailed};
        for (text, said) in [
            ("Milter: data, reject=451 4.3.2 Please try again later", Some(TempFailed)),
            ("Milter: to=<\"x, reject=451\"@y>, reject=550 5.7.1 no", Some(Rejected)),
            ("Milter: to=<x(\", reject=451)@y>, reject=550 5.7.1 no", Some(Rejected)),
            ("Milter: from=<a@b>, discard", Some(Discarded)),
            ("Milter: cmd=data, reject=550 5.7.1 Command rejected", Some(Rejected)),
            ("Milter: connect: host=a.b, addr=192.0.2.1, temp failing commands", Some(TempFailed)),
            ("milter=avscan, action=mail, reject=554 5.7.1 no, reject=451", Some(Rejected)),
            ("milter=avscan, action=mail, tempfail", Some(TempFailed)),
            ("milter=avscan, discard", Some(Discarded)),
            (
                "ruleset=check_rcpt, arg1=<reject=4@x>, relay=h [1.2.3.4], reject=550 5.1.1 <reject=4@x>... User unknown",
                Some(Rejected),
            ),
            (
                "ruleset=check_rcpt, arg1=<\"a, reject=451\"@x>, relay=u@h [1.2.3.4] (may be forged), reject=550 no",
                Some(Rejected),
            ),
            ("ruleset=check_rcpt, arg1=<a@x>, relay=x, reject=451 [1.2.3.4], reject=550 no", None),
            ("ruleset=check_eom, arg1=1 $| 512, relay=h [1.2.3.4], reject=554 5.7.1 refused", Some(Rejected)),
            ("ruleset=check_eoh, arg1=3, arg2=512, relay=h [1.2.3.4], reject=451 4.7.1 refused", Some(TempFailed)),
            ("ruleset=check_eoh, arg1=3, arg2=512, relay=h [1.2.3.4], discard", Some(Discarded)),
            ("Milter: unknown=<a@x>, reject=421, errormode=4", Some(TempFailed)),
            ("low on space (h needs 1 bytes + 1 blocks in /var/spool/mqueue), max avail: 12", Some(TempFailed)),
            ("discarded", Some(Discarded)),
            ("ruleset=check_rcpt, arg1=<\"a@x>, relay=h [1.2.3.4], reject=554 5.7.1 refused", None),
            ("lost input channel", None),
        ] {
            assert_eq!(reply(text.as_bytes()), said, "{text}");
        }
    }

    #[test]
    fn clients() {
        for (text, length) in [
            ("mail.example.org [192.0.2.1]: x", 28),
            ("u@mail.example.org [192.0.2.1] (may be forged): x", 46),
            ("[IPv6:2001:db8::1]: x", 18),
            ("localhost, x", 9),
            ("localhost [[UNIX: localhost]] to LOC after rcpt", 29),
            ("host [192.0.2.1]: VRFY x [1.2.3.4]: y", 16),
        ] {
            assert_eq!(client(text.as_bytes()), Some(length), "{text}");
        }
        for text in ["", " x", "(x", "host [a b]", "host [1.2.3.4"] {
            assert_eq!(client(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn to_lines() {
        const END: &str = "delay=00:00:02, pri=30024, stat=";
        const DELIVERY: &str =
            "delay=00:00:00, xdelay=00:00:00, mailer=esmtp, pri=92748, relay=x. [192.0.2.1], dsn=2.0.0, stat=";
        for (text, outcome, delivery) in [
            (format!("<a@b>,<c@d>, {DELIVERY}Sent"), Some(Delivery::Sent), true),
            (format!("<a@b>, {DELIVERY}Sent (ok, stat)"), Some(Delivery::Sent), true),
            (format!("<a@b>,<c@d>, [more], {DELIVERY}Sent (ok)"), Some(Delivery::Sent), true),
            (format!("<a@b>, {DELIVERY}Sent (ok... Address \"x\" too long (255 bytes max)"), None, true),
            (format!("<a@b>, {DELIVERY}Sent ({}... {})", "a".repeat(94), "b".repeat(98)), Some(Delivery::Sent), true),
            (format!("<a@b>, ctladdr=<\"a, {DELIVERY}Sent\"@b> (1000/1000), {DELIVERY}Deferred"), None, true),
            (format!("<a@b>, {DELIVERY}Deferred: Connection refused by x"), None, true),
            (format!("<a@b>, {DELIVERY}Sent(... Unbalanced '('"), None, true),
            (format!("<\"x, {DELIVERY}Sent\"@b>, {END}Please try again later"), Some(Delivery::TempFailed), false),
            (format!("<x(\", {DELIVERY}Sent)@b>, {END}Please try again later"), Some(Delivery::TempFailed), false),
            (format!("<\"x\\\\\", {DELIVERY}Sent \"@b>, {END}Command rejected"), Some(Delivery::Rejected), false),
            (format!("<a@b>, {END}Sent"), None, false),
            (format!("<a@b>, {END}Sent(... Unbalanced '('"), None, false),
            (format!("<a@b>, {END}Message exceeds maximum fixed size (300000)"), Some(Delivery::Rejected), false),
            (format!("<a@b>, {END}Headers too large (32768 max)"), Some(Delivery::Rejected), false),
            (format!("<a@b>, {END}Headers too large(... Unbalanced '('"), None, false),
            (format!("<a@b>, {END}mx1.example.net closing connection"), Some(Delivery::TempFailed), false),
            (format!("<a@b>, {END}rset"), None, false),
            (format!("<a@b>, {END}aborted by sender"), None, false),
            ("root, ctladdr=<x>, delay=0, mailer=local, pri=1, stat=Please try again later".to_owned(), None, true),
        ] {
            let text = format!("to={text}");
            let line = ToLine::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((line.outcome, line.delivery), (outcome, delivery), "{text}");
        }
        for text in [
            String::new(),
            "<a@b>".to_owned(),
            "<a@b>, stat=Sent".to_owned(),
            format!("x(, {DELIVERY}Sent... Unbalanced '('"),
            format!("<\"unpaired@b>, {END}RSET"),
            "<a@b>, mailer=x, delay=0, pri=1, stat=Sent".to_owned(),
            // A list that was cut in quotes: what looks like the end is a client's, the true one follows.
            format!("<a@b>, {END}Unknown BODY type x, mailer=local, pri=30014, dsn=2.0.0, stat=Sent"),
            format!("b, {DELIVERY}Sent (x\"@y>, {DELIVERY}Deferred (y)"),
        ] {
            let text = format!("to={text}");
            assert_eq!(ToLine::parse(text.as_bytes()), None, "{text}");
        }
    }
}
