//! `[limits]` and `[network]`: how much a process of agents may take, and where it may connect to.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::spec::Span;

/// What each process that is started on behalf of agents may take. The fence enforces it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Memory of one process: what it can write to and shares with nobody.
    pub memory: Bytes,
    /// Processes of one agent at the same time.
    #[schemars(range(min = 1))]
    pub processes: u64,
    /// Open files, sockets and pipes of one process.
    #[schemars(range(min = 1))]
    pub open_files: u64,
    /// Size of one file.
    pub file_size: Bytes,
    /// Processor time of one process.
    pub cpu_time: Span,
}

impl Default for Limits {
    fn default() -> Self {
        let gib = |n: u64| Bytes(n << 30);
        Self {
            memory: gib(8),
            processes: 2048,
            open_files: 4096,
            file_size: gib(2),
            cpu_time: Span(std::time::Duration::from_secs(3600)),
        }
    }
}

/// Where processes of agents may connect to besides the run's own listeners.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// TCP ports: `8080`, or `"127.0.0.1:8080"`. The kernel knows ports only, not addresses.
    pub allow: Vec<Port>,
}

/// A TCP port as scenario files write it: `8080`, or `"127.0.0.1:8080"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port(pub u16);

/// The address before the port.
const LOOPBACK: &str = "127.0.0.1:";

/// A text that is no [`Port`].
#[derive(Clone, Debug, thiserror::Error)]
#[error("`{0}` is not a port of this machine")]
pub struct PortError(String);

impl FromStr for Port {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, PortError> {
        let number = text.strip_prefix(LOOPBACK).and_then(|number| number.parse().ok());
        number.filter(|number| *number > 0).map(Self).ok_or_else(|| PortError(text.to_owned()))
    }
}

impl Serialize for Port {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(self.0)
    }
}

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u16),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(number) => Ok(Self(number)),
            Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

impl JsonSchema for Port {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Port".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["integer", "string"], "minimum": 1, "maximum": 65535, "pattern": PORT_PATTERN,
            "title": "a port of this machine", "description": "write a number from 1 to 65535, or \"127.0.0.1:8080\""})
    }
}

const PORT_PATTERN: &str =
    "^127\\.0\\.0\\.1:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$";

/// A number of bytes as scenario files write it: `64KiB`, `512MiB`, `4GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// A text that is no [`Bytes`].
#[derive(Clone, Debug, thiserror::Error)]
#[error("`{0}` is not a size")]
pub struct BytesError(String);

/// The units, and how many bits each shifts.
const UNITS: [(&str, u32); 4] = [("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];

impl FromStr for Bytes {
    type Err = BytesError;

    fn from_str(text: &str) -> Result<Self, BytesError> {
        let bad = || BytesError(text.to_owned());
        let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let (number, unit) = text.split_at(split);
        let (_, shift) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
        let number: u64 = number.parse().map_err(|_| bad())?;
        number.checked_mul(1 << shift).filter(|bytes| *bytes > 0).map(Self).ok_or_else(bad)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |shift: &u32| self.0.is_multiple_of(1 << shift);
        let (unit, shift) = UNITS.iter().find(|(_, shift)| fits(shift)).unwrap_or(&UNITS[3]);
        write!(f, "{}{unit}", self.0 >> shift)
    }
}

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Bytes {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-9]*[1-9][0-9]*(GiB|MiB|KiB|B)$",
            "title": "a size", "description": "write a whole number and a unit: 64KiB, 512MiB, 4GiB"})
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn sizes_are_written_with_a_unit_and_shown_as_they_are_written() {
        for (text, bytes) in [("4GiB", 4 << 30), ("512MiB", 512 << 20), ("1B", 1), ("1536KiB", 1536 << 10)] {
            let size: Bytes = text.parse().unwrap();
            assert_eq!((size.0, size.to_string().as_str()), (bytes, text));
        }
        for bad in ["", "4", "GiB", "4GB", "-1GiB", "0GiB", "99999999999GiB", "4 GiB"] {
            assert!(bad.parse::<Bytes>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_port_is_one_of_this_machine() {
        assert_eq!("127.0.0.1:8080".parse::<Port>().unwrap(), Port(8080));
        for bad in ["8080", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1", "10.0.0.1:80", "localhost:80"] {
            assert!(bad.parse::<Port>().is_err(), "{bad}");
        }
        let pattern = regex::Regex::new(PORT_PATTERN).unwrap();
        for number in [1, 9, 10, 9999, 10000, 59999, 60000, 64999, 65000, 65499, 65500, 65535, 65536, 70000, 99999] {
            let text = format!("127.0.0.1:{number}");
            assert_eq!(pattern.is_match(&text), text.parse::<Port>().is_ok(), "{text}");
        }
    }
}
