//! `proctor schema`: JSON Schemas, for editors and for programs that read what Proctor writes.

use proctor_harness::scenario;
use proctor_judge::Summary;

use crate::failure::{Failure, code};
use crate::terminal;

/// See [`crate::cli::Command::Schema`].
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  proctor schema scenario > scenario.schema.json")]
pub(crate) struct Args {
    /// Of which file
    of: Of,
}

/// The files that have a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Of {
    /// scenario.toml
    Scenario,
    /// selftest/CASE/case.toml
    Case,
    /// summary.json
    Summary,
}

/// Prints it.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    match args.of {
        Of::Scenario => terminal::print_json(&scenario::scenario_schema())?,
        Of::Case => terminal::print_json(&scenario::case_schema())?,
        Of::Summary => terminal::print_json(&Summary::json_schema())?,
    }
    Ok(code::OK)
}
