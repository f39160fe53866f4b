//! The component and the journal as one: what comes in, what becomes of it, and what is kept, in one commit.
//!
//! The component's state is always that which the journal can make again. Where a commit fails, or the component does,
//! it is made again, so that the two never part. What was not committed is refused and comes again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tracing::{error, warn};

use super::journal::{Change, Input, Journal, Kept};
use super::metrics::Metrics;
use super::parcel::{Outgoing, ParcelKind};
use super::quiet::Quiet;
use super::request::{Incoming, Kind, Request};
use super::wire;
use crate::sandbox::{Component, Disposition, Limits, Output, Sandbox, SandboxError};

mod restore;

/// Events given to the component at a time, and outputs taken from it; and bytes of such a batch, but for a larger event.
const BATCH: usize = 1_000;
const BATCH_BYTES: usize = 4 << 20;
/// Failures of the component in a row before it is made anew from what is kept, and twice as many before all that it holds
/// passes without it: while it was only let time pass, and in groups of requests of which it could take none, where it may
/// be the events' fault.
const PATIENCE_WITH_TIME: u32 = 3;
const PATIENCE_WITH_EVENTS: u32 = 8;
/// The input since the snapshot, in bytes, at which the next one is made: so much is replayed at a start. In a small
/// journal, it is the eighth part of it.
const SNAPSHOT_EVERY: u64 = 32 << 20;
/// Where none can be made, it is tried again with so many times that much; then the component is made anew.
const SNAPSHOT_TRIES: u64 = 4;

impl Input {
    /// Hands it to the component: an input without lines is time that passes.
    fn give(&self, sandbox: &mut Sandbox) -> std::result::Result<Vec<Disposition>, SandboxError> {
        match &*self.lines {
            [] => sandbox.advance(self.now_ms).map(|()| Vec::new()),
            lines => sandbox.push_lines(lines, self.first_ticket, self.now_ms),
        }
    }
}

/// Where this fails, the journal is at fault: requests are refused for now.
type Result<T> = super::journal::Result<T>;

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
    recipe: Arc<Recipe>,
    /// `None` while no instance can be had: everything passes then.
    sandbox: Option<Sandbox>,
    journal: Journal,
    metrics: Metrics,
    most_bytes: u64,
    /// The bytes of input at which a snapshot is made.
    snapshot_at: u64,
    /// Failures in a row while time passed, and of whole groups of requests.
    failed_advances: u32,
    failed_groups: u32,
    quiet: Quiet,
    crowded: Quiet,
    next_ticket: u64,
    began: Instant,
    /// The component's time at `began`.
    base_ms: u64,
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
    pub(super) fn open(recipe: Arc<Recipe>, journal: Journal, most_bytes: u64, metrics: Metrics) -> Result<Keeper> {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let mut keeper = Keeper {
            recipe,
            sandbox: None,
            journal,
            metrics,
            most_bytes,
            snapshot_at: snapshot_every(most_bytes),
            failed_advances: 0,
            failed_groups: 0,
            quiet: Quiet::default(),
            crowded: Quiet::default(),
            next_ticket: 1,
            began: Instant::now(),
            base_ms: wall,
        };
        keeper.rebuild()?;
        Ok(keeper)
    }

    /// The last entry of the outbox.
    pub(super) fn last_outgoing(&self) -> u64 {
        self.journal.last_outgoing()
    }

    /// Bytes in the journal.
    pub(super) fn stored(&self) -> u64 {
        self.journal.sizes.sum()
    }

    /// Whether as much waits for the destination as may.
    pub(super) fn is_full(&self) -> bool {
        self.journal.sizes.outbox >= self.most_bytes
    }

    /// Takes requests: when this returns, nothing of them can be lost. `accepted` are entries of the outbox that may go.
    pub(super) fn take(&mut self, mut requests: Vec<Request>, accepted: &[u64]) -> Result<()> {
        self.ensure()?;
        self.forget_repeated(&mut requests)?;
        if self.journal.sizes.kept >= self.most_bytes {
            // The component is greedy. It lets go of what it keeps as time passes; until then, it is given nothing more.
            if self.crowded.tell() {
                warn!(
                    "What the component keeps fills the journal (journal_max_bytes): what comes passes without it until it \
                     has let go of something."
                );
            }
            self.advance(&[])?;
            return self.pass(&requests, accepted);
        }
        match self.attempt(&requests, accepted)? {
            Some(change) => {
                self.failed_groups = 0;
                return self.commit(&change);
            }
            None => self.rebuild()?,
        }
        // One by one: only what the component fails at passes without it.
        let mut accepted = accepted.to_vec();
        let mut all_failed = true;
        for request in requests {
            let request = [request];
            let taken = std::mem::take(&mut accepted);
            if let Some(change) = self.attempt(&request, &taken)? {
                all_failed = false;
                self.commit(&change)?;
            } else {
                self.rebuild()?;
                self.pass(&request, &taken)?;
            }
        }
        // It may be full, and would be made again as full as it was.
        self.failed_groups = if all_failed { self.failed_groups + 1 } else { 0 };
        self.escalate(self.failed_groups, PATIENCE_WITH_EVENTS)
    }

    /// Lets time pass.
    pub(super) fn advance(&mut self, accepted: &[u64]) -> Result<()> {
        self.ensure()?;
        let now_ms = self.now_ms();
        let mut change = Change { accepted: accepted.to_vec(), ..Change::default() };
        let mut outgoing = Outgoing::default();
        if self.give(Given::default(), now_ms, &mut change, &mut outgoing)? {
            self.failed_advances = 0;
            change.now_ms = (!change.input.is_empty()).then_some(now_ms);
            change.outbox = outgoing.into_parcels();
        } else {
            self.failed_advances += 1;
            self.escalate(self.failed_advances, PATIENCE_WITH_TIME)?;
        }
        self.commit(&change)
    }

    /// Whether the journal can be written again, after it could not.
    pub(super) fn probe(&mut self) -> Result<()> {
        self.ensure()?;
        let now_ms = Some(self.now_ms());
        self.commit(&Change { now_ms, ..Change::default() })
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
        failed.map_or(Ok(()), Err)
    }

    /// Gives requests to the component; `None` if it fails.
    fn attempt(&mut self, requests: &[Request], accepted: &[u64]) -> Result<Option<Change>> {
        let now_ms = self.now_ms();
        let mut change = change_for(requests, accepted);
        let mut outgoing = Outgoing::default();
        let mut batch = Given::default();
        for Incoming { event, kind } in requests.iter().flat_map(|request| &request.events) {
            match kind {
                Kind::Broken => outgoing.push(ParcelKind::Dead, event),
                Kind::Other => outgoing.push(ParcelKind::Plain, event),
                Kind::Log(json) => {
                    if batch.is_full() && !self.give(std::mem::take(&mut batch), now_ms, &mut change, &mut outgoing)? {
                        return Ok(None);
                    }
                    match json {
                        Some(json) => batch.push(event, json),
                        None => batch.push(event, &wire::text(event).unwrap_or_default()),
                    }
                }
            }
        }
        if !self.give(batch, now_ms, &mut change, &mut outgoing)? {
            return Ok(None);
        }
        change.outbox = outgoing.into_parcels();
        (change.next_ticket, change.now_ms) = (Some(self.next_ticket), Some(now_ms));
        let input: u64 = change.input.iter().map(|input| input.lines.len() as u64).sum();
        if self.journal.sizes.input + input > self.snapshot_at {
            let every = snapshot_every(self.most_bytes);
            let Some(snapshot) = self.snapshot() else {
                // The events are not at fault. They are taken without a snapshot, and the next is tried later.
                self.snapshot_at += every;
                if self.snapshot_at > SNAPSHOT_TRIES * every {
                    self.snapshot_at = every;
                    self.relearn()?;
                }
                return Ok(None);
            };
            self.snapshot_at = every;
            change.snapshot = Some(snapshot);
        }
        Ok(Some(change))
    }

    /// Gives the component a batch, and enters what it makes of it; false if it fails.
    fn give(&mut self, batch: Given, now_ms: u64, change: &mut Change, outgoing: &mut Outgoing) -> Result<bool> {
        let Given { originals, lines } = batch;
        let input = Input { now_ms, first_ticket: self.next_ticket, lines };
        let Some(mut made) = self.call(|sandbox| input.give(sandbox)) else { return Ok(false) };
        // Time passes also where no log comes.
        if originals.is_empty() && made.outputs.is_empty() && made.released.is_empty() {
            return Ok(true);
        }
        let first_ticket = self.next_ticket;
        self.next_ticket += originals.len() as u64;
        let dispositions = std::mem::take(&mut made.dispositions);
        for ((event, disposition), ticket) in originals.iter().zip(dispositions).zip(first_ticket..) {
            let forward = disposition.contains(Disposition::FORWARD);
            if forward {
                outgoing.push(ParcelKind::Plain, event);
            }
            if disposition.contains(Disposition::KEEP) {
                change.keep.push(Kept { ticket, left: forward, event: event.clone() });
            }
        }
        self.account(made, &originals, change, outgoing)?;
        change.input.push(input);
        Ok(true)
    }

    /// Lets requests pass without the component.
    fn pass(&mut self, requests: &[Request], accepted: &[u64]) -> Result<()> {
        let mut change = change_for(requests, accepted);
        let mut outgoing = Outgoing::default();
        let mut logs = 0;
        for Incoming { event, kind } in requests.iter().flat_map(|request| &request.events) {
            match kind {
                Kind::Broken => outgoing.push(ParcelKind::Dead, event),
                Kind::Other => outgoing.push(ParcelKind::Plain, event),
                Kind::Log(_) => {
                    outgoing.push(ParcelKind::Plain, event);
                    logs += 1;
                }
            }
        }
        change.outbox = outgoing.into_parcels();
        self.commit(&change)?;
        self.metrics.passed_without.inc_by(logs);
        Ok(())
    }

    /// Enters what a call brought. `events` came with it; their tickets end at `next_ticket`.
    fn account(&mut self, made: Made, events: &[Bytes], change: &mut Change, outgoing: &mut Outgoing) -> Result<()> {
        let first_ticket = self.next_ticket - events.len() as u64;
        for output in made.outputs {
            let ticket = output.ticket;
            self.metrics.issued(&output.data);
            match self.told_of(ticket, first_ticket, events, change)? {
                Some((original, has_left)) => {
                    let kind = if has_left { ParcelKind::Later } else { ParcelKind::Plain };
                    outgoing.push(kind, &wire::changed(&original, &output.data));
                }
                None => match wire::own(&output.data) {
                    // It may be a later word on what was given back.
                    Some(event) => outgoing.push(ParcelKind::Later, &event),
                    None => {
                        self.metrics.unusable_outputs.inc();
                    }
                },
            }
            match find(&mut change.keep, ticket) {
                Some(kept) => kept.left = true,
                None if ticket != 0 && ticket < first_ticket => _ = change.left.insert(ticket),
                None => {}
            }
        }
        let released: BTreeSet<u64> = made.released.into_iter().collect();
        if !released.is_empty() {
            change.keep.retain(|kept| !released.contains(&kept.ticket));
            change.left.retain(|ticket| !released.contains(ticket));
        }
        change.release.extend(released.into_iter().filter(|ticket| *ticket < first_ticket));
        Ok(())
    }

    /// The event that an output with this ticket tells of, and whether something about it has left before.
    fn told_of(
        &mut self,
        ticket: u64,
        first_ticket: u64,
        events: &[Bytes],
        change: &mut Change,
    ) -> Result<Option<(Bytes, bool)>> {
        let kept = find(&mut change.keep, ticket).map(|kept| (kept.event.clone(), kept.left));
        if let Some(event) = ticket.checked_sub(first_ticket).and_then(|at| events.get(at as usize)) {
            return Ok(Some((event.clone(), kept.is_some_and(|(_, left)| left))));
        }
        if kept.is_some() || ticket == 0 {
            return Ok(kept);
        }
        let kept = self.journal.kept(ticket).inspect_err(|_| self.sandbox = None)?;
        Ok(kept.map(|kept| (kept.event, kept.left || change.left.contains(&ticket))))
    }

    /// Makes a change durable. Where that fails, the component goes back to where the journal is.
    fn commit(&mut self, change: &Change) -> Result<()> {
        self.journal.commit(change).inspect_err(|_| {
            // Where the journal can't be opened again yet, there is no component, and the next call tries again.
            let _ = self.rebuild();
        })
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
                if self.quiet.tell() {
                    error!(%error, "The component failed; it is made again from the journal, and nothing is lost.");
                }
                self.sandbox = None;
                None
            }
        }
    }

    fn snapshot(&mut self) -> Option<Vec<u8>> {
        self.call_once(Sandbox::snapshot)
    }

    fn now_ms(&self) -> u64 {
        self.base_ms + self.began.elapsed().as_millis() as u64
    }
}

/// The bytes of input at which a snapshot is made, in a journal of so many bytes.
fn snapshot_every(most_bytes: u64) -> u64 {
    SNAPSHOT_EVERY.min(most_bytes / 8)
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

/// The change that takes requests, before it is known what becomes of them.
fn change_for(requests: &[Request], accepted: &[u64]) -> Change {
    let taken = requests.iter().filter_map(|request| request.name.clone()).collect();
    Change { taken, accepted: accepted.to_vec(), ..Change::default() }
}

/// An event among those that are kept, which stand in the order of their tickets.
fn find(keep: &mut [Kept], ticket: u64) -> Option<&mut Kept> {
    let index = keep.binary_search_by_key(&ticket, |kept| kept.ticket).ok()?;
    keep.get_mut(index)
}

/// Events for the component: as they came, and as lines of JSON.
#[derive(Default)]
struct Given {
    originals: Vec<Bytes>,
    lines: Vec<u8>,
}

impl Given {
    fn push(&mut self, original: &Bytes, json: &[u8]) {
        self.originals.push(original.clone());
        self.lines.extend_from_slice(json);
        self.lines.push(b'\n');
    }

    fn is_full(&self) -> bool {
        self.originals.len() >= BATCH || self.lines.len() >= BATCH_BYTES
    }
}
