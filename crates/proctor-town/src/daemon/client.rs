//! Asking the daemon, and starting it when it is not there.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::order::{Answer, Order};
use super::{file, requests};
use crate::caller::Caller;
use crate::error::{Result, TownError};
use crate::launch::without_identity;
use crate::processes;
use crate::town::Town;

pub(crate) use super::requests::Request as Ask;

/// How long a new daemon may take until it answers; it takes milliseconds.
const START: Duration = Duration::from_secs(10);

/// Asks the daemon of a town; [`TownError::Daemon`] when none runs or it refuses. A command that the daemon runs itself asks
/// without a detour.
pub(crate) fn ask(town: &Town, request: &Ask) -> Result<Value> {
    match &town.caller.daemon {
        Some(daemon) => {
            requests::handle(daemon, request).map_err(|error| TownError::Refused { message: error.to_string(), hint: None })
        }
        None => ask_at(&town.root, request),
    }
}

/// [`ask`], from outside the daemon.
pub(crate) fn ask_at(root: &Path, request: &Ask) -> Result<Value> {
    let Ok(stream) = UnixStream::connect(file(root, "daemon.sock")) else {
        return Err(TownError::Daemon("not running".to_string()));
    };
    exchange(stream, root, request)
}

/// What the daemon says.
#[derive(Deserialize)]
struct Reply<T> {
    ok: Option<T>,
    error: Option<String>,
    hint: Option<String>,
}

fn exchange<T: for<'de> Deserialize<'de>>(mut stream: UnixStream, root: &Path, request: &Ask) -> Result<T> {
    let socket = file(root, "daemon.sock");
    let mut line = serde_json::to_vec(request).map_err(TownError::json("request"))?;
    line.push(b'\n');
    // A daemon that turns somebody away does not read on; what it said can still be read.
    let sent = stream.write_all(&line);
    let mut reply = String::new();
    let read = BufReader::new(stream).read_line(&mut reply);
    if reply.is_empty() {
        sent.and(read.map(drop)).map_err(TownError::io(&socket))?;
        return Err(TownError::Daemon("it ended before it answered".to_string()));
    }
    let reply: Reply<T> = serde_json::from_str(&reply).map_err(TownError::json("reply"))?;
    match (reply.ok, reply.error) {
        (Some(value), _) => Ok(value),
        (None, error) => Err(TownError::Refused { message: error.unwrap_or_default(), hint: reply.hint }),
    }
}

/// Has the daemon run a command; `None` when no daemon answers.
pub(crate) fn run(root: &Path, order: Order) -> Result<Option<Answer>> {
    match UnixStream::connect(file(root, "daemon.sock")) {
        Ok(stream) => exchange(stream, root, &Ask::Run(Box::new(order))).map(Some),
        Err(_) => Ok(None),
    }
}

/// Process id of the running daemon.
pub(crate) fn running(town: &Town) -> Option<u32> {
    pid(ask(town, &Ask::Ping).ok()?)
}

/// [`running`], from outside the daemon.
pub(crate) fn running_at(root: &Path) -> Option<u32> {
    pid(ask_at(root, &Ask::Ping).ok()?)
}

fn pid(reply: Value) -> Option<u32> {
    reply["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok())
}

/// Starts the daemon unless it runs; gives its process id and whether it was started now.
pub(crate) fn ensure(town: &Town) -> Result<(u32, bool)> {
    match &town.caller.daemon {
        Some(_) => Ok((std::process::id(), false)),
        None => ensure_at(&town.root, &town.caller),
    }
}

fn ensure_at(root: &Path, caller: &Caller) -> Result<(u32, bool)> {
    if let Some(pid) = running_at(root) {
        return Ok((pid, false));
    }
    let path = caller.var("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin");
    let Some(gt) = processes::which("gt", path) else {
        return Err(TownError::Daemon(format!("no `gt` on PATH ({path}) to start it with")));
    };
    let env: BTreeMap<String, String> = without_identity(&caller.env);
    let mut command = Command::new(gt);
    command.args(["daemon", "run"]).env_clear().envs(env).env("GT_TOWN_ROOT", root);
    command.current_dir(root).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // A group of its own: a signal typed at the caller's terminal is not meant for the daemon.
    let started = command.process_group(0).spawn();
    started.map_err(|error| TownError::Daemon(format!("could not be started: {error}")))?;
    if processes::wait_until(START, || running_at(root).is_some()) {
        return Ok((running_at(root).unwrap_or_default(), true));
    }
    Err(TownError::Daemon(format!("did not answer within {} s", START.as_secs())))
}
