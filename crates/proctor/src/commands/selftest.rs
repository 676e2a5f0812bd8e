//! `proctor selftest`: plays the sabotaged variants of a scenario and compares each verdict with what must come of it.

mod answers;
mod attacks;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proctor_harness::cycle::Cancel;
use proctor_harness::namespace::Namespace;
use proctor_harness::scenario::spec::Span;
use proctor_harness::scenario::{Expect, Scenario};
use proctor_harness::town::TownKind;
use proctor_judge::evidence::FenceMode;

use super::fence::FenceChoice;
use super::parse_span;
use super::run::{programs_folder, quoted};
use super::town::TownChoice;
use crate::failure::{Failure, code};
use crate::namespace::{self, Place};
use crate::personality::environment;
use crate::places::nearest;
use crate::play::{Choice, Played, play};
use crate::services::Ports;
use crate::terminal::phases::RunDisplay;
use crate::terminal::table::Table;
use crate::{scenarios, signals, terminal};
use answers::Answer;
use attacks::{Attack, Watch};

/// See [`crate::cli::Command::Selftest`].
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  proctor selftest                               every case of crypto-tales
  proctor selftest bob-constant worker-hangs     two of them
  proctor selftest --clean 50                    50 clean runs, all of which must pass
  proctor selftest --scenario ./my-scenario --jobs 4
  proctor selftest worker-killed --town gastown --merge direct
  proctor selftest --clean 10 --town gastown     ten fresh towns of the real Gas Town
  proctor selftest --town gastown --jobs 3 --timeout 15m
  proctor selftest --attacks --jobs 2            agents and deliverables that attack the verdict
  proctor selftest --attacks --list              what they do, and what must come of it

Exit codes: 0 every case came out as it must; 1 one did not.")]
pub(crate) struct Args {
    /// Cases to play [default: all]
    #[arg(value_name = "CASE")]
    cases: Vec<String>,
    /// Name of a shipped scenario, or path of a scenario's folder [default: crypto-tales; with --attacks: attacks]
    #[arg(long, value_name = "SCENARIO")]
    scenario: Option<String>,
    /// Play attacks on the verdict: beside each run stand canaries of the operator's, which nothing may reach
    #[arg(long, conflicts_with = "clean")]
    attacks: bool,
    /// List the cases and what must come of each; play none
    #[arg(long, conflicts_with = "clean")]
    list: bool,
    /// Play the unchanged scenario so many times instead; every run must pass
    #[arg(long, value_name = "N", conflicts_with = "cases")]
    clean: Option<u32>,
    #[command(flatten)]
    town: TownChoice,
    #[command(flatten)]
    fence: FenceChoice,
    /// Runs at the same time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    jobs: u32,
    /// No run waits longer than this for landing, such as 90s, 10m [default: as long as its case says]
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    timeout: Option<Span>,
    /// Python interpreter that already has the packages
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Folder of the runs' folders
    #[arg(long, value_name = "DIR", default_value = "reports/selftest")]
    reports: PathBuf,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

const DEFAULT_SCENARIO: &str = "crypto-tales";
const ATTACKS_SCENARIO: &str = "attacks";
/// The least time that a case gets for landing in the real Gas Town, where a run on a quiet machine lands after a minute and a half.
const GASTOWN_LANDING: Duration = Duration::from_secs(240);

impl Args {
    /// The scenario whose cases are played.
    fn scenario(&self) -> &str {
        self.scenario.as_deref().unwrap_or(if self.attacks { ATTACKS_SCENARIO } else { DEFAULT_SCENARIO })
    }

    /// The command that plays one case.
    fn one_case(&self, name: &str) -> String {
        let attacks = if self.attacks { " --attacks" } else { "" };
        let scenario = self.scenario.as_deref().map(|named| format!(" --scenario {}", quoted(named))).unwrap_or_default();
        self.repeating(&format!("proctor selftest{attacks} {name}{scenario}"))
    }

    /// A command with everything else that decides what happens in a case.
    fn repeating(&self, command: &str) -> String {
        let timeout = self.timeout.as_ref().map(|timeout| format!("--timeout {timeout}"));
        let python = self.python.as_ref().map(|python| format!("--python {}", quoted(&python.display().to_string())));
        let before = programs_folder(self.town.kind(), &environment());
        let words = before
            .into_iter()
            .chain(std::iter::once(command.to_owned()))
            .chain(self.town.words())
            .chain(self.fence.words())
            .chain(timeout)
            .chain(python);
        words.collect::<Vec<_>>().join(" ")
    }
}

/// One run to play and what must come of it.
#[derive(Clone, Debug)]
struct Case {
    name: String,
    title: String,
    scenario: Scenario,
    expect: Expect,
    seed: u64,
    /// How long landing may take.
    landing: Duration,
    /// The command that repeats it.
    command: String,
    /// What it is besides, when it is an attack.
    attack: Option<Attack>,
}

/// A case that says nothing in the town under test.
#[derive(Clone, Debug)]
struct NotPlayed {
    name: String,
    title: String,
    why: String,
}

/// Plays the cases and prints one line each.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let mut scenario = scenarios::load(args.scenario())?;
    args.town.must_be_fresh()?;
    args.town.settle(&mut scenario)?;
    let (cases, not_played) = match args.clean {
        Some(times) => (clean_cases(&scenario, times, args), Vec::new()),
        None => sabotage_cases(&scenario, args)?,
    };
    if args.list {
        return list(args, &cases);
    }
    let namespace = match namespace::settle(needs_namespace(args, &cases)?)? {
        Place::Here(namespace) => namespace,
        Place::Played(code) => return Ok(code),
    };
    let cancel = Cancel::new();
    signals::watch_run(&cancel, &namespace)?;
    let all = super::runtime()?.block_on(play_all(args, cases, &namespace, &cancel))?;
    if args.json {
        let not_played = not_played.iter().map(NotPlayed::as_json);
        let rows: Vec<serde_json::Value> = all.iter().map(answers::as_json).chain(not_played).collect();
        terminal::print_json(&rows)?;
    } else {
        terminal::print(&answers::conclusion(&all, &not_played));
    }
    if cancel.level() > 0 {
        return Ok(code::cancelled());
    }
    let all_right = all.iter().all(Answer::is_right);
    Ok(if all_right { code::OK } else { code::NO })
}

/// Prints what the cases are and what must come of each.
fn list(args: &Args, cases: &[Case]) -> Result<u8, Failure> {
    if args.json {
        let row = |case: &Case| {
            let class = case.attack.as_ref().map(|attack| attack.class.as_str());
            serde_json::json!({"case": case.name, "title": case.title, "class": class, "expected": answers::expected(&case.expect)})
        };
        terminal::print_json(&cases.iter().map(row).collect::<Vec<_>>())?;
        return Ok(code::OK);
    }
    let mut table = Table::new(&["class", "case", "what must come of it", "what happens"]);
    let mut rows: Vec<[String; 4]> = cases.iter().map(listed).collect();
    rows.sort();
    rows.into_iter().for_each(|row| table.row(row.into()));
    terminal::print(&table.render());
    Ok(code::OK)
}

fn listed(case: &Case) -> [String; 4] {
    let class = case.attack.as_ref().map(|attack| attack.class.clone()).unwrap_or_default();
    [class, case.name.clone(), answers::expected(&case.expect), case.title.clone()]
}

/// Whether the cases are played in a PID namespace, as inside a fence they are. They share it, so that of towns with daemons one is
/// played after the other.
fn needs_namespace(args: &Args, cases: &[Case]) -> Result<bool, Failure> {
    let has_daemon = cases.iter().any(|case| args.town.has_daemon(&case.scenario));
    if has_daemon && args.jobs > 1 {
        let failure = Failure::usage(
            "--jobs: towns with their daemons cannot run at the same time, since each would end agents of the others",
        );
        return Err(failure.hint("--jobs 1"));
    }
    Ok(has_daemon || args.fence.mode() == FenceMode::On)
}

fn clean_cases(scenario: &Scenario, times: u32, args: &Args) -> Vec<Case> {
    let expect = Expect { outcome: "passed".to_owned(), finding: None, also: Vec::new(), only: true, names: None };
    let digits = times.to_string().len();
    (1..=times)
        .map(|number| Case {
            name: format!("clean {number:0>digits$}"),
            title: "the scenario as it is".to_owned(),
            scenario: scenario.clone(),
            expect: expect.clone(),
            seed: u64::from(number),
            landing: landing(args, scenario),
            command: args.repeating(&format!("proctor run {} --seed {number}", quoted(args.scenario()))),
            attack: None,
        })
        .collect()
}

/// The cases to play, and those of all that this town has no use for. Who names such a case is told why it is not played.
fn sabotage_cases(scenario: &Scenario, args: &Args) -> Result<(Vec<Case>, Vec<NotPlayed>), Failure> {
    let names: Vec<&String> = match args.cases.is_empty() {
        true => scenario.cases.keys().collect(),
        false => args.cases.iter().collect(),
    };
    let (mut cases, mut not_played) = (Vec::new(), Vec::new());
    for name in names {
        match sabotage_case(scenario, name, args)? {
            Ok(case) => cases.push(case),
            Err(not) if args.cases.is_empty() => not_played.push(not),
            Err(not) => {
                let message = format!("`{name}` is not played in the town `{}`: {}", args.town.kind().word(), not.why);
                return Err(Failure::usage(message));
            }
        }
    }
    Ok((cases, not_played))
}

fn sabotage_case(scenario: &Scenario, name: &str, args: &Args) -> Result<Result<Case, NotPlayed>, Failure> {
    let named = args.scenario();
    let (Some(spec), Some(laid_over)) = (scenario.cases.get(name), scenario.with_case(name)) else {
        let failure = Failure::usage(format!("{named} has no selftest case `{name}`"));
        let near = nearest(name, scenario.cases.keys().map(String::as_str));
        return Err(failure.maybe_hint(near.map(|near| format!("did you mean `{near}`?"))));
    };
    let mut laid_over = laid_over.map_err(|problems| scenarios::problems_failure(named, &scenario.files, &problems))?;
    // A case is the scenario's folder read anew, without what the command line laid over it.
    laid_over.spec.merge = scenario.spec.merge;
    laid_over.spec.daemon = scenario.spec.daemon;
    let (name, title) = (name.to_owned(), spec.title.clone());
    let landing = landing(args, &laid_over);
    let command = args.one_case(&name);
    let attack = if args.attacks { Attack::of(spec, scenario) } else { None };
    Ok(match spec.expected_in(args.town.kind(), scenario.spec.merge) {
        Ok(expect) => Ok(Case { name, title, scenario: laid_over, expect: expect.clone(), seed: 42, landing, command, attack }),
        Err(why) => Err(NotPlayed { name, title, why: why.to_owned() }),
    })
}

/// Plays the cases, at most `jobs` at the same time, and tells of each as it ends.
async fn play_all(args: &Args, cases: Vec<Case>, namespace: &Namespace, cancel: &Cancel) -> Result<Vec<Answer>, Failure> {
    let width = cases.iter().map(|case| case.name.chars().count()).max().unwrap_or_default();
    let queue = Arc::new(Mutex::new(VecDeque::from(cases)));
    let stage = Stage {
        town: args.town.clone(),
        reports: args.reports.clone(),
        python: args.python.clone(),
        namespace: namespace.clone(),
        fence: args.fence,
        cancel: cancel.clone(),
    };
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..args.jobs {
        let (queue, stage, quiet) = (Arc::clone(&queue), stage.clone(), args.json);
        workers.spawn(async move {
            let mut answers = Vec::new();
            while let Some(case) = next(&queue, &stage.cancel) {
                let answer = play_case(case, &stage).await;
                if !quiet {
                    terminal::print(&answers::line(&answer, width));
                }
                answers.push(answer);
            }
            answers
        });
    }
    let mut answers = Vec::new();
    while let Some(done) = workers.join_next().await {
        answers.extend(done.map_err(|error| Failure::harness(format!("a worker failed: {error}")))?);
    }
    answers.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(answers)
}

fn next(queue: &Mutex<VecDeque<Case>>, cancel: &Cancel) -> Option<Case> {
    if cancel.level() > 0 {
        return None;
    }
    queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

async fn play_case(case: Case, stage: &Stage) -> Answer {
    let began = std::time::Instant::now();
    let (played, aftermath) = match &case.attack {
        Some(attack) => play_attack(&case, attack, stage).await,
        None => (stage.play(&case, case.scenario.clone()).await, Vec::new()),
    };
    Answer::new(&case, &played, aftermath, began.elapsed().as_secs_f64())
}

/// Plays an attack among canaries; gives the run, and what is wrong besides its verdict.
async fn play_attack(case: &Case, attack: &Attack, stage: &Stage) -> (Result<Played, Failure>, Vec<String>) {
    let mut scenario = case.scenario.clone();
    let watch = match Watch::begin(&mut scenario, &stage.reports) {
        Ok(watch) => watch,
        Err(failure) => return (Err(failure), Vec::new()),
    };
    let played = stage.play(case, scenario).await;
    let mut wrong = match &played {
        Ok(played) => watch.end(attack, played),
        Err(_) => Vec::new(),
    };
    if let (Ok(_), Some(next)) = (&played, attack.next_run()) {
        wrong.extend(attacks::next_run_is_clean(&stage.play(case, next.clone()).await));
    }
    (played, wrong)
}

/// Where and with what cases are played.
#[derive(Clone)]
struct Stage {
    town: TownChoice,
    reports: PathBuf,
    python: Option<PathBuf>,
    namespace: Namespace,
    fence: FenceChoice,
    cancel: Cancel,
}

impl Stage {
    async fn play(&self, case: &Case, scenario: Scenario) -> Result<Played, Failure> {
        let choice = Choice {
            command: case.command.clone(),
            timeout: Some(case.landing),
            scenario,
            town: self.town.kind(),
            reports: self.reports.clone(),
            seed: case.seed,
            agents: Vec::new(),
            python: self.python.clone(),
            live_town: None,
            namespace: self.namespace.clone(),
            fence: self.fence.mode(),
            keep_town: false,
            ports: Ports::default(),
            is_latest: false,
        };
        let display = Arc::new(Mutex::new(RunDisplay::silent()));
        play(choice, display, self.cancel.clone()).await
    }
}

/// Cases that never land have limits that suit the built-in town; the real one needs longer to get as far. The command line has the last
/// word on what is longer.
fn landing(args: &Args, scenario: &Scenario) -> Duration {
    let least = if args.town.kind() == TownKind::Gastown { GASTOWN_LANDING } else { Duration::ZERO };
    let wanted = scenario.spec.timeouts.landing.0.max(least);
    args.timeout.map_or(wanted, |most| wanted.min(most.0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn args(line: &str) -> Args {
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Selftest(args) => args,
            other => panic!("{line} is {other:?}"),
        }
    }

    fn commands(line: &str) -> Vec<String> {
        let args = args(line);
        let mut scenario = scenarios::load(args.scenario()).unwrap();
        args.town.settle(&mut scenario).unwrap();
        let cases = match args.clean {
            Some(times) => clean_cases(&scenario, times, &args),
            None => sabotage_cases(&scenario, &args).unwrap().0,
        };
        cases.into_iter().map(|case| case.command).collect()
    }

    #[test]
    fn what_repeats_a_case_is_a_command_line_with_everything_that_decides() {
        let clean = commands("proctor selftest --clean 2 --town gastown --merge queue --timeout 5m");
        let of = |seed| format!("proctor run crypto-tales --seed {seed} --town gastown --merge queue --timeout 5m");
        assert_eq!(clean, [of(1), of(2)]);
        let case = commands("proctor selftest bob-constant --town gastown --merge direct --python /opt/python3");
        assert_eq!(case, ["proctor selftest bob-constant --town gastown --merge direct --python /opt/python3"]);
        for command in clean.iter().chain(&case).chain(&commands("proctor selftest")) {
            Cli::try_parse_from(command.split(' ')).unwrap();
        }
    }
}
