//! Why the journal can't be used.

use std::io::ErrorKind;

/// Why the journal can't be used.
#[derive(Debug, thiserror::Error)]
pub(in crate::bridge) enum JournalError {
    /// Another process has it open.
    #[error("another process uses it")]
    InUse,
    /// It was written by another version.
    #[error("it was written by another version of abort-reason")]
    Format,
    /// It can't be read.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// The store, or the disk below it.
    #[error("{0}")]
    Store(String),
}

impl<E: Into<redb::Error>> From<E> for JournalError {
    fn from(error: E) -> JournalError {
        match error.into() {
            redb::Error::DatabaseAlreadyOpen => JournalError::InUse,
            redb::Error::Corrupted(cause) => JournalError::Damaged(cause),
            redb::Error::Io(error) if error.kind() == ErrorKind::InvalidData => {
                JournalError::Damaged(error.to_string())
            }
            other => JournalError::Store(other.to_string()),
        }
    }
}

pub(in crate::bridge) type Result<T> = std::result::Result<T, JournalError>;
