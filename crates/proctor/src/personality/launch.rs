//! `agent-launch ARGS… BEACON`: becomes the program that plays the role, with the agent's own addresses, and says so in the
//! run's list of sessions.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use proctor_harness::launch::{AgentTable, Birth, Launch, LaunchError, SESSIONS_FILE, resolve, session_start};
use proctor_harness::linux;

use super::{arguments, environment};
use crate::failure::code;

/// Replaces this process by the agent; returns only when that fails.
pub(super) fn run() -> ExitCode {
    let launch = match find() {
        Ok(launch) => launch,
        Err(error) => return refuse(&error.to_string(), error.hint()),
    };
    if let Err(error) = note(&launch) {
        // An agent that works unlisted is worth more than one that does not work; its screen is evidence, too.
        eprintln!("agent-launch: cannot append to {SESSIONS_FILE}: {error}");
    }
    let error = Command::new(&launch.program).args(&launch.args).env_clear().envs(&launch.env).exec();
    let message = format!("cannot start {}: {error}", launch.program.display());
    refuse(&message, Some("name a program that can be executed: --agent ROLE=COMMAND"))
}

fn find() -> Result<Launch, LaunchError> {
    let table = AgentTable::read(&base_file("agents.json"))?;
    resolve(&environment(), &arguments(), &table)
}

/// Appends this launch to the run's list of sessions, in one write, so that lines of agents that start at once stay whole.
fn note(launch: &Launch) -> std::io::Result<()> {
    let pid = std::process::id();
    let started = linux::process(pid).map_or(0, |process| process.started);
    let birth = Birth { pid, started, at: chrono::Utc::now() };
    let mut line = serde_json::to_vec(&session_start(&environment(), launch, birth))?;
    line.push(b'\n');
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    options.open(base_file(SESSIONS_FILE))?.write_all(&line)
}

/// A file of the base directory, which holds the `bin` folder that this program was called from; the link itself counts,
/// not its target.
fn base_file(name: &str) -> PathBuf {
    let called = std::env::args_os().next().unwrap_or_default();
    let bin = Path::new(&called).parent().unwrap_or(Path::new(""));
    bin.join("..").join(name)
}

fn refuse(message: &str, hint: Option<&str>) -> ExitCode {
    eprintln!("agent-launch: {message}");
    if let Some(hint) = hint {
        eprintln!("hint: {hint}");
    }
    ExitCode::from(code::USAGE)
}
