//! Debian's packages, installed where that needs no password.

use std::process::Command;

use crate::shell::{run, say, succeeds, warn};

/// Installs packages for a purpose; what is missing afterwards is the caller's to see.
pub(crate) fn install(purpose: &str, packages: &[&str]) {
    if !succeeds(Command::new("apt-get").arg("--version")) {
        return;
    }
    let sudo = if succeeds(Command::new("sh").args(["-c", "test \"$(id -u)\" = 0"])) {
        None
    } else if succeeds(Command::new("sudo").args(["-n", "true"])) {
        Some("sudo")
    } else {
        say(&format!("{purpose}: installing Debian's packages would need a password, so it is left to you."));
        return;
    };
    let apt = |args: &[&str]| {
        let mut command = Command::new(sudo.unwrap_or("env"));
        command.args(sudo.map(|_| "-n")).arg("DEBIAN_FRONTEND=noninteractive").arg("apt-get").args(args);
        command
    };
    say(&format!("{purpose}: installing Debian's packages {}.", packages.join(", ")));
    // An old list still serves where the new one can't be had; the installation tells.
    let _ = run(&mut apt(&["-qq", "update"]));
    // `--no-remove`: Debian's plain `rustc` can't stand beside `rustc-web`, and is not ours to take away.
    let mut install = apt(&["-qq", "-y", "--no-remove", "--no-install-recommends", "install"]);
    if let Err(failure) = run(install.args(packages)) {
        warn(&failure.to_string());
    }
}
