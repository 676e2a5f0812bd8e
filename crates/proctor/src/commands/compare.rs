//! `proctor compare RUN RUN`: two runs side by side.

use super::ReportsArg;
use crate::failure::{Failure, code};
use crate::places;
use crate::terminal::{self, Screen};

/// See [`crate::cli::Command::Compare`].
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  proctor compare 7k3f latest
  proctor compare 7k3f 9t8w --markdown > comparison.md
  proctor compare 7k3f 9t8w --json | jq .phases

What both have in common is left out. Both runs are judged anew from their evidence; nothing is written.
The exit code is 0 whatever the verdicts are.")]
pub(crate) struct Args {
    /// Short id, path of the run's folder, or `latest`
    #[arg(value_name = "RUN")]
    first: String,
    /// The run to put beside it
    #[arg(value_name = "RUN")]
    second: String,
    #[command(flatten)]
    reports: ReportsArg,
    /// Print Markdown
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Reads both and prints what differs.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let find = |named: &str| places::find_run(named, &args.reports.reports);
    let comparison = proctor_judge::compare(&find(&args.first)?, &find(&args.second)?)?;
    if args.json {
        terminal::print_json(&comparison)?;
    } else if args.markdown {
        terminal::print(&proctor_judge::compare::markdown(&comparison));
    } else {
        let screen = Screen::of_stdout();
        terminal::print(&proctor_judge::terminal::comparison(&comparison, screen.style(), screen.width));
    }
    Ok(code::OK)
}
