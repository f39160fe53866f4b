//! A failure that repeats is told in the log now and then, not each time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// It is told at most once in this time.
const TELL_EVERY: Duration = Duration::from_mins(5);

/// When it was told last: of all who share this, one speaks.
#[derive(Clone, Default)]
pub(super) struct Quiet(Arc<Mutex<Option<Instant>>>);

impl Quiet {
    /// Whether it is to be told now.
    pub(super) fn tell(&self) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tell = told.is_none_or(|told| told.elapsed() > TELL_EVERY);
        if tell {
            *told = Some(Instant::now());
        }
        tell
    }

    /// It is over: whether that is news to who was told.
    pub(super) fn over(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }
}
