//! HTTP: from a request's path to an exchange, and from a reply to a response.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body as HttpBody, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};

use crate::caller::Caller;
use crate::exchange::{Asked, Body, Endpoint, Reply, exchange};
use crate::gateway::Inner;

/// Largest request, in bytes: the provider's own limit for the Messages API.
const LARGEST_REQUEST: usize = 32 * 1024 * 1024;

/// Everything goes one way, so that everything is journalled.
pub(crate) fn router(inner: Arc<Inner>) -> Router {
    Router::new().fallback(handle).with_state(inner)
}

async fn handle(State(inner): State<Arc<Inner>>, mut request: Request) -> Response<HttpBody> {
    let plain = || Caller { path: request.uri().path().to_owned(), ..Caller::default() };
    let caller = request.extensions().get::<Caller>().cloned().unwrap_or_else(plain);
    let endpoint = endpoint(request.method(), &caller.path);
    let name = format!("{} {}", request.method(), caller.path);
    let body = std::mem::take(request.body_mut());
    let Ok(body) = to_bytes(body, LARGEST_REQUEST).await else {
        return response(Reply::error(413, &format!("the request is larger than {LARGEST_REQUEST} bytes or was not sent whole")));
    };
    let asked = Asked { caller, endpoint, request: name, body };
    // The journal is written with ordinary blocking calls.
    let done = tokio::task::spawn_blocking(move || exchange(&inner, &asked)).await;
    response(done.unwrap_or_else(|error| Reply::error(500, &format!("proctor: {error}"))))
}

/// The part of the API that a request is for.
fn endpoint(method: &Method, path: &str) -> Endpoint {
    match (method, path) {
        (&Method::HEAD, _) => Endpoint::Head,
        (&Method::GET, "/health") => Endpoint::Health,
        (&Method::POST, "/v1/messages") => Endpoint::Messages,
        (&Method::POST, "/v1/messages/count_tokens") => Endpoint::CountTokens,
        _ => Endpoint::Nothing,
    }
}

/// An answer in the provider's form to a request that is refused before it reaches the gateway.
pub fn refusal(status: u16, message: &str) -> Response<HttpBody> {
    response(Reply::error(status, message))
}

fn response(reply: Reply) -> Response<HttpBody> {
    let (body, content_type) = match reply.body {
        Body::Empty => (HttpBody::empty(), "application/json"),
        Body::Json(json) => (HttpBody::from(json), "application/json"),
        Body::Events(events) => {
            (HttpBody::from_stream(parts(events).map(Ok::<_, Infallible>)), "text/event-stream; charset=utf-8")
        }
        Body::Cut(events, true) => (HttpBody::from_stream(cut(events)), "text/event-stream; charset=utf-8"),
        Body::Cut(text, false) => (HttpBody::from_stream(cut(text)), "application/json"),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Some(id) = reply.n.and_then(|n| HeaderValue::from_str(&format!("req_{n:06}")).ok()) {
        headers.insert("request-id", id);
    }
    if let Some(seconds) = reply.retry_after_s {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// One chunk per part.
fn parts(parts: Vec<String>) -> impl Stream<Item = Bytes> {
    stream::iter(parts.into_iter().map(Bytes::from))
}

/// The parts, then a broken connection.
fn cut(text: Vec<String>) -> impl Stream<Item = io::Result<Bytes>> {
    let end = stream::once(async {
        // What was sent so far leaves the server's buffer only when there is nothing more to send.
        tokio::task::yield_now().await;
        Err(io::Error::new(io::ErrorKind::ConnectionAborted, "planned fault: the connection is cut"))
    });
    parts(text).map(Ok).chain(end)
}
