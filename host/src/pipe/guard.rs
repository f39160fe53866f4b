//! Runs the component so that no line is lost, whatever it does.
//!
//! Every record goes in with a ticket. What the component keeps is kept here, too, until the ticket comes back: if the
//! component fails, a fresh one is given those records again, then the batch under way. If that fails again, the batch
//! passes unchanged. Of what has left already, the copies are bounded as well: a record may be far longer than its line.

use std::borrow::Cow;
use std::io::{self, Write};

use abort_reason_explain::LONGEST_LINE;
use serde::Serialize;

use super::input::Block;
use super::kept::{Kept, State};
use super::sink::Sink;
use crate::failure::say;
use crate::sandbox::{Component, Disposition, Event, Limits, Output, Sandbox, SandboxError, Source};

/// Outputs taken from the component at a time, and records given to it again after a failure.
const BATCH: usize = 1_000;

/// Calls that failed in a row, behind which the component is left alone for a while: everything passes meanwhile.
const PATIENCE: u32 = 4;
/// How long it is left alone: so many times the time that one call may take, which is what each try may cost, and at least
/// so many milliseconds.
const REST_CALLS: u64 = 10;
const REST_MS: u64 = 10_000;

/// Of the memory that the component may use, one part in so many may be copies of what it keeps and what has left already.
const COPIES: usize = 4;

/// The component, guarded.
pub(super) struct Guard {
    component: Component,
    config_json: String,
    limits: Limits,
    /// `None` while the component is left alone, or no instance can be had: everything passes then.
    sandbox: Option<Sandbox>,
    /// Failures without two batches in a row between them that went through without one.
    failed_in_a_row: u32,
    clean: bool,
    /// When a fresh one is tried.
    again_ms: u64,
    kept: Kept,
    last_ticket: u64,
    now_ms: u64,
    counts: Counts,
}

/// What happened on this side of the component.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Counts {
    /// Lines of the input, those that are no records among them.
    lines: u64,
    /// Lines, or parts of lines too long, that the component was never given: no JSON object.
    no_records: u64,
    /// Times that the component failed.
    failures: u64,
    /// Lines that passed unchanged because the component failed.
    passed_after_failure: u64,
}

type Attempt<T> = Result<T, SandboxError>;

impl Guard {
    /// Starts the component.
    pub(super) fn new(component: Component, config_json: String, limits: Limits) -> Attempt<Guard> {
        let sandbox = Some(component.instantiate(&config_json, limits)?);
        Ok(Guard {
            component,
            config_json,
            limits,
            sandbox,
            failed_in_a_row: 0,
            clean: true,
            again_ms: 0,
            kept: Kept::new(limits.memory_bytes / COPIES),
            last_ticket: 0,
            now_ms: 0,
            counts: Counts::default(),
        })
    }

    /// Sends a stretch of the input through the component.
    pub(super) fn push(&mut self, block: &Block, now_ms: u64, out: &mut Sink<impl Write>) -> io::Result<()> {
        self.now_ms = now_ms;
        if self.sandbox.is_none() && now_ms >= self.again_ms {
            self.start_afresh();
        }
        let records = Records::of(block);
        let first_ticket = self.last_ticket + 1;
        self.last_ticket += records.count as u64;
        self.counts.lines += records.are.len() as u64;
        self.counts.no_records += (records.are.len() - records.count) as u64;
        let pushed = match records.count {
            0 => Some(Vec::new()),
            _ => self.attempt(out, |sandbox| sandbox.push_lines(&records.bytes, first_ticket, now_ms))?,
        };
        if pushed.is_some() {
            if self.clean {
                self.failed_in_a_row = 0;
            }
            self.clean = true;
        }
        let dispositions = pushed.unwrap_or_else(|| {
            self.counts.passed_after_failure += records.count as u64;
            vec![Disposition::FORWARD; records.count]
        });
        let mut answers = (first_ticket..).zip(dispositions);
        let answers: Vec<Option<(u64, Disposition)>> =
            records.are.iter().map(|is_record| if *is_record { answers.next() } else { None }).collect();
        for ((line, _), answer) in block.lines().zip(&answers) {
            if let Some((ticket, disposition)) = answer
                && disposition.contains(Disposition::KEEP)
            {
                let state = if disposition.contains(Disposition::FORWARD) { State::Forwarded } else { State::Owed };
                self.kept.add(*ticket, line, state);
            }
        }
        // Each output stands behind the event at which it was issued, however the input was cut into blocks.
        let mut outputs = self.take(out)?.into_iter().peekable();
        // What is forwarded in a row is written at once.
        let (mut from, mut to) = (0, 0);
        for ((_, end), answer) in block.lines().zip(&answers) {
            let forward = answer.is_none_or(|(_, disposition)| disposition.contains(Disposition::FORWARD));
            if !forward {
                out.pass(&block.bytes[from..to])?;
                from = end;
            }
            to = end;
            while let Some((ticket, _)) = answer
                && let Some(output) = outputs.next_if(|output| output.behind <= *ticket)
            {
                out.pass(&block.bytes[from..to])?;
                from = to;
                out.record(&output.data)?;
            }
        }
        out.pass(&block.bytes[from..to])?;
        outputs.try_for_each(|output| out.record(&output.data))
    }

    /// Lets time pass.
    pub(super) fn advance(&mut self, now_ms: u64, out: &mut Sink<impl Write>) -> io::Result<()> {
        self.now_ms = now_ms;
        self.attempt(out, |sandbox| sandbox.advance(now_ms))?;
        self.drain(out)
    }

    /// The time at which [`Guard::advance`] should be called at the latest.
    pub(super) fn poll_timeout(&mut self, out: &mut Sink<impl Write>) -> io::Result<Option<u64>> {
        Ok(self.attempt(out, Sandbox::poll_timeout)?.flatten())
    }

    /// The input has ended: all that is held leaves.
    pub(super) fn finish(&mut self, out: &mut Sink<impl Write>) -> io::Result<()> {
        self.attempt(out, Sandbox::finish)?;
        self.drain(out)?;
        self.give_up_kept(out)
    }

    /// The counters of both sides.
    pub(super) fn stats(&mut self) -> serde_json::Value {
        let component = self.sandbox.as_mut().and_then(|sandbox| sandbox.stats().ok());
        let component: serde_json::Value =
            component.and_then(|stats| serde_json::from_str(&stats).ok()).unwrap_or_default();
        serde_json::json!({ "component": component, "pipe": self.counts })
    }

    /// How often the component failed, and how many lines passed unchanged for it.
    pub(super) fn failures(&self) -> (u64, u64) {
        (self.counts.failures, self.counts.passed_after_failure)
    }

    /// Makes a call; if the component fails, once more with a fresh one. `None` if that fails, too, and where the call took
    /// too long: it would again.
    fn attempt<T>(
        &mut self,
        out: &mut Sink<impl Write>,
        call: impl Fn(&mut Sandbox) -> Attempt<T>,
    ) -> io::Result<Option<T>> {
        for _ in 0..2 {
            let Some(sandbox) = self.sandbox.as_mut() else { return Ok(None) };
            match call(sandbox) {
                Ok(result) => return Ok(Some(result)),
                Err(error) => {
                    self.recover(&error, out)?;
                    if matches!(error, SandboxError::TimedOut(_)) {
                        break;
                    }
                }
            }
        }
        Ok(None)
    }

    /// Writes all that waits in the component.
    fn drain(&mut self, out: &mut Sink<impl Write>) -> io::Result<()> {
        self.take(out)?.iter().try_for_each(|output| out.record(&output.data))
    }

    /// Takes all that waits from the component.
    fn take(&mut self, out: &mut Sink<impl Write>) -> io::Result<Vec<Output>> {
        let mut outputs = Vec::new();
        loop {
            // After a failure, what waited is held again by the fresh component, or has passed.
            let Some(batch) = self.attempt(out, |sandbox| sandbox.poll(BATCH as u32))? else { return Ok(outputs) };
            let empty = batch.outputs.is_empty() && batch.released.is_empty();
            for output in batch.outputs {
                self.kept.mark(output.ticket, State::Issued);
                outputs.push(output);
            }
            for ticket in batch.released {
                self.kept.remove(ticket);
            }
            if !batch.more || empty {
                return Ok(outputs);
            }
        }
    }

    /// Replaces a component that failed by a fresh one that knows what the old one kept.
    fn recover(&mut self, error: &SandboxError, out: &mut Sink<impl Write>) -> io::Result<()> {
        self.counts.failures += 1;
        if self.counts.failures == 1 {
            say(&format!("{error}; going on with a fresh one, and no line is lost\nLater failures are only counted."));
        }
        self.failed_in_a_row += 1;
        self.clean = false;
        if self.failed_in_a_row >= PATIENCE {
            let rest_ms = (self.limits.call_timeout.as_millis() as u64).saturating_mul(REST_CALLS).max(REST_MS);
            if self.failed_in_a_row == PATIENCE {
                let secs = rest_ms / 1_000;
                say(&format!(
                    "the component failed {PATIENCE} times in a row: everything passes unchanged, and a fresh one is tried \
                     every {secs} s"
                ));
            }
            self.sandbox = None;
            self.again_ms = self.now_ms.saturating_add(rest_ms);
            return self.give_up_kept(out);
        }
        if !self.start_afresh() {
            return self.give_up_kept(out);
        }
        if self.teach(out)?.is_err() {
            // What was kept is what it fails at.
            self.counts.failures += 1;
            self.give_up_kept(out)?;
            self.start_afresh();
        }
        Ok(())
    }

    /// Makes a fresh instance; false where none can be had.
    fn start_afresh(&mut self) -> bool {
        self.sandbox = match self.component.instantiate(&self.config_json, self.limits) {
            Ok(sandbox) => Some(sandbox),
            Err(error) => {
                self.counts.failures += 1;
                self.again_ms = self.now_ms.saturating_add(REST_MS);
                if self.counts.failures == 1 {
                    say(&format!("{error}; until one can be had, everything passes unchanged"));
                }
                None
            }
        };
        self.sandbox.is_some()
    }

    /// Gives a fresh component the records that the old one kept. What has left already does not leave again: not what
    /// was forwarded, and what was issued is not handed in.
    fn teach(&mut self, out: &mut Sink<impl Write>) -> io::Result<Attempt<()>> {
        for tickets in self.kept.unissued().chunks(BATCH) {
            let line = |ticket| self.kept.get(ticket).map_or(&b""[..], |kept| &kept.line);
            let event =
                |ticket: &u64| Event { source: Source::Auto, ticket: *ticket, data: trimmed(line(*ticket)).to_vec() };
            let events: Vec<Event> = tickets.iter().map(event).collect();
            let Some(sandbox) = self.sandbox.as_mut() else { return Ok(Ok(())) };
            let dispositions = match sandbox.push(&events, self.now_ms) {
                Ok(dispositions) => dispositions,
                Err(error) => return Ok(Err(error)),
            };
            for (ticket, disposition) in tickets.iter().zip(dispositions) {
                let Some(kept) = self.kept.get(*ticket) else { continue };
                if disposition.contains(Disposition::FORWARD) && kept.state == State::Owed {
                    out.pass(&kept.line)?;
                    self.kept.mark(*ticket, State::Forwarded);
                }
                if !disposition.contains(Disposition::KEEP) {
                    self.kept.remove(*ticket);
                }
            }
        }
        Ok(Ok(()))
    }

    /// Lets what is still owed pass unchanged, and forgets the rest.
    fn give_up_kept(&mut self, out: &mut Sink<impl Write>) -> io::Result<()> {
        for line in self.kept.give_up() {
            self.counts.passed_after_failure += 1;
            out.pass(&line)?;
        }
        Ok(())
    }
}

/// What of a block the component is given.
struct Records<'a> {
    /// Each on a line of its own.
    bytes: Cow<'a, [u8]>,
    /// Which of the block's lines they are.
    are: Vec<bool>,
    count: usize,
}

impl Records<'_> {
    fn of(block: &Block) -> Records<'_> {
        // Nearly always all is UTF-8, and told so at once.
        let is_utf8 = std::str::from_utf8(&block.bytes).is_ok();
        let is_record = |line: &[u8]| !block.is_part && is_record(line, is_utf8);
        let are: Vec<bool> = block.lines().map(|(line, _)| is_record(line)).collect();
        let count = are.iter().filter(|is_record| **is_record).count();
        let bytes = if count == are.len() {
            Cow::Borrowed(block.bytes.as_slice())
        } else {
            let records = block.lines().zip(&are).filter(|(_, is_record)| **is_record);
            records.flat_map(|((line, _), _)| [trimmed(line), b"\n"]).collect::<Vec<_>>().concat().into()
        };
        Records { bytes, are, count }
    }
}

/// Whether a line looks like a JSON object; the component takes a closer look.
fn is_record(line: &[u8], is_utf8: bool) -> bool {
    let data = trimmed(line);
    line.len() <= LONGEST_LINE
        && data.first() == Some(&b'{')
        && data.last() == Some(&b'}')
        && (is_utf8 || std::str::from_utf8(data).is_ok())
}

fn trimmed(line: &[u8]) -> &[u8] {
    line.trim_ascii()
}
