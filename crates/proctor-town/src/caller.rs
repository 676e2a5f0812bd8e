//! Who calls, from where, and at what time: the parts of a [`Call`](crate::Call) that every command shares.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::daemon::Daemon;
use crate::emission::Outlet;
use crate::{Clock, RunIds};

/// The surroundings of a command, cheap to clone.
#[derive(Clone)]
pub(crate) struct Caller {
    /// Environment of the calling process.
    pub(crate) env: BTreeMap<String, String>,
    /// Its working directory.
    pub(crate) cwd: PathBuf,
    /// The time.
    pub(crate) clock: Clock,
    /// Ids of sessions.
    pub(crate) run_ids: RunIds,
    /// Events and metrics.
    pub(crate) telemetry: Outlet,
    /// The daemon's token for the origins; nobody else has one.
    pub(crate) merge_token: Option<Arc<str>>,
    /// The daemon that runs the command for its caller; absent when the command runs in the process that was called.
    pub(crate) daemon: Option<Arc<Daemon>>,
}

impl Caller {
    /// A variable of the environment; an empty one counts as absent.
    pub(crate) fn var(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Now, as the store writes it: RFC 3339, UTC, microseconds.
    pub(crate) fn now(&self) -> String {
        timestamp((self.clock)())
    }

    /// The agent that calls, as `GT_ROLE` writes it: `mayor`, `alice/polecats/furiosa`; `overseer` for a person.
    pub(crate) fn agent(&self, town: Option<&Path>) -> String {
        self.agent_of_env().or_else(|| self.agent_of_cwd(town?)).unwrap_or_else(|| "overseer".to_string())
    }

    /// Who gets the credit for a bead: an explicit `--actor` is the command's business.
    pub(crate) fn bead_actor(&self, town: Option<&Path>) -> String {
        let named = self.var("BEADS_ACTOR").or_else(|| self.var("BD_ACTOR"));
        named.map(str::to_string).unwrap_or_else(|| self.agent(town))
    }

    fn agent_of_env(&self) -> Option<String> {
        role_address(&|name| self.var(name))
    }

    fn agent_of_cwd(&self, town: &Path) -> Option<String> {
        let inside = self.cwd.strip_prefix(town).ok()?;
        let parts: Vec<String> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        match parts.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["mayor", ..] => Some("mayor".to_string()),
            [rig, "polecats", name, ..] => Some(format!("{rig}/polecats/{name}")),
            [rig, "refinery", ..] => Some(format!("{rig}/refinery")),
            _ => None,
        }
    }
}

/// The agent that an environment's `GT_ROLE` names, with `GT_RIG` and `GT_POLECAT` where it names a role only.
pub(crate) fn role_address<'v>(var: &dyn Fn(&str) -> Option<&'v str>) -> Option<String> {
    let role = var("GT_ROLE")?;
    match (role, var("GT_RIG"), var("GT_POLECAT")) {
        ("polecat", Some(rig), Some(name)) => Some(format!("{rig}/polecats/{name}")),
        ("witness" | "refinery", Some(rig), _) => Some(format!("{rig}/{role}")),
        _ => Some(long_address(role)),
    }
}

/// A moment as the store writes it.
pub(crate) fn timestamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// The address people and mail use: `alice/furiosa`, `mayor`.
pub(crate) fn short_address(agent: &str) -> String {
    agent.trim_end_matches('/').replace("/polecats/", "/")
}

/// The address `GT_ROLE` uses, from either form.
pub(crate) fn long_address(address: &str) -> String {
    let address = address.trim_end_matches('/');
    let parts: Vec<&str> = address.split('/').collect();
    match parts.as_slice() {
        [_, "witness" | "refinery" | "crew" | "polecats"] => address.to_string(),
        ["deacon", _] => address.to_string(),
        [rig, name] => format!("{rig}/polecats/{name}"),
        _ => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_short_and_a_long_form() {
        assert_eq!(long_address("alice/furiosa"), "alice/polecats/furiosa");
        assert_eq!(long_address("alice/polecats/furiosa"), "alice/polecats/furiosa");
        assert_eq!(long_address("mayor/"), "mayor");
        assert_eq!(long_address("alice/refinery"), "alice/refinery");
        assert_eq!(short_address("alice/polecats/furiosa"), "alice/furiosa");
    }
}
