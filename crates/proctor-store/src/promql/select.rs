//! Which series a selector matches.

use promql_parser::label::{METRIC_NAME, MatchOp, Matcher};
use promql_parser::parser::VectorSelector;

use super::build::{SeriesSet, Stored};
use crate::record::Labels;

/// A matched series: its place in the set and the labels it is shown with.
#[derive(Clone, Debug)]
pub(super) struct Selected {
    pub(super) at: usize,
    pub(super) labels: Labels,
}

/// The series that `selector` matches.
pub(super) fn select(set: &SeriesSet, selector: &VectorSelector) -> Vec<Selected> {
    let all = set.series.iter().enumerate();
    all.filter_map(|(at, series)| labels(series, selector).map(|labels| Selected { at, labels })).collect()
}

fn labels(series: &Stored, selector: &VectorSelector) -> Option<Labels> {
    let matchers = &selector.matchers;
    let name = if matchers.or_matchers.is_empty() {
        name_by(series, selector.name.as_deref(), &matchers.matchers)
    } else {
        matchers.or_matchers.iter().find_map(|any| name_by(series, selector.name.as_deref(), any))
    }?;
    let mut labels = series.labels.clone();
    labels.insert(METRIC_NAME.to_owned(), name.to_owned());
    Some(labels)
}

/// The name under which the series passes all matchers: of its names, the first that does.
fn name_by<'a>(series: &'a Stored, name: Option<&str>, matchers: &[Matcher]) -> Option<&'a str> {
    let (names, others): (Vec<&Matcher>, Vec<&Matcher>) = matchers.iter().partition(|matcher| matcher.name == METRIC_NAME);
    let empty = String::new();
    if !others.iter().all(|matcher| matcher.is_match(series.labels.get(&matcher.name).unwrap_or(&empty))) {
        return None;
    }
    // What a metric must not be called holds for all its names, so that `!=` excludes it whatever name is written.
    let excluded = |matcher: &&Matcher| matches!(matcher.op, MatchOp::NotEqual | MatchOp::NotRe(_));
    let (without, with): (Vec<&Matcher>, Vec<&Matcher>) = names.into_iter().partition(excluded);
    if !without.iter().all(|matcher| series.names.iter().all(|own| matcher.is_match(own))) {
        return None;
    }
    let fits = |own: &&String| name.is_none_or(|name| name == own.as_str()) && with.iter().all(|matcher| matcher.is_match(own));
    series.names.iter().find(fits).map(String::as_str)
}
