//! The server of origins: git's smart HTTP on a port of its own, answered by git's own `http-backend`.
//!
//! Who may push and what a push changed is the harness's knowledge ([`proctor_harness::origins`]); here are HTTP and the CGI program. Bodies
//! are taken in whole before git sees them: whoever sends slowly keeps nobody waiting, and a push that breaks off changes nothing. A push is
//! in the log before whoever pushed hears of it.

mod body;
mod cgi;
mod limits;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use proctor_harness::Halt;
use proctor_harness::origins::{Asked, Commands, Forge, Identity, Pack, commands, identify};
use proctor_judge::evidence::{Push, RefusalReason, Sender};
use tokio::sync::mpsc::UnboundedSender;

use body::Taken;
use limits::{Limits, Tally};

use super::connections;
use super::listener::Listener;
use super::serving::Guard;
use super::strays::{Ends, Stray, Strays};

/// The server's name.
const LISTENER: &str = "server of origins";

/// How long git may take over one push; whoever else pushes to the same origin waits as long.
const PUSH_LIMIT: Duration = Duration::from_secs(120);

/// The beginning of a push that is read for what it asks for.
const COMMANDS: usize = 256 << 10;

/// The server's state.
pub(super) struct Server {
    forge: Forge,
    log: UnboundedSender<Push>,
    limits: Limits,
    refused: Mutex<Tally>,
    strays: Arc<Strays>,
}

/// A request that was understood, and by whom it is.
struct Visit {
    asked: Asked,
    who: Identity,
    address: String,
    ends: Ends,
}

/// Opens the server. Every row of the log goes to `log` as soon as it is one; `strays` knows whose process is behind a connection.
///
/// # Errors
/// When no port can be opened.
pub(super) async fn open(forge: Forge, log: UnboundedSender<Push>, strays: Arc<Strays>) -> Result<Listener, Halt> {
    let guard = Arc::new(ByToken { secret: forge.spec().secret.clone(), strays: Arc::clone(&strays) });
    let server = Server { forge, log, limits: Limits::default(), refused: Mutex::default(), strays };
    let router = Router::new().fallback(answer).with_state(Arc::new(server));
    // Bodies go to a file as they come, and have limits of their own.
    let limits = connections::Limits { bytes_per_owner: usize::MAX, bytes: usize::MAX, ..connections::Limits::of_this_process() };
    Listener::guarded(LISTENER, "", 0, router, guard, limits).await
}

/// Tells whose a request is by its token, and where it comes from.
struct ByToken {
    secret: String,
    strays: Arc<Strays>,
}

impl Guard for ByToken {
    fn admit(&self, request: &mut axum::http::Request<Body>, ends: Ends) -> String {
        let who = identify(text_of(request.headers(), header::AUTHORIZATION.as_str()), &self.secret);
        let owner = if who.refusal().is_none() { who.agent.clone() } else { String::new() };
        request.extensions_mut().insert(who);
        request.extensions_mut().insert(ends);
        owner
    }

    fn refused(&self, owner: &str, reason: RefusalReason, request: &str, ends: Ends, sender: Option<Sender>) {
        let agent = Some(owner).filter(|owner| !owner.is_empty());
        let at = chrono::Utc::now();
        self.strays.add(&Stray { listener: LISTENER, reason, claimed: None, agent, sender, example: request, ends, at });
    }

    fn senders(&self, theirs: &[SocketAddr], ours: SocketAddr) -> BTreeMap<SocketAddr, Sender> {
        self.strays.senders(theirs, ours)
    }

    fn refusal(&self, status: StatusCode, message: &str) -> Response {
        said(status, message)
    }
}

async fn answer(
    State(server): State<Arc<Server>>,
    Extension(ends): Extension<Ends>,
    Extension(who): Extension<Identity>,
    request: Request,
) -> Response {
    let (path, query) = (request.uri().path(), request.uri().query());
    let Some(asked) = Asked::read(request.method().as_str(), path, query) else {
        return said(StatusCode::NOT_FOUND, "there is no such address on this server of git repositories");
    };
    let visit = Visit { asked, who, address: ends.0.to_string(), ends };
    match server.visited(visit, request).await {
        Ok(response) => response,
        Err(halt) => said(StatusCode::INTERNAL_SERVER_ERROR, &halt.message),
    }
}

impl Server {
    async fn visited(self: Arc<Self>, visit: Visit, request: Request) -> Result<Response, Halt> {
        let pushes = visit.asked.pack == Pack::Receive;
        if pushes && let Some(why) = visit.who.refusal() {
            return Ok(self.refuse(&visit, why));
        }
        let rig = &visit.asked.rig;
        if pushes && let Some(made) = self.forge.make_for(rig, &visit.who, &visit.address).await? {
            self.enter(made);
        }
        if !self.forge.origin(rig).is_dir() {
            return Ok(said(
                StatusCode::NOT_FOUND,
                &format!("there is no repository {rig}.git; the first push makes one where that is allowed"),
            ));
        }
        let place = self.limits.place(&visit.who.agent).await;
        let (head, body) = request.into_parts();
        let call = cgi::Call::new(&self.forge, &visit.asked, &visit.who.agent, &head.headers);
        if visit.asked.is_advertisement {
            return cgi::streamed(call, None, place).await;
        }
        let taken = match body::take(body, &self.forge.spec().scratch, &self.limits).await? {
            Taken::Whole(file) => file,
            Taken::BrokenOff => return Ok(said(StatusCode::BAD_REQUEST, "the request broke off")),
            Taken::TooLarge(why) if pushes => return Ok(self.refuse(&visit, why)),
            Taken::TooLarge(why) => return Ok(said(StatusCode::PAYLOAD_TOO_LARGE, &why)),
        };
        if !pushes {
            return cgi::streamed(call, Some(taken), place).await;
        }
        // A task of its own: what git has begun is finished and logged, whether the pusher still waits or not.
        let pushing = tokio::spawn(async move {
            let _place = place;
            self.push(&visit, call, taken).await
        });
        pushing.await.map_err(|error| Halt::harness(format!("a push broke off: {error}")))?
    }

    async fn push(&self, visit: &Visit, call: cgi::Call, body: std::fs::File) -> Result<Response, Halt> {
        let (rig, who) = (&visit.asked.rig, &visit.who);
        let _turn = self.forge.turn(rig).await;
        let (before, wanted) = (self.forge.refs(rig).await?, wanted(&body));
        let answered = cgi::whole(call, body, PUSH_LIMIT).await;
        let after = self.forge.refs(rig).await?;
        for row in self.forge.rows(rig, who, &visit.address, &before, &after).await {
            self.enter(row);
        }
        let answer = answered?;
        let said = String::from_utf8_lossy(answer.said());
        for row in self.forge.not_done(rig, who, &visit.address, wanted, &after, &said) {
            self.enter(row);
        }
        Ok(answer.into_response())
    }

    /// A receiver that is gone belongs to a run that has ended.
    fn enter(&self, row: Push) {
        drop(self.log.send(row));
    }

    fn refuse(&self, visit: &Visit, why: String) -> Response {
        let rig = &visit.asked.rig;
        let times = self.refused.lock().unwrap_or_else(PoisonError::into_inner).count(rig, &visit.who);
        if let Some(times) = times {
            let why = if times > 1 { format!("{why} (for the {times}th time)") } else { why.clone() };
            let sender = self.strays.sender(visit.ends).and_then(|sender| sender.agent);
            self.enter(self.forge.refused(rig, &visit.who, &visit.address, why, sender));
        }
        said(StatusCode::FORBIDDEN, &format!("not allowed to push to {rig}.git: {why}"))
    }
}

/// What a push asks for, as far as the beginning of its body says so.
fn wanted(body: &std::fs::File) -> Commands {
    let mut start = vec![0; COMMANDS];
    let read = body.read_at(&mut start, 0).unwrap_or(0);
    commands(&start[..read])
}

fn text_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// An answer in words, which git shows to whoever called it.
fn said(status: StatusCode, text: &str) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    (status, kind, Body::from(format!("{text}\n"))).into_response()
}
