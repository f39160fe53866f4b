//! The whole state as bytes, and back. Only an engine of the same version and configuration goes on from it.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::event::{Output, Revision};
use crate::stats::Stats;
use crate::words;

use super::Join;
use super::connections::{self, Connections};
use super::filters::Filters;
use super::hosts::Hosts;
use super::parts::Parts;
use super::passed::{self, Passed};
use super::programs::Programs;
use super::seen::Slot;
use super::store::{self, Store};
use super::waits::{Wait, Waits};

/// Raised with every change of what is stored.
const FORMAT: &str = concat!("abort-reason ", env!("CARGO_PKG_VERSION"), " 14");

#[derive(Serialize, Deserialize)]
struct Snapshot {
    format: String,
    /// Stands for the configuration: the numbers of rules mean nothing under another one.
    config: u64,
    hosts: Hosts,
    seen: Vec<Slot>,
    store: store::Stored,
    lines: passed::Stored,
    entries: passed::Stored,
    connections: connections::Stored,
    parts: Parts,
    programs: Programs,
    filters: Filters,
    waits: BTreeMap<u64, Wait>,
    seq: u64,
    now: u64,
    pushed: u64,
    out: VecDeque<(String, u64, u64, Option<Revision>)>,
    released: VecDeque<u64>,
    stats: Stats,
}

impl Join {
    /// The state, what waits to be polled with it.
    pub(crate) fn snapshot(&self) -> Vec<u8> {
        let snapshot = Snapshot {
            format: FORMAT.to_owned(),
            config: self.config.fingerprint(),
            hosts: self.hosts.clone(),
            seen: self.seen.used(),
            store: self.store.stored(),
            lines: self.lines.stored(),
            entries: self.entries.stored(),
            connections: self.connections.stored(),
            parts: self.parts.clone(),
            programs: self.programs.clone(),
            filters: self.filters.clone(),
            waits: self.waits.stored(),
            seq: self.seq,
            now: self.now,
            pushed: self.pushed,
            out: self
                .out
                .iter()
                .map(|Output { data, ticket, behind, tells }| {
                    (words::text(data).into_owned(), *ticket, *behind, *tells)
                })
                .collect(),
            released: self.released.clone(),
            stats: self.stats,
        };
        // Maps with numbers as keys and strings: nothing that JSON can't hold.
        serde_json::to_vec(&snapshot).unwrap_or_default()
    }

    /// A join that goes on from a snapshot.
    pub(crate) fn restored(config: &Config, bytes: &[u8]) -> Result<Join, String> {
        let snapshot: Snapshot =
            serde_json::from_slice(bytes).map_err(|error| format!("no snapshot that can be read: {error}"))?;
        if snapshot.format != FORMAT {
            return Err(format!("the snapshot is of {:?}, this is {FORMAT:?}", snapshot.format));
        }
        if snapshot.config != config.fingerprint() {
            return Err("the snapshot is of another configuration".to_owned());
        }
        let mut join = Join::new(config);
        join.hosts = snapshot.hosts;
        join.seen.fill(&snapshot.seen);
        join.store = Store::restored(snapshot.store);
        join.lines = Passed::restored(config.limits.passed_bytes / 2, snapshot.lines);
        join.entries = Passed::restored(config.limits.passed_bytes / 2, snapshot.entries);
        join.connections = Connections::restored(snapshot.connections);
        join.parts = snapshot.parts;
        join.programs = snapshot.programs;
        join.filters = snapshot.filters;
        join.waits = Waits::restored(snapshot.waits);
        join.seq = snapshot.seq;
        (join.now, join.resumed) = (snapshot.now, true);
        join.pushed = snapshot.pushed;
        let output = |(data, ticket, behind, tells): (String, _, _, _)| Output {
            data: data.into_bytes(),
            ticket,
            behind,
            tells,
        };
        join.out = snapshot.out.into_iter().map(output).collect();
        join.released = snapshot.released;
        join.stats = snapshot.stats;
        Ok(join)
    }
}
