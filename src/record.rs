//! The enriched record: one place for its shape, one function that writes it, for every face the same bytes.

use std::fmt;

use once_cell::sync::Lazy;
use serde::Serialize;
use serde::ser::{SerializeSeq, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use crate::case::{Case, CaseId, Evidence, Kind, Outcome, Status, Verdict};
use crate::event::Input;
use crate::json;
use crate::reasons::{Class, Matcher, Rank, advice};
use crate::time::{LogTime, TEXT};
use crate::words;

/// The name of the object that is added.
pub(crate) const MEMBER: &str = "abort";

/// The version of the object's shape.
const SCHEMA: &str = "1";

/// Why an abort is unexplained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhyNot {
    NoMailLines,
    OnlyOrdinaryLines,
    Evicted,
    StartedLate,
    AmbiguousHost,
    StatelessHost,
}

impl WhyNot {
    fn as_str(self) -> &'static str {
        match self {
            WhyNot::NoMailLines => "no_mail_lines",
            WhyNot::OnlyOrdinaryLines => "only_ordinary_lines",
            WhyNot::Evicted => "evicted",
            WhyNot::StartedLate => "started_late",
            WhyNot::AmbiguousHost => "ambiguous_host",
            WhyNot::StatelessHost => "stateless_host",
        }
    }
}

/// Makes what is made once.
pub(crate) fn warm_up() {
    Lazy::force(&ADVICE);
}

/// The object, its fields in the order of the schema.
#[derive(Serialize)]
struct AbortObject<'a> {
    schema: &'static str,
    #[serde(serialize_with = "display")]
    id: CaseId,
    kind: Kind,
    queue_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "time")]
    time: Option<LogTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    to: &'a [Box<str>],
    #[serde(skip_serializing_if = "Option::is_none")]
    relay: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds")]
    processing_secs: Option<i64>,
    status: Status,
    class: Class,
    fault: crate::reasons::Fault,
    #[serde(skip_serializing_if = "Option::is_none")]
    ignorable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    own_filter: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<crate::reasons::Stage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<char>,
    outcome: Outcome,
    advice: &'static RawValue,
    #[serde(serialize_with = "evidence", skip_serializing_if = "Lines::is_empty")]
    evidence: Lines<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why_not: Option<&'static str>,
    revision: u32,
}

/// What to do, as it is written: for every class, in their order.
static ADVICE: Lazy<Vec<Box<RawValue>>> =
    Lazy::new(|| Class::ALL.iter().filter_map(|class| to_raw_value(&advice(*class)).ok()).collect());

#[derive(Serialize)]
struct EvidenceObject<'a> {
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "time")]
    time: Option<LogTime>,
    #[serde(skip_serializing_if = "str::is_empty")]
    program: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    text: &'a str,
    rule: &'a str,
    rank: Rank,
    /// Seconds from the entry to the line; negative if the line came first.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds")]
    offset_secs: Option<i64>,
}

/// Lines of evidence, and what their offsets count from (mail time, in milliseconds).
struct Lines<'a> {
    matcher: &'a Matcher,
    evidence: &'a [(&'a Evidence, Rank)],
    from: Option<i64>,
}

impl Lines<'_> {
    fn is_empty(&self) -> bool {
        self.evidence.is_empty()
    }
}

/// What a record is written from.
pub(crate) struct Issue<'a> {
    pub case: &'a Case,
    pub queue_id: &'a str,
    pub host: Option<&'a str>,
    pub verdict: &'a Verdict<'a>,
    pub why_not: Option<WhyNot>,
    pub revision: u32,
    /// Entry time minus mail time, in milliseconds.
    pub offset: i64,
}

impl Issue<'_> {
    /// Writes the record: what came in, with the object behind its other members.
    pub(crate) fn write(&self, matcher: &Matcher) -> Vec<u8> {
        let Issue { case, verdict, .. } = self;
        let own = verdict.own_filter;
        let object = AbortObject {
            schema: SCHEMA,
            id: case.id,
            kind: case.kind,
            queue_id: self.queue_id,
            host: self.host,
            time: case.entry.time,
            from: case.entry.from.as_deref(),
            to: &case.to,
            relay: case.relay.as_deref(),
            processing_secs: case.entry.processing_ms.map(|ms| ms as i64),
            status: verdict.status,
            class: verdict.class,
            fault: verdict.class.fault(),
            ignorable: verdict.class.ignorable(),
            reason: verdict.evidence.first().filter(|_| verdict.has_reason).map(|(line, _)| &*line.text),
            filter: verdict.filter,
            own_filter: own,
            stage: verdict.stage,
            timeout: verdict.timeout,
            outcome: verdict.outcome,
            advice: ADVICE.get(verdict.class as usize).map_or(RawValue::NULL, |advice| &**advice),
            evidence: Lines { matcher, evidence: &verdict.evidence, from: case.entry.at.map(|at| at - self.offset) },
            why_not: self.why_not.map(WhyNot::as_str),
            revision: self.revision,
        };
        // Writing strings and numbers into memory can't fail.
        let record = if case.record.is_empty() { "{}" } else { &*case.record };
        json::with_member(record, MEMBER, |out| drop(serde_json::to_writer(out, &object)))
    }
}

/// What came in as a record; `None` if it is no JSON object in UTF-8, so that nothing can be added to it. A member with
/// the object's name that is `null` makes room for it.
pub(crate) fn of_input(input: Input<'_>, has_null: bool) -> Option<String> {
    match input {
        Input::Line(line) => Some(of_line(line)),
        Input::Record(bytes) if json::is_object(bytes) => {
            let text = String::from_utf8(bytes.to_vec()).ok()?;
            Some(if has_null { json::without_member(&text, MEMBER) } else { text })
        }
        Input::Record(_) => None,
    }
}

/// A bare line as a record.
pub(crate) fn of_line(line: &[u8]) -> String {
    let mut record = Vec::with_capacity(line.len() + 32);
    record.extend_from_slice(b"{\"message\":");
    // Writing a string into memory can't fail.
    drop(serde_json::to_writer(&mut record, &words::text(line)));
    record.push(b'}');
    String::from_utf8(record).unwrap_or_default()
}

#[allow(clippy::ref_option)] // as serde calls it
fn time<S: Serializer>(time: &Option<LogTime>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut place = [0; TEXT];
    serializer.serialize_str(time.map_or("", |time| time.text(&mut place)))
}

/// Milliseconds as seconds.
#[allow(clippy::ref_option)] // as serde calls it
fn seconds<S: Serializer>(ms: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(ms.unwrap_or_default() as f64 / 1_000.0)
}

fn display<T: fmt::Display, S: Serializer>(name: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(name)
}

fn evidence<S: Serializer>(lines: &Lines<'_>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(lines.evidence.len()))?;
    for (line, rank) in lines.evidence {
        let rule = lines.matcher.rule(line.rule);
        list.serialize_element(&EvidenceObject {
            time: line.time,
            program: &line.program,
            pid: line.pid,
            text: &line.text,
            rule: &rule.id,
            rank: *rank,
            offset_secs: line.at.zip(lines.from).map(|(at, from)| at - from),
        })?;
    }
    list.end()
}

/// A text with one mark for any run of bytes that are no ASCII: hosts whose records are text spoil such bytes, each in its
/// own way.
fn meant(text: &[u8]) -> impl Iterator<Item = u8> {
    let mut is_run = false;
    text.iter().filter_map(move |byte| {
        let is_further = !byte.is_ascii() && is_run;
        is_run = !byte.is_ascii();
        (!is_further).then_some(if is_run { 0x80 } else { *byte })
    })
}

/// Names a case.
pub(crate) fn case_id(kind: Kind, host: Option<&str>, queue_id: &str, line: &[u8]) -> CaseId {
    // FNV-1a of 128 bits: stable for ever, and nothing here needs a secret.
    // Its prime is 2^88 + 0x13b; in two halves, since an interpreter has no multiplication of 128 bits.
    let (mut high, mut low) = (0x6c62_272e_07bb_0142u64, 0x62b8_2175_6295_c58du64);
    let mut add = |byte: u8| {
        low ^= u64::from(byte);
        let (upper, lower) = ((low >> 32) * 0x13b, (low & 0xffff_ffff) * 0x13b);
        let middle = upper + (lower >> 32);
        high = high.wrapping_mul(0x13b).wrapping_add(middle >> 32).wrapping_add(low << 24);
        low = middle << 32 | lower & 0xffff_ffff;
    };
    // An entry is one, whether or not its kind is known by now.
    let kind = if kind == Kind::Unlogged { "unlogged" } else { "entry" };
    kind.bytes().for_each(&mut add);
    add(0);
    meant(host.unwrap_or_default().as_bytes()).for_each(|byte| add(byte.to_ascii_lowercase()));
    add(0);
    queue_id.bytes().for_each(&mut add);
    add(0);
    meant(line).for_each(&mut add);
    add(0);
    CaseId(u128::from(high) << 64 | u128::from(low))
}
