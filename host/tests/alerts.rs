//! The alerts that are shipped, over the metrics of a bridge, in a real Prometheus: those that must fire do, and no others.
//! Prometheus is taken from `PROMETHEUS` or from `PATH`; where there is none, this says so and tests nothing.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, clippy::disallowed_types, reason = "runs programs")]

mod common;
#[path = "common/vector.rs"]
// Every test program uses its part of it.
#[allow(dead_code, unreachable_pub)]
mod vector;

use std::collections::BTreeSet;
use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Folder, Running, host_program, http_get};
use vector::{Bridge, Source, Taken, bridge, deliver, free_address, line};

/// The alerts that fire.
fn firing(prometheus: SocketAddr) -> BTreeSet<String> {
    let answer = http_get(prometheus, "/api/v1/alerts").unwrap_or_default();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap_or_default();
    let alerts = answer["data"]["alerts"].as_array().cloned().unwrap_or_default();
    let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
    firing.map(|alert| alert["labels"]["alertname"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Lines of sendmail's and of `message_log` about a message, each an event of its own.
fn events(number: u64, lines: &[&str]) -> Vec<Vec<u8>> {
    let id = format!("6AND15{:02}{:06}", number, 14_000 + number);
    let lines = lines.iter().map(|text| text.replace("PID", &format!("{}", 14_000 + number)).replace("ID", &id));
    (0..).zip(lines).map(|(at, text)| line(text.as_bytes(), 100 * number + at)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_and_slow_answers_fire_and_nothing_else() {
    let Some(program) = host_program("PROMETHEUS", "prometheus") else {
        eprintln!("\n!! SKIPPED: no prometheus on PATH, and PROMETHEUS names none. No alert was tried.\n");
        return;
    };
    let folder = Folder::new();
    let (listen, forward, api, web) = (free_address(), free_address(), free_address(), free_address());
    let config = format!("api_listen: {api}\ntransform: {{filter_names: [PureMessage], hold_secs: 0.3}}\n");
    let taken = Taken::default();
    let _source = Source::start(forward, &taken).await;
    let config = folder.file("bridge.yaml", config);
    let _bridge = Bridge::start(&mut bridge(listen, forward, &folder.path("state"), &config));

    let alerts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../siem/prometheus/alerts.yml");
    let settings = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{}]\nscrape_configs:\n  - \
         job_name: abort-reason-bridge\n    static_configs: [{{targets: ['{api}']}}]\n",
        alerts.canonicalize().unwrap().display()
    );
    let settings = folder.file("prometheus.yml", settings);
    let log = File::create(folder.path("log")).unwrap();
    let mut command = Command::new(program);
    command.arg(format!("--config.file={}", settings.display()));
    command.arg(format!("--storage.tsdb.path={}", folder.path("data").display()));
    command
        .arg(format!("--web.listen-address={web}"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    let _prometheus = Running(command.spawn().unwrap());

    let until = async |what: &str, holds: &dyn Fn() -> bool| {
        let end = Instant::now() + Duration::from_mins(1);
        while !holds() {
            let log = || std::fs::read_to_string(folder.path("log")).unwrap_or_default();
            assert!(Instant::now() < end, "{what}: {:?}\n{}", firing(web), log());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    // An ordinary message, and time for Prometheus to see the counters as they are.
    let ordinary = "from=<a@example.org>, size=9, class=0, nrcpts=1, msgid=<x@y>, proto=ESMTP, relay=z [192.0.2.1]";
    let ordinary = format!("Nov 23 13:01:05 mx1 sendmail[PID]: ID: {ordinary}");
    deliver(listen, &events(0, &[&ordinary, "2026-11-23T13:01:05 q=ID f=<a@example.org> tm=0.10 a=a/eom"])).await;
    let seen = || {
        let query = "/api/v1/query?query=count_over_time(transform_stat%7Bcounter=%22records%22%7D%5B1m%5D)%20%3E%202";
        http_get(web, query).is_some_and(|answer| answer.contains(r#""value""#))
    };
    until("no counter was seen", &seen).await;
    assert_eq!(firing(web), BTreeSet::new());

    // Refused for a while: neither an entry nor a record. Then eight answers that came too late.
    for number in 1..3 {
        let refused = "Milter (PureMessage): error connecting to filter: Connection refused by localhost";
        deliver(listen, &events(number, &[&format!("Nov 23 13:01:06 mx1 sendmail[PID]: ID: {refused}")])).await;
    }
    for number in 3..11 {
        let late = "Milter (PureMessage): timeout before data read, where=rcpt";
        let late = format!("Nov 23 13:01:07 mx1 sendmail[PID]: ID: {late}");
        deliver(listen, &events(number, &[&late, "2026-11-23T13:01:09 q=ID f=<a@example.org> tm=4.00 a=c/abort"]))
            .await;
    }
    let expected = BTreeSet::from(["PmxFilterTimeouts".to_owned(), "PmxFilterUnreachable".to_owned()]);
    until("not what should fire", &|| firing(web) == expected).await;
    // And stay the only ones.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(firing(web), expected);
    assert!(taken.count() >= 8, "{} records", taken.count());
}
