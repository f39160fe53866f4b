//! What Fluent Bit lets a module ask of the system: a file in the first of its `accessible_paths`, and the time. Natively
//! only tests run here, and they have neither.

#[cfg(target_family = "wasm")]
mod here {
    pub(crate) use abort_reason_journal::wasi::{File, now_ms};

    /// The file with a name; none is wanted where that is empty.
    pub(crate) fn file(name: &str) -> Option<File> {
        (!name.is_empty()).then(|| File::new(name))
    }
}

#[cfg(not(target_family = "wasm"))]
mod here {
    pub(crate) type File = std::convert::Infallible;

    pub(crate) fn file(_: &str) -> Option<File> {
        None
    }

    pub(crate) fn now_ms() -> Option<u64> {
        None
    }
}

pub(crate) use here::{File, file, now_ms};
