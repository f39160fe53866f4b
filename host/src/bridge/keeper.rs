//! The component and the journal as one: what comes in, what becomes of it, and what is kept, in one commit.
//!
//! The component's state is always that which the journal can make again. Where a commit fails, or the component does,
//! it is made again, so that the two never part. What was not committed is refused and comes again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tracing::{error, warn};

use super::dead::DeadLetters;
use super::journal::{Change, Input, Journal, JournalError, Kept, State};
use super::metrics::Metrics;
use super::request::{Kind, Outgoing, Request};
use super::wire;
use crate::sandbox::{Component, Disposition, Event, Limits, Output, Sandbox, SandboxError, Source};

/// Outputs taken from the component at a time, and events given to it again.
const BATCH: usize = 1_000;
/// The input since the snapshot, in bytes, at which the next one is made: so much is replayed at a start. In a small
/// journal, it is the eighth part of it.
const SNAPSHOT_EVERY: u64 = 32 << 20;

/// Why requests are refused for now.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// The journal does not take them.
    #[error("the journal: {0}")]
    Journal(#[from] JournalError),
    /// A broken event can't be put aside.
    #[error("the dead-letter file: {0}")]
    DeadLetters(#[from] std::io::Error),
}

type Result<T> = std::result::Result<T, Refusal>;

/// What the component is made from.
pub(super) struct Recipe {
    pub component: Component,
    pub config_json: String,
    pub limits: Limits,
}

impl Recipe {
    /// A fresh instance.
    pub(super) fn instance(&self) -> std::result::Result<Sandbox, SandboxError> {
        self.component.instantiate(&self.config_json, self.limits)
    }
}

/// The component and its journal.
pub(super) struct Keeper {
    recipe: Recipe,
    /// `None` while no instance can be had: everything passes then.
    sandbox: Option<Sandbox>,
    journal: Journal,
    dead: DeadLetters,
    metrics: Metrics,
    most_bytes: u64,
    next_ticket: u64,
    began: Instant,
    /// The component's time at `began`.
    base_ms: u64,
    /// The last entry of the outbox.
    pub last_outgoing: u64,
}

/// What a call brought.
#[derive(Default)]
struct Made {
    dispositions: Vec<Disposition>,
    outputs: Vec<Output>,
    released: Vec<u64>,
}

impl Keeper {
    /// Goes on from what is in the journal.
    pub(super) fn open(
        recipe: Recipe,
        journal: Journal,
        most_bytes: u64,
        dead: DeadLetters,
        metrics: Metrics,
    ) -> Result<Keeper> {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let mut keeper = Keeper {
            recipe,
            sandbox: None,
            journal,
            dead,
            metrics,
            most_bytes,
            next_ticket: 1,
            began: Instant::now(),
            base_ms: wall,
            last_outgoing: 0,
        };
        keeper.rebuild()?;
        Ok(keeper)
    }

    /// Bytes in the journal.
    pub(super) fn stored(&self) -> u64 {
        self.journal.sizes.sum()
    }

    /// Whether the journal holds as much as it may.
    pub(super) fn is_full(&self) -> bool {
        self.stored() >= self.most_bytes
    }

    /// Takes requests: when this returns, nothing of them can be lost. `accepted` are entries of the outbox that may go.
    pub(super) fn take(&mut self, mut requests: Vec<Request>, accepted: &[u64]) -> Result<()> {
        self.forget_repeated(&mut requests)?;
        if requests.is_empty() {
            return self.commit(&Change { accepted: accepted.to_vec(), ..Change::default() });
        }
        self.put_broken_aside(&requests)?;
        match self.attempt(&requests, accepted) {
            Some(change) => return self.commit(&change),
            None => self.rebuild()?,
        }
        // One by one: only what the component fails at passes without it.
        let mut accepted = accepted.to_vec();
        for request in requests {
            let request = [request];
            let taken = std::mem::take(&mut accepted);
            if let Some(change) = self.attempt(&request, &taken) {
                self.commit(&change)?;
            } else {
                self.rebuild()?;
                self.commit(&passing(&request, taken))?;
                self.metrics.passed_after_failure.inc_by(request[0].events.len() as u64);
            }
        }
        Ok(())
    }

    /// Lets time pass.
    pub(super) fn advance(&mut self, accepted: &[u64]) -> Result<()> {
        let now_ms = self.now_ms();
        let mut change = Change { accepted: accepted.to_vec(), ..Change::default() };
        match self.call(|sandbox| sandbox.advance(now_ms).map(|()| Vec::new())) {
            Some(made) if made.outputs.is_empty() && made.released.is_empty() => {}
            Some(made) => {
                change.input = Some(Input { now_ms, first_ticket: self.next_ticket, lines: Vec::new() });
                change.now_ms = now_ms;
                let mut outgoing = Outgoing::default();
                self.account(made, &[], &mut change, &mut outgoing)?;
                change.outbox = outgoing.into_requests();
            }
            None => self.rebuild()?,
        }
        self.commit(&change)
    }

    /// How long the component can be left alone, if it waits for anything.
    pub(super) fn due(&mut self) -> Option<Duration> {
        let now_ms = self.now_ms();
        let due = self.sandbox.as_mut()?.poll_timeout().ok().flatten()?;
        Some(Duration::from_millis(due.saturating_sub(now_ms)))
    }

    /// The component's counters, as a JSON object.
    pub(super) fn stats(&mut self) -> Option<String> {
        self.sandbox.as_mut()?.stats().ok()
    }

    /// Stops with a snapshot, so that the next start is quick.
    pub(super) fn close(mut self, accepted: &[u64]) -> Result<()> {
        let snapshot = self.snapshot();
        self.commit(&Change { snapshot, accepted: accepted.to_vec(), ..Change::default() })
    }

    /// Drops requests that were taken before: Vector's retries of what it had no answer for.
    fn forget_repeated(&self, requests: &mut Vec<Request>) -> Result<()> {
        let mut failed = None;
        let mut here = BTreeSet::new();
        requests.retain(|request| {
            let Some(name) = &request.name else { return true };
            let before = self.journal.has_taken(name).unwrap_or_else(|error| {
                failed = Some(error);
                false
            });
            let new = here.insert(name.clone()) && !before;
            if !new {
                self.metrics.repeated.inc_by(request.events.len() as u64);
            }
            new
        });
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    fn put_broken_aside(&self, requests: &[Request]) -> Result<()> {
        let broken = || {
            requests.iter().flat_map(|request| &request.events).filter_map(|incoming| match incoming.kind {
                Kind::Broken(cause) => Some((&incoming.event, cause)),
                _ => None,
            })
        };
        self.dead.write(broken())?;
        for (_, cause) in broken() {
            self.metrics.dead_letters.inc();
            error!(cause, "An event that no destination would take went to the dead-letter file.");
        }
        Ok(())
    }

    /// Gives requests to the component; `None` if it fails.
    fn attempt(&mut self, requests: &[Request], accepted: &[u64]) -> Option<Change> {
        let now_ms = self.now_ms();
        let first_ticket = self.next_ticket;
        let mut lines = Vec::new();
        let (mut given, mut events) = (Vec::new(), Vec::new());
        for incoming in requests.iter().flat_map(|request| &request.events) {
            if let Kind::Log(json) = &incoming.kind {
                lines.extend_from_slice(json);
                lines.push(b'\n');
                let ticket = first_ticket + given.len() as u64;
                given.push(Event { source: Source::Auto, ticket, data: json.clone() });
                events.push(incoming.event.clone());
            }
        }
        let mut made = self.call(|sandbox| sandbox.push(&given, now_ms))?;
        let mut dispositions = std::mem::take(&mut made.dispositions).into_iter().zip(first_ticket..);
        self.next_ticket += given.len() as u64;
        let mut change = Change {
            accepted: accepted.to_vec(),
            taken: requests.iter().filter_map(|request| request.name.clone()).collect(),
            next_ticket: self.next_ticket,
            now_ms,
            ..Change::default()
        };
        let mut outgoing = Outgoing::default();
        for incoming in requests.iter().flat_map(|request| &request.events) {
            let event = &incoming.event;
            match &incoming.kind {
                Kind::Broken(_) => {}
                Kind::Other => outgoing.push(event),
                Kind::Log(_) => {
                    let (disposition, ticket) = dispositions.next()?;
                    let forward = disposition.contains(Disposition::FORWARD);
                    if forward {
                        outgoing.push(event);
                    }
                    if disposition.contains(Disposition::KEEP) {
                        change.keep.push(Kept { ticket, left: forward, event: event.clone() });
                    }
                }
            }
        }
        self.account(made, &events, &mut change, &mut outgoing)
            .inspect_err(|error| error!(%error, "The journal can't be read."))
            .ok()?;
        change.outbox = outgoing.into_requests();
        if self.journal.sizes.input + lines.len() as u64 > SNAPSHOT_EVERY.min(self.most_bytes / 8) {
            change.snapshot = Some(self.call_once(Sandbox::snapshot)?);
        } else {
            change.input = Some(Input { now_ms, first_ticket, lines });
        }
        Some(change)
    }

    /// Enters what a call brought. `events` came with it; their tickets end at `next_ticket`.
    fn account(
        &mut self,
        made: Made,
        events: &[Bytes],
        change: &mut Change,
        outgoing: &mut Outgoing,
    ) -> std::result::Result<(), JournalError> {
        let first_ticket = self.next_ticket - events.len() as u64;
        for output in made.outputs {
            let ticket = output.ticket;
            let original = match ticket.checked_sub(first_ticket).and_then(|index| events.get(index as usize)) {
                Some(event) => Some(event.clone()),
                None if ticket == 0 => None,
                None => self.journal.kept(ticket)?.map(|kept| kept.event),
            };
            match original {
                Some(original) => outgoing.push(&wire::changed(&original, &output.data)),
                None => match wire::own(&output.data) {
                    Some(event) => outgoing.push(&event),
                    None => {
                        self.metrics.unusable_outputs.inc();
                    }
                },
            }
            if ticket >= first_ticket {
                change.keep.iter_mut().filter(|kept| kept.ticket == ticket).for_each(|kept| kept.left = true);
            } else if ticket != 0 {
                change.left.push(ticket);
            }
        }
        let released: BTreeSet<u64> = made.released.into_iter().collect();
        change.keep.retain(|kept| !released.contains(&kept.ticket));
        change.left.retain(|ticket| !released.contains(ticket));
        change.release.extend(released.into_iter().filter(|ticket| *ticket < first_ticket));
        Ok(())
    }

    /// Makes a change durable. Where that fails, the component goes back to where the journal is.
    fn commit(&mut self, change: &Change) -> Result<()> {
        match self.journal.commit(change) {
            Ok(last) => {
                self.last_outgoing = last;
                Ok(())
            }
            Err(error) => {
                if let Err(error) = self.rebuild() {
                    error!(%error, "The journal can't be read again.");
                }
                Err(error.into())
            }
        }
    }

    /// Makes a call, and takes all that waits after it; `None` if the component fails, and is to be made again.
    fn call(
        &mut self,
        call: impl FnOnce(&mut Sandbox) -> std::result::Result<Vec<Disposition>, SandboxError>,
    ) -> Option<Made> {
        self.call_once(|sandbox| {
            let mut made = Made { dispositions: call(sandbox)?, ..Made::default() };
            drain(sandbox, &mut made)?;
            Ok(made)
        })
    }

    fn call_once<T>(&mut self, call: impl FnOnce(&mut Sandbox) -> std::result::Result<T, SandboxError>) -> Option<T> {
        match call(self.sandbox.as_mut()?) {
            Ok(result) => Some(result),
            Err(error) => {
                self.metrics.component_failures.inc();
                error!(%error, "The component failed; it is made again from the journal, and nothing is lost.");
                self.sandbox = None;
                None
            }
        }
    }

    fn snapshot(&mut self) -> Option<Vec<u8>> {
        self.call_once(Sandbox::snapshot)
    }

    /// Makes the component again from the journal.
    fn rebuild(&mut self) -> Result<()> {
        self.sandbox = None;
        let state = self.journal.state()?;
        self.next_ticket = state.next_ticket;
        self.base_ms = self.base_ms.max(state.now_ms);
        match self.replay(&state) {
            Ok((sandbox, made)) => {
                self.sandbox = Some(sandbox);
                self.settle(made)
            }
            Err(error) => {
                // Of another configuration or version, for example: it learns what is kept anew.
                if !matches!(error, SandboxError::Refused(_)) {
                    self.metrics.component_failures.inc();
                }
                warn!(%error, "The component does not go on from its snapshot; it is given all that is kept again.");
                self.relearn()
            }
        }
    }

    /// An instance that has seen what the journal has, and all that it said since the snapshot.
    fn replay(&self, state: &State) -> std::result::Result<(Sandbox, Made), SandboxError> {
        let mut sandbox = self.recipe.instance()?;
        if let Some(snapshot) = state.snapshot.as_ref().filter(|snapshot| !snapshot.is_empty()) {
            sandbox.restore(snapshot)?;
        }
        let mut made = Made::default();
        for input in &state.input {
            if input.lines.is_empty() {
                sandbox.advance(input.now_ms)?;
            } else {
                let lines = input.lines.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
                let events: Vec<Event> = lines
                    .zip(input.first_ticket..)
                    .map(|(line, ticket)| Event { source: Source::Auto, ticket, data: line.to_vec() })
                    .collect();
                sandbox.push(&events, input.now_ms)?;
            }
            drain(&mut sandbox, &mut made)?;
        }
        Ok((sandbox, made))
    }

    /// What a replay said has left long ago, by the same commits. What has not, leaves now.
    fn settle(&mut self, made: Made) -> Result<()> {
        let mut change = Change::default();
        let mut outgoing = Outgoing::default();
        for output in made.outputs.into_iter().filter(|output| output.ticket != 0) {
            if let Some(kept) = self.journal.kept(output.ticket)?.filter(|kept| !kept.left) {
                outgoing.push(&wire::changed(&kept.event, &output.data));
                change.left.push(kept.ticket);
            }
        }
        for ticket in made.released {
            if let Some(kept) = self.journal.kept(ticket)? {
                if !kept.left && !change.left.contains(&ticket) {
                    outgoing.push(&kept.event);
                }
                change.release.push(ticket);
            }
        }
        change.outbox = outgoing.into_requests();
        self.last_outgoing = self.journal.commit(&change)?;
        Ok(())
    }

    /// Gives a fresh component the events that the journal keeps. If it fails at them, they pass as they came.
    fn relearn(&mut self) -> Result<()> {
        let kept = self.journal.all_kept()?;
        let now_ms = self.now_ms();
        self.sandbox = self.fresh();
        let mut made = Made::default();
        let learned = kept.chunks(BATCH).try_for_each(|kept| {
            let event = |kept: &Kept| Event {
                source: Source::Auto,
                ticket: kept.ticket,
                data: wire::text(&kept.event).unwrap_or_default(),
            };
            let events: Vec<Event> = kept.iter().map(event).collect();
            let more = self.call(|sandbox| sandbox.push(&events, now_ms))?;
            made.dispositions.extend(more.dispositions);
            made.outputs.extend(more.outputs);
            made.released.extend(more.released);
            Some(())
        });
        let mut change = Change::default();
        let mut outgoing = Outgoing::default();
        if learned.is_some() {
            let issued: BTreeSet<u64> = made.outputs.iter().map(|output| output.ticket).collect();
            let released: BTreeSet<u64> = made.released.into_iter().collect();
            for (kept, disposition) in kept.iter().zip(made.dispositions) {
                let forward = disposition.contains(Disposition::FORWARD);
                if forward && !kept.left {
                    outgoing.push(&kept.event);
                }
                if !disposition.contains(Disposition::KEEP) || released.contains(&kept.ticket) {
                    change.release.push(kept.ticket);
                } else if forward || issued.contains(&kept.ticket) {
                    change.left.push(kept.ticket);
                }
            }
            let originals: BTreeMap<u64, &Bytes> = kept.iter().map(|kept| (kept.ticket, &kept.event)).collect();
            for output in &made.outputs {
                match originals.get(&output.ticket) {
                    Some(original) => outgoing.push(&wire::changed(original, &output.data)),
                    None => wire::own(&output.data).iter().for_each(|event| outgoing.push(event)),
                }
            }
        } else {
            for kept in &kept {
                if !kept.left {
                    outgoing.push(&kept.event);
                    self.metrics.passed_after_failure.inc();
                }
                change.release.push(kept.ticket);
            }
            self.sandbox = self.fresh();
        }
        change.outbox = outgoing.into_requests();
        // What went in before counts no more, also where there is no snapshot to go on from.
        change.snapshot = Some(self.snapshot().unwrap_or_default());
        self.last_outgoing = self.journal.commit(&change)?;
        Ok(())
    }

    fn fresh(&self) -> Option<Sandbox> {
        self.recipe
            .instance()
            .inspect_err(|error| error!(%error, "The component can't be made; everything passes unchanged."))
            .ok()
    }

    fn now_ms(&self) -> u64 {
        self.base_ms + self.began.elapsed().as_millis() as u64
    }
}

/// Takes all that waits in a component.
fn drain(sandbox: &mut Sandbox, made: &mut Made) -> std::result::Result<(), SandboxError> {
    loop {
        let batch = sandbox.poll(BATCH as u32)?;
        let empty = batch.outputs.is_empty() && batch.released.is_empty();
        made.outputs.extend(batch.outputs);
        made.released.extend(batch.released);
        if !batch.more || empty {
            return Ok(());
        }
    }
}

/// The change by which requests pass without the component.
fn passing(requests: &[Request], accepted: Vec<u64>) -> Change {
    let mut outgoing = Outgoing::default();
    let events = requests.iter().flat_map(|request| &request.events);
    events
        .filter(|incoming| !matches!(incoming.kind, Kind::Broken(_)))
        .for_each(|incoming| outgoing.push(&incoming.event));
    Change {
        outbox: outgoing.into_requests(),
        taken: requests.iter().filter_map(|request| request.name.clone()).collect(),
        accepted,
        ..Change::default()
    }
}
