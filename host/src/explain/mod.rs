//! `abort-reason explain`: log files in, every abort with its reason out. It runs the core natively.

use std::time::Duration;

use abort_reason::{Engine, Input};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::{self, ExplainFormat};
use crate::failure::Result;
use crate::logs::{self, Counts, LogFile, Merge};
use crate::output::Output;
use crate::settings;
use issued::Issued;
use summary::Summary;

mod formats;
mod html;
mod issued;
mod record;
mod summary;
pub(crate) mod table;

/// Lines between two looks at the progress.
const PROGRESS_LINES: u64 = 16_384;

/// The host's clock stands still: no time passes between lines that were written long ago. Aborts wait for the mail log
/// to pass them, or for its end.
const NOW: u64 = 0;

/// Runs `abort-reason explain`.
pub fn run(options: &cli::Explain) -> Result<()> {
    let settings = settings::load(&options.settings)?;
    let files = logs::files(&options.maillog, &options.message_log)?;
    let mut out = Output::open(options.output.as_deref())?;
    let format = options.format.unwrap_or(if out.is_terminal() { ExplainFormat::Table } else { ExplainFormat::Ndjson });
    let (issued, counts) = read(files, &settings)?;
    let several_hosts = issued.several_hosts();
    let mut latest = issued.into_latest()?;
    match format {
        ExplainFormat::Ndjson => formats::write_json(&mut latest, &mut out, false)?,
        ExplainFormat::Json => formats::write_json(&mut latest, &mut out, true)?,
        ExplainFormat::Csv => formats::write_csv(&mut latest, &mut out)?,
        ExplainFormat::Html => html::write(&mut latest, &mut out, counts)?,
        ExplainFormat::Table => table::write(&mut latest, &mut out, several_hosts, Summary::new(counts))?,
    }
    out.finish()
}

/// Reads all lines of all files, in order of time.
fn read(files: Vec<LogFile>, settings: &settings::Loaded) -> Result<(Issued, Counts)> {
    let progress = progress(&files);
    let mut engine = Engine::new(&settings.config);
    let mut issued = Issued::new();
    let mut merge = Merge::new(files)?;
    let mut lines = 0u64;
    while let Some((source, line)) = merge.next_line()? {
        engine.push(source, Input::Line(line), 0, NOW);
        take(&mut engine, &mut issued)?;
        lines += 1;
        if lines.is_multiple_of(PROGRESS_LINES) {
            progress.set_position(merge.bytes_read());
        }
    }
    engine.finish();
    take(&mut engine, &mut issued)?;
    progress.finish_and_clear();
    Ok((issued, merge.counts()))
}

fn take(engine: &mut Engine, issued: &mut Issued) -> Result<()> {
    while let Some(output) = engine.poll() {
        issued.push(&output.data)?;
    }
    while engine.poll_released().is_some() {}
    Ok(())
}

/// A progress bar by bytes on a terminal, none elsewhere.
fn progress(files: &[LogFile]) -> ProgressBar {
    let target = ProgressDrawTarget::stderr_with_hz(5);
    let (bar, template) = match logs::total_bytes(files) {
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
