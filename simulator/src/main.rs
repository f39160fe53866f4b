//! `cargo xtask simulate`: worlds of one seed after another, until something is wrong or the time is over.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use abort_reason_simulator::{check, simulate};

fn main() -> ExitCode {
    let (mut seconds, mut seed) = (60, 1);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().and_then(|value| value.parse().ok());
        match (argument.as_str(), value) {
            ("--seconds", Some(value)) => seconds = value,
            ("--seed", Some(value)) => seed = value,
            _ => {
                eprintln!("usage: cargo xtask simulate [--seconds N] [--seed S]");
                return ExitCode::from(64);
            }
        }
    }
    let (began, first) = (Instant::now(), seed);
    let mut aborts = 0;
    let mut told = Duration::from_mins(1);
    while began.elapsed() < Duration::from_secs(seconds) {
        let done = simulate(seed, &mut |world, shipping| {
            aborts += check(world, shipping)?;
            Ok(())
        });
        if let Err(wrong) = done {
            eprintln!("{wrong}\n`cargo xtask simulate --seed {seed}` begins with this world.");
            return ExitCode::FAILURE;
        }
        seed += 1;
        if began.elapsed() > told {
            told += Duration::from_mins(1);
            println!("{} worlds, {aborts} aborts", seed - first);
        }
    }
    println!("{} worlds, {aborts} aborts, nothing wrong", seed - first);
    ExitCode::SUCCESS
}
