//! `abort-reason watch`: follows both logs and shows aborts as they come. It runs the core natively.

mod board;
mod follow;
mod plain;
mod screen;

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use abort_reason::{Engine, Input, Profile, Source};
use abort_reason_explain::{doubt, look_at};

use crate::cli;
use crate::failure::{Exit, Failure, Result, say};
use crate::logs;
use crate::settings;
use board::{Board, Row};
use follow::Follower;

/// How long nothing is done where nothing comes.
const PAUSE: Duration = Duration::from_millis(100);

/// Runs the subcommand.
pub fn run(options: &cli::Watch) -> Result<()> {
    let mut watch = Watch::new(options)?;
    let to_be_seen = io::stdout().is_terminal() && io::stdin().is_terminal();
    if options.plain || !to_be_seen { plain::run(&mut watch) } else { screen::run(&mut watch) }
}

/// Both logs, and what is known of them.
struct Watch {
    engine: Engine,
    logs: Vec<Log>,
    board: Board,
    began: Instant,
    /// A signal asks for the end.
    asked: Arc<AtomicBool>,
    filter_names: Vec<String>,
}

struct Log {
    path: PathBuf,
    source: Source,
    follower: Follower,
    lines: u64,
    heard: Option<Instant>,
    /// Why it can't be read now.
    trouble: Option<String>,
}

impl Watch {
    fn new(options: &cli::Watch) -> Result<Watch> {
        let mut settings = settings::load(&options.settings, None)?;
        settings.tell_unlogged();
        let mut config = settings.config;
        config.profile = Profile::Native;
        let log = |source: Source| {
            move |path: &PathBuf| {
                let follower = Follower::new(path, !options.from_start);
                Log { path: path.clone(), source, follower, lines: 0, heard: None, trouble: None }
            }
        };
        let mail = options.maillog.iter().map(log(Source::Mail));
        let logs: Vec<Log> = mail.chain(options.message_log.iter().map(log(Source::MessageLog))).collect();
        for log in &logs {
            check(&log.path)?;
            if log.path.exists() {
                look_at(logs::file(&log.path, log.source), &mut |warning| say(warning))?;
            }
        }
        let asked = Arc::new(AtomicBool::new(false));
        crate::signals::ask_to_end(&asked)
            .map_err(|error| Failure::new(Exit::Software, format!("cannot wait for signals: {error}")))?;
        let (engine, board, began) = (Engine::new(&config), Board::default(), Instant::now());
        Ok(Watch { engine, logs, board, began, asked, filter_names: config.filter_names })
    }

    /// Reads what has come; whether there may be more at once.
    fn step(&mut self, shown: &mut dyn FnMut(&Row)) -> bool {
        let now = self.began.elapsed().as_millis() as u64;
        let mut more = false;
        for log in &mut self.logs {
            let engine = &mut self.engine;
            let mut lines = 0;
            let read = log.follower.read(&mut |line| {
                lines += 1;
                engine.push(log.source, Input::Line(line), 0, now);
            });
            // It may be well again, as in a rotation that sets its rights last.
            log.trouble = read.as_ref().err().map(ToString::to_string);
            more |= read.unwrap_or_default();
            log.lines += lines;
            log.heard = if lines > 0 { Some(Instant::now()) } else { log.heard };
        }
        self.engine.advance(now);
        self.take(shown);
        more
    }

    /// No more is read: what waits is shown as it stands. Gives whose failures may not have been PureMessage's.
    fn finish(&mut self, shown: &mut dyn FnMut(&Row)) -> Option<String> {
        self.engine.finish();
        self.take(shown);
        doubt(&self.filter_names, self.engine.filters())
    }

    fn take(&mut self, shown: &mut dyn FnMut(&Row)) {
        while let Some(output) = self.engine.poll() {
            if let Some(row) = self.board.take(&output.data) {
                shown(row);
            }
        }
        while self.engine.poll_released().is_some() {}
    }

    /// The logs that can't be read, and why.
    fn missing(&self) -> Vec<String> {
        let missing = |log: &Log| Some(format!("{}: {}", log.path.display(), log.missing()?));
        self.logs.iter().filter_map(missing).collect()
    }

    fn is_asked_to_end(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Log {
    /// Why it can't be read now, if it can't.
    fn missing(&self) -> Option<&str> {
        match &self.trouble {
            Some(trouble) => Some(trouble),
            None => (!self.follower.is_there()).then_some("not there yet"),
        }
    }
}

/// A log may appear later, but not where nothing can, and no folder is one.
fn check(path: &Path) -> Result<()> {
    if path == Path::new("-") {
        return Err(Failure::new(Exit::Usage, "watch follows files, not standard input")
            .hint("`explain` and `pipe` read standard input."));
    }
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            Err(Failure::new(Exit::NoInput, format!("{} is a directory", path.display())).hint("Name the file in it."))
        }
        Ok(metadata) if !metadata.is_file() => {
            Err(Failure::new(Exit::NoInput, format!("{} is no regular file, which can be followed", path.display())))
        }
        Ok(_) => std::fs::File::open(path).map(drop).map_err(|error| unreadable(path, &error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            if folder.is_dir() {
                return Ok(());
            }
            let problem = format!("cannot follow {}: there is no folder {}", path.display(), folder.display());
            Err(Failure::new(Exit::NoInput, problem).hint("The file may come later, its folder must be there."))
        }
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::NoInput, format!("cannot read {}: {error}", path.display()))
}
