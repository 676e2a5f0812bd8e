//! The real Gas Town: whole runs, and what is left of one whose Proctor was killed.

use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;

use super::sandbox::{Ran, Running, Sandbox, assert_nothing_left, processes_below};

/// Where the programs are, when all of them are there; else the test says what is missing and ends.
pub(crate) fn programs() -> Option<String> {
    let folder = std::env::var("PROCTOR_GASTOWN_BIN").unwrap_or_default();
    let search = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
    for name in ["gt", "bd", "dolt", "tmux"] {
        if !std::env::split_paths(&search).any(|place| place.join(name).is_file()) {
            eprintln!("skipped: {name} not found");
            return None;
        }
    }
    Some(folder)
}

pub(crate) fn crypto_tales(sandbox: &Sandbox, folder: &str, args: &[&str]) -> Command {
    let mut command = sandbox.crypto_tales(&["--town", "gastown"]);
    command.env("PROCTOR_GASTOWN_BIN", folder).args(args);
    command
}

/// What the run put outside its base directory, as its registry named it.
pub(crate) fn outside(base: &std::path::Path) -> Vec<PathBuf> {
    let registry = std::fs::read_to_string(proctor_harness::registry::file_of(base)).unwrap();
    let entries = registry.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let kinds = ["file", "tmux_socket"];
    entries.filter(|e| kinds.contains(&e["kind"].as_str().unwrap())).map(|e| e["what"].as_str().unwrap().into()).collect()
}

fn passes(args: &[&str]) {
    let Some(folder) = programs() else { return };
    let sandbox = Sandbox::new();
    Ran::of(crypto_tales(&sandbox, &folder, args).output().unwrap()).expect_code(0);
    let evidence = sandbox.report().join("evidence");
    let convoy = std::fs::read_to_string(evidence.join("town/convoys.ndjson")).unwrap();
    assert!(convoy.contains("\"closed\""), "{convoy}");
    assert!(evidence.join("raw/dolt/hq/issues.ndjson").is_file(), "every database's rows are kept");
    assert!(std::fs::read_to_string(evidence.join("raw/commands.ndjson")).unwrap().contains("mayor"));
    assert_nothing_left(&sandbox);
}

#[test]
fn the_crypto_tales_land() {
    passes(&[]);
}

#[test]
fn the_crypto_tales_land_directly() {
    passes(&["--merge", "direct"]);
}

#[test]
fn a_killed_run_leaves_daemons_that_clean_finds_and_ends() {
    let Some(folder) = programs() else { return };
    let sandbox = Sandbox::new();
    let mut running = Running::start(&mut crypto_tales(&sandbox, &folder, &[]));
    running.wait_for("alice/");
    let base = sandbox.bases().remove(0);
    let outside = outside(&base);
    running.signal(Signal::KILL);
    running.end();
    assert!(!processes_below(&base).is_empty(), "dolt and tmux are daemons");
    sandbox.run(&["clean"]).expect_code(0);
    assert_nothing_left(&sandbox);
    assert!(outside.iter().all(|file| !file.exists()), "{outside:?}");
}

#[test]
fn a_town_whose_programs_are_missing_is_an_error_of_the_environment() {
    let sandbox = Sandbox::new();
    let mut command = crypto_tales(&sandbox, "", &[]);
    let bare = sandbox.work().join("bin");
    std::fs::create_dir(&bare).unwrap();
    let git = std::env::split_paths(&std::env::var_os("PATH").unwrap()).map(|place| place.join("git")).find(|git| git.is_file());
    std::os::unix::fs::symlink(git.unwrap(), bare.join("git")).unwrap();
    let ran = Ran::of(command.env("PATH", &bare).output().unwrap()).expect_code(102);
    assert!(ran.stdout.contains("gt: not found") && ran.stdout.contains("PROCTOR_GASTOWN_BIN"), "{}", ran.stdout);
    assert_nothing_left(&sandbox);
}
