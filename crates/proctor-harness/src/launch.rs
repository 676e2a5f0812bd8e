//! Which program plays which role: the `agents.json` that the harness writes and the `agent-launch` personality reads.
//!
//! [`resolve`] is pure, so that what an agent is started with can be stated in a test. Format: `docs/seams.md`.

mod credentials;
mod token;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::SubsecRound;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use proctor_judge::evidence::{AgentId, Time};
use serde::{Deserialize, Serialize};

use crate::fence::agent::AgentFence;

pub use credentials::with_credentials;
pub use token::token;

/// Version of `agents.json`.
pub const AGENTS_SCHEMA: u32 = 1;

/// The file of a base directory that holds an [`AgentTable`].
pub const AGENT_TABLE: &str = "agents.json";

/// The file beside `agents.json` that `agent-launch` appends a [`SessionStart`] to for each agent it starts.
pub const SESSIONS_FILE: &str = "sessions.ndjson";

/// Every role of a town that an agent can play.
pub const ROLES: [&str; 8] = ["mayor", "polecat", "refinery", "witness", "deacon", "boot", "dog", "crew"];

/// The key of the entry that plays every role without one of its own.
pub const ANY_ROLE: &str = "*";

/// The word for the agent that ships with Proctor.
pub const BUILTIN: &str = "builtin";

/// `B/agents.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentTable {
    /// [`AGENTS_SCHEMA`].
    pub schema: u32,
    /// Base address of the gateway: `http://127.0.0.1:40214`.
    pub gateway: String,
    /// Base address of the OTLP listener.
    pub otlp: String,
    /// What each agent's [`token`] is made with: the run's own, known to nobody but harness and town.
    pub secret: String,
    /// What their fences are made from; absent: they are started without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<AgentFence>,
    /// Base address of the served origins; absent where origins are folders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origins: Option<String>,
    /// What plays `mayor`, `polecat`, `polecat:<rig>`, …; the most specific key wins, [`ANY_ROLE`] is the least specific.
    pub roles: BTreeMap<String, AgentEntry>,
}

/// What plays one role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentEntry {
    /// What people call it: `builtin`, or the command line.
    pub program: String,
    /// Program and leading arguments; the beacon follows.
    pub command: Vec<String>,
    /// Environment added to the agent's own.
    pub env: BTreeMap<String, String>,
    /// Whether it is told where telemetry goes; `false` is a planned fault.
    pub telemetry: bool,
    /// Where its telemetry goes instead of the table's listener: another planned fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otlp: Option<String>,
}

/// A program to `exec`, with its whole environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its arguments, the beacon last.
    pub args: Vec<String>,
    /// All of its environment: nothing else is inherited.
    pub env: BTreeMap<String, String>,
}

/// One line of `B/sessions.ndjson`: an agent as it is about to become its program. What the town's environment does not
/// say is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStart {
    /// `GT_SESSION`: `hq-mayor`, `al-furiosa`.
    pub session: Option<String>,
    /// `GT_RUN`: names this life of the agent.
    pub run_id: Option<String>,
    /// `GT_ROLE`.
    pub agent: AgentId,
    /// One of [`ROLES`].
    pub role: String,
    /// `GT_RIG`, else the rig in `GT_ROLE`.
    pub rig: Option<String>,
    /// The process that becomes the agent.
    pub pid: u32,
    /// When that process began, in clock ticks since boot: with the id, names one process for ever.
    pub started: u64,
    /// Program and arguments, without the beacon.
    pub command: Vec<String>,
    /// When the agent was launched, to the microsecond.
    pub started_at: Time,
    /// The issue on its hook: `gt.issue` of the telemetry's resource, else the one in the branch's name.
    pub issue: Option<String>,
    /// `GT_BRANCH`.
    pub branch: Option<String>,
}

/// Which process an agent is, and when it became one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Birth {
    /// Its id.
    pub pid: u32,
    /// In clock ticks since boot.
    pub started: u64,
    /// Now.
    pub at: Time,
}

/// Why an agent cannot be launched. `agent-launch` prints it and exits 2.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// `agents.json` is missing or unreadable.
    #[error("cannot read {path}: {reason}")]
    Table {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The environment does not say who is launched.
    #[error("GT_ROLE is not set: agent-launch is started by a town, not by hand")]
    NoRole,
    /// No entry plays this role.
    #[error("agents.json has no entry for the role `{role}` (looked for: {looked_for})")]
    NoEntry {
        /// `GT_ROLE`.
        role: String,
        /// The keys that would have played it.
        looked_for: String,
    },
    /// An entry without a program.
    #[error("the entry `{0}` of agents.json has an empty command")]
    Empty(String),
    /// `--agent` or a scenario key that cannot be understood.
    #[error("`{0}` is no ROLE=COMMAND")]
    Override(String),
    /// A role that nothing plays.
    #[error("`{0}` names no role")]
    Role(String),
    /// A command line with an open quote, or without a program.
    #[error("`{0}` is no command line")]
    Command(String),
}

impl LaunchError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Override(_) | Self::Role(_) => Some(
                "write --agent ROLE=COMMAND or ROLE:RIG=COMMAND; roles: mayor, polecat, refinery, witness, deacon, boot, dog, crew",
            ),
            Self::Command(_) => Some("quote arguments as a shell would: --agent \"polecat=./my-agent --name 'a b'\""),
            _ => None,
        }
    }
}

/// `--agent ROLE=COMMAND`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// One of [`ROLES`], or `polecat:<rig>`.
    pub role: String,
    /// `builtin`, or a command line.
    pub command: String,
}

impl std::str::FromStr for Override {
    type Err = LaunchError;

    fn from_str(text: &str) -> Result<Self, LaunchError> {
        let (role, command) = text.split_once('=').ok_or_else(|| LaunchError::Override(text.to_owned()))?;
        let (name, rig) = role.split_once(':').map_or((role, None), |(name, rig)| (name, Some(rig)));
        if !ROLES.contains(&name) || rig.is_some_and(|rig| rig.is_empty() || name == "mayor") {
            return Err(LaunchError::Role(role.to_owned()));
        }
        split_command(command)?;
        Ok(Self { role: role.to_owned(), command: command.to_owned() })
    }
}

/// Splits a command line at white space, with `'…'`, `"…"` and `\` as in a shell; no expansion of any kind.
///
/// # Errors
/// An open quote, or nothing at all.
pub fn split_command(line: &str) -> Result<Vec<String>, LaunchError> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if quote.is_some() || words.is_empty() {
        return Err(LaunchError::Command(line.to_owned()));
    }
    Ok(words)
}

impl AgentTable {
    /// Reads `agents.json`.
    ///
    /// # Errors
    /// When the file is missing or not of this form.
    pub fn read(path: &Path) -> Result<Self, LaunchError> {
        let failed = |reason: String| LaunchError::Table { path: path.to_owned(), reason };
        let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))
    }

    /// The entry that plays `GT_ROLE`, with its key.
    ///
    /// # Errors
    /// When no entry plays it.
    pub fn entry(&self, role: &str) -> Result<(&str, &AgentEntry), LaunchError> {
        let keys = role_keys(role);
        let any = [ANY_ROLE.to_owned()];
        let found = keys.iter().chain(&any).find_map(|key| self.roles.get_key_value(key.as_str()));
        let missing = || LaunchError::NoEntry { role: role.to_owned(), looked_for: keys.join(", ") };
        found.map(|(key, entry)| (key.as_str(), entry)).ok_or_else(missing)
    }
}

/// The keys of `agents.json` that play a `GT_ROLE`, most specific first.
pub fn role_keys(role: &str) -> Vec<String> {
    let parts: Vec<&str> = role.split('/').collect();
    match parts.as_slice() {
        [rig, "polecats", _] => vec![format!("polecat:{rig}"), "polecat".into()],
        [rig, "crew", _] => vec![format!("crew:{rig}"), "crew".into()],
        // The watchdog of the deacon has no rig.
        ["deacon", role] => vec![(*role).to_owned()],
        [rig, role] => vec![format!("{role}:{rig}"), (*role).to_owned()],
        _ => vec![role.to_owned()],
    }
}

/// What telemetry a program owes: its own name when the scenario states an expectation for it, `builtin`, else `none`.
pub fn telemetry_key<'a>(program: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let name = program.split_whitespace().next().unwrap_or_default();
    let name = name.rsplit('/').next().unwrap_or_default();
    known.into_iter().find(|key| *key == name).unwrap_or("none").to_owned()
}

const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// An agent's address as one percent-encoded path segment.
pub fn segment(agent: &str) -> String {
    utf8_percent_encode(agent, SEGMENT).to_string()
}

const METRICS_KEYS: [&str; 3] = ["GT_OTEL_METRICS_URL", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "BD_OTEL_METRICS_URL"];
const LOGS_KEYS: [&str; 3] = ["GT_OTEL_LOGS_URL", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "BD_OTEL_LOGS_URL"];

const MAIL_KEYS: [&str; 2] = ["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"];

/// The e-mail address that an agent commits with. Towns may name authors by the worker's name alone, which workers of two rigs can share.
fn mail_address(agent: &str) -> String {
    format!("{}@gastown.local", agent.replace('/', "."))
}

/// What to start for an agent: the entry of its `GT_ROLE`, its own gateway and telemetry addresses, the given arguments last.
///
/// # Errors
/// No role in the environment, no entry for it, or an entry without a program.
pub fn resolve(env: &BTreeMap<String, String>, args: &[String], table: &AgentTable) -> Result<Launch, LaunchError> {
    let role = env.get("GT_ROLE").ok_or(LaunchError::NoRole)?;
    let (key, entry) = table.entry(role)?;
    let (program, leading) = entry.command.split_first().ok_or_else(|| LaunchError::Empty(key.to_owned()))?;
    let mut own = env.clone();
    let agent = segment(role);
    let token = token(&table.secret, role);
    own.insert("ANTHROPIC_BASE_URL".into(), format!("{}/a/{agent}/{token}", table.gateway));
    own.insert("ANTHROPIC_AUTH_TOKEN".into(), "proctor".into());
    for key in MAIL_KEYS {
        own.entry(key.to_owned()).or_insert_with(|| mail_address(role));
    }
    own.extend(entry.env.clone());
    if let Some(origins) = &table.origins {
        with_credentials(&mut own, origins, role, &token);
    }
    if entry.telemetry {
        let otlp = entry.otlp.as_ref().unwrap_or(&table.otlp);
        own.extend(METRICS_KEYS.map(|key| (key.to_owned(), format!("{otlp}/agents/{agent}/{token}/v1/metrics"))));
        own.extend(LOGS_KEYS.map(|key| (key.to_owned(), format!("{otlp}/agents/{agent}/{token}/v1/logs"))));
    } else {
        own.retain(|key, _| !METRICS_KEYS.contains(&key.as_str()) && !LOGS_KEYS.contains(&key.as_str()));
    }
    let args = leading.iter().chain(args).cloned().collect();
    Ok(Launch { program: PathBuf::from(program), args, env: own })
}

/// What `B/sessions.ndjson` says about a launch; `env` is the environment that the town gave. The last argument is the
/// beacon, which changes from minute to minute and is the model's to know.
pub fn session_start(env: &BTreeMap<String, String>, launch: &Launch, birth: Birth) -> SessionStart {
    let text = |key: &str| env.get(key).filter(|value| !value.is_empty()).cloned();
    let agent = text("GT_ROLE").unwrap_or_default();
    let branch = text("GT_BRANCH");
    let command = launch.args.split_last().map_or(&[][..], |(_, before)| before);
    SessionStart {
        session: text("GT_SESSION"),
        run_id: text("GT_RUN"),
        role: role_keys(&agent).pop().unwrap_or_default(),
        rig: text("GT_RIG").or_else(|| rig_of(&agent)),
        pid: birth.pid,
        started: birth.started,
        command: std::iter::once(launch.program.display().to_string()).chain(command.iter().cloned()).collect(),
        started_at: birth.at.trunc_subsecs(6),
        issue: issue_of_resource(env).or_else(|| issue_of_branch(branch.as_deref()?).map(str::to_owned)),
        branch,
        agent,
    }
}

fn rig_of(agent: &str) -> Option<String> {
    let (rig, _) = agent.split_once('/')?;
    (rig != "deacon").then(|| rig.to_owned())
}

fn issue_of_resource(env: &BTreeMap<String, String>) -> Option<String> {
    let attributes = env.get("OTEL_RESOURCE_ATTRIBUTES")?;
    let issue = attributes.split(',').find_map(|pair| pair.trim().strip_prefix("gt.issue="))?;
    (!issue.is_empty()).then(|| issue.to_owned())
}

/// The issue that a polecat's branch is for: `al-k3x` of `polecat/furiosa/al-k3x@mwwopefg`.
pub(crate) fn issue_of_branch(branch: &str) -> Option<&str> {
    let last = branch.strip_prefix("polecat/")?.split_once('/')?.1;
    Some(last.split('@').next().unwrap_or(last)).filter(|issue| !issue.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_polecats_branch_names_its_issue() {
        assert_eq!(issue_of_branch("polecat/rust/bob-7om@mwwp2vwy"), Some("bob-7om"));
        assert_eq!(issue_of_branch("polecat/rust-mwwp2vwy"), None);
        assert_eq!(issue_of_branch("main"), None);
    }

    fn entry(program: &str, telemetry: bool) -> AgentEntry {
        AgentEntry {
            program: program.into(),
            command: vec![format!("/bin/{program}"), "--x".into()],
            env: BTreeMap::new(),
            telemetry,
            otlp: None,
        }
    }

    fn table() -> AgentTable {
        let roles = [("mayor", entry("m", true)), ("polecat", entry("p", true)), ("polecat:eve", entry("e", false))];
        let roles = roles.map(|(key, entry)| (key.to_owned(), entry)).into();
        let (gateway, otlp, secret) = ("http://g".into(), "http://o".into(), "s".into());
        AgentTable { schema: 1, gateway, otlp, secret, fence: None, origins: None, roles }
    }

    fn launch(role: &str) -> Launch {
        let env = [("GT_ROLE", role), ("GT_OTEL_LOGS_URL", "http://town"), ("KEPT", "1")];
        resolve(&env.map(|(key, value)| (key.to_owned(), value.to_owned())).into(), &["beacon".into()], &table()).unwrap()
    }

    #[test]
    fn each_agent_gets_its_own_addresses_and_the_beacon_last() {
        let launch = launch("alice/polecats/furiosa");
        assert_eq!(
            (launch.program.as_path(), launch.args.as_slice()),
            (Path::new("/bin/p"), ["--x".to_owned(), "beacon".to_owned()].as_slice())
        );
        let own = format!("alice%2Fpolecats%2Ffuriosa/{}", token("s", "alice/polecats/furiosa"));
        assert_eq!(launch.env["ANTHROPIC_BASE_URL"], format!("http://g/a/{own}"));
        assert_eq!(launch.env["GT_OTEL_LOGS_URL"], format!("http://o/agents/{own}/v1/logs"));
        assert_eq!(launch.env["KEPT"], "1");
    }

    #[test]
    fn commits_carry_their_agents_address_unless_the_town_says_another() {
        assert_eq!(launch("eve/polecats/nux").env["GIT_AUTHOR_EMAIL"], "eve.polecats.nux@gastown.local");
        let own = [("GT_ROLE", "mayor"), ("GIT_AUTHOR_EMAIL", "own@town")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        let launch = resolve(&own.into(), &["beacon".into()], &table()).unwrap();
        assert_eq!(
            (launch.env["GIT_AUTHOR_EMAIL"].as_str(), launch.env["GIT_COMMITTER_EMAIL"].as_str()),
            ("own@town", "mayor@gastown.local")
        );
    }

    #[test]
    fn the_entry_of_a_rig_wins_and_a_silenced_agent_has_no_addresses() {
        let launch = launch("eve/polecats/nux");
        assert_eq!(launch.program, Path::new("/bin/e"));
        assert!(launch.env.keys().all(|key| !key.contains("OTEL")), "{:?}", launch.env);
    }

    #[test]
    fn a_role_that_nobody_plays_is_refused_by_name() {
        let env = BTreeMap::from([("GT_ROLE".to_owned(), "deacon".to_owned())]);
        let error = resolve(&env, &[], &table()).unwrap_err().to_string();
        assert!(error.contains("`deacon`"), "{error}");
        assert!(matches!(resolve(&BTreeMap::new(), &[], &table()), Err(LaunchError::NoRole)));
    }

    #[test]
    fn an_entry_for_any_role_plays_those_without_their_own() {
        let mut table = table();
        table.roles.insert(ANY_ROLE.to_owned(), entry("any", true));
        let of = |role: &str| table.entry(role).unwrap().0.to_owned();
        let played = ["mayor", "alice/polecats/nux", "alice/refinery", "alice/crew/joe", "deacon/boot", "dog"].map(of);
        assert_eq!(played, ["mayor", "polecat", "*", "*", "*", "*"]);
        table.roles.extend(["refinery:alice", "boot", "crew"].map(|key| (key.to_owned(), entry(key, true))));
        let of = |role: &str| table.entry(role).unwrap().0.to_owned();
        let played = ["alice/refinery", "bob/refinery", "deacon/boot", "alice/crew/joe", "deacon"].map(of);
        assert_eq!(played, ["refinery:alice", "*", "boot", "crew", "*"]);
    }

    #[test]
    fn a_session_says_whose_it_is_and_what_it_works_on() {
        let start = |pairs: &[(&str, &str)]| {
            let env: BTreeMap<String, String> =
                pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            let launch = resolve(&env, &["beacon".into()], &table()).unwrap();
            let at = "2026-01-02T03:04:05.123456789Z".parse().unwrap();
            session_start(&env, &launch, Birth { pid: 7, started: 99, at })
        };
        let branch = "polecat/nux/al-k3x@mwwopefg";
        let row = start(&[("GT_ROLE", "alice/polecats/nux"), ("GT_SESSION", "al-nux"), ("GT_RUN", "r"), ("GT_BRANCH", branch)]);
        let text = serde_json::to_string(&row).unwrap();
        assert_eq!(
            text,
            r#"{"session":"al-nux","run_id":"r","agent":"alice/polecats/nux","role":"polecat","rig":"alice","pid":7,"started":99,"command":["/bin/p","--x"],"started_at":"2026-01-02T03:04:05.123456Z","issue":"al-k3x","branch":"polecat/nux/al-k3x@mwwopefg"}"#
        );
        let mayor = start(&[("GT_ROLE", "mayor"), ("OTEL_RESOURCE_ATTRIBUTES", "gt.role=mayor,gt.issue=hq-1")]);
        assert_eq!((mayor.rig, mayor.issue.as_deref(), mayor.session), (None, Some("hq-1"), None));
    }

    #[test]
    fn overrides_name_a_known_role_and_a_command() {
        for good in ["polecat:alice=./a --b 'c d'", "refinery=x", "refinery:bob=x", "dog=x"] {
            assert!(good.parse::<Override>().is_ok(), "{good}");
        }
        for bad in ["polecat", "king=x", "polecat:=x", "mayor:alice=x", "mayor=", "mayor='x"] {
            assert!(bad.parse::<Override>().is_err(), "{bad}");
        }
        assert_eq!(split_command(r#"a 'b c' "d\"e" f\ g"#).unwrap(), ["a", "b c", "d\"e", "f g"]);
    }
}
