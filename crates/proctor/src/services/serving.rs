//! The loop behind a listener: accepts as long as it is open, whatever accepting fails with, and answers each connection within its limits.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use futures::{FutureExt, StreamExt};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use proctor_judge::evidence::{RefusalReason, Sender};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout_at};
use tower::ServiceExt;

use super::connections::{Closed, Connection, Connections, Held, Limits};
use super::strays::Ends;

/// How long a connection may take to send the head of a request, the wait for its next one included.
const HEAD_LIMIT: Duration = Duration::from_secs(60);
/// How long a body may take to arrive: everything comes from this machine.
const BODY_LIMIT: Duration = Duration::from_secs(30);
/// Largest head of a request, in bytes.
const LARGEST_HEAD: usize = 64 << 10;
/// The pause after a connection could not be accepted, for lack of descriptors or memory.
const AFTER_FAILURE: Duration = Duration::from_millis(20);

/// Why a body ends in an error when its connection does not.
pub(super) const GIVEN_UP: &str = "proctor: the body takes too long or too much room";

/// What a listener does about each request before the routes see it.
pub(crate) trait Guard: Send + Sync + 'static {
    /// Whose the request is, by its address; empty: nobody known. What the routes need to know goes into its extensions.
    fn admit(&self, request: &mut Request<Body>, ends: Ends) -> String;

    /// Something of an owner's (empty: of nobody known) was refused or closed. `request` is its method and path, as far as it was read;
    /// `sender` the process at the other end, where it is known already.
    fn refused(&self, owner: &str, reason: RefusalReason, request: &str, ends: Ends, sender: Option<Sender>);

    /// The processes at the other ends of connections to `ours`; who is gone is left out.
    fn senders(&self, theirs: &[SocketAddr], ours: SocketAddr) -> BTreeMap<SocketAddr, Sender>;

    /// The answer to a request that is refused.
    fn refusal(&self, status: StatusCode, message: &str) -> Response<Body>;
}

/// For a listener that is one person's own.
#[derive(Debug)]
pub(crate) struct Unguarded;

impl Guard for Unguarded {
    fn admit(&self, _request: &mut Request<Body>, _ends: Ends) -> String {
        String::new()
    }

    fn refused(&self, _owner: &str, _reason: RefusalReason, _request: &str, _ends: Ends, _sender: Option<Sender>) {}

    fn senders(&self, _theirs: &[SocketAddr], _ours: SocketAddr) -> BTreeMap<SocketAddr, Sender> {
        BTreeMap::new()
    }

    fn refusal(&self, status: StatusCode, message: &str) -> Response<Body> {
        let mut answer = Response::new(Body::from(message.to_owned()));
        *answer.status_mut() = status;
        answer
    }
}

/// What all connections of a listener share.
struct Shared {
    router: Router,
    guard: Arc<dyn Guard>,
    connections: Arc<Connections>,
    address: SocketAddr,
}

/// Serves until `closed`; connections that are open then are asked to end.
pub(crate) async fn serve(
    socket: std::net::TcpListener,
    router: Router,
    guard: Arc<dyn Guard>,
    limits: Limits,
    closed: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let listener = TcpListener::from_std(socket)?;
    let address = listener.local_addr()?;
    let closed = closed.shared();
    let shared = Arc::new(Shared { router, guard, connections: Connections::new(limits), address });
    loop {
        let accepted = tokio::select! {
            () = closed.clone() => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Small answers leave at once; a socket that refuses it is slower and no worse.
                let _ = stream.set_nodelay(true);
                let connection = shared.take_in(peer);
                tokio::spawn(converse(Arc::clone(&shared), stream, peer, connection, closed.clone()));
            }
            Err(error) if is_of_the_connection(&error) => {}
            Err(_) => {
                if let Some(closed) = shared.connections.make_room(&shared.asker()) {
                    shared.tell_closed(closed);
                }
                sleep(AFTER_FAILURE).await;
            }
        }
    }
}

/// Whether accepting failed because of that one connection, so that the next may be accepted at once (accept(2)).
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

impl Shared {
    fn take_in(&self, peer: SocketAddr) -> Connection {
        let (connection, closed) = self.connections.open(peer, &self.asker());
        if let Some(closed) = closed {
            self.tell_closed(closed);
        }
        connection
    }

    fn asker(&self) -> impl Fn(&[SocketAddr]) -> BTreeMap<SocketAddr, Sender> {
        |theirs| self.guard.senders(theirs, self.address)
    }

    fn tell_closed(&self, closed: Closed) {
        let ends = (closed.peer, self.address);
        self.guard.refused(&closed.owner, RefusalReason::TooManyConnections, "", ends, closed.sender);
    }
}

async fn converse(
    shared: Arc<Shared>,
    stream: TcpStream,
    peer: SocketAddr,
    connection: Connection,
    closed: impl Future<Output = ()> + Send + 'static,
) {
    let connection = Arc::new(connection);
    let end = Arc::clone(&connection.end);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (shared, connection) = (Arc::clone(&shared), Arc::clone(&connection));
        async move { Ok::<_, Infallible>(answer(&shared, &connection, peer, request.map(Body::new)).await) }
    });
    let conversation = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut conversation = std::pin::pin!(conversation);
    tokio::select! {
        // However it ended, nobody waits for it.
        _ = conversation.as_mut() => {}
        () = end.notified() => {}
        () = closed => {
            conversation.as_mut().graceful_shutdown();
            let _ = conversation.await;
        }
    }
}

async fn answer(shared: &Arc<Shared>, connection: &Connection, peer: SocketAddr, mut request: Request<Body>) -> Response<Body> {
    let ends = (peer, shared.address);
    let owner = shared.guard.admit(&mut request, ends);
    if !connection.belongs_to(&owner) {
        shared.guard.refused(&owner, RefusalReason::TooManyConnections, &name(&request), ends, None);
        let answer = shared.guard.refusal(StatusCode::TOO_MANY_REQUESTS, "proctor: too many open connections of one agent");
        return last(answer);
    }
    // Held until there is an answer: the routes work with what arrived.
    let held = Arc::new(Mutex::new(connection.holding(&owner)));
    let has_body = !request.body().is_end_stream();
    let request = if has_body { metered(Arc::clone(shared), owner, Arc::clone(&held), ends, request) } else { request };
    let answered = shared.router.clone().oneshot(request).await;
    drop(held);
    match answered {
        Ok(answer) => answer,
        Err(never) => match never {},
    }
}

/// The request with a body that ends in an error when it takes too long or too much room. What it holds is free once there is an
/// answer.
fn metered(shared: Arc<Shared>, owner: String, held: Arc<Mutex<Held>>, ends: Ends, request: Request<Body>) -> Request<Body> {
    let until = Instant::now() + BODY_LIMIT;
    let name = name(&request);
    request.map(|body| {
        let start = (body.into_data_stream(), held);
        let told = Arc::new((shared, owner, name));
        let refuse = move |reason| {
            let (shared, owner, name) = &*told;
            shared.guard.refused(owner, reason, name, ends, None);
            io::Error::other(GIVEN_UP)
        };
        Body::from_stream(futures::stream::try_unfold(start, move |(mut stream, held)| {
            let refuse = refuse.clone();
            async move {
                let next = timeout_at(until, stream.next()).await.map_err(|_| refuse(RefusalReason::TooSlow))?;
                let Some(chunk) = next else { return Ok(None) };
                let chunk = chunk.map_err(io::Error::other)?;
                if !held.lock().unwrap_or_else(PoisonError::into_inner).add(chunk.len()) {
                    return Err(refuse(RefusalReason::TooMuch));
                }
                Ok(Some((chunk, (stream, held))))
            }
        }))
    })
}

/// Method and path.
fn name(request: &Request<Body>) -> String {
    format!("{} {}", request.method(), request.uri().path())
}

/// Ends the connection with its answer.
pub(super) fn last(mut answer: Response<Body>) -> Response<Body> {
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]
    use std::io::{Read, Write};
    use std::net::TcpStream as Socket;

    use super::*;
    use crate::services::listener::Listener;

    const LIMITS: Limits = Limits { total: 8, per_owner: 2, bytes_per_owner: 1000, bytes: 1500 };

    /// Takes the first segment of a path as the owner, and notes what was refused.
    #[derive(Default)]
    struct Noting(Mutex<Vec<(String, RefusalReason)>>);

    impl Guard for Noting {
        fn admit(&self, request: &mut Request<Body>, _ends: Ends) -> String {
            request.uri().path().split('/').nth(1).unwrap_or_default().to_owned()
        }

        fn refused(&self, owner: &str, reason: RefusalReason, _request: &str, _ends: Ends, _sender: Option<Sender>) {
            self.0.lock().unwrap().push((owner.to_owned(), reason));
        }

        fn senders(&self, _theirs: &[SocketAddr], _ours: SocketAddr) -> BTreeMap<SocketAddr, Sender> {
            BTreeMap::new()
        }

        fn refusal(&self, status: StatusCode, message: &str) -> Response<Body> {
            Unguarded.refusal(status, message)
        }
    }

    struct Open {
        guard: Arc<Noting>,
        listener: Listener,
    }

    impl Open {
        async fn start() -> Self {
            let guard = Arc::new(Noting::default());
            let echo = |body: String| async move { format!("{} bytes", body.len()) };
            let router = Router::new().fallback(echo);
            let listener = Listener::guarded("test", "--port", 0, router, Arc::clone(&guard) as Arc<dyn Guard>, LIMITS).await;
            Self { guard, listener: listener.unwrap() }
        }

        fn connect(&self) -> Socket {
            Socket::connect(self.listener.url().replace("http://", "")).unwrap()
        }

        fn refused(&self) -> Vec<(String, RefusalReason)> {
            self.guard.0.lock().unwrap().clone()
        }
    }

    fn ask(socket: &mut Socket, owner: &str, body: &str) -> String {
        let head = format!("POST /{owner}/x HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
        socket.write_all(format!("{head}{body}").as_bytes()).unwrap();
        answer_of(socket)
    }

    /// The answer up to its first line's status and the end of what came with it.
    fn answer_of(socket: &mut Socket) -> String {
        let mut buffer = [0; 2048];
        let read = socket.read(&mut buffer).unwrap_or(0);
        String::from_utf8_lossy(&buffer[..read]).into_owned()
    }

    #[tokio::test]
    async fn one_agent_holds_no_more_connections_than_its_share_and_others_are_answered() {
        let open = Open::start().await;
        let mut north: Vec<Socket> = (0..3).map(|_| open.connect()).collect();
        let answers: Vec<String> = north.iter_mut().map(|socket| ask(socket, "north", "x")).collect();
        let statuses: Vec<&str> = answers.iter().map(|answer| &answer[9..12]).collect();
        assert_eq!(statuses, ["200", "200", "429"], "{answers:?}");
        assert!(ask(&mut open.connect(), "south", "x").starts_with("HTTP/1.1 200"));
        assert_eq!(open.refused(), [("north".to_owned(), RefusalReason::TooManyConnections)]);
    }

    #[tokio::test]
    async fn connections_that_say_nothing_make_room_for_those_that_ask() {
        let open = Open::start().await;
        let mut honest = open.connect();
        assert!(ask(&mut honest, "south", "x").starts_with("HTTP/1.1 200"));
        let mut silent: Vec<Socket> = (0..30).map(|_| open.connect()).collect();
        assert_eq!(silent[0].read(&mut [0]).unwrap_or(0), 0, "the oldest silent one was closed");
        assert!(ask(&mut honest, "south", "x").starts_with("HTTP/1.1 200"), "who has one connection keeps it");
        assert!(ask(&mut open.connect(), "east", "x").starts_with("HTTP/1.1 200"));
        assert!(open.refused().iter().all(|refused| *refused == (String::new(), RefusalReason::TooManyConnections)));
    }

    #[tokio::test]
    async fn what_one_agent_sends_at_once_is_bounded() {
        let open = Open::start().await;
        let answer = ask(&mut open.connect(), "north", &"x".repeat(1200));
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(open.refused(), [("north".to_owned(), RefusalReason::TooMuch)]);
        assert!(ask(&mut open.connect(), "north", &"x".repeat(900)).ends_with("900 bytes"), "what was held is free again");
    }

    #[tokio::test]
    async fn a_head_that_is_too_large_ends_its_connection_alone() {
        let open = Open::start().await;
        let mut large = open.connect();
        // The listener may close before all of it is sent.
        let _ = large.write_all(format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(200_000)).as_bytes());
        assert!(!answer_of(&mut large).starts_with("HTTP/1.1 200"));
        assert!(ask(&mut open.connect(), "south", "x").starts_with("HTTP/1.1 200"));
    }
}
