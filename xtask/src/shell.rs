//! Running programs, and saying so: every command that a task runs is printed before it runs.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// Why a task did not succeed, and the exit code (of `sysexits.h` where one fits) that says so.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    text: String,
}

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Failure {
        Failure { code: 1, text: text.into() }
    }

    /// The command line makes no sense: `EX_USAGE`.
    pub(crate) fn usage(text: impl Into<String>) -> Failure {
        Failure { code: 64, text: text.into() }
    }

    /// Something is needed that is not there and can't be installed: `EX_UNAVAILABLE`.
    pub(crate) fn unavailable(text: impl Into<String>) -> Failure {
        Failure { code: 69, text: text.into() }
    }

    pub(crate) fn exit(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// An error of reading or writing `what`.
pub(crate) fn io_failure(what: impl fmt::Display) -> impl FnOnce(std::io::Error) -> Failure {
    move |error| Failure::new(format!("{what}: {error}"))
}

/// Runs a command to its end; its output goes where the task's goes.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    announce(command);
    let status = command.status().map_err(io_failure(program(command)))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("`{}` failed: {status}", line(command)))) }
}

/// Runs a command, unannounced, and takes what it writes to standard output.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(io_failure(program(command)))?;
    if !output.status.success() {
        return Err(Failure::new(format!("`{}` failed: {}", line(command), output.status)));
    }
    String::from_utf8(output.stdout).map_err(|_| Failure::new(format!("`{}` wrote what is no UTF-8", line(command))))
}

/// Runs a command, gives it `input` to read, and takes what it writes to standard output.
pub(crate) fn filter(command: &mut Command, input: &str) -> Result<String> {
    announce(command);
    let name = program(command);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(io_failure(&name))?;
    let stdin = child.stdin.take();
    let output = thread::scope(|scope| {
        // Beside the reading: both pipes fill up otherwise. A program that stops reading says why by its exit code.
        scope.spawn(|| stdin.map(|mut stdin| stdin.write_all(input.as_bytes())));
        child.wait_with_output()
    });
    let output = output.map_err(io_failure(&name))?;
    if !output.status.success() {
        return Err(Failure::new(format!("`{}` failed: {}", line(command), output.status)));
    }
    String::from_utf8(output.stdout).map_err(|_| Failure::new(format!("`{}` wrote what is no UTF-8", line(command))))
}

/// Whether a command runs and succeeds; what it writes is thrown away.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Prints the command that is about to run.
pub(crate) fn announce(command: &Command) {
    note(Style::Faint, &format!("$ {}", line(command)));
}

/// Begins a part of a task.
pub(crate) fn heading(text: &str) {
    note(Style::Bold, &format!("\n== {text}"));
}

/// Something worth knowing.
pub(crate) fn say(text: &str) {
    note(Style::Plain, text);
}

/// Something that nobody should overlook.
pub(crate) fn warn(text: &str) {
    note(Style::Warning, &format!("!! {text}"));
}

/// How a line is shown on a terminal.
#[derive(Clone, Copy)]
pub(crate) enum Style {
    Plain,
    Bold,
    Faint,
    Warning,
}

impl Style {
    /// The text between the escapes of this style.
    pub(crate) fn paint(self, text: &str, terminal: bool) -> String {
        let code = match self {
            _ if !terminal => return text.to_owned(),
            Style::Plain => return text.to_owned(),
            Style::Bold => "1",
            Style::Faint => "2",
            Style::Warning => "1;33",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// Whether escapes are welcome on a stream.
pub(crate) fn colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A time as a person says it.
pub(crate) fn seconds(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 100 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

fn note(style: Style, text: &str) {
    let mut stream = std::io::stderr().lock();
    // Nobody is left to tell where standard error is gone.
    let _ = writeln!(stream, "{}", style.paint(text, colours(&stream)));
}

fn program(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn line(command: &Command) -> String {
    let name = command.get_program().to_string_lossy();
    let name = name.rsplit('/').next().unwrap_or_default().to_owned();
    std::iter::once(name)
        .chain(command.get_args().map(|arg| arg.to_string_lossy().into_owned()))
        .collect::<Vec<_>>()
        .join(" ")
}
