//! The module's exports, and all of its `unsafe` code: pointers of Fluent Bit's become slices here, answers pointers.
//!
//! The host is single-threaded and calls one function at a time; it copies the answer before it calls anything else. It
//! copies a record in by `malloc`, calls `abort_reason`, and then calls `free`, also where the call trapped: that is how
//! a failure inside is noticed, and the record that came in then is kept for the next slot.
//!
//! A module that is compiled ahead of time exports neither of the two: the host copies records into a heap of its own
//! (`wasm_heap_size`), which saves four of five calls. Then the next call notices a failure.

#![allow(unsafe_code, reason = "a C interface")]
#![cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "only the module exports"))]

use std::alloc::Layout;
use std::cell::UnsafeCell;
use std::fmt::Write;

use crate::filter::{Answer, Filter};
use crate::settings::Settings;

/// Bytes for a tag and for a record that are always there, so that most calls allocate nothing.
const TAG_ROOM: usize = 1 << 10;
const RECORD_ROOM: usize = 64 << 10;
/// Bytes for records that a failure would have lost.
const RESCUE_ROOM: usize = 256 << 10;
/// The longest record that is taken in: the rest of the memory is for the state, whose own bounds are below.
const LONGEST: usize = 64 << 20;
/// Before memory from the allocator: its size.
const HEADER: usize = 16;
/// No clock has such nanoseconds: a call with them is one of `abort-reason configure`.
const CONTROL: u32 = u32::MAX;

/// All state of the module.
struct Module {
    filter: Option<Filter>,
    /// The last answer, with its NUL.
    answer: Vec<u8>,
    /// The record of the call that is under way; null between calls.
    under_way: *const u8,
    length: usize,
    state: State,
    failure: Text,
    /// The tag of the ticks, for after a failure.
    tick: Text,
    rescued: [u8; RESCUE_ROOM],
    rescued_from: usize,
    rescued_to: usize,
    tag_in_use: bool,
    record_in_use: bool,
    /// Bytes of the host's heap were told to the filter.
    heap_told: bool,
    tag: [u8; TAG_ROOM],
    record: [u8; RECORD_ROOM],
}

/// How well the filter is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Well,
    /// A call failed: all records pass from now on. What was held is still to be asked for.
    Failed,
    /// What was held is being asked for, or was.
    Asked,
    /// That failed, too.
    Lost,
}

/// A text in memory of its own: it is written when the allocator can't be trusted.
struct Text {
    bytes: [u8; 512],
    length: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = self.bytes.len() - self.length;
        let text = &text[..text.floor_char_boundary(room.min(text.len()))];
        self.bytes[self.length..self.length + text.len()].copy_from_slice(text.as_bytes());
        self.length += text.len();
        Ok(())
    }
}

struct Shared(UnsafeCell<Module>);

// SAFETY: a WebAssembly instance without shared memory has one thread; in native tests nothing touches it.
unsafe impl Sync for Shared {}

static MODULE: Shared = Shared(UnsafeCell::new(Module {
    filter: None,
    answer: Vec::new(),
    under_way: std::ptr::null(),
    length: 0,
    state: State::Well,
    failure: Text { bytes: [0; 512], length: 0 },
    tick: Text { bytes: [0; 512], length: 0 },
    rescued: [0; RESCUE_ROOM],
    rescued_from: 0,
    rescued_to: 0,
    tag_in_use: false,
    record_in_use: false,
    heap_told: false,
    tag: [0; TAG_ROOM],
    record: [0; RECORD_ROOM],
}));

/// The answer that drops a record.
static NOTHING: u8 = 0;

/// Gives the host memory; null if there is none.
#[cfg_attr(target_family = "wasm", unsafe(export_name = "malloc"))]
extern "C" fn malloc(size: usize) -> *mut u8 {
    // SAFETY: one thread, and no other reference lives: calls don't overlap (see above).
    let module = unsafe { &mut *MODULE.0.get() };
    if size <= TAG_ROOM && !module.tag_in_use {
        module.tag_in_use = true;
        return module.tag.as_mut_ptr();
    }
    if size <= RECORD_ROOM && !module.record_in_use {
        module.record_in_use = true;
        return module.record.as_mut_ptr();
    }
    allocate(size)
}

/// Memory from the allocator, which knows no sizes of its own.
#[inline(never)]
fn allocate(size: usize) -> *mut u8 {
    if size > LONGEST {
        return std::ptr::null_mut();
    }
    let Ok(layout) = Layout::from_size_align(size + HEADER, HEADER) else { return std::ptr::null_mut() };
    // SAFETY: the layout has a size; the header is within it and aligned.
    unsafe {
        let block = std::alloc::alloc(layout);
        if block.is_null() {
            return block;
        }
        block.cast::<[u8; size_of::<usize>()]>().write(size.to_ne_bytes());
        block.add(HEADER)
    }
}

/// Takes memory back.
#[cfg_attr(target_family = "wasm", unsafe(export_name = "free"))]
extern "C" fn free(pointer: *mut u8) {
    // SAFETY: as in `malloc`.
    let module = unsafe { &mut *MODULE.0.get() };
    if !module.under_way.is_null() && std::ptr::eq(pointer, module.under_way) {
        module.rescue();
    }
    if std::ptr::eq(pointer, module.tag.as_ptr()) {
        module.tag_in_use = false;
    } else if std::ptr::eq(pointer, module.record.as_ptr()) {
        module.record_in_use = false;
    } else if !pointer.is_null() && module.state == State::Well {
        // After a failure the allocator may be broken: what little is left to take back stays.
        give_back(pointer);
    }
}

/// The counterpart of `allocate`.
#[inline(never)]
fn give_back(pointer: *mut u8) {
    // SAFETY: the host frees what `malloc` gave it, once; there the header and the layout were made.
    unsafe {
        let block = pointer.sub(HEADER);
        let size = usize::from_ne_bytes(block.cast::<[u8; size_of::<usize>()]>().read());
        if let Ok(layout) = Layout::from_size_align(size + HEADER, HEADER) {
            std::alloc::dealloc(block, layout);
        }
    }
}

/// Tells hosts that a module which uses system calls is no program, under the name `_initialize` that `abort-reason
/// configure` gives it; there is nothing to do.
#[cfg_attr(target_family = "wasm", unsafe(export_name = "initialize"))]
extern "C" fn initialize() {}

/// Fluent Bit's call for a record: gives the pointer of what goes out.
#[cfg_attr(target_family = "wasm", unsafe(export_name = "abort_reason"))]
extern "C" fn abort_reason(
    tag: *const u8,
    tag_length: usize,
    sec: u32,
    nsec: u32,
    record: *const u8,
    record_length: usize,
) -> *const u8 {
    // SAFETY: as in `malloc`.
    let module = unsafe { &mut *MODULE.0.get() };
    let text: &[u8] = if tag.is_null() {
        b""
    } else {
        // SAFETY: the host passes so many bytes, and changes none during the call.
        unsafe { std::slice::from_raw_parts(tag, tag_length) }
    };
    if nsec == CONTROL {
        // SAFETY: as above.
        let told = if record.is_null() { &[] } else { unsafe { std::slice::from_raw_parts(record, record_length) } };
        return module.control(text, told);
    }
    if module.state != State::Well || !module.under_way.is_null() {
        return module.after_failure(text, record);
    }
    // SAFETY: as above.
    let bytes = (!record.is_null()).then(|| unsafe { std::slice::from_raw_parts(record, record_length) });
    module.under_way = bytes.map_or(&raw const NOTHING, <[u8]>::as_ptr);
    module.length = bytes.map_or(0, <[u8]>::len);
    if let Some(bytes) = bytes
        && !module.tag_in_use
        && !module.record_in_use
    {
        module.copy(bytes);
    }
    let Some(filter) = &mut module.filter else {
        module.under_way = std::ptr::null();
        return given(record);
    };
    let answer = match bytes {
        Some(bytes) => filter.call(text, sec, nsec, bytes),
        None => filter.not_passed(text, sec, nsec, record_length),
    };
    module.under_way = std::ptr::null();
    match answer {
        Answer::Given => record,
        Answer::Nothing => &raw const NOTHING,
        Answer::Record(answer) => module.answer_with(answer),
    }
}

/// Bytes from a place in the host's heap to its end, which is that of all memory before the first call.
#[cfg(target_family = "wasm")]
fn heap_behind(pointer: *const u8) -> usize {
    (core::arch::wasm32::memory_size(0) << 16).saturating_sub(pointer as usize)
}

#[cfg(not(target_family = "wasm"))]
fn heap_behind(_: *const u8) -> usize {
    usize::MAX
}

/// The record that came in; what drops it where there is none to give back.
fn given(record: *const u8) -> *const u8 {
    if record.is_null() { &raw const NOTHING } else { record }
}

impl Module {
    /// The pointer of a record with the NUL that ends it: JSON has none of its own.
    #[inline(never)]
    fn answer_with(&mut self, record: Vec<u8>) -> *const u8 {
        debug_assert!(!record.contains(&0), "it would not arrive whole");
        self.answer = record;
        self.answer.push(0);
        self.answer.as_ptr()
    }

    /// A call of `abort-reason configure`: takes a configuration, or shows it.
    #[inline(never)]
    fn control(&mut self, verb: &[u8], text: &[u8]) -> *const u8 {
        let answer = match verb {
            b"configure" => self.configure(&String::from_utf8_lossy(text)),
            b"show" => Ok(self.filter.as_ref().map(|filter| filter.configuration().to_owned()).unwrap_or_default()),
            _ => Err("unknown".to_owned()),
        };
        let answer = match answer {
            Ok(text) => format!("+{text}"),
            Err(text) => format!("-{text}"),
        };
        self.answer_with(answer.into_bytes())
    }

    fn configure(&mut self, text: &str) -> Result<String, String> {
        let settings = Settings::from_json(text)?;
        std::panic::set_hook(Box::new(|told| {
            // SAFETY: the program ends right after; nothing else is read or written any more.
            let module = unsafe { &mut *MODULE.0.get() };
            let _ = write!(module.failure, "{told}");
        }));
        let filter = Filter::new(settings);
        self.tick.length = 0;
        let _ = self.tick.write_str(filter.tick_tag());
        self.filter = Some(filter);
        Ok(String::new())
    }

    /// Keeps what stands in the host's heap for the case that this call fails: the next record will stand there. A longer
    /// one stands where it would be rescued to; what is too long for that is lost then, as it always was.
    #[inline]
    fn copy(&mut self, record: &[u8]) {
        if let Some(place) = self.record.get_mut(..record.len()) {
            place.copy_from_slice(record);
            self.under_way = self.record.as_ptr();
        } else if let Some(place) = self.rescued.get_mut(..record.len()) {
            place.copy_from_slice(record);
            self.under_way = self.rescued.as_ptr();
        } else {
            self.length = 0;
        }
        if !self.heap_told {
            self.heap_told = true;
            let bytes = heap_behind(record.as_ptr());
            self.filter.iter_mut().for_each(|filter| filter.has_heap(bytes));
        }
    }

    /// Keeps the record of a call that failed.
    #[inline(never)]
    fn rescue(&mut self) {
        let record = self.under_way;
        self.under_way = std::ptr::null();
        self.state = if self.state == State::Well { State::Failed } else { State::Lost };
        if self.length == 0 || self.length + 1 > RESCUE_ROOM - self.rescued_to {
            return;
        }
        // The first one may be there already.
        if !std::ptr::eq(record, self.rescued.as_ptr()) {
            // SAFETY: the host has not taken the record back yet, this call does; or it is the copy in `record`.
            let record = unsafe { std::slice::from_raw_parts(record, self.length) };
            self.rescued[self.rescued_to..self.rescued_to + record.len()].copy_from_slice(record);
        }
        self.rescued_to += self.length + 1;
        self.rescued[self.rescued_to - 1] = 0;
    }

    /// After a failure every record passes; the ticks are the slots for what is left.
    #[inline(never)]
    fn after_failure(&mut self, tag: &[u8], record: *const u8) -> *const u8 {
        if !self.under_way.is_null() {
            self.rescue();
        }
        if *tag != self.tick.bytes[..self.tick.length] {
            return given(record);
        }
        if self.rescued_from < self.rescued_to {
            let rest = &self.rescued[self.rescued_from..self.rescued_to];
            let length = rest.iter().position(|b| *b == 0).unwrap_or(rest.len());
            let pointer = rest.as_ptr();
            self.rescued_from += length + 1;
            return pointer;
        }
        // What follows may fail again: then the tick's `free` notes it, and nothing more is tried.
        if matches!(self.state, State::Failed | State::Asked) {
            self.under_way = given(record);
            self.length = 0;
            let answer = self.left_over();
            self.under_way = std::ptr::null();
            if let Some(answer) = answer {
                return self.answer_with(answer);
            }
        }
        &raw const NOTHING
    }

    /// What the failed filter still holds, and then, once, the report of the failure.
    fn left_over(&mut self) -> Option<Vec<u8>> {
        let failure = String::from_utf8_lossy(&self.failure.bytes[..self.failure.length]).into_owned();
        let filter = self.filter.as_mut()?;
        if self.state == State::Failed {
            self.state = State::Asked;
            let report = filter.report(if failure.is_empty() { "out of stack or memory" } else { &failure });
            filter.give_up();
            return Some(report);
        }
        filter.next_waiting()
    }
}
