//! Looking at runs: one finding, two runs side by side, and at the machine before a run.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use crate::mini::{Mini, on_path};
use crate::sandbox::{Ran, Sandbox};

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error} in:\n{}", ran.stdout))
}

/// Two runs of the smallest scenario: one passes, in the other the worker says that it is done without a commit.
fn two_runs(sandbox: &Sandbox) -> [String; 2] {
    let passing = Mini::new(sandbox);
    Ran::of(passing.run(&[]).output().unwrap()).expect_code(0);
    let first = sandbox.summary()["run"]["id"].as_str().unwrap().to_owned();
    let check = "[[check]]\nid = \"nothing\"\nkind = \"file\"\ntitle = \"there is a file that nobody writes\"\nrig = \"hello\"\npath = \"no.txt\"\n";
    let failing = passing.with(check);
    Ran::of(failing.run(&[]).output().unwrap()).expect_code(100);
    [first, sandbox.summary()["run"]["id"].as_str().unwrap().to_owned()]
}

/// Takes every permission to write away, as on a medium that can be read only.
fn read_only(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            read_only(&entry.path());
        }
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o555)).unwrap();
}

fn writable(folder: &Path) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    for entry in fs::read_dir(folder).unwrap().flatten().filter(|e| e.file_type().unwrap().is_dir()) {
        writable(&entry.path());
    }
}

#[test]
fn findings_and_comparisons_of_real_runs() {
    let sandbox = Sandbox::new();
    let [passed, failed] = two_runs(&sandbox);

    let list = sandbox.run(&["finding", &failed]).expect_code(0).stdout;
    assert!(list.contains("✗ nothing  ") && list.contains("· look.viewer") && !list.contains('\u{1b}'), "{list}");
    let one = sandbox.run(&["finding", "latest", "nothing"]).expect_code(0).stdout;
    assert!(
        one.contains("there is a file that nobody writes") && one.contains("    expected") && one.contains("    next"),
        "{one}"
    );
    let report = sandbox.run(&["finding", &failed, "nothing", "--markdown"]).expect_code(0).stdout;
    for part in ["# there is a file", "## Steps to reproduce", "proctor run", "## Expected", "## Actual", "| git |"] {
        assert!(report.contains(part), "no {part} in\n{report}");
    }
    let rows = json(&sandbox.run(&["finding", &failed, "--json"]).expect_code(0));
    assert_eq!(rows[0]["name"], "nothing");
    assert_eq!(json(&sandbox.run(&["finding", &failed, "nothing", "--json"]).expect_code(0))["id"], "nothing");
    let unknown = sandbox.run(&["finding", &failed, "nothin"]).expect_code(2).stderr;
    assert!(unknown.contains("did you mean `nothing`?") && unknown.contains("look.viewer"), "{unknown}");
    sandbox.run(&["finding", &failed, "--markdown"]).expect_code(2);

    let both = sandbox.run(&["compare", &passed, &failed]).expect_code(0).stdout;
    for part in [&format!("{passed} PASSED"), &format!("{failed} FAILED"), "Checks with different answers", "6 wait for landing"]
    {
        assert!(both.contains(part), "no {part} in\n{both}");
    }
    assert!(
        !both.contains('\u{1b}')
            && sandbox.run(&["compare", &passed, "latest", "--markdown"]).expect_code(0).stdout.starts_with("# Run ")
    );
    let compared = json(&sandbox.run(&["compare", &passed, &failed, "--json"]).expect_code(0));
    assert_eq!((&compared["runs"][0]["outcome"], &compared["runs"][1]["outcome"]), (&"passed".into(), &"failed".into()));

    let moved = sandbox.work().join("../archive");
    fs::rename(sandbox.report().canonicalize().unwrap(), &moved).unwrap();
    read_only(&moved);
    let again = sandbox.run(&["finding", moved.to_str().unwrap(), "nothing"]).expect_code(0).stdout;
    writable(&moved);
    assert_eq!(again, one, "a moved run that can be read only shows the same");
}

#[test]
fn the_machine_is_looked_at_and_nothing_of_it_is_changed() {
    let sandbox = Sandbox::new();
    let ran = sandbox.run(&["doctor", "--json"]);
    let lines = json(&ran);
    let state = |what: &str| lines.as_array().unwrap().iter().find(|l| l["what"] == what).map(|l| l["state"].clone());
    assert_eq!(state("git"), Some("good".into()));
    assert_eq!(state("earlier runs"), Some("good".into()));
    assert!(state("ports").is_some() && state("disk of the cache").is_some() && state("inotify").is_some());
    let missing = lines.as_array().unwrap().iter().any(|l| l["state"] == "missing");
    assert_eq!(ran.code, Some(if missing { 102 } else { 0 }));
    assert!(!sandbox.cache().join("proctor/doctor").exists(), "the home that programs got is gone");
}

#[test]
fn programs_of_the_real_town_that_are_missing_say_what_to_do() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.proctor(&["doctor", "--town", "gastown"]);
    let ran = Ran::of(command.env("PATH", "/nowhere").env("PROCTOR_GASTOWN_BIN", "/nowhere").output().unwrap()).expect_code(102);
    for part in [
        "✗ PROCTOR_GASTOWN_BIN",
        "/nowhere: it is no folder",
        "✗ gt",
        "✗ bd",
        "→ install bd 0.62.0",
        "✗ python3",
        "no run on the town gastown can be made",
    ] {
        assert!(ran.stdout.contains(part), "no {part} in\n{}", ran.stdout);
    }
}

#[test]
fn programs_of_the_real_town_that_are_there_are_judged_together() {
    let sandbox = Sandbox::new();
    let named = std::env::var_os("PROCTOR_GASTOWN_BIN");
    if named.is_none() && on_path("gt").is_none() {
        eprintln!("skipped: gt not found");
        return;
    }
    let mut command = sandbox.proctor(&["doctor", "--town", "gastown", "--json"]);
    command.envs(named.map(|folder| ("PROCTOR_GASTOWN_BIN", folder)));
    let lines = json(&Ran::of(command.output().unwrap()));
    let line = |what: &str| lines.as_array().unwrap().iter().find(|l| l["what"] == what).cloned().unwrap();
    for program in ["gt", "bd", "dolt", "tmux"] {
        assert_ne!(line(program)["found"], "not found", "{program}");
    }
}
