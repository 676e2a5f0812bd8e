//! `proctor exercise RUN ID`: runs one exercise again on what was merged, and shows what it did.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use proctor_harness::cycle::Cancel;
use proctor_harness::exercise::{self, Again, KeptError};
use proctor_harness::scenario::Scenario;
use proctor_judge::evidence::{ExerciseRecord, StepRecord};
use proctor_judge::plan::CheckKind;
use proctor_judge::visible_line;

use super::RunArg;
use super::fence::FenceChoice;
use crate::failure::{Failure, code, file_error};
use crate::personality::environment;
use crate::places::nearest;
use crate::{places, scenarios, signals, terminal};

/// See [`crate::cli::Command::Exercise`].
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  proctor exercise latest bob.signature_bit
  proctor exercise 7k3f alice --scenario ./my-scenario    with checks that were changed since

The exercise and its checks' programs are those that the run kept in its evidence, which is not changed. The exit code is 0 when the exercise could be run, whatever it showed.")]
pub(crate) struct Args {
    #[command(flatten)]
    run: RunArg,
    /// The exercise's name, as in the report, or the id of a check on it
    #[arg(value_name = "ID")]
    name: String,
    /// Take the exercise from this scenario instead of the run's evidence
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
    let name = named(&scenario, &args.name)?;
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
    let record = super::runtime()?.block_on(exercise::again(again, name, &cancel));
    proctor_harness::untrusted::remove(&work).map_err(|error| file_error("cannot remove", &work, &error))?;
    show(&record?, args.json)?;
    Ok(code::OK)
}

/// What the run kept of its scenario, unless another is named.
fn scenario_of(args: &Args, run_dir: &Path) -> Result<Scenario, Failure> {
    if let Some(named) = &args.scenario {
        return scenarios::load(named);
    }
    exercise::kept(&run_dir.join("evidence")).map_err(|error| {
        let hint = "name the folder of the run's scenario: --scenario DIR";
        match &error {
            KeptError::Read(path, why) => file_error("cannot read", path, why),
            KeptError::Nothing(_) | KeptError::Form(..) => Failure::usage(error.to_string()).hint(hint),
        }
    })
}

/// The name of the exercise that is meant: its own, or that of a check on it.
fn named<'s>(scenario: &'s Scenario, id: &'s str) -> Result<&'s str, Failure> {
    let names = || scenario.spec.exercise.iter().map(|exercise| exercise.name.as_str());
    if names().any(|name| name == id) {
        return Ok(id);
    }
    let checked = scenario.spec.check.iter().find_map(|check| match &check.kind {
        CheckKind::Exercise(about) if check.id == id => Some(about.exercise.as_str()),
        _ => None,
    });
    checked.ok_or_else(|| {
        let failure = Failure::usage(format!("the run has no exercise `{id}`"));
        let known: Vec<&str> = names().collect();
        match (nearest(id, names()), known.is_empty()) {
            (_, true) => failure.hint(format!("the scenario `{}` has no exercises", scenario.spec.name)),
            (Some(near), _) => failure.hint(format!("did you mean `{near}`? known: {}", known.join(", "))),
            (None, _) => failure.hint(format!("known: {}", known.join(", "))),
        }
    })
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
