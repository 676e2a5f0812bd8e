//! Which agent a caller is: the one whose session its process stems from, whatever its environment claims.

use std::collections::{BTreeMap, HashMap};

use super::peer::{self, Link, Peer, Unknown};
use super::{Daemon, locked};
use crate::caller::{long_address, role_address};

/// The first process of a session.
#[derive(Clone, Debug)]
pub(super) struct Root {
    started: u64,
    /// Who that is.
    pub(super) agent: Agent,
}

/// An agent, as its process shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agent {
    /// `alice/polecats/furiosa`.
    pub(crate) agent: String,
    /// `al-furiosa`.
    pub(crate) session: String,
    /// `GT_RUN` of this life.
    pub(crate) run_id: String,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// A person, or a harness: a process that stems from no session.
    Operator,
    /// An agent.
    Agent(Agent),
}

/// Another identity than the caller's own, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// What is claimed.
    pub(crate) claimed: String,
    /// `GT_ROLE`, `BD_ACTOR`, …
    pub(crate) by: &'static str,
}

/// The living sessions by their first process, and all run ids there ever were.
#[derive(Debug, Default)]
pub(super) struct Roots {
    living: HashMap<u32, Root>,
    lives: HashMap<String, Agent>,
    seen: HashMap<Link, Who>,
}

/// How many processes are remembered, so that one that connects again and again is followed to its session once.
const SEEN: usize = 1024;

impl Roots {
    /// Enters a session's first process.
    pub(super) fn enter(&mut self, pid: u32, agent: Agent) {
        self.remember(agent.clone());
        // A process that is gone already has no beginning any more, and nobody can stem from it.
        if let Some(started) = peer::started(pid) {
            self.living.insert(pid, Root { started, agent });
        }
    }

    /// Enters a life that is over.
    pub(super) fn remember(&mut self, agent: Agent) {
        self.lives.insert(agent.run_id.clone(), agent);
    }

    /// Forgets a first process that is reaped.
    pub(super) fn leave(&mut self, pid: u32, run_id: &str) {
        if self.living.get(&pid).is_some_and(|root| root.agent.run_id == run_id) {
            self.living.remove(&pid);
        }
    }

    fn of(&self, line: &[Link]) -> Option<Agent> {
        let root = |link: &Link| self.living.get(&link.pid).filter(|root| root.started == link.started);
        line.iter().find_map(root).map(|root| root.agent.clone())
    }

    /// Who a process is that was recognised before: whose child a process is by birth never changes.
    fn seen(&self, process: Link) -> Option<Who> {
        self.seen.get(&process.of_no_parent()).cloned()
    }

    fn see(&mut self, process: Link, who: &Who) {
        if self.seen.len() >= SEEN {
            self.seen.clear();
        }
        self.seen.insert(process.of_no_parent(), who.clone());
    }

    /// The agent whose life a caller's `GT_RUN` names: a process that outlived its session still says whose it was.
    pub(super) fn of_run(&self, run_id: &str) -> Option<Agent> {
        self.lives.get(run_id).cloned()
    }
}

impl Daemon {
    /// Who is at the other end. A session that is just being started is waited for, so that none of its processes is
    /// ever taken for somebody else.
    pub(super) fn who(&self, peer: &Peer) -> Result<Who, Unknown> {
        if peer.pid == std::process::id() {
            return Ok(Who::Operator);
        }
        let process = peer.process()?;
        if let Some(who) = locked(&self.roots).seen(process) {
            return Ok(who);
        }
        let line = peer.lineage()?;
        let mut roots = locked(&self.roots);
        let own = line.iter().any(|link| link.pid == std::process::id());
        let who = match roots.of(&line) {
            Some(agent) => Who::Agent(agent),
            // What the daemon starts besides sessions has nothing to ask.
            None if own => return Err(Unknown::Unseen),
            // An agent's fence is a filter more than the town's. Should its launcher end before it, this is what is left of it.
            None if peer::filters(peer.pid) > peer::filters(std::process::id()) => return Err(Unknown::Outlived),
            None => Who::Operator,
        };
        roots.see(process, &who);
        Ok(who)
    }
}

impl Agent {
    /// The first identity in an environment that is not this agent.
    pub(crate) fn claim(&self, env: &BTreeMap<String, String>) -> Option<Claim> {
        let var = |name: &str| env.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let role = role_address(&var).map(|claimed| Claim { claimed, by: "GT_ROLE" });
        let actor = |by: &'static str| var(by).map(|name| Claim { claimed: name.to_string(), by });
        let claims = [role, actor("BEADS_ACTOR"), actor("BD_ACTOR")];
        claims.into_iter().flatten().find(|claim| !self.is(&claim.claimed))
    }

    /// Whether that address, in its long or short form, is this agent's.
    pub(crate) fn is(&self, address: &str) -> bool {
        long_address(address) == self.agent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent() -> Agent {
        Agent { agent: "alice/polecats/furiosa".into(), session: "al-furiosa".into(), run_id: "r".into() }
    }

    fn claimed(env: &[(&str, &str)]) -> Option<String> {
        let env = env.iter().map(|(key, value)| ((*key).to_string(), (*value).to_string())).collect();
        agent().claim(&env).map(|claim| format!("{} {}", claim.by, claim.claimed))
    }

    #[test]
    fn an_agents_own_names_are_no_claim() {
        assert_eq!(claimed(&[]), None);
        assert_eq!(claimed(&[("GT_ROLE", "alice/polecats/furiosa"), ("BD_ACTOR", "alice/furiosa")]), None);
        assert_eq!(claimed(&[("GT_ROLE", "polecat"), ("GT_RIG", "alice"), ("GT_POLECAT", "furiosa")]), None);
    }

    #[test]
    fn anybody_elses_name_is_one() {
        assert_eq!(claimed(&[("GT_ROLE", "mayor")]).as_deref(), Some("GT_ROLE mayor"));
        assert_eq!(
            claimed(&[("GT_ROLE", "polecat"), ("GT_RIG", "bob"), ("GT_POLECAT", "nux")]).as_deref(),
            Some("GT_ROLE bob/polecats/nux")
        );
        assert_eq!(claimed(&[("BD_ACTOR", "mayor")]).as_deref(), Some("BD_ACTOR mayor"));
        assert_eq!(claimed(&[("BEADS_ACTOR", "bob/nux")]).as_deref(), Some("BEADS_ACTOR bob/nux"));
    }
}
