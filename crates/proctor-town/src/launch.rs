//! What a started agent is given: environment, beacon, working directory, as the real `gt` gives them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::caller::short_address;
use crate::git;
use crate::settings::Preset;

/// A session to start, as the command line asks the daemon for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Launch {
    /// `mayor`, `alice/polecats/furiosa`.
    pub(crate) agent: String,
    /// `mayor`, `polecat`.
    pub(crate) role: String,
    /// Rig of a polecat.
    pub(crate) rig: Option<String>,
    /// `hq-mayor`, `al-furiosa`.
    pub(crate) session: String,
    /// Working directory.
    pub(crate) dir: PathBuf,
    /// Issue on its hook.
    pub(crate) issue: Option<String>,
    /// Its branch.
    pub(crate) branch: Option<String>,
    /// Head of that branch when the session begins.
    pub(crate) commit: Option<String>,
    /// Place of a polecat in its rig, from 0.
    pub(crate) slot: Option<usize>,
    /// `--agent` of the command line.
    pub(crate) explicit: Option<String>,
}

impl Launch {
    /// The agent's own name: `furiosa`, `mayor`.
    pub(crate) fn name(&self) -> &str {
        self.agent.rsplit('/').next().unwrap_or(&self.agent)
    }

    /// The start prompt, last argument of the agent's command line.
    pub(crate) fn beacon(&self, minute: &str) -> String {
        let topic = self.topic();
        match &self.rig {
            Some(rig) => format!(
                "[GAS TOWN] polecat {} (rig: {rig}) <- witness • {minute} • {topic}\n\n\
                 Run `gt prime --hook` and begin work on your hooked bead.",
                self.name()
            ),
            None => format!(
                "[GAS TOWN] {} <- human • {minute} • {topic}\n\n\
                 Check your hook (`gt hook`) and your mail (`gt mail inbox`), then wait for instructions.",
                self.agent
            ),
        }
    }

    /// What the session begins for, as the beacon names it.
    fn topic(&self) -> String {
        match (&self.rig, &self.issue) {
            (Some(_), Some(issue)) => format!("assigned:{issue}"),
            (Some(_), None) => "assigned".to_string(),
            (None, _) => "cold-start".to_string(),
        }
    }

    /// The whole environment of the session: the daemon's own, what every session gets, and the preset's.
    pub(crate) fn environment(
        &self,
        root: &Path,
        base: &BTreeMap<String, String>,
        preset: &Preset,
        run_id: &str,
        beacon: &str,
    ) -> BTreeMap<String, String> {
        let mut env = without_identity(base);
        let root_text = root.display().to_string();
        let mut set = |key: &str, value: &str| {
            env.insert(key.to_string(), value.to_string());
        };
        set("GT_ROLE", &self.agent);
        set("BD_ACTOR", &self.agent);
        set("GIT_AUTHOR_NAME", &self.agent);
        set("GIT_AUTHOR_EMAIL", &git::email(&self.agent));
        set("GIT_COMMITTER_NAME", &self.agent);
        set("GIT_COMMITTER_EMAIL", &git::email(&self.agent));
        set("GT_ROOT", &root_text);
        set("GT_TOWN_ROOT", &root_text);
        set("GIT_CEILING_DIRECTORIES", &root_text);
        set("GT_SESSION", &self.session);
        set("GT_AGENT", &preset.name);
        set("GT_PROCESS_NAMES", &preset.tmux.process_names.join(","));
        set("GT_RUN", run_id);
        set("NODE_OPTIONS", "");
        set("CLAUDECODE", "");
        set("BEADS_DOLT_AUTO_START", "0");
        set("BD_DOLT_AUTO_COMMIT", "off");
        set("BD_BACKUP_ENABLED", "false");
        if let Some(rig) = &self.rig {
            set("GT_RIG", rig);
            set("GT_POLECAT", self.name());
            set("GT_POLECAT_PATH", &self.dir.display().to_string());
            set("BEADS_AGENT_NAME", &short_address(&self.agent));
        }
        if let Some(branch) = &self.branch {
            set("GT_BRANCH", branch);
        }
        if let Some(slot) = self.slot {
            set("POLECAT_SLOT", &slot.to_string());
        }
        self.telemetry(root, &mut env, preset, beacon);
        env.extend(preset.env.clone());
        env
    }

    fn telemetry(&self, root: &Path, env: &mut BTreeMap<String, String>, preset: &Preset, beacon: &str) {
        let given = env.get("OTEL_RESOURCE_ATTRIBUTES").cloned().unwrap_or_default();
        let town = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let own = [
            ("gt.role", self.agent.clone()),
            ("gt.rig", self.rig.clone().unwrap_or_default()),
            ("gt.actor", self.agent.clone()),
            ("gt.agent", preset.name.clone()),
            ("gt.town", town),
            ("gt.session", self.session.clone()),
            ("gt.issue", self.issue.clone().unwrap_or_default()),
            ("gt.topic", self.topic()),
            ("gt.prompt", beginning(beacon, PROMPT_BYTES).to_string()),
        ];
        let own = own.into_iter().filter(|(_, value)| !value.is_empty());
        let own: Vec<String> = own.map(|(key, value)| format!("{key}={}", escaped(&value))).collect();
        let parts: Vec<&str> = given.split(',').filter(|part| !part.is_empty()).chain(own.iter().map(String::as_str)).collect();
        env.insert("OTEL_RESOURCE_ATTRIBUTES".to_string(), parts.join(","));
        claude_telemetry(env);
    }
}

/// How much of the beacon the resource attribute `gt.prompt` has.
const PROMPT_BYTES: usize = 120;

/// The first `bytes` of a text, without its last character when that was cut.
pub(crate) fn beginning(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

/// Percent-encodes everything but the characters that the OpenTelemetry specification allows in a value as they are: one value with a
/// blank or a bullet makes some readers drop all of them.
fn escaped(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"%,;=\"\\".contains(&byte);
    let encode = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    value.bytes().map(encode).collect()
}

/// What real `gt` sets for Claude when its own telemetry is on.
fn claude_telemetry(env: &mut BTreeMap<String, String>) {
    let Some(metrics) = env.get("GT_OTEL_METRICS_URL").cloned().filter(|url| !url.is_empty()) else { return };
    let logs = env.get("GT_OTEL_LOGS_URL").cloned().filter(|url| !url.is_empty());
    let mut set = |key: &str, value: &str| {
        env.insert(key.to_string(), value.to_string());
    };
    set("CLAUDE_CODE_ENABLE_TELEMETRY", "1");
    set("OTEL_METRICS_EXPORTER", "otlp");
    set("OTEL_METRIC_EXPORT_INTERVAL", "1000");
    set("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &metrics);
    set("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf");
    set("BD_OTEL_METRICS_URL", &metrics);
    let Some(logs) = logs else { return };
    set("OTEL_LOGS_EXPORTER", "otlp");
    set("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &logs);
    set("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/protobuf");
    set("OTEL_LOG_TOOL_DETAILS", "true");
    set("OTEL_LOG_TOOL_CONTENT", "true");
    set("OTEL_LOG_USER_PROMPTS", "true");
    set("BD_OTEL_LOGS_URL", &logs);
}

/// An environment without the identity of the agent that it may belong to, so that a daemon started by an agent is nobody.
pub(crate) fn without_identity(env: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    const OWN: [&str; 16] = [
        "GT_ROLE",
        "GT_RIG",
        "GT_POLECAT",
        "GT_CREW",
        "GT_SESSION",
        "GT_AGENT",
        "GT_RUN",
        "GT_BRANCH",
        "GT_POLECAT_PATH",
        "POLECAT_SLOT",
        "BD_ACTOR",
        "BEADS_ACTOR",
        "BEADS_AGENT_NAME",
        "GIT_AUTHOR_NAME",
        "GIT_AUTHOR_EMAIL",
        "GT_PROCESS_NAMES",
    ];
    let mut kept = env.clone();
    kept.retain(|key, _| !OWN.contains(&key.as_str()) && !key.starts_with("GIT_COMMITTER_"));
    if let Some(attributes) = kept.get_mut("OTEL_RESOURCE_ATTRIBUTES") {
        let foreign = attributes.split(',').filter(|part| !part.starts_with("gt.") && !part.is_empty());
        *attributes = foreign.collect::<Vec<_>>().join(",");
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch() -> Launch {
        Launch {
            agent: "alice/polecats/furiosa".to_string(),
            role: "polecat".to_string(),
            rig: Some("alice".to_string()),
            session: "al-furiosa".to_string(),
            dir: PathBuf::from("/t/alice/polecats/furiosa/alice"),
            issue: Some("al-k3x".to_string()),
            branch: Some("polecat/furiosa/al-k3x@1".to_string()),
            commit: None,
            slot: Some(0),
            explicit: None,
        }
    }

    fn environment(base: &[(&str, &str)]) -> BTreeMap<String, String> {
        let base = base.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        launch().environment(
            Path::new("/t"),
            &base,
            &Preset { name: "bot".to_string(), ..Preset::default() },
            "r-1",
            "[GAS TOWN] •",
        )
    }

    #[test]
    fn the_beacon_says_who_and_what() {
        assert!(launch().beacon("2026-01-02T03:04").starts_with(
            "[GAS TOWN] polecat furiosa (rig: alice) <- witness • 2026-01-02T03:04 • assigned:al-k3x\n\nRun `gt prime --hook`"
        ));
    }

    #[test]
    fn the_session_knows_itself() {
        let env = environment(&[("PATH", "/bin"), ("GT_ROLE", "mayor"), ("GT_CREW", "x")]);
        assert_eq!(env["GT_ROLE"], "alice/polecats/furiosa");
        assert_eq!(env["GT_POLECAT"], "furiosa");
        assert_eq!(env["GT_RUN"], "r-1");
        assert_eq!(env["PATH"], "/bin");
        assert_eq!(env["GIT_AUTHOR_EMAIL"], "alice.polecats.furiosa@gastown.local");
        assert_eq!(env["BEADS_AGENT_NAME"], "alice/furiosa");
        assert_eq!(env["POLECAT_SLOT"], "0");
        assert!(!env.contains_key("GT_CREW"));
    }

    #[test]
    fn resource_attributes_are_appended_to_the_runs_own() {
        let env = environment(&[("OTEL_RESOURCE_ATTRIBUTES", "proctor.run.id=7,gt.role=mayor")]);
        assert_eq!(
            env["OTEL_RESOURCE_ATTRIBUTES"],
            "proctor.run.id=7,gt.role=alice/polecats/furiosa,gt.rig=alice,gt.actor=alice/polecats/furiosa,gt.agent=bot,\
             gt.town=t,gt.session=al-furiosa,gt.issue=al-k3x,gt.topic=assigned:al-k3x,gt.prompt=[GAS%20TOWN]%20%E2%80%A2"
        );
    }

    #[test]
    fn a_prompt_is_cut_between_characters() {
        assert_eq!(beginning("a•b", 3), "a");
        assert_eq!(beginning("ab", 3), "ab");
    }

    #[test]
    fn claude_gets_its_telemetry_only_when_gt_has_one() {
        assert!(!environment(&[]).contains_key("CLAUDE_CODE_ENABLE_TELEMETRY"));
        let env = environment(&[("GT_OTEL_METRICS_URL", "http://m"), ("GT_OTEL_LOGS_URL", "http://l")]);
        assert_eq!(env["CLAUDE_CODE_ENABLE_TELEMETRY"], "1");
        assert_eq!(env["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"], "http://l");
        assert_eq!(env["BD_OTEL_METRICS_URL"], "http://m");
    }
}
