//! Which texts are ordinary: they say nothing about a failure, whatever their message turns out to be.
//!
//! Beginnings are those of the matcher's rules, the user's among them. Of `from=` and `to=` lines only those are ordinary
//! for which no rule of the table is meant: the text has come, or the mail is delivered. They are most of a mail log.

use crate::queue_id::ShortId;
use crate::reasons::Matcher;
use crate::words::{Any, begins, behind, digits, ends, is_unquoted, starts};

/// What a line says at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    /// Nothing about any message.
    Nothing,
    /// That the message exists.
    Mention(ShortId),
    /// Something about the message, which is only wanted if the message matters.
    Much(ShortId),
}

/// The forms that are ordinary under the rules of a matcher.
#[derive(Debug)]
pub(super) struct Ordinary {
    matcher: Matcher,
    /// Whether `from=` and `to=` lines can be told: no rule of the user's may match one.
    from: bool,
    to: bool,
    /// Behind `Milter (name` only a colon makes a failure.
    milter: bool,
}

impl Ordinary {
    pub(super) fn new(matcher: &Matcher) -> Ordinary {
        Ordinary {
            from: !matcher.added_may_match(b"from=<"),
            to: !matcher.added_may_match(b"to=<"),
            milter: !matcher.added_may_match(b"Milter ("),
            matcher: matcher.clone(),
        }
    }

    /// A mail line from its process id on: `14029]: 6AND15V7014029: from=…`; `in_json`: as it stands in a JSON string. Where its
    /// time names no year, it is in `year` if the queue id is of the same; see `queue_id::year_of`.
    #[inline(always)]
    pub(super) fn line(&self, line: &[u8], in_json: bool, year: Option<u8>) -> Option<Says> {
        let rest = match digits(line) {
            // The process may be named elsewhere in the record.
            0 => return None,
            count => behind(line.get(count..)?, b"]: ")?,
        };
        let rest = if starts(rest, b"[ID ") { behind_mark(rest)? } else { rest };
        let (id, behind_id) = rest.split_first_chunk()?;
        let Some(text) = behind(behind_id, b": ") else {
            let is_plain = self.is_about_nothing(rest) && (!in_json || is_unquoted(rest));
            return is_plain.then_some(Says::Nothing);
        };
        let id = ShortId::at_a_glance(id).filter(|id| year.is_none_or(|year| id.is_of_year(year)))?;
        self.mail(id, text, in_json)
    }

    /// Whether a text without a queue id is one of those that say nothing: `NOQUEUE: …`, and how a connection is secured.
    #[inline(always)]
    fn is_about_nothing(&self, text: &[u8]) -> bool {
        starts(text, b"NOQUEUE:")
            || begins(text, b"STARTTLS=") && !self.matcher.may_match(text)
            || starts(text, b"AUTH=")
    }

    /// A mail line's text about a message; `in_json`: as it stands in a JSON string.
    #[inline(always)]
    pub(super) fn mail(&self, id: ShortId, text: &[u8], in_json: bool) -> Option<Says> {
        // What of it nobody has looked at byte by byte.
        let (says, rest) = match text.first()? {
            b'f' if starts(text, b"from=") => {
                (Says::Much(id), if self.from { behind_message_id(text)? } else { return None })
            }
            b't' if starts(text, b"to=") => {
                (Says::Much(id), if self.to && is_delivered(text) { text } else { return None })
            }
            b'M' if self.milter && starts(text, b"Milter (") => (Says::Mention(id), of_plain_name(&text[8..])?),
            _ => (Says::Mention(id), if self.matcher.may_match(text) { return None } else { text }),
        };
        (!in_json || is_unquoted(rest)).then_some(says)
    }
}

/// What follows in a `from=` line of a message whose text has come: it names the message id. Its sender has to be plain,
/// without anything in which a client could write the fields that follow: quotes, a comment, brackets in brackets.
#[inline(always)]
fn behind_message_id(text: &[u8]) -> Option<&[u8]> {
    let sender = behind(text, b"from=<")?;
    let end = NOT_PLAIN.find(&sender[..sender.len().min(200)])?;
    let [b'>', fields @ ..] = sender.get(end.checked_sub(1)?..)? else { return None };
    let fields = behind(fields, b", size=")?;
    let fields = match behind(behind_digits(fields), b", class=0, nrcpts=") {
        Some(fields) => fields,
        None => behind_another_class(behind_digits(fields))?,
    };
    // An empty number would make it a line that sendmail does not write, and that no rule is meant for.
    behind(behind_digits(fields), b", msgid=")
}

/// What follows in the line of a message that names its precedence, as that of a list does: `, class=-30, nrcpts=1, …`.
#[cold]
#[inline(never)]
fn behind_another_class(fields: &[u8]) -> Option<&[u8]> {
    let class = behind(fields, b", class=")?;
    behind(behind_digits(behind(class, b"-").unwrap_or(class)), b", nrcpts=")
}

/// What in an address does not stand for itself, up to the comma behind it.
const NOT_PLAIN: Any<5> = Any::of(*b",(<\"\\");

#[inline(always)]
fn behind_digits(text: &[u8]) -> &[u8] {
    text.get(digits(text)..).unwrap_or_default()
}

/// Whether a `to=` line ends as those of deliveries do: `stat=Sent`, or `stat=Sent (what the next server said)`. What ends
/// a reception has no bracket at its end, except behind a number.
#[inline(always)]
fn is_delivered(text: &[u8]) -> bool {
    let [said @ .., b')'] = text else { return ends(text, b", stat=Sent") };
    let digits = said.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    said.last_chunk() != Some(b" max") && said.get(said.len().wrapping_sub(digits + 1)) != Some(&b'(')
}

const ENDS_NAME: Any<2> = Any::of([b' ', b',']);

/// A text that begins with a filter's name, unless the name is closed as where something went wrong: `PureMessage): …`.
#[inline(always)]
fn of_plain_name(text: &[u8]) -> Option<&[u8]> {
    let end = ENDS_NAME.find(&text[..text.len().min(128)])?;
    // A byte that is no ASCII may stand there as well, in the middle of the name.
    (matches!(text[end], b' ' | b',') && text[..end].last() != Some(&b':')).then_some(text)
}

/// What stands behind the mark that Solaris puts before a message: `[ID 801593 mail.info] `.
#[inline(never)]
fn behind_mark(text: &[u8]) -> Option<&[u8]> {
    let number = behind(text, b"[ID ")?;
    let class = behind(number.get(digits(number)..)?, b" ")?;
    let end = class.iter().take(24).position(|b| !matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.'))?;
    behind(&class[end..], b"] ")
}

/// An entry from its queue id on: `6AND15V7014029 … a=a/eom`; `in_json`: as it stands in a JSON string.
#[inline(always)]
pub(super) fn entry(entry: &[u8], in_json: bool) -> Option<Says> {
    let id = ShortId::at_a_glance(entry.first_chunk()?).filter(|_| entry.get(14) == Some(&b' '))?;
    (is_verdict(entry) && (!in_json || is_unquoted(entry))).then_some(Says::Much(id))
}

/// Whether an entry ends as one at the end of a message: `… tm=0.80 a=a/eom`. The blank before the action is one that
/// separates fields, unless it is escaped: nothing behind it could close what was opened before.
#[inline(always)]
fn is_verdict(entry: &[u8]) -> bool {
    let Some([before, b' ', b'a', b'=', letter, b'/', b'e', b'o', b'm']) = entry.last_chunk() else { return false };
    *before != b'\\' && letter.is_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reasons::TABLE;

    const ID: &[u8; 14] = b"6AND15V7014029";

    fn told(ordinary: &Ordinary, text: &str) -> bool {
        ordinary.mail(ShortId::at_a_glance(ID).unwrap(), text.as_bytes(), false).is_some()
    }

    #[test]
    fn what_is_ordinary() {
        let ordinary = Ordinary::new(&Matcher::new(&[]));
        for text in [
            "from=<a@example.org>, size=9, class=0, nrcpts=1, msgid=<x@y>, proto=ESMTP, relay=z [192.0.2.1]",
            "from=<>, size=9, class=0, nrcpts=1, msgid=<x@y>, relay=z",
            "from=<>, size=9, class=-60, nrcpts=1, msgid=<x@y>, relay=z",
            "from=<>, size=9, class=100, nrcpts=1, msgid=<x@y>, relay=z",
            "to=<a@b>, delay=00:00:01, xdelay=00:00:00, mailer=esmtp, pri=1, relay=x., dsn=2.0.0, stat=Sent (ok)",
            "to=<a@b>, delay=00:00:01, mailer=esmtp, pri=1, dsn=2.0.0, stat=Sent (queued as 4F3B2)",
            "to=<a@b>, delay=00:00:01, mailer=local, pri=1, dsn=2.0.0, stat=Sent",
            "Milter (PureMessage) add: header: X-A: Milter (b): timeout",
            "Milter add: header: X: Milter (PureMessage): timeout before data read",
            "Milter accept: message",
            "done; delay=00:00:01, ntries=1",
        ] {
            assert!(told(&ordinary, text), "{text}");
        }
        for text in [
            "",
            "from=<a@example.org>, size=0, class=0, nrcpts=1, proto=ESMTP, daemon=MTA, relay=x [192.0.2.1]",
            "from=<\"x>, size=9, class=0, nrcpts=1, msgid=<\"@b>, size=0, class=0, nrcpts=0, relay=x",
            "from=<x, size=9, class=0, nrcpts=1, msgid=>, size=0, class=0, nrcpts=0, relay=x",
            "from=<x(>, size=9, class=0, nrcpts=1, msgid=)>, size=0, class=0, nrcpts=0, relay=x",
            "from=<a@example.org>, size=9, class=0, nrcpts=1",
            "to=<b@example.net>, delay=00:00:00, pri=0, stat=RSET",
            "to=<b@example.net>, delay=00:00:00, pri=0, stat=Headers too large (32768 max)",
            "to=<b@example.net>, delay=00:00:00, pri=0, stat=Message exceeds maximum fixed size (300000)",
            "to=<b@example.net>, delay=00:00:00, pri=0, stat=Please try again later",
            "Milter (PureMessage): timeout before data read, where=eom",
            "Milter (PureMessage):",
            "lost input channel from x [192.0.2.1] to MTA after rcpt",
        ] {
            assert!(!told(&ordinary, text), "{text}");
        }
    }

    #[test]
    fn no_example_of_a_rule_is_ordinary() {
        let ordinary = Ordinary::new(&Matcher::new(&[]));
        for row in TABLE {
            assert!(!told(&ordinary, row.example), "{}: {}", row.id, row.example);
        }
    }

    #[test]
    fn ends_of_entries() {
        for (entry, ordinary) in [
            ("q f=<a@b> tm=0.80 a=a/eom", true),
            ("q f=<a@b> tm=0.80 a=r/eom", true),
            ("q f=<a@b> tm=0.80 a=c/abort", false),
            ("q a=c/abort f=x\\ a=a/eom", false),
            ("q f=<a@b> tm=0.80 a=a/EOM", false),
            ("a=a/eom", false),
        ] {
            assert_eq!(is_verdict(entry.as_bytes()), ordinary, "{entry}");
        }
    }
}
