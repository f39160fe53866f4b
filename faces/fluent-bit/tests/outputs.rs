//! The shipped configurations on a real Fluent Bit: each is accepted, and each output brings every abort to a server that
//! speaks as much of its protocol as Fluent Bit needs.
//!
//! Where no Fluent Bit is named by `FLUENT_BIT` or found on `PATH`, the tests say that they were skipped.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "runs a program over files"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use running::{Running, SHIPPED, VARIABLES, classes, fluent_bit, last_classes, native, wait, with_filter};
use serde_json::{Value, json};
use tiny_http::{Response, Server};

mod host;
mod running;

const ELASTICSEARCH: &str = include_str!("../../../fluent-bit-config/outputs-elasticsearch.yaml");
const LOKI: &str = include_str!("../../../fluent-bit-config/outputs-loki.yaml");
const SPLUNK: &str = include_str!("../../../fluent-bit-config/outputs-splunk.yaml");

/// A server that takes every request and answers all alike: its port, and path and body of what comes.
fn server(answer: &'static str) -> (u16, Receiver<(String, String)>) {
    let server = Server::http("127.0.0.1:0").expect("a server");
    let port = server.server_addr().to_ip().expect("an address").port();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for mut request in server.incoming_requests() {
            let mut body = String::new();
            request.as_reader().read_to_string(&mut body).expect("text");
            let came = (request.url().to_owned(), body);
            let _ = request.respond(Response::from_string(answer));
            if sender.send(came).is_err() {
                return;
            }
        }
    });
    (port, receiver)
}

/// The outputs of a shipped file, sending to a port of this machine.
fn outputs(shipped: &str, port: u16) -> String {
    let (_, outputs) = shipped.split_once("  outputs:\n").expect("outputs");
    let line = |line: &str| match line.trim_start().split_once(": ").map(|(key, _)| key) {
        Some("host") => "      host: 127.0.0.1\n".to_owned(),
        Some("port") => format!("      port: {port}\n"),
        Some("tls") => String::new(),
        _ => format!("{line}\n"),
    };
    outputs.lines().map(line).collect()
}

/// Runs the corpus's `mixed` through an output, until all aborts have come: what has come.
fn sent(program: &Path, shipped: &str, answer: &'static str, read: impl Fn(&str, &str) -> Vec<Value>) -> Vec<Value> {
    let scenario = host::scenarios().into_iter().find(|folder| folder.ends_with("mixed")).expect("the scenario");
    let (port, requests) = server(answer);
    let running = Running::start_with(program, &host::module_path(), &outputs(shipped, port));
    for (name, file) in [("maillog", "maillog.bsd"), ("message_log", "message_log")] {
        running.write(name, &fs::read(scenario.join(file)).expect(file));
    }
    let expected = native(&scenario);
    let mut came: Vec<Value> = Vec::new();
    wait(|| {
        while let Ok((path, body)) = requests.recv_timeout(Duration::from_millis(100)) {
            came.extend(read(&path, &body));
        }
        told(&came).len() == expected.len()
    });
    assert_eq!(last_classes(told(&came)), last_classes(expected));
    assert_eq!(running.stop(), Vec::<String>::new());
    came
}

/// The classes of the aborts among records that came.
fn told(came: &[Value]) -> BTreeMap<String, (String, usize)> {
    classes(&came.iter().map(Value::to_string).collect::<Vec<_>>())
}

#[test]
fn elasticsearch_gets_a_document_for_each_abort() {
    let Some(program) = fluent_bit() else { return };
    let answer = r#"{"took":1,"errors":false,"items":[]}"#;
    let documents = sent(&program, ELASTICSEARCH, answer, |path, body| {
        assert!(path.starts_with("/_bulk"), "{path}");
        let lines: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let documents = lines.chunks(2).map(|pair| {
            let document = &pair[1]["doc"];
            // What comes again, or later, takes the place of what came first.
            assert_eq!(pair[0]["update"]["_id"], document["abort"]["id"]);
            assert_eq!((&pair[0]["update"]["_index"], &pair[1]["doc_as_upsert"]), (&json!("pmx-aborts"), &json!(true)));
            document.clone()
        });
        documents.collect()
    });
    assert!(documents.iter().all(|document| document["@timestamp"].is_string()));
}

#[test]
fn loki_gets_lines_under_few_labels() {
    let Some(program) = fluent_bit() else { return };
    sent(&program, LOKI, "", |path, body| {
        assert_eq!(path, "/loki/api/v1/push");
        let body: Value = serde_json::from_str(body).expect("JSON");
        let streams = body["streams"].as_array().expect("streams");
        let lines = streams.iter().flat_map(|stream| {
            stream["values"].as_array().expect("values").iter().map(|value| {
                let mut line: Value = serde_json::from_str(value[1].as_str().expect("a line")).expect("JSON");
                let labels = stream["stream"].as_object().expect("labels");
                assert!(labels.keys().all(|name| ["job", "class", "fault", "ignorable"].contains(&name.as_str())));
                // What is a label is no longer in the line.
                assert_eq!((&line["abort"]["class"], &labels["job"]), (&Value::Null, &json!("abort-reason")));
                line["abort"]["class"] = labels["class"].clone();
                line
            })
        });
        lines.collect()
    });
}

#[test]
fn splunk_gets_an_event_for_each_abort() {
    let Some(program) = fluent_bit() else { return };
    sent(&program, SPLUNK, r#"{"text":"Success","code":0}"#, |path, body| {
        assert!(path.starts_with("/services/collector"), "{path}");
        let events = serde_json::Deserializer::from_str(body).into_iter::<Value>();
        let events = events.map(|event| {
            let event = event.expect("JSON");
            assert_eq!((&event["sourcetype"], &event["index"]), (&json!("pmx:abort"), &json!("mail")));
            event["event"].clone()
        });
        events.collect()
    });
}

/// Every file is accepted: those that hold a part together with what they belong to.
#[test]
fn every_configuration_is_accepted() {
    let Some(program) = fluent_bit() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("state")).expect("a folder");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fluent-bit-config");
    let (before_outputs, _) = SHIPPED.split_once("  outputs:").expect("outputs");
    let (service, behind) = SHIPPED.split_once("  inputs:").expect("inputs");
    let (_, filters) = behind.split_once("  filters:").expect("filters");
    let part = |text: &str, name: &str| text.split_once(name).expect("a section").1.to_owned();
    let mut tried = 0;
    for entry in fs::read_dir(&shipped).expect("the configurations") {
        let path = entry.expect("a file").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let text = fs::read_to_string(&path).expect("text");
        let text = match name.as_str() {
            "README.md" => continue,
            name if name.starts_with("outputs-") => {
                before_outputs.to_owned() + "  outputs:" + &part(&text, "  outputs:")
            }
            name if name.starts_with("filter-") => with_filter(&text),
            name if name.starts_with("inputs-") => {
                format!("{service}  inputs:{}  filters:{filters}", part(&text, "  inputs:"))
            }
            _ => text,
        };
        let state = folder.path().join("state").display().to_string();
        let text = text
            .replace("/etc/fluent-bit/abort_reason_fluent_bit.wasm", &host::module_path().display().to_string())
            .replace("/var/lib/fluent-bit/abort-reason\n", &format!("{state}\n"))
            .replace("/var/lib/fluent-bit/", &format!("{state}/"));
        let file = folder.path().join(&name);
        fs::write(&file, text).expect("a file");
        let ran = Command::new(&program)
            .args(["--dry-run", "-c"])
            .arg(&file)
            .envs(VARIABLES.map(|name| (name, "x")))
            .output()
            .expect("fluent-bit");
        let said = String::from_utf8_lossy(&ran.stderr).into_owned() + &String::from_utf8_lossy(&ran.stdout);
        // A Fluent Bit that was built without an optional plugin can't say anything of the rest.
        if said.contains("tried to instance a plugin name that doesn't exist") {
            eprintln!("\n!! SKIPPED: this Fluent Bit lacks a plugin of {name}.\n{said}");
            continue;
        }
        assert!(ran.status.success() && said.contains("test is successful"), "{name}: {said}");
        tried += 1;
    }
    assert!(tried >= 5, "only {tried} were tried");
}
