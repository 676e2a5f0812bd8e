//! `proctor run SCENARIO`: the whole cycle, from a fresh town to a verdict.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proctor_harness::cycle::Cancel;
use proctor_harness::launch::{LaunchError, Override};
use proctor_harness::namespace::Namespace;
use proctor_harness::scenario::Scenario;
use proctor_harness::scenario::spec::Span;
use proctor_harness::town::TownKind;
use proctor_harness::town::gastown::programs::BIN as GASTOWN_BIN;
use proctor_judge::Outcome;
use proctor_judge::evidence::FenceMode;

use super::fence::FenceChoice;
use super::town::TownChoice;
use super::{ReportsArg, parse_span};
use crate::failure::Failure;
use crate::namespace::{self, Place};
use crate::personality::{Environment, environment};
use crate::play::{Choice, Played, play};
use crate::services::Ports;
use crate::terminal::phases::RunDisplay;
use crate::{scenarios, signals, terminal};

/// Shown at the end of `proctor run --help`.
const AFTER_HELP: &str = "\
Examples:
  proctor run crypto-tales
  proctor run ./my-scenario --seed 7 --timeout 5m
  proctor run crypto-tales --agent polecat:alice=./my-agent --keep-town
  proctor run crypto-tales --town gastown --daemon
  proctor run crypto-tales --town gastown:$HOME/gt --live-town
  proctor run crypto-tales --json | jq .outcome

The run's folder is reports/<UTC timestamp>-<id>/; reports/latest points at the newest.

Exit codes: 0 passed; 100 failed or not landed; 2 usage; 101 unknown; 102 environment; 103 provider;
104 harness; 130 cancelled. Only 100 is a failure of the system under test.";

/// The variable that says how many seconds landing may take.
const CONVOY_TIMEOUT: &str = "CONVOY_TIMEOUT";

/// How long tasks that nobody waits for any more may take to end, such as one that a hung disk holds.
const LAST_TASKS: Duration = Duration::from_secs(1);

/// See [`crate::cli::Command::Run`].
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Name of a shipped scenario, or path of a scenario's folder
    #[arg(value_name = "SCENARIO")]
    scenario: String,
    #[command(flatten)]
    town: TownChoice,
    /// Play in the town that is there already at the folder of `--town gastown:PATH`: nothing of it is installed, ended or reset but
    /// its mayor, which is stopped and started
    #[arg(long)]
    live_town: bool,
    #[command(flatten)]
    fence: FenceChoice,
    /// Program that plays a role: mayor, polecat, or polecat:RIG; `builtin` is Proctor's own (repeatable)
    #[arg(long = "agent", value_name = "ROLE=COMMAND", value_parser = parse_agent)]
    agents: Vec<Override>,
    /// Seed of the ids that the built-in town gives out
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    /// How long landing may take, such as 90s, 10m, 1h [default: CONVOY_TIMEOUT in seconds, else the scenario's]
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    timeout: Option<Span>,
    /// Python interpreter that already has the packages that the deliverables need
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    #[command(flatten)]
    reports: ReportsArg,
    /// Leave the town alive when the run does not pass, to look at it with `proctor attach`
    #[arg(long)]
    keep_town: bool,
    /// Print summary.json instead of text
    #[arg(long)]
    json: bool,
    /// Port that takes telemetry and answers queries during the run [default: any free one]
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// Port of the model gateway [default: any free one]
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    gateway_port: u16,
}

/// The error says how an agent is named.
fn parse_agent(text: &str) -> Result<Override, String> {
    text.parse().map_err(|error: LaunchError| match error.hint() {
        Some(hint) => format!("{error}\nhint: {hint}"),
        None => error.to_string(),
    })
}

impl Args {
    /// The flag wins over the variable.
    fn landing_timeout(&self) -> Result<Option<Duration>, Failure> {
        if let Some(span) = self.timeout {
            return Ok(Some(span.0));
        }
        let Some(text) = environment().remove(CONVOY_TIMEOUT).filter(|text| !text.trim().is_empty()) else { return Ok(None) };
        let seconds: u64 = text.trim().parse().map_err(|_| {
            Failure::usage(format!("the variable {CONVOY_TIMEOUT}: `{text}` is no whole number of seconds"))
                .hint(format!("write {CONVOY_TIMEOUT}=600, or take it out of the environment and write --timeout 10m"))
        })?;
        Ok(Some(Duration::from_secs(seconds)))
    }

    /// The scenario with the flags laid over it.
    fn scenario(&self) -> Result<Scenario, Failure> {
        self.live_town_is_meant()?;
        let mut scenario = scenarios::load(&self.scenario)?;
        self.town.settle(&mut scenario)?;
        if self.keep_town && self.town.has_daemon(&scenario) {
            let failure = Failure::usage("--keep-town: a town with its daemon ends with the run's PID namespace");
            return Err(failure.hint("leave out --keep-town, or the daemon"));
        }
        Ok(scenario)
    }

    /// Somebody's own town is played in only when both its folder and the word for it are given.
    fn live_town_is_meant(&self) -> Result<(), Failure> {
        match (self.town.live(), self.live_town) {
            (Some(town), false) => {
                let failure = Failure::usage(format!("{} is a town that is there already", town.display()));
                Err(failure.hint("add --live-town to play in it, or write --town gastown for a fresh one"))
            }
            (None, true) => Err(Failure::usage("--live-town: no town is named").hint("--town gastown:PATH --live-town")),
            (Some(_), true) if !self.agents.is_empty() => {
                Err(Failure::usage("--agent: a live town has its own agents").hint("leave out --agent, or write --town gastown"))
            }
            (Some(_), true) if self.keep_town => {
                Err(Failure::usage("--keep-town: a live town always stays").hint("leave out --keep-town"))
            }
            _ => Ok(()),
        }
    }

    /// Whether the run has processes of its own: where a daemon would end those of others, and inside a fence. A town that stays when
    /// the run ends cannot be in it.
    fn wants_namespace(&self, scenario: &Scenario) -> bool {
        let goes = !self.keep_town && !self.live_town;
        self.town.has_daemon(scenario) || self.fence.mode() == FenceMode::On && goes
    }

    fn choice(&self, scenario: Scenario, namespace: Namespace) -> Result<Choice, Failure> {
        let live_town = self.town.live().map(std::path::absolute).transpose();
        let python = self.python.as_ref().map(std::path::absolute).transpose();
        Ok(Choice {
            scenario,
            town: self.town.kind(),
            command: self.command()?,
            reports: self.reports.reports.clone(),
            seed: self.seed,
            agents: self.agents.clone(),
            python: python.map_err(|error| Failure::usage(format!("--python: {error}")))?,
            live_town: live_town.map_err(|error| Failure::usage(format!("--town: {error}")))?,
            namespace,
            fence: self.fence.mode(),
            keep_town: self.keep_town,
            timeout: self.landing_timeout()?,
            ports: Ports { telemetry: self.port, gateway: self.gateway_port },
            is_latest: true,
        })
    }

    /// The command that repeats the run, with everything that decides what happens in it.
    fn command(&self) -> Result<String, Failure> {
        let mut words = programs_folder(self.town.kind(), &environment());
        words.extend(["proctor".to_owned(), "run".to_owned(), quoted(&self.scenario), format!("--seed {}", self.seed)]);
        words.extend(self.town.words());
        words.extend(self.fence.words());
        if let Some(town) = self.town.live() {
            words.push(format!("--town {} --live-town", quoted(&format!("gastown:{}", town.display()))));
        }
        for agent in &self.agents {
            words.push(format!("--agent {}", quoted(&format!("{}={}", agent.role, agent.command))));
        }
        if let Some(timeout) = self.landing_timeout()? {
            words.push(format!("--timeout {}", Span(timeout)));
        }
        if let Some(python) = &self.python {
            words.push(format!("--python {}", quoted(&python.display().to_string())));
        }
        Ok(words.join(" "))
    }
}

/// What says in front of a command where the programs of a real town are.
pub(super) fn programs_folder(town: TownKind, environment: &Environment) -> Vec<String> {
    let folder = environment.get(GASTOWN_BIN).filter(|folder| town == TownKind::Gastown && !folder.is_empty());
    folder.map(|folder| format!("{GASTOWN_BIN}={}", quoted(folder))).into_iter().collect()
}

/// A word as a shell takes it whole.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Runs, judges, prints the verdict.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let scenario = args.scenario()?;
    let namespace = match namespace::settle(args.wants_namespace(&scenario))? {
        Place::Here(namespace) => namespace,
        Place::Played(code) => return Ok(code),
    };
    let cancel = Cancel::new();
    signals::watch_run(&cancel, &namespace)?;
    let choice = args.choice(scenario, namespace)?;
    let display = if args.json { RunDisplay::silent() } else { RunDisplay::of_stdout() };
    let display = Arc::new(Mutex::new(display));
    let runtime = super::runtime_of_one()?;
    let played = runtime.block_on(async { tokio::spawn(play(choice, display, cancel)).await });
    let played = played.map_err(|error| Failure::harness(format!("the run broke off: {error}")))?;
    runtime.shutdown_timeout(LAST_TASKS);
    let played = played?;
    let report = terminal::relative(&played.report.join("report.html"));
    if !args.json {
        terminal::print("\n");
    }
    terminal::verdict(&played.judgement.summary, &report, args.json)?;
    settle_town(&played, args.live_town, args.json)?;
    Ok(played.judgement.summary.exit_code)
}

/// A kept town is for looking at a run that did not pass; after a pass it goes.
fn settle_town(played: &Played, is_live: bool, json: bool) -> Result<(), Failure> {
    let Some(base) = &played.kept else {
        return Ok(());
    };
    if is_live {
        if !json {
            terminal::print(&format!(
                "  town    stays as it is, with the rigs that its mayor made; their origins lie in\n          {}\n          \
                 `proctor clean {}` removes those: `gt rig remove` the rigs first\n",
                base.join("origins").display(),
                played.id
            ));
        }
        return Ok(());
    }
    if played.judgement.summary.outcome == Outcome::Passed {
        return super::clean::remove_own(base);
    }
    if !json {
        terminal::print(&format!("  town    kept alive: proctor attach {0}; proctor clean {0} ends it\n", played.id));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_a_real_towns_programs_is_part_of_the_command() {
        let environment = Environment::from([("PROCTOR_GASTOWN_BIN".to_owned(), "/opt/gas town/bin".to_owned())]);
        assert_eq!(programs_folder(TownKind::Gastown, &environment), ["PROCTOR_GASTOWN_BIN='/opt/gas town/bin'"]);
        assert!(programs_folder(TownKind::Builtin, &environment).is_empty());
        assert!(programs_folder(TownKind::Gastown, &Environment::new()).is_empty());
    }

    #[test]
    fn words_are_quoted_as_a_shell_takes_them() {
        assert_eq!(quoted("polecat:alice=./a.sh"), "polecat:alice=./a.sh");
        assert_eq!(quoted("polecat=./a --name 'b'"), r"'polecat=./a --name '\''b'\'''");
        assert_eq!(quoted(""), "''");
    }
}
