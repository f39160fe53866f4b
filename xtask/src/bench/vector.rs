//! Vector with the bridge beside it, and with the join as one writes it by hand, in three ways.

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use super::logs::{Logs, of_record};
use super::measure::{Contender, End};
use super::{Bench, QUIET, Table, compare, program};
use crate::dist;
use crate::shell::{Result, io_failure, run};
use crate::toolchain::Toolchain;
use crate::workspace::root;

/// The joins by hand, and the files of `benches/peers` that have them.
const BY_HAND: [(&str, &str); 3] = [
    ("a memory table and `delay`", "vector-memory-table"),
    ("`reduce` and `dedupe`", "vector-reduce"),
    ("the join in Lua", "vector-lua"),
];

/// The table of Vector: `VECTOR` names the program where it is not on `PATH`.
pub(super) fn table(bench: &Bench) -> Result<Option<Table>> {
    let Some(vector) = program("VECTOR", "vector") else { return Ok(None) };
    dist::component(&Toolchain::find()?)?;
    let logs = Logs::new(bench.folder.join("vector"), &["--messages".into(), bench.messages.to_string()])?;
    let mut contenders = Vec::new();
    for (name, file) in BY_HAND {
        let config = logs.peer(&format!("{file}.yaml"))?;
        contenders.push(of_config(name, &vector, &logs, config, file).finds(of_joined));
    }
    contenders.push(ours(bench, &vector, &logs)?);
    let over = format!("over {} messages, a backlog", bench.messages);
    compare::table(bench, "vector", &over, &logs, &contenders).map(Some)
}

/// Vector with a configuration that writes to `name.out` and keeps its state in `name.data`: from the beginning each time.
fn of_config(title: &str, vector: &OsString, logs: &Logs, config: PathBuf, name: &str) -> Contender {
    let (vector, out) = (vector.clone(), logs.folder.join(name).with_extension("out"));
    let (data, file) = (out.with_extension("data"), out.clone());
    Contender::new(title, End::Quiet(QUIET), move || {
        let _ = std::fs::remove_dir_all(&data);
        let _ = std::fs::remove_file(&out);
        let _ = std::fs::create_dir_all(&data);
        let mut command = Command::new(&vector);
        command.arg("-q").arg("-c").arg(&config);
        command
    })
    .into_file(file)
}

/// The shipped configurations of one host, over these logs.
fn ours(bench: &Bench, vector: &OsString, logs: &Logs) -> Result<Contender> {
    let name = "abort-reason";
    let path = |extension: &str| logs.folder.join(name).with_extension(extension);
    let [listen, back, api] = free_addresses()?;
    let shipped = |file: &str, to: &str| {
        let text = std::fs::read_to_string(root().join("vector-config").join(file)).map_err(io_failure(file))?;
        let text = text
            .replace("127.0.0.1:6000", &listen)
            .replace("127.0.0.1:6001", &back)
            .replace("127.0.0.1:6002", &api)
            .replace("/opt/pmx6/var/log/message_log", &logs.entries().display().to_string())
            .replace("/var/log/maillog", &logs.mail().display().to_string())
            .replace("/var/log/abort-reason/aborts-%Y-%m-%d.ndjson", &path("out").display().to_string())
            .replace("/var/lib/vector", &path("data").display().to_string())
            .replace("/var/lib/abort-reason", &path("state").display().to_string());
        let to = path(to);
        std::fs::write(&to, text).map_err(io_failure(to.display()))?;
        Ok(to)
    };
    let (config, bridge) = (shipped("one-host.yaml", "yaml")?, shipped("bridge.yaml", "bridge.yaml")?);
    // A bridge is started once: that its component is compiled then is no part of what lines cost.
    let compiled = path("compiled");
    run(Command::new(&bench.ours)
        .args(["bridge", "--check", "--config"])
        .arg(&bridge)
        .arg("--cache-dir")
        .arg(&compiled))?;
    let (ours, state) = (bench.ours.clone(), path("state"));
    let contender = of_config("abort-reason, Vector and bridge", vector, logs, config, name).finds(of_record);
    Ok(contender.beside(move || {
        let _ = std::fs::remove_dir_all(&state);
        let _ = std::fs::create_dir_all(&state);
        let mut command = Command::new(&ours);
        command.args(["bridge", "--config"]).arg(&bridge).arg("--cache-dir").arg(&compiled);
        command
    }))
}

/// Addresses of this machine at which nobody listens.
fn free_addresses() -> Result<[String; 3]> {
    let failed = |error| io_failure("127.0.0.1")(error);
    let [a, b, c] = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0"));
    let address = |listener: TcpListener| Ok(listener.local_addr().map_err(failed)?.to_string());
    let listeners = [a.map_err(failed)?, b.map_err(failed)?, c.map_err(failed)?];
    let [a, b, c] = listeners.map(address);
    Ok([a?, b?, c?])
}

/// Queue id of an abort that a join by hand has given a reason.
fn of_joined(line: &str) -> Option<(String, Option<String>)> {
    let record: serde_json::Value = serde_json::from_str(line).ok()?;
    record["reason"].as_str()?;
    Some((record["queue_id"].as_str()?.into(), None))
}
