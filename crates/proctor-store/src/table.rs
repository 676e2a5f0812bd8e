//! The rows in memory, and the counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::otlp::Rows;
use crate::record::{LogRecord, MetricPoint, Span, Time, TimeRange};
use crate::store::{Ingested, Stats};

/// All rows in the order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) logs: Vec<Arc<LogRecord>>,
    pub(crate) points: Vec<Arc<MetricPoint>>,
    pub(crate) spans: Vec<Arc<Span>>,
    pub(crate) seq: u64,
    pub(crate) stats: Stats,
}

impl Table {
    /// Numbers the rows of one request and takes them in.
    pub(crate) fn add(&mut self, rows: Rows, body_bytes: u64) -> Ingested {
        let mut added = Ingested::default();
        let mut seq = self.seq;
        let mut next = |contradicted: bool| {
            seq += 1;
            added.stored += 1;
            added.contradicted += u64::from(contradicted);
            seq
        };
        self.logs.extend(rows.logs.into_iter().map(|mut row| {
            row.seq = next(row.contradicted.is_some());
            Arc::new(row)
        }));
        self.points.extend(rows.points.into_iter().map(|mut row| {
            row.origin.seq = next(row.origin.contradicted.is_some());
            Arc::new(row)
        }));
        self.spans.extend(rows.spans.into_iter().map(|mut row| {
            row.origin.seq = next(row.origin.contradicted.is_some());
            Arc::new(row)
        }));
        self.seq = seq;
        self.count(added, rows.dropped, body_bytes);
        added
    }

    fn count(&mut self, added: Ingested, dropped: u64, body_bytes: u64) {
        let stats = &mut self.stats;
        stats.logs = self.logs.len() as u64;
        stats.points = self.points.len() as u64;
        stats.spans = self.spans.len() as u64;
        stats.requests += 1;
        stats.bytes += body_bytes;
        stats.contradicted += added.contradicted;
        stats.dropped_by_senders += dropped;
    }

    /// Counts a refused request.
    pub(crate) fn refuse(&mut self, reason: &str) {
        *self.stats.rejected.entry(reason.to_owned()).or_default() += 1;
    }

    pub(crate) fn logs_in(&self, range: TimeRange) -> Vec<Arc<LogRecord>> {
        sorted(&self.logs, range, |row| (row.time, row.seq))
    }

    pub(crate) fn points_in(&self, range: TimeRange) -> Vec<Arc<MetricPoint>> {
        sorted(&self.points, range, |row| (row.time, row.origin.seq))
    }

    pub(crate) fn spans_in(&self, range: TimeRange) -> Vec<Arc<Span>> {
        sorted(&self.spans, range, |row| (row.start, row.origin.seq))
    }

    /// Rows that arrived after sequence number `seq`.
    pub(crate) fn logs_past(&self, seq: u64) -> Vec<Arc<LogRecord>> {
        let from = self.logs.partition_point(|row| row.seq <= seq);
        self.logs.get(from..).unwrap_or_default().to_vec()
    }
}

fn sorted<T>(rows: &[Arc<T>], range: TimeRange, key: impl Fn(&T) -> (Time, u64)) -> Vec<Arc<T>> {
    let mut rows: Vec<Arc<T>> = rows.iter().filter(|row| range.contains(key(row).0)).map(Arc::clone).collect();
    rows.sort_by_key(|row| key(row));
    rows
}

/// The counts as the manifest states them.
pub(crate) fn stats_json(stats: &Stats) -> serde_json::Value {
    let rejected: &BTreeMap<String, u64> = &stats.rejected;
    serde_json::json!({
        "logs": stats.logs, "points": stats.points, "spans": stats.spans,
        "requests": stats.requests, "bytes": stats.bytes, "rejected": rejected,
        "contradicted": stats.contradicted, "dropped_by_senders": stats.dropped_by_senders,
    })
}
