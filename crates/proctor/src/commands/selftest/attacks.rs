//! What is held against an attack besides its verdict: the canaries, a second judgement, and what its run leaves to the next.

use std::fs;
use std::path::Path;

use proctor_harness::clean;
use proctor_harness::scenario::{After, CaseSpec, Scenario};
use proctor_judge::Options;
use proctor_judge::summary::Level;

use crate::canary::Canary;
use crate::failure::{Failure, file_error};
use crate::places;
use crate::play::Played;

/// The short id of a run that an attack forges.
const FORGED: &str = "forged";

/// What a case is besides, when it is an attack.
#[derive(Clone, Debug)]
pub(super) struct Attack {
    /// What it is aimed at.
    pub(super) class: String,
    after: Vec<After>,
    /// The scenario without the attack.
    base: Scenario,
}

impl Attack {
    /// Of a case that states its class.
    pub(super) fn of(case: &CaseSpec, base: &Scenario) -> Option<Self> {
        Some(Self { class: case.class.clone()?, after: case.after.clone(), base: base.clone() })
    }

    /// The scenario to be played once more when the run has ended.
    pub(super) fn next_run(&self) -> Option<&Scenario> {
        self.after.contains(&After::Run).then_some(&self.base)
    }
}

/// What the selftest holds ready while an attack runs.
pub(super) struct Watch {
    canary: Canary,
}

impl Watch {
    /// Makes the canaries and tells the scenario of them.
    ///
    /// # Errors
    /// When they cannot be made, or a script names one that does not exist.
    pub(super) fn begin(scenario: &mut Scenario, reports: &Path) -> Result<Self, Failure> {
        let cache = places::cache()?;
        let reports = std::path::absolute(reports).map_err(|error| file_error("cannot use", reports, &error))?;
        let canary = Canary::make(&cache, &reports)?;
        scenario.files = canary.place_in(&scenario.files)?;
        Ok(Self { canary })
    }

    /// What is wrong once the run has ended, one sentence each.
    pub(super) fn end(mut self, attack: &Attack, played: &Played) -> Vec<String> {
        let mut wrong = Vec::new();
        if attack.after.contains(&After::Clean) {
            wrong.extend(clean(&played.id).err().map(|failure| format!("cleaning up after it failed: {}", failure.message)));
        }
        wrong.extend(judged_again(played));
        wrong.extend(self.canary.broken(&played.report));
        wrong
    }
}

/// Removes what looks like the remains of the attack's own run, and of one that never was. Other runs of this selftest may be in
/// progress.
fn clean(own: &str) -> Result<(), Failure> {
    let found = clean::find(&places::cache()?)?;
    for left in found.left.iter().filter(|left| left.id == own || left.id == FORGED) {
        clean::remove(&left.base)?;
    }
    for stray in found.strays.iter().filter(|stray| stray.removable && (stray.id == own || stray.id == FORGED)) {
        clean::remove_stray(stray)?;
    }
    Ok(())
}

/// The verdict must be the same when it is computed again, which nothing that outlived the run may have changed.
fn judged_again(played: &Played) -> Option<String> {
    let first = &played.judgement.summary;
    match proctor_judge::judge(&played.report, &Options::default()) {
        Ok(again) if (again.summary.outcome, &again.summary.headline) == (first.outcome, &first.headline) => None,
        Ok(again) => Some(format!("judged again it is `{}`: {}", again.summary.outcome.word(), again.summary.headline)),
        Err(error) => Some(format!("it cannot be judged again: {error}")),
    }
}

/// What is wrong with the run that came after an attack.
pub(super) fn next_run_is_clean(next: &Result<Played, Failure>) -> Vec<String> {
    let played = match next {
        Ok(played) => played,
        Err(failure) => return vec![format!("the next run could not be played: {}", failure.message)],
    };
    let summary = &played.judgement.summary;
    let problems = summary.findings.iter().filter(|finding| finding.level == Level::Problem);
    let mut wrong: Vec<String> = problems.map(|finding| format!("the next run has the problem {}", finding.id)).collect();
    if summary.outcome != proctor_judge::Outcome::Passed {
        wrong.push(format!("the next run is `{}`: {}", summary.outcome.word(), summary.headline));
    }
    match false_sums(&played.report.join("lock.json")) {
        Ok(names) if names.is_empty() => {}
        Ok(names) => wrong.push(format!("the next run records a false sum of {}", names.join(", "))),
        Err(failure) => wrong.push(failure.message),
    }
    wrong
}

/// The programs whose recorded sum is not that of their file.
fn false_sums(lock: &Path) -> Result<Vec<String>, Failure> {
    let unreadable = |error: std::io::Error| file_error("cannot read", lock, &error);
    let lock: serde_json::Value = serde_json::from_slice(&fs::read(lock).map_err(unreadable)?)
        .map_err(|error| Failure::harness(format!("lock.json is no JSON: {error}")))?;
    let mut names = Vec::new();
    for (name, program) in lock["programs"].as_object().into_iter().flatten() {
        let path = Path::new(program["path"].as_str().unwrap_or_default());
        let sum = proctor_harness::digest::file_sum(path).map_err(|error| file_error("cannot read", path, &error))?;
        if program["sha256"].as_str() != Some(sum.as_str()) {
            names.push(name.clone());
        }
    }
    Ok(names)
}
