//! The dead-letter file: events that nobody takes, each with its cause, a JSON object a line.
//!
//! `event` is the event in Vector's protocol (`event.EventWrapper`) in Base64, so that nothing of it is lost; `log` is
//! the same for people, where it is a log. The file is opened for each write: it may be moved away at any time.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::json;

use super::wire;
use crate::failure::{Exit, Failure, Result};

/// Where dead letters go.
#[derive(Debug, Clone)]
pub(super) struct DeadLetters {
    path: PathBuf,
}

impl DeadLetters {
    /// Sees that the file can be written.
    pub(super) fn open(path: PathBuf) -> Result<DeadLetters> {
        let letters = DeadLetters { path };
        letters.file().map(|_| letters.clone()).map_err(|error| {
            Failure::new(Exit::CantCreate, format!("cannot write to {}: {error}", letters.path.display()))
                .hint("Check `dead_letter_file` and the permissions of its folder.")
        })
    }

    fn file(&self) -> io::Result<File> {
        OpenOptions::new().create(true).append(true).open(&self.path)
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
        append(&mut self.file()?, &text)
    }
}

/// Appends all or nothing, and syncs.
pub(super) fn append(file: &mut File, lines: &[u8]) -> io::Result<()> {
    let end = file.seek(io::SeekFrom::End(0))?;
    let mut written = 0;
    let mut write = || -> io::Result<()> {
        while written < lines.len() {
            match file.write(&lines[written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        file.sync_data()
    };
    let done = write();
    if done.is_err() && file.metadata().is_ok_and(|metadata| metadata.len() == end + written as u64) {
        // A half line would spoil the next one. Where even that fails, the write is tried again all the same.
        let _ = file.set_len(end);
    }
    done
}
