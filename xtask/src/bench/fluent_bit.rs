//! Fluent Bit with abort-reason's module, and with the join as one writes it by hand in Lua.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::logs::{Logs, of_record};
use super::measure::{Contender, End};
use super::{Bench, QUIET, Table, compare, program};
use crate::dist;
use crate::fluent_bit::Profile;
use crate::shell::{Result, io_failure, run};
use crate::toolchain::Toolchain;
use crate::workspace::root;

/// The table of Fluent Bit: `FLUENT_BIT` names the program, and `WAMRC` the compiler for its modules, where they are not on
/// `PATH`.
pub(super) fn table(bench: &Bench) -> Result<Option<Table>> {
    let Some(fluent_bit) = program("FLUENT_BIT", "fluent-bit") else { return Ok(None) };
    let logs = Logs::new(bench.folder.join("fluent-bit"), &["--messages".into(), bench.messages.to_string()])?;
    logs.peer("fluent-bit.lua")?;
    let all = logs.peer("fluent-bit-lua.yaml")?;
    let aborts = all.with_file_name("fluent-bit-lua-aborts.yaml");
    let text = std::fs::read_to_string(&all).map_err(io_failure(all.display()))?;
    std::fs::write(&aborts, text.replace("call: join", "call: join_aborts")).map_err(io_failure(aborts.display()))?;
    let lua = |name, config| of_config(name, &fluent_bit, config, logs.folder.join("none")).finds(of_joined);
    let mut contenders = vec![lua("the join in Lua", all), lua("the join in Lua, writing aborts only", aborts)];
    let built = dist::fluent_bit(&Toolchain::find()?, Profile::Release)?;
    let interpreted = configured(bench, &logs, &built, "interpreted", &[])?;
    contenders.push(ours("abort-reason, interpreted", &fluent_bit, &logs, &interpreted, "")?);
    let filter = root().join("fluent-bit-config/filter-ordinary.yaml");
    let filter = std::fs::read_to_string(&filter).map_err(io_failure(filter.display()))?;
    let without = "abort-reason, interpreted, ordinary lines dropped before";
    contenders.push(ours(without, &fluent_bit, &logs, &interpreted, &filter)?);
    if let Some(compiler) = program("WAMRC", "flb-wamrc") {
        let options = ["--aot".into(), "--wamrc".into(), compiler];
        let compiled = configured(bench, &logs, &built, "compiled", &options)?;
        contenders.push(ours("abort-reason, compiled ahead of time", &fluent_bit, &logs, &compiled, "")?);
    }
    let over = format!("over {} messages, a backlog", bench.messages);
    compare::table(bench, "fluent-bit", &over, &logs, &contenders).map(Some)
}

/// The module, set up.
fn configured(bench: &Bench, logs: &Logs, built: &Path, name: &str, options: &[OsString]) -> Result<PathBuf> {
    let module = logs.folder.join(name);
    let config = logs.folder.join("settings.yaml");
    std::fs::write(&config, "filter_names: [PureMessage]\n").map_err(io_failure(config.display()))?;
    let mut command = Command::new(&bench.ours);
    command.args(["configure", "--face", "fluent-bit", "--config"]).arg(&config).arg("--module").arg(built);
    run(command.arg("--output").arg(&module).args(options))?;
    Ok(module)
}

/// The shipped configuration, over these logs, without what a backlog does not need; with a file's filter in front of the
/// module.
fn ours(name: &str, fluent_bit: &OsString, logs: &Logs, module: &Path, filter: &str) -> Result<Contender> {
    let shipped = root().join("fluent-bit-config/fluent-bit.yaml");
    let text = std::fs::read_to_string(&shipped).map_err(io_failure(shipped.display()))?;
    let filter = filter.split_once("  filters:\n").map_or("", |(_, filter)| filter);
    let state = module.with_extension(if filter.is_empty() { "state" } else { "behind.state" });
    let text = text
        .replace("    - name: wasm\n", &format!("{filter}    - name: wasm\n"))
        .replace("/etc/fluent-bit/abort_reason_fluent_bit.wasm", &module.display().to_string())
        .replace("/opt/pmx6/var/log/message_log", &logs.entries().display().to_string())
        .replace("/var/log/maillog", &logs.mail().display().to_string())
        .replace("/var/lib/fluent-bit", &state.display().to_string())
        .replace("buffer_max_size: 256k", "buffer_max_size: 1M\n      buffer_chunk_size: 1M")
        .replace("http_server: true", "http_server: false");
    let config = state.with_extension("yaml");
    std::fs::write(&config, text).map_err(io_failure(config.display()))?;
    Ok(of_config(name, fluent_bit, config, state).finds(of_record))
}

/// Fluent Bit with a configuration, from the beginning: without what it has kept in `state`.
fn of_config(name: &str, fluent_bit: &OsString, config: PathBuf, state: PathBuf) -> Contender {
    let fluent_bit = fluent_bit.clone();
    Contender::new(name, End::Quiet(QUIET), move || {
        let _ = std::fs::remove_dir_all(&state);
        let _ = std::fs::create_dir_all(state.join("abort-reason"));
        let mut command = Command::new(&fluent_bit);
        command.arg("-c").arg(&config);
        command
    })
}

/// Queue id of an entry that the join in Lua has given a reason.
fn of_joined(line: &str) -> Option<(String, Option<String>)> {
    let record: serde_json::Value = serde_json::from_str(line.get(line.find('{')?..)?).ok()?;
    record["reason"].as_str()?;
    let (_, id) = record["log"].as_str()?.split_once(" q=")?;
    Some((id.split(' ').next()?.into(), None))
}
