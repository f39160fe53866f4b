//! What Fluent Bit lets a module ask of the system: a file in the first of its `accessible_paths`, and the time. Natively
//! only tests run here, and they have neither.

use abort_reason_filter::Host;
#[cfg(target_family = "wasm")]
use abort_reason_journal::wasi;

/// The system, with the name of the journal's file; none is wanted where that is empty.
#[derive(Debug)]
#[cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "there are no files"))]
pub(crate) struct System(pub String);

#[cfg(target_family = "wasm")]
impl Host for System {
    type Disk = wasi::File;

    fn disk(&self) -> Option<wasi::File> {
        (!self.0.is_empty()).then(|| wasi::File::new(&self.0))
    }

    fn now_ms(&self) -> Option<u64> {
        wasi::now_ms()
    }
}

#[cfg(not(target_family = "wasm"))]
impl Host for System {
    type Disk = std::convert::Infallible;

    fn disk(&self) -> Option<Self::Disk> {
        None
    }

    fn now_ms(&self) -> Option<u64> {
        None
    }
}
