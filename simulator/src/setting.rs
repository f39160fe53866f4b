//! How a host writes its logs: the form of their times, its zone and what happens to it, its clock, where they end.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use proptest::prelude::*;

/// How a host writes its logs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// When the world begins: seconds since 1970.
    epoch: i64,
    form: Form,
    /// Local time, in minutes east of UTC, and how it changes one minute into the world.
    zone: i64,
    shift: i64,
    /// `message_log` counts in UTC, as it does where PureMessage was started without a time zone.
    entries_in_utc: bool,
    /// The host's clock is set, by so many milliseconds, for what begins after the first.
    step: Option<(i64, i64)>,
    /// The mail log ends here: what was written later never comes.
    silent: Option<i64>,
    /// sendmail 8.12, with other words for some things.
    pub old: bool,
}

/// How syslog writes a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Classic syslog, in whole seconds and without a year.
    Bsd,
    /// RFC 3339 in UTC, to the millisecond.
    Utc,
    /// RFC 3339 in local time, to the microsecond.
    Local,
}

/// 2026-11-23T13:00:00Z.
const ORDINARY: i64 = 1_795_438_800;

const PLAIN: Setting = Setting {
    epoch: ORDINARY,
    form: Form::Utc,
    zone: 0,
    shift: 0,
    entries_in_utc: false,
    step: None,
    silent: None,
    old: false,
};

/// When a world begins, in seconds since 1970, and by how many minutes local time changes at its first minute: an ordinary
/// day; the end of a year; a leap day; the end and the beginning of summer time.
fn places() -> impl Strategy<Value = (i64, i64)> {
    prop::sample::select(vec![
        (ORDINARY, 0),
        (ORDINARY, 0),
        (1_798_761_560, 0),
        (1_835_395_170, 0),
        (1_792_889_940, -60),
        (1_806_195_540, 60),
    ])
}

/// Hosts whose clocks are right and in UTC.
pub(crate) fn plain() -> impl Strategy<Value = Vec<Setting>> {
    let setting = any::<bool>().prop_map(|bsd| Setting { form: if bsd { Form::Bsd } else { Form::Utc }, ..PLAIN });
    prop::collection::vec(setting, 1..4)
}

/// Hosts of every kind, in one world.
pub(crate) fn any_kind() -> impl Strategy<Value = Vec<Setting>> {
    places().prop_flat_map(|place| prop::collection::vec(settings(place), 1..4))
}

fn settings((epoch, shift): (i64, i64)) -> impl Strategy<Value = Setting> {
    let zone = prop::sample::select(vec![0, 0, 60, 120, -300, -480, 330, -210, 570]);
    let form = prop::sample::select(vec![Form::Bsd, Form::Bsd, Form::Utc, Form::Local]);
    let by = prop_oneof![-7_200_000..7_200_000i64, -5_000..5_000i64];
    let step = prop_oneof![4 => Just(None), 1 => (0..120_000i64, by).prop_map(Some)];
    let silent = prop_oneof![6 => Just(None), 1 => (0..120_000i64).prop_map(Some)];
    (zone, form, any::<bool>(), step, silent, any::<bool>()).prop_map(
        move |(zone, form, entries_in_utc, step, silent, old)| Setting {
            epoch,
            form,
            zone,
            shift,
            entries_in_utc,
            step,
            silent,
            old,
        },
    )
}

impl Setting {
    /// What the host's clock shows, in milliseconds since 1970, at a time of the world.
    pub(crate) fn shows(&self, began_ms: i64, at_ms: i64) -> i64 {
        let set = self.step.filter(|(after, _)| began_ms >= *after).map_or(0, |(_, by)| by);
        self.epoch * 1_000 + at_ms + set
    }

    fn offset(&self, at_ms: i64) -> i64 {
        self.zone + if at_ms >= 60_000 { self.shift } else { 0 }
    }

    pub(crate) fn stamp(&self, shown_ms: i64, at_ms: i64) -> String {
        match self.form {
            Form::Bsd => civil(shown_ms, self.offset(at_ms), "%b %e %H:%M:%S"),
            Form::Utc => civil(shown_ms, 0, "%Y-%m-%dT%H:%M:%S.%3fZ"),
            Form::Local => civil(shown_ms, self.offset(at_ms), "%Y-%m-%dT%H:%M:%S.%6f%:z"),
        }
    }

    pub(crate) fn entry_stamp(&self, shown_ms: i64, at_ms: i64) -> String {
        civil(shown_ms, if self.entries_in_utc { 0 } else { self.offset(at_ms) }, "%Y-%m-%dT%H:%M:%S")
    }

    /// Whether nothing happens to the host's clock.
    pub(crate) fn is_steady(&self) -> bool {
        self.step.is_none() && self.shift == 0
    }

    /// Whether the times of the mail log tell the order of its lines.
    pub(crate) fn is_precise(&self) -> bool {
        self.form != Form::Bsd
    }

    /// Whether what was done to a message stands in the logs: they may end before.
    pub(crate) fn tells_all(&self, until_ms: i64) -> bool {
        self.silent.is_none_or(|silent| until_ms < silent)
    }
}

fn civil(shown_ms: i64, minutes: i64, format: &str) -> String {
    let zone = TimeZone::fixed(Offset::from_seconds(minutes as i32 * 60).expect("a zone"));
    let time = Timestamp::from_millisecond(shown_ms).expect("a time").to_zoned(zone);
    time.strftime(format).to_string()
}
