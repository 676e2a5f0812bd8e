//! The `stats` pipe: figures over groups of rows.

use std::collections::{BTreeMap, BTreeSet};

use super::Row;
use super::ast::{Function, FunctionKind, Group};
use super::fields::Fields;
use super::matching::{Context, number};
use super::run::{natural, passes};
use super::time::bucket_start;
use crate::record::{Time, time_to_nanos};

/// One row per group, in order of the groups' values; without groups one row, also when there are no rows.
pub(super) fn stats(rows: &[Row], by: &[Group], functions: &[Function], context: &Context) -> Vec<Row> {
    let mut groups: BTreeMap<Vec<String>, Vec<&Row>> = BTreeMap::new();
    if by.is_empty() {
        groups.insert(Vec::new(), Vec::new());
    }
    for row in rows {
        groups.entry(by.iter().map(|group| key(row, group)).collect()).or_default().push(row);
    }
    groups.into_iter().map(|(key, rows)| figures(key, &rows, by, functions, context)).collect()
}

fn key(row: &Row, group: &Group) -> String {
    let text = row.field(&group.field);
    match (group.bucket, text.parse::<Time>()) {
        (Some(bucket), Ok(time)) => bucket_start(time_to_nanos(time), bucket),
        _ => text.into_owned(),
    }
}

fn figures(key: Vec<String>, rows: &[&Row], by: &[Group], functions: &[Function], context: &Context) -> Row {
    let mut out: Row = by.iter().map(|group| group.field.clone()).zip(key).filter(|(_, text)| !text.is_empty()).collect();
    for function in functions {
        let only = function.only.as_ref();
        let counted = rows.iter().copied().filter(|row| only.is_none_or(|filter| passes(context, filter, row)));
        out.insert(function.name.clone(), figure(function, &counted.collect::<Vec<_>>()));
    }
    out.retain(|_, text| !text.is_empty());
    out
}

fn figure(function: &Function, rows: &[&Row]) -> String {
    let all = || rows.iter().flat_map(|row| function.fields.iter().map(|name| row.field(name)));
    let texts = || all().filter(|text| !text.is_empty());
    let numbers = || texts().filter_map(|text| number(&text)).collect::<Vec<f64>>();
    match function.kind {
        FunctionKind::Count if function.fields.is_empty() => rows.len().to_string(),
        FunctionKind::Count => rows.iter().filter(|row| has_any(row, &function.fields)).count().to_string(),
        FunctionKind::CountEmpty => rows.iter().filter(|row| !has_any(row, &function.fields)).count().to_string(),
        FunctionKind::CountUniq => unique(rows, &function.fields).to_string(),
        FunctionKind::Sum => sum(&numbers()),
        FunctionKind::Avg => average(&numbers()),
        // VictoriaLogs takes a row without the field for the least there is.
        FunctionKind::Min if all().any(|text| text.is_empty()) => String::new(),
        FunctionKind::Min => all().min_by(|a, b| natural(a, b)).map(String::from).unwrap_or_default(),
        FunctionKind::Max => texts().max_by(|a, b| natural(a, b)).map(String::from).unwrap_or_default(),
        FunctionKind::Quantile(part) => quantile(texts().map(String::from).collect(), part),
        FunctionKind::UniqValues => json_list(texts().map(String::from).collect::<BTreeSet<_>>()),
        FunctionKind::Values => json_list(all().map(String::from)),
    }
}

fn has_any(row: &Row, fields: &[String]) -> bool {
    fields.iter().any(|name| !row.field(name).is_empty())
}

fn unique(rows: &[&Row], fields: &[String]) -> usize {
    let keys = rows.iter().filter(|row| has_any(row, fields));
    keys.map(|row| fields.iter().map(|name| row.field(name).into_owned()).collect::<Vec<_>>()).collect::<BTreeSet<_>>().len()
}

/// Of no numbers at all the sum is no number either.
fn sum(numbers: &[f64]) -> String {
    if numbers.is_empty() { "NaN".to_owned() } else { shown(numbers.iter().sum()) }
}

fn average(numbers: &[f64]) -> String {
    if numbers.is_empty() { "NaN".to_owned() } else { shown(numbers.iter().sum::<f64>() / numbers.len() as f64) }
}

/// The value below which `part` of the values lie: the one at index `part * n`, as VictoriaLogs picks it.
fn quantile(mut texts: Vec<String>, part: f64) -> String {
    texts.sort_by(|a, b| natural(a, b));
    let at = (part * texts.len() as f64) as usize;
    texts.get(at.min(texts.len().saturating_sub(1))).cloned().unwrap_or_default()
}

fn json_list(texts: impl IntoIterator<Item = String>) -> String {
    texts.into_iter().map(serde_json::Value::from).collect::<serde_json::Value>().to_string()
}

/// As Go writes it.
fn shown(n: f64) -> String {
    match n {
        _ if n == f64::INFINITY => "+Inf".to_owned(),
        _ if n == f64::NEG_INFINITY => "-Inf".to_owned(),
        _ => n.to_string(),
    }
}
