//! The configuration of this face: that of the core, and what only Fluent Bit needs, under `fluent_bit`.

use abort_reason::Config;
use serde_json::Value;

/// What the filter is told to do.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The engine's part.
    pub core: Config,
    /// Records with this tag are the clock, and slots.
    pub tick_tag: String,
    /// Mail lines whose tag begins so end here.
    pub evidence_prefix: String,
    /// The file in the first of `accessible_paths` that keeps what must outlive the process; empty for none.
    pub state_file: String,
    /// Seconds between two records with the counters; 0 for none.
    pub report_secs: u64,
    /// The text that the settings were read from.
    pub text: String,
}

/// Where a module that nobody configured differs from the core's defaults: bounds that fit a log shipper's process, and
/// the field in which the `tail` input puts a line comes first.
const DEFAULTS: &str = r#"{
    "message_fields": ["log", "message", "MESSAGE", "msg"],
    "limits": {"join_bytes": 16777216, "messages": 50000, "passed_bytes": 4194304, "seen_ids": 16384}
}"#;

const KEYS: [&str; 4] = ["tick_tag", "evidence_prefix", "report_secs", "state_file"];

impl Settings {
    /// Reads a JSON object; empty text gives the defaults. An error names the key, the value, and what is allowed.
    pub(crate) fn from_json(text: &str) -> Result<Settings, String> {
        let text = if text.trim().is_empty() { "{}" } else { text };
        let mut value: Value =
            serde_json::from_str(text).map_err(|error| format!("configuration: no valid JSON: {error}"))?;
        let own = value.as_object_mut().and_then(|object| object.remove("fluent_bit"));
        let mut settings = Settings {
            core: Config::default(),
            tick_tag: "abort_reason.tick".to_owned(),
            evidence_prefix: "evidence.".to_owned(),
            report_secs: 0,
            state_file: "abort_reason.journal".to_owned(),
            text: text.to_owned(),
        };
        if let Some(own) = own {
            settings.read_own(&own)?;
        }
        settings.core = Config::from_value(&with_defaults(value)).map_err(|error| error.to_string())?;
        Ok(settings)
    }

    fn read_own(&mut self, own: &Value) -> Result<(), String> {
        let object = own.as_object().ok_or_else(|| refused("fluent_bit", own, "an object"))?;
        for (key, value) in object {
            let path = format!("fluent_bit.{key}");
            let text = || {
                let text = value.as_str().filter(|text| !text.is_empty() && text.len() <= 200);
                text.map(str::to_owned).ok_or_else(|| refused(&path, value, "a text of 1 to 200 bytes"))
            };
            match key.as_str() {
                "tick_tag" => self.tick_tag = text()?,
                "evidence_prefix" => self.evidence_prefix = text()?,
                "state_file" => {
                    let is_name = |name: &&str| name.len() <= 200 && !name.contains(['/', '\\', '\0']);
                    let name = value.as_str().filter(is_name);
                    let allowed = "a file's name, without a folder, or an empty text for none";
                    name.ok_or_else(|| refused(&path, value, allowed))?.clone_into(&mut self.state_file);
                }
                "report_secs" => {
                    self.report_secs = value
                        .as_u64()
                        .filter(|secs| *secs <= 86_400)
                        .ok_or_else(|| refused(&path, value, "a whole number from 0 to 86400"))?;
                }
                _ => return Err(format!("{path}: unknown key; known are {}", KEYS.join(", "))),
            }
        }
        if self.tick_tag.starts_with(&self.evidence_prefix) {
            return Err(format!(
                "fluent_bit.tick_tag: {:?} is not allowed; allowed is a tag that does not begin with {:?}",
                self.tick_tag, self.evidence_prefix
            ));
        }
        Ok(())
    }
}

fn refused(path: &str, value: &Value, allowed: &str) -> String {
    format!("{path}: {value} is not allowed; allowed is {allowed}")
}

/// Fills in what the configuration leaves open.
fn with_defaults(mut value: Value) -> Value {
    let Ok(Value::Object(defaults)) = serde_json::from_str(DEFAULTS) else { return value };
    let Some(object) = value.as_object_mut() else { return value };
    for (key, default) in defaults {
        match (object.get_mut(&key), default) {
            (Some(Value::Object(given)), Value::Object(default)) => {
                for (key, default) in default {
                    given.entry(key).or_insert(default);
                }
            }
            (Some(_), _) => {}
            (None, default) => {
                object.insert(key, default);
            }
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::Settings;

    #[test]
    fn defaults_fit_a_shipper() {
        let settings = Settings::from_json("").unwrap();
        assert_eq!(settings.core.limits.seen_ids, 16_384);
        assert_eq!(settings.core.message_fields[0], "log");
        let settings =
            Settings::from_json(r#"{"limits": {"seen_ids": 64}, "fluent_bit": {"report_secs": 60}}"#).unwrap();
        assert_eq!((settings.core.limits.seen_ids, settings.core.limits.join_bytes), (64, 16 << 20));
        assert_eq!(settings.report_secs, 60);
    }

    #[test]
    fn errors_name_key_value_and_what_is_allowed() {
        for (text, error) in [
            (r#"{"fluent_bit": {"tag": "x"}}"#, "fluent_bit.tag: unknown key; known are tick_tag,"),
            (r#"{"fluent_bit": {"tick_tag": ""}}"#, "fluent_bit.tick_tag: \"\" is not allowed; allowed is a text"),
            (r#"{"fluent_bit": {"tick_tag": "evidence.x"}}"#, "fluent_bit.tick_tag: \"evidence.x\" is not allowed"),
            (
                r#"{"fluent_bit": {"state_file": "a/b"}}"#,
                "fluent_bit.state_file: \"a/b\" is not allowed; allowed is a file's",
            ),
            (r#"{"fluent_bit": 1}"#, "fluent_bit: 1 is not allowed; allowed is an object"),
            (r#"{"hold_secs": "x"}"#, "hold_secs: \"x\" is not allowed"),
            ("[]", "configuration: [] is not allowed; allowed is an object"),
            ("{", "configuration: no valid JSON"),
        ] {
            let said = Settings::from_json(text).unwrap_err();
            assert!(said.starts_with(error), "{text}: {said}");
        }
    }
}
