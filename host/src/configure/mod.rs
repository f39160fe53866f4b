//! `abort-reason configure`: sets a module up with a configuration, once, and stores what came of it as a new module.
//!
//! Fluent Bit gives a module no options and a stack too small to compile a regular expression. So the module is run
//! here, told its configuration by a call that no log shipper makes, and its memory is stored in its data segment: the
//! new module begins with its tables and regular expressions ready. A module that was made so can be configured again.
//!
//! Fluent Bit hands records to the module in a heap of its own, of `wasm_heap_size` bytes.

mod fitting;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wasmtime::{
    Config, Engine, Instance, Linker, Memory, Module, Store, StoreLimits, StoreLimitsBuilder, TypedFunc, Val,
};
use wasmtime_wizer::{InstanceState, SnapshotVal, ValType, Wizer};

use crate::ahead;
use crate::cli::Configure;
use crate::failure::{Exit, Failure, Result};
use crate::output::Output;
use crate::sandbox::is_webassembly;
use crate::settings;

/// The module's name where it lies beside this program.
const MODULE: &str = "abort_reason_fluent_bit.wasm";

/// Nanoseconds that no clock has: they tell the module that this is no record.
const CONTROL: u32 = u32::MAX;

/// The seconds of such a call: one asks for a place to write to, the other has what was written there read.
const ROOM: u32 = 0;
const READ: u32 = 1;

/// The export of a function with this name: the name with its length, and the kind of what is exported.
const INITIALIZE: &[u8] = b"\x0b_initialize\0";

/// More than any configuration needs; a module that runs longer hangs.
const FUEL: u64 = 20_000_000_000;
const MEMORY_BYTES: usize = 512 << 20;

/// Runs the subcommand.
pub fn run(options: &Configure) -> Result<()> {
    if let Some(path) = &options.show {
        let (mut instance, _) = Running::start(&read(path)?, path, false)?;
        let text = instance.control("show", "{}")?.map_err(|problem| unfit(path, &problem))?;
        let shown = if text.is_empty() { "(none: this module is not set up yet)" } else { &text };
        return writeln!(io::stdout().lock(), "{shown}").map_err(|error| Failure::writing("standard output", &error));
    }
    let text = match &options.config {
        Some(path) => settings::read(path)?.to_string(),
        None => "{}".to_owned(),
    };
    let path = match &options.module {
        Some(path) => path.clone(),
        None => beside()?,
    };
    // What can't be written is known before a minute of compiling.
    let mut output = Output::open(options.output.as_deref())?;
    let from = options.config.as_deref().map_or_else(|| "the options".into(), settings::name);
    let mut module = bake(&read(&path)?, &path, &text, &from)?;
    if options.aot {
        module = ahead::compile(&module, options)?;
    }
    output.write_all(&module).map_err(|error| output.failure(&error))?;
    output.finish()
}

/// A module that is set up with a configuration, which comes from a file.
fn bake(module: &[u8], path: &Path, config: &str, from: &str) -> Result<Vec<u8>> {
    let (mut instance, context) = Running::start(module, path, true)?;
    if let Err(problem) = instance.control("configure", config)? {
        return Err(settings::invalid(from, &problem));
    }
    let Some((wizer, instrumented)) = context else { return Err(unfit(path, "it can't be stored")) };
    let (context, _) = wizer.instrument(&instrumented).map_err(|error| unfit(path, &error.to_string()))?;
    let stored = pin!(wizer.snapshot(&context, &mut instance));
    // Nothing is waited for: the memory is there.
    match stored.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(stored) => stored
            .map_err(|error| error.to_string())
            .and_then(|stored| fitting::fit(&stored).map_err(|error| error.to_string()))
            .map_err(|problem| unfit(path, &problem)),
        Poll::Pending => Err(unfit(path, "its memory can't be read")),
    }
}

/// What stores a module later: the tool, and the module as the tool has prepared it.
type Prepared = (Wizer, Vec<u8>);

/// A module at work.
struct Running {
    path: PathBuf,
    store: Store<StoreLimits>,
    instance: Instance,
    memory: Memory,
}

impl Running {
    /// Starts a module; to store it later, the copy that is prepared for it.
    fn start(module: &[u8], path: &Path, to_store: bool) -> Result<(Running, Option<Prepared>)> {
        let problem = |error: wasmtime::Error| unfit(path, &error.root_cause().to_string());
        let mut wizer = Wizer::new();
        wizer.keep_init_func(true);
        let mut module = module.to_vec();
        let mut before = "initialize";
        // A module that is configured again has the name already; from there it would be taken away, as done with.
        if let Some(at) = module.windows(INITIALIZE.len()).position(|bytes| bytes == INITIALIZE) {
            module[at + 1] = b'-';
            before = "-initialize";
        }
        // By this name hosts know that the module is no program.
        wizer.func_rename("_initialize", before);
        let prepared = if to_store { wizer.instrument(&module).map_err(problem)?.1 } else { module.clone() };
        let engine = Engine::new(Config::new().consume_fuel(true)).map_err(problem)?;
        let compiled = Module::new(&engine, &prepared).map_err(problem)?;
        let mut store = Store::new(&engine, StoreLimitsBuilder::new().memory_size(MEMORY_BYTES).build());
        store.limiter(|limits| limits);
        store.set_fuel(FUEL).map_err(problem)?;
        // It is given nothing here: no files, clock or network. What it imports for its journal traps.
        let mut linker = Linker::new(&engine);
        linker.define_unknown_imports_as_traps(&compiled).map_err(problem)?;
        let instance = linker.instantiate(&mut store, &compiled).map_err(problem)?;
        let memory = instance.get_memory(&mut store, "memory").ok_or_else(|| unfit(path, "it has no memory"))?;
        let running = Running { path: path.to_owned(), store, instance, memory };
        Ok((running, to_store.then_some((wizer, module))))
    }

    /// Makes a call that no log shipper makes: the answer, or what the module says is wrong.
    fn control(&mut self, verb: &str, text: &str) -> Result<std::result::Result<String, String>> {
        let path = self.path.clone();
        let problem = |error: wasmtime::Error| unfit(&path, &error.root_cause().to_string());
        let call: TypedFunc<(u32, u32, u32, u32, u32, u32), u32> =
            self.instance.get_typed_func(&mut self.store, "abort_reason").map_err(problem)?;
        let told = format!("{verb}\n{text}");
        let length = told.len() as u32;
        let at = call.call(&mut self.store, (0, 0, ROOM, CONTROL, 0, length)).map_err(problem)? as usize;
        if at == 0 || self.memory.write(&mut self.store, at, told.as_bytes()).is_err() {
            return Err(unfit(&path, "it has no memory for a configuration"));
        }
        let at = call.call(&mut self.store, (0, 0, READ, CONTROL, 0, length)).map_err(problem)? as usize;
        let memory = self.memory.data(&self.store);
        let answer = memory.get(at..).unwrap_or_default().split(|byte| *byte == 0).next().unwrap_or_default();
        let answer = String::from_utf8_lossy(answer).into_owned();
        match (answer.strip_prefix('+'), answer.strip_prefix('-')) {
            (Some(text), _) => Ok(Ok(text.to_owned())),
            (_, Some(text)) => Ok(Err(text.to_owned())),
            _ => Err(unfit(&path, "it does not know the call")),
        }
    }
}

impl InstanceState for Running {
    async fn global_get(&mut self, name: &str, _: ValType) -> SnapshotVal {
        let value = self.instance.get_global(&mut self.store, name).map(|global| global.get(&mut self.store));
        match value {
            Some(Val::I64(value)) => SnapshotVal::I64(value),
            Some(Val::F32(value)) => SnapshotVal::F32(value),
            Some(Val::F64(value)) => SnapshotVal::F64(value),
            Some(Val::I32(value)) => SnapshotVal::I32(value),
            // The module has none of another type: it would not have been accepted.
            _ => SnapshotVal::I32(0),
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        let memory = self.instance.get_memory(&mut self.store, name).unwrap_or(self.memory);
        contents(memory.data(&self.store));
    }
}

fn beside() -> Result<PathBuf> {
    crate::component::beside(MODULE).ok_or_else(|| {
        Failure::new(Exit::Unavailable, format!("{MODULE} is not beside this program"))
            .hint("Give the module to begin with by --module.")
    })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let module = std::fs::read(path)
        .map_err(|error| Failure::new(Exit::NoInput, format!("cannot read the module {}: {error}", path.display())))?;
    if ahead::is_compiled(&module) {
        let problem = format!("{} is compiled already: its configuration can't be read or changed", path.display());
        return Err(Failure::new(Exit::Data, problem).hint("Give the module that it was made of."));
    }
    if !is_webassembly(&module) {
        return Err(unfit(path, "it is no WebAssembly file").hint("Name abort_reason_fluent_bit.wasm."));
    }
    Ok(module)
}

fn unfit(path: &Path, problem: &str) -> Failure {
    Failure::new(Exit::Data, format!("{} is not abort-reason's module for Fluent Bit: {problem}", path.display()))
}
