//! A gateway in a temporary folder, asked without a socket.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request};
use chrono::{DateTime, Utc};
use proctor_gateway::{Caller, Config, Exchange, Fault, Gateway, Scripts, World};
use serde_json::Value;
use tower::ServiceExt;

pub(crate) struct Served {
    pub(crate) gateway: Gateway,
    pub(crate) dir: tempfile::TempDir,
}

pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// `Err` when the body was cut; then what came before is lost to the test as well.
    pub(crate) body: Result<String, String>,
}

impl Got {
    pub(crate) fn text(&self) -> &str {
        self.body.as_deref().expect("a whole body")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.text()).expect("JSON")
    }
}

impl Served {
    pub(crate) fn new(scripts: Scripts, faults: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let config = Config {
            scripts,
            faults: Fault::list(faults).expect("faults"),
            journal_dir: dir.path().join("gateway"),
            clock: Arc::new(|| DateTime::<Utc>::UNIX_EPOCH),
        };
        Self { gateway: Gateway::new(config).expect("a gateway"), dir }
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, body: impl Into<Body>) -> Got {
        let mut request = Request::builder().method(method).uri(path).body(body.into()).expect("a request");
        request.extensions_mut().insert(caller(path));
        self.send(request).await
    }

    /// Asks in the name of whoever the request's extensions say.
    pub(crate) async fn send(&self, request: Request<Body>) -> Got {
        let response = self.gateway.router().oneshot(request).await.expect("a response");
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.map(|bytes| String::from_utf8(bytes.to_vec()).expect("text"));
        Got { status: parts.status.as_u16(), headers: parts.headers, body: body.map_err(|error| error.to_string()) }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Got {
        self.ask(Method::POST, path, body.to_string()).await
    }

    /// The journal, as it is on disk.
    pub(crate) fn journal(&self) -> Vec<Exchange> {
        let path = self.dir.path().join("gateway/exchanges.ndjson");
        let text = std::fs::read_to_string(path).expect("a journal");
        text.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().expect("text").into_owned()
}

/// What a listener says of a path below `/a/<agent>`, the token taken as shown.
fn caller(path: &str) -> Caller {
    let path = path.split('?').next().unwrap_or_default();
    let named = path.strip_prefix("/a/").and_then(|rest| rest.split_once("/v1/"));
    let (agent, path) = named.map_or((String::new(), path.to_owned()), |(agent, rest)| (decoded(agent), format!("/v1/{rest}")));
    Caller { agent, path, ..Caller::default() }
}

/// The scripts of `tests/cases/script`.
pub(crate) fn case_scripts() -> Scripts {
    case_scripts_in(World::default())
}

/// The same in another world.
pub(crate) fn case_scripts_in(world: World) -> Scripts {
    Scripts::load(&cases().join("script"), world).expect("scripts without problems")
}

pub(crate) fn cases() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

/// One script from memory.
pub(crate) fn script(text: &str) -> Scripts {
    let files = BTreeMap::from([("a.toml".to_owned(), text.as_bytes().to_vec())]);
    Scripts::from_files(&files, World::default()).expect("a script without problems")
}
