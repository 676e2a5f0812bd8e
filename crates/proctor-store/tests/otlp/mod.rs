//! Makes OTLP requests for tests, as JSON text, independently of the store's own types.

#![allow(dead_code, clippy::unwrap_used, reason = "each test program uses a part; a test stops at the first surprise")]

use std::fs::File;
use std::io::Write;
use std::path::Path;

use arrow_array::{Array, StringArray};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proctor_store::Time;
use serde_json::{Value, json};

/// `seconds` after 1970.
pub(crate) fn at(seconds: i64) -> Time {
    Time::from_timestamp(seconds, 0).unwrap()
}

fn nanos(seconds: i64) -> String {
    (seconds * 1_000_000_000).to_string()
}

/// Attributes as OTLP writes them.
pub(crate) fn attributes(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(key, text)| json!({"key": key, "value": {"stringValue": text}})).collect()
}

/// One INFO record at `seconds`.
pub(crate) fn log(seconds: i64, body: &str) -> String {
    log_with(seconds, 9, body, &[])
}

/// One record.
pub(crate) fn log_with(seconds: i64, severity: i32, body: &str, pairs: &[(&str, &str)]) -> String {
    json!({
        "timeUnixNano": nanos(seconds), "severityNumber": severity, "body": {"stringValue": body}, "attributes": attributes(pairs),
    })
    .to_string()
}

/// Requests of log records.
pub(crate) struct Logs;

impl Logs {
    /// From no resource in particular.
    pub(crate) fn of(records: impl IntoIterator<Item = String>) -> Vec<u8> {
        Self::from_resource(&[], records)
    }

    /// From a resource.
    pub(crate) fn from_resource(resource: &[(&str, &str)], records: impl IntoIterator<Item = String>) -> Vec<u8> {
        let records: Vec<Value> = records.into_iter().map(|record| serde_json::from_str(&record).unwrap()).collect();
        json!({"resourceLogs": [{"resource": {"attributes": attributes(resource)},
            "scopeLogs": [{"scope": {"name": "test"}, "logRecords": records}]}]})
        .to_string()
        .into_bytes()
    }
}

/// A number point: start, time (seconds; start 0 for none), value, attributes.
pub(crate) type Point<'a> = (i64, i64, f64, &'a [(&'a str, &'a str)]);

fn points(points: &[Point<'_>]) -> Value {
    let each = points.iter().map(|(start, time, value, pairs)| {
        json!({"startTimeUnixNano": nanos(*start), "timeUnixNano": nanos(*time), "asDouble": value, "attributes": attributes(pairs)})
    });
    each.collect()
}

/// The data of a sum; temporality 1 is delta, 2 cumulative.
pub(crate) fn sum(temporality: i32, monotonic: bool, of: &[Point<'_>]) -> Value {
    json!({"sum": {"aggregationTemporality": temporality, "isMonotonic": monotonic, "dataPoints": points(of)}})
}

/// The data of a gauge.
pub(crate) fn gauge(of: &[Point<'_>]) -> Value {
    json!({"gauge": {"dataPoints": points(of)}})
}

/// The data of a histogram: start, time, counts (one more than bounds), sum.
pub(crate) fn histogram(temporality: i32, bounds: &[f64], of: &[(i64, i64, &[u64], f64)]) -> Value {
    let each = of.iter().map(|(start, time, counts, sum)| {
        json!({"startTimeUnixNano": nanos(*start), "timeUnixNano": nanos(*time), "count": counts.iter().sum::<u64>().to_string(),
            "sum": sum, "bucketCounts": counts.iter().map(ToString::to_string).collect::<Vec<_>>(), "explicitBounds": bounds})
    });
    json!({"histogram": {"aggregationTemporality": temporality, "dataPoints": each.collect::<Vec<_>>()}})
}

/// A request of one metric from the service `test`.
pub(crate) fn metrics(name: &str, unit: &str, data: &Value) -> Vec<u8> {
    metrics_from(&[("service.name", "test")], name, unit, data)
}

/// A request of one metric from a resource.
pub(crate) fn metrics_from(resource: &[(&str, &str)], name: &str, unit: &str, data: &Value) -> Vec<u8> {
    let mut metric = json!({"name": name, "unit": unit});
    metric.as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
    json!({"resourceMetrics": [{"resource": {"attributes": attributes(resource)},
        "scopeMetrics": [{"scope": {"name": "test"}, "metrics": [metric]}]}]})
    .to_string()
    .into_bytes()
}

/// Packed.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// A text column of a Parquet file.
pub(crate) fn parquet_texts(path: &Path, column: &str) -> Vec<String> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
    let batches = reader.map(Result::unwrap);
    let texts = |batch: arrow_array::RecordBatch| {
        let array = batch.column_by_name(column).unwrap().as_any().downcast_ref::<StringArray>().unwrap().clone();
        (0..array.len()).map(|at| array.value(at).to_owned()).collect::<Vec<_>>()
    };
    batches.flat_map(texts).collect()
}
