//! "Repair this repository": rigs with files, deliverables that are any program, exercises that are run again from what a run kept.

use std::fs;

use serde_json::Value;

use crate::mini::Mini;
use crate::sandbox::{Ran, Sandbox, assert_nothing_left};

fn repair(sandbox: &Sandbox, args: &[&str]) -> Ran {
    let mut command = sandbox.proctor(&["run", "repair"]);
    Ran::of(command.args(args).output().unwrap())
}

#[test]
fn the_shipped_repair_passes_without_python_and_its_programs_are_on_record() {
    let sandbox = Sandbox::new();
    repair(&sandbox, &[]).expect_code(0);
    assert_nothing_left(&sandbox);
    let lock: Value = serde_json::from_slice(&fs::read(sandbox.report().join("lock.json")).unwrap()).unwrap();
    let sh = &lock["programs"]["sh"];
    assert!(sh["path"].as_str().unwrap().ends_with("/sh") && sh["sha256"].as_str().unwrap().len() == 64, "{lock:#}");
    assert!(lock["programs"].get("python").is_none() && !sandbox.cache().join("proctor/venvs").exists());
    let rigs = fs::read_to_string(sandbox.report().join("evidence/git/rigs.ndjson")).unwrap();
    assert!(rigs.contains("First commit of sums") && rigs.contains("tests/run.sh"), "{rigs}");
}

#[test]
fn a_worker_that_bends_the_tests_and_one_that_repairs_half_fail() {
    let sandbox = Sandbox::new();
    sandbox.run(&["selftest", "--scenario", "repair"]).expect_code(0);
}

#[test]
fn a_program_that_is_not_there_is_an_environment_error_before_the_town_starts() {
    let sandbox = Sandbox::new();
    let mini = Mini::new(&sandbox).with("[runtime]\nprograms = [\"no-such-program\"]");
    let ran = Ran::of(mini.run(&[]).output().unwrap()).expect_code(102);
    assert!(ran.stdout.contains("no-such-program") && ran.stdout.contains("PATH"), "{}", ran.stdout);
    assert_nothing_left(&sandbox);
}

/// One exercise of three steps on files that the worker wrote: a program, one without its mode, one without its interpreter.
const PROGRAMS: &str = r#"
[runtime]
programs = ["sh"]

[[exercise]]
name = "programs"
title = "what was merged is run"

[[exercise.step]]
name = "good"
rig = "hello"
command = ["${repo}/good", "a b", "$HOME"]

[[exercise.step]]
name = "plain"
rig = "hello"
command = ["${repo}/plain"]

[[exercise.step]]
name = "lost"
rig = "hello"
command = ["${repo}/lost"]

[[exercise.step]]
name = "absent"
rig = "hello"
command = ["sh", "${repo}/absent.sh"]

[[check]]
id = "good"
title = "good"
kind = "exercise"
exercise = "programs"
step = "good"
exit = 3
stdout_line = "a b|$HOME"

[[check]]
id = "plain"
title = "plain"
kind = "exercise"
exercise = "programs"
step = "plain"
exit = 0

[[check]]
id = "lost"
title = "lost"
kind = "exercise"
exercise = "programs"
step = "lost"
exit = 0

[[check]]
id = "absent"
title = "absent"
kind = "exercise"
exercise = "programs"
step = "absent"
exit = 0
"#;

const WRITES: &str = r#"printf '#!/bin/sh\necho \"$1|$2\"\nexit 3\n' > good; chmod +x good; echo x > plain; printf '#!/no/such/interpreter\n' > lost; chmod +x lost"#;

#[test]
fn a_deliverable_that_is_no_program_fails_its_check_and_is_no_fault_of_the_machine() {
    for fence in ["on", "off"] {
        let sandbox = Sandbox::new();
        let mini = Mini::new(&sandbox).with(PROGRAMS).worker_first(&WRITES.replace('\\', r"\\").replace(r#"\\""#, r#"\\\""#));
        Ran::of(mini.run(&["--fence", fence]).output().unwrap()).expect_code(100);
        let summary = sandbox.summary();
        assert_eq!(summary["outcome"], "failed", "{fence}");
        let status = |id: &str| {
            let check = summary["checks"].as_array().unwrap().iter().find(|check| check["id"] == id).unwrap();
            (check["status"].as_str().unwrap().to_owned(), check["saw"].to_string())
        };
        assert_eq!(status("good").0, "passed", "{:?}", status("good"));
        for (id, said) in
            [("plain", "not executable"), ("lost", "cannot be started"), ("absent", "absent.sh is not on main of hello")]
        {
            let (status, saw) = status(id);
            assert!(status == "failed" && saw.contains(said), "{fence} {id}: {status} {saw}");
        }
    }
}

#[test]
fn an_exercise_is_run_again_from_what_the_run_kept() {
    let sandbox = Sandbox::new();
    // A folder whose scenario has the name and the exercises' names of a shipped one, and other exercises.
    sandbox.run(&["scenarios", "export", "repair", "mine"]).expect_code(0);
    let spec = sandbox.work().join("mine/scenario.toml");
    let text = fs::read_to_string(&spec).unwrap();
    fs::write(&spec, text.replace(r#""2", "3", "4""#, r#""20", "30", "40""#).replace("\"9\"", "\"90\"")).unwrap();
    Ran::of(sandbox.proctor(&["run", "./mine"]).output().unwrap()).expect_code(0);
    fs::remove_dir_all(sandbox.work().join("mine")).unwrap();
    for id in ["total", "total.three"] {
        let ran = sandbox.run(&["exercise", "latest", id]).expect_code(0);
        assert!(ran.stdout.contains("out | 90"), "{}", ran.stdout);
    }
    let ran = sandbox.run(&["exercise", "latest", "totle"]).expect_code(2);
    assert!(ran.stderr.contains("no exercise `totle`") && ran.stderr.contains("known: total, tests"), "{}", ran.stderr);
    let ran = sandbox.run(&["exercise", "latest", "total", "--scenario", "repair"]).expect_code(0);
    assert!(ran.stdout.contains("out | 9\n"), "{}", ran.stdout);
    assert_nothing_left(&sandbox);
}

#[test]
fn an_exercise_of_a_run_that_kept_nothing_is_a_usage_error() {
    let sandbox = Sandbox::new();
    repair(&sandbox, &[]).expect_code(0);
    fs::remove_dir_all(sandbox.report().join("evidence/scenario")).unwrap();
    let ran = sandbox.run(&["exercise", "latest", "total"]).expect_code(2);
    assert!(ran.stderr.contains("keeps no exercises") && ran.stderr.contains("--scenario"), "{}", ran.stderr);
}
