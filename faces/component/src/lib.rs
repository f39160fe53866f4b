//! The component `abort_reason.component.wasm`: the world `transform` of `wit/world.wit`, translated to the core's
//! [`Engine`] call by call.
//!
//! There is no logic here: what a record means, what is held and what is counted is the core's affair. The finished
//! component imports nothing, so that it runs in any host of the component model, and can do nothing but compute.
//!
//! One instance holds one engine. The host never lets two calls overlap, as the component model demands.

// Nothing that a record can reach is taken for granted.
#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::unreachable, clippy::todo)
)]

use std::cell::RefCell;

use abort_reason::{Config, Engine, Input, Source};
use memchr::memchr;

use bindings::abort_reason::transform::types;
use bindings::{Batch, Disposition, Event, Guest};

mod bindings;

thread_local! {
    /// The instance's engine; with the default configuration for a host that forgets `init`.
    static ENGINE: RefCell<Engine> = RefCell::new(Engine::new(&Config::default()));
}

/// The implementation of the world.
struct Transform;

impl Guest for Transform {
    fn init(config: String) -> Result<(), String> {
        let config = Config::from_json(&config).map_err(|error| error.to_string())?;
        ENGINE.set(Engine::new(&config));
        Ok(())
    }

    fn push(events: Vec<Event>, now_ms: u64) -> Vec<Disposition> {
        ENGINE.with_borrow_mut(|engine| {
            events
                .iter()
                .map(|event| engine.push(source(event.source), Input::Record(&event.data), event.ticket, now_ms))
                .map(disposition)
                .collect()
        })
    }

    fn push_lines(lines: Vec<u8>, first_ticket: u64, now_ms: u64) -> Vec<Disposition> {
        let mut rest = lines.as_slice();
        let mut ticket = first_ticket;
        let mut dispositions = Vec::new();
        ENGINE.with_borrow_mut(|engine| {
            while !rest.is_empty() {
                let (line, behind) = rest.split_at(memchr(b'\n', rest).unwrap_or(rest.len()));
                rest = behind.get(1..).unwrap_or_default();
                let pushed = engine.push(Source::Auto, Input::Record(line.trim_ascii()), ticket, now_ms);
                dispositions.push(disposition(pushed));
                ticket += u64::from(ticket > 0);
            }
        });
        dispositions
    }

    fn advance(now_ms: u64) {
        ENGINE.with_borrow_mut(|engine| engine.advance(now_ms));
    }

    fn poll(max: u32) -> Batch {
        let batch = ENGINE.with_borrow_mut(|engine| engine.poll_batch(max as usize));
        let outputs = batch.outputs.into_iter().map(output).collect();
        Batch { outputs, released: batch.released, more: batch.more }
    }

    fn poll_timeout() -> Option<u64> {
        ENGINE.with_borrow(Engine::poll_timeout)
    }

    fn finish() {
        ENGINE.with_borrow_mut(Engine::finish);
    }

    fn stats() -> String {
        ENGINE.with_borrow(Engine::stats_json)
    }

    fn snapshot() -> Vec<u8> {
        ENGINE.with_borrow(Engine::snapshot)
    }

    fn restore(snapshot: Vec<u8>) -> Result<(), String> {
        ENGINE.with_borrow_mut(|engine| engine.restore(&snapshot).map_err(|error| error.to_string()))
    }
}

/// The world's word for a record's log, in the core's.
fn source(source: types::Source) -> Source {
    match source {
        types::Source::Auto => Source::Auto,
        types::Source::Mail => Source::Mail,
        types::Source::MessageLog => Source::MessageLog,
    }
}

/// The core's answer to a record, in the world's flags.
fn disposition(disposition: abort_reason::Disposition) -> Disposition {
    let forward = if disposition.forward { Disposition::FORWARD } else { Disposition::empty() };
    let keep = if disposition.keep { Disposition::KEEP } else { Disposition::empty() };
    forward | keep
}

/// A record that the core issues, in the world's.
fn output(output: abort_reason::Output) -> types::Output {
    types::Output { data: output.data, ticket: output.ticket, behind: output.behind }
}
