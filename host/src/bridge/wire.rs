//! Vector's events as bytes, and the logs among them as the JSON objects that a component understands.
//!
//! What only passes through stays the bytes that came. A log that a component has changed is put together from what came:
//! only members that differ from the JSON that the component was given are new; bytes that are no UTF-8, times and
//! metadata stay what they were.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;
use serde_json::{Map, Value as Json};

/// The service of `proto/vector.proto`, made at build time.
#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, clippy::pedantic)]
pub mod vector {
    tonic::include_proto!("vector");
}

#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, clippy::pedantic)]
mod event {
    tonic::include_proto!("event");
}

use event::event_wrapper::Event;
use event::value::Kind;
use event::{EventWrapper, Log, Metadata, Sketch, Value, ValueArray, ValueMap, metric, sketch};

/// How deep objects and arrays may be nested below an event: what a reader with prost's limit of 100 messages still
/// takes inside of a request.
const DEEPEST: usize = 32;
/// Times that Vector's source takes: the years -262143 to 262142.
const SECONDS: std::ops::RangeInclusive<i64> = -8_334_601_228_800..=8_210_266_876_799;

/// What an event is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Looked {
    /// A log, with the JSON object for the component.
    Log {
        /// The JSON object.
        json: Vec<u8>,
        /// The UUID that is the same in every attempt of a sink to deliver the event; empty if it has none.
        source_event_id: Bytes,
    },
    /// A metric, a trace, or a log whose root is no object.
    Other {
        /// As for a log.
        source_event_id: Bytes,
    },
    /// No reader would take it, and Vector's might stop at it.
    Broken(&'static str),
}

/// Looks at an event.
pub(super) fn look(bytes: &Bytes) -> Looked {
    let Ok(EventWrapper { event }) = EventWrapper::decode(bytes.clone()) else {
        return Looked::Broken("not an event of Vector's, or nested too deep");
    };
    match event {
        None => Looked::Broken("neither a log nor a metric nor a trace"),
        Some(Event::Metric(metric)) => {
            let sound = match &metric.value {
                None => Err("a metric without a value"),
                Some(metric::Value::Sketch(Sketch { sketch: None })) => Err("a sketch without a form"),
                Some(metric::Value::Sketch(Sketch { sketch: Some(sketch::Sketch::AgentDdSketch(sketch)) }))
                    if sketch.k.len() != sketch.n.len() =>
                {
                    Err("a sketch whose bins and counts differ in number")
                }
                Some(_) => metric.timestamp.as_ref().map_or(Ok(()), check_time),
            };
            match sound.and_then(|()| check(metric.metadata.iter(), metric.metadata_full.as_ref())) {
                Err(problem) => Looked::Broken(problem),
                Ok(source_event_id) => Looked::Other { source_event_id },
            }
        }
        Some(Event::Trace(trace)) => {
            let values = trace.fields.values().chain(&trace.metadata);
            match check(values, trace.metadata_full.as_ref()) {
                Err(problem) => Looked::Broken(problem),
                Ok(source_event_id) => Looked::Other { source_event_id },
            }
        }
        Some(Event::Log(log)) => {
            let values = log.fields.values().chain(&log.value).chain(&log.metadata);
            match check(values, log.metadata_full.as_ref()) {
                Err(problem) => Looked::Broken(problem),
                Ok(source_event_id) if log.value.is_some() => Looked::Other { source_event_id },
                Ok(source_event_id) => Looked::Log { json: to_json(&log.fields), source_event_id },
            }
        }
    }
}

/// Checks what Vector's source does not survive; gives the id of the event.
fn check<'v>(values: impl Iterator<Item = &'v Value>, metadata: Option<&'v Metadata>) -> Result<Bytes, &'static str> {
    for value in values.chain(metadata.and_then(|metadata| metadata.value.as_ref())) {
        check_value(value, DEEPEST)?;
    }
    Ok(metadata.map(|metadata| metadata.source_event_id.clone()).unwrap_or_default())
}

fn check_value(value: &Value, deeper: usize) -> Result<(), &'static str> {
    let below = || deeper.checked_sub(1).ok_or("nested too deep");
    match &value.kind {
        Some(Kind::Map(map)) => map.fields.values().try_for_each(|value| check_value(value, below()?)),
        Some(Kind::Array(array)) => array.items.iter().try_for_each(|value| check_value(value, below()?)),
        Some(Kind::Float(number)) if number.is_nan() => Err("a number that is none (NaN)"),
        Some(Kind::Timestamp(time)) => check_time(time),
        _ => Ok(()),
    }
}

fn check_time(time: &prost_types::Timestamp) -> Result<(), &'static str> {
    // The second half of the range of `nanos` stands for leap seconds, and is taken in few places.
    let sound = SECONDS.contains(&time.seconds) && (0..1_000_000_000).contains(&time.nanos);
    if sound { Ok(()) } else { Err("a time out of range") }
}

/// A log with what a component has made of its JSON, as bytes. What is no log, or no JSON object, is a log of its own.
pub(super) fn changed(original: &Bytes, made: &[u8]) -> Bytes {
    let Ok(made) = serde_json::from_slice::<Map<String, Json>>(made) else { return original.clone() };
    let Ok(EventWrapper { event: Some(Event::Log(mut log)) }) = EventWrapper::decode(original.clone()) else {
        return new_log(made);
    };
    log.fields.retain(|key, _| made.contains_key(key));
    // As it looks behind the same reader: a number's last digit may be another there, and is no change.
    let before: Map<String, Json> = serde_json::from_slice(&to_json(&log.fields)).unwrap_or_default();
    for (key, value) in made {
        if before.get(&key) != Some(&value) {
            log.fields.insert(key, of_json(value));
        }
    }
    encode(log)
}

/// A log of a component's own; `None` if it is no JSON object.
pub(super) fn own(made: &[u8]) -> Option<Bytes> {
    serde_json::from_slice(made).ok().map(new_log)
}

/// The JSON of an event for destinations that are text; `None` for what is no log.
pub(super) fn text(bytes: &Bytes) -> Option<Vec<u8>> {
    match EventWrapper::decode(bytes.clone()) {
        Ok(EventWrapper { event: Some(Event::Log(log)) }) => match &log.value {
            None => Some(to_json(&log.fields)),
            Some(root) => serde_json::to_vec(&json(root)).ok(),
        },
        _ => None,
    }
}

fn new_log(made: Map<String, Json>) -> Bytes {
    encode(Log { fields: made.into_iter().map(|(key, value)| (key, of_json(value))).collect(), ..Log::default() })
}

fn encode(log: Log) -> Bytes {
    EventWrapper { event: Some(Event::Log(log)) }.encode_to_vec().into()
}

/// Fields as a JSON object. The usual kinds are written straight, without a tree in between.
fn to_json(fields: &BTreeMap<String, Value>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let mut open = b'{';
    for (key, value) in fields {
        out.push(open);
        open = b',';
        // Writing to memory does not fail, and strings and trees are valid JSON.
        let _ = serde_json::to_writer(&mut out, key);
        out.push(b':');
        let _ = match &value.kind {
            Some(Kind::RawBytes(bytes)) => serde_json::to_writer(&mut out, &String::from_utf8_lossy(bytes)),
            _ => serde_json::to_writer(&mut out, &json(value)),
        };
    }
    if fields.is_empty() {
        out.push(b'{');
    }
    out.push(b'}');
    out
}

fn json(value: &Value) -> Json {
    match &value.kind {
        None | Some(Kind::Null(_)) => Json::Null,
        Some(Kind::RawBytes(bytes)) => String::from_utf8_lossy(bytes).into(),
        Some(Kind::Timestamp(time)) => time.to_string().into(),
        Some(Kind::Integer(number)) => (*number).into(),
        Some(Kind::Float(number)) => Json::from(*number),
        Some(Kind::Boolean(truth)) => (*truth).into(),
        Some(Kind::Map(map)) => map.fields.iter().map(|(key, value)| (key.clone(), json(value))).collect(),
        Some(Kind::Array(array)) => array.items.iter().map(json).collect(),
    }
}

fn of_json(value: Json) -> Value {
    let kind = match value {
        Json::Null => Kind::Null(0),
        Json::Bool(truth) => Kind::Boolean(truth),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Kind::Integer(number),
            None => Kind::Float(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Kind::RawBytes(text.into_bytes().into()),
        Json::Array(items) => Kind::Array(ValueArray { items: items.into_iter().map(of_json).collect() }),
        Json::Object(members) => {
            Kind::Map(ValueMap { fields: members.into_iter().map(|(key, value)| (key, of_json(value))).collect() })
        }
    };
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(fields: &[(&str, Kind)]) -> Bytes {
        let fields = fields.iter().map(|(key, kind)| ((*key).to_owned(), Value { kind: Some(kind.clone()) })).collect();
        let metadata = Metadata { source_event_id: Bytes::from_static(&[7; 16]), ..Metadata::default() };
        encode(Log { fields, metadata_full: Some(metadata), ..Log::default() })
    }

    fn decoded(bytes: &Bytes) -> Log {
        match EventWrapper::decode(bytes.clone()).unwrap().event {
            Some(Event::Log(log)) => log,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_changed_log_keeps_what_was_not_changed() {
        let time = prost_types::Timestamp { seconds: 1_795_438_865, nanos: 22_833_000 };
        let original = log(&[
            ("message", Kind::RawBytes(Bytes::from_static(b"caf\xe9"))),
            ("timestamp", Kind::Timestamp(time)),
            ("n", Kind::Integer(3)),
            ("f", Kind::Float(0.5)),
            // Its text is read as a neighbour of it.
            ("g", Kind::Float(487.179_793_630_006_43)),
        ]);
        let Looked::Log { json, source_event_id } = look(&original) else { panic!() };
        assert_eq!(source_event_id, [7; 16][..]);
        let mut made: Map<String, Json> = serde_json::from_slice(&json).unwrap();
        assert_eq!(made["message"], "caf\u{fffd}");
        assert_eq!(made["timestamp"], "2026-11-23T13:01:05.022833Z");
        made.insert("abort".to_owned(), serde_json::json!({"class": "x", "to": ["a"], "ignorable": true}));
        let bytes = serde_json::to_vec(&made).unwrap();
        let (before, after) = (decoded(&original), decoded(&changed(&original, &bytes)));
        assert_eq!(serde_json::from_slice::<Map<String, Json>>(&to_json(&after.fields)).unwrap(), made);
        assert_eq!(after.metadata_full, before.metadata_full);
        for key in ["message", "timestamp", "n", "f", "g"] {
            assert_eq!(after.fields[key], before.fields[key], "{key}");
        }
    }

    #[test]
    fn what_no_reader_takes_is_told() {
        let metric = |value| {
            let metric = event::Metric { value, ..event::Metric::default() };
            Bytes::from(EventWrapper { event: Some(Event::Metric(metric)) }.encode_to_vec())
        };
        let counter = metric(Some(metric::Value::Counter(Bytes::new())));
        assert_eq!(look(&counter), Looked::Other { source_event_id: Bytes::new() });
        let time = |seconds| Kind::Timestamp(prost_types::Timestamp { seconds, nanos: 0 });
        for broken in [
            Bytes::new(),
            Bytes::from_static(b"\xff\xff"),
            log(&[("n", Kind::Float(f64::NAN))]),
            log(&[("t", time(i64::MAX))]),
            log(&[("t", Kind::Timestamp(prost_types::Timestamp { seconds: 0, nanos: 1_500_000_000 }))]),
            metric(None),
            metric(Some(metric::Value::Sketch(Sketch { sketch: None }))),
        ] {
            assert!(matches!(look(&broken), Looked::Broken(_)), "{broken:?}");
        }
        assert!(matches!(look(&log(&[("t", time(0)), ("n", Kind::Float(1.5))])), Looked::Log { .. }));
    }

    #[test]
    fn what_is_nested_too_deep_for_a_reader_is_told() {
        /// The same as a request, with its events taken apart: what a reader decodes.
        #[derive(Clone, PartialEq, Message)]
        struct Request {
            #[prost(message, repeated, tag = "1")]
            events: Vec<EventWrapper>,
        }
        let nested = |deep: usize| {
            let leaf = Kind::Integer(1);
            let kind = (0..deep).fold(leaf, |kind, _| {
                let value = Value { kind: Some(kind) };
                Kind::Map(ValueMap { fields: BTreeMap::from([("m".to_owned(), value)]) })
            });
            log(&[("m", kind)])
        };
        for deep in 1..60 {
            let bytes = nested(deep);
            let request = vector::PushEventsRequest { events: vec![bytes.clone()] }.encode_to_vec();
            let taken = Request::decode(&request[..]).is_ok();
            let looked = matches!(look(&bytes), Looked::Log { .. });
            assert!(taken || !looked, "{deep}: let through, and no reader takes it");
            assert_eq!(looked, deep <= DEEPEST, "{deep}");
        }
    }
}
