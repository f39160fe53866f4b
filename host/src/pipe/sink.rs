//! Standard output: input lines as they came, and records each on a line of its own.

use std::io::{self, BufWriter, Write};

/// Where lines and records leave.
pub(super) struct Sink<W: Write> {
    writer: BufWriter<W>,
    at_line_start: bool,
}

impl<W: Write> Sink<W> {
    pub(super) fn new(writer: W) -> Sink<W> {
        Sink { writer: BufWriter::with_capacity(256 * 1024, writer), at_line_start: true }
    }

    /// Writes a piece of the input, unchanged.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(last) = bytes.last() {
            self.at_line_start = *last == b'\n';
        }
        self.writer.write_all(bytes)
    }

    /// Writes a record on a line of its own, also where the last line of the input had no line end.
    pub(super) fn record(&mut self, data: &[u8]) -> io::Result<()> {
        if !self.at_line_start {
            self.writer.write_all(b"\n")?;
        }
        self.at_line_start = true;
        self.writer.write_all(data)?;
        self.writer.write_all(b"\n")
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_never_joins_an_unfinished_line() {
        let mut text = Vec::new();
        {
            let mut sink = Sink::new(&mut text);
            sink.pass(b"").unwrap();
            sink.record(b"{1}").unwrap();
            sink.pass(b"last").unwrap();
            sink.record(b"{2}").unwrap();
            sink.flush().unwrap();
        }
        assert_eq!(text, b"{1}\nlast\n{2}\n");
    }
}
