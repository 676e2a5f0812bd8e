//! What a real town says happened, in the words that the harness uses for every town.

use serde_json::Value;

use crate::town::TownEvent;

/// The same event with the values that every town's events of this kind have; its own ones stay.
pub(super) fn completed(mut event: TownEvent) -> TownEvent {
    let own = |key: &str| event.payload.get(key).cloned();
    let actor = Value::from(event.actor.as_str());
    let more = match event.kind.as_str() {
        "sling" => vec![("agent", own("target"))],
        "session_start" | "session_end" | "session_death" => vec![("agent", Some(actor))],
        "mail" => vec![("from", Some(actor))],
        _ => Vec::new(),
    };
    for (key, value) in more {
        if let Some(value) = value {
            event.payload.entry(key.to_owned()).or_insert(value);
        }
    }
    event
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use serde_json::json;

    fn event(kind: &str, payload: Value) -> TownEvent {
        serde_json::from_value(json!({"ts": "2026-01-02T03:04:05Z", "type": kind, "actor": "mayor", "payload": payload})).unwrap()
    }

    #[test]
    fn a_sling_names_the_agent_and_a_mail_its_sender() {
        let sling = completed(event("sling", json!({"bead": "al-1", "target": "alice/polecats/nux"})));
        assert_eq!(sling.payload["agent"], "alice/polecats/nux");
        assert_eq!(completed(event("mail", json!({"to": "alice/nux", "subject": "s"}))).payload["from"], "mayor");
        assert_eq!(completed(event("session_start", json!({"role": "mayor"}))).payload["agent"], "mayor");
        assert!(completed(event("nudge", json!({}))).payload.is_empty());
    }
}
