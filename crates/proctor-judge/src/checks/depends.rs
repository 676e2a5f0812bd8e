//! Checks of steps that were not run: they are `unknown`, and each names the check that does not hold for the same reason, so that one
//! defect is one problem.

use super::{Case, Judged};
use crate::plan::{Check, CheckKind};
use crate::summary::CheckStatus;

/// Why the step of a check was not run, or what its check needs was not stated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotRun {
    /// The exercise.
    pub(crate) exercise: String,
    /// The step that went wrong; absent when the exercise could not begin.
    pub(crate) after: Option<String>,
    /// The command of that step.
    pub(crate) command: Vec<String>,
    /// In words.
    pub(crate) why: String,
    /// Whether the step itself could not be started, whatever became of others.
    pub(crate) own: bool,
}

/// Gives every check that was not run the check that it depends on. Where no check fails for the reason, the first of those that depend on
/// it stands for it, and fails: what was delivered is why the exercise did not go on.
pub(super) fn settle(case: &Case<'_>, checks: &[Check], judged: &mut [Judged]) {
    // A run that ended before its exercises has its own reason, which stands elsewhere.
    if case.run.record.stopped.is_some() || super::incomplete(case.run).is_some() {
        return;
    }
    for index in 0..judged.len() {
        let Some(not_run) = judged[index].not_run.clone() else { continue };
        let cause = cause(case, checks, judged, &not_run);
        match cause {
            Some(cause) => judged[index].summary.depends_on = Some(cause),
            None => judged[index].summary.status = CheckStatus::Failed,
        }
    }
}

/// The id of the failed check that tells the reason best: of the step that went wrong, of another step with the same command, of a file that
/// the reason names, of one that stands for the same reason already, or of the exercise.
fn cause(case: &Case<'_>, checks: &[Check], judged: &[Judged], not_run: &NotRun) -> Option<String> {
    let failed = || checks.iter().zip(judged).filter(|(_, answer)| answer.summary.status == CheckStatus::Failed);
    let of_step = |check: &Check| match &check.kind {
        CheckKind::Exercise(own) => own.exercise == not_run.exercise && Some(&own.step) == not_run.after.as_ref(),
        _ => false,
    };
    let of_command = |check: &Check| match &check.kind {
        CheckKind::Exercise(own) => {
            !not_run.command.is_empty() && command(case, &own.exercise, &own.step) == Some(&not_run.command)
        }
        _ => false,
    };
    let of_file = |check: &Check| match &check.kind {
        CheckKind::File(own) => not_run.why.contains(&format!("{} is not on main of {}", own.path, own.rig)),
        _ => false,
    };
    let of_exercise = |check: &Check| matches!(&check.kind, CheckKind::Exercise(own) if own.exercise == not_run.exercise);
    let ran_and_failed =
        |is: &dyn Fn(&Check) -> bool| failed().find(|(check, answer)| !not_run.own && answer.not_run.is_none() && is(check));
    let found = ran_and_failed(&of_step).or_else(|| ran_and_failed(&of_command));
    let found = found.or_else(|| failed().find(|(check, _)| of_file(check)));
    let found =
        found.or_else(|| failed().find(|(_, answer)| answer.not_run.as_ref().is_some_and(|other| is_same(other, not_run))));
    let found = found.or_else(|| ran_and_failed(&of_exercise));
    found.map(|(check, _)| check.id.clone())
}

/// Whether two have the same reason: the same command went wrong, or the same is said.
fn is_same(one: &NotRun, other: &NotRun) -> bool {
    if one.command.is_empty() { one.why == other.why } else { one.command == other.command }
}

fn command<'a>(case: &'a Case<'_>, exercise: &str, step: &str) -> Option<&'a Vec<String>> {
    let (_, record) = case.run.exercises.get(exercise)?;
    record.steps.iter().find(|found| found.name == step).map(|found| &found.command)
}
