//! What was found, in words.

use super::{Advice, Step, Timeouts, Trouble};

/// What to do, the most urgent first.
pub(super) fn steps(advice: &Advice, filter: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut step = |id: &str, text: String, setting: Option<String>| {
        steps.push(Step { id: id.to_owned(), text, setting });
    };
    let unscanned = advice.outcomes.get("delivered_unscanned").copied().unwrap_or_default();
    if unscanned > 0 {
        step(
            "stop-unscanned",
            format!(
                "{} delivered without PureMessage's verdict, because F= of {filter} is empty. F=T makes clients try again \
                 instead; mail then waits while PureMessage is away.",
                many(unscanned, "message was", "messages were")
            ),
            Some(format!("INPUT_MAIL_FILTER(`{filter}', `S=..., F=T, T=...')dnl")),
        );
    }
    for timeouts in &advice.timeouts {
        if let Some(value) = timeouts.suggested_secs.filter(|value| timeouts.waited_secs.is_none_or(|now| *value > now))
        {
            let letter = timeouts.letter.as_str();
            step(
                &format!("raise-{}", letter.to_ascii_lowercase()),
                raise(timeouts, value),
                Some(format!("INPUT_MAIL_FILTER(`{filter}', `S=..., F=..., T={letter}:{}')dnl", span(value))),
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
    let of = |trouble: Trouble| advice.episodes.iter().filter(move |episode| episode.trouble == trouble);
    let times = |trouble: Trouble| {
        let named: Vec<String> = of(trouble).take(3).map(|episode| stretch(&episode.from, &episode.to)).collect();
        let more = of(trouble).count().saturating_sub(named.len());
        named.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
    };
    for (trouble, id, text) in [
        (
            Trouble::Down,
            "keep-it-running",
            "PureMessage could not be reached: it was down, or its listen queue was full. Watch it and restart it at once; \
             check listen_queue_size in pmx.conf and the S= address",
        ),
        (
            Trouble::Dying,
            "find-the-crash",
            "PureMessage closed connections that it had accepted: a process ended, or was restarted. Look into its own log at \
             these times, and at limits on memory, processes and file descriptors",
        ),
        (
            Trouble::Busy,
            "give-it-more-processes",
            "PureMessage was late while far more mail came than usual: raise concurrency_limit and max_pooled_procs in pmx.conf, \
             with file descriptors for ten times as many",
        ),
    ] {
        if of(trouble).next().is_some() {
            step(id, format!("{text}: {}.", times(trouble)), None);
        }
    }
    steps
}

fn raise(timeouts: &Timeouts, value: f64) -> String {
    let Timeouts { letter, count, saves, waited_secs, took_secs, .. } = timeouts;
    let waited = waited_secs.map_or(String::new(), |secs| format!(" from {}", span(secs)));
    let took = took_secs.map_or(String::new(), |[middle, _, most]| {
        format!(" Its answers took {} in the middle, {} at most.", span(middle), span(most))
    });
    format!(
        "Raise {} in T={waited} to {}: {saves} of {} would have got their answer.{took} It costs that a client and a sendmail \
         process wait so long where PureMessage hangs. Leave the other letters as they are, make sendmail.cf anew and restart \
         sendmail.",
        letter.as_str(),
        span(value),
        many(*count, "timeout", "timeouts"),
    )
}

/// What these logs can't tell.
pub(super) fn limits(advice: &Advice, unnamed: u64) -> Vec<String> {
    let mut limits = Vec::new();
    let messages = advice.took.as_ref().map_or(0, |took| took.messages);
    if messages < super::FEW_MESSAGES {
        limits.push(format!(
            "{} that PureMessage finished: too few for how long it takes.",
            many(messages, "message", "messages")
        ));
    }
    for timeouts in
        advice.timeouts.iter().filter(|timeouts| timeouts.suggested_secs.is_none() && timeouts.hopeless == 0)
    {
        limits.push(format!(
            "{} by {}: too few for a value.",
            many(timeouts.count, "timeout", "timeouts"),
            timeouts.letter.as_str()
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
            let outcomes: Vec<String> =
                self.outcomes.iter().map(|(outcome, count)| format!("{count} {}", outcome.replace('_', " "))).collect();
            all.push(format!(
                "PureMessage failed at {}; of these were {}.",
                many(self.failures, "message", "messages"),
                outcomes.join(", ")
            ));
        }
        if self.steps.is_empty() {
            all.push(if self.failures == 0 {
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
    } else {
        format!("{secs:.2}s")
    }
}

fn many(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}
