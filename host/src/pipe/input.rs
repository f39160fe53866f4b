//! Standard input on a thread of its own, so that held aborts leave in time while nothing comes in.
//!
//! What has arrived is handed over at once, whole lines at a time. The channel is short: where the work is slower than
//! the input, the input waits.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use memchr::memchr;

/// Bytes read at a time, at most.
const READ: usize = 256 * 1024;
/// Reads that may wait for the work.
const WAITING: usize = 4;
/// A line longer than this passes in pieces, unseen.
pub(super) const LONGEST_LINE: usize = 1024 * 1024;

/// A piece of the input. All pieces together are the input, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// A line with its line end; only the last line of the input may have none.
    Line(Vec<u8>),
    /// A part of a line that is too long.
    Part(Vec<u8>),
}

impl Piece {
    /// The bytes, as they came.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Piece::Line(bytes) | Piece::Part(bytes) => bytes,
        }
    }
}

enum Message {
    Pieces(Vec<Piece>),
    Failed(io::Error),
    End,
}

/// What the input has to say.
pub(super) enum Arrival {
    /// Lines, in order.
    Pieces(Vec<Piece>),
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
    /// Begins to read `source`, and to listen for signals that ask to end.
    pub(super) fn start(source: impl Read + Send + 'static) -> io::Result<Input> {
        let (sender, messages) = sync_channel(WAITING);
        listen_for_signals(sender.clone())?;
        thread::Builder::new().name("input".into()).spawn(move || read_all(source, &sender))?;
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
            Message::Pieces(pieces) => Arrival::Pieces(pieces),
            Message::Failed(error) => Arrival::Failed(error),
            Message::End => Arrival::End,
        }
    }
}

fn read_all(mut source: impl Read, sender: &SyncSender<Message>) {
    let mut cutter = Cutter::default();
    let mut buffer = vec![0; READ];
    let last = loop {
        match source.read(&mut buffer) {
            Ok(0) => break Message::End,
            Ok(read) => {
                let pieces = cutter.cut(&buffer[..read]);
                if !pieces.is_empty() && sender.send(Message::Pieces(pieces)).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Message::Failed(error),
        }
    };
    // The receiver may have gone: then nobody wants to know.
    if let Some(piece) = cutter.rest()
        && sender.send(Message::Pieces(vec![piece])).is_err()
    {
        return;
    }
    let _ = sender.send(last);
}

/// Cuts what arrives into pieces.
#[derive(Default)]
struct Cutter {
    /// A line that has not ended yet.
    open: Vec<u8>,
    /// Whether the line under way is too long, and its first part has been given out.
    passing: bool,
}

impl Cutter {
    fn cut(&mut self, mut bytes: &[u8]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        while let Some(end) = memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end + 1);
            self.open.extend_from_slice(line);
            pieces.extend(self.rest());
            self.passing = false;
            bytes = rest;
        }
        self.open.extend_from_slice(bytes);
        if self.passing || self.open.len() > LONGEST_LINE {
            self.passing = true;
            pieces.extend(self.rest());
        }
        pieces
    }

    /// What is open, as it is.
    fn rest(&mut self) -> Option<Piece> {
        let bytes = std::mem::take(&mut self.open);
        match bytes.len() {
            0 => None,
            length if self.passing || length > LONGEST_LINE => Some(Piece::Part(bytes)),
            _ => Some(Piece::Line(bytes)),
        }
    }
}

/// SIGTERM, SIGINT and SIGHUP end the input, so that what is held leaves before the process does. A second one ends the
/// process at once, as it may be waiting for its reader.
#[cfg(unix)]
fn listen_for_signals(sender: SyncSender<Message>) -> io::Result<()> {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    let to_end = crate::signals::to_end();
    let asked = Arc::new(AtomicBool::new(false));
    for signal in &to_end {
        signal_hook::flag::register_conditional_shutdown(*signal, 128 + signal, Arc::clone(&asked))?;
        signal_hook::flag::register(*signal, Arc::clone(&asked))?;
    }
    let mut signals = signal_hook::iterator::Signals::new(to_end)?;
    let listening = move || {
        if signals.forever().next().is_some() {
            let _ = sender.send(Message::End);
        }
    };
    thread::Builder::new().name("signals".into()).spawn(listening)?;
    Ok(())
}

#[cfg(not(unix))]
#[allow(clippy::needless_pass_by_value, clippy::unnecessary_wraps)]
fn listen_for_signals(_sender: SyncSender<Message>) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &[u8], step: usize) -> Vec<Piece> {
        let mut cutter = Cutter::default();
        let mut all: Vec<Piece> = text.chunks(step).flat_map(|chunk| cutter.cut(chunk)).collect();
        all.extend(cutter.rest());
        all
    }

    #[test]
    fn any_cut_of_the_input_gives_the_same_lines() {
        let text = b"one\r\n\n\xff\ntwo";
        let lines = [&b"one\r\n"[..], b"\n", b"\xff\n", b"two"].map(|line| Piece::Line(line.to_vec()));
        for step in 1..=text.len() {
            assert_eq!(pieces(text, step), lines);
        }
    }

    #[test]
    fn a_line_that_is_too_long_passes_in_parts() {
        let mut text = vec![b'{'; 3 * LONGEST_LINE];
        text.extend_from_slice(b"\n{}\n");
        for step in [4_096, READ, 4 * LONGEST_LINE] {
            let pieces = pieces(&text, step);
            let (last, parts) = pieces.split_last().unwrap();
            assert_eq!(*last, Piece::Line(b"{}\n".to_vec()));
            assert!(parts.iter().all(|part| matches!(part, Piece::Part(_))));
            assert!(step == 4 * LONGEST_LINE || parts.iter().all(|part| part.bytes().len() <= LONGEST_LINE + step));
            assert_eq!(pieces.iter().flat_map(|piece| piece.bytes().to_vec()).collect::<Vec<_>>(), text);
        }
    }
}
