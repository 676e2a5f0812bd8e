//! Who took part, what each used, and whether each agent's telemetry is whole.
//!
//! Tokens and cost come from the agent's own `claude_code.api_request` events, joined by the address they arrived at, and are
//! compared with the gateway's journal. A record that contradicts its address counts for nobody.

use std::collections::BTreeSet;

use crate::completeness;
use crate::evidence::{AgentRow, Exchange, Session};
use crate::run::Run;
use crate::summary::{AgentSummary, AgentTime, UsageSource};
use crate::telemetry::{API_REQUEST, TOOL_RESULT, Telemetry};
use crate::wording::{round, seconds};

/// Roles that coordinate and have no worker's issue: their sessions may outlive the work.
pub(crate) const STANDING_ROLES: [&str; 6] = ["mayor", "deacon", "witness", "refinery", "boot", "dog"];

/// Every agent of the run: coordinator first, then by rig and address.
pub(crate) fn all(run: &Run, telemetry: &Telemetry) -> Vec<AgentSummary> {
    let mut agents: Vec<AgentSummary> = names(run, telemetry).iter().map(|n| one(run, telemetry, n)).collect();
    agents.sort_by(|a, b| {
        let key = |s: &AgentSummary| (s.rig.is_some(), s.rig.clone(), s.role != "polecat", s.agent.clone());
        key(a).cmp(&key(b))
    });
    agents
}

fn names(run: &Run, telemetry: &Telemetry) -> BTreeSet<String> {
    let mut names = telemetry.agents();
    names.extend(run.sessions.rows.iter().map(|s| s.agent.clone()));
    names.extend(run.agents.rows.iter().map(|a| a.agent.clone()));
    names.extend(run.exchanges.rows.iter().map(|e| e.agent.clone()));
    names
}

fn one(run: &Run, telemetry: &Telemetry, agent: &str) -> AgentSummary {
    let row = run.agents.rows.iter().find(|a| a.agent == agent);
    let mut sessions: Vec<&Session> = run.sessions.rows.iter().filter(|s| s.agent == agent).collect();
    sessions.sort_by_key(|s| s.started_at);
    let last = sessions.last();
    let own = Usage::of_telemetry(telemetry, agent);
    let gateway = Usage::of_gateway(&run.exchanges.rows, agent);
    let (usage_from, usage) = match (own.calls, gateway.calls) {
        (0, 0) => (UsageSource::None, &own),
        (0, _) => (UsageSource::Gateway, &gateway),
        _ => (UsageSource::Telemetry, &own),
    };
    AgentSummary {
        agent: agent.to_owned(),
        role: role(agent, row, last.copied()),
        rig: rig(agent, row, last.copied()),
        program: row.map_or_else(|| "unknown".into(), |r| r.program.clone()),
        sessions: sessions.iter().map(|s| s.session.clone()).collect(),
        state: row.map(|r| r.state.clone()),
        issue: row.and_then(|r| r.issue.clone()).or_else(|| last.and_then(|s| s.issue.clone())),
        exit: last.and_then(|s| s.exit.clone()),
        usage_from,
        model_calls: usage.calls,
        input_tokens: usage.input,
        output_tokens: usage.output,
        cache_read_tokens: usage.cache_read,
        cache_creation_tokens: usage.cache_creation,
        cost_usd: round(usage.cost),
        time: time(run, telemetry, agent, &sessions),
        telemetry: completeness::of(run, telemetry, agent, own.calls, gateway.calls),
    }
}

fn role(agent: &str, row: Option<&AgentRow>, session: Option<&Session>) -> String {
    let known = row.map(|r| r.role.clone()).or_else(|| session.map(|s| s.role.clone()));
    known.unwrap_or_else(|| match agent.split('/').collect::<Vec<_>>().as_slice() {
        [_, "polecats", _] => "polecat".into(),
        [_, "crew", _] => "crew".into(),
        [_, role] => (*role).to_owned(),
        _ => agent.to_owned(),
    })
}

fn rig(agent: &str, row: Option<&AgentRow>, session: Option<&Session>) -> Option<String> {
    let known = row.and_then(|r| r.rig.clone()).or_else(|| session.and_then(|s| s.rig.clone()));
    known.or_else(|| agent.split_once('/').map(|(rig, _)| rig.to_owned()))
}

fn time(run: &Run, telemetry: &Telemetry, agent: &str, sessions: &[&Session]) -> AgentTime {
    let end = run.last_moment();
    let alive: f64 = sessions.iter().map(|s| seconds(s.started_at, s.ended_at.unwrap_or(end)).max(0.0)).sum();
    let model: f64 = run.exchanges.rows.iter().filter(|e| e.agent == agent).map(|e| e.duration_ms / 1e3).sum();
    let tools: f64 = telemetry
        .records_of(agent)
        .filter(|r| r.body == TOOL_RESULT)
        .filter_map(|r| r.attributes.number("duration_ms"))
        .map(|ms| ms / 1e3)
        .sum();
    let other = (alive - model - tools).max(0.0);
    AgentTime { alive_s: round(alive), model_s: round(model), tools_s: round(tools), other_s: round(other) }
}

/// Model calls and what they used.
#[derive(Clone, Debug, Default)]
struct Usage {
    calls: u64,
    input: u64,
    output: u64,
    cache_read: u64,
    cache_creation: u64,
    cost: f64,
}

impl Usage {
    fn of_telemetry(telemetry: &Telemetry, agent: &str) -> Self {
        let mut usage = Self::default();
        for record in telemetry.records_of(agent).filter(|r| r.body == API_REQUEST) {
            let tokens = |name: &str| record.attributes.number(name).map_or(0, |n| n.max(0.0) as u64);
            usage.calls += 1;
            usage.input += tokens("input_tokens");
            usage.output += tokens("output_tokens");
            usage.cache_read += tokens("cache_read_tokens");
            usage.cache_creation += tokens("cache_creation_tokens");
            usage.cost += record.attributes.number("cost_usd").unwrap_or(0.0);
        }
        usage
    }

    fn of_gateway(exchanges: &[Exchange], agent: &str) -> Self {
        let mut usage = Self::default();
        for exchange in exchanges.iter().filter(|e| e.agent == agent && answered(e)) {
            usage.calls += 1;
            usage.input += exchange.input_tokens;
            usage.output += exchange.output_tokens;
        }
        usage
    }
}

/// Whether an exchange is a model call that got an answer; token counts and health questions are not.
pub(crate) fn answered(exchange: &Exchange) -> bool {
    exchange.status == 200 && model_call(exchange)
}

/// Whether an exchange asks the model for a message.
pub(crate) fn model_call(exchange: &Exchange) -> bool {
    let path = exchange.request.split_whitespace().nth(1).unwrap_or("");
    exchange.request.starts_with("POST") && path.split('?').next().is_some_and(|p| p.ends_with("/messages"))
}
