//! The programs of `docs/agents.md` run as they stand.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::mini::any_python;
use crate::sandbox::{Ran, Sandbox};

/// The code of a fence below a heading, or below a text.
fn code(page: &str, below: &str, language: &str) -> String {
    let rest = page.split_once(below).unwrap_or_else(|| panic!("no `{below}`")).1;
    let rest = rest.split_once(&format!("```{language}\n")).unwrap().1;
    rest.split_once("```").unwrap().0.to_owned()
}

/// The documented programs in a sandbox whose scenario is what `scenarios new` writes.
fn written() -> Option<(Sandbox, String)> {
    let Some(python) = any_python() else {
        eprintln!("skipped: python3 not found");
        return None;
    };
    let page = fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/agents.md")).unwrap();
    let sandbox = Sandbox::new();
    sandbox.run(&["scenarios", "new", "mine"]).expect_code(0);
    let write = |name: &str, text: String| {
        let path = sandbox.work().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    write("worker.sh", code(&page, "`worker.sh`\n", "sh"));
    write("mayor.py", code(&page, "`mayor.py`\n", "python"));
    write("model_worker.py", code(&page, "would need. Scripts:", "python"));
    Some((sandbox, python))
}

#[test]
fn the_mayor_and_the_worker_without_a_model_play_a_new_scenario() {
    let Some((sandbox, python)) = written() else { return };
    let mayor = format!("mayor={python} {}", sandbox.work().join("mayor.py").display());
    let mut command = sandbox.proctor(&["run", "./mine", "--agent", &mayor, "--agent", "polecat=./worker.sh"]);
    Ran::of(command.output().unwrap()).expect_code(0);
}

#[test]
fn the_worker_with_a_model_plays_a_new_scenario() {
    let Some((sandbox, python)) = written() else { return };
    let worker = format!("polecat={python} {}", sandbox.work().join("model_worker.py").display());
    Ran::of(sandbox.proctor(&["run", "./mine", "--agent", &worker]).output().unwrap()).expect_code(0);
}

#[test]
fn an_agent_that_cannot_be_used_says_why() {
    let sandbox = Sandbox::new();
    sandbox.run(&["scenarios", "new", "mine"]).expect_code(0);
    fs::write(sandbox.work().join("plain.sh"), "#!/bin/sh\n").unwrap();
    for (command, said, hint) in [
        ("no-such-agent", "is not on your PATH", "ROLE=./no-such-agent"),
        ("./absent.sh", "is not there", "taken from the folder that proctor was started in"),
        ("./plain.sh --fast", "is not executable", "chmod +x"),
        ("./mine", "is a folder", "name the program in it"),
    ] {
        let agent = format!("polecat={command}");
        let ran = sandbox.run(&["run", "./mine", "--agent", &agent]).expect_code(102);
        let text = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(said) && text.contains(hint), "{command}: {}", ran.stdout);
    }
}
