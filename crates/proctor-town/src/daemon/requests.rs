//! What the daemon is asked on its socket: one JSON line each way.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Daemon;
use super::life::Typed;
use crate::error::{Result, TownError, refused};
use crate::launch::Launch;

/// A request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum Request {
    /// Whether somebody is there.
    Ping,
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
pub(super) fn answer(daemon: &Arc<Daemon>, stream: &UnixStream) -> Result<()> {
    let mut line = String::new();
    let here = Path::new("daemon.sock");
    BufReader::new(stream).read_line(&mut line).map_err(TownError::io(here))?;
    if line.is_empty() {
        return Ok(());
    }
    let request: Request = serde_json::from_str(&line).map_err(TownError::json("request"))?;
    let last = matches!(request, Request::Shutdown { .. });
    let reply = match handle(daemon, request) {
        Ok(value) => json!({ "ok": value }),
        Err(error) => json!({ "error": error.to_string() }),
    };
    let mut out = stream;
    let sent = writeln!(out, "{reply}").map_err(TownError::io(here));
    if last {
        daemon.stop();
    }
    sent
}

fn handle(daemon: &Arc<Daemon>, request: Request) -> Result<Value> {
    match request {
        Request::Ping => Ok(json!({ "pid": std::process::id() })),
        Request::Start(launch) => daemon.start(&launch),
        Request::End { session, reason } => match daemon.life(&session) {
            Some(life) => {
                life.end(&reason);
                Ok(json!({}))
            }
            None => refused(format!("session {session} is not running")),
        },
        Request::Type { session, text, when_idle } => daemon.type_into(&session, &text, when_idle),
        Request::Drain { session } => {
            let texts = daemon.life(&session).map(|life| life.drain()).unwrap_or_default();
            Ok(json!({ "texts": texts }))
        }
        Request::Merge { rig } => {
            daemon.wake_queue(&rig);
            Ok(json!({}))
        }
        Request::Shutdown { reason } => {
            daemon.end_all(&reason);
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
