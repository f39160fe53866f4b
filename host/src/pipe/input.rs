//! Standard input on a thread of its own, so that held aborts leave in time while nothing comes in.
//!
//! What has arrived is handed over at once, whole lines at a time. The channel is short: where the work is slower than
//! the input, the input waits.

use std::io::{self, Read};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use abort_reason_explain::LONGEST_LINE;
use memchr::{memchr, memchr_iter, memrchr};
#[cfg(unix)]
use rustix::event::{PollFd, PollFlags, poll};

/// Bytes read at a time, at most.
const READ: usize = 256 * 1024;
/// Reads that may wait for the work.
const WAITING: usize = 4;

/// A stretch of the input: whole lines. All blocks together are the input, byte for byte.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Block {
    /// Lines with their line ends; only the last line of the input may have none.
    pub bytes: Vec<u8>,
    /// It is a part of one line that is too long.
    pub is_part: bool,
}

impl Block {
    /// The lines, each with its line end, and where it ends.
    pub(super) fn lines(&self) -> impl Iterator<Item = (&[u8], usize)> {
        let mut start = 0;
        let ends = memchr_iter(b'\n', &self.bytes).map(|at| at + 1).chain([self.bytes.len()]);
        ends.filter_map(move |end| {
            let line = self.bytes.get(start..end).filter(|line| !line.is_empty())?;
            start = end;
            Some((line, end))
        })
    }
}

enum Message {
    Block(Block),
    Failed(io::Error),
    End,
}

/// What the input has to say.
pub(super) enum Arrival {
    /// Lines, in order.
    Block(Block),
    /// Nothing came in the time given.
    Nothing,
    /// The input has ended.
    End,
    /// The input can't be read any more.
    Failed(io::Error),
}

/// The receiving end of the input.
pub(super) struct Input {
    messages: Receiver<Message>,
    /// Taken from the channel to see whether something waits.
    next: Option<Message>,
}

impl Input {
    /// Begins to read standard input, until it ends or a signal asks to.
    pub(super) fn start() -> io::Result<Input> {
        let (sender, messages) = sync_channel(WAITING);
        let mut source = Source::open()?;
        thread::Builder::new().name("input".into()).spawn(move || read_all(&mut source, &sender))?;
        Ok(Input { messages, next: None })
    }

    /// Waits for the next lines; `None` waits as long as it takes.
    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> Arrival {
        if let Some(message) = self.next.take() {
            return message.into();
        }
        let received = match timeout {
            None => self.messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(timeout) => self.messages.recv_timeout(timeout),
        };
        match received {
            Ok(message) => message.into(),
            Err(RecvTimeoutError::Timeout) => Arrival::Nothing,
            Err(RecvTimeoutError::Disconnected) => Arrival::End,
        }
    }

    /// Whether something waits already.
    pub(super) fn has_more(&mut self) -> bool {
        if self.next.is_none() {
            self.next = match self.messages.try_recv() {
                Ok(message) => Some(message),
                Err(TryRecvError::Disconnected) => Some(Message::End),
                Err(TryRecvError::Empty) => None,
            };
        }
        self.next.is_some()
    }
}

impl From<Message> for Arrival {
    fn from(message: Message) -> Arrival {
        match message {
            Message::Block(block) => Arrival::Block(block),
            Message::Failed(error) => Arrival::Failed(error),
            Message::End => Arrival::End,
        }
    }
}

fn read_all(source: &mut impl Read, sender: &SyncSender<Message>) {
    let mut cutter = Cutter::default();
    let last = loop {
        match cutter.read(source) {
            Ok(0) => break Message::End,
            Ok(_) => {
                while let Some(block) = cutter.cut() {
                    if sender.send(Message::Block(block)).is_err() {
                        return;
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Message::Failed(error),
        }
    };
    // The receiver may have gone: then nobody wants to know.
    if let Some(block) = cutter.rest()
        && sender.send(Message::Block(block)).is_err()
    {
        return;
    }
    let _ = sender.send(last);
}

/// Cuts what arrives into blocks.
#[derive(Default)]
struct Cutter {
    /// What has arrived and is in no block yet.
    open: Vec<u8>,
    /// The line under way is too long, and its first part has been given out.
    passing: bool,
}

impl Cutter {
    /// Reads once; gives the number of bytes.
    fn read(&mut self, source: &mut impl Read) -> io::Result<usize> {
        let open = self.open.len();
        self.open.resize(open + READ, 0);
        let read = source.read(&mut self.open[open..]);
        self.open.truncate(open + read.as_ref().map_or(0, |read| *read));
        read
    }

    /// What can be given out: the rest of a line that is too long, or whole lines, or a part of a line that is too long.
    fn cut(&mut self) -> Option<Block> {
        if self.open.is_empty() {
            return None;
        }
        let end = if self.passing { memchr(b'\n', &self.open) } else { memrchr(b'\n', &self.open) };
        // A longer line passes in pieces, unseen.
        let is_part = self.passing || end.is_none() && self.open.len() > LONGEST_LINE;
        let end = match end {
            Some(end) => end + 1,
            None if is_part => self.open.len(),
            None => return None,
        };
        self.passing = is_part && self.open.get(end - 1) != Some(&b'\n');
        let rest = self.open.split_off(end);
        Some(Block { bytes: std::mem::replace(&mut self.open, rest), is_part })
    }

    /// What is open at the end of the input.
    fn rest(&mut self) -> Option<Block> {
        let bytes = std::mem::take(&mut self.open);
        (!bytes.is_empty()).then_some(Block { bytes, is_part: self.passing })
    }
}

/// Standard input, which SIGTERM, SIGINT and SIGHUP end, so that what is held leaves before the process does: what was read
/// before them is not lost. A second one ends the process at once, as it may be waiting for its reader.
struct Source {
    /// Readable once there was a signal, as long as its other end is there.
    #[cfg(unix)]
    ended: UnixStream,
    #[cfg(unix)]
    _end: UnixStream,
}

impl Source {
    #[cfg(unix)]
    fn open() -> io::Result<Source> {
        crate::signals::ask_to_end(&std::sync::Arc::default())?;
        let (ended, end) = UnixStream::pair()?;
        for signal in crate::signals::to_end() {
            signal_hook::low_level::pipe::register(signal, end.try_clone()?)?;
        }
        Ok(Source { ended, _end: end })
    }

    #[cfg(not(unix))]
    fn open() -> io::Result<Source> {
        Ok(Source {})
    }

    /// Waits for something to read; whether it has ended by a signal.
    #[cfg(unix)]
    fn has_ended(&self) -> io::Result<bool> {
        let stdin = rustix::stdio::stdin();
        let mut ready = [PollFd::new(&self.ended, PollFlags::IN), PollFd::new(&stdin, PollFlags::IN)];
        poll(&mut ready, None)?;
        Ok(!ready[0].revents().is_empty())
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(unix)]
        if self.has_ended()? {
            return Ok(0);
        }
        io::stdin().lock().read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines, and the parts of lines.
    fn lines(text: &[u8], step: usize) -> Vec<(Vec<u8>, bool)> {
        let mut cutter = Cutter::default();
        let mut blocks = Vec::new();
        for mut chunk in text.chunks(step) {
            while cutter.read(&mut chunk).unwrap() > 0 {
                blocks.extend(std::iter::from_fn(|| cutter.cut()));
            }
        }
        blocks.extend(cutter.rest());
        let lines = blocks.iter().flat_map(|block| block.lines().map(|(line, _)| (line.to_vec(), block.is_part)));
        lines.collect()
    }

    #[test]
    fn any_cut_of_the_input_gives_the_same_lines() {
        let text = b"one\r\n\n\xff\ntwo";
        let expected = [&b"one\r\n"[..], b"\n", b"\xff\n", b"two"].map(|line| (line.to_vec(), false));
        for step in 1..=text.len() {
            assert_eq!(lines(text, step), expected);
        }
    }

    #[test]
    fn a_line_that_is_too_long_passes_in_parts() {
        let mut text = vec![b'{'; 3 * LONGEST_LINE];
        text.extend_from_slice(b"\n{}\n");
        for step in [4_096, READ, 4 * LONGEST_LINE] {
            let lines = lines(&text, step);
            let (last, parts) = lines.split_last().unwrap();
            assert_eq!(*last, (b"{}\n".to_vec(), false));
            assert!(parts.iter().all(|(part, is_part)| *is_part && part.len() <= LONGEST_LINE + READ));
            assert_eq!(lines.iter().flat_map(|(part, _)| part.clone()).collect::<Vec<_>>(), text);
        }
    }
}
