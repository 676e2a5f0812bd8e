//! Files that were left out of evidence: how many, which, and why.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AgentId;

/// Files that an agent or a deliverable made and that were not read or copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Skipped {
    /// How many.
    pub count: u64,
    /// The first of them, at most [`Skipped::NAMED`].
    pub files: Vec<SkippedFile>,
}

/// One file that was left out, or several of one folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SkippedFile {
    /// Its path relative to the folder that was read; bytes that are no text as `\xff`.
    pub path: String,
    /// Why: `a FIFO`, `a socket`, `larger than 256 MiB`, `permission denied`.
    pub why: String,
}

impl Skipped {
    /// How many are named; of the others only the number is known.
    pub const NAMED: usize = 20;

    /// Whether nothing was left out.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Counts `count` files, and names them as one.
    pub fn add(&mut self, count: u64, path: impl Into<String>, why: impl Into<String>) {
        self.count = self.count.saturating_add(count);
        if self.files.len() < Self::NAMED {
            self.files.push(SkippedFile { path: path.into(), why: why.into() });
        }
    }

    /// Adds what another reading left out.
    pub fn extend(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        let room = Self::NAMED.saturating_sub(self.files.len());
        self.files.extend(other.files.into_iter().take(room));
    }
}

/// What was left out when the town's own files were collected.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SkippedRow {
    /// What was collected: `transcripts`, `events.jsonl`, `daemon.log`.
    pub of: String,
    /// Whose file it is, where its name says so.
    pub agent: Option<AgentId>,
    /// What was left out.
    #[serde(flatten)]
    pub skipped: Skipped,
}
