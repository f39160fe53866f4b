//! The format `html`: the report of `web/` with the records in it, gzipped in blocks. The page unpacks them; nothing that
//! stands in a log is part of its markup.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use abort_reason_explain::{Blocks, Counts};

use super::Latest;
use crate::failure::{Exit, Failure, Result};
use crate::output::Output;

/// The page without data: made by `cargo xtask web` from `web/report/`.
const PAGE: &str = include_str!("../../../web/bundled/report.html");
/// Where the data go.
const PLACE: &str = "<!--DATA-->";

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
    writeln!(out, "{head}<script type=\"application/json\" id=\"meta\">{meta}</script>")
        .map_err(|error| failed(out, &error))?;
    for block in Blocks(latest) {
        writeln!(out, "<script type=\"text/plain\" class=\"block\">{}</script>", STANDARD.encode(block?))
            .map_err(|error| failed(out, &error))?;
    }
    out.write_all(tail.as_bytes()).map_err(|error| failed(out, &error))
}
