//! PromQL over the metric points: naming, series, evaluation.
//!
//! The grammar is the `promql-parser` crate's; what a metric is called, how short-lived processes become one series, and
//! what is not there yet stands in `docs/queries.md`.

mod aggregate;
mod binary;
mod build;
mod eval;
mod functions;
mod naming;
mod parse;
mod rate;
mod select;

use std::collections::BTreeMap;
use std::time::Duration;

use promql_parser::label::METRIC_NAME;
use promql_parser::parser::Expr;

pub(crate) use build::{Cache, SeriesSet};

use crate::error::QueryError;
use crate::record::{Labels, Time, TimeRange};
use eval::{Element, Evaluator, Outcome};

/// Most steps of one range query, as in Prometheus.
const MOST_STEPS: i64 = 11_000;

/// The answer to a query.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// One number.
    Scalar(Time, f64),
    /// A text.
    Text(Time, String),
    /// One value per series, at one moment.
    Vector(Vec<Sample>),
    /// Many values per series.
    Matrix(Vec<Series>),
}

/// A value of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The series' labels, `__name__` among them when it has a name.
    pub labels: Labels,
    /// The moment of evaluation.
    pub time: Time,
    /// The value.
    pub value: f64,
}

/// Values of a series over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The series' labels, `__name__` among them when it has a name.
    pub labels: Labels,
    /// Moments, rising, with their values.
    pub values: Vec<(Time, f64)>,
}

/// Checks that `query` can be read.
///
/// # Errors
/// Says where it cannot.
pub fn check(query: &str) -> Result<(), QueryError> {
    parse::parse(query).map(|_| ())
}

/// Answers `query` at `at`.
pub(crate) fn instant(set: &SeriesSet, query: &str, at: Time) -> Result<Answer, QueryError> {
    let expr = parse::parse(query)?;
    let now = at.timestamp_millis();
    Ok(match Evaluator::new(set, query, now, now).eval(&expr, now)? {
        Outcome::Scalar(value) => Answer::Scalar(at, value),
        Outcome::Text(text) => Answer::Text(at, text),
        Outcome::Vector(all) => {
            Answer::Vector(all.into_iter().map(|one| Sample { labels: one.labels, time: at, value: one.value }).collect())
        }
        Outcome::Matrix(windows) => {
            let series = windows.into_iter().map(|window| Series { labels: window.labels, values: timed(window.samples) });
            Answer::Matrix(series.collect())
        }
    })
}

/// Answers `query` at every step from `start` to `end`.
pub(crate) fn range(set: &SeriesSet, query: &str, start: Time, end: Time, step: Duration) -> Result<Answer, QueryError> {
    let expr = parse::parse(query)?;
    let (from, to, step) = (start.timestamp_millis(), end.timestamp_millis(), eval::millis(step));
    let evaluator = Evaluator::new(set, query, from, to);
    if step <= 0 || (to - from) / step >= MOST_STEPS {
        return Err(evaluator.error("", format!("the step must be positive and give at most {MOST_STEPS} points")));
    }
    let mut series: BTreeMap<Labels, Vec<(i64, f64)>> = BTreeMap::new();
    let mut at = from;
    while at <= to {
        for element in stepped(&evaluator, &expr, at)? {
            series.entry(element.labels).or_default().push((at, element.value));
        }
        at += step;
    }
    Ok(Answer::Matrix(series.into_iter().map(|(labels, samples)| Series { labels, values: timed(samples) }).collect()))
}

fn stepped(evaluator: &Evaluator<'_>, expr: &Expr, at: i64) -> Result<Vec<Element>, QueryError> {
    match evaluator.eval(expr, at)? {
        Outcome::Vector(all) => Ok(all),
        Outcome::Scalar(value) => Ok(vec![Element { labels: Labels::new(), value, at }]),
        Outcome::Text(_) | Outcome::Matrix(_) => {
            Err(evaluator.error("", "a range query takes a scalar or an instant vector").hinted("rate(metric[5m])"))
        }
    }
}

/// A value as Prometheus writes it.
pub(crate) fn written(value: f64) -> String {
    match value {
        _ if value.is_nan() => "NaN".to_owned(),
        _ if value == f64::INFINITY => "+Inf".to_owned(),
        _ if value == f64::NEG_INFINITY => "-Inf".to_owned(),
        _ => value.to_string(),
    }
}

fn timed(samples: Vec<(i64, f64)>) -> Vec<(Time, f64)> {
    samples.into_iter().filter_map(|(at, value)| Some((Time::from_timestamp_millis(at)?, value))).collect()
}

/// The labels of the series with samples in `range` that any of `selectors` matches; of all when there is none.
pub(crate) fn series(set: &SeriesSet, selectors: &[&str], range: TimeRange) -> Result<Vec<Labels>, QueryError> {
    let alive = |at: usize| {
        let samples = set.series.get(at).map_or(&[][..], |series| &series.samples);
        samples.iter().any(|(at, _)| Time::from_timestamp_millis(*at).is_some_and(|time| range.contains(time)))
    };
    let mut found: BTreeMap<usize, Labels> = BTreeMap::new();
    for selector in selectors {
        let Expr::VectorSelector(parsed) = parse::parse(selector)? else {
            return Err(QueryError::at(1, selector.chars().count(), "expected a selector")
                .hinted("gastown_bd_calls_total{status=\"ok\"}"));
        };
        let selected = select::select(set, &parsed).into_iter().filter(|one| alive(one.at));
        found.extend(selected.map(|one| (one.at, one.labels)));
    }
    if selectors.is_empty() {
        found.extend((0..set.series.len()).filter(|at| alive(*at)).filter_map(|at| Some((at, shown(set, at)?))));
    }
    Ok(found.into_values().collect())
}

fn shown(set: &SeriesSet, at: usize) -> Option<Labels> {
    let series = set.series.get(at)?;
    let mut labels = series.labels.clone();
    labels.insert(METRIC_NAME.to_owned(), series.names.first()?.clone());
    Some(labels)
}
