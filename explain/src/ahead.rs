//! Unpacks on a thread of its own, some blocks ahead of the reader: two cores are busy where one would be.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Bytes of a block, and how many of them are unpacked before they are asked for.
const BLOCK: usize = 128 * 1024;
const BLOCKS: usize = 4;

/// Threads under way. More than cores win nothing, and each has its blocks.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// Reads what `inner` gives, on a thread of its own where one can be had, or else when it is asked for.
pub(crate) fn ahead(inner: impl Read + Send + 'static) -> Box<dyn BufRead + Send> {
    // A thread that can't be made takes along what it was given: that comes when it is there.
    let (give, take) = sync_channel(1);
    let (sender, blocks) = sync_channel(BLOCKS);
    let spawned = Permit::take().is_some_and(|permit| {
        let work = move || {
            let _permit = permit;
            if let Ok(inner) = take.recv() {
                send_all(inner, &sender);
            }
        };
        thread::Builder::new().name("unpack".to_owned()).spawn(work).is_ok()
    });
    if !spawned {
        return Box::new(BufReader::with_capacity(BLOCK, inner));
    }
    match give.send(inner) {
        Ok(()) => Box::new(Ahead { blocks, block: Vec::new(), at: 0, at_end: false }),
        Err(given) => Box::new(BufReader::with_capacity(BLOCK, given.0)),
    }
}

/// A thread that may be made.
struct Permit;

impl Permit {
    fn take() -> Option<Permit> {
        // Browsers have one thread.
        let most =
            if cfg!(target_family = "wasm") { 0 } else { thread::available_parallelism().map_or(1, usize::from) };
        let more = |under_way| (under_way < most).then_some(under_way + 1);
        THREADS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| Permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        THREADS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Sends all blocks, an empty one as the last, until there is an error or nobody listens.
fn send_all(mut inner: impl Read, blocks: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut block = Vec::with_capacity(BLOCK);
        let failed = inner.by_ref().take(BLOCK as u64).read_to_end(&mut block).err();
        let is_last = block.is_empty();
        // What came before an error is good.
        if (!is_last || failed.is_none()) && blocks.send(Ok(block)).is_err() {
            return;
        }
        if let Some(error) = failed {
            // Where nobody listens, nobody wants to know.
            let _ = blocks.send(Err(error));
            return;
        }
        if is_last {
            return;
        }
    }
}

/// What is read ahead.
struct Ahead {
    blocks: Receiver<io::Result<Vec<u8>>>,
    block: Vec<u8>,
    at: usize,
    at_end: bool,
}

impl BufRead for Ahead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at == self.block.len() && !self.at_end {
            // A thread that is gone without a last word has not read to the end.
            self.block = self.blocks.recv().map_err(|_| io::Error::other("unpacking it failed"))??;
            self.at = 0;
            self.at_end = self.block.is_empty();
        }
        Ok(&self.block[self.at..])
    }

    fn consume(&mut self, bytes: usize) {
        self.at = (self.at + bytes).min(self.block.len());
    }
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives so many bytes, and then fails.
    struct Breaks(usize);

    impl Read for Breaks {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let read = buffer.len().min(self.0);
            self.0 -= read;
            buffer[..read].fill(b'x');
            if read > 0 { Ok(read) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
        }
    }

    #[test]
    fn what_was_there_is_read_whole_and_in_order() {
        let text: Vec<u8> = (0..3 * BLOCK + 5).map(|at| (at % 251) as u8).collect();
        // More of them than there are threads for.
        let mut readers: Vec<_> = (0..40).map(|_| ahead(io::Cursor::new(text.clone()))).collect();
        for reader in &mut readers {
            let mut read = Vec::new();
            reader.read_to_end(&mut read).unwrap();
            assert_eq!(read, text);
        }
    }

    #[test]
    fn an_error_comes_behind_what_was_read_before_it() {
        for bytes in [0, 7, BLOCK, BLOCK + 7] {
            let mut read = Vec::new();
            let error = ahead(Breaks(bytes)).read_to_end(&mut read).unwrap_err();
            assert_eq!((error.kind(), read.len()), (io::ErrorKind::UnexpectedEof, bytes));
        }
    }

    #[test]
    fn a_thread_that_breaks_is_no_end() {
        let (sender, blocks) = sync_channel(1);
        sender.send(Ok(b"half".to_vec())).unwrap();
        drop(sender);
        let mut read = Vec::new();
        Ahead { blocks, block: Vec::new(), at: 0, at_end: false }.read_to_end(&mut read).unwrap_err();
        assert_eq!(read, b"half");
    }

    #[test]
    fn a_reader_that_is_not_read_to_its_end_leaves_no_thread() {
        let endless = ahead(io::repeat(b'x'));
        drop(endless);
        let gone = (0..500).any(|_| {
            thread::sleep(std::time::Duration::from_millis(10));
            THREADS.load(Ordering::Relaxed) == 0
        });
        assert!(gone);
    }
}
