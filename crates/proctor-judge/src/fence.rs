//! What a run's record says of its fence: how it was set, what of it holds, what is open, and what it refused.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::evidence::{AgentId, Time};

/// How a fence was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FenceMode {
    /// As much of it as the kernel has is enforced.
    #[default]
    On,
    /// Nothing is enforced; what it would have refused is recorded.
    Warn,
    /// There is none.
    Off,
}

impl FenceMode {
    /// As flags and evidence name it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Warn => "warn",
            Self::Off => "off",
        }
    }
}

/// The fence around everything that a run starts on behalf of agents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FenceRecord {
    /// How it was asked for.
    pub mode: FenceMode,
    /// What holds, a sentence each. Empty when nothing is enforced.
    pub enforced: Vec<String>,
    /// What does not hold, in the order of weight.
    pub missing: Vec<FenceGap>,
}

/// A part of the fence that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FenceGap {
    /// Its short name: `landlock`, `landlock-network`, `namespaces`, `live-town`, ….
    pub what: String,
    /// Why it is not there.
    pub why: String,
    /// What that leaves open, as a sentence.
    pub open: String,
}

impl FenceRecord {
    /// Whether agents can change files that are not theirs, so that nothing in the evidence is out of their reach for certain.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.mode != FenceMode::On || self.missing.iter().any(|gap| WHOLE.contains(&gap.what.as_str()))
    }
}

/// The parts without which there is no fence to speak of.
const WHOLE: [&str; 2] = ["landlock", "live-town"];

/// What a fence refused, or would have refused: every refusal of the same thing to the same program of the same agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// When it was refused first.
    pub at: Time,
    /// The agent; absent where the town or nobody known did it.
    pub agent: Option<AgentId>,
    /// The file of the program.
    pub program: String,
    /// What it tried: `read`, `write`, `connect`, `bind`, `signal`, `process` (one more than the limit), `call` (a system call that is never
    /// allowed), or `more` for what was only counted. `signalled` was not refused: a signal that reached another agent, where agents of a
    /// town signal each other.
    pub tried: String,
    /// The path, address, process or system call that it was for; empty where there is none.
    pub target: String,
    /// How often.
    pub count: u64,
    /// Of a signal, or of a look into a process below `/proc`: the agent whose process that is; absent where it is nobody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whom: Option<AgentId>,
}

/// What [`Refusal::tried`] says of a signal that was let through.
pub const SIGNALLED: &str = "signalled";
/// What it says of one that was refused, or, in a fence that only warns, would have been.
pub const SIGNAL: &str = "signal";
