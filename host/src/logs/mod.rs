//! Log files: opened and unpacked whatever their names, cut into lines, and put in order of time while they are read.
//!
//! Memory is bounded whatever the files hold: a read buffer and one line for each file that is open at the moment. A
//! file is open only while its time has come, so that a year of rotated files needs no more than a day of them.

use std::path::{Path, PathBuf};

use abort_reason::Source;

use crate::failure::{Exit, Failure, Result};

mod clock;
mod lines;
mod merge;
mod open;
mod probe;

pub use lines::{LONGEST_LINE, LineReader};
pub use merge::{Counts, Merge};
pub use open::{BytesRead, LogReader, open};

/// A file as the user named it.
#[derive(Debug, Clone)]
pub struct LogFile {
    /// Where it is; `-` is standard input.
    pub path: PathBuf,
    /// Which log it belongs to.
    pub source: Source,
}

impl LogFile {
    /// Whether it is standard input.
    pub fn is_stdin(&self) -> bool {
        is_stdin(&self.path)
    }

    /// How messages call it.
    pub fn name(&self) -> String {
        name(&self.path)
    }

    /// The failure to read it.
    fn unreadable(&self, error: &std::io::Error) -> Failure {
        open::unreadable(&self.path, error)
    }
}

/// The files of a command line. Standard input can be read only once.
pub fn files(maillog: &[PathBuf], message_log: &[PathBuf]) -> Result<Vec<LogFile>> {
    let of = |source| move |path: &PathBuf| LogFile { path: path.clone(), source };
    let files: Vec<LogFile> =
        maillog.iter().map(of(Source::Mail)).chain(message_log.iter().map(of(Source::MessageLog))).collect();
    if files.iter().filter(|file| file.is_stdin()).count() > 1 {
        return Err(Failure::new(Exit::Usage, "`-` stands for standard input, which can be read only once")
            .hint("Name a file for every log but one."));
    }
    Ok(files)
}

/// The bytes that reading the files will take, if all are regular files.
pub fn total_bytes(files: &[LogFile]) -> Option<u64> {
    files
        .iter()
        .map(|file| std::fs::metadata(&file.path).ok().filter(std::fs::Metadata::is_file).map(|m| m.len()))
        .sum()
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

fn name(path: &Path) -> String {
    if is_stdin(path) { "standard input".into() } else { path.display().to_string() }
}
