//! `kill -9` of Proctor, what `proctor clean` makes of the rest, and what it leaves alone.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};

use rustix::process::Signal;

use crate::gate::Gate;
use crate::mini::{Mini, path_with_program};
use crate::sandbox::{HANGING, Running, Sandbox, assert_nothing_left, lasting_processes_below, processes_below};

/// A run that was killed while its worker worked. Without a fence it has no PID namespace, which would end with it.
fn killed(sandbox: &Sandbox) {
    let mut running = Running::start(&mut Mini::new(sandbox).run(&["--agent", HANGING, "--fence", "off"]));
    running.wait_for_worker();
    running.signal(Signal::KILL);
    assert_eq!(running.end().code, None);
}

#[test]
fn clean_ends_what_a_killed_run_left_and_a_run_beside_it_goes_on() {
    let sandbox = Sandbox::new();
    let mut bystander = Command::new("sleep").arg("600").current_dir(sandbox.work()).spawn().unwrap();
    let gate = Gate::at(sandbox.work().join("../work-gate"));
    let mini = Mini::new(&sandbox).worker_waits(&gate);
    let beside = Running::start(&mut mini.run(&[]));
    let held = gate.reached();
    let living = sandbox.bases()[0].clone();
    let before = lasting_processes_below(&living);
    assert!(before.len() >= 3, "daemon, mayor and worker live: {before:?}");

    killed(&sandbox.beside());
    let left = sandbox.bases().into_iter().find(|base| *base != living).unwrap();
    assert!(!processes_below(&left).is_empty(), "the town outlives its proctor");

    let shown = sandbox.run(&["clean", "--dry-run"]).expect_code(0).stdout;
    assert!(shown.contains("would end process") && shown.contains("would remove"), "{shown}");
    assert!(left.exists(), "a dry run removes nothing");

    let said = sandbox.run(&["clean"]).expect_code(0).stdout;
    assert!(said.contains("is in progress: left alone"), "{said}");
    assert_eq!(sandbox.bases(), [living.as_path()]);
    assert!(processes_below(&left).is_empty());
    assert!(processes_below(&living).is_superset(&before), "the living run lost a process");
    assert_lives(&mut bystander);

    drop(held);
    beside.end().expect_code(0);
    assert_nothing_left(&sandbox);
}

#[test]
fn clean_finds_a_daemon_that_hid_from_its_run() {
    let sandbox = Sandbox::new();
    let gate = Gate::at(sandbox.work().join("../work-gate"));
    let note = sandbox.work().join("../daemon");
    let mini = Mini::new(&sandbox).worker_first(&hidden_daemon(&sandbox, &note)).worker_waits(&gate);
    let running = Running::start(&mut mini.run(&[]));
    let held = gate.reached();
    running.signal(Signal::KILL);
    running.end();
    let pid = fs::read_to_string(note).unwrap();
    assert!(is_alive(pid.trim()), "the daemon outlives the run");
    sandbox.run(&["clean"]).expect_code(0);
    assert!(!is_alive(pid.trim()), "the daemon was ended");
    drop(held);
    assert_nothing_left(&sandbox);
}

/// Starts a daemon with no trace of the run about it and waits until it has left its pid in the note.
fn hidden_daemon(sandbox: &Sandbox, note: &Path) -> String {
    let started = Gate::at(sandbox.work().join("../daemon-started"));
    let (note, started) = (note.display(), started.path().display());
    let daemon = format!("echo $$ > {note}; : > {started}; exec sleep 600");
    format!("env -i setsid sh -c '{daemon}' >/dev/null 2>&1 & cat {started}")
}

#[test]
fn clean_ends_the_making_of_a_runtime() {
    let sandbox = Sandbox::new();
    let making = Gate::at(sandbox.work().join("../python-gate"));
    let working = Gate::at(sandbox.work().join("../work-gate"));
    let path = path_with_program(&sandbox, "python3", &hanging_python(&sandbox, &making));
    let mini = Mini::new(&sandbox).worker_waits(&working).exercise_waits(&making);
    let running = Running::start(mini.run(&[]).env("PATH", path));
    let (_making, _working) = (making.reached(), working.reached());
    running.signal(Signal::KILL);
    running.end();
    sandbox.run(&["clean"]).expect_code(0);
    assert_nothing_left(&sandbox);
}

/// Says that it is a Python, then waits at the gate instead of making an environment.
fn hanging_python(sandbox: &Sandbox, gate: &Gate) -> String {
    let itself = sandbox.work().join("../programs/python3");
    let about = format!(r#"{{"executable": {itself:?}, "version": "3.0.0", "venv": true}}"#);
    format!("#!/bin/sh\n[ \"$1\" = -m ] && exec cat '{}'\necho '{about}'\n", gate.path().display())
}

#[test]
fn a_killed_run_is_judged_unknown() {
    let sandbox = Sandbox::new();
    killed(&sandbox);
    sandbox.run(&["clean"]).expect_code(0);
    let ran = sandbox.run(&["judge", "latest"]).expect_code(101);
    assert!(ran.stdout.contains("UNKNOWN"), "{}", ran.stdout);
    assert_eq!(sandbox.summary()["outcome"], "unknown");
}

#[track_caller]
fn assert_lives(process: &mut Child) {
    assert!(process.try_wait().unwrap().is_none(), "a process of nobody's run was ended");
    process.kill().unwrap();
    process.wait().unwrap();
}

/// A zombie is dead; its parent is only late.
fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}
