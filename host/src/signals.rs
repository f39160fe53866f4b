//! Signals that ask the program to end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Those that end it here. What was ignored when it was started stays so: `nohup` means it, and so does a shell that starts
/// a program in the background.
pub(crate) fn to_end() -> Vec<i32> {
    let ignored = ignored().unwrap_or_default();
    [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|signal| ignored & (1 << (signal - 1)) == 0).collect()
}

/// Has those set a flag; a second one ends what does not end by itself.
pub(crate) fn ask_to_end(asked: &Arc<AtomicBool>) -> io::Result<()> {
    for signal in to_end() {
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(asked))?;
        signal_hook::flag::register(signal, Arc::clone(asked))?;
    }
    Ok(())
}

/// The signals that are ignored, as a mask; nothing where the system does not tell.
fn ignored() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or_default();
    Ok(u64::from_str_radix(mask.trim(), 16).unwrap_or_default())
}
