//! The filters of the configurations for Vector, compiled and run: they keep back nothing that tells why an abort came.

#![allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)] // Those rules are the core's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use abort_reason::{Config, Engine, Input, Source};
use serde_json::Value as Json;
use vrl::compiler::state::RuntimeState;
use vrl::compiler::{Context, Program, TargetValue, TimeZone, compile};
use vrl::value;
use vrl::value::{Secrets, Value};

const PREFIX: &str = "Nov 23 13:01:05 mx1 sendmail[14029]: 6AND15d3014029: ";

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every configuration, by its name.
fn configurations() -> BTreeMap<String, Json> {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let yaml = files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let value: Json = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path.file_stem().unwrap().to_string_lossy().into_owned(), value)
    };
    yaml.map(read).collect()
}

fn program(source: &str) -> Program {
    let compiled = compile(source, &vrl::stdlib::all()).unwrap_or_else(|errors| panic!("{source}\n{errors:?}"));
    assert!(compiled.warnings.is_empty(), "{source}\n{:?}", compiled.warnings);
    compiled.program
}

/// What the program makes of an event: its value.
fn resolve(program: &Program, event: Value) -> Value {
    let mut target =
        TargetValue { value: event, metadata: Value::Object(BTreeMap::new()), secrets: Secrets::default() };
    let (mut state, zone) = (RuntimeState::default(), TimeZone::default());
    program.resolve(&mut Context::new(&mut target, &mut state, &zone)).unwrap()
}

/// The filter `candidates` of a configuration.
struct Filter(Program);

impl Filter {
    fn of(configuration: &str) -> Filter {
        let all = configurations();
        let source = all[configuration]["transforms"]["candidates"]["condition"]["source"].as_str().unwrap();
        Filter(program(source))
    }

    fn mail(&self, line: &str) -> bool {
        let message = line.to_owned();
        resolve(&self.0, value!({ message: message, file: "/var/log/maillog", appname: "sendmail" })) == value!(true)
    }

    fn entry(&self, line: &str) -> bool {
        let message = line.to_owned();
        let event = value!({ message: message, file: "/opt/pmx6/var/log/message_log", appname: "pmx-message_log" });
        resolve(&self.0, event) == value!(true)
    }
}

#[test]
fn every_program_in_the_configurations_compiles() {
    let mut programs = 0;
    for configuration in configurations().values() {
        let transforms = configuration["transforms"].as_object().into_iter().flatten();
        for source in transforms.filter_map(|(_, transform)| {
            transform["source"].as_str().or_else(|| transform["condition"]["source"].as_str())
        }) {
            program(source);
            programs += 1;
        }
    }
    assert!(programs >= 4, "only {programs} programs");
}

#[test]
fn no_reason_of_the_table_is_kept_back() {
    let (one_host, agent, aggregator) = (Filter::of("one-host"), Filter::of("agent-nats"), Filter::of("aggregator"));
    let mut examples = 0;
    for reason in abort_reason::reasons::TABLE {
        let text = reason.example;
        for line in [
            format!("{PREFIX}{text}"),
            format!("2026-11-23T13:01:05.123+01:00 mx1 sendmail[9]: 6AND15d3014029: {text}"),
        ] {
            assert!(one_host.mail(&line) && agent.mail(&line), "kept back: {line}");
        }
        assert!(aggregator.mail(&format!("6AND15d3014029: {text}")), "kept back: {text}");
        examples += 1;
    }
    assert!(examples > 50, "only {examples} examples");
}

/// The expression by which mail lines are kept back.
fn ordinary(text: &str) -> &str {
    let (_, rest) = text.split_once("!match(line, r'").unwrap();
    rest.split_once("')").unwrap().0
}

/// What holds for the filters here holds for that of Fluent Bit: it is the same expression.
#[test]
fn fluent_bit_keeps_back_the_same() {
    let read = |file: &str| std::fs::read_to_string(folder().join(file)).unwrap();
    let (one_host, aggregator) = (read("one-host.yaml"), read("aggregator.yaml"));
    assert_eq!(ordinary(&read("agent-nats.yaml")), ordinary(&one_host));
    // There the head of the line is gone.
    let from_id = ordinary(&aggregator).strip_prefix('^').unwrap();
    assert!(from_id.starts_with("[0-9A-Za-z]{12}") && ordinary(&one_host).ends_with(from_id), "{from_id}");
    let config: Json = serde_saphyr::from_str(&read("../fluent-bit-config/filter-ordinary.yaml")).unwrap();
    let [filter] = &config["pipeline"]["filters"].as_array().unwrap()[..] else { panic!("{config}") };
    assert_eq!(filter["exclude"].as_str().unwrap(), format!("log {}", ordinary(&one_host)));
}

/// By them the bridge knows how far the logs have come, and how their clocks stand.
#[test]
fn a_hundredth_of_the_messages_crosses_whole() {
    for name in ["one-host", "agent-nats", "aggregator"] {
        let filter = Filter::of(name);
        let prefix = if name == "aggregator" { "" } else { "Nov 23 13:01:05 mx1 sendmail[14029]: " };
        let crosses = |n: usize| {
            let id = format!("6AND15d3{:06}", 14_000 + n);
            let mail = filter.mail(&format!("{prefix}{id}: to=<b@e.org>{SENT}"));
            let entry =
                filter.entry(&format!("2026-11-23T13:01:07 q={id} f=<c@e.org> t=<b@e.org> r=x tm=0.20 a=a/eom"));
            assert_eq!(mail, entry, "{id}");
            mail
        };
        assert_eq!((0..500).filter(|n| crosses(*n)).collect::<Vec<_>>(), [0, 100, 200, 300, 400], "{name}");
    }
}

const SENT: &str = ", delay=00:00:00, xdelay=00:00:00, mailer=local, pri=1, dsn=2.0.0, stat=Sent";
const TAKEN: &str = ", size=1, class=0, nrcpts=1, msgid=<1@e.org>";

#[test]
fn what_a_client_writes_keeps_nothing_back() {
    let filter = Filter::of("one-host");
    for text in [
        format!("to=<\"x{SENT}\"@e.org>, delay=00:00:00, pri=0, stat=RSET"),
        format!("to=<x({SENT})@e.org>, delay=00:00:00, pri=0, stat=RSET"),
        format!("to=<x\\{SENT}@e.org>, delay=00:00:00, pri=0, stat=Please try again later"),
        format!("to=<x>{SENT}>, delay=00:00:00, pri=0, stat=Headers too large (32768 max)"),
        format!("from=<\"a{TAKEN}\"@e.org>, size=0, class=0, nrcpts=1, proto=ESMTP, daemon=MTA, relay=x [192.0.2.1]"),
        format!("from=a({TAKEN})@e.org, size=0, class=0, nrcpts=1, proto=ESMTP, daemon=MTA, relay=x [192.0.2.1]"),
        format!("from=<a({TAKEN})@e.org>, size=0, class=0, nrcpts=1, proto=ESMTP, daemon=MTA, relay=x [192.0.2.1]"),
        // A client announces any size.
        "from=<a@e.org>, size=1158, class=0, nrcpts=1, proto=ESMTP, daemon=MTA, relay=x [192.0.2.1]".to_owned(),
        format!("lost input channel from x]: 6AND15d3014029: from=<a>{TAKEN} [192.0.2.1] to MTA after rcpt"),
        format!("lost input channel from x[1]: 6AND15d3014029: from=<a>{TAKEN} [192.0.2.1] to MTA after rcpt"),
    ] {
        assert!(filter.mail(&format!("{PREFIX}{text}")), "kept back: {text}");
        // Without a process id in brackets the first one is the client's.
        assert!(
            filter.mail(&format!("<22>1 2026-11-23T13:01:05Z mx1 sendmail 14029 - - 6AND15d3014029: {text}")),
            "{text}"
        );
    }
    // What is ordinary is kept back, or these cases would hold of nothing.
    for text in [format!("to=<b@e.org>{SENT}"), format!("from=<>{TAKEN}"), format!("to=<b@e.org>,<c@e.org>{SENT} (ok)")]
    {
        assert!(!filter.mail(&format!("{PREFIX}{text}")), "{text}");
    }
}

/// What the engine says of the aborts in some lines: class and reason by id.
fn told(lines: &[(bool, &str)]) -> BTreeMap<String, (Json, Json)> {
    let mut engine = Engine::new(&Config::from_json(r#"{"filter_names": ["PureMessage"]}"#).unwrap());
    for (is_mail, line) in lines {
        let source = if *is_mail { Source::Mail } else { Source::MessageLog };
        engine.push(source, Input::Line(line.as_bytes()), 0, 0);
    }
    engine.finish();
    let mut told = BTreeMap::new();
    while let Some(output) = engine.poll() {
        let record: Json = serde_json::from_slice(&output.data).unwrap();
        let abort = &record["abort"];
        if abort["kind"] == "abort" {
            told.insert(abort["id"].to_string(), (abort["class"].clone(), abort["reason"].clone()));
        }
    }
    told
}

#[test]
fn every_abort_of_the_corpus_has_the_same_reason_behind_the_filter() {
    let filter = Filter::of("one-host");
    let (mut aborts, mut lines, mut crossing) = (0, 0, 0);
    for scenario in std::fs::read_dir(folder().join("../tests/corpus")).unwrap() {
        let scenario = scenario.unwrap().path();
        if !scenario.is_dir() {
            continue;
        }
        let read = |name: &str| String::from_utf8_lossy(&std::fs::read(scenario.join(name)).unwrap()).into_owned();
        let entries = read("message_log");
        for form in ["maillog.bsd", "maillog.iso", "maillog.rfc5424"] {
            let mail = read(form);
            let all: Vec<(bool, &str)> =
                mail.lines().map(|line| (true, line)).chain(entries.lines().map(|line| (false, line))).collect();
            let across: Vec<(bool, &str)> = all
                .iter()
                .filter(|(is_mail, line)| if *is_mail { filter.mail(line) } else { filter.entry(line) })
                .copied()
                .collect();
            let (with, without) = (told(&across), told(&all));
            assert_eq!(with, without, "{} {form}", scenario.display());
            aborts += with.len();
            lines += all.len();
            crossing += across.len();
        }
    }
    assert!(aborts > 1_500, "only {aborts} aborts");
    assert!(crossing < lines, "{crossing} of {lines} cross: nothing is filtered");
}
