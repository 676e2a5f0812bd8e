//! The built-in town, driven as a foreign one would be: `B/bin/gt`, `B/bin/bd`, files, signals. Calls: `docs/seams.md`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use proctor_judge::evidence::{Leftover, Skipped, SkippedRow};
use serde_json::{Value, json};

use super::{Site, Snapshot, Tempo, Town};
use crate::base::town_environment;
use crate::halt::Halt;
use crate::keeper::Keeper;
use crate::launch::token;
use crate::linux;
use crate::origins::DAEMON;
use crate::process::{Ended, Program};
use crate::scenario::RigsBy;
use crate::untrusted;

/// How long a call to `gt` may take unless it waits for an agent.
const CALL_LIMIT: Duration = Duration::from_secs(20);

/// The token with which the daemon pushes what it merges.
const MERGE_TOKEN: &str = "PROCTOR_MERGE_TOKEN";
/// How often the state is read when nothing tells of a change.
const POLL: Duration = Duration::from_millis(500);
/// How often agents are asked whether they rest, after landing.
const REST: Duration = Duration::from_millis(25);

/// The built-in town of one run.
pub struct Builtin {
    site: Site,
    env: RwLock<BTreeMap<String, String>>,
    keeper: OnceLock<Keeper>,
}

impl Builtin {
    /// The town of that site, not yet made.
    pub fn new(site: Site) -> Self {
        let env = town_environment(site.base.root(), &site.id, site.seed);
        Self { site, env: RwLock::new(env), keeper: OnceLock::new() }
    }

    fn prepared(&self) -> bool {
        self.site.spec.rigs == RigsBy::Prepared
    }

    /// Whether it was installed: its folder is there before.
    fn is_made(&self) -> bool {
        self.site.town().join("mayor").is_dir()
    }

    fn program(&self, args: &[&str]) -> Program {
        let cwd = if self.is_made() { self.site.town() } else { self.site.base.root().to_owned() };
        let program = Program::new(self.site.base.path("bin/gt"), args).env(&self.environment()).cwd(cwd).timeout(CALL_LIMIT);
        match self.keeper.get() {
            Some(keeper) => program.kept(keeper),
            None => program,
        }
    }

    async fn call(&self, program: Program) -> Result<Ended, Halt> {
        let what = format!("gt {}", program.args.join(" "));
        let ended = program.run().await.map_err(|error| Halt::harness(format!("`{what}` cannot be started: {error}")))?;
        if ended.ok() {
            return Ok(ended);
        }
        let said = ended.said();
        let halt = Halt::harness(format!("`{what}` failed ({}): {said}", ended.how()));
        let full = said.contains("No space left") || said.contains("disk is full") || said.contains("Read-only file system");
        Err(if full { Halt { kind: proctor_judge::evidence::StopKind::Environment, ..halt } } else { halt })
    }

    async fn gt(&self, args: &[&str]) -> Result<Ended, Halt> {
        self.call(self.program(args)).await
    }

    fn write_settings(&self) -> Result<(), Halt> {
        let launch = self.site.base.path("bin/agent-launch");
        let settings = json!({"type": "town-settings", "version": 1, "default_agent": "launch",
            "role_agents": {"mayor": "launch", "polecat": "launch"},
            "agents": {"launch": {"provider": "launch", "command": launch, "args": [], "env": {}, "prompt_mode": "arg",
                "hooks": {"provider": "scripted"},
                "tmux": {"process_names": ["agent-launch", "proctor-agent"], "ready_prompt_prefix": "❯ ", "ready_delay_ms": 0}}}});
        let folder = self.site.town().join("settings");
        let file = folder.join("config.json");
        let written = fs::create_dir_all(&folder).and_then(|()| fs::write(&file, format!("{settings:#}\n")));
        written.map_err(|error| Halt::io("write", &file, &error))
    }

    async fn prepare_rigs(&self) -> Result<(), Halt> {
        for rig in &self.site.spec.rig {
            let args = self.site.seed_rig(rig).await?;
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            self.gt(&args).await?;
        }
        Ok(())
    }

    async fn keep_output(&self, args: &[&str], file: &Path) -> Result<(), Halt> {
        let text = match self.gt(args).await {
            Ok(ended) => ended.out(),
            Err(halt) => format!("{halt}\n"),
        };
        fs::write(file, text).map_err(|error| Halt::io("write", file, &error))
    }
}

#[async_trait]
impl Town for Builtin {
    fn starts_agents_anew(&self) -> bool {
        false
    }

    fn tempo(&self) -> Tempo {
        Tempo { poll: POLL, rest: REST, blind: 8, ..Tempo::default() }
    }

    /// It is the running executable itself.
    fn programs(&self) -> BTreeMap<String, super::Program> {
        BTreeMap::new()
    }

    fn environment(&self) -> BTreeMap<String, String> {
        self.env.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn enter(&self, keeper: Keeper) {
        // It is entered once, before anything of the town is there.
        _ = self.keeper.set(keeper);
    }

    fn add_environment(&self, more: BTreeMap<String, String>) {
        self.env.write().unwrap_or_else(PoisonError::into_inner).extend(more);
    }

    async fn prepare(&self) -> Result<Vec<(String, String)>, Halt> {
        let town = self.site.town().display().to_string();
        for name in ["gt", "bd"] {
            self.site.base.link(&format!("bin/{name}"), &self.site.proctor, (self.site.clock)())?;
        }
        self.gt(&["install", &town, "--name", &self.site.spec.name]).await?;
        self.write_settings()?;
        if self.prepared() {
            self.prepare_rigs().await?;
        }
        let by = if self.prepared() { "made before the mayor starts" } else { "made by the mayor" };
        Ok(vec![("town".into(), town), ("rigs".into(), by.into())])
    }

    async fn start(&self, limit: Duration) -> Result<(), Halt> {
        let mut program = self.program(&["mayor", "start"]).timeout(limit);
        // This call starts the daemon, which takes the variable out of the environment of everything that it starts.
        program.env.insert(MERGE_TOKEN.into(), token(&self.site.secret, DAEMON));
        self.call(program).await.map(drop)
    }

    async fn deliver(&self, text: &str, _again: u32) -> Result<(), Halt> {
        let mut program = self.program(&["nudge", "mayor", "--mode", "immediate", "--stdin"]);
        program.stdin = Some(text.as_bytes().to_vec());
        self.call(program).await.map(drop)
    }

    fn servers(&self) -> &'static [&'static str] {
        &["daemon"]
    }

    fn server(&self, _program: &str) -> Option<u32> {
        let pid = fs::read_to_string(self.site.town().join("daemon/daemon.pid")).ok()?;
        pid.trim().parse().ok().filter(|pid| linux::process(*pid).is_some_and(|process| process.state != 'Z'))
    }

    async fn screen(&self) -> Option<String> {
        None
    }

    async fn observe(&self) -> Result<Arc<Snapshot>, Halt> {
        let mut program = self.program(&["snapshot", "--json"]);
        program.limit = usize::MAX;
        parse_snapshot(&self.call(program).await?.stdout).map(Arc::new)
    }

    fn events_file(&self) -> PathBuf {
        self.site.town().join(".events.jsonl")
    }

    fn merge_repository(&self, rig: &str) -> Option<PathBuf> {
        super::repository_of(&self.site.town(), rig)
    }

    async fn quiet(&self, state: &Snapshot) -> bool {
        state.agents.iter().all(|agent| agent.state != "working")
    }

    async fn collect(&self, transcripts: &Path) -> Result<Vec<SkippedRow>, Halt> {
        let skipped = keep_files(self.site.town(), self.site.raw.clone(), transcripts.to_owned()).await?;
        let raw = &self.site.raw;
        self.keep_output(&["agents", "list", "--json"], &raw.join("gt-agents.json")).await?;
        self.keep_output(&["sessions", "--json"], &raw.join("gt-sessions.json")).await?;
        self.keep_output(&["convoy", "list", "--json"], &raw.join("gt-convoys.json")).await?;
        Ok(skipped)
    }

    async fn stop(&self) -> Result<(), Halt> {
        if !self.is_made() {
            return Ok(());
        }
        self.gt(&["down"]).await.map(drop)
    }
}

/// Copies what the town wrote of itself, and what its sessions printed.
async fn keep_files(town: PathBuf, raw: PathBuf, transcripts: PathBuf) -> Result<Vec<SkippedRow>, Halt> {
    untrusted::apart(move || {
        let file = |path: &str, name: &str| untrusted::copy_file(&town, Path::new(path), &raw.join(name));
        let copied = [
            ("events.jsonl", file(".events.jsonl", "events.jsonl"), &raw),
            ("daemon.log", file("daemon/daemon.log", "daemon.log"), &raw),
            ("transcripts", untrusted::copy_flat(&town, Path::new(".runtime/transcripts"), &transcripts), &transcripts),
        ];
        let row = |(of, skipped, to): (&str, std::io::Result<Skipped>, &PathBuf)| match skipped {
            Ok(skipped) if skipped.is_empty() => None,
            Ok(skipped) => Some(Ok(SkippedRow { of: of.to_owned(), agent: None, skipped })),
            Err(error) => Some(Err(Halt::io("write", to, &error))),
        };
        copied.into_iter().filter_map(row).collect()
    })
    .await?
}

/// Reads `gt snapshot --json`. What telemetry an agent owes is the harness's knowledge, so a town need not state it.
fn parse_snapshot(bytes: &[u8]) -> Result<Snapshot, Halt> {
    let wrong = |error: serde_json::Error| Halt::harness(format!("`gt snapshot --json` has another form: {error}"));
    let mut value: Value = serde_json::from_slice(bytes).map_err(wrong)?;
    for agent in value.get_mut("agents").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(agent) = agent.as_object_mut() {
            agent.entry("telemetry").or_insert_with(|| json!(""));
            agent.entry("program").or_insert_with(|| json!(""));
        }
    }
    let leftovers = value["sessions"].as_array().into_iter().flatten().flat_map(left_by).collect();
    let state: Snapshot = serde_json::from_value(value).map_err(wrong)?;
    Ok(Snapshot { leftovers, ..state })
}

/// What the town says that it ended after a session: `leftovers` of its row, `[{pid, command}]`.
fn left_by(session: &Value) -> Vec<Leftover> {
    let row = |left: &Value| {
        let pid = u32::try_from(left["pid"].as_u64()?).ok()?;
        let agent = session["agent"].as_str().map(str::to_owned);
        Some(Leftover { pid, command: left["command"].as_str().unwrap_or_default().to_owned(), agent, ended: true })
    };
    session["leftovers"].as_array().into_iter().flatten().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends at the first thing that is not as it must be")]

    use super::*;

    #[test]
    fn what_the_town_ended_after_an_agent_is_a_leftover_of_that_agent() {
        let session = json!({"session": "ev-nux", "run_id": "r", "agent": "eve/polecats/nux", "role": "polecat", "command": [],
            "started_at": "2026-01-02T03:04:05Z", "leftovers": [{"pid": 77, "command": "sleep 600"}]});
        let snapshot = json!({"beads": [], "convoys": [], "mail": [], "merge_requests": [], "agents": [], "sessions": [session]});
        let state = parse_snapshot(snapshot.to_string().as_bytes()).unwrap();
        let left: Vec<_> = state.leftovers.iter().map(|l| (l.pid, l.command.as_str(), l.agent.as_deref(), l.ended)).collect();
        assert_eq!(left, [(77, "sleep 600", Some("eve/polecats/nux"), true)]);
    }
}
