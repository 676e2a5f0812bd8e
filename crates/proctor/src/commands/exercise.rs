//! `proctor exercise RUN NAME`: runs one exercise again on what was merged, and shows what it did.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use proctor_harness::cycle::Cancel;
use proctor_harness::exercise::{self, Again};
use proctor_harness::scenario::Scenario;
use proctor_judge::evidence::{ExerciseRecord, RunRecord, StepRecord};
use proctor_judge::visible_line;

use super::RunArg;
use super::fence::FenceChoice;
use crate::failure::{Failure, code, file_error};
use crate::personality::environment;
use crate::{places, scenarios, signals, terminal};

/// See [`crate::cli::Command::Exercise`].
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  proctor exercise latest bob.signature_bit
  proctor exercise 7k3f alice --scenario ./my-scenario

Evidence is not changed. The exit code is 0 when the exercise could be run, whatever it showed.")]
pub(crate) struct Args {
    #[command(flatten)]
    run: RunArg,
    /// The exercise's name, as in the report
    #[arg(value_name = "NAME")]
    name: String,
    /// Take the exercise from this scenario instead of the run's
    #[arg(long, value_name = "SCENARIO")]
    scenario: Option<String>,
    /// Python interpreter that already has the packages
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    #[command(flatten)]
    fence: FenceChoice,
    /// Print the record as JSON
    #[arg(long)]
    json: bool,
}

/// Runs it in a fresh folder of the cache, which is removed afterwards.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let run_dir = args.run.find()?;
    let scenario = scenario_of(args, &run_dir)?;
    let cache = places::cache()?;
    let work = cache.join("exercises").join(uuid::Uuid::new_v4().to_string());
    let proctor =
        std::env::current_exe().map_err(|error| Failure::environment(format!("cannot find the running program: {error}")))?;
    let cancel = Cancel::new();
    signals::watch(&cancel)?;
    let again = Again {
        scenario: &scenario,
        evidence: &run_dir.join("evidence"),
        cache: &cache,
        python: args.python.as_deref(),
        environment: &environment(),
        work: work.clone(),
        fence: args.fence.mode(),
        proctor,
        secret: uuid::Uuid::new_v4().to_string(),
        clock: Arc::new(chrono::Utc::now),
    };
    let record = super::runtime()?.block_on(exercise::again(again, &args.name, &cancel));
    proctor_harness::untrusted::remove(&work).map_err(|error| file_error("cannot remove", &work, &error))?;
    show(&record?, args.json)?;
    Ok(code::OK)
}

/// The run's own scenario by its name, unless another is named.
fn scenario_of(args: &Args, run_dir: &Path) -> Result<Scenario, Failure> {
    if let Some(named) = &args.scenario {
        return scenarios::load(named);
    }
    let path = run_dir.join("evidence/run.json");
    let bytes = std::fs::read(&path).map_err(|error| file_error("cannot read", &path, &error))?;
    let record: RunRecord =
        serde_json::from_slice(&bytes).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    scenarios::load(&record.scenario)
        .map_err(|failure| failure.maybe_hint(Some("name the folder of the run's scenario: --scenario DIR".to_owned())))
}

fn show(record: &ExerciseRecord, json: bool) -> Result<(), Failure> {
    if json {
        return terminal::print_json(record);
    }
    let mut text = format!("{} — {}\n", record.name, record.title);
    if let Some(why) = &record.not_done {
        text.push_str(&format!("  not done: {why}\n"));
    }
    for step in &record.steps {
        text.push_str(&show_step(step));
    }
    terminal::print(&text);
    Ok(())
}

fn show_step(step: &StepRecord) -> String {
    let ended = match (step.exit, &step.ended) {
        (Some(exit), _) => format!("exit {exit}"),
        (None, Some(ended)) => ended.clone(),
        (None, None) => "did not end".to_owned(),
    };
    let mut text = format!("\n{}: {}\n", step.name, visible_line(&step.command.join(" ")));
    for (name, stream) in [("out", &step.stdout), ("err", &step.stderr)] {
        for line in stream.lines() {
            text.push_str(&format!("  {name} | {}\n", visible_line(line)));
        }
    }
    text.push_str(&format!("  {ended} after {:.0} ms\n", step.duration_ms));
    text
}
