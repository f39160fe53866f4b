//! `simulate`: worlds of one seed after another, through every face, for as long as one likes.

use crate::shell::{Failure, Result, heading, run as run_command, warn};
use crate::test;
use crate::workspace::cargo;

/// How to call it.
const USAGE: &str = "usage: cargo xtask simulate [--seconds N] [--seed S]";

/// Runs the simulator: `--seconds` in all (60 if it is not said), half of them natively, worlds from `--seed` on.
pub(crate) fn run(args: &[&str]) -> Result<()> {
    let (mut seconds, mut seed) = (60, None);
    for pair in args.chunks(2) {
        let value = pair.get(1).and_then(|value| value.parse::<u64>().ok());
        match (pair[0], value) {
            ("--seconds", Some(value)) => seconds = value,
            ("--seed", Some(value)) => seed = Some(value),
            _ => return Err(Failure::usage(USAGE)),
        }
    }
    // One that nobody has looked at, unless it is asked for.
    let seed = seed.unwrap_or_else(|| {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        10_000_000 + now.as_secs() % 1_000_000_000
    });
    test::prepare()?;
    let [half, part] = [seconds / 2, seconds / 10].map(|seconds| seconds.max(1).to_string());
    let mut native = cargo("run");
    native.args(["--locked", "--release", "--package", "abort-reason-simulator"]).env("SIMULATE_SECONDS", half);
    let mut steps = vec![("The native engine, and explain", native)];
    for (name, package, program, tests) in [
        ("The component", "abort-reason-host", "simulated", "the_component"),
        ("The package for JavaScript", "abort-reason-host", "simulated", "for_javascript"),
        ("The bridge", "abort-reason-host", "simulated", "the_bridge"),
        ("The filter, its slots and journal", "abort-reason-filter", "worlds", "nothing_is_lost"),
        ("The module for Fluent Bit", "abort-reason-fluent-bit", "corpus", "in_simulated_worlds"),
    ] {
        let mut test = cargo("test");
        test.args(["--locked", "--package", package, "--test", program, "--", "--nocapture", tests]);
        test.env("SIMULATE_SECONDS", &part);
        steps.push((name, test));
    }
    let mut wrong = Vec::new();
    for (name, mut command) in steps {
        heading(name);
        if let Err(failure) = run_command(command.env("SIMULATE_SEED", seed.to_string())) {
            warn(&failure.to_string());
            wrong.push(name);
        }
    }
    match wrong.as_slice() {
        [] => Ok(()),
        wrong => Err(Failure::new(format!("something is wrong, seeds from {seed} on: {}", wrong.join(", ")))),
    }
}
