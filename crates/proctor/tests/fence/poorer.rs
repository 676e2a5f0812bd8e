//! Kernels that have less than this one, played by `support/poorer.py`: the same tests hold there, but for what the kernel lacks, and
//! what it lacks is said.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use proctor_fence::{Ended, Fence, Namespaces};

use super::place::{Place, has, program, said};

const POORER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/poorer.py");

/// What a kernel without Landlock lacks.
const NO_LANDLOCK: [&str; 5] = ["landlock", "landlock-truncate", "landlock-network", "landlock-devices", "landlock-scopes"];

/// A program on a kernel that lacks this; absent where there is no Python.
fn on_poorer(lacks: &[&str], program_: &Path) -> Option<Command> {
    let mut command = Command::new(program("python3")?);
    command.args(["-I", "-B", POORER]).args(lacks).arg("--").arg(program_);
    Some(command)
}

/// What a fence says that it lacks, and whether these tests hold.
fn hold(lacks: &[&str], wanted: &[&str]) {
    // This kernel may lack something itself.
    if !["landlock-scopes", "seccomp", "observation", "namespaces"].into_iter().all(has) {
        return;
    }
    let place = Place::new();
    let report = place.path().join("report");
    let namespaces = Some(Namespaces { processes: true, ..Namespaces::default() });
    let fence = Fence { namespaces, refusals: Some(place.path().join("refusals")), ..place.bare() };
    let Some(mut fenced) = on_poorer(lacks, &place.launcher) else { return };
    let fenced = fenced.arg("--report").arg(&report).args([&fence.to_json().unwrap(), "--", "true"]).output().unwrap();
    assert_eq!(fenced.status.code(), Some(0), "{}", said(&fenced));
    let ended: Ended = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    let missing: BTreeSet<&str> = ended.missing.iter().map(|missing| missing.what.as_str()).collect();
    assert_eq!(missing, wanted.iter().copied().collect(), "{ended:?}");
    let tests = std::env::current_exe().unwrap();
    let output = on_poorer(lacks, &tests).unwrap().args(["inside::", "probes::", "refusals::"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn without_landlock() {
    hold(&["landlock"], &NO_LANDLOCK);
}

#[test]
fn with_an_old_landlock_and_nobody_who_observes() {
    hold(&["landlock=3", "observation"], &["landlock-network", "landlock-devices", "landlock-scopes", "observation"]);
}

#[test]
fn without_namespaces() {
    hold(&["namespaces"], &["namespaces", "pid-namespace"]);
}

#[test]
fn with_namespaces_in_which_nothing_can_be_mounted() {
    hold(&["mounts"], &["namespaces", "pid-namespace"]);
}

#[test]
fn without_seccomp() {
    hold(&["seccomp"], &["seccomp"]);
}

#[test]
fn without_anything() {
    let wanted = [&NO_LANDLOCK[..], &["seccomp", "namespaces", "pid-namespace"]].concat();
    hold(&["landlock", "namespaces", "seccomp"], &wanted);
}
