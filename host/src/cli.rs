//! The command line: subcommands, options and their help.
//!
//! The doc comments of the options are their help: plain text, no Markdown.
#![allow(clippy::doc_markdown)]

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use abort_reason::Profile;
use clap::builder::styling::{AnsiColor, Effects, Styles};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum, ValueHint};

use crate::advise::{self, Configured};
use crate::bridge;
use crate::failure::{Failure, Result};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().effects(Effects::BOLD))
    .usage(AnsiColor::Green.on_default().effects(Effects::BOLD))
    .literal(AnsiColor::Cyan.on_default().effects(Effects::BOLD))
    .placeholder(AnsiColor::Cyan.on_default());

/// Says why PureMessage's message_log has abort entries: the reason stands in sendmail's log.
///
/// An abort entry means that sendmail gave up on a message while PureMessage had it. Most of them are ordinary SMTP
/// trouble and can be ignored; some mean that PureMessage is too slow, down or not listening. `explain` tells which,
/// for log files; `pipe` does it live, between a log shipper and its destination.
#[derive(Debug, Parser)]
#[command(name = "abort-reason", version, styles = STYLES, max_term_width = 100, after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  See why mail was aborted, and what to do about it:
    abort-reason explain --filter-name PureMessage \\
      --maillog /var/log/maillog /opt/pmx6/var/log/message_log

  The same for rotated and compressed logs, as one JSON object for each abort:
    abort-reason explain --filter-name PureMessage --format ndjson \\
      --maillog maillog.1.gz --maillog maillog message_log*

  Between a log shipper and its destination:
    shipper | abort-reason pipe --filter-name PureMessage | destination

Exit codes: 0 done, 64 wrong usage, 65 unusable input, 66 missing input, 69 something missing,
70 a fault of this program, 73 cannot create the output, 74 reading or writing failed,
78 wrong configuration.";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read log files and show the reason of every abort in them
    ///
    /// Both logs may be given in several files: rotated ones, those of several hosts, and compressed ones (gzip, xz, zstd,
    /// whatever their names). Their order does not matter: they are read side by side in order of time.
    Explain(Explain),
    /// Say what to change, with the number: how long PureMessage takes, which timeout ran out, what value would have done
    ///
    /// Reads the same logs as `explain`. From what PureMessage took for every message and from its failures it tells which of
    /// `T=C/S/R/E` in INPUT_MAIL_FILTER to raise and to what, when PureMessage was slow, busy, dying or down, and what these
    /// logs can't tell.
    Advise(Advise),
    /// Follow both logs as they grow, and show aborts as they come
    ///
    /// On a terminal a screen with the totals by class, what wants action on top, the aborts, and how the join does; elsewhere,
    /// or with --plain, one line for each abort. Logs are followed over rotations, by renaming and by truncation, and may
    /// appear later.
    #[cfg(unix)]
    Watch(Watch),
    /// Read records on standard input, write them with their reasons to standard output, live
    ///
    /// Reads one JSON object a line, as log shippers write them, with the log line in a field such as `message`. Abort
    /// records leave with their reason in a field `abort`, a few seconds later where the reason may still come; every other
    /// line leaves at once and unchanged, also one that is no JSON object. The work is done by the WebAssembly component in
    /// a sandbox: it sees nothing but the records, its memory and its time are limited, and if it should fail, the lines go
    /// through unchanged.
    Pipe(Pipe),
    /// Stand between Vector's `vector` sink and `vector` source, and lose nothing
    ///
    /// Vector's `vector` sink sends its events here; they go on, aborts with their reasons, to Vector's `vector` source or
    /// another destination. A request is answered only when nothing of it can be lost any more: what is held and what the
    /// destination has not accepted yet is in a journal on disk. Each key of the configuration file but `transform` is also an
    /// option and an environment variable. SIGTERM stops in good order, SIGHUP reads the configuration again.
    Bridge(Box<Bridge>),
    /// Print the table of reasons: the lines of sendmail's log that say why
    Reasons(Reasons),
    /// Validate a configuration and say what it means in effect
    Check(Check),
    /// Bake a configuration into the module for Fluent Bit, or show the one that a module holds
    ///
    /// Fluent Bit hands no options to a WebAssembly module, so the configuration is part of the module: it is checked, the
    /// module is set up with it once, and the result is stored as a new module. Without --config the defaults are those of
    /// docs/configuration.md, with the smaller limits that fluent-bit-config/README.md names.
    Configure(Configure),
    /// Print a completion script for a shell
    Completions(Completions),
}

/// Settings that subcommands share.
#[derive(Debug, Args)]
pub struct Settings {
    /// Configuration file, YAML or JSON; `abort-reason check FILE` says what it means
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,

    /// Name of PureMessage's milter: the first word of its INPUT_MAIL_FILTER line in sendmail's .mc file. With it, what
    /// other filters did is told apart from what PureMessage did. May be repeated; takes the place of `filter_names` in
    /// the configuration
    #[arg(long = "filter-name", value_name = "NAME")]
    pub filter_names: Vec<String>,
}

fn profiles() -> clap::builder::PossibleValuesParser {
    Profile::ALL.iter().map(|profile| profile.as_str()).collect::<Vec<_>>().into()
}

/// The logs that `explain` and `advise` read.
#[derive(Debug, Args)]
pub struct Logs {
    /// File of sendmail's log, or `-` for standard input; give the option once for each file
    #[arg(long, value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    pub maillog: Vec<PathBuf>,

    /// Files of PureMessage's message_log, or `-` for standard input
    #[arg(value_name = "MESSAGE_LOG", required = true, value_hint = ValueHint::FilePath)]
    pub message_log: Vec<PathBuf>,
}

/// Options of `abort-reason explain`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  abort-reason explain --filter-name PureMessage --maillog maillog message_log
  abort-reason explain --format csv -o aborts.csv \\
    --maillog maillog --maillog maillog.1.gz message_log*
  ssh mx1 cat /var/log/maillog | abort-reason explain --maillog - message_log
  abort-reason explain --maillog maillog message_log \\
    | jq 'select(.abort.ignorable != true)'")]
pub struct Explain {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub logs: Logs,

    /// How to write the aborts [default: table on a terminal, ndjson elsewhere]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<ExplainFormat>,

    /// Write to this file, which appears when it is complete
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub settings: Settings,

    /// In whose words records are written: abort-reason's own, or those of a SIEM's schema (docs/profiles.md). Takes the
    /// place of `profile` in the configuration
    #[arg(long, value_name = "PROFILE", value_parser = profiles())]
    pub profile: Option<String>,
}

/// Formats of `explain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExplainFormat {
    /// The aborts in columns, then a summary with what to do
    Table,
    /// One JSON object for each abort, each on a line of its own
    Ndjson,
    /// One JSON array
    Json,
    /// Comma-separated values with a header, safe to open in a spreadsheet
    Csv,
    /// A page for a browser, in one file that loads and sends nothing
    Html,
}

/// Options of `abort-reason advise`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  abort-reason advise --filter-name PureMessage --maillog maillog message_log
  abort-reason advise --timeouts 'C:5m;S:3m;R:3m;E:8m' \\
    --maillog maillog message_log
  abort-reason advise --format json --maillog maillog message_log \\
    | jq '.steps[].setting'")]
pub struct Advise {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub logs: Logs,

    /// What T= of INPUT_MAIL_FILTER says now, such as C:5m;S:10s;R:10s;E:5m [default: judged from the timeouts]
    #[arg(long, value_name = "T", value_parser = advise::timeouts)]
    pub timeouts: Option<Configured>,

    /// How to write it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: AdviseFormat,

    /// Write to this file, which appears when it is complete
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub settings: Settings,
}

/// Formats of `advise`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AdviseFormat {
    /// Paragraphs
    Text,
    /// One JSON object
    Json,
}

/// Options of `abort-reason watch`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  abort-reason watch --filter-name PureMessage \\
    --maillog /var/log/maillog /opt/pmx6/var/log/message_log
  abort-reason watch --plain --maillog maillog message_log \\
    | grep 'filter timeout'

Keys: q quit, up and down move, Enter shows all of an abort, a shows only what wants action, / filters, y copies the queue id.")]
#[cfg(unix)]
pub struct Watch {
    /// File of sendmail's log; give the option once for each file
    #[arg(long, value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    pub maillog: Vec<PathBuf>,

    /// Files of PureMessage's message_log
    #[arg(value_name = "MESSAGE_LOG", required = true, value_hint = ValueHint::FilePath)]
    pub message_log: Vec<PathBuf>,

    /// Begin with what the logs hold now, not with what comes
    #[arg(long)]
    pub from_start: bool,

    /// Write one line for each abort, also on a terminal
    #[arg(long)]
    pub plain: bool,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub settings: Settings,
}

/// Options of `abort-reason pipe`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  shipper | abort-reason pipe --filter-name PureMessage | destination
  abort-reason pipe --config /etc/abort-reason.yaml --stats \\
    < records.ndjson > enriched.ndjson")]
pub struct Pipe {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub settings: Settings,

    /// In whose words records are written: abort-reason's own, or those of a SIEM's schema (docs/profiles.md). Takes the
    /// place of `profile` in the configuration
    #[arg(long, value_name = "PROFILE", value_parser = profiles())]
    pub profile: Option<String>,

    /// The component [default: abort_reason.component.wasm beside this program]
    #[arg(long, value_name = "FILE", env = "ABORT_REASON_COMPONENT", value_hint = ValueHint::FilePath)]
    pub component: Option<PathBuf>,

    /// At the end, print the counters as a JSON object on standard error
    #[arg(long)]
    pub stats: bool,

    /// Memory that the component may use, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 512, value_parser = clap::value_parser!(u32).range(16..=4096))]
    pub memory_limit: u32,

    /// Time that the component may take for one batch, in seconds, before it counts as hung
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub call_timeout: Duration,
}

/// Options of `abort-reason bridge`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  abort-reason bridge --config /etc/abort-reason/bridge.yaml
  abort-reason bridge --listen 127.0.0.1:6000 --forward http://127.0.0.1:6001 \\
    --state-dir /var/lib/abort-reason
  abort-reason bridge --config /etc/abort-reason/bridge.yaml --check")]
pub struct Bridge {
    /// Configuration file, YAML or JSON
    #[arg(long, value_name = "FILE", env = "ABORT_REASON_BRIDGE_CONFIG", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,

    /// Check the configuration and the component, which is compiled into the state folder, and run nothing
    #[arg(long)]
    pub check: bool,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub keys: bridge::Keys,
}

/// Options of `abort-reason reasons`.
#[derive(Debug, Args)]
pub struct Reasons {
    /// How to write the table
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: ReasonsFormat,
}

/// Formats of `reasons`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReasonsFormat {
    /// Columns fitted to the terminal
    Table,
    /// The reference page docs/reasons.md
    Markdown,
    /// A JSON array
    Json,
}

/// Options of `abort-reason check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Configuration file, YAML or JSON, or `-` for standard input
    #[arg(value_name = "CONFIG", value_hint = ValueHint::FilePath)]
    pub config: PathBuf,
}

/// Options of `abort-reason configure`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  abort-reason configure --face fluent-bit --config abort-reason.yaml \\
    --output abort_reason.wasm
  abort-reason configure --face fluent-bit --show abort_reason.wasm
  abort-reason configure --face fluent-bit --config abort-reason.yaml \\
    --aot --output abort_reason.aot")]
pub struct Configure {
    /// For which log shipper
    #[arg(long, value_name = "FACE")]
    pub face: Face,

    /// Configuration file, YAML or JSON
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,

    /// The module to begin with [default: abort_reason_fluent_bit.wasm beside this program]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub module: Option<PathBuf>,

    /// Write the new module to this file, which appears when it is complete
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath, required_unless_present = "show")]
    pub output: Option<PathBuf>,

    /// Print the configuration that this module holds, and change nothing
    #[arg(long, value_name = "MODULE", value_hint = ValueHint::FilePath, conflicts_with_all = ["config", "module", "output", "aot"])]
    pub show: Option<PathBuf>,

    /// Compile the module to machine code, with which Fluent Bit needs 60 % less CPU; it takes a minute or two, needs
    /// WAMR's compiler, and the file is for one kind of processor. Keep the module itself: the file can't be shown or
    /// configured again
    #[arg(long)]
    pub aot: bool,

    /// WAMR's compiler, of the version that Fluent Bit has [default: wamrc or flb-wamrc on PATH]
    #[arg(long, value_name = "PROGRAM", env = "WAMRC", value_parser = clap::builder::OsStringValueParser::new(), value_hint = ValueHint::ExecutablePath)]
    pub wamrc: Option<OsString>,

    /// The processors to compile for [default: that of this machine]
    #[arg(long, value_name = "ARCH", requires = "aot")]
    pub target: Option<Target>,

    /// The Fluent Bit in which the file is tried [default: fluent-bit on PATH, or where its packages put it]
    #[arg(long, value_name = "PROGRAM", requires = "aot", value_hint = ValueHint::ExecutablePath)]
    pub fluent_bit: Option<PathBuf>,
}

/// Kinds of processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// 64-bit Intel and AMD
    #[value(name = "x86_64")]
    X86_64,
    /// 64-bit ARM
    #[value(name = "aarch64")]
    Aarch64,
}

/// Log shippers whose module holds its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Face {
    /// The `wasm` filter of Fluent Bit
    FluentBit,
}

/// Options of `abort-reason completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  abort-reason completions bash > /etc/bash_completion.d/abort-reason
  abort-reason completions zsh > \"${fpath[1]}/_abort-reason\"
  abort-reason completions fish > ~/.config/fish/completions/abort-reason.fish")]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Prints the completion script of a shell.
pub fn print_completions(options: &Completions) -> Result<()> {
    // Made in memory first: the generator would panic where the reader has gone away.
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "abort-reason", &mut script);
    io::Write::write_all(&mut io::stdout().lock(), &script).map_err(|error| Failure::writing("standard output", &error))
}

/// A time in seconds, fractions allowed.
fn seconds(text: &str) -> std::result::Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("a number of seconds from 0.1 to 3600 is needed".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }
}
