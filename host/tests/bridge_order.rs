//! `abort-reason bridge` sends what it has to say of one abort in the order in which it says it.

mod common;
#[path = "common/vector.rs"]
// Every test program uses its part of it.
#[allow(dead_code, unreachable_pub)]
mod vector;
#[path = "common/world.rs"]
#[allow(dead_code)]
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use vector::{Log, deliver, line};
use world::World;

/// What waits for the destination is tried again after some time, each by itself; a later word comes when it is there again.
#[tokio::test(flavor = "multi_thread")]
async fn a_later_word_never_comes_first() {
    let world = World::new();
    let _bridge = world.bridge();
    let id = |n: u64| format!("6AND15d301402{n}");
    for n in 0..6 {
        let abort = format!("2026-11-23T13:01:06 q={} f=<a@example.org> t=<b@example.net> tm=1.04 a=c/abort", id(n));
        deliver(world.listen, &[line(abort.as_bytes(), 10 + n)]).await;
        // It is issued without a reason, in a request of its own.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let _source = world.source().await;
    for n in 0..6 {
        let reason = format!(
            "Nov 23 13:01:05 mx1 sendmail[1402{n}]: {}: Milter (PureMessage): timeout before data read, where=rcpt",
            id(n)
        );
        deliver(world.listen, &[line(reason.as_bytes(), 20 + n)]).await;
    }
    let of = |log: &Log| Some((log.abort("queue_id")?, log.abort_integer("revision")?));
    let logs = world.until("two words on each", |logs| logs.iter().filter_map(of).count() == 12).await;
    let mut words: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    logs.iter().filter_map(of).for_each(|(id, revision)| words.entry(id).or_default().push(revision));
    assert!(words.len() == 6 && words.values().all(|words| *words == [0, 1]), "{words:?}");
}
