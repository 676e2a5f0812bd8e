//! The command line: every command and flag, with the words that `--help` shows.

use clap::{Parser, Subcommand};

use crate::commands;

/// Shown at the end of `proctor --help`.
const AFTER_HELP: &str = "\
Examples:
  proctor run crypto-tales                run the shipped scenario on the built-in town, for free
  proctor run ./my-scenario --seed 7      run a scenario of your own
  proctor view latest --open              look at the newest run in the browser
  proctor judge latest                    compute the verdict again from evidence alone

RUN is a run's short id (7k3f), a path to its folder (moved or not), or `latest`.

Exit codes:
    0  done; for a run: passed
  100  the run worked and the verdict is `failed` or `not_landed`
    1  the answer is no (a selftest case was not caught)
    2  usage: command line, scenario file or name
  101  unknown: the evidence does not suffice to tell
  102  environment error: the machine lacks something (Python, disk, port, package index)
  103  provider error: the model provider did not answer usefully
  104  harness error: Proctor or a script of the scenario is at fault
  130  cancelled: Ctrl-C or SIGTERM";

/// Tests multi-agent coding orchestrators: from a prompt to a judged run.
#[derive(Debug, Parser)]
#[command(name = "proctor", version, after_help = AFTER_HELP, max_term_width = 110)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a scenario: the whole cycle, from a fresh town to a verdict
    Run(commands::run::Args),
    /// Compute a run's verdict again from its evidence; nothing is executed
    Judge(commands::judge::Args),
    /// Serve the viewer of a run on this machine
    View(commands::view::Args),
    /// Run one exercise again on what was merged, with its output on the terminal
    Exercise(commands::exercise::Args),
    /// Show what the judge noticed in a run, one finding in full, or as a bug report
    Finding(commands::finding::Args),
    /// Put two runs side by side, such as the same scenario on two towns
    Compare(commands::compare::Args),
    /// List past runs, newest first
    Runs(commands::runs::Args),
    /// Open a shell inside the town that a run kept alive
    Attach(commands::attach::Args),
    /// End and remove what earlier runs left behind
    Clean(commands::clean::Args),
    /// List, export or begin scenarios
    Scenarios(commands::scenarios::Args),
    /// Show every problem of a scenario at once
    Validate(commands::validate::Args),
    /// Print a JSON Schema
    Schema(commands::schema::Args),
    /// Play the sabotaged variants of a scenario and see that each is caught
    Selftest(commands::selftest::Args),
    /// Look at what this machine has of what a run needs; nothing is started
    Doctor(commands::doctor::Args),
    /// Print the completion script of a shell
    Completions(commands::completions::Args),
    /// Print the version and what Proctor finds on this machine
    Version(commands::version::Args),
}
