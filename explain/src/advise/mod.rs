//! What an administrator should change, with the number: from what PureMessage took for all messages, and from its failures.
//!
//! Memory is bounded whatever the logs hold: quantiles come from histograms, stretches of time from so many minutes.

mod episodes;
mod late;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use abort_reason::reasons::{Class, Timeout};
use abort_reason::{Kind, LogTime, Outcome, Processing, WhyNot};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::record::{self, Abort};
pub use episodes::{Ailment, Episode};
use episodes::{Episodes, Failure, Minutes};
pub use late::Timeouts;
use late::{Late, Sample};

/// A day: no message takes longer.
const LONGEST_MS: u64 = 86_400_000;

/// Fewer messages than this say little about all of them.
const FEW_MESSAGES: u64 = 200;

/// Sizes up to which messages are counted together, in bytes.
const SIZES: [u64; 4] = [10_000, 100_000, 1_000_000, 10_000_000];

/// Collects what advice is made of.
#[derive(Debug, Clone)]
pub struct Advisor {
    configured: BTreeMap<Timeout, f64>,
    all: Times,
    hours: Vec<Times>,
    sizes: Vec<Times>,
    first: Option<i64>,
    last: Option<i64>,
    late: BTreeMap<Place, Late>,
    minutes: Minutes,
    filters: BTreeMap<String, u64>,
    /// A filter is known to be PureMessage's.
    is_named: bool,
    aborts: u64,
    failures: u64,
    /// Aborts that a higher log level would have explained, and those whose mail lines are not there.
    unnamed: u64,
    uncovered: u64,
    /// See [`Advisor::unreachable`].
    unreachable: Option<(u64, bool)>,
    /// See [`Advisor::doubt`].
    doubt: Option<String>,
    outcomes: BTreeMap<Outcome, u64>,
}

/// A setting that can run out: of which host's sendmail, for which filter.
type Place = (Timeout, String, String);

/// Settings that are told apart; a site has some dozens.
const MOST_PLACES: usize = 256;

/// Names of filters that are counted.
const MOST_FILTERS: usize = 16;

/// What PureMessage spent on messages.
#[derive(Debug, Clone)]
struct Times(Option<Histogram<u32>>);

/// How long PureMessage took for messages, in seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Took {
    /// Messages.
    pub messages: u64,
    /// Half of them took no longer.
    pub p50: f64,
    /// 95 of 100.
    pub p95: f64,
    /// 99 of 100.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

/// Some of the messages.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// Which: an hour of the day (`13`), or the bytes up to which they go (`100000`; `more`).
    pub name: String,
    /// How long they took.
    #[serde(flatten)]
    pub took: Took,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// A stable name.
    pub id: String,
    /// What, why and what it costs.
    pub text: String,
    /// The line of sendmail.mc that it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setting: Option<String>,
}

/// What was found, and what to do about it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Advice {
    /// The first and the last entry, as `message_log` counts.
    pub from: Option<String>,
    /// The last one.
    pub to: Option<String>,
    /// How long PureMessage took; none without a message.
    pub took: Option<Took>,
    /// The same by hour of the day.
    pub by_hour: Vec<Part>,
    /// The same by size of the message.
    pub by_size: Vec<Part>,
    /// Aborts.
    pub aborts: u64,
    /// Failures of PureMessage among aborts and among messages that got no abort.
    pub failures: u64,
    /// Messages for which sendmail could not connect to PureMessage. Where it then refused the mail, no entry tells of it.
    pub unreachable: u64,
    /// What became of the mail at which it failed.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Timeouts by letter of `T=`.
    pub timeouts: Vec<Timeouts>,
    /// When it failed: the worst stretches.
    pub episodes: Vec<Episode>,
    /// How many stretches there were.
    pub episode_count: usize,
    /// What to do, the most urgent first; empty if nothing.
    pub steps: Vec<Step>,
    /// What these logs can't tell.
    pub limits: Vec<String>,
}

/// What of a record tells how late an answer came.
#[derive(Deserialize)]
struct Timed {
    abort: Evidence,
}

#[derive(Deserialize)]
struct Evidence {
    #[serde(default)]
    evidence: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    offset_secs: Option<f64>,
}

impl Times {
    fn add(&mut self, ms: u64) {
        // Two digits are enough for advice.
        let made = || Histogram::new_with_bounds(1, LONGEST_MS, 2).ok();
        if self.0.is_none() {
            self.0 = made();
        }
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(ms.clamp(1, LONGEST_MS));
        }
    }

    fn took(&self) -> Option<Took> {
        let histogram = self.0.as_ref().filter(|histogram| !histogram.is_empty())?;
        let at = |share| histogram.value_at_quantile(share) as f64 / 1_000.0;
        let max = histogram.max() as f64 / 1_000.0;
        Some(Took { messages: histogram.len(), p50: at(0.5), p95: at(0.95), p99: at(0.99), max })
    }
}

impl Advisor {
    /// Nothing collected yet. `configured`: what `T=` says, in seconds, as far as it is known.
    pub fn new(configured: BTreeMap<Timeout, f64>) -> Advisor {
        let times = |count| vec![Times(None); count];
        Advisor {
            configured,
            all: Times(None),
            hours: times(24),
            sizes: times(SIZES.len() + 1),
            first: None,
            last: None,
            late: BTreeMap::new(),
            minutes: Minutes::default(),
            filters: BTreeMap::new(),
            aborts: 0,
            failures: 0,
            is_named: false,
            unnamed: 0,
            uncovered: 0,
            unreachable: None,
            doubt: None,
            outcomes: BTreeMap::new(),
        }
    }

    /// Takes for how many messages sendmail could not connect, by the mail log, and whether that surely was to PureMessage.
    pub fn unreachable(&mut self, count: u64, is_sure: bool) {
        self.unreachable = Some((count, is_sure)).filter(|_| count > 0);
    }

    /// Takes why the filter that is said to be PureMessage's may be none.
    pub fn doubt(&mut self, doubt: String) {
        self.doubt = Some(doubt);
    }

    /// Takes a line of `message_log`.
    pub fn line(&mut self, line: &[u8]) {
        let Some(Processing { time, processing_ms, size, is_done }) = abort_reason::processing(line) else { return };
        if let Some(ms) = time {
            self.first = Some(self.first.map_or(ms, |first| first.min(ms)));
            self.last = self.last.max(Some(ms));
            self.minutes.entry(ms);
        }
        // What was aborted says how long a client or sendmail waited, not how long PureMessage needs.
        let Some(took) = processing_ms.filter(|_| is_done) else { return };
        self.all.add(took);
        if let Some(ms) = time {
            self.hours[(ms.div_euclid(3_600_000).rem_euclid(24)) as usize].add(took);
        }
        if let Some(size) = size {
            self.sizes[SIZES.partition_point(|most| *most < size)].add(took);
        }
    }

    /// Takes the last word on an abort.
    pub fn record(&mut self, record: &[u8]) {
        let Some(abort) = record::abort(record) else { return };
        self.aborts += u64::from(abort.kind == Kind::Abort);
        let failure = match abort.class {
            _ if abort.own_filter == Some(false) => None,
            Class::FilterTimeout => Some(Failure::Slow),
            Class::FilterClosed | Class::FilterProtocolError => Some(Failure::Closed),
            Class::FilterUnreachable => Some(Failure::Unreachable),
            _ => None,
        };
        let is_unnamed =
            abort.class == Class::FilterFailureSuspected || abort.why_not == Some(WhyNot::OnlyOrdinaryLines);
        self.unnamed += u64::from(is_unnamed);
        self.uncovered +=
            u64::from(matches!(abort.why_not, Some(WhyNot::NoMailLines | WhyNot::StartedLate | WhyNot::OtherHost)));
        let Some(failure) = failure else { return };
        self.failures += 1;
        *self.outcomes.entry(abort.outcome).or_default() += 1;
        self.is_named |= abort.own_filter == Some(true);
        let filter = abort.filter.clone().unwrap_or_default();
        if self.filters.len() < MOST_FILTERS || self.filters.contains_key(&filter) {
            *self.filters.entry(filter.clone()).or_default() += 1;
        }
        if let Some(time) = abort.time.as_deref().and_then(LogTime::parse) {
            self.minutes.failure(time.civil_ms(), failure);
        }
        if let Some(letter) = abort.timeout.filter(|_| failure == Failure::Slow) {
            let place = (letter, abort.host.clone().unwrap_or_default(), filter);
            if self.late.len() < MOST_PLACES || self.late.contains_key(&place) {
                self.late.entry(place).or_default().add(sample(&abort, record));
            }
        }
    }

    /// What was found.
    pub fn advice(&self) -> Advice {
        let parts = |times: &[Times], name: &dyn Fn(usize) -> String| -> Vec<Part> {
            let told = |(at, times): (usize, &Times)| Some(Part { name: name(at), took: times.took()? });
            times.iter().enumerate().filter_map(told).collect()
        };
        let size = |at: usize| SIZES.get(at).map_or_else(|| "more".to_owned(), u64::to_string);
        let clock = |ms: Option<i64>| ms.map(|ms| LogTime::from_civil_secs(ms.div_euclid(1_000)).to_string());
        // Of several filters, nobody knows whose settings are meant.
        let is_sure = self.is_named || self.filters.keys().filter(|filter| !filter.is_empty()).count() < 2;
        let hosts: BTreeSet<&str> = self.late.keys().map(|(_, host, _)| host.as_str()).collect();
        let timeouts = self.late.iter().filter(|_| is_sure).map(|((letter, host, _), late)| {
            late.told(*letter, (hosts.len() > 1).then(|| host.clone()), self.configured.get(letter).copied())
        });
        let Episodes { worst, counts } = self.minutes.episodes();
        let mut advice = Advice {
            from: clock(self.first),
            to: clock(self.last),
            took: self.all.took(),
            by_hour: parts(&self.hours, &|hour| format!("{hour:02}")),
            by_size: parts(&self.sizes, &size),
            aborts: self.aborts,
            failures: self.failures,
            unreachable: self.unreachable.filter(|(_, is_sure)| *is_sure).map_or(0, |(count, _)| count),
            outcomes: self.outcomes.clone(),
            timeouts: timeouts.collect(),
            episodes: worst,
            episode_count: counts.values().sum(),
            steps: Vec::new(),
            limits: Vec::new(),
        };
        let filter = self.filters.iter().max_by_key(|(_, count)| **count).map(|(name, _)| name.as_str());
        let filter = filter.filter(|name| !name.is_empty()).unwrap_or("PureMessage");
        advice.steps = text::steps(&advice, filter, &counts, &self.configured);
        let told: u64 = self.late.values().map(Late::count).sum();
        advice.limits = text::limits(&advice, self.unnamed, self.uncovered);
        advice.limits.extend(self.doubt.as_ref().map(|doubt| format!("what PureMessage failed at: {doubt}")));
        if !is_sure && told > 0 {
            let names: Vec<&str> = self.filters.keys().map(String::as_str).filter(|name| !name.is_empty()).collect();
            advice.limits.push(text::several(told, &names));
        }
        if let Some((count, false)) = self.unreachable {
            advice.limits.push(text::some_filter(count));
        }
        if self.minutes.forgotten() > 0 {
            advice.limits.push(text::forgotten(self.minutes.forgotten()));
        }
        advice
    }
}

fn sample(abort: &Abort, record: &[u8]) -> Option<Sample> {
    let spent = abort.processing_secs.as_ref()?.as_f64()?;
    let Timed { abort: Evidence { evidence } } = serde_json::from_slice(record).ok()?;
    let late = -evidence.first()?.offset_secs?;
    Some(Sample { spent, late, patience: late::patience(abort.stage) })
}
