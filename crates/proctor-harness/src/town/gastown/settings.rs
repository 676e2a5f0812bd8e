//! The files of a town that are written before anything in it acts: who plays which role, and what its daemon may do.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::halt::Halt;
use crate::launch::ROLES;
use crate::scenario::Merge;

/// Jobs of the daemon: agents that it keeps alive, and work that it does behind everybody's back.
const PATROLS: [&str; 13] = [
    "deacon",
    "witness",
    "refinery",
    "handler",
    "wisp_reaper",
    "compactor_dog",
    "checkpoint_dog",
    "doctor_dog",
    "jsonl_git_backup",
    "dolt_backup",
    "dolt_remotes",
    "scheduled_maintenance",
    "main_branch_test",
];

/// Patrols by which a running daemon keeps the agents alive that merge. One that is switched off ends those agents instead.
const MERGING: [&str; 2] = ["witness", "refinery"];
/// How often a running daemon looks after its town. On its own it does so every three minutes, which is longer than most runs.
const HEARTBEAT: &str = "30s";

/// The patrols that are left to a daemon: those that it would otherwise end the agents of.
pub(super) fn patrols_that_stay(daemon: bool, merge: Merge) -> &'static [&'static str] {
    if daemon && merge == Merge::Queue { &MERGING } else { &[] }
}

/// Writes `settings/config.json`: `launch` plays every role. Every field is given, since `gt` fills missing ones with another agent's.
pub(super) fn write_town_settings(town: &Path, launch: &Path, daemon: bool) -> Result<(), Halt> {
    let roles: Map<String, Value> = ROLES.iter().map(|role| ((*role).to_owned(), json!("launch"))).collect();
    let agent = json!({
        "provider": "launch", "command": launch, "args": [], "env": {}, "prompt_mode": "arg",
        "hooks": {"provider": "scripted"},
        "tmux": {"process_names": ["agent-launch", "proctor-agent"], "ready_prompt_prefix": "❯ ", "ready_delay_ms": 0},
        "instructions": {"file": "AGENTS.md"},
    });
    let operational = if daemon { json!({"daemon": {"recovery_heartbeat_interval": HEARTBEAT}}) } else { json!({}) };
    let settings = json!({"type": "town-settings", "version": 1, "default_agent": "launch", "role_agents": roles,
        "agents": {"launch": agent}, "operational": operational});
    write(&town.join("settings/config.json"), &settings)
}

/// Writes `settings/agents.json`, which says by which names processes that `launch` became are known. Its entry is found by the
/// command; under the name of the agent itself it would replace what the town's settings say of it.
pub(super) fn write_process_names(town: &Path, launch: &Path, names: &BTreeSet<String>) -> Result<(), Halt> {
    let known = json!({"name": "launched", "command": launch, "args": [], "process_names": names});
    write(&town.join("settings/agents.json"), &json!({"version": 1, "agents": {"launched": known}}))
}

/// Switches the daemon's patrols off, but for those that stay, and states the town's port in `mayor/daemon.json`, keeping whatever
/// else stands there.
pub(super) fn calm_daemon(town: &Path, port: u16, stay: &[&str]) -> Result<(), Halt> {
    let file = town.join("mayor/daemon.json");
    let text = fs::read_to_string(&file).map_err(|error| Halt::io("read", &file, &error))?;
    let wrong = |error: serde_json::Error| Halt::harness(format!("{} has another form: {error}", file.display()));
    let mut settings: Map<String, Value> = serde_json::from_str(&text).map_err(wrong)?;
    let env = settings.entry("env").or_insert_with(|| json!({}));
    env["GT_DOLT_PORT"] = json!(port.to_string());
    let patrols = settings.entry("patrols").or_insert_with(|| json!({}));
    for name in PATROLS {
        let had = patrols[name].take();
        let mut patrol = if had.is_object() { had } else { json!({}) };
        patrol["enabled"] = json!(stay.contains(&name));
        patrols[name] = patrol;
    }
    write(&file, &Value::Object(settings))
}

fn write(file: &Path, value: &Value) -> Result<(), Halt> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(file, format!("{value:#}\n")));
    written.map_err(|error| Halt::io("write", file, &error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_daemon_keeps_its_settings_but_does_nothing_of_its_own() {
        let town = tempfile::tempdir().unwrap();
        let file = town.path().join("mayor/daemon.json");
        write(&file, &json!({"version": 1, "patrols": {"deacon": {"enabled": true, "interval": "5m"}}})).unwrap();
        calm_daemon(town.path(), 21_000, patrols_that_stay(false, Merge::Queue)).unwrap();
        let after: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(after["patrols"]["deacon"], json!({"enabled": false, "interval": "5m"}));
        assert_eq!(after["env"]["GT_DOLT_PORT"], "21000");
        assert_eq!(after["version"], 1);
        assert!(after["patrols"].as_object().unwrap().values().all(|patrol| patrol["enabled"] == false));
    }

    #[test]
    fn a_running_daemon_keeps_those_who_merge() {
        let town = tempfile::tempdir().unwrap();
        let file = town.path().join("mayor/daemon.json");
        let on = |daemon, merge| {
            write(&file, &json!({"version": 1})).unwrap();
            calm_daemon(town.path(), 21_000, patrols_that_stay(daemon, merge)).unwrap();
            let after: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
            let patrols = after["patrols"].as_object().unwrap();
            patrols.iter().filter(|(_, patrol)| patrol["enabled"] == true).map(|(name, _)| name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(on(true, Merge::Queue), ["witness", "refinery"], "it ends refineries when their patrol is off");
        assert!(on(true, Merge::Direct).is_empty(), "nobody has to merge");
        assert!(on(false, Merge::Queue).is_empty());
    }

    #[test]
    fn no_role_is_left_to_another_program() {
        let town = tempfile::tempdir().unwrap();
        write_town_settings(town.path(), Path::new("/b/bin/agent-launch"), false).unwrap();
        let settings: Value =
            serde_json::from_str(&fs::read_to_string(town.path().join("settings/config.json")).unwrap()).unwrap();
        assert!(ROLES.iter().all(|role| settings["role_agents"][role] == "launch"));
        assert_eq!(settings["agents"]["launch"]["command"], "/b/bin/agent-launch");
    }
}
