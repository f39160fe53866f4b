//! Components of the project's world that misbehave, written by hand for the tests.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Bodies of the world's functions, in WebAssembly text. An event in memory: ticket at 8, data at 16, its length at 20;
/// 24 bytes. Lines stand there as one, without the last line end.
pub struct Bodies {
    /// Gives 0 for success.
    pub init: &'static str,
    /// Runs before the answer is made.
    pub push: &'static str,
    /// Runs when time passes.
    pub advance: &'static str,
    /// Runs when its state is asked for.
    pub snapshot: &'static str,
    /// The disposition of every event: 1 forward, 2 keep.
    pub disposition: u8,
}

impl Default for Bodies {
    /// Forwards everything.
    fn default() -> Bodies {
        Bodies { init: "i32.const 0", push: "", advance: "", snapshot: "", disposition: 1 }
    }
}

impl Bodies {
    /// The finished component.
    pub fn component(&self) -> Vec<u8> {
        let mut module = wat::parse_str(self.module()).unwrap();
        let mut resolve = Resolve::default();
        let wit = concat!(env!("CARGO_MANIFEST_DIR"), "/../wit/world.wit");
        let package = resolve.push_source("world.wit", &std::fs::read_to_string(wit).unwrap()).unwrap();
        let world = resolve.select_world(&[package], Some("transform")).unwrap();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
        ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
    }

    /// What returns more than one value returns the address of a record of zeros: success, nothing, an empty list.
    fn module(&self) -> String {
        let Bodies { init, push, advance, snapshot, disposition } = self;
        format!(
            r#"(module
  (memory (export "memory") 64)
  (global $top (mut i32) (i32.const 4096))
  (func $alloc (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
    (global.set $top (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
    (global.get $top)
    (global.set $top (i32.add (global.get $top) (local.get $size))))
  (func (export "init") (param i32 i32) (result i32)
    (i32.store8 (i32.const 16) ({init})) (i32.const 16))
  (func (export "push") (param $events i32) (param $count i32) (param i64) (result i32)
    (local $at i32)
    {push}
    (i32.store (i32.const 64) (call $alloc (i32.const 0) (i32.const 0) (i32.const 1) (local.get $count)))
    (i32.store (i32.const 68) (local.get $count))
    (memory.fill (i32.load (i32.const 64)) (i32.const {disposition}) (local.get $count))
    (i32.const 64))
  (func (export "cabi_post_push") (param i32) (global.set $top (i32.const 4096)))
  (func (export "push-lines") (param $lines i32) (param $length i32) (param i64 i64) (result i32)
    (local $events i32) (local $count i32) (local $at i32)
    (local.set $events (i32.const 256))
    (i32.store offset=20 (local.get $events) (i32.sub (local.get $length) (i32.const 1)))
    {push}
    (local.set $at (local.get $length))
    (loop $line
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (local.set $count (i32.add (local.get $count)
        (i32.eq (i32.load8_u (i32.add (local.get $lines) (local.get $at))) (i32.const 10))))
      (br_if $line (local.get $at)))
    (i32.store (i32.const 64) (call $alloc (i32.const 0) (i32.const 0) (i32.const 1) (local.get $count)))
    (i32.store (i32.const 68) (local.get $count))
    (memory.fill (i32.load (i32.const 64)) (i32.const {disposition}) (local.get $count))
    (i32.const 64))
  (func (export "cabi_post_push-lines") (param i32) (global.set $top (i32.const 4096)))
  (func (export "advance") (param i64) {advance})
  (func (export "poll") (param i32) (result i32) (i32.const 128))
  (func (export "poll-timeout") (result i32) (i32.const 128))
  (func (export "finish"))
  (func (export "stats") (result i32) (i32.const 128))
  (func (export "snapshot") (result i32) {snapshot} (i32.const 128))
  (func (export "restore") (param i32 i32) (result i32) (i32.const 128)))"#
        )
    }
}

/// Traps where the first event is `{"poison":1}`, by its length.
pub const TRAPS_AT_POISON: &str = r"
    (if (i32.eq (i32.load offset=20 (local.get $events)) (i32.const 12)) (then unreachable))";

/// Never comes back.
pub const HANGS: &str = "(loop $for_ever (br $for_ever))";

/// Takes memory until it gets no more, and gives up then.
pub const SWELLS: &str = "
    (loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
    unreachable";
