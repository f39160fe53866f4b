//! The thread that owns component and journal: takes requests in groups, so that one sync of the disk serves many.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tonic::Status;
use tracing::{error, info, warn};

use super::journal::Result;
use super::keeper::Keeper;
use super::metrics::Metrics;
use super::request::Request;
use super::server::Ready;
use crate::text::visible;

/// Requests of one group, at most, and their bytes, but for a larger request.
const GROUP: usize = 64;
const GROUP_BYTES: usize = 16 << 20;
/// How long what the destination accepted may wait for others before it is noted on disk.
const ACCEPTED_WAIT: Duration = Duration::from_millis(200);
/// How often time is let pass, at most and at least.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// What the worker is asked to do.
pub(super) enum Job {
    /// Take a request, and answer.
    Take(Request, oneshot::Sender<std::result::Result<(), Status>>),
    /// Hand out the component's counters.
    Stats(oneshot::Sender<Option<String>>),
    /// End.
    Stop,
}

/// Entries of the outbox that the destination has accepted, until the worker notes them: the sender never waits for it.
#[derive(Clone, Default)]
pub(super) struct Accepted(Arc<Mutex<Vec<u64>>>);

impl Accepted {
    pub(super) fn push(&self, entry: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }

    fn move_to(&self, entries: &mut Vec<u64>) {
        entries.append(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The worker's surroundings.
pub(super) struct Worker {
    pub keeper: Keeper,
    pub jobs: mpsc::Receiver<Job>,
    pub accepted: Accepted,
    /// Told the last entry of the outbox.
    pub outgoing: watch::Sender<u64>,
    pub ready: Ready,
    pub metrics: Metrics,
}

impl Worker {
    /// Starts the thread; it ends with [`Job::Stop`], or when nobody can ask for anything any more.
    pub(super) fn start(self, runtime: Handle) -> std::io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name("worker".into()).spawn(move || self.work(&runtime))
    }

    fn work(mut self, runtime: &Handle) {
        let mut accepted: Vec<u64> = Vec::new();
        let mut jobs = Vec::new();
        let mut noted = Instant::now();
        let mut refusing = false;
        let mut stop = false;
        self.ready.set(true);
        while !stop {
            self.outgoing.send_replace(self.keeper.last_outgoing());
            self.metrics.journal_bytes.set(self.keeper.stored() as i64);
            let due = self.keeper.due().unwrap_or(LONGEST_WAIT).clamp(SHORTEST_WAIT, LONGEST_WAIT);
            let wait = due.min(ACCEPTED_WAIT);
            let receive = async { tokio::time::timeout(wait, self.jobs.recv_many(&mut jobs, GROUP)).await };
            stop = matches!(runtime.block_on(receive), Ok(0));
            let idle = jobs.is_empty() || noted.elapsed() >= ACCEPTED_WAIT;
            self.accepted.move_to(&mut accepted);
            let mut group = Group::default();
            let mut done = Ok(());
            for job in jobs.drain(..) {
                match job {
                    Job::Take(request, answer) => {
                        if group.bytes + request.bytes > GROUP_BYTES && !group.requests.is_empty() {
                            done = self.take(std::mem::take(&mut group), &mut accepted);
                        }
                        group.bytes += request.bytes;
                        group.requests.push(request);
                        group.answers.push(answer);
                    }
                    Job::Stats(to) => drop(to.send(self.keeper.stats())),
                    Job::Stop => stop = true,
                }
            }
            if !group.requests.is_empty() {
                done = self.take(group, &mut accepted);
            } else if idle || stop {
                // That time passes may need no write.
                let writes = if refusing { self.keeper.probe() } else { Ok(()) };
                done = writes.and_then(|()| self.keeper.advance(&accepted)).inspect(|()| accepted.clear());
            }
            if accepted.is_empty() {
                noted = Instant::now();
            }
            match &done {
                Ok(()) if refusing => info!("The journal takes requests again."),
                Err(error) if !refusing => {
                    let cause = visible(&error.to_string()).into_owned();
                    error!(%cause, "The journal fails: requests are refused until it takes them again; nothing is lost.");
                }
                _ => {}
            }
            refusing = done.is_err();
            self.ready.set(!refusing && !self.keeper.is_full());
        }
        self.ready.set(false);
        self.jobs.close();
        self.accepted.move_to(&mut accepted);
        if let Err(error) = self.keeper.close(&accepted) {
            warn!(cause = %error, "The last snapshot was not made; the next start takes longer.");
        }
    }

    /// Takes a group, and answers it.
    fn take(&mut self, group: Group, accepted: &mut Vec<u64>) -> Result<()> {
        let full = self.keeper.is_full();
        let done = if full { self.keeper.advance(accepted) } else { self.keeper.take(group.requests, accepted) };
        if done.is_ok() {
            accepted.clear();
        }
        for answer in group.answers {
            // Who has hung up asks again.
            let _ = answer.send(status(&done, full));
        }
        done
    }
}

/// Requests that are taken together.
#[derive(Default)]
struct Group {
    requests: Vec<Request>,
    answers: Vec<oneshot::Sender<std::result::Result<(), Status>>>,
    bytes: usize,
}

/// The answer to a request.
fn status(done: &Result<()>, full: bool) -> std::result::Result<(), Status> {
    match done {
        Err(error) => Err(Status::unavailable(format!("the journal: {error}"))),
        Ok(()) if full => Err(Status::resource_exhausted("the journal is full: the destination takes too little")),
        Ok(()) => Ok(()),
    }
}
