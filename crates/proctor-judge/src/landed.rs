//! The landed clauses as they stood at the end: what the signs say, corrected by what git says when all was over.

use crate::evidence::{Sign, path};
use crate::plan::Clause;
use crate::run::Run;
use crate::summary::ClauseSummary;

impl Clause {
    /// Its name in files: `issues_closed`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::IssuesClosed => "issues_closed",
            Self::Merged => "merged",
            Self::Pushed => "pushed",
            Self::NoWorkerBusy => "no_worker_busy",
            Self::ConvoyClosed => "convoy_closed",
        }
    }

    /// For people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::IssuesClosed => "issues closed",
            Self::Merged => "merged on main",
            Self::Pushed => "pushed",
            Self::NoWorkerBusy => "no worker busy",
            Self::ConvoyClosed => "convoy closed",
        }
    }
}

/// The planned clauses.
pub(crate) fn clauses(run: &Run) -> Vec<ClauseSummary> {
    let planned = run.plan.as_ref().map_or(&[][..], |p| p.landed.as_slice());
    planned.iter().map(|clause| one(run, *clause)).collect()
}

fn one(run: &Run, clause: Clause) -> ClauseSummary {
    let signs: Vec<(usize, &Sign)> = run.signs.rows.iter().enumerate().filter(|(_, s)| s.clause == clause.name()).collect();
    let last_false = signs.iter().rposition(|(_, s)| !s.value);
    let holding = signs.get(last_false.map_or(0, |at| at + 1)).filter(|(_, s)| s.value);
    let newest = signs.last();
    let mut summary = ClauseSummary {
        clause: clause.name().into(),
        title: clause.title().into(),
        value: newest.map(|(_, s)| s.value),
        now: newest.map_or_else(|| "not seen".into(), |(_, s)| s.now.clone()),
        last_false: last_false.map(|at| signs[at].1.last_seen),
        first_true: holding.map(|(_, s)| s.first_seen),
        true_after_s: holding.map(|(_, s)| run.since_start(s.first_seen)),
        source: newest.map_or_else(|| "–".into(), |(_, s)| s.source.clone()),
        evidence: newest.map(|(row, _)| format!("evidence/{}:{}", path::SIGNS, row + 1)),
    };
    if matches!(clause, Clause::Merged | Clause::Pushed) {
        correct_by_git(run, &mut summary);
    }
    summary
}

/// Git decides what has landed: a branch that was rewound after it was seen merged does not count.
fn correct_by_git(run: &Run, summary: &mut ClauseSummary) {
    let deliveries = &run.deliveries.rows;
    let merged = deliveries.iter().filter(|d| d.merged).count();
    if summary.value == Some(true) && merged < deliveries.len() {
        summary.value = Some(false);
        summary.now = format!("{merged}/{}", deliveries.len());
        summary.last_false = Some(run.last_moment());
        summary.first_true = None;
        summary.true_after_s = None;
        summary.source = "git at the end".into();
        summary.evidence = Some(format!("evidence/{}", path::DELIVERIES));
    }
}
