//! What holds for a whole SMTP connection: a filter that failed in it, and TLS trouble that is logged without an id.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::case::Evidence;
use crate::queue_id::{ConnectionId, QueueId};

use super::clock::was_set_back;
use super::names::Home;
use super::store::Map;

/// How many connections with a failed filter are remembered, and how many lines of TLS trouble.
const CONNECTIONS: usize = 16_384;
const TLS_LINES: usize = 512;

/// TLS trouble belongs to a line of the same process that comes this soon behind it, in milliseconds.
const TLS_MS: i64 = 10_000;

/// Bytes around a line here.
const FRAME: usize = 64;

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
    home: Home,
    pid: u32,
    evidence: Evidence,
}

/// The connections of which something is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connections {
    failures: Map<(Home, ConnectionId), Vec<Failure>>,
    order: VecDeque<(Home, ConnectionId)>,
    tls: VecDeque<Tls>,
    /// Bytes of the failures, and of the lines of TLS trouble.
    failure_bytes: usize,
    tls_bytes: usize,
}

/// The connections for a snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stored {
    failures: Vec<(Home, ConnectionId, Vec<Failure>)>,
    tls: VecDeque<Tls>,
}

fn weigh(failures: &[Failure]) -> usize {
    failures.iter().map(|failure| FRAME + failure.evidence.weigh()).sum()
}

impl Connections {
    /// Whether any filter failed in any connection: the common case is that none did.
    pub(crate) fn any_failed(&self) -> bool {
        !self.order.is_empty()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.failure_bytes + self.tls_bytes
    }

    /// Notes that a filter failed while this message was under way. `most` bounds the bytes of all failures.
    pub(crate) fn failed(&mut self, home: Home, id: &QueueId, evidence: &Evidence, most: usize) {
        let Some((connection, sequence)) = id.connection() else { return };
        let failures = self.failures.entry((home, connection)).or_insert_with(|| {
            self.order.push_back((home, connection));
            Vec::new()
        });
        if failures.len() < 4 && !failures.iter().any(|known| known.evidence.filter == evidence.filter) {
            failures.push(Failure { sequence, evidence: Evidence { ticket: 0, ..evidence.clone() } });
            self.failure_bytes += FRAME + evidence.weigh();
        }
        while self.order.len() > CONNECTIONS || self.failure_bytes > most {
            let Some(oldest) = self.order.pop_front() else { break };
            self.failure_bytes -= weigh(&self.failures.remove(&oldest).unwrap_or_default());
        }
    }

    /// The failures of filters in the connection of a message, not after it.
    pub(crate) fn before(&self, home: Home, id: &QueueId) -> impl Iterator<Item = &Evidence> {
        let connection = if self.any_failed() { id.connection() } else { None };
        let found = connection.and_then(|(connection, sequence)| {
            self.failures.get(&(home, connection)).map(|failures| (failures, sequence))
        });
        found.into_iter().flat_map(|(failures, sequence)| {
            failures
                .iter()
                .filter(move |failure| (sequence + SEQUENCE - failure.sequence) % SEQUENCE < SEQUENCE / 2)
                .map(|failure| &failure.evidence)
        })
    }

    /// Notes TLS trouble of a process; gives the tickets of lines that had to go for it. `most` bounds their bytes.
    pub(crate) fn tls(&mut self, home: Home, pid: u32, evidence: Evidence, most: usize) -> Vec<u64> {
        self.tls_bytes += FRAME + evidence.weigh();
        self.tls.push_back(Tls { home, pid, evidence });
        let mut gone = Vec::new();
        while self.tls.len() > TLS_LINES || self.tls_bytes > most {
            let Some(oldest) = self.tls.pop_front() else { break };
            self.tls_bytes -= FRAME + oldest.evidence.weigh();
            gone.push(oldest.evidence.ticket);
        }
        gone
    }

    /// Whether there is TLS trouble of a process.
    pub(crate) fn has_tls(&self, home: Home, pid: Option<u32>) -> bool {
        self.tls.iter().any(|tls| tls.home == home && Some(tls.pid) == pid)
    }

    /// Takes the TLS trouble that came just before a line of the same process, in its order. Where nothing of that `decides`,
    /// those whose time is not known, or of which `belongs` says that only the clock was set between them, the last
    /// one first, until one does.
    pub(crate) fn take_tls(
        &mut self,
        home: Home,
        line: &Evidence,
        decides: impl Fn(&Evidence) -> bool,
        belongs: impl Fn(&Evidence) -> bool,
    ) -> Vec<Evidence> {
        let is_its = |tls: &Tls| tls.home == home && Some(tls.pid) == line.pid;
        let is_near = |tls: &Tls| {
            let near = |(line, tls)| (-1_000..=TLS_MS).contains(&(line - tls)) || was_set_back(tls, line);
            is_its(tls) && line.at.zip(tls.evidence.at).is_some_and(near)
        };
        let (mut taken, mut left): (VecDeque<Tls>, VecDeque<Tls>) =
            std::mem::take(&mut self.tls).into_iter().partition(is_near);
        let may_be_near = |tls: &Tls| line.at.zip(tls.evidence.at).is_none() || belongs(&tls.evidence);
        while !taken.iter().any(|tls| decides(&tls.evidence))
            && let Some(last) = left.iter().rposition(|tls| is_its(tls) && may_be_near(tls))
        {
            left.remove(last).into_iter().for_each(|tls| taken.push_front(tls));
        }
        self.tls = left;
        self.tls_bytes -= taken.iter().map(|tls| FRAME + tls.evidence.weigh()).sum::<usize>();
        taken.into_iter().map(|tls| tls.evidence).collect()
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
        let order = stored.failures.iter().map(|(home, connection, _)| (*home, *connection)).collect();
        let failure_bytes = stored.failures.iter().map(|(.., failures)| weigh(failures)).sum();
        let tls_bytes = stored.tls.iter().map(|tls| FRAME + tls.evidence.weigh()).sum();
        let failures =
            stored.failures.into_iter().map(|(home, connection, failures)| ((home, connection), failures)).collect();
        Connections { failures, order, tls: stored.tls, failure_bytes, tls_bytes }
    }
}
