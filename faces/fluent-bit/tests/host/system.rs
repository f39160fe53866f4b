//! The system calls that Fluent Bit gives a module, over files in memory that can be full, spoilt, or shared.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use wasmi::{Caller, Extern, Linker};

const OK: i32 = 0;
const BAD_FD: i32 = 8;
const NO_ENTRY: i32 = 44;
const NO_SPACE: i32 = 51;

/// The folder of `accessible_paths`.
#[derive(Debug)]
pub(crate) struct Folder {
    files: BTreeMap<String, Rc<RefCell<File>>>,
    inodes: u64,
    /// Bytes that all files may have together.
    pub(crate) room: usize,
    /// There is none: Fluent Bit was given no path.
    pub(crate) missing: bool,
    /// An open file can't be looked at.
    pub(crate) blind: bool,
}

#[derive(Debug)]
struct File {
    bytes: Vec<u8>,
    inode: u64,
}

impl Default for Folder {
    fn default() -> Folder {
        Folder { files: BTreeMap::new(), inodes: 0, room: usize::MAX, missing: false, blind: false }
    }
}

impl Folder {
    /// The bytes of a file.
    pub(crate) fn file(&self, name: &str) -> Vec<u8> {
        self.files.get(name).map(|file| file.borrow().bytes.clone()).unwrap_or_default()
    }

    /// Puts a file there.
    pub(crate) fn put(&mut self, name: &str, bytes: &[u8]) {
        self.inodes += 1;
        let file = File { bytes: bytes.to_vec(), inode: self.inodes };
        self.files.insert(name.to_owned(), Rc::new(RefCell::new(file)));
    }

    /// Takes a file away; who has it open can still read it.
    pub(crate) fn remove(&mut self, name: &str) {
        self.files.remove(name);
    }

    /// Cuts a file off.
    pub(crate) fn cut(&mut self, name: &str, length: usize) {
        self.files[name].borrow_mut().bytes.truncate(length);
    }

    /// Bytes of all files.
    pub(crate) fn used(&self) -> usize {
        self.files.values().map(|file| file.borrow().bytes.len()).sum()
    }
}

/// What one process sees: the folder, which others may see as well, its open files, and the time.
#[derive(Debug, Default)]
pub(crate) struct System {
    pub(crate) folder: Rc<RefCell<Folder>>,
    open: Vec<Option<Rc<RefCell<File>>>>,
    pub(crate) now_ms: u64,
}

impl System {
    pub(crate) fn new(folder: Rc<RefCell<Folder>>) -> System {
        System { folder, ..System::default() }
    }

    /// How many files are open.
    pub(crate) fn open_files(&self) -> usize {
        self.open.iter().flatten().count()
    }

    fn file(&self, fd: i32) -> Option<Rc<RefCell<File>>> {
        self.open.get(usize::try_from(fd - 4).ok()?)?.clone()
    }
}

type Call<'a> = Caller<'a, System>;

fn read(caller: &Call<'_>, at: i32, length: i32) -> Vec<u8> {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else { panic!("a memory") };
    memory.data(caller)[at as usize..][..length as usize].to_vec()
}

fn write(caller: &mut Call<'_>, at: i32, bytes: &[u8]) {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else { panic!("a memory") };
    memory.write(caller, at as usize, bytes).expect("memory of the module");
}

/// Address and length of the one buffer that is passed.
fn buffer(caller: &Call<'_>, list: i32) -> (i32, i32) {
    let bytes = read(caller, list, 8);
    let number = |at: usize| i32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    (number(0), number(4))
}

fn stat(caller: &mut Call<'_>, file: &Rc<RefCell<File>>, to: i32) -> i32 {
    let (inode, size) = (file.borrow().inode, file.borrow().bytes.len() as u64);
    let mut bytes = [0; 64];
    bytes[8..16].copy_from_slice(&inode.to_le_bytes());
    bytes[16] = 4;
    bytes[32..40].copy_from_slice(&size.to_le_bytes());
    write(caller, to, &bytes);
    OK
}

/// Defines what the module imports.
pub(crate) fn define(linker: &mut Linker<System>) {
    let wasi = "wasi_snapshot_preview1";
    let path_open = |mut caller: Call<'_>, _: i32, _: i32, at, length, flags: i32, _: i64, _: i64, _: i32, to| {
        let name = String::from_utf8(read(&caller, at, length)).expect("a name");
        let system = caller.data_mut();
        let mut folder = system.folder.borrow_mut();
        if folder.missing {
            return BAD_FD;
        }
        if !folder.files.contains_key(&name) {
            folder.put(&name, b"");
        }
        let file = Rc::clone(&folder.files[&name]);
        if flags & 8 != 0 {
            file.borrow_mut().bytes.clear();
        }
        drop(folder);
        system.open.push(Some(file));
        let fd = system.open.len() as i32 + 3;
        write(&mut caller, to, &fd.to_le_bytes());
        OK
    };
    let fd_write = |mut caller: Call<'_>, fd, list, _: i32, to| {
        let (at, length) = buffer(&caller, list);
        let bytes = read(&caller, at, length);
        let Some(file) = caller.data().file(fd) else { return BAD_FD };
        let room = {
            let folder = caller.data().folder.borrow();
            folder.room.saturating_sub(folder.used()).min(bytes.len())
        };
        if room == 0 {
            return NO_SPACE;
        }
        // A full disk takes what it can.
        file.borrow_mut().bytes.extend_from_slice(&bytes[..room]);
        write(&mut caller, to, &(room as u32).to_le_bytes());
        OK
    };
    let fd_pread = |mut caller: Call<'_>, fd, list, _: i32, offset: i64, to| {
        let (at, length) = buffer(&caller, list);
        let Some(file) = caller.data().file(fd) else { return BAD_FD };
        let part = {
            let file = file.borrow();
            let rest = file.bytes.get(offset as usize..).unwrap_or_default();
            rest[..rest.len().min(length as usize)].to_vec()
        };
        write(&mut caller, at, &part);
        write(&mut caller, to, &(part.len() as u32).to_le_bytes());
        OK
    };
    let fd_filestat_get = |mut caller: Call<'_>, fd, to| match caller.data().file(fd) {
        _ if caller.data().folder.borrow().blind => BAD_FD,
        Some(file) => stat(&mut caller, &file, to),
        None => BAD_FD,
    };
    let path_filestat_get = |mut caller: Call<'_>, _: i32, _: i32, at, length, to| {
        let name = String::from_utf8(read(&caller, at, length)).expect("a name");
        let file = caller.data().folder.borrow().files.get(&name).cloned();
        file.map_or(NO_ENTRY, |file| stat(&mut caller, &file, to))
    };
    let fd_filestat_set_size = |caller: Call<'_>, fd, size: i64| match caller.data().file(fd) {
        Some(file) => {
            file.borrow_mut().bytes.resize(size as usize, 0);
            OK
        }
        None => BAD_FD,
    };
    let path_rename = |caller: Call<'_>, _: i32, at, length, _: i32, to_at, to_length| {
        let name = |at, length| String::from_utf8(read(&caller, at, length)).expect("a name");
        let (from, to) = (name(at, length), name(to_at, to_length));
        let mut folder = caller.data().folder.borrow_mut();
        let Some(file) = folder.files.remove(&from) else { return NO_ENTRY };
        folder.files.insert(to, file);
        OK
    };
    let fd_close = |mut caller: Call<'_>, fd: i32| {
        let at = usize::try_from(fd - 4).expect("a file of the module's");
        caller.data_mut().open[at] = None;
        OK
    };
    let clock_time_get = |mut caller: Call<'_>, _: i32, _: i64, to| {
        let now = caller.data().now_ms * 1_000_000;
        write(&mut caller, to, &now.to_le_bytes());
        OK
    };
    let fd_sync = |_: Call<'_>, _: i32| OK;
    let defined = linker
        .func_wrap(wasi, "path_open", path_open)
        .and_then(|linker| linker.func_wrap(wasi, "fd_write", fd_write))
        .and_then(|linker| linker.func_wrap(wasi, "fd_pread", fd_pread))
        .and_then(|linker| linker.func_wrap(wasi, "fd_filestat_get", fd_filestat_get))
        .and_then(|linker| linker.func_wrap(wasi, "path_filestat_get", path_filestat_get))
        .and_then(|linker| linker.func_wrap(wasi, "fd_filestat_set_size", fd_filestat_set_size))
        .and_then(|linker| linker.func_wrap(wasi, "path_rename", path_rename))
        .and_then(|linker| linker.func_wrap(wasi, "fd_close", fd_close))
        .and_then(|linker| linker.func_wrap(wasi, "clock_time_get", clock_time_get))
        .and_then(|linker| linker.func_wrap(wasi, "fd_sync", fd_sync));
    defined.expect("each name once");
}
