//! Planned faults that hit a process or a program: whom, when, whether they lasted, and how they are taken back.
//!
//! What was frozen or hidden is given back after the fault's time, and at the latest before the end state is read: a town whose
//! database does not answer cannot be told of.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::TimeDelta;
use proctor_judge::evidence::{AgentId, Exchange, Time};
use tokio::task::JoinHandle;

use super::agents::is_meant;
use crate::base::RUN_ID;
use crate::launch::AgentTable;
use crate::linux;
use crate::scenario::{Fault, FaultKind};
use crate::town::Town;

/// How long a process may take to stop once it was told to.
const STOPS_WITHIN: TimeDelta = TimeDelta::seconds(1);

/// One fault that struck.
#[derive(Debug)]
pub(crate) struct Strike {
    /// When.
    pub(crate) at: Time,
    /// Whose request it was.
    pub(crate) agent: AgentId,
    /// The program of the town that was hit instead of the agent.
    pub(crate) program: Option<String>,
    /// Whether something else took it back; a fault that did not last is none.
    pub(crate) undone: bool,
    /// When it was taken back as planned, or so that the end state could be read.
    pub(crate) taken_back: Option<Time>,
    /// From when to when the town's state could not be read.
    pub(crate) blind: Option<(Time, Option<Time>)>,
    /// When it is to be taken back.
    until: Option<Time>,
    hit: Hit,
    timer: Option<JoinHandle<()>>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq)]
enum Hit {
    Killed,
    /// Process ids are used again, so that the moment it began belongs to it.
    Frozen {
        pid: u32,
        started: u64,
    },
    Hidden {
        program: PathBuf,
        aside: PathBuf,
    },
}

impl Hit {
    /// Takes it back; what is gone meanwhile stays gone.
    fn take_back(&self) {
        match self {
            Self::Killed => {}
            Self::Frozen { pid, started } => {
                if linux::process(*pid).is_some_and(|process| process.started == *started) {
                    linux::thaw(*pid);
                }
            }
            // The base directory may be gone, and the program with it.
            Self::Hidden { program, aside } => _ = fs::rename(aside, program),
        }
    }
}

/// Where faults strike: the run, its agents, its town and the folder with its programs.
#[derive(Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) run: &'a str,
    pub(crate) table: Option<&'a AgentTable>,
    pub(crate) town: Option<&'a dyn Town>,
    pub(crate) bin: &'a Path,
}

/// The strikes of a run, by the fault's name.
#[derive(Debug, Default)]
pub(crate) struct Strikes(BTreeMap<String, Strike>);

impl Strikes {
    /// Strikes at this request what a fault that has not struck yet is meant for. What was done, for people.
    pub(crate) fn strike(&mut self, faults: &[Fault], exchange: &Exchange, field: Field<'_>, now: Time) -> Vec<String> {
        let due = |fault: &&Fault| fault.kind.strikes() && !self.0.contains_key(&fault.name) && is_meant(fault, &exchange.agent);
        let due: Vec<&Fault> = faults.iter().filter(due).collect();
        let mut said = Vec::new();
        for fault in due {
            let Some(hit) = hit(fault, &exchange.agent, field) else { continue };
            let whom = fault.program.as_deref().unwrap_or(&exchange.agent);
            said.push(format!("{}: {} of {whom}", fault.name, fault.kind.word()));
            let span = fault.lasts.map(|span| span.0);
            let timer = span.map(|span| tokio::spawn(take_back_after(span, hit.clone())));
            let until = span.and_then(|span| Some(now + TimeDelta::from_std(span).ok()?));
            let (agent, program) = (exchange.agent.clone(), fault.program.clone());
            let strike = Strike { at: now, agent, program, undone: false, taken_back: None, blind: None, until, hit, timer };
            self.0.insert(fault.name.clone(), strike);
        }
        said
    }

    /// Looks whether what was hit still is: tmux, for one, continues what stops in its panes.
    pub(crate) fn check(&mut self, now: Time) {
        for strike in self.0.values_mut().filter(|strike| !strike.undone && strike.taken_back.is_none()) {
            if let Some(until) = strike.until.filter(|until| *until <= now) {
                strike.taken_back = Some(until);
                continue;
            }
            let Hit::Frozen { pid, started } = strike.hit else { continue };
            let process = linux::process(pid).filter(|process| process.started == started);
            let runs = process.is_some_and(|process| !['T', 't', 'Z'].contains(&process.state));
            // On a busy machine a process stops only once it gets its turn.
            if runs && now - strike.at >= STOPS_WITHIN {
                strike.undone = true;
            }
        }
    }

    /// Takes back what lasts until the run ends.
    pub(crate) fn take_back(&mut self, now: Time) {
        self.check(now);
        for strike in self.0.values_mut().filter(|strike| strike.taken_back.is_none()) {
            if let Some(timer) = strike.timer.take() {
                timer.abort();
            }
            strike.hit.take_back();
            strike.taken_back = (strike.hit != Hit::Killed).then_some(now);
        }
    }

    /// The programs of the town that were hit. What fails after that may be what the fault is for.
    pub(crate) fn programs(&self) -> impl Iterator<Item = &str> {
        self.0.values().filter_map(|strike| strike.program.as_deref())
    }

    /// The town's state was asked for: with success or without.
    pub(crate) fn looked(&mut self, seen: bool, now: Time) {
        for strike in self.0.values_mut().filter(|strike| strike.program.is_some()) {
            match &mut strike.blind {
                None if !seen => strike.blind = Some((now, None)),
                Some((_, to @ None)) if seen => *to = Some(now),
                _ => {}
            }
        }
    }

    /// The strike of a fault.
    pub(crate) fn of(&self, fault: &str) -> Option<&Strike> {
        self.0.get(fault)
    }
}

async fn take_back_after(span: Duration, hit: Hit) {
    tokio::time::sleep(span).await;
    hit.take_back();
}

/// Does it, when there is what it is meant for.
fn hit(fault: &Fault, agent: &str, field: Field<'_>) -> Option<Hit> {
    if fault.kind == FaultKind::Missing {
        return hide(&field.bin.join(fault.program.as_deref()?)).ok();
    }
    let process = match &fault.program {
        Some(program) => linux::process(field.town?.server(program)?)?,
        None => process_of(agent, field.run, field.table)?,
    };
    let (pid, started) = (process.pid, process.started);
    match fault.kind {
        FaultKind::Freeze => linux::freeze(pid).then_some(Hit::Frozen { pid, started }),
        _ => linux::end(pid, true).then_some(Hit::Killed),
    }
}

/// Lets a program say that it is not there. A search path would go on to the same program elsewhere if the file were just away.
fn hide(program: &Path) -> io::Result<Hit> {
    let name = program.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let (aside, stand_in) = (program.with_file_name(format!(".{name}")), program.with_file_name(format!(".{name}.new")));
    fs::write(&stand_in, format!("#!/bin/sh\necho '{name}: not found' >&2\nexit 127\n"))?;
    fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o755))?;
    fs::rename(program, &aside)?;
    fs::rename(&stand_in, program)?;
    Ok(Hit::Hidden { program: program.to_owned(), aside })
}

/// The process that plays an agent in this run: it carries the run's id and the agent's address, and runs the agent's program.
fn process_of(agent: &str, run: &str, table: Option<&AgentTable>) -> Option<linux::Process> {
    let (_, entry) = table?.entry(agent).ok()?;
    let program = entry.command.first()?.rsplit('/').next()?.to_owned();
    let plays = |process: &linux::Process| {
        let env = linux::environment(process.pid);
        let is = |key: &str, value: &str| env.get(key).is_some_and(|own| own == value);
        // A script's command line begins with its interpreter.
        let line = linux::command_line(process.pid);
        is(RUN_ID, run) && is("GT_ROLE", agent) && line.split(' ').take(2).any(|word| word.rsplit('/').next() == Some(&program))
    };
    linux::processes().into_iter().filter(|process| process.state != 'Z').find(plays)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Child, Command};

    use super::*;
    use crate::scenario::Span;

    fn table() -> AgentTable {
        serde_json::from_value(serde_json::json!({"schema": 1, "gateway": "g", "otlp": "o", "secret": "s",
            "roles": {"polecat": {"program": "sleep", "command": ["/bin/sleep"], "env": {}, "telemetry": true}}}))
        .unwrap()
    }

    fn fault(kind: FaultKind, agent: &str) -> Fault {
        Fault { name: "f".into(), kind, agent: agent.into(), program: None, status: None, times: 0, lasts: None }
    }

    fn exchange(agent: &str) -> Exchange {
        serde_json::from_value(serde_json::json!({"n": 1, "agent": agent, "at": "2026-01-01T00:00:00Z", "duration_ms": 1.0,
            "request": "POST /v1/messages", "model": null, "stream": false, "turn": 2, "sha256": "", "status": 200,
            "stop_reason": null, "matched": null, "miss": null, "fault": null, "input_tokens": 0, "output_tokens": 0,
            "asked": "", "answered": "", "body": null}))
        .unwrap()
    }

    fn agent(run: &str, role: &str) -> Child {
        let mut command = Command::new("/bin/sleep");
        command.arg("600").env_clear().env("PROCTOR_RUN_ID", run).env("GT_ROLE", role).spawn().unwrap()
    }

    fn field<'a>(run: &'a str, table: &'a AgentTable) -> Field<'a> {
        Field { run, table: Some(table), town: None, bin: Path::new("/nowhere") }
    }

    #[test]
    fn it_kills_the_one_that_asked_once_and_nobody_else() {
        let (mut hit, mut other_run, mut other) =
            (agent("st1", "al/polecats/x"), agent("st2", "al/polecats/x"), agent("st1", "bo/polecats/y"));
        let (faults, table) = ([fault(FaultKind::Kill, "polecat:al")], table());
        let mut strikes = Strikes::default();
        let strike =
            |strikes: &mut Strikes, who: &str| strikes.strike(&faults, &exchange(who), field("st1", &table), Time::UNIX_EPOCH);
        assert!(strike(&mut strikes, "mayor").is_empty() && strike(&mut strikes, "bo/polecats/y").is_empty());
        assert_eq!(strike(&mut strikes, "al/polecats/x").len(), 1);
        assert_eq!(hit.wait().unwrap().signal(), Some(9));
        assert_eq!(strikes.of("f").unwrap().agent, "al/polecats/x");
        assert!(strike(&mut strikes, "al/polecats/x").is_empty(), "once");
        for bystander in [&mut other_run, &mut other] {
            assert!(bystander.try_wait().unwrap().is_none());
            bystander.kill().unwrap();
            bystander.wait().unwrap();
        }
    }

    #[test]
    fn a_freeze_that_somebody_undid_is_none() {
        let mut hit = agent("st3", "al/polecats/x");
        let faults = [fault(FaultKind::Freeze, "polecat")];
        let mut strikes = Strikes::default();
        strikes.strike(&faults, &exchange("al/polecats/x"), field("st3", &table()), Time::UNIX_EPOCH);
        while linux::process(hit.id()).unwrap().state != 'T' {
            std::thread::yield_now();
        }
        strikes.check(Time::UNIX_EPOCH + STOPS_WITHIN);
        assert!(!strikes.of("f").unwrap().undone);
        linux::thaw(hit.id());
        while linux::process(hit.id()).unwrap().state == 'T' {
            std::thread::yield_now();
        }
        strikes.check(Time::UNIX_EPOCH);
        assert!(!strikes.of("f").unwrap().undone, "it may not have had its turn yet");
        strikes.check(Time::UNIX_EPOCH + STOPS_WITHIN);
        assert!(strikes.of("f").unwrap().undone);
        hit.kill().unwrap();
        hit.wait().unwrap();
    }

    #[tokio::test]
    async fn a_freeze_with_a_time_ends_by_itself_and_counts() {
        let mut hit = agent("st4", "al/polecats/x");
        let span = Some(Span(Duration::from_millis(50)));
        let faults = [Fault { lasts: span, ..fault(FaultKind::Freeze, "polecat") }];
        let mut strikes = Strikes::default();
        strikes.strike(&faults, &exchange("al/polecats/x"), field("st4", &table()), Time::UNIX_EPOCH);
        let timer = strikes.0.get_mut("f").unwrap().timer.take().unwrap();
        timer.await.unwrap();
        while linux::process(hit.id()).unwrap().state == 'T' {
            std::thread::yield_now();
        }
        strikes.check(Time::UNIX_EPOCH + TimeDelta::seconds(2));
        let strike = strikes.of("f").unwrap();
        assert!(!strike.undone && strike.taken_back == Some(Time::UNIX_EPOCH + TimeDelta::milliseconds(50)), "{strike:?}");
        hit.kill().unwrap();
        hit.wait().unwrap();
    }

    #[test]
    fn a_missing_program_says_so_until_it_is_given_back() {
        let bin = tempfile::tempdir().unwrap();
        let bd = bin.path().join("bd");
        std::os::unix::fs::symlink("/bin/true", &bd).unwrap();
        let faults = [Fault { program: Some("bd".into()), ..fault(FaultKind::Missing, "polecat") }];
        let mut strikes = Strikes::default();
        let field = Field { run: "st5", table: None, town: None, bin: bin.path() };
        assert_eq!(strikes.strike(&faults, &exchange("al/polecats/x"), field, Time::UNIX_EPOCH), ["f: missing of bd"]);
        let said = Command::new(&bd).output().unwrap();
        assert_eq!((said.status.code(), String::from_utf8_lossy(&said.stderr).trim()), (Some(127), "bd: not found"));
        assert_eq!(strikes.programs().collect::<Vec<_>>(), ["bd"]);
        strikes.take_back(Time::UNIX_EPOCH);
        assert!(Command::new(&bd).status().unwrap().success());
        assert_eq!(fs::read_link(&bd).unwrap(), Path::new("/bin/true"));
    }

    #[test]
    fn the_time_in_which_nothing_could_be_read_is_the_first_one() {
        let mut strikes = Strikes::default();
        let at = |seconds| Time::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let strike = Strike {
            at: at(0),
            agent: "mayor".into(),
            program: Some("dolt".into()),
            undone: false,
            taken_back: None,
            blind: None,
            until: None,
            hit: Hit::Killed,
            timer: None,
        };
        strikes.0.insert("f".into(), strike);
        for (seen, second) in [(true, 1), (false, 2), (false, 3), (true, 4), (false, 5)] {
            strikes.looked(seen, at(second));
        }
        assert_eq!(strikes.of("f").unwrap().blind, Some((at(2), Some(at(4)))));
    }
}
