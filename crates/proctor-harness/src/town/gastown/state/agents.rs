//! Agents: beads labelled `gt:agent`, joined with the lives of their processes.

use std::collections::BTreeMap;

use proctor_judge::evidence::{AgentId, AgentRow, Bead, Session};

use super::address;
use super::row::{self, Rows};
use crate::launch::issue_of_branch;

/// What the town itself says of one agent.
#[derive(Clone, Debug, Default)]
struct Stated {
    role: String,
    rig: Option<String>,
    state: String,
    hook: Option<String>,
    issue: Option<String>,
}

/// All agents that the town has a bead for or that ever had a process, by address.
pub(super) fn agents(rows: &Rows, beads: &[Bead], sessions: &[Session]) -> Vec<AgentRow> {
    let mut stated: BTreeMap<AgentId, Stated> =
        rows.beads.iter().filter(|bead| rows.has(bead, "gt:agent")).filter_map(said).collect();
    for session in sessions {
        stated.entry(session.agent.clone()).or_insert_with(|| Stated {
            role: session.role.clone(),
            rig: session.rig.clone(),
            ..Stated::default()
        });
    }
    stated.into_iter().map(|(agent, said)| row(agent, said, beads, sessions)).collect()
}

fn said(bead: &row::Bead) -> Option<(AgentId, Stated)> {
    let field = |key: &str| bead.field(key).map(str::to_owned);
    let stated = Stated {
        role: field("role_type")?,
        rig: field("rig"),
        state: field("agent_state").unwrap_or_default(),
        hook: field("hook_bead"),
        issue: bead.field("branch").and_then(issue_of_branch).map(str::to_owned),
    };
    Some((address::of_bead(&bead.id, &stated.role, stated.rig.as_deref())?, stated))
}

fn row(agent: AgentId, said: Stated, beads: &[Bead], sessions: &[Session]) -> AgentRow {
    let own: Vec<&Session> = sessions.iter().filter(|session| session.agent == agent).collect();
    let hooked = hooked(&agent, &said, beads);
    let last = own.last().copied();
    let issue = hooked.map(str::to_owned).or_else(|| last.and_then(|session| session.issue.clone()));
    let facts = Facts {
        alive: own.iter().any(|session| session.ended_at.is_none()),
        lived: last.is_some(),
        hooked: hooked.is_some(),
        over: issue.as_ref().or(said.issue.as_ref()).is_some_and(|issue| closed(issue, beads)),
    };
    AgentRow {
        name: address::name(&agent).to_owned(),
        state: state(&said.role, &said.state, facts).to_owned(),
        program: last.map(|session| session.command.join(" ")).unwrap_or_default(),
        issue: issue.or(said.issue),
        role: said.role,
        rig: said.rig,
        telemetry: String::new(),
        agent,
    }
}

/// The work on an agent's hook. The bead decides: the agent's own bead names it later and forgets it earlier.
fn hooked<'a>(agent: &str, said: &Stated, beads: &'a [Bead]) -> Option<&'a str> {
    let held = |bead: &&Bead| {
        matches!(bead.status.as_str(), "hooked" | "in_progress")
            && match &bead.assignee {
                Some(assignee) => assignee == agent,
                None => said.hook.as_ref() == Some(&bead.id),
            }
    };
    beads.iter().find(held).map(|bead| bead.id.as_str())
}

fn closed(issue: &str, beads: &[Bead]) -> bool {
    beads.iter().any(|bead| bead.id == issue && bead.status == "closed")
}

#[derive(Clone, Copy, Debug)]
struct Facts {
    /// A process of it lives.
    alive: bool,
    /// It ever had a process.
    lived: bool,
    /// Unfinished work is on its hook.
    hooked: bool,
    /// The issue it held last is closed.
    over: bool,
}

/// `gt` calls a polecat working for as long as its session lives; here work decides. An agent that is being made (`spawning`) is working:
/// something is about to run. One that the town calls working and that never had a process known here belongs to a town whose agents
/// others launched; the town is believed.
fn state<'a>(role: &str, said: &'a str, facts: Facts) -> &'a str {
    let busy = matches!(said, "working" | "spawning");
    match facts {
        Facts { alive: true, hooked: true, .. } => "working",
        Facts { alive: true, .. } if busy => "working",
        Facts { alive: true, .. } if matches!(said, "done" | "stuck") => said,
        Facts { alive: true, .. } => "idle",
        Facts { hooked: true, .. } if said == "spawning" => "working",
        Facts { hooked: true, lived: true, .. } => "stalled",
        Facts { lived: false, .. } if busy => "working",
        Facts { hooked: true, .. } => "stalled",
        Facts { over: true, .. } if role == "polecat" => "done",
        _ => "stopped",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(alive: bool, lived: bool, hooked: bool, over: bool) -> Facts {
        Facts { alive, lived, hooked, over }
    }

    #[test]
    fn work_and_life_decide_the_state() {
        for (said, facts, expected) in [
            ("working", of(true, true, true, false), "working"),
            ("idle", of(true, true, true, false), "working"),
            ("working", of(true, true, false, true), "working"),
            ("idle", of(true, true, false, true), "idle"),
            ("done", of(true, true, false, true), "done"),
            ("idle", of(true, true, false, false), "idle"),
            ("working", of(false, true, true, false), "stalled"),
            ("idle", of(false, true, true, false), "stalled"),
            ("spawning", of(false, false, true, false), "working"),
            ("spawning", of(false, false, false, false), "working"),
            ("spawning", of(false, true, true, false), "working"),
            ("working", of(false, false, true, false), "working"),
            ("working", of(false, true, false, true), "done"),
            ("idle", of(false, true, false, true), "done"),
            ("idle", of(false, false, false, false), "stopped"),
            ("idle", of(false, true, false, false), "stopped"),
        ] {
            assert_eq!(state("polecat", said, facts), expected, "{said} {facts:?}");
        }
        assert_eq!(state("mayor", "idle", of(false, true, false, false)), "stopped");
    }
}
