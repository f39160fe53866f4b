//! Pipelines deliver at least once: what comes again changes no reason.
#![allow(clippy::disallowed_macros, reason = "a test")]

use abort_reason::{Config, Engine, Input, Source};

/// A refused MAIL keeps the queue id for the message that follows, which the client leaves.
const LINES: [&str; 4] = [
    "2026-11-23T13:01:06.105352+00:00 mx1 sendmail[14041]: 6AND15X9014041: Milter: from=<hugo@someplace.net>, reject=550 5.7.1 Command rejected",
    "2026-11-23T13:01:06.490278+00:00 mx1 sendmail[14041]: 6AND15X9014041: lost input channel from host99.dyn.example.edu [203.0.113.99] to MTA after rcpt",
    "2026-11-23T13:01:06 q=6AND15X9014041 f=<hugo@someplace.net> r=host99.dyn.example.edu tm=0.00 a=r/envfrom",
    "2026-11-23T13:01:06 q=6AND15X9014041 f=<frank@mail.example.edu> t=<eve@example.net> r=host99.dyn.example.edu tm=0.34 a=c/abort",
];

#[test]
fn what_is_delivered_again_changes_no_reason() {
    for order in [
        vec![0, 1, 2, 3],
        vec![0, 1, 2, 3, 2, 3],
        vec![2, 3, 2, 3, 0, 1],
        vec![0, 1, 2, 3, 0, 1, 2],
        vec![0, 2, 1, 0, 2, 3, 2],
    ] {
        let mut engine = Engine::new(&Config::default());
        for at in &order {
            engine.push(Source::Auto, Input::Line(LINES[*at].as_bytes()), 0, 0);
        }
        engine.finish();
        let issued: Vec<String> = std::iter::from_fn(|| engine.poll())
            .map(|output| String::from_utf8_lossy(&output.data).into_owned())
            .collect();
        let last = issued.last().unwrap();
        assert!(last.contains(r#""class":"peer_disconnected""#), "{order:?}: {last}");
    }
}
