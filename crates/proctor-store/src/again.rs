//! Which rows came before: an exporter that gets no answer in time sends its batch again.
//!
//! A row counts once only where it proves itself to be the same: a log record by its session and its number in it (Claude Code's
//! `session.id` and `event.sequence`) or by `log.record.uid`; a point by its series, its times and its value; a span by its ids, name
//! and times. Rows that merely look alike may be two.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::record::{Attributes, Exponential, Histogram, LogRecord, MetricPoint, Origin, PointValue, Span, Value};

/// Rows that can prove to be the same.
pub(crate) trait Provable {
    /// What the proof rests on, put into `hasher`; false when there is none.
    fn proof(&self, hasher: &mut DefaultHasher) -> bool;
    /// Whether `other`, whose proof has the same hash, is this row.
    fn is_same(&self, other: &Self) -> bool;
}

/// The rows with a proof, by its hash.
#[derive(Debug)]
pub(crate) struct Seen<T>(HashMap<u64, Arc<T>>);

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Provable> Seen<T> {
    /// The key of `row` when it has a proof, and whether it came before.
    pub(crate) fn look(&self, row: &T) -> (Option<u64>, bool) {
        let mut hasher = DefaultHasher::new();
        if !row.proof(&mut hasher) {
            return (None, false);
        }
        let key = hasher.finish();
        (Some(key), self.0.get(&key).is_some_and(|known| known.is_same(row)))
    }

    pub(crate) fn keep(&mut self, key: Option<u64>, row: &Arc<T>) {
        if let Some(key) = key {
            self.0.insert(key, Arc::clone(row));
        }
    }
}

const SESSION: &str = "session.id";
const SEQUENCE: &str = "event.sequence";
const UID: &str = "log.record.uid";

impl Provable for LogRecord {
    fn proof(&self, hasher: &mut DefaultHasher) -> bool {
        let own = |name| self.attributes.get(name).or_else(|| self.resource.get(name)).filter(|value| !is_empty(value));
        let is_proven =
            match (self.attributes.get(UID).filter(|value| !is_empty(value)), own(SESSION), self.attributes.get(SEQUENCE)) {
                (Some(uid), _, _) => {
                    uid.to_string().hash(hasher);
                    true
                }
                (None, Some(session), Some(sequence)) => {
                    (session.to_string(), sequence.to_string()).hash(hasher);
                    // A session that is taken up again may count anew.
                    (self.time, &self.body, &self.event_name).hash(hasher);
                    true
                }
                _ => false,
            };
        (&self.agent, &self.contradicted).hash(hasher);
        is_proven
    }

    fn is_same(&self, other: &Self) -> bool {
        (&self.agent, &self.contradicted) == (&other.agent, &other.contradicted)
            && self.time == other.time
            && (&self.body, &self.event_name) == (&other.body, &other.event_name)
            && [UID, SESSION, SEQUENCE].iter().all(|name| self.attribute(name) == other.attribute(name))
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_text().is_some_and(str::is_empty)
}

impl Provable for MetricPoint {
    fn proof(&self, hasher: &mut DefaultHasher) -> bool {
        (&self.metric.name, &self.metric.unit, self.start, self.time).hash(hasher);
        hash_origin(&self.origin, hasher);
        hash_attributes(&self.attributes, hasher);
        hash_value(&self.value, hasher);
        self.is_dated
    }

    fn is_same(&self, other: &Self) -> bool {
        *self.metric == *other.metric
            && (self.start, self.time) == (other.start, other.time)
            && same_origin(&self.origin, &other.origin)
            && hashed(|hasher| hash_attributes(&self.attributes, hasher))
                == hashed(|hasher| hash_attributes(&other.attributes, hasher))
            && hashed(|hasher| hash_value(&self.value, hasher)) == hashed(|hasher| hash_value(&other.value, hasher))
    }
}

impl Provable for Span {
    fn proof(&self, hasher: &mut DefaultHasher) -> bool {
        (&self.trace_id, &self.span_id, &self.name, self.start, self.end).hash(hasher);
        (&self.origin.agent, &self.origin.contradicted).hash(hasher);
        !self.trace_id.is_empty() && !self.span_id.is_empty()
    }

    fn is_same(&self, other: &Self) -> bool {
        (&self.trace_id, &self.span_id, &self.name) == (&other.trace_id, &other.span_id, &other.name)
            && (self.start, self.end) == (other.start, other.end)
            && (&self.origin.agent, &self.origin.contradicted) == (&other.origin.agent, &other.origin.contradicted)
    }
}

fn same_origin(one: &Origin, other: &Origin) -> bool {
    // Equal resources are one allocation (see `otlp::Names`), so that the address tells them apart, also where a number is NaN.
    Arc::ptr_eq(&one.resource, &other.resource)
        && one.scope == other.scope
        && (&one.agent, &one.contradicted) == (&other.agent, &other.contradicted)
}

fn hashed(put: impl FnOnce(&mut DefaultHasher)) -> u64 {
    let mut hasher = DefaultHasher::new();
    put(&mut hasher);
    hasher.finish()
}

fn hash_origin(origin: &Origin, hasher: &mut DefaultHasher) {
    (Arc::as_ptr(&origin.resource) as usize).hash(hasher);
    (&origin.scope.name, &origin.agent, &origin.contradicted).hash(hasher);
}

/// Floating-point numbers are the same when their bits are.
fn hash_attributes(attributes: &Attributes, hasher: &mut DefaultHasher) {
    for (name, value) in attributes.iter() {
        name.hash(hasher);
        match value {
            Value::Text(text) => (0, text).hash(hasher),
            Value::Int(number) => (1, number).hash(hasher),
            Value::Double(number) => (2, number.to_bits()).hash(hasher),
            Value::Bool(truth) => (3, truth).hash(hasher),
            Value::Json(text) => (4, text).hash(hasher),
        }
    }
}

fn hash_value(value: &PointValue, hasher: &mut DefaultHasher) {
    let bits = |number: &Option<f64>| number.map(f64::to_bits);
    let each = |numbers: &[f64]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
    match value {
        PointValue::NoValue => 0.hash(hasher),
        PointValue::Int(number) => (1, number).hash(hasher),
        PointValue::Double(number) => (2, number.to_bits()).hash(hasher),
        PointValue::Histogram(Histogram { count, sum, min, max, bounds, counts }) => {
            (3, count, bits(sum), bits(min), bits(max), each(bounds), counts).hash(hasher);
        }
        PointValue::Exponential(Exponential { count, sum, scale, zero_count, zero_threshold, positive, negative }) => {
            (4, count, bits(sum), scale, zero_count, zero_threshold.to_bits(), positive, negative).hash(hasher);
        }
        PointValue::Summary(summary) => {
            let pairs: Vec<_> = summary.quantiles.iter().map(|(part, value)| (part.to_bits(), value.to_bits())).collect();
            (5, summary.count, summary.sum.to_bits(), pairs).hash(hasher);
        }
    }
}
