//! Log events under Gas Town's names, each with the life of the agent it is about.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing step fails the test")]

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use opentelemetry::logs::{AnyValue, Severity};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter, SdkLoggerProvider};
use support::{Town, has_git};

#[derive(Clone, Debug, PartialEq)]
struct Seen {
    body: String,
    severity: Option<Severity>,
    attributes: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default)]
struct Memory(Arc<Mutex<Vec<Seen>>>);

fn text(value: &AnyValue) -> String {
    match value {
        AnyValue::String(text) => text.to_string(),
        AnyValue::Boolean(value) => value.to_string(),
        AnyValue::Int(value) => value.to_string(),
        AnyValue::Double(value) => value.to_string(),
        other => format!("{other:?}"),
    }
}

impl LogExporter for Memory {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        for (record, _) in batch.iter() {
            let attributes = record.attributes_iter().map(|(key, value)| (key.to_string(), text(value))).collect();
            let body = record.body().map(text).unwrap_or_default();
            self.0.lock().unwrap().push(Seen { body, severity: record.severity_number(), attributes });
        }
        Ok(())
    }
}

impl Memory {
    fn all(&self, body: &str) -> Vec<Seen> {
        self.0.lock().unwrap().iter().filter(|seen| seen.body == body).cloned().collect()
    }
}

fn town() -> (Town, Memory) {
    let waits = "printf '❯ '; while read -r line; do printf '❯ '; done";
    let memory = Memory::default();
    let mut town = Town::new();
    town.telemetry.logs = Some(SdkLoggerProvider::builder().with_simple_exporter(memory.clone()).build());
    town.agents(waits, waits);
    town.start_daemon();
    (town, memory)
}

#[test]
fn an_agent_is_instantiated_under_its_own_run_id() {
    if !has_git() {
        return;
    }
    let (town, memory) = town();
    town.rig("alice");
    let issue = town.issue("alice", "Work");
    let call = town.call(&["sling", &issue, "alice"], &town.root(), &[("GT_ROLE", "mayor"), ("GT_RUN", "mayor-run")], "");
    assert_eq!(proctor_town::gt(call).code, 0);
    let session = town.json(&["sessions", "--json"])[0].clone();
    let born = &memory.all("agent.instantiate")[0];
    assert_eq!(born.severity, Some(Severity::Info));
    assert_eq!(born.attributes["run.id"], session["run_id"].as_str().unwrap());
    assert_eq!(born.attributes["session_id"], session["session"].as_str().unwrap());
    assert_eq!(born.attributes["issue_id"], issue);
    let keys: Vec<&str> = born.attributes.keys().map(String::as_str).collect();
    let expected = [
        "agent_name",
        "agent_type",
        "git_branch",
        "git_commit",
        "instance",
        "issue_id",
        "rig",
        "role",
        "run.id",
        "session_id",
        "town_root",
    ];
    assert_eq!(keys, expected);
    let sling = &memory.all("sling")[0];
    assert_eq!((sling.attributes["run.id"].as_str(), sling.attributes["target"].as_str()), ("mayor-run", "alice"));
    for body in ["polecat.spawn", "convoy.create", "agent.state_change", "bd.call"] {
        assert_eq!(memory.all(body)[0].attributes["status"], "ok", "{body}");
    }
}

#[test]
fn the_mayors_life_is_told_from_start_to_stop() {
    let (town, memory) = town();
    town.ok(&["mayor", "start"]);
    town.ok(&["nudge", "mayor", "hi", "--mode", "immediate"]);
    town.ok(&["mayor", "stop"]);
    let run = town.json(&["sessions", "--json"])[0]["run_id"].as_str().unwrap().to_string();
    for body in ["agent.instantiate", "session.start", "prompt.send", "session.stop"] {
        assert_eq!(memory.all(body)[0].attributes["run.id"], run, "{body}");
    }
    assert_eq!(memory.all("prompt.send")[0].attributes["keys_len"], "2");
    assert_eq!(memory.all("nudge")[0].attributes["target"], "mayor");
}

#[test]
fn a_failed_operation_is_an_error_event() {
    if !has_git() {
        return;
    }
    let (town, memory) = town();
    town.rig("alice");
    let issue = town.issue("alice", "Work");
    town.ok(&["sling", &issue, "alice"]);
    let agent = town.bead(&issue)["assignee"].as_str().unwrap().to_string();
    assert_eq!(town.gt_as(&agent, &["done"]).code, 1);
    let done = &memory.all("done")[0];
    assert_eq!(done.severity, Some(Severity::Error));
    assert_eq!((done.attributes["status"].as_str(), done.attributes["exit_type"].as_str()), ("error", "COMPLETED"));
    assert!(done.attributes["error"].contains("nothing to submit"));
}

#[test]
fn mail_and_prime_are_told_with_their_attributes() {
    let (town, memory) = town();
    assert_eq!(town.gt_as("mayor", &["mail", "send", "overseer", "-s", "Hi", "-m", "secret"]).code, 0);
    assert_eq!(town.gt_as("mayor", &["prime", "--hook"]).code, 0);
    let mail = &memory.all("mail")[0].attributes;
    assert_eq!((mail["operation"].as_str(), mail["msg.to"].as_str(), mail["msg.subject"].as_str()), ("send", "overseer", "Hi"));
    assert!(!mail.contains_key("msg.body"));
    let prime = &memory.all("prime")[0].attributes;
    assert_eq!((prime["role"].as_str(), prime["hook_mode"].as_str()), ("mayor", "true"));
}
