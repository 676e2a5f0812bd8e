//! What the store has of each agent, counted as records arrive.

use std::collections::BTreeMap;

use proctor_harness::cycle::{AgentCounts, Prompted};
use proctor_judge::Claims;
use proctor_store::{LogRecord, Store};

/// Counts over the records seen so far, by the address they came by; the empty address is the town itself.
#[derive(Debug)]
pub(super) struct Tally {
    claims: Claims,
    seen: u64,
    counts: BTreeMap<String, AgentCounts>,
    prompts: BTreeMap<String, Vec<Prompted>>,
}

impl Tally {
    /// Nothing counted yet; `claims`: what records say of themselves where their address says nothing.
    pub(super) fn new(claims: Claims) -> Self {
        Self { claims, seen: 0, counts: BTreeMap::new(), prompts: BTreeMap::new() }
    }

    /// The counts, with what arrived since the last call.
    pub(super) fn counts(&mut self, store: &Store) -> BTreeMap<String, AgentCounts> {
        self.bring_up_to_date(store);
        self.counts.clone()
    }

    /// An agent's prompts, with what arrived since the last call.
    pub(super) fn prompts(&mut self, store: &Store, agent: &str) -> Vec<Prompted> {
        self.bring_up_to_date(store);
        self.prompts.get(agent).cloned().unwrap_or_default()
    }

    fn bring_up_to_date(&mut self, store: &Store) {
        for record in store.logs_past(self.seen) {
            self.seen = self.seen.max(record.seq);
            self.add(&record);
        }
    }

    /// A record that contradicts its address counts for nobody.
    fn add(&mut self, record: &LogRecord) {
        if record.contradicted.is_some() {
            return;
        }
        let agent = proctor_judge::counted_for(record, self.claims).unwrap_or_default();
        let counts = self.counts.entry(agent.clone()).or_default();
        counts.records += 1;
        match record.body.as_str() {
            "claude_code.user_prompt" => self.prompts.entry(agent).or_default().push(prompted(record)),
            "claude_code.api_request" => add_request(counts, record),
            _ => {}
        }
    }
}

/// What an agent shows instead of a text that it was not told to show.
const REDACTED: &str = "<REDACTED>";

fn prompted(record: &LogRecord) -> Prompted {
    let text = record.attributes.text("prompt").filter(|text| text != REDACTED);
    let length = record.attributes.text("prompt_length").and_then(|length| length.parse().ok());
    Prompted { text, length }
}

fn add_request(counts: &mut AgentCounts, record: &LogRecord) {
    let number = |name: &str| record.attributes.number(name).filter(|n| *n >= 0.0).unwrap_or_default();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "token counts are whole and not negative")]
    let tokens = (number("input_tokens") + number("output_tokens")) as u64;
    counts.tokens += tokens;
    counts.cost_usd += number("cost_usd");
}
