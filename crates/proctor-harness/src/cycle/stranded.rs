//! An end of waiting before its limit: nobody is left who could land what is missing.
//!
//! Only where the town itself starts no agent anew. An agent of a program that nobody knows may wake by itself, so that it is
//! waited for as long as it lives; the built-in one acts only when it is spoken to.

use std::time::Duration;

use proctor_judge::evidence::{Session, StopKind};
use tokio::time::Instant;

use super::Services;
use super::run::Run;
use crate::halt::Halt;
use crate::launch::BUILTIN;
use crate::town::Snapshot;

/// How long nothing may have happened before nobody counts as left: an agent that is being started is not there yet.
const QUIET: Duration = Duration::from_secs(5);

/// What was last seen to happen, and of whom.
#[derive(Debug)]
pub(crate) struct Activity {
    last: Instant,
    /// Whether the mayor was seen to do anything since it began.
    pub(crate) mayor: bool,
}

impl Default for Activity {
    fn default() -> Self {
        Self { last: Instant::now(), mayor: false }
    }
}

impl Activity {
    /// Something happened, by whom it is known.
    pub(crate) fn seen(&mut self, agent: &str) {
        self.last = Instant::now();
        self.mayor |= agent == "mayor";
    }
}

impl<S: Services> Run<S> {
    /// The halt when nobody is left.
    pub(crate) fn nobody_left(&self) -> Option<Halt> {
        let state = self.state.as_deref()?;
        let is_quiet = self.activity.last.elapsed() >= QUIET && !self.is_hit();
        if !is_quiet || self.town().ok()?.starts_agents_anew() || !is_deserted(state, |agent| self.is_builtin(agent)) {
            return None;
        }
        let message = format!("not landed, and nobody is left who could land what is missing: {}", last_words(state));
        Some(Halt::new(StopKind::Timeout, message))
    }

    /// The halt when a mayor that was not seen to get its prompt does nothing at all.
    pub(crate) fn silent_mayor(&self, waited: Duration) -> Option<Halt> {
        let unproven = self.rec.record.delivery.as_ref().is_some_and(|delivery| delivery.received_at.is_none());
        let limit = self.receipt_limit();
        (unproven && !self.activity.mayor && waited >= limit).then(|| {
            let seconds = (limit + waited).as_secs();
            let message =
                format!("not landed: within {seconds} s of the prompt the mayor asked no model and gave no command in the town");
            Halt::new(StopKind::Timeout, message)
                .hint("see evidence/transcripts/ for what its terminal showed; docs/agents.md says what a mayor must do")
        })
    }

    /// Whether the built-in agent plays this one.
    pub(crate) fn is_builtin(&self, agent: &str) -> bool {
        self.table.as_ref().and_then(|table| table.entry(agent).ok()).is_some_and(|(_, entry)| entry.program == BUILTIN)
    }
}

/// Whether no agent can act any more, unless somebody speaks to it, and nothing waits to be merged.
fn is_deserted(state: &Snapshot, is_builtin: impl Fn(&str) -> bool) -> bool {
    let rests = |session: &Session| {
        let idle = state.agents.iter().any(|agent| agent.agent == session.agent && agent.state == "idle");
        session.role == "mayor" && idle && is_builtin(&session.agent)
    };
    let gone = |session: &Session| session.ended_at.is_some() || session.exit.is_some();
    let merging = state.merge_requests.iter().any(|request| request.status == "open");
    // Who holds an issue and has no session yet is being started.
    let starting = state.beads.iter().filter(|bead| bead.status != "closed").filter_map(|bead| bead.assignee.as_ref());
    let mut starting = starting.filter(|agent| !state.sessions.iter().any(|session| session.agent == **agent));
    !state.sessions.is_empty() && !merging && starting.next().is_none() && state.sessions.iter().all(|s| gone(s) || rests(s))
}

/// How the newest session of each agent ended.
fn last_words(state: &Snapshot) -> String {
    let mut sessions: Vec<&Session> = state.sessions.iter().collect();
    sessions.sort_by_key(|session| (session.role == "mayor", session.started_at));
    let newest =
        |session: &&&Session| !sessions.iter().any(|other| other.agent == session.agent && other.started_at > session.started_at);
    let words = |session: &&Session| {
        let who = session.agent.replace("/polecats/", "/");
        session.exit.as_ref().map_or_else(|| format!("{who} rests"), |exit| format!("{who} ended by {exit}"))
    };
    sessions.iter().filter(newest).map(words).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use serde_json::{Value, json};

    const AT: &str = "2026-11-22T10:15:02Z";

    fn session(agent: &str, exit: Option<&str>) -> Value {
        let role = if agent == "mayor" { "mayor" } else { "polecat" };
        json!({"session": agent, "run_id": agent, "agent": agent, "role": role, "rig": null, "pid": 1, "command": [], "started_at": AT,
            "ended_at": exit.map(|_| AT), "exit": exit, "issue": null, "branch": null})
    }

    fn mayor(state: &str) -> Value {
        json!({"agent": "mayor", "role": "mayor", "rig": null, "name": "mayor", "program": "builtin", "state": state, "issue": null, "telemetry": "builtin"})
    }

    fn snapshot(agents: &[Value], sessions: &[Value]) -> Snapshot {
        let none: [Value; 0] = [];
        let value =
            json!({"beads": none, "convoys": none, "mail": none, "merge_requests": none, "agents": agents, "sessions": sessions});
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_town_whose_workers_are_dead_and_whose_mayor_rests_is_deserted() {
        let dead = session("alice/polecats/nux", Some("signal 9"));
        let state = snapshot(&[mayor("idle")], &[session("mayor", None), dead.clone()]);
        assert!(is_deserted(&state, |_| true));
        assert_eq!(last_words(&state), "alice/nux ended by signal 9, mayor rests");
        assert!(!is_deserted(&state, |_| false), "a mayor of another program may wake by itself");
        let works = snapshot(&[mayor("working")], &[session("mayor", None), dead.clone()]);
        assert!(!is_deserted(&works, |_| true));
        let gone = snapshot(&[mayor("idle")], &[session("mayor", Some("exit 1")), dead.clone()]);
        assert!(is_deserted(&gone, |_| false));
        let one_left = snapshot(&[mayor("idle")], &[session("mayor", None), dead, session("bob/polecats/rust", None)]);
        assert!(!is_deserted(&one_left, |_| true));
        assert!(!is_deserted(&Snapshot::default(), |_| true));
    }

    #[test]
    fn what_is_being_started_or_merged_is_waited_for() {
        let mut state = snapshot(&[mayor("idle")], &[session("mayor", None)]);
        let bead = json!({"id": "al-1", "title": "t", "kind": "task", "status": "hooked", "priority": 2, "assignee": "alice/polecats/nux", "rig": "alice",
            "created_by": "mayor", "created_at": AT, "closed_at": null, "close_reason": null, "closed_by": null, "description": ""});
        state.beads = vec![serde_json::from_value(bead).unwrap()];
        assert!(!is_deserted(&state, |_| true), "its worker is being started");
        state.beads.clear();
        assert!(is_deserted(&state, |_| true));
        let request = json!({"id": "mr", "issue": "al-1", "rig": "alice", "branch": "b", "target": "main", "worker": "alice/polecats/nux", "commit": null,
            "status": "open", "merge_commit": null, "created_at": AT, "closed_at": null, "reason": null});
        state.merge_requests = vec![serde_json::from_value(request).unwrap()];
        assert!(!is_deserted(&state, |_| true));
    }
}
