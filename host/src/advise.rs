//! `abort-reason advise`: what to change, with the number.

use std::collections::BTreeMap;
use std::io::Write;

use abort_reason::reasons::Timeout;
use abort_reason_explain::advise::{Advice, Advisor};

use crate::cli::{self, AdviseFormat};
use crate::explain::{explain, table::Style};
use crate::failure::Result;
use crate::output::Output;
use crate::settings;
use crate::text::{visible, visible_json};

/// What `T=` says, in seconds.
pub type Configured = BTreeMap<Timeout, f64>;

/// Runs the subcommand.
pub fn run(options: &cli::Advise) -> Result<()> {
    let mut settings = settings::load(&options.settings, None)?;
    settings.tell_unlogged();
    let mut out = Output::open(options.output.as_deref())?;
    let mut advisor = Advisor::new(options.timeouts.clone().unwrap_or_default());
    let mut explained = explain(&settings, &options.logs, Some(&mut advisor))?;
    let advice = explained.latest.advise(advisor)?;
    let text = match options.format {
        AdviseFormat::Json => {
            let json = serde_json::to_string_pretty(&advice).unwrap_or_default() + "\n";
            // The line ends between its tokens are its own.
            let shown = |line: &str| if out.is_terminal() { visible_json(line).into_owned() } else { line.to_owned() };
            json.lines().map(|line| shown(line) + "\n").collect()
        }
        AdviseFormat::Text => paragraphs(&advice, Style::of_terminal(out.is_terminal())),
    };
    out.write_all(text.as_bytes()).map_err(|error| out.failure(&error))?;
    out.finish()
}

fn paragraphs(advice: &Advice, style: Style) -> String {
    let filled = |paragraph: &String| match paragraph.starts_with(' ') {
        // A line of sendmail.mc stays one.
        true => visible(paragraph).into_owned(),
        false => textwrap::fill(&visible(paragraph), usize::from(style.width)),
    };
    advice.paragraphs().iter().map(|paragraph| filled(paragraph) + "\n").collect()
}

/// Reads `C:5m;S:10s;R:10s;E:5m`, as sendmail does: letters in any order, `s`, `m` or `h`, seconds if nothing is said.
pub(crate) fn timeouts(text: &str) -> std::result::Result<Configured, String> {
    let mut all = Configured::new();
    let wrong = || format!("{text:?} is not like C:5m;S:10s;R:10s;E:5m");
    for part in text.trim_start_matches("T=").split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let (letter, value) = part.split_once(':').ok_or_else(wrong)?;
        let is_it = |timeout: &&Timeout| timeout.as_str() == letter.trim();
        let letter = *Timeout::ALL.iter().find(is_it).ok_or_else(wrong)?;
        let value = value.trim();
        let (number, unit) = value.split_at(value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len()));
        let unit = match unit {
            "" | "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            _ => return Err(wrong()),
        };
        all.insert(letter, number.parse::<u32>().map(f64::from).map_err(|_| wrong())? * unit);
    }
    if all.is_empty() { Err(wrong()) } else { Ok(all) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_as_sendmail_writes_them() {
        let read = timeouts("T=C:5m;S:10s; R:180;E:1h").unwrap();
        assert_eq!(read.into_values().collect::<Vec<_>>(), [300.0, 10.0, 180.0, 3_600.0]);
        for wrong in ["", "R", "R:", "X:5s", "R:5d", "R:-1s", "R:5s;E"] {
            assert!(timeouts(wrong).is_err(), "{wrong}");
        }
    }
}
