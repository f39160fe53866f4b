//! The component made again: from the snapshot and what went in since; where that can't be, from what is kept; and where
//! it fails at that, too, from nothing, with all that it held let pass.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use tracing::{error, warn};

use super::super::journal::{Change, Kept, State};
use super::super::parcel::{Outgoing, ParcelKind};
use super::super::wire;
use super::{BATCH, Keeper, Made, Result, drain};
use crate::sandbox::{Disposition, Event, Sandbox, SandboxError, Source};

impl Keeper {
    /// Makes the component again if a failure of the journal has left none, or has come between the two.
    pub(super) fn ensure(&mut self) -> Result<()> {
        if self.sandbox.is_none() || self.journal.is_closed() { self.rebuild() } else { Ok(()) }
    }

    /// What is done about a component that has failed so often in a row.
    pub(super) fn escalate(&mut self, failures: u32, patience: u32) -> Result<()> {
        match failures / patience {
            0 => self.ensure(),
            1 => self.relearn(),
            _ => self.let_go(),
        }
    }

    /// Makes the component again from the journal. Where the journal fails, there is none.
    pub(super) fn rebuild(&mut self) -> Result<()> {
        self.sandbox = None;
        if self.journal.is_closed() {
            self.journal.reopen()?;
        }
        let state = self.journal.state()?;
        self.next_ticket = state.next_ticket;
        (self.base_ms, self.began) = (self.now_ms().max(state.now_ms), Instant::now());
        match self.replay(&state) {
            Ok((sandbox, made)) => {
                self.settle(made)?;
                self.sandbox = Some(sandbox);
                Ok(())
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
        if let Some(snapshot) = &state.snapshot {
            sandbox.restore(snapshot)?;
        }
        let mut made = Made::default();
        for input in &state.input {
            input.give(&mut sandbox)?;
            drain(&mut sandbox, &mut made)?;
        }
        Ok((sandbox, made))
    }

    /// What a replay said has left long ago, by the same commits. What has not, leaves now.
    fn settle(&mut self, made: Made) -> Result<()> {
        let (mut change, mut outgoing) = (Change::default(), Outgoing::default());
        let mut left = BTreeSet::new();
        for output in made.outputs.into_iter().filter(|output| output.ticket != 0) {
            if let Some(kept) = self.journal.kept(output.ticket)?.filter(|kept| !kept.left) {
                outgoing.push(ParcelKind::Plain, &wire::changed(&kept.event, &output.data));
                left.insert(kept.ticket);
            }
        }
        for ticket in made.released {
            if let Some(kept) = self.journal.kept(ticket)? {
                if !kept.left && !left.contains(&ticket) {
                    outgoing.push(ParcelKind::Plain, &kept.event);
                }
                change.release.push(ticket);
            }
        }
        change.left = left;
        change.outbox = outgoing.into_parcels();
        self.journal.commit(&change)?;
        Ok(())
    }

    /// Gives a fresh component the events that the journal keeps. If it fails at them, they pass as they came.
    pub(super) fn relearn(&mut self) -> Result<()> {
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
        let snapshot = learned.and_then(|()| self.snapshot());
        let (Some(snapshot), Some(sandbox)) = (snapshot, self.sandbox.take()) else { return self.let_go() };
        let (mut change, mut outgoing) = (Change::default(), Outgoing::default());
        let issued: BTreeSet<u64> = made.outputs.iter().map(|output| output.ticket).collect();
        let released: BTreeSet<u64> = made.released.into_iter().collect();
        for (kept, disposition) in kept.iter().zip(made.dispositions) {
            let forward = disposition.contains(Disposition::FORWARD);
            if forward && !kept.left {
                outgoing.push(ParcelKind::Plain, &kept.event);
            }
            if !disposition.contains(Disposition::KEEP) || released.contains(&kept.ticket) {
                change.release.push(kept.ticket);
            } else if forward || issued.contains(&kept.ticket) {
                change.left.insert(kept.ticket);
            }
        }
        let originals: BTreeMap<u64, &Kept> = kept.iter().map(|kept| (kept.ticket, kept)).collect();
        for output in &made.outputs {
            let original = originals.get(&output.ticket);
            let has_left = original.is_none_or(|kept| kept.left);
            let kind = if has_left { ParcelKind::Later } else { ParcelKind::Plain };
            match original {
                Some(kept) => outgoing.push(kind, &wire::changed(&kept.event, &output.data)),
                None => wire::own(&output.data).iter().for_each(|event| outgoing.push(kind, event)),
            }
        }
        change.outbox = outgoing.into_parcels();
        change.snapshot = Some(snapshot);
        self.journal.commit(&change)?;
        self.sandbox = Some(sandbox);
        Ok(())
    }

    /// Lets all that is held pass as it came, and begins anew.
    pub(super) fn let_go(&mut self) -> Result<()> {
        let (mut change, mut outgoing) = (Change::default(), Outgoing::default());
        let mut passed = 0;
        for kept in self.journal.all_kept()? {
            if !kept.left {
                outgoing.push(ParcelKind::Plain, &kept.event);
                passed += 1;
            }
            change.release.push(kept.ticket);
        }
        error!(passed, "The component fails at what it holds; all of that passes without it.");
        self.sandbox = self.fresh();
        let snapshot = self.snapshot();
        let sandbox = self.sandbox.take();
        change.outbox = outgoing.into_parcels();
        change.snapshot = Some(snapshot.unwrap_or_default());
        self.journal.commit(&change)?;
        self.sandbox = sandbox;
        (self.failed_advances, self.failed_groups) = (0, 0);
        self.metrics.passed_without.inc_by(passed);
        Ok(())
    }

    fn fresh(&self) -> Option<Sandbox> {
        self.recipe
            .instance()
            .inspect_err(|error| error!(%error, "The component can't be made; everything passes unchanged."))
            .ok()
    }
}
