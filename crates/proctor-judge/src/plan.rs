//! What a run was meant to show: the part of a scenario that judging needs, as the harness resolved it.
//!
//! Check and clause types are used directly by `scenario.toml` (see `proctor-harness`), so that one definition serves the
//! file, its JSON Schema and the judge. Unknown keys are errors.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `evidence/plan.json`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`crate::evidence::SCHEMA_VERSION`].
    pub schema: u32,
    /// Scenario name.
    pub scenario: String,
    /// Scenario title.
    pub title: String,
    /// Rigs that the scenario is about, in order.
    pub rigs: Vec<String>,
    /// Title of the convoy whose landing ends the run.
    pub convoy: String,
    /// How long landing may take, in seconds.
    pub landing_timeout_s: f64,
    /// The landed clauses, in the order they are shown.
    pub landed: Vec<Clause>,
    /// The exercises of phase 7: name and title.
    pub exercises: Vec<ExerciseName>,
    /// The checks.
    pub checks: Vec<Check>,
    /// What telemetry each kind of agent program owes, by the name that [`crate::evidence::AgentRow::telemetry`] uses.
    pub telemetry: BTreeMap<String, TelemetryExpectation>,
    /// Input tokens of one agent above which a finding says so.
    pub high_input_tokens: Option<u64>,
}

/// An exercise as the judge refers to it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExerciseName {
    /// `bob.signature_bit`.
    pub name: String,
    /// What it is, for people.
    pub title: String,
}

/// One clause of "landed". All must hold at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Clause {
    /// Every issue that the convoy tracks is closed.
    IssuesClosed,
    /// Each issue's submitted commit, or its rebased twin, is on the target branch.
    Merged,
    /// That branch is the one of the rig's origin.
    Pushed,
    /// No worker has a running session with work on its hook.
    NoWorkerBusy,
    /// The convoy is closed.
    ConvoyClosed,
}

/// What records an agent of some program must have left in the store to count as complete.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TelemetryExpectation {
    /// Bodies of log events of which there must be at least one each.
    #[serde(default)]
    pub events: Vec<String>,
    /// Metric names of which there must be at least one series each.
    #[serde(default)]
    pub metrics: Vec<String>,
    /// Whether the number of `claude_code.api_request` events must equal the gateway's answered exchanges.
    #[serde(default)]
    pub api_requests_match_gateway: bool,
    /// Whether the gateway's journal stands in for the program's own telemetry (programs that emit none).
    #[serde(default)]
    pub gateway_stands_in: bool,
}

/// One assertion over evidence. `id` is stable and unique: `exercise.bob.signature_bit`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// Stable, unique name, dotted.
    pub id: String,
    /// The sentence that holds when it passes: `bob.py refuses a forged message`.
    pub title: String,
    /// What it looks at and expects.
    #[serde(flatten)]
    pub kind: CheckKind,
}

/// The kinds of check, chosen by the key `kind`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CheckKind {
    /// A file on the target branch of a rig's origin.
    File(FileCheck),
    /// One step of one exercise.
    Exercise(ExerciseCheck),
    /// A mail that must have been sent.
    Mail(MailCheck),
    /// How many workers there were.
    Workers(WorkersCheck),
    /// The town's end state: convoy closed, every tracked issue closed and merged, merge queue empty, no session left.
    EndState {},
    /// No worker's commit is on the target branch of another worker's rig.
    OwnRepository {},
    /// No log event of severity ERROR but those allowed.
    NoErrors(NoErrorsCheck),
    /// Every agent's telemetry is complete, as [`Plan::telemetry`] says for its program.
    Telemetry {},
    /// A PromQL instant query at the end of the run.
    Promql(QueryCheck),
    /// A LogsQL query over the whole run; its value is the number of rows, or the one number a stats pipe gives.
    Logsql(QueryCheck),
    /// A ceiling over the run's totals.
    Budget(BudgetCheck),
}

/// See [`CheckKind::File`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FileCheck {
    /// The rig.
    pub rig: String,
    /// Path in its tree.
    pub path: String,
    /// Least number of letters (Unicode category L) in its text.
    #[serde(default)]
    pub min_letters: Option<u64>,
    /// Regular expressions that its text must match, in any order.
    #[serde(default)]
    pub matches: Vec<String>,
}

/// See [`CheckKind::Exercise`]. Every key that is given must hold. ANSI sequences are removed before text is compared.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ExerciseCheck {
    /// The exercise.
    pub exercise: String,
    /// Its step.
    pub step: String,
    /// Exit code: `0`, or `"nonzero"` (an exit code, not 0, not a time-out).
    #[serde(default)]
    pub exit: Option<ExitExpectation>,
    /// Standard output has this as a line of its own. `${fact}` stands for a fact stated by an earlier step.
    #[serde(default)]
    pub stdout_line: Option<String>,
    /// Standard output or standard error contains this, in any letter case.
    #[serde(default)]
    pub output_contains: Option<String>,
    /// Standard output or standard error matches this regular expression.
    #[serde(default)]
    pub output_matches: Option<String>,
    /// Neither stream contains this, whole or with its whitespace removed.
    #[serde(default)]
    pub output_lacks: Option<String>,
    /// Files that are there afterwards and not empty.
    #[serde(default)]
    pub files: Vec<String>,
    /// Watched files it opened.
    #[serde(default)]
    pub opened: Vec<String>,
    /// Name patterns (`*`) of watched files it did not open.
    #[serde(default)]
    pub not_opened: Vec<String>,
    /// Facts that the step stated, with their values.
    #[serde(default)]
    pub facts: BTreeMap<String, String>,
}

/// What exit code is expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ExitExpectation {
    /// Exactly this code.
    Code(i32),
    /// The word `nonzero`.
    Word(ExitWord),
}

/// Words for exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExitWord {
    /// An exit code that is not 0.
    Nonzero,
}

/// See [`CheckKind::Mail`]. More mails than the expected ones are no failure.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MailCheck {
    /// Sender's address: `mayor`.
    pub from: String,
    /// The rig whose tracked issue the recipient holds.
    pub to_holder_of: String,
    /// Exact subject.
    pub subject: String,
}

/// See [`CheckKind::Workers`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WorkersCheck {
    /// `polecat`.
    pub role: String,
    /// How many different agents of that role there must have been.
    pub count: u64,
    /// Least number of different rigs they belong to.
    #[serde(default)]
    pub rigs: Option<u64>,
}

/// See [`CheckKind::NoErrors`].
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct NoErrorsCheck {
    /// LogsQL filters of errors that are expected.
    #[serde(default)]
    pub except: Vec<String>,
}

/// See [`CheckKind::Promql`] and [`CheckKind::Logsql`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct QueryCheck {
    /// The query.
    pub query: String,
    /// What its value must be: `== 3`, `>= 1`, `!= 0`.
    pub expect: String,
}

/// See [`CheckKind::Budget`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BudgetCheck {
    /// `cost_usd`, `input_tokens`, `output_tokens`, `model_calls`, `seconds`.
    pub of: String,
    /// Largest value allowed.
    pub at_most: f64,
}
