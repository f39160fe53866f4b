//! Errors for people: what went wrong, where, and what to do about it; and the exit codes of `sysexits.h` for scripts.

use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::text::visible;

/// Exit codes, after `sysexits.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Nothing to complain about.
    Ok = 0,
    /// The command line is wrong.
    Usage = 64,
    /// An input file is not what it should be.
    Data = 65,
    /// An input file is missing or unreadable.
    NoInput = 66,
    /// Something that the command needs is not there.
    Unavailable = 69,
    /// The program itself is at fault.
    Software = 70,
    /// The output file cannot be created.
    CantCreate = 73,
    /// Reading or writing failed on the way.
    Io = 74,
    /// The configuration is wrong.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Why the command ends early.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    message: String,
    hint: Option<String>,
}

/// The result of everything that can end the command.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure and what it was.
    pub fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure { exit, message: message.into(), hint: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Failure {
        Failure { hint: Some(hint.into()), ..self }
    }

    /// Adds what to do about it, where there is something.
    #[must_use]
    pub(crate) fn maybe_hint(self, hint: Option<impl Into<String>>) -> Failure {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    /// A failure to write to `name`. A reader that has gone away, as `head` does, is no failure: the command ends
    /// quietly, as if SIGPIPE had ended it.
    pub fn writing(name: &str, error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::new(Exit::Ok, ""),
            io::ErrorKind::StorageFull => Failure::new(Exit::Io, format!("cannot write to {name}: {error}"))
                .hint("Make room there, or choose another place."),
            _ => Failure::new(Exit::Io, format!("cannot write to {name}: {error}")),
        }
    }

    /// Tells standard error, in one paragraph.
    pub fn print(&self) {
        if self.exit != Exit::Ok {
            say(&self.to_string());
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n{hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

/// Says something on standard error under the program's name. What can't be said there is lost, not fatal. Nothing in
/// it reaches the terminal as a control character: it may hold file names, configuration and log content.
pub fn say(message: &str) {
    use io::Write;

    let mut text = String::new();
    for (at, line) in message.lines().enumerate() {
        text.push_str(if at == 0 { "abort-reason: " } else { "  " });
        text.push_str(&visible(line));
        text.push('\n');
    }
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_and_what_to_do() {
        let failure = Failure::new(Exit::NoInput, "no such file").hint("Look again.");
        assert_eq!(failure.to_string(), "no such file\nLook again.");
    }

    #[test]
    fn a_reader_that_has_gone_away_is_no_failure() {
        assert_eq!(Failure::writing("x", &io::ErrorKind::BrokenPipe.into()).exit, Exit::Ok);
        assert_eq!(Failure::writing("x", &io::ErrorKind::StorageFull.into()).exit, Exit::Io);
    }
}
