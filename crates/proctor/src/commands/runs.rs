//! `proctor runs`: past runs, newest first; `--keep N` removes the older ones.

use proctor_harness::runs::{self, PastRun};

use super::ReportsArg;
use crate::failure::{Failure, code, file_error};
use crate::terminal::table::Table;
use crate::terminal::{self, phases};

/// See [`crate::cli::Command::Runs`].
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  proctor runs
  proctor runs --keep 20       remove all but the newest 20
  proctor runs --json | jq '.[0].folder'")]
pub(crate) struct Args {
    #[command(flatten)]
    reports: ReportsArg,
    /// Remove all but the newest N runs
    #[arg(long, value_name = "N")]
    keep: Option<usize>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Lists, or removes and says what.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let reports = &args.reports.reports;
    if let Some(keep) = args.keep {
        let removed = runs::prune(reports, keep).map_err(|error| file_error("cannot remove runs in", reports, &error))?;
        show(&removed, args.json, "removed nothing")?;
        return Ok(code::OK);
    }
    let found = runs::list(reports).map_err(|error| file_error("cannot read", reports, &error))?;
    let nothing = format!("no runs in {}; start one: proctor run crypto-tales", reports.display());
    show(&found, args.json, &nothing)?;
    Ok(code::OK)
}

fn show(runs: &[PastRun], json: bool, nothing: &str) -> Result<(), Failure> {
    if json {
        let rows: Vec<serde_json::Value> = runs.iter().map(as_json).collect();
        return terminal::print_json(&rows);
    }
    if runs.is_empty() {
        terminal::print(&format!("{nothing}\n"));
        return Ok(());
    }
    let mut table = Table::new(&["run", "began (UTC)", "scenario", "outcome", "took", "folder"]);
    for run in runs {
        table.row(vec![
            run.id.clone(),
            run.started_at.format("%Y-%m-%d %H:%M:%S").to_string(),
            run.scenario.clone(),
            run.outcome.replace('_', " "),
            run.duration_s.map_or_else(|| "–".to_owned(), phases::duration),
            terminal::relative(&run.folder).display().to_string(),
        ]);
    }
    terminal::print(&table.render());
    Ok(())
}

fn as_json(run: &PastRun) -> serde_json::Value {
    serde_json::json!({
        "id": run.id,
        "started_at": run.started_at,
        "scenario": run.scenario,
        "outcome": run.outcome,
        "duration_s": run.duration_s,
        "folder": run.folder,
    })
}
