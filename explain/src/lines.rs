//! Cuts bytes into lines, in bounded memory: what stands behind the first MiB of a line is skipped and counted.

use std::io::{self, BufRead};

use memchr::memchr;

/// Bytes of a line that are kept. sendmail's lines have at most some thousand.
pub const LONGEST_LINE: usize = 1024 * 1024;

/// Reads lines of bytes.
#[derive(Debug)]
pub struct LineReader<R> {
    inner: R,
    /// Lines that were too long.
    pub cut: u64,
}

impl<R: BufRead> LineReader<R> {
    /// Lines from `inner`.
    pub fn new(inner: R) -> LineReader<R> {
        LineReader { inner, cut: 0 }
    }

    /// Puts the next line into `line`, without its line end (LF or CR LF); false at the end of the input. The last
    /// line needs no line end.
    pub fn read(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        line.clear();
        let mut started = false;
        let mut too_long = false;
        loop {
            let available = match self.inner.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                available => available?,
            };
            if available.is_empty() {
                break;
            }
            started = true;
            let end = memchr(b'\n', available);
            let part = &available[..end.unwrap_or(available.len())];
            let room = LONGEST_LINE - line.len();
            too_long |= part.len() > room;
            line.extend_from_slice(&part[..part.len().min(room)]);
            let used = part.len() + usize::from(end.is_some());
            self.inner.consume(used);
            if end.is_some() {
                break;
            }
        }
        self.cut += u64::from(too_long);
        if !too_long && line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(started)
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn lines(text: &[u8], buffer: usize) -> (Vec<Vec<u8>>, u64) {
        let mut reader = LineReader::new(BufReader::with_capacity(buffer, text));
        let (mut all, mut line) = (Vec::new(), Vec::new());
        while reader.read(&mut line).unwrap() {
            all.push(line.clone());
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
        let (all, cut) = lines(&text, 4096);
        assert_eq!((all.len(), all[0].len(), all[1].as_slice(), cut), (2, LONGEST_LINE, b"next".as_slice(), 1));
        let (all, cut) = lines(&vec![b'x'; LONGEST_LINE], 4096);
        assert_eq!((all.len(), cut), (1, 0));
    }
}
