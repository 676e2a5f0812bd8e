//! Proctor's edge: the only place that reads the environment, prints, binds ports and exits.
//!
//! One binary plays several programs. Called as `gt` or `bd` it is the built-in town's command line, as
//! `proctor-agent` the built-in agent, as `agent-launch` what starts an agent program; under any other name it is `proctor`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this crate is the edge, the one place that prints"
)]

mod failure;
mod personality;
mod telemetry;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let called = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&called)
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    match personality::run(&name) {
        Some(code) => code,
        None => ExitCode::from(failure::code::OK),
    }
}
