//! `agent-launch ARGS… BEACON`: the parent of the program that plays the role. It starts the program with the agent's own addresses inside
//! the agent's fence, says so in the run's list of sessions, passes signals on, and ends and names what the agent leaves behind.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use proctor_fence::{Ended, FenceError, Leftover, Status};
use proctor_harness::fence::{LEFT, LeftBehind, REFUSED, agent};
use proctor_harness::launch::{AgentTable, Birth, Launch, LaunchError, SESSIONS_FILE, resolve, session_start};
use proctor_harness::linux;
use serde::Serialize;

use super::{arguments, environment};
use crate::failure::code;

/// How long what an agent left behind may take to end when asked.
const GRACE: Duration = Duration::from_secs(1);

/// Starts the agent and stays until it ended.
pub(super) fn run() -> ExitCode {
    let (launch, table) = match find() {
        Ok(found) => found,
        Err(error) => return refuse(&error.to_string(), error.hint()),
    };
    if let Err(error) = note(&launch) {
        // An agent that works unlisted is worth more than one that does not work; its screen is evidence, too.
        eprintln!("agent-launch: cannot append to {SESSIONS_FILE}: {error}");
    }
    let Some(own) = &table.fence else { return become_it(&launch) };
    match fenced(&launch, own) {
        Ok(ended) => {
            tell(&launch, &ended.leftovers);
            leave_as(ended.status)
        }
        Err(error) => refuse(&error.to_string(), error.hint()),
    }
}

/// Replaces this process by the agent; returns only when that fails.
fn become_it(launch: &Launch) -> ExitCode {
    let error = Command::new(&launch.program).args(&launch.args).env_clear().envs(&launch.env).exec();
    cannot_start(&launch.program, &error.to_string())
}

fn cannot_start(program: &Path, reason: &str) -> ExitCode {
    let message = format!("cannot start {}: {reason}", program.display());
    refuse(&message, Some("name a program that can be executed: --agent ROLE=COMMAND"))
}

fn find() -> Result<(Launch, AgentTable), LaunchError> {
    let table = AgentTable::read(&base_file("agents.json"))?;
    resolve(&environment(), &arguments(), &table).map(|launch| (launch, table))
}

/// Starts the agent inside its fence and waits for its end.
fn fenced(launch: &Launch, own: &agent::AgentFence) -> Result<Ended, FenceError> {
    let base = base().canonicalize().map_err(|error| FenceError::Form(error.to_string()))?;
    let fenced = agent::of(&base, own, &launch.env);
    if let Err(error) = furnish(&fenced) {
        eprintln!("agent-launch: cannot make the agent's own folders: {error}");
    }
    let mut env = launch.env.clone();
    env.extend(fenced.env.clone());
    let command = proctor_fence::Command {
        program: launch.program.clone().into(),
        args: launch.args.iter().map(OsString::from).collect(),
        env: env.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
        cwd: None,
        grace: GRACE,
        clock: chrono::Utc::now,
    };
    proctor_fence::run(&fenced.fence, &command)
}

/// Makes the agent's folders, with the town's settings of git in its home. A second life of an agent finds its own again.
fn furnish(fenced: &agent::Fenced) -> io::Result<()> {
    for folder in &fenced.folders {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match &fenced.git {
        Some((from, to)) if !to.exists() => fs::copy(from, to).map(drop),
        _ => Ok(()),
    }
}

/// Writes down what the agent left behind.
fn tell(launch: &Launch, left: &[Leftover]) {
    let agent = launch.env.get("GT_ROLE").cloned().unwrap_or_default();
    for one in left {
        let row = LeftBehind { agent: agent.clone(), pid: one.pid, command: one.command.clone() };
        if let Err(error) = append(&base().join(REFUSED).join(LEFT), &row) {
            eprintln!("agent-launch: cannot write down that {} was left behind: {error}", one.command);
        }
    }
}

/// Ends this process as the agent ended, since the town sees this one only.
fn leave_as(status: Status) -> ExitCode {
    let signal = match status {
        Status::Code(code) => return ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)),
        Status::Signal(signal) => signal,
    };
    proctor_fence::end_by(signal);
    // Where even that is refused, the code is the one that a shell gives.
    ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX))
}

/// Appends this launch to the run's list of sessions.
fn note(launch: &Launch) -> io::Result<()> {
    let pid = std::process::id();
    let started = linux::process(pid).map_or(0, |process| process.started);
    let birth = Birth { pid, started, at: chrono::Utc::now() };
    append(&base_file(SESSIONS_FILE), &session_start(&environment(), launch, birth))
}

/// Appends a line in one write, so that lines of agents that start at once stay whole.
fn append(file: &Path, row: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(row)?;
    line.push(b'\n');
    OpenOptions::new().append(true).create(true).mode(0o600).open(file)?.write_all(&line)
}

/// The base directory, which holds the `bin` folder that this program was called from; the link itself counts, not its target.
fn base() -> PathBuf {
    let called = std::env::args_os().next().unwrap_or_default();
    let bin = Path::new(&called).parent().unwrap_or(Path::new(""));
    bin.join("..")
}

fn base_file(name: &str) -> PathBuf {
    base().join(name)
}

fn refuse(message: &str, hint: Option<&str>) -> ExitCode {
    eprintln!("agent-launch: {message}");
    if let Some(hint) = hint {
        eprintln!("hint: {hint}");
    }
    ExitCode::from(code::USAGE)
}
