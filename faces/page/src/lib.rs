//! The page's module: [`abort_reason_explain`] over files that a browser reads piece by piece, in a worker.
//!
//! There is no logic here. The page asks for steps, so that it can show how far it is, and takes the records in the blocks
//! of which the report is made.

// Nothing that a record can reach is taken for granted.
#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::unreachable, clippy::todo)
)]
// wasm-bindgen's own code, and what it wants of the signatures.
#![allow(clippy::float_cmp, clippy::needless_pass_by_value)]

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};

use abort_reason::Config;
use abort_reason_explain::advise::Advisor;
use abort_reason_explain::{Blocks, Bytes, Latest, Log, write_csv};
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsError, JsValue};

#[wasm_bindgen]
extern "C" {
    /// A file: an object with `read(offset, length)`, which gives at most so many bytes, none at its end.
    /// `changed` is when it was last written to, in milliseconds since 1970.
    #[wasm_bindgen(typescript_type = "{ changed: number; read(offset: number, length: number): Uint8Array }")]
    pub type File;

    #[wasm_bindgen(method, structural, getter)]
    fn changed(this: &File) -> f64;

    #[wasm_bindgen(method, structural, catch)]
    fn read(this: &File, offset: f64, length: u32) -> Result<Vec<u8>, JsValue>;
}

/// The logs to explain.
#[wasm_bindgen]
#[derive(Default)]
pub struct Logs(Vec<Log>);

#[wasm_bindgen]
impl Logs {
    /// No logs.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Logs {
        Logs::default()
    }

    /// One more; which log it is, and how it is compressed, is told by its beginning.
    pub fn add(&mut self, name: String, file: File) {
        let bytes = Box::new(Pieces(file.unchecked_into()));
        self.0.push(Log { name, source: abort_reason::Source::Auto, bytes });
    }
}

/// An explanation under way.
#[wasm_bindgen]
pub struct Explanation {
    inner: abort_reason_explain::Explanation<Cursor<Vec<u8>>>,
    advisor: Advisor,
    warnings: Vec<String>,
}

#[wasm_bindgen]
impl Explanation {
    /// Looks at all logs. Throws an `Error` that says what is wrong with which one, or with the configuration.
    #[wasm_bindgen(constructor)]
    pub fn new(config: &str, logs: Logs) -> Result<Explanation, JsError> {
        let config = Config::from_json(config)?;
        let mut warnings = Vec::new();
        let spool = Cursor::new(Vec::new());
        let mut warn = |warning: &str| warnings.push(warning.to_owned());
        let inner = abort_reason_explain::Explanation::new(&config, logs.0, spool, &mut warn)?;
        Ok(Explanation { inner, advisor: Advisor::new(BTreeMap::new()), warnings })
    }

    /// Reads at most so many lines; false when all are read.
    pub fn step(&mut self, lines: u32) -> Result<bool, JsError> {
        Ok(self.inner.step(lines, Some(&mut self.advisor))?)
    }

    /// Bytes of the files that are done.
    #[wasm_bindgen(js_name = bytesRead)]
    pub fn bytes_read(&self) -> f64 {
        self.inner.bytes_read() as f64
    }

    /// What was read: a JSON object.
    pub fn counts(&self) -> String {
        serde_json::json!(self.inner.counts()).to_string()
    }

    /// What looked strange.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.iter().cloned().chain(self.inner.warnings()).collect()
    }

    /// The records. The explanation is used up.
    pub fn records(mut self) -> Result<Records, JsError> {
        self.inner.tell(&mut self.advisor);
        Ok(Records { latest: self.inner.into_latest()?, advisor: Some(self.advisor) })
    }
}

/// The last revision of every abort.
#[wasm_bindgen]
pub struct Records {
    latest: Latest<Cursor<Vec<u8>>>,
    advisor: Option<Advisor>,
}

#[wasm_bindgen]
impl Records {
    /// What to change: a JSON object, made from all records. Before the first block.
    pub fn advice(&mut self) -> Result<String, JsError> {
        let advice = self.advisor.take().map(|advisor| self.latest.advise(advisor)).transpose()?;
        Ok(serde_json::json!(advice).to_string())
    }

    /// The next block, gzipped NDJSON; `undefined` behind the last one.
    #[wasm_bindgen(js_name = nextBlock)]
    pub fn next_block(&mut self) -> Result<Option<Vec<u8>>, JsError> {
        Ok(Blocks(&mut self.latest).next().transpose()?)
    }

    /// All of them as a table for a spreadsheet.
    pub fn csv(&mut self) -> Result<Vec<u8>, JsError> {
        self.latest.rewind()?;
        let mut table = Vec::new();
        write_csv(&mut self.latest, &mut table)??;
        Ok(table)
    }
}

/// A browser's file as the logs' reader knows one.
struct Pieces(JsValue);

impl Bytes for Pieces {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Piece { file: SendWrapper::new(self.0.clone().unchecked_into()), offset: 0 }))
    }

    fn again(&self) -> bool {
        true
    }

    fn changed_ns(&self) -> Option<i64> {
        Some((self.0.unchecked_ref::<File>().changed() * 1e6) as i64)
    }
}

struct Piece {
    file: SendWrapper<File>,
    offset: u64,
}

impl Read for Piece {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        // Browsers refuse a file that is another than when it was chosen, as a log that is being written soon is.
        let failed =
            |_| io::Error::new(io::ErrorKind::StaleNetworkFileHandle, "it has changed, or gone, since it was chosen");
        let bytes = self.file.read(self.offset as f64, length).map_err(failed)?;
        let read = bytes.len().min(buffer.len());
        buffer[..read].copy_from_slice(&bytes[..read]);
        self.offset += read as u64;
        Ok(read)
    }
}
