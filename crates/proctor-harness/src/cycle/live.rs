//! What is known of agents while the run goes on: from the gateway's exchanges, the town's state and the store's counts.

use std::collections::BTreeMap;

use proctor_judge::evidence::{AgentId, Exchange, StopKind, Time};

use super::{AgentCounts, AgentLive, Totals};
use crate::halt::Halt;
use crate::town::Snapshot;

/// Answers of a fault that lasts for ever after which nothing else can come.
const HOPELESS_FAULTS: u64 = 3;
/// Longest text shown as what an agent does.
const DOING_LIMIT: usize = 100;

/// The agents of a run in progress.
#[derive(Default)]
pub(crate) struct Live {
    agents: BTreeMap<AgentId, AgentLive>,
    faulted: BTreeMap<AgentId, u64>,
    pub(crate) totals: Totals,
    /// When each provider fault fired first.
    pub(crate) fired: BTreeMap<String, Time>,
    exchanges: BTreeMap<AgentId, u64>,
}

impl Live {
    fn agent(&mut self, agent: &str) -> &mut AgentLive {
        self.agents.entry(agent.to_owned()).or_insert_with(|| AgentLive {
            agent: agent.to_owned(),
            role: role_of(agent),
            state: "working".into(),
            doing: String::new(),
            since: None,
            turns: 0,
            tokens: 0,
            cost_usd: 0.0,
        })
    }

    /// The agents, the coordinator first.
    pub(crate) fn rows(&self) -> Vec<AgentLive> {
        let mut rows: Vec<AgentLive> = self.agents.values().cloned().collect();
        rows.sort_by_key(|row| (row.role != "mayor", row.agent.clone()));
        rows
    }

    /// How many exchanges an agent had.
    pub(crate) fn exchanges_of(&self, agent: &str) -> u64 {
        self.exchanges.get(agent).copied().unwrap_or(0)
    }

    /// Takes an exchange. `for_ever` names the provider faults that never stop; `hit` says that a planned fault hit a program that
    /// agents use, so that an agent may ask what no script foresees.
    ///
    /// # Errors
    /// A request without an answer, and a provider that will never answer: nothing good can come after either.
    pub(crate) fn exchange(&mut self, exchange: &Exchange, for_ever: &[String], hit: bool) -> Result<(), Halt> {
        *self.exchanges.entry(exchange.agent.clone()).or_default() += 1;
        let row = self.agent(&exchange.agent);
        row.turns += u64::from(exchange.status < 400);
        row.tokens += exchange.input_tokens + exchange.output_tokens;
        row.since = Some(exchange.at);
        row.doing = one_line(if exchange.answered.is_empty() { &exchange.asked } else { &exchange.answered });
        // What a command of an agent's asks for is the agent's doing, and no script need foresee it.
        let by_command = exchange.from.as_ref().is_some_and(|from| from.own == Some(false));
        if let Some(miss) = exchange.miss.as_ref().filter(|_| !hit && !by_command) {
            let text = one_line(miss);
            let message =
                format!("no script answers {} at turn {}: {text}", exchange.agent.replace("/polecats/", "/"), exchange.turn + 1);
            return Err(Halt::harness(message).hint("add a `[[turn]]` whose `on` matches the text, or a `[[turn.step]]` for the tool result, to the script of that role"));
        }
        let Some(fault) = &exchange.fault else {
            self.faulted.remove(&exchange.agent);
            return Ok(());
        };
        self.fired.entry(fault.clone()).or_insert(exchange.at);
        let count = self.faulted.entry(exchange.agent.clone()).or_default();
        *count += 1;
        if *count >= HOPELESS_FAULTS && for_ever.contains(fault) {
            return Err(provider_gave_up(
                &exchange.agent,
                &format!("it was answered {} {count} times, and the fault `{fault}` never ends", exchange.status),
            ));
        }
        Ok(())
    }

    /// Takes the town's state; whether anything that is shown changed.
    pub(crate) fn state(&mut self, state: &Snapshot) -> bool {
        let before = (self.rows(), self.totals);
        for agent in &state.agents {
            let row = self.agent(&agent.agent);
            row.role.clone_from(&agent.role);
            row.state.clone_from(&agent.state);
        }
        self.totals.agents = state.agents.len() as u64;
        self.totals.beads = state.beads.len() as u64;
        self.totals.mail = state.mail.len() as u64;
        before != (self.rows(), self.totals)
    }

    /// Takes the store's counts.
    pub(crate) fn counts(&mut self, counts: &BTreeMap<AgentId, AgentCounts>) {
        self.totals.events = counts.values().map(|count| count.records).sum();
        for (agent, count) in counts.iter().filter(|(agent, _)| !agent.is_empty()) {
            self.agent(agent).cost_usd = count.cost_usd;
        }
    }
}

/// The end of a run whose agent `agent` has no provider any more.
pub(crate) fn provider_gave_up(agent: &str, why: &str) -> Halt {
    let message = format!("the model provider did not answer {}: {why}", agent.replace("/polecats/", "/"));
    Halt::new(StopKind::Provider, message).hint("see evidence/gateway/exchanges.ndjson for every answer")
}

fn role_of(agent: &str) -> String {
    match agent.split('/').collect::<Vec<_>>()[..] {
        [_, "polecats", _] => "polecat".into(),
        [_, role] => role.into(),
        _ => agent.into(),
    }
}

/// The first line of a text, cut where the display ends.
pub(crate) fn one_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    match line.char_indices().nth(DOING_LIMIT) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}
