//! From metric points to series.
//!
//! Sums and histograms become one true cumulative series each: what every process life (one resource, one start time) has
//! added is added up, so that short-lived processes, which all start at 0 under the same name, count together, and delta
//! points count like cumulative ones. Such a series begins with 0 at its first start time and stays valid for good: a
//! counter does not forget when its process ends. Gauges are taken as they are.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use super::naming;
use crate::changes::lock;
use crate::record::{Exponential, Histogram, Labels, Metric, MetricKind, MetricPoint, PointValue, Summary, Temporality, Time};

/// Marks in a gauge's samples that there is no value any more (Prometheus' staleness marker).
pub(super) const STALE: u64 = 0x7ff0_0000_0000_0002;

/// A series as queries select it.
#[derive(Debug)]
pub(crate) struct Stored {
    /// All names it answers to, the shown one first.
    pub(super) names: Vec<String>,
    /// Without a name.
    pub(super) labels: Labels,
    /// Milliseconds since 1970, rising, and values.
    pub(super) samples: Vec<(i64, f64)>,
    /// Whether the last value stays valid for good.
    pub(super) lasting: bool,
}

/// All series of a store at one moment.
#[derive(Debug, Default)]
pub(crate) struct SeriesSet {
    pub(super) series: Vec<Stored>,
}

/// The series of a store, made again when points have arrived.
#[derive(Debug, Default)]
pub(crate) struct Cache(Mutex<Option<(usize, Arc<SeriesSet>)>>);

impl Cache {
    /// The series over `points`, of which there are `count`.
    pub(crate) fn get(&self, count: usize, points: impl FnOnce() -> Vec<Arc<MetricPoint>>) -> Arc<SeriesSet> {
        let mut cached = lock(&self.0);
        if let Some((_, set)) = cached.as_ref().filter(|(seen, _)| *seen == count) {
            return Arc::clone(set);
        }
        let set = Arc::new(SeriesSet::new(&points()));
        *cached = Some((count, Arc::clone(&set)));
        set
    }
}

/// What tells one series from another before it is taken apart into buckets.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    names: Vec<String>,
    labels: Labels,
    form: Form,
}

/// How points make a series. Points of one name that were sent in two forms are two series: neither is lost in the other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    Gauge,
    Counter,
    Histogram,
    Summary,
}

impl Form {
    fn of(metric: &Metric) -> Self {
        match metric.kind {
            MetricKind::Sum { monotonic } if monotonic || metric.temporality == Temporality::Delta => Self::Counter,
            MetricKind::Gauge | MetricKind::Sum { .. } => Self::Gauge,
            MetricKind::Histogram | MetricKind::ExponentialHistogram => Self::Histogram,
            MetricKind::Summary => Self::Summary,
        }
    }
}

impl SeriesSet {
    /// From points in order of time.
    pub(super) fn new(points: &[Arc<MetricPoint>]) -> Self {
        let mut groups: BTreeMap<Identity, Vec<&MetricPoint>> = BTreeMap::new();
        let mut known: HashMap<*const Metric, Vec<String>> = HashMap::new();
        for point in points {
            let names = known.entry(Arc::as_ptr(&point.metric)).or_insert_with(|| naming::names(&point.metric)).clone();
            let origin = &point.origin;
            let labels =
                naming::labels(&point.attributes, &origin.resource, origin.agent.as_deref(), origin.contradicted.as_deref());
            let form = Form::of(&point.metric);
            groups.entry(Identity { names, labels, form }).or_default().push(point);
        }
        let mut series = Vec::new();
        for (identity, points) in groups {
            expand(&identity, &points, &mut series);
        }
        Self { series }
    }
}

fn expand(identity: &Identity, points: &[&MetricPoint], out: &mut Vec<Stored>) {
    match identity.form {
        Form::Counter => counter(identity, points, out),
        Form::Gauge => gauge(identity, points, out),
        Form::Histogram => histogram(identity, points, out),
        Form::Summary => summary(identity, points, out),
    }
}

fn stored(identity: &Identity, suffix: &str, label: Option<(&str, String)>, samples: Vec<(i64, f64)>, lasting: bool) -> Stored {
    let mut labels = identity.labels.clone();
    if let Some((name, text)) = label
        && let Some(sent) = labels.insert(name.to_owned(), text)
    {
        labels.insert(format!("exported_{name}"), sent);
    }
    let names = identity.names.iter().map(|name| format!("{name}{suffix}")).collect();
    Stored { names, labels, samples, lasting }
}

/// Adds a sample; of several within one millisecond the last one counts.
fn push(samples: &mut Vec<(i64, f64)>, at: i64, value: f64) {
    match samples.last_mut() {
        Some(last) if last.0 >= at => last.1 = value,
        _ => samples.push((at, value)),
    }
}

/// When counting began, for a series whose first point tells: just before that point at the latest.
fn birth(first: &MetricPoint) -> Option<i64> {
    first.start.map(|start| start.timestamp_millis().min(first.time.timestamp_millis() - 1))
}

fn gauge(identity: &Identity, points: &[&MetricPoint], out: &mut Vec<Stored>) {
    let mut samples = Vec::with_capacity(points.len());
    for point in points {
        let value = match point.value {
            PointValue::NoValue => Some(f64::from_bits(STALE)),
            _ => point.value.number(),
        };
        if let Some(value) = value {
            push(&mut samples, point.time.timestamp_millis(), value);
        }
    }
    out.push(stored(identity, "", None, samples, false));
}

fn counter(identity: &Identity, points: &[&MetricPoint], out: &mut Vec<Stored>) {
    let mut samples = Vec::with_capacity(points.len() + 1);
    samples.extend(points.first().and_then(|first| birth(first)).map(|at| (at, 0.0)));
    let mut lives: Lives<f64> = Lives::default();
    let mut total = 0.0;
    for point in points {
        let at = point.time.timestamp_millis();
        // A sum that is no number is shown where it stands, and later ones count on from what came before.
        if let Some(value) = point.value.number().filter(|value| !value.is_finite()) {
            push(&mut samples, at, value);
        } else if let Some(value) = point.value.number().filter(|value| !is_impossible(point, *value)) {
            let before = lives.before(point, value);
            // A cumulative value below the one before it: the process began anew without saying so.
            let restarted = monotonic(point) && value < before;
            total += if restarted { value } else { value - before };
            push(&mut samples, at, total);
        }
    }
    out.push(stored(identity, "", None, samples, true));
}

/// A sum that never falls cannot have grown by less than nothing.
fn is_impossible(point: &MetricPoint, value: f64) -> bool {
    monotonic(point) && point.metric.temporality == Temporality::Delta && value < 0.0
}

fn monotonic(point: &MetricPoint) -> bool {
    point.metric.kind == (MetricKind::Sum { monotonic: true })
}

/// The last cumulative value of each process life.
#[derive(Default)]
struct Lives<T>(HashMap<(usize, Option<Time>), T>);

impl<T: Default> Lives<T> {
    /// The value before `now` in the same life; the default for deltas and for a life's first point.
    fn before(&mut self, point: &MetricPoint, now: T) -> T {
        if point.metric.temporality == Temporality::Delta {
            return T::default();
        }
        // Equal resources are one allocation (see `otlp::Names`), so that the address tells them apart.
        let life = (Arc::as_ptr(&point.origin.resource) as usize, point.start);
        self.0.insert(life, now).unwrap_or_default()
    }
}

/// A bucket's upper bound.
#[derive(Clone, Copy, PartialEq)]
struct Bound(f64);

impl Eq for Bound {}

impl PartialOrd for Bound {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bound {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// A histogram as counts by upper bound, whatever it was sent as.
#[derive(Clone, Default)]
struct Distribution {
    count: f64,
    sum: f64,
    buckets: BTreeMap<Bound, f64>,
}

impl Distribution {
    fn of(value: &PointValue, scale: i32) -> Option<Self> {
        match value {
            PointValue::Histogram(histogram) => Some(Self::explicit(histogram)),
            PointValue::Exponential(histogram) => Some(Self::exponential(histogram, scale)),
            _ => None,
        }
    }

    fn explicit(histogram: &Histogram) -> Self {
        let bounds = histogram.bounds.iter().copied().chain([f64::INFINITY]).map(Bound);
        let buckets = bounds.zip(histogram.counts.iter().map(|n| *n as f64)).collect();
        Self { count: histogram.count as f64, sum: histogram.sum.unwrap_or(0.0), buckets }
    }

    /// At `scale`, which is at most the histogram's own: neighbouring buckets are merged.
    fn exponential(histogram: &Exponential, scale: i32) -> Self {
        let mut buckets = BTreeMap::new();
        let mut add = |bound: f64, n: u64| {
            if n > 0 {
                *buckets.entry(Bound(bound)).or_insert(0.0) += n as f64;
            }
        };
        let base = 2f64.powf(2f64.powi(-scale));
        let shift = histogram.scale.saturating_sub(scale).clamp(0, 31);
        let index = |offset: i32, at: usize| offset.saturating_add(i32::try_from(at).unwrap_or(i32::MAX)) >> shift;
        for (at, n) in histogram.positive.1.iter().enumerate() {
            add(base.powf(f64::from(index(histogram.positive.0, at)) + 1.0), *n);
        }
        for (at, n) in histogram.negative.1.iter().enumerate() {
            add(-base.powf(f64::from(index(histogram.negative.0, at))), *n);
        }
        add(if histogram.zero_threshold.is_nan() { 0.0 } else { histogram.zero_threshold }, histogram.zero_count);
        Self { count: histogram.count as f64, sum: histogram.sum.unwrap_or(0.0), buckets }
    }

    /// Adds what `now` has more than `before`.
    fn grow(&mut self, now: &Self, before: &Self) {
        self.count += now.count - before.count;
        let grown = now.sum - before.sum;
        // One sum that is no number does not make all later ones none.
        self.sum += if grown.is_finite() { grown } else { 0.0 };
        for (bound, n) in &now.buckets {
            *self.buckets.entry(*bound).or_insert(0.0) += n - before.buckets.get(bound).copied().unwrap_or(0.0);
        }
    }
}

fn histogram(identity: &Identity, points: &[&MetricPoint], out: &mut Vec<Stored>) {
    let scale =
        points.iter().filter_map(|point| if let PointValue::Exponential(h) = &point.value { Some(h.scale) } else { None }).min();
    let mut lives: Lives<Distribution> = Lives::default();
    let mut total = Distribution::default();
    let mut steps: Vec<(i64, Distribution)> = Vec::with_capacity(points.len() + 1);
    steps.extend(points.first().and_then(|first| birth(first)).map(|at| (at, Distribution::default())));
    for point in points {
        let Some(now) = Distribution::of(&point.value, scale.unwrap_or(0)) else { continue };
        let before = lives.before(point, now.clone());
        let restarted = now.count < before.count;
        total.grow(&now, &if restarted { Distribution::default() } else { before });
        steps.push((point.time.timestamp_millis(), total.clone()));
    }
    let bounds = total.buckets.keys().copied().chain([Bound(f64::INFINITY)]).collect::<std::collections::BTreeSet<_>>();
    for bound in bounds {
        let at_most = |step: &Distribution| step.buckets.range(..=bound).map(|(_, n)| n).sum::<f64>();
        let of = |step: &Distribution| if bound.0.is_infinite() { step.count } else { at_most(step) };
        let label = ("le", bound_text(bound.0));
        out.push(stored(identity, "_bucket", Some(label), samples(&steps, of), true));
    }
    out.push(stored(identity, "_sum", None, samples(&steps, |step| step.sum), true));
    out.push(stored(identity, "_count", None, samples(&steps, |step| step.count), true));
}

fn samples<T>(steps: &[(i64, T)], of: impl Fn(&T) -> f64) -> Vec<(i64, f64)> {
    let mut samples = Vec::with_capacity(steps.len());
    steps.iter().for_each(|(at, step)| push(&mut samples, *at, of(step)));
    samples
}

/// A bound as Prometheus writes it.
fn bound_text(bound: f64) -> String {
    super::written(bound)
}

fn summary(identity: &Identity, points: &[&MetricPoint], out: &mut Vec<Stored>) {
    let steps: Vec<(i64, &Summary)> = points
        .iter()
        .filter_map(|point| match &point.value {
            PointValue::Summary(summary) => Some((point.time.timestamp_millis(), summary)),
            _ => None,
        })
        .collect();
    let mut quantiles: BTreeMap<Bound, Vec<(i64, f64)>> = BTreeMap::new();
    for (at, step) in &steps {
        for (quantile, value) in &step.quantiles {
            push(quantiles.entry(Bound(*quantile)).or_default(), *at, *value);
        }
    }
    for (quantile, values) in quantiles {
        out.push(stored(identity, "", Some(("quantile", super::written(quantile.0))), values, false));
    }
    out.push(stored(identity, "_sum", None, samples(&steps, |step| step.sum), false));
    out.push(stored(identity, "_count", None, samples(&steps, |step| step.count as f64), false));
}
