//! How single values are read, from protobuf and from protobuf's JSON mapping.
//!
//! JSON has several forms for one value: numbers may come as texts, with an exponent or with a
//! fraction of zeros, enumerations by name or number, bytes in either alphabet of base64 with or
//! without padding. Ids are hex, as OTLP demands in place of base64.

use std::marker::PhantomData;

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use prost::encoding::decode_varint;

use super::codec::{CUT_OFF, Codec, OTHER_TYPE, Packed, Read};
use super::json::{Json, Text as JsonText};
use super::notes::Notes;
use super::wire::Wire;

const NOT_UNICODE: &str = "text that is not Unicode";
const NOT_A_NUMBER: &str = "a number that cannot be read";

/// A text.
pub(super) struct Text;

impl Codec<String> for Text {
    fn wire(into: &mut String, from: Wire<'_>, notes: &mut Notes) -> Read {
        let Wire::Bytes(bytes, is_whole) = from else { return Err(OTHER_TYPE) };
        let text = String::from_utf8_lossy(bytes);
        if matches!(text, std::borrow::Cow::Owned(_)) {
            notes.spoil(NOT_UNICODE, &*text);
        }
        *into = text.into_owned();
        if is_whole { Ok(()) } else { Err(CUT_OFF) }
    }

    fn json(into: &mut String, from: &Json<'_>, notes: &mut Notes) -> Read {
        match from {
            Json::Text(JsonText { text, is_replaced }) => {
                if *is_replaced {
                    notes.spoil(NOT_UNICODE, &**text);
                }
                *into = text.clone().into_owned();
                Ok(())
            }
            other => {
                *into = other.shown();
                Err("a value where a text belongs")
            }
        }
    }
}

/// A truth value.
pub(super) struct Truth;

impl Codec<bool> for Truth {
    fn wire(into: &mut bool, from: Wire<'_>, _notes: &mut Notes) -> Read {
        let Wire::Varint(number) = from else { return Err(OTHER_TYPE) };
        *into = number != 0;
        Ok(())
    }

    fn json(into: &mut bool, from: &Json<'_>, _notes: &mut Notes) -> Read {
        let Json::Bool(truth) = from else { return Err("neither true nor false") };
        *into = *truth;
        Ok(())
    }
}

/// Bytes, in JSON as base64.
pub(super) struct Bytes;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, LENIENT);

impl Codec<Vec<u8>> for Bytes {
    fn wire(into: &mut Vec<u8>, from: Wire<'_>, _notes: &mut Notes) -> Read {
        let Wire::Bytes(bytes, is_whole) = from else { return Err(OTHER_TYPE) };
        *into = bytes.to_vec();
        if is_whole { Ok(()) } else { Err(CUT_OFF) }
    }

    fn json(into: &mut Vec<u8>, from: &Json<'_>, _notes: &mut Notes) -> Read {
        let Json::Text(JsonText { text, is_replaced: false }) = from else { return Err("not base64") };
        let decoded = STANDARD.decode(&**text).or_else(|_| URL_SAFE.decode(&**text));
        *into = decoded.map_err(|_| "not base64")?;
        Ok(())
    }
}

/// An id of a trace (16 bytes) or of a span (8), in JSON as hex.
pub(super) struct Id<const BYTES: usize>;

impl<const BYTES: usize> Id<BYTES> {
    fn measured(id: &[u8]) -> Read {
        if id.is_empty() || id.len() == BYTES { Ok(()) } else { Err("an id of another length") }
    }
}

impl<const BYTES: usize> Codec<Vec<u8>> for Id<BYTES> {
    fn wire(into: &mut Vec<u8>, from: Wire<'_>, notes: &mut Notes) -> Read {
        Bytes::wire(into, from, notes)?;
        Self::measured(into)
    }

    fn json(into: &mut Vec<u8>, from: &Json<'_>, _notes: &mut Notes) -> Read {
        let Json::Text(JsonText { text, .. }) = from else { return Err("an id that is not hex") };
        let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).and_then(|n| u8::try_from(n).ok())).collect();
        let digits = digits.filter(|digits| digits.len() % 2 == 0).ok_or("an id that is not hex")?;
        *into = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        Self::measured(into)
    }
}

/// A floating-point number.
pub(super) struct Double;

impl Codec<f64> for Double {
    fn wire(into: &mut f64, from: Wire<'_>, _notes: &mut Notes) -> Read {
        let Wire::Fixed64(bits) = from else { return Err(OTHER_TYPE) };
        *into = f64::from_bits(bits);
        Ok(())
    }

    fn json(into: &mut f64, from: &Json<'_>, _notes: &mut Notes) -> Read {
        *into = double(number_text(from)?).ok_or(NOT_A_NUMBER)?;
        Ok(())
    }
}

impl Packed for Double {
    fn first<'a>(bytes: &mut &'a [u8]) -> Option<Wire<'a>> {
        first_fixed(bytes)
    }
}

/// The text of a number, which JSON may write as a text too.
fn number_text<'a>(from: &'a Json<'_>) -> Result<&'a str, &'static str> {
    match from {
        Json::Number(text) => Ok(text),
        Json::Text(JsonText { text, is_replaced: false }) => Ok(text.trim()),
        _ => Err(NOT_A_NUMBER),
    }
}

fn double(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    // Digits that are more than a double can hold say another number than infinity.
    let is_word = !text.contains(|c: char| c.is_ascii_digit());
    (number.is_finite() || is_word).then_some(number)
}

/// A whole number: `5`, `5.0`, `5e0`, `0.5e1`.
fn whole(text: &str) -> Option<i128> {
    if let Ok(number) = text.parse::<i64>() {
        return Some(i128::from(number));
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (digits, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if digits.trim_start_matches(['-', '+']).is_empty() && fraction.is_empty() {
        return None;
    }
    let exponent: i32 = exponent.parse().ok()?;
    let fraction = fraction.trim_end_matches('0');
    let digits_only = fraction.bytes().all(|byte| byte.is_ascii_digit());
    let shift = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let joined = format!("{digits}{fraction}");
    let number: i128 = if digits_only && joined.len() <= 38 { joined.parse().ok()? } else { return None };
    if number == 0 {
        return Some(0);
    }
    let factor = 10_i128.checked_pow(shift.unsigned_abs())?;
    if shift >= 0 { number.checked_mul(factor) } else { (number % factor == 0).then_some(number / factor) }
}

fn integer<T: TryFrom<i128>>(from: &Json<'_>) -> Result<T, &'static str> {
    whole(number_text(from)?).and_then(|number| T::try_from(number).ok()).ok_or(NOT_A_NUMBER)
}

macro_rules! integers {
    ($($(#[$doc:meta])* $name:ident: $kind:ty, $wire:pat => $value:expr;)*) => { $(
        $(#[$doc])*
        pub(super) struct $name;

        impl Codec<$kind> for $name {
            fn wire(into: &mut $kind, from: Wire<'_>, _notes: &mut Notes) -> Read {
                let $wire = from else { return Err(OTHER_TYPE) };
                *into = $value;
                Ok(())
            }

            fn json(into: &mut $kind, from: &Json<'_>, _notes: &mut Notes) -> Read {
                *into = integer(from)?;
                Ok(())
            }
        }
    )* };
}

integers! {
    /// A moment in nanoseconds, or a number without a sign in eight bytes.
    Fixed64: u64, Wire::Fixed64(number) => number;
    /// A number in eight bytes.
    SFixed64: i64, Wire::Fixed64(number) => number.cast_signed();
    /// A number as a varint.
    Int64: i64, Wire::Varint(number) => number.cast_signed();
    /// A number without a sign as a varint.
    UInt64: u64, Wire::Varint(number) => number;
    /// A flag or a small count. Protobuf takes the lower half of what is longer.
    UInt32: u32, Wire::Varint(number) => u32::try_from(number & 0xffff_ffff).unwrap_or_default();
    /// A small number in zigzag.
    SInt32: i32, Wire::Varint(number) => zigzag(number);
}

fn zigzag(number: u64) -> i32 {
    let number = u32::try_from(number & 0xffff_ffff).unwrap_or_default();
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// How many there were. A count that was negative where it came from is none.
pub(super) struct Count;

impl Codec<u64> for Count {
    fn wire(into: &mut u64, from: Wire<'_>, notes: &mut Notes) -> Read {
        Fixed64::wire(into, from, notes)?;
        if *into > i64::MAX.unsigned_abs() { Err("a negative count") } else { Ok(()) }
    }

    fn json(into: &mut u64, from: &Json<'_>, _notes: &mut Notes) -> Read {
        let number = whole(number_text(from)?).ok_or(NOT_A_NUMBER)?;
        *into = u64::try_from(number).map_err(|_| if number < 0 { "a negative count" } else { NOT_A_NUMBER })?;
        Ok(())
    }
}

impl Packed for Count {
    fn first<'a>(bytes: &mut &'a [u8]) -> Option<Wire<'a>> {
        first_fixed(bytes)
    }
}

impl Packed for UInt64 {
    fn first<'a>(bytes: &mut &'a [u8]) -> Option<Wire<'a>> {
        decode_varint(bytes).ok().map(Wire::Varint)
    }
}

/// The names of an enumeration, by number, without what they all begin with.
pub(super) trait Names {
    const PREFIX: &'static str;
    const NAMES: &'static [&'static str];
}

/// An enumeration, in JSON by name or number. Numbers without a name are kept: a newer version may know them.
pub(super) struct Enum<N>(PhantomData<N>);

impl<N: Names> Codec<i32> for Enum<N> {
    fn wire(into: &mut i32, from: Wire<'_>, _notes: &mut Notes) -> Read {
        let Wire::Varint(number) = from else { return Err(OTHER_TYPE) };
        *into = u32::try_from(number & 0xffff_ffff).unwrap_or_default().cast_signed();
        Ok(())
    }

    fn json(into: &mut i32, from: &Json<'_>, _notes: &mut Notes) -> Read {
        if let Json::Text(JsonText { text, .. }) = from
            && let Some(name) = text.strip_prefix(N::PREFIX)
        {
            let at = N::NAMES.iter().position(|known| *known == name).ok_or("a name that nothing has")?;
            *into = i32::try_from(at).unwrap_or_default();
            return Ok(());
        }
        *into = integer(from).map_err(|_| "a name that nothing has")?;
        Ok(())
    }
}

pub(super) struct Severity;

impl Names for Severity {
    const PREFIX: &'static str = "SEVERITY_NUMBER_";
    const NAMES: &'static [&'static str] = &[
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
}

pub(super) struct TemporalityName;

impl Names for TemporalityName {
    const PREFIX: &'static str = "AGGREGATION_TEMPORALITY_";
    const NAMES: &'static [&'static str] = &["UNSPECIFIED", "DELTA", "CUMULATIVE"];
}

pub(super) struct SpanKind;

impl Names for SpanKind {
    const PREFIX: &'static str = "SPAN_KIND_";
    const NAMES: &'static [&'static str] = &["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
}

pub(super) struct StatusCode;

impl Names for StatusCode {
    const PREFIX: &'static str = "STATUS_CODE_";
    const NAMES: &'static [&'static str] = &["UNSET", "OK", "ERROR"];
}

fn first_fixed<'a>(bytes: &mut &'a [u8]) -> Option<Wire<'a>> {
    let (eight, rest) = bytes.split_first_chunk::<8>()?;
    *bytes = rest;
    Some(Wire::Fixed64(u64::from_le_bytes(*eight)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_come_in_every_form_of_json() {
        for (text, number) in [
            ("5", Some(5)),
            ("-5", Some(-5)),
            ("5.0", Some(5)),
            ("5e3", Some(5000)),
            ("5E+3", Some(5000)),
            ("5000e-3", Some(5)),
            ("0.5e1", Some(5)),
            ("-0", Some(0)),
            ("0e99", Some(0)),
            ("18446744073709551615", Some(18_446_744_073_709_551_615)),
            ("1.8446744073709551615e19", Some(18_446_744_073_709_551_615)),
            ("5.5", None),
            ("5e-1", None),
            ("", None),
            ("-", None),
            ("abc", None),
            ("0x5", None),
            ("NaN", None),
            ("1e99", None),
        ] {
            assert_eq!(whole(text), number, "{text}");
        }
    }

    #[test]
    fn a_double_that_overflows_is_no_infinity() {
        assert_eq!(double("1e999"), None);
        assert_eq!(double("Infinity"), Some(f64::INFINITY));
        assert_eq!(double("-Infinity"), Some(f64::NEG_INFINITY));
        assert!(double("NaN").is_some_and(f64::is_nan));
    }
}
