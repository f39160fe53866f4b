//! Empties the outbox: each entry is a request to the destination, tried until it is accepted, with back-off, for ever.
//!
//! What a destination rejects for good is cut in halves until the events are found that it does not take; they go to the
//! dead-letter file, and the rest goes on.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use prost::Message;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use super::dead::DeadLetters;
use super::destination::{Destination, Rejection};
use super::journal::Outbox;
use super::metrics::Metrics;
use super::wire::vector::PushEventsRequest;
use super::worker::Job;
use crate::text::visible;

/// The wait after a first failure, and the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Failures are told in the log at most once in this time.
const TELL_EVERY: Duration = Duration::from_mins(5);

/// The sender's surroundings.
pub(super) struct Sender {
    pub outbox: Outbox,
    pub destination: Destination,
    pub concurrency: usize,
    pub dead: DeadLetters,
    pub metrics: Metrics,
    pub jobs: mpsc::Sender<Job>,
    /// Tells the last entry of the outbox.
    pub outgoing: watch::Receiver<u64>,
}

impl Sender {
    /// Sends for as long as there is something to do: until `outgoing` is closed and all is delivered.
    pub(super) async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let mut last = 0;
        let told = Told::default();
        let mut under_way = JoinSet::new();
        loop {
            self.outgoing.mark_unchanged();
            while under_way.len() < self.concurrency {
                match self.outbox.after(last) {
                    Ok(Some((entry, events))) => {
                        last = entry;
                        let delivery = Delivery {
                            destination: self.destination.clone(),
                            dead: self.dead.clone(),
                            metrics: self.metrics.clone(),
                            told: told.clone(),
                        };
                        under_way.spawn(async move {
                            delivery.deliver(events).await;
                            entry
                        });
                    }
                    Ok(None) => break,
                    Err(error) => {
                        error!(cause = %error, "The journal can't be read.");
                        tokio::time::sleep(FIRST_WAIT).await;
                        break;
                    }
                }
            }
            if under_way.is_empty() && *stopping.borrow() {
                return;
            }
            tokio::select! {
                Some(done) = under_way.join_next() => {
                    if let Ok(entry) = done && self.jobs.send(Job::Accepted(entry)).await.is_err() {
                        return;
                    }
                }
                changed = self.outgoing.changed() => if changed.is_err() { return },
                _ = stopping.changed() => {}
            }
        }
    }
}

/// The delivery of one entry.
struct Delivery {
    destination: Destination,
    dead: DeadLetters,
    metrics: Metrics,
    told: Told,
}

/// When a failure was told last: of all deliveries, one speaks.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Option<Instant>>>);

impl Told {
    fn failure(&self, cause: &str) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() > TELL_EVERY) {
            *told = Some(Instant::now());
            let cause = visible(cause);
            warn!(%cause, "The destination does not take events; they wait in the journal.");
        }
    }

    fn success(&self) {
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            info!("The destination takes events again.");
        }
    }
}

impl Delivery {
    async fn deliver(&self, events: Vec<u8>) {
        // The journal holds what `Outgoing` has written.
        let Ok(PushEventsRequest { events }) = PushEventsRequest::decode(Bytes::from(events)) else { return };
        let mut parts = vec![events];
        while let Some(mut events) = parts.pop() {
            let Some(rejection) = self.until_answered(&events).await else { continue };
            if events.len() > 1 {
                parts.push(events.split_off(events.len() / 2));
                parts.push(events);
            } else {
                self.bury(&events, &rejection).await;
            }
        }
    }

    /// Tries until the events are accepted, or rejected for good.
    async fn until_answered(&self, events: &[Bytes]) -> Option<String> {
        let mut wait = FIRST_WAIT;
        loop {
            match self.destination.send(events).await {
                Ok(()) => {
                    self.told.success();
                    self.metrics.sent_events.inc_by(events.len() as u64);
                    self.metrics.sent_bytes.inc_by(events.iter().map(|event| event.len() as u64).sum());
                    return None;
                }
                Err(Rejection::ForGood(cause)) => return Some(cause),
                Err(Rejection::ForNow { kind, cause }) => {
                    self.metrics.send_errors.get_or_create(&[("error_type", kind)]).inc();
                    self.told.failure(&cause);
                    // Attempts of several deliveries do not all come at one time.
                    tokio::time::sleep(wait.mul_f64(0.5 + jitter() / 2.0)).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }

    /// Puts events aside; what can't be written is tried again.
    async fn bury(&self, events: &[Bytes], cause: &str) {
        let shown = visible(cause);
        error!(cause = %shown, "The destination rejected an event for good; it goes to the dead-letter file.");
        while let Err(error) = self.write(events, cause) {
            error!(cause = %error, "The dead-letter file can't be written; the event waits.");
            tokio::time::sleep(LONGEST_WAIT).await;
        }
        self.metrics.dead_letters.inc_by(events.len() as u64);
    }

    fn write(&self, events: &[Bytes], cause: &str) -> io::Result<()> {
        self.dead.write(events.iter().map(|event| (event, cause)))
    }
}

/// A number from 0 to 1, without a need to be good.
fn jitter() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    f64::from(since.subsec_nanos() % 1_000) / 1_000.0
}
