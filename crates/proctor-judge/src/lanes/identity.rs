//! Whose a record is.
//!
//! The address that a record came by decides, then exact keys (its session, role, run id, the program's own session id).
//! `session.stop` and `agent.instantiate` are told by the one who stops or starts, so they go to the session they speak of.

use std::collections::HashMap;

use super::material::{LogRow, Material};
use crate::evidence::AgentId;

/// Whose a record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// This agent's, and where the record says it, of the session with this run id.
    Agent(AgentId, Option<String>),
    /// It claims to be this agent's and came by another's address.
    Contradicted(String),
    /// Nobody's, for this reason.
    Nobody(String),
}

/// The short address that people and mail use: `alice/furiosa` for `alice/polecats/furiosa`.
pub(crate) fn short(agent: &str) -> String {
    agent.trim_end_matches('/').replacen("/polecats/", "/", 1)
}

/// Addresses, sessions and run ids, and whose they are.
#[derive(Debug, Default)]
pub(crate) struct Book {
    forms: HashMap<String, AgentId>,
    sessions: HashMap<String, AgentId>,
    runs: HashMap<String, AgentId>,
    natives: HashMap<String, AgentId>,
}

impl Book {
    /// Learns every name that the evidence holds.
    pub(crate) fn of(material: &Material) -> Book {
        let mut book = Book::default();
        for agent in &material.agents {
            book.enter(&agent.agent);
        }
        for session in &material.sessions {
            book.enter(&session.agent);
            book.sessions.insert(session.session.clone(), session.agent.clone());
            book.runs.insert(session.run_id.clone(), session.agent.clone());
        }
        for exchange in &material.exchanges {
            book.enter(&exchange.agent);
        }
        for row in material.logs.iter().filter(|row| row.contradicted.is_none()) {
            book.learn(row);
        }
        book
    }

    fn enter(&mut self, agent: &str) {
        let short = short(agent);
        // A rig's polecats are known by both forms; the long one is the agent's own.
        if agent.contains("/polecats/") || !self.forms.contains_key(&short) {
            self.forms.insert(short, agent.trim_end_matches('/').to_owned());
        }
    }

    fn learn(&mut self, row: &LogRow) {
        let agent = match (row.address.as_str(), row.field("gt.role")) {
            ("", None) => return,
            ("", Some(role)) => role.to_owned(),
            (address, _) => address.to_owned(),
        };
        self.enter(&agent);
        for (key, map) in [("gt.session", &mut self.sessions), ("session.id", &mut self.natives)] {
            if let Some(value) = row.field(key) {
                map.entry(value.to_owned()).or_insert_with(|| agent.clone());
            }
        }
    }

    /// The agent that an address, long, short or with a trailing slash, or a session's name means.
    pub(crate) fn resolve(&self, name: &str) -> Option<&AgentId> {
        self.forms.get(&short(name)).or_else(|| self.sessions.get(name))
    }

    /// Every agent known, in no order.
    pub(crate) fn agents(&self) -> impl Iterator<Item = &AgentId> {
        self.forms.values()
    }

    /// Whose a record is.
    pub(crate) fn who(&self, row: &LogRow) -> Who {
        if let Some(claimed) = &row.contradicted {
            return Who::Contradicted(claimed.clone());
        }
        if let Some(agent) = self.spoken_of(row) {
            return Who::Agent(agent.clone(), None);
        }
        let run = row.field("run.id").map(str::to_owned);
        match self.exact(row) {
            Some(agent) => Who::Agent(agent.clone(), run),
            None => Who::Nobody(format!("no agent named ({})", row.field("service.name").unwrap_or("unknown service"))),
        }
    }

    fn spoken_of(&self, row: &LogRow) -> Option<&AgentId> {
        let about = matches!(row.body.as_str(), "session.stop" | "session.start" | "agent.instantiate");
        row.field("session_id").filter(|_| about).and_then(|session| self.sessions.get(session))
    }

    fn exact(&self, row: &LogRow) -> Option<&AgentId> {
        let by = |key: &str, map: &HashMap<String, AgentId>| row.field(key).and_then(|value| map.get(value).cloned());
        let agent = Some(row.address.clone())
            .filter(|address| !address.is_empty())
            .or_else(|| by("gt.session", &self.sessions))
            .or_else(|| row.field("gt.role").map(str::to_owned))
            .or_else(|| row.field("gt.actor").map(str::to_owned))
            .or_else(|| by("run.id", &self.runs))
            .or_else(|| by("session.id", &self.natives))
            .or_else(|| by("session", &self.sessions))?;
        self.forms.get(&short(&agent))
    }
}
