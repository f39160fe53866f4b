//! The module `abort_reason_fluent_bit.wasm` for the `wasm` filter of Fluent Bit: the core's
//! [`Engine`](abort_reason::Engine) behind the one C function that Fluent Bit calls for every record.
//!
//! | module | what it is for |
//! |---|---|
//! | `abi` | the exported functions and all `unsafe` code: pointers in, a pointer out |
//! | `face` | a call in the words of [`Filter`](abort_reason_filter::Filter), which decides what goes out |
//! | `settings` | the configuration that is baked into the module |
//! | `tags` | what a record's tag says of it |
//! | `system` | the file and the clock that Fluent Bit gives a module |
//! | `report` | the record with the counters |

// Nothing that a record can reach is taken for granted.
#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::unreachable, clippy::todo)
)]

mod abi;
mod face;
mod report;
mod settings;
mod system;
mod tags;
