//! What the store has of each agent, counted as records arrive.

use std::collections::BTreeMap;

use proctor_harness::cycle::AgentCounts;
use proctor_store::{LogRecord, Store};

/// Counts over the records seen so far, by the address they came by; the empty address is the town itself.
#[derive(Debug, Default)]
pub(super) struct Tally {
    seen: u64,
    counts: BTreeMap<String, AgentCounts>,
}

impl Tally {
    /// Adds what arrived since the last call.
    pub(super) fn bring_up_to_date(&mut self, store: &Store) -> BTreeMap<String, AgentCounts> {
        for record in store.logs_past(self.seen) {
            self.seen = self.seen.max(record.seq);
            self.add(&record);
        }
        self.counts.clone()
    }

    /// A record that contradicts its address counts for nobody.
    fn add(&mut self, record: &LogRecord) {
        if record.contradicted.is_some() {
            return;
        }
        let counts = self.counts.entry(proctor_judge::counted_for(record).unwrap_or_default()).or_default();
        counts.records += 1;
        match record.body.as_str() {
            "claude_code.user_prompt" => counts.prompts += 1,
            "claude_code.api_request" => add_request(counts, record),
            _ => {}
        }
    }
}

fn add_request(counts: &mut AgentCounts, record: &LogRecord) {
    let number = |name: &str| record.attributes.number(name).filter(|n| *n >= 0.0).unwrap_or_default();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "token counts are whole and not negative")]
    let tokens = (number("input_tokens") + number("output_tokens")) as u64;
    counts.tokens += tokens;
    counts.cost_usd += number("cost_usd");
}
