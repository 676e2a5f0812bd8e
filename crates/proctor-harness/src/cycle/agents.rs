//! The table of who plays which role, from the scenario, the command line and the planned faults; and the faults as evidence.

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

/// A program that ends at once; the beacon is its name.
const LEAVES: [&str; 3] = ["/bin/sh", "-c", "exit 1"];
/// The model that the built-in agent asks for when scripts play it.
const SCRIPT_MODEL: &str = "proctor-script-1";

/// Addresses that agents are told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses<'a> {
    /// Of the gateway.
    pub(crate) gateway: &'a str,
    /// Of the OTLP listener.
    pub(crate) otlp: &'a str,
    /// Of the collector that stalls, when a fault wants one.
    pub(crate) stalled: Option<&'a str>,
    /// What their tokens are made with.
    pub(crate) secret: &'a str,
    /// Of the served origins, where they are served.
    pub(crate) origins: Option<&'a str>,
}

/// Makes the table. `town_roles` are those that the town starts agents for; `base` is the base directory, which holds `bin` and `scenario`; `path` the user's search path.
pub(crate) fn table(
    spec: &Spec,
    overrides: &[Override],
    town_roles: &[&str],
    base: &Path,
    path: &str,
    addresses: Addresses<'_>,
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
    for fault in &spec.fault {
        match fault.kind {
            FaultKind::Telemetry => change(&mut roles, &fault.agent, |entry| entry.telemetry = false),
            FaultKind::Collector => change(&mut roles, &fault.agent, |entry| entry.otlp = addresses.stalled.map(str::to_owned)),
            FaultKind::Leave => change(&mut roles, &fault.agent, |entry| entry.command = LEAVES.map(str::to_owned).to_vec()),
            _ => {}
        }
    }
    Ok(AgentTable {
        schema: AGENTS_SCHEMA,
        gateway: addresses.gateway.into(),
        otlp: addresses.otlp.into(),
        secret: addresses.secret.into(),
        fence: None,
        origins: addresses.origins.map(str::to_owned),
        roles,
    })
}

/// The command lines of the programs that somebody named to play roles, as far as they can be found: what is wrong with the others,
/// [`table`] says.
pub(crate) fn programs(spec: &Spec, overrides: &[Override], base: &Path, path: &str) -> Vec<Vec<String>> {
    let scenario = base.join("scenario");
    let own = spec.agents.values().map(|agent| entry(agent, base, path, &scenario));
    let named = overrides.iter().map(|own| AgentSpec { command: own.command.clone(), env: BTreeMap::new() });
    let named = named.map(|agent| entry(&agent, base, path, Path::new("")));
    own.chain(named).flatten().map(|entry| entry.command).collect()
}

fn builtin(base: &Path, env: &BTreeMap<String, String>) -> AgentEntry {
    let mut own = BTreeMap::from([("ANTHROPIC_MODEL".to_owned(), SCRIPT_MODEL.to_owned())]);
    own.extend(env.clone());
    let command = vec![base.join("bin/proctor-agent").display().to_string()];
    AgentEntry { program: BUILTIN.into(), command, env: own, telemetry: true, otlp: None }
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
    let found = found.ok_or_else(|| not_found(program, &place, path))?;
    *program = found.display().to_string();
    Ok(AgentEntry { program: agent.command.clone(), command, env: agent.env.clone(), telemetry: true, otlp: None })
}

/// Why an agent's program cannot be used, and what to do about it.
fn not_found(program: &str, place: &Path, path: &str) -> Halt {
    let message = |why: &str| format!("the agent program `{program}` {why}");
    if !program.contains('/') {
        return Halt::environment(message(&format!("is not on your PATH ({path})")))
            .hint(format!("install it, or write its path with a /: --agent ROLE=./{program}"));
    }
    let at = std::path::absolute(place).unwrap_or_else(|_| place.to_owned());
    let shown = at.display();
    if at.is_dir() {
        Halt::environment(message("is a folder")).hint(format!("name the program in it: {shown}/PROGRAM"))
    } else if at.exists() {
        Halt::environment(message("is not executable"))
            .hint(format!("chmod +x '{shown}', or name its interpreter: python3 '{shown}'"))
    } else {
        Halt::environment(message(&format!("is not there: {shown} does not exist")))
            .hint("a path is taken from the folder that proctor was started in, in a scenario from the scenario's folder")
    }
}

/// Changes the entries of whom a fault hits. A fault for one rig's worker makes an entry for that rig.
fn change(roles: &mut BTreeMap<String, AgentEntry>, whom: &str, with: impl Fn(&mut AgentEntry)) {
    if let (Some((role, _)), false) = (whom.split_once(':'), roles.contains_key(whom))
        && let Some(general) = roles.get(role).cloned()
    {
        roles.insert(whom.to_owned(), general);
    }
    let hit = |key: &str| whom == "*" || key == whom || key.split_once(':').is_some_and(|(role, _)| role == whom);
    roles.iter_mut().filter(|(key, _)| hit(key)).for_each(|(_, entry)| with(entry));
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

/// The faults as evidence: what was planned, and when it fired first. `fired` are the moments that others saw, by the fault's name.
pub(crate) fn fault_rows(faults: &[Fault], fired: &BTreeMap<String, Time>, strikes: &Strikes, state: &Snapshot) -> Vec<FaultRow> {
    let row = |fault: &Fault| {
        let strike = strikes.of(&fault.name);
        let fired_at = match fault.kind {
            FaultKind::Provider | FaultKind::Nudge | FaultKind::Collector => fired.get(&fault.name).copied(),
            FaultKind::Telemetry | FaultKind::Leave => first_life(fault, state),
            FaultKind::Kill | FaultKind::Freeze | FaultKind::Missing => {
                strike.filter(|strike| !strike.undone).map(|strike| strike.at)
            }
        };
        let row = FaultRow { name: fault.name.clone(), what: what(fault, strike), fired_at, ..FaultRow::default() };
        if fired_at.is_some() { with_strike(row, strike) } else { row }
    };
    faults.iter().map(row).collect()
}

/// When the first of those whom a fault hits was started.
fn first_life(fault: &Fault, state: &Snapshot) -> Option<Time> {
    state.sessions.iter().filter(|session| is_meant(fault, &session.agent)).map(|session| session.started_at).min()
}

fn with_strike(row: FaultRow, strike: Option<&Strike>) -> FaultRow {
    let Some(strike) = strike else { return row };
    FaultRow {
        agent: Some(strike.agent.clone()),
        program: strike.program.clone(),
        taken_back_at: strike.taken_back,
        blind_from: strike.blind.map(|(from, _)| from),
        blind_to: strike.blind.and_then(|(_, to)| to),
        ..row
    }
}

/// What a fault does, for people.
fn what(fault: &Fault, strike: Option<&Strike>) -> String {
    let whom = &fault.agent;
    let hit = match &fault.program {
        Some(program) => format!("{program}, at the first request of {whom},"),
        None => format!("the process of {whom}"),
    };
    let span = fault.lasts.map(|span| format!(" for {span}")).unwrap_or_default();
    let undone = if strike.is_some_and(|strike| strike.undone) { ", which did not last: something continued it" } else { "" };
    match fault.kind {
        FaultKind::Provider => {
            let times = if fault.times == 0 { "for ever".to_owned() } else { format!("{} times", fault.times) };
            format!("the provider answers {} to {whom}, {times}", fault.status.unwrap_or(500))
        }
        FaultKind::Telemetry => format!("{whom} is not told where telemetry goes"),
        FaultKind::Collector => format!("the collector that {whom} reports to accepts connections and answers nothing"),
        FaultKind::Leave => format!("the program of {whom} ends at once"),
        FaultKind::Nudge if fault.times == 0 => "the prompt does not reach the mayor".to_owned(),
        FaultKind::Nudge => format!("{} of the prompt does not reach the mayor", deliveries(fault.times)),
        FaultKind::Kill => format!("{hit} is killed"),
        FaultKind::Freeze => format!("{hit} is stopped{span}{undone}"),
        FaultKind::Missing => format!("{hit} is not found any more{span}"),
    }
}

fn deliveries(times: u32) -> String {
    if times == 1 { "the first delivery".to_owned() } else { format!("each of the first {times} deliveries") }
}

/// Whether a fault is meant for an agent.
pub(crate) fn is_meant(fault: &Fault, agent: &str) -> bool {
    fault.agent == "*" || role_keys(agent).contains(&fault.agent)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::scenario::{load, template};

    const AT: Addresses<'_> = Addresses { gateway: "g", otlp: "o", stalled: Some("s"), secret: "secret", origins: None };

    fn spec() -> Spec {
        load(&template("t")).unwrap().spec
    }

    fn fault(kind: FaultKind, agent: &str) -> Fault {
        Fault { name: "n".into(), kind, agent: agent.into(), program: None, status: None, times: 0, lasts: None }
    }

    #[test]
    fn the_command_line_wins_over_the_scenario() {
        let mut spec = spec();
        spec.agents.insert("polecat".into(), AgentSpec { command: "false".into(), env: BTreeMap::new() });
        let own = ["polecat=true --x 'a b'".parse().unwrap()];
        let table = table(&spec, &own, &["mayor", "polecat"], Path::new("/b"), "/usr/bin:/bin", AT).unwrap();
        assert_eq!(table.roles["polecat"].program, "true --x 'a b'");
        assert_eq!(table.roles["polecat"].command[1..], ["--x", "a b"]);
        assert_eq!(table.roles["mayor"].command, ["/b/bin/proctor-agent"]);
    }

    #[test]
    fn a_program_that_is_not_there_is_named_before_anything_starts() {
        let own = ["mayor=./no-such-agent".parse().unwrap()];
        let halt = table(&spec(), &own, &["mayor", "polecat"], Path::new("/b"), "/bin", AT).unwrap_err();
        assert!(halt.message.contains("./no-such-agent"), "{halt}");
    }

    #[test]
    fn a_telemetry_fault_silences_one_worker_and_leaves_the_others() {
        let mut spec = spec();
        spec.fault.push(fault(FaultKind::Telemetry, "polecat:hello"));
        let table = table(&spec, &[], &["mayor", "polecat"], Path::new("/b"), "/bin", AT).unwrap();
        let silent: Vec<&str> = table.roles.iter().filter(|(_, e)| !e.telemetry).map(|(key, _)| key.as_str()).collect();
        assert_eq!(silent, ["polecat:hello"]);
    }

    #[test]
    fn faults_of_the_agent_itself_stand_in_the_table() {
        let mut spec = spec();
        spec.fault.push(fault(FaultKind::Collector, "mayor"));
        spec.fault.push(fault(FaultKind::Leave, "polecat:hello"));
        let table = table(&spec, &[], &["mayor", "polecat"], Path::new("/b"), "/bin", AT).unwrap();
        assert_eq!(table.roles["mayor"].otlp.as_deref(), Some("s"));
        assert_eq!(table.roles["polecat:hello"].command, LEAVES);
        assert_eq!((&table.roles["polecat"].otlp, table.roles["polecat"].command.len()), (&None, 1));
    }

    #[test]
    fn a_fault_says_what_it_does() {
        let second = "1s".parse().ok();
        let dolt = Fault { program: Some("dolt".into()), lasts: second, ..fault(FaultKind::Freeze, "polecat") };
        assert_eq!(what(&dolt, None), "dolt, at the first request of polecat, is stopped for 1s");
        assert_eq!(what(&fault(FaultKind::Kill, "mayor"), None), "the process of mayor is killed");
        let nudge = |times| what(&Fault { times, ..fault(FaultKind::Nudge, "mayor") }, None);
        assert_eq!(nudge(1), "the first delivery of the prompt does not reach the mayor");
        assert_eq!(nudge(2), "each of the first 2 deliveries of the prompt does not reach the mayor");
    }
}
