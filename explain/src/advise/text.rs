//! What was found, in words.

use std::collections::BTreeMap;

use abort_reason::Outcome;
use abort_reason::reasons::Timeout;

use super::{Advice, Ailment, Step, Timeouts};
use crate::text::many;

/// Fewer messages are met by a restart.
const FEW_UNREACHABLE: u64 = 5;

/// So many letters has `T=`.
const LETTERS: usize = 4;

/// A line of sendmail.mc for a filter; none where its name is not one that m4 leaves alone.
fn line(filter: &str, equates: &str) -> Option<String> {
    let is_plain = filter.len() <= 64 && filter.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    is_plain.then(|| format!("INPUT_MAIL_FILTER(`{filter}', `{equates}')dnl"))
}

/// `T=` with all letters that are known of a host, those to be raised among them: a letter that is left out falls back to
/// sendmail's default, so where not all are known the line says so.
fn equate(timeouts: &[&Timeouts], configured: &BTreeMap<Timeout, f64>) -> String {
    let mut values = configured.clone();
    let is_wrong = |timeouts: &&&Timeouts| timeouts.contradicted_secs.is_some();
    timeouts.iter().filter(is_wrong).for_each(|timeouts| _ = values.remove(&timeouts.letter));
    values.extend(timeouts.iter().filter_map(|timeouts| Some((timeouts.letter, timeouts.suggested_secs?))));
    let rest = (values.len() < LETTERS).then(|| "...".to_owned());
    let known = values.iter().map(|(letter, secs)| format!("{}:{}", letter.as_str(), span(*secs)));
    format!("T={}", rest.into_iter().chain(known).collect::<Vec<_>>().join(";"))
}

/// What to do, the most urgent first.
pub(super) fn steps(
    advice: &Advice,
    filter: &str,
    troubles: &BTreeMap<Ailment, usize>,
    configured: &BTreeMap<Timeout, f64>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut step = |id: &str, text: String, setting: Option<String>| {
        steps.push(Step { id: id.to_owned(), text, setting });
    };
    let unscanned = advice.outcomes.get(&Outcome::DeliveredUnscanned).copied().unwrap_or_default();
    if unscanned > 0 {
        step(
            "stop-unscanned",
            format!(
                "{} delivered without PureMessage's verdict, because F= of {filter} is empty. F=T makes clients try again \
                 instead; mail then waits while PureMessage is away.",
                many(unscanned, "message was", "messages were")
            ),
            line(filter, "S=..., F=T, T=..."),
        );
    }
    for timeouts in &advice.timeouts {
        if let Some(value) = timeouts.suggested_secs {
            let of_host: Vec<&Timeouts> = advice.timeouts.iter().filter(|other| other.host == timeouts.host).collect();
            step(
                &format!("raise-{}", timeouts.letter.as_str().to_ascii_lowercase()),
                raise(timeouts, value),
                line(filter, &format!("S=..., F=..., {}", equate(&of_host, configured))),
            );
        }
        if timeouts.hopeless > 0 {
            step(
                &format!("find-hang-{}", timeouts.letter.as_str().to_ascii_lowercase()),
                format!(
                    "{} of {} by {} took longer than a client waits: no value of T= would have saved them. Find what \
                     PureMessage waits for: DNS and block lists, the disk, its own pool of processes.",
                    timeouts.hopeless,
                    many(timeouts.count, "timeout", "timeouts"),
                    timeouts.letter.as_str(),
                ),
                None,
            );
        }
    }
    let of = |trouble: Ailment| advice.episodes.iter().filter(move |episode| episode.trouble == trouble);
    let times = |trouble: Ailment| {
        let named: Vec<String> = of(trouble).take(3).map(|episode| stretch(&episode.from, &episode.to)).collect();
        let more = troubles.get(&trouble).copied().unwrap_or_default().saturating_sub(named.len());
        match (named.is_empty(), more) {
            (false, 0) => named.join(", "),
            (false, more) => format!("{} and {more} more", named.join(", ")),
            (true, more) => format!("{more} times"),
        }
    };
    for (trouble, id, text) in [
        (
            Ailment::Down,
            "keep-it-running",
            "PureMessage could not be reached: it was down, or its listen queue was full. Watch it and restart it at once; \
             check listen_queue_size in pmx.conf and the S= address",
        ),
        (
            Ailment::Dying,
            "find-the-crash",
            "PureMessage closed connections that it had accepted: a process ended, or was restarted. Look into its own log at \
             these times, and at limits on memory, processes and file descriptors",
        ),
        (
            Ailment::Busy,
            "give-it-more-processes",
            "PureMessage was late while far more mail came than usual: raise concurrency_limit and max_pooled_procs in pmx.conf, \
             with file descriptors for ten times as many",
        ),
    ] {
        let by_records = troubles.contains_key(&trouble).then(|| times(trouble));
        let by_lines = (trouble == Ailment::Down && advice.unreachable > 0).then(|| refused(advice.unreachable));
        let text = match (by_records, by_lines) {
            (None, Some(lines)) if advice.unreachable >= FEW_UNREACHABLE => format!("{text}. {lines}"),
            (None, _) => continue,
            (Some(records), None) => format!("{text}: {records}."),
            (Some(records), Some(lines)) => format!("{text}: {records}. {lines}"),
        };
        step(id, text, None);
    }
    steps
}

fn raise(timeouts: &Timeouts, value: f64) -> String {
    let Timeouts { letter, host, count, saves, waited_secs, waited_is_guess, took_secs, .. } = timeouts;
    let of_host = host.as_ref().map_or(String::new(), |host| format!(" of {host}"));
    let waited = waited_secs.map_or(String::new(), |secs| {
        if *waited_is_guess {
            format!(" from about {} (judged from the logs)", span(secs))
        } else {
            format!(" from {}", span(secs))
        }
    });
    let took = took_secs.map_or(String::new(), |[middle, _, most]| {
        format!(" PureMessage took a median of {} for these, {} at most.", span(middle), span(most))
    });
    format!(
        "Raise {} in T={of_host}{waited} to {}: {saves} of {} would have got their answer.{took} The price: when PureMessage hangs, a \
         client and a sendmail process wait that long. Keep the values of the other letters (one that is left out falls back to \
         sendmail's default), make sendmail.cf anew and restart sendmail.",
        letter.as_str(),
        span(value),
        many(*count, "timeout", "timeouts"),
    )
}

/// What these logs can't tell.
pub(super) fn limits(advice: &Advice, unnamed: u64, uncovered: u64) -> Vec<String> {
    let mut limits = Vec::new();
    let messages = advice.took.as_ref().map_or(0, |took| took.messages);
    if messages < super::FEW_MESSAGES {
        limits.push(format!(
            "how long PureMessage usually takes: only {} finished.",
            many(messages, "message", "messages")
        ));
    }
    if (1..FEW_UNREACHABLE).contains(&advice.unreachable) {
        let messages = many(advice.unreachable, "message", "messages");
        limits.push(format!(
            "why sendmail could not connect to PureMessage for {messages}: a restart is enough to explain so few."
        ));
    }
    for timeouts in &advice.timeouts {
        let Timeouts { letter, count, untold, waited_secs, contradicted_secs, took_secs, .. } = timeouts;
        let many = format!("{} by {}", many(*count, "timeout", "timeouts"), letter.as_str());
        if let Some(said) = contradicted_secs {
            let after = waited_secs.map_or(String::new(), |secs| format!(" (after about {})", span(secs)));
            limits.push(format!(
                "{many}: --timeouts says {}:{}, but these came sooner{after}. What the logs show was used.",
                letter.as_str(),
                span(*said)
            ));
        }
        if *untold > 0 && 2 * untold >= *count {
            limits.push(format!(
                "{many}: how late the answers were. The clocks of the two logs differ, or tm= does not cover the wait; \
                 --timeouts says what sendmail waits."
            ));
        } else if timeouts.suggested_secs.is_none() && timeouts.hopeless == 0 {
            let at_once = took_secs.zip(*waited_secs).is_some_and(|([_, most, _], waited)| most <= waited + 1.0);
            limits.push(if at_once && *count >= 5 {
                format!(
                    "{many}: PureMessage answered when sendmail had just given up. How much longer it needs shows with a \
                     higher value."
                )
            } else {
                format!("{many}: too few to advise a value.")
            });
        }
    }
    if uncovered > 0 && 2 * uncovered >= advice.aborts {
        limits.push(format!(
            "the cause of {uncovered} of {}: the mail log has no line of these messages. It is another host's, or of \
             another time.",
            many(advice.aborts, "abort", "aborts")
        ));
    }
    if unnamed > 0 && unnamed * 20 >= advice.aborts {
        limits.push(format!(
            "{} of {} have no named cause: with O LogLevel=9 and O Milter.LogLevel=9 in sendmail.cf the next ones will.",
            unnamed,
            many(advice.aborts, "abort", "aborts")
        ));
    }
    limits
}

/// Timeouts of filters of which none is known to be PureMessage's.
pub(super) fn several(timeouts: u64, filters: &[&str]) -> String {
    format!(
        "{} of several filters ({}): --filter-name says which one is PureMessage's.",
        many(timeouts, "timeout", "timeouts"),
        filters.join(", ")
    )
}

/// Messages for which one of several filters could not be reached.
pub(super) fn some_filter(messages: u64) -> String {
    format!(
        "which filter sendmail could not connect to for {}: --filter-name says which one is PureMessage's.",
        many(messages, "message", "messages")
    )
}

/// What only sendmail's log tells of an outage.
fn refused(messages: u64) -> String {
    format!(
        "sendmail could not connect for {}; those that it then refused have no entry in message_log.",
        many(messages, "message", "messages")
    )
}

/// Failures too old to be placed.
pub(super) fn forgotten(failures: u64) -> String {
    format!("when {} came: these logs go back too far.", many(failures, "failure", "failures"))
}

impl Advice {
    /// All of it, for people: paragraphs without a width.
    pub fn paragraphs(&self) -> Vec<String> {
        let mut all = Vec::new();
        if let (Some(from), Some(to)) = (&self.from, &self.to) {
            all.push(format!("From {from} to {to}."));
        }
        if let Some(took) = &self.took {
            all.push(format!(
                "PureMessage took {} for half of {}, {} for 95 %, {} for 99 %, {} at most.",
                span(took.p50),
                many(took.messages, "message", "messages"),
                span(took.p95),
                span(took.p99),
                span(took.max)
            ));
        }
        all.extend(slowest("Slowest by hour of the day", &self.by_hour, |name| format!("{name} h")));
        all.extend(slowest("By size", &self.by_size, |name| match name.parse::<u64>() {
            Ok(bytes) => format!("up to {} KB", bytes / 1_000),
            Err(_) => "larger".to_owned(),
        }));
        if self.failures > 0 {
            let entries = self.took.as_ref().map_or(0, |took| took.messages) + self.aborts;
            let share = |count: u64| 100.0 * count as f64 / entries.max(self.failures) as f64;
            let told = |(outcome, count): (&Outcome, &u64)| {
                format!("{count} {} ({:.2} % of all mail)", outcome.as_str().replace('_', " "), share(*count))
            };
            let outcomes: Vec<String> = self.outcomes.iter().map(told).collect();
            all.push(format!(
                "PureMessage failed at {}: {}.",
                many(self.failures, "message", "messages"),
                outcomes.join(", ")
            ));
        }
        if self.steps.is_empty() {
            all.push(if self.failures == 0 && self.limits.is_empty() {
                "PureMessage failed at none: nothing to change.".into()
            } else {
                "Nothing to change that these logs tell.".into()
            });
        }
        for (at, step) in self.steps.iter().enumerate() {
            all.push(format!("{}. {}", at + 1, step.text));
            all.extend(step.setting.as_ref().map(|setting| format!("       {setting}")));
        }
        all.extend(self.limits.iter().map(|limit| format!("Not told: {limit}")));
        all
    }
}

/// The three parts that took longest, where there is more than one.
fn slowest(what: &str, parts: &[super::Part], name: impl Fn(&str) -> String) -> Option<String> {
    let mut parts: Vec<_> = parts.iter().filter(|part| part.took.messages >= 20).collect();
    parts.sort_by(|a, b| b.took.p95.total_cmp(&a.took.p95));
    let told = parts.iter().take(3).map(|part| format!("{} {} (95 %)", name(&part.name), span(part.took.p95)));
    (parts.len() > 1).then(|| format!("{what}: {}.", told.collect::<Vec<_>>().join(", ")))
}

fn stretch(from: &str, to: &str) -> String {
    if from == to { from.to_owned() } else { format!("{from} to {to}") }
}

/// A time as sendmail's configuration writes it, where it is that precise.
fn span(secs: f64) -> String {
    if secs >= 60.0 && (secs % 60.0).abs() < 0.5 {
        format!("{:.0}m", secs / 60.0)
    } else if secs >= 10.0 || secs.fract() == 0.0 {
        format!("{secs:.0}s")
    } else if secs >= 1.0 {
        format!("{secs:.1}s")
    } else {
        format!("{secs:.2}s")
    }
}
