//! The fields of a row, as LogsQL names them.
//!
//! Names follow VictoriaLogs' mapping of OTLP: `_msg` is the body, attributes and resource attributes are flat dotted names
//! (a record's own attribute hides its resource's), `severity` is a word. `service_name` and `level` are aliases for the
//! queries that people write: `service_name:gastown AND level:error`.

use std::borrow::Cow;
use std::fmt::Write;

use super::Row;
use super::time::written;
use crate::record::{Attributes, FarOff, LogRecord, Value};

/// Something that has fields by name; an absent one is empty.
pub(super) trait Fields {
    fn field(&self, name: &str) -> Cow<'_, str>;
}

impl Fields for Row {
    fn field(&self, name: &str) -> Cow<'_, str> {
        let find = |name: &str| self.get(name).map_or(Cow::Borrowed(""), |text| Cow::Borrowed(text.as_str()));
        match (name, self.contains_key(name)) {
            ("service_name", false) => find("service.name"),
            ("level", false) => Cow::Owned(find("severity").to_lowercase()),
            _ => find(name),
        }
    }
}

impl Fields for LogRecord {
    fn field(&self, name: &str) -> Cow<'_, str> {
        match name {
            "_msg" => Cow::Borrowed(&self.body),
            "_time" => Cow::Owned(written(self.time)),
            "_stream" => Cow::Owned(stream(&self.resource)),
            "_stream_id" => Cow::Owned(stream_id(&self.resource)),
            "proctor.agent" => Cow::Borrowed(self.agent.as_deref().unwrap_or_default()),
            "proctor.agent.contradicted" => Cow::Borrowed(self.contradicted.as_deref().unwrap_or_default()),
            "proctor.far_off" => Cow::Borrowed(self.far_off.map(FarOff::name).unwrap_or_default()),
            _ => self.own(name).or_else(|| self.derived(name)).unwrap_or_default(),
        }
    }
}

trait Named {
    fn own(&self, name: &str) -> Option<Cow<'_, str>>;
    fn derived(&self, name: &str) -> Option<Cow<'_, str>>;
}

impl Named for LogRecord {
    /// What the sender named.
    fn own(&self, name: &str) -> Option<Cow<'_, str>> {
        self.attributes.get(name).or_else(|| self.resource.get(name)).map(text)
    }

    /// What the store names, unless the sender used the name for something of its own.
    fn derived(&self, name: &str) -> Option<Cow<'_, str>> {
        Some(match name {
            "severity" => Cow::Owned(severity(self)),
            "level" => Cow::Owned(self.level()),
            "service_name" => self.own("service.name")?,
            "trace_id" => Cow::Borrowed(&self.trace_id),
            "span_id" => Cow::Borrowed(&self.span_id),
            "event_name" => Cow::Borrowed(&self.event_name),
            "scope.name" => Cow::Borrowed(&self.scope.name),
            "scope.version" => Cow::Borrowed(&self.scope.version),
            _ => self.own(name.strip_prefix(EXPORTED).filter(|hidden| HIDING.contains(hidden))?)?,
        })
    }
}

/// Fields that the store gives itself: a sender's attribute of that name is shown as `exported.…`.
const HIDING: [&str; 7] =
    ["_time", "_msg", "_stream", "_stream_id", "proctor.agent", "proctor.agent.contradicted", "proctor.far_off"];
const EXPORTED: &str = "exported.";

/// The whole row of a record, empty values left out.
pub(super) fn row(record: &LogRecord) -> Row {
    const STORE: [&str; 12] = [
        "_time",
        "_msg",
        "_stream",
        "_stream_id",
        "severity",
        "trace_id",
        "span_id",
        "event_name",
        "scope.name",
        "proctor.agent",
        "proctor.agent.contradicted",
        "proctor.far_off",
    ];
    let given = record.resource.iter().chain(record.attributes.iter());
    let shown = |name: &str| if HIDING.contains(&name) { format!("{EXPORTED}{name}") } else { name.to_owned() };
    let mut row: Row = given.map(|(name, value)| (shown(name), value.to_string())).collect();
    for name in STORE {
        row.insert(name.to_owned(), record.field(name).into_owned());
    }
    row.retain(|_, text| !text.is_empty());
    row
}

fn text(value: &Value) -> Cow<'_, str> {
    value.as_text().map_or_else(|| Cow::Owned(value.to_string()), Cow::Borrowed)
}

/// The severity as VictoriaLogs writes it: `Info`, `Error`, …
fn severity(record: &LogRecord) -> String {
    let level = record.level();
    let mut letters = level.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// `{key="value",…}` of the resource.
fn stream(resource: &Attributes) -> String {
    let mut text = String::from("{");
    for (name, value) in resource.iter() {
        let comma = if text.len() > 1 { "," } else { "" };
        let _ = write!(text, "{comma}{name}={:?}", value.to_string());
    }
    text.push('}');
    text
}

/// A stable id of the stream: 16 zeros for the tenant, then FNV-1a (128 bits) of its text.
fn stream_id(resource: &Attributes) -> String {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let hash = stream(resource).bytes().fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    format!("{:016x}{hash:032x}", 0)
}
