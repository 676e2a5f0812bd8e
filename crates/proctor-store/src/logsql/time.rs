//! Times and durations as LogsQL writes them: `2026-11-22`, `2026-11-22T06:39Z`, `5m`, `1h30m`.

use chrono::{DateTime, Days, Months, NaiveDate, TimeDelta};

use crate::record::{Time, time_to_nanos};

/// A bound, in nanoseconds since 1970, and whether the moment itself belongs to the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) nanos: i64,
    pub(super) inclusive: bool,
}

/// A range of `_time`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeSpan {
    pub(super) from: Option<Moment>,
    pub(super) to: Option<Moment>,
}

impl TimeSpan {
    pub(super) fn contains(&self, nanos: i64) -> bool {
        let after = self.from.is_none_or(|from| from.nanos < nanos || (from.inclusive && from.nanos == nanos));
        let before = self.to.is_none_or(|to| nanos < to.nanos || (to.inclusive && to.nanos == nanos));
        after && before
    }
}

/// A written time stands for a stretch: `2026-11-22` for that day. First and last nanosecond.
pub(super) fn stretch(text: &str) -> Option<(i64, i64)> {
    let (body, offset) = zone(text)?;
    let (start, end) = naive(body)?;
    let shift = TimeDelta::try_seconds(offset)?;
    let nanos = |time: Time| time_to_nanos(time - shift);
    Some((nanos(start), nanos(end) - 1))
}

/// Splits the zone off: `Z`, `+01:00`, `-01:00`, or none (UTC). The offset is in seconds.
fn zone(text: &str) -> Option<(&str, i64)> {
    if let Some(body) = text.strip_suffix(['Z', 'z']) {
        return Some((body, 0));
    }
    let Some(time) = text.find('T') else { return Some((text, 0)) };
    let Some(at) = text[time..].find(['+', '-']).map(|at| at + time) else { return Some((text, 0)) };
    let (hours, minutes) = text[at + 1..].split_once(':')?;
    let seconds = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
    Some((&text[..at], if text[at..].starts_with('-') { -seconds } else { seconds }))
}

/// Start of the stretch and start of the next one.
fn naive(text: &str) -> Option<(Time, Time)> {
    let (date, clock) = text.split_once(['T', ' ']).map_or((text, None), |(date, clock)| (date, Some(clock)));
    let parts: Vec<&str> = date.split('-').collect();
    let number = |at: usize| parts.get(at).map(|part| part.parse::<u32>().ok());
    let year: i32 = parts.first().filter(|year| year.len() == 4)?.parse().ok()?;
    let month = number(1).unwrap_or(Some(1))?;
    let day = number(2).unwrap_or(Some(1))?;
    let start = NaiveDate::from_ymd_opt(year, month, day)?.and_hms_opt(0, 0, 0)?.and_utc();
    match (parts.len(), clock) {
        (1, None) => Some((start, start.checked_add_months(Months::new(12))?)),
        (2, None) => Some((start, start.checked_add_months(Months::new(1))?)),
        (3, None) => Some((start, start.checked_add_days(Days::new(1))?)),
        (3, Some(clock)) => of_day(start, clock),
        _ => None,
    }
}

fn of_day(day: Time, clock: &str) -> Option<(Time, Time)> {
    let mut parts = clock.split(':');
    let hours: i64 = parts.next()?.parse().ok()?;
    let minutes: Option<i64> = parts.next().map(str::parse).transpose().ok()?;
    let seconds = parts.next();
    if parts.next().is_some() || !(0..24).contains(&hours) || minutes.is_some_and(|m| !(0..60).contains(&m)) {
        return None;
    }
    let start = day + TimeDelta::try_minutes(hours * 60 + minutes.unwrap_or(0))?;
    match (minutes, seconds) {
        (None, _) => Some((start, start + TimeDelta::try_hours(1)?)),
        (Some(_), None) => Some((start, start + TimeDelta::try_minutes(1)?)),
        (Some(_), Some(seconds)) => {
            let (whole, fraction) = seconds.split_once('.').map_or((seconds, ""), |(whole, fraction)| (whole, fraction));
            let digits = u32::try_from(fraction.len()).ok().filter(|digits| *digits <= 9)?;
            let unit = 10_i64.pow(9 - digits);
            let nanos = whole.parse::<i64>().ok()?.checked_mul(1_000_000_000)?;
            let part = if fraction.is_empty() { 0 } else { fraction.parse::<i64>().ok()? * unit };
            let start = start + TimeDelta::nanoseconds(nanos + part);
            Some((start, start + TimeDelta::nanoseconds(unit)))
        }
    }
}

/// A duration in nanoseconds: `5m`, `1h30m`, `1.5s`, `100ms`, `1d`, `1w`, `1y`.
pub(super) fn duration(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|at| *at > 0)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, after) = tail.split_at(letters);
        total += number.parse::<f64>().ok()? * nanos_of(unit)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total as i64)
}

fn nanos_of(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1.0,
        "us" | "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3600e9,
        "d" => 86_400e9,
        "w" => 7.0 * 86_400e9,
        "y" => 365.0 * 86_400e9,
        _ => return None,
    })
}

/// Rounds down to a multiple of `bucket`, as RFC 3339.
pub(super) fn bucket_start(nanos: i64, bucket: i64) -> String {
    let start = nanos - nanos.rem_euclid(bucket.max(1));
    written(DateTime::from_timestamp_nanos(start))
}

/// `_time` as rows show it: RFC 3339 in UTC with as many digits as needed.
pub(crate) fn written(time: Time) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;

    #[test]
    fn a_written_time_stands_for_a_stretch() {
        for (text, first, past) in [
            ("2026", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("2026-11", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
            ("2026-11-22", "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"),
            ("2026-11-22T06Z", "2026-11-22T06:00:00Z", "2026-11-22T07:00:00Z"),
            ("2026-11-22T06:39", "2026-11-22T06:39:00Z", "2026-11-22T06:40:00Z"),
            ("2026-11-22T06:39:38Z", "2026-11-22T06:39:38Z", "2026-11-22T06:39:39Z"),
            ("2026-11-22T06:39:38.5+01:00", "2026-11-22T05:39:38.5Z", "2026-11-22T05:39:38.6Z"),
        ] {
            let nanos = |text: &str| time_to_nanos(text.parse::<Time>().unwrap());
            assert_eq!(stretch(text), Some((nanos(first), nanos(past) - 1)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "20", "2026-13", "2026-11-22T25", "2026-11-22T06:61", "yesterday", "2026-11-22T06:39:38:1"] {
            assert_eq!(stretch(text), None, "{text}");
        }
    }

    #[test]
    fn durations_add_up() {
        assert_eq!(duration("1h30m"), Some(5_400_000_000_000));
        assert_eq!(duration("1.5s"), Some(1_500_000_000));
        assert_eq!(duration("100ms"), Some(100_000_000));
        assert_eq!(duration("5"), None);
        assert_eq!(duration("m"), None);
        assert_eq!(duration(""), None);
    }
}
