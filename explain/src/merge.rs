//! Reads many log files as one stream in order of time.
//!
//! Every file is one input of a k-way merge that opens it when its first line is due: rotated files simply follow each
//! other, files of several hosts run side by side. Within a file the order of its lines stays as it is.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use abort_reason::{LineKind, Source, Watermark};

use crate::clock::Clock;
use crate::lines::LineReader;
use crate::log::Log;
use crate::probe::Probed;
use crate::rotation;
use crate::trouble::{Result, Trouble};
use crate::unpack::{BytesRead, LogReader};

/// Lines read so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Lines of sendmail's log.
    pub mail: u64,
    /// Lines of `message_log`.
    pub message_log: u64,
    /// Lines that are neither, where they stood.
    pub unreadable: u64,
    /// Lines longer than [`crate::LONGEST_LINE`].
    pub cut: u64,
}

/// When a line is due: its time in UTC; then mail lines before entries, and of those the older file's ([`rotation`]) first.
type Due = (i64, u64);

/// Behind all lines.
const NEVER: Due = (i64::MAX, u64::MAX);

/// The lines of all files in order of time.
pub(crate) struct Merge {
    /// Files not yet open, the next one last.
    waiting: Vec<(Due, Probed)>,
    /// The next line of each open file.
    heads: BinaryHeap<Reverse<(Due, usize)>>,
    open: Vec<Option<Stream>>,
    /// The file whose line was given last, and when the first line of the others is due.
    current: Option<usize>,
    until: Due,
    bytes_read: BytesRead,
    counts: Counts,
}

struct Stream {
    name: String,
    source: Source,
    lines: LineReader<LogReader>,
    clock: Clock,
    /// The time in UTC of the latest line that has one, and how far the file has come: a line with a forged time keeps
    /// those behind it from no place.
    time: Option<i64>,
    come: Watermark,
    /// Which of lines of one time comes first.
    rank: u64,
}

impl Merge {
    /// Looks at every file, and fails if one can't be used.
    pub(crate) fn new(logs: Vec<Log>, warn: &mut dyn FnMut(&str)) -> Result<Merge> {
        let bytes_read = BytesRead::default();
        let mut files = logs.into_iter().map(|log| Probed::new(log, &bytes_read, warn)).collect::<Result<Vec<_>>>()?;
        files.sort_by_cached_key(rotation::key);
        let waiting = files.into_iter().enumerate();
        let mut waiting: Vec<(Due, Probed)> =
            waiting.map(|(order, probed)| (first_due(order, &probed), probed)).collect();
        waiting.sort_by_key(|(due, _)| Reverse(*due));
        Ok(Merge {
            waiting,
            heads: BinaryHeap::new(),
            open: Vec::new(),
            current: None,
            until: NEVER,
            bytes_read,
            counts: Counts::default(),
        })
    }

    /// Goes on to the next line, which [`Merge::line`] gives; false if there is none.
    pub(crate) fn advance(&mut self) -> Result<bool> {
        if let Some(at) = self.current.take() {
            let due = self.read(at)?;
            // Most lines are followed by others of the same file.
            if due < self.until {
                self.current = Some(at);
                return Ok(true);
            }
            self.await_turn(at, due);
        }
        self.change()
    }

    /// The line of another file is due.
    fn change(&mut self) -> Result<bool> {
        while let Some((due, _)) = self.waiting.last()
            && self.heads.peek().is_none_or(|Reverse((first, _))| due <= first)
        {
            self.open_next()?;
        }
        self.current = self.heads.pop().map(|Reverse((_, at))| at);
        let head = self.heads.peek().map(|Reverse((due, _))| *due);
        let waiting = self.waiting.last().map(|(due, _)| *due);
        self.until = head.into_iter().chain(waiting).min().unwrap_or(NEVER);
        Ok(self.current.is_some())
    }

    /// The line at hand, without its line end.
    pub(crate) fn line(&self) -> &[u8] {
        self.stream().map_or(b"", |stream| stream.lines.line())
    }

    /// Its log.
    pub(crate) fn source(&self) -> Source {
        self.stream().map_or(Source::Auto, |stream| stream.source)
    }

    fn stream(&self) -> Option<&Stream> {
        self.open.get(self.current?)?.as_ref()
    }

    /// An open file waits until its line is due; a closed one doesn't.
    fn await_turn(&mut self, at: usize, due: Due) {
        self.heads.extend((due != NEVER).then_some(Reverse((due, at))));
    }

    /// What has been read so far.
    pub(crate) fn counts(&self) -> Counts {
        let cut: u64 = self.open.iter().flatten().map(|stream| stream.lines.cut).sum();
        Counts { cut: self.counts.cut + cut, ..self.counts }
    }

    /// Bytes read so far, as they lie on the disk.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    fn open_next(&mut self) -> Result<()> {
        let Some(((_, rank), probed)) = self.waiting.pop() else { return Ok(()) };
        let (name, source) = (probed.log.name.clone(), probed.log.source);
        let (clock, time) = (probed.clock.clone(), probed.start);
        let lines = LineReader::new(probed.into_reader(&Arc::clone(&self.bytes_read))?);
        let mut come = Watermark::default();
        time.map(|time| come.see(time));
        let stream = Stream { name, source, lines, clock, time, come, rank };
        let at = self.open.iter().position(Option::is_none).unwrap_or_else(|| {
            self.open.push(None);
            self.open.len() - 1
        });
        self.open[at] = Some(stream);
        let due = self.read(at)?;
        self.await_turn(at, due);
        Ok(())
    }

    /// Reads the next line of an open file, and tells when it is due; or closes the file.
    fn read(&mut self, at: usize) -> Result<Due> {
        let Some(stream) = self.open[at].as_mut() else { return Ok(NEVER) };
        if !stream.lines.read().map_err(|error| Trouble::unreadable(&stream.name, &error))? {
            self.counts.cut += stream.lines.cut;
            self.open[at] = None;
            return Ok(NEVER);
        }
        let peek = stream.clock.peek(stream.lines.line());
        // What can't be dated goes with the line before it.
        if let Some(time) = peek.as_ref().and_then(|peek| stream.clock.utc(peek)) {
            stream.come.see(time);
            stream.time = stream.come.latest().map(|latest| latest.min(time));
        }
        let counts = &mut self.counts;
        let kind = if stream.source == Source::Mail {
            counts.mail += 1;
            LineKind::Mail
        } else {
            counts.message_log += 1;
            LineKind::MessageLog
        };
        counts.unreadable += u64::from(peek.is_none_or(|peek| peek.kind != kind));
        Ok(due(stream.time, stream.source, stream.rank))
    }
}

/// `message_log` counts whole seconds: an entry comes after all that sendmail logged in its second. What has no time
/// comes first, as it stands before all that has one.
fn due(time: Option<i64>, source: Source, rank: u64) -> Due {
    let time = time.unwrap_or(i64::MIN);
    match source {
        Source::MessageLog => (time.div_euclid(1_000).saturating_mul(1_000).saturating_add(999), rank),
        Source::Mail | Source::Auto => (time, rank),
    }
}

/// When the first line of a file is due.
fn first_due(order: usize, probed: &Probed) -> Due {
    let source = probed.log.source;
    due(probed.start, source, rank(source, order))
}

/// The rank of a log by its place among the older and younger files.
fn rank(source: Source, order: usize) -> u64 {
    u64::from(source == Source::MessageLog) << 63 | order as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The order in which the lines of files are given.
    fn order(texts: &[(&str, Source)]) -> Vec<String> {
        let logs = texts.iter().map(|(text, source)| Log {
            name: "x".into(),
            source: *source,
            bytes: Box::new((*text).to_owned()),
        });
        let mut merge = Merge::new(logs.collect(), &mut |_| {}).unwrap();
        let mut lines = Vec::new();
        while merge.advance().unwrap() {
            lines.push(String::from_utf8_lossy(merge.line()).into_owned());
        }
        lines
    }

    #[test]
    fn a_line_of_another_year_holds_nothing_up() {
        let line = |year: u32, second: u32, host: &str| {
            format!("{year}-11-23T13:01:{second:02}Z {host} sendmail[14029]: 6AND1{second:02}3014029: x")
        };
        for at in [0, 2] {
            let mut first: Vec<String> = (0..8).map(|second| line(2026, 2 * second, "mx1")).collect();
            first.insert(at, line(2031, 2 * at as u32, "mx1"));
            let second: Vec<String> = (0..8).map(|second| line(2026, 2 * second + 1, "mx2")).collect();
            let merged = order(&[(&first.join("\n"), Source::Mail), (&second.join("\n"), Source::Mail)]);
            let honest: Vec<&String> = merged.iter().filter(|line| line.starts_with("2026")).collect();
            assert!(honest.is_sorted_by_key(|line| &line[..20]), "{merged:#?}");
            assert_eq!(merged.len(), 17);
        }
    }
}
