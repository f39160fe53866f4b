//! The records as a table for a spreadsheet.

use std::borrow::Cow;
use std::io::{self, Write};

use crate::issued::{Latest, Spool};
use crate::record::{self, Abort};
use crate::text::cell;
use crate::trouble::Result;

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
///
/// The outer failure is to read the records, the inner one to write the rows.
pub fn write_csv<S: Spool>(latest: &mut Latest<S>, out: impl Write) -> Result<io::Result<()>> {
    let mut rows = csv::Writer::from_writer(out);
    if let Err(error) = rows.write_record(COLUMNS) {
        return Ok(Err(error.into()));
    }
    while let Some(record) = latest.next_record()? {
        if let Some(abort) = record::abort(record)
            && let Err(error) = rows.write_record(cells(&abort).iter().map(|text| cell(text).into_owned()))
        {
            return Ok(Err(error.into()));
        }
    }
    Ok(rows.flush())
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
