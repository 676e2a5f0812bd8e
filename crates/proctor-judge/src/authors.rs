//! Whose commit it is.
//!
//! Towns name authors in their own ways: the built-in one by the agent's whole address, Gas Town by the worker's name alone, which workers
//! of two rigs can share. Where the e-mail address states the agent, that decides.

use crate::evidence::Commit;
use crate::summary::AgentSummary;
use crate::wording::short_agent;

/// The agents that may have written a commit: one where the commit states whose it is, several where only a name is known that they
/// share, none where nobody is known by it.
pub(crate) fn of<'a>(commit: &Commit, agents: &'a [AgentSummary]) -> Vec<&'a AgentSummary> {
    let mailbox = commit.email.split_once('@').map_or("", |(mailbox, _)| mailbox);
    let author = short_agent(&commit.author);
    let by_email = |agent: &AgentSummary| agent.agent.replace('/', ".") == mailbox;
    let by_address = |agent: &AgentSummary| short_agent(&agent.agent) == author;
    let by_name = |agent: &AgentSummary| agent.agent.rsplit('/').next() == Some(author.as_str());
    let rules: [&dyn Fn(&AgentSummary) -> bool; 3] = [&by_email, &by_address, &by_name];
    let found = |rule: &dyn Fn(&AgentSummary) -> bool| agents.iter().filter(|agent| rule(agent)).collect::<Vec<_>>();
    rules.into_iter().map(found).find(|found| !found.is_empty()).unwrap_or_default()
}

/// Whether an agent may have written a commit.
pub(crate) fn may_be(commit: &Commit, agent: &str, agents: &[AgentSummary]) -> bool {
    of(commit, agents).iter().any(|found| found.agent == agent)
}
