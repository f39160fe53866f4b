//! `abort-reason bridge`: stands between Vector's `vector` sink and `vector` source, and loses nothing.
//!
//! ```text
//! Vector's sink ─> server ─> worker ─> outbox ─> sender ─> destination (Vector's source)
//!                            │    └─ keeper: component and journal, one commit for both
//!                 answers <──┘
//! ```
//!
//! | module | what it is for |
//! |---|---|
//! | `settings` | the keys: file, options, environment |
//! | `wire` | Vector's events, and the JSON that a component sees of them |
//! | `request`, `parcel` | requests that came in, and those that go out |
//! | `server` | the end that Vector calls |
//! | `worker` | the thread that owns component and journal; groups requests |
//! | `keeper` | the component and the journal as one |
//! | `journal` | what must not be lost, on disk |
//! | `sender`, `destination` | empties the outbox; where to |
//! | `dead` | the file for events that nobody takes |
//! | `metrics`, `api` | figures, health and readiness |
//!
//! A request is answered OK when the commit that holds it is on disk. All that is not answered comes again from Vector.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle as Task;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::util::MapResponseLayer;
use tracing::{error, info, warn};

use crate::cli;
use crate::component;
use crate::failure::{Exit, Failure, Result};
use crate::sandbox::Component;
use crate::text::visible;
use dead::DeadLetters;
use destination::Destination;
use journal::{Journal, JournalError};
use keeper::{Keeper, Recipe};
use metrics::Metrics;
use sender::{Sender, Stop};
use server::{Ready, Service};
use settings::{Forward, LogFormat, Settings};
use worker::{Accepted, Job, Worker};

mod api;
mod dead;
mod destination;
mod journal;
mod keeper;
mod metrics;
mod parcel;
mod quiet;
mod request;
mod sender;
mod server;
mod settings;
mod wire;
mod worker;

pub use settings::Keys;
pub use wire::vector as protocol;

/// Requests that wait for the worker, at most; more wait in their connections.
const QUEUE: usize = 64;
/// A request that does not arrive whole in this time is given up.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(2);
/// How long requests under way may take to be answered when the bridge stops.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What is said where [`Settings::fitted`] is something.
const LOWERED: &str = "The limits of `transform` do not fit into memory_limit_mib and journal_max_bytes";

/// Runs `abort-reason bridge`.
pub fn run(options: &cli::Bridge) -> Result<()> {
    let settings = settings::load(options)?;
    let recipe = recipe(&settings)?;
    server_builder(&settings)?;
    if options.check {
        let fitted = settings.fitted.as_ref().map_or_else(String::new, |told| format!("{LOWERED}: {told}.\n"));
        let said = format!("The configuration is valid, and the component takes it.\n{fitted}");
        let written = std::io::stdout().write_all(said.as_bytes());
        return written.map_err(|error| Failure::writing("standard output", &error));
    }
    start_log(settings.log_format);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::Unavailable, format!("cannot start: {error}")))?;
    let done = runtime.block_on(async {
        // From here on a signal ends nothing half-done.
        let signals = Signals::listen()?;
        serve(options, settings, recipe, signals).await
    });
    // What still runs is of no use any more, and everything that counts is on disk.
    runtime.shutdown_background();
    done
}

/// The component, compiled and tried with its configuration.
fn recipe(settings: &Settings) -> Result<Arc<Recipe>> {
    let path = component::path(settings.component.as_deref())?;
    let unusable = |error| component::unusable(&path, &error);
    let component = Component::load_cached(&path, Some(&settings.cache_dir)).map_err(unusable)?;
    let recipe = Recipe { component, config_json: settings.transform.clone(), limits: settings.limits };
    recipe.instance().map_err(unusable)?;
    Ok(Arc::new(recipe))
}

/// The bridge's own log, on standard error. `ABORT_REASON_LOG` sets the level, as in `ABORT_REASON_LOG=debug`.
fn start_log(format: LogFormat) {
    use std::io::IsTerminal;

    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(tracing::Level::INFO.into())
        .with_env_var("ABORT_REASON_LOG")
        .from_env_lossy();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Where the log can't be written, that can't be said either, and is no reason to end.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
}

/// Serves until it is told to stop.
async fn serve(
    options: &cli::Bridge,
    mut settings: Settings,
    mut recipe: Arc<Recipe>,
    mut signals: Signals,
) -> Result<()> {
    let metrics = Metrics::default();
    metrics.begin();
    let began = Instant::now();
    let mut running = Running::start(&settings, &recipe, &metrics, began).await?;
    loop {
        tokio::select! {
            failure = running.failed() => {
                running.stop(Duration::ZERO, settings.forward_timeout).await;
                return Err(failure);
            }
            told = signals.next() => match told {
                Told::Stop => {
                    info!(within = ?settings.drain_timeout, "The bridge stops.");
                    tokio::select! {
                        () = running.stop(settings.drain_timeout, settings.forward_timeout) => {}
                        () = signals.stop() => warn!("Told a second time: the bridge stops at once."),
                    }
                    return Ok(());
                }
                Told::Reload => match again(options, &settings) {
                    Ok((new, made)) => {
                        running.stop(Duration::ZERO, new.forward_timeout).await;
                        running = match Running::start(&new, &made, &metrics, began).await {
                            Ok(running) => {
                                info!("The configuration was read again.");
                                (settings, recipe) = (new, made);
                                running
                            }
                            Err(failure) => {
                                refused(&failure);
                                Running::start(&settings, &recipe, &metrics, began).await?
                            }
                        };
                    }
                    Err(failure) => refused(&failure),
                },
            },
        }
    }
}

/// Reads the configuration again, and tries all of it that can be tried, before anything is stopped.
fn again(options: &cli::Bridge, old: &Settings) -> Result<(Settings, Arc<Recipe>)> {
    let settings = settings::load(options)?;
    if settings.state_dir != old.state_dir {
        return Err(Failure::new(Exit::Config, "`state_dir` can't change while the bridge runs")
            .hint("What is in the journal would stay behind: stop the bridge, and move the folder."));
    }
    let recipe = recipe(&settings)?;
    server_builder(&settings)?;
    Destination::open(&settings)?;
    Ok((settings, recipe))
}

fn refused(failure: &Failure) {
    let cause = visible(&failure.to_string()).into_owned();
    error!(%cause, "The new configuration is not taken; the old one stays.");
}

/// A bridge with one configuration.
struct Running {
    stop_server: watch::Sender<bool>,
    stop_sender: watch::Sender<Stop>,
    jobs: mpsc::Sender<Job>,
    server: Task<Result<()>>,
    api: Option<Task<()>>,
    sender: Task<()>,
    worker: Option<JoinHandle<()>>,
}

impl Running {
    async fn start(settings: &Settings, recipe: &Arc<Recipe>, metrics: &Metrics, began: Instant) -> Result<Running> {
        if let Some(told) = &settings.fitted {
            warn!("{LOWERED}: {told}.");
        }
        let destination = Destination::open(settings)?;
        let journal = Journal::open(&settings.state_dir).map_err(|error| no_journal(settings, &error))?;
        let listener = bind(settings.listen, "listen").await?;
        let api = match settings.api_listen {
            Some(address) => Some(bind(address, "api_listen").await?),
            None => None,
        };
        let dead = DeadLetters::open(settings.dead_letter_file.clone())?;
        let outbox = journal.outbox();
        let keeper = Keeper::open(Arc::clone(recipe), journal, settings.journal_max_bytes, metrics.clone())
            .map_err(|error| no_journal(settings, &error))?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (outgoing, last_outgoing) = watch::channel(0);
        let (stop_server, stopped_server) = watch::channel(false);
        let (stop_sender, stopped_sender) = watch::channel(Stop::No);
        let (accepted, ready) = (Accepted::default(), Ready::default());
        let worker = Worker {
            keeper,
            jobs: queue,
            accepted: accepted.clone(),
            outgoing,
            ready: ready.clone(),
            metrics: metrics.clone(),
        };
        let worker = worker
            .start(Handle::current())
            .map_err(|error| Failure::new(Exit::Unavailable, format!("cannot start a thread: {error}")))?;
        let sender = Sender {
            outbox,
            destination,
            // What is text keeps its order.
            concurrency: if matches!(settings.forward, Forward::Vector(_)) { settings.forward_concurrency } else { 1 },
            dead,
            metrics: metrics.clone(),
            accepted,
            outgoing: last_outgoing,
        };
        let api = api.map(|listener| {
            let api = api::Api { jobs: jobs.downgrade(), ready: ready.clone(), metrics: metrics.clone(), began };
            tokio::spawn(async move {
                if let Err(error) = axum::serve(listener, api.router()).await {
                    error!(cause = %error, "Health and metrics are not served any more.");
                }
            })
        });
        let service = Service::new(jobs.clone(), ready, metrics.clone());
        let server = server(settings, service, listener, stopped_server)?;
        info!(listen = %settings.listen, forward = ?settings.forward, "The bridge takes requests.");
        Ok(Running {
            stop_server,
            stop_sender,
            jobs,
            server,
            api,
            sender: tokio::spawn(sender.run(stopped_sender)),
            worker: Some(worker),
        })
    }

    /// Waits for a part to end by itself.
    async fn failed(&mut self) -> Failure {
        let ended = |part| Failure::new(Exit::Software, format!("the {part} ended: this is a fault of the program"));
        tokio::select! {
            done = &mut self.server => match done {
                Ok(Err(failure)) => failure,
                _ => ended("server"),
            },
            _ = &mut self.sender => ended("sender"),
            () = self.jobs.closed() => ended("worker"),
        }
    }

    /// Stops in good order: no new requests, what is under way is answered, the outbox is emptied as far as `within`
    /// allows; the rest stays in the journal. An attempt to deliver that is under way is given its time to end: what the
    /// destination takes then goes out once.
    async fn stop(&mut self, within: Duration, attempt: Duration) {
        let deadline = tokio::time::Instant::now() + within;
        self.stop_server.send_replace(true);
        if !self.server.is_finished() && tokio::time::timeout_at(deadline.max(soon()), &mut self.server).await.is_err()
        {
            self.server.abort();
            let _ = (&mut self.server).await;
        }
        self.stop_sender.send_replace(Stop::Drain);
        if !self.sender.is_finished() && tokio::time::timeout_at(deadline, &mut self.sender).await.is_err() {
            info!("What the destination has not taken yet stays in the journal.");
            self.stop_sender.send_replace(Stop::Finish);
            if tokio::time::timeout(attempt + Duration::from_secs(1), &mut self.sender).await.is_err() {
                self.sender.abort();
                let _ = (&mut self.sender).await;
            }
        }
        if let Some(api) = self.api.take() {
            api.abort();
            let _ = api.await;
        }
        // The worker ends by itself where it can't be told.
        let _ = self.jobs.send(Job::Stop).await;
        if let Some(worker) = self.worker.take() {
            let _ = tokio::task::spawn_blocking(move || worker.join()).await;
        }
    }
}

/// By when requests under way are answered at the latest, however short the time to stop is.
fn soon() -> tokio::time::Instant {
    tokio::time::Instant::now() + ANSWER_TIMEOUT
}

/// Serves Vector's protocol, and the health of it.
fn server(
    settings: &Settings,
    service: Service,
    listener: TcpListener,
    mut stopped: watch::Receiver<bool>,
) -> Result<Task<Result<()>>> {
    let mut builder = server_builder(settings)?
        .layer(MapResponseLayer::new(server::only_again))
        .layer(GlobalConcurrencyLimitLayer::new(settings.max_concurrent_requests));
    let max_request_bytes = settings.max_request_bytes;
    Ok(tokio::spawn(async move {
        let (health, health_service) = tonic_health::server::health_reporter();
        let service = service.server(max_request_bytes);
        health.set_serving::<wire::vector::vector_server::VectorServer<Service>>().await;
        let stop = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
            health.set_not_serving::<wire::vector::vector_server::VectorServer<Service>>().await;
        };
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        builder
            .add_service(health_service)
            .add_service(service)
            .serve_with_incoming_shutdown(incoming, stop)
            .await
            .map_err(|error| Failure::new(Exit::Unavailable, format!("cannot serve: {error}")))
    }))
}

/// A server before anything is served: its certificates are tried.
fn server_builder(settings: &Settings) -> Result<Server> {
    let mut builder = Server::builder()
        .timeout(REQUEST_TIMEOUT)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(16 << 20)
        .http2_keepalive_interval(Some(Duration::from_secs(30)));
    if let Some((crt, key)) = &settings.tls.identity {
        let mut tls = ServerTlsConfig::new().identity(Identity::from_pem(crt, key));
        if let Some(ca) = &settings.tls.ca {
            tls = tls.client_ca_root(Certificate::from_pem(ca));
        }
        builder = builder.tls_config(tls).map_err(|error| {
            Failure::new(Exit::Config, format!("the certificate can't be used: {error}"))
                .hint("Check `tls_crt_file`, `tls_key_file` and `tls_ca_file`: PEM is needed.")
        })?;
    }
    Ok(builder)
}

async fn bind(address: SocketAddr, key: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::new(Exit::Unavailable, format!("cannot listen on {address}: {error}"))
            .hint(format!("Stop what listens there, or choose another address for `{key}`."))
    })
}

fn no_journal(settings: &Settings, error: &JournalError) -> Failure {
    let folder: &PathBuf = &settings.state_dir;
    let folder = folder.display();
    let hint = match error {
        JournalError::InUse => "Each bridge needs a `state_dir` of its own.",
        JournalError::Format => {
            "Start the version that wrote it and let it deliver all, or choose another `state_dir`."
        }
        JournalError::Damaged(_) => "Move journal.redb away to begin anew; what waited in it is lost.",
        JournalError::Store(_) => "Check `state_dir`, its permissions, and the room on its disk.",
    };
    let exit = if matches!(error, JournalError::Store(_) | JournalError::Damaged(_)) {
        Exit::CantCreate
    } else {
        Exit::Unavailable
    };
    Failure::new(exit, format!("cannot use the journal in {folder}: {error}")).hint(hint)
}

/// What the bridge is told from outside.
enum Told {
    Stop,
    Reload,
}

/// The signals that tell it.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> Result<Signals> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::new(Exit::Unavailable, format!("cannot listen for signals: {error}")))
        };
        Ok(Signals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// Waits until it is told to stop.
    async fn stop(&mut self) {
        while !matches!(self.next().await, Told::Stop) {}
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.hang_up.recv() => Told::Reload,
        }
    }
}
