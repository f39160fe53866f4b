//! The `abort` object of an issued record, as the table and the CSV show it. The records themselves are never rebuilt
//! from it: `ndjson` and `json` give the engine's bytes.

use serde::Deserialize;

/// What tells the revisions of one abort apart, and little else: read from every record that is issued.
#[derive(Debug, Deserialize)]
pub(super) struct Head {
    /// 32 hexadecimal digits.
    pub(super) id: String,
    pub(super) host: Option<String>,
    pub(super) revision: u32,
}

/// The object, without its evidence.
#[derive(Debug, Deserialize)]
pub(super) struct Abort {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) queue_id: String,
    pub(super) host: Option<String>,
    pub(super) time: Option<String>,
    pub(super) from: Option<String>,
    #[serde(default)]
    pub(super) to: Vec<String>,
    pub(super) relay: Option<String>,
    pub(super) processing_secs: Option<serde_json::Number>,
    pub(super) status: String,
    pub(super) class: String,
    pub(super) fault: String,
    pub(super) ignorable: Option<bool>,
    pub(super) reason: Option<String>,
    pub(super) filter: Option<String>,
    pub(super) own_filter: Option<bool>,
    pub(super) stage: Option<String>,
    pub(super) timeout: Option<String>,
    pub(super) outcome: String,
    pub(super) advice: Option<Advice>,
    pub(super) why_not: Option<String>,
    pub(super) revision: u32,
}

/// What to do.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Advice {
    pub(super) text: String,
}

/// A record that carries the object, or not.
#[derive(Debug, Deserialize)]
struct Record<T> {
    abort: Option<T>,
}

/// The head of a record; `None` if it carries no reason.
pub(super) fn head(record: &[u8]) -> Option<Head> {
    serde_json::from_slice::<Record<Head>>(record).ok()?.abort
}

/// The object of a record.
pub(super) fn abort(record: &[u8]) -> Option<Abort> {
    serde_json::from_slice::<Record<Abort>>(record).ok()?.abort
}
