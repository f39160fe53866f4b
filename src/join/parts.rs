//! Long lines, which sendmail splits into parts `id[1]:`, `id[2]:` …: put together before anything is read from them.
//!
//! A peer can steer where a line is split, so no part is ever read on its own.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::mail_line::MailLine;
use crate::queue_id::QueueId;
use crate::time::LogTime;

use super::about::{About, Written};
use super::names::{Home, clipped};

/// How many lines may be under way at once; beyond, the oldest is read as far as it came.
const PENDING: usize = 256;

/// sendmail ends a line after this many parts.
const MOST: u16 = 999;

/// Ends every part but the last.
const MORE: &[u8] = b" ...";

/// A line of which parts are missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Whole {
    pub home: Home,
    pub host: Box<[u8]>,
    pub id: QueueId,
    pub program: Box<[u8]>,
    pub pid: Option<u32>,
    pub time: Option<LogTime>,
    pub at: Option<i64>,
    pub text: Vec<u8>,
    /// Those of its parts.
    pub tickets: Vec<u64>,
    /// The text has no end: it is longer than what is kept, or its last part is missing.
    pub cut: bool,
    next: u16,
}

/// The lines of which parts are missing, the oldest first.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Parts {
    pending: VecDeque<Whole>,
}

impl Parts {
    /// Takes a part. Gives the line if it is whole now, or the oldest one if there are too many; and whether this part
    /// waits here.
    pub(crate) fn push(&mut self, part: u16, line: &MailLine<'_>, whole: Whole, most: usize) -> (Option<Whole>, bool) {
        let (text, more) = match line.text.strip_suffix(MORE) {
            Some(text) => (text, true),
            None => (line.text, false),
        };
        if part == 1 {
            let whole =
                Whole { text: text[..text.len().min(most)].to_vec(), cut: more || text.len() > most, next: 2, ..whole };
            if !more {
                return (Some(whole), false);
            }
            self.pending.push_back(whole);
            return (if self.pending.len() > PENDING { self.pending.pop_front() } else { None }, true);
        }
        if part > MOST {
            return (None, false);
        }
        let Some(index) = self.pending.iter().position(|known| {
            known.id == whole.id && known.home == whole.home && known.pid == whole.pid && known.next == part
        }) else {
            return (None, false);
        };
        let known = &mut self.pending[index];
        let room = most.saturating_sub(known.text.len());
        known.text.extend_from_slice(&text[..text.len().min(room)]);
        known.tickets.extend(whole.tickets);
        known.next = part.saturating_add(1);
        known.cut = more || text.len() > room || known.text.len() >= most;
        if more { (None, true) } else { (self.pending.remove(index), false) }
    }

    /// Gives up lines whose parts won't come any more: a process writes those of one line before it begins another.
    pub(crate) fn close(&mut self, is_over: impl Fn(&Whole) -> bool) -> Vec<Whole> {
        if self.pending.is_empty() {
            return Vec::new();
        }
        let (over, pending) = std::mem::take(&mut self.pending).into_iter().partition(is_over);
        self.pending = pending;
        Vec::from(over)
    }

    /// Gives up waiting: the lines as far as they came.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Whole> {
        std::mem::take(&mut self.pending).into_iter()
    }
}

impl Whole {
    /// The frame of a line, still without text.
    pub(super) fn frame(About { id, by }: &About<'_>) -> Whole {
        Whole {
            home: by.home,
            host: by.host.into(),
            id: *id,
            program: clipped(by.program).into(),
            pid: by.pid,
            time: by.time,
            at: by.at,
            text: Vec::new(),
            tickets: (by.ticket != 0).then_some(by.ticket).into_iter().collect(),
            cut: false,
            next: 1,
        }
    }

    /// Whom and what it is of.
    pub(super) fn about(&self) -> About<'_> {
        let by = Written {
            home: self.home,
            host: &self.host,
            program: &self.program,
            pid: self.pid,
            time: self.time,
            at: self.at,
            ticket: self.tickets.first().copied().unwrap_or_default(),
        };
        About { id: self.id, by }
    }
}
