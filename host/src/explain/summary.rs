//! The summary below the table: first what passed unscanned, then the classes with what to do, then what became of the
//! mail, and what was read.

use std::collections::BTreeMap;
use std::fmt::Write;

use anstyle::{AnsiColor, Effects};
use comfy_table::Cell;

use abort_reason::reasons::{Class, Fault};
use abort_reason::{Kind, Outcome};

use super::table::{Style, spaced, text_of};
use crate::text::{many, visible};
use abort_reason_explain::Counts;
use abort_reason_explain::advise::Advisor;
use abort_reason_explain::record::Abort;

/// Queue ids that are named.
const NAMED: usize = 5;

/// Counts what the table shows.
#[derive(Debug, Default)]
pub(super) struct Summary {
    classes: BTreeMap<Class, Total>,
    outcomes: BTreeMap<Outcome, u64>,
    /// The first that a security team wants to know of.
    unscanned: Vec<String>,
    kinds: BTreeMap<Kind, u64>,
    counts: Counts,
    advisor: Option<Advisor>,
}

#[derive(Debug)]
struct Total {
    count: u64,
    fault: Fault,
    ignorable: Option<bool>,
    advice: String,
}

impl Summary {
    /// A summary of logs with so many lines.
    pub(super) fn new(counts: Counts, advisor: Option<Advisor>) -> Summary {
        Summary { counts, advisor, ..Summary::default() }
    }

    /// Counts a record, which has this object.
    pub(super) fn add(&mut self, record: &[u8], abort: &Abort) {
        if let Some(advisor) = &mut self.advisor {
            advisor.record(record);
        }
        let class = self.classes.entry(abort.class).or_insert_with(|| Total {
            count: 0,
            fault: abort.fault,
            ignorable: abort.ignorable,
            advice: abort.advice.as_ref().map(|advice| advice.text.clone()).unwrap_or_default(),
        });
        class.count += 1;
        *self.kinds.entry(abort.kind).or_default() += 1;
        *self.outcomes.entry(abort.outcome).or_default() += 1;
        if abort.outcome == Outcome::DeliveredUnscanned && self.unscanned.len() < NAMED {
            self.unscanned.push(abort.queue_id.clone());
        }
    }

    /// The summary as text.
    pub(super) fn to_text(&self, style: Style) -> String {
        // Writing to a `String` never fails.
        let mut text = String::new();
        if self.classes.is_empty() {
            text.push_str("No aborts.\n");
        } else {
            let _ = writeln!(text, "\n{}\n", self.headline());
            if let Some(warning) = self.warning() {
                let loud = AnsiColor::Red.on_default().effects(Effects::BOLD);
                let (on, off) = if style.colour {
                    (loud.render().to_string(), loud.render_reset().to_string())
                } else {
                    Default::default()
                };
                let _ = writeln!(text, "{on}{warning}{off}\n");
            }
            text.push_str(&text_of(&self.class_table(style)));
            let _ = writeln!(text, "\nThe mail was: {}.", self.outcomes());
            text.push_str(&self.steps(style));
        }
        let _ = writeln!(text, "{}", self.read());
        text
    }

    /// How many, and how many of them want action.
    fn headline(&self) -> String {
        let count = |ignorable: Option<bool>| -> u64 {
            self.classes.values().filter(|class| class.ignorable == ignorable).map(|class| class.count).sum()
        };
        let kinds: Vec<String> = self
            .kinds
            .iter()
            .map(|(kind, count)| match kind {
                Kind::Abort => many(*count, "abort", "aborts"),
                Kind::Unnoticed => {
                    many(*count, "failure that message_log does not tell", "failures that message_log does not tell")
                }
                Kind::Unlogged => many(*count, "message without an entry", "messages without an entry"),
            })
            .collect();
        let parts = [
            (count(Some(false)), "want action", "wants action"),
            (count(None), "depend on what you find", "depends on what you find"),
            (count(Some(true)), "can be ignored", "can be ignored"),
        ];
        let parts: Vec<String> = parts
            .into_iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, more, one)| many(count, one, more))
            .collect();
        format!("{}: {}.", kinds.join(", "), parts.join(", "))
    }

    fn warning(&self) -> Option<String> {
        let count = *self.outcomes.get(&Outcome::DeliveredUnscanned)?;
        let named: Vec<_> = self.unscanned.iter().map(|id| visible(id)).collect();
        let more = if count > NAMED as u64 { ", ..." } else { "" };
        Some(format!(
            "{} DELIVERED UNSCANNED: {}{more}",
            if count == 1 { "1 MESSAGE WAS".to_owned() } else { format!("{count} MESSAGES WERE") },
            named.join(", ")
        ))
    }

    /// The classes: what wants action first, then by number.
    fn class_table(&self, style: Style) -> comfy_table::Table {
        let mut table = style.table();
        table.set_header(["class", "count", "fault", "what to do"].map(|text| style.heading(text)));
        let mut classes: Vec<_> = self.classes.iter().collect();
        let urgency = |ignorable: Option<bool>| match ignorable {
            Some(false) => 0,
            None => 1,
            Some(true) => 2,
        };
        classes.sort_by_key(|(_, class)| (urgency(class.ignorable), std::cmp::Reverse(class.count)));
        for (name, class) in classes {
            table.add_row([
                Cell::new(spaced(name.as_str())),
                Cell::new(class.count).set_alignment(comfy_table::CellAlignment::Right),
                Cell::new(class.fault.as_str()),
                Cell::new(visible(&class.advice)),
            ]);
        }
        table
    }

    /// What to do about PureMessage's failures, with the number.
    fn steps(&self, style: Style) -> String {
        let steps = self.advisor.as_ref().map(|advisor| advisor.advice().steps).unwrap_or_default();
        if steps.is_empty() {
            return String::new();
        }
        let mut text = "\nTo change (more by `abort-reason advise`):\n".to_owned();
        for (at, step) in steps.iter().enumerate() {
            let paragraph = format!("{}. {}", at + 1, visible(&step.text));
            text.push_str(&textwrap::fill(&paragraph, usize::from(style.width)));
            text.push('\n');
            if let Some(setting) = &step.setting {
                let _ = writeln!(text, "     {}", visible(setting));
            }
        }
        text
    }

    fn outcomes(&self) -> String {
        let mut outcomes: Vec<_> = self.outcomes.iter().collect();
        outcomes.sort_by_key(|(outcome, count)| (**outcome != Outcome::DeliveredUnscanned, std::cmp::Reverse(**count)));
        let shown = outcomes.iter().map(|(outcome, count)| match outcome {
            Outcome::DeliveredUnscanned => format!("DELIVERED UNSCANNED {count}"),
            _ => format!("{} {count}", spaced(outcome.as_str())),
        });
        shown.collect::<Vec<_>>().join(", ")
    }

    fn read(&self) -> String {
        let Counts { mail, message_log, unreadable, cut } = self.counts;
        let mut text = format!(
            "Read {} and {}; ",
            many(mail, "line of the mail log", "lines of the mail log"),
            many(message_log, "of message_log", "of message_log"),
        );
        match unreadable {
            0 => text.push_str("all could be read."),
            _ => {
                let _ = write!(text, "{unreadable} could not be read.");
            }
        }
        if cut > 0 {
            let _ = write!(text, " {} longer than 1 MiB and cut.", many(cut, "was", "were"));
        }
        text
    }
}
