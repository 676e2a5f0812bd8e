//! A recorded exchange as people read it: who said what, in order, the answer last.
//!
//! Whoever sent the bytes may be hostile or of another version: what cannot be understood is kept as text under the name of
//! its kind, and nothing is left out in silence.

use serde::Serialize;
use serde_json::Value;

mod stream;

/// Characters of one part that are given; the others are counted.
const SHOWN: usize = 200_000;

/// One request and its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Dialogue {
    /// Model asked for.
    pub model: Option<String>,
    /// Names of the tools that the request offered.
    pub tools: Vec<String>,
    /// What was said: the system's text first, the answer last.
    pub said: Vec<Said>,
    /// Number of `said` that belong to the request.
    pub asked: usize,
    /// Why the answer ended: `end_turn`, `tool_use`.
    pub stop_reason: Option<String>,
    /// What could not be understood or is not there, in sentences.
    pub notes: Vec<String>,
}

/// What one side said at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Said {
    /// `system`, `user`, `assistant`, or as the request has it.
    pub role: String,
    /// Its parts, in order.
    pub parts: Vec<Part>,
}

/// A part of what was said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// The tool's name, or the kind as the request has it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// By which a call and its result belong together.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The text: of a call its command or its input as JSON.
    pub text: String,
    /// Characters of the text that are not given.
    #[serde(skip_serializing_if = "is_zero")]
    pub cut: usize,
    /// Whether a result says that its call failed, or the answer is an error.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
}

/// Kinds of parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    /// Plain text.
    #[default]
    Text,
    /// What the model thought before it answered.
    Thinking,
    /// A call of a tool.
    ToolCall,
    /// What a call gave.
    ToolResult,
    /// An error in place of an answer.
    Error,
    /// Anything else, as JSON.
    Other,
}

/// The bytes of an answer as the journal keeps them.
#[derive(Clone, Copy, Debug)]
pub enum AnswerBytes<'a> {
    /// `answer.json`.
    Json(&'a [u8]),
    /// `answer.sse`.
    Stream(&'a [u8]),
}

impl Dialogue {
    /// Reads a request and its answer.
    #[must_use]
    pub fn read(request: &[u8], answer: Option<AnswerBytes<'_>>) -> Self {
        let mut dialogue = Self::default();
        dialogue.read_request(request);
        dialogue.asked = dialogue.said.len();
        match answer {
            Some(AnswerBytes::Json(bytes)) => dialogue.read_answer(bytes),
            Some(AnswerBytes::Stream(bytes)) => stream::read(&mut dialogue, &String::from_utf8_lossy(bytes)),
            None => dialogue.notes.push("there is no answer".into()),
        }
        dialogue
    }

    fn read_request(&mut self, bytes: &[u8]) {
        let request: Value = match serde_json::from_slice(bytes) {
            Ok(request) => request,
            Err(error) => {
                self.notes.push(format!("the request is no JSON: {error}"));
                return self.say("user", vec![Part::text(&String::from_utf8_lossy(bytes))]);
            }
        };
        self.model = request["model"].as_str().map(str::to_owned);
        let tools = request["tools"].as_array().into_iter().flatten();
        self.tools = tools.map(|tool| tool["name"].as_str().unwrap_or("without a name").to_owned()).collect();
        if !request["system"].is_null() {
            self.say("system", parts(&request["system"]));
        }
        match request["messages"].as_array() {
            Some(messages) => messages.iter().for_each(|message| {
                self.say(message["role"].as_str().unwrap_or("without a role"), parts(&message["content"]));
            }),
            None => {
                self.notes.push("the request has no list of messages".into());
                self.say("user", vec![Part::other("request", &request)]);
            }
        }
    }

    fn read_answer(&mut self, bytes: &[u8]) {
        let Ok(answer) = serde_json::from_slice::<Value>(bytes) else {
            self.notes.push("the answer is no JSON".into());
            return self.say("assistant", vec![Part::text(&String::from_utf8_lossy(bytes))]);
        };
        self.stop_reason = answer["stop_reason"].as_str().map(str::to_owned);
        let part = if answer["error"].is_object() {
            vec![Part::error(&answer["error"])]
        } else if answer["content"].is_null() {
            vec![Part::other("answer", &answer)]
        } else {
            parts(&answer["content"])
        };
        self.say("assistant", part);
    }

    fn say(&mut self, role: &str, parts: Vec<Part>) {
        self.said.push(Said { role: role.to_owned(), parts });
    }
}

impl Part {
    fn new(kind: PartKind, text: &str) -> Self {
        let all = text.chars().count();
        let shown = if all > SHOWN { text.chars().take(SHOWN).collect() } else { text.to_owned() };
        Self { kind, text: shown, cut: all.saturating_sub(SHOWN), ..Self::default() }
    }

    fn text(text: &str) -> Self {
        Self::new(PartKind::Text, text)
    }

    fn error(error: &Value) -> Self {
        let message = error["message"].as_str().map_or_else(|| pretty(error), str::to_owned);
        let name = error["type"].as_str().unwrap_or("error").to_owned();
        Self { name, failed: true, ..Self::new(PartKind::Error, &message) }
    }

    fn other(name: &str, value: &Value) -> Self {
        Self { name: name.to_owned(), ..Self::new(PartKind::Other, &pretty(value)) }
    }

    /// The call of a shell tool is its command; any other call is its input.
    fn call(name: &str, id: &str, input: &Value) -> Self {
        let only_command = input["command"].as_str().filter(|_| input.as_object().is_some_and(|all| all.len() == 1));
        let text = only_command.map_or_else(|| pretty(input), str::to_owned);
        Self { name: name.to_owned(), id: id.to_owned(), ..Self::new(PartKind::ToolCall, &text) }
    }
}

/// The parts of a message's `content`: a text, or a list of blocks.
fn parts(content: &Value) -> Vec<Part> {
    match content {
        Value::String(text) => vec![Part::text(text)],
        Value::Array(blocks) => blocks.iter().map(part).collect(),
        other => vec![Part::other("content", other)],
    }
}

fn part(block: &Value) -> Part {
    let word = |key: &str| block[key].as_str();
    match (word("type").unwrap_or_default(), block) {
        ("text", _) if word("text").is_some() => Part::text(word("text").unwrap_or_default()),
        ("thinking", _) if word("thinking").is_some() => Part::new(PartKind::Thinking, word("thinking").unwrap_or_default()),
        ("tool_use", _) => Part::call(word("name").unwrap_or_default(), word("id").unwrap_or_default(), &block["input"]),
        ("tool_result", _) => Part {
            id: word("tool_use_id").unwrap_or_default().to_owned(),
            failed: block["is_error"] == true,
            ..Part::new(PartKind::ToolResult, &result(&block["content"]))
        },
        (_, Value::String(text)) => Part::text(text),
        (kind, _) => Part::other(kind, block),
    }
}

/// What a call gave: text as it is, anything else as JSON.
fn result(content: &Value) -> String {
    let one = |block: &Value| match (block["type"].as_str(), block["text"].as_str()) {
        (Some("text"), Some(text)) => text.to_owned(),
        _ => pretty(block),
    };
    match content {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(blocks) => blocks.iter().map(one).collect::<Vec<_>>().join("\n"),
        other => pretty(other),
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests;
