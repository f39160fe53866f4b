//! Worlds through the native engine and `explain`; `cargo xtask simulate` runs it before it goes through the other faces.

use std::process::ExitCode;

use abort_reason_simulator::check::Tally;
use abort_reason_simulator::{check, worlds};

fn main() -> ExitCode {
    let mut tally = Tally::default();
    let done = worlds(1, 2_000, &mut |world, shipping| {
        tally += check(world, shipping)?;
        Ok(())
    });
    match done {
        Ok(count) => {
            println!(
                "{count} worlds, {} records, {} lines told at a glance, nothing wrong",
                tally.records, tally.unread
            );
            ExitCode::SUCCESS
        }
        Err(wrong) => {
            eprintln!("{wrong}");
            ExitCode::FAILURE
        }
    }
}
