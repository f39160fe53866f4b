//! Opens a log file and unpacks it; which compression it has is told by its first bytes, not by its name.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

use crate::failure::{Exit, Failure, Result};

const BUFFER: usize = 128 * 1024;

/// What an xz file may ask for; its strongest preset takes 65 MiB.
const XZ_MEMORY: u64 = 256 * 1024 * 1024;

/// Bytes read from all files so far, as they lie on the disk: what a progress bar shows.
pub type BytesRead = Rc<Cell<u64>>;

/// The text of a log file.
pub type LogReader = Box<dyn BufRead>;

/// Opens a file, or standard input for `-`, for its unpacked text.
pub fn open(path: &Path, bytes_read: &BytesRead) -> Result<LogReader> {
    let raw: Box<dyn Read> = if super::is_stdin(path) {
        Box::new(io::stdin().lock())
    } else {
        if fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
            return Err(Failure::new(Exit::NoInput, format!("{} is a directory", path.display()))
                .hint("Name the log files in it."));
        }
        Box::new(File::open(path).map_err(|error| unreadable(path, &error))?)
    };
    let mut counted = Counted { inner: raw, bytes_read: Rc::clone(bytes_read) };
    let mut magic = Vec::with_capacity(10);
    counted.by_ref().take(10).read_to_end(&mut magic).map_err(|error| unreadable(path, &error))?;
    let compression = Compression::of(&magic);
    let packed = BufReader::with_capacity(BUFFER, Cursor::new(magic).chain(counted));
    Ok(match compression {
        Compression::None => Box::new(packed),
        Compression::Gzip => Box::new(unpacked(MultiGzDecoder::new(packed))),
        Compression::Xz => {
            let stream =
                Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED).map_err(|error| unreadable(path, &error.into()))?;
            Box::new(unpacked(XzDecoder::new_stream(packed, stream)))
        }
        Compression::Zstd => {
            Box::new(unpacked(zstd::Decoder::with_buffer(packed).map_err(|error| unreadable(path, &error))?))
        }
        Compression::Unknown(program) => {
            return Err(Failure::new(
                Exit::Data,
                format!("{} is compressed by {program}, which is not read here", super::name(path)),
            )
            .hint(format!("Unpack it first, or give `-` for it and pipe it in: {program} -dc FILE | abort-reason …")));
        }
    })
}

/// The failure to read from `path`, in words that say what to do.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let name = super::name(path);
    match error.kind() {
        io::ErrorKind::NotFound => Failure::new(Exit::NoInput, format!("cannot find {name}"))
            .hint("Check the name; the log may have been rotated away or stand elsewhere (message_log in pmx.conf names PureMessage's)."),
        io::ErrorKind::PermissionDenied => Failure::new(Exit::NoInput, format!("may not read {name}: {error}"))
            .hint("Run as a user who may read the logs, or copy the log to where you may."),
        io::ErrorKind::UnexpectedEof => Failure::new(Exit::Data, format!("{name} ends in the middle of its compressed data"))
            .hint("It may still be being written: wait until the rotation is done, or unpack what is there and name the result."),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
            Failure::new(Exit::Data, format!("cannot unpack {name}: {error}"))
                .hint("The file is damaged: unpack what can be had of it and name the result.")
        }
        _ => Failure::new(Exit::Io, format!("cannot read {name}: {error}")),
    }
}

enum Compression {
    None,
    Gzip,
    Xz,
    Zstd,
    /// One that is not read here, by the name of its program.
    Unknown(&'static str),
}

impl Compression {
    fn of(magic: &[u8]) -> Compression {
        match magic {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
            // A frame of zstd, or one that only carries notes, as `pzstd` writes them in front.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, ..] => Compression::Unknown("bzip2"),
            [0x04, 0x22, 0x4d, 0x18, ..] => Compression::Unknown("lz4"),
            [0x1f, 0x9d, ..] => Compression::Unknown("uncompress"),
            _ => Compression::None,
        }
    }
}

fn unpacked(decoder: impl Read + 'static) -> impl BufRead + 'static {
    BufReader::with_capacity(BUFFER, decoder)
}

struct Counted {
    inner: Box<dyn Read>,
    bytes_read: BytesRead,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes_read.set(self.bytes_read.get() + read as u64);
        Ok(read)
    }
}
