//! Planned faults that hit a process: whom, when, and whether it lasted.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use proctor_judge::evidence::{AgentId, Exchange, Time};

use super::agents::is_meant;
use crate::launch::AgentTable;
use crate::linux;
use crate::scenario::{Fault, FaultKind};

/// How long a process may take to stop once it was told to.
const STOPS_WITHIN: TimeDelta = TimeDelta::seconds(1);

/// One process that was hit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Strike {
    /// When.
    pub(crate) at: Time,
    /// Whose process it was.
    pub(crate) agent: AgentId,
    /// Whether something continued a frozen process; a fault that did not last is none.
    pub(crate) undone: bool,
    pid: u32,
    /// When the process began, since ids are used again.
    started: u64,
    frozen: bool,
}

/// The strikes of a run, by the fault's name.
#[derive(Debug, Default)]
pub(crate) struct Strikes(BTreeMap<String, Strike>);

impl Strikes {
    /// Strikes whoever made this request, where a fault that has not struck yet is meant for it. What was done, for people.
    pub(crate) fn strike(
        &mut self,
        faults: &[Fault],
        exchange: &Exchange,
        run: &str,
        table: Option<&AgentTable>,
        now: Time,
    ) -> Vec<String> {
        let due = |fault: &&Fault| strikes(fault.kind) && !self.0.contains_key(&fault.name) && is_meant(fault, &exchange.agent);
        let due: Vec<&Fault> = faults.iter().filter(due).collect();
        let mut said = Vec::new();
        for fault in due {
            let Some(process) = process_of(&exchange.agent, run, table) else { continue };
            let frozen = fault.kind == FaultKind::Freeze;
            let hit = if frozen { linux::freeze(process.pid) } else { linux::end(process.pid, true) };
            if !hit {
                continue;
            }
            said.push(format!("{}: {} of {} (process {})", fault.name, fault.kind.word(), exchange.agent, process.pid));
            let (agent, pid, started) = (exchange.agent.clone(), process.pid, process.started);
            self.0.insert(fault.name.clone(), Strike { at: now, agent, pid, undone: false, started, frozen });
        }
        said
    }

    /// Looks whether frozen processes still are: tmux, for one, continues what stops in its panes.
    pub(crate) fn check(&mut self, now: Time) {
        for strike in self.0.values_mut().filter(|strike| strike.frozen && !strike.undone) {
            let process = linux::process(strike.pid).filter(|process| process.started == strike.started);
            let runs = process.is_some_and(|process| !['T', 't', 'Z'].contains(&process.state));
            // On a busy machine a process stops only once it gets its turn.
            if runs && now - strike.at >= STOPS_WITHIN {
                strike.undone = true;
            }
        }
    }

    /// The strike of a fault.
    pub(crate) fn of(&self, fault: &str) -> Option<&Strike> {
        self.0.get(fault)
    }
}

fn strikes(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::Kill | FaultKind::Freeze)
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
        is("PROCTOR_RUN_ID", run)
            && is("GT_ROLE", agent)
            && line.split(' ').take(2).any(|word| word.rsplit('/').next() == Some(&program))
    };
    linux::processes().into_iter().filter(|process| process.state != 'Z').find(plays)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Child, Command};

    use super::*;

    fn table() -> AgentTable {
        serde_json::from_value(serde_json::json!({"schema": 1, "gateway": "g", "otlp": "o",
            "roles": {"polecat": {"program": "sleep", "command": ["/bin/sleep"], "env": {}, "telemetry": true}}}))
        .unwrap()
    }

    fn fault(kind: FaultKind, agent: &str) -> Fault {
        Fault { name: "f".into(), kind, agent: agent.into(), status: None, times: 0 }
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

    #[test]
    fn it_kills_the_one_that_asked_once_and_nobody_else() {
        let (mut hit, mut other_run, mut other) =
            (agent("st1", "al/polecats/x"), agent("st2", "al/polecats/x"), agent("st1", "bo/polecats/y"));
        let faults = [fault(FaultKind::Kill, "polecat:al")];
        let mut strikes = Strikes::default();
        let strike =
            |strikes: &mut Strikes, who: &str| strikes.strike(&faults, &exchange(who), "st1", Some(&table()), Time::UNIX_EPOCH);
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
        strikes.strike(&faults, &exchange("al/polecats/x"), "st3", Some(&table()), Time::UNIX_EPOCH);
        while linux::process(hit.id()).unwrap().state != 'T' {
            std::thread::yield_now();
        }
        strikes.check(Time::UNIX_EPOCH + STOPS_WITHIN);
        assert!(!strikes.of("f").unwrap().undone);
        rustix::process::kill_process(rustix::process::Pid::from_child(&hit), rustix::process::Signal::CONT).unwrap();
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
}
