//! What a town that is there already is: where, on which port its dolt listens, which rigs it has.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::state::rig_names;
use super::super::town::read;
use crate::file_lock::FileLock;
use crate::halt::Halt;

/// The port of a town that states none.
const DEFAULT_PORT: u16 = 3307;
/// Variables that say who somebody is, or that belong to one terminal: what Proctor was started from must not speak for the town.
const OF_SOMEBODY: [&str; 24] = [
    "GT_ROLE",
    "GT_RIG",
    "GT_POLECAT",
    "GT_POLECAT_PATH",
    "GT_CREW",
    "GT_SESSION",
    "GT_AGENT",
    "GT_PROCESS_NAMES",
    "GT_COMMAND",
    "GT_RUN",
    "GT_BRANCH",
    "BD_ACTOR",
    "BEADS_ACTOR",
    "BEADS_AGENT_NAME",
    "BEADS_DIR",
    "BEADS_DB",
    "TMUX",
    "TMUX_PANE",
    "CLAUDECODE",
    "CLAUDE_CODE",
    "OTEL_RESOURCE_ATTRIBUTES",
    "PROCTOR_RUN_ID",
    "PROCTOR_RUN_BASE",
    "PROCTOR_SEED",
];

/// The root of the town at `path`.
///
/// # Errors
/// When there is none.
pub(super) fn root(path: &Path) -> Result<PathBuf, Halt> {
    let is_town = |root: &PathBuf| root.join("mayor/town.json").is_file();
    path.canonicalize().ok().filter(is_town).ok_or_else(|| {
        let message = format!("{} is no town of Gas Town: it has no mayor/town.json", path.display());
        Halt::environment(message).hint("name the folder that `gt install` made: --town gastown:PATH --live-town")
    })
}

/// The environment of everything that Proctor calls in the town: the user's own, but for what says who the caller is.
pub(super) fn environment(user: &BTreeMap<String, String>, town: &Path) -> BTreeMap<String, String> {
    let mut env = user.clone();
    env.retain(|key, _| !OF_SOMEBODY.contains(&key.as_str()));
    let root = town.display().to_string();
    env.extend(["GT_TOWN_ROOT", "GT_ROOT"].map(|key| (key.to_owned(), root.clone())));
    if let Some(folder) = user.get(super::super::programs::BIN).filter(|folder| !folder.is_empty()) {
        let path = user.get("PATH").map_or("/usr/bin:/bin", String::as_str);
        env.insert("PATH".into(), format!("{folder}:{path}"));
    }
    env
}

/// The port of the town's dolt, in `gt`'s own order: dolt's settings, the environment, the daemon's settings, the default.
pub(super) fn port(town: &Path, env: &BTreeMap<String, String>) -> u16 {
    let of_daemon = || {
        let daemon: Value = serde_json::from_str(&read(&town.join("mayor/daemon.json"))).unwrap_or_default();
        daemon["env"]["GT_DOLT_PORT"].as_str().and_then(|port| port.parse().ok())
    };
    listener_port(&read(&town.join(".dolt-data/config.yaml")))
        .or_else(|| env.get("GT_DOLT_PORT")?.parse().ok())
        .or_else(of_daemon)
        .unwrap_or(DEFAULT_PORT)
}

/// `port` of the section `listener`.
fn listener_port(settings: &str) -> Option<u16> {
    let mut section = settings.lines().skip_while(|line| line.trim_end() != "listener:").skip(1);
    let of_section = section.by_ref().take_while(|line| line.is_empty() || line.starts_with(char::is_whitespace));
    of_section.filter_map(|line| line.trim().strip_prefix("port:")?.trim().parse().ok()).next()
}

/// The names of the town's rigs.
pub(super) fn rigs(town: &Path) -> Vec<String> {
    rig_names(read(&town.join("mayor/rigs.json")).as_bytes())
}

/// Keeps a second run out of the same town until the lock is dropped.
///
/// # Errors
/// When another run is in that town, or the cache cannot be written.
pub(super) fn lock(cache: &Path, socket: &str, town: &Path) -> Result<FileLock, Halt> {
    let file = cache.join("live-towns").join(format!("{socket}.lock"));
    let io = |error: std::io::Error| Halt::io("lock", &file, &error);
    fs::create_dir_all(cache.join("live-towns")).map_err(io)?;
    FileLock::take(&file).map_err(io)?.ok_or_else(|| {
        let halt = Halt::environment(format!("another run of Proctor is in the town {}", town.display()));
        halt.hint("wait until it ended: a mayor can play one scenario at a time")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_folder_that_is_no_town_is_refused_with_what_to_name() {
        let folder = tempfile::tempdir().unwrap();
        let halt = root(folder.path()).unwrap_err();
        assert!(halt.message.contains("mayor/town.json") && halt.hint.unwrap().contains("gt install"));
        fs::create_dir(folder.path().join("mayor")).unwrap();
        fs::write(folder.path().join("mayor/town.json"), "{}").unwrap();
        assert!(root(folder.path()).is_ok());
    }

    #[test]
    fn the_port_is_where_gt_looks_for_it() {
        let town = tempfile::tempdir().unwrap();
        let none = BTreeMap::new();
        assert_eq!(port(town.path(), &none), 3307);
        fs::create_dir_all(town.path().join("mayor")).unwrap();
        fs::write(town.path().join("mayor/daemon.json"), r#"{"env": {"GT_DOLT_PORT": "3311"}}"#).unwrap();
        assert_eq!(port(town.path(), &none), 3311);
        let env = BTreeMap::from([("GT_DOLT_PORT".to_owned(), "3312".to_owned())]);
        assert_eq!(port(town.path(), &env), 3312);
        fs::create_dir_all(town.path().join(".dolt-data")).unwrap();
        let settings = "log_level: warning\nlistener:\n  host: 127.0.0.1\n  port: 3313\nmetrics:\n  port: 9\n";
        fs::write(town.path().join(".dolt-data/config.yaml"), settings).unwrap();
        assert_eq!(port(town.path(), &env), 3313);
        assert_eq!(listener_port("metrics:\n  port: 9\n"), None);
        assert_eq!(listener_port("listener:\n  host: x\nmetrics:\n  port: 9\n"), None);
    }

    #[test]
    fn whoever_starts_proctor_does_not_speak_for_the_town() {
        let user =
            [("HOME", "/h"), ("GT_ROLE", "bob/polecats/x"), ("TMUX", "s"), ("ANTHROPIC_API_KEY", "k"), ("GT_ROOT", "/other")];
        let user = user.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let env = environment(&user, Path::new("/gt"));
        let expected = [("ANTHROPIC_API_KEY", "k"), ("GT_ROOT", "/gt"), ("GT_TOWN_ROOT", "/gt"), ("HOME", "/h")];
        assert_eq!(env, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn two_runs_are_not_in_one_town() {
        let cache = tempfile::tempdir().unwrap();
        let first = lock(cache.path(), "gt-1", Path::new("/gt")).unwrap();
        assert!(lock(cache.path(), "gt-1", Path::new("/gt")).unwrap_err().message.contains("/gt"));
        assert!(lock(cache.path(), "gt-2", Path::new("/gt2")).is_ok());
        drop(first);
        assert!(lock(cache.path(), "gt-1", Path::new("/gt")).is_ok());
    }
}
