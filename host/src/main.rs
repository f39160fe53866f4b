//! The command `abort-reason`; everything it does is in the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    abort_reason_host::run(std::env::args_os())
}
