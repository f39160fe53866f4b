//! Unpacks a log; which compression it has is told by its first bytes, not by its name.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::GzDecoder;

use crate::ahead::ahead;
use crate::log::Log;
use crate::trouble::{Result, Trouble, What};

/// Larger reads go past it.
const BUFFER: usize = 64 * 1024;

/// What an xz file may ask for; its strongest preset takes 65 MiB.
#[cfg(feature = "xz-zstd")]
const XZ_MEMORY: u64 = 256 * 1024 * 1024;

/// Bytes that tell how a log is packed.
const MAGIC: u64 = 10;

/// Bytes read from all files so far, as they lie on the disk: what a progress bar shows.
pub(crate) type BytesRead = Arc<AtomicU64>;

/// The text of a log.
pub(crate) type LogReader = Box<dyn BufRead + Send>;

/// Whether a log is packed.
pub(crate) fn is_packed(log: &Log) -> Result<bool> {
    let unreadable = |error: io::Error| Trouble::unreadable(&log.name, &error);
    let mut magic = Vec::new();
    log.bytes.open().and_then(|bytes| bytes.take(MAGIC).read_to_end(&mut magic)).map_err(unreadable)?;
    Ok(!matches!(Compression::of(&magic), Compression::None))
}

/// Opens a log for its unpacked text: all of it, or only for a look.
pub(crate) fn open(log: &Log, bytes_read: &BytesRead, whole: bool) -> Result<LogReader> {
    let unreadable = |error: io::Error| Trouble::unreadable(&log.name, &error);
    let mut counted = Counted { inner: log.bytes.open().map_err(unreadable)?, bytes_read: Arc::clone(bytes_read) };
    let mut magic = Vec::new();
    counted.by_ref().take(MAGIC).read_to_end(&mut magic).map_err(unreadable)?;
    let compression = Compression::of(&magic);
    let packed = BufReader::with_capacity(BUFFER, Cursor::new(magic).chain(counted));
    let mut text: LogReader = match compression {
        Compression::None => Box::new(packed),
        Compression::Gzip => unpacked(Gunzip(Some(GzDecoder::new(packed))), whole),
        #[cfg(feature = "xz-zstd")]
        Compression::Xz => {
            use liblzma::stream::{CONCATENATED, Stream};
            let stream =
                Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED).map_err(|error| unreadable(error.into()))?;
            unpacked(liblzma::bufread::XzDecoder::new_stream(packed, stream), whole)
        }
        #[cfg(feature = "xz-zstd")]
        Compression::Zstd => unpacked(zstd::Decoder::with_buffer(packed).map_err(unreadable)?, whole),
        #[cfg(not(feature = "xz-zstd"))]
        Compression::Xz => return Err(not_read(log, "xz")),
        #[cfg(not(feature = "xz-zstd"))]
        Compression::Zstd => return Err(not_read(log, "zstd")),
        Compression::Unknown(program) => return Err(not_read(log, program)),
    };
    // Editors of other systems put a mark in front of UTF-8.
    if text.fill_buf().map_err(unreadable)?.starts_with(b"\xef\xbb\xbf") {
        text.consume(3);
    }
    Ok(text)
}

fn not_read(log: &Log, program: &str) -> Trouble {
    Trouble::log(What::Data, format!("{} is compressed by {program}, which is not read here", log.name))
        .hint(format!("Unpack it first: {program} -dc FILE"))
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

/// The members of a gzip file, one behind the other. As `gzip` does, it takes no offence at zeros behind the last one, with
/// which tapes and some file systems fill up.
struct Gunzip<R>(Option<GzDecoder<R>>);

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.0 {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let mut rest = self.0.take().map(GzDecoder::into_inner);
            while let Some(packed) = &mut rest {
                let available = packed.fill_buf()?;
                let zeros = available.iter().take_while(|byte| **byte == 0).count();
                if available.is_empty() {
                    rest = None;
                } else if zeros == 0 {
                    break;
                } else {
                    packed.consume(zeros);
                }
            }
            self.0 = rest.map(GzDecoder::new);
        }
        Ok(0)
    }
}

/// What is read whole is unpacked ahead.
fn unpacked(decoder: impl Read + Send + 'static, whole: bool) -> LogReader {
    if whole { ahead(decoder) } else { Box::new(BufReader::with_capacity(BUFFER, decoder)) }
}

struct Counted {
    inner: Box<dyn Read + Send>,
    bytes_read: BytesRead,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes_read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
