//! Looks at the beginning of a log file: when it starts, how its clock differs from UTC, whether it is the log that
//! the user says it is.

use std::cell::Cell;
use std::io::{Cursor, Read};
use std::rc::Rc;

use abort_reason::{LineKind, Peek, Source, Watermark};

use super::clock::Clock;
use super::open::{BytesRead, LogReader, open};
use super::{LineReader, LogFile};
use crate::failure::{Exit, Failure, Result, say};

/// How much of a file is looked at: more than a thousand lines.
const PROBED_BYTES: u64 = 256 * 1024;
/// Lines with a queue id that are enough to know the clock.
const ENOUGH_LINES: usize = 50;

/// A file that has been looked at.
pub(super) struct Probed {
    pub(super) file: LogFile,
    /// The time in UTC of the first line that has one.
    pub(super) start: Option<i64>,
    /// The clock, as the beginning shows it.
    pub(super) clock: Clock,
    /// What can't be opened a second time: standard input and pipes.
    kept: Option<LogReader>,
}

impl Probed {
    /// Looks at a file.
    pub(super) fn new(file: LogFile, bytes_read: &BytesRead) -> Result<Probed> {
        let regular = !file.is_stdin() && std::fs::metadata(&file.path).is_ok_and(|metadata| metadata.is_file());
        // What is read twice counts once.
        let counter = if regular { Rc::new(Cell::new(0)) } else { Rc::clone(bytes_read) };
        let mut reader = open(&file.path, &counter)?;
        let mut beginning = Vec::new();
        reader.by_ref().take(PROBED_BYTES).read_to_end(&mut beginning).map_err(|error| file.unreadable(&error))?;
        let seen = Seen::of(&beginning);
        seen.judge(&file)?;
        let start = seen.start();
        let kept: Option<LogReader> = (!regular).then(|| Box::new(Cursor::new(beginning).chain(reader)) as LogReader);
        Ok(Probed { file, start, clock: seen.clock, kept })
    }

    /// The whole text of the file.
    pub(super) fn into_reader(self, bytes_read: &BytesRead) -> Result<LogReader> {
        match self.kept {
            Some(reader) => Ok(reader),
            None => open(&self.file.path, bytes_read),
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
}

impl Seen {
    fn of(beginning: &[u8]) -> Seen {
        let mut seen = Seen::default();
        let mut with_id = 0;
        let mut lines = LineReader::new(beginning);
        let mut line = Vec::new();
        // Reading from memory never fails.
        while with_id < ENOUGH_LINES && lines.read(&mut line).unwrap_or(false) {
            seen.lines += usize::from(!line.is_empty());
            let Some(peek) = seen.clock.peek(&line) else { continue };
            match peek.kind {
                LineKind::Mail => seen.mail += 1,
                LineKind::MessageLog => seen.message_log += 1,
            }
            with_id += usize::from(peek.id_time.is_some());
            if let Some(time) = peek.time {
                seen.come.see(time);
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

    /// Refuses a file that is plainly the other log, as it happens where a shell pattern stands behind `--maillog`.
    fn judge(&self, file: &LogFile) -> Result<()> {
        let name = file.name();
        match file.source {
            Source::MessageLog if self.message_log == 0 && self.mail > 0 => {
                Err(Failure::new(Exit::Data, format!("{name} is given as a message_log, but holds sendmail's log"))
                    .hint("Put --maillog in front of it; every file of sendmail's log needs a --maillog of its own."))
            }
            Source::Mail if self.mail == 0 && self.message_log > 0 => Err(Failure::new(
                Exit::Data,
                format!("{name} is given with --maillog, but holds PureMessage's message_log"),
            )
            .hint("Leave --maillog away in front of it.")),
            Source::Mail if self.mail == 0 && self.lines > 0 => {
                say(&format!("{name}: no line at its beginning looks like sendmail's log"));
                Ok(())
            }
            Source::MessageLog if self.message_log == 0 && self.lines > 0 => {
                say(&format!("{name}: no line at its beginning looks like an entry of message_log"));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
