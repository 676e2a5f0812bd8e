//! Evaluates a PromQL expression at one moment.
//!
//! Times are milliseconds since 1970. Ranges are open at their start and closed at their end, as in Prometheus 3.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use promql_parser::label::METRIC_NAME;
use promql_parser::parser::{AtModifier, Expr, MatrixSelector, Offset, SubqueryExpr, VectorSelector};

use super::build::{STALE, SeriesSet, Stored};
use super::select::{Selected, select};
use super::{aggregate, binary, functions};
use crate::error::QueryError;
use crate::record::Labels;

/// How long a gauge's value stays valid after its last sample.
const LOOKBACK_MS: i64 = 300_000;

/// Step of subqueries that name none.
const SUBQUERY_STEP_MS: i64 = 60_000;

/// A subquery with more steps than this is refused.
const MOST_STEPS: i64 = 11_000;

/// What an expression gives.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Scalar(f64),
    Text(String),
    Vector(Vec<Element>),
    Matrix(Vec<Window>),
}

/// One series' value.
#[derive(Clone, Debug)]
pub(super) struct Element {
    pub(super) labels: Labels,
    pub(super) value: f64,
    /// The moment of the sample it stems from.
    pub(super) at: i64,
}

/// One series' samples within a range.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub(super) labels: Labels,
    pub(super) samples: Vec<(i64, f64)>,
    pub(super) from: i64,
    pub(super) to: i64,
}

/// One query's evaluation.
pub(super) struct Evaluator<'a> {
    pub(super) set: &'a SeriesSet,
    pub(super) query: &'a str,
    pub(super) start: i64,
    pub(super) end: i64,
    /// What each selector of the query matches, by its address in the tree: the same at every step.
    selected: RefCell<HashMap<usize, Rc<Vec<Selected>>>>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(set: &'a SeriesSet, query: &'a str, start: i64, end: i64) -> Self {
        Self { set, query, start, end, selected: RefCell::default() }
    }

    pub(super) fn eval(&self, expr: &Expr, at: i64) -> Result<Outcome, QueryError> {
        match expr {
            Expr::NumberLiteral(literal) => Ok(Outcome::Scalar(literal.val)),
            Expr::StringLiteral(literal) => Ok(Outcome::Text(literal.val.clone())),
            Expr::Paren(paren) => self.eval(&paren.expr, at),
            Expr::Unary(unary) => Ok(negated(self.eval(&unary.expr, at)?)),
            Expr::VectorSelector(selector) => Ok(Outcome::Vector(self.instant(selector, at))),
            Expr::MatrixSelector(selector) => Ok(Outcome::Matrix(self.windows(selector, at))),
            Expr::Subquery(subquery) => self.subquery(subquery, at).map(Outcome::Matrix),
            Expr::Binary(expr) => binary::binary(self, expr, at),
            Expr::Aggregate(expr) => aggregate::aggregate(self, expr, at).map(Outcome::Vector),
            Expr::Call(call) => functions::call(self, call, at),
            Expr::Extension(_) => Err(self.error("", "extensions of the grammar are not there")),
        }
    }

    pub(super) fn vector(&self, expr: &Expr, at: i64) -> Result<Vec<Element>, QueryError> {
        match self.eval(expr, at)? {
            Outcome::Vector(elements) => Ok(elements),
            Outcome::Scalar(value) => Ok(vec![Element { labels: Labels::new(), value, at }]),
            Outcome::Matrix(_) | Outcome::Text(_) => Err(self.error(&expr.to_string(), "expected an instant vector")),
        }
    }

    pub(super) fn scalar(&self, expr: &Expr, at: i64) -> Result<f64, QueryError> {
        match self.eval(expr, at)? {
            Outcome::Scalar(value) => Ok(value),
            _ => Err(self.error(&expr.to_string(), "expected a scalar")),
        }
    }

    pub(super) fn text(&self, expr: &Expr, at: i64) -> Result<String, QueryError> {
        match self.eval(expr, at)? {
            Outcome::Text(text) => Ok(text),
            _ => Err(self.error(&expr.to_string(), "expected a text")),
        }
    }

    pub(super) fn matrix(&self, expr: &Expr, at: i64) -> Result<Vec<Window>, QueryError> {
        match self.eval(expr, at)? {
            Outcome::Matrix(windows) => Ok(windows),
            _ => Err(self.error(&expr.to_string(), "expected a range vector").hinted("metric[5m]")),
        }
    }

    /// An error about `part` of the query, which is looked for in its text: the tree has no places.
    pub(super) fn error(&self, part: &str, message: impl Into<String>) -> QueryError {
        let found = Some(part).filter(|part| !part.is_empty()).and_then(|part| self.query.find(part));
        match found {
            Some(at) => QueryError::at(self.query[..at].chars().count() + 1, part.chars().count(), message),
            None => QueryError::at(1, self.query.chars().count(), message),
        }
    }

    fn instant(&self, selector: &VectorSelector, at: i64) -> Vec<Element> {
        let when = self.shifted(at, selector.offset.as_ref(), selector.at.as_ref());
        let value = |one: &Selected| {
            let (sample_at, value) = valid(self.set.series.get(one.at)?, when)?;
            Some(Element { labels: one.labels.clone(), value, at: sample_at })
        };
        self.selection(selector).iter().filter_map(value).collect()
    }

    fn windows(&self, selector: &MatrixSelector, at: i64) -> Vec<Window> {
        let to = self.shifted(at, selector.vs.offset.as_ref(), selector.vs.at.as_ref());
        let from = to - millis(selector.range);
        let window = |one: &Selected| {
            let samples = within(&self.set.series.get(one.at)?.samples, from, to);
            (!samples.is_empty()).then(|| Window { labels: one.labels.clone(), samples, from, to })
        };
        self.selection(&selector.vs).iter().filter_map(window).collect()
    }

    fn selection(&self, selector: &VectorSelector) -> Rc<Vec<Selected>> {
        let key = std::ptr::from_ref(selector) as usize;
        let mut known = self.selected.borrow_mut();
        Rc::clone(known.entry(key).or_insert_with(|| Rc::new(select(self.set, selector))))
    }

    fn subquery(&self, subquery: &SubqueryExpr, at: i64) -> Result<Vec<Window>, QueryError> {
        let to = self.shifted(at, subquery.offset.as_ref(), subquery.at.as_ref());
        let from = to - millis(subquery.range);
        let step = subquery.step.map_or(SUBQUERY_STEP_MS, millis).max(1);
        if (to - from) / step > MOST_STEPS {
            return Err(self.error(&subquery.expr.to_string(), format!("a subquery of more than {MOST_STEPS} steps")));
        }
        let mut series: std::collections::BTreeMap<Labels, Vec<(i64, f64)>> = std::collections::BTreeMap::new();
        let mut when = (from.div_euclid(step) + 1) * step;
        while when <= to {
            for element in self.vector(&subquery.expr, when)? {
                series.entry(element.labels).or_default().push((when, element.value));
            }
            when += step;
        }
        Ok(series.into_iter().map(|(labels, samples)| Window { labels, samples, from, to }).collect())
    }

    fn shifted(&self, at: i64, offset: Option<&Offset>, modifier: Option<&AtModifier>) -> i64 {
        let at = match modifier {
            None => at,
            Some(AtModifier::Start) => self.start,
            Some(AtModifier::End) => self.end,
            Some(AtModifier::At(time)) => system_millis(*time),
        };
        match offset {
            None => at,
            Some(Offset::Pos(by)) => at - millis(*by),
            Some(Offset::Neg(by)) => at + millis(*by),
        }
    }
}

/// The value that counts at `at`: the last one, unless it is too old or marked as gone.
fn valid(series: &Stored, at: i64) -> Option<(i64, f64)> {
    let past = series.samples.partition_point(|sample| sample.0 <= at);
    let last = *series.samples.get(past.checked_sub(1)?)?;
    let fresh = series.lasting || at - last.0 < LOOKBACK_MS;
    (fresh && last.1.to_bits() != STALE).then_some(last)
}

fn within(samples: &[(i64, f64)], from: i64, to: i64) -> Vec<(i64, f64)> {
    let start = samples.partition_point(|sample| sample.0 <= from);
    let end = samples.partition_point(|sample| sample.0 <= to).max(start);
    samples.get(start..end).unwrap_or_default().iter().copied().filter(|sample| sample.1.to_bits() != STALE).collect()
}

fn negated(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Scalar(value) => Outcome::Scalar(-value),
        Outcome::Vector(elements) => Outcome::Vector(mapped(elements, |value| -value)),
        other => other,
    }
}

/// Every value put through `f`; the name goes, for the result is no longer that metric.
pub(super) fn mapped(elements: Vec<Element>, f: impl Fn(f64) -> f64) -> Vec<Element> {
    let each = elements.into_iter().map(|mut element| {
        element.labels.remove(METRIC_NAME);
        element.value = f(element.value);
        element
    });
    each.collect()
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

fn system_millis(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => millis(after),
        Err(before) => -millis(before.duration()),
    }
}
