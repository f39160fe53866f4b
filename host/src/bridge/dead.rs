//! The dead-letter file: events that nobody takes, each with its cause, a JSON object a line.
//!
//! `event` is the event in Vector's protocol (`event.EventWrapper`) in Base64, so that nothing of it is lost; `log` is
//! the same for people, where it is a log. The file is opened for each write: it may be moved away at any time.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::json;

use super::wire;

/// Where dead letters go.
#[derive(Debug, Clone)]
pub(super) struct DeadLetters {
    path: PathBuf,
}

impl DeadLetters {
    pub(super) fn new(path: PathBuf) -> DeadLetters {
        DeadLetters { path }
    }

    /// Appends events; they are on disk when this returns.
    pub(super) fn write<'e>(&self, letters: impl Iterator<Item = (&'e Bytes, &'e str)>) -> io::Result<()> {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut text = Vec::new();
        for (event, cause) in letters {
            let log = wire::text(event).and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok());
            let letter =
                json!({ "unix_time": time, "cause": cause, "event": BASE64_STANDARD.encode(event), "log": log });
            text.extend(letter.to_string().into_bytes());
            text.push(b'\n');
        }
        if text.is_empty() {
            return Ok(());
        }
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        file.write_all(&text)?;
        file.sync_data()
    }
}
