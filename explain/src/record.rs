//! The `abort` object of an issued record, as it is shown and counted. The records themselves are never rebuilt from it:
//! `ndjson` and `json` give the engine's bytes.

use abort_reason::reasons::{Class, Fault, Stage, Timeout};
use abort_reason::{Kind, Outcome, Status, WhyNot};
use serde::Deserialize;

/// The host alone.
#[derive(Debug, Deserialize)]
struct Host {
    host: Option<String>,
}

/// The object, without its evidence. Its fields are those of docs/record.md.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Abort {
    pub id: String,
    pub kind: Kind,
    pub queue_id: String,
    pub host: Option<String>,
    pub time: Option<String>,
    pub from: Option<String>,
    #[serde(default)]
    pub to: Vec<String>,
    pub relay: Option<String>,
    pub processing_secs: Option<serde_json::Number>,
    pub status: Status,
    pub class: Class,
    pub fault: Fault,
    pub ignorable: Option<bool>,
    pub reason: Option<String>,
    pub filter: Option<String>,
    pub own_filter: Option<bool>,
    pub stage: Option<Stage>,
    pub timeout: Option<Timeout>,
    pub outcome: Outcome,
    pub advice: Option<Advice>,
    pub why_not: Option<WhyNot>,
    pub revision: u32,
}

/// What to do.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct Advice {
    pub text: String,
}

/// A record that carries the object, or not.
#[derive(Debug, Deserialize)]
struct Record<T> {
    abort: Option<T>,
}

/// The host of a record, if it names one.
pub(crate) fn host(record: &[u8]) -> Option<String> {
    serde_json::from_slice::<Record<Host>>(record).ok()?.abort?.host
}

/// The object of a record.
pub fn abort(record: &[u8]) -> Option<Abort> {
    serde_json::from_slice::<Record<Abort>>(record).ok()?.abort
}
