//! Aggregations: `sum by (…)`, `topk`, `quantile`, …

use std::cmp::Ordering;
use std::collections::BTreeMap;

use promql_parser::label::METRIC_NAME;
use promql_parser::parser::{AggregateExpr, LabelModifier};

use super::eval::{Element, Evaluator};
use crate::error::QueryError;
use crate::record::Labels;

pub(super) fn aggregate(eval: &Evaluator<'_>, expr: &AggregateExpr, at: i64) -> Result<Vec<Element>, QueryError> {
    let operator = expr.op.to_string();
    let mut groups: BTreeMap<Labels, Vec<Element>> = BTreeMap::new();
    for element in eval.vector(&expr.expr, at)? {
        groups.entry(grouped(&element.labels, expr.modifier.as_ref())).or_default().push(element);
    }
    match operator.as_str() {
        "topk" | "bottomk" => {
            let amount = parameter(eval, expr, at)?.max(0.0) as usize;
            let largest = operator == "topk";
            Ok(groups.into_values().flat_map(|group| extremes(group, amount, largest)).collect())
        }
        "count_values" => {
            let Some(label) = expr.param.as_deref() else { return Err(eval.error(&operator, "needs a label's name")) };
            let label = eval.text(label, at)?;
            Ok(groups.into_iter().flat_map(|(labels, group)| counted(&labels, &group, &label, at)).collect())
        }
        _ => {
            let parameter = if operator == "quantile" { parameter(eval, expr, at)? } else { 0.0 };
            let figure = |group: &[Element]| figure(&operator, &group.iter().map(|one| one.value).collect::<Vec<_>>(), parameter);
            let figures = groups.into_iter().map(|(labels, group)| Some(Element { value: figure(&group)?, labels, at }));
            figures.collect::<Option<Vec<_>>>().ok_or_else(|| eval.error(&operator, format!("`{operator}` is not there yet")))
        }
    }
}

fn parameter(eval: &Evaluator<'_>, expr: &AggregateExpr, at: i64) -> Result<f64, QueryError> {
    match expr.param.as_deref() {
        Some(parameter) => eval.scalar(parameter, at),
        None => Err(eval.error(&expr.op.to_string(), "needs a number before the vector")),
    }
}

/// The labels of the group that a series with `labels` belongs to.
fn grouped(labels: &Labels, modifier: Option<&LabelModifier>) -> Labels {
    let keep = |name: &String| match modifier {
        None => false,
        Some(LabelModifier::Include(listed)) => listed.labels.contains(name),
        Some(LabelModifier::Exclude(listed)) => name != METRIC_NAME && !listed.labels.contains(name),
    };
    labels.iter().filter(|(name, _)| keep(name)).map(|(name, text)| (name.clone(), text.clone())).collect()
}

fn figure(operator: &str, values: &[f64], parameter: f64) -> Option<f64> {
    let count = values.len() as f64;
    let sum = || values.iter().sum::<f64>();
    Some(match operator {
        "sum" => sum(),
        "avg" => sum() / count,
        "count" => count,
        "group" => 1.0,
        "min" => values.iter().copied().fold(f64::NAN, f64::min),
        "max" => values.iter().copied().fold(f64::NAN, f64::max),
        "stdvar" => variance(values),
        "stddev" => variance(values).sqrt(),
        "quantile" => quantile(values, parameter),
        _ => return None,
    })
}

pub(super) fn variance(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64
}

/// The quantile with linear interpolation between the two nearest values, as Prometheus takes it: NaN counts as less than every number,
/// so that it does not reach the upper quantiles.
pub(super) fn quantile(values: &[f64], part: f64) -> f64 {
    if values.is_empty() || part.is_nan() {
        return f64::NAN;
    }
    if !(0.0..=1.0).contains(&part) {
        return if part < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| b.is_nan().cmp(&a.is_nan()).then_with(|| a.total_cmp(b)));
    let rank = part * (sorted.len() - 1) as f64;
    let (low, high) = (rank.floor() as usize, rank.ceil() as usize);
    let weight = rank - rank.floor();
    // Between a number and an infinity, or NaN, nothing is interpolated where nothing is asked of it.
    if weight == 0.0 { sorted[low] } else { sorted[low] * (1.0 - weight) + sorted[high] * weight }
}

/// By value, NaN last whichever way.
pub(super) fn by_value(a: f64, b: f64, descending: bool) -> Ordering {
    let order = if descending { b.total_cmp(&a) } else { a.total_cmp(&b) };
    a.is_nan().cmp(&b.is_nan()).then(order)
}

fn extremes(mut group: Vec<Element>, amount: usize, largest: bool) -> Vec<Element> {
    group.sort_by(|a, b| by_value(a.value, b.value, largest));
    group.truncate(amount);
    group
}

fn counted(labels: &Labels, group: &[Element], label: &str, at: i64) -> Vec<Element> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    group.iter().for_each(|element| *counts.entry(super::written(element.value)).or_default() += 1);
    let each = counts.into_iter().map(|(value, count)| {
        let mut labels = labels.clone();
        labels.insert(label.to_owned(), value);
        Element { labels, value: count as f64, at }
    });
    each.collect()
}
