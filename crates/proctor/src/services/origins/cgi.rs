//! Runs git's `http-backend` for one request: RFC 3875, with an environment that holds nothing of anybody's.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response as HttpResponse, StatusCode, header};
use axum::response::Response;
use proctor_harness::Halt;
use proctor_harness::origins::{Asked, Forge, Pack};
use proctor_harness::process::Guard;
use rustix::process::{Pid, Resource, Rlimit};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStdout, Command};

use super::limits::Place;
use super::text_of;

/// The most that headers of the program's answer take.
const HEADERS: usize = 16 << 10;
/// The most of an answer to a push that is kept for the pusher.
const ANSWER: usize = 8 << 20;
/// What is sent at once.
const PIECE: usize = 64 << 10;
/// Processor time that git may use for one request,
const CPU_S: u64 = 120;
/// and memory.
const MEMORY: u64 = 6 << 30;
/// The longest value of a header that git is told of.
const VALUE: usize = 200;

/// What git is told besides Proctor's own settings: pushed objects are checked and stay in packs, and nothing is tidied up meanwhile.
const SETTINGS: [(&str, &str); 16] = [
    // Names that would make `main` or `refs/heads/main` stand for two refs, so that nobody could push to it any more.
    ("transfer.hideRefs", "refs/refs"),
    ("transfer.hideRefs", "refs/heads/refs"),
    ("transfer.hideRefs", "refs/tags/refs"),
    ("transfer.hideRefs", "refs/remotes/refs"),
    ("transfer.hideRefs", "refs/tags/main"),
    ("transfer.hideRefs", "refs/main"),
    // What an agent should not do is seen, and not prevented.
    ("receive.denyDeleteCurrent", "ignore"),
    ("http.receivepack", "true"),
    ("http.uploadpack", "true"),
    ("receive.fsckObjects", "true"),
    ("transfer.fsckObjects", "true"),
    ("receive.unpackLimit", "1"),
    ("receive.maxInputSize", "1g"),
    ("receive.autogc", "false"),
    ("core.bigFileThreshold", "16m"),
    ("pack.threads", "1"),
];

/// A call of the program.
pub(super) struct Call {
    program: PathBuf,
    env: BTreeMap<String, String>,
}

impl Call {
    /// The call for what was asked; `agent` is who asks.
    pub(super) fn new(forge: &Forge, asked: &Asked, agent: &str, headers: &HeaderMap) -> Self {
        let spec = forge.spec();
        let receives = if asked.pack == Pack::Receive { "true" } else { "false" };
        let git =
            SETTINGS.iter().fold(spec.git.clone(), |git, (key, value)| git.with(key, value)).with("http.receivepack", receives);
        let mut env = git.environment().clone();
        let own = forge.backend().parent().map(|folder| folder.display().to_string()).unwrap_or_default();
        let path = env.get("PATH").cloned().unwrap_or_default();
        env.insert("PATH".into(), format!("{own}:{path}"));
        let fixed = [("GIT_HTTP_EXPORT_ALL", "1"), ("SERVER_PROTOCOL", "HTTP/1.1"), ("GATEWAY_INTERFACE", "CGI/1.1")];
        env.extend(fixed.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let method = if asked.is_advertisement { "GET" } else { "POST" };
        for (key, value) in [
            ("GIT_PROJECT_ROOT", spec.folder.display().to_string()),
            ("REQUEST_METHOD", method.to_owned()),
            ("PATH_INFO", asked.path()),
            ("QUERY_STRING", asked.query()),
            ("REMOTE_USER", agent.to_owned()),
            ("REMOTE_ADDR", "127.0.0.1".to_owned()),
        ] {
            env.insert(key.into(), value);
        }
        for (key, name) in
            [("CONTENT_TYPE", "content-type"), ("HTTP_CONTENT_ENCODING", "content-encoding"), ("GIT_PROTOCOL", "git-protocol")]
        {
            let value = text_of(headers, name).filter(|value| value.len() <= VALUE);
            env.extend(value.map(|value| (key.to_owned(), value.to_owned())));
        }
        Self { program: forge.backend().clone(), env }
    }

    fn spawn(self, body: Option<File>) -> Result<Running, Halt> {
        let failed = |error: io::Error| Halt::environment(format!("{} cannot be started: {error}", self.program.display()));
        let mut command = Command::new(&self.program);
        command.env_clear().envs(&self.env).current_dir("/").process_group(0).kill_on_drop(true);
        command.stdin(body.map_or_else(Stdio::null, Stdio::from)).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(failed)?;
        let pid = child.id().unwrap_or_default();
        let guard = Guard::new(pid);
        limit(pid);
        let out = child.stdout.take().ok_or_else(|| failed(io::Error::other("it has no output")))?;
        Ok(Running { child, guard, out })
    }
}

/// A limit that cannot be set is no reason not to answer.
fn limit(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    for (resource, most) in [(Resource::Cpu, CPU_S), (Resource::As, MEMORY)] {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        _ = rustix::process::prlimit(pid, resource, limit);
    }
}

/// The program at work. Dropped, it is ended with all that it started.
struct Running {
    child: Child,
    guard: Guard,
    out: ChildStdout,
}

impl Running {
    async fn ended(mut self) {
        // Its answer is complete; how it ended says nothing more.
        if self.child.wait().await.is_ok() {
            self.guard.disarm();
        }
    }
}

/// Answers while the program still works.
///
/// # Errors
/// When it cannot be started.
pub(super) async fn streamed(call: Call, body: Option<File>, place: Place) -> Result<Response, Halt> {
    let mut running = call.spawn(body)?;
    let Some((head, rest)) = read_head(&mut running.out).await else { return Ok(no_answer()) };
    let first = (!rest.is_empty()).then(|| Bytes::from(rest));
    let pieces = futures::stream::unfold((first, Some(running), place), next);
    Ok(answer(head, Body::from_stream(pieces)))
}

type Rest = (Option<Bytes>, Option<Running>, Place);

async fn next((first, running, place): Rest) -> Option<(io::Result<Bytes>, Rest)> {
    if let Some(first) = first {
        return Some((Ok(first), (None, running, place)));
    }
    let mut running = running?;
    let mut piece = vec![0; PIECE];
    match running.out.read(&mut piece).await {
        Ok(0) => {
            running.ended().await;
            None
        }
        Ok(read) => {
            piece.truncate(read);
            Some((Ok(Bytes::from(piece)), (None, Some(running), place)))
        }
        Err(error) => Some((Err(error), (None, None, place))),
    }
}

/// Answers once the program has ended.
///
/// # Errors
/// When it cannot be started.
pub(super) async fn whole(call: Call, body: File, limit: Duration) -> Result<Whole, Halt> {
    let mut running = call.spawn(Some(body))?;
    let all = async {
        let (head, mut rest) = read_head(&mut running.out).await?;
        read_up_to(&mut running.out, &mut rest, ANSWER).await.ok()?;
        running.ended().await;
        Some((head, rest))
    };
    Ok(Whole(tokio::time::timeout(limit, all).await.ok().flatten()))
}

/// The whole answer, if there was one.
pub(super) struct Whole(Option<(Head, Vec<u8>)>);

impl Whole {
    /// Its content.
    pub(super) fn said(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |(_, body)| body)
    }

    pub(super) fn into_response(self) -> Response {
        self.0.map_or_else(no_answer, |(head, body)| answer(head, Body::from(body)))
    }
}

/// Reads to the end and keeps so much of it.
async fn read_up_to(from: &mut (impl AsyncRead + Unpin), kept: &mut Vec<u8>, most: usize) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        match from.read(&mut piece).await? {
            0 => return Ok(()),
            read => kept.extend_from_slice(&piece[..read.min(most.saturating_sub(kept.len()))]),
        }
    }
}

/// Status and headers of the program's answer, and what came after them already; absent when it gives none.
async fn read_head(out: &mut (impl AsyncRead + Unpin)) -> Option<(Head, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut piece = vec![0; PIECE];
    loop {
        if let Some(head) = Head::read(&bytes) {
            return Some(head);
        }
        let read = out.read(&mut piece).await.ok().filter(|read| *read > 0 && bytes.len() <= HEADERS)?;
        bytes.extend_from_slice(&piece[..read]);
    }
}

/// Status and headers.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Head {
    fn read(bytes: &[u8]) -> Option<(Self, Vec<u8>)> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut head = Self { status: StatusCode::OK, headers: Vec::new() };
        for (name, value) in text.lines().filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            if name.eq_ignore_ascii_case("status") {
                head.status = value.get(..3).and_then(|code| code.parse().ok()).unwrap_or(StatusCode::BAD_GATEWAY);
            } else if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
                head.headers.push((name, value));
            }
        }
        Some((head, bytes[end + 4..].to_vec()))
    }
}

fn answer(head: Head, body: Body) -> Response {
    let mut response = HttpResponse::new(body);
    *response.status_mut() = head.status;
    let headers = head.headers.into_iter().filter(|(name, _)| *name != header::CONTENT_LENGTH);
    response.headers_mut().extend(headers);
    response
}

fn no_answer() -> Response {
    super::said(StatusCode::BAD_GATEWAY, "git gave no answer")
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn status_and_headers_end_where_the_body_begins() {
        let bytes = b"Status: 404 Not Found\r\nContent-Type: text/plain\r\n\r\nnot \r\n\r\nhere";
        let (head, rest) = Head::read(bytes).unwrap_or_else(|| panic!());
        assert_eq!((head.status, rest.as_slice()), (StatusCode::NOT_FOUND, &b"not \r\n\r\nhere"[..]));
        assert_eq!(head.headers, [(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"))]);
        assert_eq!(Head::read(b"Content-Type: text/plain\r\n"), None);
    }
}
