//! Planned failures of the provider: which request they hit, and for how long.
//!
//! How often a fault has hit a conversation is the one thing the gateway remembers between requests; a retry is the same
//! request, so nothing else could tell the first try from the third.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::agent::Agent;

/// One entry of `faults.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Its name in the plan, repeated in the journal.
    pub name: String,
    /// Whom it hits: `*`, a role, or `role:rig`.
    pub agent: String,
    /// HTTP status of the provider's error, such as 529.
    #[serde(default)]
    pub status: Option<u16>,
    /// Instead of an error: the answer begins and its connection is cut in the middle.
    #[serde(default)]
    pub cut: bool,
    /// Value of the `retry-after` header of the error, in seconds.
    #[serde(default)]
    pub retry_after_s: Option<u32>,
    /// 0: for ever; else the first so many requests of each conversation.
    #[serde(default)]
    pub times: u32,
}

/// Why a fault plan was refused.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// Not the JSON it should be.
    #[error("faults: {0}")]
    Json(#[from] serde_json::Error),
    /// A fault that is neither an error status nor a cut, or both.
    #[error("fault `{0}` must have either `status` (400 to 599) or `cut`")]
    Kind(String),
}

impl Fault {
    /// Reads a `faults.json`.
    ///
    /// # Errors
    /// When it is not a list of faults, has unknown keys, or a fault says not one thing that goes wrong.
    pub fn list(json: &str) -> Result<Vec<Self>, FaultError> {
        let faults: Vec<Self> = serde_json::from_str(json)?;
        match faults.iter().find(|fault| !fault.is_one_kind()) {
            Some(fault) => Err(FaultError::Kind(fault.name.clone())),
            None => Ok(faults),
        }
    }

    fn is_one_kind(&self) -> bool {
        match self.status {
            Some(status) => !self.cut && (400..600).contains(&status),
            None => self.cut,
        }
    }
}

/// The plan and how often each fault has hit each conversation.
pub(crate) struct FaultState {
    faults: Vec<Fault>,
    hits: Mutex<HashMap<(usize, String, String), u32>>,
}

impl FaultState {
    pub(crate) fn new(faults: Vec<Fault>) -> Self {
        Self { faults, hits: Mutex::new(HashMap::new()) }
    }

    /// The fault that hits this request, counted as a hit. `conversation` identifies it by its beginning; `assistant_messages`
    /// of it have been answered already.
    pub(crate) fn fire(&self, agent: &Agent, conversation: &str, assistant_messages: u32) -> Option<&Fault> {
        let mut hits = self.hits.lock().unwrap_or_else(PoisonError::into_inner);
        self.faults.iter().enumerate().find_map(|(index, fault)| {
            if !agent.matches(&fault.agent) {
                return None;
            }
            let count = hits.entry((index, agent.id.clone(), conversation.to_owned())).or_default();
            if fault.times > 0 && *count + assistant_messages >= fault.times {
                return None;
            }
            *count += 1;
            Some(fault)
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn state(json: &str) -> FaultState {
        FaultState::new(Fault::list(json).unwrap())
    }

    #[test]
    fn a_fault_for_ever_hits_whom_it_names_and_nobody_else() {
        let faults = state(r#"[{"name":"down","agent":"polecat:eve","status":529}]"#);
        for turn in 0..5 {
            assert_eq!(faults.fire(&Agent::parse("eve/polecats/rust"), "c", turn).unwrap().name, "down");
        }
        assert!(faults.fire(&Agent::parse("bob/polecats/rust"), "c", 0).is_none());
    }

    #[test]
    fn a_counted_fault_hits_the_first_requests_of_each_conversation() {
        let faults = state(r#"[{"name":"busy","agent":"*","status":529,"times":2}]"#);
        let mayor = Agent::parse("mayor");
        for conversation in ["one", "two"] {
            assert!(faults.fire(&mayor, conversation, 0).is_some());
            assert!(faults.fire(&mayor, conversation, 0).is_some());
            assert!(faults.fire(&mayor, conversation, 0).is_none(), "the third try is answered");
            assert!(faults.fire(&mayor, conversation, 1).is_none(), "and what follows it");
        }
    }

    #[test]
    fn a_plan_says_one_thing_that_goes_wrong_and_nothing_unknown() {
        for (json, part) in [
            (r#"[{"name":"x","agent":"*"}]"#, "fault `x` must have either"),
            (r#"[{"name":"x","agent":"*","status":200}]"#, "fault `x` must have either"),
            (r#"[{"name":"x","agent":"*","status":500,"cut":true}]"#, "fault `x` must have either"),
            (r#"[{"name":"x","agent":"*","stauts":500}]"#, "unknown field `stauts`"),
            (r#"{"name":"x"}"#, "expected a sequence"),
        ] {
            let error = Fault::list(json).unwrap_err().to_string();
            assert!(error.contains(part), "{json}: {error}");
        }
    }
}
