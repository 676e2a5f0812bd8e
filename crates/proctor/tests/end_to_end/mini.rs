//! The smallest scenario, which runs in about two seconds: one rig, one worker, one file, no runtime. A test changes what it needs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use crate::gate::Gate;
use crate::sandbox::Sandbox;

/// What the scenario's worker does.
const WORK: &str = "echo 'Hello from the worker.' > greeting.txt";

/// See the file's head.
pub(crate) struct Mini<'a> {
    sandbox: &'a Sandbox,
    folder: PathBuf,
    /// Whether its worker or exercise reaches for what lies outside the run, such as a gate.
    reaches_out: bool,
}

impl<'a> Mini<'a> {
    /// What `proctor scenarios new` writes, outside the working directory.
    pub(crate) fn new(sandbox: &'a Sandbox) -> Self {
        let folder = sandbox.work().join("../mini");
        sandbox.run(&["scenarios", "new", folder.to_str().unwrap()]).expect_code(0);
        Self { sandbox, folder: folder.canonicalize().unwrap(), reaches_out: false }
    }

    /// Adds to `scenario.toml`.
    pub(crate) fn with(self, text: &str) -> Self {
        self.change("scenario.toml", |old| format!("{old}\n{text}\n"))
    }

    /// Replaces text that is there exactly once.
    pub(crate) fn replacing(self, file: &str, find: &str, with: &str) -> Self {
        self.change(file, |old| {
            assert_eq!(old.matches(find).count(), 1, "{file}: {find}");
            old.replace(find, with)
        })
    }

    fn change(self, file: &str, change: impl Fn(String) -> String) -> Self {
        let path = self.folder.join(file);
        let old = fs::read_to_string(&path).unwrap();
        fs::write(path, change(old)).unwrap();
        self
    }

    /// Adds a file.
    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// The worker runs `command` before it works.
    pub(crate) fn worker_first(self, command: &str) -> Self {
        self.replacing("script/polecat.toml", WORK, &format!("{command}; {WORK}"))
    }

    /// The worker waits at the gate before it works.
    pub(crate) fn worker_waits(mut self, gate: &Gate) -> Self {
        self.reaches_out = true;
        self.worker_first(&format!("cat '{}'", gate.path().display()))
    }

    /// A selftest case in which the worker leaves its work undone and the run waits ten minutes for it.
    pub(crate) fn case_that_never_lands(self, name: &str) -> Self {
        let change = format!("[[change]]\nfile = \"script/polecat.toml\"\nfind = \"{WORK}\"\nwith = \"sleep 600\"\n");
        let head = "title = \"nothing lands\"\n[expect]\noutcome = \"not_landed\"\n[timeouts]\nlanding = \"10m\"\n";
        self.file(&format!("selftest/{name}/case.toml"), &format!("{head}{change}"))
    }

    /// Where it lies.
    pub(crate) fn folder(&self) -> &str {
        self.folder.to_str().unwrap()
    }

    /// Phase 7 runs an exercise, by any Python, that waits at the gate.
    pub(crate) fn exercise_waits(mut self, gate: &Gate) -> Self {
        self.reaches_out = true;
        self.with(EXERCISE).file("checks/wait.py", &format!("open({:?}).read()\n", gate.path()))
    }

    /// `proctor run` of it with further arguments; without a fence where somebody reaches out of it.
    pub(crate) fn run(&self, args: &[&str]) -> Command {
        let mut command = self.sandbox.proctor(&["run", self.folder.to_str().unwrap()]);
        if self.reaches_out {
            command.args(["--fence", "off"]);
        }
        command.args(args);
        command
    }
}

const EXERCISE: &str = r#"
[runtime]
kind = "python"
packages = []
[[exercise]]
name = "wait"
title = "it waits"
[[exercise.step]]
name = "wait"
checker = ["wait.py"]
"#;

/// Writes a program into a folder of its own, to be put first on a `PATH`; gives that `PATH`.
pub(crate) fn path_with_program(sandbox: &Sandbox, name: &str, text: &str) -> String {
    let folder = sandbox.work().join("../programs");
    fs::create_dir_all(&folder).unwrap();
    let program = folder.join(name);
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", folder.canonicalize().unwrap().display(), std::env::var("PATH").unwrap())
}

/// A `PATH` on which `git` waits at the gate for as long as it is there.
pub(crate) fn path_with_waiting_git(sandbox: &Sandbox, gate: &Gate) -> String {
    let git = on_path("git").expect("git is needed");
    let text = format!("#!/bin/sh\n[ -p '{0}' ] && cat '{0}'\nexec '{1}' \"$@\"\n", gate.path().display(), git.display());
    path_with_program(sandbox, "git", &text)
}

/// The program that a name means on this test's own `PATH`.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file: &PathBuf| file.is_file())
}

/// Any Python 3, by the path of the interpreter itself.
pub(crate) fn any_python() -> Option<String> {
    let output = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| path.trim().to_owned())
}
