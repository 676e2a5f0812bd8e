//! Parquet segments: one flat table per signal, so that DuckDB, Polars or pandas open a run without Proctor.
//!
//! Times are timestamps in nanoseconds, UTC. Attributes, resources, buckets, events and links are JSON text. The columns are
//! documented in `docs/store.md`.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray, UInt64Array,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use serde_json::json;

use crate::error::StoreError;
use crate::manifest::{Segment, replace};
use crate::record::{LogRecord, MetricKind, MetricPoint, Origin, PointValue, Span, Temporality, Time, time_to_nanos};
use crate::written::Written;

type Column = (&'static str, ArrayRef);

/// Writes `logs.parquet` into `dir`.
pub(crate) fn write_logs(dir: &Path, rows: &[Arc<LogRecord>]) -> Result<(Segment, Written), StoreError> {
    let columns = vec![
        ("time", times(rows, |row| Some(row.time))),
        ("observed", times(rows, |row| Some(row.observed))),
        ("severity_number", ints(rows, |row| row.severity_number)),
        ("severity", texts(rows, |row| Some(row.level()))),
        ("severity_text", texts(rows, |row| Some(row.severity_text.clone()))),
        ("body", texts(rows, |row| Some(row.body.clone()))),
        ("event_name", texts(rows, |row| Some(row.event_name.clone()))),
        ("scope", texts(rows, |row| Some(row.scope.name.clone()))),
        ("scope_version", texts(rows, |row| Some(row.scope.version.clone()))),
        ("proctor.agent", texts(rows, |row| row.agent.as_deref().map(str::to_owned))),
        ("proctor.agent.contradicted", texts(rows, |row| row.contradicted.as_deref().map(str::to_owned))),
        ("proctor.far_off", texts(rows, |row| row.far_off.map(|how| how.name().to_owned()))),
        ("trace_id", texts(rows, |row| Some(row.trace_id.clone()))),
        ("span_id", texts(rows, |row| Some(row.span_id.clone()))),
        ("attributes", texts(rows, |row| Some(row.attributes.to_json().to_string()))),
        ("resource", texts(rows, |row| Some(row.resource.to_json().to_string()))),
        ("seq", uints(rows, |row| row.seq)),
    ];
    write(dir, "logs.parquet", rows.len(), columns)
}

/// Writes `metrics.parquet` into `dir`.
pub(crate) fn write_metrics(dir: &Path, rows: &[Arc<MetricPoint>]) -> Result<(Segment, Written), StoreError> {
    let mut columns = vec![
        ("time", times(rows, |row| Some(row.time))),
        ("start", times(rows, |row| row.start)),
        ("name", texts(rows, |row| Some(row.metric.name.clone()))),
        ("unit", texts(rows, |row| Some(row.metric.unit.clone()))),
        ("kind", texts(rows, |row| Some(kind(row.metric.kind).to_owned()))),
        ("monotonic", bools(rows, |row| row.metric.kind == MetricKind::Sum { monotonic: true })),
        ("temporality", texts(rows, |row| Some(temporality(row.metric.temporality).to_owned()))),
        ("value", floats(rows, |row| row.value.number())),
        ("value_int", longs(rows, |row| if let PointValue::Int(n) = row.value { Some(n) } else { None })),
        ("distribution", texts(rows, |row| distribution(&row.value))),
        ("attributes", texts(rows, |row| Some(row.attributes.to_json().to_string()))),
    ];
    columns.extend(origins(rows, |row| &row.origin));
    write(dir, "metrics.parquet", rows.len(), columns)
}

/// Writes `spans.parquet` into `dir`.
pub(crate) fn write_spans(dir: &Path, rows: &[Arc<Span>]) -> Result<(Segment, Written), StoreError> {
    let mut columns = vec![
        ("start", times(rows, |row| Some(row.start))),
        ("end", times(rows, |row| Some(row.end))),
        ("trace_id", texts(rows, |row| Some(row.trace_id.clone()))),
        ("span_id", texts(rows, |row| Some(row.span_id.clone()))),
        ("parent_span_id", texts(rows, |row| Some(row.parent_span_id.clone()))),
        ("name", texts(rows, |row| Some(row.name.clone()))),
        ("kind", ints(rows, |row| row.kind)),
        ("status_code", ints(rows, |row| row.status_code)),
        ("status_message", texts(rows, |row| Some(row.status_message.clone()))),
        ("attributes", texts(rows, |row| Some(row.attributes.to_json().to_string()))),
        ("events", texts(rows, |row| Some(events(row)))),
        ("links", texts(rows, |row| Some(links(row)))),
    ];
    columns.extend(origins(rows, |row| &row.origin));
    write(dir, "spans.parquet", rows.len(), columns)
}

fn write(dir: &Path, name: &str, rows: usize, columns: Vec<Column>) -> Result<(Segment, Written), StoreError> {
    let path = dir.join(name);
    let failed = |message: String| StoreError::Segment { path: path.clone(), message };
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .map_err(|error| failed(error.to_string()))?;
    let written = replace(&path, |file| {
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = ArrowWriter::try_new(file, batch.schema(), Some(properties));
        let mut writer = writer.map_err(|error| failed(error.to_string()))?;
        writer.write(&batch).map_err(|error| failed(error.to_string()))?;
        writer.close().map(|_| ()).map_err(|error| failed(error.to_string()))
    })?;
    Ok((Segment { file: name.to_owned(), rows: rows as u64, bytes: written.size }, written))
}

fn origins<T>(rows: &[Arc<T>], origin: impl Fn(&T) -> &Origin) -> Vec<Column> {
    vec![
        ("scope", texts(rows, |row| Some(origin(row).scope.name.clone()))),
        ("scope_version", texts(rows, |row| Some(origin(row).scope.version.clone()))),
        ("proctor.agent", texts(rows, |row| origin(row).agent.as_deref().map(str::to_owned))),
        ("proctor.agent.contradicted", texts(rows, |row| origin(row).contradicted.as_deref().map(str::to_owned))),
        ("proctor.far_off", texts(rows, |row| origin(row).far_off.map(|how| how.name().to_owned()))),
        ("resource", texts(rows, |row| Some(origin(row).resource.to_json().to_string()))),
        ("seq", uints(rows, |row| origin(row).seq)),
    ]
}

fn times<T>(rows: &[Arc<T>], of: impl Fn(&T) -> Option<Time>) -> ArrayRef {
    let nanos = rows.iter().map(|row| of(row).map(time_to_nanos));
    Arc::new(nanos.collect::<TimestampNanosecondArray>().with_timezone("UTC"))
}

fn texts<T>(rows: &[Arc<T>], of: impl Fn(&T) -> Option<String>) -> ArrayRef {
    Arc::new(rows.iter().map(|row| of(row)).collect::<StringArray>())
}

fn ints<T>(rows: &[Arc<T>], of: impl Fn(&T) -> i32) -> ArrayRef {
    Arc::new(rows.iter().map(|row| Some(of(row))).collect::<Int32Array>())
}

fn longs<T>(rows: &[Arc<T>], of: impl Fn(&T) -> Option<i64>) -> ArrayRef {
    Arc::new(rows.iter().map(|row| of(row)).collect::<Int64Array>())
}

fn uints<T>(rows: &[Arc<T>], of: impl Fn(&T) -> u64) -> ArrayRef {
    Arc::new(rows.iter().map(|row| Some(of(row))).collect::<UInt64Array>())
}

fn floats<T>(rows: &[Arc<T>], of: impl Fn(&T) -> Option<f64>) -> ArrayRef {
    Arc::new(rows.iter().map(|row| of(row)).collect::<Float64Array>())
}

fn bools<T>(rows: &[Arc<T>], of: impl Fn(&T) -> bool) -> ArrayRef {
    Arc::new(rows.iter().map(|row| Some(of(row))).collect::<BooleanArray>())
}

fn kind(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Gauge => "gauge",
        MetricKind::Sum { .. } => "sum",
        MetricKind::Histogram => "histogram",
        MetricKind::ExponentialHistogram => "exponential_histogram",
        MetricKind::Summary => "summary",
    }
}

fn temporality(temporality: Temporality) -> &'static str {
    match temporality {
        Temporality::Unspecified => "unspecified",
        Temporality::Delta => "delta",
        Temporality::Cumulative => "cumulative",
    }
}

fn distribution(value: &PointValue) -> Option<String> {
    let value = match value {
        PointValue::Histogram(h) => json!({
            "count": h.count, "sum": h.sum, "min": h.min, "max": h.max, "bounds": h.bounds, "counts": h.counts,
        }),
        PointValue::Exponential(h) => json!({
            "count": h.count, "sum": h.sum, "scale": h.scale, "zero_count": h.zero_count, "zero_threshold": h.zero_threshold,
            "positive": {"offset": h.positive.0, "counts": h.positive.1},
            "negative": {"offset": h.negative.0, "counts": h.negative.1},
        }),
        PointValue::Summary(s) => json!({"count": s.count, "sum": s.sum, "quantiles": s.quantiles}),
        PointValue::NoValue | PointValue::Int(_) | PointValue::Double(_) => return None,
    };
    Some(value.to_string())
}

fn events(span: &Span) -> String {
    let events = span
        .events
        .iter()
        .map(|event| json!({"time": event.time.to_rfc3339(), "name": event.name, "attributes": event.attributes.to_json()}));
    events.collect::<serde_json::Value>().to_string()
}

fn links(span: &Span) -> String {
    let links = span
        .links
        .iter()
        .map(|link| json!({"trace_id": link.trace_id, "span_id": link.span_id, "attributes": link.attributes.to_json()}));
    links.collect::<serde_json::Value>().to_string()
}
