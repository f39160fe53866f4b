//! Many hosts, a NATS `JetStream` of three real servers in between, and four bridges that share the work by partitions:
//! servers and bridges are killed by turns under load, and every abort comes out with its true reason. Where there is no
//! `nats-server` this test says so and tests nothing.

mod common;
#[path = "common/corpus.rs"]
#[allow(dead_code, unreachable_pub)]
mod corpus;
#[path = "common/nats.rs"]
#[allow(unreachable_pub)]
mod nats;
#[path = "common/vector.rs"]
// Every test program uses its part of it.
#[allow(dead_code, unreachable_pub)]
mod vector;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_nats::jetstream::Context;
use common::Folder;
use corpus::{Chance, explained, scenarios};
use futures_util::{StreamExt, TryStreamExt};
use nats::{Cluster, PARTITIONS, STREAM, nats_server};
use vector::{Bridge, Source, Taken, bridge, deliver, event, free_address};

const ROUNDS: usize = 60;
const LONG: Duration = Duration::from_mins(2);

/// Host and line of an abort, and its class. The line that names the reason may be another here: an abort that was
/// issued before all of its lines had come is told again for another class only.
type Truth = BTreeMap<(String, String), String>;

/// The name of the host that a scenario stands for.
fn host(scenario: &Path) -> String {
    scenario.file_name().unwrap().to_string_lossy().replace('.', "-")
}

fn truth(scenarios: &[PathBuf]) -> Truth {
    let mut truth = Truth::new();
    for scenario in scenarios {
        for record in explained(std::slice::from_ref(scenario)) {
            if record["abort"]["kind"] == "abort" {
                let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
                truth.insert((host(scenario), text(&record["message"])), text(&record["abort"]["class"]));
            }
        }
    }
    truth
}

/// The agents: each host publishes both logs, a piece of each by turns; a line is repeated until the stream has it, and
/// what is on its way at once comes in any order. Every
/// scenario was written on a host `mx1`; here each has one of its own.
async fn publish(client: Context, scenarios: Vec<PathBuf>) {
    let mut hosts = Vec::new();
    for scenario in &scenarios {
        let lines = |name: &str| -> Vec<String> {
            std::fs::read_to_string(scenario.join(name)).unwrap().lines().map(str::to_owned).collect()
        };
        let (host, mail, entries) = (host(scenario), lines("maillog.iso"), lines("message_log"));
        let own = format!(" {host} ");
        let mail: Vec<_> = mail.iter().map(|line| line.replacen(" mx1 ", &own, 1)).collect();
        hosts.push((host, mail.into_iter(), entries.into_iter()));
    }
    loop {
        let mut batch = Vec::new();
        for (host, mail, entries) in &mut hosts {
            let lines = mail.take(15).chain(entries.take(5));
            batch.extend(lines.map(|line| (host.clone(), serde_json::json!({ "host": host, "message": line }))));
        }
        if batch.is_empty() {
            return;
        }
        let published = batch.into_iter().map(|(host, payload)| {
            let (subject, payload) = (format!("maillogs.{host}"), payload.to_string());
            let client = client.clone();
            async move {
                loop {
                    if let Ok(acknowledged) = client.publish(subject.clone(), payload.clone().into()).await
                        && acknowledged.await.is_ok()
                    {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        });
        futures_util::stream::iter(published).buffer_unordered(64).collect::<()>().await;
    }
}

/// An aggregator: Vector between one partition and its bridge. A message is acknowledged when the bridge has answered OK;
/// one that comes again has an id of its own, as Vector gives it.
async fn aggregate(client: Context, partition: usize, bridge: SocketAddr, numbers: Arc<AtomicU64>) {
    loop {
        let consumer = client.get_consumer_from_stream(format!("bridge-{partition}"), STREAM).await;
        let Ok(consumer): Result<async_nats::jetstream::consumer::PullConsumer, _> = consumer else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        while let Ok(messages) = consumer.fetch().max_messages(200).expires(Duration::from_millis(500)).messages().await
        {
            let Ok(messages) = messages.try_collect::<Vec<_>>().await else { break };
            if messages.is_empty() {
                continue;
            }
            let events: Vec<_> = messages
                .iter()
                .map(|message| {
                    let record: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
                    let text = |field: &str| record[field].as_str().unwrap().to_owned();
                    let (host, line) = (text("host"), text("message"));
                    let number = numbers.fetch_add(1, Ordering::Relaxed);
                    event(&[("host", host.as_bytes()), ("message", line.as_bytes())], number)
                })
                .collect();
            deliver(bridge, &events).await;
            for message in messages {
                // A lost acknowledgement brings the message again.
                let _ = message.ack().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_and_bridges_are_killed_and_nothing_is_lost() {
    let Some(nats_server) = nats_server() else { return };
    let mut cluster = Cluster::start(nats_server);
    let client = cluster.client().await;
    cluster.prepare(&client).await;

    let folder = Folder::new();
    let config = folder.file("bridge.yaml", "transform: {filter_names: [PureMessage], hold_secs: 0.2}\n");
    let (taken, forward) = (Taken::default(), free_address());
    let source = Source::start(forward, &taken).await;
    let listens = [(); PARTITIONS].map(|()| free_address());
    let start = |partition: usize| {
        let state = folder.path(&format!("state-{partition}"));
        Bridge::start(bridge(listens[partition], forward, &state, &config).env("ABORT_REASON_LOG", "error"))
    };
    let mut bridges: Vec<_> = (0..PARTITIONS).map(|partition| Some(start(partition))).collect();
    let numbers = Arc::new(AtomicU64::new(0));
    let aggregators: Vec<_> = (0..PARTITIONS)
        .map(|partition| tokio::spawn(aggregate(client.clone(), partition, listens[partition], numbers.clone())))
        .collect();
    let scenarios = scenarios();
    let truth = truth(&scenarios);
    let publishing = tokio::spawn(publish(cluster.client().await, scenarios));

    let mut chance = Chance::new(0x00c1_a55e_5eed);
    for round in 0..ROUNDS {
        let partition = chance.below(PARTITIONS as u64) as usize;
        bridges[partition] = None;
        let node = round % 3;
        match round % 4 {
            // One server of three: the other two go on.
            0 => cluster.kill(node),
            // Two of three: nothing can be written until one is back.
            2 if round % 12 == 2 => {
                cluster.kill(node);
                cluster.kill((node + 1) % 3);
            }
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(100 + chance.below(400))).await;
        bridges[partition] = Some(start(partition));
        if round % 2 == 1 {
            (0..3).for_each(|node| cluster.revive_if_dead(node));
        }
    }
    (0..3).for_each(|node| cluster.revive_if_dead(node));

    let began = Instant::now();
    loop {
        let mut told = Truth::new();
        let mut revisions = BTreeMap::new();
        for log in taken.logs() {
            let (Some(class), Some(host), Some(line)) = (log.abort("class"), log.text("host"), log.text("message"))
            else {
                continue;
            };
            let (key, revision) = ((host, line), log.abort_integer("revision").unwrap_or(0));
            if revisions.get(&key).is_none_or(|known| *known <= revision) {
                revisions.insert(key.clone(), revision);
                told.insert(key, class);
            }
        }
        let wrong: Vec<_> = truth.iter().filter(|(key, truth)| told.get(*key) != Some(truth)).collect();
        if wrong.is_empty() && publishing.is_finished() {
            break;
        }
        assert!(
            began.elapsed() < LONG,
            "{} of {} aborts are missing or wrong (published: {}): {:#?}",
            wrong.len(),
            truth.len(),
            publishing.is_finished(),
            wrong.iter().take(3).map(|(key, truth)| (key, truth, told.get(*key))).collect::<Vec<_>>()
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    publishing.await.unwrap();
    aggregators.iter().for_each(tokio::task::JoinHandle::abort);
    drop((source, bridges));
}
