//! What came to the run's listeners and counts for nobody, or was refused.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AgentId, Time};

/// A process that sent a request to one of the run's listeners.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sender {
    /// Its id.
    pub pid: u32,
    /// The file name of its program.
    pub program: String,
    /// The agent that it stems from, by the launcher's record and the process table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// Whether it is the agent's own program (true) or a command of the agent's (false); absent where that cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<bool>,
}

/// Requests to the run's listeners that count for nobody, or were refused: alike in listener, reason, address and sender.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedRequests {
    /// `gateway`, `telemetry listener`, `server of origins`.
    pub listener: String,
    /// Why.
    pub reason: RefusalReason,
    /// The agent that the address named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed: Option<AgentId>,
    /// The agent that sent them, where it is known: by the process, or by the token that the address held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// The process that sent the first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Sender>,
    /// Method and path of the first, cut at 200 bytes; empty for a connection that sent none.
    pub example: String,
    /// How many.
    pub count: u64,
    /// When the first came.
    pub first_at: Time,
    /// When the last came.
    pub last_at: Time,
}

/// Why a request counts for nobody, or was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// The address names an agent and holds no token.
    NoToken,
    /// It holds a token that is nobody's.
    UnknownToken,
    /// It holds the token of another agent.
    ForeignToken,
    /// Too many connections were open; one of whoever held the most was closed, or the request refused.
    TooManyConnections,
    /// A request did not arrive whole in time.
    TooSlow,
    /// Too many bytes at once, or over the whole run.
    TooMuch,
}
