//! Where results go: standard output, or a file that appears under its name only when it is complete.

use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::NamedTempFile;

use crate::failure::{Exit, Failure, Result};

/// A place for results.
pub struct Output {
    writer: BufWriter<Place>,
    name: String,
}

enum Place {
    Stdout(StdoutLock<'static>),
    /// A device, pipe or socket: there is nothing to rename.
    Special(File),
    /// A file beside the one that it will replace.
    Temporary {
        file: NamedTempFile,
        target: PathBuf,
    },
}

/// What is there now and must not stay; a signal that ends the program removes it first.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    file: Option<PathBuf>,
    /// A folder of temporary files.
    pub(crate) folder: Option<PathBuf>,
    /// A program that was started, by its process group.
    #[cfg(unix)]
    pub(crate) group: Option<rustix::process::Pid>,
}

static PENDING: Mutex<Pending> = Mutex::new(Pending {
    file: None,
    folder: None,
    #[cfg(unix)]
    group: None,
});

pub(crate) fn pending() -> MutexGuard<'static, Pending> {
    PENDING.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Output {
    /// The file at `path`, or standard output if there is none or it is `-`.
    pub fn open(path: Option<&Path>) -> Result<Output> {
        match path {
            Some(path) if path != Path::new("-") => Output::file(path),
            _ => Ok(Output::new(Place::Stdout(io::stdout().lock()), "standard output".into())),
        }
    }

    fn file(path: &Path) -> Result<Output> {
        let name = path.display().to_string();
        let cannot = |error: &io::Error| {
            Failure::new(Exit::CantCreate, format!("cannot create {}: {error}", path.display()))
                .hint("Give --output a file in a directory that exists and that you may write to.")
        };
        // A link keeps pointing where it points; a file that is not there yet is its own target.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let existing = fs::metadata(&target).ok();
        if let Some(existing) = &existing {
            if existing.is_dir() {
                return Err(cannot(&io::ErrorKind::IsADirectory.into()));
            }
            if !existing.is_file() {
                let file = File::options().write(true).open(&target).map_err(|error| cannot(&error))?;
                return Ok(Output::new(Place::Special(file), name));
            }
        }
        let folder = match target.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        remove_on_signals().map_err(|error| cannot(&error))?;
        let mut pending = pending();
        let file = temporary().tempfile_in(folder).map_err(|error| cannot(&error))?;
        if let Some(existing) = existing {
            file.as_file().set_permissions(existing.permissions()).map_err(|error| cannot(&error))?;
        }
        pending.file = Some(file.path().to_path_buf());
        Ok(Output::new(Place::Temporary { file, target }, name))
    }

    fn new(place: Place, name: String) -> Output {
        Output { writer: BufWriter::with_capacity(64 * 1024, place), name }
    }

    /// Whether a person is looking.
    pub fn is_terminal(&self) -> bool {
        matches!(self.writer.get_ref(), Place::Stdout(stdout) if stdout.is_terminal())
    }

    /// How messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The failure to write here.
    pub fn failure(&self, error: &io::Error) -> Failure {
        Failure::writing(&self.name, error)
    }

    /// Writes what is left; a file gets its name now.
    pub fn finish(self) -> Result<()> {
        let failed = |error: &io::Error| Failure::writing(&self.name, error);
        match self.writer.into_inner().map_err(|error| failed(error.error()))? {
            Place::Stdout(mut stdout) => stdout.flush().map_err(|error| failed(&error)),
            Place::Special(mut file) => file.flush().map_err(|error| failed(&error)),
            Place::Temporary { file, target } => {
                let done = file.persist(&target);
                pending().file = None;
                done.map(drop).map_err(|error| failed(&error.error))
            }
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Write for Place {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Place::Stdout(stdout) => stdout.write(bytes),
            Place::Special(file) => file.write(bytes),
            Place::Temporary { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Place::Stdout(stdout) => stdout.flush(),
            Place::Special(file) => file.flush(),
            Place::Temporary { file, .. } => file.flush(),
        }
    }
}

/// Signals that ask to end do so when the temporary file is gone.
#[cfg(unix)]
fn remove_on_signals() -> io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new(crate::signals::to_end())?;
    let listening = move || {
        if let Some(signal) = signals.forever().next() {
            // Held until the end: nothing gets its name any more.
            let pending = pending();
            if let Some(group) = pending.group {
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            let _ = pending.file.as_ref().map(fs::remove_file);
            let _ = pending.folder.as_ref().map(fs::remove_dir_all);
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(listening)?;
    Ok(())
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps)]
fn remove_on_signals() -> io::Result<()> {
    Ok(())
}

/// A temporary file that has the permissions of any other new file once it has its name.
fn temporary() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".abort-reason-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The umask takes its part away.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder
}
