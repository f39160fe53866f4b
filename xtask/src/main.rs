//! The project's tasks, run as `cargo xtask TASK`: one word each for what would be a page of commands otherwise.
//!
//! | module | what it is for |
//! |---|---|
//! | [`toolchain`] | finds, or installs, a way to build for WebAssembly |
//! | [`component`] | builds the component and looks at what it imports and exports |
//! | [`fluent_bit`] | builds the module for Fluent Bit and sets it up |
//! | [`javascript`] | builds and packs the package for npm |
//! | [`dist`] | `build`: puts what a user takes away into `dist/` |
//! | [`demo`] | `demo`: the project at work on logs that a real sendmail wrote |
//! | [`mod@test`] | `test`: the whole test suite |
//! | [`simulate`] | `simulate`: the simulator's worlds, as many as one likes, through every face |
//! | [`mod@bench`] | `bench`: takes the figures of `BENCHMARKS.md` anew, beside those of others |
//! | [`check`] | `check`: everything that can be told without running the tests |
//! | [`mod@debian`] | installs Debian's packages where it may |
//! | [`web`] | `web`, `site`: bundles what a browser shows |
//! | [`shell`], [`workspace`], [`fold`] | running programs and reporting on them; where things are; text to a width |

use std::process::ExitCode;

mod bench;
mod check;
mod component;
mod debian;
mod demo;
mod dist;
mod fluent_bit;
mod fold;
mod javascript;
mod shell;
mod simulate;
mod test;
mod toolchain;
mod web;
mod workspace;

const HELP: &str = "\
The project's tasks.

  cargo xtask demo            build, then show every abort of a real log with its reason
  cargo xtask build           build what a user takes away, into dist/
  cargo xtask test [ARGS]     run the whole test suite; ARGS go to `cargo nextest run` or `cargo test`
  cargo xtask simulate [--seconds N] [--seed S]
                              simulated mail hosts through every face, their seeds from S on, for N seconds
  cargo xtask bench [--rounds N] [--messages N] [TABLE...]
                              take the figures of BENCHMARKS.md anew, beside those of others
  cargo xtask site            build the page that explains logs in a browser, dist/site/index.html
  cargo xtask web             bundle the report of web/ anew, after a change there
  cargo xtask check           format, lints, documentation, dependencies, invariants

Each task brings what it needs and says what it installs. What comes from crates.io and npm is pinned.

Environment:
  ABORT_REASON_WASM_TOOLCHAIN=rustup|debian
                              how to build for WebAssembly, where both ways work (otherwise: rustup's, then Debian's)
  BLESS=1                     `test` and `check` rewrite the expected files instead of comparing with them";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["demo"] => demo::run(),
        ["build"] => dist::run(),
        ["test", rest @ ..] => test::run(rest),
        ["simulate", rest @ ..] => simulate::run(rest),
        ["bench", rest @ ..] => bench::run(rest),
        ["check"] => check::run(),
        ["web"] => web::run(),
        ["site"] => toolchain::Toolchain::find().and_then(|toolchain| web::site(&toolchain)).map(drop),
        ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(())
        }
        _ => Err(shell::Failure::usage(HELP)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit()
        }
    }
}
