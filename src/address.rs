//! Addresses as sendmail logs them: what a client wrote, taken apart as sendmail itself does it.
//!
//! An address may hold anything in quotes, comments and angle brackets, so where it ends is told only by the rules by
//! which sendmail reads it (`prescan` in its parseaddr.c): a backslash takes the next character's meaning, quotes mean
//! nothing in comments, comments nest, and the first blank outside of all of them ends the address. sendmail refuses what
//! does not pair, so a text that does not pair is none of the addresses that it logs as accepted.
//!
//! In the log, `str2prt` has doubled every backslash and written bytes that can't be printed as `\t`, `\n`, `\r` or
//! `\351`; what is said here of characters is meant of those before it.

use crate::words;

/// `from=` holds no more characters than this; the rest of an address is cut off (sendmail's headers.c, `logsender`).
const SENDER: usize = 200;

/// Elsewhere an address of this many characters or more stands as its first and last hundred with `...` between
/// (`shortenstring`).
const SHORTENED: usize = 203;

/// Bytes within which an address ends; sendmail takes none of more than 255.
pub(crate) const LONGEST: usize = 1_024;

/// The characters that matter.
static MARKS: [bool; 256] = {
    let mut marks = [false; 256];
    let mut n = 0;
    while n < 8 {
        marks[b"\\\"()<> ,"[n] as usize] = true;
        n += 1;
    }
    marks
};

/// Where a walk through an address stands.
#[derive(Debug, Clone, Copy, Default)]
struct Walk {
    at: usize,
    /// Bytes that the log has more than the address.
    escapes: usize,
    quoted: bool,
    comments: u32,
    brackets: u32,
}

impl Walk {
    /// Goes on to the next character that stands for itself outside of quotes, comments and brackets, and may end an
    /// address: a blank or a comma. `None` at the end of the text, and where something closes that was not opened.
    fn next(&mut self, text: &[u8]) -> Option<u8> {
        while let Some(plain) = text.get(self.at..)?.iter().position(|b| MARKS[usize::from(*b)]) {
            self.at += plain;
            let mark = text[self.at];
            let open = self.quoted || self.comments > 0;
            match mark {
                b'\\' => self.escape(text),
                b'"' if self.comments == 0 => self.quoted = !self.quoted,
                b'(' if !self.quoted => self.comments += 1,
                b')' if !self.quoted => self.comments = self.comments.checked_sub(1)?,
                b'<' if !open => self.brackets += 1,
                b'>' if !open => self.brackets = self.brackets.checked_sub(1)?,
                b' ' | b',' if !open && self.brackets == 0 => return Some(mark),
                _ => {}
            }
            self.at += 1;
        }
        self.at = text.len();
        None
    }

    /// Steps over an escape of the log, but for its last byte; a true backslash takes the next character with it.
    fn escape(&mut self, text: &[u8]) {
        let length = escape(&text[self.at..]);
        self.at += length - 1;
        self.escapes += length - 1;
        if length == 2 && text.get(self.at) == Some(&b'\\') && self.at + 1 < text.len() {
            self.at += 1;
            if text[self.at] == b'\\' {
                let length = escape(&text[self.at..]);
                self.at += length - 1;
                self.escapes += length - 1;
            }
        }
    }

    fn pairs(&self) -> bool {
        !self.quoted && self.comments == 0 && self.brackets == 0
    }
}

/// Bytes of the escape that a text begins with.
fn escape(text: &[u8]) -> usize {
    match text {
        [b'\\', a, b, c, ..] if [a, b, c].iter().all(|digit| (b'0'..=b'7').contains(digit)) => 4,
        [b'\\', b'\\' | b't' | b'n' | b'r', ..] => 2,
        _ => 1,
    }
}

/// An address and what stands behind it: a comma with a blank, or nothing.
pub(crate) fn leading(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut walk = Walk::default();
    let end = loop {
        match walk.next(text) {
            // The comma is sendmail's; one right before it would be the address's own.
            Some(b',') if text.get(walk.at + 1) == Some(&b' ') => break walk.at,
            Some(b' ') => return None,
            Some(_) => walk.at += 1,
            None if walk.at == text.len() && walk.pairs() => break walk.at,
            None => return None,
        }
    };
    Some(text.split_at(end))
}

/// The sender of a `from=` line, of which sendmail logs so many characters, and what stands behind it.
pub(crate) fn sender(text: &[u8]) -> Option<(&[u8], &[u8])> {
    // Most senders are short, and have nothing to count.
    match leading(text) {
        Some((sender, rest)) if sender.len() <= SENDER || characters(sender) <= SENDER => Some((sender, rest)),
        _ => {
            let end = nth(text, SENDER)?;
            text[end..].starts_with(b", ").then(|| text.split_at(end))
        }
    }
}

/// Whether a text between words of sendmail's may be an address. In an error text it has lost its highest bits, so it need
/// not be one any more; but where it may go on as an error text, it has to be.
pub(crate) fn may_be_one(text: &[u8]) -> bool {
    memchr::memmem::find(text, b"... ").is_none()
        || is_shortened(text)
        || leading(text).is_some_and(|(_, rest)| rest.is_empty())
}

/// Whether a text to the end of a line is one address: a whole one, or a long one as sendmail shortens it. One that holds
/// `... ` may go on as an error text, and is none.
pub(crate) fn is_one(text: &[u8]) -> bool {
    let is_whole = leading(text).is_some_and(|(_, rest)| rest.is_empty());
    is_whole && memchr::memmem::find(text, b"... ").is_none() || is_shortened(text)
}

/// Whether a text is a long one as sendmail shortens it.
pub(crate) fn is_shortened(text: &[u8]) -> bool {
    shortened(text, SHORTENED) == Some(text.len())
}

/// The length of a text that sendmail has shortened to so many characters, where a text begins with one.
pub(crate) fn shortened(text: &[u8], count: usize) -> Option<usize> {
    let dots = nth(text, (count - 3) / 2)?;
    nth(text, count).filter(|_| text[dots..].starts_with(b"..."))
}

/// The length of an address that stands as it came, without the log's escapes, to a separator outside of quotes, comments
/// and brackets; `None` if it does not pair.
pub(crate) fn raw(text: &[u8], separator: u8) -> Option<usize> {
    let whole = text;
    let text = &text[..text.len().min(LONGEST)];
    let (mut quoted, mut comments, mut brackets, mut at) = (false, 0usize, 0usize, 0);
    while let Some(byte) = text.get(at) {
        let open = quoted || comments > 0;
        match byte {
            b'\\' => at += 1,
            b'"' if comments == 0 => quoted = !quoted,
            b'(' if !quoted => comments += 1,
            b')' if !quoted => comments = comments.checked_sub(1)?,
            b'<' if !open => brackets += 1,
            b'>' if !open => brackets = brackets.checked_sub(1)?,
            _ if *byte == separator && !open && brackets == 0 => return Some(at),
            _ => {}
        }
        at += 1;
    }
    (at == whole.len() && !quoted && comments == 0 && brackets == 0).then_some(at)
}

/// Recipients with commas between them, and what stands behind the last one.
pub(crate) fn list(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut walk = Walk::default();
    loop {
        match walk.next(text)? {
            b',' if text.get(walk.at + 1) == Some(&b' ') => return Some(text.split_at(walk.at)),
            b',' => walk.at += 1,
            _ => return None,
        }
    }
}

/// The recipients of a [`list`].
pub(crate) fn each(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut walk, mut start) = (Walk::default(), 0);
    std::iter::from_fn(move || {
        (start < list.len()).then(|| {
            let end = match walk.next(list) {
                Some(_) => walk.at,
                None => list.len(),
            };
            let one = &list[start..end];
            walk.at = end + 1;
            start = walk.at;
            one
        })
    })
}

/// The number of characters that were logged as this text.
fn characters(text: &[u8]) -> usize {
    let (mut at, mut count) = (0, 0);
    while at < text.len() {
        at += escape(&text[at..]);
        count += 1;
    }
    count
}

/// Where the first `count` characters of a text end.
fn nth(text: &[u8], count: usize) -> Option<usize> {
    let mut at = 0;
    for _ in 0..count {
        if at >= text.len() {
            return None;
        }
        at += escape(&text[at..]);
    }
    Some(at)
}

/// The characters of an address as they were meant: without the log's escapes, in lower case, and with one mark for any
/// run of bytes that are no ASCII.
fn meant(text: &[u8], escaped: bool) -> impl Iterator<Item = u8> {
    let mut rest = text;
    words::marked(std::iter::from_fn(move || {
        let length = if escaped { escape(rest) } else { usize::from(!rest.is_empty()) };
        let (one, behind) = rest.split_at_checked(length.max(1))?;
        rest = behind;
        Some(match one {
            [b'\\', b't'] => b'\t',
            [b'\\', b'n'] => b'\n',
            [b'\\', b'r'] => b'\r',
            [b'\\', b'\\'] => b'\\',
            [b'\\', a, b, c] => ((a & 3) << 6) | ((b & 7) << 3) | (c & 7),
            [byte, ..] => byte.to_ascii_lowercase(),
            [] => return None,
        })
    }))
}

/// Whether an address of `message_log`, which writes it as it came, and one of sendmail's log may be the same.
pub(crate) fn may_be_same(raw: &[u8], logged: &[u8]) -> bool {
    fn bare(address: &[u8]) -> &[u8] {
        let address = address.strip_prefix(b"<").unwrap_or(address);
        address.strip_suffix(b">").unwrap_or(address)
    }
    let (whole, cut, logged) = (bare(raw), characters(logged) == SENDER, bare(logged));
    // Most that differ do so at once: nothing is copied for them.
    if meant(whole, false).eq(meant(logged, true)) || meant(whole, false).eq(meant(logged, false)) {
        return true;
    }
    let dotted = logged.windows(3).any(|three| three == b"...");
    if !cut && !dotted {
        return false;
    }
    let raw: Vec<u8> = meant(whole, false).collect();
    let other: Vec<u8> = meant(logged, true).collect();
    if cut && raw.starts_with(&other) {
        return true;
    }
    let Some(dots) = other.windows(3).position(|three| three == b"...") else { return false };
    let (start, end) = (&other[..dots], &other[dots + 3..]);
    raw.len() >= start.len() + end.len() && raw.starts_with(start) && raw.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(&str, &str)> {
        let (address, rest) = leading(text.as_bytes())?;
        Some((std::str::from_utf8(address).unwrap(), std::str::from_utf8(rest).unwrap()))
    }

    #[test]
    fn an_address_ends_where_sendmail_ends_it() {
        for address in [
            "<a@b>",
            "a@b",
            "<>",
            "",
            "<\"a, b\"@c>",
            "<x(\", stat=Sent)@example.net>",
            "<x(a (b) \\\\) , c)@d>",
            "<\"a\\\\\", stat=Sent \"@example.net>",
            "\"a\\\\\\\\\"@b",
            "<@a,@b:c@d>",
            "<a, b@c>",
            "x(, y)@z",
            "a,b@c",
            "<\"\\351, \\t\"@x>",
        ] {
            assert_eq!(read(&format!("{address}, size=0")), Some((address, ", size=0")), "{address}");
            assert_eq!(read(address), Some((address, "")), "{address}");
        }
        for text in ["Sent(", "x(, stat=Sent", "<\"a", "<a@b", "a@b>", "a)b", "<a@b> x", "a b, c", "<a\\\\>, x"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_long_sender_is_cut() {
        let inside = "x, size=0, class=0, nrcpts=0, ".repeat(7);
        let long = format!("<\"{inside}\"@example.org>");
        let cut = &long[..SENDER];
        let line = format!("{cut}, size=9, class=0, nrcpts=1");
        let (found, rest) = sender(line.as_bytes()).unwrap();
        assert_eq!((found, rest), (cut.as_bytes(), &b", size=9, class=0, nrcpts=1"[..]));
        assert!(may_be_same(long.as_bytes(), cut.as_bytes()));
        // An escape counts as the one character that it stands for.
        let line = format!("<\"{}, size=9", "\\351".repeat(198));
        assert_eq!(sender(line.as_bytes()).map(|(sender, _)| sender.len()), Some(2 + 4 * 198));
    }

    #[test]
    fn raw_addresses() {
        for address in ["<a@b>", "x( r=y (\" z) a=a/eom)@c", "<\"a > b\"@c>", "<a\\> b@c>", "a@b", ""] {
            for behind in ["", " t=<x@y>"] {
                let text = format!("{address}{behind}");
                assert_eq!(raw(text.as_bytes(), b' '), Some(address.len()), "{text}");
            }
        }
        for text in ["<\"odd> t=<x@y>", "x( r=y", "a)b c", "<a"] {
            assert_eq!(raw(text.as_bytes(), b' '), None, "{text}");
        }
    }

    #[test]
    fn lists() {
        let (recipients, rest) = list(b"<a@b>,\"c, d\"@e,f, [more], delay=0").unwrap();
        assert_eq!(rest, b", [more], delay=0");
        let each: Vec<_> = each(recipients).collect();
        assert_eq!(each, [&b"<a@b>"[..], b"\"c, d\"@e", b"f"]);
        assert_eq!(list(b"x(, stat=Sent"), None);
        assert_eq!(list(b"<a@b>"), None);
    }

    #[test]
    fn what_was_meant_is_the_same() {
        for (raw, logged) in [
            ("<a@b>".as_bytes(), "<a@b>"),
            (b"<A@b>", "a@B"),
            (b"<a\\b@c>", "<a\\\\b@c>"),
            (b"<\xe9@c>", "<\\351@c>"),
            ("<é@c>".as_bytes(), "<\\303\\251@c>"),
            ("<\u{fffd}@c>".as_bytes(), "<\\351@c>"),
            ("<\u{e0e9}x@c>".as_bytes(), "<\\351x@c>"),
            ("<Ã©@c>".as_bytes(), "<\\303\\251@c>"),
            (b"<abcdefgh@c>", "<abc...gh@c>"),
            (b"<>", "<>"),
        ] {
            assert!(may_be_same(raw, logged.as_bytes()), "{logged}");
        }
        for (raw, logged) in [("<a@b>", "<c@b>"), ("<\\351@c>", "<\\352@c>"), ("<ab@c>", "<abc...@c>")] {
            assert!(!may_be_same(raw.as_bytes(), logged.as_bytes()), "{raw}");
        }
    }
}
