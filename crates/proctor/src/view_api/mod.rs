//! The viewer's HTTP side: the page, the JSON interface of one run's picture, and its files, read-only.
//!
//! `docs/viewer.md` states the interface. What agents wrote is never served as a page of this origin: evidence goes out as plain
//! text, the report in a sandbox, and a request whose `Host` is not this machine is refused, so that no web site can read a run.

mod answers;
mod conversation;
mod files;
mod page;
mod parameters;
mod run;

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use run::Run;

/// Scripts, styles and data only from here; no frame, form or plug-in.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Serves the viewer of the run whose folder (the one that holds `evidence/`) is `run_dir`.
///
/// Nothing is read before the first request; a run in progress is read again when its files have changed.
pub(crate) fn router(run_dir: PathBuf) -> Router {
    let run = Arc::new(Run::new(run_dir));
    Router::new()
        .route("/", get(page::index))
        .route("/viewer/{name}", get(page::asset))
        .route("/api/run.json", get(answers::run))
        .route("/api/events.json", get(answers::events))
        .route("/api/density.json", get(answers::density))
        .route("/api/links.json", get(answers::links))
        .route("/api/rank.json", get(answers::rank))
        .route("/api/near.json", get(answers::near))
        .route("/api/event/{name}", get(answers::event))
        .route("/api/conversation/{name}", get(answers::conversation))
        .route("/picture.svg", get(answers::picture))
        .route("/files/{*path}", get(files::file))
        .with_state(run)
        .layer(from_fn(guard))
}

/// Refuses foreign hosts and sets the headers that every answer has.
async fn guard(request: Request, next: Next) -> Response {
    if !is_local(request.headers()) {
        return (StatusCode::FORBIDDEN, "this viewer answers to its own machine only\n").into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(PAGE_POLICY));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// Whether the request names this machine: a web site that points its own name at 127.0.0.1 does not.
fn is_local(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|value| value.to_str().ok()) else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn asked_as(host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(host).unwrap());
        is_local(&headers)
    }

    #[test]
    fn only_this_machine_is_answered() {
        for host in ["localhost", "localhost:7428", "127.0.0.1:80", "127.1.2.3", "[::1]:7428"] {
            assert!(asked_as(host), "{host}");
        }
        for host in ["example.org", "localhost.example.org:80", "10.0.0.1", "[::2]:80", "127.0.0.1.nip.io"] {
            assert!(!asked_as(host), "{host}");
        }
        assert!(!is_local(&HeaderMap::new()));
    }
}
