//! Checks that could not hold because the run did not come that far: one finding for all of them, so that they do not hide the
//! cause. What is there and wrong stays a finding of its own.

use std::collections::BTreeMap;

use super::Known;
use crate::checks::Judged;
use crate::next;
use crate::outcome::Outcome;
use crate::summary::{CheckStatus, Finding, Level};
use crate::wording::{at_path, count};

/// Id of the one finding for all of them.
pub(crate) const FOLLOWED: &str = "checks.followed";

/// Whether a check's answer merely follows from what ended the run.
pub(super) fn follows(known: &Known<'_>, judged: &Judged) -> bool {
    let wanting = match judged.summary.status {
        CheckStatus::Passed => false,
        CheckStatus::Failed => judged.absent,
        CheckStatus::Unknown => true,
    };
    wanting && judged.summary.depends_on.is_none() && because(known.outcome).is_some()
}

fn because(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::NotLanded => Some("it did not land"),
        Outcome::ProviderError => Some("the provider did not answer"),
        Outcome::HarnessError => Some("the script had no answer"),
        _ => None,
    }
}

/// All of them, by the kind of check.
pub(super) fn all(known: &Known<'_>) -> Option<Finding> {
    let why = because(known.outcome).filter(|_| crate::checks::incomplete(known.run).is_none())?;
    let mut kinds: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for check in known.checks.iter().filter(|c| follows(known, c)) {
        kinds.entry(&check.summary.kind).or_default().push(&check.summary.id);
    }
    let number: usize = kinds.values().map(Vec::len).sum();
    if number == 0 {
        return None;
    }
    let each: Vec<String> = kinds.iter().map(|(kind, ids)| format!("{kind} {}", ids.len())).collect();
    let title = format!("{number} of {} could not hold, because {why} ({})", count(known.checks.len(), "check"), each.join(", "));
    let finding = Finding::new(Level::Warning, FOLLOWED, title)
        .expected("a run that comes as far as what these checks look for")
        .saw(format!("{why}; what they look for is not there"))
        .at(at_path("06-test-results.md"))
        .next(next::repeat(known.run));
    Some(kinds.iter().fold(finding, |finding, (kind, ids)| finding.detail(kind, ids.join(", "))))
}
