//! Rows of the store: log records, metric points and spans, as they were decoded.
//!
//! A row is never changed after it was taken in. Nested attribute maps are flattened with dots, as VictoriaLogs does, so
//! that one name means one value; the journal keeps the request as it came.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};

/// A moment, in UTC, to the nanosecond.
pub type Time = DateTime<Utc>;

/// From nanoseconds since 1970; moments later than the year 2262 become the last one that can be told.
#[must_use]
pub fn time_from_nanos(nanos: u64) -> Time {
    DateTime::from_timestamp_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
}

/// Nanoseconds since 1970; moments that do not fit become the nearest that does.
#[must_use]
pub fn time_to_nanos(time: Time) -> i64 {
    let edge = if time.timestamp() < 0 { i64::MIN } else { i64::MAX };
    time.timestamp_nanos_opt().unwrap_or(edge)
}

/// An attribute's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    Text(Box<str>),
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// A truth value.
    Bool(bool),
    /// An array, an empty map or bytes (base64), as JSON text.
    Json(Box<str>),
}

impl Value {
    /// The value when it is a number, or text that reads as one.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Int(n) => Some(*n as f64),
            Self::Double(n) => Some(*n),
            Self::Text(text) => text.trim().parse().ok(),
            Self::Bool(_) | Self::Json(_) => None,
        }
    }

    /// The text when it is text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Json(text) => Some(text),
            _ => None,
        }
    }

    /// The same as JSON.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => serde_json::Value::from(&**text),
            Self::Int(n) => serde_json::Value::from(*n),
            Self::Double(n) if n.is_finite() => serde_json::Value::from(*n),
            Self::Double(n) => serde_json::Value::from(n.to_string()),
            Self::Bool(b) => serde_json::Value::from(*b),
            Self::Json(text) => serde_json::from_str(text).unwrap_or_else(|_| serde_json::Value::from(&**text)),
        }
    }
}

/// The text that queries see: numbers in plain decimal notation, arrays as JSON.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Json(text) => f.write_str(text),
            Self::Int(n) => write!(f, "{n}"),
            Self::Double(n) => write!(f, "{n}"),
            Self::Bool(b) => write!(f, "{b}"),
        }
    }
}

/// Attributes by name, sorted by name; of a name given twice the last one counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes(Vec<(Arc<str>, Value)>);

impl Attributes {
    /// From pairs in any order.
    #[must_use]
    pub fn new(pairs: Vec<(Arc<str>, Value)>) -> Self {
        Self::unified(pairs).0
    }

    /// The same, and a name that was given twice with different values.
    pub(crate) fn unified(mut pairs: Vec<(Arc<str>, Value)>) -> (Self, Option<Arc<str>>) {
        let mut twice = None;
        pairs.reverse();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs.dedup_by(|earlier, kept| {
            let is_same_name = earlier.0 == kept.0;
            if is_same_name && earlier.1 != kept.1 {
                twice = Some(Arc::clone(&kept.0));
            }
            is_same_name
        });
        pairs.shrink_to_fit();
        (Self(pairs), twice)
    }

    /// The value of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        let at = self.0.binary_search_by(|pair| (*pair.0).cmp(name)).ok()?;
        self.0.get(at).map(|pair| &pair.1)
    }

    /// The value of that name as text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(ToString::to_string)
    }

    /// The value of that name as a number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        self.get(name).and_then(Value::number)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As a JSON object.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        self.iter().map(|(name, value)| (name.to_owned(), value.to_json())).collect::<serde_json::Map<_, _>>().into()
    }
}

/// The instrumentation scope that emitted a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope {
    /// Its name, such as `gastown`.
    pub name: String,
    /// Its version, often empty.
    pub version: String,
}

/// What every row has: where it came from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Origin {
    /// Attributes of the emitting process.
    pub resource: Arc<Attributes>,
    /// The instrumentation scope.
    pub scope: Arc<Scope>,
    /// Column `proctor.agent`: the agent's address on whose path it came, with its token; `None` for the plain paths and for nobody's.
    pub agent: Option<Arc<str>>,
    /// Column `proctor.agent.contradicted`: who the row says it is, or by whose address it came without the token, when that is not `agent`.
    pub contradicted: Option<Arc<str>>,
    /// Whether its time lies far outside the run, by Proctor's own clock.
    pub far_off: Option<FarOff>,
    /// The store's sequence number of the row, from 1, over all kinds of row.
    pub seq: u64,
}

/// How a row's time lies outside the run: its sender's clock is wrong, or it counts in another unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FarOff {
    /// Later than the row came, by more than a minute.
    Ahead,
    /// Earlier than the run's first telemetry, by more than ten minutes.
    Behind,
}

impl FarOff {
    /// `ahead`, `behind`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ahead => "ahead",
            Self::Behind => "behind",
        }
    }
}

impl Origin {
    /// The agent that the row counts for: the address it came by unless the row contradicts it.
    #[must_use]
    pub fn counted_for(&self) -> Option<&str> {
        if self.contradicted.is_some() { None } else { self.agent.as_deref() }
    }
}

/// One log record.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRecord {
    /// When it happened; the observed time when the sender gave none (0), the time of receipt when it gave neither.
    pub time: Time,
    /// When it was seen by the sender's SDK; the time of receipt when the sender gave none.
    pub observed: Time,
    /// OpenTelemetry severity: 0 unset, 9 INFO, 13 WARN, 17 ERROR, …
    pub severity_number: i32,
    /// Severity as the sender wrote it, often empty.
    pub severity_text: String,
    /// The body as text; other kinds of value as JSON; empty when absent.
    pub body: String,
    /// The record's own event name field (not the attribute `event.name`), often empty.
    pub event_name: String,
    /// Attributes of the record.
    pub attributes: Attributes,
    /// See [`Origin::resource`].
    pub resource: Arc<Attributes>,
    /// See [`Origin::scope`].
    pub scope: Arc<Scope>,
    /// See [`Origin::agent`].
    pub agent: Option<Arc<str>>,
    /// See [`Origin::contradicted`].
    pub contradicted: Option<Arc<str>>,
    /// See [`Origin::far_off`].
    pub far_off: Option<FarOff>,
    /// When it came, by Proctor's clock.
    pub received: Time,
    /// Trace id in lower-case hex, empty when absent.
    pub trace_id: String,
    /// Span id in lower-case hex, empty when absent.
    pub span_id: String,
    /// See [`Origin::seq`].
    pub seq: u64,
}

impl LogRecord {
    /// Where it belongs in the run's time: when it happened, or, where that lies far outside the run, when it came.
    #[must_use]
    pub fn placed(&self) -> Time {
        if self.far_off.is_some() { self.received } else { self.time }
    }

    /// The attribute of that name, of the record or else of its resource, as text.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<String> {
        self.attributes.text(name).or_else(|| self.resource.text(name))
    }

    /// The agent that the record counts for: the address it came by unless the record contradicts it.
    #[must_use]
    pub fn counted_for(&self) -> Option<&str> {
        if self.contradicted.is_some() { None } else { self.agent.as_deref() }
    }

    /// The severity in one lower-case word (`trace`, `debug`, `info`, `warn`, `error`, `fatal`), empty when unset.
    /// The number decides; without one, the sender's text.
    #[must_use]
    pub fn level(&self) -> String {
        match self.severity_number {
            1..=4 => "trace".into(),
            5..=8 => "debug".into(),
            9..=12 => "info".into(),
            13..=16 => "warn".into(),
            17..=20 => "error".into(),
            21..=24 => "fatal".into(),
            _ => self.severity_text.to_lowercase(),
        }
    }
}

/// The kinds of metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// A value that goes up and down.
    Gauge,
    /// A sum; `monotonic` sums never fall within one process life.
    Sum {
        /// Whether it never falls.
        monotonic: bool,
    },
    /// Explicit-bucket histogram.
    Histogram,
    /// Exponential histogram.
    ExponentialHistogram,
    /// Summary with quantiles.
    Summary,
}

/// Whether points count from the start of their process or since the point before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temporality {
    /// Not stated (gauges, summaries).
    Unspecified,
    /// Each point counts what happened since the one before it.
    Delta,
    /// Each point counts everything since `start`.
    Cumulative,
}

/// The value of a metric point.
#[derive(Clone, Debug, PartialEq)]
pub enum PointValue {
    /// The sender marked that there is no value any more.
    NoValue,
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// A histogram with explicit bounds.
    Histogram(Histogram),
    /// An exponential histogram.
    Exponential(Exponential),
    /// A summary.
    Summary(Summary),
}

impl PointValue {
    /// The number of a gauge or sum point.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Int(n) => Some(*n as f64),
            Self::Double(n) => Some(*n),
            _ => None,
        }
    }
}

/// Explicit-bucket histogram: `counts` has one element more than `bounds`, or both are empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// How many values.
    pub count: u64,
    /// Their sum, when it was kept.
    pub sum: Option<f64>,
    /// The least value, when it was kept.
    pub min: Option<f64>,
    /// The largest value, when it was kept.
    pub max: Option<f64>,
    /// Upper bounds, inclusive, rising.
    pub bounds: Vec<f64>,
    /// Values per bucket (not accumulated).
    pub counts: Vec<u64>,
}

/// Exponential histogram: bucket `offset + i` holds values in `(base^index, base^(index+1)]`, `base = 2^(2^-scale)`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exponential {
    /// How many values.
    pub count: u64,
    /// Their sum, when it was kept.
    pub sum: Option<f64>,
    /// Resolution.
    pub scale: i32,
    /// Values within `zero_threshold` of zero.
    pub zero_count: u64,
    /// Width of the zero bucket.
    pub zero_threshold: f64,
    /// Buckets of positive values: first index and counts.
    pub positive: (i32, Vec<u64>),
    /// Buckets of negative values, by absolute value: first index and counts.
    pub negative: (i32, Vec<u64>),
}

/// Summary.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// How many values.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// Quantile (0 to 1) and its value.
    pub quantiles: Vec<(f64, f64)>,
}

/// What all points of one metric in one request share.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// The OTLP name, with dots: `gastown.bd.calls.total`.
    pub name: String,
    /// Unit as sent (UCUM): `ms`, `By`, `USD`, often empty.
    pub unit: String,
    /// Kind.
    pub kind: MetricKind,
    /// Temporality of its points.
    pub temporality: Temporality,
}

/// One metric point, raw: temporality and restarts are repaired by PromQL's series only.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricPoint {
    /// Name, unit, kind, temporality.
    pub metric: Arc<Metric>,
    /// Since when a sum or histogram counts; `None` when not given.
    pub start: Option<Time>,
    /// The moment of the value; the time of receipt when the sender gave none.
    pub time: Time,
    /// Whether the sender gave one.
    pub is_dated: bool,
    /// The value.
    pub value: PointValue,
    /// Attributes of the point.
    pub attributes: Attributes,
    /// Where it came from.
    pub origin: Origin,
}

/// One span.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Trace id in lower-case hex.
    pub trace_id: String,
    /// Span id in lower-case hex.
    pub span_id: String,
    /// Id of the span it belongs to, empty for a root.
    pub parent_span_id: String,
    /// Name.
    pub name: String,
    /// 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub kind: i32,
    /// When it began.
    pub start: Time,
    /// When it ended.
    pub end: Time,
    /// 0 unset, 1 ok, 2 error.
    pub status_code: i32,
    /// What went wrong, when the status is error.
    pub status_message: String,
    /// Attributes.
    pub attributes: Attributes,
    /// What happened inside it.
    pub events: Vec<SpanEvent>,
    /// Other spans it refers to.
    pub links: Vec<SpanLink>,
    /// Where it came from.
    pub origin: Origin,
}

/// Something that happened inside a span.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanEvent {
    /// When.
    pub time: Time,
    /// What.
    pub name: String,
    /// Attributes.
    pub attributes: Attributes,
}

/// A span's reference to another.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanLink {
    /// The other's trace, lower-case hex.
    pub trace_id: String,
    /// The other span, lower-case hex.
    pub span_id: String,
    /// Attributes.
    pub attributes: Attributes,
}

/// A range of time, inclusive at both ends; an absent end is unbounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// First moment.
    pub start: Option<Time>,
    /// Last moment.
    pub end: Option<Time>,
}

impl TimeRange {
    /// All time.
    pub const ALL: Self = Self { start: None, end: None };

    /// From `start` to `end`, both included.
    #[must_use]
    pub fn between(start: Time, end: Time) -> Self {
        Self { start: Some(start), end: Some(end) }
    }

    /// Whether `time` lies in it.
    #[must_use]
    pub fn contains(&self, time: Time) -> bool {
        self.start.is_none_or(|start| start <= time) && self.end.is_none_or(|end| time <= end)
    }
}

/// A set of labels, `__name__` among them when there is a name.
pub type Labels = BTreeMap<String, String>;
