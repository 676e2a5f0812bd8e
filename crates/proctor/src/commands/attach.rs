//! `proctor attach RUN`: a shell inside a town that was kept alive, where `gt` and `bd` mean that town.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use proctor_harness::runs;
use proctor_judge::evidence::RunRecord;

use super::RunArg;
use crate::failure::{Failure, file_error};
use crate::{places, terminal};

/// See [`crate::cli::Command::Attach`].
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  proctor attach 7k3f
  proctor attach latest -- gt agents list

A town is kept with `proctor run … --keep-town`, and ended with `proctor clean`.")]
pub(crate) struct Args {
    #[command(flatten)]
    run: RunArg,
    /// Command to run instead of a shell
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Becomes the shell or the command.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let id = short_id(args)?;
    let attach = runs::attach(&places::cache()?, &id).ok_or_else(|| {
        Failure::usage(format!("nothing is left of run `{id}`'s town")).hint("keep it with: proctor run SCENARIO --keep-town")
    })?;
    let state = if attach.alive { "its daemon runs" } else { "its processes have ended" };
    if args.command.is_empty() {
        terminal::print(&format!("the town of run {id} ({state}): {}\n", attach.town.display()));
    }
    let (program, rest) = match args.command.split_first() {
        Some((program, rest)) => (PathBuf::from(program), rest),
        None => (shell(), [].as_slice()),
    };
    let program = on_path(&program, &attach.environment);
    let error = Command::new(&program).args(rest).env_clear().envs(attach.environment).current_dir(&attach.town).exec();
    Err(Failure::usage(format!("cannot start {}: {error}", program.display())))
}

/// The run's short id; a town outlives its report, so that an id without a report is one too.
fn short_id(args: &Args) -> Result<String, Failure> {
    let Ok(run_dir) = args.run.find() else {
        return Ok(args.run.run.clone());
    };
    let path = run_dir.join("evidence/run.json");
    let bytes = std::fs::read(&path).map_err(|error| file_error("cannot read", &path, &error))?;
    let record: RunRecord =
        serde_json::from_slice(&bytes).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    Ok(record.id)
}

fn shell() -> PathBuf {
    std::env::var_os("SHELL").map_or_else(|| PathBuf::from("/bin/sh"), PathBuf::from)
}

/// `exec` looks on the caller's `PATH`, but `gt` is on the town's.
fn on_path(program: &std::path::Path, environment: &[(String, String)]) -> PathBuf {
    let path = environment.iter().find(|(key, _)| key == "PATH");
    let folders = path.map(|(_, folders)| std::env::split_paths(folders).collect::<Vec<_>>());
    let found = folders.unwrap_or_default().into_iter().map(|folder| folder.join(program));
    match program.components().count() {
        1 => found.into_iter().find(|file| file.is_file()).unwrap_or_else(|| program.to_owned()),
        _ => program.to_owned(),
    }
}
