//! The component `abort_reason.component.wasm` under wasmtime.
//!
//! The component is given nothing but its records: no imports, so no files, clock, network or environment; a bound on
//! its memory; and a bound on the time of each call. A component that breaks one of these, or traps, makes the call
//! fail with [`SandboxError`]; its state is lost then, and the [`Sandbox`] is to be dropped. The host is never at risk.
//!
//! A [`Component`] is compiled once; every [`Sandbox`] made from it is a fresh instance. Calls take the time as an
//! argument, as the core does: milliseconds by a clock of the host's choice that does not go back.
//!
//! ```no_run
//! use abort_reason_host::sandbox::{Component, Event, Limits, Source};
//!
//! let component = Component::load("abort_reason.component.wasm".as_ref())?;
//! let mut sandbox = component.instantiate(r#"{"filter_names": ["PureMessage"]}"#, Limits::default())?;
//! let event = Event { source: Source::Auto, ticket: 1, data: br#"{"message": "a line"}"#.to_vec() };
//! let dispositions = sandbox.push(&[event], 0)?;
//! for output in sandbox.poll(100)?.outputs {
//!     println!("{}", String::from_utf8_lossy(&output.data));
//! }
//! # Ok::<(), abort_reason_host::sandbox::SandboxError>(())
//! ```

use std::path::Path;
use std::thread;
use std::time::Duration;

use wasmtime::component::Linker;
use wasmtime::{Cache, CacheConfig, Config, Engine, Store, StoreLimits, StoreLimitsBuilder, Trap};

pub use bindings::abort_reason::transform::types::{Batch, Disposition, Event, Output, Source};

/// The world of `wit/`, as types and calls.
mod bindings {
    #![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
    wasmtime::component::bindgen!({ path: "../wit", world: "transform" });
}

/// The grain of [`Limits::call_timeout`].
const TICK: Duration = Duration::from_millis(100);

/// What an instance may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory.
    pub memory_bytes: usize,
    /// Time for one call.
    pub call_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { memory_bytes: 512 << 20, call_timeout: Duration::from_secs(30) }
    }
}

/// Why a component can't be used, or a call failed.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The file can't be read.
    #[error("cannot read the component: {0}")]
    Unreadable(#[from] std::io::Error),
    /// The file is no component, or not one of this world.
    #[error("not a component of the world abort-reason:transform/transform@1: {0}")]
    Unfit(String),
    /// This machine can't run components at all.
    #[error("WebAssembly cannot run here: {0}")]
    Unavailable(String),
    /// The component refused its configuration, or a snapshot.
    #[error("{0}")]
    Refused(String),
    /// The component took too long.
    #[error("the component took longer than {0:?} for one call")]
    TimedOut(Duration),
    /// The component trapped.
    #[error("the component failed: {0}")]
    Trapped(String),
}

/// The result of a call.
pub type Result<T> = std::result::Result<T, SandboxError>;

/// A compiled component.
pub struct Component {
    engine: Engine,
    pre: bindings::TransformPre<StoreLimits>,
}

impl Component {
    /// Reads and compiles a component.
    pub fn load(path: &Path) -> Result<Component> {
        Component::new(&std::fs::read(path)?)
    }

    /// The same, with what was compiled kept in a folder for the next time, or where the user's caches are (on Unix
    /// `$XDG_CACHE_HOME/wasmtime`, `~/.cache/wasmtime`). The folder is trusted: what is found there is run. Where it can't be
    /// used, the component is compiled as without it.
    pub fn load_cached(path: &Path, folder: Option<&Path>) -> Result<Component> {
        let bytes = std::fs::read(path)?;
        let mut cache = CacheConfig::new();
        if let Some(folder) = folder {
            cache.with_directory(folder);
        }
        Component::compile(&bytes, Cache::new(cache).ok())
    }

    /// Compiles a component.
    pub fn new(bytes: &[u8]) -> Result<Component> {
        Component::compile(bytes, None)
    }

    fn compile(bytes: &[u8], cache: Option<Cache>) -> Result<Component> {
        let unavailable = |error: wasmtime::Error| SandboxError::Unavailable(root_cause(&error));
        let unfit = |error: wasmtime::Error| SandboxError::Unfit(root_cause(&error));
        if !is_webassembly(bytes) {
            return Err(SandboxError::Unfit("it is no WebAssembly file".into()));
        }
        let mut config = Config::new();
        config.epoch_interruption(true);
        config.cache(cache);
        let engine = Engine::new(&config).map_err(unavailable)?;
        let component = wasmtime::component::Component::from_binary(&engine, bytes).map_err(unfit)?;
        // An empty linker: a component that wants anything from outside does not fit.
        let pre = Linker::new(&engine).instantiate_pre(&component).map_err(unfit)?;
        let pre = bindings::TransformPre::new(pre).map_err(unfit)?;
        tick(&engine)?;
        Ok(Component { engine, pre })
    }

    /// A fresh instance with a configuration.
    pub fn instantiate(&self, config_json: &str, limits: Limits) -> Result<Sandbox> {
        // One memory, and room for the few instances and tables that make up a component.
        let bounds = StoreLimitsBuilder::new()
            .memory_size(limits.memory_bytes)
            .memories(1)
            .instances(16)
            .tables(16)
            .table_elements(100_000)
            .build();
        let mut store = Store::new(&self.engine, bounds);
        store.limiter(|bounds| bounds);
        // What a call gives back is copied: no more than the component could have.
        store.set_hostcall_fuel(limits.memory_bytes);
        let ticks = limits.call_timeout.as_millis().div_ceil(TICK.as_millis()) as u64;
        // The tick that is under way does not count.
        let mut calls = Calls { store, ticks: ticks + 1, call_timeout: limits.call_timeout };
        let world = calls.run(|store| self.pre.instantiate(store))?;
        let mut sandbox = Sandbox { calls, world };
        sandbox.calls.run(|store| sandbox.world.call_init(store, config_json))?.map_err(SandboxError::Refused)?;
        Ok(sandbox)
    }
}

/// An instance of the component; see `wit/world.wit` for what the calls mean.
pub struct Sandbox {
    calls: Calls,
    world: bindings::Transform,
}

impl Sandbox {
    /// Hands in events in the order in which they came; gives one disposition for each.
    pub fn push(&mut self, events: &[Event], now_ms: u64) -> Result<Vec<Disposition>> {
        let dispositions = self.calls.run(|store| self.world.call_push(store, events, now_ms))?;
        one_for_each(dispositions, events.len())
    }

    /// Hands in many records at once, each a line of `lines`, with tickets from `first_ticket` on; gives one disposition for
    /// each.
    pub fn push_lines(&mut self, lines: &[u8], first_ticket: u64, now_ms: u64) -> Result<Vec<Disposition>> {
        let open = usize::from(lines.last().is_some_and(|last| *last != b'\n'));
        let dispositions = self.calls.run(|store| self.world.call_push_lines(store, lines, first_ticket, now_ms))?;
        one_for_each(dispositions, memchr::memchr_iter(b'\n', lines).count() + open)
    }

    /// Lets time pass without an event.
    pub fn advance(&mut self, now_ms: u64) -> Result<()> {
        self.calls.run(|store| self.world.call_advance(store, now_ms))
    }

    /// Takes what waits, at most `max` outputs.
    pub fn poll(&mut self, max: u32) -> Result<Batch> {
        self.calls.run(|store| self.world.call_poll(store, max))
    }

    /// The time at which [`Sandbox::advance`] should be called at the latest.
    pub fn poll_timeout(&mut self) -> Result<Option<u64>> {
        self.calls.run(|store| self.world.call_poll_timeout(store))
    }

    /// No more input will come: issues all that is held.
    pub fn finish(&mut self) -> Result<()> {
        self.calls.run(|store| self.world.call_finish(store))
    }

    /// The counters, as a JSON object.
    pub fn stats(&mut self) -> Result<String> {
        self.calls.run(|store| self.world.call_stats(store))
    }

    /// The whole state.
    pub fn snapshot(&mut self) -> Result<Vec<u8>> {
        self.calls.run(|store| self.world.call_snapshot(store))
    }

    /// Goes on from a snapshot, before the first event.
    pub fn restore(&mut self, snapshot: &[u8]) -> Result<()> {
        self.calls.run(|store| self.world.call_restore(store, snapshot))?.map_err(SandboxError::Refused)
    }
}

/// The instance's store, with the clock of its calls.
struct Calls {
    store: Store<StoreLimits>,
    ticks: u64,
    call_timeout: Duration,
}

impl Calls {
    /// Makes one call, in its time.
    fn run<T>(&mut self, call: impl FnOnce(&mut Store<StoreLimits>) -> wasmtime::Result<T>) -> Result<T> {
        self.store.set_epoch_deadline(self.ticks);
        call(&mut self.store).map_err(|error| match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => SandboxError::TimedOut(self.call_timeout),
            _ => SandboxError::Trapped(root_cause(&error)),
        })
    }
}

fn one_for_each(dispositions: Vec<Disposition>, events: usize) -> Result<Vec<Disposition>> {
    if dispositions.len() == events {
        Ok(dispositions)
    } else {
        Err(SandboxError::Trapped(format!("{} dispositions for {events} events", dispositions.len())))
    }
}

/// Moves the engine's epoch on, for as long as the engine lives.
fn tick(engine: &Engine) -> Result<()> {
    let engine = engine.weak();
    let ticking = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TICK);
        }
    };
    thread::Builder::new().name("sandbox clock".into()).spawn(ticking)?;
    Ok(())
}

/// Whether a file begins as modules and components do.
pub(crate) fn is_webassembly(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm")
}

/// What an error is about in the end, in one line: the frames above it speak of addresses in the module.
fn root_cause(error: &wasmtime::Error) -> String {
    let cause = error.root_cause().to_string();
    cause.lines().next().unwrap_or_default().to_owned()
}
