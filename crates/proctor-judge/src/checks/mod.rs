//! The checks of a plan, each answered from evidence with what was expected, what was seen and where it stands.
//!
//! A check fails only when the evidence says that it does not hold. Where the evidence does not reach, it is `unknown`.

mod depends;
mod exercise;
mod file;
mod needs;
mod own_repository;
mod telemetry;
mod town;

use depends::NotRun;
pub(crate) use exercise::subject_of;
pub(crate) use telemetry::{ERRORS, error_line, gap, number};

use crate::evidence::StopKind;
use crate::plan::{Check, CheckKind, Plan};
use crate::run::Run;
use crate::summary::{AgentSummary, CheckStatus, CheckSummary, Detail, Evidence};
use crate::telemetry::Telemetry;

/// Everything a check may look at.
pub(crate) struct Case<'a> {
    pub(crate) run: &'a Run,
    pub(crate) telemetry: &'a Telemetry,
    pub(crate) agents: &'a [AgentSummary],
    pub(crate) plan: &'a Plan,
}

impl Case<'_> {
    /// Whether nothing that was tracked for this rig is on its target branch.
    fn is_unmerged(&self, rig: &str) -> bool {
        !self.run.deliveries.rows.iter().any(|d| d.rig == rig && d.merged)
    }
}

/// A check's answer before it is dressed for the summary.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: CheckStatus,
    pub(crate) expected: String,
    pub(crate) saw: String,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) details: Vec<Detail>,
    pub(crate) next: Option<String>,
    /// See [`Judged::absent`].
    pub(crate) absent: bool,
    /// See [`Judged::not_run`].
    pub(crate) not_run: Option<NotRun>,
}

impl Answer {
    fn new(status: CheckStatus, expected: impl Into<String>, saw: impl Into<String>) -> Self {
        Self {
            status,
            expected: expected.into(),
            saw: saw.into(),
            evidence: Vec::new(),
            details: Vec::new(),
            next: None,
            absent: false,
            not_run: None,
        }
    }

    fn unknown(expected: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(CheckStatus::Unknown, expected, why)
    }

    fn when(holds: bool, expected: impl Into<String>, saw: impl Into<String>) -> Self {
        Self::new(if holds { CheckStatus::Passed } else { CheckStatus::Failed }, expected, saw)
    }

    fn at(mut self, evidence: Evidence) -> Self {
        self.evidence.push(evidence);
        self
    }

    fn detail(mut self, label: &str, text: impl Into<String>) -> Self {
        self.details.push(Detail { label: label.into(), text: text.into() });
        self
    }

    fn next(mut self, command: impl Into<String>) -> Self {
        self.next = Some(command.into());
        self
    }

    fn absent(mut self, absent: bool) -> Self {
        self.absent = absent;
        self
    }

    fn not_run(mut self, not_run: NotRun) -> Self {
        self.not_run = Some(not_run);
        self
    }
}

/// A judged check with the further facts that its finding shows.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) summary: CheckSummary,
    pub(crate) details: Vec<Detail>,
    /// Whether it fails for want of something that a run which did not land may not have come to, or for what its end left behind.
    /// What is there and wrong is wrong in every run.
    pub(crate) absent: bool,
    /// Why its step was not run.
    pub(crate) not_run: Option<NotRun>,
    /// The file it depends on that is not what was sealed.
    pub(crate) unproven: Option<String>,
}

/// Answers every check in order.
pub(crate) fn judge(case: &Case<'_>, checks: &[Check]) -> Vec<Judged> {
    let mut judged: Vec<Judged> = checks.iter().map(|check| one(case, check)).collect();
    depends::settle(case, checks, &mut judged);
    judged
}

/// Why the evidence ends before everything that checks look at could happen, if it does.
///
/// A check that does not hold then is `unknown`: what it looks for might have come.
pub(crate) fn incomplete(run: &Run) -> Option<String> {
    let early = run.record.stopped.as_ref().filter(|s| s.kind != StopKind::Timeout);
    // What was lost while collecting is a loss of that one thing; any other end of phase 7 leaves undone what comes after it.
    if let Some(stopped) = early.filter(|s| s.phase < 7 || s.kind != StopKind::Lost) {
        return Some(format!("the run stopped in phase {}: {}", stopped.phase, stopped.message));
    }
    let collected = run.record.phases.iter().any(|p| p.number == 7 && p.ended_at.is_some());
    match (collected, early) {
        (true, _) => None,
        (false, Some(stopped)) => Some(format!("the run stopped in phase {}: {}", stopped.phase, stopped.message)),
        (false, None) => Some("the run's record ends before evidence was collected".into()),
    }
}

fn one(case: &Case<'_>, check: &Check) -> Judged {
    let mut answer = answer(case, &check.kind);
    let unproven = needs::damaged(case.run, &check.kind);
    if let Some(change) = unproven {
        answer.status = CheckStatus::Unknown;
        answer.saw = format!("{} {}", change.path, change.what);
        answer.not_run = None;
    }
    // What is there and wrong was wrong before the town was lost.
    let is_lost = case.run.record.stopped.as_ref().is_some_and(|stopped| stopped.kind == StopKind::Lost);
    let may_come = answer.status == CheckStatus::Failed && (answer.absent || !is_lost);
    if let Some(why) = incomplete(case.run).filter(|_| may_come) {
        answer.status = CheckStatus::Unknown;
        answer.saw = format!("{why}; until then: {}", answer.saw);
    }
    let passed = answer.status == CheckStatus::Passed;
    let summary = CheckSummary {
        id: check.id.clone(),
        title: check.title.clone(),
        kind: kind(&check.kind).into(),
        status: answer.status,
        expected: answer.expected,
        saw: answer.saw,
        evidence: answer.evidence,
        next: answer.next.filter(|_| !passed),
        depends_on: None,
    };
    Judged {
        summary,
        details: answer.details,
        absent: answer.absent,
        not_run: answer.not_run,
        unproven: unproven.map(|change| change.path.clone()),
    }
}

fn answer(case: &Case<'_>, kind: &CheckKind) -> Answer {
    match kind {
        CheckKind::File(check) => file::answer(case, check),
        CheckKind::Exercise(check) => exercise::answer(case, check),
        CheckKind::Mail(check) => town::mail(case, check),
        CheckKind::Workers(check) => town::workers(case, check),
        CheckKind::EndState {} => town::end_state(case),
        CheckKind::OwnRepository {} => own_repository::answer(case),
        CheckKind::NoErrors(check) => telemetry::no_errors(case, check),
        CheckKind::Telemetry {} => telemetry::complete(case),
        CheckKind::Promql(check) => telemetry::promql(case, check),
        CheckKind::Logsql(check) => telemetry::logsql(case, check),
        CheckKind::Budget(check) => telemetry::budget(case, check),
    }
}

fn kind(kind: &CheckKind) -> &'static str {
    match kind {
        CheckKind::File(_) => "file",
        CheckKind::Exercise(_) => "exercise",
        CheckKind::Mail(_) => "mail",
        CheckKind::Workers(_) => "workers",
        CheckKind::EndState {} => "end_state",
        CheckKind::OwnRepository {} => "own_repository",
        CheckKind::NoErrors(_) => "no_errors",
        CheckKind::Telemetry {} => "telemetry",
        CheckKind::Promql(_) => "promql",
        CheckKind::Logsql(_) => "logsql",
        CheckKind::Budget(_) => "budget",
    }
}

/// `bob main 3f2a1c9, by bob/rust for bo-tjb`: what stands on a rig's target branch and whose it is.
pub(crate) fn merged_as(run: &Run, rig: &str) -> Option<String> {
    let git = run.rig(rig)?;
    let head = crate::wording::short_sha(git.head.as_deref()?);
    let delivery = run.deliveries.rows.iter().find(|d| d.rig == rig && d.merged);
    let by = delivery.map_or(String::new(), |d| {
        let worker = d.worker.as_deref().map_or_else(|| "nobody known".into(), crate::wording::short_agent);
        format!(", by {worker} for {}", d.issue)
    });
    Some(format!("{rig} {} {head}{by}", git.target))
}
