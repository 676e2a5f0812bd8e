//! A town of the real programs that is there already: what a run does in it, and what it leaves alone.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::gastown::programs;
use crate::mini::{Mini, on_path};
use crate::sandbox::{Ran, Running, Sandbox};

/// Plays every role: its mayor makes what the smallest scenario's prompt asks for, its workers deliver the greeting.
const BOT: &str = r#"#!/usr/bin/env python3
import os, re, select, subprocess, sys

ROLE = os.environ.get("GT_ROLE", "")

def sh(command, **env):
    ended = subprocess.run(["sh", "-c", command], env=os.environ | env, capture_output=True, text=True)
    print(ended.stdout + ended.stderr, flush=True)
    return ended.stdout

def coordinate(prompt):
    origins = re.search(r"Repositories lie below (\S+)", prompt).group(1)
    sh('git init -q -b main "$TMPDIR/seed-$$" && cd "$TMPDIR/seed-$$" && git commit -q --allow-empty -m First && git push -q "$O" main'
       ' && cd "$GT_ROOT" && gt rig add hello "$O" --prefix he', O=origins + "/hello.git")
    made = sh('cd "$GT_ROOT" && bd create "Write greeting.txt" --rig hello --json')
    issue = re.search(r'"id": ?"(he-[a-z0-9.]+)"', made).group(1)
    sh(f'cd "$GT_ROOT" && gt convoy create Greeting {issue} --merge direct && gt sling {issue} hello')

def work():
    select.select([sys.stdin], [], [], 20)
    sh("echo 'Hello from the worker.' > greeting.txt && git add -A && git commit -qm 'Write the greeting' && gt done")

print("❯ ", end="", flush=True)
if "/polecats/" in ROLE:
    work()
    sys.exit()
seen = ""
for line in sys.stdin:
    seen += line
    if ROLE == "mayor" and "gt done" in line:
        print("I begin.", flush=True)
        coordinate(seen)
        seen = ""
    print("❯ ", end="", flush=True)
"#;
const IGNORED: &str = ".beads/\n.claude/\n.runtime/\n.logs/\n__pycache__/\nCLAUDE.md\nCLAUDE.local.md\nstate.json\n";

/// Somebody's own town, with a rig, a mayor and a refinery.
struct Theirs {
    base: PathBuf,
    port: u16,
    programs: BTreeMap<&'static str, PathBuf>,
}

impl Theirs {
    fn install(sandbox: &Sandbox, folder: &str) -> Self {
        let base = sandbox.work().join("../theirs");
        fs::create_dir(&base).unwrap();
        let base = base.canonicalize().unwrap();
        for name in ["home/.dolt", "bin", "tmp", "origins"] {
            fs::create_dir_all(base.join(name)).unwrap();
        }
        let find = |name| Some(Path::new(folder).join(name)).filter(|file| file.is_file()).or_else(|| on_path(name)).unwrap();
        let programs = ["gt", "bd", "dolt", "tmux"].map(|name| (name, find(name))).into();
        let theirs = Self { base, port: free_port(), programs };
        theirs.write_home();
        let (town, port) = (theirs.town(), theirs.port.to_string());
        theirs.call(&theirs.base, &["gt", "install", town.to_str().unwrap(), "--name", "theirs", "--dolt-port", &port]);
        theirs.write_settings();
        theirs.call(&town, &["bd", "config", "set", "status.custom", "staged_ready,staged_warnings"]);
        let origin = theirs.base.join("origins/harbor.git");
        let make = format!(
            "git init -q --bare -b main {0} && git clone -q {0} tmp/seed && cd tmp/seed && git checkout -q -B main && \
             git commit -q --allow-empty -m First && git push -q origin main",
            origin.display()
        );
        theirs.call(&theirs.base, &["sh", "-c", &make]);
        theirs.call(&town, &["gt", "rig", "add", "harbor", &format!("file://{}", origin.display()), "--prefix", "hb"]);
        theirs.call(&town, &["bd", "create", "Mend the quay", "--rig", "harbor"]);
        theirs.call(&town, &["gt", "mayor", "start"]);
        theirs.call(&town, &["gt", "rig", "boot", "harbor"]);
        theirs
    }

    fn town(&self) -> PathBuf {
        self.base.join("gt")
    }

    fn env(&self) -> BTreeMap<String, String> {
        let below = |name: &str| self.base.join(name).display().to_string();
        let path = std::env::var("PATH").unwrap();
        let port = self.port.to_string();
        [
            ("PATH", format!("{}:{path}", below("bin"))),
            ("HOME", below("home")),
            ("TMPDIR", below("tmp")),
            ("GT_DOLT_PORT", port.clone()),
            ("BEADS_DOLT_PORT", port),
            ("BEADS_DOLT_AUTO_START", "0".into()),
            ("BD_NON_INTERACTIVE", "1".into()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
            ("TERM", "xterm-256color".into()),
            ("LANG", "C.UTF-8".into()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
    }

    fn write_home(&self) {
        for (name, path) in &self.programs {
            symlink(path, self.base.join("bin").join(name)).unwrap();
        }
        let bot = self.base.join("bin/bot");
        fs::write(&bot, BOT).unwrap();
        fs::set_permissions(&bot, fs::Permissions::from_mode(0o755)).unwrap();
        let home = self.base.join("home");
        fs::write(home.join("gitignore"), IGNORED).unwrap();
        let config = format!(
            "[user]\nname = Their\nemail = their@example.invalid\n[init]\ndefaultBranch = main\n[safe]\ndirectory = *\n[beads]\nrole = maintainer\n\
             [core]\nexcludesFile = {}/gitignore\n",
            home.display()
        );
        fs::write(home.join(".gitconfig"), config).unwrap();
        let silent =
            r#"{"metrics.disabled":"true","versioncheck.disabled":"true","user.name":"T","user.email":"t@example.invalid"}"#;
        fs::write(home.join(".dolt/config_global.json"), silent).unwrap();
    }

    fn write_settings(&self) {
        let roles = ["mayor", "deacon", "boot", "dog", "witness", "refinery", "polecat", "crew"];
        let bot = serde_json::json!({"provider": "bot", "command": self.base.join("bin/bot"), "args": [], "env": {}, "prompt_mode": "arg",
            "hooks": {"provider": "scripted"}, "instructions": {"file": "AGENTS.md"},
            "tmux": {"process_names": ["bot", "python3"], "ready_prompt_prefix": "❯ ", "ready_delay_ms": 0}});
        let settings = serde_json::json!({"type": "town-settings", "version": 1, "default_agent": "bot",
            "role_agents": roles.map(|role| (role, "bot")).into_iter().collect::<BTreeMap<_, _>>(), "agents": {"bot": bot}, "operational": {}});
        fs::create_dir_all(self.town().join("settings")).unwrap();
        fs::write(self.town().join("settings/config.json"), settings.to_string()).unwrap();
    }

    fn command(&self, folder: &Path, words: &[&str]) -> Command {
        let own = self.base.join("bin").join(words[0]);
        let program = if own.exists() { own } else { PathBuf::from(words[0]) };
        let mut command = Command::new(program);
        command.args(&words[1..]).current_dir(folder).env_clear().envs(self.env());
        command
    }

    #[track_caller]
    fn call(&self, folder: &Path, words: &[&str]) -> String {
        Ran::of(self.command(folder, words).output().unwrap()).expect_code(0).stdout
    }

    fn tmux(&self, words: &[&str]) -> String {
        let said: serde_json::Value =
            serde_json::from_str(&self.call(&self.town(), &["gt", "status", "--json", "--fast"])).unwrap();
        let socket = said["tmux"]["socket_path"].as_str().unwrap().to_owned();
        self.call(&self.town(), &[&["tmux", "-S", &socket], words].concat())
    }

    /// Session and process of every pane.
    fn panes(&self) -> BTreeMap<String, String> {
        let listed = self.tmux(&["list-panes", "-a", "-F", "#{session_name} #{pane_pid}"]);
        listed.lines().filter_map(|line| line.split_once(' ')).map(|(name, pid)| (name.to_owned(), pid.to_owned())).collect()
    }

    fn dolt(&self) -> String {
        fs::read_to_string(self.town().join("daemon/dolt.pid")).unwrap()
    }

    /// The same `proctor …` as their owner calls it, from a session of one of their own agents.
    fn owners(&self, mut command: Command) -> Command {
        command.envs(self.env()).env("GT_ROLE", "harbor/crew/ann").env("BD_ACTOR", "harbor/crew/ann").env("GT_ROOT", "/nowhere");
        command
    }

    fn proctor(&self, command: Command) -> Ran {
        Ran::of(self.owners(command).output().unwrap())
    }

    /// Removes the rig of a run, so that the next one can make it.
    fn remove_rig(&self, rig: &str) {
        self.call(&self.town(), &["gt", "rig", "remove", rig, "--force"]);
        fs::remove_dir_all(self.town().join(rig)).unwrap();
    }

    /// What the tmux server gives to everything that it starts.
    fn tmux_environment(&self) -> String {
        self.tmux(&["show-environment", "-g"])
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        let town = self.town();
        for words in [&["gt", "mayor", "stop"][..], &["gt", "rig", "shutdown", "harbor"], &["gt", "dolt", "stop"]] {
            _ = self.command(&town, words).output();
        }
        for pid in crate::sandbox::processes_below(&self.base) {
            _ = Command::new("kill").args(["-9", &pid.to_string()]).output();
        }
        _ = fs::remove_file(format!("/tmp/beads-dolt-circuit-127-0-0-1-{}.json", self.port));
    }
}

fn free_port() -> u16 {
    (20_000..21_000).find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

#[test]
fn a_town_that_is_there_already_is_played_in_and_left_as_it_was() {
    let Some(folder) = programs() else { return };
    let sandbox = Sandbox::new();
    let theirs = Theirs::install(&sandbox, &folder);
    let (panes, dolt) = (theirs.panes(), theirs.dolt());
    let place = format!("gastown:{}", theirs.town().display());
    let reports = sandbox.work().join("reports");
    let args = ["--town", &place, "--live-town", "--reports", reports.to_str().unwrap()];
    let ran = theirs.proctor(Mini::new(&sandbox).run(&args)).expect_code(0);
    assert!(ran.stdout.contains("stays as it is"), "{}", ran.stdout);

    let after = theirs.panes();
    assert_eq!(theirs.dolt(), dolt, "dolt was not started again");
    assert_ne!(after["hq-mayor"], panes["hq-mayor"], "the mayor was stopped and started");
    for (session, process) in panes.iter().filter(|(session, _)| *session != "hq-mayor") {
        assert_eq!(after.get(session), Some(process), "{session} lives on");
    }
    assert!(!theirs.tmux_environment().contains("GT_OTEL"), "telemetry's addresses are gone");
    assert_eq!(theirs.call(&theirs.town(), &["gt", "mayor", "status", "--running"]).trim(), "true");

    let evidence = sandbox.report().join("evidence");
    let read = |name: &str| fs::read_to_string(evidence.join(name)).unwrap();
    assert!(read("town/beads.ndjson").contains("Write greeting.txt") && !read("town/beads.ndjson").contains("Mend the quay"));
    let agents = read("town/agents.ndjson");
    assert!(agents.contains("hello/polecats/") && !agents.contains("harbor"), "{agents}");
    assert!(
        evidence.join("raw/dolt/hello").is_dir()
            && !evidence.join("raw/dolt/harbor").exists()
            && !evidence.join("raw/dolt/hq").exists()
    );
    assert!(!read("run.json").contains("critical_path"), "the agents' commands are not known, so there is no sum of them");
    let commands = read("raw/commands.ndjson");
    for never in ["install", "\"rig\",\"add\"", "kill-server", "\"dolt\""] {
        assert!(!commands.contains(never), "{never}: {commands}");
    }

    // The rig is still there: a second run says so and what to do, and touches nothing.
    let beside = sandbox.beside();
    let again = Mini::new(&beside);
    let refused = theirs.proctor(again.run(&args)).expect_code(102);
    let said = refused.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("gt rig remove hello --force && rm -r hello"), "{said}");
    assert_eq!(theirs.panes(), after);
    let nothing = sandbox.report().join("evidence");
    assert!(!nothing.join("raw/dolt").exists(), "nothing of the town is kept");
    assert!(!fs::read_to_string(nothing.join("town/agents.ndjson")).unwrap_or_default().contains("harbor"));
    theirs.remove_rig("hello");
    theirs.proctor(again.run(&args)).expect_code(0);
    theirs.remove_rig("hello");

    // One is killed while its worker works: the town goes on, and cleaning puts back what was set in it.
    let mut running = Running::start(&mut theirs.owners(again.run(&args)));
    running.wait_for("hello/");
    running.signal(Signal::KILL);
    running.end();
    assert!(theirs.tmux_environment().contains("GT_OTEL_LOGS_URL"));
    let after = theirs.panes();

    theirs.proctor(sandbox.proctor(&["clean"])).expect_code(0);
    let cleaned = theirs.panes();
    for (session, process) in after.iter().filter(|(session, _)| !session.starts_with("he-")) {
        assert_eq!(cleaned.get(session), Some(process), "cleaning ends nothing of the town: {session}");
    }
    assert_eq!(theirs.dolt(), dolt);
    assert!(!theirs.tmux_environment().contains("GT_OTEL"), "what the killed run had set is put back");
    assert!(sandbox.bases().is_empty());
}

#[test]
fn a_live_town_must_be_named_and_meant() {
    let sandbox = Sandbox::new();
    for (args, says) in [
        (&["--town", "gastown:/home/me/gt"][..], "add --live-town"),
        (&["--live-town"], "--town gastown:PATH --live-town"),
        (&["--town", "gastown", "--live-town"], "--town gastown:PATH --live-town"),
        (&["--town", "gastown:/gt", "--live-town", "--agent", "mayor=x"], "--agent"),
        (&["--town", "gastown:/gt", "--live-town", "--keep-town"], "--keep-town"),
        (&["--town", "gastown:/gt", "--live-town", "--daemon"], "--daemon"),
    ] {
        let ran = sandbox.run(&[&["run", "crypto-tales"], args].concat()).expect_code(2);
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
    }
    let ran = sandbox.run(&["selftest", "--clean", "1", "--town", "gastown:/gt"]).expect_code(2);
    assert!(ran.stderr.contains("fresh towns only"), "{}", ran.stderr);
}

#[test]
fn a_folder_without_a_town_is_refused() {
    let Some(folder) = programs() else { return };
    let sandbox = Sandbox::new();
    let mut command = Mini::new(&sandbox).run(&["--town", "gastown:.", "--live-town"]);
    let ran = Ran::of(command.env("PROCTOR_GASTOWN_BIN", folder).output().unwrap()).expect_code(102);
    assert!(ran.stdout.contains("mayor/town.json"), "{}", ran.stdout);
    assert!(sandbox.bases().is_empty());
}
