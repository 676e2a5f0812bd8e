//! What running the deliverables left behind: one record an exercise, one for the runtime of all.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FenceGap, Refusal, Skipped, Time};

/// The record of one exercise.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ExerciseRecord {
    /// Its name in the scenario: `bob.signature_bit`.
    pub name: String,
    /// What it is, for people.
    pub title: String,
    /// Its steps in order; fewer than planned when one that others need could not be run.
    pub steps: Vec<StepRecord>,
    /// Why it was not done, when it was not (a deliverable missing, the run cancelled).
    pub not_done: Option<String>,
    /// Files of the exercises it comes after that could not be brought along, by that exercise's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub not_brought: BTreeMap<String, Skipped>,
}

/// How [`StepRecord::ended`] begins for a step whose program could not be started.
pub const NOT_STARTED: &str = "not run: ";

/// One program that an exercise ran.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StepRecord {
    /// Its name in the exercise.
    pub name: String,
    /// `subject` (what was merged) or `checker` (the scenario's own program).
    pub by: String,
    /// The command line, with paths as `$REPO/alice/alice.py`, `$WORK`, `$CHECKS`, `$PYTHON`.
    pub command: Vec<String>,
    /// Exit code; absent when ended by a signal or the time limit.
    pub exit: Option<i32>,
    /// `signal 9`, `time limit 60 s`, `not run: x is not on main of bob`, when there is no exit code.
    pub ended: Option<String>,
    /// Standard output, decoded lossily, ANSI kept, cut at `LIMIT` bytes.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
    /// Bytes cut from the two streams, never silently.
    pub cut: u64,
    /// When it began.
    pub started_at: Time,
    /// How long it took.
    pub duration_ms: f64,
    /// Files in the working directory afterwards.
    pub files: Vec<FileState>,
    /// Files in the working directory afterwards that are not among `files`, with the reason.
    #[serde(default, skip_serializing_if = "Skipped::is_empty")]
    pub skipped: Skipped,
    /// Watched files it opened, relative to the working directory (`*.pem`, `message.enc`).
    pub opened: Vec<String>,
    /// Whether it opened more than could be recorded, so that `opened` may lack some.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub opened_lost: bool,
    /// Values that a checker stated about the world, from its `key=value` lines on stdout.
    pub facts: BTreeMap<String, String>,
    /// Command lines of the processes that it left behind and that were ended before the next step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_behind: Vec<String>,
    /// What the fence around it refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refusal>,
    /// What the fence around it left open: what the kernel did not give, or all of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<FenceGap>,
}

/// A file after a step.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FileState {
    /// Path relative to the working directory; bytes that are no text as `\xff`.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the content, lower-case hex.
    pub sha256: String,
    /// Whether this step made or changed it.
    pub changed: bool,
}

/// The interpreter that all exercises ran with.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RuntimeRecord {
    /// Its version: `3.11.7`.
    pub python: String,
    /// Files, folders and links of its environment; 0 for an interpreter that was named.
    pub files: u64,
    /// SHA-256 over the names, permissions and contents of all of them, before the exercises.
    pub sha256: Option<String>,
    /// Why the environment that was in the cache was not used, when it was made again.
    pub made_again: Option<String>,
    /// What was changed while exercises ran.
    pub changes: Vec<RuntimeChange>,
}

/// A change of the environment in which exercises ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuntimeChange {
    /// `bin/python is another link`.
    pub what: String,
    /// The step after which it was seen first: `step ask of exercise one (north/p.py)`.
    pub during: String,
}
