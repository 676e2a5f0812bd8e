//! Who sends a request, as whoever listens tells the gateway.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Finds out who sends a request; asked only where the answer matters, because it costs a look at every process.
pub type AskSender = Arc<dyn Fn() -> Option<Sender> + Send + Sync>;

/// Who sends a request, put into the request's extensions by whoever listens. A request without one comes from nobody known.
#[derive(Clone, Default)]
pub struct Caller {
    /// The agent whose address the path holds, with its token; empty: nobody, and the request counts for nobody.
    pub agent: String,
    /// The agent that the path names without its token.
    pub claimed: Option<String>,
    /// The path without what names the agent: `/v1/messages`.
    pub path: String,
    /// Tells which process sends it.
    pub sender: Option<AskSender>,
}

/// The process that sent a request. The fields and their meaning are those of `from` in `docs/evidence.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    /// Its id.
    pub pid: u32,
    /// The file name of its program.
    pub program: String,
    /// The agent that it stems from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Whether it is the agent's own program (true) or a command of the agent's (false); absent where that cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<bool>,
}

impl Caller {
    /// The process behind the request, as far as it is known.
    pub(crate) fn ask(&self) -> Option<Sender> {
        self.sender.as_ref().and_then(|ask| ask())
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { agent, claimed, path, sender: _ } = self;
        f.debug_struct("Caller").field("agent", agent).field("claimed", claimed).field("path", path).finish_non_exhaustive()
    }
}
