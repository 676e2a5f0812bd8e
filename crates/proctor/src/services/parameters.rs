//! Query parameters and form fields of the query APIs, with the notations of time that their clients use.

use std::borrow::Cow;
use std::time::Duration;

use chrono::DateTime;
use percent_encoding::percent_decode;
use proctor_store::{Time, TimeRange, time_from_nanos};

/// The fields of a query string or form body, in order; names may repeat.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads `application/x-www-form-urlencoded` text.
    pub(crate) fn parse(form: &[u8]) -> Self {
        let fields = form.split(|byte| *byte == b'&').filter(|field| !field.is_empty());
        Self(fields.map(parse_field).collect())
    }

    /// The first value of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The first value of that name, or nothing.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// Every value of that name.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let found = self.0.iter().filter(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).collect()
    }

    /// The time of that name; an error names the field.
    pub(crate) fn time(&self, name: &str, parse: fn(&str) -> Option<Time>) -> Result<Option<Time>, String> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        match parse(text) {
            Some(time) => Ok(Some(time)),
            None => Err(format!("{name}: `{text}` is neither a number of seconds nor an RFC 3339 time")),
        }
    }

    /// `start` and `end`.
    pub(crate) fn range(&self) -> Result<TimeRange, String> {
        Ok(TimeRange { start: self.time("start", parse_time)?, end: self.time("end", parse_time)? })
    }
}

fn parse_field(field: &[u8]) -> (String, String) {
    let cut = field.iter().position(|byte| *byte == b'=').unwrap_or(field.len());
    let (name, value) = field.split_at(cut);
    (decode(name), decode(value.strip_prefix(b"=").unwrap_or_default()))
}

fn decode(text: &[u8]) -> String {
    let spaced: Cow<'_, [u8]> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&spaced).decode_utf8_lossy().into_owned()
}

/// A moment as Prometheus and VictoriaMetrics clients write it: seconds since 1970 with fractions, or RFC 3339.
/// Numbers of 13, 16 or 19 digits are milli-, micro- or nanoseconds, as VictoriaLogs reads them.
pub(crate) fn parse_time(text: &str) -> Option<Time> {
    if let Ok(seconds) = text.parse::<f64>() {
        return time_of_number(seconds);
    }
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
}

fn time_of_number(number: f64) -> Option<Time> {
    let per_unit = match number {
        n if !n.is_finite() || n < 0.0 => return None,
        n if n < 1e11 => 1e9,
        n if n < 1e14 => 1e6,
        n if n < 1e17 => 1e3,
        _ => 1.0,
    };
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked above: finite and not negative; too large a number saturates"
    )]
    let nanos = (number * per_unit).round() as u64;
    Some(time_from_nanos(nanos))
}

/// A length of time: seconds with fractions (`15`, `0.5`), or numbers with units (`500ms`, `1h30m`).
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok().filter(|step| !step.is_zero());
    }
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, next) = after.split_at(letters);
        total += number.parse::<f64>().ok()? * seconds_of(unit)?;
        rest = next;
    }
    Duration::try_from_secs_f64(total).ok().filter(|step| !step.is_zero())
}

fn seconds_of(unit: &str) -> Option<f64> {
    Some(match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        "w" => 604_800.0,
        "y" => 31_536_000.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

    use super::*;

    #[test]
    fn fields_are_decoded_and_may_repeat() {
        let parameters = Parameters::parse(b"match[]=up&match%5B%5D=a%7Bb%3D%22c%22%7D&query=x+%2B+1&flag");
        assert_eq!(parameters.all("match[]"), ["up", "a{b=\"c\"}"]);
        assert_eq!(parameters.text("query"), "x + 1");
        assert_eq!(parameters.get("flag"), None);
    }

    #[test]
    fn times_are_read_in_every_notation_of_the_clients() {
        let expected = parse_time("2026-11-22T06:39:38Z").unwrap();
        for text in ["1795329578", "1795329578.0", "1795329578000", "1795329578000000000"] {
            assert_eq!(parse_time(text).unwrap(), expected, "{text}");
        }
        assert_eq!(parse_time("yesterday"), None);
        assert_eq!(parse_time("-1"), None);
    }

    #[test]
    fn an_unreadable_time_names_its_field() {
        let error = Parameters::parse(b"start=soon").range().unwrap_err();
        assert!(error.contains("start") && error.contains("soon"), "{error}");
    }

    #[test]
    fn durations_are_seconds_or_units() {
        let cases = [("15", 15.0), ("0.5", 0.5), ("500ms", 0.5), ("1h30m", 5400.0), ("1d", 86_400.0)];
        for (text, seconds) in cases {
            assert_eq!(parse_duration(text), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
        for text in ["", "0", "x", "5q", "-1s"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
