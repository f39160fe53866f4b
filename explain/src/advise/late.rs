//! Timeouts of one letter of `T=`: how long sendmail waited, how long PureMessage took, and which value would have been long
//! enough.
//!
//! sendmail logs the timeout when it gives up, PureMessage its entry when the callback returns at last: what lies between is
//! how much too late the answer was. What PureMessage spent on the message up to then (`tm=`), less that, is about how long
//! sendmail waited.

use abort_reason::reasons::{Stage, Timeout};
use serde::Serialize;

/// Timeouts that are remembered of one setting; of more, the first.
const MOST: usize = 10_000;

/// Values that people configure, in seconds.
const USUAL: [f64; 16] =
    [5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 240.0, 300.0, 360.0, 480.0, 600.0, 900.0];

/// A timeout has to save so many of those that a timeout can save.
const SHARE: f64 = 0.95;

/// Fewer timeouts say nothing about the next ones.
const FEW: usize = 5;

/// A message at which PureMessage was too slow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// Seconds that PureMessage spent on the message.
    pub spent: f64,
    /// Seconds between sendmail's line and the entry; below zero where the clocks of the two logs differ.
    pub late: f64,
    /// How long the client waits meanwhile, in seconds.
    pub patience: f64,
}

impl Sample {
    /// Whether the two logs agree: the entry came behind sendmail's line, and what was spent covers both.
    fn is_sound(&self) -> bool {
        // Both logs may count whole seconds.
        self.late >= 0.0 && self.spent + 2.0 >= self.late
    }
}

/// How long a client waits at a stage, in seconds, with some in hand: RFC 5321, 4.5.3.2. A longer timeout loses the client.
pub(super) fn patience(stage: Option<Stage>) -> f64 {
    match stage {
        // The text has come: ten minutes.
        Some(Stage::Header | Stage::Eoh | Stage::Body | Stage::Eom) => 540.0,
        // Two minutes.
        Some(Stage::Data) => 105.0,
        // Five minutes.
        _ => 270.0,
    }
}

/// Timeouts of one letter.
#[derive(Debug, Clone, Default)]
pub(super) struct Late {
    count: u64,
    samples: Vec<Sample>,
}

/// What is known of the timeouts of one letter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Timeouts {
    /// The letter of `T=`.
    pub letter: Timeout,
    /// Of which host's sendmail, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Timeouts seen.
    pub count: u64,
    /// How long sendmail waited, in seconds; none where it can't be told.
    pub waited_secs: Option<f64>,
    /// That was judged from the logs.
    pub waited_is_guess: bool,
    /// What sendmail was said to wait, where these timeouts came sooner than that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contradicted_secs: Option<f64>,
    /// How long PureMessage took where it was too slow, in seconds: half of them, 95 %, all.
    pub took_secs: Option<[f64; 3]>,
    /// Timeouts of which the logs don't tell how late the answer was: the clocks of the two logs differ, or `tm=` does not
    /// cover the wait.
    pub untold: u64,
    /// Timeouts that no value would have saved: PureMessage took longer than any client waits.
    pub hopeless: u64,
    /// The value to set, in seconds; none where none is to be had.
    pub suggested_secs: Option<f64>,
    /// How many of the timeouts it would have saved.
    pub saves: u64,
}

impl Late {
    /// Notes a timeout, with what is known of it.
    pub(super) fn add(&mut self, sample: Option<Sample>) {
        self.count += 1;
        if self.samples.len() < MOST {
            self.samples.extend(sample.filter(|sample| sample.spent.is_finite() && sample.late.is_finite()));
        }
    }

    /// How many there were.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// What is known of them. `configured`: how long sendmail waits, where that is known.
    pub(super) fn told(&self, letter: Timeout, host: Option<String>, configured: Option<f64>) -> Timeouts {
        let contradicted = configured.filter(|waits| self.contradicts(*waits));
        let configured = configured.filter(|_| contradicted.is_none());
        let waited = configured.or_else(|| self.waited());
        // How long PureMessage took, and how long the client would have waited for it.
        let took = |sample: &Sample| {
            let waited = waited?;
            if sample.is_sound() {
                return Some((waited + sample.late, sample.patience));
            }
            // Where the clocks differ, what PureMessage spent on the message is left, which is no less.
            (configured.is_some() && sample.spent > waited).then_some((sample.spent, sample.patience))
        };
        let mut all: Vec<(f64, f64)> = self.samples.iter().filter_map(took).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (took, savable): (Vec<f64>, Vec<f64>) = (
            all.iter().map(|(took, _)| *took).collect(),
            all.iter().filter(|(took, patience)| took <= patience).map(|(took, _)| *took).collect(),
        );
        let is_enough = savable.len() >= FEW && 2 * savable.len() > took.len();
        let suggested = at_share(&savable, SHARE).filter(|_| is_enough).map(f64::ceil);
        // An answer in the second in which sendmail gave up does not tell how much more it needs.
        let suggested = suggested.filter(|value| waited.is_none_or(|waited| *value > waited));
        let saves = suggested.map_or(0, |value| savable.partition_point(|took| *took <= value) as u64);
        let shares = |took: &[f64]| Some([at_share(took, 0.5)?, at_share(took, SHARE)?, *took.last()?]);
        Timeouts {
            letter,
            host,
            count: self.count,
            waited_secs: waited,
            waited_is_guess: configured.is_none(),
            contradicted_secs: contradicted,
            took_secs: shares(&took),
            untold: self.count.min(self.samples.len() as u64) - took.len() as u64,
            hopeless: (took.len() - savable.len()) as u64,
            suggested_secs: suggested,
            saves,
        }
    }

    /// Whether sendmail can't have waited so long: PureMessage spent less on most of these messages.
    fn contradicts(&self, waits: f64) -> bool {
        // Both logs may count whole seconds.
        let shorter = self.samples.iter().filter(|sample| sample.spent + 2.0 < waits).count();
        2 * shorter > self.samples.len()
    }

    /// How long sendmail waited: what was spent up to its line is that and a little of conversation before. Where it is near
    /// a value that people configure, it is that.
    fn waited(&self) -> Option<f64> {
        let sound = self.samples.iter().filter(|sample| sample.is_sound());
        let mut waits: Vec<f64> = sound.map(|sample| sample.spent - sample.late).collect();
        waits.sort_by(f64::total_cmp);
        let middle = at_share(&waits, 0.5).filter(|middle| *middle > 0.0)?;
        let near = |usual: &f64| (usual - middle).abs() <= (usual * 0.1).max(1.0);
        let distance = |usual: &f64| (usual - middle).abs();
        let usual = USUAL.iter().copied().filter(near).min_by(|a, b| distance(a).total_cmp(&distance(b)));
        Some(usual.unwrap_or((middle * 10.0).round() / 10.0))
    }
}

/// The least value of a sorted list below or at which a share of it lies.
fn at_share(sorted: &[f64], share: f64) -> Option<f64> {
    let place = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn late(samples: impl IntoIterator<Item = (f64, f64)>, stage: Stage) -> Late {
        let mut all = Late::default();
        for (spent, late) in samples {
            all.add(Some(Sample { spent, late, patience: patience(Some(stage)) }));
        }
        all
    }

    #[test]
    fn the_value_is_what_most_needed() {
        // sendmail waits for 10 s; the answers took 11 to 30 s.
        let told =
            late((1..=20).map(|n| (10.4 + f64::from(n), f64::from(n))), Stage::Rcpt).told(Timeout::Read, None, None);
        assert_eq!((told.waited_secs, told.suggested_secs, told.saves), (Some(10.0), Some(29.0), 19));
        assert_eq!((told.hopeless, told.took_secs), (0, Some([20.0, 29.0, 30.0])));
    }

    #[test]
    fn what_takes_longer_than_the_client_waits_is_saved_by_no_value() {
        let hung = || (0..20).map(|n| (310.0, 300.0 + f64::from(n) / 4.0));
        let told = late(hung(), Stage::Rcpt).told(Timeout::Read, None, Some(10.0));
        assert_eq!((told.hopeless, told.suggested_secs, told.saves), (20, None, 0));
        // Behind the text it waits longer.
        let told = late(hung(), Stage::Eom).told(Timeout::Read, None, Some(10.0));
        assert_eq!((told.hopeless, told.suggested_secs), (0, Some(315.0)));
    }

    #[test]
    fn clocks_that_differ_tell_nothing() {
        // The entry seems to come before sendmail's line.
        let early = late([(14.0, -16.0); 20], Stage::Rcpt);
        let told = early.told(Timeout::Read, None, None);
        assert_eq!((told.suggested_secs, told.untold, told.waited_secs), (None, 20, None));
        // Where it is known how long sendmail waits, what PureMessage spent is left.
        let told = early.told(Timeout::Read, None, Some(10.0));
        assert_eq!((told.suggested_secs, told.untold), (Some(14.0), 0));
        // And two minutes behind it.
        let told = late([(15.0, 125.0); 20], Stage::Rcpt).told(Timeout::Read, None, Some(10.0));
        assert_eq!(told.suggested_secs, Some(15.0));
    }

    #[test]
    fn a_wait_that_the_logs_contradict_is_not_believed() {
        // sendmail waits for 10 s; somebody says that it is three minutes.
        let told = late((1..=20).map(|n| (10.4 + f64::from(n), f64::from(n))), Stage::Rcpt);
        let told = told.told(Timeout::Read, None, Some(180.0));
        assert_eq!(
            (told.waited_secs, told.suggested_secs, told.contradicted_secs),
            (Some(10.0), Some(29.0), Some(180.0))
        );
    }

    #[test]
    fn an_answer_in_the_same_second_tells_of_no_value() {
        let told = late([(10.2, 0.0); 20], Stage::Rcpt).told(Timeout::Read, None, None);
        assert_eq!((told.waited_secs, told.suggested_secs, told.count), (Some(10.0), None, 20));
    }

    #[test]
    fn few_say_nothing() {
        assert_eq!(late([(14.0, 4.0); 4], Stage::Rcpt).told(Timeout::Read, None, None).suggested_secs, None);
        assert_eq!(Late::default().told(Timeout::End, None, None).took_secs, None);
    }
}
