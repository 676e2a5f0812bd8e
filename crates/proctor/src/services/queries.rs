//! The query APIs that the tools around Gas Town speak: Prometheus' and VictoriaLogs', over one run's store.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, RawForm, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use proctor_store::{QueryError, Store, Time, TimeRange, http};

use super::parameters::{Parameters, parse_duration, parse_time};

/// What the routes share.
#[derive(Clone)]
pub(crate) struct Queries {
    /// The run's store.
    pub(crate) store: Arc<Store>,
    /// The moment that a query without a time means.
    pub(crate) now: Arc<dyn Fn() -> Time + Send + Sync>,
}

/// The routes, under Prometheus' paths and under VictoriaMetrics' prefix for them.
pub(crate) fn routes(queries: Queries) -> Router {
    let api = Router::new()
        .route("/query", get(instant).post(instant))
        .route("/query_range", get(range).post(range))
        .route("/labels", get(labels).post(labels))
        .route("/label/{name}/values", get(label_values))
        .route("/series", get(series).post(series));
    Router::new()
        .nest("/api/v1", api.clone())
        .nest("/prometheus/api/v1", api)
        .route("/select/logsql/query", get(logsql).post(logsql))
        .with_state(queries)
        .route("/health", get(|| async { "OK" }))
}

/// Runs a query off the runtime's own threads: a large one takes a while.
async fn answer(work: impl FnOnce() -> Response + Send + 'static) -> Response {
    match tokio::task::spawn_blocking(work).await {
        Ok(response) => response,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn instant(State(queries): State<Queries>, RawForm(form): RawForm) -> Response {
    answer(move || {
        let parameters = Parameters::parse(&form);
        let query = parameters.text("query");
        let at = match parameters.time("time", parse_time) {
            Ok(time) => time.unwrap_or_else(|| (queries.now)()),
            Err(message) => return bad_parameter(&message),
        };
        prometheus(queries.store.promql_instant(query, at).map(|found| http::prometheus_answer(&found)))
    })
    .await
}

async fn range(State(queries): State<Queries>, RawForm(form): RawForm) -> Response {
    answer(move || match evaluate_range(&queries, &Parameters::parse(&form)) {
        Ok(result) => prometheus(result),
        Err(message) => bad_parameter(&message),
    })
    .await
}

/// Without `start` the range begins 5 minutes before its end, without `step` it has steps of 5 minutes, as
/// VictoriaMetrics does.
fn evaluate_range(queries: &Queries, parameters: &Parameters) -> Result<Result<String, QueryError>, String> {
    const FIVE_MINUTES: Duration = Duration::from_secs(300);
    let end = parameters.time("end", parse_time)?.unwrap_or_else(|| (queries.now)());
    let start = parameters.time("start", parse_time)?.unwrap_or(end - FIVE_MINUTES);
    let step = match parameters.get("step") {
        Some(text) => parse_duration(text).ok_or_else(|| format!("step: `{text}` is not a duration"))?,
        None => FIVE_MINUTES,
    };
    let query = parameters.text("query");
    let found = queries.store.promql_range(query, start, end, step);
    Ok(found.map(|found| http::prometheus_answer(&found)))
}

async fn labels(State(queries): State<Queries>, RawForm(form): RawForm) -> Response {
    answer(move || {
        let parameters = Parameters::parse(&form);
        let Ok(range) = parameters.range() else {
            return bad_parameter("start or end is not a time");
        };
        let found = queries.store.label_names(&parameters.all("match[]"), range);
        prometheus(found.map(|names| http::prometheus_names(&names)))
    })
    .await
}

async fn label_values(State(queries): State<Queries>, Path(name): Path<String>, RawForm(form): RawForm) -> Response {
    answer(move || {
        let parameters = Parameters::parse(&form);
        let Ok(range) = parameters.range() else {
            return bad_parameter("start or end is not a time");
        };
        let found = queries.store.label_values(&name, &parameters.all("match[]"), range);
        prometheus(found.map(|names| http::prometheus_names(&names)))
    })
    .await
}

async fn series(State(queries): State<Queries>, RawForm(form): RawForm) -> Response {
    answer(move || {
        let parameters = Parameters::parse(&form);
        let Ok(range) = parameters.range() else {
            return bad_parameter("start or end is not a time");
        };
        let found = queries.store.series(&parameters.all("match[]"), range);
        prometheus(found.map(|series| http::prometheus_series(&series)))
    })
    .await
}

async fn logsql(State(queries): State<Queries>, RawForm(form): RawForm) -> Response {
    answer(move || {
        let parameters = Parameters::parse(&form);
        match evaluate_logsql(&queries.store, &parameters) {
            Ok(rows) => ([(header::CONTENT_TYPE, "application/stream+json")], rows).into_response(),
            Err(message) => (StatusCode::BAD_REQUEST, message).into_response(),
        }
    })
    .await
}

fn evaluate_logsql(store: &Store, parameters: &Parameters) -> Result<String, String> {
    let query = parameters.text("query");
    let range: TimeRange = parameters.range()?;
    let limit = match parameters.get("limit") {
        Some(text) => Some(text.parse().map_err(|_| format!("limit: `{text}` is not a number"))?),
        None => None,
    };
    // 0 means no limit in VictoriaLogs.
    let limit = limit.filter(|limit| *limit > 0);
    let answer = store.logsql(query, range, limit).map_err(|error| format!("{error}\n{}\n", error.caret(query)))?;
    Ok(http::logsql_rows(&answer))
}

fn prometheus(result: Result<String, QueryError>) -> Response {
    let (status, body) = match result {
        Ok(body) => (StatusCode::OK, body),
        Err(error) => (StatusCode::BAD_REQUEST, http::prometheus_error(&error)),
    };
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn bad_parameter(message: &str) -> Response {
    prometheus(Err(QueryError::at(1, 1, message)))
}
