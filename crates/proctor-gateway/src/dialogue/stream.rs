//! An answer that came as a stream of events, put together.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Dialogue, Part, part};

/// A block while its pieces come.
#[derive(Default)]
struct Growing {
    block: Value,
    text: String,
}

/// Adds what the stream said to `dialogue`.
pub(super) fn read(dialogue: &mut Dialogue, text: &str) {
    let mut blocks: BTreeMap<u64, Growing> = BTreeMap::new();
    let (mut errors, mut unread, mut ended) = (Vec::new(), 0usize, false);
    for data in text.lines().filter_map(|line| line.strip_prefix("data:")) {
        let Ok(event) = serde_json::from_str::<Value>(data.trim()) else {
            unread += 1;
            continue;
        };
        let index = event["index"].as_u64().unwrap_or_default();
        match event["type"].as_str().unwrap_or_default() {
            "content_block_start" => {
                blocks.entry(index).or_default().block = event["content_block"].clone();
            }
            "content_block_delta" => blocks.entry(index).or_default().add(&event["delta"]),
            "message_delta" => dialogue.stop_reason = event["delta"]["stop_reason"].as_str().map(str::to_owned),
            "message_stop" => ended = true,
            "error" => errors.push(Part::error(&event["error"])),
            _ => {}
        }
    }
    let parts: Vec<Part> = blocks.into_values().map(Growing::part).chain(errors).collect();
    if unread > 0 {
        dialogue.notes.push(format!("{unread} of the answer's events cannot be understood"));
    }
    if !ended && parts.iter().all(|part| !part.failed) {
        dialogue.notes.push("the answer ends before its stream says so".into());
    }
    dialogue.say("assistant", parts);
}

impl Growing {
    fn add(&mut self, delta: &Value) {
        let piece = ["text", "partial_json", "thinking"].into_iter().find_map(|key| delta[key].as_str());
        self.text.push_str(piece.unwrap_or_default());
    }

    fn part(self) -> Part {
        let Self { mut block, text } = self;
        match block["type"].as_str().unwrap_or_default() {
            // The input of a call comes as JSON in pieces; what is no JSON is shown as it came.
            "tool_use" if !text.is_empty() => {
                block["input"] = serde_json::from_str(&text).unwrap_or(Value::String(text));
            }
            "text" => block["text"] = Value::String(text),
            "thinking" => block["thinking"] = Value::String(text),
            "" => return Part::text(&text),
            _ => {}
        }
        part(&block)
    }
}
