//! The simulator's worlds through the faces that are programs of their own: the component in a sandbox, the package for
//! JavaScript, the bridge. What each says is compared with the native engine, byte for byte where the host's clock is the
//! simulator's.
//!
//! The worlds have fixed seeds. `SIMULATE_SEED` asks for others, `SIMULATE_SECONDS` for as many as fit into that time, as
//! `cargo xtask simulate` does.

mod common;
// Every test program uses its part of it.
#[path = "common/vector.rs"]
#[allow(dead_code, unreachable_pub)]
mod vector;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use abort_reason_host::sandbox::{Component, Disposition, Event, Limits, Sandbox, Source};
use abort_reason_simulator::check::{self, Result, same};
use abort_reason_simulator::engine::{Restart, Run, Step, run};
use abort_reason_simulator::shipping::Shipping;
use abort_reason_simulator::world::World;
use common::{Folder, component, host_program};
use serde_json::{Value, json};
use vector::{Bridge, Taken, bridge, deliver, event, free_address};

/// The first seed.
const FIRST: u64 = 1_000_000;
/// How long to wait for what must come.
const PATIENCE: Duration = Duration::from_mins(1);

/// Checks worlds, so many unless others are asked for.
fn worlds(count: u64, checks: &mut dyn FnMut(&World, &Shipping) -> Result) {
    let done = abort_reason_simulator::worlds(FIRST, count, checks);
    println!("{} worlds", done.unwrap_or_else(|wrong| panic!("{wrong}")));
}

/// The steps in batches of one push each; no time passes within a batch, since its events have one time.
fn batches<'s, 'w>(shipping: &Shipping, steps: &'s mut [Step<'w>]) -> Vec<&'s [Step<'w>]> {
    let mut list = Vec::new();
    let (mut rest, mut sizes) = (steps, shipping.batches.iter().cycle());
    while !rest.is_empty() {
        let size = sizes.next().map_or(1, |size| usize::from(*size)).clamp(1, rest.len());
        let (batch, more) = rest.split_at_mut(size);
        batch.iter_mut().skip(1).for_each(|step| step.pause = 0);
        list.push(&*batch);
        rest = more;
    }
    list
}

/// What an engine that is never stopped says of the same batches.
fn expected(config: &str, batches: &[&[Step<'_>]]) -> Result<Run> {
    let straight = batches.concat().into_iter().map(|step| Step { restart: Restart::None, ..step });
    run(&check::config(config)?, &straight.collect::<Vec<_>>())
}

#[test]
fn worlds_through_the_component() {
    let component = Component::load(&component()).unwrap();
    worlds(300, &mut |world, shipping| {
        let config = check::hasty(shipping);
        let failed = |error: &dyn std::fmt::Display| error.to_string();
        let mut sandbox = component.instantiate(&config, Limits::default()).map_err(|error| failed(&error))?;
        let mut steps = shipping.disturbed(world, Restart::Snapshot);
        let batches = batches(shipping, &mut steps);
        let (mut got, mut now, mut ticket) = (Run::default(), 0, 0);
        for batch in &batches {
            if batch[0].restart == Restart::Snapshot {
                let snapshot = sandbox.snapshot().map_err(|error| failed(&error))?;
                sandbox = component.instantiate(&config, Limits::default()).map_err(|error| failed(&error))?;
                sandbox.restore(&snapshot).map_err(|error| failed(&error))?;
            }
            now += u64::from(batch[0].pause);
            let events: Vec<Event> = batch
                .iter()
                .map(|step| {
                    ticket += 1;
                    Event { source: Source::Auto, ticket, data: step.record.as_bytes().to_vec() }
                })
                .collect();
            let dispositions = sandbox.push(&events, now).map_err(|error| failed(&error))?;
            got.passed.extend(dispositions.into_iter().map(|given| given.contains(Disposition::FORWARD)));
            take(&mut sandbox, &mut got)?;
        }
        sandbox.finish().map_err(|error| failed(&error))?;
        take(&mut sandbox, &mut got)?;
        let expected = expected(&config, &batches)?;
        same(&expected.issued, &got.issued)?;
        same(&expected.passed, &got.passed)
    });
}

fn take(sandbox: &mut Sandbox, run: &mut Run) -> Result {
    loop {
        let batch = sandbox.poll(7).map_err(|error| error.to_string())?;
        for output in batch.outputs {
            run.issued.push((output.behind as usize, String::from_utf8_lossy(&output.data).into_owned()));
        }
        if !batch.more {
            return Ok(());
        }
    }
}

/// Reads worlds, one in a line, and prints what the engine of the package issues for each.
const SCRIPT: &str = r#"
import { createInterface } from "node:readline";
import { Engine, Form, Source } from "abort-reason";

const decoder = new TextDecoder();
const encoder = new TextEncoder();
for await (const line of createInterface({ input: process.stdin })) {
  const { config, batches } = JSON.parse(line);
  const engine = new Engine(config);
  const issued = [];
  const take = () => {
    for (let more = true; more; ) {
      const batch = engine.poll(7);
      issued.push(...decoder.decode(batch.takeData()).split("\n").filter(Boolean));
      more = batch.more;
    }
  };
  let ticket = 1;
  let now = 0;
  for (const { pause, records } of batches) {
    now += pause;
    engine.push(Source.Auto, Form.Record, encoder.encode(records.join("\n")), ticket, now);
    ticket += records.length;
    take();
  }
  engine.finish();
  take();
  console.log(JSON.stringify(issued));
}
"#;

#[test]
fn worlds_through_the_package_for_javascript() {
    use std::io::{BufRead, BufReader, Write};
    let Some(node) = host_program("NODE", "node") else {
        eprintln!("SKIPPED: no Node: install Node 20 or newer, or name it in NODE");
        return;
    };
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/npm").canonicalize().unwrap();
    let project = Folder::new();
    std::fs::create_dir(project.path("node_modules")).unwrap();
    std::os::unix::fs::symlink(package, project.path("node_modules/abort-reason")).unwrap();
    let script = project.file("worlds.mjs", SCRIPT);
    let mut node = Command::new(node).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut to, mut from) = (node.stdin.take().unwrap(), BufReader::new(node.stdout.take().unwrap()));
    worlds(300, &mut |world, shipping| {
        let config = check::hasty(shipping);
        let mut steps = shipping.disturbed(world, Restart::None);
        let batches = batches(shipping, &mut steps);
        let records = |batch: &[Step<'_>]| batch.iter().map(|step| step.record.to_owned()).collect::<Vec<_>>();
        let told: Vec<Value> =
            batches.iter().map(|batch| json!({ "pause": batch[0].pause, "records": records(batch) })).collect();
        writeln!(to, "{}", json!({ "config": config, "batches": told })).map_err(|error| error.to_string())?;
        let mut line = String::new();
        from.read_line(&mut line).map_err(|error| error.to_string())?;
        let issued: Vec<String> = serde_json::from_str(&line).map_err(|error| format!("{error}: {line}"))?;
        let expected = expected(&config, &batches)?;
        same(expected.issued.into_iter().map(|(_, record)| record), issued)
    });
    drop(to);
    assert!(node.wait().unwrap().success());
}

/// The bridge has its own clock: compared is what each abort's last record says.
#[test]
fn worlds_through_the_bridge() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    worlds(12, &mut |world, shipping| runtime.block_on(through_the_bridge(world, shipping)));
}

async fn through_the_bridge(world: &World, shipping: &Shipping) -> Result {
    let folder = Folder::new();
    let (listen, forward, taken) = (free_address(), free_address(), Taken::default());
    let config = folder.file("bridge.yaml", "transform: {filter_names: [PureMessage], hold_secs: 0.2}\n");
    let mut command = bridge(listen, forward, &folder.path("state"), &config);
    command.env("ABORT_REASON_LOG", "error");
    let _source = vector::Source::start(forward, &taken).await;
    let mut running = Bridge::start(&mut command);
    let replayed = shipping.replayed(world);
    let mut steps = shipping.disturbed(&replayed, Restart::Tickets);
    let mut number = 0;
    for batch in batches(shipping, &mut steps) {
        if batch[0].restart == Restart::Tickets {
            // As hard as it gets.
            drop(running);
            running = Bridge::start(&mut command);
        }
        let events: Vec<Vec<u8>> = batch
            .iter()
            .map(|step| {
                number += 1;
                let record: Value = serde_json::from_str(step.record).unwrap();
                let text = |member: &str| record[member].as_str().unwrap_or_default().as_bytes().to_vec();
                event(&[("message", &text("message")), ("host", &text("host"))], number)
            })
            .collect();
        deliver(listen, &events).await;
    }
    let began = Instant::now();
    loop {
        let done = check::exactly(world, &told(&taken));
        if done.is_ok() || began.elapsed() > PATIENCE {
            return done;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What arrived at the destination, as records.
fn told(taken: &Taken) -> Run {
    let aborts = taken.logs().into_iter().filter(|log| log.abort("id").is_some());
    let record = |log: vector::Log| {
        let abort: Value = ["id", "kind", "class", "status"]
            .map(|member| (member.to_owned(), json!(log.abort(member))))
            .into_iter()
            .collect();
        json!({ "message": log.text("message"), "host": log.text("host"), "abort": abort }).to_string()
    };
    let mut aborts: Vec<vector::Log> = aborts.collect();
    aborts.sort_by_key(|log| log.abort_integer("revision"));
    Run { issued: aborts.into_iter().map(|log| (0, record(log))).collect(), ..Run::default() }
}
