//! `configure --aot`: the module for Fluent Bit, compiled ahead of time.
//!
//! Fluent Bit's runtime, WAMR, interprets a module, or loads one that `wamrc`, its own compiler, has made machine code of.
//! Its format changes with the runtime, so what was compiled is tried in a Fluent Bit before it is handed out.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::cli::{Configure, Target};
use crate::failure::{Exit, Failure, Result, say};
use crate::output::pending;

/// How such a file begins; the version of its format follows, four bytes, the lowest first.
const MAGIC: &[u8] = b"\0aot";

/// Its compiler, and the same as a part of Fluent Bit.
const COMPILERS: [&str; 2] = ["wamrc", "flb-wamrc"];

/// Where Fluent Bit's own packages put it.
const PACKAGED: &str = "/opt/fluent-bit/bin/fluent-bit";

/// No compiler takes longer.
const LONGEST: Duration = Duration::from_mins(30);

/// How long a Fluent Bit may take to let one record through.
const PATIENCE: Duration = Duration::from_secs(20);

const WHENCE: &str = "It is WAMR's compiler, of the WAMR that Fluent Bit was built with (2.4.1 in Fluent Bit 5.1.1): build \
                      it from there, or Fluent Bit with -DFLB_WAMRC=On. Then name it by --wamrc, or WAMRC.";

/// Compiles a module that is set up.
pub(crate) fn compile(module: &[u8], options: &Configure) -> Result<Vec<u8>> {
    let compiler = match &options.wamrc {
        Some(named) if !named.is_empty() => PathBuf::from(named),
        _ => COMPILERS
            .iter()
            .find_map(|name| on_path(name))
            .ok_or_else(|| Failure::new(Exit::Unavailable, "there is no wamrc or flb-wamrc on PATH").hint(WHENCE))?,
    };
    let folder = TempDir::new()
        .map_err(|error| Failure::new(Exit::CantCreate, format!("cannot create a temporary folder: {error}")))?;
    pending().folder = Some(folder.path().to_owned());
    let compiled = compile_in(folder.path(), &compiler, module, options);
    pending().folder = None;
    compiled
}

fn compile_in(folder: &Path, compiler: &Path, module: &[u8], options: &Configure) -> Result<Vec<u8>> {
    let (from, to) = (folder.join("module.wasm"), folder.join("module.aot"));
    fs::write(&from, module).map_err(|error| Failure::writing(&from.display().to_string(), &error))?;
    let target = options.target.unwrap_or_else(Target::of_this_machine);
    let mut command = Command::new(compiler);
    // For all processors of a kind, not for the one at hand; and with checks of its own at each access to memory, for
    // runtimes that were built to leave these to the processor and for those that were not. None of the stack's depth at
    // each call: a test says that the module's calls go no deeper than some KiB.
    command.args([&format!("--target={}", target.name()), &format!("--cpu={}", target.cpu())]);
    command.args(["--bounds-checks=1", "--stack-bounds-checks=0"]);
    let log = folder.join("compiler.log");
    let mut running = Running::start(command.arg("-o").arg(&to).arg(&from), &log, WHENCE)?;
    let status = running.wait(|| false, LONGEST)?;
    let compiled = fs::read(&to)
        .ok()
        .filter(|compiled| status.is_some_and(|status| status.success()) && compiled.starts_with(MAGIC));
    let Some(compiled) = compiled else {
        let how = status.map_or_else(|| "no end after half an hour".to_owned(), |status| status.to_string());
        return Err(Failure::new(Exit::Software, format!("{} failed ({how})", compiler.display())).hint(last(&log)));
    };
    match options.fluent_bit.clone().or_else(fluent_bit) {
        Some(program) if target == Target::of_this_machine() => try_in(&program, compiler, &to, folder)?,
        _ => say(&format!(
            "not tried: {}. Its format is version {}; a Fluent Bit that reads another one says so at its start.",
            if target == Target::of_this_machine() {
                "no fluent-bit is on PATH, and --fluent-bit names none"
            } else {
                "it is not for this machine"
            },
            version(&compiled)
        )),
    }
    Ok(compiled)
}

/// Whether a file holds a compiled module.
pub(crate) fn is_compiled(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

fn version(compiled: &[u8]) -> u32 {
    compiled.get(4..8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|file| is_program(file))
}

fn is_program(path: &Path) -> bool {
    let Ok(metadata) = fs::metadata(path) else { return false };
    #[cfg(unix)]
    let may_run = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 != 0;
    #[cfg(not(unix))]
    let may_run = true;
    metadata.is_file() && may_run
}

fn fluent_bit() -> Option<PathBuf> {
    on_path("fluent-bit").or_else(|| Some(PathBuf::from(PACKAGED)).filter(|file| is_program(file)))
}

/// Lets a Fluent Bit pass one record through the module.
fn try_in(program: &Path, compiler: &Path, module: &Path, folder: &Path) -> Result<()> {
    let (passed, log) = (folder.join("passed"), folder.join("log"));
    let config = folder.join("try.conf");
    fs::write(&config, configuration(module, folder))
        .map_err(|error| Failure::writing(&config.display().to_string(), &error))?;
    let mut command = Command::new(program);
    let has_passed = || fs::metadata(&passed).is_ok_and(|file| file.len() > 0);
    let mut running = Running::start(command.arg("-c").arg(&config), &log, "--fluent-bit names another one.")?;
    let ended = running.wait(has_passed, PATIENCE)?;
    drop(running);
    let said = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
    let complaints: Vec<&str> = said.lines().filter(|line| line.contains("[error]")).collect();
    if has_passed() && complaints.is_empty() {
        return Ok(());
    }
    let (program, compiler) = (program.display(), compiler.display());
    if complaints.is_empty() {
        let how = ended.map_or_else(|| "nothing passed in 20 s".to_owned(), |status| status.to_string());
        return Err(Failure::new(Exit::Unavailable, format!("{program} can't be tried ({how})")).hint(last(&log)));
    }
    let problem = format!("{program} does not load what {compiler} made");
    Err(Failure::new(Exit::Unavailable, problem).hint(format!("{}\n{WHENCE}", complaints.join("\n"))))
}

/// The last lines of what a program said.
fn last(log: &Path) -> String {
    let said = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}

fn configuration(module: &Path, folder: &Path) -> String {
    format!(
        "[SERVICE]\n    flush 0.2\n    grace 1\n[INPUT]\n    name dummy\n    tag tried\n    samples 1\n    \
         dummy {{\"tried\":true}}\n[FILTER]\n    name wasm\n    match *\n    event_format json\n    wasm_heap_size 8M\n    wasm_path {}\n    \
         function_name abort_reason\n    accessible_paths {}\n[OUTPUT]\n    name file\n    match *\n    path {}\n    \
         file passed\n",
        module.display(),
        folder.display(),
        folder.display()
    )
}

/// A program at work, in a process group of its own: all of it ends with its use.
struct Running(Child);

impl Running {
    fn start(command: &mut Command, log: &Path, hint: &str) -> Result<Running> {
        let program = PathBuf::from(command.get_program());
        let failed = |error: io::Error| {
            Failure::new(Exit::Unavailable, format!("cannot run {}: {error}", program.display())).hint(hint)
        };
        let heard = File::create(log).map_err(failed)?;
        command.stdin(Stdio::null()).stdout(heard.try_clone().map_err(failed)?).stderr(heard);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        // A signal that comes now finds it, or comes before it.
        let mut pending = pending();
        let child = command.spawn().map_err(failed)?;
        #[cfg(unix)]
        {
            pending.group = rustix::process::Pid::from_raw(child.id() as i32);
        }
        drop(pending);
        Ok(Running(child))
    }

    /// Waits for its end, or until something holds; how it ended, if it did.
    fn wait(&mut self, holds: impl Fn() -> bool, longest: Duration) -> Result<Option<ExitStatus>> {
        let begun = Instant::now();
        loop {
            let failed = |error| Failure::new(Exit::Unavailable, format!("cannot wait for a program: {error}"));
            let ended = self.0.try_wait().map_err(failed)?;
            if ended.is_some() || holds() || begun.elapsed() > longest {
                return Ok(ended);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(group) = pending().group.take() {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Target {
    /// The one of the machine that this program runs on.
    fn of_this_machine() -> Target {
        if cfg!(target_arch = "aarch64") { Target::Aarch64 } else { Target::X86_64 }
    }

    fn name(self) -> &'static str {
        match self {
            Target::X86_64 => "x86_64",
            Target::Aarch64 => "aarch64",
        }
    }

    fn cpu(self) -> &'static str {
        match self {
            Target::X86_64 => "x86-64",
            Target::Aarch64 => "generic",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_tells_its_version() {
        assert_eq!(version(b"\0aot\x05\0\0\0rest"), 5);
        assert!(is_compiled(b"\0aot\x05\0\0\0"));
        assert!(!is_compiled(b"\0asm\x01\0\0\0"));
    }
}
