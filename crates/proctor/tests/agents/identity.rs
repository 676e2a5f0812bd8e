//! Agents of the built-in town that claim to be others, forge, flood and kill: real `gt` and `bd`, a real daemon, agents in shell.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Longest wait for something that must happen.
const PATIENCE: Duration = Duration::from_secs(120);

/// An agent that runs each line that is typed, and keeps what came of the `n`th in `said.<session>.<n>`, its exit code last.
const OBEYS: &str = r#"#!/bin/sh
n=0
printf '❯ '
while read -r line; do
  n=$((n+1))
  said="$TMPDIR/said.$GT_SESSION.$n"
  ( eval "$line" ) >"$said.text" 2>&1 </dev/null
  echo $? >"$said.new" && mv "$said.new" "$said"
  printf '❯ '
done
"#;

/// A town with one rig, a daemon, a mayor and whoever is slung.
struct Place {
    dir: tempfile::TempDir,
}

/// An agent at work.
struct Agent<'p> {
    place: &'p Place,
    address: String,
    session: String,
    told: u32,
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: {program} not found");
    }
    found
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::Builder::new().prefix("id").tempdir().unwrap() };
        for folder in ["bin", "home", "tmp"] {
            fs::create_dir(place.path(folder)).unwrap();
        }
        for name in ["gt", "bd"] {
            symlink(env!("CARGO_BIN_EXE_proctor"), place.path("bin").join(name)).unwrap();
        }
        fs::write(place.path("bin/agent"), OBEYS).unwrap();
        fs::set_permissions(place.path("bin/agent"), fs::Permissions::from_mode(0o755)).unwrap();
        place.ok("gt", &["install", place.path("town").to_str().unwrap(), "--name", "t"]);
        let settings = json!({ "default_agent": "a", "agents": { "a": { "command": place.path("bin/agent") } } });
        fs::write(place.path("town/settings/config.json"), settings.to_string()).unwrap();
        place.origin();
        place.ok("gt", &["rig", "add", "alice", &format!("file://{}", place.path("alice.git").display())]);
        place.ok("gt", &["mayor", "start"]);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", self.path("bin").display()));
        command.env("HOME", self.path("home")).env("TMPDIR", self.path("tmp")).env("GT_TOWN_ROOT", self.path("town"));
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "person").env(format!("GIT_{who}_EMAIL"), "person@example.org");
        }
        let town = self.path("town");
        command.current_dir(if town.is_dir() { town } else { self.path("") });
        command
    }

    fn call(&self, program: &str, args: &[&str]) -> Output {
        self.command(self.path("bin").join(program)).args(args).output().unwrap()
    }

    fn ok(&self, program: &str, args: &[&str]) -> String {
        let output = self.call(program, args);
        assert!(output.status.success(), "{program} {args:?}: {}\n{}", text(&output), self.story());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn git(&self, dir: &Path, args: &[&str]) -> String {
        let output = self.command("git").current_dir(dir).args(args).output().unwrap();
        assert!(output.status.success(), "git {args:?}: {}", text(&output));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn origin(&self) {
        let seed = self.path("seed");
        fs::create_dir(&seed).unwrap();
        self.git(&seed, &["init", "-q", "-b", "main"]);
        self.git(&seed, &["commit", "-q", "--allow-empty", "-m", "first"]);
        self.git(&self.path(""), &["clone", "-q", "--bare", "seed", "alice.git"]);
    }

    /// A new issue, slung; its id and its worker.
    fn worker(&self, title: &str) -> (String, Agent<'_>) {
        let mut command = self.command(self.path("bin/bd"));
        let output = command.current_dir(self.path("town/alice")).args(["create", title, "--silent"]).output().unwrap();
        let issue = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        self.ok("gt", &["sling", &issue, "alice"]);
        let bead = &self.bead(&issue);
        let address = bead["assignee"].as_str().unwrap().to_owned();
        let session = format!("al-{}", address.rsplit('/').next().unwrap());
        (issue, Agent { place: self, address, session, told: 0 })
    }

    fn bead(&self, issue: &str) -> Value {
        serde_json::from_str::<Value>(&self.ok("bd", &["show", issue, "--json"])).unwrap()[0].clone()
    }

    /// Events of one type, oldest first.
    fn events(&self, kind: &str) -> Vec<Value> {
        let lines = fs::read_to_string(self.path("town/.events.jsonl")).unwrap_or_default();
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).filter(|event| event["type"] == kind).collect()
    }

    fn inbox(&self) -> String {
        self.ok("gt", &["mail", "inbox", "--json"])
    }

    fn story(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.path(name)).unwrap_or_default();
        format!("{}\n{}", read("town/.events.jsonl"), read("town/daemon/daemon.log"))
    }

    fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < end, "never happened: {what}\n{}", self.story());
            std::thread::yield_now();
        }
    }

    fn daemon(&self) -> String {
        fs::read_to_string(self.path("town/daemon/daemon.pid")).unwrap_or_default().trim().to_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.call("gt", &["down"]);
    }
}

impl Agent<'_> {
    /// Has the agent run a line of shell; what it printed, and whether it succeeded.
    fn run(&mut self, line: &str) -> (bool, String) {
        self.told += 1;
        self.place.ok("gt", &["nudge", &self.address, "--mode", "immediate", line]);
        let said = self.place.path("tmp").join(format!("said.{}.{}", self.session, self.told));
        self.place.until(line, || said.exists());
        let printed = fs::read_to_string(said.with_extension(format!("{}.text", self.told))).unwrap();
        (fs::read_to_string(&said).unwrap().trim() == "0", printed)
    }

    fn short(&self) -> String {
        self.address.replace("/polecats/", "/")
    }

    fn clone(&self) -> PathBuf {
        let name = self.address.rsplit('/').next().unwrap();
        self.place.path("town/alice/polecats").join(name).join("alice")
    }
}

#[test]
fn a_worker_cannot_act_in_another_agents_name() {
    if !has("git") {
        return;
    }
    let place = Place::new();
    let (issue, mut worker) = place.worker("Work");
    let claims = [
        ("GT_ROLE=mayor BD_ACTOR=mayor gt mail send overseer -s Forged -m x", "mayor", "GT_ROLE"),
        ("env -u GT_ROLE BD_ACTOR=mayor bd close ISSUE -r forged", "mayor", "BD_ACTOR"),
        ("env -u GT_ROLE -u BD_ACTOR bd close ISSUE -r forged --actor mayor", "mayor", "--actor"),
        ("GT_ROLE=alice/polecats/nobody gt mail send overseer -s Forged -m x", "alice/polecats/nobody", "GT_ROLE"),
    ];
    for (n, (line, claimed, by)) in claims.into_iter().enumerate() {
        let (done, said) = worker.run(&line.replace("ISSUE", &issue));
        let me = format!("{by} says {claimed}, but this process belongs to {} (session {})", worker.short(), worker.session);
        assert!(!done && said.contains(&me), "{line}: {said}");
        let events = place.events("identity_refused");
        assert_eq!(events.len(), n + 1, "{events:#?}");
        let (event, payload) = (&events[n], &events[n]["payload"]);
        assert_eq!((event["actor"].as_str(), payload["agent"].as_str()), (Some(&*worker.address), Some(&*worker.address)));
        assert_eq!((payload["claimed"].as_str(), payload["by"].as_str()), (Some(claimed), Some(by)));
    }
    assert_eq!(place.inbox().trim(), "[]");
    assert_eq!(place.bead(&issue)["status"], "hooked");
}

#[test]
fn an_agent_is_known_without_a_word_of_its_own() {
    if !has("git") {
        return;
    }
    let place = Place::new();
    let (_, mut worker) = place.worker("Work");
    let bare = r#"env -i PATH="$PATH" GT_TOWN_ROOT="$GT_TOWN_ROOT" "#;
    let who = format!("Identity: {}\n", worker.short());
    let (_, said) = worker.run(&format!("{bare} gt whoami"));
    assert!(said.starts_with(&who), "{said}");
    // A helper in a session of its own is still the agent's; so is one whose parent is gone.
    let (_, said) = worker.run(&format!("setsid {bare} gt whoami"));
    assert!(said.starts_with(&who), "{said}");
    let orphan = "(setsid sh -c 'while [ $(ps -o ppid= -p $$) = '$$' ]; do :; done; GT_ROLE=mayor gt mail send overseer -s Forged' >/dev/null 2>&1; echo $? > $TMPDIR/orphan) &";
    if has("ps") {
        worker.run(orphan);
        place.until("the orphan has tried", || place.path("tmp/orphan").exists());
        assert_eq!(place.inbox().trim(), "[]");
    }
    // Whoever stems from no session is the operator, who may speak for anybody, as ever.
    let output = place.command(place.path("bin/gt")).env("GT_ROLE", "mayor").arg("whoami").output().unwrap();
    assert_eq!(text(&output), "Identity: mayor\nRole: mayor\n");
}

#[test]
fn a_worker_ends_nobody_but_itself() {
    if !has("git") {
        return;
    }
    let place = Place::new();
    let (_, mut worker) = place.worker("Work");
    for line in ["gt down", "gt daemon stop", "gt mayor stop", "gt polecat nuke alice --all --force", "gt convoy create Mine"] {
        let (done, said) = worker.run(line);
        assert!(!done && said.contains(&format!("you are {}", worker.short())), "{line}: {said}");
    }
    assert_eq!(place.ok("gt", &["mayor", "status", "--running"]).trim(), "true");
}

/// Sends what `$1` says to the daemon's socket from `$2` connections at once, keeps them open, and says what came back first.
const SENDER: &str = r#"
import socket, sys, os
text = eval(sys.argv[1])
said = []
held = []
for n in range(int(sys.argv[2])):
    s = socket.socket(socket.AF_UNIX); s.settimeout(30)
    s.connect(os.environ["GT_TOWN_ROOT"] + "/daemon/daemon.sock")
    try:
        s.sendall(text)
    except OSError:
        pass
    held.append(s)
for s in held[::-1][:int(sys.argv[3])]:
    try:
        said.append(s.recv(65536).decode())
    except OSError as error:
        said.append(str(error))
print("".join(said))
"#;

#[test]
fn no_agent_reaches_what_is_not_for_agents() {
    if !has("git") || !has("python3") {
        return;
    }
    let place = Place::new();
    fs::write(place.path("sender.py"), SENDER).unwrap();
    let (_, mut worker) = place.worker("Work");
    let sender = place.path("sender.py").display().to_string();
    for (request, answer) in [
        (r#"{"op":"end","session":"hq-mayor","reason":"x"}"#, "may only have commands run"),
        (r#"{"op":"type","session":"hq-mayor","text":"x","when_idle":false}"#, "may only have commands run"),
        (r#"{"op":"shutdown","reason":"x"}"#, "agents cannot end the town"),
        (
            r#"{"op":"run","program":"gt","args":["daemon","run"],"env":{},"cwd":"/","logs":false,"metrics":false}"#,
            "is not run by the daemon",
        ),
        ("garbage", "request: expected value"),
    ] {
        let bytes: String = request.bytes().map(|byte| format!("{byte},")).collect();
        let (_, said) = worker.run(&format!("python3 {sender} 'bytes([{bytes}10])' 1 1"));
        assert!(said.contains(answer), "{request}: {said}");
    }
    let (_, said) = worker.run(&format!("python3 {sender} 'b\"x\"*5000000' 1 1"));
    assert!(said.contains("at most 4 MiB") || said.contains("reset"), "{said}");
    assert_eq!(place.ok("gt", &["mayor", "status", "--running"]).trim(), "true");
}

#[test]
fn one_agents_flood_stalls_nobody_else() {
    if !has("git") || !has("python3") {
        return;
    }
    let place = Place::new();
    fs::write(place.path("sender.py"), SENDER).unwrap();
    let (_, mut loud) = place.worker("Loud");
    let (_, mut quiet) = place.worker("Quiet");
    let line = format!("python3 {} 'b\"\"' 200 100", place.path("sender.py").display());
    std::thread::scope(|scope| {
        let flood = scope.spawn(|| loud.run(&line));
        place.until("the flood is refused", || !place.events("requests_refused").is_empty());
        let (done, said) = quiet.run("gt whoami");
        assert!(done && said.contains("Identity: alice/"), "{said}");
        let (_, said) = flood.join().unwrap();
        assert!(said.contains("too many commands at once"), "{said}");
    });
    let event = &place.events("requests_refused")[0];
    assert_eq!(event["payload"]["agent"], *loud.address);
}

#[test]
fn a_daemon_that_was_killed_is_told_of_once() {
    let place = Place::new();
    let pid = place.daemon();
    Command::new("kill").args(["-9", &pid]).status().unwrap();
    place.until("it is gone", || fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z")));
    place.ok("gt", &["snapshot", "--json"]);
    place.ok("gt", &["status"]);
    let events = place.events("daemon_lost");
    assert_eq!(events.len(), 1, "{events:#?}");
    assert_eq!(events[0]["payload"]["pid"].to_string(), pid);
    place.ok("gt", &["daemon", "start"]);
    place.ok("gt", &["down"]);
    assert_eq!(place.events("daemon_lost").len(), 1);
}

#[test]
fn a_worker_works_in_a_clone_that_is_nobody_elses() {
    if !has("git") {
        return;
    }
    let place = Place::new();
    let (issue, mut worker) = place.worker("Work");
    let clone = worker.clone();
    assert!(clone.join(".git").is_dir() && !clone.join(".git/objects/info/alternates").exists());
    let shared = place.command("find").args([clone.join(".git")]).args(["-type", "f", "-links", "+1"]).output().unwrap();
    assert_eq!(text(&shared), "");
    // Whatever a clone's settings start, starts as the worker; the daemon's git never comes here.
    let canary = place.path("tmp/canary");
    let line = format!("echo \"as $GIT_COMMITTER_NAME\" >> {}; :", canary.display());
    for (key, value) in
        [("core.fsmonitor", &*line), ("filter.x.clean", &*format!("{line}; cat")), ("filter.x.smudge", &*format!("{line}; cat"))]
    {
        place.git(&clone, &["config", key, value]);
    }
    fs::create_dir_all(clone.join(".git/hooks")).unwrap();
    for hook in ["pre-push", "post-checkout", "reference-transaction"] {
        fs::write(clone.join(".git/hooks").join(hook), format!("#!/bin/sh\n{line}\n")).unwrap();
        fs::set_permissions(clone.join(".git/hooks").join(hook), fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::write(clone.join(".gitattributes"), "*.txt filter=x merge=x text eol=crlf\n").unwrap();
    fs::remove_file(&canary).ok();
    let (done, said) = worker.run("printf 'one\\ntwo\\n' > a.txt; git -c core.autocrlf=false add .gitattributes; gt done");
    assert!(done, "{said}");
    place.until("it is merged", || place.bead(&issue)["status"] == "closed");
    let canary = fs::read_to_string(&canary).unwrap();
    assert!(canary.lines().all(|line| line.trim() == format!("as {}", worker.address)), "{canary}");
}

#[test]
fn the_origin_is_believed_and_not_the_worker() {
    if !has("git") {
        return;
    }
    let place = Place::new();
    let (issue, mut worker) = place.worker("Work");
    let elsewhere = place.path("tmp/elsewhere.git");
    place.git(&place.path("tmp"), &["clone", "-q", "--bare", place.path("alice.git").to_str().unwrap(), "elsewhere.git"]);
    place.git(&worker.clone(), &["remote", "set-url", "--push", "origin", elsewhere.to_str().unwrap()]);
    let (done, said) = worker.run("echo x > x; gt done");
    assert!(!done && said.contains("was handed in, but the origin has polecat/"), "{said}");
    assert_eq!(place.bead(&issue)["status"], "hooked");
    assert!(place.events("merge_submit").is_empty());
}
