//! The native engine as a face: what every other face is compared with, and the place where its promises are checked.

use std::collections::{BTreeMap, BTreeSet};

use abort_reason::{Config, Engine, Input, Source};

/// One record on its way, and what happens before it.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// The record, a JSON object.
    pub record: &'a str,
    /// Milliseconds by the host's clock since the record before.
    pub pause: u16,
    /// How the engine was stopped and made again, if it was.
    pub restart: Restart,
}

/// How an engine is stopped and made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// It goes on.
    None,
    /// Another one goes on from its snapshot.
    Snapshot,
    /// Another one is given what it kept, by the tickets.
    Tickets,
}

/// What a face made of the steps: what left it, in order. Records that were passed on are not in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Records issued, each with the number of the step behind which it stands.
    pub issued: Vec<(usize, String)>,
    /// For each step, whether its record was passed on unchanged.
    pub passed: Vec<bool>,
    /// How many lines were told at a glance.
    pub unread: u64,
}

/// Runs steps through engines, and checks what holds at each of them: tickets come back once and none is left, memory is
/// bounded, what leaves is a JSON object.
pub fn run(config: &Config, steps: &[Step<'_>]) -> Result<Run, String> {
    let mut host = Host { engine: Engine::new(config), kept: BTreeMap::new(), now: 0, run: Run::default() };
    let most = (config.limits.join_bytes + config.limits.passed_bytes) as u64;
    for (number, step) in steps.iter().enumerate() {
        host.restart(config, step.restart)?;
        host.now += u64::from(step.pause);
        let ticket = number as u64 + 1;
        let disposition = host.engine.push(Source::Auto, Input::Record(step.record.as_bytes()), ticket, host.now);
        if disposition.keep {
            host.kept.insert(ticket, (step.record, disposition.forward));
        }
        host.run.passed.push(disposition.forward);
        host.take()?;
        let stats = host.engine.stats();
        if stats.bytes > most {
            return Err(format!("{} bytes of {most}", stats.bytes));
        }
        if host.engine.poll_timeout().is_some_and(|due| due < host.now) {
            return Err("a wait that is over and goes on".to_owned());
        }
    }
    host.engine.finish();
    host.take()?;
    host.run.unread = host.engine.stats().unread;
    if let Some(ticket) = host.kept.keys().next() {
        return Err(format!("ticket {ticket} never came back"));
    }
    Ok(host.run)
}

struct Host<'a> {
    engine: Engine,
    /// Records that the engine keeps, and whether they have left.
    kept: BTreeMap<u64, (&'a str, bool)>,
    now: u64,
    run: Run,
}

impl Host<'_> {
    fn take(&mut self) -> Result<(), String> {
        while let Some(output) = self.engine.poll() {
            let record = String::from_utf8(output.data).map_err(|error| error.to_string())?;
            if !serde_json::from_str::<serde_json::Value>(&record).is_ok_and(|value| value.is_object()) {
                return Err(format!("no record: {record}"));
            }
            match self.kept.get_mut(&output.ticket) {
                Some((_, left)) => *left = true,
                None if output.ticket != 0 => return Err(format!("whose ticket is {}?", output.ticket)),
                None => {}
            }
            self.run.issued.push((output.behind as usize, record));
        }
        while let Some(ticket) = self.engine.poll_released() {
            if self.kept.remove(&ticket).is_none() {
                return Err(format!("ticket {ticket} came back and was not kept"));
            }
        }
        Ok(())
    }

    fn restart(&mut self, config: &Config, how: Restart) -> Result<(), String> {
        match how {
            Restart::None => return Ok(()),
            Restart::Snapshot => {
                let snapshot = self.engine.snapshot();
                self.engine = Engine::new(config);
                self.engine.restore(&snapshot).map_err(|error| error.to_string())?;
                if self.engine.snapshot() != snapshot {
                    return Err("what came back is not what was stored".to_owned());
                }
            }
            Restart::Tickets => {
                self.engine = Engine::new(config);
                let mut again = BTreeSet::new();
                for (ticket, (record, left)) in &mut self.kept {
                    let disposition =
                        self.engine.push(Source::Auto, Input::Record(record.as_bytes()), *ticket, self.now);
                    *left |= disposition.forward;
                    if disposition.keep {
                        again.insert(*ticket);
                    }
                }
                self.kept.retain(|ticket, _| again.contains(ticket));
                self.take()?;
            }
        }
        Ok(())
    }
}
