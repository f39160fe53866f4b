//! The format `html`: the report of `web/` with the records in it, gzipped in blocks. The page unpacks them; nothing that
//! stands in a log is part of its markup.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::issued::Latest;
use crate::failure::{Exit, Failure, Result};
use crate::logs::Counts;
use crate::output::Output;

/// The page without data: made by `cargo xtask web` from `web/report/`.
const PAGE: &str = include_str!("../../../web/bundled/report.html");
/// Where the data go.
const PLACE: &str = "<!--DATA-->";
/// Records in a block: one block is unpacked when a record is opened.
const BLOCK: usize = 256;

/// Writes the report.
pub(super) fn write(latest: &mut Latest, out: &mut Output, counts: Counts) -> Result<()> {
    if out.is_terminal() {
        return Err(Failure::new(Exit::Usage, "a report in HTML is for a browser, not for a terminal")
            .hint("Name a file for it: --output report.html"));
    }
    let (head, tail) = PAGE.split_once(PLACE).unwrap_or((PAGE, ""));
    let Counts { mail, message_log, unreadable, cut } = counts;
    let meta = json!({ "mail": mail, "message_log": message_log, "unreadable": unreadable, "cut": cut });
    let failed = |out: &Output, error: &io::Error| out.failure(error);
    write!(out, "{head}<script type=\"application/json\" id=\"meta\">{meta}</script>\n")
        .map_err(|error| failed(out, &error))?;
    let mut block = Block::default();
    while let Some(record) = latest.next()? {
        block.add(record).map_err(|error| failed(out, &error))?;
        if block.records == BLOCK {
            std::mem::take(&mut block).write(out).map_err(|error| failed(out, &error))?;
        }
    }
    if block.records > 0 {
        block.write(out).map_err(|error| failed(out, &error))?;
    }
    out.write_all(tail.as_bytes()).map_err(|error| failed(out, &error))
}

/// Records on their way into the page.
struct Block {
    packed: GzEncoder<Vec<u8>>,
    records: usize,
}

impl Default for Block {
    fn default() -> Block {
        Block { packed: GzEncoder::new(Vec::new(), Compression::default()), records: 0 }
    }
}

impl Block {
    fn add(&mut self, record: &[u8]) -> io::Result<()> {
        self.records += 1;
        self.packed.write_all(record)?;
        self.packed.write_all(b"\n")
    }

    fn write(self, out: &mut Output) -> io::Result<()> {
        writeln!(out, "<script type=\"text/plain\" class=\"block\">{}</script>", STANDARD.encode(self.packed.finish()?))
    }
}
