//! `abort-reason explain`: log files in, every abort with its reason out. It runs the core natively.

use std::collections::BTreeMap;
use std::time::Duration;

use abort_reason_explain::advise::Advisor;
use abort_reason_explain::{Counts, Explanation};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tempfile::SpooledTempFile;

use crate::cli::{self, ExplainFormat};
use crate::failure::{Result, say};
use crate::logs;
use crate::output::Output;
use crate::settings::{self, Loaded};
use summary::Summary;

mod formats;
mod html;
mod summary;
pub(crate) mod table;

/// Lines between two looks at the progress.
const PROGRESS_LINES: u32 = 16_384;

/// Records are kept in memory up to here, and then in a temporary file; where none can be made, up to the second.
const IN_MEMORY: usize = 8 * 1024 * 1024;
const WITHOUT_FILE: usize = 32 * 1024 * 1024;

/// The last revision of each abort.
pub(crate) type Latest = abort_reason_explain::Latest<SpooledTempFile>;

/// Runs `abort-reason explain`.
pub fn run(options: &cli::Explain) -> Result<()> {
    let settings = settings::load(&options.settings, options.profile.as_deref())?;
    let mut out = Output::open(options.output.as_deref())?;
    let format = options.format.unwrap_or(if out.is_terminal() { ExplainFormat::Table } else { ExplainFormat::Ndjson });
    // Only people get advice.
    let for_people = matches!(format, ExplainFormat::Table | ExplainFormat::Html);
    let mut advisor = for_people.then(|| Advisor::new(BTreeMap::new()));
    let mut explained = explain(&settings, &options.logs, advisor.as_mut())?;
    let (latest, counts) = (&mut explained.latest, explained.counts);
    match format {
        ExplainFormat::Ndjson => formats::write_json(latest, &mut out, false, &settings.config)?,
        ExplainFormat::Json => formats::write_json(latest, &mut out, true, &settings.config)?,
        ExplainFormat::Csv => formats::write_csv(latest, &mut out)?,
        ExplainFormat::Html => html::write(latest, &mut out, counts, advisor)?,
        ExplainFormat::Table => table::write(latest, &mut out, Summary::new(counts, advisor))?,
    }
    out.finish()
}

/// What logs came to.
pub(crate) struct Explained {
    pub(crate) latest: Latest,
    pub(crate) counts: Counts,
}

/// Reads all logs. An advisor sees the entries, and no record yet.
pub(crate) fn explain(
    settings: &Loaded,
    cli::Logs { maillog, message_log }: &cli::Logs,
    mut advisor: Option<&mut Advisor>,
) -> Result<Explained> {
    let files = logs::files(maillog, message_log)?;
    let progress = progress(logs::total_bytes(maillog.iter().chain(message_log)));
    let in_memory = if tempfile::tempfile().is_ok() { IN_MEMORY } else { WITHOUT_FILE };
    let spool = SpooledTempFile::new(in_memory);
    let mut explanation = Explanation::new(&settings.config, files, spool, &mut |warning| say(warning))?;
    while explanation.step(PROGRESS_LINES, advisor.as_deref_mut())? {
        progress.set_position(explanation.bytes_read());
    }
    progress.finish_and_clear();
    explanation.warnings().iter().for_each(|warning| say(warning));
    if let Some(advisor) = advisor {
        explanation.tell(advisor);
    }
    let counts = explanation.counts();
    Ok(Explained { latest: explanation.into_latest()?, counts })
}

/// A progress bar by bytes on a terminal, none elsewhere.
fn progress(total: Option<u64>) -> ProgressBar {
    let target = ProgressDrawTarget::stderr_with_hz(5);
    let (bar, template) = match total {
        Some(bytes) => {
            (ProgressBar::with_draw_target(Some(bytes), target), "{bar:40} {bytes} of {total_bytes}, {eta} left")
        }
        None => (ProgressBar::with_draw_target(None, target), "{spinner} {bytes} read in {elapsed}"),
    };
    // A template that can't be read falls back on indicatif's own.
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
