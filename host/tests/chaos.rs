//! The bridge killed at any moment, its destination too, 200 times: nothing is lost, and every abort has its true reason.

mod common;
#[path = "common/corpus.rs"]
#[allow(unreachable_pub)]
mod corpus;
#[path = "common/vector.rs"]
// Every test program uses its part of it.
#[allow(dead_code, unreachable_pub)]
mod vector;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use common::Folder;
use corpus::{Chance, scenarios, truth};
use vector::{Bridge, Source, Taken, bridge, deliver, free_address, line};

const ROUNDS: u64 = 200;
const BATCH: usize = 40;
const LONG: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_nothing_is_lost() {
    let folders = scenarios();
    let truth = truth(&folders, "");
    // Both logs of a scenario by turns, as Vector reads them: neither waits for the other.
    let mut events = Vec::new();
    for folder in &folders {
        let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
        let (mail, entries) = (read("maillog.iso"), read("message_log"));
        let lines = |log: &[u8]| -> Vec<Vec<u8>> {
            log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
        };
        let (mail, entries) = (lines(&mail), lines(&entries));
        let (mut mail, mut entries) = (mail.chunks(30), entries.chunks(10));
        loop {
            let (mail, entries) = (mail.next(), entries.next());
            if mail.is_none() && entries.is_none() {
                break;
            }
            for text in mail.into_iter().chain(entries).flatten() {
                events.push(line(text, events.len() as u64));
            }
        }
    }
    let total = events.len();
    let folder = Folder::new();
    let config = folder.file("bridge.yaml", "transform: {filter_names: [PureMessage], hold_secs: 0.2}\n");
    let (listen, forward, state) = (free_address(), free_address(), folder.path("state"));
    let taken = Taken::default();
    let mut chance = Chance::new(0x5eed_0bad_cafe_f00d);
    let mut source = Some(Source::start(forward, &taken).await);

    // Vector: it sends one batch after the other, each until it is answered.
    let sending = tokio::spawn(async move {
        for events in events.chunks(BATCH) {
            deliver(listen, events).await;
            // So that the load lasts for all rounds.
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
    });
    for round in 0..ROUNDS {
        let mut command = bridge(listen, forward, &state, &config);
        let running = Bridge::start(command.env("ABORT_REASON_LOG", "error"));
        match round % 5 {
            1 => source = None,
            3 => taken.script.lock().unwrap().refuse = Some((tonic::Code::Unavailable, chance.below(4) as usize)),
            4 => taken.script.lock().unwrap().dawdle = Duration::from_millis(chance.below(40)),
            _ => {
                if source.is_none() {
                    source = Some(Source::start(forward, &taken).await);
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(30 + chance.below(300))).await;
        drop(running);
    }
    if source.is_none() {
        source = Some(Source::start(forward, &taken).await);
    }
    let _running = Bridge::start(bridge(listen, forward, &state, &config).env("ABORT_REASON_LOG", "error"));
    let began = Instant::now();
    loop {
        let logs = taken.logs();
        let offsets: BTreeSet<i64> = logs.iter().filter_map(|log| log.integer("offset")).collect();
        // The latest word on each abort.
        let mut told: BTreeMap<String, (i64, String, String)> = BTreeMap::new();
        for log in &logs {
            let revision = log.abort_integer("revision").unwrap_or(0);
            assert!(log.metadata.is_some() || revision > 0, "the metadata are lost: {log:?}");
            let Some(id) = log.abort("id") else { continue };
            let text = |member: &str| log.abort(member).unwrap_or_default();
            let word = (revision, text("class"), text("reason"));
            let before = told.entry(id).or_insert_with(|| word.clone());
            if before.0 <= word.0 {
                *before = word;
            }
        }
        let wrong: Vec<_> = truth
            .iter()
            .filter(|(id, (class, reason))| {
                told.get(*id).is_none_or(|(_, told, because)| (told, because) != (class, reason))
            })
            .map(|(id, truth)| (id, truth, told.get(id)))
            .collect();
        let missing = total - offsets.len();
        if sending.is_finished() && missing == 0 && wrong.is_empty() {
            break;
        }
        assert!(
            began.elapsed() < LONG,
            "{missing} of {total} are missing, {} of {} aborts are wrong: {:#?}",
            wrong.len(),
            truth.len(),
            wrong.iter().take(5).collect::<Vec<_>>()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    drop(source);
}
