//! `proctor validate SCENARIO`: every problem of a scenario folder at once.

use crate::failure::{Failure, code};
use crate::scenarios;
use crate::terminal::{self, problems};

/// See [`crate::cli::Command::Validate`].
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  proctor validate ./my-scenario
  proctor validate ./my-scenario --json

Exit codes: 0 no problem; 2 problems.")]
pub(crate) struct Args {
    /// Name of a shipped scenario, or path of a scenario's folder
    #[arg(value_name = "SCENARIO")]
    scenario: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Shows the problems, its selftest cases' included.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let files = scenarios::files(&args.scenario)?;
    let found = match scenarios::read(&files) {
        Ok(scenario) => case_problems(&scenario),
        Err(problems) => problems,
    };
    if args.json {
        let rows: Vec<serde_json::Value> = found.iter().map(as_json).collect();
        terminal::print_json(&rows)?;
    } else if found.is_empty() {
        terminal::print(&format!("{} has no problem\n", args.scenario));
    } else {
        terminal::complain(&problems::draw(&files, found.iter()));
        let noun = if found.len() == 1 { "problem" } else { "problems" };
        terminal::complain(&format!("{} {noun}", found.len()));
    }
    Ok(if found.is_empty() { code::OK } else { code::USAGE })
}

/// A case is laid over the scenario, so that only the result can be read as a whole.
fn case_problems(scenario: &proctor_harness::scenario::Scenario) -> Vec<proctor_harness::scenario::Problem> {
    let laid_over = scenario.cases.keys().filter_map(|name| scenario.with_case(name));
    laid_over.filter_map(Result::err).flatten().collect()
}

fn as_json(problem: &proctor_harness::scenario::Problem) -> serde_json::Value {
    serde_json::json!({
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "length": problem.length,
        "message": problem.message,
        "nearest": problem.nearest,
        "hint": problem.hint,
    })
}
