//! What the daemon is asked on its socket: one JSON line each way.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Daemon;
use super::door::{self, Visit};
use super::identity::Who;
use super::life::Typed;
use super::order::Order;
use crate::caller::short_address;
use crate::error::{Result, TownError, refused, refused_hint};
use crate::launch::Launch;

/// A request. An agent may have a command run and ask whether somebody is there; the rest is for the daemon itself and for
/// whoever owns the town.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum Request {
    /// Whether somebody is there.
    Ping,
    /// Run a command.
    Run(Box<Order>),
    /// Start a session and answer when it is ready.
    Start(Launch),
    /// End a session.
    End {
        /// Which.
        session: String,
        /// What its row will say.
        reason: String,
    },
    /// Type a text into a session.
    Type {
        /// Which.
        session: String,
        /// What.
        text: String,
        /// Whether to wait for the prompt instead of typing now.
        when_idle: bool,
    },
    /// Hand over the texts that wait for a session's prompt.
    Drain {
        /// Which.
        session: String,
    },
    /// Something was submitted to a rig's merge queue.
    Merge {
        /// Which rig.
        rig: String,
    },
    /// End every session, then the daemon.
    Shutdown {
        /// What the sessions' rows will say.
        reason: String,
    },
}

/// Reads one request and answers it.
pub(super) fn answer(daemon: &Arc<Daemon>, stream: &UnixStream, visit: &Visit) -> Result<()> {
    let line = match door::request(stream) {
        Ok(line) if line.is_empty() => return Ok(()),
        Ok(line) => line,
        // Nobody waits for an answer to a request that its sender gave up.
        Err(door::Unread::CutOff) => return Ok(()),
        Err(error) => {
            door::turn_away(stream, &error.to_string());
            return refused(error.to_string());
        }
    };
    let request = match serde_json::from_slice::<Request>(&line) {
        Ok(request) => request,
        Err(error) => {
            door::turn_away(stream, &format!("request: {error}"));
            return Err(TownError::json("request")(error));
        }
    };
    let last = matches!(request, Request::Shutdown { .. });
    let result = allowed(&visit.who, &request).and_then(|()| handle_for(daemon, request, visit));
    let stops = last && result.is_ok();
    let reply = match result {
        Ok(value) => json!({ "ok": value }),
        Err(error) => json!({ "error": error.to_string(), "hint": error.hint() }),
    };
    let sent = door::reply(stream, &reply.to_string()).map_err(TownError::io(Path::new("daemon.sock")));
    if stops {
        daemon.stop();
    }
    sent
}

fn allowed(who: &Who, request: &Request) -> Result<()> {
    match (who, request) {
        (Who::Operator, _) | (_, Request::Ping | Request::Run(_)) => Ok(()),
        (Who::Agent(agent), Request::Shutdown { .. }) => refused_hint(
            format!("agents cannot end the town (you are {})", short_address(&agent.agent)),
            "end your own work: gt done, then exit",
        ),
        (Who::Agent(agent), _) => refused(format!("{} may only have commands run", short_address(&agent.agent))),
    }
}

fn handle_for(daemon: &Arc<Daemon>, request: Request, visit: &Visit) -> Result<Value> {
    match request {
        // Who is gone by now waits for nothing: its command is not run behind its back.
        Request::Run(_) if !visit.peer.waits() => refused("the calling process had ended"),
        Request::Run(order) => {
            let answer = daemon.run(&visit.who, visit.peer.pid, *order);
            serde_json::to_value(answer).map_err(TownError::json("answer"))
        }
        request => handle(daemon, &request),
    }
}

/// Does what the daemon itself, or its owner, asks for.
pub(super) fn handle(daemon: &Arc<Daemon>, request: &Request) -> Result<Value> {
    match request {
        Request::Ping => Ok(json!({ "pid": std::process::id() })),
        Request::Run(_) => refused("a command does not run commands"),
        Request::Start(launch) => daemon.start(launch),
        Request::End { session, reason } => match daemon.life(session) {
            Some(life) => {
                life.end(reason);
                Ok(json!({}))
            }
            None => refused(format!("session {session} is not running")),
        },
        Request::Type { session, text, when_idle } => daemon.type_into(session, text, *when_idle),
        Request::Drain { session } => {
            let texts = daemon.life(session).map(|life| life.drain()).unwrap_or_default();
            Ok(json!({ "texts": texts }))
        }
        Request::Merge { rig } => {
            daemon.wake_queue(rig);
            Ok(json!({}))
        }
        Request::Shutdown { reason } => {
            daemon.end_all(reason);
            Ok(json!({}))
        }
    }
}

impl Daemon {
    fn type_into(&self, session: &str, text: &str, when_idle: bool) -> Result<Value> {
        let Some(life) = self.life(session) else { return refused(format!("session {session} is not running")) };
        match life.send(text, when_idle)? {
            Typed::Now => Ok(json!({ "typed": true })),
            Typed::Later => Ok(json!({ "typed": false })),
        }
    }
}
