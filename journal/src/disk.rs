//! What a journal asks of the disk, and what it is told when that fails.

use std::convert::Infallible;
use std::fmt;

/// A file that is read once, grows at its end, and is replaced as a whole now and then.
pub trait Disk {
    /// Opens the file, or makes it; gives its length in bytes.
    fn open(&mut self) -> Result<u64, Trouble>;

    /// Reads at a place; fewer bytes than there is room for only at the end of the file.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, Trouble>;

    /// Writes behind the last byte. After an error some of it may have been written.
    fn append(&mut self, bytes: &[u8]) -> Result<(), Trouble>;

    /// Cuts the file off.
    fn truncate(&mut self, length: u64) -> Result<(), Trouble>;

    /// Which file has the name now.
    fn named(&mut self) -> Result<Named, Trouble>;

    /// Begins a new file beside it, in place of what an earlier attempt left there.
    fn begin_new(&mut self) -> Result<(), Trouble>;

    /// Writes behind the last byte of the new file.
    fn append_new(&mut self, bytes: &[u8]) -> Result<(), Trouble>;

    /// Brings the new file to the disk, and gives it the name: it is the open one from now on.
    fn commit_new(&mut self) -> Result<(), Trouble>;
}

/// What has the name of a file that was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// That file, and it has so many bytes.
    Open(u64),
    /// Another file.
    Other,
    /// None: somebody has taken it away. What is open can still be read.
    Nothing,
}

/// Why the disk can't be used: what was tried, and how that went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// What was tried, as `open`.
    pub tried: &'static str,
    /// What the system said, in a few words.
    pub said: &'static str,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.tried, self.said)
    }
}

/// No disk at all: for a host that has none.
impl Disk for Infallible {
    fn open(&mut self) -> Result<u64, Trouble> {
        match *self {}
    }

    fn read_at(&mut self, _: u64, _: &mut [u8]) -> Result<usize, Trouble> {
        match *self {}
    }

    fn append(&mut self, _: &[u8]) -> Result<(), Trouble> {
        match *self {}
    }

    fn truncate(&mut self, _: u64) -> Result<(), Trouble> {
        match *self {}
    }

    fn named(&mut self) -> Result<Named, Trouble> {
        match *self {}
    }

    fn begin_new(&mut self) -> Result<(), Trouble> {
        match *self {}
    }

    fn append_new(&mut self, _: &[u8]) -> Result<(), Trouble> {
        match *self {}
    }

    fn commit_new(&mut self) -> Result<(), Trouble> {
        match *self {}
    }
}
