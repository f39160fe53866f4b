//! Strangers write what they like into every field of an SMTP session: no class and no outcome ever comes of it. The seed is
//! fixed; `PROPTEST_RNG_SEED` and `PROPTEST_CASES` ask for others.

#![allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)] // Those rules are the core's.

mod support;

use abort_reason::{Input, Source};
use abort_reason_simulator::stranger::{CLIENT, address, noise, printed, refusal, sender, words};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use support::{Host, config, last_revisions, text};

fn settings() -> ProptestConfig {
    let defaults = ProptestConfig::default();
    ProptestConfig {
        cases: if std::env::var_os("PROPTEST_CASES").is_some() { defaults.cases } else { 4_000 },
        rng_seed: if defaults.rng_seed == RngSeed::Random { RngSeed::Fixed(20_261_124) } else { defaults.rng_seed },
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..defaults
    }
}

/// What was really done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Truth {
    TimeoutAtMail,
    TimeoutAtRcpt,
    TimeoutAtEom,
    /// With an empty `F=`.
    TimeoutDelivered,
    Reset,
    Lost,
    Silent,
    LostInData,
    SilentInData,
}

const TRUTHS: [Truth; 9] = [
    Truth::TimeoutAtMail,
    Truth::TimeoutAtRcpt,
    Truth::TimeoutAtEom,
    Truth::TimeoutDelivered,
    Truth::Reset,
    Truth::Lost,
    Truth::Silent,
    Truth::LostInData,
    Truth::SilentInData,
];

/// The fields of a session that a client fills.
#[derive(Debug, Clone)]
struct Fields {
    from: Vec<u8>,
    to: Vec<u8>,
    message_id: Vec<u8>,
    /// Its last error, which stands in `stat=` if the message is refused.
    error: Option<String>,
    noise: Vec<(prop::sample::Index, Vec<String>)>,
}

fn fields() -> impl Strategy<Value = Fields> {
    let error = prop::option::of((words(), 0..10usize).prop_map(|(words, error)| refusal(&words, error)));
    let noise = prop::collection::vec((any::<prop::sample::Index>(), noise()), 0..4);
    (address(), address(), words(), error, noise).prop_map(|(from, to, message_id, error, noise)| Fields {
        from,
        to,
        message_id,
        error,
        noise,
    })
}

impl Truth {
    fn class(self) -> &'static str {
        match self {
            Truth::TimeoutAtMail | Truth::TimeoutAtRcpt | Truth::TimeoutAtEom | Truth::TimeoutDelivered => {
                "filter_timeout"
            }
            Truth::Reset => "client_ended",
            Truth::Lost | Truth::LostInData => "peer_disconnected",
            Truth::Silent | Truth::SilentInData => "peer_timeout",
        }
    }

    fn outcome(self) -> &'static str {
        match self {
            Truth::TimeoutAtMail | Truth::TimeoutAtRcpt | Truth::TimeoutAtEom => "tempfailed",
            Truth::TimeoutDelivered => "delivered_unscanned",
            _ => "not_received",
        }
    }

    /// sendmail's lines, each behind the queue id.
    fn lines(self, fields: &Fields) -> Vec<String> {
        let (from, to) = (sender(&fields.from), printed(&fields.to));
        let message_id = printed(&fields.message_id[..fields.message_id.len().min(100)]);
        let tail = format!("proto=ESMTP, daemon=MTA, relay={CLIENT}");
        let received = format!("from={from}, size=900, class=0, nrcpts=1, msgid={message_id}, {tail}");
        let ended = |recipients: u8| format!("from={from}, size=0, class=0, nrcpts={recipients}, {tail}");
        let again = "reject=451 4.3.2 Please try again later";
        let timeout = |stage: &str| {
            ["timeout before data read, where=".to_owned() + stage, "to error state".to_owned()]
                .map(|text| format!("Milter (PureMessage): {text}"))
        };
        let lost = || format!("lost input channel from {CLIENT} to MTA after rcpt");
        let in_data =
            |info: &str| format!("collect: relay=relay.example.com, from={}, info={info}", printed(&fields.from));
        // In an error text the address has lost its highest bits.
        let silent: Vec<u8> = fields.from.iter().map(|byte| byte & 0x7f).collect();
        match self {
            Truth::TimeoutAtMail => {
                [&timeout("mail")[..], &[format!("Milter: from={}, {again}", printed(&fields.from)), ended(0)]].concat()
            }
            Truth::TimeoutAtRcpt => [&timeout("rcpt")[..], &[format!("Milter: to={to}, {again}"), ended(0)]].concat(),
            Truth::TimeoutAtEom => {
                let stat = fields.error.as_deref().unwrap_or("Please try again later");
                let refused = format!("to={to}, delay=00:00:02, pri=30014, stat={stat}");
                [&[received][..], &timeout("eom"), &[format!("Milter: data, {again}"), refused]].concat()
            }
            Truth::TimeoutDelivered => {
                let sent =
                    format!("to={to}, delay=00:00:02, xdelay=00:00:00, mailer=local, pri=30014, dsn=2.0.0, stat=Sent");
                [&[received][..], &timeout("eom"), &[sent]].concat()
            }
            Truth::Reset => vec![ended(1)],
            Truth::Lost => vec![lost(), ended(1)],
            Truth::Silent => {
                let silent = "timeout waiting for input from relay.example.com during server cmd read";
                vec![silent.to_owned(), lost(), ended(1)]
            }
            Truth::LostInData => {
                vec!["collect: premature EOM: unexpected close".to_owned(), in_data("unexpected close"), ended(1)]
            }
            Truth::SilentInData => {
                let from = printed(&silent).replace("... ", "..._");
                vec![
                    format!("SYSERR(root): collect: relay=relay.example.com, from={from}, info=read timeout"),
                    ended(1),
                ]
            }
        }
    }
}

const ID: &str = "6AND15d3014029";

fn check(truth: Truth, fields: &Fields, entry_first: bool) -> Result<(), TestCaseError> {
    let mut lines: Vec<String> = truth.lines(fields).into_iter().map(|line| format!(": {line}")).collect();
    for (place, noise) in &fields.noise {
        // What a client says, it says before sendmail ends the session.
        let place = place.index(lines.len());
        lines.splice(place..place, noise.iter().cloned());
    }
    let mut entry = format!("2026-11-23T13:01:09 q={ID} f=").into_bytes();
    entry.extend(&fields.from);
    // Where MAIL is refused, nobody hears of a recipient.
    if !matches!(truth, Truth::TimeoutAtMail) {
        entry.extend(b" t=");
        entry.extend(&fields.to);
    }
    entry.extend(b" r=relay.example.com tm=6.04 a=c/abort");
    let mut host = Host::new(&config(r#"{"filter_names": ["PureMessage"], "unlogged": true}"#));
    if entry_first {
        host.push(Source::Auto, Input::Line(&entry));
    }
    for line in &lines {
        host.line(&format!("Nov 23 13:01:09 mx1 sendmail[14029]: {ID}{line}"));
    }
    if !entry_first {
        host.push(Source::Auto, Input::Line(&entry));
    }
    host.finish();
    let records = last_revisions(&host.records());
    prop_assert_eq!(records.len(), 1, "{:#?}\n{}", lines, String::from_utf8_lossy(&entry));
    let abort = &records[0];
    prop_assert_eq!(text(abort, "class"), truth.class(), "{:#?}\n{:#}", lines, abort);
    prop_assert_eq!(text(abort, "relay"), "relay.example.com", "{}", String::from_utf8_lossy(&entry));
    let outcome = text(abort, "outcome");
    prop_assert!(outcome == truth.outcome() || outcome == "unknown", "{}: {:#?}\n{:#}", outcome, lines, abort);
    Ok(())
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn no_class_and_no_outcome_comes_from_a_client(
        truth in prop::sample::select(TRUTHS.to_vec()),
        fields in fields(),
        entry_first in any::<bool>(),
    ) {
        check(truth, &fields, entry_first)?;
    }
}
