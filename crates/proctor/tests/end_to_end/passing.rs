//! A run of the shipped scenario that passes, and everything that can be done with it afterwards.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use rustix::process::Signal;

use crate::sandbox::{Ran, Running, Sandbox, assert_nothing_left, copy_folder, python, summary};

/// One clean run that the tests of this file share; none of them changes it.
fn passed() -> &'static (Sandbox, Ran) {
    static PASSED: OnceLock<(Sandbox, Ran)> = OnceLock::new();
    PASSED.get_or_init(|| {
        let sandbox = Sandbox::new();
        let ran = Ran::of(sandbox.crypto_tales(&[]).output().unwrap());
        (sandbox, ran.expect_code(0))
    })
}

/// A copy of the shared run at a place of its own, as after `mv`.
fn moved() -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::new();
    let copy = sandbox.work().join("elsewhere");
    copy_folder(&passed().0.report(), &copy);
    (sandbox, copy)
}

#[test]
fn the_terminal_shows_eight_phases_and_the_verdict() {
    let (_, ran) = passed();
    for part in [
        "crypto-tales · built-in town · scripted models · run ",
        "1  reset telemetry",
        "2  reset town",
        "3  start telemetry",
        "4  start town",
        "5  inject prompt",
        "6  wait for landing",
        "7  collect",
        "8  judge",
        "PASSED in ",
        "report.html",
        "proctor view ",
    ] {
        assert!(ran.stdout.contains(part), "`{part}` is missing in:\n{}", ran.stdout);
    }
    assert!(!ran.stdout.contains('\u{1b}'), "a pipe gets no escapes");
    assert_eq!(ran.stderr, "");
}

#[test]
fn every_report_is_written() {
    let report = passed().0.report();
    for name in [
        "01-otel-reset.md",
        "02-gastown-reset.md",
        "03-otel-start.md",
        "04-gastown-start.md",
        "05-test-launch.md",
        "06-test-results.md",
        "07-otel-data.md",
        "08-recommendations.md",
        "README.md",
        "report.html",
        "summary.json",
        "junit.xml",
        "timeline.ndjson",
        "run.log",
        "lock.json",
        "evidence/run.json",
    ] {
        let size = fs::metadata(report.join(name)).map_or(0, |meta| meta.len());
        assert!(size > 0, "{name} is missing or empty");
    }
}

#[test]
fn the_summary_follows_its_schema_and_says_passed() {
    let (sandbox, _) = passed();
    let summary = sandbox.summary();
    assert_eq!(summary["outcome"], "passed");
    assert_eq!(summary["exit_code"], 0);
    let schema = serde_json::from_str(&sandbox.run(&["schema", "summary"]).expect_code(0).stdout).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&summary).map(|error| error.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
}

#[test]
fn the_timeline_has_all_eight_phases() {
    let text = fs::read_to_string(passed().0.report().join("timeline.ndjson")).unwrap();
    let kinds = |kind: &str| text.lines().filter(|line| line.contains(&format!("\"kind\":\"{kind}\""))).count();
    assert_eq!((kinds("phase_began"), kinds("phase_ended")), (8, 8), "{text}");
}

#[test]
fn nothing_of_the_run_is_left_but_its_report() {
    assert_nothing_left(&passed().0);
}

#[test]
fn nothing_is_written_outside_the_reports_and_the_cache() {
    let (sandbox, _) = passed();
    let work: Vec<_> = fs::read_dir(sandbox.work()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(work, ["reports"]);
    let home = sandbox.work().join("../home");
    assert_eq!(fs::read_dir(home).unwrap().count(), 0);
}

#[test]
fn a_moved_run_is_judged_to_the_same_bytes() {
    let (sandbox, copy) = moved();
    let before = fs::read(copy.join("summary.json")).unwrap();
    fs::remove_file(copy.join("summary.json")).unwrap();
    let ran = sandbox.run(&["judge", copy.to_str().unwrap()]).expect_code(0);
    assert!(ran.stdout.contains("PASSED"), "{}", ran.stdout);
    assert_eq!(fs::read(copy.join("summary.json")).unwrap(), before);
}

#[test]
fn judging_needs_no_writable_run_and_no_other_program() {
    let (sandbox, copy) = moved();
    let status = std::process::Command::new("chmod").arg("-R").arg("a-w").arg(&copy).status().unwrap();
    assert!(status.success());
    let mut command = sandbox.proctor(&["judge", copy.to_str().unwrap(), "--no-write", "--json"]);
    let ran = Ran::of(command.env("PATH", "/nowhere").output().unwrap()).expect_code(0);
    let again: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let status = std::process::Command::new("chmod").arg("-R").arg("u+w").arg(&copy).status().unwrap();
    assert!(status.success());
    assert_eq!(again, summary(&copy));
}

#[test]
fn a_check_that_needs_an_exercise_that_was_not_done_is_unknown() {
    let (sandbox, copy) = moved();
    sandbox.run(&["scenarios", "export", "crypto-tales", "changed"]).expect_code(0);
    let path = sandbox.work().join("changed/scenario.toml");
    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str("\n[[exercise]]\nname = \"late\"\ntitle = \"added later\"\n[[exercise.step]]\nname = \"one\"\nsubject = [\"alice\", \"alice.py\"]\n");
    text.push_str("\n[[check]]\nid = \"late.one\"\ntitle = \"it was added later\"\nkind = \"exercise\"\nexercise = \"late\"\nstep = \"one\"\nexit = 0\n");
    fs::write(&path, text).unwrap();
    let ran = sandbox.run(&["judge", copy.to_str().unwrap(), "--scenario", "./changed"]).expect_code(101);
    assert!(ran.stdout.contains("late.one"), "{}", ran.stdout);
}

#[test]
fn runs_lists_it_and_keep_removes_it() {
    let (sandbox, _) = moved();
    let reports = sandbox.work().join("reports");
    fs::create_dir(&reports).unwrap();
    copy_folder(&passed().0.report(), &reports.join("20200101T000000Z-aaaa"));
    let text = sandbox.run(&["runs", "--json"]).expect_code(0).stdout;
    let rows: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(rows[0]["scenario"], "crypto-tales");
    assert_eq!(rows[0]["outcome"], "passed");
    assert!(sandbox.run(&["runs"]).expect_code(0).stdout.contains("passed"));
    sandbox.run(&["runs", "--keep", "0"]).expect_code(0);
    assert_eq!(fs::read_dir(&reports).unwrap().count(), 0);
}

#[test]
fn the_viewer_serves_the_page_and_answers_queries() {
    let (sandbox, copy) = moved();
    let mut command = sandbox.proctor(&["view", copy.to_str().unwrap(), "--port", "0"]);
    let mut running = Running::start(&mut command);
    let url = running.wait_for("http://127.0.0.1:").trim().to_owned();
    let get = |path: &str| ureq::get(format!("{url}{path}")).call().unwrap().body_mut().read_to_string().unwrap();
    assert!(get("").contains("<html"));
    assert!(get("select/logsql/query?query=sling&limit=1").contains("_msg"));
    assert!(get("api/v1/query?query=gastown_sling_dispatches_total").contains("\"status\":\"success\""));
    running.signal(Signal::INT);
    running.end().expect_code(0);
}

#[test]
fn an_exercise_can_be_run_again() {
    let (sandbox, copy) = moved();
    let name = first_exercise(&copy);
    let mut command = sandbox.proctor(&["exercise", copy.to_str().unwrap(), &name, "--json"]);
    if let Some(python) = python() {
        command.arg("--python").arg(python);
    }
    let ran = Ran::of(command.output().unwrap()).expect_code(0);
    let record: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(record["name"], name.as_str());
    assert!(!record["steps"].as_array().unwrap().is_empty());
}

fn first_exercise(run: &std::path::Path) -> String {
    let plan = fs::read(run.join("evidence/plan.json")).unwrap();
    let plan: serde_json::Value = serde_json::from_slice(&plan).unwrap();
    plan["exercises"][0]["name"].as_str().unwrap().to_owned()
}

#[test]
fn two_runs_at_once_from_one_directory_both_pass() {
    let sandbox = Sandbox::new();
    let first = Running::start(&mut sandbox.crypto_tales(&[]));
    let second = Running::start(&mut sandbox.crypto_tales(&[]));
    first.end().expect_code(0);
    second.end().expect_code(0);
    let text = sandbox.run(&["runs", "--json"]).expect_code(0).stdout;
    let rows: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 2);
    assert_nothing_left(&sandbox);
}

#[test]
fn a_new_scenario_runs_and_passes() {
    let sandbox = Sandbox::new();
    sandbox.run(&["scenarios", "new", "mine"]).expect_code(0);
    let mut command = sandbox.proctor(&["run", "./mine", "--json"]);
    if let Some(python) = python() {
        command.arg("--python").arg(python);
    }
    let ran = Ran::of(command.output().unwrap()).expect_code(0);
    let summary: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(summary["outcome"], "passed");
}
