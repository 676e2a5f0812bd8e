//! Which program plays a role: `settings/config.json` of town and rig, in the real form.
//!
//! Order: `--agent`, the rig's `role_agents`, the town's `role_agents`, the rig's `agent`, the town's `default_agent`, `claude`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::error::{Result, TownError, refused_hint};

/// `settings/config.json`; keys that the built-in town has no use for are passed over, as `gt` does.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Settings {
    default_agent: Option<String>,
    agent: Option<String>,
    role_agents: BTreeMap<String, String>,
    agents: BTreeMap<String, Preset>,
}

/// How a program is started and how it shows that it waits for input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Preset {
    /// Name in the map; filled in after reading.
    #[serde(skip)]
    pub(crate) name: String,
    /// Program.
    pub(crate) command: String,
    /// Arguments before the beacon.
    pub(crate) args: Vec<String>,
    /// Its own environment.
    pub(crate) env: BTreeMap<String, String>,
    /// Terminal behaviour.
    pub(crate) tmux: Terminal,
}

/// The `tmux` part of a preset.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Terminal {
    /// What the program prints when it waits for input; empty: it never does.
    pub(crate) ready_prompt_prefix: String,
    /// Process names, handed on as `GT_PROCESS_NAMES`.
    pub(crate) process_names: Vec<String>,
}

impl Default for Terminal {
    fn default() -> Self {
        Self { ready_prompt_prefix: "❯ ".to_string(), process_names: Vec::new() }
    }
}

fn read(path: &Path) -> Result<Settings> {
    match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map_err(TownError::json(path.display().to_string())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Settings::default()),
        Err(error) => Err(TownError::io(path)(error)),
    }
}

/// The program that plays `role` in `rig`.
pub(crate) fn resolve(root: &Path, role: &str, rig: Option<&str>, explicit: Option<&str>) -> Result<Preset> {
    let path = root.join("settings/config.json");
    let mut town = read(&path)?;
    let rig = match rig {
        Some(rig) => read(&root.join(rig).join("settings/config.json"))?,
        None => Settings::default(),
    };
    let named = [
        explicit.map(str::to_string),
        rig.role_agents.get(role).cloned(),
        town.role_agents.get(role).cloned(),
        rig.agent,
        town.default_agent.clone(),
    ];
    let name = named.into_iter().flatten().next().unwrap_or_else(|| "claude".to_string());
    town.agents.extend(rig.agents);
    let Some(mut preset) = town.agents.remove(&name).or_else(|| built_in(&name)) else {
        let known = town.agents.into_keys().collect::<Vec<_>>().join(", ");
        let hint = format!("agents in {}: {}", path.display(), if known.is_empty() { "none" } else { &known });
        return refused_hint(format!("unknown agent {name:?} for role {role}"), hint);
    };
    preset.name = name;
    Ok(preset)
}

fn built_in(name: &str) -> Option<Preset> {
    (name == "claude").then(|| Preset {
        command: "claude".to_string(),
        args: vec!["--dangerously-skip-permissions".to_string()],
        ..Preset::default()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]
    use super::*;

    fn town(text: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["settings", "alice/settings"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        std::fs::write(dir.path().join("settings/config.json"), text).unwrap();
        dir
    }

    const TOWN: &str = r#"{"type":"town-settings","version":1,"default_agent":"a","role_agents":{"mayor":"b"},
        "agents":{"a":{"command":"/bin/a","args":["x"],"tmux":{"ready_prompt_prefix":"> "}},"b":{"command":"/bin/b"}}}"#;

    #[test]
    fn a_role_of_its_own_wins_over_the_default() {
        let dir = town(TOWN);
        assert_eq!(resolve(dir.path(), "mayor", None, None).unwrap().command, "/bin/b");
        assert_eq!(resolve(dir.path(), "polecat", Some("alice"), None).unwrap().command, "/bin/a");
        assert_eq!(resolve(dir.path(), "mayor", None, Some("a")).unwrap().command, "/bin/a");
    }

    #[test]
    fn a_rig_has_agents_of_its_own() {
        let dir = town(TOWN);
        let rig = r#"{"role_agents":{"polecat":"c"},"agents":{"c":{"command":"/bin/c"}}}"#;
        std::fs::write(dir.path().join("alice/settings/config.json"), rig).unwrap();
        assert_eq!(resolve(dir.path(), "polecat", Some("alice"), None).unwrap().command, "/bin/c");
        assert_eq!(resolve(dir.path(), "polecat", Some("bob"), None).unwrap().command, "/bin/a");
    }

    #[test]
    fn the_prompt_is_read_or_has_its_default() {
        let dir = town(TOWN);
        let prompt = |role| resolve(dir.path(), role, None, None).unwrap().tmux.ready_prompt_prefix;
        assert_eq!((prompt("polecat").as_str(), prompt("mayor").as_str()), ("> ", "❯ "));
    }

    #[test]
    fn an_unknown_agent_names_the_known_ones() {
        let dir = town(TOWN);
        let error = resolve(dir.path(), "mayor", None, Some("z")).unwrap_err();
        assert_eq!(error.to_string(), "unknown agent \"z\" for role mayor");
        assert!(error.hint().unwrap().ends_with("a, b"));
    }
}
