//! The OTLP request messages, declared field by field after opentelemetry-proto 1.x, for protobuf (prost) and JSON (serde).
//!
//! They are the store's own, so that a fault in the crates that emit telemetry cannot cancel itself out. Of a protobuf
//! `oneof` every member is an optional field here: the bytes are the same, and JSON needs no special case.

use serde::Deserialize;

use super::lenient;

macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attr:meta])* $field:ident : $kind:ty),* $(,)? })*) => { $(
        $(#[$doc])*
        #[derive(Clone, PartialEq, prost::Message, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        pub(crate) struct $name { $($(#[$attr])* pub(crate) $field: $kind),* }
    )* };
}

messages! {
    ExportLogs {
        #[prost(message, repeated, tag = "1")]
        resource_logs: Vec<ResourceLogs>,
    }
    ResourceLogs {
        #[prost(message, optional, tag = "1")]
        resource: Option<Resource>,
        #[prost(message, repeated, tag = "2")]
        scope_logs: Vec<ScopeLogs>,
    }
    ScopeLogs {
        #[prost(message, optional, tag = "1")]
        scope: Option<Scope>,
        #[prost(message, repeated, tag = "2")]
        log_records: Vec<LogRecord>,
    }
    LogRecord {
        #[prost(fixed64, tag = "1")] #[serde(deserialize_with = "lenient::u64")]
        time_unix_nano: u64,
        #[prost(int32, tag = "2")] #[serde(deserialize_with = "lenient::severity")]
        severity_number: i32,
        #[prost(string, tag = "3")]
        severity_text: String,
        #[prost(message, optional, tag = "5")]
        body: Option<AnyValue>,
        #[prost(message, repeated, tag = "6")]
        attributes: Vec<KeyValue>,
        #[prost(uint32, tag = "7")]
        dropped_attributes_count: u32,
        #[prost(bytes = "vec", tag = "9")] #[serde(deserialize_with = "lenient::hex")]
        trace_id: Vec<u8>,
        #[prost(bytes = "vec", tag = "10")] #[serde(deserialize_with = "lenient::hex")]
        span_id: Vec<u8>,
        #[prost(fixed64, tag = "11")] #[serde(deserialize_with = "lenient::u64")]
        observed_time_unix_nano: u64,
        #[prost(string, tag = "12")]
        event_name: String,
    }
    Resource {
        #[prost(message, repeated, tag = "1")]
        attributes: Vec<KeyValue>,
        #[prost(uint32, tag = "2")]
        dropped_attributes_count: u32,
    }
    Scope {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(string, tag = "2")]
        version: String,
    }
    KeyValue {
        #[prost(string, tag = "1")]
        key: String,
        #[prost(message, optional, tag = "2")]
        value: Option<AnyValue>,
    }
    AnyValue {
        #[prost(string, optional, tag = "1")]
        string_value: Option<String>,
        #[prost(bool, optional, tag = "2")]
        bool_value: Option<bool>,
        #[prost(int64, optional, tag = "3")] #[serde(deserialize_with = "lenient::opt_i64")]
        int_value: Option<i64>,
        #[prost(double, optional, tag = "4")] #[serde(deserialize_with = "lenient::opt_f64")]
        double_value: Option<f64>,
        #[prost(message, optional, tag = "5")]
        array_value: Option<ArrayValue>,
        #[prost(message, optional, tag = "6")]
        kvlist_value: Option<KeyValueList>,
        #[prost(bytes = "vec", optional, tag = "7")] #[serde(deserialize_with = "lenient::opt_base64")]
        bytes_value: Option<Vec<u8>>,
    }
    ArrayValue {
        #[prost(message, repeated, tag = "1")]
        values: Vec<AnyValue>,
    }
    KeyValueList {
        #[prost(message, repeated, tag = "1")]
        values: Vec<KeyValue>,
    }

    ExportMetrics {
        #[prost(message, repeated, tag = "1")]
        resource_metrics: Vec<ResourceMetrics>,
    }
    ResourceMetrics {
        #[prost(message, optional, tag = "1")]
        resource: Option<Resource>,
        #[prost(message, repeated, tag = "2")]
        scope_metrics: Vec<ScopeMetrics>,
    }
    ScopeMetrics {
        #[prost(message, optional, tag = "1")]
        scope: Option<Scope>,
        #[prost(message, repeated, tag = "2")]
        metrics: Vec<Metric>,
    }
    Metric {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(string, tag = "3")]
        unit: String,
        #[prost(message, optional, tag = "5")]
        gauge: Option<Gauge>,
        #[prost(message, optional, tag = "7")]
        sum: Option<Sum>,
        #[prost(message, optional, tag = "9")]
        histogram: Option<Histogram>,
        #[prost(message, optional, tag = "10")]
        exponential_histogram: Option<ExponentialHistogram>,
        #[prost(message, optional, tag = "11")]
        summary: Option<Summary>,
    }
    Gauge {
        #[prost(message, repeated, tag = "1")]
        data_points: Vec<NumberPoint>,
    }
    Sum {
        #[prost(message, repeated, tag = "1")]
        data_points: Vec<NumberPoint>,
        #[prost(int32, tag = "2")] #[serde(deserialize_with = "lenient::temporality")]
        aggregation_temporality: i32,
        #[prost(bool, tag = "3")]
        is_monotonic: bool,
    }
    Histogram {
        #[prost(message, repeated, tag = "1")]
        data_points: Vec<HistogramPoint>,
        #[prost(int32, tag = "2")] #[serde(deserialize_with = "lenient::temporality")]
        aggregation_temporality: i32,
    }
    ExponentialHistogram {
        #[prost(message, repeated, tag = "1")]
        data_points: Vec<ExponentialPoint>,
        #[prost(int32, tag = "2")] #[serde(deserialize_with = "lenient::temporality")]
        aggregation_temporality: i32,
    }
    Summary {
        #[prost(message, repeated, tag = "1")]
        data_points: Vec<SummaryPoint>,
    }
    NumberPoint {
        #[prost(fixed64, tag = "2")] #[serde(deserialize_with = "lenient::u64")]
        start_time_unix_nano: u64,
        #[prost(fixed64, tag = "3")] #[serde(deserialize_with = "lenient::u64")]
        time_unix_nano: u64,
        #[prost(double, optional, tag = "4")] #[serde(deserialize_with = "lenient::opt_f64")]
        as_double: Option<f64>,
        #[prost(sfixed64, optional, tag = "6")] #[serde(deserialize_with = "lenient::opt_i64")]
        as_int: Option<i64>,
        #[prost(message, repeated, tag = "7")]
        attributes: Vec<KeyValue>,
        #[prost(uint32, tag = "8")]
        flags: u32,
    }
    HistogramPoint {
        #[prost(fixed64, tag = "2")] #[serde(deserialize_with = "lenient::u64")]
        start_time_unix_nano: u64,
        #[prost(fixed64, tag = "3")] #[serde(deserialize_with = "lenient::u64")]
        time_unix_nano: u64,
        #[prost(fixed64, tag = "4")] #[serde(deserialize_with = "lenient::u64")]
        count: u64,
        #[prost(double, optional, tag = "5")] #[serde(deserialize_with = "lenient::opt_f64")]
        sum: Option<f64>,
        #[prost(fixed64, repeated, tag = "6")] #[serde(deserialize_with = "lenient::vec_u64")]
        bucket_counts: Vec<u64>,
        #[prost(double, repeated, tag = "7")] #[serde(deserialize_with = "lenient::vec_f64")]
        explicit_bounds: Vec<f64>,
        #[prost(message, repeated, tag = "9")]
        attributes: Vec<KeyValue>,
        #[prost(uint32, tag = "10")]
        flags: u32,
        #[prost(double, optional, tag = "11")] #[serde(deserialize_with = "lenient::opt_f64")]
        min: Option<f64>,
        #[prost(double, optional, tag = "12")] #[serde(deserialize_with = "lenient::opt_f64")]
        max: Option<f64>,
    }
    ExponentialPoint {
        #[prost(message, repeated, tag = "1")]
        attributes: Vec<KeyValue>,
        #[prost(fixed64, tag = "2")] #[serde(deserialize_with = "lenient::u64")]
        start_time_unix_nano: u64,
        #[prost(fixed64, tag = "3")] #[serde(deserialize_with = "lenient::u64")]
        time_unix_nano: u64,
        #[prost(fixed64, tag = "4")] #[serde(deserialize_with = "lenient::u64")]
        count: u64,
        #[prost(double, optional, tag = "5")] #[serde(deserialize_with = "lenient::opt_f64")]
        sum: Option<f64>,
        #[prost(sint32, tag = "6")]
        scale: i32,
        #[prost(fixed64, tag = "7")] #[serde(deserialize_with = "lenient::u64")]
        zero_count: u64,
        #[prost(message, optional, tag = "8")]
        positive: Option<Buckets>,
        #[prost(message, optional, tag = "9")]
        negative: Option<Buckets>,
        #[prost(uint32, tag = "10")]
        flags: u32,
        #[prost(double, tag = "14")]
        zero_threshold: f64,
    }
    Buckets {
        #[prost(sint32, tag = "1")]
        offset: i32,
        #[prost(uint64, repeated, tag = "2")] #[serde(deserialize_with = "lenient::vec_u64")]
        bucket_counts: Vec<u64>,
    }
    SummaryPoint {
        #[prost(fixed64, tag = "2")] #[serde(deserialize_with = "lenient::u64")]
        start_time_unix_nano: u64,
        #[prost(fixed64, tag = "3")] #[serde(deserialize_with = "lenient::u64")]
        time_unix_nano: u64,
        #[prost(fixed64, tag = "4")] #[serde(deserialize_with = "lenient::u64")]
        count: u64,
        #[prost(double, tag = "5")]
        sum: f64,
        #[prost(message, repeated, tag = "6")]
        quantile_values: Vec<QuantileValue>,
        #[prost(message, repeated, tag = "7")]
        attributes: Vec<KeyValue>,
        #[prost(uint32, tag = "8")]
        flags: u32,
    }
    QuantileValue {
        #[prost(double, tag = "1")]
        quantile: f64,
        #[prost(double, tag = "2")]
        value: f64,
    }

    ExportTraces {
        #[prost(message, repeated, tag = "1")]
        resource_spans: Vec<ResourceSpans>,
    }
    ResourceSpans {
        #[prost(message, optional, tag = "1")]
        resource: Option<Resource>,
        #[prost(message, repeated, tag = "2")]
        scope_spans: Vec<ScopeSpans>,
    }
    ScopeSpans {
        #[prost(message, optional, tag = "1")]
        scope: Option<Scope>,
        #[prost(message, repeated, tag = "2")]
        spans: Vec<Span>,
    }
    Span {
        #[prost(bytes = "vec", tag = "1")] #[serde(deserialize_with = "lenient::hex")]
        trace_id: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")] #[serde(deserialize_with = "lenient::hex")]
        span_id: Vec<u8>,
        #[prost(bytes = "vec", tag = "4")] #[serde(deserialize_with = "lenient::hex")]
        parent_span_id: Vec<u8>,
        #[prost(string, tag = "5")]
        name: String,
        #[prost(int32, tag = "6")] #[serde(deserialize_with = "lenient::span_kind")]
        kind: i32,
        #[prost(fixed64, tag = "7")] #[serde(deserialize_with = "lenient::u64")]
        start_time_unix_nano: u64,
        #[prost(fixed64, tag = "8")] #[serde(deserialize_with = "lenient::u64")]
        end_time_unix_nano: u64,
        #[prost(message, repeated, tag = "9")]
        attributes: Vec<KeyValue>,
        #[prost(uint32, tag = "10")]
        dropped_attributes_count: u32,
        #[prost(message, repeated, tag = "11")]
        events: Vec<SpanEvent>,
        #[prost(uint32, tag = "12")]
        dropped_events_count: u32,
        #[prost(message, repeated, tag = "13")]
        links: Vec<SpanLink>,
        #[prost(uint32, tag = "14")]
        dropped_links_count: u32,
        #[prost(message, optional, tag = "15")]
        status: Option<Status>,
    }
    SpanEvent {
        #[prost(fixed64, tag = "1")] #[serde(deserialize_with = "lenient::u64")]
        time_unix_nano: u64,
        #[prost(string, tag = "2")]
        name: String,
        #[prost(message, repeated, tag = "3")]
        attributes: Vec<KeyValue>,
    }
    SpanLink {
        #[prost(bytes = "vec", tag = "1")] #[serde(deserialize_with = "lenient::hex")]
        trace_id: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")] #[serde(deserialize_with = "lenient::hex")]
        span_id: Vec<u8>,
        #[prost(message, repeated, tag = "4")]
        attributes: Vec<KeyValue>,
    }
    Status {
        #[prost(string, tag = "2")]
        message: String,
        #[prost(int32, tag = "3")] #[serde(deserialize_with = "lenient::status_code")]
        code: i32,
    }
}
