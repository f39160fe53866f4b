//! The fuzzer's way into `tests/support/anything.rs`, which says what has to hold.
//!
//! `cargo +nightly fuzz run engine`

#![no_main]

#[path = "../../tests/support/anything.rs"]
mod anything;

libfuzzer_sys::fuzz_target!(|data: &[u8]| anything::anything(data));
