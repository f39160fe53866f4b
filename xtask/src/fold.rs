//! Long lines and JSON, cut to a width for people to read.

/// Columns of what is shown.
const WIDTH: usize = 110;

/// Text cut at blanks: the first line begins with `first`, the others with as many blanks as `first` is wide.
pub(crate) fn fold(first: &str, text: &str) -> String {
    let indent = first.chars().count();
    let mut out = first.to_owned();
    let mut column = indent;
    for (number, word) in text.split(' ').enumerate() {
        let width = word.chars().count();
        if number > 0 && column + 1 + width > WIDTH {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if number > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += width;
    }
    out.push('\n');
    out
}

/// A JSON text with its members below each other, in their order, except where they fit on one line. Strings that are
/// too long are cut at blanks.
pub(crate) fn fold_json(json: &str) -> String {
    let mut out = String::new();
    add(&mut out, json, "", 0);
    out
}

/// Adds a value, or a member with its name, and what stands behind it.
fn add(out: &mut String, member: &str, behind: &str, indent: usize) {
    let blanks = " ".repeat(indent);
    let (name, value) = member.split_at(name_len(member));
    let gap = if name.is_empty() { "" } else { " " };
    let fits = indent + member.chars().count() + gap.len() + behind.len() <= WIDTH;
    let inner = ["{}", "[]"].iter().find_map(|pair| {
        let inner = value.strip_prefix(&pair[..1])?.strip_suffix(&pair[1..])?;
        Some((pair.split_at(1), inner))
    });
    match inner {
        Some(((open, close), inner)) if !fits => {
            out.extend([&blanks, name, gap, open, "\n"]);
            let members = split(inner);
            for (number, member) in members.iter().enumerate() {
                add(out, member, if number + 1 < members.len() { "," } else { "" }, indent + 2);
            }
            out.extend([&blanks, close, behind, "\n"]);
        }
        _ => out.push_str(&fold(&format!("{blanks}{name}{gap}"), &format!("{value}{behind}"))),
    }
}

/// The length of a member's name and colon; 0 for a value alone.
fn name_len(member: &str) -> usize {
    let end = string_end(member);
    if end > 0 && member[end..].starts_with(':') { end + 1 } else { 0 }
}

/// The members of an object or array, cut at the commas between them.
fn split(inner: &str) -> Vec<&str> {
    let (mut members, mut start, mut depth, mut at) = (Vec::new(), 0, 0, 0);
    while at < inner.len() {
        match inner.as_bytes()[at] {
            b'"' => at += string_end(&inner[at..]) - 1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => {
                members.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    members.push(&inner[start..]);
    members
}

/// Where the string ends that a text begins with; 0 if it begins with none.
fn string_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'"') {
        return 0;
    }
    let mut at = 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::{WIDTH, fold, fold_json, split};

    #[test]
    fn text_keeps_to_the_width() {
        let folded = fold("entry  ", &"word ".repeat(60));
        assert!(folded.lines().count() > 1 && folded.lines().all(|line| line.chars().count() <= WIDTH));
        assert!(folded.lines().skip(1).all(|line| line.starts_with("       word")));
    }

    #[test]
    fn json_keeps_its_order_and_its_content() {
        let long = "x".repeat(WIDTH);
        let json = format!(r#"{{"z":"a\",{{","b":[1,{{"c":"{long}"}}],"a":{{}}}}"#);
        let lines =
            ["{", r#"  "z": "a\",{","#, r#"  "b": ["#, "    1,", "    {", &format!(r#"      "c": "{long}""#), "    }"];
        let rest = ["  ],", r#"  "a": {}"#, "}", ""];
        assert_eq!(fold_json(&json), [&lines[..], &rest[..]].concat().join("\n"));
        assert_eq!(fold_json(r#"{"a":[1,2]}"#), "{\"a\":[1,2]}\n");
    }

    #[test]
    fn members_end_at_their_commas() {
        assert_eq!(split(r#""a,\"":[1,2],{"b":3},4"#), [r#""a,\"":[1,2]"#, r#"{"b":3}"#, "4"]);
    }
}
