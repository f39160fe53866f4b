//! The engine: a state machine without a clock, files or sockets, in the manner of sans-I/O protocol libraries.

#![allow(clippy::inline_always, reason = "each call takes some of an interpreter's short stack")]

use std::fmt;

use serde::Serialize;

use crate::case::Taken;
use crate::config::{Config, HostFrom, Others};
use crate::entry::Entry;
use crate::event::{Batch, Disposition, Input, Output, Source, What};
use crate::glance::{Glance, Unseen};
use crate::input::{self, Reading};
use crate::join::Join;
use crate::mail_line::MailLine;
use crate::peek::LineKind;
use crate::stats::Stats;

/// Gives abort records their reasons.
///
/// The host calls [`push`](Engine::push) for every record in the order in which they come, forwards what it is told to
/// forward, and takes what [`poll`](Engine::poll) gives. `now_ms` is the host's clock, in milliseconds since an epoch of
/// its choice; the engine has none of its own, so the same calls always give the same records.
#[derive(Debug)]
pub struct Engine {
    join: Join,
    /// None where every line is read in full.
    glance: Option<Glance>,
}

impl Engine {
    /// An engine with a configuration.
    pub fn new(config: &Config) -> Engine {
        let join = Join::new(config);
        // By what a line begins with only the host is known that it names itself.
        let has_glance = config.glance && config.host_from == HostFrom::Line;
        let glance = has_glance.then(|| Glance::new(join.matcher()));
        Engine { join, glance }
    }

    /// Takes one record or line. `ticket` is the host's name for it, 0 if it keeps no account.
    #[inline]
    pub fn push(&mut self, source: Source, input: Input<'_>, ticket: u64, now_ms: u64) -> Disposition {
        self.join.begin(ticket, now_ms);
        match self.at_a_glance(source, &input) {
            Some(log) => Disposition { unread: true, ..self.pass(log.into()) },
            None => self.read(source, input, ticket),
        }
    }

    /// The log of what does not matter, as far as that is told at a glance. Not a part of what is done where it is not: an
    /// interpreter may have a stack of 8 KiB. By reference: to copy what was just written makes a processor wait until it has
    /// been stored, which costs an eighth of all that is done here.
    #[inline(never)]
    fn at_a_glance(&mut self, source: Source, &input: &Input<'_>) -> Option<LineKind> {
        let glance = self.glance.as_mut()?;
        let look = glance.look(source, input, |host| self.join.latest(host))?;
        self.join.pass_unread(&look, glance.host_of(input), input).then_some(look.log)
    }

    /// What does not matter, as it came.
    fn pass(&self, what: What) -> Disposition {
        Disposition { forward: self.join.config().others == Others::Pass, ..Disposition::past(what) }
    }

    /// Reads what came in.
    #[inline(never)]
    fn read(&mut self, source: Source, input: Input<'_>, ticket: u64) -> Disposition {
        let Some((reading, unseen)) = self.reading(input) else {
            self.join.stats.unreadable += 1;
            return Disposition::past(What::Unreadable);
        };
        if reading.enriched {
            self.join.stats.enriched_before += 1;
            self.join.stats.other += 1;
            return Disposition::past(What::Enriched);
        }
        let source = source.or(reading.source);
        if let Some(log) = self.at_another_glance(source, input, &reading, unseen) {
            return self.pass(log.into());
        }
        // Without a time of its own it may be any program's text.
        let is_one =
            |entry: &Entry<'_>| entry.time.is_some() || reading.program.is_none() || source == Source::MessageLog;
        let entry = if source == Source::Mail { None } else { Entry::parse(&reading.line).filter(is_one) };
        if source != Source::MessageLog
            && let Some(line) = mail_line(&reading, source, entry.is_some(), self.join.config().host_from)
        {
            let keep = self.mail_line(&line, &reading.line, unseen, ticket);
            return Disposition { keep, ..self.pass(What::MailLine) };
        }
        if let Some(entry) = entry {
            return self.entry(&entry, &reading, input, ticket);
        }
        self.join.stats.other += 1;
        self.pass(What::Other)
    }

    /// What an input says, and what of it the glance has not seen. Shapes are compared before anything is searched for.
    fn reading<'a>(&mut self, input: Input<'a>) -> Option<(Reading<'a>, Unseen)> {
        let by_shape = match (&mut self.glance, input) {
            (Some(glance), Input::Record(record)) => glance.read(record),
            _ => None,
        };
        if let Some(reading) = by_shape {
            return Some((reading, Unseen::Line));
        }
        let reading = input::read(self.join.config(), input)?;
        let unseen = self.glance.as_ref().map_or(Unseen::Nothing, |glance| glance.unseen(input, &reading));
        Some((reading, unseen))
    }

    /// The log of a line that does not matter, and that the glance did not find in its record.
    #[inline(never)]
    fn at_another_glance(
        &mut self,
        source: Source,
        input: Input<'_>,
        reading: &Reading<'_>,
        unseen: Unseen,
    ) -> Option<LineKind> {
        let (Input::Record(record), Some(glance)) = (input, &mut self.glance) else { return None };
        match unseen {
            Unseen::Nothing => return None,
            Unseen::Line => {}
            Unseen::Frame => glance.learn_frame(self.join.config(), record, reading),
        }
        let look = glance.line(source, &reading.line, |host| self.join.latest(host))?;
        self.join.pass_unread(&look, reading.host.as_deref(), input).then_some(look.log)
    }

    /// Takes a mail line; whether it is kept. A beginning that the glance has not seen is learnt.
    #[inline(always)]
    fn mail_line(&mut self, line: &MailLine<'_>, text: &[u8], unseen: Unseen, ticket: u64) -> bool {
        let Some(glance) = self.glance.as_mut().filter(|_| unseen != Unseen::Nothing) else {
            self.join.stats.mail_lines += 1;
            return self.join.mail_line(line, text, ticket);
        };
        let says = glance.says(line);
        let keep = !says.is_some_and(|says| self.join.pass_parsed(line, says, text)) && {
            self.join.stats.mail_lines += 1;
            self.join.mail_line(line, text, ticket)
        };
        if let Some(host) = self.join.writer(line) {
            glance.learn(text, line, host);
        }
        keep
    }

    fn entry(&mut self, entry: &Entry<'_>, reading: &Reading<'_>, input: Input<'_>, ticket: u64) -> Disposition {
        self.join.stats.entries += 1;
        let taken = self.join.entry(entry, reading, input, ticket);
        let pass = self.pass(What::Entry);
        match taken {
            Taken::Passes => pass,
            Taken::Kept => Disposition { forward: false, keep: true, ..pass },
            Taken::Repeated => Disposition { forward: false, keep: false, ..pass },
        }
    }

    /// Lets time pass without input.
    pub fn advance(&mut self, now_ms: u64) {
        self.join.advance(now_ms);
    }

    /// While `stateless` is true, aborts leave at once, as in [`Mode::Annotate`](crate::Mode), and those that were held leave
    /// now: for hosts that may have made this engine for a few records only, or can't take what it would issue later, so that
    /// what it holds would be lost.
    pub fn set_stateless(&mut self, stateless: bool) {
        self.join.set_stateless(stateless);
    }

    /// Takes the next record that is ready.
    #[inline]
    pub fn poll(&mut self) -> Option<Output> {
        // Hardly ever: hosts ask after each record.
        if self.join.is_ready() { self.poll_ready() } else { None }
    }

    #[inline(never)]
    fn poll_ready(&mut self) -> Option<Output> {
        let output = self.join.poll()?;
        // Only now: where stack is short, there is most of it here.
        Some(Output { data: self.join.config().in_profile(output.data), ..output })
    }

    /// Takes the next ticket that is given back. Drain [`poll`](Engine::poll) first.
    pub fn poll_released(&mut self) -> Option<u64> {
        self.join.poll_released()
    }

    /// Takes what is ready, at most `max` records.
    pub fn poll_batch(&mut self, max: usize) -> Batch {
        let outputs: Vec<_> = std::iter::from_fn(|| self.poll()).take(max).collect();
        // A full batch may have left something behind. What is given back must not overtake its output: it waits for the
        // batch that empties the queue.
        let more = outputs.len() == max;
        let released = if more { Vec::new() } else { std::iter::from_fn(|| self.poll_released()).collect() };
        Batch { outputs, released, more }
    }

    /// The time by `now_ms` at which [`advance`](Engine::advance) should be called at the latest.
    pub fn poll_timeout(&self) -> Option<u64> {
        self.join.poll_timeout()
    }

    /// No more input will come: issues all that is held.
    pub fn finish(&mut self) {
        self.join.finish();
    }

    /// Uses every rule once, so that what they make at their first use is made: for hosts that store a finished engine.
    pub fn warm_up(&self) {
        self.join.warm_up();
    }

    /// The counters.
    pub fn stats(&self) -> &Stats {
        &self.join.stats
    }

    /// The filters that the mail log has named so far, at most 16 of them.
    pub fn filters(&self) -> impl Iterator<Item = &str> {
        self.join.filters()
    }

    /// The counters as a JSON object, and behind them, as `filters`, the filters that the mail log has named.
    pub fn stats_json(&self) -> String {
        #[derive(Serialize)]
        struct Report<'a> {
            #[serde(flatten)]
            stats: &'a Stats,
            filters: Vec<&'a str>,
        }
        let report = Report { stats: self.stats(), filters: self.filters().collect() };
        serde_json::to_string(&report).unwrap_or_default()
    }

    /// The whole state, for [`restore`](Engine::restore). What was not polled is in it.
    pub fn snapshot(&self) -> Vec<u8> {
        self.join.snapshot()
    }

    /// Goes on from a snapshot of the same version and configuration.
    pub fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError> {
        // What was learnt of beginnings names hosts by their places in the state before.
        let glance = self.glance.is_some().then(|| Glance::new(self.join.matcher()));
        self.join = Join::restored(self.join.config(), snapshot).map_err(RestoreError)?;
        self.glance = glance;
        Ok(())
    }
}

/// Why a snapshot was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreError(String);

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RestoreError {}

/// The mail line of a reading: with its own prefix, or bare, with what the record's other fields say. What is an entry by
/// its form is none, whichever program wrote it, unless the host knows better.
fn mail_line<'a>(
    reading: &'a Reading<'_>,
    source: Source,
    is_entry: bool,
    host_from: HostFrom,
) -> Option<MailLine<'a>> {
    let mut line = match MailLine::parse(&reading.line) {
        Some(line) => line,
        None if is_entry => return None,
        None if reading.program.is_none()
            && let Some(line) = MailLine::without_time(&reading.line) =>
        {
            // The first word may be something else that a parser has left, where it took the host out.
            MailLine { host: if reading.host.is_some() { b"" } else { line.host }, ..line }
        }
        None if source == Source::Mail || reading.program.is_some() => MailLine::of_text(&reading.line),
        None => return None,
    };
    if line.host.is_empty() || host_from == HostFrom::Record && reading.host.is_some() {
        line.host = reading.host.as_deref().unwrap_or_default();
    }
    if line.program.is_empty() {
        line.program = reading.program.as_deref().unwrap_or_default();
    }
    line.pid = line.pid.or(reading.pid);
    line.time = line.time.or(reading.time);
    Some(line)
}
