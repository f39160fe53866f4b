//! Gives every PureMessage abort record the reason that sendmail logged for it.
//!
//! PureMessage for UNIX, a mail filter, writes one line per message to `message_log`. When sendmail gives up on a
//! connection, it writes an *abort* entry that does not say why; sendmail's own log does, under the same queue id. This
//! crate joins the two, in order or not, live or from a backlog, in bounded memory.
//!
//! It is the pure core: no I/O, no clock, no `unsafe`. Hosts that read files, speak protocols or run in a browser wrap it;
//! use the command `abort-reason` if you have log files and a question.
//!
//! | type | what it is |
//! |---|---|
//! | [`Engine`] | takes records and gives them back with their reasons |
//! | [`Config`] | what it is told to do; checked where it is read from a file |
//! | [`reasons`] | the table of the lines that explain an abort |
//! | [`Stats`] | what it has counted |
//!
//! ```
//! use abort_reason::{Config, Engine, Input, Source};
//!
//! let mut engine = Engine::new(&Config::from_json(r#"{"filter_names": ["PureMessage"]}"#)?);
//! for line in [
//!     "Nov 23 13:01:06 mx1 sendmail[14029]: 6AND15d3014029: Milter (PureMessage): timeout before data read, where=rcpt",
//!     "Nov 23 13:01:06 mx1 sendmail[14029]: 6AND15d3014029: Milter (PureMessage): to error state",
//!     "2026-11-23T13:01:09 q=6AND15d3014029 f=<a@example.org> t=<b@example.net> r=relay.example.com tm=6.04 a=c/abort",
//! ] {
//!     engine.push(Source::Auto, Input::Line(line.as_bytes()), 0, 0);
//! }
//! engine.finish();
//! let record = String::from_utf8(engine.poll().unwrap().data)?;
//! assert!(record.contains(r#""status":"explained","class":"filter_timeout","fault":"filter","ignorable":false"#));
//! assert!(record.contains(r#""stage":"rcpt","timeout":"R""#));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What this crate does not do: it reads no files, follows no rotation, speaks no protocol, and never guesses. Where the
//! log holds no cause, the record says so and why.

// Nothing that a record can reach is taken for granted.
#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::unreachable, clippy::todo)
)]
#![forbid(unsafe_code)]

mod address;
mod case;
mod config;
mod engine;
mod entry;
mod envelope;
mod event;
mod glance;
mod hash;
mod input;
mod join;
mod json;
mod mail_line;
mod object;
mod peek;
mod profile;
mod queue_id;
pub mod reasons;
mod record;
mod schema;
mod spelled;
mod stats;
mod tags;
mod time;
mod words;
mod zone;

pub use case::{Kind, Outcome, Status, WhyNot};
pub use config::{Config, ConfigError, HostFrom, Limits, Mode, Others};
pub use engine::{Engine, RestoreError};
pub use event::{Batch, Disposition, Input, Output, Revision, Source, What};
pub use join::Watermark;
pub use json::{is_finite, is_object};
pub use peek::{LineKind, Peek, Peeker, Processing, peek, processing};
pub use queue_id::QueueId;
pub use schema::{Profile, ProfileKeys};
pub use stats::Stats;
pub use time::LogTime;
pub use zone::Zone;
