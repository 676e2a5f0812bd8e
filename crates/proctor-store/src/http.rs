//! Answers as the Prometheus and VictoriaLogs HTTP APIs give them: pure functions from an answer to a body.
//!
//! The edge adds routes and status codes: 200 for answers, 400 for a query's error.

use crate::error::QueryError;
use crate::record::Labels;
use crate::{logsql, promql};

/// Body of `/api/v1/query` and `/api/v1/query_range`.
#[must_use]
pub fn prometheus_answer(answer: &promql::Answer) -> String {
    let _ = answer;
    String::new()
}

/// Body of a query that failed (status 400).
#[must_use]
pub fn prometheus_error(error: &QueryError) -> String {
    error.to_string()
}

/// Body of `/api/v1/labels` and `/api/v1/label/<name>/values`.
#[must_use]
pub fn prometheus_names(names: &[String]) -> String {
    names.join(",")
}

/// Body of `/api/v1/series`.
#[must_use]
pub fn prometheus_series(series: &[Labels]) -> String {
    let _ = series;
    String::new()
}

/// Body of `/select/logsql/query`: one JSON object a line, every value a string.
#[must_use]
pub fn logsql_rows(answer: &logsql::Answer) -> String {
    let _ = answer;
    String::new()
}
