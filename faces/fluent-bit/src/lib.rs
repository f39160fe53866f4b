//! The module `abort_reason_fluent_bit.wasm` for the `wasm` filter of Fluent Bit: the core's
//! [`Engine`](abort_reason::Engine) behind the one C function that Fluent Bit calls for every record.
//!
//! | module | what it is for |
//! |---|---|
//! | `abi` | the exported functions and all `unsafe` code: pointers in, a pointer out |
//! | `filter` | one call: what goes out in place of the record that came in |
//! | `settings` | the configuration that is baked into the module |
//! | `slots` | what waits to leave, and whether slots come |
//! | `system` | the file and the clock that Fluent Bit gives a module |
//! | `report` | the record with the counters |
//!
//! Fluent Bit takes at most one record out for each that goes in, and never asks again. So every call whose own record
//! ends here (a consumed mail line, an abort that has to wait, a tick) is a *slot*, in which a record that waited leaves.

// Nothing that a record can reach is taken for granted.
#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::unreachable, clippy::todo)
)]

mod abi;
mod filter;
mod report;
mod settings;
mod slots;
mod system;
mod tags;
