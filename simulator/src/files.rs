//! Log files: a world's streams as they lie on the disks of mail hosts, rotated, and read by `explain` in any order.

use std::io::Cursor;

use abort_reason::Source;
use abort_reason_explain::{Explanation, Log};
use serde_json::Value;

use crate::check::{self, Result};
use crate::engine::Run;
use crate::shipping::Shipping;
use crate::world::World;

/// What `explain` says of a world whose logs were rotated, whatever the order in which the files are named.
pub(crate) fn explained(world: &World, shipping: &Shipping) -> Result {
    let run = explain(world, shipping)?;
    if world.twins {
        // Entries name no host here. Where one of two hosts with one queue id is silent, nothing tells whose they are.
        return check::nothing_lost(world, &run);
    }
    check::exactly(world, &run)
}

fn explain(world: &World, shipping: &Shipping) -> Result<Run> {
    let mut logs = Vec::new();
    for (number, stream) in world.streams.iter().enumerate() {
        let lines = stream.iter().map(|record| {
            let record: Value = serde_json::from_str(record).map_err(|error| error.to_string())?;
            Ok(record["message"].as_str().unwrap_or_default().to_owned() + "\n")
        });
        let lines = lines.collect::<Result<Vec<String>>>()?;
        let source = if number % 2 == 0 { Source::Mail } else { Source::MessageLog };
        // Times that go back can't say which of two files is older.
        let after = if world.steady { shipping.rotated_after() } else { usize::MAX };
        let files = lines.chunks(after);
        let count = files.len();
        for (age, file) in files.enumerate() {
            // As rotation names them: the newest has no number.
            let name = match count - 1 - age {
                0 => format!("log{number}"),
                older => format!("log{number}.{older}"),
            };
            logs.push(Log { name, source, bytes: Box::new(file.concat()) });
        }
    }
    shipping.shuffle(&mut logs);
    let config = check::config(&format!("{{{}}}", check::NAMES))?;
    let spool = Cursor::new(Vec::new());
    let mut explanation = Explanation::new(&config, logs, spool, &mut |_| {}).map_err(|trouble| trouble.to_string())?;
    while explanation.step(1_000, None).map_err(|trouble| trouble.to_string())? {}
    let mut latest = explanation.into_latest().map_err(|trouble| trouble.to_string())?;
    let mut run = Run::default();
    while let Some(record) = latest.next_record().map_err(|trouble| trouble.to_string())? {
        run.issued.push((0, String::from_utf8_lossy(record).into_owned()));
    }
    Ok(run)
}
