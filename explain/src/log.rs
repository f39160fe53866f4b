//! A log, wherever it lies.

use std::io::{self, Cursor, Read};

use abort_reason::Source;

/// A log as the user named it.
pub struct Log {
    /// How messages call it.
    pub name: String,
    /// Which log it is; `Auto` where its beginning is to tell.
    pub source: Source,
    /// What it holds, packed or not.
    pub bytes: Box<dyn Bytes>,
}

/// Where the bytes of a log come from.
pub trait Bytes {
    /// Begins at the beginning. What is packed is read on a thread of its own.
    fn open(&self) -> io::Result<Box<dyn Read + Send>>;

    /// Whether it can be opened a second time, as standard input and pipes can't.
    fn again(&self) -> bool;

    /// When it was last written to, in nanoseconds since 1970, where that is known.
    fn changed_ns(&self) -> Option<i64> {
        None
    }
}

/// A log in memory.
impl Bytes for String {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor::new(self.clone())))
    }

    fn again(&self) -> bool {
        true
    }
}
