//! Configuration: read from YAML or JSON, validated by the core, put into words by `abort-reason check`.

use std::io::{self, Read, Write};
use std::path::Path;

use abort_reason::Config;
use serde_json::{Value, json};

use crate::cli;
use crate::failure::{Exit, Failure, Result, say};
use crate::text::visible;

mod meaning;
mod memory;

pub(crate) use memory::Room;

/// A file longer than this is no configuration.
const LONGEST: u64 = 4 * 1024 * 1024;

/// A configuration that the core has accepted.
pub struct Loaded {
    /// For an engine in this process.
    pub config: Config,
    /// As it was given.
    value: Value,
}

/// The configuration file and the options beside it.
pub fn load(options: &cli::Settings, profile: Option<&str>) -> Result<Loaded> {
    let mut value = match &options.config {
        Some(path) => read(path)?,
        None => json!({}),
    };
    if let Some(object) = value.as_object_mut() {
        if !options.filter_names.is_empty() {
            object.insert("filter_names".into(), json!(options.filter_names));
        }
        if let Some(profile) = profile {
            object.insert("profile".into(), json!(profile));
        }
    }
    let from = options.config.as_deref().map_or_else(|| "the options".into(), name);
    let config = Config::from_value(&value).map_err(|error| {
        let usual = "`abort-reason check FILE` validates a configuration without running anything.";
        invalid(&from, &error.to_string()).hint(of_another(&value).unwrap_or(usual))
    })?;
    Ok(Loaded { config, value })
}

impl Loaded {
    /// For a component.
    pub fn json(&self) -> String {
        self.value.to_string()
    }

    /// Lets messages that passed without an entry be told of, unless the configuration says whether they are.
    pub(crate) fn tell_unlogged(&mut self) {
        self.config.unlogged |= self.value.get("unlogged").is_none();
    }

    /// The same for a component with so much memory: limits that would not fit are lowered, and that is said.
    #[must_use]
    pub fn within(mut self, memory_bytes: usize) -> Loaded {
        let room = Room { memory: memory_bytes, disk: None };
        if let Some(told) = fit(&mut self.config, &mut self.value, room) {
            let mib = memory_bytes >> 20;
            say(&format!(
                "{mib} MiB are too little for the limits of the configuration: {told}\nGive more by --memory-limit, or \
                 lower `limits`."
            ));
        }
        self
    }
}

/// Lowers the limits of a configuration that would not fit; gives what they are then.
pub(crate) fn fit(config: &mut Config, value: &mut Value, room: Room) -> Option<String> {
    let limits = memory::fitted(&config.limits, room)?;
    let (join_bytes, passed_bytes, seen_ids) = (limits.join_bytes, limits.passed_bytes, limits.seen_ids);
    for (key, bound) in [("join_bytes", join_bytes), ("passed_bytes", passed_bytes), ("seen_ids", seen_ids)] {
        value["limits"][key] = json!(bound);
    }
    config.limits = limits;
    Some(format!("going on with join_bytes {join_bytes}, passed_bytes {passed_bytes}, seen_ids {seen_ids}"))
}

/// `abort-reason check`: says whether a configuration is valid, and what it does.
pub fn check(options: &cli::Check) -> Result<()> {
    let mut value = read(&options.config)?;
    let of_fluent_bit = value.as_object_mut().and_then(|object| object.remove("fluent_bit"));
    let name = name(&options.config);
    let config = Config::from_value(&value)
        .map_err(|error| invalid(&name, &error.to_string()).maybe_hint(of_another(&value)))?;
    let whom = if of_fluent_bit.is_some() { " for `configure`" } else { "" };
    let mut text = format!("{} is valid{whom}. In effect:\n\n", visible(&name));
    for line in meaning::of(&config, value.as_object()) {
        text.push_str(&visible(&line));
        text.push('\n');
    }
    if of_fluent_bit.is_some() {
        text.push_str(
            "\n`fluent_bit` is not looked at here: `abort-reason configure` does, before it writes anything. The module's \
             own defaults\nare in fluent-bit-config/README.md.\n",
        );
    }
    io::stdout().lock().write_all(text.as_bytes()).map_err(|error| Failure::writing("standard output", &error))
}

/// Reads a file as YAML, of which JSON is a part. An empty file means the defaults.
pub(crate) fn read(path: &Path) -> Result<Value> {
    let name = name(path);
    let unreadable = |error: io::Error| {
        Failure::new(Exit::NoInput, format!("cannot read the configuration {name}: {error}"))
            .hint("Check its name and its permissions.")
    };
    let reader: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(path).map_err(unreadable)?)
    };
    let mut text = String::new();
    match reader.take(LONGEST + 1).read_to_string(&mut text) {
        Ok(read) if read as u64 > LONGEST => return Err(invalid(&name, "longer than 4 MiB")),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(invalid(&name, "not UTF-8 text")),
        Err(error) => return Err(unreadable(error)),
    }
    let value = if text.trim_start().starts_with('{') {
        serde_json::from_str(&text).map_err(|error| invalid(&name, &format!("no valid JSON: {error}")))?
    } else {
        serde_saphyr::from_str(&text).map_err(|error| invalid(&name, &format!("no valid YAML: {error}")))?
    };
    Ok(if matches!(value, Value::Null) { json!({}) } else { value })
}

pub(crate) fn invalid(name: &str, problem: &str) -> Failure {
    Failure::new(Exit::Config, format!("the configuration in {name} is not valid: {problem}"))
}

/// What to do with a configuration that has keys for somebody else.
fn of_another(value: &Value) -> Option<&'static str> {
    let has = |key: &str| value.get(key).is_some();
    if has("fluent_bit") {
        Some("Leave `fluent_bit` out here: only `abort-reason configure` reads it.")
    } else if ["forward", "listen", "api_listen", "transform"].into_iter().any(has) {
        Some("It has keys of the bridge: `abort-reason bridge --check --config FILE` looks at such a file.")
    } else {
        None
    }
}

pub(crate) fn name(path: &Path) -> String {
    if path == Path::new("-") { "standard input".into() } else { path.display().to_string() }
}
