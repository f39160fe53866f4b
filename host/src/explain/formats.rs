//! The formats for programs: `ndjson`, `json` and `csv`.

use std::io::Write;

use abort_reason::Config;

use super::Latest;
use crate::failure::Result;
use crate::output::Output;
use crate::text::visible_json;

/// One record a line, or all in one array. The bytes are the engine's, in the words of the profile; only for a terminal are
/// the characters that could do something to it written as escapes, which leaves the value as it is.
pub(super) fn write_json(latest: &mut Latest, out: &mut Output, array: bool, config: &Config) -> Result<()> {
    let terminal = out.is_terminal();
    let (open, between, close) = if array { ("[\n", ",\n", "\n]\n") } else { ("", "\n", "\n") };
    let mut write = |bytes: &[u8]| out.write_all(bytes).map_err(|error| out.failure(&error));
    let mut first = true;
    while let Some(record) = latest.next_record()? {
        write(if first { open } else { between }.as_bytes())?;
        first = false;
        let record = config.in_profile(record.to_vec());
        match std::str::from_utf8(&record) {
            Ok(text) if terminal => write(visible_json(text).as_bytes())?,
            _ => write(&record)?,
        }
    }
    match (first, array) {
        (false, _) => write(close.as_bytes()),
        (true, true) => write(b"[]\n"),
        (true, false) => Ok(()),
    }
}

/// Flat columns for a spreadsheet.
pub(super) fn write_csv(latest: &mut Latest, out: &mut Output) -> Result<()> {
    let written = abort_reason_explain::write_csv(latest, &mut *out)?;
    written.map_err(|error| out.failure(&error))
}
