//! `summary.json`: everything that is known about a run once it is judged, for programs.
//!
//! Terminal, Markdown, HTML and JUnit say the same facts, because they are made from this. Paths are relative to the run's folder,
//! so that a moved run gives the same bytes. The JSON Schema lies in `schemas/summary.schema.json`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::evidence::{AgentId, FenceRecord, Time};
use crate::outcome::Outcome;

/// The version of `summary.json`. A change that an old reader cannot take raises it.
pub const SCHEMA_VERSION: u32 = 1;

/// The whole of `summary.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Which run this is.
    pub run: RunInfo,
    /// The verdict in one word.
    pub outcome: Outcome,
    /// The exit code that belongs to it.
    pub exit_code: u8,
    /// What happened, in one sentence.
    pub headline: String,
    /// Phases 1 to 7 as they went. Phase 8 is this judgement; see [`Summary::judged`].
    pub phases: Vec<PhaseSummary>,
    /// The fence around what agents start: how it was set, what holds of it and what is open. Absent in evidence of a Proctor
    /// that knew none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<FenceRecord>,
    /// The landed clauses, in the order of the plan.
    pub landed: Vec<ClauseSummary>,
    /// Every agent that had a session, spoke to the gateway or sent telemetry: coordinator first, then by rig and name.
    pub agents: Vec<AgentSummary>,
    /// What the origins hold, per rig.
    pub rigs: Vec<RigSummary>,
    /// What was run on what was merged.
    pub exercises: Vec<ExerciseSummary>,
    /// Every check, in the order of the plan.
    pub checks: Vec<CheckSummary>,
    /// What the judge noticed, worst first. A failed or unknown check has a finding with the check's id.
    pub findings: Vec<Finding>,
    /// The seed's reference queries with their answers.
    pub queries: Vec<QueryAnswer>,
    /// What was sent to the run's store and is not in it, or not as it was sent.
    #[serde(default)]
    pub intake: IntakeSummary,
    /// Sums over the run.
    pub totals: Totals,
    /// Name and version of everything that took part.
    pub versions: BTreeMap<String, String>,
    /// Whether the evidence is what the run wrote.
    #[serde(default)]
    pub seal: SealSummary,
}

/// The evidence compared with its seal, `evidence/sealed.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SealSummary {
    /// The answer.
    pub status: SealStatus,
    /// The digest of the sealed list, 64 hexadecimal digits; absent when there is no seal that can be believed.
    pub digest: Option<String>,
    /// Number of files that were sealed.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Number of files that are missing, changed, or not the run's.
    pub changed: u64,
    /// Why the evidence is not what was sealed, or was never sealed.
    pub why: Option<String>,
}

/// Whether evidence is what was sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SealStatus {
    /// Every file is there as the run wrote it, and no other.
    Sealed,
    /// Something differs.
    Changed,
    /// The run was killed before it was sealed, or was made by a version that sealed nothing.
    #[default]
    Never,
}

/// Which run, of what, how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunInfo {
    /// Short id.
    pub id: String,
    /// Value of `proctor.run.id`.
    pub run_id: String,
    /// Scenario name.
    pub scenario: String,
    /// Scenario title.
    pub title: String,
    /// The town under test.
    pub town: String,
    /// How the model provider was played.
    pub models: String,
    /// Seed of the built-in town's ids.
    pub seed: u64,
    /// The command line that repeats the run.
    pub command: String,
    /// When it began.
    pub started_at: Time,
    /// When phase 7 ended; absent when it did not.
    pub ended_at: Option<Time>,
    /// Seconds from the beginning to the last moment that the evidence knows of.
    pub duration_s: f64,
}

/// One phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseSummary {
    /// 1 to 7.
    pub number: u8,
    /// Its name.
    pub name: String,
    /// Whether it did what it is for.
    pub ok: bool,
    /// When it began.
    pub started_at: Time,
    /// Seconds it took; absent when it never ended.
    pub duration_s: Option<f64>,
    /// One line for people.
    pub detail: String,
}

/// A landed clause at the end of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClauseSummary {
    /// Its name: `merged`.
    pub clause: String,
    /// For people: `merged on main`.
    pub title: String,
    /// Whether it holds; absent when nothing was seen.
    pub value: Option<bool>,
    /// How far it came: `2/3`, `yes`.
    pub now: String,
    /// Last moment at which it was seen not to hold.
    pub last_false: Option<Time>,
    /// First moment, after that, at which it was seen to hold.
    pub first_true: Option<Time>,
    /// The same moment in seconds since the run began.
    pub true_after_s: Option<f64>,
    /// Who said so: `git`.
    pub source: String,
    /// Where the newest sign stands: `evidence/signs.ndjson:41`.
    pub evidence: Option<String>,
}

/// An agent: what it used, how it ended, whether its telemetry is whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentSummary {
    /// Its address: `alice/polecats/furiosa`.
    pub agent: AgentId,
    /// `mayor`, `polecat`, …
    pub role: String,
    /// Its rig.
    pub rig: Option<String>,
    /// The program that played it.
    pub program: String,
    /// Names of its sessions, oldest first.
    pub sessions: Vec<String>,
    /// The state the town saw last.
    pub state: Option<String>,
    /// The issue it held last.
    pub issue: Option<String>,
    /// How its last session ended.
    pub exit: Option<String>,
    /// Where the figures below come from.
    pub usage_from: UsageSource,
    /// Model calls answered.
    pub model_calls: u64,
    /// Input tokens, without those read from or written to a cache.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Tokens read from the provider's cache.
    pub cache_read_tokens: u64,
    /// Tokens written to the provider's cache.
    pub cache_creation_tokens: u64,
    /// Cost in US dollars as the agent's program stated it.
    pub cost_usd: f64,
    /// What its time went on.
    pub time: AgentTime,
    /// Whether its telemetry is whole.
    pub telemetry: TelemetrySummary,
}

/// Where an agent's figures come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsageSource {
    /// Its own `claude_code.api_request` events.
    Telemetry,
    /// The gateway's journal, because the program sends none or its records are missing.
    Gateway,
    /// Neither knows of a model call.
    None,
}

/// Seconds of an agent's sessions, by what they went on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentTime {
    /// Sessions alive, summed.
    pub alive_s: f64,
    /// Waiting for the model, by the gateway's journal.
    pub model_s: f64,
    /// Running tools, by its `claude_code.tool_result` events.
    pub tools_s: f64,
    /// The rest: waiting for input, mail or its turn to end.
    pub other_s: f64,
}

/// Whether an agent's telemetry is whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TelemetrySummary {
    /// The answer.
    pub status: TelemetryStatus,
    /// Log events that came by this agent's address and do not claim to be another's.
    pub events: u64,
    /// Metric series likewise.
    pub series: u64,
    /// What is not there, one entry each.
    pub missing: Vec<String>,
    /// Why, as far as the evidence tells.
    pub cause: Option<String>,
}

/// Whether what a program owes is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TelemetryStatus {
    /// Everything that its program owes is in the store.
    Complete,
    /// Something is missing.
    Incomplete,
    /// Its program owes nothing, or the gateway's journal stands in for it.
    NotExpected,
    /// The store could not be read, the run stopped before telemetry was flushed, or Proctor did not take all that the agent sent.
    Unknown,
}

/// What a rig's origin holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RigSummary {
    /// The rig.
    pub rig: String,
    /// Target branch.
    pub target: String,
    /// Its head.
    pub head: Option<String>,
    /// Commits on it, newest first.
    pub commits: Vec<CommitSummary>,
    /// Its files.
    pub files: Vec<FileSummary>,
    /// What became of its tracked issues.
    pub issues: Vec<IssueSummary>,
}

/// A commit on a target branch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommitSummary {
    /// Full hash.
    pub sha: String,
    /// Author.
    pub author: String,
    /// Author time.
    pub at: Time,
    /// First line of the message.
    pub subject: String,
}

/// A file on a target branch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FileSummary {
    /// Path in the tree.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256, lower-case hex.
    pub sha256: String,
}

/// A tracked issue and the fate of its work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IssueSummary {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its status in the town.
    pub status: String,
    /// Who worked on it.
    pub worker: Option<AgentId>,
    /// Whether its work is on the target branch.
    pub merged: Option<bool>,
    /// The commit that stands for it there.
    pub merged_as: Option<String>,
}

/// An exercise and its steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExerciseSummary {
    /// Its name.
    pub name: String,
    /// What it is.
    pub title: String,
    /// Its steps, in order.
    pub steps: Vec<StepSummary>,
    /// Why it was not done.
    pub not_done: Option<String>,
}

/// One step of an exercise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepSummary {
    /// Its name.
    pub name: String,
    /// The command line.
    pub command: String,
    /// `exit 0`, `signal 9`, `time limit 60 s`.
    pub ended: String,
    /// Milliseconds it took.
    pub duration_ms: f64,
}

/// A check's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckSummary {
    /// Its id.
    pub id: String,
    /// The sentence that holds when it passes.
    pub title: String,
    /// Its kind: `exercise`.
    pub kind: String,
    /// The answer.
    pub status: CheckStatus,
    /// What was expected.
    pub expected: String,
    /// What was seen; for `unknown`: why nothing could be.
    pub saw: String,
    /// Where it stands.
    pub evidence: Vec<Evidence>,
    /// The command to type next, when it did not pass.
    pub next: Option<String>,
    /// Id of the check that does not hold for the same reason, when this one could not be judged because its step was not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<String>,
}

/// A check's answer in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// It holds.
    Passed,
    /// It does not hold.
    Failed,
    /// The evidence does not tell.
    Unknown,
}

/// One thing the judge noticed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Stable name; the table stands in `docs/report.md`. For a check: the check's id.
    pub id: String,
    /// How bad it is.
    pub level: Level,
    /// What it is, in one sentence.
    pub title: String,
    /// What was expected.
    pub expected: Option<String>,
    /// What was seen.
    pub saw: Option<String>,
    /// Further facts, in order: label and text, such as `merged as`.
    pub details: Vec<Detail>,
    /// Where it stands.
    pub evidence: Vec<Evidence>,
    /// The command to type next.
    pub next: Option<String>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// It decides the outcome or is a reason for it.
    Problem,
    /// Something is wrong, and the outcome does not depend on it.
    Warning,
    /// Worth knowing.
    Note,
}

/// A labelled fact of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Detail {
    /// `merged as`, `branch`, `last seen`.
    pub label: String,
    /// The fact.
    pub text: String,
}

/// Where a fact stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// What `at` is.
    pub kind: EvidenceKind,
    /// A path relative to the run's folder, with `:line` where it is one line; or a query.
    pub at: String,
}

/// Kinds of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceKind {
    /// A file or folder of the run.
    Path,
    /// A PromQL query over the run's store.
    Promql,
    /// A LogsQL query over the run's store.
    Logsql,
}

/// What was sent to the run's store and is not in it, or not as it was sent: sums, then every loss.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IntakeSummary {
    /// Requests of which nothing could be read.
    pub refused_requests: u64,
    /// Records that could not be read, of requests that were taken.
    pub rejected: u64,
    /// Records that were taken with something replaced or left out.
    pub repaired: u64,
    /// Records that came again, and count once.
    pub repeated: u64,
    /// Records whose time lies far outside the run; they are kept.
    pub far_off: u64,
    /// Attributes, events and links that senders say they dropped.
    pub dropped: u64,
    /// By kind, then by sender.
    pub losses: Vec<LossSummary>,
}

/// Requests or records of one sender that suffered the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LossSummary {
    /// `refused`, `rejected`, `repaired`, `repeated`, `far_off`, `dropped`.
    pub kind: String,
    /// Whose address they came by, with its token; absent for the town's own paths.
    pub agent: Option<AgentId>,
    /// The agent that the address named without its token.
    pub claimed: Option<AgentId>,
    /// `logs`, `metrics`, `traces`.
    pub signal: String,
    /// Why.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// The first, as far as it can be shown.
    pub example: String,
    /// When the first came.
    pub first_at: Time,
}

/// A reference query and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QueryAnswer {
    /// What it asks, for people.
    pub title: String,
    /// `promql` or `logsql`.
    pub language: EvidenceKind,
    /// The query.
    pub query: String,
    /// What the store answered: a value per line of labels, or a number of rows.
    pub answer: Vec<QueryRow>,
    /// How many rows or series there are, shown or not; absent when the query could not be run.
    pub count: Option<u64>,
    /// Why there is no answer, when there is none.
    pub why_empty: Option<String>,
    /// The query that has the figure instead, with its answer.
    pub instead: Option<Box<QueryAnswer>>,
}

/// One line of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueryRow {
    /// Labels, or what is counted.
    pub label: String,
    /// The value.
    pub value: String,
}

/// Sums over the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    /// Model calls answered.
    pub model_calls: u64,
    /// Input tokens.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Tokens read from the provider's cache.
    pub cache_read_tokens: u64,
    /// Tokens written to the provider's cache.
    pub cache_creation_tokens: u64,
    /// Cost in US dollars.
    pub cost_usd: f64,
    /// Log records in the store.
    pub events: u64,
    /// Log records of severity ERROR.
    pub errors: u64,
    /// Log records, metric points and spans that contradict the address they came by, counted for no agent.
    pub contradicted: u64,
    /// Work items at the end.
    pub beads: u64,
    /// Messages sent.
    pub mails: u64,
    /// Exercises done.
    pub exercises_done: u64,
    /// Exercises planned.
    pub exercises_planned: u64,
    /// Checks that hold.
    pub checks_passed: u64,
    /// Checks that do not hold.
    pub checks_failed: u64,
    /// Checks that could not be judged.
    pub checks_unknown: u64,
    /// Findings of level `problem`.
    pub problems: u64,
    /// Findings of level `warning`.
    pub warnings: u64,
    /// Findings of level `note`.
    pub notes: u64,
}

impl Summary {
    /// The line of phase 8: `42 checks hold · 1 warning`. Notes are always there and say nothing of the verdict.
    #[must_use]
    pub fn judged(&self) -> String {
        let totals = &self.totals;
        let mut parts = Vec::new();
        let mut part = |n: u64, one: &str, many: &str| {
            if n > 0 {
                parts.push(format!("{n} {}", if n == 1 { one } else { many }));
            }
        };
        part(totals.checks_failed, "check fails", "checks fail");
        part(totals.checks_unknown, "check unknown", "checks unknown");
        part(totals.checks_passed, "check holds", "checks hold");
        part(totals.problems, "problem", "problems");
        part(totals.warnings, "warning", "warnings");
        parts.join(" · ")
    }

    /// A name for each finding, in their order: its id, and where several share one, `id`, `id#2`, `id#3` and so on.
    #[must_use]
    pub fn finding_names(&self) -> Vec<String> {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        let mut names = Vec::with_capacity(self.findings.len());
        for finding in &self.findings {
            let number = seen.entry(&finding.id).and_modify(|n| *n += 1).or_insert(1);
            names.push(if *number == 1 { finding.id.clone() } else { format!("{}#{number}", finding.id) });
        }
        names
    }

    /// The finding of that name; `id#1` is the first of its id.
    #[must_use]
    pub fn finding(&self, name: &str) -> Option<&Finding> {
        let plain = name.strip_suffix("#1").unwrap_or(name);
        let index = self.finding_names().iter().position(|known| known == plain)?;
        self.findings.get(index)
    }

    /// The JSON Schema of `summary.json`, as it is checked in at `schemas/summary.schema.json`.
    #[must_use]
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(Summary).to_value()
    }
}
