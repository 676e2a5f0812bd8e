//! The runtime of the deliverables that cannot be made: the machine's fault or the scenario's, never the product's.

use std::fs;
use std::thread;

use crate::mini::{Mini, any_python, path_with_program};
use crate::sandbox::{Ran, Sandbox, assert_nothing_left};

/// An exercise, so that the runtime is needed.
const EXERCISE: &str = r#"
[runtime]
kind = "python"
packages = ["PACKAGE"]
[[exercise]]
name = "one"
title = "one"
[[exercise.step]]
name = "one"
checker = ["one.py"]
"#;

/// Runs with a runtime that needs `package`, expects an environment error with `parts`, and that nothing is left.
#[track_caller]
fn refused(package: &str, environment: &[(&str, &str)], parts: &[&str]) {
    let sandbox = Sandbox::new();
    let mini = Mini::new(&sandbox).with(&EXERCISE.replace("PACKAGE", package)).file("checks/one.py", "");
    let mut command = mini.run(&[]);
    let ran = Ran::of(command.envs(environment.iter().copied()).output().unwrap()).expect_code(102);
    // Lines are broken between words.
    let said = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in parts {
        assert!(said.contains(part), "`{part}` is missing in:\n{}", ran.stdout);
    }
    let summary = sandbox.summary();
    assert_eq!(summary["outcome"], "environment_error");
    let venvs = fs::read_dir(sandbox.cache().join("proctor/venvs")).into_iter().flatten().flatten();
    let made: Vec<String> =
        venvs.map(|entry| entry.file_name().into_string().unwrap()).filter(|name| !name.ends_with(".lock")).collect();
    assert_eq!(made, Vec::<String>::new(), "half an environment is left");
    assert_nothing_left(&sandbox);
}

/// A module of this name, found first, that cannot be imported: as on a machine where the distribution keeps it in another package.
fn lacking(sandbox: &Sandbox, module: &str) -> String {
    let folder = sandbox.work().join("../modules");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{module}.py")), "raise ImportError\n").unwrap();
    folder.canonicalize().unwrap().display().to_string()
}

#[test]
fn a_python_without_venv_or_ensurepip_is_named() {
    let Some(python) = any_python() else {
        eprintln!("skipped: python3 not found");
        return;
    };
    let folder = Sandbox::new();
    for module in ["venv", "ensurepip"] {
        let modules = lacking(&folder, module);
        // Set by the program itself: of the user's environment no `PYTHON…` reaches an interpreter.
        let program = format!("#!/bin/sh\nPYTHONPATH='{modules}' exec '{python}' \"$@\"\n");
        refused(
            "any",
            &[("PATH", &path_with_program(&folder, "python3", &program))],
            &["without venv or ensurepip", "python3-venv", "--python PATH"],
        );
        fs::remove_dir_all(modules).unwrap();
    }
}

#[test]
fn a_python_that_does_not_work_is_named() {
    let folder = Sandbox::new();
    let path = path_with_program(&folder, "python3", "#!/bin/sh\necho 'no such library' >&2\nexit 127\n");
    refused("any", &[("PATH", &path)], &["programs/python3 does not work (exit 127): no such library", "--python PATH"]);
}

#[test]
fn an_index_that_cannot_be_reached_and_a_package_that_is_not_there_are_told_apart() {
    if any_python().is_none() {
        eprintln!("skipped: python3 not found");
        return;
    }
    // Making a virtual environment takes seconds, so both are made at once.
    let unreachable = thread::spawn(|| {
        let index = [("PIP_INDEX_URL", "http://127.0.0.1:9/"), ("PIP_RETRIES", "0"), ("PIP_CONFIG_FILE", "/dev/null")];
        refused(
            "cryptography>=42.0",
            &index,
            &["the package index http://127.0.0.1:9/", "cannot be reached", "Connection refused", "PIP_INDEX_URL"],
        );
    });
    let folder = Sandbox::new();
    let index = format!("file://{}", folder.work().display());
    let index = [("PIP_INDEX_URL", index.as_str()), ("PIP_CONFIG_FILE", "/dev/null")];
    refused("nobodys-package==9", &index, &["nothing that meets `nobodys-package==9`", "scenario.toml"]);
    unreachable.join().unwrap();
}
