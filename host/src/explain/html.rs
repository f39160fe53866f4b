//! The format `html`: the report of `web/` with the records in it, gzipped in blocks. The page unpacks them; nothing that
//! stands in a log is part of its markup.

use std::io::Write;

use abort_reason_explain::advise::Advisor;
use abort_reason_explain::{Blocks, Counts};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::Latest;
use crate::failure::{Exit, Failure, Result};
use crate::output::Output;

/// The page without data: made by `cargo xtask web` from `web/report/`.
const PAGE: &str = include_str!("../../../web/bundled/report.html");
/// Where the data go.
const PLACE: &str = "<!--DATA-->";

/// Writes the report.
pub(super) fn write(latest: &mut Latest, out: &mut Output, counts: Counts, advisor: Option<Advisor>) -> Result<()> {
    if out.is_terminal() {
        return Err(Failure::new(Exit::Usage, "a report in HTML is for a browser, not for a terminal")
            .hint("Name a file for it: --output report.html"));
    }
    let (head, tail) = PAGE.split_once(PLACE).unwrap_or((PAGE, ""));
    let mut meta = json!(counts);
    if let Some(advisor) = advisor {
        meta["advice"] = json!(latest.advise(advisor)?);
    }
    // Names of filters come from the log: nothing of them may end the element.
    let meta = meta.to_string().replace('<', "\\u003c");
    let mut write = |text: &str| out.write_all(text.as_bytes()).map_err(|error| out.failure(&error));
    write(&format!("{head}<script type=\"application/json\" id=\"meta\">{meta}</script>\n"))?;
    for block in Blocks(latest) {
        let block = STANDARD.encode(block?);
        write(&format!("<script type=\"text/plain\" class=\"block\">{block}</script>\n"))?;
    }
    write(tail)
}
