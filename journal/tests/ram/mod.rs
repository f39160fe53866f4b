//! A disk in memory, which can be cut, spoilt, filled, shut and taken over.

use std::cell::RefCell;
use std::rc::Rc;

use abort_reason_journal::{Disk, Named, Trouble};

/// What is on the disk, for all who have it open.
#[derive(Debug, Default)]
pub(crate) struct Files {
    pub(crate) file: Vec<u8>,
    new: Vec<u8>,
    /// Raised when another file gets the name.
    generation: u32,
    /// Somebody has taken its name away.
    pub(crate) is_gone: bool,
    /// Nobody can open it.
    pub(crate) is_shut: bool,
    /// Bytes that both may have together.
    pub(crate) room: usize,
}

/// One who has it open.
#[derive(Debug, Clone)]
pub(crate) struct Ram {
    pub(crate) files: Rc<RefCell<Files>>,
    generation: u32,
}

impl Ram {
    pub(crate) fn new(file: &[u8]) -> Ram {
        let files = Files { file: file.to_vec(), room: usize::MAX, ..Files::default() };
        Ram { files: Rc::new(RefCell::new(files)), generation: 0 }
    }

    pub(crate) fn file(&self) -> Vec<u8> {
        self.files.borrow().file.clone()
    }

    /// A disk with the same bytes, as the next process finds it.
    pub(crate) fn afterwards(&self) -> Ram {
        Ram::new(&self.files.borrow().file)
    }
}

pub(crate) const SHUT: Trouble = Trouble { tried: "open", said: "permission denied" };
pub(crate) const FULL: Trouble = Trouble { tried: "write", said: "no space is left" };

impl Disk for Ram {
    fn open(&mut self) -> Result<u64, Trouble> {
        if self.files.borrow().is_shut {
            return Err(SHUT);
        }
        self.generation = self.files.borrow().generation;
        Ok(self.files.borrow().file.len() as u64)
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, Trouble> {
        let files = self.files.borrow();
        let rest = files.file.get(offset as usize..).unwrap_or_default();
        // Short reads are allowed to anybody but at the end of a small one.
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let mut files = self.files.borrow_mut();
        let room = files.room.saturating_sub(files.file.len() + files.new.len());
        files.file.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if bytes.len() > room { Err(FULL) } else { Ok(()) }
    }

    fn truncate(&mut self, length: u64) -> Result<(), Trouble> {
        self.files.borrow_mut().file.truncate(length as usize);
        Ok(())
    }

    fn named(&mut self) -> Result<Named, Trouble> {
        let files = self.files.borrow();
        Ok(match files.generation == self.generation {
            _ if files.is_gone => Named::Nothing,
            true => Named::Open(files.file.len() as u64),
            false => Named::Other,
        })
    }

    fn begin_new(&mut self) -> Result<(), Trouble> {
        self.files.borrow_mut().new.clear();
        Ok(())
    }

    fn append_new(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let mut files = self.files.borrow_mut();
        if files.file.len() + files.new.len() + bytes.len() > files.room {
            return Err(FULL);
        }
        files.new.extend_from_slice(bytes);
        Ok(())
    }

    fn commit_new(&mut self) -> Result<(), Trouble> {
        let mut files = self.files.borrow_mut();
        files.file = std::mem::take(&mut files.new);
        files.generation += 1;
        files.is_gone = false;
        self.generation = files.generation;
        Ok(())
    }
}
