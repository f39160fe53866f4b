//! Looks at the beginning of a log file: when it starts, how its clock differs from UTC, whether it is the log that
//! the user says it is.

use std::io::{Cursor, Read};
use std::sync::Arc;

use abort_reason::{LineKind, Peek, Source, Watermark};

use crate::clock::Clock;
use crate::lines::LineReader;
use crate::log::Log;
use crate::trouble::{Result, Trouble, What};
use crate::unpack::{BytesRead, LogReader, open};

/// How much of a file is looked at: more than a thousand lines.
const PROBED_BYTES: u64 = 256 * 1024;
/// Lines with a queue id that are enough to know the clock.
const ENOUGH_LINES: usize = 50;

/// A file that has been looked at.
pub(crate) struct Probed {
    pub(crate) log: Log,
    /// The time in UTC of the first line that has one.
    pub(crate) start: Option<i64>,
    /// All its lines are of the second in which it starts.
    pub(crate) one_second: bool,
    /// The clock, as the beginning shows it.
    pub(crate) clock: Clock,
    /// What can't be opened a second time: standard input and pipes.
    kept: Option<LogReader>,
}

impl Probed {
    /// Looks at a file.
    pub(crate) fn new(log: Log, bytes_read: &BytesRead, warn: &mut dyn FnMut(&str)) -> Result<Probed> {
        let again = log.bytes.again();
        // What is read twice counts once.
        let counter = if again { BytesRead::default() } else { Arc::clone(bytes_read) };
        let mut reader = open(&log, &counter, !again)?;
        let mut beginning = Vec::new();
        reader
            .by_ref()
            .take(PROBED_BYTES)
            .read_to_end(&mut beginning)
            .map_err(|error| Trouble::unreadable(&log.name, &error))?;
        let seen = Seen::of(&beginning);
        let log = seen.judge(log, warn)?;
        let start = seen.start();
        let one_second = (beginning.len() as u64) < PROBED_BYTES && seen.one_second.is_some();
        let kept: Option<LogReader> = (!again).then(|| Box::new(Cursor::new(beginning).chain(reader)) as LogReader);
        Ok(Probed { log, start, one_second, clock: seen.clock, kept })
    }

    /// The whole text of the file.
    pub(crate) fn into_reader(self, bytes_read: &BytesRead) -> Result<LogReader> {
        match self.kept {
            Some(reader) => Ok(reader),
            None => open(&self.log, bytes_read, true),
        }
    }
}

/// What the beginning of a file holds.
#[derive(Default)]
struct Seen {
    lines: usize,
    mail: usize,
    message_log: usize,
    /// Those with a time, and how far these come.
    timed: Vec<Peek>,
    come: Watermark,
    clock: Clock,
    /// The second of all times looked at, as long as there is only one.
    one_second: Option<i64>,
    /// What its bytes look like, if not like text.
    strange: Option<&'static str>,
}

impl Seen {
    fn of(beginning: &[u8]) -> Seen {
        let mut seen = Seen { strange: strange(beginning), ..Seen::default() };
        let mut with_id = 0;
        let mut lines = LineReader::new(beginning);
        // Reading from memory never fails.
        while (with_id < ENOUGH_LINES || seen.one_second.is_some()) && lines.read().unwrap_or(false) {
            seen.lines += usize::from(!lines.line().is_empty());
            let Some(peek) = seen.clock.peek_in_full(lines.line()) else { continue };
            match peek.kind {
                LineKind::Mail => seen.mail += 1,
                LineKind::MessageLog => seen.message_log += 1,
            }
            with_id += usize::from(peek.id_time.is_some());
            if let Some(time) = peek.time {
                seen.come.see(time);
                let second = time.div_euclid(1_000);
                let first = seen.timed.is_empty();
                seen.one_second = Some(second).filter(|second| first || seen.one_second == Some(*second));
                seen.timed.push(peek);
            }
        }
        seen.clock.settle();
        seen
    }

    /// When the file starts: what stands before the first line with a time is not far from it. A first line whose time is
    /// behind that of those that follow is forged.
    fn start(&self) -> Option<i64> {
        let latest = self.come.latest();
        let first = self.timed.iter().find(|peek| peek.time <= latest);
        first.and_then(|peek| self.clock.utc(peek))
    }

    /// Refuses a file that is plainly the other log, as it happens where a shell pattern stands behind `--maillog`; tells
    /// which log it is where nobody has said.
    fn judge(&self, log: Log, warn: &mut dyn FnMut(&str)) -> Result<Log> {
        let name = &log.name;
        if let Some(strange) = self.strange
            && self.mail == 0
            && self.message_log == 0
        {
            return Err(Trouble::log(What::Data, format!("{name} is no log: it looks like {strange}"))
                .hint("Name the log as sendmail and PureMessage write it; it may be packed by gzip, xz or zstd."));
        }
        match log.source {
            Source::Auto if self.mail == 0 && self.message_log == 0 && self.lines > 0 => {
                Err(Trouble::log(What::Data, format!("{name} is neither sendmail's log nor PureMessage's message_log"))
                    .hint("Choose the mail log (often /var/log/maillog or mail.log) and message_log."))
            }
            Source::Auto => {
                let source = if self.message_log > self.mail { Source::MessageLog } else { Source::Mail };
                Ok(Log { source, ..log })
            }
            Source::MessageLog if self.message_log == 0 && self.mail > 0 => {
                Err(Trouble::log(What::Data, format!("{name} is given as a message_log, but holds sendmail's log"))
                    .hint("Put --maillog in front of it; every file of sendmail's log needs a --maillog of its own."))
            }
            Source::Mail if self.mail == 0 && self.message_log > 0 => Err(Trouble::log(
                What::Data,
                format!("{name} is given with --maillog, but holds PureMessage's message_log"),
            )
            .hint("Leave --maillog away in front of it.")),
            Source::Mail if self.mail == 0 && self.lines > 0 => {
                warn(&format!("{name}: no line at its beginning looks like sendmail's log. Is it the right file?"));
                Ok(log)
            }
            Source::MessageLog if self.message_log == 0 && self.lines > 0 => {
                warn(&format!(
                    "{name}: no line at its beginning looks like an entry of message_log. Is it the right file?"
                ));
                Ok(log)
            }
            _ => Ok(log),
        }
    }
}

/// What bytes look like that are no text. A log may hold zeros, where a machine was switched off; it has lines, too.
fn strange(beginning: &[u8]) -> Option<&'static str> {
    match beginning {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("text in UTF-16: convert it by `iconv -f UTF-16 -t UTF-8`"),
        _ if beginning.contains(&0) => Some("binary data"),
        _ => None,
    }
}
