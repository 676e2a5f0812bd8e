//! What was in a live town before the run: everything of it is left out of what the run is judged by.

use std::collections::BTreeSet;

use proctor_judge::evidence::AgentId;

use crate::town::{Snapshot, TownEvent};

/// The ids of what was there, and the rigs.
#[derive(Debug, Default)]
pub(super) struct Before {
    ids: BTreeSet<String>,
    rigs: BTreeSet<String>,
}

impl Before {
    pub(super) fn new(state: &Snapshot, rigs: &[String]) -> Self {
        let beads = state.beads.iter().map(|bead| &bead.id);
        let convoys = state.convoys.iter().map(|convoy| &convoy.id);
        let mail = state.mail.iter().map(|mail| &mail.id);
        let requests = state.merge_requests.iter().map(|request| &request.id);
        Self { ids: beads.chain(convoys).chain(mail).chain(requests).cloned().collect(), rigs: rigs.iter().cloned().collect() }
    }

    /// The rigs that were there.
    pub(super) fn rigs(&self) -> &BTreeSet<String> {
        &self.rigs
    }

    /// What of a state is the run's: what came since, of the mayor and of rigs that came since.
    pub(super) fn without(&self, mut state: Snapshot) -> Snapshot {
        let is_new = |id: &String| !self.ids.contains(id);
        state.beads.retain(|bead| is_new(&bead.id));
        state.convoys.retain(|convoy| is_new(&convoy.id));
        state.merge_requests.retain(|request| is_new(&request.id));
        state.mail.retain(|mail| is_new(&mail.id) && ![&mail.from, &mail.to].iter().any(|who| self.belongs_to_others(who)));
        state.agents.retain(|agent| self.is_of_the_run(&agent.agent));
        state.sessions.retain(|session| self.is_of_the_run(&session.agent));
        state
    }

    /// The events by whoever takes part in the run.
    pub(super) fn without_events(&self, mut events: Vec<TownEvent>) -> Vec<TownEvent> {
        events.retain(|event| self.is_of_the_run(&event.actor));
        events
    }

    /// The mayor, and whoever belongs to a rig that came since. Others of the town, such as its deacon, have no rig.
    fn is_of_the_run(&self, agent: &AgentId) -> bool {
        let rig = agent.split_once('/').map(|(rig, _)| rig);
        agent == "mayor" || rig.is_some_and(|rig| rig != "deacon" && !self.rigs.contains(rig))
    }

    fn belongs_to_others(&self, agent: &str) -> bool {
        agent.split_once('/').is_some_and(|(rig, _)| self.rigs.contains(rig))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use serde_json::json;

    fn state(beads: &[&str], agents: &[&str]) -> Snapshot {
        let at = "2026-01-02T03:04:05Z";
        let beads: Vec<_> = beads
            .iter()
            .map(|id| {
                json!({"id": id, "title": "", "kind": "task", "status": "open", "priority": 2,
            "assignee": null, "rig": null, "created_by": "mayor", "created_at": at, "closed_at": null, "close_reason": null,
            "closed_by": null, "description": ""})
            })
            .collect();
        let agents: Vec<_> = agents
            .iter()
            .map(|agent| {
                json!({"agent": agent, "role": "polecat", "rig": null, "name": "n", "state": "idle",
            "program": "", "issue": null, "telemetry": ""})
            })
            .collect();
        let none: [u8; 0] = [];
        serde_json::from_value(json!({"beads": beads, "agents": agents, "convoys": none, "mail": none, "merge_requests": none,
            "sessions": none}))
        .unwrap()
    }

    #[test]
    fn what_was_there_and_who_belongs_to_it_is_not_the_runs() {
        let before = Before::new(&state(&["hq-1"], &[]), &["harbor".to_owned()]);
        let agents = ["mayor", "deacon", "deacon/boot", "harbor/polecats/nux", "alice/polecats/nux", "alice/refinery"];
        let now = before.without(state(&["hq-1", "hq-2"], &agents));
        assert_eq!(now.beads.iter().map(|bead| bead.id.as_str()).collect::<Vec<_>>(), ["hq-2"]);
        let left: Vec<&str> = now.agents.iter().map(|agent| agent.agent.as_str()).collect();
        assert_eq!(left, ["mayor", "alice/polecats/nux", "alice/refinery"]);
    }

    #[test]
    fn events_of_others_are_left_out() {
        let before = Before::new(&Snapshot::default(), &["harbor".to_owned()]);
        let event =
            |actor: &str| serde_json::from_value(json!({"ts": "2026-01-02T03:04:05Z", "type": "sling", "actor": actor})).unwrap();
        let events: Vec<TownEvent> = ["mayor", "harbor/nux", "alice/nux", "daemon"].map(event).into();
        let left: Vec<String> = before.without_events(events).into_iter().map(|event| event.actor).collect();
        assert_eq!(left, ["mayor", "alice/nux"]);
    }
}
