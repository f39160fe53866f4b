//! The schemas in whose words records may be issued, and what shows that one was.

use crate::json::{self, Members};
use crate::spelled::spelled;

spelled! {
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

spelled! {
    /// How the names of a profile's fields are written.
    ProfileKeys {
        /// `{"event": {"reason": …}}`
        Nested = "nested",
        /// `{"event.reason": …}`
        Flat = "flat",
    }
}

/// Where each profile writes the version of the object, which nobody else does.
const MARKS: [&[u8]; 3] =
    [b"puremessage.abort.schema", b"unmapped.abort.schema", b"attributes.puremessage.abort.schema"];

/// Whether a member of a record shows that it went through here before, under whatever profile.
pub(crate) fn marks(key: &[u8], value: &[u8]) -> bool {
    MARKS.iter().any(|mark| holds(key, value, mark))
}

/// Whether a member of this name may be one that [`marks`] looks for.
pub(crate) fn may_mark(key: &[u8]) -> bool {
    MARKS.iter().any(|mark| mark.starts_with(key))
}

/// Whether a member is at a path, or has a member that is. What stands between the dots may be one name.
fn holds(key: &[u8], value: &[u8], path: &[u8]) -> bool {
    let Some(rest) = path.strip_prefix(key) else { return false };
    let Some(rest) = rest.strip_prefix(b".") else { return rest.is_empty() && value != b"null" };
    let Some(members) = Members::new(value) else { return false };
    let name = |key: &[u8]| json::string(key).map(std::borrow::Cow::into_owned);
    members.into_iter().any(|(key, value)| name(key).is_some_and(|key| holds(&key, value, rest)))
}
