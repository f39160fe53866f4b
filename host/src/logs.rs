//! Log files as the command line names them.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use abort_reason::Source;
use abort_reason_explain::{Bytes, Log, Trouble, What};

use crate::failure::{Exit, Failure, Result};

/// The files of a command line. Standard input can be read only once.
pub fn files(maillog: &[PathBuf], message_log: &[PathBuf]) -> Result<Vec<Log>> {
    if maillog.iter().chain(message_log).filter(|path| is_stdin(path)).count() > 1 {
        return Err(Failure::new(Exit::Usage, "`-` stands for standard input, which can be read only once")
            .hint("Name a file for every log but one."));
    }
    let of = |source| move |path: &PathBuf| file(path, source);
    Ok(maillog.iter().map(of(Source::Mail)).chain(message_log.iter().map(of(Source::MessageLog))).collect())
}

/// One of them.
pub fn file(path: &Path, source: Source) -> Log {
    Log { name: name(path), source, bytes: Box::new(LogFile(path.to_owned())) }
}

/// The bytes that reading the files will take, if all are regular files.
pub fn total_bytes<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Option<u64> {
    paths.into_iter().map(|path| fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|m| m.len())).sum()
}

/// A file, or standard input for `-`.
struct LogFile(PathBuf);

impl Bytes for LogFile {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        if is_stdin(&self.0) {
            return Ok(Box::new(io::stdin()));
        }
        if fs::metadata(&self.0).is_ok_and(|metadata| metadata.is_dir()) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Box::new(File::open(&self.0)?))
    }

    fn again(&self) -> bool {
        !is_stdin(&self.0) && fs::metadata(&self.0).is_ok_and(|metadata| metadata.is_file())
    }

    fn changed_ns(&self) -> Option<i64> {
        let changed = fs::metadata(&self.0).ok().filter(|_| self.again())?.modified().ok()?;
        i64::try_from(changed.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Failure {
        match trouble {
            Trouble::Log { what, message, hint } => {
                let exit = match what {
                    What::Missing => Exit::NoInput,
                    What::Data => Exit::Data,
                    What::Io => Exit::Io,
                };
                Failure::new(exit, message).maybe_hint(hint)
            }
            Trouble::Spool(error) => {
                let folder = std::env::temp_dir();
                Failure::new(Exit::Io, format!("cannot use a temporary file in {}: {error}", folder.display()))
                    .hint("Make room there, or name another folder in TMPDIR.")
            }
        }
    }
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

fn name(path: &Path) -> String {
    if is_stdin(path) { "standard input".into() } else { path.display().to_string() }
}
