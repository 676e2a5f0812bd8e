//! Which rows of two sources tell of the same thing: an agent's model-call record and the gateway's journal row, a mail's
//! record and the mail itself.

use std::collections::HashMap;

use super::material::{LogRow, Material};

/// Largest distance, in nanoseconds, between the ends of a model call as the agent and as the gateway tell them.
const SAME_CALL_NS: i64 = 2_000_000_000;

/// Model-call records (index into the logs) to exchanges (index into the journal).
///
/// Both sources tell an agent's calls in order, so each record takes, of the exchanges not yet taken that began before it
/// ended, the one with the same token counts and outcome whose end is nearest.
pub(crate) fn model_calls(material: &Material, owner: impl Fn(usize) -> Option<String>) -> HashMap<usize, usize> {
    let mut exchanges: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, exchange) in material.exchanges.iter().enumerate() {
        exchanges.entry(&exchange.agent).or_default().push(index);
    }
    let mut calls: Vec<usize> = (0..material.logs.len()).filter(|&index| is_model_call(&material.logs[index])).collect();
    calls.sort_by_key(|&index| material.logs[index].time_ns);
    let mut joined = HashMap::new();
    for call in calls {
        let Some(open) = owner(call).and_then(|agent| exchanges.get_mut(agent.as_str())) else { continue };
        if let Some(place) = nearest(material, &material.logs[call], open) {
            joined.insert(call, open.remove(place));
        }
    }
    joined
}

/// Whether a record tells of a model call.
pub(crate) fn is_model_call(row: &LogRow) -> bool {
    matches!(row.body.as_str(), "claude_code.api_request" | "claude_code.api_error")
}

/// When an exchange ended, in nanoseconds since the Unix epoch.
pub(crate) fn exchange_end(exchange: &crate::evidence::Exchange) -> i64 {
    let start = exchange.at.timestamp_nanos_opt().unwrap_or_default();
    #[allow(clippy::cast_possible_truncation)] // a duration of milliseconds, far below 2^63 ns
    let length = (exchange.duration_ms * 1e6) as i64;
    start.saturating_add(length)
}

fn nearest(material: &Material, call: &LogRow, open: &[usize]) -> Option<usize> {
    let failed = call.body == "claude_code.api_error";
    let candidates = open.iter().enumerate().filter_map(|(place, &index)| {
        let exchange = &material.exchanges[index];
        let begun = exchange.at.timestamp_nanos_opt()? <= call.time_ns.saturating_add(5_000_000);
        let distance = (call.time_ns - exchange_end(exchange)).abs();
        let fits = begun && distance <= SAME_CALL_NS && (exchange.status >= 400) == failed;
        let other_tokens = !failed && call.field("output_tokens") != Some(&exchange.output_tokens.to_string());
        fits.then_some(((other_tokens, distance), place))
    });
    candidates.min().map(|(_, place)| place)
}

/// Mails by id, as index into the mail rows.
pub(crate) fn mails(material: &Material) -> HashMap<&str, usize> {
    material.mail.iter().enumerate().map(|(index, mail)| (mail.id.as_str(), index)).collect()
}
