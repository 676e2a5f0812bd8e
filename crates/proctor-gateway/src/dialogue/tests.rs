use serde_json::json;

use super::*;
use crate::wire::{Block, Message};

fn read(request: &Value, answer: AnswerBytes<'_>) -> Dialogue {
    Dialogue::read(request.to_string().as_bytes(), Some(answer))
}

fn shape(dialogue: &Dialogue) -> Vec<(&str, PartKind, &str)> {
    let said = dialogue.said.iter();
    said.flat_map(|said| said.parts.iter().map(|part| (said.role.as_str(), part.kind, part.text.as_str()))).collect()
}

fn asked() -> Value {
    json!({
        "model": "m", "tools": [{"name": "Bash"}, {}], "system": [{"type": "text", "text": "You are the mayor."}],
        "messages": [
            {"role": "user", "content": "Begin."},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t1", "is_error": true, "content": [{"type": "text", "text": "no such file"}]},
                {"type": "image", "source": {"data": "aGk="}},
            ]},
        ],
    })
}

fn answer() -> Message {
    let call = Block::ToolUse { id: "t2".into(), name: "Write".into(), input: json!({"path": "a", "text": "é".repeat(80)}) };
    let content = vec![Block::Text("<script>alert(1)</script> ".repeat(9)), call];
    Message { id: "msg".into(), model: "m".into(), content, input_tokens: 1, output_tokens: 2 }
}

#[test]
fn a_request_and_its_answer_are_a_conversation_in_order() {
    let dialogue = read(&asked(), AnswerBytes::Json(answer().to_json().to_string().as_bytes()));
    let shape = shape(&dialogue);
    assert_eq!(shape[0], ("system", PartKind::Text, "You are the mayor."));
    assert_eq!(shape[1], ("user", PartKind::Text, "Begin."));
    assert_eq!(shape[2], ("assistant", PartKind::ToolCall, "ls"));
    assert_eq!(shape[3], ("user", PartKind::ToolResult, "no such file"));
    assert_eq!((shape[4].1, dialogue.said[3].parts[1].name.as_str()), (PartKind::Other, "image"));
    assert_eq!((shape[5].0, shape[5].1), ("assistant", PartKind::Text));
    assert!(shape[6].2.contains("\"path\": \"a\""), "{shape:?}");
    assert!(dialogue.said[3].parts[0].failed);
    assert_eq!((dialogue.asked, dialogue.stop_reason.as_deref()), (4, Some("tool_use")));
    assert_eq!(dialogue.tools, ["Bash", "without a name"]);
    assert!(dialogue.notes.is_empty(), "{:?}", dialogue.notes);
}

#[test]
fn a_stream_says_the_same_as_the_whole_answer() {
    let whole = read(&asked(), AnswerBytes::Json(answer().to_json().to_string().as_bytes()));
    let events = answer().events().concat();
    assert_eq!(read(&asked(), AnswerBytes::Stream(events.as_bytes())), whole);
}

#[test]
fn a_stream_that_broke_off_shows_what_came_and_says_so() {
    let events = answer().events();
    let cut = events[..events.len() - 4].concat() + "data: {\"half\n";
    let dialogue = read(&asked(), AnswerBytes::Stream(cut.as_bytes()));
    assert_eq!(dialogue.said.last().map(|said| said.parts.len()), Some(2));
    assert_eq!(dialogue.notes.len(), 2, "{:?}", dialogue.notes);
}

#[test]
fn a_refusal_is_shown_as_one() {
    let error = crate::wire::error(529, "Overloaded").to_string();
    let dialogue = read(&asked(), AnswerBytes::Json(error.as_bytes()));
    let last = &dialogue.said[dialogue.asked].parts[0];
    assert_eq!((last.kind, last.name.as_str(), last.text.as_str()), (PartKind::Error, "overloaded_error", "Overloaded"));
    let streamed = format!("event: error\ndata: {error}\n\n");
    let dialogue = read(&asked(), AnswerBytes::Stream(streamed.as_bytes()));
    assert_eq!(dialogue.said[dialogue.asked].parts[0].text, "Overloaded");
}

#[test]
fn what_is_no_request_is_shown_as_it_came() {
    for (bytes, shown) in [(&b"\xff no json"[..], "\u{fffd} no json"), (b"[1]", "1"), (b"{\"messages\": 7}", "7"), (b"", "")] {
        let dialogue = Dialogue::read(bytes, None);
        assert!(dialogue.said[0].parts[0].text.contains(shown), "{dialogue:?}");
        assert!(dialogue.notes.len() >= 2, "{dialogue:?}");
    }
    let odd = json!({"messages": [{"content": {"x": 1}}, 5, {"role": "user", "content": ["a", 6, {"type": "text"}]}]});
    let dialogue = read(&odd, AnswerBytes::Json(b"null"));
    assert_eq!(dialogue.said.len(), 4, "{dialogue:?}");
}

#[test]
fn a_part_that_is_very_long_is_cut_and_counted() {
    let request = json!({"messages": [{"role": "user", "content": "x".repeat(SHOWN + 5)}]});
    let part = &read(&request, AnswerBytes::Json(b"{}")).said[0].parts[0];
    assert_eq!((part.text.len(), part.cut), (SHOWN, 5));
}
