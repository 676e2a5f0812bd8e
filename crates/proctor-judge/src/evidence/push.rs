//! What was pushed to the served origins: Proctor's own log, in which no agent can write.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AgentId, Time};

/// One change of a ref of a served origin, or one that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Push {
    /// When the origin had changed, or when the push was refused.
    pub at: Time,
    /// Whose token the push carried: an agent's address, `daemon`, `town`; what an unknown or wrong token claimed to be, empty without one.
    pub agent: AgentId,
    /// The rig whose origin it is.
    pub rig: String,
    /// The full name of the ref: `refs/heads/main`. Empty for a repository that was made, and for a push refused before it named any.
    #[serde(rename = "ref")]
    pub refname: String,
    /// The commit before; absent when the ref was not there.
    pub from: Option<String>,
    /// The commit after; absent when the ref was deleted.
    pub to: Option<String>,
    /// What happened to the ref.
    pub kind: PushKind,
    /// Why the push was refused; absent when it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Where it came from: `127.0.0.1:51234`.
    pub address: String,
    /// Of a push that was refused: the agent whose process sent it, where that could be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<AgentId>,
}

/// What a push did to a ref.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PushKind {
    /// The repository itself was made, by the first push to it.
    Repository,
    /// The ref was not there before.
    Created,
    /// The ref moved on to a descendant.
    Updated,
    /// The ref moved to a commit that does not have the former one among its ancestors.
    Rewound,
    /// The ref is gone.
    Deleted,
    /// Nothing changed: the push was refused.
    Refused,
}

impl PushKind {
    /// As the log has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Repository => "repository",
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Rewound => "rewound",
            Self::Deleted => "deleted",
            Self::Refused => "refused",
        }
    }
}

impl Push {
    /// The branch that the ref is; absent for tags and other refs.
    pub fn branch(&self) -> Option<&str> {
        self.refname.strip_prefix("refs/heads/")
    }

    /// Whether it changed anything.
    pub fn is_accepted(&self) -> bool {
        self.refused.is_none()
    }
}
