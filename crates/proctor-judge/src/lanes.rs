//! The picture of a run as data: phases, landed clauses, one lane per agent session, events in lanes and links between them.
//!
//! [`Lanes::of`] joins the evidence rows and the log records of a run. Identity comes from exact keys first (the address a record
//! arrived by, then its session, role and run id) and from time last. A record nobody can be named for lies in a lane of its own,
//! with its count and cost; nothing is left out without being counted in [`Lanes::tally`].

use std::collections::BTreeMap;

use serde::Serialize;

use crate::evidence::{AgentId, Time};

mod build;
mod detail;
mod identity;
mod joins;
mod links;
mod material;
mod query;
mod record;
mod signs;
mod store;
#[cfg(test)]
pub(crate) mod tests;

pub use detail::{Detail, Section};
pub use material::{LogRow, Material, ReadError};
pub use query::{Density, Facts, Filter, LaneDensity, Page, Row, Window};

/// The run as a picture. Every time in it is in seconds since [`Lanes::origin`].
#[derive(Clone, Debug, Serialize)]
pub struct Lanes {
    /// The run's start: second 0.
    pub origin: Time,
    /// Leftmost second of the picture; negative when a record is older than the run.
    pub start: f64,
    /// Rightmost second: the run's end, or of a run in progress its newest record.
    pub end: f64,
    /// Whether the run was still going on when its evidence was read.
    pub live: bool,
    /// Phases begun so far.
    pub phases: Vec<PhaseSpan>,
    /// Landed clauses, in the order the signs name them.
    pub clauses: Vec<ClauseMark>,
    /// Other moments worth a mark: prompt received, landed, planned faults.
    pub marks: Vec<Mark>,
    /// Lanes, top to bottom: coordinator, workers by rig, each rig's merge queue, others, records of nobody.
    pub lanes: Vec<Lane>,
    /// Events, by start and then by id.
    #[serde(skip)]
    pub events: Vec<Event>,
    /// Arrows between lanes, by start.
    #[serde(skip)]
    pub links: Vec<Link>,
    /// How many records went where, so that nothing is lost unseen.
    pub tally: Tally,
}

/// One phase on the time axis.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PhaseSpan {
    /// 1 to 7.
    pub number: u8,
    /// Its name: `wait for landing`.
    pub name: String,
    /// Start, in seconds.
    pub start: f64,
    /// End, in seconds; of an unfinished phase the picture's end.
    pub end: f64,
    /// Whether it did what it is for.
    pub ok: bool,
    /// Whether it has ended.
    pub ended: bool,
    /// One line for people.
    pub detail: String,
}

/// A landed clause: whether it holds at the end, and since when.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClauseMark {
    /// The clause's name: `issues_closed`.
    pub clause: String,
    /// The same for people: `issues closed`.
    pub label: String,
    /// Whether it holds at the end of what was seen.
    pub value: bool,
    /// How far it came: `3/3`.
    pub now: String,
    /// First second of the last interval in which it held; absent when it does not hold.
    pub since: Option<f64>,
    /// Last second at which it was seen false.
    pub last_false: Option<f64>,
    /// Who said so.
    pub source: String,
    /// What exactly was seen.
    pub detail: String,
}

/// A moment of the whole run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mark {
    /// When, in seconds.
    pub at: f64,
    /// `prompt`, `landed` or `fault`.
    pub kind: String,
    /// For people, short: `fault worker-killed`.
    pub label: String,
    /// What happened, where the label does not say it all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// What a lane stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneKind {
    /// One process life of an agent.
    Session,
    /// An agent that left records but no session row (a run in progress, a foreign town).
    Agent,
    /// The merge queue of a rig.
    MergeQueue,
    /// Records that no agent could be named for.
    Unattributed,
    /// Records whose own identity contradicts the address they came by: shown, counted for nobody.
    Contradicted,
}

/// One row of the picture.
#[derive(Clone, Debug, Serialize)]
pub struct Lane {
    /// Stable id: the session's name, `.2` appended for its second life; `queue:alice`; `nobody`; `contradicted`.
    pub id: String,
    /// What it stands for.
    pub kind: LaneKind,
    /// The agent's full address; empty for lanes of nobody.
    pub agent: AgentId,
    /// The short address that people use: `alice/furiosa`.
    pub label: String,
    /// `mayor`, `polecat`, `refinery`, …; empty for lanes of nobody.
    pub role: String,
    /// Its rig.
    pub rig: Option<String>,
    /// The session's name.
    pub session: Option<String>,
    /// The issue on its hook.
    pub issue: Option<String>,
    /// Program that played the agent.
    pub program: Option<String>,
    /// Start, in seconds.
    pub start: f64,
    /// End, in seconds; of a session in progress the picture's end.
    pub end: f64,
    /// Whether the session has ended.
    pub ended: bool,
    /// How it ended: `exit 0`.
    pub exit: Option<String>,
    /// Events by kind.
    pub counts: BTreeMap<&'static str, u64>,
    /// Events that failed.
    pub errors: u64,
    /// Input tokens of its model calls, without what was read from or written to a cache.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Cost in USD, as its records say; absent when none of them does.
    pub cost_usd: Option<f64>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A request to the model and its answer.
    ModelCall,
    /// A tool the agent ran.
    ToolCall,
    /// A text that the agent was given.
    Prompt,
    /// A message sent or read.
    Mail,
    /// Text typed into another agent's terminal.
    Nudge,
    /// Work handed to an agent.
    Sling,
    /// An agent says that its work is done.
    Done,
    /// A submission to a merge queue, until it was decided.
    Merge,
    /// An agent reads its role and work.
    Prime,
    /// A call of the work-item store.
    Bd,
    /// A session or worker began or ended.
    Lifecycle,
    /// Any other record.
    Other,
}

impl Kind {
    /// Every kind, in the order in which they are offered.
    pub const ALL: [Kind; 12] = [
        Kind::ModelCall,
        Kind::ToolCall,
        Kind::Prompt,
        Kind::Mail,
        Kind::Nudge,
        Kind::Sling,
        Kind::Done,
        Kind::Merge,
        Kind::Prime,
        Kind::Bd,
        Kind::Lifecycle,
        Kind::Other,
    ];

    /// The name used in files, addresses and filters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::ModelCall => "model_call",
            Kind::ToolCall => "tool_call",
            Kind::Prompt => "prompt",
            Kind::Mail => "mail",
            Kind::Nudge => "nudge",
            Kind::Sling => "sling",
            Kind::Done => "done",
            Kind::Merge => "merge",
            Kind::Prime => "prime",
            Kind::Bd => "bd",
            Kind::Lifecycle => "lifecycle",
            Kind::Other => "other",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Where an event's facts lie in the [`Material`]: indexes into its rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) log: Option<usize>,
    pub(crate) exchange: Option<usize>,
    pub(crate) mail: Option<usize>,
    pub(crate) merge_request: Option<usize>,
}

/// One thing that happened in a lane.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// Stable id: `x12` (exchange 12 of the gateway's journal), `m-<mail>`, `q-<merge request>`, `e7` (the store's record 7).
    pub id: String,
    /// Index into [`Lanes::lanes`].
    pub lane: usize,
    /// Start, in seconds: records are stamped when what they tell of ended, so this is the stamp minus the duration.
    pub start: f64,
    /// End, in seconds.
    pub end: f64,
    /// What happened.
    pub kind: Kind,
    /// One line for people.
    pub title: String,
    /// Whether it failed.
    pub error: bool,
    /// Cost in USD, where the record says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// Input tokens of a model call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Output tokens of a model call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    #[serde(skip)]
    pub(crate) source: Source,
}

/// What an arrow means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// From a sling to the session it started.
    Sling,
    /// From a mail's sending to its reading, or to its reader's lane when no reading was recorded.
    Mail,
    /// From a nudge to the lane it was typed into.
    Nudge,
    /// From a worker's `done` to its submission in the merge queue.
    Done,
}

/// An arrow between two lanes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Link {
    /// What it means.
    pub kind: LinkKind,
    /// Index of the lane it leaves.
    pub from: usize,
    /// When it leaves, in seconds.
    pub from_at: f64,
    /// Index of the lane it reaches.
    pub to: usize,
    /// When it reaches it, in seconds.
    pub to_at: f64,
    /// Id of the event it leaves from.
    pub event: String,
    /// Id of the event it reaches, where that is one.
    pub to_event: Option<String>,
    /// For people: a mail's subject, an issue.
    pub label: String,
    /// Whether both ends are joined by an id; otherwise by address and time.
    pub exact: bool,
}

/// How many records there were and where they went.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Tally {
    /// Log records read.
    pub log_records: u64,
    /// Rows of the gateway's journal read.
    pub exchanges: u64,
    /// Mails read.
    pub mails: u64,
    /// Submissions read.
    pub merge_requests: u64,
    /// Events shown.
    pub events: u64,
    /// Events by kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Log records shown as part of another event, by reason: `model call joined with its exchange`.
    pub joined: BTreeMap<String, u64>,
    /// Records that nobody could be named for, by reason, with their cost.
    pub unattributed: BTreeMap<String, Share>,
    /// Records whose identity contradicts their address, by the agent they claim, with their cost.
    pub contradicted: BTreeMap<String, Share>,
    /// Links that could not be drawn because one end names no known lane, by reason.
    pub unresolved_links: BTreeMap<String, u64>,
    /// Lines and files that could not be read, each with its place.
    pub unreadable: Vec<String>,
    /// Cost of all records, in USD; absent when no record says a cost.
    pub cost_usd: Option<f64>,
}

/// A part of the records.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Share {
    /// How many records.
    pub count: u64,
    /// What they cost, in USD.
    pub cost_usd: f64,
}

impl Lanes {
    /// Joins what was read into a picture.
    #[must_use]
    pub fn of(material: &Material) -> Lanes {
        build::build(material)
    }

    /// The event with this id, and its index.
    #[must_use]
    pub fn event(&self, id: &str) -> Option<(usize, &Event)> {
        self.events.iter().enumerate().find(|(_, event)| event.id == id)
    }

    /// When all clauses held, in seconds; absent while one does not.
    #[must_use]
    pub fn landed_at(&self) -> Option<f64> {
        let since: Option<Vec<f64>> = self.clauses.iter().map(|clause| clause.since).collect();
        since?.into_iter().reduce(f64::max)
    }
}
