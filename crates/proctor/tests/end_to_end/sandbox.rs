//! A home, a cache and a working directory for one test, and the commands that run in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};
use std::sync::{Arc, OnceLock};

use serde_json::Value;
use tempfile::TempDir;

/// What workers are in tests in which nothing must ever land.
pub(crate) const HANGING: &str = "polecat=sh -c 'sleep 600'";

/// See the file's head.
pub(crate) struct Sandbox {
    dir: Arc<TempDir>,
    work: &'static str,
}

impl Sandbox {
    /// Fresh and empty.
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("p").tempdir().unwrap();
        for name in ["home", "cache", "tmp", "work"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self { dir: Arc::new(dir), work: "work" }
    }

    /// The same home and cache with another working directory.
    pub(crate) fn beside(&self) -> Self {
        let work = "beside/work";
        fs::create_dir_all(self.dir.path().join(work)).unwrap();
        Self { dir: Arc::clone(&self.dir), work }
    }

    /// Where commands run.
    pub(crate) fn work(&self) -> PathBuf {
        self.dir.path().join(self.work).canonicalize().unwrap()
    }

    /// `XDG_CACHE_HOME`.
    pub(crate) fn cache(&self) -> PathBuf {
        self.dir.path().join("cache").canonicalize().unwrap()
    }

    /// Base directories of runs that are still there.
    pub(crate) fn bases(&self) -> Vec<PathBuf> {
        match fs::read_dir(self.cache().join("proctor/runs")) {
            Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
            Err(_) => Vec::new(),
        }
    }

    /// `proctor ARGS…` with nothing inherited but where programs are found.
    pub(crate) fn proctor(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_proctor"));
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path().join("home"))
            .env("XDG_CACHE_HOME", self.cache())
            .env("TMPDIR", self.dir.path().join("tmp"))
            .env("LANG", "C.UTF-8")
            .current_dir(self.work())
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.proctor(args).output().unwrap())
    }

    /// `proctor run crypto-tales` with further arguments.
    pub(crate) fn crypto_tales(&self, args: &[&str]) -> Command {
        let mut command = self.proctor(&["run", "crypto-tales"]);
        if let Some(python) = python() {
            command.arg("--python").arg(python);
        }
        command.args(args);
        command
    }

    /// The one run below `reports/`.
    pub(crate) fn report(&self) -> PathBuf {
        self.work().join("reports/latest").canonicalize().unwrap()
    }

    /// `summary.json` of the newest run.
    pub(crate) fn summary(&self) -> Value {
        summary(&self.report())
    }
}

/// `summary.json` of a run's folder.
pub(crate) fn summary(run: &Path) -> Value {
    let path = run.join("summary.json");
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap()
}

/// A command that ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Ran {
    /// From what the system gives.
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Fails the test with everything that was printed when the code is another.
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

/// A command that goes on, with its standard output read line by line.
pub(crate) struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
    errors: BufReader<ChildStderr>,
    seen: String,
    said: String,
}

impl Running {
    /// Starts it.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let errors = BufReader::new(child.stderr.take().unwrap());
        Self { child, lines, errors, seen: String::new(), said: String::new() }
    }

    /// Reads standard error until a line has `part`.
    #[track_caller]
    pub(crate) fn wait_for_error(&mut self, part: &str) {
        let mut line = String::new();
        while self.errors.read_line(&mut line).unwrap() > 0 {
            self.said.push_str(&line);
            if line.contains(part) {
                return;
            }
            line.clear();
        }
        panic!("it ended before it said `{part}`:\n{}", self.said);
    }

    /// Reads until a line has `part`; gives that line.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, part: &str) -> String {
        let mut line = String::new();
        while self.lines.read_line(&mut line).unwrap() > 0 {
            self.seen.push_str(&line);
            if line.contains(part) {
                return line;
            }
            line.clear();
        }
        let status = self.child.wait().unwrap();
        self.errors.read_to_string(&mut self.said).unwrap();
        panic!("it ended before `{part}`:\n{}\n{status}\n{}", self.seen, self.said);
    }

    /// Reads until a worker of the smallest scenario has started.
    #[track_caller]
    pub(crate) fn wait_for_worker(&mut self) {
        while !self.wait_for(" started").contains("hello/") {}
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ran {
        let mut rest = String::new();
        while self.lines.read_line(&mut rest).unwrap() > 0 {}
        self.seen.push_str(&rest);
        self.errors.read_to_string(&mut self.said).unwrap();
        let status = self.child.wait().unwrap();
        Ran { code: status.code(), stdout: self.seen, stderr: self.said }
    }
}

/// An interpreter that has the packages of the shipped scenario, when the machine has one; without it runs make their own.
pub(crate) fn python() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let script = "import sys, cryptography; print(sys.executable)";
        let output = Command::new("python3").args(["-c", script]).output().ok()?;
        let path = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| PathBuf::from(path.trim()))
    };
    FOUND.get_or_init(find).as_deref()
}

/// Living processes whose environment names something below `place`.
pub(crate) fn processes_below(place: &Path) -> BTreeSet<u32> {
    let place = place.to_str().unwrap();
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| *pid != std::process::id() && carries(*pid, place)).collect()
}

fn carries(pid: u32, place: &str) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let is_dead = state.rsplit(") ").next().is_none_or(|rest| rest.starts_with('Z') || rest.is_empty());
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    !is_dead && String::from_utf8_lossy(&environment).contains(place)
}

/// Asserts that nothing of any run of this sandbox is left but its reports.
#[track_caller]
pub(crate) fn assert_nothing_left(sandbox: &Sandbox) {
    let left = processes_below(&sandbox.cache().join("proctor/runs"));
    let commands: Vec<String> = left.iter().map(|pid| command_line(*pid)).collect();
    assert!(left.is_empty(), "processes are left: {commands:?}");
    assert_eq!(sandbox.bases(), Vec::<PathBuf>::new(), "base directories are left");
    let registries = fs::read_dir(sandbox.cache().join("proctor/registry")).into_iter().flatten();
    assert_eq!(registries.count(), 0, "registries are left");
}

/// Those of [`processes_below`] that live as long as their run: the town's daemon and its agents, not the commands that agents run.
pub(crate) fn lasting_processes_below(place: &Path) -> BTreeSet<u32> {
    let lasts = |pid: &u32| ["daemon run", "proctor-agent"].iter().any(|name| command_line(*pid).contains(name));
    processes_below(place).into_iter().filter(lasts).collect()
}

fn command_line(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    format!("{pid}: {}", String::from_utf8_lossy(&bytes).replace('\0', " "))
}

/// A person's folder as it is: every file below it with its bytes, and where every link points.
pub(crate) fn picture(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap().file_type();
            let content = if kind.is_file() {
                fs::read(&path).unwrap()
            } else if kind.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else {
                Vec::new()
            };
            if kind.is_dir() {
                folders.push(path.clone());
            }
            found.insert(path, content);
        }
    }
    found
}

/// Copies a folder with everything below it; links stay links.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    let status = Command::new("cp").args(["-a", "--"]).args([from, to]).status().unwrap();
    assert!(status.success());
}
