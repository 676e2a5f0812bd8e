//! The HTTP client of the OTLP exporters: blocking, without a runtime, for programs that live a few milliseconds.

use std::time::Duration;

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};

/// How long a connection may take. Collectors are on this machine or near it; a dead one must not slow a command.
const CONNECT_LIMIT: Duration = Duration::from_millis(300);

/// Sends each export as one blocking request over a kept connection.
#[derive(Debug)]
pub(super) struct LoopbackClient {
    agent: ureq::Agent,
}

impl LoopbackClient {
    /// A client whose requests take at most `limit`, connecting included. Environment variables for proxies are not
    /// read: telemetry goes where its URL says.
    pub(super) fn new(limit: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_connect(Some(CONNECT_LIMIT))
            .timeout_global(Some(limit))
            .build();
        Self { agent: config.new_agent() }
    }
}

#[async_trait::async_trait]
impl HttpClient for LoopbackClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let answer = self.agent.run(Request::from_parts(parts, body.as_ref()))?;
        let (parts, mut body) = answer.into_parts();
        let bytes = body.read_to_vec()?;
        Ok(Response::from_parts(parts, Bytes::from(bytes)))
    }
}
