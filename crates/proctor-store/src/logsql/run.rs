//! Evaluates a query: filters the records, then runs the rows through the pipes.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::ast::{Filter, Pipe, Query, SortKey};
use super::fields::{Fields, row};
use super::matching::{Context, number};
use super::stats;
use super::{Answer, Row};
use crate::error::QueryError;
use crate::record::{LogRecord, Time, time_to_nanos};

/// Answers `query` over `records`, which are in order of time. `now` is what `_time:5m` counts back from.
pub(crate) fn run(
    query: &Query,
    records: &[Arc<LogRecord>],
    now: Option<Time>,
    limit: Option<usize>,
) -> Result<Answer, QueryError> {
    let context = Context { now: now.map_or(0, time_to_nanos) };
    let mut kept: Vec<&Arc<LogRecord>> = records
        .iter()
        .filter(|record| context.passes(&query.filter, record.as_ref(), Some(time_to_nanos(record.time))))
        .collect();
    let total = kept.len();
    if query.pipes.is_empty() {
        kept.drain(..total - limit.unwrap_or(total).min(total));
        return Ok(Answer { rows: kept.into_iter().map(|record| row(record)).collect(), total });
    }
    let mut rows: Vec<Row> = kept.into_iter().map(|record| row(record)).collect();
    for pipe in &query.pipes {
        rows = apply(pipe, rows, &context);
    }
    let total = rows.len();
    let excess = total - limit.unwrap_or(total).min(total);
    if query.pipes.iter().all(keeps_time_order) {
        rows.drain(..excess);
    } else {
        rows.truncate(total - excess);
    }
    Ok(Answer { rows, total })
}

fn keeps_time_order(pipe: &Pipe) -> bool {
    !matches!(pipe, Pipe::Stats { .. } | Pipe::Sort { .. } | Pipe::Uniq { .. })
}

fn apply(pipe: &Pipe, mut rows: Vec<Row>, context: &Context) -> Vec<Row> {
    match pipe {
        Pipe::Stats { by, functions } => return stats::stats(&rows, by, functions, context),
        Pipe::Sort { by, limit, offset } => {
            rows.sort_by(|a, b| order(a, b, by));
            rows.drain(..(*offset).min(rows.len()));
            rows.truncate(limit.unwrap_or(usize::MAX));
        }
        Pipe::Limit(amount) => rows.truncate(*amount),
        Pipe::Offset(amount) => drop(rows.drain(..(*amount).min(rows.len()))),
        Pipe::Fields(names) if names.is_empty() => {}
        Pipe::Fields(names) => rows = rows.iter().map(|row| picked(row, names)).collect(),
        Pipe::Delete(names) => rows.iter_mut().for_each(|row| row.retain(|name, _| !names.contains(name))),
        Pipe::Rename(pairs) => rows.iter_mut().for_each(|row| rename(row, pairs)),
        Pipe::Uniq { by, hits } => return uniq(&rows, by, *hits),
        Pipe::Filter(filter) => rows.retain(|row| passes(context, filter, row)),
    }
    rows
}

pub(super) fn passes(context: &Context, filter: &Filter, row: &Row) -> bool {
    let nanos = row.get("_time").and_then(|text| text.parse::<Time>().ok()).map(time_to_nanos);
    context.passes(filter, row, nanos)
}

fn picked(row: &Row, names: &[String]) -> Row {
    let all = names.iter().map(|name| (name.clone(), row.field(name).into_owned()));
    all.filter(|(_, text)| !text.is_empty()).collect()
}

fn rename(row: &mut Row, pairs: &[(String, String)]) {
    for (from, to) in pairs {
        if let Some(text) = row.remove(from) {
            row.insert(to.clone(), text);
        }
    }
}

fn uniq(rows: &[Row], by: &[String], hits: bool) -> Vec<Row> {
    let mut seen = std::collections::BTreeMap::<Vec<String>, usize>::new();
    let mut first: Vec<(Vec<String>, Row)> = Vec::new();
    for row in rows {
        let key: Vec<String> = by.iter().map(|name| row.field(name).into_owned()).collect();
        let count = seen.entry(key.clone()).or_default();
        *count += 1;
        if *count == 1 {
            first.push((key, picked(row, by)));
        }
    }
    let with_hits = first.into_iter().map(|(key, mut row)| {
        if hits {
            row.insert("hits".to_owned(), seen.get(&key).copied().unwrap_or(0).to_string());
        }
        row
    });
    with_hits.collect()
}

/// Without fields, rows are sorted by their whole content, as VictoriaLogs does.
fn order(a: &Row, b: &Row, by: &[SortKey]) -> Ordering {
    if by.is_empty() {
        let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        return names
            .into_iter()
            .map(|name| natural(&a.field(name), &b.field(name)))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal);
    }
    let each = by.iter().map(|key| {
        let order = natural(&a.field(&key.field), &b.field(&key.field));
        if key.descending { order.reverse() } else { order }
    });
    each.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// Numbers by their value and before texts; texts by their characters.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    match (number(a), number(b)) {
        (Some(x), Some(y)) => x.total_cmp(&y),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}
