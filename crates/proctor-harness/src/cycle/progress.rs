//! What a run tells while it goes on, as typed events; the edge turns them into lines or a live display.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use proctor_judge::evidence::{AgentId, Phase, SignalRow, Time};
use serde::Serialize;
use tokio::sync::watch;

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Progress {
    /// A phase began: 1 to 7 and its name.
    PhaseBegan {
        /// 1 to 7.
        number: u8,
        /// Its name.
        name: &'static str,
        /// When.
        at: Time,
    },
    /// A phase ended, with its detail line.
    PhaseEnded(Phase),
    /// What a long phase does now: `making the virtual environment (once)`, `exercise 12 of 61`.
    Doing(String),
    /// The agents as they are now; all of them, each time one changes.
    Agents(Vec<AgentLive>),
    /// The landed clauses as they are now; all of them, each time one changes.
    Clauses(Vec<ClauseLive>),
    /// Totals of the town, each time one changes.
    Totals(Totals),
    /// Something worth a line: an agent began or ended, an issue was slung, mail was sent.
    Happened(Happening),
}

/// An agent as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentLive {
    /// Its address.
    pub agent: AgentId,
    /// Its role.
    pub role: String,
    /// `working`, `idle`, …
    pub state: String,
    /// The last thing it was seen to do: a command, a mail, a text.
    pub doing: String,
    /// Since when.
    pub since: Option<Time>,
    /// Model answers so far.
    pub turns: u64,
    /// Input and output tokens as the gateway told it.
    pub tokens: u64,
    /// Cost that it reported, in US dollars.
    pub cost_usd: f64,
}

/// A landed clause as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClauseLive {
    /// The clause's name.
    pub clause: String,
    /// Whether it holds.
    pub value: bool,
    /// How far: `2/3`.
    pub now: String,
    /// Since when it has held without a break.
    pub since: Option<Time>,
}

/// Totals of the town.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Agents seen so far.
    pub agents: u64,
    /// Beads.
    pub beads: u64,
    /// Mails.
    pub mail: u64,
    /// Log records in the store.
    pub events: u64,
}

/// An entry of `timeline.ndjson`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Happening {
    /// When.
    pub at: Time,
    /// `phase_began`, `phase_ended`, `session_start`, `session_end`, `sling`, `mail`, `clause`, `fault`, `receipt`, `stopped`, …
    pub kind: String,
    /// Who did it; empty for the harness.
    pub actor: String,
    /// One line for people.
    pub text: String,
    /// The values behind the line.
    pub values: BTreeMap<String, serde_json::Value>,
    /// Whether the town's own record says so, and Proctor did not see it: whoever can write that record may have said it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub claimed: bool,
}

/// A request to end a run early, shared by whoever may make it.
///
/// The first request ends the run in order: evidence kept, everything ended. The second stops at once.
#[derive(Clone, Debug)]
pub struct Cancel {
    level: Arc<watch::Sender<u8>>,
    /// Signals of the run's own processes, which ask for nothing.
    refused: Arc<Mutex<Vec<SignalRow>>>,
}

impl Default for Cancel {
    fn default() -> Self {
        Self { level: Arc::new(watch::Sender::new(0)), refused: Arc::default() }
    }
}

impl Cancel {
    /// Nobody has asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks; returns how often it was asked now.
    pub fn request(&self) -> u8 {
        self.level.send_modify(|level| *level = level.saturating_add(1));
        *self.level.borrow()
    }

    /// Writes down a signal that a process of the run sent, and that is not obeyed. Of a flood the first hundred are kept.
    pub fn refuse(&self, row: SignalRow) {
        const MOST: usize = 100;
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() < MOST {
            refused.push(row);
        }
    }

    /// Those that were written down since the last call.
    pub(crate) fn take_refused(&self) -> Vec<SignalRow> {
        std::mem::take(&mut self.refused.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How often it was asked.
    pub fn level(&self) -> u8 {
        *self.level.borrow()
    }

    /// Waits until it was asked at least `level` times.
    pub async fn reached(&self, level: u8) {
        let mut seen = self.level.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        _ = seen.wait_for(|now| *now >= level).await;
    }
}
