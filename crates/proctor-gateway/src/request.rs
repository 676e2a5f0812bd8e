//! A Messages API request, as far as the gateway reads it. Fields that it does not know are taken and ignored: clients of any
//! version send more than they need.

use serde_json::Value;

use crate::conversation::Conversation;
use crate::tokens;

/// See the file's head.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) model: Option<String>,
    pub(crate) stream: bool,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) tools: Vec<Tool>,
    /// Schema that the answer's text must have, when one is asked for.
    pub(crate) answer_schema: Option<Value>,
    pub(crate) conversation: Conversation,
    /// Estimated, see [`tokens`].
    pub(crate) input_tokens: u64,
}

/// A tool that the client offers.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) input_schema: Value,
}

impl Request {
    /// Reads a request's body; `Err` is what the provider would say about it.
    pub(crate) fn read(body: &[u8]) -> Result<Self, String> {
        let body: Value = serde_json::from_slice(body).map_err(|error| format!("the request body is not valid JSON: {error}"))?;
        let Some(messages) = body["messages"].as_array() else {
            return Err("messages: field required".to_owned());
        };
        if messages.is_empty() {
            return Err("messages: at least one message is required".to_owned());
        }
        Ok(Self {
            model: body["model"].as_str().map(str::to_owned),
            stream: body["stream"].as_bool().unwrap_or(false),
            max_tokens: body["max_tokens"].as_u64(),
            tools: body["tools"].as_array().into_iter().flatten().filter_map(Tool::read).collect(),
            answer_schema: body.pointer("/output_config/format/schema").cloned(),
            conversation: Conversation::read(messages),
            input_tokens: tokens::of_request(&body),
        })
    }

    /// The client's shell tool, by the names that agent programs give it.
    pub(crate) fn shell_tool(&self) -> Option<&Tool> {
        const NAMES: [&str; 3] = ["bash", "shell", "run_shell_command"];
        NAMES.iter().find_map(|name| self.tools.iter().find(|tool| tool.name.eq_ignore_ascii_case(name)))
    }
}

impl Tool {
    fn read(tool: &Value) -> Option<Self> {
        Some(Self { name: tool["name"].as_str()?.to_owned(), input_schema: tool["input_schema"].clone() })
    }

    /// The input for one command, in the tool's own words: its keys and the unit of its time limit differ between programs.
    pub(crate) fn shell_input(&self, command: &str, timeout_s: Option<u64>) -> Value {
        let properties = &self.input_schema["properties"];
        let key = if properties["command"].is_null() && !properties["cmd"].is_null() { "cmd" } else { "command" };
        let mut input = serde_json::Map::new();
        input.insert(key.to_owned(), command.into());
        if let Some(seconds) = timeout_s {
            let described = properties["timeout"]["description"].as_str().unwrap_or_default();
            let in_seconds = described.contains("second") && !described.contains("millisecond");
            input.insert("timeout".to_owned(), (if in_seconds { seconds } else { seconds * 1000 }).into());
        }
        let required = self.input_schema["required"].as_array();
        if required.is_some_and(|keys| keys.iter().any(|key| key == "description")) {
            input.insert("description".to_owned(), "the next step".into());
        }
        Value::Object(input)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tool(schema: Value) -> Tool {
        Tool { name: "bash".to_owned(), input_schema: schema }
    }

    #[test]
    fn a_command_is_put_in_the_tools_own_words() {
        let milliseconds =
            tool(json!({"properties":{"command":{},"timeout":{"description":"Optional timeout in milliseconds"}}}));
        assert_eq!(milliseconds.shell_input("ls", Some(2)), json!({"command":"ls","timeout":2000}));
        let seconds = tool(json!({"properties":{"command":{},"timeout":{"description":"Timeout in seconds"}}}));
        assert_eq!(seconds.shell_input("ls", Some(2)), json!({"command":"ls","timeout":2}));
        let described = tool(json!({"properties":{"cmd":{}},"required":["cmd","description"]}));
        assert_eq!(described.shell_input("ls", None), json!({"cmd":"ls","description":"the next step"}));
        assert_eq!(tool(Value::Null).shell_input("ls", None), json!({"command":"ls"}));
    }

    #[test]
    fn what_no_provider_would_take_is_refused() {
        for (body, part) in [("{", "not valid JSON"), ("{}", "messages: field required"), (r#"{"messages":[]}"#, "at least one")]
        {
            assert!(Request::read(body.as_bytes()).is_err_and(|error| error.contains(part)), "{body}");
        }
    }
}
