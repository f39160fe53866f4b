//! What shippers do to streams on their way: they bring them together in any order, read a stretch again after a restart,
//! bring lines of a parallel pipeline in disorder, take their time, and are restarted themselves.

use proptest::prelude::*;
use proptest::sample::Index;

use crate::engine::{Restart, Step};
use crate::world::World;

/// A way of shipping.
#[derive(Debug, Clone)]
pub struct Shipping {
    picks: Vec<u8>,
    pauses: Vec<u16>,
    restarts: Vec<Restart>,
    replays: Vec<(Index, Index, Index)>,
    /// How many records a host pushes at a time.
    pub batches: Vec<u8>,
    files: Vec<Index>,
    /// How long an abort waits, in seconds.
    pub hold_secs: u8,
}

/// Ways of shipping.
pub fn shippings() -> impl Strategy<Value = Shipping> {
    let restart = prop_oneof![
        12 => Just(Restart::None),
        2 => Just(Restart::Snapshot),
        1 => Just(Restart::Tickets)
    ];
    (
        prop::collection::vec(any::<u8>(), 1..40),
        prop::collection::vec(prop_oneof![Just(0), 0..4_000u16], 1..20),
        prop::collection::vec(restart, 1..20),
        prop::collection::vec(any::<(Index, Index, Index)>(), 0..3),
        prop::collection::vec(1..40u8, 1..10),
        prop::collection::vec(any::<Index>(), 1..20),
        0..8u8,
    )
        .prop_map(|(picks, pauses, restarts, replays, batches, files, hold_secs)| Shipping {
            picks,
            pauses,
            restarts,
            replays,
            batches,
            files,
            hold_secs,
        })
}

impl Shipping {
    /// The world with stretches of its streams read again: a shipper that was killed begins where it last took note.
    pub fn replayed(&self, world: &World) -> World {
        let mut world = world.clone();
        for (stream, from, to) in &self.replays {
            let at = stream.index(world.streams.len());
            let stream = &mut world.streams[at];
            if stream.is_empty() {
                continue;
            }
            let (a, b) = (from.index(stream.len()), to.index(stream.len()));
            let (from, to) = (a.min(b), a.max(b) + 1);
            let again = stream[from..to].to_vec();
            stream.splice(to..to, again);
        }
        world
    }

    /// The world with lines in disorder, as a pipeline brings them that works on several at once and repeats what was
    /// refused: only where the times of the lines tell how they were written. What has no id, or comes in parts, needs its
    /// order.
    pub fn disordered(&self, world: &World) -> World {
        let mut world = world.clone();
        let movable =
            |line: &String| !line.contains("STARTTLS: ") && !line.contains("[1]: ") && !line.contains("[2]: ");
        for (stream, _) in world.streams.iter_mut().zip(&world.precise).filter(|(_, precise)| **precise) {
            for (at, pick) in (1..stream.len()).zip(self.picks.iter().cycle()) {
                let from = at.saturating_sub(usize::from(*pick % 5));
                if stream[from..=at].iter().all(movable) {
                    stream[from..=at].rotate_right(1);
                }
            }
        }
        world
    }

    /// The world with mail lines as a shipper's parser takes them apart, their times as they stand there.
    pub fn apart(world: &World) -> World {
        let mut world = world.clone();
        for record in world.streams.iter_mut().flatten() {
            if let Some(apart) = apart(record) {
                *record = apart;
            }
        }
        world
    }

    /// Lines of a file before it is rotated.
    pub fn rotated_after(&self) -> usize {
        self.files[0].index(40) + 1
    }

    /// Brings files into an order that says nothing.
    pub fn shuffle<T>(&self, files: &mut [T]) {
        for (last, index) in (1..files.len()).rev().zip(self.files.iter().cycle()) {
            files.swap(last, index.index(last + 1));
        }
    }

    /// The streams as one, by a clock that stands still.
    pub fn interleaved<'w>(&self, world: &'w World) -> Vec<Step<'w>> {
        let step = |record| Step { record, pause: 0, restart: Restart::None };
        world.interleaved(&self.picks).into_iter().map(step).collect()
    }

    /// The same with pauses, and with restarts of one kind.
    pub fn disturbed<'w>(&self, world: &'w World, kind: Restart) -> Vec<Step<'w>> {
        let mut restarts = self.restarts.iter().cycle();
        let mut pauses = self.pauses.iter().cycle();
        let mut steps = self.interleaved(world);
        for step in &mut steps {
            step.pause = pauses.next().copied().unwrap_or_default();
            let restart = restarts.next().copied().unwrap_or(Restart::None);
            step.restart = if restart == kind { kind } else { Restart::None };
        }
        steps
    }
}

/// A record of a mail line, taken apart.
fn apart(record: &str) -> Option<String> {
    let mut record: serde_json::Value = serde_json::from_str(record).ok()?;
    let line = record["message"].as_str()?;
    let time_end = if line.starts_with(|first: char| first.is_ascii_uppercase()) { 15 } else { line.find(' ')? };
    let (time, rest) = line.split_at_checked(time_end)?;
    let (host, rest) = rest.strip_prefix(' ')?.split_once(' ')?;
    let (program, rest) = rest.split_once('[')?;
    let (pid, text) = rest.split_once("]: ")?;
    if host.contains('=') || program.contains([' ', ':', '=']) {
        return None;
    }
    let pid: u32 = pid.parse().ok()?;
    let has_id = text.split_once(": ").is_some_and(|(id, _)| id.len() >= 12 && !id.contains([' ', '=']));
    // Some write it as a number, some as a text.
    let pid_value = if pid.is_multiple_of(2) { pid.into() } else { serde_json::Value::from(pid.to_string()) };
    // Some parsers take out the time alone, some leave the tag whole, and the blank behind it.
    let parts = match pid % 5 {
        0 if has_id => serde_json::json!({ "time": time, "message": format!("{host} {program}[{pid}]: {text}") }),
        1 => serde_json::json!({
            "time": time, "host": host, "program": format!("{program}[{pid}]:"), "message": format!(" {text}")
        }),
        _ => serde_json::json!({ "time": time, "host": host, "ident": program, "pid": pid_value, "message": text }),
    };
    record.as_object_mut()?.extend(parts.as_object()?.clone());
    Some(record.to_string())
}
