//! `proctor scenarios`: lists what ships, copies a shipped one out, begins a new one.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use proctor_harness::scenario::{self, Files};

use crate::commands::run::quoted;
use crate::failure::{Failure, code, file_error};
use crate::terminal::table::Table;
use crate::{scenarios, terminal};

/// See [`crate::cli::Command::Scenarios`].
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  proctor scenarios
  proctor scenarios export crypto-tales ./my-tales
  proctor scenarios new ./my-scenario")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

/// What to do with scenarios.
#[derive(Debug, Subcommand)]
enum Action {
    /// List the shipped scenarios
    List,
    /// Copy a shipped scenario into a new folder
    Export {
        /// Its name
        name: String,
        /// The folder, which must not exist or be empty
        dir: PathBuf,
    },
    /// Begin a scenario: a small one that runs and passes
    New {
        /// The folder, which must not exist or be empty; its name becomes the scenario's
        dir: PathBuf,
    },
}

/// Does it.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    match args.action.as_ref().unwrap_or(&Action::List) {
        Action::List => list()?,
        Action::Export { name, dir } => {
            let files = scenarios::shipped(name).ok_or_else(|| not_shipped(name))?;
            write(&files, dir)?;
        }
        Action::New { dir } => write(&scenario::template(&name_of(dir)?), dir)?,
    }
    Ok(code::OK)
}

fn list() -> Result<(), Failure> {
    let mut table = Table::new(&["name", "title", "checks", "exercises", "selftest cases"]);
    for name in scenarios::shipped_names() {
        let scenario = scenarios::load(name)?;
        table.row(vec![
            name.to_owned(),
            scenario.spec.title.clone(),
            scenario.spec.check.len().to_string(),
            scenario.spec.exercise.len().to_string(),
            scenario.cases.len().to_string(),
        ]);
    }
    terminal::print(&table.render());
    Ok(())
}

fn not_shipped(name: &str) -> Failure {
    match scenarios::files(name) {
        Ok(_) => Failure::usage(format!("`{name}` is no shipped scenario")),
        Err(failure) => failure,
    }
}

fn write(files: &Files, dir: &Path) -> Result<(), Failure> {
    let is_used = dir.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    if is_used || dir.is_file() {
        return Err(Failure::usage(format!("{} exists already", dir.display())).hint("name a new folder"));
    }
    files.write_to(dir).map_err(|error| file_error("cannot write", dir, &error))?;
    terminal::print(&format!("wrote {0}; run it: proctor run {1}\n", dir.display(), quoted(&as_path(dir))));
    Ok(())
}

/// The folder as a word that cannot be taken for a shipped name.
fn as_path(dir: &Path) -> String {
    let text = dir.display().to_string();
    if text.contains('/') { text } else { format!("./{text}") }
}

/// The folder's own name, as a scenario may be called.
fn name_of(dir: &Path) -> Result<String, Failure> {
    let absolute = std::path::absolute(dir).map_err(|error| file_error("cannot use", dir, &error))?;
    let name = absolute.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let name = name.trim_matches('-').to_owned();
    if name.is_empty() {
        return Err(Failure::usage(format!("{} gives no name for a scenario", dir.display()))
            .hint("name a folder with letters or digits in its name"));
    }
    Ok(name)
}
