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
    /// The run's store with all that has arrived, asked for at each request; or why there is none.
    pub(crate) store: Arc<dyn Fn() -> Result<Arc<Store>, String> + Send + Sync>,
    /// The moment that a query without a time means.
    pub(crate) now: Arc<dyn Fn(&Store) -> Time + Send + Sync>,
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
async fn answer(queries: Queries, work: impl FnOnce(&Queries, &Store) -> Response + Send + 'static) -> Response {
    let asked = move || match (queries.store)() {
        Ok(store) => work(&queries, &store),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why + "\n").into_response(),
    };
    match tokio::task::spawn_blocking(asked).await {
        Ok(response) => response,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn instant(State(queries): State<Queries>, RawForm(form): RawForm) -> Response {
    answer(queries, move |queries, store| {
        let parameters = Parameters::parse(&form);
        let query = parameters.text("query");
        let at = match parameters.time("time", parse_time) {
            Ok(time) => time.unwrap_or_else(|| (queries.now)(store)),
            Err(message) => return bad_parameter(&message),
        };
        prometheus(store.promql_instant(query, at).map(|found| http::prometheus_answer(&found)))
    })
    .await
}

async fn range(State(queries): State<Queries>, RawForm(form): RawForm) -> Response {
    answer(queries, move |queries, store| match evaluate_range(queries, store, &Parameters::parse(&form)) {
        Ok(result) => prometheus(result),
        Err(message) => bad_parameter(&message),
    })
    .await
}

/// Without `start` the range begins 5 minutes before its end, without `step` it has steps of 5 minutes, as
/// VictoriaMetrics does.
fn evaluate_range(queries: &Queries, store: &Store, parameters: &Parameters) -> Result<Result<String, QueryError>, String> {
    const FIVE_MINUTES: Duration = Duration::from_secs(300);
    let end = parameters.time("end", parse_time)?.unwrap_or_else(|| (queries.now)(store));
    let start = parameters.time("start", parse_time)?.unwrap_or(end - FIVE_MINUTES);
    let step = match parameters.get("step") {
        Some(text) => parse_duration(text).ok_or_else(|| format!("step: `{text}` is not a duration"))?,
        None => FIVE_MINUTES,
    };
    let query = parameters.text("query");
    let found = store.promql_range(query, start, end, step);
    Ok(found.map(|found| http::prometheus_answer(&found)))
}

async fn labels(State(queries): State<Queries>, RawForm(form): RawForm) -> Response {
    answer(queries, move |_, store| {
        let parameters = Parameters::parse(&form);
        let Ok(range) = parameters.range() else {
            return bad_parameter("start or end is not a time");
        };
        let found = store.label_names(&parameters.all("match[]"), range);
        prometheus(found.map(|names| http::prometheus_names(&names)))
    })
    .await
}

async fn label_values(State(queries): State<Queries>, Path(name): Path<String>, RawForm(form): RawForm) -> Response {
    answer(queries, move |_, store| {
        let parameters = Parameters::parse(&form);
        let Ok(range) = parameters.range() else {
            return bad_parameter("start or end is not a time");
        };
        let found = store.label_values(&name, &parameters.all("match[]"), range);
        prometheus(found.map(|names| http::prometheus_names(&names)))
    })
    .await
}

async fn series(State(queries): State<Queries>, RawForm(form): RawForm) -> Response {
    answer(queries, move |_, store| {
        let parameters = Parameters::parse(&form);
        let Ok(range) = parameters.range() else {
            return bad_parameter("start or end is not a time");
        };
        let found = store.series(&parameters.all("match[]"), range);
        prometheus(found.map(|series| http::prometheus_series(&series)))
    })
    .await
}

async fn logsql(State(queries): State<Queries>, RawForm(form): RawForm) -> Response {
    answer(queries, move |_, store| {
        let parameters = Parameters::parse(&form);
        match evaluate_logsql(store, &parameters) {
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
    let answer = store.logsql(query, range, limit).map_err(|error| http::logsql_error(query, &error))?;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

    use proctor_store::{Options, Signal};

    use super::*;
    use crate::services::listener::Listener;

    const RECORD: &str = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[
        {"timeUnixNano":"1795329578000000000","body":{"stringValue":"sling"}},
        {"timeUnixNano":"1795329579000000000","body":{"stringValue":"mail"}}]}]}]}"#;

    /// Status and body of a GET, from a server over a store with two records.
    async fn get(path: &'static str) -> (u16, String) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(&dir.path().join("store"), Options::default()).unwrap();
        store.ingest(Signal::Logs, RECORD.as_bytes(), Some("application/json"), None, None, chrono::Utc::now()).unwrap();
        let store = Arc::new(store);
        let router = routes(Queries { store: Arc::new(move || Ok(Arc::clone(&store))), now: Arc::new(|_| chrono::Utc::now()) });
        let listener = Listener::open("test", "--port", 0, router).await.unwrap();
        let url = format!("{}{path}", listener.url());
        let fetched = tokio::task::spawn_blocking(move || {
            let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
            let mut answer = agent.get(url).call().unwrap();
            (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
        });
        let answer = fetched.await.unwrap();
        listener.close().await;
        answer
    }

    #[tokio::test]
    async fn logsql_answers_in_lines_of_json() {
        let (status, body) = get("/select/logsql/query?query=sling").await;
        assert_eq!(status, 200);
        let row: serde_json::Value = serde_json::from_str(body.trim()).unwrap();
        assert_eq!(row["_msg"], "sling");
    }

    #[tokio::test]
    async fn a_limit_keeps_the_newest_rows() {
        let (_, body) = get("/select/logsql/query?query=*&limit=1").await;
        assert!(body.contains("mail") && !body.contains("sling"), "{body}");
    }

    #[tokio::test]
    async fn health_is_ok() {
        assert_eq!(get("/health").await, (200, "OK".to_owned()));
    }

    #[tokio::test]
    async fn a_wrong_query_or_parameter_is_a_bad_request() {
        for path in [
            "/select/logsql/query?query=%28",
            "/select/logsql/query?query=*&limit=x",
            "/api/v1/query?query=up&time=soon",
            "/prometheus/api/v1/query_range?query=up&step=x",
        ] {
            let (status, body) = get(path).await;
            assert_eq!(status, 400, "{path}: {body}");
        }
    }
}
