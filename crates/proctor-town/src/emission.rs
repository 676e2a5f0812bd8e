//! One event or measurement as data: sent by this process's providers, or kept for those of the process that asked.
//!
//! What a command tells comes by the address and with the resource of whoever typed it, also when the daemon runs it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::metrics::MeterProvider;
use opentelemetry::{KeyValue, Value};
use serde::{Deserialize, Serialize};

use crate::Telemetry;

const LOGGER: &str = "gastown";

/// Who measures.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Meter {
    /// `gt`.
    Gt,
    /// The town's daemon.
    Daemon,
    /// `bd`.
    Bd,
}

impl Meter {
    fn name(self) -> &'static str {
        match self {
            Self::Gt => "github.com/steveyegge/gastown",
            Self::Daemon => "github.com/steveyegge/gastown/daemon",
            Self::Bd => "github.com/steveyegge/beads/storage",
        }
    }
}

/// The value of an attribute or label.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Plain {
    /// `true`, `false`.
    Flag(bool),
    /// A whole number.
    Whole(i64),
    /// Any other number.
    Number(f64),
    /// A text.
    Text(String),
}

impl From<&str> for Plain {
    fn from(text: &str) -> Self {
        Self::Text(text.to_string())
    }
}

impl From<Plain> for AnyValue {
    fn from(value: Plain) -> Self {
        match value {
            Plain::Flag(value) => Self::Boolean(value),
            Plain::Whole(value) => Self::Int(value),
            Plain::Number(value) => Self::Double(value),
            Plain::Text(value) => Self::from(value),
        }
    }
}

impl From<Plain> for Value {
    fn from(value: Plain) -> Self {
        match value {
            Plain::Flag(value) => Self::Bool(value),
            Plain::Whole(value) => Self::I64(value),
            Plain::Number(value) => Self::F64(value),
            Plain::Text(value) => Self::from(value),
        }
    }
}

/// An attribute's value as data; this crate has texts, numbers and flags only.
pub(crate) fn plain(value: AnyValue) -> Plain {
    match value {
        AnyValue::Boolean(value) => Plain::Flag(value),
        AnyValue::Int(value) => Plain::Whole(value),
        AnyValue::Double(value) => Plain::Number(value),
        AnyValue::String(value) => Plain::Text(value.to_string()),
        other => Plain::Text(format!("{other:?}")),
    }
}

/// Attributes or labels by name.
pub(crate) type Pairs = Vec<(String, Plain)>;

/// Labels as data.
pub(crate) fn pairs(labels: &[KeyValue]) -> Pairs {
    let value = |value: &Value| match value {
        Value::Bool(value) => Plain::Flag(*value),
        Value::I64(value) => Plain::Whole(*value),
        Value::F64(value) => Plain::Number(*value),
        other => Plain::Text(other.to_string()),
    };
    labels.iter().map(|label| (label.key.to_string(), value(&label.value))).collect()
}

/// One event or measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(crate) enum Emission {
    /// A log event.
    Log {
        /// When, in nanoseconds since 1970, where it is sent later than it happened.
        at: Option<u64>,
        /// Its name.
        body: String,
        /// Whether it is an error.
        failed: bool,
        /// What it says.
        attributes: Pairs,
    },
    /// One more of something.
    Count {
        /// Whose.
        meter: Meter,
        /// Of what.
        name: String,
        /// Which.
        labels: Pairs,
    },
    /// How long something took.
    Milliseconds {
        /// Whose.
        meter: Meter,
        /// What.
        name: String,
        /// How long.
        value: f64,
        /// Which.
        labels: Pairs,
    },
    /// How much there is of something.
    Gauge {
        /// Whose.
        meter: Meter,
        /// What.
        name: String,
        /// How much.
        value: u64,
        /// Which.
        labels: Pairs,
    },
}

/// Where a command's events and measurements go.
#[derive(Clone)]
pub(crate) enum Outlet {
    /// To this process's own providers.
    Own(Telemetry),
    /// Into the answer to the process that asked.
    Kept {
        /// What was told so far.
        told: Arc<Mutex<Vec<Emission>>>,
        /// Whether it exports logs.
        logs: bool,
        /// Whether it exports metrics.
        metrics: bool,
    },
}

impl Outlet {
    /// Whether anybody hears a log event.
    pub(crate) fn wants_logs(&self) -> bool {
        match self {
            Self::Own(telemetry) => telemetry.logs.is_some(),
            Self::Kept { logs, .. } => *logs,
        }
    }

    /// Whether anybody hears a measurement.
    pub(crate) fn wants_metrics(&self) -> bool {
        match self {
            Self::Own(telemetry) => telemetry.metrics.is_some(),
            Self::Kept { metrics, .. } => *metrics,
        }
    }

    /// Sends or keeps one.
    pub(crate) fn take(&self, mut emission: Emission) {
        match self {
            Self::Own(telemetry) => send(telemetry, emission),
            Self::Kept { told, .. } => {
                if let Emission::Log { at, .. } = &mut emission {
                    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                    *at = u64::try_from(now.as_nanos()).ok();
                }
                told.lock().unwrap_or_else(PoisonError::into_inner).push(emission);
            }
        }
    }
}

fn labels(pairs: Pairs) -> Vec<KeyValue> {
    pairs.into_iter().map(|(key, value)| KeyValue::new(key, Value::from(value))).collect()
}

fn send(telemetry: &Telemetry, emission: Emission) {
    let metrics = telemetry.metrics.as_ref();
    match emission {
        Emission::Log { at, body, failed, attributes } => log(telemetry, at, body, failed, attributes),
        Emission::Count { meter, name, labels: of } => {
            let Some(provider) = metrics else { return };
            provider.meter(meter.name()).u64_counter(name).build().add(1, &labels(of));
        }
        Emission::Milliseconds { meter, name, value, labels: of } => {
            let Some(provider) = metrics else { return };
            provider.meter(meter.name()).f64_histogram(name).with_unit("ms").build().record(value, &labels(of));
        }
        Emission::Gauge { meter, name, value, labels: of } => {
            let Some(provider) = metrics else { return };
            provider.meter(meter.name()).u64_gauge(name).build().record(value, &labels(of));
        }
    }
}

fn log(telemetry: &Telemetry, at: Option<u64>, body: String, failed: bool, attributes: Pairs) {
    let Some(provider) = &telemetry.logs else { return };
    let logger = provider.logger(LOGGER);
    let mut record = logger.create_log_record();
    record.set_body(AnyValue::from(body));
    record.set_severity_number(if failed { Severity::Error } else { Severity::Info });
    if let Some(at) = at {
        record.set_timestamp(SystemTime::UNIX_EPOCH + Duration::from_nanos(at));
    }
    for (key, value) in attributes {
        record.add_attribute(key, AnyValue::from(value));
    }
    logger.emit(record);
}
