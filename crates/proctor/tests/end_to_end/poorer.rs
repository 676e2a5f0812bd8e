//! Kernels that have less than this one, played by `support/poorer.py`: honest runs pass there, and what is missing is said.

use std::process::Command;

use serde_json::Value;

use crate::mini::{Mini, any_python};
use crate::sandbox::{Ran, Sandbox};

const POORER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/poorer.py");

const EXERCISE: &str = r#"
[runtime]
kind = "python"
packages = []
[[exercise]]
name = "look"
title = "it looks at itself and starts a process"
[[exercise.step]]
name = "look"
checker = ["look.py"]
"#;

/// What runtimes do in every program: ask for their own limits, use a temporary file, start a process.
const LOOK: &str = "
import subprocess, tempfile
try:
    open('/proc/self/cgroup').read()
except OSError:
    pass
tempfile.TemporaryFile().write(b'x')
subprocess.run(['true'], check=True)
";

/// The same command on a kernel that lacks this.
fn on_poorer(lacks: &[&str], command: &Command, python: &str) -> Ran {
    let mut poorer = Command::new(python);
    poorer.args(["-I", "-B", POORER]).args(lacks).arg("--").arg(command.get_program()).args(command.get_args()).env_clear();
    poorer.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    Ran::of(poorer.current_dir(command.get_current_dir().unwrap()).output().unwrap())
}

fn words<'a>(rows: &'a Value, key: &str) -> Vec<&'a str> {
    rows.as_array().unwrap().iter().map(|row| row[key].as_str().unwrap()).collect()
}

/// An honest run passes; doctor, summary and the report's text name what is missing, and nothing was refused.
fn an_honest_run_passes(lacks: &[&str], wanted: &[&str]) {
    let Some(python) = any_python() else {
        eprintln!("skipped: python3 not found");
        return;
    };
    let sandbox = Sandbox::new();
    let mini = Mini::new(&sandbox).with(EXERCISE).file("checks/look.py", LOOK);
    on_poorer(lacks, &mini.run(&["--python", &python]), &python).expect_code(0);
    let summary = sandbox.summary();
    let missing = words(&summary["fence"]["missing"], "what");
    let doctor = on_poorer(lacks, &sandbox.proctor(&["doctor", "--json"]), &python);
    for want in wanted {
        assert!(missing.contains(want), "{want}: {missing:?}");
        let readme = std::fs::read_to_string(sandbox.report().join("README.md")).unwrap();
        assert!(readme.contains(want), "{want}: {readme}");
        assert!(doctor.stdout.contains(want), "{want}: {}", doctor.stdout);
    }
    let findings = words(&summary["findings"], "id");
    assert!(findings.contains(&"fence.open") && !findings.contains(&"fence.refused"), "{findings:?}");
}

#[test]
fn an_honest_run_passes_without_namespaces() {
    an_honest_run_passes(&["namespaces"], &["namespaces"]);
}

#[test]
fn an_honest_run_passes_without_landlock() {
    an_honest_run_passes(&["landlock"], &["landlock", "landlock-network", "landlock-scopes"]);
}

#[test]
fn an_honest_run_passes_without_seccomp_and_with_an_old_landlock() {
    an_honest_run_passes(&["landlock=3", "seccomp"], &["seccomp", "observation", "landlock-network"]);
}
