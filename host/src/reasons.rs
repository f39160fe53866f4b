//! `abort-reason reasons`: the core's table of reasons, for the terminal, as the reference page, and for programs.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use abort_reason::reasons::{Class, Rule, Stage, TABLE, Timeout, advice};
use serde_json::json;

use crate::cli::{self, ReasonsFormat};
use crate::explain::table::{Style, text_of};
use crate::failure::{Failure, Result};

/// Runs `abort-reason reasons`.
pub fn run(options: &cli::Reasons) -> Result<()> {
    let text = match options.format {
        ReasonsFormat::Table => table(Style::of_terminal(io::stdout().is_terminal())),
        ReasonsFormat::Markdown => markdown(),
        ReasonsFormat::Json => json(),
    };
    io::stdout().lock().write_all(text.as_bytes()).map_err(|error| Failure::writing("standard output", &error))
}

/// One row for each line, in the order in which the matcher tries them.
fn table(style: Style) -> String {
    let mut table = style.table();
    table.set_header(["id", "class", "rank", "stage", "T=", "sendmail", "example"].map(|text| style.heading(text)));
    for rule in TABLE {
        table.add_row([
            rule.id,
            &rule.class.as_str().replace('_', " "),
            rule.rank.as_str(),
            stage(rule),
            timeout(rule),
            rule.versions,
            rule.example,
        ]);
    }
    text_of(&table)
}

/// The reference page.
fn markdown() -> String {
    let mut page = String::from(MARKDOWN_HEAD);
    // Writing to a `String` never fails.
    for class in Class::ALL {
        let advice = advice(*class);
        let _ = writeln!(page, "\n## `{}`\n", class.as_str());
        let _ = writeln!(
            page,
            "Fault: {}. Ignorable: {}.\n",
            class.fault().as_str(),
            match class.ignorable() {
                Some(true) => "yes",
                Some(false) => "no",
                None => "depends",
            }
        );
        let _ = writeln!(page, "{}", advice.text);
        if let Some(url) = advice.url {
            let _ = writeln!(page, "See <{url}>.");
        }
        let rules: Vec<&Rule<'_>> = TABLE.iter().filter(|rule| rule.class == *class).collect();
        if rules.is_empty() {
            let _ = writeln!(page, "\nNo line says so: it follows from what the log does not hold.");
            continue;
        }
        let _ = writeln!(page, "\n| id | rank | stage | `T=` | sendmail | example |\n|---|---|---|---|---|---|");
        for rule in &rules {
            let _ = writeln!(
                page,
                "| {} | {} | {} | {} | {} | {} |",
                rule.id,
                rule.rank.as_str(),
                stage(rule),
                timeout(rule),
                rule.versions,
                code(rule.example)
            );
        }
        let _ = writeln!(page, "\n```text");
        for rule in &rules {
            let _ = writeln!(page, "{:6} {}{}", rule.id, rule.start, rest(rule));
        }
        let _ = writeln!(page, "```");
    }
    page
}

const MARKDOWN_HEAD: &str = "\
<!-- Made by `abort-reason reasons --format markdown` from the core's table. Change the table, not this page. -->

# Reasons

The lines of sendmail's log that say why a message was aborted, by class. A line is compared from the first character of
the text behind the queue id to its end, so that nothing a remote peer can put into an address, a HELO name or a subject
is taken for a reason.

- **rank**: *decisive* lines name a cause; a *consequence* follows one, and decides only what nothing better does;
  *circumstantial* lines allow an inference. The earliest decisive line wins.
- **stage**: where in the SMTP transaction it happened; empty where the line itself says it, or does not.
- **`T=`**: the letter of the timeout in `INPUT_MAIL_FILTER` that ran out.
- **sendmail**: the versions that write the line.

Below each table stand the patterns: how the text begins, literally, but for `{filter}`, which stands for the name of a
milter; then, between slashes, a regular expression for all that follows.
";

/// A JSON array with everything that is known about each line.
fn json() -> String {
    let rows: Vec<_> = TABLE
        .iter()
        .map(|rule| {
            let advice = advice(rule.class);
            json!({
                "id": rule.id,
                "class": rule.class.as_str(),
                "fault": rule.class.fault().as_str(),
                "ignorable": rule.class.ignorable(),
                "rank": rule.rank.as_str(),
                "stage": rule.stage.map(Stage::as_str),
                "timeout": rule.timeout.map(Timeout::as_str),
                "versions": rule.versions,
                "start": rule.start,
                "rest": rule.rest,
                "example": rule.example,
                "advice": { "id": advice.id, "text": advice.text, "url": advice.url },
            })
        })
        .collect();
    // Values made of strings can always be written.
    let mut text = serde_json::to_string_pretty(&rows).unwrap_or_default();
    text.push('\n');
    text
}

fn stage(rule: &Rule<'_>) -> &'static str {
    rule.stage.map_or("", Stage::as_str)
}

fn timeout(rule: &Rule<'_>) -> &'static str {
    rule.timeout.map_or("", Timeout::as_str)
}

fn rest(rule: &Rule<'_>) -> String {
    if rule.rest.is_empty() { String::new() } else { format!("  /{}/", rule.rest) }
}

/// Text as code in a cell of a Markdown table, where even code must not hold a bare `|`.
fn code(text: &str) -> String {
    let text = text.replace('|', "\\|");
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_line() {
        let page = markdown();
        for rule in TABLE {
            assert!(page.contains(&format!("| {} |", rule.id)), "{}", rule.id);
        }
        for class in Class::ALL {
            assert!(page.contains(&format!("## `{}`", class.as_str())));
        }
    }

    #[test]
    fn code_survives_a_table() {
        assert_eq!(code("a|b"), "`a\\|b`");
        assert_eq!(code("a`b"), "`` a`b ``");
    }
}
