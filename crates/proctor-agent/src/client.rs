//! The Messages API over HTTP: one request, streamed, repeated while the provider cannot answer.

use std::io::Read;
use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body};

use crate::config::{Config, Credential, Retry};
use crate::message::{Assembler, Message, StreamError, provider_error};
use crate::sse::Parser;
use crate::stop::Stop;

/// Version of the API that is asked for.
const API_VERSION: &str = "2023-06-01";

/// Longest time without a byte of an answer.
const SILENCE: Duration = Duration::from_secs(300);

/// Longest wait that a provider's `retry-after` is followed for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

/// A model's answer with what telemetry tells of it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) message: Message,
    /// The provider's `request-id`.
    pub(crate) request_id: Option<String>,
    /// From sending the request to the first content of a streamed answer.
    pub(crate) first_content: Option<Duration>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The provider refuses this request; repeating it would not help.
    Refused(Fault),
    /// All tries failed.
    Exhausted(Fault),
    /// The agent was asked to end.
    Stopped,
}

/// What went wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// HTTP status; none when there was no whole answer.
    pub(crate) status: Option<u16>,
    pub(crate) message: String,
    pub(crate) request_id: Option<String>,
    /// How many tries there were.
    pub(crate) attempt: u32,
    /// What the provider asked to wait.
    retry_after: Option<Duration>,
    /// Whether another try can help.
    again: bool,
}

/// A place to send requests to.
pub(crate) struct Client {
    http: Agent,
    url: String,
    credential: Credential,
    retry: Retry,
    stop: Stop,
}

impl Client {
    pub(crate) fn new(config: &Config, stop: Stop) -> Self {
        // Everything that ureq would take from the environment is said here.
        let settings = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .user_agent(concat!("proctor-agent/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_per_read(Some(SILENCE));
        Self {
            http: settings.build().new_agent(),
            url: format!("{}/v1/messages", config.base_url.trim_end_matches('/')),
            credential: config.credential.clone(),
            retry: config.retry,
            stop,
        }
    }

    /// Sends a request until it is answered; `waiting` is told each failed try and the wait after it.
    pub(crate) fn send(&self, body: &Value, mut waiting: impl FnMut(&Fault, Duration)) -> Result<Answer, Failure> {
        let body = body.to_string();
        let mut wait = self.retry.first;
        for attempt in 1.. {
            if self.stop.is_requested() {
                break;
            }
            let mut fault = match self.try_once(&body) {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            fault.attempt = attempt;
            if !fault.again {
                return Err(Failure::Refused(fault));
            }
            if attempt >= self.retry.tries {
                return Err(Failure::Exhausted(fault));
            }
            let this_wait = wait.max(fault.retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER));
            waiting(&fault, this_wait);
            if self.stop.wait_for(this_wait) {
                break;
            }
            wait = (wait * 2).min(self.retry.longest);
        }
        Err(Failure::Stopped)
    }

    fn try_once(&self, body: &str) -> Result<Answer, Fault> {
        let request =
            self.http.post(&self.url).header("content-type", "application/json").header("anthropic-version", API_VERSION);
        let request = match &self.credential {
            Credential::ApiKey(key) => request.header("x-api-key", key),
            Credential::Token(token) => request.header("authorization", format!("Bearer {token}")),
            Credential::None => request,
        };
        let sent = Instant::now();
        let response = request.send(body).map_err(|error| Fault::transport(&error.to_string()))?;
        let request_id = header(&response, "request-id");
        let mut first_content = None;
        let begun = || first_content = first_content.or_else(|| Some(sent.elapsed()));
        let message = read_answer(response, begun).map_err(|fault| Fault { request_id: request_id.clone(), ..fault })?;
        Ok(Answer { message, request_id, first_content })
    }
}

fn header(response: &Response<Body>, name: &str) -> Option<String> {
    Some(response.headers().get(name)?.to_str().ok()?.to_owned())
}

fn read_answer(mut response: Response<Body>, begun: impl FnMut()) -> Result<Message, Fault> {
    let status = response.status().as_u16();
    if status != 200 {
        let retry_after = header(&response, "retry-after").and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        let text = response.body_mut().read_to_string().unwrap_or_default();
        return Err(Fault { retry_after, ..Fault::status(status, &text) });
    }
    if header(&response, "content-type").is_some_and(|kind| kind.starts_with("text/event-stream")) {
        return read_stream(response.body_mut().as_reader(), begun);
    }
    let text = response.body_mut().read_to_string().map_err(|error| Fault::transport(&error.to_string()))?;
    let message = serde_json::from_str(&text).ok().and_then(|body: Value| Message::from_body(&body));
    message.ok_or_else(|| Fault::transport("the answer is no message"))
}

fn read_stream(mut body: impl Read, mut begun: impl FnMut()) -> Result<Message, Fault> {
    let (mut parser, mut assembler) = (Parser::default(), Assembler::default());
    let mut buffer = [0; 8192];
    loop {
        let length = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) => return Err(Fault::transport(&format!("the answer was cut: {error}"))),
        };
        for event in parser.feed(&buffer[..length]) {
            assembler.take(&event).map_err(Fault::stream)?;
        }
        if assembler.has_begun() {
            begun();
        }
    }
    assembler.finish().ok_or_else(|| Fault::transport("the answer was cut before its end"))
}

impl Fault {
    /// Nobody answered, or not to the end: always worth another try.
    fn transport(message: &str) -> Self {
        Self { status: None, message: message.to_owned(), request_id: None, attempt: 0, retry_after: None, again: true }
    }

    fn status(status: u16, body: &str) -> Self {
        let said = serde_json::from_str(body).ok().map(|body: Value| provider_error(&body).message);
        let message = said.filter(|message| !message.is_empty()).unwrap_or_else(|| body.chars().take(400).collect());
        let again = matches!(status, 408 | 429 | 500..);
        Self { status: Some(status), again, ..Self::transport(&message) }
    }

    fn stream(error: StreamError) -> Self {
        let again = !matches!(error.kind.as_str(), "invalid_request_error" | "authentication_error" | "permission_error");
        let message = if error.kind.is_empty() { error.message } else { format!("{}: {}", error.kind, error.message) };
        Self { again, ..Self::transport(&message) }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.status {
            Some(status) => write!(f, "{status}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}
