//! What senders sent and the store has otherwise or not at all: counted by sender and reason, with the first of each.

use std::collections::BTreeMap;

use crate::record::Time;
use crate::store::Signal;

/// Senders and reasons that are told apart; an address may hold any name. What comes beyond them is counted without the sender.
const MOST_ROWS: usize = 500;

/// Requests or records of one sender that suffered the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// What became of them.
    pub kind: LossKind,
    /// Whose address they came by, with its token; absent for the plain paths and for nobody's.
    pub agent: Option<String>,
    /// The agent that the address named without its token.
    pub claimed: Option<String>,
    /// What they were.
    pub signal: Signal,
    /// Why, in a few words without a capital.
    pub reason: String,
    /// How many: requests for [`LossKind::Refused`], attributes, events and links for [`LossKind::Dropped`], records for all others.
    pub count: u64,
    /// The first, as far as it can be shown; often empty.
    pub example: String,
    /// When the first came.
    pub first_at: Time,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LossKind {
    /// Whole requests are not in the store.
    Refused,
    /// Records are not in the store.
    Rejected,
    /// Records are in the store with something replaced or left out.
    Repaired,
    /// Records came again and count once.
    Repeated,
    /// Records are in the store and bear a time far outside the run.
    FarOff,
    /// The sender says that it dropped attributes, events or links before it sent.
    Dropped,
}

impl LossKind {
    /// `refused`, `rejected`, …
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Rejected => "rejected",
            Self::Repaired => "repaired",
            Self::Repeated => "repeated",
            Self::FarOff => "far_off",
            Self::Dropped => "dropped",
        }
    }

    /// Whether the store lacks something that was sent to it.
    #[must_use]
    pub fn is_lost(self) -> bool {
        matches!(self, Self::Refused | Self::Rejected)
    }
}

/// Whom a loss is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sender {
    pub(crate) agent: Option<String>,
    pub(crate) claimed: Option<String>,
    pub(crate) signal: Signal,
}

/// All losses of a store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Losses(BTreeMap<(LossKind, Sender, String), Loss>);

impl Losses {
    pub(crate) fn add(&mut self, kind: LossKind, from: &Sender, why: (&str, u64, &str), at: Time) {
        let (reason, count, example) = why;
        if count == 0 {
            return;
        }
        let mut key = (kind, from.clone(), reason.to_owned());
        if self.0.len() >= MOST_ROWS && !self.0.contains_key(&key) {
            (key.1.agent, key.1.claimed) = (None, None);
        }
        let loss = self.0.entry(key).or_insert_with_key(|(kind, from, reason)| Loss {
            kind: *kind,
            agent: from.agent.clone(),
            claimed: from.claimed.clone(),
            signal: from.signal,
            reason: reason.clone(),
            count: 0,
            example: example.to_owned(),
            first_at: at,
        });
        loss.count += count;
    }

    pub(crate) fn all(&self) -> Vec<Loss> {
        self.0.values().cloned().collect()
    }
}
