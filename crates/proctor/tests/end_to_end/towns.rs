//! Towns that must not be touched, and towns that are kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bad_luck::personality;
use crate::mini::Mini;
use crate::sandbox::{HANGING, Ran, Sandbox, assert_nothing_left, picture, processes_below};

/// A town that somebody made with `gt install`, with a convoy of the scenario's own title that has landed.
fn somebodys_town(sandbox: &Sandbox) -> PathBuf {
    let (gt, bd) = (personality(sandbox, "gt"), personality(sandbox, "bd"));
    fs::create_dir(sandbox.work().join("../theirs")).unwrap();
    let place = sandbox.work().join("../theirs").canonicalize().unwrap();
    let town = place.join("gt");
    let run = |program: &Path, args: &[&str], cwd: &Path| {
        let mut command = Command::new(program);
        command.args(args).current_dir(cwd).env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", &place);
        Ran::of(command.output().unwrap()).expect_code(0).stdout
    };
    run(&gt, &["install", town.to_str().unwrap(), "--name", "theirs"], &place);
    let issue = run(&bd, &["create", "Write greeting.txt", "--json"], &town);
    let issue: serde_json::Value = serde_json::from_str(&issue).unwrap();
    let id = issue["id"].as_str().or(issue[0]["id"].as_str()).unwrap().to_owned();
    run(&gt, &["convoy", "create", "Greeting", &id], &town);
    run(&bd, &["close", &id], &town);
    fs::remove_dir_all(sandbox.work().join("base")).unwrap();
    town
}

/// Runs from inside that town, with everything set that its agents have set.
fn from_inside(town: &Path, mut command: Command) -> Ran {
    command.current_dir(town.join("mayor")).envs([
        ("GT_TOWN_ROOT", town.to_str().unwrap()),
        ("GT_ROOT", town.to_str().unwrap()),
        ("GT_ROLE", "theirs/polecats/nux"),
        ("GT_RIG", "theirs"),
        ("GT_SESSION", "theirs-nux"),
        ("BD_ACTOR", "theirs/nux"),
        ("BEADS_DIR", "/nowhere"),
        ("TMUX", "/nowhere,1,0"),
        ("GT_OTEL_LOGS_URL", "http://127.0.0.1:9/x"),
        ("OTEL_RESOURCE_ATTRIBUTES", "gt.role=theirs"),
    ]);
    Ran::of(command.output().unwrap())
}

#[test]
fn a_run_started_inside_somebodys_town_leaves_that_town_alone() {
    let sandbox = Sandbox::new();
    let town = somebodys_town(&sandbox);
    let before = picture(&town);
    let reports = sandbox.work().join("reports");
    let command = Mini::new(&sandbox).run(&["--reports", reports.to_str().unwrap()]);
    from_inside(&town, command).expect_code(0);
    assert_eq!(picture(&town).keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    assert!(picture(&town) == before, "a file of that town was changed");
    assert_nothing_left(&sandbox);
}

#[test]
fn the_state_is_that_of_the_runs_own_town() {
    let sandbox = Sandbox::new();
    let town = somebodys_town(&sandbox);
    let reports = sandbox.work().join("reports");
    let args = ["--reports", reports.to_str().unwrap(), "--agent", HANGING, "--timeout", "2s"];
    let command = Mini::new(&sandbox).run(&args);
    // The convoy of that name in the other town has landed; this one's has not.
    let ran = from_inside(&town, command).expect_code(100);
    assert!(ran.stdout.contains("NOT LANDED"), "{}", ran.stdout);
    let summary = sandbox.summary();
    let convoy = summary["landed"].as_array().unwrap().iter().find(|c| c["clause"] == "convoy_closed").unwrap().clone();
    assert_eq!(convoy["value"], false, "{convoy:#}");
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
