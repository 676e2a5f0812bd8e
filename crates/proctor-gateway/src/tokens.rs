//! Token counts of scripted exchanges. They are estimates by one rule: four characters are one token, rounded up.
//!
//! A request's characters are those of every string in `system`, `tools` and `messages` (keys not counted). A script's
//! provider caches nothing, so the counts of cache reads and cache writes are always 0.

use serde_json::Value;

/// Characters that count as one token.
const CHARACTERS_PER_TOKEN: u64 = 4;

/// Tokens of a request.
pub(crate) fn of_request(body: &Value) -> u64 {
    tokens(["system", "tools", "messages"].iter().map(|key| characters(&body[*key])).sum())
}

/// Tokens of a text; no text is at least one token.
pub(crate) fn of_text(text: &str) -> u64 {
    tokens(text.chars().count() as u64).max(1)
}

fn tokens(characters: u64) -> u64 {
    characters.div_ceil(CHARACTERS_PER_TOKEN)
}

fn characters(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.chars().count() as u64,
        Value::Array(items) => items.iter().map(characters).sum(),
        Value::Object(fields) => fields.values().map(characters).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn four_characters_are_one_token() {
        assert_eq!(of_text("äöü1"), 1);
        assert_eq!(of_text("äöü12"), 2);
        assert_eq!(of_text(""), 1);
        let body = json!({"model":"not counted","system":"12345678","messages":[{"role":"user","content":"1234"}]});
        assert_eq!(of_request(&body), 4, "8 + 4 (user) + 4 characters");
    }
}
