//! Simulated mail hosts, with the truth about every abort by construction, the shippers between, and what must hold of every
//! face. One seed gives one world; what fails shrinks to what is left of it when nothing more can be taken away.

use std::time::{Duration, Instant};

use proptest::prelude::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

pub mod check;
pub mod engine;
mod fate;
mod files;
mod setting;
pub mod shipping;
pub mod stranger;
pub mod world;

use check::Named;
use shipping::Shipping;
use world::World;

/// Connections of a world, at most.
const CONNECTIONS: usize = 12;

/// What must hold of every world without another program: on the native engine, and of its log files read by `explain`.
pub fn check(world: &World, shipping: &Shipping) -> check::Result<check::Tally> {
    let tally = check::native(world, shipping)?;
    files::explained(world, shipping).named("explained")?;
    Ok(tally)
}

/// Simulates the world of a seed. The error is what is wrong, with the least world in which it is.
pub fn simulate(seed: u64, checks: &mut dyn FnMut(&World, &Shipping) -> check::Result) -> Result<(), String> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { failure_persistence: None, max_shrink_iters: 4_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let strategy = (world::worlds(CONNECTIONS), shipping::shippings());
    let tree = strategy.new_tree(&mut runner).map_err(|reason| reason.to_string())?;
    let checks = std::cell::RefCell::new(checks);
    let done = runner
        .run_one(tree, |(plan, shipping)| (checks.borrow_mut())(&plan.build(), &shipping).map_err(TestCaseError::fail));
    match done {
        Ok(_) => Ok(()),
        Err(TestError::Fail(reason, (plan, shipping))) => {
            let streams = plan.build().streams;
            Err(format!("seed {seed}: {reason}\nin the world\n{streams:#?}\nof {plan:#?}\nshipped by {shipping:?}"))
        }
        Err(TestError::Abort(reason)) => Err(format!("seed {seed}: {reason}")),
    }
}

/// Simulates worlds from a seed on: so many, or as `SIMULATE_SEED` and `SIMULATE_SECONDS` ask. Gives their number, or
/// what is wrong with the first that fails.
pub fn worlds(
    first: u64,
    count: u64,
    checks: &mut dyn FnMut(&World, &Shipping) -> check::Result,
) -> Result<u64, String> {
    let asked = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let first = asked("SIMULATE_SEED").unwrap_or(first);
    let seconds = asked("SIMULATE_SECONDS").map(Duration::from_secs);
    let began = Instant::now();
    let mut seed = first;
    while seconds.map_or(seed < first + count, |seconds| began.elapsed() < seconds) {
        simulate(seed, checks)?;
        seed += 1;
    }
    Ok(seed - first)
}
