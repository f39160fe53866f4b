//! Empties the outbox: each entry is a request to the destination, tried until it is accepted, with back-off, for ever.
//!
//! What a destination rejects for good is cut in halves until the events are found that it does not take; they go to the
//! dead-letter file, and the rest goes on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use super::dead::DeadLetters;
use super::destination::{Destination, Rejection};
use super::journal::{Entry, Outbox};
use super::metrics::Metrics;
use super::parcel::{Parcel, ParcelKind};
use super::quiet::Quiet;
use super::wire::vector::PushEventsRequest;
use super::wire::{self, Looked};
use super::worker::Accepted;
use crate::text::visible;

/// The wait after a first failure, and the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Failures that may be the fault of an event, before a request is cut in halves, and an event waits apart from the others.
const DOUBTS: u32 = 4;
/// Deliveries that may wait apart, at most.
const MOST_PARKED: usize = 256;

/// The sender's surroundings.
pub(super) struct Sender {
    pub outbox: Outbox,
    pub destination: Destination,
    pub concurrency: usize,
    pub dead: DeadLetters,
    pub metrics: Metrics,
    pub accepted: Accepted,
    /// Tells the last entry of the outbox.
    pub outgoing: watch::Receiver<u64>,
}

impl Sender {
    /// Sends until it is told to stop. Ends otherwise only where it can't go on.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<Stop>) {
        let mut last = 0;
        let mut next: Option<Entry> = None;
        let told = Told::default();
        let parked = Parked::default();
        let mut under_way = JoinSet::new();
        loop {
            self.outgoing.mark_unchanged();
            let stage = *stop.borrow_and_update();
            while stage != Stop::Finish && under_way.len() < self.concurrency + parked.count().min(MOST_PARKED) {
                match next.take().map_or_else(|| self.outbox.after(last), |entry| Ok(Some(entry))) {
                    // A store that goes by the name of an event is to end with the last word on it.
                    Ok(Some(entry)) if entry.parcel.kind == ParcelKind::Later && under_way.len() > parked.count() => {
                        next = Some(entry);
                        break;
                    }
                    Ok(Some(entry)) => {
                        last = entry.number;
                        let delivery = Delivery {
                            destination: self.destination.clone(),
                            dead: self.dead.clone(),
                            metrics: self.metrics.clone(),
                            told: told.clone(),
                            parked: parked.clone(),
                            stop: stop.clone(),
                        };
                        under_way.spawn(async move { delivery.deliver(&entry.parcel).await.then_some(entry.number) });
                    }
                    Ok(None) => break,
                    Err(error) => {
                        told.failure(&format!("the journal can't be read: {error}"));
                        tokio::time::sleep(FIRST_WAIT).await;
                        break;
                    }
                }
            }
            if under_way.is_empty() && stage != Stop::No {
                return;
            }
            tokio::select! {
                Some(done) = under_way.join_next() => match done {
                    Ok(Some(entry)) => self.accepted.push(entry),
                    Ok(None) => {}
                    Err(error) => {
                        error!(cause = %error, "A delivery broke off.");
                        return;
                    }
                },
                changed = self.outgoing.changed() => if changed.is_err() { return },
                () = parked.changed() => {}
                _ = stop.changed() => {}
            }
        }
    }
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    No,
    /// Deliver what there is, then end.
    Drain,
    /// Begin nothing new; end what is under way.
    Finish,
}

/// Deliveries that wait long for one event: they do not count among those under way, so that the others go on.
#[derive(Clone, Default)]
struct Parked(Arc<(AtomicUsize, Notify)>);

impl Parked {
    fn count(&self) -> usize {
        self.0.0.load(Ordering::Relaxed)
    }

    /// Parks a delivery until what this gives is dropped.
    fn enter(&self) -> Place {
        self.0.0.fetch_add(1, Ordering::Relaxed);
        self.0.1.notify_one();
        Place(self.clone())
    }

    async fn changed(&self) {
        self.0.1.notified().await;
    }
}

/// A delivery is parked.
struct Place(Parked);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The delivery of one entry.
struct Delivery {
    destination: Destination,
    dead: DeadLetters,
    metrics: Metrics,
    told: Told,
    parked: Parked,
    stop: watch::Receiver<Stop>,
}

/// How a request ended.
enum End {
    Accepted,
    Rejected(String),
    /// The receiver fails again and again, and may do so because of what is in it.
    Doubtful,
    Stopped,
}

/// What the log is told of the destination.
#[derive(Clone, Default)]
struct Told(Quiet);

impl Told {
    fn failure(&self, cause: &str) {
        if self.0.tell() {
            let cause = visible(cause);
            warn!(%cause, "The destination does not take events; they wait in the journal.");
        }
    }

    fn success(&self) {
        if self.0.over() {
            info!("The destination takes events again.");
        }
    }
}

impl Delivery {
    /// Whether the entry is settled; otherwise it stays in the journal.
    async fn deliver(&self, parcel: &Parcel) -> bool {
        let mut parked = None;
        let Ok(PushEventsRequest { events }) = PushEventsRequest::decode(parcel.events.as_slice()) else {
            return self.bury(&[Bytes::copy_from_slice(&parcel.events)], "damaged in the journal", &mut parked).await;
        };
        if parcel.kind == ParcelKind::Dead {
            for event in &events {
                let cause = match wire::look(event) {
                    Looked::Broken(cause) => cause,
                    _ => "no destination would take it",
                };
                if !self.bury(std::slice::from_ref(event), cause, &mut parked).await {
                    return false;
                }
            }
            return true;
        }
        let mut parts = vec![events];
        // Events that the receiver may fail at: the others go first.
        let mut doubtful = VecDeque::new();
        while let Some(mut events) = parts.pop() {
            match self.until_answered(&events).await {
                End::Accepted => {}
                End::Stopped => return false,
                End::Rejected(_) | End::Doubtful if events.len() > 1 => {
                    parts.push(events.split_off(events.len() / 2));
                    parts.push(events);
                }
                End::Rejected(cause) => {
                    if !self.bury(&events, &cause, &mut parked).await {
                        return false;
                    }
                    parked = None;
                }
                End::Doubtful => doubtful.push_back(events),
            }
        }
        self.insist(doubtful).await
    }

    /// Tries single events again and again by turns, until none is left; false if it is time to end before.
    async fn insist(&self, mut doubtful: VecDeque<Vec<Bytes>>) -> bool {
        let mut parked = (!doubtful.is_empty()).then(|| self.parked.enter());
        while let Some(event) = doubtful.pop_front() {
            match self.attempt(&event).await {
                Ok(()) => {}
                Err(Rejection::ForGood(cause)) => {
                    if !self.bury(&event, &cause, &mut parked).await {
                        return false;
                    }
                }
                Err(Rejection::ForNow { .. }) => {
                    doubtful.push_back(event);
                    let turns = u32::try_from(doubtful.len()).unwrap_or(u32::MAX);
                    if self.wait((LONGEST_WAIT / turns).max(FIRST_WAIT)).await {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// One attempt, counted and told.
    async fn attempt(&self, events: &[Bytes]) -> Result<(), Rejection> {
        let answer = self.destination.send(events).await;
        match &answer {
            Ok(()) => {
                self.told.success();
                self.metrics.sent_events.inc_by(events.len() as u64);
                self.metrics.sent_bytes.inc_by(events.iter().map(|event| event.len() as u64).sum());
            }
            Err(Rejection::ForGood(_)) => {}
            Err(Rejection::ForNow { kind, cause, .. }) => {
                self.metrics.send_errors.get_or_create(&[("error_type", kind.clone())]).inc();
                self.told.failure(cause);
            }
        }
        answer
    }

    /// Tries until the events are accepted, or there is something else to do.
    async fn until_answered(&self, events: &[Bytes]) -> End {
        let mut wait = FIRST_WAIT;
        let mut doubts = 0;
        loop {
            match self.attempt(events).await {
                Ok(()) => return End::Accepted,
                Err(Rejection::ForGood(cause)) => return End::Rejected(cause),
                Err(Rejection::ForNow { doubtful, .. }) => {
                    doubts += u32::from(doubtful);
                    // Attempts of several deliveries do not all come at one time.
                    if self.wait(wait.mul_f64(0.5 + jitter() / 2.0)).await {
                        return End::Stopped;
                    }
                    wait = (wait * 2).min(LONGEST_WAIT);
                    if doubts >= DOUBTS {
                        return End::Doubtful;
                    }
                }
            }
        }
    }

    /// Waits; true if it is time to end.
    async fn wait(&self, time: Duration) -> bool {
        let mut stop = self.stop.clone();
        let told = async { stop.wait_for(|stop| *stop == Stop::Finish).await.map(drop) };
        tokio::time::timeout(time, told).await.is_ok()
    }

    /// Puts events aside; what can't be written is tried again. False if it is time to end before.
    async fn bury(&self, events: &[Bytes], cause: &str, parked: &mut Option<Place>) -> bool {
        while let Err(error) = self.dead.write(events.iter().map(|event| (event, cause))) {
            error!(cause = %error, "The dead-letter file can't be written; the event waits.");
            parked.get_or_insert_with(|| self.parked.enter());
            if self.wait(LONGEST_WAIT).await {
                return false;
            }
        }
        let shown = visible(cause);
        error!(cause = %shown, "Nobody takes an event; it is in the dead-letter file.");
        self.metrics.dead_letters.inc_by(events.len() as u64);
        true
    }
}

/// A number from 0 to 1, without a need to be good.
fn jitter() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    f64::from(since.subsec_nanos() % 1_000) / 1_000.0
}
