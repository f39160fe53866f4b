//! The reasons: one table, the classes that it speaks of, and the matcher made from it.

mod advice;
mod class;
mod matcher;
mod start;
mod table;

pub use advice::{Advice, advice};
pub use class::{Class, Fault, Rank, Stage, Timeout};
pub(crate) use matcher::{CompiledRule, Match, Matcher};
pub use table::{Role, Rule, TABLE};
