//! Answers as the Prometheus and VictoriaLogs HTTP APIs give them: pure functions from an answer to a body.
//!
//! The edge adds routes and status codes: 200 for answers, 400 for a query's error. Prometheus bodies are JSON, LogsQL rows are
//! JSON lines (`application/stream+json`).

use serde_json::{Value, json};

use crate::error::QueryError;
use crate::record::{Labels, Time, time_to_nanos};
use crate::{logsql, promql};

/// Body of `/api/v1/query` and `/api/v1/query_range`.
#[must_use]
pub fn prometheus_answer(answer: &promql::Answer) -> String {
    let (kind, result) = match answer {
        promql::Answer::Scalar(time, value) => ("scalar", pair(*time, *value)),
        promql::Answer::Text(time, text) => ("string", json!([seconds(*time), text])),
        promql::Answer::Vector(samples) => {
            let each = samples.iter().map(|sample| json!({"metric": sample.labels, "value": pair(sample.time, sample.value)}));
            ("vector", each.collect())
        }
        promql::Answer::Matrix(series) => {
            let values = |one: &promql::Series| one.values.iter().map(|(time, value)| pair(*time, *value)).collect::<Value>();
            ("matrix", series.iter().map(|one| json!({"metric": one.labels, "values": values(one)})).collect())
        }
    };
    success(&json!({"resultType": kind, "result": result}))
}

/// Body of a query that failed (status 400). `column`, `length` and `hint` are additions of the store.
#[must_use]
pub fn prometheus_error(error: &QueryError) -> String {
    json!({
        "status": "error", "errorType": "bad_data", "error": error.to_string(),
        "column": error.column, "length": error.length, "hint": error.hint,
    })
    .to_string()
}

/// Body of `/api/v1/labels` and `/api/v1/label/<name>/values`.
#[must_use]
pub fn prometheus_names(names: &[String]) -> String {
    success(&json!(names))
}

/// Body of `/api/v1/series`.
#[must_use]
pub fn prometheus_series(series: &[Labels]) -> String {
    success(&json!(series))
}

/// Body of `/select/logsql/query`: one JSON object a line, every value a string.
#[must_use]
pub fn logsql_rows(answer: &logsql::Answer) -> String {
    answer.rows.iter().map(|row| json!(row).to_string() + "\n").collect()
}

/// Body of a LogsQL query that failed (status 400): text, with a caret below what is wrong.
#[must_use]
pub fn logsql_error(query: &str, error: &QueryError) -> String {
    let hint = error.hint.as_ref().map(|hint| format!("hint: {hint}\n")).unwrap_or_default();
    format!("cannot parse the query: {}\n{}\n{hint}", error.in_lines(query), error.caret(query))
}

fn success(data: &Value) -> String {
    json!({"status": "success", "data": data}).to_string()
}

fn pair(time: Time, value: f64) -> Value {
    json!([seconds(time), promql::written(value)])
}

/// Seconds since 1970; whole ones without a fraction, as Prometheus writes them.
fn seconds(time: Time) -> Value {
    let millis = time_to_nanos(time).div_euclid(1_000_000);
    if millis % 1000 == 0 { json!(millis / 1000) } else { json!(millis as f64 / 1000.0) }
}
