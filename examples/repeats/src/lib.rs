//! A transform for the bridge, small enough to copy: a record whose `message` repeats the one before is held back, and
//! leaves as one record with a number, `repeated`, when another comes or ten seconds have passed.
//!
//! It shows what a stateful transform does with its host: it *forwards* what it does not change, *keeps* what it holds
//! back, by its ticket, gives the ticket back with the record that ends the wait, and says by when it wants to be called.
//! The host writes what is kept to disk, so that nothing here needs to.

use std::cell::RefCell;

use serde_json::{Map, Value};

mod bindings;

use bindings::abort_reason::transform::types::{Output, Source};
use bindings::{Batch, Disposition, Event, Guest};

/// Milliseconds that a repetition waits.
const WAIT_MS: u64 = 10_000;

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// All that is known.
#[derive(Default)]
struct State {
    /// The message of the record before.
    last: Option<String>,
    /// What is held back.
    held: Option<Held>,
    /// The ticket of the event that came last.
    pushed: u64,
    outputs: Vec<Output>,
    released: Vec<u64>,
}

/// Repetitions of one record: the first stands for all.
struct Held {
    record: Map<String, Value>,
    ticket: u64,
    times: u64,
    until_ms: u64,
}

impl State {
    fn push(&mut self, event: &Event, now_ms: u64) -> Disposition {
        self.advance(now_ms);
        let disposition = self.take(event, now_ms);
        // What this event ended stands before it.
        self.pushed = event.ticket;
        disposition
    }

    fn take(&mut self, event: &Event, now_ms: u64) -> Disposition {
        let Ok(record) = serde_json::from_slice::<Map<String, Value>>(&event.data) else { return Disposition::FORWARD };
        let Some(message) = record.get("message").and_then(Value::as_str).map(str::to_owned) else {
            return Disposition::FORWARD;
        };
        if self.last.as_ref() != Some(&message) {
            self.issue();
            self.last = Some(message);
            return Disposition::FORWARD;
        }
        if let Some(held) = &mut self.held {
            held.times += 1;
            // It is counted, and that is all that is left of it: neither forwarded nor kept.
            return Disposition::empty();
        }
        self.held = Some(Held { record, ticket: event.ticket, times: 1, until_ms: now_ms + WAIT_MS });
        Disposition::KEEP
    }

    fn advance(&mut self, now_ms: u64) {
        if self.held.as_ref().is_some_and(|held| held.until_ms <= now_ms) {
            self.issue();
        }
    }

    fn issue(&mut self) {
        let Some(Held { mut record, ticket, times, .. }) = self.held.take() else { return };
        record.insert("repeated".to_owned(), times.into());
        self.outputs.push(Output { data: Value::Object(record).to_string().into_bytes(), ticket, behind: self.pushed });
        self.released.push(ticket);
    }
}

/// The world's calls.
struct Transform;

impl Guest for Transform {
    fn init(config: String) -> Result<(), String> {
        match config.as_str() {
            "" | "{}" => Ok(()),
            _ => Err("this transform has nothing to configure".to_owned()),
        }
    }

    fn push(events: Vec<Event>, now_ms: u64) -> Vec<Disposition> {
        STATE.with_borrow_mut(|state| events.iter().map(|event| state.push(event, now_ms)).collect())
    }

    fn push_lines(lines: Vec<u8>, first_ticket: u64, now_ms: u64) -> Vec<Disposition> {
        let lines = lines.strip_suffix(b"\n").unwrap_or(&lines).split(|byte| *byte == b'\n');
        let tickets = (0..).map(|at| if first_ticket == 0 { 0 } else { first_ticket + at });
        let events =
            lines.zip(tickets).map(|(line, ticket)| Event { source: Source::Auto, ticket, data: line.to_vec() });
        Transform::push(events.collect(), now_ms)
    }

    fn advance(now_ms: u64) {
        STATE.with_borrow_mut(|state| state.advance(now_ms));
    }

    fn poll(_max: u32) -> Batch {
        STATE.with_borrow_mut(|state| Batch {
            outputs: std::mem::take(&mut state.outputs),
            released: std::mem::take(&mut state.released),
            more: false,
        })
    }

    fn poll_timeout() -> Option<u64> {
        STATE.with_borrow(|state| state.held.as_ref().map(|held| held.until_ms))
    }

    fn finish() {
        STATE.with_borrow_mut(State::issue);
    }

    fn stats() -> String {
        STATE.with_borrow(|state| format!("{{\"held\":{}}}", state.held.as_ref().map_or(0, |held| held.times)))
    }

    fn snapshot() -> Vec<u8> {
        STATE.with_borrow(|state| {
            let held = state.held.as_ref().map(|held| (&held.record, held.ticket, held.times, held.until_ms));
            // Outputs need no place in it: a host takes them all before it asks.
            serde_json::json!({ "last": state.last, "held": held }).to_string().into_bytes()
        })
    }

    fn restore(snapshot: Vec<u8>) -> Result<(), String> {
        let value: Value = serde_json::from_slice(&snapshot).map_err(|error| error.to_string())?;
        let held: Option<(Map<String, Value>, u64, u64, u64)> =
            serde_json::from_value(value["held"].clone()).map_err(|error| error.to_string())?;
        let held = held.map(|(record, ticket, times, until_ms)| Held { record, ticket, times, until_ms });
        STATE.set(State { last: value["last"].as_str().map(str::to_owned), held, ..State::default() });
        Ok(())
    }
}
