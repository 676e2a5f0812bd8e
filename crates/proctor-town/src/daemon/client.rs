//! Asking the daemon, and starting it when it is not there.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::file;
use super::requests::Request;
use crate::error::{Result, TownError};
use crate::launch::without_identity;
use crate::processes;
use crate::town::Town;

pub(crate) use super::requests::Request as Ask;

/// How long a new daemon may take until it answers; it takes milliseconds.
const START: Duration = Duration::from_secs(10);

/// Asks the daemon of a town; [`TownError::Daemon`] when none runs or it refuses.
pub(crate) fn ask(town: &Town, request: &Request) -> Result<Value> {
    let socket = file(&town.root, "daemon.sock");
    let Ok(mut stream) = UnixStream::connect(&socket) else {
        return Err(TownError::Daemon("not running".to_string()));
    };
    let line = serde_json::to_string(request).map_err(TownError::json("request"))?;
    writeln!(stream, "{line}").map_err(TownError::io(&socket))?;
    let mut reply = String::new();
    BufReader::new(stream).read_line(&mut reply).map_err(TownError::io(&socket))?;
    if reply.is_empty() {
        return Err(TownError::Daemon("it ended before it answered".to_string()));
    }
    let mut reply: Value = serde_json::from_str(&reply).map_err(TownError::json("reply"))?;
    match reply.get("error").and_then(Value::as_str) {
        Some(error) => Err(TownError::Refused { message: error.to_string(), hint: None }),
        None => Ok(reply["ok"].take()),
    }
}

/// Process id of the running daemon.
pub(crate) fn running(town: &Town) -> Option<u32> {
    let reply = ask(town, &Request::Ping).ok()?;
    reply["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok())
}

/// Starts the daemon unless it runs; gives its process id and whether it was started now.
pub(crate) fn ensure(town: &Town) -> Result<(u32, bool)> {
    if let Some(pid) = running(town) {
        return Ok((pid, false));
    }
    let path = town.caller.var("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin");
    let Some(gt) = processes::which("gt", path) else {
        return Err(TownError::Daemon(format!("no `gt` on PATH ({path}) to start it with")));
    };
    let mut command = Command::new(gt);
    command.args(["daemon", "run"]).env_clear().envs(without_identity(&town.caller.env)).env("GT_TOWN_ROOT", &town.root);
    command.current_dir(&town.root).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // A group of its own: a signal typed at the caller's terminal is not meant for the daemon.
    let started = command.process_group(0).spawn();
    started.map_err(|error| TownError::Daemon(format!("could not be started: {error}")))?;
    if processes::wait_until(START, || running(town).is_some()) {
        return Ok((running(town).unwrap_or_default(), true));
    }
    Err(TownError::Daemon(format!("did not answer within {} s", START.as_secs())))
}
