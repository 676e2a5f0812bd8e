//! How OTLP's JSON writes values that JSON itself has no form for: 64-bit integers as strings or numbers, enumerations as
//! numbers or names, ids as hex, bytes as base64, and floating-point numbers that are not finite as words.

use base64::Engine;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

#[derive(Deserialize)]
#[serde(untagged)]
enum Loose {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
}

impl Loose {
    fn u64(self) -> Option<u64> {
        match self {
            Self::Unsigned(n) => Some(n),
            Self::Signed(n) => u64::try_from(n).ok(),
            Self::Float(n) => (n >= 0.0 && n.fract() == 0.0).then_some(n as u64),
            Self::Text(text) => text.parse().ok(),
        }
    }

    fn i64(self) -> Option<i64> {
        match self {
            Self::Unsigned(n) => i64::try_from(n).ok(),
            Self::Signed(n) => Some(n),
            Self::Float(n) => (n.fract() == 0.0).then_some(n as i64),
            Self::Text(text) => text.parse().ok(),
        }
    }

    fn f64(self) -> Option<f64> {
        match self {
            Self::Unsigned(n) => Some(n as f64),
            Self::Signed(n) => Some(n as f64),
            Self::Float(n) => Some(n),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

fn loose<'de, D: Deserializer<'de>, T>(d: D, what: &str, take: impl Fn(Loose) -> Option<T>) -> Result<T, D::Error> {
    take(Loose::deserialize(d)?).ok_or_else(|| D::Error::custom(format!("not {what}")))
}

pub(super) fn u64<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
    loose(d, "an unsigned 64-bit integer", Loose::u64)
}

pub(super) fn opt_i64<'de, D: Deserializer<'de>>(d: D) -> Result<Option<i64>, D::Error> {
    loose(d, "a 64-bit integer", Loose::i64).map(Some)
}

pub(super) fn opt_f64<'de, D: Deserializer<'de>>(d: D) -> Result<Option<f64>, D::Error> {
    loose(d, "a number", Loose::f64).map(Some)
}

fn many<'de, D: Deserializer<'de>, T>(d: D, take: impl Fn(Loose) -> Option<T>) -> Result<Vec<T>, D::Error> {
    let all = Vec::<Loose>::deserialize(d)?;
    all.into_iter().map(|one| take(one).ok_or_else(|| D::Error::custom("not a number"))).collect()
}

pub(super) fn vec_u64<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u64>, D::Error> {
    many(d, Loose::u64)
}

pub(super) fn vec_f64<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<f64>, D::Error> {
    many(d, Loose::f64)
}

pub(super) fn hex<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(d)?;
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|n| n as u8)).collect();
    match digits {
        Some(digits) if digits.len() % 2 == 0 => Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()),
        _ => Err(D::Error::custom(format!("id {text:?} is not hex"))),
    }
}

pub(super) fn opt_base64<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Vec<u8>>, D::Error> {
    let text = String::deserialize(d)?;
    base64::engine::general_purpose::STANDARD.decode(&text).map(Some).map_err(D::Error::custom)
}

fn named<'de, D: Deserializer<'de>>(d: D, prefix: &str, names: &[&str]) -> Result<i32, D::Error> {
    let loose = Loose::deserialize(d)?;
    let Loose::Text(text) = &loose else {
        return loose.i64().and_then(|n| i32::try_from(n).ok()).ok_or_else(|| D::Error::custom("not an enumeration"));
    };
    let name = text.strip_prefix(prefix).and_then(|name| names.iter().position(|known| *known == name));
    let number = name.and_then(|at| i32::try_from(at).ok()).or_else(|| text.parse().ok());
    number.ok_or_else(|| D::Error::custom(format!("unknown name {text:?}")))
}

pub(super) fn severity<'de, D: Deserializer<'de>>(d: D) -> Result<i32, D::Error> {
    const NAMES: [&str; 25] = [
        "UNSPECIFIED",
        "TRACE",
        "TRACE2",
        "TRACE3",
        "TRACE4",
        "DEBUG",
        "DEBUG2",
        "DEBUG3",
        "DEBUG4",
        "INFO",
        "INFO2",
        "INFO3",
        "INFO4",
        "WARN",
        "WARN2",
        "WARN3",
        "WARN4",
        "ERROR",
        "ERROR2",
        "ERROR3",
        "ERROR4",
        "FATAL",
        "FATAL2",
        "FATAL3",
        "FATAL4",
    ];
    named(d, "SEVERITY_NUMBER_", &NAMES)
}

pub(super) fn temporality<'de, D: Deserializer<'de>>(d: D) -> Result<i32, D::Error> {
    named(d, "AGGREGATION_TEMPORALITY_", &["UNSPECIFIED", "DELTA", "CUMULATIVE"])
}

pub(super) fn span_kind<'de, D: Deserializer<'de>>(d: D) -> Result<i32, D::Error> {
    named(d, "SPAN_KIND_", &["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"])
}

pub(super) fn status_code<'de, D: Deserializer<'de>>(d: D) -> Result<i32, D::Error> {
    named(d, "STATUS_CODE_", &["UNSET", "OK", "ERROR"])
}
