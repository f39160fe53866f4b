//! What holds for a whole SMTP connection: a filter that failed in it, and TLS trouble that is logged without an id.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::queue_id::{ConnectionId, QueueId};

use super::group::Evidence;
use super::hosts::HostIndex;
use super::store::Map;

/// How many connections with a failed filter are remembered, and how many lines of TLS trouble.
const CONNECTIONS: usize = 16_384;
const TLS_LINES: usize = 512;

/// TLS trouble belongs to a line of the same process that comes this soon behind it, in milliseconds.
const TLS_MS: i64 = 10_000;

/// Ids of one connection count up modulo this.
const SEQUENCE: u32 = 3_600;

/// A filter failed in a connection; sendmail does without it until the connection ends.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Failure {
    sequence: u32,
    evidence: Evidence,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Tls {
    host: HostIndex,
    pid: u32,
    evidence: Evidence,
}

/// The connections of which something is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connections {
    failures: Map<(HostIndex, ConnectionId), Vec<Failure>>,
    order: VecDeque<(HostIndex, ConnectionId)>,
    tls: VecDeque<Tls>,
}

/// The connections for a snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stored {
    failures: Vec<(HostIndex, ConnectionId, Vec<Failure>)>,
    tls: VecDeque<Tls>,
}

impl Connections {
    /// Whether any filter failed in any connection: the common case is that none did.
    pub(crate) fn any_failed(&self) -> bool {
        !self.order.is_empty()
    }

    /// Notes that a filter failed while this message was under way.
    pub(crate) fn failed(&mut self, host: HostIndex, id: &QueueId, evidence: &Evidence) {
        let Some((connection, sequence)) = id.connection() else { return };
        let failures = self.failures.entry((host, connection)).or_insert_with(|| {
            self.order.push_back((host, connection));
            Vec::new()
        });
        if failures.len() < 4 && !failures.iter().any(|known| known.evidence.filter == evidence.filter) {
            failures.push(Failure { sequence, evidence: Evidence { ticket: 0, ..evidence.clone() } });
        }
        if self.order.len() > CONNECTIONS
            && let Some(oldest) = self.order.pop_front()
        {
            self.failures.remove(&oldest);
        }
    }

    /// The failures of filters in the connection of a message, not after it.
    pub(crate) fn before(&self, host: HostIndex, id: &QueueId) -> impl Iterator<Item = &Evidence> {
        let found = id.connection().filter(|_| self.any_failed()).and_then(|(connection, sequence)| {
            self.failures.get(&(host, connection)).map(|failures| (failures, sequence))
        });
        found.into_iter().flat_map(|(failures, sequence)| {
            failures
                .iter()
                .filter(move |failure| (sequence + SEQUENCE - failure.sequence) % SEQUENCE < SEQUENCE / 2)
                .map(|failure| &failure.evidence)
        })
    }

    /// Notes TLS trouble of a process; gives the ticket of a line that had to go for it.
    pub(crate) fn tls(&mut self, host: HostIndex, evidence: Evidence) -> Option<u64> {
        let Some(pid) = evidence.pid else { return Some(evidence.ticket) };
        let oldest = if self.tls.len() == TLS_LINES { self.tls.pop_front() } else { None };
        self.tls.push_back(Tls { host, pid, evidence });
        oldest.map(|oldest| oldest.evidence.ticket)
    }

    /// Takes the TLS trouble that came just before a line of the same process.
    pub(crate) fn take_tls(&mut self, host: HostIndex, line: &Evidence) -> Option<Evidence> {
        let pid = line.pid?;
        let at = self.tls.iter().rposition(|tls| {
            let apart = line.at.zip(tls.evidence.at).map(|(line, tls)| line - tls);
            tls.host == host && tls.pid == pid && apart.is_none_or(|apart| (-1_000..=TLS_MS).contains(&apart))
        })?;
        self.tls.remove(at).map(|tls| tls.evidence)
    }

    /// Takes the tickets of the lines that wait for others of their process.
    pub(crate) fn take_tickets(&mut self) -> impl Iterator<Item = u64> {
        self.tls.iter_mut().map(|tls| std::mem::take(&mut tls.evidence.ticket))
    }

    pub(crate) fn stored(&self) -> Stored {
        let failures = self
            .order
            .iter()
            .filter_map(|key| self.failures.get(key).map(|failures| (key.0, key.1, failures.clone())))
            .collect();
        Stored { failures, tls: self.tls.clone() }
    }

    pub(crate) fn restored(stored: Stored) -> Connections {
        let order = stored.failures.iter().map(|(host, connection, _)| (*host, *connection)).collect();
        let failures =
            stored.failures.into_iter().map(|(host, connection, failures)| ((host, connection), failures)).collect();
        Connections { failures, order, tls: stored.tls }
    }
}
