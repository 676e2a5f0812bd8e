//! The table of who plays which role, from the scenario, the command line and the planned faults.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proctor_judge::evidence::{FaultRow, Time};
use serde_json::{Value, json};

use super::strikes::{Strike, Strikes};
use crate::halt::Halt;
use crate::launch::{AGENTS_SCHEMA, AgentEntry, AgentTable, BUILTIN, Override, role_keys, split_command};
use crate::linux;
use crate::scenario::spec::AgentSpec;
use crate::scenario::{Fault, FaultKind, Spec};
use crate::town::Snapshot;

/// The model that the built-in agent asks for when scripts play it.
const SCRIPT_MODEL: &str = "proctor-script-1";

/// Makes the table. `town_roles` are those that the town starts agents for; `base` is the base directory, which holds `bin` and `scenario`; `path` the user's search path.
pub(crate) fn table(
    spec: &Spec,
    overrides: &[Override],
    town_roles: &[&str],
    base: &Path,
    path: &str,
    gateway: &str,
    otlp: &str,
) -> Result<AgentTable, Halt> {
    let mut roles = BTreeMap::new();
    for role in town_roles {
        roles.insert((*role).to_owned(), builtin(base, &BTreeMap::new()));
    }
    for (role, agent) in &spec.agents {
        roles.insert(role.clone(), entry(agent, base, path, &base.join("scenario"))?);
    }
    for own in overrides {
        let agent = AgentSpec { command: own.command.clone(), env: BTreeMap::new() };
        roles.insert(own.role.clone(), entry(&agent, base, path, Path::new(""))?);
    }
    for fault in spec.fault.iter().filter(|fault| fault.kind == FaultKind::Telemetry) {
        silence(&mut roles, &fault.agent);
    }
    Ok(AgentTable { schema: AGENTS_SCHEMA, gateway: gateway.into(), otlp: otlp.into(), roles })
}

fn builtin(base: &Path, env: &BTreeMap<String, String>) -> AgentEntry {
    let mut own = BTreeMap::from([("ANTHROPIC_MODEL".to_owned(), SCRIPT_MODEL.to_owned())]);
    own.extend(env.clone());
    let command = vec![base.join("bin/proctor-agent").display().to_string()];
    AgentEntry { program: BUILTIN.into(), command, env: own, telemetry: true }
}

fn entry(agent: &AgentSpec, base: &Path, path: &str, relative_to: &Path) -> Result<AgentEntry, Halt> {
    if agent.command == BUILTIN {
        return Ok(builtin(base, &agent.env));
    }
    let failed = |message: String| Halt::environment(message).hint("write --agent ROLE=COMMAND, the command as in a shell");
    let mut command = split_command(&agent.command).map_err(|error| failed(error.to_string()))?;
    let program = command.first_mut().ok_or_else(|| failed("an agent's command is empty".into()))?;
    let place = if program.contains('/') { relative_to.join(&*program) } else { PathBuf::from(&*program) };
    let found = linux::find_program(&place.display().to_string(), path).and_then(|found| found.canonicalize().ok());
    let found = found.ok_or_else(|| failed(format!("the agent program `{program}` is not there or cannot be run")))?;
    *program = found.display().to_string();
    Ok(AgentEntry { program: agent.command.clone(), command, env: agent.env.clone(), telemetry: true })
}

/// Takes the telemetry addresses from whom a fault hits. A fault for one rig's worker makes an entry for that rig.
fn silence(roles: &mut BTreeMap<String, AgentEntry>, whom: &str) {
    if let (Some((role, _)), false) = (whom.split_once(':'), roles.contains_key(whom))
        && let Some(general) = roles.get(role).cloned()
    {
        roles.insert(whom.to_owned(), general);
    }
    let hit = |key: &str| whom == "*" || key == whom || key.split_once(':').is_some_and(|(role, _)| role == whom);
    roles.iter_mut().filter(|(key, _)| hit(key)).for_each(|(_, entry)| entry.telemetry = false);
}

/// `faults.json` for the gateway.
pub(crate) fn gateway_faults(faults: &[Fault]) -> Value {
    let provider = faults.iter().filter(|fault| fault.kind == FaultKind::Provider);
    provider.map(|fault| json!({"name": fault.name, "agent": fault.agent, "status": fault.status.unwrap_or(500), "times": fault.times})).collect()
}

/// The provider faults that never end.
pub(crate) fn for_ever(faults: &[Fault]) -> Vec<String> {
    faults.iter().filter(|fault| fault.kind == FaultKind::Provider && fault.times == 0).map(|fault| fault.name.clone()).collect()
}

/// The faults as evidence: what was planned, and when it fired first.
pub(crate) fn fault_rows(faults: &[Fault], fired: &BTreeMap<String, Time>, strikes: &Strikes, state: &Snapshot) -> Vec<FaultRow> {
    let row = |fault: &Fault| match fault.kind {
        FaultKind::Provider => {
            let times = if fault.times == 0 { "for ever".to_owned() } else { format!("{} times", fault.times) };
            let what = format!("the provider answers {} to {}, {times}", fault.status.unwrap_or(500), fault.agent);
            FaultRow { name: fault.name.clone(), what, fired_at: fired.get(&fault.name).copied(), agent: None }
        }
        FaultKind::Telemetry => {
            let what = format!("{} is not told where telemetry goes", fault.agent);
            let fired_at =
                state.sessions.iter().filter(|session| is_meant(fault, &session.agent)).map(|session| session.started_at).min();
            FaultRow { name: fault.name.clone(), what, fired_at, agent: None }
        }
        FaultKind::Kill | FaultKind::Freeze => struck(fault, strikes.of(&fault.name)),
    };
    faults.iter().map(row).collect()
}

/// Whether a fault is meant for an agent.
pub(crate) fn is_meant(fault: &Fault, agent: &str) -> bool {
    fault.agent == "*" || role_keys(agent).contains(&fault.agent)
}

/// The row of a fault that hits a process.
fn struck(fault: &Fault, strike: Option<&Strike>) -> FaultRow {
    let verb = if fault.kind == FaultKind::Kill { "is killed" } else { "is stopped" };
    let undone = if strike.is_some_and(|strike| strike.undone) { ", which did not last: something continued it" } else { "" };
    let what = format!("the process of {} {verb}{undone}", fault.agent);
    let lasting = strike.filter(|strike| !strike.undone);
    let (fired_at, agent) = (lasting.map(|strike| strike.at), lasting.map(|strike| strike.agent.clone()));
    FaultRow { name: fault.name.clone(), what, fired_at, agent }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::scenario::{load, template};

    fn spec() -> Spec {
        load(&template("t")).unwrap().spec
    }

    #[test]
    fn the_command_line_wins_over_the_scenario() {
        let mut spec = spec();
        spec.agents.insert("polecat".into(), AgentSpec { command: "false".into(), env: BTreeMap::new() });
        let own = ["polecat=true --x 'a b'".parse().unwrap()];
        let table = table(&spec, &own, &["mayor", "polecat"], Path::new("/b"), "/usr/bin:/bin", "g", "o").unwrap();
        assert_eq!(table.roles["polecat"].program, "true --x 'a b'");
        assert_eq!(table.roles["polecat"].command[1..], ["--x", "a b"]);
        assert_eq!(table.roles["mayor"].command, ["/b/bin/proctor-agent"]);
    }

    #[test]
    fn a_program_that_is_not_there_is_named_before_anything_starts() {
        let own = ["mayor=./no-such-agent".parse().unwrap()];
        let halt = table(&spec(), &own, &["mayor", "polecat"], Path::new("/b"), "/bin", "g", "o").unwrap_err();
        assert!(halt.message.contains("./no-such-agent"), "{halt}");
    }

    #[test]
    fn a_telemetry_fault_silences_one_worker_and_leaves_the_others() {
        let mut spec = spec();
        spec.fault.push(Fault {
            name: "n".into(),
            kind: FaultKind::Telemetry,
            agent: "polecat:hello".into(),
            status: None,
            times: 0,
        });
        let table = table(&spec, &[], &["mayor", "polecat"], Path::new("/b"), "/bin", "g", "o").unwrap();
        let silent: Vec<&str> = table.roles.iter().filter(|(_, e)| !e.telemetry).map(|(key, _)| key.as_str()).collect();
        assert_eq!(silent, ["polecat:hello"]);
    }
}
