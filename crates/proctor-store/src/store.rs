//! The store: takes OTLP requests in, keeps them, and answers.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{IngestError, QueryError, StoreError};
use crate::record::{Labels, LogRecord, MetricPoint, Span, Time, TimeRange};
use crate::{logsql, promql};

/// The three kinds of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    /// Log records.
    Logs,
    /// Metric points.
    Metrics,
    /// Spans.
    Traces,
}

/// When the journal is forced to the disk. What was acknowledged was always handed to the operating system, so that it
/// survives `kill -9` of this process; only a power loss or a crash of the machine can take what was not yet synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Before every answer. Safest, and slow on spinning or busy disks.
    EveryRequest,
    /// By the first request that arrives this long after the last sync, and by [`Store::seal`].
    Every(Duration),
}

/// How a store behaves.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// See [`SyncPolicy`]; every second by default.
    pub sync: SyncPolicy,
    /// Largest request body, unpacked; 64 MiB by default.
    pub max_body_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { sync: SyncPolicy::Every(Duration::from_secs(1)), max_body_bytes: 64 << 20 }
    }
}

/// What became of a request that was taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ingested {
    /// Records, points or spans stored.
    pub stored: u64,
    /// How many of them contradict the address they came by.
    pub contradicted: u64,
}

/// Counts over the store's life, kept in the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Log records.
    pub logs: u64,
    /// Metric points.
    pub points: u64,
    /// Spans.
    pub spans: u64,
    /// Requests stored.
    pub requests: u64,
    /// Bytes of their bodies, as received.
    pub bytes: u64,
    /// Requests refused, by reason ([`IngestError::reason`]).
    pub rejected: BTreeMap<String, u64>,
    /// Rows whose identity contradicts the address they came by.
    pub contradicted: u64,
    /// Attributes, events and links that senders say they dropped before sending.
    pub dropped_by_senders: u64,
    /// Bytes at the journal's end that are no whole frame: a write that a crash cut short, never acknowledged.
    pub torn_bytes: u64,
}

/// A run's telemetry: open for writing in one process, or for reading anywhere.
#[derive(Debug)]
pub struct Store {}

impl Store {
    /// Makes a store in `dir`, which is created when absent.
    ///
    /// # Errors
    /// When `dir` already holds a store or cannot be written.
    pub fn create(dir: &Path, options: Options) -> Result<Self, StoreError> {
        let _ = (dir, options);
        Ok(Self {})
    }

    /// Opens the store in `dir` for reading; writes nothing, so that `dir` may be read-only or a copy.
    ///
    /// # Errors
    /// When there is no journal, or it is shorter than when it was sealed.
    pub fn open_read_only(dir: &Path) -> Result<Self, StoreError> {
        Self::create(dir, Options::default())
    }

    /// Takes in one OTLP request: decodes it, appends it to the journal, then makes its rows visible. `agent` is the address
    /// whose path it came by. On an error nothing was kept, and the refusal is counted.
    ///
    /// # Errors
    /// See [`IngestError`].
    pub fn ingest(
        &self,
        signal: Signal,
        body: &[u8],
        content_type: Option<&str>,
        content_encoding: Option<&str>,
        agent: Option<&str>,
        received_at: Time,
    ) -> Result<Ingested, IngestError> {
        let _ = (signal, body, content_type, content_encoding, agent, received_at);
        Ok(Ingested::default())
    }

    /// Writes the Parquet segments and the manifest for everything taken in so far. The journal stays the source of
    /// truth. May be called again; taking in may go on.
    ///
    /// # Errors
    /// When the store is read-only or the disk refuses.
    pub fn seal(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Counts of what was taken in, refused and cut.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::default()
    }

    /// Log records in `range`, by time, then in the order of arrival.
    #[must_use]
    pub fn logs(&self, range: TimeRange) -> Vec<Arc<LogRecord>> {
        let _ = range;
        Vec::new()
    }

    /// Metric points in `range`, raw, by time, then in the order of arrival.
    #[must_use]
    pub fn points(&self, range: TimeRange) -> Vec<Arc<MetricPoint>> {
        let _ = range;
        Vec::new()
    }

    /// Spans that began in `range`, by start, then in the order of arrival.
    #[must_use]
    pub fn spans(&self, range: TimeRange) -> Vec<Arc<Span>> {
        let _ = range;
        Vec::new()
    }

    /// Answers a LogsQL query over the records in `range`. `limit` keeps the newest rows of a query whose rows are in order
    /// of time, the first rows of others. `_time:5m` counts back from the range's end, or else from the newest record.
    ///
    /// # Errors
    /// When the query cannot be understood.
    pub fn logsql(&self, query: &str, range: TimeRange, limit: Option<usize>) -> Result<logsql::Answer, QueryError> {
        let _ = (query, range, limit);
        Ok(logsql::Answer::default())
    }

    /// Answers a PromQL query at one moment.
    ///
    /// # Errors
    /// When the query cannot be understood or evaluated.
    pub fn promql_instant(&self, query: &str, at: Time) -> Result<promql::Answer, QueryError> {
        let _ = (query, at);
        Ok(promql::Answer::Vector(Vec::new()))
    }

    /// Answers a PromQL query at `start`, `start + step`, … up to `end`.
    ///
    /// # Errors
    /// When the query cannot be understood or evaluated, or there would be more than 11 000 steps.
    pub fn promql_range(&self, query: &str, start: Time, end: Time, step: Duration) -> Result<promql::Answer, QueryError> {
        let _ = (query, start, end, step);
        Ok(promql::Answer::Matrix(Vec::new()))
    }

    /// Names of the labels of the series that any of `selectors` matches (of all when there is none), sorted.
    ///
    /// # Errors
    /// When a selector cannot be understood.
    pub fn label_names(&self, selectors: &[&str], range: TimeRange) -> Result<Vec<String>, QueryError> {
        let _ = (selectors, range);
        Ok(Vec::new())
    }

    /// Values of label `name` among those series, sorted.
    ///
    /// # Errors
    /// When a selector cannot be understood.
    pub fn label_values(&self, name: &str, selectors: &[&str], range: TimeRange) -> Result<Vec<String>, QueryError> {
        let _ = (name, selectors, range);
        Ok(Vec::new())
    }

    /// The labels of the series that any of `selectors` matches.
    ///
    /// # Errors
    /// When a selector cannot be understood.
    pub fn series(&self, selectors: &[&str], range: TimeRange) -> Result<Vec<Labels>, QueryError> {
        let _ = (selectors, range);
        Ok(Vec::new())
    }

    /// The newest row's sequence number; 0 when there is none.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        0
    }

    /// Waits until there are rows past `seq` or `timeout` has passed; returns the newest sequence number.
    #[must_use]
    pub fn wait_past(&self, seq: u64, timeout: Duration) -> u64 {
        let _ = timeout;
        seq
    }

    /// Calls `callback` with the newest sequence number after every request that was taken in, on the thread that took it
    /// in; it must not block.
    pub fn subscribe(&self, callback: impl Fn(u64) + Send + Sync + 'static) {
        let _ = callback;
    }

    /// Log records that arrived after the row with sequence number `seq`, in the order of arrival.
    #[must_use]
    pub fn logs_past(&self, seq: u64) -> Vec<Arc<LogRecord>> {
        let _ = seq;
        Vec::new()
    }
}
