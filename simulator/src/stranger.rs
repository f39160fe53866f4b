//! What a stranger may write into an SMTP session, and how sendmail logs it (str2prt, prescan, usrerr, shortenstring of its
//! sources): texts that imitate sendmail's own lines, in every field that a client fills.

use abort_reason::reasons::TABLE;
use proptest::prelude::*;

/// The client, as sendmail names it.
pub const CLIENT: &str = "relay.example.com [192.0.2.1]";

/// Error texts that sendmail writes behind a recipient that it refuses.
const ERRORS: [&str; 10] = [
    "User unknown",
    "Unbalanced '('",
    "Unbalanced ')'",
    "Unbalanced '<'",
    "Unbalanced '\"'",
    "List:; syntax illegal for recipient addresses",
    "Hostname required",
    "Invalid route address",
    "prescan: token too long",
    "Relaying denied (see the help desk)",
];

/// A text that looks like a line of sendmail's, or like a part of one.
fn imitation() -> impl Strategy<Value = Vec<u8>> {
    let parts: Vec<&'static str> = vec![
        "to=<gina@example.net>, delay=00:00:00, xdelay=00:00:00, mailer=local, pri=30014, dsn=2.0.0, stat=Sent",
        "to=<gina@example.net>, delay=00:00:00, mailer=local, pri=30014, dsn=2.0.0, stat=Sent (ok)",
        ", delay=00:00:00, xdelay=00:00:00, mailer=local, pri=30014, dsn=2.0.0, stat=Sent",
        ", delay=00:00:00, pri=30014, stat=Command rejected",
        "Sent",
        "Sent (",
        ")",
        "from=<x>, size=0, class=0, nrcpts=0, proto=ESMTP, daemon=MTA, relay=x [1.2.3.4]",
        ", size=0, class=0, nrcpts=0, msgid=<x>, proto=ESMTP, daemon=MTA, relay=x [1.2.3.4]",
        ", reject=550 5.7.1 Command rejected",
        ", reject=451 4.3.2 Please try again later",
        ", relay=x [1.2.3.4], reject=550 5.7.1 no",
        ", discard",
        ", info=read timeout",
        "x [1.2.3.4]: probable open proxy: command=GET /",
        "x [1.2.3.4]: SMTP violation, input too long: 9",
        "... User unknown",
        "... ",
        "\\",
        "\"",
        "(",
        "<",
        ">",
        ", ",
        " ",
        " [more]",
        "\u{e9}",
        "a=c/abort",
        " q=6AND15d3014029 ",
    ];
    let rows: Vec<&'static str> = TABLE.iter().map(|row| row.example).collect();
    let one = prop_oneof![
        3 => prop::sample::select(rows).prop_map(|text| text.as_bytes().to_vec()),
        3 => prop::sample::select(parts).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(1u8..=255, 0..6),
        1 => (b'a'..=b'z', 1..220usize).prop_map(|(byte, count)| vec![byte; count]),
    ];
    prop::collection::vec(one, 1..4)
        .prop_map(|parts| parts.concat().into_iter().filter(|byte| !matches!(byte, 0 | b'\r' | b'\n')).collect())
}

/// Any text of a client's: plain, or with special characters by the byte that only becomes them in an error text.
pub fn words() -> impl Strategy<Value = Vec<u8>> {
    (imitation(), any::<bool>()).prop_map(|(text, high)| {
        let special = |byte: u8| high && !byte.is_ascii_alphanumeric() && byte.is_ascii();
        text.into_iter().map(|byte| if special(byte) { byte | 0x80 } else { byte }).collect()
    })
}

/// An address that sendmail accepts, with a client's text in it.
pub fn address() -> impl Strategy<Value = Vec<u8>> {
    (words(), 0..8u8).prop_map(|(text, form)| {
        let text = &text[..text.len().min(230)];
        let quoted: Vec<u8> =
            text.iter().flat_map(|b| if matches!(b, b'"' | b'\\') { vec![b'\\', *b] } else { vec![*b] }).collect();
        let wrap = |before: &str, inside: &[u8], behind: &str| [before.as_bytes(), inside, behind.as_bytes()].concat();
        let wrapped = match form {
            0 => wrap("<\"", &quoted, "\"@example.org>"),
            1 => wrap("\"", &quoted, "\"@example.org"),
            2 => wrap("<x(", text, ")@example.org>"),
            3 => wrap("x(", text, ")@example.org"),
            4 => wrap("<@a", text, ":x@example.org>"),
            5 => wrap("\"", &quoted, "\"<x@example.org>"),
            6 => wrap("<x\\", text, "@example.org>"),
            _ => text.iter().copied().filter(|b| !b" \"()<>\\,".contains(b)).chain(*b"@example.org").collect(),
        };
        if accepted(&wrapped) { wrapped } else { b"<x@example.org>".to_vec() }
    })
}

/// Whether sendmail's `prescan` takes an argument as one address, to its end.
pub fn accepted(address: &[u8]) -> bool {
    let (mut quoted, mut comments, mut brackets, mut escaped) = (false, 0, 0, false);
    for byte in address {
        if std::mem::take(&mut escaped) {
            continue;
        }
        match byte {
            b'\\' => escaped = true,
            b'"' if comments == 0 => quoted = !quoted,
            _ if quoted => {}
            b'(' => comments += 1,
            b')' if comments == 0 => return false,
            b')' => comments -= 1,
            _ if comments > 0 => {}
            b'<' => brackets += 1,
            b'>' | b' ' | b'\t' if brackets == 0 => return false,
            b'>' => brackets -= 1,
            _ => {}
        }
    }
    !quoted && comments == 0 && brackets == 0 && !escaped && address.len() < 256
}

/// As sendmail prints it: escapes for what can't be printed.
pub fn printed(text: &[u8]) -> String {
    let one = |byte: &u8| match byte {
        b'\\' => "\\\\".to_owned(),
        b'\t' => "\\t".to_owned(),
        b'\n' => "\\n".to_owned(),
        b'\r' => "\\r".to_owned(),
        0x20..=0x7e => char::from(*byte).to_string(),
        _ => format!("\\{byte:03o}"),
    };
    text.iter().map(one).collect()
}

/// A long text with its middle left out.
fn shortened(text: &[u8]) -> Vec<u8> {
    if text.len() < 203 {
        return text.to_vec();
    }
    [&text[..100], b"...", &text[text.len() - 100..]].concat()
}

/// A text of an error: the highest bit of each byte is cleared.
fn masked(text: &[u8]) -> Vec<u8> {
    text.iter().map(|byte| byte & 0x7f).collect()
}

/// A sender in its `from=` line.
pub fn sender(address: &[u8]) -> String {
    printed(&address[..address.len().min(200)])
}

/// The text of the error about a recipient.
pub fn refusal(words: &[u8], error: usize) -> String {
    let error = ERRORS[error % ERRORS.len()];
    let tail = if error.starts_with("prescan") && words.len() > 255 { "Address too long" } else { error };
    printed(&[&masked(&shortened(words))[..], b"... ", tail.as_bytes()].concat())
}

/// Lines under a queue id in which a client's text stands, each with what closes the id, since some come in parts. None
/// says anything of why a message ended.
pub fn noise() -> impl Strategy<Value = Vec<String>> {
    let rows: Vec<&'static str> = TABLE.iter().map(|row| row.example).collect();
    let row = prop::sample::select(rows);
    (words(), words(), row, 0..20u8, 0..ERRORS.len()).prop_map(|(text, other, row, kind, error)| {
        let said = printed(&text);
        let line = match kind {
            0..=3 => refusal(&text, error),
            // What looks like one whole line of sendmail's.
            16..=19 => refusal(row.as_bytes(), error),
            4 => format!("{CLIENT}: VRFY {}", printed(&shortened(&text))),
            5 => format!("{CLIENT}: EXPN {}", printed(&shortened(&text))),
            6 => format!("{CLIENT}: ETRN {} [rejected]", printed(&shortened(&text))),
            7 => format!("<-- {said}"),
            8 => format!("--- 550 5.1.1 {}", refusal(&text, error)),
            9 => format!("Sending \"{said}\" to Milter"),
            10 => format!("Milter (PureMessage) add: header: {said}"),
            11 => format!("ruleset=CheckSubject, arg1= {said}, relay={CLIENT}, quarantine={}", printed(&other)),
            12 => format!("AUTH failure (LOGIN): user not found (-20), user={said}, relay={CLIENT}"),
            13 => format!("Syntax error in mailbox address \"{}\" (non-printable character)", printed(&masked(&text))),
            14 => {
                return vec![format!("[1]: <-- {} ...", "a".repeat(900)), format!("[2]: {said}")];
            }
            _ => {
                return vec![format!("[2]: {said}")];
            }
        };
        vec![format!(": {line}")]
    })
}
