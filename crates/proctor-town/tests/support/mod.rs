//! A whole town in a temporary folder: real git, real SQLite, a real daemon in a thread, shell scripts as agents.
#![allow(dead_code, clippy::print_stderr, reason = "each test file uses a part of this, and says why it skips")]

use std::collections::BTreeMap;
use std::io::Cursor;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use proctor_town::{Call, Output, Telemetry};
use serde_json::Value;

/// Longest wait for something that must happen.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Town {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) telemetry: Telemetry,
    daemon: Option<JoinHandle<Output>>,
}

/// Says so when git is missing.
pub(crate) fn has_git() -> bool {
    let found = Command::new("git").arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: git not found");
    }
    found
}

impl Town {
    /// An installed town, no daemon.
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("town").tempdir().unwrap();
        for folder in ["home", "tmp", "origins", "bin"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let town = Self { dir, telemetry: Telemetry::default(), daemon: None };
        let output = town.gt(&["install", &town.root().display().to_string(), "--name", "test"]);
        assert_eq!(output.code, 0, "{output:?}");
        town
    }

    /// A town with a daemon and with `script` (shell) as every polecat and `mayor` as mayor.
    pub(crate) fn with_agents(mayor: &str, polecat: &str) -> Self {
        let mut town = Self::new();
        town.agents(mayor, polecat);
        town.start_daemon();
        town
    }

    pub(crate) fn base(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.base().join("town")
    }

    pub(crate) fn env(&self) -> BTreeMap<String, String> {
        let base = self.base();
        let path = |name: &str| base.join(name).display().to_string();
        let pairs = [
            ("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", path("bin"))),
            ("HOME", path("home")),
            ("TMPDIR", path("tmp")),
            ("GT_TOWN_ROOT", path("town")),
            ("GT_ROOT", path("town")),
            ("PROCTOR_SEED", "42".to_string()),
            ("LANG", "C.UTF-8".to_string()),
        ];
        pairs.into_iter().map(|(key, value)| (key.to_string(), value)).collect()
    }

    /// What a call of this town is given; `extra` is laid over the environment.
    pub(crate) fn call(&self, args: &[&str], cwd: &Path, extra: &[(&str, &str)], stdin: &str) -> Call {
        let mut env = self.env();
        env.extend(extra.iter().map(|(key, value)| (key.to_string(), value.to_string())));
        Call {
            args: args.iter().map(|arg| arg.to_string()).collect(),
            env,
            cwd: cwd.to_path_buf(),
            stdin: Box::new(Cursor::new(stdin.as_bytes().to_vec())),
            clock: Arc::new(|| DateTime::<Utc>::from(std::time::SystemTime::now())),
            run_ids: Arc::new(|| uuid::Uuid::new_v4().to_string()),
            telemetry: self.telemetry.clone(),
        }
    }

    pub(crate) fn gt(&self, args: &[&str]) -> Output {
        let cwd = self.root();
        proctor_town::gt(self.call(args, if cwd.is_dir() { &cwd } else { self.dir.path() }, &[], ""))
    }

    /// `gt` as an agent.
    pub(crate) fn gt_as(&self, agent: &str, args: &[&str]) -> Output {
        proctor_town::gt(self.call(args, &self.root(), &[("GT_ROLE", agent), ("BD_ACTOR", agent)], ""))
    }

    pub(crate) fn bd_in(&self, folder: &str, args: &[&str]) -> Output {
        proctor_town::bd(self.call(args, &self.root().join(folder), &[], ""))
    }

    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let output = self.gt(args);
        assert_eq!(output.code, 0, "gt {args:?}: {output:?}");
        output.stdout
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(args)).unwrap()
    }

    /// A new issue in a rig; its id.
    pub(crate) fn issue(&self, rig: &str, title: &str) -> String {
        let output = self.bd_in(rig, &["create", "--title", title, "--silent"]);
        assert_eq!(output.code, 0, "{output:?}");
        output.stdout.trim().to_string()
    }

    pub(crate) fn bead(&self, id: &str) -> Value {
        let output = self.bd_in("", &["show", id, "--json"]);
        serde_json::from_str::<Value>(&output.stdout).unwrap()[0].clone()
    }

    /// A bare origin with one commit.
    pub(crate) fn origin(&self, name: &str) -> PathBuf {
        let origin = self.base().join("origins").join(format!("{name}.git"));
        let work = self.base().join("tmp").join(name);
        self.git(&self.base(), &["init", "-q", "-b", "main", &work.display().to_string()]);
        std::fs::write(work.join("README.md"), format!("# {name}\n")).unwrap();
        self.git(&work, &["add", "-A"]);
        self.git(&work, &["commit", "-qm", "first"]);
        self.git(&self.base(), &["clone", "-q", "--bare", &work.display().to_string(), &origin.display().to_string()]);
        origin
    }

    /// An origin and its rig.
    pub(crate) fn rig(&self, name: &str) {
        let origin = self.origin(name);
        self.ok(&["rig", "add", name, &format!("file://{}", origin.display())]);
    }

    pub(crate) fn git(&self, dir: &Path, args: &[&str]) -> String {
        let mut command = Command::new("git");
        command.env_clear().envs(self.env()).current_dir(dir).args(args);
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "person").env(format!("GIT_{who}_EMAIL"), "person@example.org");
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_string()
    }

    /// A file on an origin's main.
    pub(crate) fn merged_file(&self, rig: &str, path: &str) -> String {
        let origin = self.base().join("origins").join(format!("{rig}.git"));
        self.git(&origin, &["show", &format!("main:{path}")])
    }

    pub(crate) fn worktree(&self, rig: &str, name: &str) -> PathBuf {
        self.root().join(rig).join("polecats").join(name).join(rig)
    }

    pub(crate) fn commit(&self, dir: &Path, file: &str, text: &str) {
        std::fs::write(dir.join(file), text).unwrap();
        self.git(dir, &["add", "-A"]);
        self.git(dir, &["commit", "-qm", &format!("write {file}")]);
    }

    /// Shell scripts as agents.
    pub(crate) fn agents(&self, mayor: &str, polecat: &str) {
        let preset = |name: &str, text: &str| {
            let path = self.base().join("bin").join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            serde_json::json!({ "command": path, "args": [], "tmux": { "ready_prompt_prefix": "❯ " } })
        };
        let settings = serde_json::json!({
            "type": "town-settings", "version": 1, "default_agent": "worker", "role_agents": { "mayor": "boss" },
            "agents": { "boss": preset("boss", mayor), "worker": preset("worker", polecat) },
        });
        std::fs::write(self.root().join("settings/config.json"), settings.to_string()).unwrap();
    }

    pub(crate) fn start_daemon(&mut self) {
        let call = self.call(&["daemon", "run"], &self.root(), &[], "");
        self.daemon = Some(std::thread::spawn(move || proctor_town::gt(call)));
        self.until("the daemon answers", |town| town.gt(&["daemon", "status"]).stdout.contains("is running"));
    }

    pub(crate) fn stop_daemon(&mut self) -> Option<Output> {
        let daemon = self.daemon.take()?;
        let _ = self.gt(&["down"]);
        daemon.join().ok()
    }

    /// Waits until something holds; the town's own files are looked at again after each change.
    pub(crate) fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < end, "never happened: {what}\n{}", self.story());
            std::thread::yield_now();
        }
    }

    /// What happened so far, for a failing test.
    pub(crate) fn story(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.root().join(name)).unwrap_or_default();
        format!("{}\n{}", read(".events.jsonl"), read("daemon/daemon.log"))
    }

    pub(crate) fn until_closed(&self, id: &str) {
        self.until(&format!("{id} closed"), |town| town.bead(id)["status"] == "closed");
    }

    /// Types of all events so far, in order.
    pub(crate) fn events(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.root().join(".events.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].as_str().unwrap().to_string()).collect()
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        self.stop_daemon();
    }
}
