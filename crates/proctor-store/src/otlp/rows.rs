//! From OTLP messages to rows.

use std::collections::HashSet;
use std::fmt::Write;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use base64::Engine;

use super::message as wire;
use super::notes::Notes;
use super::{Decoded, Request};
use crate::identity;
use crate::record::{
    Attributes, Exponential, Histogram, LogRecord, Metric, MetricKind, MetricPoint, Origin, PointValue, Scope, Span, SpanEvent,
    SpanLink, Summary, Temporality, Time, Value, time_from_nanos,
};
use crate::store::Address;

/// The flag of a metric point that carries no value.
const NO_RECORDED_VALUE: u32 = 1;

/// Attribute names and resources, each kept once: a run repeats the same few thousands of times.
#[derive(Debug, Default)]
pub(crate) struct Names {
    names: HashSet<Arc<str>>,
    resources: HashSet<Resource>,
}

impl Names {
    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let new: Arc<str> = name.into();
        self.names.insert(Arc::clone(&new));
        new
    }

    fn resource(&mut self, attributes: Attributes) -> Arc<Attributes> {
        let new = Resource(Arc::new(attributes));
        if let Some(known) = self.resources.get(&new) {
            return Arc::clone(&known.0);
        }
        let resource = Arc::clone(&new.0);
        self.resources.insert(new);
        resource
    }
}

/// A resource as the key of itself: floating-point numbers are the same when their bits are, so that every resource equals itself.
#[derive(Debug)]
struct Resource(Arc<Attributes>);

impl Resource {
    /// What two resources must have in common: each attribute's name, the kind of its value, its text and its number.
    fn parts(&self) -> impl Iterator<Item = (&str, u8, &str, u64)> {
        self.0.iter().map(|(name, value)| match value {
            Value::Text(text) => (name, 0, &**text, 0),
            Value::Int(number) => (name, 1, "", number.cast_unsigned()),
            Value::Double(number) => (name, 2, "", number.to_bits()),
            Value::Bool(truth) => (name, 3, "", u64::from(*truth)),
            Value::Json(text) => (name, 4, &**text, 0),
        })
    }
}

impl Hash for Resource {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.parts().for_each(|part| part.hash(hasher));
    }
}

impl PartialEq for Resource {
    fn eq(&self, other: &Self) -> bool {
        self.parts().eq(other.parts())
    }
}

impl Eq for Resource {}

/// What one request holds, not yet numbered.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) logs: Vec<LogRecord>,
    pub(crate) points: Vec<MetricPoint>,
    pub(crate) spans: Vec<Span>,
    /// Attributes, events and links that the sender says it dropped.
    pub(crate) dropped: u64,
    /// What could not be taken as it came.
    pub(crate) notes: Notes,
}

/// Turns one request into rows.
pub(crate) struct Intake<'a> {
    names: &'a mut Names,
    agent: Option<Arc<str>>,
    /// The agent whose address it came by without holding its token.
    claimed: Option<Arc<str>>,
    received: Time,
    rows: Rows,
}

impl<'a> Intake<'a> {
    pub(crate) fn new(names: &'a mut Names, address: Address<'_>, received: Time) -> Self {
        let mut name = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(|text| names.name(text));
        let (agent, claimed) = (name(address.agent()), name(address.claimed()));
        Self { names, agent, claimed, received, rows: Rows::default() }
    }

    pub(crate) fn rows(mut self, decoded: Decoded) -> Rows {
        self.rows.notes = decoded.notes;
        match decoded.request {
            Request::Logs(request) => request.resource_logs.into_iter().for_each(|group| self.logs(group)),
            Request::Metrics(request) => request.resource_metrics.into_iter().for_each(|group| self.metrics(group)),
            Request::Traces(request) => request.resource_spans.into_iter().for_each(|group| self.spans(group)),
        }
        self.rows
    }

    fn logs(&mut self, group: wire::ResourceLogs) {
        let resource = self.resource(group.resource);
        for scoped in group.scope_logs {
            let scope = scope(scoped.scope);
            for record in scoped.log_records {
                let row = self.log(record, &resource, &scope);
                self.rows.logs.push(row);
            }
        }
    }

    fn log(&mut self, record: wire::LogRecord, resource: &Arc<Attributes>, scope: &Arc<Scope>) -> LogRecord {
        self.rows.dropped += u64::from(record.dropped_attributes_count);
        let attributes = self.attributes(record.attributes);
        let origin = self.origin(&attributes, resource, scope);
        let observed = self.or_received(record.observed_time_unix_nano);
        LogRecord {
            time: if record.time_unix_nano == 0 { observed } else { time_from_nanos(record.time_unix_nano) },
            observed,
            severity_number: record.severity_number,
            severity_text: record.severity_text,
            body: record.body.map(text).unwrap_or_default(),
            event_name: record.event_name,
            attributes,
            resource: origin.resource,
            scope: origin.scope,
            agent: origin.agent,
            contradicted: origin.contradicted,
            far_off: None,
            received: self.received,
            trace_id: hex(&record.trace_id),
            span_id: hex(&record.span_id),
            seq: 0,
        }
    }

    fn metrics(&mut self, group: wire::ResourceMetrics) {
        let resource = self.resource(group.resource);
        for scoped in group.scope_metrics {
            let scope = scope(scoped.scope);
            for metric in scoped.metrics {
                self.metric(metric, &resource, &scope);
            }
        }
    }

    fn metric(&mut self, metric: wire::Metric, resource: &Arc<Attributes>, scope: &Arc<Scope>) {
        if metric.name.is_empty() {
            self.rows.notes.spoil("a metric without a name", "");
        }
        let about = |kind, temporality| {
            Arc::new(Metric {
                name: metric.name.clone(),
                unit: metric.unit.clone(),
                kind,
                temporality: temporality_of(temporality),
            })
        };
        let mut raw = Vec::new();
        if let Some(gauge) = metric.gauge {
            let about = about(MetricKind::Gauge, 0);
            raw.extend(gauge.data_points.into_iter().map(|point| number(&about, point)));
        }
        if let Some(sum) = metric.sum {
            let about = about(MetricKind::Sum { monotonic: sum.is_monotonic }, sum.aggregation_temporality);
            raw.extend(sum.data_points.into_iter().map(|point| number(&about, point)));
        }
        if let Some(histogram) = metric.histogram {
            let about = about(MetricKind::Histogram, histogram.aggregation_temporality);
            raw.extend(histogram.data_points.into_iter().map(|point| explicit(&about, point, &mut self.rows.notes)));
        }
        if let Some(histogram) = metric.exponential_histogram {
            let about = about(MetricKind::ExponentialHistogram, histogram.aggregation_temporality);
            raw.extend(histogram.data_points.into_iter().map(|point| exponential(&about, point)));
        }
        if let Some(summary) = metric.summary {
            let about = about(MetricKind::Summary, 0);
            raw.extend(summary.data_points.into_iter().map(|point| quantiles(&about, point)));
        }
        for point in raw {
            if falls(&point) {
                self.rows.notes.spoil("a sum that never falls grows by less than nothing", &*point.metric.name);
            }
            self.point(point, resource, scope);
        }
    }

    fn point(&mut self, raw: RawPoint, resource: &Arc<Attributes>, scope: &Arc<Scope>) {
        let attributes = self.attributes(raw.attributes);
        let origin = self.origin(&attributes, resource, scope);
        self.rows.points.push(MetricPoint {
            metric: raw.metric,
            start: (raw.start != 0).then(|| time_from_nanos(raw.start)),
            time: self.or_received(raw.time),
            is_dated: raw.time != 0,
            value: if raw.flags & NO_RECORDED_VALUE == 0 { raw.value } else { PointValue::NoValue },
            attributes,
            origin,
        });
    }

    fn spans(&mut self, group: wire::ResourceSpans) {
        let resource = self.resource(group.resource);
        for scoped in group.scope_spans {
            let scope = scope(scoped.scope);
            for span in scoped.spans {
                let row = self.span(span, &resource, &scope);
                self.rows.spans.push(row);
            }
        }
    }

    fn span(&mut self, span: wire::Span, resource: &Arc<Attributes>, scope: &Arc<Scope>) -> Span {
        let dropped = [span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count];
        self.rows.dropped += dropped.into_iter().map(u64::from).sum::<u64>();
        let attributes = self.attributes(span.attributes);
        let origin = self.origin(&attributes, resource, scope);
        let status = span.status.unwrap_or_default();
        Span {
            trace_id: hex(&span.trace_id),
            span_id: hex(&span.span_id),
            parent_span_id: hex(&span.parent_span_id),
            name: span.name,
            kind: span.kind,
            start: self.or_received(span.start_time_unix_nano),
            end: self.or_received(span.end_time_unix_nano),
            status_code: status.code,
            status_message: status.message,
            attributes,
            events: span.events.into_iter().map(|event| self.event(event)).collect(),
            links: span.links.into_iter().map(|link| self.link(link)).collect(),
            origin,
        }
    }

    fn event(&mut self, event: wire::SpanEvent) -> SpanEvent {
        SpanEvent {
            time: self.or_received(event.time_unix_nano),
            name: event.name,
            attributes: self.attributes(event.attributes),
        }
    }

    fn link(&mut self, link: wire::SpanLink) -> SpanLink {
        SpanLink { trace_id: hex(&link.trace_id), span_id: hex(&link.span_id), attributes: self.attributes(link.attributes) }
    }

    fn or_received(&self, nanos: u64) -> Time {
        if nanos == 0 { self.received } else { time_from_nanos(nanos) }
    }

    fn resource(&mut self, resource: Option<wire::Resource>) -> Arc<Attributes> {
        let resource = resource.unwrap_or_default();
        self.rows.dropped += u64::from(resource.dropped_attributes_count);
        let attributes = self.attributes(resource.attributes);
        self.names.resource(attributes)
    }

    fn origin(&mut self, attributes: &Attributes, resource: &Arc<Attributes>, scope: &Arc<Scope>) -> Origin {
        let claimed = self.agent.as_deref().and_then(|agent| identity::contradiction(agent, attributes, resource));
        let contradicted = self.claimed.clone().or_else(|| claimed.map(|text| self.names.name(&text)));
        Origin {
            resource: Arc::clone(resource),
            scope: Arc::clone(scope),
            agent: self.agent.clone(),
            contradicted,
            far_off: None,
            seq: 0,
        }
    }

    fn nameless(&mut self) -> String {
        self.rows.notes.spoil("an attribute without a name", "");
        NAMELESS.to_owned()
    }

    fn attributes(&mut self, pairs: Vec<wire::KeyValue>) -> Attributes {
        let mut flat = Vec::with_capacity(pairs.len());
        for pair in pairs {
            self.flatten(pair.key, pair.value.unwrap_or_default(), &mut flat);
        }
        let (attributes, twice) = Attributes::unified(flat);
        if let Some(name) = twice {
            self.rows.notes.spoil("an attribute that is given twice, of which the last counts", &*name);
        }
        attributes
    }

    fn flatten(&mut self, name: String, value: wire::AnyValue, flat: &mut Vec<(Arc<str>, Value)>) {
        let name = if name.is_empty() { self.nameless() } else { name };
        match value.kvlist_value {
            Some(list) if !list.values.is_empty() => {
                for pair in list.values {
                    let key = if pair.key.is_empty() { self.nameless() } else { pair.key };
                    self.flatten(format!("{name}.{key}"), pair.value.unwrap_or_default(), flat);
                }
            }
            kvlist_value => flat.push((self.names.name(&name), scalar(wire::AnyValue { kvlist_value, ..value }))),
        }
    }
}

/// What stands for the name of an attribute that has none.
const NAMELESS: &str = "(empty)";

/// A metric point before its attributes are taken in.
struct RawPoint {
    metric: Arc<Metric>,
    start: u64,
    time: u64,
    flags: u32,
    value: PointValue,
    attributes: Vec<wire::KeyValue>,
}

/// Whether a sum that never falls says that it fell.
fn falls(point: &RawPoint) -> bool {
    let MetricKind::Sum { monotonic: true } = point.metric.kind else { return false };
    point.metric.temporality == Temporality::Delta && point.value.number().is_some_and(|value| value < 0.0)
}

fn number(metric: &Arc<Metric>, point: wire::NumberPoint) -> RawPoint {
    let value = match (point.as_int, point.as_double) {
        (Some(n), _) => PointValue::Int(n),
        (None, Some(n)) => PointValue::Double(n),
        (None, None) => PointValue::NoValue,
    };
    RawPoint {
        metric: Arc::clone(metric),
        start: point.start_time_unix_nano,
        time: point.time_unix_nano,
        flags: point.flags,
        value,
        attributes: point.attributes,
    }
}

fn explicit(metric: &Arc<Metric>, point: wire::HistogramPoint, notes: &mut Notes) -> RawPoint {
    let mut value = Histogram {
        count: point.count,
        sum: point.sum,
        min: point.min,
        max: point.max,
        bounds: point.explicit_bounds,
        counts: point.bucket_counts,
    };
    if !has_sound_buckets(&value) {
        notes.spoil("a histogram whose buckets contradict each other, kept without them", &*metric.name);
        (value.bounds, value.counts) = (Vec::new(), Vec::new());
    }
    RawPoint {
        metric: Arc::clone(metric),
        start: point.start_time_unix_nano,
        time: point.time_unix_nano,
        flags: point.flags,
        value: PointValue::Histogram(value),
        attributes: point.attributes,
    }
}

/// One count more than bounds, which rise; or no counts at all.
fn has_sound_buckets(histogram: &Histogram) -> bool {
    let is_rising = histogram.bounds.is_sorted_by(|low, high| low < high) && !histogram.bounds.iter().any(|bound| bound.is_nan());
    is_rising && (histogram.counts.is_empty() || histogram.counts.len() == histogram.bounds.len() + 1)
}

fn exponential(metric: &Arc<Metric>, point: wire::ExponentialPoint) -> RawPoint {
    let buckets = |given: Option<wire::Buckets>| given.map(|b| (b.offset, b.bucket_counts)).unwrap_or_default();
    let value = Exponential {
        count: point.count,
        sum: point.sum,
        scale: point.scale,
        zero_count: point.zero_count,
        zero_threshold: point.zero_threshold,
        positive: buckets(point.positive),
        negative: buckets(point.negative),
    };
    RawPoint {
        metric: Arc::clone(metric),
        start: point.start_time_unix_nano,
        time: point.time_unix_nano,
        flags: point.flags,
        value: PointValue::Exponential(value),
        attributes: point.attributes,
    }
}

fn quantiles(metric: &Arc<Metric>, point: wire::SummaryPoint) -> RawPoint {
    let quantiles = point.quantile_values.iter().map(|pair| (pair.quantile, pair.value)).collect();
    RawPoint {
        metric: Arc::clone(metric),
        start: point.start_time_unix_nano,
        time: point.time_unix_nano,
        flags: point.flags,
        value: PointValue::Summary(Summary { count: point.count, sum: point.sum, quantiles }),
        attributes: point.attributes,
    }
}

fn temporality_of(number: i32) -> Temporality {
    match number {
        1 => Temporality::Delta,
        2 => Temporality::Cumulative,
        _ => Temporality::Unspecified,
    }
}

fn scope(scope: Option<wire::Scope>) -> Arc<Scope> {
    let scope = scope.unwrap_or_default();
    Arc::new(Scope { name: scope.name, version: scope.version })
}

fn scalar(value: wire::AnyValue) -> Value {
    match value {
        wire::AnyValue { string_value: Some(text), .. } => Value::Text(text.into()),
        wire::AnyValue { int_value: Some(n), .. } => Value::Int(n),
        wire::AnyValue { double_value: Some(n), .. } => Value::Double(n),
        wire::AnyValue { bool_value: Some(b), .. } => Value::Bool(b),
        wire::AnyValue { array_value: None, kvlist_value: None, bytes_value: None, .. } => Value::Text("".into()),
        structured => Value::Json(json(structured).to_string().into()),
    }
}

fn text(value: wire::AnyValue) -> String {
    scalar(value).to_string()
}

fn json(value: wire::AnyValue) -> serde_json::Value {
    match value {
        wire::AnyValue { array_value: Some(array), .. } => array.values.into_iter().map(json).collect(),
        wire::AnyValue { kvlist_value: Some(list), .. } => {
            let fields = list.values.into_iter().map(|pair| (pair.key, json(pair.value.unwrap_or_default())));
            fields.collect::<serde_json::Map<_, _>>().into()
        }
        wire::AnyValue { bytes_value: Some(bytes), .. } => base64::engine::general_purpose::STANDARD.encode(bytes).into(),
        plain => scalar(plain).to_json(),
    }
}

/// Lower-case hex; an id of zeros only stands for an absent one.
fn hex(bytes: &[u8]) -> String {
    if bytes.iter().all(|byte| *byte == 0) {
        return String::new();
    }
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_kept_once_and_every_difference_makes_another() {
        let mut names = Names::default();
        let name: Arc<str> = "key".into();
        let mut keep = |value: Value| names.resource(Attributes::new(vec![(Arc::clone(&name), value)]));
        let values = || {
            [
                Value::Text("1".into()),
                Value::Json("1".into()),
                Value::Int(1),
                Value::Double(1.0),
                Value::Double(f64::NAN),
                Value::Double(0.0),
                Value::Double(-0.0),
                Value::Bool(true),
            ]
        };
        let kept = values().map(&mut keep);
        let again = values().map(&mut keep);
        assert!(kept.iter().zip(&again).all(|(one, other)| Arc::ptr_eq(one, other)));
        assert_eq!(names.resources.len(), kept.len());
    }
}
