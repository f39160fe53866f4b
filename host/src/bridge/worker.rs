//! The thread that owns component and journal: takes requests in groups, so that one sync of the disk serves many.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tonic::Status;
use tracing::{error, warn};

use super::keeper::{Keeper, Refusal};
use super::metrics::Metrics;
use super::request::Request;
use super::server::Ready;

/// Requests of one group, at most.
const GROUP: usize = 64;
/// How long what the destination accepted may wait for others before it is noted on disk.
const ACCEPTED_WAIT: Duration = Duration::from_millis(200);
/// How often time is let pass, at most and at least.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// What the worker is asked to do.
pub(super) enum Job {
    /// Take a request, and answer.
    Take(Request, oneshot::Sender<Result<(), Status>>),
    /// The destination has accepted an entry of the outbox.
    Accepted(u64),
    /// Hand out the component's counters.
    Stats(oneshot::Sender<Option<String>>),
    /// End.
    Stop,
}

/// The worker's surroundings.
pub(super) struct Worker {
    pub keeper: Keeper,
    pub jobs: mpsc::Receiver<Job>,
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
        let mut refused_since: Option<Instant> = None;
        let mut noted = Instant::now();
        self.ready.set(true);
        loop {
            self.outgoing.send_replace(self.keeper.last_outgoing);
            self.metrics.journal_bytes.set(self.keeper.stored() as i64);
            let due = self.keeper.due().unwrap_or(LONGEST_WAIT).clamp(SHORTEST_WAIT, LONGEST_WAIT);
            let wait = if accepted.is_empty() { due } else { due.min(ACCEPTED_WAIT) };
            let receive = async { tokio::time::timeout(wait, self.jobs.recv_many(&mut jobs, GROUP)).await };
            let ended = matches!(runtime.block_on(receive), Ok(0));
            let idle = jobs.is_empty() || noted.elapsed() >= ACCEPTED_WAIT;
            let mut stop = ended;
            let (mut requests, mut answers) = (Vec::new(), Vec::new());
            for job in jobs.drain(..) {
                match job {
                    Job::Take(request, answer) => {
                        requests.push(request);
                        answers.push(answer);
                    }
                    Job::Accepted(entry) => accepted.push(entry),
                    Job::Stats(to) => drop(to.send(self.keeper.stats())),
                    Job::Stop => stop = true,
                }
            }
            let full = self.keeper.is_full();
            let done = if requests.is_empty() {
                if idle || stop { self.keeper.advance(&accepted).inspect(|()| accepted.clear()) } else { Ok(()) }
            } else if full {
                requests.clear();
                self.keeper.advance(&accepted).inspect(|()| accepted.clear())
            } else {
                self.keeper.take(requests, &accepted).inspect(|()| accepted.clear())
            };
            if accepted.is_empty() {
                noted = Instant::now();
            }
            match &done {
                Ok(()) if refused_since.take().is_some() => warn!("The journal takes requests again."),
                Ok(()) => {}
                Err(refusal) => {
                    if refused_since.is_none() {
                        error!(cause = %refusal, "Requests are refused until the journal takes them again; nothing is lost.");
                    }
                    refused_since.get_or_insert_with(Instant::now);
                }
            }
            self.ready.set(done.is_ok() && !full);
            for answer in answers {
                // Who has hung up asks again.
                let _ = answer.send(status(&done, full));
            }
            if stop {
                break;
            }
        }
        self.ready.set(false);
        self.jobs.close();
        if let Err(error) = self.keeper.close(&accepted) {
            warn!(cause = %error, "The last snapshot was not made; the next start takes longer.");
        }
    }
}

/// The answer to a request.
fn status(done: &Result<(), Refusal>, full: bool) -> Result<(), Status> {
    match done {
        Err(refusal) => Err(Status::unavailable(refusal.to_string())),
        Ok(()) if full => Err(Status::resource_exhausted("the journal is full: the destination takes too little")),
        Ok(()) => Ok(()),
    }
}
