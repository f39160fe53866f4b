//! The enriched record: one place for its shape, one function that writes it, for every face the same bytes.

use once_cell::sync::Lazy;

use crate::case::{Case, CaseId, Evidence, Kind, Verdict, WhyNot};
use crate::event::Input;
use crate::json;
use crate::object::{Object, write_text};
use crate::reasons::{Class, Matcher, Rank, Stage, Timeout, advice};
use crate::time::{LogTime, TEXT};
use crate::words;
use crate::zone::Offset;

/// The name of the object that is added.
pub(crate) const MEMBER: &str = "abort";

/// The version of the object's shape.
const SCHEMA: &str = "1";

/// What to do, as it is written: for every class, in their order.
static ADVICE: Lazy<Vec<String>> =
    Lazy::new(|| Class::ALL.iter().map(|class| serde_json::to_string(&advice(*class)).unwrap_or_default()).collect());

/// Makes what is made once.
pub(crate) fn warm_up() {
    Lazy::force(&ADVICE);
}

/// What a record is written from.
pub(crate) struct Issue<'a> {
    pub case: &'a Case,
    pub queue_id: &'a str,
    pub host: Option<&'a str>,
    pub verdict: &'a Verdict<'a>,
    pub why_not: Option<WhyNot>,
    pub revision: u32,
    pub offset: Offset,
}

impl Issue<'_> {
    /// Writes the record: what came in, with the object behind its other members.
    pub(crate) fn write(&self, matcher: &Matcher) -> Vec<u8> {
        let record = if self.case.record.is_empty() { "{}" } else { &*self.case.record };
        json::with_member(record, MEMBER, |out| Object::write(out, |object| self.write_members(matcher, object)))
    }

    /// The members of the object, in the order of the schema.
    fn write_members(&self, matcher: &Matcher, object: &mut Object<'_>) {
        let Issue { case, verdict, .. } = self;
        object.text("schema", SCHEMA);
        object.text("id", &case.id.to_string());
        object.text("kind", case.kind.as_str());
        object.text("queue_id", self.queue_id);
        object.some_text("host", self.host);
        write_time(object, case.entry.time);
        object.some_text("from", case.entry.from.as_deref());
        object.list("to", &case.to, |out, to| write_text(out, to));
        object.some_text("relay", case.relay.as_deref());
        object.some_seconds("processing_secs", case.entry.processing_ms.map(|ms| ms as i64));
        object.text("status", verdict.status.as_str());
        object.text("class", verdict.class.as_str());
        object.text("fault", verdict.class.fault().as_str());
        object.some_flag("ignorable", verdict.class.ignorable());
        let reason = verdict.evidence.first().filter(|_| verdict.has_reason);
        object.some_text("reason", reason.map(|(line, _)| &*line.text));
        object.some_text("filter", verdict.filter);
        object.some_flag("own_filter", verdict.own_filter);
        object.some_text("stage", verdict.stage.map(Stage::as_str));
        object.some_text("timeout", verdict.timeout.map(Timeout::as_str));
        object.text("outcome", verdict.outcome.as_str());
        let advice = ADVICE.get(verdict.class as usize).map_or("null", |advice| &**advice);
        object.member("advice").extend_from_slice(advice.as_bytes());
        let from = case.entry.at.map(|at| self.offset.mail_time(at));
        object.list("evidence", &verdict.evidence, |out, (line, rank)| {
            Object::write(out, |object| write_line(object, line, &matcher.rule(line.rule).id, *rank, from));
        });
        object.some_text("why_not", self.why_not.map(WhyNot::as_str));
        object.number("revision", self.revision);
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
    Object::write(&mut record, |object| object.text("message", &words::text(line)));
    String::from_utf8(record).unwrap_or_default()
}

fn write_time(object: &mut Object<'_>, time: Option<LogTime>) {
    let mut place = [0; TEXT];
    object.some_text("time", time.map(|time| time.text(&mut place)));
}

/// Writes a line of evidence; its offset is the time from the entry to it, negative if the line came first.
fn write_line(object: &mut Object<'_>, line: &Evidence, rule: &str, rank: Rank, from: Option<i64>) {
    write_time(object, line.time);
    object.some_text("program", Some(&*line.program).filter(|program| !program.is_empty()));
    object.some_number("pid", line.pid);
    object.text("text", &line.text);
    object.text("rule", rule);
    object.text("rank", rank.as_str());
    object.some_seconds("offset_secs", line.at.zip(from).map(|(at, from)| at - from));
}

/// FNV-1a of 128 bits: stable for ever, and nothing here needs a secret. In two halves, since an interpreter has no
/// multiplication of 128 bits.
#[derive(Clone, Copy)]
struct Fnv {
    high: u64,
    low: u64,
}

impl Fnv {
    const START: Fnv = Fnv { high: 0x6c62_272e_07bb_0142, low: 0x62b8_2175_6295_c58d };

    /// The prime is 2^88 + 0x13b.
    #[inline]
    fn add(self, byte: u8) -> Fnv {
        let low = self.low ^ u64::from(byte);
        let (upper, lower) = ((low >> 32) * 0x13b, (low & 0xffff_ffff) * 0x13b);
        let middle = upper + (lower >> 32);
        let high = self.high.wrapping_mul(0x13b).wrapping_add(middle >> 32).wrapping_add(low << 24);
        Fnv { high, low: middle << 32 | lower & 0xffff_ffff }
    }

    /// Adds a text, as it was meant, and a zero.
    fn add_all(self, text: &[u8]) -> Fnv {
        let bytes = text.iter().copied();
        let all = if text.is_ascii() { bytes.fold(self, Fnv::add) } else { words::marked(bytes).fold(self, Fnv::add) };
        all.add(0)
    }
}

/// Names a case.
pub(crate) fn case_id(kind: Kind, host: Option<&str>, queue_id: &str, line: &[u8]) -> CaseId {
    // An entry is one, whether or not its kind is known by now.
    let kind = if kind == Kind::Unlogged { "unlogged" } else { "entry" };
    let host = host.unwrap_or_default().to_ascii_lowercase();
    let all = [kind.as_bytes(), host.as_bytes(), queue_id.as_bytes(), line];
    let Fnv { high, low } = all.into_iter().fold(Fnv::START, Fnv::add_all);
    CaseId(u128::from(high) << 64 | u128::from(low))
}
