//! What holds of an engine whatever it is given; for the tests and for the fuzzer.

use std::collections::BTreeSet;

use abort_reason::{Config, Engine, Input, Source};

/// With small tables, which are quick to make.
const CONFIGS: [&str; 4] = [
    r#"{"limits":{"seen_ids":64}}"#,
    r#"{"filter_names":["PureMessage"],"hold_secs":1,"unlogged":true,"limits":{"seen_ids":64}}"#,
    r#"{"mode":"annotate","others":"drop","limits":{"seen_ids":64}}"#,
    r#"{"limits":{"messages":16,"per_message":8,"join_bytes":65536,"seen_ids":16}}"#,
];

/// Pushes lines and records, one for each line of `data`; the first byte chooses the configuration and when to restart.
/// Nothing panics; every record that leaves is a JSON object with an `abort`, or one that came in; every ticket that was
/// kept comes back, and once.
pub fn anything(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    let config = Config::from_json(CONFIGS[usize::from(first % 4)]).expect("a configuration");
    let restart = usize::from(first / 4);
    let mut engine = Engine::new(&config);
    let (mut kept, mut back, mut came) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
    let mut take = |engine: &mut Engine, came: &BTreeSet<Vec<u8>>| {
        for output in std::iter::from_fn(|| engine.poll()) {
            let value: serde_json::Value = serde_json::from_slice(&output.data).expect("a record");
            let text = String::from_utf8_lossy(&output.data);
            assert!(value["abort"].is_object() || came.contains(&output.data), "{text}");
        }
        back.extend(std::iter::from_fn(|| engine.poll_released()));
    };
    for (at, line) in data.split(|b| *b == b'\n').enumerate() {
        let (input, record) = if line.first() == Some(&b'{') {
            (Input::Record(line), line.to_vec())
        } else {
            let text = serde_json::Value::from(String::from_utf8_lossy(line));
            (Input::Line(line), format!("{{\"message\":{text}}}").into_bytes())
        };
        let ticket = at as u64 + 1;
        if engine.push(Source::Auto, input, ticket, at as u64 * 300).keep {
            kept.insert(ticket);
            came.insert(record);
        }
        take(&mut engine, &came);
        if at == restart {
            let snapshot = engine.snapshot();
            engine = Engine::new(&config);
            engine.restore(&snapshot).expect("a snapshot of its own");
        }
    }
    engine.finish();
    take(&mut engine, &came);
    let tickets: BTreeSet<u64> = back.iter().copied().collect();
    assert_eq!(tickets.len(), back.len(), "a ticket came back twice");
    assert_eq!(tickets, kept, "tickets that came back, and those that were kept");
}
