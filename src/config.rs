//! The configuration: a JSON object with defaults for every key. An unknown key or a bad value is an error that names
//! the key, the value and what is allowed.

use std::fmt;

use serde_json::{Map, Value};

use crate::reasons::{Class, CompiledRule, Rank, Role, Rule, Stage, Timeout};
use crate::schema::{Profile, ProfileKeys};
use crate::spelled::spelled;

/// What the engine is told to do.
///
/// ```
/// use abort_reason::Config;
///
/// let config = Config::from_json(r#"{"filter_names": ["PureMessage"], "hold_secs": 2}"#)?;
/// assert_eq!(config.hold_secs, 2.0);
///
/// let error = Config::from_json(r#"{"hold_secs": "long"}"#).unwrap_err();
/// assert_eq!(error.to_string(), r#"hold_secs: "long" is not allowed; allowed is a number from 0 to 86400"#);
/// # Ok::<(), abort_reason::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    /// Programs whose lines are sendmail's, as the mail log names them (sendmail's `-L`); `*` at the end stands for any
    /// rest. A process whose id is the one in the queue id, and one that has logged sendmail's start, are sendmail's, too.
    pub mail_programs: Vec<String>,
    /// Names of PureMessage's milter in sendmail.cf (`X` lines, `INPUT_MAIL_FILTER`). Empty: unknown.
    pub filter_names: Vec<String>,
    /// How long an abort waits for its reason, in seconds.
    pub hold_secs: f64,
    /// How long evidence waits for its abort, in seconds of log time.
    pub lookback_secs: f64,
    /// When aborts leave.
    pub mode: Mode,
    /// What becomes of records that carry no reason.
    pub others: Others,
    /// Which host wrote a mail line, where two are named.
    pub host_from: HostFrom,
    /// Whether messages that passed without any entry, because the filter was down, are issued as records.
    pub unlogged: bool,
    /// Whether ordinary lines are told by a few bytes, and read only if their message matters. Without it the records are
    /// the same, and each line costs several times as much.
    pub glance: bool,
    /// In whose words records are issued.
    pub profile: Profile,
    /// How the names of a profile's fields are written.
    pub profile_keys: ProfileKeys,
    /// Whether entries that have passed are kept for a failure that is logged after them ([`Limits::passed_bytes`]).
    pub reissue: bool,
    /// Fields of a record that may hold the log line; the first one present counts.
    pub message_fields: Vec<String>,
    /// Fields that may name the host.
    pub host_fields: Vec<String>,
    /// Fields that may name the program that wrote a bare message.
    pub program_fields: Vec<String>,
    /// Fields that may hold that program's process id.
    pub pid_fields: Vec<String>,
    /// Fields that may hold the time of a bare message: RFC 3339, as syslog has it (`Nov 23 13:01:05`), or 16 digits of
    /// microseconds since the epoch; the first that names its year counts, or else the first.
    pub time_fields: Vec<String>,
    /// The field that tells which log a record belongs to (a path or tag), and how its values begin.
    pub source_field: Option<String>,
    /// Values of [`Config::source_field`] for sendmail's log; a value that begins with one of these fits.
    pub mail_sources: Vec<String>,
    /// Values of [`Config::source_field`] for `message_log`.
    pub message_log_sources: Vec<String>,
    /// Bounds of memory.
    pub limits: Limits,
    pub(crate) rules: Vec<CompiledRule>,
}

spelled! {
    /// When aborts leave.
    Mode {
        /// When their reason is known or the wait is over.
        Hold = "hold",
        /// At once as `provisional`, and again with `revision` 1.
        Annotate = "annotate",
    }
}

spelled! {
    /// What becomes of records that carry no reason.
    Others {
        /// They pass on unchanged.
        Pass = "pass",
        /// They end here.
        Drop = "drop",
    }
}

spelled! {
    /// Which host wrote a mail line, where the line and the record around it name one each.
    HostFrom {
        /// The one that the line names: the record may be of a host that collects logs of others.
        Line = "line",
        /// The one that the record names, as those of entries do: the shipper may know its host by another name than syslog.
        Record = "record",
    }
}

/// Bounds of memory. The worst case is the sum of the bytes, 24 bytes for each of `seen_ids`, and `text_bytes` for each of
/// 256 lines that came in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of evidence and aborts together, counted with their overhead.
    pub join_bytes: usize,
    /// Messages with evidence or aborts.
    pub messages: usize,
    /// Lines of evidence, and aborts, under one queue id.
    pub per_message: usize,
    /// Bytes of ordinary mail lines that are not read unless their message matters, and of entries that may be issued
    /// again: half for each, rounded down to a power of two.
    pub passed_bytes: usize,
    /// Queue ids that are remembered as seen; rounded up to a power of two.
    pub seen_ids: usize,
    /// Bytes of a line's text that are kept.
    pub text_bytes: usize,
    /// Hosts whose clocks are followed.
    pub hosts: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            join_bytes: 64 << 20,
            messages: 100_000,
            per_message: 64,
            passed_bytes: 16 << 20,
            seen_ids: 65_536,
            text_bytes: 4_096,
            hosts: 1_024,
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
        Config {
            mail_programs: names(&["sendmail", "sm-*"]),
            filter_names: Vec::new(),
            hold_secs: 5.0,
            lookback_secs: 3_600.0,
            mode: Mode::Hold,
            others: Others::Pass,
            host_from: HostFrom::Line,
            unlogged: false,
            glance: true,
            profile: Profile::Native,
            profile_keys: ProfileKeys::Nested,
            reissue: true,
            message_fields: names(&["message", "log", "MESSAGE", "msg"]),
            host_fields: names(&["host", "hostname", "_HOSTNAME"]),
            program_fields: names(&["ident", "appname", "program", "SYSLOG_IDENTIFIER"]),
            pid_fields: names(&["pid", "procid", "SYSLOG_PID", "_PID"]),
            time_fields: names(&["timestamp", "time", "_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP"]),
            source_field: None,
            mail_sources: Vec::new(),
            message_log_sources: Vec::new(),
            limits: Limits::default(),
            rules: Vec::new(),
        }
    }
}

/// Why a configuration was refused: the key, its value, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    key: String,
    problem: String,
}

impl ConfigError {
    fn value(key: &str, value: &Value, allowed: &str) -> ConfigError {
        let mut shown = value.to_string();
        if shown.len() > 80 {
            shown.truncate(shown.floor_char_boundary(77));
            shown.push_str("...");
        }
        ConfigError { key: key.to_owned(), problem: format!("{shown} is not allowed; allowed is {allowed}") }
    }

    fn unknown(key: &str, allowed: &[&str]) -> ConfigError {
        ConfigError { key: key.to_owned(), problem: format!("unknown key; known are {}", allowed.join(", ")) }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.problem)
    }
}

impl std::error::Error for ConfigError {}

const KEYS: &[&str] = &[
    "mail_programs",
    "filter_names",
    "hold_secs",
    "lookback_secs",
    "mode",
    "others",
    "unlogged",
    "glance",
    "profile",
    "profile_keys",
    "reissue",
    "message_fields",
    "host_fields",
    "host_from",
    "program_fields",
    "pid_fields",
    "time_fields",
    "source_field",
    "mail_sources",
    "message_log_sources",
    "limits",
    "rules",
];
const LIMIT_KEYS: &[&str] =
    &["join_bytes", "messages", "per_message", "passed_bytes", "seen_ids", "text_bytes", "hosts"];
const RULE_KEYS: &[&str] = &["id", "class", "rank", "stage", "timeout", "start", "rest"];

impl Config {
    /// Reads a JSON object; empty text gives the defaults.
    pub fn from_json(text: &str) -> Result<Config, ConfigError> {
        if text.trim().is_empty() {
            return Ok(Config::default());
        }
        let value: Value = serde_json::from_str(text).map_err(|error| ConfigError {
            key: "configuration".to_owned(),
            problem: format!("no valid JSON: {error}"),
        })?;
        Config::from_value(&value)
    }

    /// Reads a JSON value.
    pub fn from_value(value: &Value) -> Result<Config, ConfigError> {
        let mut config = Config::default();
        for (key, value) in object("configuration", value)? {
            match key.as_str() {
                "mail_programs" => config.mail_programs = filled(key, value)?,
                "filter_names" => config.filter_names = strings(key, value)?,
                "hold_secs" => config.hold_secs = seconds(key, value, 86_400.0)?,
                "lookback_secs" => config.lookback_secs = seconds(key, value, 31_536_000.0)?,
                "mode" => config.mode = word(key, value, Mode::ALL, Mode::as_str)?,
                "others" => config.others = word(key, value, Others::ALL, Others::as_str)?,
                "unlogged" => config.unlogged = boolean(key, value)?,
                "glance" => config.glance = boolean(key, value)?,
                "profile" => config.profile = word(key, value, Profile::ALL, Profile::as_str)?,
                "profile_keys" => config.profile_keys = word(key, value, ProfileKeys::ALL, ProfileKeys::as_str)?,
                "reissue" => config.reissue = boolean(key, value)?,
                "message_fields" => config.message_fields = filled(key, value)?,
                "host_fields" => config.host_fields = strings(key, value)?,
                "host_from" => config.host_from = word(key, value, HostFrom::ALL, HostFrom::as_str)?,
                "program_fields" => config.program_fields = strings(key, value)?,
                "pid_fields" => config.pid_fields = strings(key, value)?,
                "time_fields" => config.time_fields = strings(key, value)?,
                "source_field" => config.source_field = Some(string(key, value)?.to_owned()),
                "mail_sources" => config.mail_sources = strings(key, value)?,
                "message_log_sources" => config.message_log_sources = strings(key, value)?,
                "limits" => config.limits = limits(value)?,
                "rules" => config.rules = rules(value)?,
                _ => return Err(ConfigError::unknown(key, KEYS)),
            }
        }
        if config.source_field.is_none() && !(config.mail_sources.is_empty() && config.message_log_sources.is_empty()) {
            return Err(ConfigError {
                key: "source_field".to_owned(),
                problem: "missing; mail_sources and message_log_sources are values of the field that it names"
                    .to_owned(),
            });
        }
        Ok(config)
    }

    /// A number that stands for all of it.
    pub(crate) fn fingerprint(&self) -> u64 {
        let text = format!("{self:?}");
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }

    /// Whether a filter is PureMessage, where its names are known.
    pub(crate) fn is_own(&self, filter: &str) -> Option<bool> {
        (!self.filter_names.is_empty()).then(|| self.filter_names.iter().any(|name| name == filter))
    }
}

fn limits(value: &Value) -> Result<Limits, ConfigError> {
    let mut limits = Limits::default();
    for (name, value) in object("limits", value)? {
        let (field, least, most): (_, u64, u64) = match name.as_str() {
            "join_bytes" => (&mut limits.join_bytes, 64 << 10, 64 << 30),
            "messages" => (&mut limits.messages, 16, 100_000_000),
            "per_message" => (&mut limits.per_message, 8, 1_024),
            "passed_bytes" => (&mut limits.passed_bytes, 0, 64 << 30),
            "seen_ids" => (&mut limits.seen_ids, 16, 1 << 28),
            "text_bytes" => (&mut limits.text_bytes, 256, 65_536),
            "hosts" => (&mut limits.hosts, 1, 65_000),
            _ => return Err(ConfigError::unknown(&format!("limits.{name}"), LIMIT_KEYS)),
        };
        *field = value
            .as_u64()
            .filter(|number| (least..=most).contains(number))
            .and_then(|number| usize::try_from(number).ok())
            .ok_or_else(|| {
                ConfigError::value(&format!("limits.{name}"), value, &format!("a whole number from {least} to {most}"))
            })?;
    }
    Ok(limits)
}

fn rules(value: &Value) -> Result<Vec<CompiledRule>, ConfigError> {
    let list = value.as_array().filter(|list| list.len() <= 1_000);
    let list = list.ok_or_else(|| ConfigError::value("rules", value, "an array of at most 1000 objects"))?;
    list.iter().enumerate().map(|(at, value)| rule(&format!("rules[{at}]"), value)).collect()
}

/// A rule of the configuration: `id`, `class`, `start` and `rest` as in the table, the others as they are needed.
fn rule(path: &str, value: &Value) -> Result<CompiledRule, ConfigError> {
    let object = object(path, value)?;
    if let Some(key) = object.keys().find(|key| !RULE_KEYS.contains(&key.as_str())) {
        return Err(ConfigError::unknown(&format!("{path}.{key}"), RULE_KEYS));
    }
    let null = Value::Null;
    let at = |key: &str| (format!("{path}.{key}"), object.get(key).unwrap_or(&null));
    let text = |key: &str| {
        let (path, value) = at(key);
        string(&path, value).map(str::to_owned)
    };
    let optional = |key: &str| object.contains_key(key).then(|| at(key));
    let (class_path, class_value) = at("class");
    let id = text("id")?;
    let start = text("start")?;
    if start.is_empty() || start.starts_with("{filter}") {
        return Err(ConfigError::value(
            &at("start").0,
            at("start").1,
            "a text that begins with a literal: it keeps the search fast and a forged line out",
        ));
    }
    let rest = match optional("rest") {
        Some((path, value)) => string(&path, value)?.to_owned(),
        None => String::new(),
    };
    let rank = match optional("rank") {
        Some((path, value)) => word(&path, value, Rank::ALL, Rank::as_str)?,
        None => Rank::Decisive,
    };
    let stage = match optional("stage") {
        Some((path, value)) => Some(word(&path, value, Stage::ALL, Stage::as_str)?),
        None => None,
    };
    let timeout = match optional("timeout") {
        Some((path, value)) => Some(word(&path, value, Timeout::ALL, Timeout::as_str)?),
        None => None,
    };
    let rule = Rule {
        id: &id,
        class: word(&class_path, class_value, Class::ALL, Class::as_str)?,
        rank,
        role: Role::Cause,
        stage,
        timeout,
        versions: "",
        start: &start,
        rest: &rest,
        example: "",
    };
    CompiledRule::new(&rule).map_err(|error| ConfigError {
        key: format!("{path}.rest"),
        problem: format!("no valid regular expression: {error}"),
    })
}

fn object<'v>(key: &str, value: &'v Value) -> Result<&'v Map<String, Value>, ConfigError> {
    value.as_object().ok_or_else(|| ConfigError::value(key, value, "an object"))
}

fn string<'v>(key: &str, value: &'v Value) -> Result<&'v str, ConfigError> {
    value.as_str().ok_or_else(|| ConfigError::value(key, value, "a string"))
}

fn strings(key: &str, value: &Value) -> Result<Vec<String>, ConfigError> {
    let list = value.as_array().ok_or_else(|| ConfigError::value(key, value, "an array of strings"))?;
    list.iter()
        .map(|item| match item.as_str() {
            Some(text) if !text.is_empty() => Ok(text.to_owned()),
            _ => Err(ConfigError::value(key, item, "strings that are not empty")),
        })
        .collect()
}

fn filled(key: &str, value: &Value) -> Result<Vec<String>, ConfigError> {
    let list = strings(key, value)?;
    if list.is_empty() { Err(ConfigError::value(key, value, "an array of at least one string")) } else { Ok(list) }
}

fn boolean(key: &str, value: &Value) -> Result<bool, ConfigError> {
    value.as_bool().ok_or_else(|| ConfigError::value(key, value, "true or false"))
}

fn seconds(key: &str, value: &Value, most: f64) -> Result<f64, ConfigError> {
    value
        .as_f64()
        .filter(|number| (0.0..=most).contains(number))
        .ok_or_else(|| ConfigError::value(key, value, &format!("a number from 0 to {most}")))
}

fn word<T: Copy>(key: &str, value: &Value, all: &[T], name: fn(T) -> &'static str) -> Result<T, ConfigError> {
    let found = value.as_str().and_then(|text| all.iter().copied().find(|item| name(*item) == text));
    found.ok_or_else(|| {
        let words: Vec<_> = all.iter().map(|item| name(*item)).collect();
        ConfigError::value(key, value, &words.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_key_value_and_what_is_allowed() {
        for (text, error) in [
            (r#"{"hold": 3}"#, "hold: unknown key; known are mail_programs, filter_names, hold_secs,"),
            (r#"{"hold_secs": -1}"#, "hold_secs: -1 is not allowed; allowed is a number from 0 to 86400"),
            (r#"{"mode": "fast"}"#, r#"mode: "fast" is not allowed; allowed is hold, annotate"#),
            (r#"{"filter_names": "x"}"#, r#"filter_names: "x" is not allowed; allowed is an array of strings"#),
            (
                r#"{"message_fields": []}"#,
                "message_fields: [] is not allowed; allowed is an array of at least one string",
            ),
            (
                r#"{"limits": {"messages": 1}}"#,
                "limits.messages: 1 is not allowed; allowed is a whole number from 16 to 100000000",
            ),
            (r#"{"limits": {"x": 1}}"#, "limits.x: unknown key; known are join_bytes"),
            (r#"{"mail_sources": ["x"]}"#, "source_field: missing"),
            (
                r#"{"rules": [{"id": "U-1", "class": "nope", "start": "x"}]}"#,
                r#"rules[0].class: "nope" is not allowed; allowed is peer_disconnected"#,
            ),
            (r#"{"rules": [{"id": "U-1", "class": "mta_error", "start": ""}]}"#, "rules[0].start: \"\" is not allowed"),
            (
                r#"{"rules": [{"id": "U-1", "class": "mta_error", "start": "x", "rest": "("}]}"#,
                "rules[0].rest: no valid regular expression",
            ),
            ("[]", "configuration: [] is not allowed; allowed is an object"),
            ("{", "configuration: no valid JSON"),
        ] {
            let said = Config::from_json(text).unwrap_err().to_string();
            assert!(said.starts_with(error), "{text}: {said}");
        }
    }

    #[test]
    fn empty_text_gives_the_defaults() {
        for text in ["", " \n", "{}"] {
            let config = Config::from_json(text).unwrap();
            assert_eq!((config.hold_secs, config.lookback_secs), (5.0, 3_600.0));
        }
    }
}
