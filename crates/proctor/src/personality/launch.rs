//! `agent-launch ARGS… BEACON`: becomes the program that plays the role, with the agent's own addresses.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use proctor_harness::launch::{AgentTable, Launch, LaunchError, resolve};

use super::{arguments, environment};
use crate::failure::code;

/// Replaces this process by the agent; returns only when that fails.
pub(super) fn run() -> ExitCode {
    let launch = match find() {
        Ok(launch) => launch,
        Err(error) => return refuse(&error.to_string(), error.hint()),
    };
    let error = Command::new(&launch.program).args(&launch.args).env_clear().envs(&launch.env).exec();
    let message = format!("cannot start {}: {error}", launch.program.display());
    refuse(&message, Some("name a program that can be executed: --agent ROLE=COMMAND"))
}

fn find() -> Result<Launch, LaunchError> {
    let table = AgentTable::read(&table_path())?;
    resolve(&environment(), &arguments(), &table)
}

/// `agents.json` lies beside the `bin` folder that this program was called from; the link itself counts, not its target.
fn table_path() -> PathBuf {
    let called = std::env::args_os().next().unwrap_or_default();
    let bin = Path::new(&called).parent().unwrap_or(Path::new(""));
    bin.join("../agents.json")
}

fn refuse(message: &str, hint: Option<&str>) -> ExitCode {
    eprintln!("agent-launch: {message}");
    if let Some(hint) = hint {
        eprintln!("hint: {hint}");
    }
    ExitCode::from(code::USAGE)
}
