//! What a run leaves on disk for judging: the rows and records of `evidence/`.
//!
//! These types are the seam between the harness, which writes them, and the judge, which only reads them. They say the same of
//! any town. Times are UTC (RFC 3339 on disk). Every file format is stated in `docs/evidence.md`; a change that an
//! old reader cannot take raises [`SCHEMA_VERSION`].

mod exercise;
mod push;
mod requests;
mod skipped;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::fence::{FenceGap, FenceMode, FenceRecord, Refusal, SIGNAL, SIGNALLED};
pub use exercise::{ExerciseRecord, FileState, NOT_STARTED, RuntimeChange, RuntimeRecord, StepRecord};
pub use push::{Push, PushKind};
pub use requests::{RefusalReason, RefusedRequests, Sender};
pub use skipped::{Skipped, SkippedFile, SkippedRow};

/// The version of every file below `evidence/`, written into `run.json` and `plan.json`.
pub const SCHEMA_VERSION: u32 = 1;

/// A moment, in UTC.
pub type Time = DateTime<Utc>;

/// An agent's address as its `GT_ROLE` says it: `mayor`, `alice/polecats/furiosa`, `alice/refinery`.
pub type AgentId = String;

/// Names of the files and folders below `evidence/`, relative to it.
pub mod path {
    /// [`super::RunRecord`].
    pub const RUN: &str = "run.json";
    /// [`crate::plan::Plan`]: the resolved scenario with its clauses, exercises and checks.
    pub const PLAN: &str = "plan.json";
    /// [`super::Sign`] rows.
    pub const SIGNS: &str = "signs.ndjson";
    /// [`super::FaultRow`] rows.
    pub const FAULTS: &str = "faults.ndjson";
    /// [`super::Bead`] rows.
    pub const BEADS: &str = "town/beads.ndjson";
    /// [`super::Convoy`] rows.
    pub const CONVOYS: &str = "town/convoys.ndjson";
    /// [`super::Mail`] rows.
    pub const MAIL: &str = "town/mail.ndjson";
    /// [`super::MergeRequest`] rows.
    pub const MERGE_REQUESTS: &str = "town/merge_requests.ndjson";
    /// [`super::AgentRow`] rows.
    pub const AGENTS: &str = "town/agents.ndjson";
    /// [`super::Session`] rows.
    pub const SESSIONS: &str = "town/sessions.ndjson";
    /// [`super::RigGit`] rows, one per rig.
    pub const GIT_RIGS: &str = "git/rigs.ndjson";
    /// [`super::Delivery`] rows, one per tracked issue.
    pub const DELIVERIES: &str = "git/deliveries.ndjson";
    /// [`super::Push`] rows: Proctor's own log of what was pushed to the served origins. Absent where origins are folders.
    pub const PUSHES: &str = "git/pushes.ndjson";
    /// The tree of a rig's target branch lies at `git/<rig>/tree/`, its whole history in `git/<rig>.bundle`.
    pub const GIT: &str = "git";
    /// One folder per exercise, each with a `record.json` ([`super::ExerciseRecord`]).
    pub const EXERCISE: &str = "exercise";
    /// Folder with what is needed to run an exercise again: the resolved scenario and its checks' programs.
    pub const SCENARIO: &str = "scenario";
    /// [`super::RuntimeRecord`]: what the exercises ran with.
    pub const RUNTIME: &str = "exercise/runtime.json";
    /// The run's store (see `proctor-store`).
    pub const TELEMETRY: &str = "telemetry";
    /// [`super::Exchange`] rows: the gateway's journal.
    pub const EXCHANGES: &str = "gateway/exchanges.ndjson";
    /// [`super::RefusedRequests`] rows.
    pub const REQUESTS: &str = "requests.ndjson";
    /// What the sessions printed, `<agent with / as +>.<n>.txt`.
    pub const TRANSCRIPTS: &str = "transcripts";
    /// [`super::Refusal`] rows; absent when nothing was refused.
    pub const REFUSALS: &str = "refusals.ndjson";
    /// What the town itself said, as it said it.
    pub const RAW: &str = "raw";
    /// [`super::SkippedRow`] rows: what was left out when the town's files were collected.
    pub const SKIPPED: &str = "skipped.ndjson";
    /// [`crate::seal::Seal`]: every file with its size and sum.
    pub const SEALED: &str = crate::seal::SEALED;
}

/// The key of [`RunRecord::notes`] that names the agent that filled the disk, and with how much: `north/polecats/rust 35.2 MB`.
pub const DISK_FILLED_BY: &str = "disk_filled_by";

/// The run itself: who, what, when, and how far it came. Written at the start and replaced after every phase, so that it
/// exists however the run ends.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RunRecord {
    /// [`SCHEMA_VERSION`].
    pub schema: u32,
    /// Short id, such as `7k3f`.
    pub id: String,
    /// Value of the resource attribute `proctor.run.id`: unique among all runs of all machines.
    pub run_id: String,
    /// The scenario's name, such as `crypto-tales`.
    pub scenario: String,
    /// The scenario's title, for people.
    pub title: String,
    /// `builtin`, `gastown`, …
    pub town: String,
    /// How the provider was played: `script`, `live`, …
    pub models: String,
    /// Seed of the ids that the built-in town gives out.
    pub seed: u64,
    /// The command line that repeats the run.
    pub command: String,
    /// When the run began.
    pub started_at: Time,
    /// When phase 7 ended; absent while the run goes on or when it was killed.
    pub ended_at: Option<Time>,
    /// The phases begun so far, in order. Phase 8 is the judge's own and never listed here.
    pub phases: Vec<Phase>,
    /// Why the cycle could not go on, when it could not.
    pub stopped: Option<Stopped>,
    /// How the prompt reached the coordinator.
    pub delivery: Option<Receipt>,
    /// Processes that outlived their agent or the town and were ended by the harness.
    pub leftovers: Vec<Leftover>,
    /// The fence around what agents start; absent in evidence of a Proctor that knew none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<FenceRecord>,
    /// What of the town could not be read or kept at the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<Loss>,
    /// Signals by which processes of the run asked Proctor to end, and which it did not obey.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<SignalRow>,
    /// Name and version of everything that took part: proctor, git, python, os, kernel, cpu, town programs.
    pub versions: BTreeMap<String, String>,
    /// Ports, paths and limits worth knowing when reading the evidence.
    pub notes: BTreeMap<String, String>,
    /// Whether the version that made the run seals its evidence when the run has ended (see [`crate::seal`]).
    #[serde(default)]
    pub seals: bool,
}

/// One of phases 1 to 7 as it went.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Phase {
    /// 1 to 7.
    pub number: u8,
    /// `reset telemetry`, `reset town`, `start telemetry`, `start town`, `inject prompt`, `wait for landing`, `collect`.
    pub name: String,
    /// When it began.
    pub started_at: Time,
    /// When it ended; absent for the phase in which the run stopped hard.
    pub ended_at: Option<Time>,
    /// Whether it did what it is for.
    pub ok: bool,
    /// One line for people: `closed 3/3 · merged 3/3 · pushed 3/3 · convoy closed`.
    pub detail: String,
    /// What the numbered Markdown report of this phase states, in order: label and value.
    pub facts: Vec<(String, String)>,
}

/// Why a cycle ended early.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Stopped {
    /// What kind of end it was.
    pub kind: StopKind,
    /// The phase it happened in.
    pub phase: u8,
    /// What happened, in one sentence.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

/// The kinds of early end; each has its outcome and exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopKind {
    /// The machine lacks something: Python, disk, a port, the package index.
    Environment,
    /// The model provider did not answer usefully.
    Provider,
    /// Proctor or a script of the scenario is at fault.
    Harness,
    /// A person or a signal ended the run.
    Cancelled,
    /// The landing deadline passed, or nobody was left who could land what was missing. Not an error of the run: the verdict is
    /// then `not_landed`.
    Timeout,
    /// After the agents had begun, something of the town could not be read or kept any more. Agents can bring that about, so that it is
    /// nobody else's fault: the verdict is that of the work, as far as it can be seen.
    Lost,
}

/// Something of the town that could not be read or kept after the agents had begun, which they can bring about. Collecting went on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Loss {
    /// What was being done: `keeping what the origins hold`.
    pub what: String,
    /// What happened, in one sentence.
    pub message: String,
    /// The agent whose doing it is, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
}

/// A signal to Proctor that a process of the run sent.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SignalRow {
    /// `SIGTERM`.
    pub signal: String,
    /// The process that sent it.
    pub pid: u32,
    /// Its command line, cut at 200 characters.
    pub command: String,
    /// The agent that its environment names, if any: not proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// When it arrived.
    pub at: Time,
}

/// Proof that the prompt was received, not only typed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    /// Bytes of the prompt.
    pub bytes: u64,
    /// When it was handed to the town.
    pub sent_at: Time,
    /// When the coordinator was seen to have it.
    pub received_at: Option<Time>,
    /// What proves it, such as `mayor's model request 2` or `user_prompt event`.
    pub proof: Option<String>,
    /// Whether the coordinator was seen to have all of it; absent where only a part or none could be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<bool>,
}

/// A process that was still there when it should have been gone.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Leftover {
    /// Process id.
    pub pid: u32,
    /// Its command line.
    pub command: String,
    /// The agent whose environment it carried, if any.
    pub agent: Option<AgentId>,
    /// Whether it is gone now.
    pub ended: bool,
}

/// An interval in which a clause was seen to have one value. A new row begins when the value or the count changes.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Sign {
    /// A [`crate::plan::Clause`] name: `issues_closed`, `merged`, `pushed`, `no_worker_busy`, `convoy_closed`.
    pub clause: String,
    /// Whether the clause held.
    pub value: bool,
    /// How far: `2/3`, `yes`, `alice/furiosa busy`.
    pub now: String,
    /// First observation in this interval.
    pub first_seen: Time,
    /// Last observation in this interval.
    pub last_seen: Time,
    /// Who said so: `bead store`, `git`, `sessions`.
    pub source: String,
    /// What exactly was seen: issues, commits, workers.
    pub detail: String,
}

/// A planned fault and, once it fired, when.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct FaultRow {
    /// Its name in the plan.
    pub name: String,
    /// What it does, for people.
    pub what: String,
    /// The moment it fired; absent when it never did, or did not last.
    pub fired_at: Option<Time>,
    /// The agent whose process it hit, for faults that hit one; with `program`, the agent whose request was the moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// The program of the town that it hit. What fails from then on may be its doing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// When the harness took it back, as planned or so that the end state could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_back_at: Option<Time>,
    /// Since when the town's state could not be read any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blind_from: Option<Time>,
    /// From when on it could be read again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blind_to: Option<Time>,
}

/// A work item at the end of the run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Bead {
    /// `al-k3x`.
    pub id: String,
    /// Title.
    pub title: String,
    /// `task`, `bug`, …
    pub kind: String,
    /// `open`, `hooked`, `in_progress`, `blocked`, `closed`, …
    pub status: String,
    /// 0 (critical) to 4.
    pub priority: u8,
    /// The agent that holds it.
    pub assignee: Option<AgentId>,
    /// The rig it belongs to, absent for the town's own.
    pub rig: Option<String>,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: Time,
    /// When it was closed.
    pub closed_at: Option<Time>,
    /// Why and by whom it was closed.
    pub close_reason: Option<String>,
    /// The agent that closed it.
    pub closed_by: Option<String>,
    /// Full text.
    pub description: String,
}

/// A convoy at the end of the run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Convoy {
    /// `hq-cv-…`.
    pub id: String,
    /// Title.
    pub title: String,
    /// `open` or `closed`.
    pub status: String,
    /// Ids of the issues it tracks.
    pub tracked: Vec<String>,
    /// When it was made.
    pub created_at: Time,
    /// When it was closed.
    pub closed_at: Option<Time>,
}

/// One message.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Mail {
    /// Its id.
    pub id: String,
    /// Sender, as an agent address without `polecats/`: `mayor`, `alice/furiosa`.
    pub from: String,
    /// Recipient, likewise.
    pub to: String,
    /// Subject.
    pub subject: String,
    /// Body.
    pub body: String,
    /// When it was sent.
    pub at: Time,
    /// Whether it was read.
    pub read: bool,
}

/// A submission to a merge queue.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MergeRequest {
    /// Its id.
    pub id: String,
    /// The issue it resolves.
    pub issue: String,
    /// Its rig.
    pub rig: String,
    /// Submitted branch.
    pub branch: String,
    /// Target branch.
    pub target: String,
    /// Who submitted it.
    pub worker: AgentId,
    /// Submitted commit.
    pub commit: Option<String>,
    /// `open`, `merged`, `conflict`, `rejected`, `superseded`.
    pub status: String,
    /// The commit on the target branch.
    pub merge_commit: Option<String>,
    /// When it was submitted.
    pub created_at: Time,
    /// When it was decided.
    pub closed_at: Option<Time>,
    /// Why it was not merged.
    pub reason: Option<String>,
}

/// An agent as the town knew it at the end.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AgentRow {
    /// Its address.
    pub agent: AgentId,
    /// `mayor`, `polecat`, …
    pub role: String,
    /// Its rig.
    pub rig: Option<String>,
    /// Its own name, such as `furiosa`; the role for singletons.
    pub name: String,
    /// The program that played it: `builtin`, `claude`, or the command.
    pub program: String,
    /// `working`, `idle`, `done`, `stalled`, …
    pub state: String,
    /// The issue it held last.
    pub issue: Option<String>,
    /// What telemetry this program owes: key of [`crate::plan::Plan::telemetry`]. `none` owes nothing.
    pub telemetry: String,
}

/// One process life of an agent.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    /// `hq-mayor`, `al-furiosa`.
    pub session: String,
    /// Value of `GT_RUN` for this life: Gas Town's `run.id`.
    pub run_id: String,
    /// Whose it is.
    pub agent: AgentId,
    /// `mayor`, `polecat`, …
    pub role: String,
    /// Its rig.
    pub rig: Option<String>,
    /// Its process.
    pub pid: Option<u32>,
    /// The command it ran.
    pub command: Vec<String>,
    /// When it began.
    pub started_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// How it ended: `exit 0`, `signal 9`, `stopped by gt mayor stop`.
    pub exit: Option<String>,
    /// The issue on its hook.
    pub issue: Option<String>,
    /// Its branch.
    pub branch: Option<String>,
}

/// What a rig's origin holds at the end.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RigGit {
    /// The rig.
    pub rig: String,
    /// Target branch, such as `main`.
    pub target: String,
    /// Its head; absent when the origin or the branch does not exist.
    pub head: Option<String>,
    /// Commits on the target branch, newest first.
    pub commits: Vec<Commit>,
    /// Files on the target branch.
    pub files: Vec<GitFile>,
    /// Other branches and their heads.
    pub branches: BTreeMap<String, String>,
    /// Heads that the target branch had and that are no longer among its ancestors: it was rewound.
    pub rewound: Vec<String>,
    /// Why commits and files are not all of them, in words; empty when they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<String>,
}

impl RigGit {
    /// An origin that holds nothing.
    pub fn empty(rig: &str, target: &str) -> Self {
        Self {
            rig: rig.into(),
            target: target.into(),
            head: None,
            commits: Vec::new(),
            files: Vec::new(),
            branches: BTreeMap::new(),
            rewound: Vec::new(),
            cut: Vec::new(),
        }
    }
}

/// A commit on a target branch.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Commit {
    /// Full hash.
    pub sha: String,
    /// Author's name: an agent's address for agents.
    pub author: String,
    /// Author's mail address.
    pub email: String,
    /// Author time.
    pub at: Time,
    /// First line of the message.
    pub subject: String,
    /// Paths it touched.
    pub files: Vec<String>,
}

/// A file on a target branch.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct GitFile {
    /// Path in the tree; bytes that are no UTF-8 as `\\xff`.
    pub path: String,
    /// Git's mode: `100644`, `100755`, `120000` (link), `160000` (submodule).
    pub mode: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the content, lower-case hex; empty when it was not read.
    pub sha256: String,
    /// Where a link points to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Why it does not lie below `git/<rig>/tree/`; absent when it does, and for a link that stays inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_kept: Option<String>,
}

/// What became of one tracked issue's work, as git tells it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Delivery {
    /// The issue.
    pub issue: String,
    /// Its rig.
    pub rig: String,
    /// Who worked on it.
    pub worker: Option<AgentId>,
    /// Submitted branch.
    pub branch: Option<String>,
    /// Submitted commit.
    pub submitted: Option<String>,
    /// How many commits of its own the branch had above its base.
    pub own_commits: u32,
    /// Whether the submitted commit or its rebased twin is on the origin's target branch.
    pub merged: bool,
    /// The commit that stands for it there.
    pub merged_as: Option<String>,
    /// How it was recognised: `same commit`, `same change (patch id)`.
    pub how: Option<String>,
    /// The files in which the submitted commit conflicts with the target branch; empty when it does not, when it is merged, or when git
    /// is too old to say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<String>,
}

/// One exchange between an agent and the gateway, as the gateway's journal has it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Exchange {
    /// Order of arrival in the journal, from 1.
    pub n: u64,
    /// The agent whose address the path held, with its token; empty: the row counts for nobody.
    pub agent: AgentId,
    /// The agent that the path named without its token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed: Option<AgentId>,
    /// The process that sent it: of requests that count for nobody, have no answer in a script or ask for what does not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Sender>,
    /// When the request had arrived whole.
    pub at: Time,
    /// Until the answer's last byte was handed over.
    pub duration_ms: f64,
    /// `POST /v1/messages`; of what does not exist its method and path, cut at 200 bytes.
    pub request: String,
    /// Model asked for.
    pub model: Option<String>,
    /// Whether the answer was streamed.
    pub stream: bool,
    /// Assistant messages already in the conversation.
    pub turn: u32,
    /// SHA-256 of the request body.
    pub sha256: String,
    /// HTTP status of the answer.
    pub status: u16,
    /// `end_turn`, `tool_use`, … of the answer.
    pub stop_reason: Option<String>,
    /// What answered: `mayor.toml turn 1 step 3`.
    pub matched: Option<String>,
    /// Why nothing answered: which text no rule matched.
    pub miss: Option<String>,
    /// Name of the fault that was injected into this exchange.
    pub fault: Option<String>,
    /// Tokens as told to the agent.
    pub input_tokens: u64,
    /// Tokens as told to the agent.
    pub output_tokens: u64,
    /// The newest user text or tool result of the request, cut at 4 KiB.
    pub asked: String,
    /// The text and commands of the answer, cut at 4 KiB.
    pub answered: String,
    /// Where the whole request and answer lie, relative to `gateway/`.
    pub body: Option<String>,
}

impl Exchange {
    /// Whether an agent asked something of its model: not what does not exist, and not in nobody's name.
    pub fn is_of_a_model(&self) -> bool {
        let request = self.request.split('?').next().unwrap_or_default();
        let is_played = matches!(request, "POST /v1/messages" | "POST /v1/messages/count_tokens");
        is_played && !self.agent.is_empty() && self.claimed.is_none()
    }
}
