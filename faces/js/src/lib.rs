//! abort-reason for JavaScript: the core's [`Engine`](abort_reason::Engine) through wasm-bindgen, call by call.
//!
//! There is no logic here but that of crossing over: records go in, and come out, many at a time in one buffer, a line
//! each, since every crossing has its price. The comments are those of the TypeScript types.

// Nothing that a record can reach is taken for granted.
#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::unreachable, clippy::todo)
)]
// wasm-bindgen's own code, and what it wants of the signatures.
#![allow(clippy::float_cmp, clippy::needless_pass_by_value)]

use abort_reason::{Config, Input};
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

/// Which log a record belongs to.
#[wasm_bindgen]
#[derive(Clone, Copy)]
pub enum Source {
    /// Tell it by the record's content.
    Auto,
    /// sendmail's log.
    Mail,
    /// PureMessage's `message_log`.
    MessageLog,
}

/// What the lines of a buffer are.
#[wasm_bindgen]
#[derive(Clone, Copy)]
pub enum Form {
    /// JSON objects that hold the log line in a field, as log shippers have them.
    Record,
    /// Bare lines of a log.
    Line,
}

/// Bits of what becomes of a record that was pushed; both, one or none may be set.
#[wasm_bindgen]
#[derive(Clone, Copy)]
pub enum Disposition {
    /// Pass it on, unchanged, now.
    Forward = 1,
    /// The engine needs it until it gives its ticket back.
    Keep = 2,
}

/// Gives abort records their reasons. It has no clock: all times are those that you give it, in milliseconds since an
/// epoch of your choice, and must not go back.
#[wasm_bindgen]
pub struct Engine(abort_reason::Engine);

#[wasm_bindgen]
impl Engine {
    /// An engine with a configuration: a JSON object as text; nothing means the defaults. Throws an `Error` that names the
    /// key that is wrong, its value, and what is allowed.
    #[wasm_bindgen(constructor)]
    pub fn new(config: Option<String>) -> Result<Engine, JsError> {
        let config = Config::from_json(config.as_deref().unwrap_or_default())?;
        Ok(Engine(abort_reason::Engine::new(&config)))
    }

    /// Takes records in the order in which they came: lines in UTF-8, divided by LF, in one buffer. The first one has the
    /// ticket `ticket`, the next one `ticket + 1`, and so on; with 0 none has one. Gives a byte of `Disposition` for each.
    pub fn push(&mut self, source: Source, form: Form, data: &[u8], ticket: f64, now_ms: f64) -> Vec<u8> {
        let mut ticket = ticket as u64;
        let mut dispositions = Vec::new();
        let mut start = 0;
        while start < data.len() {
            let end = memchr::memchr(b'\n', &data[start..]).map_or(data.len(), |at| start + at);
            let line = &data[start..end];
            let input = match form {
                Form::Record => Input::Record(line),
                Form::Line => Input::Line(line.strip_suffix(b"\r").unwrap_or(line)),
            };
            let disposition = self.0.push(core_source(source), input, ticket, now_ms as u64);
            dispositions.push(u8::from(disposition.forward) | u8::from(disposition.keep) << 1);
            ticket += u64::from(ticket > 0);
            start = end + 1;
        }
        dispositions
    }

    /// Lets time pass without a record.
    pub fn advance(&mut self, now_ms: f64) {
        self.0.advance(now_ms as u64);
    }

    /// Takes what waits, at most `max` records.
    pub fn poll(&mut self, max: u32) -> Batch {
        let abort_reason::Batch { outputs, released, more } = self.0.poll_batch(max as usize);
        let mut data = Vec::with_capacity(outputs.iter().map(|output| output.data.len() + 1).sum());
        for output in &outputs {
            data.extend_from_slice(&output.data);
            data.push(b'\n');
        }
        let tickets = outputs.iter().map(|output| output.ticket as f64).collect();
        Batch { data, tickets, released: released.into_iter().map(|ticket| ticket as f64).collect(), more }
    }

    /// The time at which `advance` should be called at the latest; `undefined` if nothing waits for time.
    #[wasm_bindgen(js_name = pollTimeout)]
    pub fn poll_timeout(&self) -> Option<f64> {
        self.0.poll_timeout().map(|at| at as f64)
    }

    /// No more records will come: issues all that is held. `poll` until `more` is false.
    pub fn finish(&mut self) {
        self.0.finish();
    }

    /// The counters: a JSON object as text.
    pub fn stats(&self) -> String {
        self.0.stats_json()
    }

    /// The whole state, for `restore`. What was not polled is in it.
    pub fn snapshot(&self) -> Vec<u8> {
        self.0.snapshot()
    }

    /// Goes on from a snapshot of the same version and configuration; throws an `Error` if it is of another.
    pub fn restore(&mut self, snapshot: &[u8]) -> Result<(), JsError> {
        Ok(self.0.restore(snapshot)?)
    }
}

/// What waited in an engine.
#[wasm_bindgen]
pub struct Batch {
    data: Vec<u8>,
    tickets: Vec<f64>,
    released: Vec<f64>,
    more: bool,
}

#[wasm_bindgen]
impl Batch {
    /// The records, JSON objects in UTF-8, each ended by LF. They can be taken once.
    #[wasm_bindgen(js_name = takeData)]
    pub fn take_data(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.data)
    }

    /// For each record the ticket of the one that it replaces or repeats; 0 for a record of the engine's own.
    #[wasm_bindgen(getter)]
    pub fn tickets(&self) -> Vec<f64> {
        self.tickets.clone()
    }

    /// Tickets that the engine gives back, each once, at the latest with the record that ends the need for it.
    #[wasm_bindgen(getter)]
    pub fn released(&self) -> Vec<f64> {
        self.released.clone()
    }

    /// Whether more waits.
    #[wasm_bindgen(getter)]
    pub fn more(&self) -> bool {
        self.more
    }
}

/// The log's name, in the core's word.
fn core_source(source: Source) -> abort_reason::Source {
    match source {
        Source::Auto => abort_reason::Source::Auto,
        Source::Mail => abort_reason::Source::Mail,
        Source::MessageLog => abort_reason::Source::MessageLog,
    }
}
