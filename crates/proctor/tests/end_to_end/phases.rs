//! Ctrl-C and SIGTERM in each of the eight phases: evidence kept, reports written, `cancelled`, nothing left.
//!
//! Each phase is held by something that cannot end before the test lets it, so that the signal arrives in that phase and no other.

use std::fs;
use std::path::PathBuf;

use rustix::process::Signal;

use crate::gate::Gate;
use crate::mini::{Mini, any_python, path_with_waiting_git};
use crate::sandbox::{HANGING, Ran, Running, Sandbox, assert_nothing_left};

/// A mayor that never says that it listens.
const DEAF: &str = "mayor=sh -c 'sleep 600'";
/// A mayor that listens and takes no notice.
const BLIND: &str = r"mayor=sh -c 'printf \342\235\257\040; sleep 600'";
/// A worker that nobody can talk to.
const STUBBORN: &str = r#"polecat=sh -c 'trap "" TERM HUP INT; echo; while :; do sleep 600; done'"#;

/// The file that the gateway appends every exchange to, and the judge reads.
const JOURNAL: &str = "evidence/gateway/exchanges.ndjson";

/// Signals a run that is in `phase`, and asserts how it ends.
#[track_caller]
fn cancel(sandbox: &Sandbox, running: Running, phase: u64, signal: Signal) {
    running.signal(signal);
    assert_cancelled(sandbox, running, phase);
}

#[track_caller]
fn assert_cancelled(sandbox: &Sandbox, running: Running, phase: u64) {
    let ran = running.end().expect_code(130);
    assert!(ran.stdout.contains("CANCELLED"), "{}", ran.stdout);
    assert!(ran.stderr.contains("cancelling: "), "{}", ran.stderr);
    assert_reports(sandbox, phase);
    assert_nothing_left(sandbox);
}

/// The reports of a run that was cancelled in `phase` are there and say so; judged again, they say the same.
#[track_caller]
fn assert_reports(sandbox: &Sandbox, phase: u64) {
    let summary = sandbox.summary();
    assert_eq!((&summary["outcome"], &summary["exit_code"]), (&"cancelled".into(), &130.into()));
    assert_eq!(stopped_in(sandbox), phase, "the phase that was interrupted");
    for name in ["report.html", "README.md", "08-recommendations.md", "junit.xml", "timeline.ndjson", "run.log"] {
        assert!(sandbox.report().join(name).is_file(), "{name}");
    }
    assert!(!sandbox.report().join(".reserve").exists());
    let file = sandbox.report().join("summary.json");
    let before = fs::read(&file).unwrap();
    sandbox.run(&["judge", "latest"]).expect_code(130);
    assert_eq!(fs::read(&file).unwrap(), before, "judged again it is the same");
}

/// The phase that `run.json` says the run was stopped in.
fn stopped_in(sandbox: &Sandbox) -> u64 {
    let record = fs::read(sandbox.report().join("evidence/run.json")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    record["stopped"]["phase"].as_u64().unwrap()
}

#[test]
fn before_and_in_phase_1() {
    let sandbox = Sandbox::new();
    // The record of an older run is read for its id before phase 1 begins.
    let gate = Gate::at(sandbox.work().join("reports/20200101T000000Z-aaaa/evidence/run.json"));
    let mut running = Running::start(&mut Mini::new(&sandbox).run(&[]));
    let held = gate.reached();
    running.signal(Signal::INT);
    running.wait_for_error("cancelling: ");
    gate.remove();
    drop(held);
    assert_cancelled(&sandbox, running, 1);
}

#[test]
fn in_phase_2_while_git_runs() {
    let sandbox = Sandbox::new();
    let gate = Gate::at(sandbox.work().join("../git-gate"));
    let path = path_with_waiting_git(&sandbox, &gate);
    let running = Running::start(Mini::new(&sandbox).run(&[]).env("PATH", path));
    let _held = gate.reached();
    gate.remove();
    cancel(&sandbox, running, 2, Signal::TERM);
}

#[test]
fn in_phase_3_while_scripts_are_read() {
    let sandbox = Sandbox::new();
    let git = Gate::at(sandbox.work().join("../git-gate"));
    let path = path_with_waiting_git(&sandbox, &git);
    let running = Running::start(Mini::new(&sandbox).run(&[]).env("PATH", path));
    let held = git.reached();
    let script = sandbox.bases()[0].join("scenario/script/mayor.toml");
    fs::remove_file(&script).unwrap();
    let scripts = Gate::at(script);
    git.remove();
    drop(held);
    let _held = scripts.reached();
    cancel(&sandbox, running, 3, Signal::INT);
}

#[test]
fn in_phase_4_while_the_mayor_starts() {
    let sandbox = Sandbox::new();
    let mut running = Running::start(&mut Mini::new(&sandbox).run(&["--agent", DEAF]));
    running.wait_for("3  start telemetry");
    cancel(&sandbox, running, 4, Signal::TERM);
}

#[test]
fn in_phase_5_while_the_prompt_is_not_received() {
    let sandbox = Sandbox::new();
    let mut running = Running::start(&mut Mini::new(&sandbox).run(&["--agent", BLIND]));
    running.wait_for("4  start town");
    cancel(&sandbox, running, 5, Signal::INT);
}

#[test]
fn in_phase_6_while_a_worker_works() {
    let sandbox = Sandbox::new();
    let gate = Gate::at(sandbox.work().join("../work-gate"));
    let running = Running::start(&mut Mini::new(&sandbox).worker_waits(&gate).run(&[]));
    let _held = gate.reached();
    cancel(&sandbox, running, 6, Signal::TERM);
    let beads = fs::read_to_string(sandbox.report().join("evidence/town/beads.ndjson")).unwrap();
    assert!(beads.contains("Write greeting.txt"), "what was seen is kept: {beads}");
}

#[test]
fn in_phase_7_while_an_exercise_runs() {
    let Some(python) = any_python() else {
        eprintln!("skipped: python3 not found");
        return;
    };
    let sandbox = Sandbox::new();
    let gate = Gate::at(sandbox.work().join("../exercise-gate"));
    let mini = Mini::new(&sandbox).exercise_waits(&gate);
    let running = Running::start(&mut mini.run(&["--python", &python]));
    let _held = gate.reached();
    cancel(&sandbox, running, 7, Signal::INT);
}

#[test]
fn in_phase_8_while_evidence_is_read() {
    let sandbox = Sandbox::new();
    let work = Gate::at(sandbox.work().join("../work-gate"));
    let mut running = Running::start(&mut Mini::new(&sandbox).worker_waits(&work).run(&[]));
    let held = work.reached();
    // The gateway goes on writing to the file that it has opened.
    let (journal, aside) = (sandbox.report().join(JOURNAL), sandbox.report().join("aside"));
    fs::rename(&journal, &aside).unwrap();
    let evidence = Gate::at(&journal);
    drop(held);
    let held = evidence.reached();
    running.signal(Signal::INT);
    running.wait_for_error("cancelling: ");
    let content = fs::read(&aside).unwrap();
    fs::rename(&aside, &journal).unwrap();
    held.let_go(&content);
    assert_cancelled(&sandbox, running, 8);
}

#[test]
fn a_second_request_ends_by_force_at_once_and_still_reports() {
    let sandbox = Sandbox::new();
    let gate = Gate::at(sandbox.work().join("../git-gate"));
    let path = path_with_waiting_git(&sandbox, &gate);
    let mini = Mini::new(&sandbox);
    let mut running = Running::start(mini.run(&["--agent", STUBBORN]).env("PATH", path));
    drop(gate.reached());
    gate.remove();
    running.wait_for_worker();
    // Collecting begins with git, which cannot end.
    let gate = Gate::at(gate.path());
    running.signal(Signal::INT);
    running.wait_for_error("cancelling: ");
    let _held = gate.reached();
    running.signal(Signal::INT);
    let ran = running.end().expect_code(130);
    assert!(ran.stderr.contains("stopping at once"), "{}", ran.stderr);
    assert_reports(&sandbox, 6);
    assert_nothing_left(&sandbox);
}

#[test]
fn a_third_request_ends_proctor_on_the_spot() {
    let sandbox = Sandbox::new();
    let gate = Gate::at(sandbox.work().join("reports/20200101T000000Z-aaaa/evidence/run.json"));
    let mut running = Running::start(&mut Mini::new(&sandbox).run(&[]));
    let held = gate.reached();
    for said in ["cancelling: ", "stopping at once", "proctor clean"] {
        running.signal(Signal::INT);
        running.wait_for_error(said);
    }
    running.end().expect_code(130);
    drop(held);
    gate.remove();
    assert_eq!(sandbox.bases(), Vec::<PathBuf>::new());
}

#[test]
fn a_terminal_that_is_closed_ends_the_run_too() {
    let sandbox = Sandbox::new();
    let mut running = Running::start(&mut Mini::new(&sandbox).run(&["--agent", HANGING]));
    running.wait_for_worker();
    cancel(&sandbox, running, 6, Signal::HUP);
}

#[test]
fn a_reader_that_goes_away_does_not_end_the_run() {
    let sandbox = Sandbox::new();
    let mut command = Mini::new(&sandbox).run(&[]);
    let mut child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ran = Ran::of(child.wait_with_output().unwrap()).expect_code(0);
    assert_eq!(ran.stderr, "");
    assert_eq!(sandbox.summary()["outcome"], "passed");
    assert_nothing_left(&sandbox);
}
