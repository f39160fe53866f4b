//! Events a second through the bridge with every line crossing it, and its CPU time for each: `cargo bench --bench bridge`.
//!
//! Two logs, `MAILLOG` and `MESSAGE_LOG`, or made-up ones, go from a stand-in for Vector's sink through the release build
//! of the bridge to a stand-in for its source, which takes everything at once. All three share the machine.

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/common/vector.rs"]
#[allow(dead_code, unreachable_pub)]
mod vector;

use std::time::Instant;

use common::Folder;
use tokio::task::JoinSet;
use vector::{Bridge, Source, Taken, bridge, deliver, free_address, line};

const REQUEST: usize = 1_000;
const CONCURRENCY: usize = 8;

fn logs() -> Vec<Vec<u8>> {
    let named = ["MAILLOG", "MESSAGE_LOG"].map(|name| std::env::var(name).ok());
    let texts: Vec<String> = named.into_iter().flatten().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    if texts.is_empty() {
        let made = |n: u64| {
            let id = format!("6AND{:02}{:02}{:06}", n / 60 % 60, n % 60, n % 1_000_000);
            let text = format!(
                "Nov 23 13:01:05 mx1 sendmail[{}]: {id}: from=<user{n}@example.org>, size={}, class=0, nrcpts=1, msgid=<{n}@mail.example.org>, proto=ESMTP, daemon=MTA, relay=host{n}.example.org [192.0.2.7]",
                n % 1_000_000,
                n % 50_000 + 1
            );
            line(text.as_bytes(), n)
        };
        return (0..400_000).map(made).collect();
    }
    texts.iter().flat_map(|text| text.lines()).zip(0..).map(|(text, n)| line(text.as_bytes(), n)).collect()
}

/// CPU seconds of a process, in user and system mode.
fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

#[tokio::main]
async fn main() {
    let events = logs();
    let folder = Folder::new();
    let config = folder.file("bridge.yaml", "transform: {filter_names: [PureMessage], hold_secs: 0.1}\n");
    let (listen, forward, taken) = (free_address(), free_address(), Taken::default());
    let _source = Source::start(forward, &taken).await;
    let running = Bridge::start(&mut bridge(listen, forward, &folder.path("state"), &config));
    deliver(listen, &events[..1]).await;
    let (began, cpu_before) = (Instant::now(), cpu(running.0.id()));
    let mut under_way = JoinSet::new();
    for request in events[1..].chunks(REQUEST) {
        while under_way.len() >= CONCURRENCY {
            under_way.join_next().await;
        }
        let request = request.to_vec();
        under_way.spawn(async move { deliver(listen, &request).await });
    }
    while under_way.join_next().await.is_some() {}
    let answered = began.elapsed();
    while taken.count() < events.len() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let (all, cpu) = (began.elapsed(), cpu(running.0.id()) - cpu_before);
    let number = events.len() as f64;
    println!("{} events", events.len());
    println!(
        "{:.0} events/s answered, {:.0} events/s through",
        number / answered.as_secs_f64(),
        number / all.as_secs_f64()
    );
    println!("{:.2} us of the bridge's CPU for each event", cpu / number * 1e6);
}
