//! Proctor's edge: the only place that reads the environment, prints, binds ports and exits.
//!
//! One binary plays several programs. Called as `gt` or `bd` it is the built-in town's command line, as
//! `proctor-agent` the built-in agent, as `agent-launch` what starts an agent program; under any other name it is `proctor`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this crate is the edge, the one place that prints")]

mod canary;
mod cli;
mod commands;
mod failure;
mod inherited;
mod namespace;
mod personality;
mod places;
mod play;
mod scenarios;
mod services;
mod signals;
mod telemetry;
mod terminal;
mod view_api;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let called = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&called).file_name().unwrap_or_default().to_string_lossy();
    inherited::settle(&name);
    personality::run(&name).unwrap_or_else(proctor)
}

/// The command line of `proctor` itself. A panic is a defect of Proctor and ends with the code that says so.
fn proctor() -> ExitCode {
    let command = cli::Cli::parse().command;
    proctor_harness::linux::raise_descriptor_limit();
    let outcome = std::panic::catch_unwind(|| inherited::folder_is_there().and_then(|()| commands::run(command)));
    ExitCode::from(match outcome {
        Ok(Ok(code)) => code,
        Ok(Err(failure)) => {
            terminal::complain(&failure.to_string());
            failure.code
        }
        Err(_) => {
            eprintln!("error: proctor failed; the lines above say where");
            eprintln!("hint: please report them; `proctor clean` removes what the run left");
            failure::code::harness()
        }
    })
}
