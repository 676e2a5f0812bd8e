//! One turn: a text, and requests and commands in alternation until the model is done.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Answer, Client, Failure};
use crate::config::Config;
use crate::events::{ApiRequest, Events, ToolResult};
use crate::message::{ToolUse, Usage};
use crate::price::cost_usd;
use crate::screen::Screen;
use crate::tool::{self, Call, Outcome, Shell};

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TurnEnd {
    /// The model was done, or the provider refused its request: the agent waits for the next text.
    Over,
    /// It was over, and in it a polecat's `gt done` succeeded.
    HandedIn,
    /// The provider failed in all tries.
    ProviderGone,
    /// The agent was asked to end.
    Stopped,
}

/// A conversation and what plays it.
pub(crate) struct Conversation {
    pub(crate) config: Config,
    pub(crate) client: Client,
    pub(crate) shell: Shell,
    pub(crate) screen: Screen,
    pub(crate) events: std::sync::Arc<Events>,
    /// All messages so far, as the API takes them.
    pub(crate) messages: Vec<Value>,
}

/// What a turn adds up to.
#[derive(Default)]
struct Sum {
    requests: u32,
    usage: Usage,
    /// None as soon as one request's cost is not known.
    cost_usd: Option<f64>,
    handed_in: bool,
}

impl Conversation {
    /// Plays one text to its end.
    pub(crate) fn play(&mut self, text: &str) -> TurnEnd {
        let begun = self.events.now();
        let prompt = self.events.new_prompt();
        self.screen.told(text);
        self.events.user_prompt(prompt, text);
        self.messages.push(json!({"role": "user", "content": [{"type": "text", "text": text}]}));
        let mut sum = Sum { cost_usd: Some(0.0), ..Sum::default() };
        let end = self.alternate(prompt, &mut sum);
        self.events.active(self.events.since(begun));
        self.screen.turn_over(sum.requests, sum.usage, sum.cost_usd);
        end
    }

    fn alternate(&mut self, prompt: Uuid, sum: &mut Sum) -> TurnEnd {
        loop {
            let answer = match self.ask(prompt, sum) {
                Ok(answer) => answer,
                Err(end) => return end,
            };
            let calls = self.take(&answer);
            if calls.is_empty() && answer.message.stop_reason != "pause_turn" {
                return if sum.handed_in { TurnEnd::HandedIn } else { TurnEnd::Over };
            }
            let results: Vec<Value> = calls.iter().map(|call| self.call(prompt, call, &answer, sum)).collect();
            if !results.is_empty() {
                self.messages.push(json!({"role": "user", "content": results}));
            }
        }
    }

    fn ask(&self, prompt: Uuid, sum: &mut Sum) -> Result<Answer, TurnEnd> {
        let begun = self.events.now();
        let model = &self.config.model;
        let screen = &self.screen;
        let answer = self.client.send(&self.request(), |fault, wait| {
            screen.trouble(&format!("{fault}; again in {:.1} s (try {})", wait.as_secs_f64(), fault.attempt + 1));
        });
        let duration = self.events.since(begun);
        match answer {
            Ok(answer) => {
                let usage = answer.message.usage;
                let cost_usd = cost_usd(model, usage);
                sum.requests += 1;
                sum.usage.add(usage);
                sum.cost_usd = sum.cost_usd.zip(cost_usd).map(|(sum, cost)| sum + cost);
                self.events.api_request(prompt, &ApiRequest { model, answer: &answer, cost_usd, duration });
                Ok(answer)
            }
            Err(Failure::Stopped) => Err(TurnEnd::Stopped),
            Err(Failure::Refused(fault)) => {
                self.events.api_error(prompt, model, &fault, duration);
                self.screen.trouble(&format!("API error: {fault}"));
                Err(TurnEnd::Over)
            }
            Err(Failure::Exhausted(fault)) => {
                self.events.api_error(prompt, model, &fault, duration);
                self.screen.trouble(&format!("API error after {} tries: {fault}", fault.attempt));
                Err(TurnEnd::ProviderGone)
            }
        }
    }

    /// The request for the conversation so far. What a live provider can keep from the request before is marked for its
    /// cache: the system text and tools, and everything up to the newest message.
    fn request(&self) -> Value {
        let mut messages = self.messages.clone();
        let newest =
            messages.last_mut().and_then(|message| message["content"].as_array_mut()).and_then(|blocks| blocks.last_mut());
        if let Some(block) = newest {
            block["cache_control"] = json!({"type": "ephemeral"});
        }
        json!({
            "model": self.config.model,
            "max_tokens": self.config.max_tokens,
            "stream": true,
            "system": [{"type": "text", "text": self.config.system, "cache_control": {"type": "ephemeral"}}],
            "tools": [tool::definition()],
            "messages": messages,
        })
    }

    /// Shows an answer and adds it to the conversation; gives back the calls in it.
    fn take(&mut self, answer: &Answer) -> Vec<ToolUse> {
        let message = &answer.message;
        let text = message.text();
        if !text.is_empty() {
            self.screen.said(&text);
        }
        match message.stop_reason.as_str() {
            "end_turn" | "tool_use" | "stop_sequence" | "pause_turn" => {}
            other => self.screen.trouble(&format!("the model stopped: {other}")),
        }
        // The API refuses empty text blocks, also those it sent itself.
        let is_empty = |block: &&Value| block["type"] == "text" && block["text"] == "";
        let content: Vec<Value> = message.content.iter().filter(|block| !is_empty(block)).cloned().collect();
        if !content.is_empty() {
            self.messages.push(json!({"role": "assistant", "content": content}));
        }
        message.tool_uses()
    }

    fn call(&self, prompt: Uuid, call: &ToolUse, answer: &Answer, sum: &mut Sum) -> Value {
        let begun = self.events.now();
        let outcome = match Call::read(&call.name, &call.input) {
            Ok(command) => {
                self.screen.runs(&command.command);
                let outcome = self.shell.run(&command);
                sum.handed_in |= outcome.success && self.config.is_polecat() && tool::hands_in(&command.command);
                outcome
            }
            Err(why) => Outcome::refused(&why),
        };
        self.screen.result(&outcome.text);
        self.events.tool_result(
            prompt,
            &ToolResult {
                tool: &call.name,
                id: &call.id,
                input: &call.input,
                success: outcome.success,
                bytes: outcome.bytes,
                duration: self.events.since(begun),
                request_id: answer.request_id.as_deref(),
            },
        );
        json!({"type": "tool_result", "tool_use_id": call.id, "content": outcome.text, "is_error": !outcome.success})
    }
}
