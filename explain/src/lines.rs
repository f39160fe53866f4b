//! Cuts bytes into lines, in bounded memory: what stands behind the first MiB of a line is skipped and counted.

use std::io::{self, Read};
use std::ops::Range;

use memchr::memchr;

/// Bytes of a line that are kept. sendmail's lines have at most some thousand.
pub const LONGEST_LINE: usize = 1024 * 1024;

/// Bytes that are read at a time, at most.
const READ: usize = 256 * 1024;

/// Bytes before what is read, for the beginning of a line of which that is the rest; and where it begins.
const FRONT: usize = 4 * 1024;
const ALIGN: usize = 64;

/// Reads lines of bytes. Each stands where it was read to until the next one is asked for.
#[derive(Debug)]
pub struct LineReader<R> {
    inner: R,
    buffer: Vec<u8>,
    /// What of the buffer has been read, and what of that is no line yet.
    open: Range<usize>,
    line: Range<usize>,
    at_end: bool,
    /// Lines that were too long.
    pub cut: u64,
}

impl<R: Read> LineReader<R> {
    /// Lines from `inner`.
    pub fn new(inner: R) -> LineReader<R> {
        LineReader::with_buffer(inner, READ)
    }

    fn with_buffer(inner: R, bytes: usize) -> LineReader<R> {
        LineReader { inner, buffer: vec![0; bytes], open: 0..0, line: 0..0, at_end: false, cut: 0 }
    }

    /// The line that was read last, without its line end (LF or CR LF).
    pub fn line(&self) -> &[u8] {
        &self.buffer[self.line.clone()]
    }

    /// Reads the next line; false at the end of the input. The last line needs no line end.
    pub fn read(&mut self) -> io::Result<bool> {
        let mut searched = self.open.start;
        let mut too_long = false;
        loop {
            let end = memchr(b'\n', &self.buffer[searched..self.open.end]).map(|at| searched + at);
            let behind = match end {
                Some(end) => end + 1,
                None if !self.at_end => 0,
                None if self.open.is_empty() => return Ok(false),
                None => self.open.end,
            };
            let length = end.unwrap_or(self.open.end) - self.open.start;
            too_long |= length > LONGEST_LINE;
            if behind > 0 {
                self.line = self.open.start..self.open.start + length.min(LONGEST_LINE);
                self.open.start = behind;
                if too_long {
                    self.cut += 1;
                } else if self.line().last() == Some(&b'\r') {
                    self.line.end -= 1;
                }
                return Ok(true);
            }
            self.open.end = self.open.start + length.min(LONGEST_LINE);
            self.fill()?;
            searched = self.open.start + length.min(LONGEST_LINE);
        }
    }

    /// Reads more behind what is open.
    fn fill(&mut self) -> io::Result<()> {
        // Systems copy to an aligned place several times as fast.
        let aligned = FRONT + self.buffer.as_ptr().align_offset(ALIGN);
        if aligned < self.buffer.len() && self.open.len() <= aligned {
            let start = aligned - self.open.len();
            self.buffer.copy_within(self.open.clone(), start);
            self.open = start..aligned;
        } else if self.open.start > 0 {
            self.buffer.copy_within(self.open.clone(), 0);
            self.open = 0..self.open.len();
        }
        if self.open.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let read = loop {
            match self.inner.read(&mut self.buffer[self.open.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.at_end = read == 0;
        self.open.end += read;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8], buffer: usize) -> (Vec<Vec<u8>>, u64) {
        let mut reader = LineReader::with_buffer(text, buffer);
        let mut all = Vec::new();
        while reader.read().unwrap() {
            all.push(reader.line().to_vec());
        }
        (all, reader.cut)
    }

    #[test]
    fn any_buffer_gives_the_same_lines() {
        for buffer in 1..10 {
            let (all, cut) = lines(b"a\r\n\nbc\xff\nlast", buffer);
            assert_eq!(all, [b"a".to_vec(), b"".to_vec(), b"bc\xff".to_vec(), b"last".to_vec()]);
            assert_eq!(cut, 0);
        }
        assert!(lines(b"", 8).0.is_empty());
    }

    #[test]
    fn long_lines_are_cut_and_counted() {
        let mut text = vec![b'x'; LONGEST_LINE + 5];
        text.extend_from_slice(b"\nnext\n");
        for buffer in [4_096, 4 * LONGEST_LINE] {
            let (all, cut) = lines(&text, buffer);
            assert_eq!((all.len(), all[0].len(), all[1].as_slice(), cut), (2, LONGEST_LINE, b"next".as_slice(), 1));
            let (all, cut) = lines(&text[5..], buffer);
            assert_eq!((all.len(), all[0].len(), cut), (2, LONGEST_LINE, 0));
            let (all, cut) = lines(&vec![b'x'; LONGEST_LINE], buffer);
            assert_eq!((all.len(), cut), (1, 0));
        }
        // However long a line is, no more of it is kept.
        let mut reader = LineReader::with_buffer(Read::take(io::repeat(b'x'), 64 << 20), 4_096);
        assert!(reader.read().unwrap() && !reader.read().unwrap());
        assert!(reader.buffer.len() <= 4 * LONGEST_LINE && reader.cut == 1, "{}", reader.buffer.len());
    }
}
