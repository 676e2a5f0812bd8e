//! The OTLP receiver: every path that Gas Town, Claude Code and OTLP exporters send to, plain and per agent.
//!
//! A request is answered after the store has it. Success, partial success and refusal are encoded as the OTLP/HTTP specification
//! asks: in the encoding of the request, a refusal as `google.rpc.Status`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use proctor_store::{Address, IngestError, Ingested, Signal, Store};
use tokio::sync::Semaphore;

use super::address::Addressed;
use super::serving::{GIVEN_UP, last};

/// Largest body that is read from the wire, which is also what the store takes unpacked.
pub(crate) const MAX_BODY_BYTES: u64 = 64 << 20;

/// Up to this size, in bytes, the store takes a request in sooner than another thread could be woken for it.
const AT_ONCE_BYTES: usize = 64 << 10;

/// Paths of OTLP's own, of VictoriaMetrics and of VictoriaLogs, with the signal that each takes.
const PATHS: [(&str, Signal); 6] = [
    ("/v1/logs", Signal::Logs),
    ("/v1/metrics", Signal::Metrics),
    ("/v1/traces", Signal::Traces),
    (GASTOWN_METRICS, Signal::Metrics),
    ("/opentelemetry/v1/metrics", Signal::Metrics),
    (GASTOWN_LOGS, Signal::Logs),
];
/// The path that `gt` and `bd` are given for their metrics.
pub(crate) const GASTOWN_METRICS: &str = "/opentelemetry/api/v1/push";
/// The path that `gt` and `bd` are given for their logs.
pub(crate) const GASTOWN_LOGS: &str = "/insert/opentelemetry/v1/logs";

/// Unpacked bytes that the store takes in of one agent over a run, and of all that is nobody's or the town's own.
const BYTES_OF_AN_AGENT: u64 = 64 << 20;
const BYTES_OF_OTHERS: u64 = 1 << 30;
/// Packed requests that are unpacked side by side: a few bytes may become very many.
const UNPACKED_AT_A_TIME: usize = 2;

/// What a sender without the token is told.
const NO_TOKEN: &str = "proctor: the address does not hold the token of the agent that it names; kept, and counted for nobody";
/// What a sender is told whose share of the store is used up.
const FULL: &str = "proctor: too much telemetry of one sender: the store takes no more of it";

/// Told when a request finds the share of its sender used up.
#[derive(Clone)]
pub(super) struct Full(pub(super) Arc<dyn Fn() + Send + Sync>);

/// What takes requests in.
#[derive(Clone)]
struct Receiver {
    store: Arc<Store>,
    unpacking: Arc<Semaphore>,
    /// Unpacked bytes so far, by the agent they count for.
    taken: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Receiver {
    /// Takes in for `store`.
    fn of(store: Arc<Store>) -> Self {
        Self { store, unpacking: Arc::new(Semaphore::new(UNPACKED_AT_A_TIME)), taken: Arc::default() }
    }

    /// Whether the share of an agent, or of all others, is used up.
    fn is_full(&self, agent: &str) -> bool {
        let limit = if agent.is_empty() { BYTES_OF_OTHERS } else { BYTES_OF_AN_AGENT };
        self.taken().get(agent).is_some_and(|taken| *taken >= limit)
    }

    fn add(&self, agent: &str, bytes: u64) {
        *self.taken().entry(agent.to_owned()).or_default() += bytes;
    }

    fn taken(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The receiver's routes: each path, and the same below `/agents/<agent>/<token>`. Requests must have passed the listener's guard,
/// which says whose address they came by.
pub(crate) fn routes(store: Arc<Store>) -> Router {
    let mut router = Router::new();
    for (path, signal) in PATHS {
        let plain = move |State(receiver): State<Receiver>, Extension(full): Extension<Full>, headers: HeaderMap, body: Body| async move {
            let answer = receive(receiver, signal, (Addressed::default(), full), headers, body).await;
            if [GASTOWN_METRICS, GASTOWN_LOGS].contains(&path) { last(answer) } else { answer }
        };
        router = router.route(path, post(plain));
    }
    router.route("/agents/{*rest}", post(own)).with_state(Receiver::of(store))
}

/// Below an agent's address. Each answer is the last of its connection: `gt`, `bd` and most of what an agent starts send once, as they
/// end, and kept open every one of those connections would wake the listener again to be closed.
async fn own(
    State(receiver): State<Receiver>,
    Extension(addressed): Extension<Addressed>,
    Extension(full): Extension<Full>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let signal = PATHS.iter().find(|(path, _)| *path == addressed.path).map(|(_, signal)| *signal);
    match signal {
        Some(signal) => last(receive(receiver, signal, (addressed, full), headers, body).await),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Where the address ends in a path below `/agents/` that holds no token: the longest path that it ends in is the receiver's.
pub(super) fn end_of_address(named: &str) -> Option<usize> {
    PATHS.iter().filter_map(|(path, _)| named.strip_suffix(path)).map(str::len).min()
}

async fn receive(receiver: Receiver, signal: Signal, by: (Addressed, Full), headers: HeaderMap, body: Body) -> Response {
    let (by, Full(full)) = by;
    let encoding = Encoding::of(&headers);
    let agent = by.agent.clone().unwrap_or_default();
    if receiver.is_full(&agent) {
        full();
        return refusal(encoding, StatusCode::TOO_MANY_REQUESTS, FULL);
    }
    let body = match read(body).await {
        Ok(body) => body,
        Err(error) => {
            // What the listener itself gave up is counted there.
            if !error.to_string().contains(GIVEN_UP) {
                receiver.store.note_refused(signal, IngestError::CutOff, address(&by), chrono::Utc::now());
            }
            return refused(encoding, &IngestError::CutOff);
        }
    };
    let text = |name: HeaderName| Some(headers.get(name)?.to_str().ok()?.to_owned());
    let content_type = text(header::CONTENT_TYPE);
    let content_encoding = text(header::CONTENT_ENCODING).filter(|_| body.whole);
    let at_once = body.bytes.len() <= AT_ONCE_BYTES && content_encoding.is_none();
    let store = Arc::clone(&receiver.store);
    let is_claim = by.claim.is_some();
    let take = move || {
        let now = chrono::Utc::now();
        store.ingest(signal, &body.bytes, content_type.as_deref(), content_encoding.as_deref(), address(&by), now)
    };
    let taken = if at_once {
        Ok(take())
    } else {
        // Never closed, so that there is a place for everybody in the end.
        let place = Arc::clone(&receiver.unpacking).acquire_owned().await;
        let taken = tokio::task::spawn_blocking(take).await;
        drop(place);
        taken
    };
    match taken {
        Ok(Ok(taken)) => {
            receiver.add(&agent, taken.bytes);
            if is_claim { refusal(encoding, StatusCode::UNAUTHORIZED, NO_TOKEN) } else { success(encoding, signal, &taken) }
        }
        Ok(Err(error)) => refused(encoding, &error),
        Err(_) => refusal(encoding, StatusCode::SERVICE_UNAVAILABLE, "the store failed"),
    }
}

/// Whose address a request came by.
fn address(by: &Addressed) -> Address<'_> {
    match &by.claim {
        Some(claim) => Address::Claimed(&claim.agent),
        None => by.agent.as_deref().into(),
    }
}

/// A body as far as it was read.
struct Received {
    bytes: bytes::Bytes,
    /// False when only the first bytes above the limit were read: the store then refuses and counts them.
    whole: bool,
}

/// Reads the body up to one byte more than the limit.
async fn read(body: Body) -> Result<Received, axum::Error> {
    use futures::TryStreamExt as _;

    let limit = usize::try_from(MAX_BODY_BYTES).unwrap_or(usize::MAX);
    let mut stream = body.into_data_stream();
    let mut bytes = bytes::BytesMut::new();
    while let Some(chunk) = stream.try_next().await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > limit {
            bytes.truncate(limit + 1);
            return Ok(Received { bytes: bytes.freeze(), whole: false });
        }
    }
    Ok(Received { bytes: bytes.freeze(), whole: true })
}

/// The two encodings of OTLP over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let content_type = headers.get(header::CONTENT_TYPE);
        const JSON: &[u8] = b"application/json";
        let begins =
            |value: &HeaderValue| value.as_bytes().get(..JSON.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(JSON));
        if content_type.is_some_and(begins) { Self::Json } else { Self::Protobuf }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// The response message: empty when everything was taken as it came, else with OTLP's partial success. A partial success that rejected
/// nothing is a warning.
fn success(encoding: Encoding, signal: Signal, taken: &Ingested) -> Response {
    let body = match (encoding, shortfall(taken)) {
        (Encoding::Protobuf, None) => Vec::new(),
        (Encoding::Json, None) => b"{}".to_vec(),
        (Encoding::Protobuf, Some(message)) => protobuf_shortfall(taken.rejected, &message),
        (Encoding::Json, Some(message)) => {
            let what = match signal {
                Signal::Logs => "rejectedLogRecords",
                Signal::Metrics => "rejectedDataPoints",
                Signal::Traces => "rejectedSpans",
            };
            // Protobuf's JSON writes 64-bit numbers as texts.
            let partial = serde_json::json!({ what: taken.rejected.to_string(), "errorMessage": message });
            serde_json::json!({ "partialSuccess": partial }).to_string().into_bytes()
        }
    };
    ([(header::CONTENT_TYPE, encoding.content_type())], body).into_response()
}

/// What the sender should know of a request that was stored, if anything.
fn shortfall(taken: &Ingested) -> Option<String> {
    let parts = [
        (taken.rejected, "could not be read and are not stored"),
        (taken.repaired, "are stored with something replaced or left out"),
    ];
    let told: Vec<String> = parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    (!told.is_empty()).then(|| format!("proctor: of the records {}", told.join(", ")))
}

/// `partial_success` (field 1) of any of the three response messages: how many were rejected (1) and why (2).
fn protobuf_shortfall(rejected: u64, message: &str) -> Vec<u8> {
    let mut partial = Vec::new();
    if rejected > 0 {
        partial.push(0x08);
        push_varint(&mut partial, rejected);
    }
    push_bytes(&mut partial, 0x12, message.as_bytes());
    let mut body = Vec::new();
    push_bytes(&mut body, 0x0a, &partial);
    body
}

fn refused(encoding: Encoding, error: &IngestError) -> Response {
    let status = StatusCode::from_u16(error.http_status());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    refusal(encoding, status, &error.to_string())
}

pub(super) fn refusal(encoding: Encoding, status: StatusCode, message: &str) -> Response {
    let body = match encoding {
        Encoding::Protobuf => status_message(message),
        Encoding::Json => serde_json::json!({ "message": message }).to_string().into_bytes(),
    };
    let head = [(header::CONTENT_TYPE, encoding.content_type())];
    (status, head, body).into_response()
}

/// `google.rpc.Status` with its second field, `message`, which is all that OTLP asks for.
fn status_message(message: &str) -> Vec<u8> {
    let mut body = Vec::new();
    push_bytes(&mut body, 0x12, message.as_bytes());
    body
}

/// A field with its key and its length.
fn push_bytes(to: &mut Vec<u8>, key: u8, bytes: &[u8]) {
    to.push(key);
    push_varint(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

fn push_varint(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    to.push(u8::try_from(number).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

    use std::io::{Read, Write};
    use std::net::TcpStream;

    use proctor_harness::launch::token;
    use proctor_judge::evidence::RefusalReason;
    use proctor_store::{Options, TimeRange};
    use tempfile::TempDir;

    use super::*;
    use crate::services::address::Tokens;
    use crate::services::connections::Limits;
    use crate::services::guards::TelemetryGuard;
    use crate::services::listener::Listener;
    use crate::services::strays::Strays;

    const LIMITS: Limits = Limits { total: 64, per_owner: 16, bytes_per_owner: 96 << 20, bytes: 256 << 20 };

    const RECORD: &str = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[
        {"timeUnixNano":"1795329578000000000","body":{"stringValue":"sling"}}]}]}]}"#;

    /// A listening receiver over an empty store.
    struct Listening {
        store: Arc<Store>,
        strays: Arc<Strays>,
        listener: Listener,
        _dir: TempDir,
    }

    impl Listening {
        async fn start() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let store = Arc::new(Store::create(&dir.path().join("store"), Options::default()).unwrap());
            let strays = Arc::new(Strays::default());
            let guard = TelemetryGuard::new(Arc::new(Tokens::of("s".into())), Arc::clone(&strays));
            let router = routes(Arc::clone(&store));
            let listener = Listener::guarded("test", "--port", 0, router, Arc::new(guard), LIMITS).await.unwrap();
            Self { store, strays, listener, _dir: dir }
        }

        /// Sends raw bytes after the request line and gives the whole answer.
        async fn send(&self, path: &str, headers: &str, body: &[u8]) -> String {
            let address = self.listener.url().replace("http://", "");
            let mut request = format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n").into_bytes();
            request.extend_from_slice(body);
            let exchange = move || {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(&request).unwrap();
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).unwrap();
                String::from_utf8_lossy(&answer).into_owned()
            };
            tokio::task::spawn_blocking(exchange).await.unwrap()
        }

        async fn send_json(&self, path: &str) -> String {
            let headers = format!("content-type: application/json\r\ncontent-length: {}\r\n", RECORD.len());
            self.send(path, &headers, RECORD.as_bytes()).await
        }

        fn agents(&self) -> Vec<Option<String>> {
            let records = self.store.logs(TimeRange::ALL);
            records.iter().map(|record| record.agent.as_deref().map(str::to_owned)).collect()
        }
    }

    #[tokio::test]
    async fn logs_come_in_by_every_path_and_under_an_agents_address() {
        let receiver = Listening::start().await;
        let by = |agent: &str, named: &str, path: &str| format!("/agents/{named}/{}{path}", token("s", agent));
        for path in [
            "/v1/logs".to_owned(),
            "/insert/opentelemetry/v1/logs".to_owned(),
            by("alice/polecats/furiosa", "alice%2Fpolecats%2Ffuriosa", "/v1/logs"),
            by("mayor", "mayor", "/insert/opentelemetry/v1/logs"),
            by("alice/refinery", "alice/refinery", "/v1/logs"),
            by("alice/polecats/furiosa", "alice/polecats/furiosa", "/insert/opentelemetry/v1/logs"),
        ] {
            let answer = receiver.send_json(&path).await;
            assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("{}"), "{path}: {answer}");
        }
        let agents = receiver.agents();
        let furiosa = Some("alice/polecats/furiosa");
        let expected = [None, None, furiosa, Some("mayor"), Some("alice/refinery"), furiosa];
        assert_eq!(agents, expected.map(|agent| agent.map(str::to_owned)));
    }

    #[tokio::test]
    async fn only_senders_on_paths_of_otlp_itself_keep_their_connection() {
        let receiver = Listening::start().await;
        let address = receiver.listener.url().replace("http://", "");
        let own = format!("/agents/mayor/{}/v1/logs", token("s", "mayor"));
        for (path, is_kept) in [("/v1/logs", true), (GASTOWN_LOGS, false), (&*own, false)] {
            let request = format!(
                "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{RECORD}",
                RECORD.len()
            );
            let mut stream = TcpStream::connect(&address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"{}") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                answer.push(byte[0]);
            }
            let says_close = String::from_utf8_lossy(&answer).contains("connection: close");
            assert_eq!(says_close, !is_kept, "{path}");
            if is_kept {
                stream.write_all(request.as_bytes()).unwrap();
                assert_eq!(stream.read(&mut [0]).unwrap(), 1, "{path}: the second answer");
            } else {
                assert_eq!(stream.read(&mut [0]).unwrap(), 0, "{path}: the end");
            }
        }
    }

    #[tokio::test]
    async fn an_address_without_its_token_is_kept_counted_for_nobody_and_named() {
        let receiver = Listening::start().await;
        let norths = token("s", "north");
        receiver.send_json(&format!("/agents/north/{norths}/v1/logs")).await;
        let wrong = ["/agents/south/v1/logs".to_owned(), format!("/agents/south/{norths}/v1/logs")];
        for path in &wrong {
            let answer = receiver.send_json(path).await;
            assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("counted for nobody"), "{path}: {answer}");
        }
        let logs = receiver.store.logs(TimeRange::ALL);
        let counted: Vec<Option<&str>> = logs.iter().map(|log| log.counted_for()).collect();
        assert_eq!(counted, [Some("north"), None, None]);
        let rows: Vec<_> = receiver.strays.all().into_iter().map(|row| (row.reason, row.claimed, row.agent, row.count)).collect();
        let south = || Some("south".to_owned());
        let expected =
            [(RefusalReason::NoToken, south(), None, 1), (RefusalReason::ForeignToken, south(), Some("north".into()), 1)];
        assert_eq!(rows, expected);
    }

    #[test]
    fn an_address_without_a_token_ends_where_the_receivers_path_begins() {
        let address = |named: &'static str| end_of_address(named).map(|end| &named[..end]);
        assert_eq!(address("deacon/boot/v1/metrics"), Some("deacon/boot"));
        assert_eq!(address("mayor/opentelemetry/v1/metrics"), Some("mayor"));
        assert_eq!(address("mayor/v2/logs"), None);
    }

    #[tokio::test]
    async fn a_chunked_body_is_read_whole() {
        let receiver = Listening::start().await;
        let (first, second) = RECORD.split_at(40);
        let body = format!("{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n", first.len(), second.len());
        let headers = "content-type: application/json\r\ntransfer-encoding: chunked\r\n";
        let answer = receiver.send("/v1/logs", headers, body.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(receiver.agents().len(), 1);
    }

    #[tokio::test]
    async fn an_empty_protobuf_body_is_an_empty_request() {
        let receiver = Listening::start().await;
        let headers = "content-type: application/x-protobuf\r\ncontent-length: 0\r\n";
        for path in ["/v1/traces", "/v1/metrics", "/opentelemetry/api/v1/push", "/opentelemetry/v1/metrics"] {
            let answer = receiver.send(path, headers, b"").await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        }
    }

    #[tokio::test]
    async fn a_refusal_speaks_the_requests_encoding_and_is_counted() {
        let receiver = Listening::start().await;
        let json = "content-type: application/json\r\ncontent-length: 1\r\n";
        let answer = receiver.send("/v1/logs", json, b"{").await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert!(answer.contains("{\"message\":"), "{answer}");
        let other = "content-type: text/plain\r\ncontent-length: 1\r\n";
        let answer = receiver.send("/v1/logs", other, b"x").await;
        assert!(answer.starts_with("HTTP/1.1 415") && answer.contains("\u{12}"), "{answer}");
        assert_eq!(receiver.store.stats().rejected.values().sum::<u64>(), 2);
        assert!(receiver.agents().is_empty());
    }

    #[tokio::test]
    async fn what_could_not_be_taken_is_answered_with_a_partial_success() {
        let receiver = Listening::start().await;
        let bad = |path: &str, body: &str| {
            let headers = format!("content-type: Application/JSON\r\ncontent-length: {}\r\n", body.len());
            (path.to_owned(), headers, body.to_owned())
        };
        let logs = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"a\ud800"}},7]}]}]}"#;
        let points = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[7,8]}}]}]}]}"#;
        let spans = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[7]}]}]}"#;
        for ((path, headers, body), told) in [
            (bad("/v1/logs", logs), r#""rejectedLogRecords":"1""#),
            (bad("/v1/metrics", points), r#""rejectedDataPoints":"2""#),
            (bad("/v1/traces", spans), r#""rejectedSpans":"1""#),
        ] {
            let answer = receiver.send(&path, &headers, body.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#"{"partialSuccess":{"#), "{answer}");
            assert!(answer.contains(told) && answer.contains(r#""errorMessage":"proctor: "#), "{answer}");
        }
        // A record that is 7: field 2 of a resource's scope with one byte that is no field.
        let protobuf = b"\x0a\x05\x12\x03\x12\x01\x07";
        let headers = format!("content-type: application/x-protobuf\r\ncontent-length: {}\r\n", protobuf.len());
        let answer = receiver.send("/v1/logs", &headers, protobuf).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\u{12}") && answer.contains("\u{8}\u{1}"), "{answer:?}");
        assert!(receiver.store.losses().len() >= 4);
    }

    #[tokio::test]
    async fn a_body_whose_sender_hangs_up_is_counted_as_refused() {
        let receiver = Listening::start().await;
        let address = receiver.listener.url().replace("http://", "");
        let hang_up = move || {
            let mut stream = TcpStream::connect(address).unwrap();
            let head = "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n";
            stream.write_all(format!("{head}{RECORD}").as_bytes()).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        };
        tokio::task::spawn_blocking(hang_up).await.unwrap();
        while receiver.store.losses().is_empty() {
            tokio::task::yield_now().await;
        }
        let loss = receiver.store.losses().remove(0);
        assert_eq!((loss.kind, loss.reason.as_str()), (proctor_store::LossKind::Refused, "cut off"));
    }

    #[test]
    fn a_partial_success_in_protobuf_has_its_two_fields() {
        assert_eq!(protobuf_shortfall(300, "no"), [0x0a, 7, 0x08, 0xac, 0x02, 0x12, 2, b'n', b'o']);
        assert_eq!(protobuf_shortfall(0, "no"), [0x0a, 4, 0x12, 2, b'n', b'o']);
    }

    #[test]
    fn a_status_message_has_its_length_as_a_varint() {
        assert_eq!(status_message("no"), [0x12, 2, b'n', b'o']);
        let long = status_message(&"x".repeat(300));
        assert_eq!(long[..3], [0x12, 0xac, 0x02]);
        assert_eq!(long.len(), 303);
    }
}
