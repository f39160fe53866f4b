//! The records as a table for a spreadsheet.

use std::borrow::Cow;
use std::io::{self, Write};

use abort_reason::WhyNot;
use abort_reason::reasons::{Stage, Timeout};

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
    let answer = |is: Option<bool>| Cow::Borrowed(is.map_or("", |is| if is { "true" } else { "false" }));
    let word = |word: Option<&'static str>| Cow::Borrowed(word.unwrap_or_default());
    [
        Cow::Borrowed(&abort.id),
        Cow::Borrowed(abort.kind.as_str()),
        Cow::Borrowed(&abort.queue_id),
        text(&abort.host),
        text(&abort.time),
        text(&abort.from),
        Cow::Owned(abort.to.join(" ")),
        text(&abort.relay),
        Cow::Owned(abort.processing_secs.as_ref().map(ToString::to_string).unwrap_or_default()),
        Cow::Borrowed(abort.status.as_str()),
        Cow::Borrowed(abort.class.as_str()),
        Cow::Borrowed(abort.fault.as_str()),
        answer(abort.ignorable),
        text(&abort.reason),
        text(&abort.filter),
        answer(abort.own_filter),
        word(abort.stage.map(Stage::as_str)),
        word(abort.timeout.map(Timeout::as_str)),
        Cow::Borrowed(abort.outcome.as_str()),
        word(abort.why_not.map(WhyNot::as_str)),
        Cow::Owned(abort.revision.to_string()),
    ]
}
