//! Times as log lines give them: civil times, some with a zone, some without a year, none of them corrected here.

use serde::{Deserialize, Serialize};

use crate::words::decimal;

const NANOS: i64 = 1_000_000_000;

/// Half an hour in seconds: the step in which the clocks of two logs of one host may differ (local time against UTC).
pub(crate) const HALF_HOUR: i64 = 1_800;

/// A point in time as a log line gives it: as precise as the source, with the zone that it names or with none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogTime {
    /// Nanoseconds from 1970-01-01T00:00:00 to the civil time that stands in the line.
    civil: i64,
    /// Digits of the fraction in the source, 0 to 9.
    digits: u8,
    zone: Zone,
}

/// What a time says of its zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Zone {
    Unknown,
    /// Written as `Z`.
    Utc,
    /// Minutes east of UTC.
    Offset(i16),
}

impl LogTime {
    /// A time as records give it: RFC 3339, with a zone or without.
    pub fn parse(text: &str) -> Option<LogTime> {
        LogTime::parse_iso(text.as_bytes()).filter(|(_, used)| *used == text.len()).map(|(time, _)| time)
    }

    /// A time from civil seconds without a zone.
    pub fn from_civil_secs(secs: i64) -> LogTime {
        LogTime { civil: secs.saturating_mul(NANOS), digits: 0, zone: Zone::Unknown }
    }

    /// A time from microseconds since the epoch, as journald counts them.
    pub(crate) fn from_epoch_micros(micros: i64) -> Option<LogTime> {
        Some(LogTime { civil: micros.checked_mul(1_000)?, digits: 6, zone: Zone::Utc })
    }

    /// Milliseconds of the civil time, as if its zone were UTC.
    pub fn civil_ms(self) -> i64 {
        self.civil.div_euclid(1_000_000)
    }

    /// Milliseconds since the epoch, where the line names its zone.
    pub fn utc_ms(self) -> Option<i64> {
        match self.zone {
            Zone::Unknown => None,
            Zone::Utc => Some(self.civil_ms()),
            Zone::Offset(minutes) => Some(self.civil_ms() - i64::from(minutes) * 60_000),
        }
    }

    /// Milliseconds for comparisons with times of the same log: UTC if the zone is known, or else the civil time.
    pub fn ms(self) -> i64 {
        self.utc_ms().unwrap_or_else(|| self.civil_ms())
    }

    /// Nanoseconds of the civil time beyond its milliseconds.
    pub(crate) fn nanos_beyond_ms(self) -> i64 {
        self.civil.rem_euclid(1_000_000)
    }

    /// Reads `YYYY-MM-DD`, `T` or a blank, `hh:mm:ss`, a fraction behind `.` or `,`, and a zone (`Z`, `+hh:mm`,
    /// `+hhmm`) where there is one. Gives the time and the length of what was read.
    pub(crate) fn parse_iso(text: &[u8]) -> Option<(LogTime, usize)> {
        let fixed = text.get(..19)?;
        if fixed[4] != b'-' || fixed[7] != b'-' || !matches!(fixed[10], b'T' | b't' | b' ') {
            return None;
        }
        let year = i64::from(decimal(&fixed[..4])?);
        let secs =
            civil_secs(year, decimal(&fixed[5..7])?, decimal(&fixed[8..10])?, clock(*text[11..].first_chunk()?)?)?;
        let mut nanos = 0i64;
        let mut digits = 0u8;
        let mut end = 19;
        if matches!(text.get(19), Some(b'.' | b',')) && text.get(20).is_some_and(u8::is_ascii_digit) {
            end = 20;
            while let Some(digit) = text.get(end).filter(|b| b.is_ascii_digit()) {
                if digits < 9 {
                    nanos = nanos * 10 + i64::from(digit - b'0');
                    digits += 1;
                }
                end += 1;
            }
            nanos *= 10i64.pow(u32::from(9 - digits));
        }
        let (zone, used) = parse_zone(&text[end..]);
        Some((LogTime { civil: secs.checked_mul(NANOS)? + nanos, digits, zone }, end + used))
    }
}

impl std::fmt::Display for LogTime {
    /// RFC 3339, as precise as the source; without a zone where the source names none.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text(&mut [0; TEXT]))
    }
}

/// Bytes of the longest text of a time.
pub(crate) const TEXT: usize = 48;

impl LogTime {
    /// The time's text, written into `place`: by hand, since every record has several, and formatting is slow where it
    /// is interpreted.
    pub(crate) fn text(self, place: &mut [u8; TEXT]) -> &str {
        let secs = self.civil.div_euclid(NANOS);
        let (year, month, day) = civil_date(secs.div_euclid(86_400));
        let clock = secs.rem_euclid(86_400) as u32;
        let mut text = Text { place, length: 0 };
        // Neither a log's four digits nor journald's sixteen make a year outside of these.
        text.number(year.clamp(0, 9_999) as u32, 4);
        for (before, part) in [
            (b'-', month as u32),
            (b'-', day as u32),
            (b'T', clock / 3_600),
            (b':', clock / 60 % 60),
            (b':', clock % 60),
        ] {
            text.byte(before);
            text.number(part, 2);
        }
        if self.digits > 0 {
            let fraction = self.civil.rem_euclid(NANOS) / 10i64.pow(u32::from(9 - self.digits));
            text.byte(b'.');
            text.number(fraction as u32, usize::from(self.digits));
        }
        match self.zone {
            Zone::Unknown => {}
            Zone::Utc => text.byte(b'Z'),
            Zone::Offset(minutes) => {
                text.byte(if minutes < 0 { b'-' } else { b'+' });
                let minutes = u32::from(minutes.unsigned_abs());
                text.number(minutes / 60, 2);
                text.byte(b':');
                text.number(minutes % 60, 2);
            }
        }
        let Text { place, length } = text;
        // Only ASCII gets in.
        std::str::from_utf8(&place[..length]).unwrap_or_default()
    }
}

/// A text that is being written.
struct Text<'a> {
    place: &'a mut [u8; TEXT],
    length: usize,
}

impl Text<'_> {
    fn byte(&mut self, byte: u8) {
        self.place[self.length] = byte;
        self.length += 1;
    }

    /// A number with so many digits.
    fn number(&mut self, mut number: u32, digits: usize) {
        for at in (self.length..self.length + digits).rev() {
            self.place[at] = b'0' + (number % 10) as u8;
            number /= 10;
        }
        self.length += digits;
    }
}

/// A time of classic syslog, which has no year unless the daemon was told to write one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BsdTime {
    month: u32,
    day: u32,
    clock: u32,
    year: Option<i64>,
}

impl BsdTime {
    /// Reads `Nov  3 13:01:05` or `Nov 3 2026 13:01:05`. Gives the time and the length of what was read.
    pub(crate) fn parse(text: &[u8]) -> Option<(BsdTime, usize)> {
        let month = month_number(text.get(..3)?)?;
        if text.get(3) != Some(&b' ') {
            return None;
        }
        let mut at = 4;
        if text.get(at) == Some(&b' ') {
            at += 1;
        }
        let (day, used) = leading_number(text.get(at..)?, 2)?;
        at += used;
        if text.get(at) != Some(&b' ') {
            return None;
        }
        at += 1;
        let mut year = None;
        if let Some((value, 4)) = leading_number(text.get(at..)?, 4)
            && text.get(at + 4) == Some(&b' ')
        {
            year = Some(i64::from(value));
            at += 5;
        }
        let clock = clock(*text.get(at..)?.first_chunk()?)?;
        if day == 0 || day > days_in_month(2024, month) {
            return None;
        }
        Some((BsdTime { month, day, clock, year }, at + 8))
    }

    /// The full time, in the year that puts it nearest to `near` (civil seconds) where it has no year of its own.
    pub(crate) fn resolve(self, near: i64) -> LogTime {
        let at = |year| civil_secs(year, self.month, self.day, self.clock);
        let secs = if let Some(year) = self.year {
            at(year)
        } else {
            let (year, _, _) = civil_date(near.div_euclid(86_400));
            // Within half a year no other one is nearer.
            if let Some(secs) = at(year).filter(|secs| (secs - near).abs() < 182 * 86_400) {
                return LogTime::from_civil_secs(secs);
            }
            [year - 1, year, year + 1].into_iter().filter_map(at).min_by_key(|secs| (secs - near).abs())
        };
        LogTime::from_civil_secs(secs.unwrap_or(near))
    }
}

/// Seconds from 1970-01-01 to a civil date and a second of its day.
pub(crate) fn civil_secs(year: i64, month: u32, day: u32, clock: u32) -> Option<i64> {
    if !(1970..=2199).contains(&year) || !(1..=12).contains(&month) || day == 0 || day > days_in_month(year, month) {
        return None;
    }
    // Howard Hinnant's days_from_civil: years begin in March, so that the leap day is the last of its year.
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * i64::from((month + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some((era * 146_097 + day_of_era - 719_468) * 86_400 + i64::from(clock))
}

fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Year, month and day of a number of days since 1970-01-01 (Hinnant's `civil_from_days`).
pub(crate) fn civil_date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn parse_zone(text: &[u8]) -> (Zone, usize) {
    let sign = match text.first() {
        Some(b'Z' | b'z') => return (Zone::Utc, 1),
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return (Zone::Unknown, 0),
    };
    let colon = usize::from(text.get(3) == Some(&b':'));
    let hours = text.get(1..3).and_then(decimal);
    let minutes = text.get(3 + colon..5 + colon).and_then(decimal);
    match (hours, minutes) {
        (Some(hours @ 0..=23), Some(minutes @ 0..=59)) => {
            (Zone::Offset(sign * (hours * 60 + minutes) as i16), 5 + colon)
        }
        _ => (Zone::Unknown, 0),
    }
}

/// Second of the day from `hh:mm:ss`; a leap second counts as the second before it.
fn clock(text: [u8; 8]) -> Option<u32> {
    let [h, hh, b':', m, mm, b':', s, ss] = text else { return None };
    let two = |tens: u8, ones: u8| {
        let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
        (tens <= 9 && ones <= 9).then(|| u32::from(tens) * 10 + u32::from(ones))
    };
    let (hour, minute, second) = (two(h, hh)?, two(m, mm)?, two(s, ss)?);
    (hour < 24 && minute < 60 && second <= 60).then(|| hour * 3_600 + minute * 60 + second.min(59))
}

/// The number at the beginning of a text and how many digits it has, at most `most`.
fn leading_number(text: &[u8], most: usize) -> Option<(u32, usize)> {
    let (mut n, mut used) = (0, 0);
    while let Some(digit) = text.get(used).filter(|b| used < most && b.is_ascii_digit()) {
        n = n * 10 + u32::from(digit - b'0');
        used += 1;
    }
    (used > 0).then_some((n, used))
}

fn month_number(name: &[u8]) -> Option<u32> {
    Some(match name {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_times_come_back_as_they_were() {
        for (text, used) in [
            ("2026-11-23T13:01:05.022833+00:00", 32),
            ("2026-11-23T13:01:05.1Z", 22),
            ("2026-11-23T13:01:05-03:30", 25),
            ("2026-11-23T13:01:05", 19),
            ("2024-02-29T23:59:59.999999999Z", 30),
        ] {
            let (time, length) = LogTime::parse_iso(text.as_bytes()).unwrap();
            assert_eq!(time.to_string(), text);
            assert_eq!(length, used);
        }
    }

    #[test]
    fn iso_variants() {
        let (time, _) = LogTime::parse_iso(b"2026-11-23 13:01:05,5+0200 mx1").unwrap();
        assert_eq!(time.to_string(), "2026-11-23T13:01:05.5+02:00");
        assert_eq!(time.utc_ms(), Some(1_795_431_665_500));
        for bad in ["2026-13-01T00:00:00", "2026-02-30T00:00:00", "2026-11-23T24:00:00", "2026-11-23", "x", ""] {
            assert_eq!(LogTime::parse_iso(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn bsd_times_take_the_nearest_year() {
        let (time, used) = BsdTime::parse(b"Dec 31 23:59:59 mx1").unwrap();
        assert_eq!(used, 15);
        let new_year = civil_secs(2027, 1, 1, 5).unwrap();
        assert_eq!(time.resolve(new_year).to_string(), "2026-12-31T23:59:59");
        let (time, _) = BsdTime::parse(b"Feb 29 01:00:00").unwrap();
        assert_eq!(time.resolve(new_year).to_string(), "2028-02-29T01:00:00");
        let (time, used) = BsdTime::parse(b"Nov  3 2025 01:02:03 mx1").unwrap();
        assert_eq!((time.resolve(0).to_string().as_str(), used), ("2025-11-03T01:02:03", 20));
        for bad in ["Nov 31 10:00:00", "Foo 3 10:00:00", "Nov 3", "Nov  3 10:00", ""] {
            assert_eq!(BsdTime::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
