//! What can go wrong with logs, in words that say what to do.

use std::fmt;
use std::io;

/// What ends an explanation.
#[derive(Debug)]
pub enum Trouble {
    /// A log can't be used.
    Log {
        /// What is wrong with it.
        what: What,
        /// What went wrong, and where.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// The records can't be kept aside.
    Spool(io::Error),
}

/// What is wrong with a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It is missing, or may not be read.
    Missing,
    /// It is not what it should be.
    Data,
    /// Reading failed on the way.
    Io,
}

/// The result of all that reads logs.
pub type Result<T> = std::result::Result<T, Trouble>;

impl Trouble {
    pub(crate) fn log(what: What, message: impl Into<String>) -> Trouble {
        Trouble::Log { what, message: message.into(), hint: None }
    }

    #[must_use]
    pub(crate) fn hint(self, hint: impl Into<String>) -> Trouble {
        match self {
            Trouble::Log { what, message, .. } => Trouble::Log { what, message, hint: Some(hint.into()) },
            spool @ Trouble::Spool(_) => spool,
        }
    }

    /// The failure to read a log.
    pub(crate) fn unreadable(name: &str, error: &io::Error) -> Trouble {
        match error.kind() {
            io::ErrorKind::NotFound => Trouble::log(What::Missing, format!("cannot find {name}"))
                .hint("Check the name; the log may have been rotated away or stand elsewhere (message_log in pmx.conf names PureMessage's)."),
            io::ErrorKind::IsADirectory => {
                Trouble::log(What::Missing, format!("{name} is a directory")).hint("Name the log files in it.")
            }
            io::ErrorKind::PermissionDenied => Trouble::log(What::Missing, format!("may not read {name}: {error}"))
                .hint("Run as a user who may read the logs, or copy the log to where you may."),
            io::ErrorKind::StaleNetworkFileHandle => Trouble::log(What::Io, format!("cannot read {name} any more: {error}"))
                .hint("A log that is being written grows: copy it, and choose the copy."),
            io::ErrorKind::UnexpectedEof => Trouble::log(What::Data, format!("{name} ends in the middle of its compressed data"))
                .hint("It may still be being written: wait until the rotation is done, or unpack what is there and name the result."),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
                Trouble::log(What::Data, format!("cannot unpack {name}: {error}"))
                    .hint("The file is damaged: unpack what can be had of it and name the result.")
            }
            _ => Trouble::log(What::Io, format!("cannot read {name}: {error}")),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Log { message, hint: Some(hint), .. } => write!(f, "{message}\n{hint}"),
            Trouble::Log { message, hint: None, .. } => f.write_str(message),
            Trouble::Spool(error) => write!(f, "cannot keep the records aside: {error}"),
        }
    }
}

impl std::error::Error for Trouble {}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Spool(error)
    }
}
