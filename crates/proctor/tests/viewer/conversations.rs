//! A model call as a conversation: whole, for every call that the gateway kept, and harmless whatever stands in it.

use serde_json::Value;

use crate::town::HOSTILE;
use crate::{Viewer, browser};

fn id_of(viewer: &Viewer, text: &str) -> String {
    let found = viewer.json(&format!("/api/events.json?kind=model_call&text={text}"));
    found["events"][0]["id"].as_str().unwrap().to_owned()
}

fn texts(conversation: &Value) -> Vec<String> {
    let said = conversation["said"].as_array().unwrap().iter();
    said.flat_map(|said| said["parts"].as_array().unwrap().iter().map(|part| part["text"].as_str().unwrap().to_owned())).collect()
}

#[test]
fn every_model_call_that_the_gateway_kept_is_a_whole_conversation() {
    let viewer = Viewer::start();
    let calls = viewer.json("/api/events.json?kind=model_call&limit=20000");
    let mut told = 0;
    for event in calls["events"].as_array().unwrap() {
        let id = event["id"].as_str().unwrap();
        let body = viewer.json(&format!("/api/event/{id}.json"))["body"].clone();
        let answer = viewer.ask(&format!("/api/conversation/{id}.json"), "");
        if body.as_str().is_none_or(|body| body.contains("..")) {
            assert_eq!(answer.status(), "404", "{id}: {}", answer.body);
            continue;
        }
        told += 1;
        let conversation: Value = serde_json::from_str(&answer.body).unwrap();
        let texts = texts(&conversation);
        assert_eq!((texts.len(), conversation["asked"].as_u64()), (5, Some(4)), "{conversation}");
        assert_eq!(texts[..3], ["You live in a town.", "Begin.", "ls"]);
        assert_eq!(conversation["notes"], serde_json::json!([]), "{conversation}");
        for file in conversation["files"].as_array().unwrap() {
            assert_eq!(viewer.ask(&format!("/files/{}", file.as_str().unwrap()), "").status(), "200");
        }
    }
    assert!(told > 30, "{told} conversations");
}

#[test]
fn a_browser_shows_system_user_calls_results_and_the_answer() {
    let viewer = Viewer::start();
    let id = id_of(&viewer, "tales%20are%20told");
    let Some(page) = browser::look(&viewer, &format!("#sel={id}")) else { return };
    page.holds("convoy landed");
    page.holds("All three have landed. The tales are told.");
    page.holds("system, 19 characters");
    page.holds("2 earlier messages");
    page.holds("assistant, the answer");
    page.holds("/request.json\"");
}

#[test]
fn what_stands_in_a_conversation_can_do_nothing() {
    let viewer = Viewer::start();
    let id = id_of(&viewer, "I%20obey");
    let told = viewer.json(&format!("/api/conversation/{id}.json"));
    assert_eq!(texts(&told)[3], HOSTILE, "the interface gives what was said");
    let Some(page) = browser::look(&viewer, &format!("#sel={id}")) else { return };
    page.holds(
        "&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=alert(2)&gt;\\x1b[2J\\u{202e}txt.exe\\u{200b}\\x9b31m",
    );
    page.holds("\\x1b]0;owned\\x07I obey.");
    for harm in ["<script>alert", "<img src=x", "\u{1b}", "\u{202e}", "\u{200b}", "\u{9b}"] {
        page.lacks(harm);
    }
}

#[test]
fn a_folder_of_evidence_is_a_list_of_links() {
    let viewer = Viewer::start();
    let odd = viewer.run_dir().join("evidence/gateway/bodies/000001/<b>\u{202e} x.txt");
    std::fs::write(odd, "odd").unwrap();
    let answer = viewer.ask("/files/evidence/gateway/bodies/000001", "");
    assert!(answer.head.contains("location: ./000001/"), "{}", answer.head);
    let list = viewer.ask("/files/evidence/gateway/bodies/000001/", "");
    assert!(list.head.contains("sandbox"), "{}", list.head);
    assert!(list.body.contains("href=\"./request%2Ejson\""), "{}", list.body);
    assert!(list.body.contains("&lt;b&gt;\\u{202e} x.txt"), "{}", list.body);
    assert_eq!(viewer.ask("/files/evidence/gateway/bodies/000001/request%2Ejson", "").status(), "200");
    assert_eq!(viewer.ask("/files/evidence/gateway/bodies/000001/%3Cb%3E%E2%80%AE%20x%2Etxt", "").body, "odd");
}
