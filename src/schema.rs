//! The schemas in whose words records may be issued, and what shows that one was.

use memchr::memmem;

use crate::reasons::words;

/// Our own field set in ECS.
pub(crate) const OWN_FIELDS: &str = "puremessage";

words! {
    /// In whose words records are issued.
    Profile {
        /// The object `abort` of docs/record.md.
        Native = "native",
        /// Elastic Common Schema.
        Ecs = "ecs",
        /// Open Cybersecurity Schema Framework, Email Activity.
        Ocsf = "ocsf",
        /// OpenTelemetry's log record.
        Otel = "otel",
    }
}

words! {
    /// How the names of a profile's fields are written.
    Keys {
        /// `{"event": {"reason": …}}`
        Nested = "nested",
        /// `{"event.reason": …}`
        Flat = "flat",
    }
}

impl Profile {
    /// Whether a member of a record shows that it went through here before.
    pub(crate) fn marks(self, key: &[u8], value: &[u8]) -> bool {
        let is = |name: &str| key == name.as_bytes();
        match self {
            Profile::Native => false,
            Profile::Ecs => is(OWN_FIELDS) || key.starts_with(b"puremessage.abort."),
            Profile::Ocsf => is("enrichments") && memmem::find(value, br#""provider":"abort-reason""#).is_some(),
            Profile::Otel => is("eventName") && value.starts_with(b"\"puremessage."),
        }
    }
}
