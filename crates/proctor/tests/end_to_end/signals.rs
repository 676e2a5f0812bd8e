//! Ctrl-C, SIGTERM and `kill -9`, at every point of a run.

use std::process::Command;

use rustix::process::Signal;

use crate::sandbox::{HANGING, Running, Sandbox, assert_nothing_left, processes_below};

/// Ends a run by `signal` as soon as a line with `after` was printed: `cancelled`, reports written, nothing left.
#[track_caller]
fn cancelled_after(after: &str, signal: Signal, args: &[&str]) {
    let sandbox = Sandbox::new();
    let mut running = Running::start(&mut sandbox.crypto_tales(args));
    running.wait_for(after);
    running.signal(signal);
    let ran = running.end().expect_code(130);
    assert!(ran.stdout.contains("CANCELLED"), "{}", ran.stdout);
    let summary = sandbox.summary();
    assert_eq!((&summary["outcome"], &summary["exit_code"]), (&"cancelled".into(), &130.into()));
    assert!(sandbox.report().join("report.html").is_file());
    assert_nothing_left(&sandbox);
}

#[test]
fn ctrl_c_in_phases_1_to_3_cancels() {
    cancelled_after("proctor ", Signal::INT, &[]);
    cancelled_after("1  reset telemetry", Signal::INT, &[]);
    cancelled_after("2  reset town", Signal::INT, &[]);
}

#[test]
fn sigterm_in_phases_4_and_5_cancels() {
    cancelled_after("3  start telemetry", Signal::TERM, &[]);
    cancelled_after("4  start town", Signal::TERM, &[]);
}

#[test]
fn ctrl_c_while_waiting_for_landing_cancels() {
    cancelled_after("5  inject prompt", Signal::INT, &["--agent", HANGING]);
}

#[test]
fn sigterm_while_collecting_cancels() {
    cancelled_after("6  wait for landing", Signal::TERM, &[]);
}

#[test]
fn a_second_ctrl_c_stops_at_once_and_clean_removes_the_rest() {
    let sandbox = Sandbox::new();
    let mut running = Running::start(&mut sandbox.crypto_tales(&["--agent", HANGING]));
    running.wait_for("5  inject prompt");
    running.signal(Signal::INT);
    running.signal(Signal::TERM);
    let ran = running.end().expect_code(130);
    // The first signal may have ended the run in order before the second was seen.
    if ran.stderr.contains("stopped at once") {
        assert!(ran.stderr.contains("proctor clean"), "{}", ran.stderr);
    }
    sandbox.run(&["clean"]).expect_code(0);
    assert_nothing_left(&sandbox);
}

#[test]
fn clean_ends_what_a_killed_proctor_left_and_nothing_else() {
    let sandbox = Sandbox::new();
    let mut bystander = Command::new("sleep").arg("600").current_dir(sandbox.work()).spawn().unwrap();
    let mut running = Running::start(&mut sandbox.crypto_tales(&["--agent", HANGING]));
    running.wait_for("5  inject prompt");
    running.signal(Signal::KILL);
    assert_eq!(running.end().code, None);
    assert_eq!(sandbox.bases().len(), 1);
    assert!(!processes_below(&sandbox.bases()[0]).is_empty(), "the town outlives its proctor");

    let shown = sandbox.run(&["clean", "--dry-run"]).expect_code(0).stdout;
    assert!(shown.contains("would end process") && shown.contains("would remove"), "{shown}");
    assert_eq!(sandbox.bases().len(), 1, "a dry run removes nothing");

    sandbox.run(&["clean"]).expect_code(0);
    assert_nothing_left(&sandbox);
    assert!(bystander.try_wait().unwrap().is_none(), "a process of nobody's run still lives");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[test]
fn clean_leaves_a_run_in_progress_alone() {
    let sandbox = Sandbox::new();
    let mut running = Running::start(&mut sandbox.crypto_tales(&["--agent", HANGING]));
    running.wait_for("5  inject prompt");
    let said = sandbox.run(&["clean"]).expect_code(0).stdout;
    assert!(said.contains("is in progress: left alone"), "{said}");
    assert_eq!(sandbox.bases().len(), 1);
    running.signal(Signal::TERM);
    running.end().expect_code(130);
    assert_nothing_left(&sandbox);
}

#[test]
fn a_killed_run_is_judged_unknown() {
    let sandbox = Sandbox::new();
    let mut running = Running::start(&mut sandbox.crypto_tales(&["--agent", HANGING]));
    running.wait_for("5  inject prompt");
    running.signal(Signal::KILL);
    running.end();
    sandbox.run(&["clean"]).expect_code(0);
    let ran = sandbox.run(&["judge", "latest"]).expect_code(101);
    assert!(ran.stdout.contains("UNKNOWN"), "{}", ran.stdout);
    assert_eq!(sandbox.summary()["outcome"], "unknown");
}
