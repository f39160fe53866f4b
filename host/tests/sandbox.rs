//! The sandbox as a library: what the bridge and other hosts build on.

mod common;

use std::sync::LazyLock;

use abort_reason_host::sandbox::{Component, Disposition, Event, Limits, Sandbox, SandboxError, Source};
use common::{MAILLOG, MESSAGE_LOG, broken, component, record};

const CONFIG: &str = r#"{"filter_names": ["PureMessage"]}"#;

/// Compiling takes a while; instances are free.
static COMPONENT: LazyLock<Component> = LazyLock::new(|| Component::load(&component()).unwrap());

fn sandbox() -> Sandbox {
    COMPONENT.instantiate(CONFIG, Limits::default()).unwrap()
}

/// Lines as events with tickets from `first` on.
fn events(lines: &[&str], first: u64) -> Vec<Event> {
    let event = |(line, ticket): (&&str, u64)| Event { source: Source::Auto, ticket, data: record(line).into_bytes() };
    lines.iter().zip(first..).map(event).collect()
}

/// All that waits: the records, their tickets, and the tickets given back.
fn drain(sandbox: &mut Sandbox) -> (Vec<String>, Vec<u64>, Vec<u64>) {
    let (mut records, mut answered, mut released) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let batch = sandbox.poll(1).unwrap();
        for output in batch.outputs {
            records.push(String::from_utf8(output.data).unwrap());
            answered.push(output.ticket);
        }
        released.extend(batch.released);
        if !batch.more {
            return (records, answered, released);
        }
    }
}

#[test]
fn tickets_come_back_with_their_records() {
    let mut sandbox = sandbox();
    let mail: Vec<&str> = MAILLOG.lines().collect();
    let entries: Vec<&str> = MESSAGE_LOG.lines().collect();
    let dispositions = sandbox.push(&events(&[mail[0], entries[2], mail[2]], 1), 0).unwrap();
    // The evidence passes, but is needed; the abort is held; the ordinary line passes.
    assert_eq!(dispositions[0], Disposition::FORWARD | Disposition::KEEP);
    assert_eq!(dispositions[1], Disposition::KEEP);
    assert!(dispositions[2].contains(Disposition::FORWARD));
    // The host's clock is all that moves from here on.
    let mut now = 0;
    let (records, answered, _) = loop {
        let due = sandbox.poll_timeout().unwrap().expect("an abort waits");
        assert!(due > now || now == 0, "time stands still at {due}");
        now = due;
        sandbox.advance(now).unwrap();
        let drained = drain(&mut sandbox);
        if !drained.0.is_empty() {
            break drained;
        }
    };
    assert_eq!((records.len(), answered), (1, vec![2]));
    assert!(now < 60_000, "{now}");
    sandbox.finish().unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(&sandbox.stats().unwrap()).unwrap().is_object());
}

#[test]
fn an_instance_goes_on_from_the_snapshot_of_another() {
    let mail: Vec<&str> = MAILLOG.lines().collect();
    let entries: Vec<&str> = MESSAGE_LOG.lines().collect();
    let before = events(&[mail[0], entries[2]], 1);
    let after = events(&[entries[0], mail[2], entries[1]], 3);

    let mut one = sandbox();
    one.push(&before, 0).unwrap();
    let snapshot = one.snapshot().unwrap();
    one.push(&after, 10).unwrap();
    one.finish().unwrap();

    let mut other = sandbox();
    other.restore(&snapshot).unwrap();
    other.push(&after, 10).unwrap();
    other.finish().unwrap();
    assert_eq!(drain(&mut one), drain(&mut other));
}

#[test]
fn what_is_refused_is_said() {
    assert!(
        matches!(COMPONENT.instantiate("{\"x\": 1}", Limits::default()), Err(SandboxError::Refused(problem)) if problem.contains("unknown key"))
    );
    assert!(matches!(sandbox().restore(b"no snapshot"), Err(SandboxError::Refused(_))));
    assert!(matches!(Component::new(b"no component"), Err(SandboxError::Unfit(_))));
}

#[test]
fn an_instance_that_fails_leaves_the_others_alone() {
    let poisonable = broken::Bodies { push: broken::TRAPS_AT_POISON, ..broken::Bodies::default() }.component();
    let poisonable = Component::new(&poisonable).unwrap();
    let [mut one, mut other] = [(); 2].map(|()| poisonable.instantiate("{}", Limits::default()).unwrap());
    let event = |data: &str| [Event { source: Source::Auto, ticket: 1, data: data.into() }];
    assert!(matches!(one.push(&event("{\"poison\":1}"), 0), Err(SandboxError::Trapped(_))));
    assert_eq!(other.push(&event("{\"a\":1}"), 0).unwrap(), [Disposition::FORWARD]);
}
