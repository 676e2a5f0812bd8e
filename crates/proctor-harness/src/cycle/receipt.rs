//! What proves that the mayor has the prompt: only what a mayor that has it can cause.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use proctor_judge::evidence::{Exchange, Time, path};
use regex::Regex;
use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until};

use super::run::Run;
use super::services::next_exchange;
use super::{Prompted, Services};
use crate::halt::Halt;

/// How often the store is asked whether the prompt arrived, for agents whose model is not the gateway's.
const POLL: Duration = Duration::from_millis(100);
/// Characters of the prompt that must be found for it to have arrived at all.
const MARKER: usize = 120;
/// What the town says of a mayor that need not have the prompt.
pub(super) const NO_ACTS: [&str; 2] = ["nudge", "session_start"];

/// That the prompt arrived.
pub(crate) struct Proof {
    /// What proves it: `mayor's model request 2`.
    pub(crate) what: String,
    /// Whether all of it was there; absent where that cannot be seen.
    pub(crate) whole: Option<bool>,
}

impl<S: Services> Run<S> {
    /// Waits for a model request with the prompt in it, an event of the mayor's that it was prompted with it, or, for a program without
    /// either, something that it did in the town.
    /// `before`: when the prompt was first typed, and how many prompt events the mayor had sent by then.
    pub(crate) async fn receipt(&mut self, text: &str, before: (Time, usize), until: Instant) -> Result<Option<Proof>, Halt> {
        let (sent_at, prompts_before) = before;
        loop {
            tokio::select! {
                exchange = next_exchange(&mut self.exchanges) => {
                    self.take_exchange(&exchange)?;
                    if exchange.agent == "mayor" && plain(&exchange.asked).contains(&marker(text)) {
                        let what = format!("mayor's model request {}", self.live.exchanges_of("mayor"));
                        let whole = request(&self.rec.evidence, &exchange).map(|request| holds(&request, &plain(text)));
                        return Ok(Some(Proof { what, whole }));
                    }
                }
                () = sleep(POLL) => {
                    let proof = self.prompted(text, prompts_before).await;
                    if proof.is_some() {
                        return Ok(proof);
                    }
                    let proof = self.acted(sent_at)?;
                    if proof.is_some() {
                        return Ok(proof);
                    }
                }
                () = sleep_until(until) => return Ok(None),
            }
        }
    }

    /// A prompt event with the prompt in it. The event of what a mayor was started with may come late, so that one without a text
    /// proves nothing where the model requests show what the mayor was told.
    async fn prompted(&self, text: &str, before: usize) -> Option<Proof> {
        let asks = self.live.exchanges_of("mayor") > 0;
        let prompts = self.services.prompts("mayor").await;
        let found = prompts.iter().skip(before).find(|prompt| prompt.can_be(text) && (prompt.text.is_some() || !asks))?;
        let whole = found.text.as_ref().map(|shown| plain(shown).contains(&plain(text)));
        Some(Proof { what: "user_prompt event".into(), whole })
    }

    fn acted(&mut self, sent_at: Time) -> Result<Option<Proof>, Halt> {
        let events = self.new_events()?;
        let acted = events.iter().find(|e| e.actor == "mayor" && e.ts > sent_at && !NO_ACTS.contains(&e.kind.as_str()));
        let what = acted.map(|event| format!("the mayor's first act: {}", event.kind));
        self.take_events(&events)?;
        Ok(what.map(|what| Proof { what, whole: None }))
    }
}

impl Prompted {
    /// Whether this is the prompt `text`, as far as can be seen: by its beginning, else by its length.
    fn can_be(&self, text: &str) -> bool {
        match (&self.text, self.length) {
            (Some(shown), _) => plain(shown).contains(&marker(text)),
            (None, Some(length)) => length >= plain(text).chars().count() as u64,
            (None, None) => true,
        }
    }
}

fn marker(text: &str) -> String {
    plain(text).chars().take(MARKER).collect()
}

/// What Claude Code puts around a part of a text that it takes for pasted, wherever a terminal cut the text.
static PASTED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"</?pasted_content id="[0-9a-f]+">"#).ok());

/// A text without its white space, since terminals, JSON and whoever marks pasted parts change it, even inside words.
fn plain(text: &str) -> String {
    let text = PASTED.as_ref().map_or(text.into(), |pasted| pasted.replace_all(text, ""));
    text.split_whitespace().collect()
}

/// The whole request of a row of the gateway's journal, which shortens its texts.
fn request(evidence: &Path, exchange: &Exchange) -> Option<Value> {
    let journal = evidence.join(path::EXCHANGES);
    let file = journal.parent()?.join(exchange.body.as_ref()?).join("request.json");
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}

/// Whether any text of a request holds `wanted`.
fn holds(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => plain(text).contains(wanted),
        Value::Array(values) => values.iter().any(|value| holds(value, wanted)),
        Value::Object(values) => values.values().any(|value| holds(value, wanted)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_prompt_is_known_by_its_text_then_by_its_length_and_another_one_is_not() {
        let text = "Three rigs, three chapters.\n\nBegin.";
        let prompted = |text: Option<&str>, length| Prompted { text: text.map(str::to_owned), length };
        assert!(prompted(Some("[from unknown]   Three rigs,\nthree chapters. Begin."), None).can_be(text));
        assert!(!prompted(Some("You are the mayor. Three rigs may exist."), Some(5_000)).can_be(text));
        assert!(prompted(None, Some(36)).can_be(text) && !prompted(None, Some(20)).can_be(text));
        assert!(prompted(None, None).can_be(text));
    }

    #[test]
    fn a_text_of_which_parts_were_marked_as_pasted_is_whole() {
        let shown = "[from unknown] Three rigs, th\n\n<pasted_content id=\"24b4\">\nree chapters. \n</pasted_content id=\"24b4\">\n\n Begin.";
        let text = "Three rigs, three chapters.\n\nBegin.";
        assert!(plain(shown).contains(&plain(text)));
        assert!(!plain(&shown.replace("Begin", "")).contains(&plain(text)));
    }

    #[test]
    fn a_request_holds_a_text_whole_or_not() {
        let request = json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "[x] one two\nthree"}]}]});
        assert!(holds(&request, &plain("one two three")));
        assert!(!holds(&request, &plain("one two three four")));
    }
}
