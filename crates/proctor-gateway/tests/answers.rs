//! Golden cases: `cases/<name>.json` is an agent and a conversation, `cases/<name>.txt` the answer that the scripts in
//! `cases/script` give; `cases/gastown` those that they give in that town.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, reason = "a test fails by panicking; the test module is shared")]

mod served;

use std::fs;
use std::path::Path;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proctor_gateway::{Merge, Scripts, Town, World};
use serde_json::{Value, json};
use served::{Got, Served, case_scripts, case_scripts_in, cases};

fn request(case: &Value) -> (String, Value) {
    let agent = utf8_percent_encode(case["agent"].as_str().unwrap(), NON_ALPHANUMERIC);
    let tool = json!({"name":"Bash","input_schema":{"properties":{"command":{},"timeout":{}}}});
    (format!("/a/{agent}/v1/messages"), json!({"model":"m","max_tokens":100,"messages":case["messages"],"tools":[tool]}))
}

fn render(served: &Served, got: &Got) -> String {
    let body = got.json();
    if got.status != 200 {
        let error = &body["error"];
        return format!("{} {}\n{}\n", got.status, error["type"].as_str().unwrap(), error["message"].as_str().unwrap());
    }
    let matched = served.journal().pop().unwrap().matched.unwrap();
    let mut text = format!("matched {matched}\nstop_reason {}\n", body["stop_reason"].as_str().unwrap());
    for block in body["content"].as_array().unwrap() {
        text += &match block["type"].as_str().unwrap() {
            "text" => format!("{}\n", block["text"].as_str().unwrap()),
            _ => format!("{} {}\n", block["name"].as_str().unwrap(), block["input"]),
        };
    }
    text
}

fn case_files(dir: &Path) -> Vec<(String, Value)> {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    names.sort();
    let read = |path: &std::path::PathBuf| serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    names.iter().map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), read(path))).collect()
}

async fn answers_as_written(scripts: Scripts, dir: &Path, at_least: usize) -> Served {
    let served = Served::new(scripts, "[]");
    let cases = case_files(dir);
    assert!(cases.len() >= at_least);
    for (name, case) in cases {
        let (path, body) = request(&case);
        let answer = render(&served, &served.post(&path, &body).await);
        let expected = fs::read_to_string(dir.join(format!("{name}.txt"))).unwrap();
        assert_eq!(answer, expected, "{name}");
    }
    served
}

#[tokio::test]
async fn every_case_has_its_answer() {
    let served = answers_as_written(case_scripts(), &cases(), 13).await;
    assert_eq!(served.gateway.misses().len(), 5);
}

#[tokio::test]
async fn conditions_on_the_town_hold() {
    let gastown = World { town: Town::Gastown, merge: Merge::Queue, daemon: false };
    answers_as_written(case_scripts_in(gastown), &cases().join("gastown"), 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_depends_on_the_conversation_alone() {
    let first = Served::new(case_scripts(), "[]");
    let mut expected = Vec::new();
    for (_, case) in case_files(&cases()) {
        let (path, body) = request(&case);
        expected.push((path.clone(), body.clone(), first.post(&path, &body).await.text().to_owned()));
    }
    let second = Served::new(case_scripts(), "[]");
    for (path, body, answer) in expected.iter().rev() {
        assert_eq!(second.post(path, body).await.text(), answer, "in another order, in a new gateway");
        assert_eq!(first.post(path, body).await.text(), answer, "a second time");
    }
    let second = &second;
    let all = expected.iter().cycle().take(100).map(|(path, body, answer)| async move {
        assert_eq!(second.post(path, body).await.text(), answer, "at the same time as others");
    });
    futures::future::join_all(all).await;
    let numbers: Vec<u64> = second.journal().iter().map(|row| row.n).collect();
    assert_eq!(numbers, (1..=expected.len() as u64 + 100).collect::<Vec<_>>(), "every exchange has its row, in order");
}

#[tokio::test]
async fn states_of_a_conversation_have_ids_of_their_own() {
    let served = Served::new(case_scripts(), "[]");
    let mut ids = std::collections::BTreeSet::new();
    let mut answers = 0;
    for (_, case) in case_files(&cases()) {
        let (path, body) = request(&case);
        let got = served.post(&path, &body).await;
        if got.status == 200 {
            answers += 1;
            ids.insert(got.json()["id"].as_str().unwrap().to_owned());
        }
    }
    // One case is another's with reminders around its text, which makes it another conversation.
    assert_eq!(ids.len(), answers);
}
