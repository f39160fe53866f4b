//! `abort-reason pipe`: records on standard input, through the component, to standard output.
//!
//! Lines that the component forwards leave unchanged and in their order; records that it issues leave as they come.
//! Held aborts leave in time also while nothing comes in, and nothing waits in a buffer while the input is idle.

use std::io;
use std::time::{Duration, Instant};

use crate::cli;
use crate::component;
use crate::failure::{Exit, Failure, Result, say};
use crate::sandbox::{Component, Limits, SandboxError};
use crate::settings;
use guard::Guard;
use input::{Arrival, Input};
use sink::Sink;

mod guard;
mod input;
mod kept;
mod sink;

/// How often time is let pass, at most: a component that asks for more gets it later.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

/// Runs `abort-reason pipe`.
pub fn run(options: &cli::Pipe) -> Result<()> {
    let memory_bytes = options.memory_limit as usize * 1024 * 1024;
    let settings = settings::load(&options.settings, options.profile.as_deref())?.within(memory_bytes);
    let path = component::path(options.component.as_deref())?;
    let failed = |error: &SandboxError| component::unusable(&path, error);
    let component = Component::load_cached(&path, None).map_err(|error| failed(&error))?;
    let limits = Limits { memory_bytes, call_timeout: options.call_timeout };
    let mut guard = Guard::new(component, settings.json(), limits).map_err(|error| failed(&error))?;
    let input = Input::start().map_err(|error| reading(&error))?;
    let mut out = Sink::new(io::stdout().lock());
    let done = work(&mut guard, input, &mut out);
    let (failures, passed) = guard.failures();
    if failures > 0 {
        say(&format!("the component failed {failures} times; {passed} lines passed unchanged"));
    }
    let stats = guard.stats();
    let named = stats["component"]["filters"].as_array().into_iter().flatten().filter_map(|name| name.as_str());
    if let Some(warning) = abort_reason_explain::doubt(&settings.config.filter_names, named) {
        say(&warning);
    }
    if options.stats {
        say_stats(&stats.to_string());
    }
    done
}

/// Works until the input ends.
fn work(guard: &mut Guard, mut input: Input, out: &mut Sink<impl io::Write>) -> Result<()> {
    let writing = |error: io::Error| Failure::writing("standard output", &error);
    let began = Instant::now();
    let now_ms = || began.elapsed().as_millis() as u64;
    let end = loop {
        if !input.has_more() {
            out.flush().map_err(writing)?;
        }
        let due = guard.poll_timeout(out).map_err(writing)?;
        let wait = due.map(|due| Duration::from_millis(due.saturating_sub(now_ms())).max(SHORTEST_WAIT));
        match input.wait(wait) {
            Arrival::Block(block) => guard.push(&block, now_ms(), out).map_err(writing)?,
            Arrival::Nothing => guard.advance(now_ms(), out).map_err(writing)?,
            Arrival::End => break Ok(()),
            Arrival::Failed(error) => break Err(reading(&error)),
        }
    };
    guard.finish(out).map_err(writing)?;
    out.flush().map_err(writing)?;
    end
}

fn reading(error: &io::Error) -> Failure {
    Failure::new(Exit::Io, format!("cannot read standard input: {error}"))
}

/// The counters stand alone on their line, for a program to read.
fn say_stats(json: &str) {
    use io::Write;
    let _ = writeln!(io::stderr().lock(), "{json}");
}
