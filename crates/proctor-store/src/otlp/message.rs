//! The OTLP request messages, declared field by field after opentelemetry-proto 1.x: name, type, number, and how it is read.
//!
//! They are the store's own, so that a fault in the crates that emit telemetry cannot cancel itself out. Of a protobuf
//! `oneof` every member is an optional field here: the bytes are the same, and JSON needs no special case.

use super::codec::{Codec, Level, Many, Maybe, Message, Needed, Numbers, One, Read, is_named};
use super::json::Json;
use super::notes::Notes;
use super::scalars::{
    Bytes, Count, Double, Enum, Fixed64, Id, Int64, SFixed64, SInt32, Severity, SpanKind, StatusCode, TemporalityName, Text,
    Truth, UInt32, UInt64,
};
use super::wire::Wire;

macro_rules! messages {
    ($($level:ident $name:ident { $($field:ident : $kind:ty = $tag:literal, $codec:ty;)* })*) => { $(
        #[derive(Clone, Debug, Default, PartialEq)]
        pub(crate) struct $name { $(pub(crate) $field: $kind),* }

        impl Message for $name {
            const LEVEL: Level = Level::$level;

            fn field(&mut self, tag: u32, value: Wire<'_>, notes: &mut Notes) -> Read {
                match tag {
                    $($tag => <$codec as Codec<$kind>>::wire(&mut self.$field, value, notes),)*
                    _ => Ok(()),
                }
            }

            fn named(&mut self, name: &str, value: &Json<'_>, notes: &mut Notes) -> Read {
                $(if is_named(name, stringify!($field)) {
                    return <$codec as Codec<$kind>>::json(&mut self.$field, value, notes);
                })*
                Ok(())
            }
        }
    )* };
}

messages! {
    Container ExportLogs {
        resource_logs: Vec<ResourceLogs> = 1, Many;
    }
    Container ResourceLogs {
        resource: Option<Resource> = 1, One;
        scope_logs: Vec<ScopeLogs> = 2, Many;
    }
    Container ScopeLogs {
        scope: Option<Scope> = 1, One;
        log_records: Vec<LogRecord> = 2, Many;
    }
    Record LogRecord {
        time_unix_nano: u64 = 1, Fixed64;
        severity_number: i32 = 2, Enum<Severity>;
        severity_text: String = 3, Text;
        body: Option<AnyValue> = 5, One;
        attributes: Vec<KeyValue> = 6, Many;
        dropped_attributes_count: u32 = 7, UInt32;
        trace_id: Vec<u8> = 9, Id<16>;
        span_id: Vec<u8> = 10, Id<8>;
        observed_time_unix_nano: u64 = 11, Fixed64;
        event_name: String = 12, Text;
    }
    Part Resource {
        attributes: Vec<KeyValue> = 1, Many;
        dropped_attributes_count: u32 = 2, UInt32;
    }
    Part Scope {
        name: String = 1, Text;
        version: String = 2, Text;
    }
    Part KeyValue {
        key: String = 1, Text;
        value: Option<AnyValue> = 2, One;
    }
    Part ArrayValue {
        values: Vec<AnyValue> = 1, Many;
    }
    Part KeyValueList {
        values: Vec<KeyValue> = 1, Many;
    }
    Container ExportMetrics {
        resource_metrics: Vec<ResourceMetrics> = 1, Many;
    }
    Container ResourceMetrics {
        resource: Option<Resource> = 1, One;
        scope_metrics: Vec<ScopeMetrics> = 2, Many;
    }
    Container ScopeMetrics {
        scope: Option<Scope> = 1, One;
        metrics: Vec<Metric> = 2, Many;
    }
    Container Metric {
        name: String = 1, Text;
        unit: String = 3, Text;
        gauge: Option<Gauge> = 5, One;
        sum: Option<Sum> = 7, One;
        histogram: Option<Histogram> = 9, One;
        exponential_histogram: Option<ExponentialHistogram> = 10, One;
        summary: Option<Summary> = 11, One;
    }
    Container Gauge {
        data_points: Vec<NumberPoint> = 1, Many;
    }
    Container Sum {
        data_points: Vec<NumberPoint> = 1, Many;
        aggregation_temporality: i32 = 2, Enum<TemporalityName>;
        is_monotonic: bool = 3, Truth;
    }
    Container Histogram {
        data_points: Vec<HistogramPoint> = 1, Many;
        aggregation_temporality: i32 = 2, Enum<TemporalityName>;
    }
    Container ExponentialHistogram {
        data_points: Vec<ExponentialPoint> = 1, Many;
        aggregation_temporality: i32 = 2, Enum<TemporalityName>;
    }
    Container Summary {
        data_points: Vec<SummaryPoint> = 1, Many;
    }
    Record NumberPoint {
        start_time_unix_nano: u64 = 2, Fixed64;
        time_unix_nano: u64 = 3, Fixed64;
        as_double: Option<f64> = 4, Needed<Maybe<Double>>;
        as_int: Option<i64> = 6, Needed<Maybe<SFixed64>>;
        attributes: Vec<KeyValue> = 7, Many;
        flags: u32 = 8, UInt32;
    }
    Record HistogramPoint {
        start_time_unix_nano: u64 = 2, Fixed64;
        time_unix_nano: u64 = 3, Fixed64;
        count: u64 = 4, Needed<Count>;
        sum: Option<f64> = 5, Maybe<Double>;
        bucket_counts: Vec<u64> = 6, Needed<Numbers<Count>>;
        explicit_bounds: Vec<f64> = 7, Needed<Numbers<Double>>;
        attributes: Vec<KeyValue> = 9, Many;
        flags: u32 = 10, UInt32;
        min: Option<f64> = 11, Maybe<Double>;
        max: Option<f64> = 12, Maybe<Double>;
    }
    Record ExponentialPoint {
        attributes: Vec<KeyValue> = 1, Many;
        start_time_unix_nano: u64 = 2, Fixed64;
        time_unix_nano: u64 = 3, Fixed64;
        count: u64 = 4, Needed<Count>;
        sum: Option<f64> = 5, Maybe<Double>;
        scale: i32 = 6, Needed<SInt32>;
        zero_count: u64 = 7, Needed<Count>;
        positive: Option<Buckets> = 8, One;
        negative: Option<Buckets> = 9, One;
        flags: u32 = 10, UInt32;
        zero_threshold: f64 = 14, Needed<Double>;
    }
    Part Buckets {
        offset: i32 = 1, Needed<SInt32>;
        bucket_counts: Vec<u64> = 2, Needed<Numbers<UInt64>>;
    }
    Record SummaryPoint {
        start_time_unix_nano: u64 = 2, Fixed64;
        time_unix_nano: u64 = 3, Fixed64;
        count: u64 = 4, Needed<Count>;
        sum: f64 = 5, Needed<Double>;
        quantile_values: Vec<QuantileValue> = 6, Many;
        attributes: Vec<KeyValue> = 7, Many;
        flags: u32 = 8, UInt32;
    }
    Part QuantileValue {
        quantile: f64 = 1, Needed<Double>;
        value: f64 = 2, Needed<Double>;
    }
    Container ExportTraces {
        resource_spans: Vec<ResourceSpans> = 1, Many;
    }
    Container ResourceSpans {
        resource: Option<Resource> = 1, One;
        scope_spans: Vec<ScopeSpans> = 2, Many;
    }
    Container ScopeSpans {
        scope: Option<Scope> = 1, One;
        spans: Vec<Span> = 2, Many;
    }
    Record Span {
        trace_id: Vec<u8> = 1, Id<16>;
        span_id: Vec<u8> = 2, Id<8>;
        parent_span_id: Vec<u8> = 4, Id<8>;
        name: String = 5, Text;
        kind: i32 = 6, Enum<SpanKind>;
        start_time_unix_nano: u64 = 7, Fixed64;
        end_time_unix_nano: u64 = 8, Fixed64;
        attributes: Vec<KeyValue> = 9, Many;
        dropped_attributes_count: u32 = 10, UInt32;
        events: Vec<SpanEvent> = 11, Many;
        dropped_events_count: u32 = 12, UInt32;
        links: Vec<SpanLink> = 13, Many;
        dropped_links_count: u32 = 14, UInt32;
        status: Option<Status> = 15, One;
    }
    Part SpanEvent {
        time_unix_nano: u64 = 1, Fixed64;
        name: String = 2, Text;
        attributes: Vec<KeyValue> = 3, Many;
    }
    Part SpanLink {
        trace_id: Vec<u8> = 1, Id<16>;
        span_id: Vec<u8> = 2, Id<8>;
        attributes: Vec<KeyValue> = 4, Many;
    }
    Part Status {
        message: String = 2, Text;
        code: i32 = 3, Enum<StatusCode>;
    }
}

/// A value of any kind: at most one of the fields is there.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct AnyValue {
    pub(crate) string_value: Option<String>,
    pub(crate) bool_value: Option<bool>,
    pub(crate) int_value: Option<i64>,
    pub(crate) double_value: Option<f64>,
    pub(crate) array_value: Option<ArrayValue>,
    pub(crate) kvlist_value: Option<KeyValueList>,
    pub(crate) bytes_value: Option<Vec<u8>>,
}

impl Message for AnyValue {
    const LEVEL: Level = Level::Part;

    fn field(&mut self, tag: u32, value: Wire<'_>, notes: &mut Notes) -> Read {
        match tag {
            1 => Maybe::<Text>::wire(&mut self.string_value, value, notes),
            2 => Maybe::<Truth>::wire(&mut self.bool_value, value, notes),
            3 => Maybe::<Int64>::wire(&mut self.int_value, value, notes),
            4 => Maybe::<Double>::wire(&mut self.double_value, value, notes),
            5 => One::wire(&mut self.array_value, value, notes),
            6 => One::wire(&mut self.kvlist_value, value, notes),
            7 => Maybe::<Bytes>::wire(&mut self.bytes_value, value, notes),
            _ => Ok(()),
        }
    }

    /// What cannot be read as what it is called is kept as the text that was sent.
    fn named(&mut self, name: &str, value: &Json<'_>, notes: &mut Notes) -> Read {
        let read = match name {
            _ if is_named(name, "string_value") => Maybe::<Text>::json(&mut self.string_value, value, notes),
            _ if is_named(name, "bool_value") => Maybe::<Truth>::json(&mut self.bool_value, value, notes),
            _ if is_named(name, "int_value") => Maybe::<Int64>::json(&mut self.int_value, value, notes),
            _ if is_named(name, "double_value") => Maybe::<Double>::json(&mut self.double_value, value, notes),
            _ if is_named(name, "array_value") => One::json(&mut self.array_value, value, notes),
            _ if is_named(name, "kvlist_value") => One::json(&mut self.kvlist_value, value, notes),
            _ if is_named(name, "bytes_value") => Maybe::<Bytes>::json(&mut self.bytes_value, value, notes),
            _ => return Ok(()),
        };
        if read.is_err() && self.string_value.is_none() {
            self.string_value = plain(value);
        }
        read
    }

    fn plain(value: &Json<'_>) -> Option<Self> {
        plain(value).map(|text| Self { string_value: Some(text), ..Self::default() })
    }
}

/// What was sent, unless it is nested.
fn plain(value: &Json<'_>) -> Option<String> {
    if matches!(value, Json::Object(..) | Json::List(..) | Json::Null) { None } else { Some(value.shown()) }
}
