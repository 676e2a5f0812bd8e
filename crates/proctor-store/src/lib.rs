//! Proctor's store: OTLP in; LogsQL, PromQL and rows out.
//!
//! A store is a folder: `journal.bin` (every request as it came, with length and checksum, appended before it is
//! acknowledged), and after [`Store::seal`] `logs.parquet`, `metrics.parquet`, `spans.parquet` for other tools and
//! `manifest.json`, which says how much of the journal they cover. The journal alone is enough to open a store.

mod again;
mod changes;
mod error;
pub mod http;
mod identity;
mod journal;
pub mod logsql;
mod losses;
mod manifest;
mod otlp;
pub mod promql;
mod record;
mod segment;
mod store;
mod syncing;
mod table;
mod written;

pub use error::{IngestError, QueryError, StoreError};
pub use losses::{Loss, LossKind};
pub use record::{
    Attributes, Exponential, FarOff, Histogram, Labels, LogRecord, Metric, MetricKind, MetricPoint, Origin, PointValue, Scope,
    Span, SpanEvent, SpanLink, Summary, Temporality, Time, TimeRange, Value, time_from_nanos, time_to_nanos,
};
pub use store::{Address, Ingested, Options, Signal, Stats, Store, SyncPolicy};
pub use written::Written;
