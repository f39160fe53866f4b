//! The command `abort-reason`: what administrators type, and what runs the WebAssembly component beside a log shipper.
//!
//! | module | what it is for |
//! |---|---|
//! | [`cli`] | the command line: subcommands, options, help |
//! | [`explain`] | log files in, every abort with its reason out; natively, without the component |
//! | [`advise`] | what to change, by the same files |
//! | [`watch`] | both logs as they grow, aborts as they come |
//! | [`pipe`] | records on standard input through the component to standard output, live |
//! | [`bridge`] | Vector's protocol on both sides, the component in between, a journal below |
//! | [`sandbox`] | the component under wasmtime: memory and time limited, importing nothing |
//! | [`configure`] | bakes a configuration into the module for Fluent Bit |
//! | [`logs`] | log files, as the command line names them |
//! | [`settings`] | configuration files, YAML or JSON, for the core to validate |
//! | [`reasons`] | prints the table of reasons |
//! | [`text`] | makes what a log holds safe for a terminal and for a spreadsheet |
//! | [`output`] | standard output or a file that appears only when it is complete |
//! | [`failure`] | errors that say what, where and what to do; exit codes of `sysexits.h` |
//!
//! What a log line means is the business of the core, [`abort_reason`]: nothing here knows sendmail.

// Nothing that a record can reach is taken for granted.
#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::unreachable, clippy::todo)
)]

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use failure::Exit;

pub mod advise;
mod ahead;
pub mod bridge;
pub mod cli;
mod component;
pub mod configure;
pub mod explain;
pub mod failure;
pub mod logs;
pub mod output;
pub mod pipe;
pub mod reasons;
pub mod sandbox;
pub mod settings;
#[cfg(unix)]
mod signals;
#[cfg(unix)]
pub mod watch;
pub use abort_reason_explain::text;

/// Runs the command line `args`, whose first element is the program's name, and gives the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are "errors" of clap's, too. A reader that has gone away is no reason to complain.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    let done = match cli.command {
        Command::Explain(options) => explain::run(&options),
        #[cfg(unix)]
        Command::Watch(options) => watch::run(&options),
        Command::Advise(options) => advise::run(&options),
        Command::Pipe(options) => pipe::run(&options),
        Command::Bridge(options) => bridge::run(&options),
        Command::Reasons(options) => reasons::run(&options),
        Command::Check(options) => settings::check(&options),
        Command::Configure(options) => configure::run(&options),
        Command::Completions(options) => cli::print_completions(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            failure.exit.into()
        }
    }
}
