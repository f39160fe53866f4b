//! `abort-reason bridge` between the two ends of a stand-in for Vector.

mod common;
#[path = "common/vector.rs"]
// Every test program uses its part of it.
#[allow(dead_code, unreachable_pub)]
mod vector;
#[path = "common/world.rs"]
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use common::{Folder, MAILLOG, MESSAGE_LOG, broken, http_get};
use prost::Message;
use rustix::process::Signal;
use tonic::Code;
use vector::{Bridge, Kind, Value, Wrapper, bridge, deliver, free_address, line, send};
use world::{CONFIG, LONG, World};

fn lines(text: &str, first: u64) -> Vec<Vec<u8>> {
    text.lines().zip(first..).map(|(text, number)| line(text.as_bytes(), number)).collect()
}

fn is_abort(log: &vector::Log) -> bool {
    log.fields.contains_key("abort")
}

#[tokio::test(flavor = "multi_thread")]
async fn aborts_leave_with_their_reason_and_the_rest_as_it_came() {
    let world = World::new();
    let (_source, _bridge) = (world.source().await, world.bridge());
    let mut events = lines(MAILLOG, 1);
    events.extend(lines(MESSAGE_LOG, 11));
    let odd = BTreeMap::from([
        ("message".to_owned(), Value { kind: Some(Kind::Bytes(b"caf\xe9".to_vec())) }),
        ("ratio".to_owned(), Value { kind: Some(Kind::Float(0.25)) }),
    ]);
    let odd = Wrapper { log: Some(vector::Log { fields: odd, metadata: None }), metric: None }.encode_to_vec();
    // A counter: a metric with a value.
    let metric = Wrapper { log: None, metric: Some(b"\x0a\x04mail\x2a\x00".to_vec()) }.encode_to_vec();
    events.extend([odd.clone(), metric.clone()]);
    deliver(world.listen, &events).await;
    let logs = world.until("two aborts", |logs| logs.iter().filter(|log| is_abort(log)).count() == 2).await;
    assert_eq!(world.taken.count(), events.len());
    let classes: Vec<_> = logs.iter().filter_map(|log| log.abort("class")).collect();
    assert_eq!(classes, ["filter_timeout", "unexplained"]);
    let sent: Vec<vector::Log> = events.iter().filter_map(|event| Wrapper::decode(&event[..]).unwrap().log).collect();
    for mut log in logs {
        log.fields.remove("abort");
        assert!(sent.contains(&log), "not as it came: {log:?}");
    }
    let taken = world.taken.events.lock().unwrap();
    assert!(taken.contains(&odd) && taken.contains(&metric), "bytes that only pass are the same bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_is_recognised() {
    let world = World::new();
    let (_source, _bridge) = (world.source().await, world.bridge());
    let first = lines(MAILLOG, 1);
    deliver(world.listen, &first).await;
    deliver(world.listen, &first).await;
    deliver(world.listen, &lines(MAILLOG, 2)).await;
    world.until("two requests", |logs| logs.len() >= 6).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.taken.count(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_destination_survives_a_kill() {
    let world = World::new();
    let events = lines(&format!("{MAILLOG}{MESSAGE_LOG}"), 1);
    for events in events.chunks(2) {
        // The destination is not there; each request is answered all the same, and the bridge killed.
        let bridge = world.bridge();
        deliver(world.listen, events).await;
        drop(bridge);
    }
    assert_eq!(world.taken.count(), 0);
    let (_source, _bridge) = (world.source().await, world.bridge());
    let logs = world.until("all events", |logs| logs.len() >= events.len()).await;
    let offsets: BTreeSet<i64> = logs.iter().filter_map(|log| log.integer("offset")).collect();
    assert_eq!(offsets, (1..=events.len() as i64).collect());
    let classes: Vec<_> = logs.iter().filter_map(|log| log.abort("class")).collect();
    assert_eq!(classes, ["filter_timeout", "unexplained"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_rejected_for_good_does_not_stop_the_rest() {
    let world = World::new();
    world.taken.script.lock().unwrap().poison = Some((Code::DataLoss, b"17aa".to_vec()));
    let (_source, _bridge) = (world.source().await, world.bridge());
    let mut events = lines(MAILLOG, 1);
    // What Vector's source would stop at goes the same way, before it gets there.
    let none = Value { kind: Some(Kind::Float(f64::NAN)) };
    let broken = vector::Log { fields: BTreeMap::from([("n".to_owned(), none)]), metadata: None };
    events.push(Wrapper { log: Some(broken), metric: None }.encode_to_vec());
    events.push(Wrapper { log: None, metric: Some(b"\x0a\x04mail".to_vec()) }.encode_to_vec());
    events.extend(lines("one more line", 9));
    deliver(world.listen, &events).await;
    world.until("three lines", |logs| logs.len() == 3).await;
    let letters = world.folder.path("state").join("dead-letters.ndjson");
    let began = Instant::now();
    while std::fs::read_to_string(&letters).unwrap_or_default().lines().count() < 3 {
        assert!(began.elapsed() < LONG, "no dead letters");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let letters = std::fs::read_to_string(letters).unwrap();
    assert!(letters.contains("a metric without a value"), "{letters}");
    assert!(letters.contains("NaN") && letters.contains("DataLoss: poison"), "{letters}");
    assert!(letters.contains("6AND17aa014031: from="), "{letters}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_the_destination_fails_at_does_not_stop_its_neighbours() {
    let world = World::new();
    world.taken.script.lock().unwrap().poison = Some((Code::Internal, b"POISON".to_vec()));
    let (_source, _bridge) = (world.source().await, world.bridge());
    deliver(world.listen, &lines("POISON\nneighbour", 1)).await;
    deliver(world.listen, &lines("later", 3)).await;
    world.until("the later one", |logs| logs.iter().any(|log| log.text("message").as_deref() == Some("later"))).await;
    // It takes some tries to tell an event's fault from the moment's.
    let began = Instant::now();
    while world.taken.count() < 2 {
        assert!(began.elapsed() < Duration::from_secs(100), "the neighbour waits");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    world.taken.script.lock().unwrap().poison = None;
    let began = Instant::now();
    while world.taken.count() < 3 {
        assert!(began.elapsed() < Duration::from_secs(100), "it is not tried again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_too_large_for_the_next_bridge_is_put_aside() {
    let (first, second) = (World::new(), World::new());
    let _source = second.source().await;
    let _second = Bridge::start(second.command().args(["--max-request-bytes", "1000000"]));
    let config = first.folder.path("bridge.yaml");
    let mut command = bridge(first.listen, second.listen, &first.folder.path("state"), &config);
    let _first = Bridge::start(&mut command);
    for number in 0..10 {
        deliver(first.listen, &[line(&vec![b'x'; 1_200_000], number), line(b"beside", 100 + number)]).await;
    }
    deliver(first.listen, &lines("later", 200)).await;
    second.until("all but the large ones", |logs| logs.len() == 11).await;
    let letters = first.folder.path("state").join("dead-letters.ndjson");
    let began = Instant::now();
    while std::fs::read_to_string(&letters).unwrap_or_default().lines().count() != 10 {
        assert!(began.elapsed() < LONG, "not all of them are put aside");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_refuses_is_tried_again() {
    let world = World::new();
    world.taken.script.lock().unwrap().refuse = Some((Code::Internal, 2));
    let (_source, _bridge) = (world.source().await, world.bridge());
    deliver(world.listen, &lines(MAILLOG, 1)).await;
    world.until("all lines", |logs| logs.len() == 3).await;
    assert_eq!(world.taken.script.lock().unwrap().refuse, Some((Code::Internal, 0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_journal_refuses_and_loses_nothing() {
    let world = World::new();
    let mut command = world.command();
    command.args(["--journal-max-bytes", &(1 << 20).to_string()]);
    let _bridge = Bridge::start(&mut command);
    let text = "x".repeat(1_000);
    let batches: Vec<Vec<Vec<u8>>> =
        (0..40).map(|batch| (0..100).map(|at| line(text.as_bytes(), batch * 100 + at)).collect()).collect();
    deliver(world.listen, &batches[0]).await;
    let mut answers = BTreeSet::new();
    let mut refused = Vec::new();
    for events in &batches[1..] {
        if let Err(status) = send(world.listen, events).await {
            answers.insert(format!("{:?}", status.code()));
            refused.push(events);
        }
    }
    assert_eq!(answers, BTreeSet::from(["ResourceExhausted".to_owned()]));
    assert!((20..=39).contains(&refused.len()), "{} were refused", refused.len());
    let _source = world.source().await;
    for events in refused {
        deliver(world.listen, events).await;
    }
    let logs = world.until("all events", |logs| logs.len() >= 4_000).await;
    let offsets: BTreeSet<i64> = logs.iter().filter_map(|log| log.integer("offset")).collect();
    assert_eq!(offsets.len(), 4_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_delivers_and_ends_well() {
    let world = World::new();
    let (_source, mut bridge) = (world.source().await, world.bridge());
    deliver(world.listen, &lines(MAILLOG, 1)).await;
    bridge.signal(Signal::TERM);
    assert!(bridge.0.wait().unwrap().success());
    assert_eq!(world.taken.count(), 3);
    // The abort of what was learned before the stop is explained after it.
    let _bridge = world.bridge();
    deliver(world.listen, &lines(MESSAGE_LOG, 11)).await;
    let logs = world.until("two aborts", |logs| logs.iter().filter(|log| is_abort(log)).count() == 2).await;
    assert!(logs.iter().any(|log| log.abort("class").as_deref() == Some("filter_timeout")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_configuration_is_taken_and_a_wrong_one_is_not() {
    let world = World::new();
    let (_source, bridge) = (world.source().await, world.bridge());
    deliver(world.listen, &lines(MAILLOG, 1)).await;
    world.folder.file("bridge.yaml", "transform: {hold_secs: 99999999999}\n");
    bridge.signal(Signal::HUP);
    deliver(world.listen, &lines("a line", 21)).await;
    // The evidence is known also to a component with another configuration.
    world.folder.file("bridge.yaml", "transform: {filter_names: [Other], hold_secs: 0.2}\n");
    bridge.signal(Signal::HUP);
    tokio::time::sleep(Duration::from_millis(500)).await;
    deliver(world.listen, &lines(MESSAGE_LOG, 11)).await;
    let logs = world.until("two aborts", |logs| logs.iter().filter(|log| is_abort(log)).count() == 2).await;
    let told: Vec<_> = logs.iter().filter_map(|log| log.abort("reason")).collect();
    assert!(logs.len() >= 7, "{logs:?}");
    assert!(told.iter().all(|reason| reason.contains("timeout before data read")), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_instance_and_a_busy_port_are_refused() {
    let world = World::new();
    let _bridge = world.bridge();
    deliver(world.listen, &lines(MAILLOG, 1)).await;
    let mut other =
        bridge(free_address(), world.forward, &world.folder.path("state"), &world.folder.path("bridge.yaml"));
    common::run(&mut other).failed(69, &["another process uses it", "`state_dir` of its own"]);
    let mut other = bridge(world.listen, world.forward, &world.folder.path("other"), &world.folder.path("bridge.yaml"));
    common::run(&mut other).failed(69, &["cannot listen on", "`listen`"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_a_transform_goes_on_after_a_kill() {
    let world = World::new();
    let start = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_abort-reason"));
        command.args(["bridge", "--listen", &world.listen.to_string()]);
        command.args(["--forward", &format!("http://{}", world.forward), "--component"]).arg(common::example());
        command.arg("--state-dir").arg(world.folder.path("state"));
        Bridge::start(&mut command)
    };
    let bridge = start();
    deliver(world.listen, &lines("one\none\none", 1)).await;
    drop(bridge);
    let _bridge = start();
    deliver(world.listen, &lines("one\ntwo", 4)).await;
    let _source = world.source().await;
    let logs = world.until("three records", |logs| logs.len() >= 3).await;
    let told: Vec<_> = logs.iter().map(|log| (log.text("message").unwrap(), log.integer("repeated"))).collect();
    let expected = [("one", None), ("two", None), ("one", Some(3))].map(|(text, times)| (text.to_owned(), times));
    assert_eq!(BTreeSet::from_iter(told), BTreeSet::from(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_fills_no_journal() {
    let world = World::new();
    let mut command = world.command();
    command.args(["--journal-max-bytes", &(1 << 20).to_string()]);
    let (_source, _bridge) = (world.source().await, Bridge::start(&mut command));
    // Evidence is kept for aborts to come; that there is much of it is no reason to refuse any.
    let mail = |n: u64| {
        let text = format!(
            "Nov 23 13:01:05 mx1 sendmail[{n}]: 6AND15d3{n:06}: lost input channel from x [192.0.2.1] to MTA after rcpt"
        );
        line(format!("{text}{}", " ".repeat(1_000)).as_bytes(), n)
    };
    for batch in 0..40 {
        deliver(world.listen, &(batch * 100..batch * 100 + 100).map(mail).collect::<Vec<_>>()).await;
    }
    world.until("all lines", |logs| logs.len() >= 4_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_makes_vector_drop_a_batch() {
    let world = World::new();
    let mut command = world.command();
    command.args(["--max-request-bytes", "2000"]);
    let (_source, _bridge) = (world.source().await, Bridge::start(&mut command));
    deliver(world.listen, &lines("a line", 1)).await;
    let refused = send(world.listen, &[line(&[b'x'; 3_000], 2)]).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_in_the_middle_of_a_delivery_it_repeats_nothing() {
    let world = World::new();
    world.taken.script.lock().unwrap().dawdle = Duration::from_millis(400);
    let source = world.source().await;
    for round in 0..3_u64 {
        let mut command = world.command();
        command.args(["--drain-timeout-secs", "1", "--forward-concurrency", "2"]);
        let mut bridge = Bridge::start(&mut command);
        for batch in 0..10 {
            deliver(world.listen, &lines("a line\nanother", round * 100 + batch * 10)).await;
        }
        bridge.signal(if round == 1 { Signal::HUP } else { Signal::TERM });
        if round != 1 {
            assert!(bridge.0.wait().unwrap().success());
        }
        if round == 1 {
            tokio::time::sleep(Duration::from_millis(700)).await;
            bridge.signal(Signal::TERM);
            assert!(bridge.0.wait().unwrap().success());
        }
    }
    world.taken.script.lock().unwrap().dawdle = Duration::ZERO;
    let _bridge = world.bridge();
    world.until("all lines", |logs| logs.len() >= 60).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let logs = world.taken.logs();
    let offsets: BTreeSet<i64> = logs.iter().filter_map(|log| log.integer("offset")).collect();
    assert_eq!((offsets.len(), logs.len()), (60, 60));
    drop(source);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_traps_holds_nothing_back() {
    let whenever = [
        broken::Bodies { push: "unreachable", ..broken::Bodies::default() },
        // It keeps all it gets, and fails at letting time pass.
        broken::Bodies { advance: "unreachable", disposition: 2, ..broken::Bodies::default() },
    ];
    for bodies in whenever {
        let world = World::new();
        let (_source, _bridge) = (world.source().await, Bridge::start(&mut world.broken(&bodies)));
        deliver(world.listen, &lines(&format!("{MAILLOG}{MESSAGE_LOG}"), 1)).await;
        let logs = world.until("all lines", |logs| logs.len() >= 6).await;
        assert!(logs.iter().all(|log| !is_abort(log)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_snapshot_can_be_made_the_journal_stays_small() {
    let world = World::new();
    let bodies = broken::Bodies { snapshot: "unreachable", ..broken::Bodies::default() };
    let mut command = world.broken(&bodies);
    let (_source, _bridge) = (world.source().await, Bridge::start(command.args(["--journal-max-bytes", "1048576"])));
    for round in 0..10 {
        let events: Vec<_> = (0..40).map(|number| line(&vec![b'x'; 100_000], round * 100 + number)).collect();
        deliver(world.listen, &events).await;
    }
    // 40 MB went in.
    let size = std::fs::metadata(world.folder.path("state").join("journal.redb")).unwrap().len();
    assert!(size < 20 << 20, "{size}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_without_a_log_leave_nothing_in_the_journal() {
    let world = World::new();
    let api = free_address();
    let mut command = world.command();
    let (_source, _bridge) = (world.source().await, Bridge::start(command.args(["--api-listen", &api.to_string()])));
    let metric = Wrapper { log: None, metric: Some(b"\x0a\x04mail\x2a\x00".to_vec()) }.encode_to_vec();
    for _ in 0..50 {
        deliver(world.listen, std::slice::from_ref(&metric)).await;
    }
    let began = Instant::now();
    let figures = || http_get(api, "/metrics").unwrap_or_default();
    while !figures().contains("\nbuffer_byte_size 0\n") {
        assert!(began.elapsed() < LONG, "{}", figures());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(world.taken.count(), 50);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_written_ends_nothing() {
    let world = World::new();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let (_source, _bridge) = (world.source().await, Bridge::start(world.command().stderr(full)));
    deliver(world.listen, &lines("a line", 1)).await;
    world.until("it", |logs| logs.len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_cannot_be_is_refused() {
    let world = World::new();
    let (_source, bridge) = (world.source().await, world.bridge());
    deliver(world.listen, &lines("one", 1)).await;
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let garbage = world.folder.file("garbage.pem", "no certificate");
    for wrong in [
        format!("api_listen: {}", busy.local_addr().unwrap()),
        format!("tls_crt_file: {0}\ntls_key_file: {0}", garbage.display()),
    ] {
        world.folder.file("bridge.yaml", format!("{CONFIG}{wrong}\n"));
        bridge.signal(Signal::HUP);
        tokio::time::sleep(Duration::from_millis(500)).await;
        deliver(world.listen, &lines("two", 2)).await;
    }
    world.until("all lines", |logs| logs.len() >= 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};

    let world = World::new();
    // A file that may not grow is what a full disk is to the journal; the signal that comes with it is none's.
    let plain = world.command();
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(plain.get_program()).args(plain.get_args());
    let (_source, bridge) = (world.source().await, Bridge::start(&mut command));
    deliver(world.listen, &lines(MAILLOG, 1)).await;
    let room = |bytes| {
        let pid = Pid::from_raw(bridge.0.id() as i32);
        prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    };
    let journal = world.folder.path("state").join("journal.redb");
    room(Some(std::fs::metadata(journal).unwrap().len()));
    let large: Vec<Vec<u8>> = (0..100).map(|n| line("x".repeat(100_000).as_bytes(), 100 + n)).collect();
    let refused = send(world.listen, &large).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    room(None);
    deliver(world.listen, &large).await;
    deliver(world.listen, &lines(MESSAGE_LOG, 11)).await;
    let logs = world.until("all", |logs| logs.len() >= 106).await;
    let offsets: BTreeSet<i64> = logs.iter().filter_map(|log| log.integer("offset")).collect();
    assert_eq!((offsets.len(), logs.len()), (106, 106));
    assert!(logs.iter().any(|log| log.abort("class").as_deref() == Some("filter_timeout")));
}

/// An authority, and a certificate of its making for a bridge, as files: `ca.pem`, `crt.pem`, `key.pem`.
fn certificates(folder: &Folder) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    folder.file("ca.pem", params.self_signed(&key).unwrap().pem());
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    folder.file("crt.pem", leaf.pem());
    folder.file("key.pem", key.serialize_pem());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_bridges_speak_tls_and_compress() {
    let (first, second) = (World::new(), World::new());
    certificates(&second.folder);
    let file = |name: &str| second.folder.path(name);
    for coding in ["gzip", "zstd"] {
        let mut to_second = first.command();
        to_second.args(["--forward-compression", coding]);
        for (option, name) in [("ca", "ca.pem"), ("crt", "crt.pem"), ("key", "key.pem")] {
            to_second.arg(format!("--forward-tls-{option}-file")).arg(file(name));
        }
        let mut guarded = second.command();
        for (option, name) in [("ca", "ca.pem"), ("crt", "crt.pem"), ("key", "key.pem")] {
            guarded.arg(format!("--tls-{option}-file")).arg(file(name));
        }
        // The second one's address, by TLS.
        first.folder.file("bridge.yaml", CONFIG);
        let args: Vec<_> = to_second.get_args().map(|arg| arg.to_string_lossy().into_owned()).collect();
        let plain = format!("http://{}", first.forward);
        let args = args.iter().map(|arg| arg.replace(&plain, &format!("https://{}", second.listen)));
        let mut to_second = common::program();
        let (_source, _second) = (second.source().await, Bridge::start(&mut guarded));
        let _first = Bridge::start(to_second.args(args));
        let before = second.taken.count();
        deliver(first.listen, &lines(&format!("{MAILLOG}{MESSAGE_LOG}"), if coding == "gzip" { 1 } else { 100 })).await;
        let aborts = |logs: &[vector::Log]| logs.iter().filter(|log| is_abort(log)).count();
        second.until("all events", |logs| logs.len() >= before + 4 && aborts(logs) >= 2).await;
        // Who has no certificate is not let in.
        send(second.listen, &lines("a line", 50)).await.unwrap_err();
    }
    assert!(second.taken.logs().iter().all(|log| log.integer("offset") != Some(50)));
}
