//! An answer of the model, put together from a stream's events or taken from a whole body.

use serde_json::Value;

use crate::sse::Event;

/// See the file's head.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Message {
    /// Content blocks, as they are sent back with the next request.
    pub(crate) content: Vec<Value>,
    pub(crate) stop_reason: String,
    pub(crate) usage: Usage,
}

/// Tokens of one exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) cache_read: u64,
    pub(crate) cache_creation: u64,
}

impl Usage {
    /// Takes every count that `usage` has; streams repeat some and leave others out.
    fn update(&mut self, usage: &Value) {
        for (count, key) in [
            (&mut self.input, "input_tokens"),
            (&mut self.output, "output_tokens"),
            (&mut self.cache_read, "cache_read_input_tokens"),
            (&mut self.cache_creation, "cache_creation_input_tokens"),
        ] {
            if let Some(told) = usage[key].as_u64() {
                *count = told;
            }
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.input += other.input;
        self.output += other.output;
        self.cache_read += other.cache_read;
        self.cache_creation += other.cache_creation;
    }
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ToolUse {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) input: Value,
}

impl Message {
    /// Reads a body that is not a stream.
    pub(crate) fn from_body(body: &Value) -> Option<Self> {
        let mut message = Self { content: body["content"].as_array()?.clone(), ..Self::default() };
        body["stop_reason"].as_str().unwrap_or_default().clone_into(&mut message.stop_reason);
        message.usage.update(&body["usage"]);
        Some(message)
    }

    pub(crate) fn text(&self) -> String {
        let texts = self.content.iter().filter(|block| block["type"] == "text").filter_map(|block| block["text"].as_str());
        texts.collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn tool_uses(&self) -> Vec<ToolUse> {
        let calls = self.content.iter().filter(|block| block["type"] == "tool_use");
        calls
            .map(|block| ToolUse {
                id: block["id"].as_str().unwrap_or_default().to_owned(),
                name: block["name"].as_str().unwrap_or_default().to_owned(),
                input: block["input"].clone(),
            })
            .collect()
    }
}

/// An error that arrived inside a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamError {
    /// The provider's name for it: `overloaded_error`; empty when the stream itself was wrong.
    pub(crate) kind: String,
    pub(crate) message: String,
}

/// Events in, message out.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    message: Message,
    /// Input of the tool call that is arriving.
    input: String,
    complete: bool,
}

impl Assembler {
    /// Takes one event. Kinds that it does not know are skipped, as the API's rules for versions ask.
    pub(crate) fn take(&mut self, event: &Event) -> Result<(), StreamError> {
        let data: Value = serde_json::from_str(&event.data).map_err(|error| wrong(&format!("an event is not JSON: {error}")))?;
        match data["type"].as_str().unwrap_or(&event.name) {
            "message_start" => self.message.usage.update(&data["message"]["usage"]),
            "content_block_start" => {
                self.input.clear();
                self.message.content.push(data["content_block"].clone());
            }
            "content_block_delta" => self.delta(&data["delta"]),
            "content_block_stop" => self.block_stop()?,
            "message_delta" => {
                data["delta"]["stop_reason"].as_str().unwrap_or_default().clone_into(&mut self.message.stop_reason);
                self.message.usage.update(&data["usage"]);
            }
            "message_stop" => self.complete = true,
            "error" => return Err(provider_error(&data)),
            _ => {}
        }
        Ok(())
    }

    fn delta(&mut self, delta: &Value) {
        let (key, piece) = match delta["type"].as_str() {
            Some("text_delta") => ("text", &delta["text"]),
            Some("thinking_delta") => ("thinking", &delta["thinking"]),
            Some("signature_delta") => ("signature", &delta["signature"]),
            Some("input_json_delta") => {
                self.input.push_str(delta["partial_json"].as_str().unwrap_or_default());
                return;
            }
            _ => return,
        };
        if let (Some(block), Some(piece)) = (self.message.content.last_mut(), piece.as_str()) {
            let so_far = block[key].as_str().unwrap_or_default();
            block[key] = format!("{so_far}{piece}").into();
        }
    }

    fn block_stop(&mut self) -> Result<(), StreamError> {
        let Some(block) = self.message.content.last_mut().filter(|block| block["type"] == "tool_use") else { return Ok(()) };
        if !self.input.is_empty() {
            block["input"] =
                serde_json::from_str(&self.input).map_err(|error| wrong(&format!("a tool input is not JSON: {error}")))?;
        }
        Ok(())
    }

    /// The message; none when the stream ended before it was whole.
    pub(crate) fn finish(self) -> Option<Message> {
        self.complete.then_some(self.message)
    }

    /// Whether content has begun to arrive.
    pub(crate) fn has_begun(&self) -> bool {
        !self.message.content.is_empty()
    }
}

fn wrong(message: &str) -> StreamError {
    StreamError { kind: String::new(), message: message.to_owned() }
}

/// Reads `{"type":"error","error":{"type":…,"message":…}}`.
pub(crate) fn provider_error(body: &Value) -> StreamError {
    let part = |key: &str| body["error"][key].as_str().unwrap_or_default().to_owned();
    StreamError { kind: part("type"), message: part("message") }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::*;

    fn assemble(events: &[Value]) -> Result<Option<Message>, StreamError> {
        let mut assembler = Assembler::default();
        for data in events {
            assembler.take(&Event { name: String::new(), data: data.to_string() })?;
        }
        Ok(assembler.finish())
    }

    #[test]
    fn a_stream_becomes_the_message_it_describes() {
        let message = assemble(&[
            json!({"type":"message_start","message":{"usage":{"input_tokens":9,"cache_read_input_tokens":2,"output_tokens":1}}}),
            json!({"type":"ping"}),
            json!({"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}),
            json!({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}),
            json!({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"b"}}),
            json!({"type":"content_block_stop","index":0}),
            json!({"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"Bash","input":{}}}),
            json!({"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":""}}),
            json!({"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"comm"}}),
            json!({"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"and\":\"ls\"}"}}),
            json!({"type":"content_block_stop","index":1}),
            json!({"type":"something_new"}),
            json!({"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":7}}),
            json!({"type":"message_stop"}),
        ]);
        let message = message.unwrap().unwrap();
        assert_eq!(message.text(), "ab");
        assert_eq!(message.tool_uses(), [ToolUse { id: "t".into(), name: "Bash".into(), input: json!({"command":"ls"}) }]);
        assert_eq!(message.stop_reason, "tool_use");
        assert_eq!(message.usage, Usage { input: 9, output: 7, cache_read: 2, cache_creation: 0 });
    }

    #[test]
    fn a_stream_that_ends_early_is_no_message() {
        let start = json!({"type":"content_block_start","content_block":{"type":"text","text":"half"}});
        assert_eq!(assemble(&[start]), Ok(None));
    }

    #[test]
    fn errors_in_a_stream_are_told_apart() {
        let overloaded = json!({"type":"error","error":{"type":"overloaded_error","message":"busy"}});
        assert_eq!(assemble(&[overloaded]).unwrap_err(), StreamError { kind: "overloaded_error".into(), message: "busy".into() });
        let broken = [
            json!({"type":"content_block_start","content_block":{"type":"tool_use","id":"t","name":"Bash","input":{}}}),
            json!({"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"{\"a"}}),
            json!({"type":"content_block_stop"}),
        ];
        assert!(assemble(&broken).unwrap_err().message.contains("tool input is not JSON"));
    }
}
