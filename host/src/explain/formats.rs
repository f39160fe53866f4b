//! The formats for programs: `ndjson`, `json` and `csv`.

use std::borrow::Cow;
use std::io::{self, Write};

use super::issued::Latest;
use super::record::{self, Abort};
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::text::{cell, visible_json};

/// One record a line, or all in one array. The bytes are the engine's; only for a terminal are the characters that
/// could do something to it written as escapes, which leaves the value as it is.
pub(super) fn write_json(latest: &mut Latest, out: &mut Output, array: bool) -> Result<()> {
    let terminal = out.is_terminal();
    let (open, between, close) = if array { ("[\n", ",\n", "\n]\n") } else { ("", "\n", "\n") };
    let mut write = |bytes: &[u8]| out.write_all(bytes).map_err(|error| out.failure(&error));
    let mut first = true;
    while let Some(record) = latest.next()? {
        write(if first { open } else { between }.as_bytes())?;
        first = false;
        match std::str::from_utf8(record) {
            Ok(text) if terminal => write(visible_json(text).as_bytes())?,
            _ => write(record)?,
        }
    }
    match (first, array) {
        (false, _) => write(close.as_bytes()),
        (true, true) => write(b"[]\n"),
        (true, false) => Ok(()),
    }
}

const COLUMNS: [&str; 21] = [
    "id",
    "kind",
    "queue_id",
    "host",
    "time",
    "from",
    "to",
    "relay",
    "processing_secs",
    "status",
    "class",
    "fault",
    "ignorable",
    "reason",
    "filter",
    "own_filter",
    "stage",
    "timeout",
    "outcome",
    "why_not",
    "revision",
];

/// Flat columns for a spreadsheet. Several recipients stand in one cell, a blank between them; what is unknown is empty.
pub(super) fn write_csv(latest: &mut Latest, out: &mut Output) -> Result<()> {
    let name = out.name().to_owned();
    let failed = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(error) => Failure::writing(&name, &error),
        kind => Failure::writing(&name, &io::Error::other(format!("{kind:?}"))),
    };
    let mut rows = csv::Writer::from_writer(&mut *out);
    rows.write_record(COLUMNS).map_err(failed)?;
    while let Some(record) = latest.next()? {
        if let Some(abort) = record::abort(record) {
            rows.write_record(cells(&abort).iter().map(|text| cell(text).into_owned())).map_err(failed)?;
        }
    }
    rows.flush().map_err(|error| failed(error.into()))
}

/// A record in the order of [`COLUMNS`].
fn cells(abort: &Abort) -> [Cow<'_, str>; COLUMNS.len()] {
    let text = |text: &'_ Option<String>| Cow::Owned(text.clone().unwrap_or_default());
    let word = |word: Option<bool>| Cow::Borrowed(word.map_or("", |word| if word { "true" } else { "false" }));
    [
        Cow::Borrowed(&abort.id),
        Cow::Borrowed(&abort.kind),
        Cow::Borrowed(&abort.queue_id),
        text(&abort.host),
        text(&abort.time),
        text(&abort.from),
        Cow::Owned(abort.to.join(" ")),
        text(&abort.relay),
        Cow::Owned(abort.processing_secs.as_ref().map(ToString::to_string).unwrap_or_default()),
        Cow::Borrowed(&abort.status),
        Cow::Borrowed(&abort.class),
        Cow::Borrowed(&abort.fault),
        word(abort.ignorable),
        text(&abort.reason),
        text(&abort.filter),
        word(abort.own_filter),
        text(&abort.stage),
        text(&abort.timeout),
        Cow::Borrowed(&abort.outcome),
        text(&abort.why_not),
        Cow::Owned(abort.revision.to_string()),
    ]
}
