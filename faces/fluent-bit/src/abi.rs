//! The module's exports, and all of its `unsafe` code: pointers of Fluent Bit's become slices here, answers pointers.
//!
//! The host is single-threaded and calls one function at a time; it copies the answer before it calls anything else. It
//! copies a record into a heap of its own behind the module's memory (`wasm_heap_size`), and calls `abort_reason`: a module
//! that exported `malloc` and `free` would be called five times for each record. A call that fails is noticed by the next
//! one, which finds it still under way; the record that came in then is kept for the next slot.

#![allow(unsafe_code, reason = "a C interface")]
#![cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "only the module exports"))]

use std::cell::UnsafeCell;
use std::fmt::Write;

use abort_reason_filter::Answer;

use crate::face::Face;
use crate::settings::Settings;

/// Bytes for the record of a call: where the call fails, the host's copy of it is written over.
const RECORD_ROOM: usize = 64 << 10;
/// Bytes for records that a failure would have lost.
const RESCUE_ROOM: usize = 256 << 10;
/// No clock has such nanoseconds: a call with them is one of `abort-reason configure`.
const CONTROL: u32 = u32::MAX;
/// The seconds of such a call that asks for a place to write to.
const CONTROL_ROOM: u32 = 0;

/// All state of the module.
struct Module {
    face: Option<Face>,
    /// The last answer, with its NUL; in a control call what is told.
    answer: Vec<u8>,
    /// Where the record of the call is kept that is under way, if one is, and its length.
    under_way: Option<Kept>,
    length: usize,
    state: State,
    failure: Text,
    /// The tag of the ticks, for after a failure.
    tick: Text,
    rescued: [u8; RESCUE_ROOM],
    rescued_from: usize,
    rescued_to: usize,
    /// Bytes of the host's heap were told to the face.
    heap_told: bool,
    record: [u8; RECORD_ROOM],
}

/// Where a copy of a record is, for the case that its call fails.
#[derive(Clone, Copy)]
enum Kept {
    Nowhere,
    InRecord,
    InRescued,
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
    face: None,
    answer: Vec::new(),
    under_way: None,
    length: 0,
    state: State::Well,
    failure: Text { bytes: [0; 512], length: 0 },
    tick: Text { bytes: [0; 512], length: 0 },
    rescued: [0; RESCUE_ROOM],
    rescued_from: 0,
    rescued_to: 0,
    heap_told: false,
    record: [0; RECORD_ROOM],
}));

/// The answer that drops a record.
static NOTHING: u8 = 0;

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
    // SAFETY: one thread, and no other reference lives: calls don't overlap (see above).
    let module = unsafe { &mut *MODULE.0.get() };
    if nsec == CONTROL {
        return module.control(sec, record_length);
    }
    let text: &[u8] = if tag.is_null() {
        b""
    } else {
        // SAFETY: the host passes so many bytes, and changes none during the call.
        unsafe { std::slice::from_raw_parts(tag, tag_length) }
    };
    if module.state != State::Well || module.under_way.is_some() {
        return module.after_failure(text, record);
    }
    if !module.heap_told && !tag.is_null() {
        module.heap_told = true;
        let bytes = heap_behind(tag);
        module.face.iter_mut().for_each(|face| face.has_heap(bytes));
    }
    // SAFETY: as above.
    let bytes = (!record.is_null()).then(|| unsafe { std::slice::from_raw_parts(record, record_length) });
    module.under_way = Some(bytes.map_or(Kept::Nowhere, |bytes| module.keep(bytes)));
    let Some(face) = &mut module.face else {
        module.under_way = None;
        return given(record);
    };
    let answer = match face.call(text, sec, nsec, bytes, record_length) {
        Answer::Given => record,
        Answer::Nothing => &raw const NOTHING,
        Answer::Record(answer) => module.answer_with(answer),
        Answer::Report => {
            let report = face.report("");
            module.answer_with(report)
        }
    };
    module.under_way = None;
    answer
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

    /// A call of `abort-reason configure`. The first one gives the place for so many bytes, the second one reads what was
    /// written there: `configure`, a line end, and a configuration, or `show`.
    #[inline(never)]
    fn control(&mut self, call: u32, length: usize) -> *const u8 {
        if call == CONTROL_ROOM {
            self.answer = vec![0; length];
            return self.answer.as_ptr();
        }
        let told = std::mem::take(&mut self.answer);
        let told = String::from_utf8_lossy(&told);
        let answer = match told.split_once('\n').unwrap_or((&told, "")) {
            ("configure", text) => self.configure(text),
            ("show", _) => Ok(self.face.as_ref().map(|face| face.configuration().to_owned()).unwrap_or_default()),
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
        let face = Face::new(settings);
        self.tick.length = 0;
        let _ = self.tick.write_str(face.tick_tag());
        self.face = Some(face);
        Ok(String::new())
    }

    /// Keeps what stands in the host's heap for the case that this call fails: the next record will stand there. A longer
    /// one stands where it would be rescued to; what is too long for that is lost then.
    #[inline]
    fn keep(&mut self, record: &[u8]) -> Kept {
        self.length = record.len();
        if let Some(place) = self.record.get_mut(..record.len()) {
            place.copy_from_slice(record);
            Kept::InRecord
        } else if let Some(place) = self.rescued.get_mut(..record.len()) {
            place.copy_from_slice(record);
            Kept::InRescued
        } else {
            Kept::Nowhere
        }
    }

    /// Keeps the record of a call that failed.
    #[inline(never)]
    fn rescue(&mut self, kept: Kept) {
        self.state = if self.state == State::Well { State::Failed } else { State::Lost };
        let (from, to) = (self.rescued_to, self.rescued_to + self.length);
        if matches!(kept, Kept::Nowhere) || to >= RESCUE_ROOM {
            return;
        }
        // The first one may be there already.
        if matches!(kept, Kept::InRecord) {
            self.rescued[from..to].copy_from_slice(&self.record[..self.length]);
        }
        self.rescued[to] = 0;
        self.rescued_to = to + 1;
    }

    /// After a failure every record passes; the ticks are the slots for what is left.
    #[inline(never)]
    fn after_failure(&mut self, tag: &[u8], record: *const u8) -> *const u8 {
        if let Some(kept) = self.under_way.take() {
            self.rescue(kept);
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
        // What follows may fail again: then the next call notes it, and nothing more is tried.
        if matches!(self.state, State::Failed | State::Asked) {
            self.under_way = Some(Kept::Nowhere);
            let answer = self.left_over();
            self.under_way = None;
            if let Some(answer) = answer {
                return self.answer_with(answer);
            }
        }
        &raw const NOTHING
    }

    /// What the failed filter still holds, and then, once, the report of the failure.
    fn left_over(&mut self) -> Option<Vec<u8>> {
        let failure = String::from_utf8_lossy(&self.failure.bytes[..self.failure.length]).into_owned();
        let face = self.face.as_mut()?;
        if self.state == State::Failed {
            self.state = State::Asked;
            let report = face.report(if failure.is_empty() { "out of stack or memory" } else { &failure });
            face.give_up();
            return Some(report);
        }
        face.next_waiting()
    }
}
