//! Simulated mail hosts, with the truth about every abort by construction, and the shippers between.

pub mod stranger;
pub mod world;
