//! Makes text that strangers wrote safe to show. Log lines hold what remote peers sent: addresses, HELO names, replies.
//! On a terminal such text could move the cursor, change the title or reverse the reading order; in a spreadsheet it
//! could be taken for a formula.

use std::borrow::Cow;
use std::fmt::Write;

/// `1 abort`, `2 aborts`.
pub fn many(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// The text with every character that is not simply visible written out: `\x1b`, `\u{202e}`.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        let code = u32::from(c);
        // Writing to a `String` never fails.
        let _ = match code {
            _ if !is_hidden(c) => shown.write_char(c),
            0..=0xff => write!(shown, "\\x{code:02x}"),
            _ => write!(shown, "\\u{{{code:x}}}"),
        };
    }
    Cow::Owned(shown)
}

/// JSON with every character that is not simply visible as an escape of JSON: the same value, safe on a terminal.
///
/// JSON has such characters only inside strings, and those below U+0020 never, so that no parsing is needed.
pub fn visible_json(json: &str) -> Cow<'_, str> {
    if !json.contains(is_hidden) {
        return Cow::Borrowed(json);
    }
    let mut shown = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_hidden(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// A cell for a spreadsheet: visible characters only, and a leading `'` where a spreadsheet would begin a formula.
pub fn cell(text: &str) -> Cow<'_, str> {
    let shown = visible(text);
    // Spreadsheets skip blanks before they look, and know the full-width forms of the four signs.
    let formula = shown.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    if formula { Cow::Owned(format!("'{shown}")) } else { shown }
}

/// Whether a character does something other than to be seen: control characters, those that change the direction of
/// text, those without width, tags, and line breaks by other names.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_visible_stays() {
        for text in ["", "from=<jörg@example.org>", "日本語 ß €", r"\x1b[31m"] {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn what_is_not_is_written_out() {
        assert_eq!(visible("a\x1b[31mb\x07\r\n\t"), r"a\x1b[31mb\x07\x0d\x0a\x09");
        assert_eq!(visible("\u{9b}2J"), r"\x9b2J");
        assert_eq!(visible("\u{202e}gpj.exe\u{200b}"), r"\u{202e}gpj.exe\u{200b}");
        assert_eq!(visible("\u{e0041}"), r"\u{e0041}");
    }

    #[test]
    fn json_keeps_its_value() {
        let json = serde_json::to_string("\u{9b}\u{202e}\u{e0041}\x1bä").unwrap();
        let shown = visible_json(&json);
        assert_eq!(shown, r#""\u009b\u202e\udb40\udc41\u001bä""#);
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), "\u{9b}\u{202e}\u{e0041}\x1bä");
    }

    #[test]
    fn formulas_become_text() {
        assert_eq!(cell("=HYPERLINK(\"x\")"), "'=HYPERLINK(\"x\")");
        for text in ["+1", "-1", "@SUM(A1)", "  =1", "＝1"] {
            assert_eq!(cell(text), format!("'{text}"));
        }
        assert_eq!(cell("\t=1"), r"\x09=1");
        assert_eq!(cell("a=c/abort"), "a=c/abort");
    }
}
