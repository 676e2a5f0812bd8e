//! What went wrong in test harnesses before and cannot here: each is shown by a run.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::gate::Gate;
use crate::mini::Mini;
use crate::sandbox::{Ran, Running, Sandbox, assert_nothing_left, lasting_processes_below};

/// The timeline of the newest run.
fn timeline(sandbox: &Sandbox) -> Vec<Value> {
    let text = fs::read_to_string(sandbox.report().join("timeline.ndjson")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// When the first entry of the kind was, whose text begins so.
fn when(timeline: &[Value], kind: &str, text: &str) -> String {
    let found = timeline.iter().find(|e| e["kind"] == kind && e["text"].as_str().unwrap().starts_with(text));
    found.unwrap_or_else(|| panic!("no {kind} {text}"))["at"].as_str().unwrap().to_owned()
}

fn environment(pid: u32) -> BTreeMap<String, String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.split('\0').filter_map(|pair| pair.split_once('=')).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[test]
fn telemetry_is_fixed_before_the_coordinator_starts_and_proven_for_each_agent() {
    let sandbox = Sandbox::new();
    let gate = Gate::at(sandbox.work().join("../work-gate"));
    let mut command = Mini::new(&sandbox).worker_waits(&gate).run(&[]);
    // What the user's shell exports for other programs must not reach the town.
    command.env("GT_OTEL_LOGS_URL", "http://127.0.0.1:9/theirs").env("OTEL_RESOURCE_ATTRIBUTES", "gt.role=theirs");
    command.env("CLAUDE_CODE_ENABLE_TELEMETRY", "0").env("OTEL_LOGS_EXPORTER", "none");
    let running = Running::start(&mut command);
    let held = gate.reached();
    let base = sandbox.bases()[0].clone();
    // Not the git that the harness itself asks: it is none of the town's.
    let processes: Vec<_> = lasting_processes_below(&base).into_iter().map(environment).collect();
    for role in ["mayor", "hello%2Fpolecats%2F"] {
        let own = format!("/agents/{role}");
        let agent = processes.iter().find(|env| env.get("GT_OTEL_LOGS_URL").is_some_and(|url| url.contains(&own)));
        let agent = agent.unwrap_or_else(|| panic!("no process sends to {own}: {processes:#?}"));
        assert_eq!(agent["CLAUDE_CODE_ENABLE_TELEMETRY"], "1");
        assert!(agent["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"].contains(&own), "{agent:#?}");
    }
    for process in &processes {
        assert!(!process.values().any(|value| value.contains("theirs") || value.contains(":9/")), "{process:#?}");
        assert!(process["OTEL_RESOURCE_ATTRIBUTES"].contains("proctor.run.id="), "{process:#?}");
    }
    drop(held);
    running.end().expect_code(0);
    let timeline = timeline(&sandbox);
    assert!(when(&timeline, "phase_ended", "3 ") < when(&timeline, "session_start", "daemon agent=mayor"));
    let agents = sandbox.summary()["agents"].as_array().unwrap().clone();
    assert_eq!(agents.len(), 2);
    for agent in agents {
        assert_eq!(agent["telemetry"]["status"], "complete", "{agent:#}");
    }
}

#[test]
fn an_agent_without_telemetry_is_not_overlooked() {
    let sandbox = Sandbox::new();
    let fault = "[[fault]]\nname = \"silent\"\nkind = \"telemetry\"\nagent = \"polecat:hello\"";
    let check = "[[check]]\nid = \"telemetry\"\ntitle = \"every agent is heard\"\nkind = \"telemetry\"";
    let ran = Ran::of(Mini::new(&sandbox).with(check).with(fault).run(&[]).output().unwrap());
    assert_eq!(ran.code, Some(100), "{}{}", ran.stdout, ran.stderr);
    let summary = sandbox.summary();
    assert_eq!(summary["outcome"], "failed");
    let agents = summary["agents"].as_array().unwrap();
    let status = |role: &str| agents.iter().find(|agent| agent["role"] == role).unwrap()["telemetry"]["status"].clone();
    assert_eq!(status("mayor"), "complete");
    assert_ne!(status("polecat"), "complete");
}

#[test]
fn the_prompt_counts_as_delivered_when_the_mayor_shows_that_it_has_it() {
    let sandbox = Sandbox::new();
    Ran::of(Mini::new(&sandbox).run(&[]).output().unwrap()).expect_code(0);
    let record = fs::read(sandbox.report().join("evidence/run.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    assert!(record["delivery"]["proof"].as_str().unwrap().contains("model request"), "{record:#}");
    let timeline = timeline(&sandbox);
    let received = when(&timeline, "receipt", "the mayor has the prompt");
    assert!(received < when(&timeline, "phase_ended", "5 "));
    assert!(when(&timeline, "phase_ended", "5 ") < when(&timeline, "sling", ""));
}

#[test]
fn a_prompt_that_was_typed_and_lost_is_typed_again() {
    let sandbox = Sandbox::new();
    // Takes one text away, as a program does that still draws its first screen, and only then is an agent.
    let mayor = r#"mayor=sh -c 'printf "\342\235\257 "; head -n 1 > /dev/null; ANTHROPIC_MODEL=any exec "$GT_ROOT/../bin/proctor-agent" "$0"'"#;
    let mini = Mini::new(&sandbox).file("prompt.md", "Repositories lie below {{origins}} .");
    let mini = mini.replacing("scenario.toml", "landing = \"2m\"", "landing = \"2m\"\nreceipt = \"6s\"");
    let ran = Ran::of(mini.run(&["--agent", mayor]).output().unwrap()).expect_code(0);
    assert!(ran.stdout.contains("received"), "{}", ran.stdout);
    let timeline = timeline(&sandbox);
    assert!(when(&timeline, "prompt_resent", "") < when(&timeline, "receipt", ""));
    assert_nothing_left(&sandbox);
}

#[test]
fn a_mayor_that_does_nothing_with_its_prompt_does_not_land() {
    let sandbox = Sandbox::new();
    let mini = Mini::new(&sandbox).replacing("scenario.toml", "landing = \"2m\"", "landing = \"2m\"\nreceipt = \"600ms\"");
    let blind = r"mayor=sh -c 'printf \342\235\257\040; sleep 600'";
    let ran = Ran::of(mini.run(&["--agent", blind]).output().unwrap()).expect_code(100);
    let said = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("nothing shows that the mayor received it") && said.contains("never slung"), "{}", ran.stdout);
    assert_eq!(sandbox.summary()["outcome"], "not_landed");
    assert_nothing_left(&sandbox);
}

#[test]
fn latest_is_the_newest_run_wherever_the_reports_are_moved_to() {
    let sandbox = Sandbox::new();
    let mini = Mini::new(&sandbox);
    Ran::of(mini.run(&[]).output().unwrap()).expect_code(0);
    let first = sandbox.report();
    Ran::of(mini.run(&["--seed", "7"]).output().unwrap()).expect_code(0);
    let second = sandbox.report();
    assert_ne!(first, second);
    assert_eq!(sandbox.summary()["run"]["command"].as_str().unwrap().matches("--seed 7").count(), 1);
    let reports = sandbox.work().join("reports");
    assert!(fs::read_link(reports.join("latest")).unwrap().is_relative());
    fs::rename(&reports, sandbox.work().join("moved")).unwrap();
    let found = sandbox.work().join("moved/latest").canonicalize().unwrap();
    assert_eq!(found.file_name(), second.file_name());
}
