//! `scenario.toml` and `case.toml` as types: the one definition behind the parser, the JSON Schema and the defaults.
//!
//! Unknown keys, wrong types and missing keys are found by `shape.rs` from the schema of these types, all at once and with
//! positions; serde only reads what that has accepted.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use proctor_judge::plan::{Check, Clause, TelemetryExpectation};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

pub use super::exercises::{Exercise, PYTHON, REPO, Runtime, RuntimeKind, Step};
pub use super::fault::{Fault, FaultKind};
pub use super::limits::{Bytes, Limits, Network, Port};
use crate::town::TownKind;

/// The version of `scenario.toml` that this Proctor reads.
pub const SCENARIO_SCHEMA: u32 = 1;

/// `scenario.toml`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Version of the format: 1.
    pub schema: u32,
    /// Lower-case letters, digits, dashes.
    pub name: String,
    /// For people.
    pub title: String,
    /// File with what the coordinator is told.
    #[serde(default = "default_prompt")]
    pub prompt: String,
    /// Folder with the scripts that play the models.
    #[serde(default = "default_script")]
    pub script: String,
    /// Title of the convoy whose landing ends the run.
    pub convoy: String,
    /// Who makes the rigs.
    #[serde(default)]
    pub rigs: RigsBy,
    /// How agents reach the rigs' origins.
    #[serde(default)]
    pub origins: Origins,
    /// How finished work reaches the origin's main branch in a town that leaves the choice.
    #[serde(default)]
    pub merge: Merge,
    /// Whether the daemon of a town that can do without one runs.
    #[serde(default)]
    pub daemon: bool,
    /// Input tokens of one agent above which a finding says so.
    #[serde(default)]
    pub high_input_tokens: Option<u64>,
    /// Patterns (`*`) of files whose opening is recorded in exercises.
    #[serde(default)]
    pub watch: Vec<String>,
    /// The rigs, in order.
    #[serde(default)]
    pub rig: Vec<Rig>,
    /// Time limits.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// What counts as landed.
    #[serde(default)]
    pub landed: Landed,
    /// What each process of agents may take.
    #[serde(default)]
    pub limits: Limits,
    /// Where processes of agents may connect to.
    #[serde(default)]
    pub network: Network,
    /// Which program plays a role: `mayor`, `polecat`, `polecat:RIG`.
    #[serde(default)]
    pub agents: BTreeMap<String, AgentSpec>,
    /// What the deliverables need to run.
    #[serde(default)]
    pub runtime: Option<Runtime>,
    /// What telemetry each kind of agent program owes.
    #[serde(default)]
    pub telemetry: BTreeMap<String, TelemetryExpectation>,
    /// Planned failures.
    #[serde(default)]
    pub fault: Vec<Fault>,
    /// What is run on what was merged.
    #[serde(default)]
    pub exercise: Vec<Exercise>,
    /// What is asserted about the evidence.
    #[serde(default)]
    pub check: Vec<Check>,
}

fn default_prompt() -> String {
    "prompt.md".into()
}

fn default_script() -> String {
    "script".into()
}

/// Who makes the rigs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RigsBy {
    /// The coordinator, as its prompt says.
    #[default]
    ByMayor,
    /// The harness, before the coordinator starts.
    Prepared,
}

/// How agents reach the rigs' origins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origins {
    /// Over HTTP: nobody but Proctor can open the repositories, and Proctor knows who pushed what.
    #[default]
    Served,
    /// As folders that everybody in the town can write. Always so in a live town, which goes on without Proctor.
    File,
}

/// How finished work reaches the origin's main branch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Merge {
    /// Through the merge queue of its rig.
    #[default]
    Queue,
    /// The worker pushes it.
    Direct,
}

impl Merge {
    /// As scenario files, flags and scripts name it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Direct => "direct",
        }
    }
}

/// One rig.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rig {
    /// Its name.
    pub name: String,
    /// Prefix of its issue ids.
    #[serde(default)]
    pub prefix: Option<String>,
    /// Folder of the scenario whose files are the rig's first commit; only where rigs are `prepared`.
    #[serde(default)]
    pub files: Option<String>,
}

/// Time limits of a run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// From the prompt's delivery until everything has landed.
    pub landing: Span,
    /// Until the coordinator listens.
    pub start: Span,
    /// Until the coordinator is seen to have the prompt.
    pub receipt: Span,
    /// Until agents have ended and telemetry is flushed after landing.
    pub quiet: Span,
    /// One step of an exercise.
    pub exercise: Span,
}

impl Default for Timeouts {
    fn default() -> Self {
        let span = |s| Span(Duration::from_secs(s));
        Self { landing: span(3600), start: span(30), receipt: span(60), quiet: span(10), exercise: span(60) }
    }
}

/// What counts as landed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Landed {
    /// The clauses that must hold at the same moment.
    #[serde(default = "all_clauses")]
    pub clauses: Vec<Clause>,
}

impl Default for Landed {
    fn default() -> Self {
        Self { clauses: all_clauses() }
    }
}

fn all_clauses() -> Vec<Clause> {
    vec![Clause::IssuesClosed, Clause::Merged, Clause::Pushed, Clause::NoWorkerBusy, Clause::ConvoyClosed]
}

/// The program that plays a role.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentSpec {
    /// `builtin`, or a command line.
    #[serde(default = "builtin")]
    pub command: String,
    /// Environment added to its own.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

fn builtin() -> String {
    "builtin".into()
}

/// `case.toml` of a selftest.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseSpec {
    /// What is sabotaged, for people.
    pub title: String,
    /// For an attack: what it is aimed at, one of [`ATTACK_CLASSES`].
    #[serde(default)]
    pub class: Option<String>,
    /// For an attack: what is done once its run has ended, in this order. The verdict is always computed again.
    #[serde(default)]
    pub after: Vec<After>,
    /// What must come of it.
    pub expect: Expect,
    /// What is different in one town: `builtin`, `gastown`, `gastown:queue` or `gastown:direct`. The most specific wins.
    #[serde(default)]
    pub town: BTreeMap<String, CaseTown>,
    /// Laid over the scenario's.
    #[serde(default)]
    pub timeouts: CaseTimeouts,
    /// Added to the scenario's.
    #[serde(default)]
    pub fault: Vec<Fault>,
    /// Programs laid over the scenario's, per role.
    #[serde(default)]
    pub agents: BTreeMap<String, AgentSpec>,
    /// Made in the scenario's files once the case's own are laid over them.
    #[serde(default)]
    pub change: Vec<Change>,
}

/// What attacks are aimed at; `honest` is the control: unusual, allowed, and without any problem.
pub const ATTACK_CLASSES: [&str; 8] =
    ["fence", "origins", "deliverables", "exercises", "evidence", "identity", "blame", "honest"];

/// What is done after the run of an attack, to see whether it outlives its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum After {
    /// What the attack made to look like the remains of a run is removed as `proctor clean` does.
    Clean,
    /// The scenario is played without the attack: it must pass without a problem, and record the true sums of its programs.
    Run,
}

/// What is different about a selftest case in one town. Exactly one of the two is given.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseTown {
    /// What must come of it there.
    #[serde(default)]
    pub expect: Option<Expect>,
    /// Why it is not played there.
    #[serde(default)]
    pub not_played: Option<String>,
}

impl CaseSpec {
    /// What is different in that town when work is merged in that way; the most specific entry wins.
    pub fn in_town(&self, town: TownKind, merge: Merge) -> Option<&CaseTown> {
        let town = town.word();
        self.town.get(&format!("{town}:{}", merge.word())).or_else(|| self.town.get(town))
    }

    /// What must come of it in that town, or why it is not played there.
    ///
    /// # Errors
    /// The reason, for people.
    pub fn expected_in(&self, town: TownKind, merge: Merge) -> Result<&Expect, &str> {
        match self.in_town(town, merge) {
            Some(CaseTown { not_played: Some(why), .. }) => Err(why),
            Some(CaseTown { expect: Some(expect), .. }) => Ok(expect),
            _ => Ok(&self.expect),
        }
    }
}

/// Plain text that a selftest case replaces in one file.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Path in the scenario's folder.
    pub file: String,
    /// Text that must be there exactly once.
    pub find: String,
    /// What stands there instead.
    pub with: String,
}

/// What a selftest case must end with.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The outcome: `failed`, `not_landed`, `harness_error`, …
    pub outcome: String,
    /// Id of a finding that must be there.
    #[serde(default)]
    pub finding: Option<String>,
    /// Ids of further findings that must be there.
    #[serde(default)]
    pub also: Vec<String>,
    /// Whether no other finding of level `problem` may be there.
    #[serde(default)]
    pub only: bool,
    /// Who did it: every finding that must be there (any, when none is named) tells of a worker of this rig, or holds this text.
    #[serde(default)]
    pub names: Option<String>,
}

impl Expect {
    /// Every finding that must be there.
    pub fn findings(&self) -> impl Iterator<Item = &str> {
        self.finding.iter().chain(&self.also).map(String::as_str)
    }
}

/// [`Timeouts`] of which only what is given replaces the scenario's.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CaseTimeouts {
    /// See [`Timeouts::landing`].
    pub landing: Option<Span>,
    /// See [`Timeouts::start`].
    pub start: Option<Span>,
    /// See [`Timeouts::receipt`].
    pub receipt: Option<Span>,
    /// See [`Timeouts::quiet`].
    pub quiet: Option<Span>,
    /// See [`Timeouts::exercise`].
    pub exercise: Option<Span>,
}

impl CaseTimeouts {
    /// Replaces in `base` what this case states.
    pub fn lay_over(&self, base: &mut Timeouts) {
        let pairs = [
            (&self.landing, &mut base.landing),
            (&self.start, &mut base.start),
            (&self.receipt, &mut base.receipt),
            (&self.quiet, &mut base.quiet),
            (&self.exercise, &mut base.exercise),
        ];
        for (own, target) in pairs {
            if let Some(own) = own {
                *target = *own;
            }
        }
    }
}

/// A length of time as scenario files write it: `500ms`, `30s`, `10m`, `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A text that is no [`Span`].
#[derive(Clone, Debug, thiserror::Error)]
#[error("`{0}` is not a duration")]
pub struct SpanError(String);

impl SpanError {
    /// How a duration is written.
    pub fn hint() -> &'static str {
        "write a whole number and a unit: 500ms, 30s, 10m, 1h"
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let bad = || SpanError(text.to_owned());
        let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let (number, unit) = text.split_at(split);
        let number: u64 = number.parse().map_err(|_| bad())?;
        let millis = match unit {
            "ms" => Some(number),
            "s" => number.checked_mul(1000),
            "m" => number.checked_mul(60_000),
            "h" => number.checked_mul(3_600_000),
            _ => None,
        };
        millis.map(|ms| Self(Duration::from_millis(ms))).ok_or_else(bad)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            0 => write!(f, "0s"),
            ms if ms % 3_600_000 == 0 => write!(f, "{}h", ms / 3_600_000),
            ms if ms % 60_000 == 0 => write!(f, "{}m", ms / 60_000),
            ms if ms % 1000 == 0 => write!(f, "{}s", ms / 1000),
            ms => write!(f, "{ms}ms"),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$",
            "title": "a duration", "description": SpanError::hint()})
    }
}
