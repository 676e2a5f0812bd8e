//! What an exchange costs, in US dollars, from a table of list prices.
//!
//! Sources: Anthropic's public price list (cache writes 1.25 and cache reads 0.1 times the input price); for Claude Opus 5.5
//! the prices that Claude Code 2.1.330 itself reckons with. A model that is not in the table has no cost rather than a guess.

use crate::message::Usage;

/// Dollars per million tokens.
#[derive(Clone, Copy, Debug)]
struct Price {
    input: f64,
    output: f64,
    cache_write: f64,
    cache_read: f64,
}

const fn list(input: f64, output: f64) -> Price {
    Price { input, output, cache_write: input * 1.25, cache_read: input * 0.1 }
}

/// Prefixes of model names; the first that fits counts, so longer ones stand first.
const PRICES: [(&str, Price); 9] = [
    ("proctor-script", list(0.0, 0.0)),
    ("claude-opus-5-5", Price { input: 4.0, output: 20.0, cache_write: 5.0, cache_read: 0.2 }),
    ("claude-opus-4-5", list(5.0, 25.0)),
    ("claude-opus-4", list(15.0, 75.0)),
    ("claude-sonnet-4", list(3.0, 15.0)),
    ("claude-3-7-sonnet", list(3.0, 15.0)),
    ("claude-haiku-4-5", list(1.0, 5.0)),
    ("claude-3-5-haiku", list(0.8, 4.0)),
    ("claude-3-haiku", Price { input: 0.25, output: 1.25, cache_write: 0.3, cache_read: 0.03 }),
];

/// The cost of an exchange; none when the model's price is not known.
pub(crate) fn cost_usd(model: &str, usage: Usage) -> Option<f64> {
    let (_, price) = PRICES.iter().find(|(prefix, _)| model.starts_with(prefix))?;
    let parts = [
        (usage.input, price.input),
        (usage.output, price.output),
        (usage.cache_creation, price.cache_write),
        (usage.cache_read, price.cache_read),
    ];
    #[allow(clippy::cast_precision_loss, reason = "token counts are far below 2^52")]
    Some(parts.iter().map(|(tokens, price)| *tokens as f64 * price).sum::<f64>() / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_follow_the_table() {
        let usage = Usage { input: 1234, output: 56, cache_read: 1000, cache_creation: 10 };
        let near = |cost: Option<f64>, dollars: f64| cost.is_some_and(|cost| (cost - dollars).abs() < 1e-12);
        assert!(near(cost_usd("claude-opus-5-5", usage), 0.006_306), "what Claude Code reckons for the same usage");
        assert!(near(cost_usd("claude-sonnet-4-5-20250929", usage), (1234.0 * 3.0 + 56.0 * 15.0 + 300.0 + 37.5) / 1e6));
        assert!(near(cost_usd("proctor-script-1", usage), 0.0));
        assert_eq!(cost_usd("unheard-of", usage), None);
    }
}
