//! What `wit-bindgen` generates from `wit/world.wit`: the only `unsafe` code here.
#![allow(unsafe_code, missing_docs, unreachable_pub, unused_qualifications, reason = "generated")]
#![allow(clippy::all, clippy::pedantic, reason = "generated")]
#![cfg_attr(not(target_family = "wasm"), allow(dead_code, unused_macros, reason = "only the module exports"))]

wit_bindgen::generate!({
    world: "transform",
    path: "../../wit",
});

// Only the module exports: in a native program these names (`poll`, for one) would stand before the C library's.
#[cfg(target_family = "wasm")]
export!(Transform with_types_in self);

#[cfg(target_family = "wasm")]
use super::Transform;
