//! Log files in, the last word on every abort out: what `abort-reason explain` and the page in a browser share.
//!
//! It opens nothing itself: a [`Log`] says how it is opened. Logs are unpacked, cut into lines, put in order of time while
//! they are read, and pushed into the engine; what it issues is kept aside until it can issue no more.

// Nothing that a record can reach is taken for granted.
#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::unreachable, clippy::todo)
)]

use abort_reason::{Config, Engine, Input, Profile, Source};

pub mod advise;
mod ahead;
mod blocks;
mod clock;
mod csv;
mod filters;
mod issued;
mod lines;
mod log;
mod merge;
mod probe;
pub mod record;
mod rotation;
pub mod text;
mod trouble;
mod unpack;

pub use blocks::Blocks;
pub use csv::write_csv;
pub use filters::doubt;
pub use issued::{Latest, Spool};
pub use lines::{LONGEST_LINE, LineReader};
pub use log::{Bytes, Log};
pub use merge::Counts;
pub use trouble::{Result, Trouble, What};

/// Looks at the beginning of a log that is to be followed, and fails where it is packed, the other log, or none; `warn` is told
/// what looks strange.
pub fn look_at(log: Log, warn: &mut dyn FnMut(&str)) -> Result<()> {
    if unpack::is_packed(&log)? {
        return Err(Trouble::log(What::Data, format!("{} is packed, so nothing is added to it", log.name))
            .hint("Name the file that is being written."));
    }
    probe::Probed::new(log, &unpack::BytesRead::default(), warn).map(drop)
}

/// The host's clock stands still: no time passes between lines that were written long ago. Aborts wait for the mail log
/// to pass them, or for its end.
const NOW: u64 = 0;

/// Fewer aborts may well all be without a reason.
const FEW: u64 = 5;

/// Reads logs, and finds out why aborts were aborted.
pub struct Explanation<S: Spool> {
    engine: Engine,
    merge: merge::Merge,
    issued: issued::Issued<S>,
    filter_names: Vec<String>,
}

impl<S: Spool> Explanation<S> {
    /// Looks at every log, and fails if one can't be used. `spool` keeps the records, some 1.5 KB for each abort; `warn` is
    /// told what looks strange.
    pub fn new(config: &Config, logs: Vec<Log>, spool: S, warn: &mut dyn FnMut(&str)) -> Result<Explanation<S>> {
        let merge = merge::Merge::new(logs, warn)?;
        // A profile is for those who read the records, not for what is made of them here.
        let mut native = config.clone();
        native.profile = Profile::Native;
        let (engine, issued) = (Engine::new(&native), issued::Issued::new(spool));
        Ok(Explanation { engine, merge, issued, filter_names: config.filter_names.clone() })
    }

    /// Reads at most so many lines, and lets an advisor see those of `message_log`; false when all are read.
    pub fn step(&mut self, lines: u32, mut advisor: Option<&mut advise::Advisor>) -> Result<bool> {
        for _ in 0..lines {
            if !self.merge.advance()? {
                self.engine.finish();
                self.take()?;
                return Ok(false);
            }
            let (source, line) = (self.merge.source(), self.merge.line());
            if let Some(advisor) = advisor.as_mut().filter(|_| source == Source::MessageLog) {
                advisor.line(line);
            }
            self.engine.push(source, Input::Line(line), 0, NOW);
            self.take()?;
        }
        Ok(true)
    }

    fn take(&mut self) -> Result<()> {
        while let Some(output) = self.engine.poll() {
            self.issued.push(&output)?;
        }
        while self.engine.poll_released().is_some() {}
        Ok(())
    }

    /// Bytes read so far, as they lie on the disk.
    pub fn bytes_read(&self) -> u64 {
        self.merge.bytes_read()
    }

    /// Lines read so far.
    pub fn counts(&self) -> Counts {
        self.merge.counts()
    }

    /// What looks strange, when all is read.
    pub fn warnings(&self) -> Vec<String> {
        let stats = self.engine.stats();
        let nothing = if self.counts().message_log == 0 {
            Some("no entry of message_log was read: there is nothing to explain.".to_owned())
        } else if stats.aborts >= FEW && stats.explained + stats.inferred == 0 {
            Some(format!(
                "no reason was found for any of {}: is the mail log of the same host and the same time, and sendmail's LogLevel \
                 at least 9?",
                text::many(stats.aborts, "abort", "aborts")
            ))
        } else {
            None
        };
        self.doubt().into_iter().chain(nothing).collect()
    }

    fn doubt(&self) -> Option<String> {
        doubt(&self.filter_names, self.engine.filters())
    }

    /// Tells an advisor, when all is read, what stands in no record.
    pub fn tell(&self, advisor: &mut advise::Advisor) {
        // Of several filters, nobody knows which one is meant.
        let is_sure = !self.filter_names.is_empty() || self.engine.filters().count() < 2;
        advisor.unreachable(self.engine.stats().filter_unreachable, is_sure);
        // Of several without a name it tells by itself.
        self.doubt().filter(|_| !self.filter_names.is_empty()).into_iter().for_each(|doubt| advisor.doubt(doubt));
    }

    /// The last revision of every abort, in the order in which they were issued. What was not read is left out.
    pub fn into_latest(mut self) -> Result<Latest<S>> {
        self.engine.finish();
        self.take()?;
        self.issued.into_latest()
    }
}
