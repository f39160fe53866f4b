//! What a configuration means, in sentences: one for each key, the defaults among them.

use abort_reason::{Config, HostFrom, Mode, Others, Profile};
use serde_json::{Map, Value};

/// One line for each key; those that the configuration leaves to their default say so.
pub(super) fn of(config: &Config, given: Option<&Map<String, Value>>) -> Vec<String> {
    let is_given = |key: &str| given.is_some_and(|given| given.contains_key(key));
    let rules = given.and_then(|given| given.get("rules")).and_then(Value::as_array).map_or(0, Vec::len);
    let sentences = sentences(config, rules);
    let width = sentences.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    sentences
        .into_iter()
        .map(|(key, sentence)| {
            let default = if is_given(key) { "" } else { " (default)" };
            format!("  {key:width$}  {sentence}{default}")
        })
        .collect()
}

fn sentences(config: &Config, rules: usize) -> Vec<(&'static str, String)> {
    let limits = &config.limits;
    let mib = |bytes: usize| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    vec![
        ("mail_programs", format!("lines of {} are sendmail's", list(&config.mail_programs))),
        (
            "filter_names",
            if config.filter_names.is_empty() {
                "PureMessage's milter is not known by name: every filter's failure may be its own".into()
            } else {
                format!("PureMessage's milter is called {}; every other is another filter", list(&config.filter_names))
            },
        ),
        (
            "mode",
            match config.mode {
                Mode::Hold => "an abort is held until its reason is known or the wait is over".into(),
                Mode::Annotate => "an abort leaves at once as provisional, and again with its reason".into(),
            },
        ),
        ("hold_secs", format!("an abort waits {} s for its reason", config.hold_secs)),
        ("lookback_secs", format!("a reason waits {} s of log time for its abort", config.lookback_secs)),
        (
            "others",
            match config.others {
                Others::Pass => "records that carry no reason pass on unchanged".into(),
                Others::Drop => "records that carry no reason end here".into(),
            },
        ),
        (
            "host_from",
            match config.host_from {
                HostFrom::Line => "a mail line is of the host that it names itself",
                HostFrom::Record => "a mail line is of the host that the record around it names",
            }
            .into(),
        ),
        (
            "unlogged",
            if config.unlogged {
                "a message that passed without any entry, because the filter was down, becomes a record of its own"
                    .into()
            } else {
                "messages that passed without any entry are not reported".into()
            },
        ),
        (
            "glance",
            if config.glance {
                "an ordinary line is told by a few bytes, and read only if its message matters".into()
            } else {
                "every line is read in full".into()
            },
        ),
        (
            "profile",
            match config.profile {
                Profile::Native => "records carry the object `abort` of docs/record.md".into(),
                profile => format!("records are in the words of {}, not of docs/record.md", profile.as_str()),
            },
        ),
        ("profile_keys", format!("a profile's fields have {} names", config.profile_keys.as_str())),
        (
            "reissue",
            if config.reissue {
                "an entry that has passed is issued again if a failure is logged after it".into()
            } else {
                "an entry that has passed is never issued again".into()
            },
        ),
        ("message_fields", format!("the log line stands in the first of {}", list(&config.message_fields))),
        ("host_fields", fields("the host", &config.host_fields)),
        ("program_fields", fields("the program of a bare message", &config.program_fields)),
        ("pid_fields", fields("its process id", &config.pid_fields)),
        ("time_fields", fields("its time", &config.time_fields)),
        (
            "source_field",
            match &config.source_field {
                Some(field) => format!(
                    "the field {field} tells the log: sendmail's begin with {}, PureMessage's with {}",
                    list(&config.mail_sources),
                    list(&config.message_log_sources)
                ),
                None => "which log a record belongs to is told by its line".into(),
            },
        ),
        (
            "limits",
            format!(
                "at most {} of evidence and aborts for {} messages, {} lines or aborts each; {} of what has passed, half of it mail \
             lines and half entries; {} queue ids remembered; {} bytes of a line; {} hosts",
                mib(limits.join_bytes),
                limits.messages,
                limits.per_message,
                mib(limits.passed_bytes),
                limits.seen_ids,
                limits.text_bytes,
                limits.hosts
            ),
        ),
        (
            "rules",
            match rules {
                0 => "the table of reasons that `abort-reason reasons` prints".into(),
                _ => format!("{rules} of your own in front of the table of reasons that `abort-reason reasons` prints"),
            },
        ),
    ]
}

fn fields(what: &str, names: &[String]) -> String {
    if names.is_empty() { format!("{what} is in no field") } else { format!("{what} may stand in {}", list(names)) }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "nothing".into() } else { names.join(", ") }
}
