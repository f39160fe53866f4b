//! What a run of a program costs, and several programs by turns: machines are noisy, so only ratios of one run count.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use wait4::Wait4;

use crate::shell::{Failure, Result, announce, io_failure, warn};

/// Linux counts the time of a running program in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

const SIGTERM: i32 = 15;

/// Between two looks at a program, and how long it may take to end.
const PAUSE: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_mins(1);

/// A program that is not quiet by then is told to end as well.
const LONGEST: Duration = Duration::from_mins(10);

/// What the whole process took.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cost {
    /// User and system time.
    pub(super) cpu: f64,
    pub(super) wall: f64,
    /// The most that was resident, in MiB; no less than this task's own, some 9 MiB.
    pub(super) memory: f64,
}

/// Something to measure.
pub(super) struct Contender {
    pub(super) name: String,
    pub(super) command: Box<dyn Fn() -> Command>,
    /// A program that works beside it, and whose cost is its own.
    pub(super) beside: Option<Box<dyn Fn() -> Command>>,
    pub(super) end: End,
    /// How its output is read, if it finds reasons, and the file that it writes where that is not its standard output.
    pub(super) finds: Option<Finds>,
    pub(super) file: Option<PathBuf>,
}

/// Queue id, and class where it tells one, of a line that gives an abort a reason.
pub(super) type Finds = fn(&str) -> Option<(String, Option<String>)>;

/// When a program is done.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// It ends by itself.
    Itself,
    /// It follows files for ever: it is told to end when it has not worked for so long.
    Quiet(Duration),
}

impl Contender {
    pub(super) fn new(name: &str, end: End, command: impl Fn() -> Command + 'static) -> Contender {
        Contender { name: name.to_owned(), command: Box::new(command), beside: None, end, finds: None, file: None }
    }

    pub(super) fn beside(self, command: impl Fn() -> Command + 'static) -> Contender {
        Contender { beside: Some(Box::new(command)), ..self }
    }

    pub(super) fn finds(self, finds: Finds) -> Contender {
        Contender { finds: Some(finds), ..self }
    }

    pub(super) fn into_file(self, file: PathBuf) -> Contender {
        Contender { file: Some(file), ..self }
    }

    /// Runs it once; what it writes to standard output goes to `output`.
    pub(super) fn run(&self, output: &Path) -> Result<Cost> {
        let errors = PathBuf::from(format!("{}.errors", output.display()));
        let create = |file: &Path| File::create(file).map_err(io_failure(file.display()));
        let start = |command: &mut Command, output: File, errors: File| {
            announce(command);
            command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn().map_err(io_failure(&self.name))
        };
        let errors_of_all = create(&errors)?;
        let shared = || errors_of_all.try_clone().map_err(io_failure(errors.display()));
        let beside = match &self.beside {
            Some(command) => Some(start(&mut command(), shared()?, shared()?)?),
            None => None,
        };
        let _ends = beside.as_ref().map(|child| Ends(child.id()));
        let begun = Instant::now();
        let child = start(&mut (self.command)(), create(output)?, shared()?)?;
        let idle = match self.end {
            End::Itself => Duration::ZERO,
            End::Quiet(quiet) => wait_until_quiet(child.id(), quiet),
        };
        let mut used = vec![child.wait4().map_err(io_failure(&self.name))?];
        let wall = begun.elapsed().saturating_sub(idle);
        if let Some(beside) = beside {
            tell_to_end(beside.id());
            used.push(beside.wait4().map_err(io_failure(&self.name))?);
        }
        let is_done = |status: ExitStatus| match self.end {
            // ripgrep says 1 where it finds nothing.
            End::Itself => matches!(status.code(), Some(0 | 1)),
            End::Quiet(_) => status.success() || status.signal() == Some(SIGTERM),
        };
        if let Some(failed) = used.iter().find(|used| !is_done(used.status)) {
            return Err(Failure::new(format!("{}: {}; see {}", self.name, failed.status, errors.display())));
        }
        Ok(Cost {
            cpu: used.iter().map(|used| (used.rusage.utime + used.rusage.stime).as_secs_f64()).sum(),
            wall: wall.as_secs_f64(),
            memory: used.iter().map(|used| used.rusage.maxrss as f64).sum::<f64>() / f64::from(1 << 20),
        })
    }
}

/// A program that does not outlive its use, whatever fails meanwhile.
struct Ends(u32);

impl Drop for Ends {
    fn drop(&mut self) {
        tell_to_end(self.0);
    }
}

/// Waits until a process has hardly worked for so long, and tells it to end: how long it was idle.
fn wait_until_quiet(process: u32, quiet: Duration) -> Duration {
    let (mut worked, mut since, start) = (Duration::ZERO, Instant::now(), Instant::now());
    while let Some(now) = cpu_so_far(process)
        && since.elapsed() < quiet
    {
        if start.elapsed() > LONGEST {
            warn("it works on and on, and is told to end");
            break;
        }
        if now > worked + 2 * TICK {
            since = Instant::now();
        }
        worked = now;
        thread::sleep(PAUSE);
    }
    let idle = since.elapsed();
    tell_to_end(process);
    idle
}

/// By SIGTERM these programs write what they hold, and end; most do.
fn tell_to_end(process: u32) {
    for (signal, patience) in [("-TERM", PATIENCE), ("-KILL", Duration::ZERO)] {
        let told = Instant::now();
        if cpu_so_far(process).is_some() {
            let _ = Command::new("kill").arg(signal).arg(process.to_string()).status();
        }
        while cpu_so_far(process).is_some() && told.elapsed() < patience {
            thread::sleep(PAUSE);
        }
    }
}

/// The time that a running process has taken so far; none of one that has ended, and waits to be asked what it took.
fn cpu_so_far(process: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Behind the name, which may hold anything: state, and the times as the 12th and 13th fields from there.
    let fields = stat.rsplit_once(") ")?.1;
    if fields.starts_with('Z') {
        return None;
    }
    let mut fields = fields.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    Some(TICK * (ticks()? + ticks()?))
}

/// Runs all of them by turns; `output` names the file for each one's standard output. The costs of each, round by round.
pub(super) fn by_turns(
    rounds: usize,
    contenders: &[Contender],
    output: impl Fn(usize) -> PathBuf,
) -> Result<Vec<Vec<Cost>>> {
    let mut costs = vec![Vec::new(); contenders.len()];
    for _ in 0..rounds {
        for (place, contender) in contenders.iter().enumerate() {
            costs[place].push(contender.run(&output(place))?);
        }
    }
    Ok(costs)
}

/// `1.2 to 1.4 s`, the least and the most.
pub(super) fn range(costs: &[Cost], of: impl Fn(&Cost) -> f64, unit: &str) -> String {
    let values: Vec<f64> = costs.iter().map(of).collect();
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    let digits = match most {
        ..1.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    let (least, most) = (format!("{least:.digits$}"), format!("{most:.digits$}"));
    if least == most { format!("{least} {unit}") } else { format!("{least} to {most} {unit}") }
}

/// The median of the ratios of the CPU times, round by round.
pub(super) fn ratio(costs: &[Cost], of: &[Cost]) -> f64 {
    let mut ratios: Vec<f64> = costs.iter().zip(of).map(|(cost, of)| cost.cpu / of.cpu.max(0.001)).collect();
    ratios.sort_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(cpus: [f64; 3]) -> Vec<Cost> {
        cpus.map(|cpu| Cost { cpu, ..Cost::default() }).to_vec()
    }

    #[test]
    fn the_middle_ratio_and_the_ends_of_the_range() {
        assert!((ratio(&costs([2.0, 9.0, 6.0]), &costs([1.0, 3.0, 3.0])) - 2.0).abs() < 1e-9);
        assert_eq!(range(&costs([0.21, 0.3, 0.25]), |cost| cost.cpu, "s"), "0.21 to 0.30 s");
        assert_eq!(range(&costs([2.0, 2.0, 2.0]), |cost| cost.cpu, "s"), "2.0 s");
    }

    #[test]
    fn a_program_that_follows_is_ended_when_it_is_quiet() {
        let follows = Contender::new("sleep", End::Quiet(Duration::from_millis(600)), || {
            let mut command = Command::new("sleep");
            command.arg("60");
            command
        });
        let output = std::env::temp_dir().join(format!("abort-reason-measure-{}", std::process::id()));
        let cost = follows.run(&output).unwrap();
        assert!(cost.wall < 30.0 && cost.cpu < 5.0 && cost.memory > 0.1, "{cost:?}");
        // One that ends too early is told from one that is done.
        let ends = Contender::new("false", End::Quiet(Duration::from_secs(5)), || Command::new("false"));
        let failure = ends.run(&output).unwrap_err().to_string();
        assert!(failure.starts_with("false: exit status: 1; see "), "{failure}");
        for file in [PathBuf::from(format!("{}.errors", output.display())), output] {
            fs::remove_file(file).unwrap();
        }
    }
}
