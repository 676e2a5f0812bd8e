//! A request's conversation as scripts see it: user texts, and the tool results after each.
//!
//! Clients put text of their own beside a user's: reminders, and wrappers around pasted text. Which text opens a turn must
//! not depend on them.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// What was said so far, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conversation {
    pub(crate) turns: Vec<UserTurn>,
    /// Answers already given.
    pub(crate) assistant_messages: u32,
}

/// One user text and what followed it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UserTurn {
    /// All text of the message, reminders included: what rules match.
    pub(crate) text: String,
    /// The text without reminders, if there is any: what the journal shows.
    pub(crate) asked: String,
    /// Tool results since, oldest first.
    pub(crate) results: Vec<String>,
}

impl Conversation {
    /// Reads the `messages` of a request. Kinds of content that it does not know are no text.
    pub(crate) fn read(messages: &[Value]) -> Self {
        let mut conversation = Self::default();
        for message in messages {
            match message["role"].as_str() {
                Some("assistant") => conversation.assistant_messages += 1,
                Some("user") => conversation.add(&UserMessage::read(&message["content"])),
                // `system` entries among the messages are the client's own.
                _ => {}
            }
        }
        conversation
    }

    fn add(&mut self, message: &UserMessage) {
        if !message.results.is_empty() {
            if self.turns.is_empty() {
                self.turns.push(UserTurn::default());
            }
            if let Some(turn) = self.turns.last_mut() {
                turn.results.extend(message.results.iter().cloned());
            }
        }
        if message.opens_turn() {
            let asked = if message.own_texts().is_empty() { message.texts.clone() } else { message.own_texts() };
            self.turns.push(UserTurn { text: message.texts.join("\n"), asked: asked.join("\n"), results: Vec::new() });
        }
    }

    /// The newest user text or tool result.
    pub(crate) fn newest(&self) -> &str {
        self.turns.last().map_or("", |turn| turn.results.last().unwrap_or(&turn.asked))
    }

    /// Names the conversation by its beginning, which no later turn or retry changes.
    pub(crate) fn beginning(&self) -> String {
        let first = self.turns.first().map_or("", |turn| turn.text.as_str());
        hex(&Sha256::digest(first.as_bytes()))
    }

    /// Names this state of the conversation: 64 hex digits over the agent, all texts and all results.
    pub(crate) fn fingerprint(&self, agent: &str) -> String {
        let mut hash = Sha256::new();
        // Length before content, so that no two conversations run together to the same bytes.
        let mut add = |part: &str| {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        };
        add(agent);
        add(&self.assistant_messages.to_string());
        for turn in &self.turns {
            add(&turn.text);
            add(&turn.results.len().to_string());
            turn.results.iter().for_each(|result| add(result));
        }
        hex(&hash.finalize())
    }
}

/// The parts of one message of role `user`.
struct UserMessage {
    texts: Vec<String>,
    results: Vec<String>,
}

impl UserMessage {
    fn read(content: &Value) -> Self {
        let mut message = Self { texts: Vec::new(), results: Vec::new() };
        if let Some(text) = content.as_str() {
            message.texts.push(without_paste_wrappers(text));
        }
        for block in content.as_array().into_iter().flatten() {
            match block["type"].as_str() {
                Some("text") => message.texts.push(without_paste_wrappers(block["text"].as_str().unwrap_or_default())),
                Some("tool_result") => message.results.push(text_of(&block["content"])),
                _ => {}
            }
        }
        message
    }

    /// Text beside tool results opens a turn only if it is more than reminders: clients remind in any message.
    fn opens_turn(&self) -> bool {
        if self.results.is_empty() { !self.texts.is_empty() } else { !self.own_texts().is_empty() }
    }

    fn own_texts(&self) -> Vec<String> {
        self.texts.iter().filter(|text| !is_reminder(text)).cloned().collect()
    }
}

fn is_reminder(text: &str) -> bool {
    let text = text.trim();
    text.is_empty() || (text.starts_with("<system-reminder>") && text.ends_with("</system-reminder>"))
}

/// The text of a tool result: a string, or the text blocks of a list.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts: Vec<&str> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

/// Claude Code wraps what looks pasted, at any place of the text: `\n\n<pasted_content id="45d6">\n…\n</pasted_content
/// id="45d6">\n`. Rules must match what was typed.
fn without_paste_wrappers(text: &str) -> String {
    const OPEN: &str = "\n\n<pasted_content id=\"";
    const CLOSE: &str = "\n</pasted_content id=\"";
    const END: &str = "\">\n";
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = [rest.find(OPEN), rest.find(CLOSE)].into_iter().flatten().min() {
        let closes = rest[at..].starts_with(CLOSE);
        let after = &rest[at + if closes { CLOSE.len() } else { OPEN.len() }..];
        let Some(end) = after.find(END).filter(|end| after[..*end].bytes().all(|b| b.is_ascii_hexdigit())) else {
            break;
        };
        plain.push_str(&rest[..at]);
        rest = &after[end + END.len()..];
        if closes {
            rest = rest.strip_prefix('\n').unwrap_or(rest);
        }
    }
    plain + rest
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(messages: &Value) -> Conversation {
        Conversation::read(messages.as_array().map(Vec::as_slice).unwrap_or_default())
    }

    fn texts(conversation: &Conversation) -> Vec<(&str, usize)> {
        conversation.turns.iter().map(|turn| (turn.asked.as_str(), turn.results.len())).collect()
    }

    #[test]
    fn tool_results_count_towards_the_user_text_before_them() {
        let conversation = read(&json!([
            {"role":"user","content":"one"},
            {"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"Bash","input":{}}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"r1"}]},
            {"role":"assistant","content":"done"},
            {"role":"user","content":[{"type":"text","text":"two"}]},
        ]));
        assert_eq!(texts(&conversation), [("one", 1), ("two", 0)]);
        assert_eq!(conversation.assistant_messages, 2);
        assert_eq!(conversation.newest(), "two");
    }

    #[test]
    fn a_reminder_beside_a_result_opens_no_turn_but_a_users_text_does() {
        let reminder = json!({"type":"text","text":"<system-reminder>\nx\n</system-reminder>\n"});
        let result = json!({"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"r"}]});
        let reminded = read(&json!([{"role":"user","content":"one"},{"role":"user","content":[result, reminder]}]));
        assert_eq!(texts(&reminded), [("one", 1)]);
        let interrupted = json!({"type":"text","text":"new task"});
        let nudged = read(&json!([{"role":"user","content":"one"},{"role":"user","content":[result, interrupted]}]));
        assert_eq!(texts(&nudged), [("one", 1), ("new task", 0)]);
    }

    #[test]
    fn a_message_of_reminders_alone_is_a_text_and_reminders_are_matched_too() {
        let conversation = read(&json!([{"role":"user","content":[
            {"type":"text","text":"<system-reminder>\nfacts\n</system-reminder>"}, {"type":"text","text":"go"}]}]));
        assert_eq!(texts(&conversation), [("go", 0)]);
        assert!(conversation.turns[0].text.contains("facts"));
        let alone = read(&json!([{"role":"user","content":"<system-reminder>QUEUED NUDGE</system-reminder>"}]));
        assert_eq!(texts(&alone), [("<system-reminder>QUEUED NUDGE</system-reminder>", 0)]);
    }

    #[test]
    fn wrappers_around_pasted_text_are_undone() {
        let wrapped = "ab\n\n<pasted_content id=\"45d6\">\ncd\n</pasted_content id=\"45d6\">\n\nef\n\n<pasted_content id=\"00ff\">\ngh\n</pasted_content id=\"00ff\">\n";
        assert_eq!(without_paste_wrappers(wrapped), "abcdefgh");
        let other = "a\n\n<pasted_content id=\"x y\">\nb";
        assert_eq!(without_paste_wrappers(other), other);
    }

    #[test]
    fn the_fingerprint_tells_every_state_and_agent_apart() {
        let one = read(&json!([{"role":"user","content":"a"}]));
        let two = read(&json!([{"role":"user","content":"a"},{"role":"user","content":[{"type":"tool_result","content":""}]}]));
        let prints = [one.fingerprint("x"), one.fingerprint("y"), two.fingerprint("x")];
        assert_eq!(prints.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
        assert_eq!(one.beginning(), two.beginning());
    }
}
