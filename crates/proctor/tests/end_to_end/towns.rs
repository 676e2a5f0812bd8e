//! Towns that must not be touched, and towns that are kept.

use std::fs;

use crate::sandbox::{HANGING, Ran, Sandbox, assert_nothing_left, processes_below};

#[test]
fn a_run_started_inside_somebodys_town_leaves_that_town_alone() {
    let sandbox = Sandbox::new();
    let town = sandbox.work().join("gt");
    fs::create_dir_all(town.join("mayor")).unwrap();
    fs::write(town.join("mayor/town.json"), r#"{"name":"theirs"}"#).unwrap();
    let inside = town.join("inside");
    fs::create_dir(&inside).unwrap();
    let mut command = sandbox.crypto_tales(&["--reports", "reports"]);
    command.current_dir(&inside).envs([
        ("GT_TOWN_ROOT", town.to_str().unwrap()),
        ("GT_ROOT", town.to_str().unwrap()),
        ("GT_ROLE", "theirs/polecats/nux"),
        ("GT_RIG", "theirs"),
        ("BD_ACTOR", "theirs/nux"),
        ("BEADS_DIR", "/nowhere"),
        ("TMUX", "/nowhere,1,0"),
        ("GT_OTEL_LOGS_URL", "http://127.0.0.1:9/x"),
        ("OTEL_RESOURCE_ATTRIBUTES", "gt.role=theirs"),
    ]);
    Ran::of(command.output().unwrap()).expect_code(0);
    let names = |folder| {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(names(town.join("mayor")), ["town.json"]);
    assert_eq!(names(inside), ["reports"]);
    assert_nothing_left(&sandbox);
}

#[test]
fn a_kept_town_can_be_looked_at_and_cleaned() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.crypto_tales(&["--keep-town", "--timeout", "2s", "--agent", HANGING]);
    let ran = Ran::of(command.output().unwrap()).expect_code(100);
    assert!(ran.stdout.contains("proctor attach "), "{}", ran.stdout);
    let base = sandbox.bases().pop().unwrap();
    assert!(!processes_below(&base).is_empty(), "the town is alive");

    let agents = sandbox.run(&["attach", "latest", "--", "gt", "agents", "list", "--json"]).expect_code(0).stdout;
    assert!(agents.contains("\"mayor\""), "{agents}");

    let id = base.file_name().unwrap().to_str().unwrap();
    sandbox.run(&["clean", id]).expect_code(0);
    assert_nothing_left(&sandbox);
}

#[test]
fn a_town_is_not_kept_after_a_pass() {
    let sandbox = Sandbox::new();
    Ran::of(sandbox.crypto_tales(&["--keep-town"]).output().unwrap()).expect_code(0);
    assert_nothing_left(&sandbox);
}
