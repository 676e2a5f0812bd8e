//! The commands of `proctor`, one file each.

pub(crate) mod attach;
pub(crate) mod clean;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod exercise;
mod fence;
pub(crate) mod finding;
pub(crate) mod judge;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod scenarios;
pub(crate) mod schema;
pub(crate) mod selftest;
pub(crate) mod town;
pub(crate) mod validate;
pub(crate) mod version;
pub(crate) mod view;

use std::path::PathBuf;

use proctor_harness::scenario::spec::{Span, SpanError};

use crate::cli::Command;
use crate::failure::Failure;
use crate::places;

/// A run and where to look for it, shared by every command that takes RUN.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RunArg {
    /// Short id, path of the run's folder, or `latest`
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) reports: ReportsArg,
}

impl RunArg {
    /// The run's folder.
    pub(crate) fn find(&self) -> Result<PathBuf, Failure> {
        places::find_run(&self.run, &self.reports.reports)
    }
}

/// Where the runs' folders lie.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ReportsArg {
    /// Folder of the runs' folders
    #[arg(long, value_name = "DIR", env = "PROCTOR_REPORTS", default_value = "reports")]
    pub(crate) reports: PathBuf,
}

/// A span of time as a flag's value; the error says how one is written.
fn parse_span(text: &str) -> Result<Span, String> {
    text.parse().map_err(|error| format!("{error}\nhint: {}", SpanError::hint()))
}

/// Runs the command; gives the exit code.
pub(crate) fn run(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Judge(args) => judge::run(&args),
        Command::View(args) => view::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Exercise(args) => exercise::run(&args),
        Command::Finding(args) => finding::run(&args),
        Command::Runs(args) => runs::run(&args),
        Command::Attach(args) => attach::run(&args),
        Command::Clean(args) => clean::run(&args),
        Command::Scenarios(args) => scenarios::run(&args),
        Command::Validate(args) => validate::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Selftest(args) => selftest::run(&args),
        Command::Completions(args) => Ok(completions::run(&args)),
        Command::Version(args) => Ok(version::run(&args)),
    }
}

/// The runtime of commands that do several things side by side. Two workers: what waits for the disk has threads of its own, and so has
/// every listener.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    built(tokio::runtime::Builder::new_multi_thread().worker_threads(2))
}

/// The runtime of a single run, all on this thread: with a second one, most of what either does is to wake the other.
pub(crate) fn runtime_of_one() -> Result<tokio::runtime::Runtime, Failure> {
    built(&mut tokio::runtime::Builder::new_current_thread())
}

fn built(builder: &mut tokio::runtime::Builder) -> Result<tokio::runtime::Runtime, Failure> {
    builder.enable_all().build().map_err(|error| Failure::environment(format!("cannot start threads: {error}")))
}
