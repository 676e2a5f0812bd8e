//! The provider's wire format: messages as JSON and as server-sent events, and its errors.

use serde_json::{Value, json};

/// Characters of one delta; short enough that clients have to put deltas together.
const DELTA: usize = 60;

/// An answer of the model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) model: String,
    pub(crate) content: Vec<Block>,
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
}

/// A content block.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Block {
    Text(String),
    ToolUse { id: String, name: String, input: Value },
}

impl Message {
    pub(crate) fn stop_reason(&self) -> &'static str {
        let calls = self.content.iter().any(|block| matches!(block, Block::ToolUse { .. }));
        if calls { "tool_use" } else { "end_turn" }
    }

    /// The answer when no stream was asked for.
    pub(crate) fn to_json(&self) -> Value {
        let content: Vec<Value> = self.content.iter().map(Block::to_json).collect();
        self.head(json!(content), json!(self.stop_reason()), self.output_tokens)
    }

    fn head(&self, content: Value, stop_reason: Value, output_tokens: u64) -> Value {
        json!({
            "id": self.id, "type": "message", "role": "assistant", "model": self.model, "content": content,
            "stop_reason": stop_reason, "stop_sequence": null,
            "usage": {
                "input_tokens": self.input_tokens, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
                "output_tokens": output_tokens, "service_tier": "standard",
            },
        })
    }

    /// The answer as the events of a stream, in order.
    pub(crate) fn events(&self) -> Vec<String> {
        let start = json!({"type": "message_start", "message": self.head(json!([]), Value::Null, 1)});
        let mut events = vec![event(&start), event(&json!({"type": "ping"}))];
        for (index, block) in self.content.iter().enumerate() {
            events.push(event(&json!({"type": "content_block_start", "index": index, "content_block": block.start()})));
            let deltas = block.deltas().into_iter();
            events.extend(deltas.map(|delta| event(&json!({"type": "content_block_delta", "index": index, "delta": delta}))));
            events.push(event(&json!({"type": "content_block_stop", "index": index})));
        }
        events.push(event(&json!({
            "type": "message_delta", "delta": {"stop_reason": self.stop_reason(), "stop_sequence": null},
            "usage": {
                "input_tokens": self.input_tokens, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
                "output_tokens": self.output_tokens,
            },
        })));
        events.push(event(&json!({"type": "message_stop"})));
        events
    }
}

impl Block {
    fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => json!({"type": "text", "text": text}),
            Self::ToolUse { id, name, input } => {
                json!({"type": "tool_use", "id": id, "name": name, "input": input})
            }
        }
    }

    fn start(&self) -> Value {
        match self {
            Self::Text(_) => json!({"type": "text", "text": ""}),
            Self::ToolUse { id, name, .. } => {
                json!({"type": "tool_use", "id": id, "name": name, "input": {}})
            }
        }
    }

    fn deltas(&self) -> Vec<Value> {
        match self {
            Self::Text(text) => pieces(text).map(|piece| json!({"type": "text_delta", "text": piece})).collect(),
            Self::ToolUse { input, .. } => {
                let input = input.to_string();
                let delta = |piece| json!({"type": "input_json_delta", "partial_json": piece});
                // The provider, too, begins with an empty piece.
                std::iter::once(delta(String::new())).chain(pieces(&input).map(delta)).collect()
            }
        }
    }
}

fn pieces(text: &str) -> impl Iterator<Item = String> {
    let chars: Vec<char> = text.chars().collect();
    let pieces: Vec<String> = chars.chunks(DELTA).map(|piece| piece.iter().collect()).collect();
    pieces.into_iter()
}

fn event(data: &Value) -> String {
    let name = data["type"].as_str().unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n")
}

/// An error in the provider's shape.
pub(crate) fn error(status: u16, message: &str) -> Value {
    json!({"type": "error", "error": {"type": error_type(status), "message": message}})
}

/// The provider's name for a status (<https://docs.anthropic.com/en/api/errors>).
fn error_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}
