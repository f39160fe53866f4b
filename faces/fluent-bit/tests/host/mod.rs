//! What Fluent Bit's `wasm` filter does with a module, call by call, on a small interpreter.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "reads files; those rules are the core's")]

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use system::{Folder, System};
use wasmi::{Config, Engine, Global, Instance, Linker, Memory, Module, Store, TypedFunc};

pub(crate) mod stack;
pub(crate) mod system;

/// Bytes of the heap of Fluent Bit's in the shipped configurations, in which a record comes into the module.
pub(crate) const HEAP: u32 = 8 << 20;

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// This goes on; whether it is the very pointer that was passed.
    Record(String, bool),
    /// The module dropped it.
    Dropped,
    /// The module trapped: Fluent Bit loses the record.
    Lost(String),
}

type Call = TypedFunc<(u32, u32, u32, u32, u32, u32), u32>;

/// An instance of the module, for as long as Fluent Bit would keep it.
pub(crate) struct Filter {
    store: Store<System>,
    memory: Memory,
    call: Call,
    deepest: Option<Global>,
    /// Bytes of the host's heap: what does not fit arrives as pointer 0.
    heap: u32,
    /// Where it lies: behind all memory that the module began with.
    heap_at: u32,
    /// A call is broken off after so many instructions.
    ends_after: Option<u64>,
}

/// The tag of the ticks.
pub(crate) const TICK: &str = "abort_reason.tick";

/// The finished module, laid beside the test programs by `cargo xtask test`.
pub(crate) fn module_path() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.parent().and_then(Path::parent).expect("a folder above `deps`");
    let path = folder.join("abort_reason_fluent_bit.wasm");
    assert!(path.exists(), "{} is missing: run `cargo xtask test`, which builds it", path.display());
    path
}

impl Filter {
    /// A fresh instance.
    pub(crate) fn new(heap: u32) -> Filter {
        let module = std::fs::read(module_path()).expect("the module");
        Filter::of(&module, heap)
    }

    /// A fresh instance of a module.
    pub(crate) fn of(module: &[u8], heap: u32) -> Filter {
        Filter::with(module, heap, false)
    }

    /// A fresh instance that finds a folder as another has left it, or shares it with one.
    pub(crate) fn in_folder(folder: &Rc<RefCell<Folder>>) -> Filter {
        let module = std::fs::read(module_path()).expect("the module");
        Filter::start(&module, HEAP, false, Rc::clone(folder))
    }

    /// The same, and its instructions are counted.
    pub(crate) fn counting_in_folder(folder: &Rc<RefCell<Folder>>) -> Filter {
        let module = std::fs::read(module_path()).expect("the module");
        Filter::start(&module, HEAP, true, Rc::clone(folder))
    }

    /// A fresh instance of a module; where instructions are counted, [`Filter::instructions`] tells their number.
    pub(crate) fn with(module: &[u8], heap: u32, counts: bool) -> Filter {
        Filter::start(module, heap, counts, Rc::default())
    }

    fn start(module: &[u8], heap: u32, counts: bool, folder: Rc<RefCell<Folder>>) -> Filter {
        // What Fluent Bit's interpreter has: none of the newer proposals.
        let mut config = Config::default();
        config.wasm_tail_call(false).wasm_multi_memory(false).consume_fuel(counts);
        let engine = Engine::new(&config);
        let module = Module::new(&engine, module).expect("a module");
        let foreign = module.imports().find(|import| import.module() != "wasi_snapshot_preview1");
        assert!(foreign.is_none(), "the module may import system calls, and nothing else");
        let mut functions: Vec<_> =
            module.exports().filter(|export| export.ty().func().is_some()).map(|export| export.name()).collect();
        functions.sort_unstable();
        assert_eq!(functions, ["_initialize", "abort_reason"]);
        let mut store = Store::new(&engine, System::new(folder));
        if counts {
            store.set_fuel(u64::MAX).expect("counting is on");
        }
        let mut linker = Linker::new(&engine);
        system::define(&mut linker);
        let instance = linker.instantiate_and_start(&mut store, &module).expect("an instance");
        let memory = instance.get_memory(&store, "memory").expect("a memory");
        let call = typed(instance, &store, "abort_reason");
        let deepest = instance.get_global(&store, stack::DEEPEST);
        let pages = memory.grow(&mut store, heap.div_ceil(1 << 16).into()).expect("memory");
        Filter { store, memory, call, deepest, heap, heap_at: (pages << 16) as u32, ends_after: None }
    }

    /// One record through the filter.
    pub(crate) fn record(&mut self, tag: &str, time_ms: u64, record: &[u8]) -> Outcome {
        // What is behind a NUL, Fluent Bit has cut off before.
        let record = record.split(|byte| *byte == 0).next().unwrap_or_default();
        let tag_at = self.copy_in(tag.as_bytes(), 0);
        let record_at = self.copy_in(record, 256);
        self.store.data_mut().now_ms = time_ms;
        let (sec, nsec) = ((time_ms / 1_000) as u32, (time_ms % 1_000) as u32 * 1_000_000);
        let arguments = (tag_at, tag.len() as u32, sec, nsec, record_at, record.len() as u32);
        let rest = self.ends_after.map(|instructions| {
            let rest = self.store.get_fuel().expect("counting is on");
            self.store.set_fuel(instructions).expect("counting is on");
            rest
        });
        let answer = self.call.call(&mut self.store, arguments);
        rest.into_iter().for_each(|rest| self.store.set_fuel(rest).expect("counting is on"));
        match answer {
            Ok(at) => match self.string(at) {
                Some(text) if text.is_empty() => Outcome::Dropped,
                Some(text) => Outcome::Record(text, at == record_at && at != 0),
                None => Outcome::Lost(format!("not a string of the module: {at}")),
            },
            Err(error) => Outcome::Lost(error.to_string()),
        }
    }

    /// One record through the filter, in a call that ends after so many instructions; of a filter that counts them.
    pub(crate) fn failing(&mut self, instructions: u64, tag: &str, time_ms: u64, record: &[u8]) -> Outcome {
        self.ends_after = Some(instructions);
        let outcome = self.record(tag, time_ms, record);
        self.ends_after = None;
        outcome
    }

    /// A tick.
    pub(crate) fn tick(&mut self, time_ms: u64) -> Outcome {
        self.record(TICK, time_ms, br#"{"tick":true}"#)
    }

    /// Instructions so far, as the interpreter counts them.
    pub(crate) fn instructions(&self) -> u64 {
        u64::MAX - self.store.get_fuel().expect("counting is on")
    }

    /// Bytes of stack at the deepest call so far, of a module that is [`stack::measured`].
    pub(crate) fn deepest(&self) -> u32 {
        let global = self.deepest.expect("a module that measures itself");
        global.get(&self.store).i32().expect("a number") as u32
    }

    /// How many files the module has open.
    pub(crate) fn open_files(&self) -> usize {
        self.store.data().open_files()
    }

    /// Pages of memory.
    pub(crate) fn pages(&self) -> u64 {
        self.memory.size(&self.store)
    }

    fn copy_in(&mut self, text: &[u8], place: u32) -> u32 {
        if place as usize + text.len() + 1 > self.heap as usize {
            return 0;
        }
        // One record at a time: the tag has its place at the front.
        let at = self.heap_at + place;
        let bytes = [text, b"\0"].concat();
        self.memory.write(&mut self.store, at as usize, &bytes).expect("the host's heap");
        at
    }

    fn string(&self, at: u32) -> Option<String> {
        let memory = self.memory.data(&self.store).get(at as usize..)?;
        let end = memory.iter().position(|byte| *byte == 0)?;
        (at != 0).then(|| String::from_utf8_lossy(&memory[..end]).into_owned())
    }
}

fn typed(instance: Instance, store: &Store<System>, name: &str) -> Call {
    instance.get_typed_func(store, name).expect(name)
}

/// The folders of the corpus.
pub(crate) fn scenarios() -> Vec<PathBuf> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus");
    let mut folders: Vec<_> = std::fs::read_dir(corpus)
        .expect("the corpus")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.join("message_log").exists())
        .collect();
    folders.sort();
    folders
}

/// The lines of a file of a scenario, as the records of a `tail` input.
pub(crate) fn records(folder: &Path, file: &str) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(folder.join(file)).expect(file);
    let text = String::from_utf8_lossy(&bytes);
    text.lines().map(|line| serde_json::json!({ "log": line }).to_string().into_bytes()).collect()
}
