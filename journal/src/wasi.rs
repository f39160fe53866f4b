//! What a host with WASI lets a module ask of the system: a file in the first folder that it has opened, and the time.

#![allow(unsafe_code, reason = "system calls: each is given slices and numbers, and keeps none of them")]

use wasi::{Ciovec, Errno, Fd, Filestat, Iovec};

use crate::{Disk, Named, Trouble};

/// The first of the folders that the host has opened for the module.
const FOLDER: Fd = 3;

const RIGHTS: wasi::Rights = wasi::RIGHTS_FD_READ
    | wasi::RIGHTS_FD_SEEK
    | wasi::RIGHTS_FD_TELL
    | wasi::RIGHTS_FD_WRITE
    | wasi::RIGHTS_FD_SYNC
    | wasi::RIGHTS_FD_FILESTAT_GET
    | wasi::RIGHTS_FD_FILESTAT_SET_SIZE;

/// Milliseconds of a clock that never goes back; none where there is no such clock.
pub fn now_ms() -> Option<u64> {
    // SAFETY: numbers only.
    unsafe { wasi::clock_time_get(wasi::CLOCKID_MONOTONIC, 1_000_000) }.ok().map(|ns| ns / 1_000_000)
}

/// The file of a journal.
#[derive(Debug)]
pub struct File {
    name: String,
    open: Option<Open>,
    /// What takes its place.
    new: Option<Fd>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    fd: Fd,
    /// By which it is told from another of the same name.
    identity: (u64, u64),
}

impl File {
    /// A file by its name, not open yet.
    pub fn new(name: &str) -> File {
        File { name: name.to_owned(), open: None, new: None }
    }

    fn fd(&self) -> Result<Fd, Trouble> {
        self.open.map(|open| open.fd).ok_or(Trouble { tried: "use", said: "the file is not open" })
    }

    fn new_name(&self) -> String {
        format!("{}.new", self.name)
    }

    fn take(&mut self, fd: Fd, stat: Filestat) {
        if let Some(old) = self.open.replace(Open { fd, identity: (stat.dev, stat.ino) }) {
            close(old.fd);
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.open.take().map(|open| open.fd).into_iter().chain(self.new.take()).for_each(close);
    }
}

impl Disk for File {
    fn open(&mut self) -> Result<u64, Trouble> {
        let fd = open(&self.name, wasi::OFLAGS_CREAT).map_err(trouble("open"))?;
        let stat = look_at(fd).inspect_err(|_| close(fd))?;
        self.take(fd, stat);
        Ok(stat.size)
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, Trouble> {
        let fd = self.fd()?;
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let into = [Iovec { buf: rest.as_mut_ptr(), buf_len: rest.len() }];
            // SAFETY: the buffer lives as long as the call.
            let read = unsafe { wasi::fd_pread(fd, &into, offset + done as u64) }.map_err(trouble("read"))?;
            if read == 0 {
                break;
            }
            done += read;
        }
        Ok(done)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        write(self.fd()?, bytes)
    }

    fn truncate(&mut self, length: u64) -> Result<(), Trouble> {
        // SAFETY: numbers only.
        unsafe { wasi::fd_filestat_set_size(self.fd()?, length) }.map_err(trouble("cut off"))
    }

    fn named(&mut self) -> Result<Named, Trouble> {
        // SAFETY: the name lives as long as the call.
        match unsafe { wasi::path_filestat_get(FOLDER, 0, &self.name) } {
            Ok(stat) => {
                let is_open = self.open.is_some_and(|open| open.identity == (stat.dev, stat.ino));
                Ok(if is_open { Named::Open(stat.size) } else { Named::Other })
            }
            Err(wasi::ERRNO_NOENT) => Ok(Named::Nothing),
            Err(error) => Err(trouble("look at")(error)),
        }
    }

    fn begin_new(&mut self) -> Result<(), Trouble> {
        self.new.take().into_iter().for_each(close);
        self.new = Some(open(&self.new_name(), wasi::OFLAGS_CREAT | wasi::OFLAGS_TRUNC).map_err(trouble("open"))?);
        Ok(())
    }

    fn append_new(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let new = self.new.ok_or(Trouble { tried: "write", said: "no new file is open" })?;
        write(new, bytes)
    }

    fn commit_new(&mut self) -> Result<(), Trouble> {
        let new = self.new.ok_or(Trouble { tried: "rename", said: "no new file is open" })?;
        let stat = look_at(new)?;
        // SAFETY: numbers and names that live as long as the calls.
        unsafe {
            wasi::fd_sync(new).map_err(trouble("write"))?;
            wasi::path_rename(FOLDER, &self.new_name(), FOLDER, &self.name).map_err(trouble("rename"))?;
        }
        self.new = None;
        self.take(new, stat);
        Ok(())
    }
}

fn open(name: &str, how: wasi::Oflags) -> Result<Fd, Errno> {
    // SAFETY: the name lives as long as the call.
    unsafe { wasi::path_open(FOLDER, 0, name, how, RIGHTS, 0, wasi::FDFLAGS_APPEND) }
}

fn close(fd: Fd) {
    // SAFETY: whoever calls this has the number, and nobody else.
    let _ = unsafe { wasi::fd_close(fd) };
}

fn look_at(fd: Fd) -> Result<Filestat, Trouble> {
    // SAFETY: numbers only.
    unsafe { wasi::fd_filestat_get(fd) }.map_err(trouble("look at"))
}

fn write(fd: Fd, mut bytes: &[u8]) -> Result<(), Trouble> {
    while !bytes.is_empty() {
        let from = [Ciovec { buf: bytes.as_ptr(), buf_len: bytes.len() }];
        // SAFETY: the bytes live as long as the call.
        let written = unsafe { wasi::fd_write(fd, &from) }.map_err(trouble("write"))?;
        if written == 0 {
            return Err(Trouble { tried: "write", said: "nothing was written" });
        }
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

fn trouble(tried: &'static str) -> impl Fn(Errno) -> Trouble {
    move |error| Trouble { tried, said: error.message() }
}
