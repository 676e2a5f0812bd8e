//! From evidence to summary: reads, joins, checks, finds, decides, in this order.

use std::path::Path;

use crate::checks::{self, Case, Judged};
use crate::error::JudgeError;
use crate::evidence::{ExerciseRecord, RigGit, StepRecord};
use crate::findings::{self, Known};
use crate::plan::Plan;
use crate::run::Run;
use crate::summary::{
    CheckStatus, CommitSummary, ExerciseSummary, FileSummary, IssueSummary, Level, PhaseSummary, RigSummary, RunInfo,
    SCHEMA_VERSION, StepSummary, Summary, Totals,
};
use crate::telemetry::Telemetry;
use crate::verdict::{self, Signals};
use crate::wording::{round, seconds};
use crate::{Options, agents, intake, landed, queries, sealing};

/// The summary of the run in `dir`, by its own checks or by other ones.
pub(crate) fn summary(dir: &Path, options: &Options) -> Result<Summary, JudgeError> {
    let run = Run::read_expecting(dir, options.expected())?;
    let telemetry = Telemetry::open(&run);
    let agents = agents::all(&run, &telemetry);
    let landed = landed::clauses(&run);
    let plan = run.plan.clone().unwrap_or_else(|| unplanned(&run));
    let case = Case { run: &run, telemetry: &telemetry, agents: &agents, plan: &plan };
    let checks = checks::judge(&case, options.checks.as_deref().unwrap_or(&plan.checks));
    let outcome = Signals::of(&run, &landed, &checks).outcome();
    let findings = findings::all(&Known::new(&case, &landed, &checks, outcome));
    let headline = verdict::headline(&run, outcome, &landed, &checks, &findings);
    let mut summary = Summary {
        schema_version: SCHEMA_VERSION,
        run: run_info(&run),
        outcome,
        exit_code: outcome.exit_code(),
        headline,
        phases: phases(&run),
        fence: run.record.fence.clone(),
        rigs: rigs(&run),
        exercises: exercises(&run),
        queries: queries::answers(&telemetry),
        intake: intake::summary(&telemetry),
        totals: totals(&run, &telemetry, verdict::totals(&agents)),
        versions: run.record.versions.clone(),
        seal: sealing::summary(&run),
        landed,
        agents,
        checks: checks.into_iter().map(|c: Judged| c.summary).collect(),
        findings,
    };
    count(&mut summary);
    // Agents choose names, titles and outputs: whoever shows a text of the summary shows it as it is.
    let spelled = crate::visible::every_text(&summary).map_err(|source| JudgeError::Encode { name: "summary.json", source })?;
    Ok(spelled.unwrap_or(summary))
}

/// The plan of a run that stopped before its scenario was resolved: nothing is expected, so nothing is judged.
fn unplanned(run: &Run) -> Plan {
    Plan {
        schema: SCHEMA_VERSION,
        scenario: run.record.scenario.clone(),
        title: run.record.title.clone(),
        rigs: Vec::new(),
        convoy: String::new(),
        landing_timeout_s: 0.0,
        landed: Vec::new(),
        exercises: Vec::new(),
        checks: Vec::new(),
        telemetry: std::collections::BTreeMap::new(),
        high_input_tokens: None,
    }
}

fn run_info(run: &Run) -> RunInfo {
    let record = &run.record;
    RunInfo {
        id: record.id.clone(),
        run_id: record.run_id.clone(),
        scenario: record.scenario.clone(),
        title: record.title.clone(),
        town: record.town.clone(),
        models: record.models.clone(),
        seed: record.seed,
        command: record.command.clone(),
        started_at: record.started_at,
        ended_at: record.ended_at,
        duration_s: run.since_start(run.last_moment()),
    }
}

fn phases(run: &Run) -> Vec<PhaseSummary> {
    let one = |phase: &crate::evidence::Phase| PhaseSummary {
        number: phase.number,
        name: phase.name.clone(),
        ok: phase.ok,
        started_at: phase.started_at,
        duration_s: phase.ended_at.map(|end| seconds(phase.started_at, end)),
        detail: phase.detail.clone(),
    };
    run.record.phases.iter().map(one).collect()
}

fn rigs(run: &Run) -> Vec<RigSummary> {
    run.rigs.rows.iter().map(|git| rig(run, git)).collect()
}

fn rig(run: &Run, git: &RigGit) -> RigSummary {
    let commit = |c: &crate::evidence::Commit| CommitSummary {
        sha: c.sha.clone(),
        author: c.author.clone(),
        at: c.at,
        subject: c.subject.clone(),
    };
    let file = |f: &crate::evidence::GitFile| FileSummary { path: f.path.clone(), size: f.size, sha256: f.sha256.clone() };
    RigSummary {
        rig: git.rig.clone(),
        target: git.target.clone(),
        head: git.head.clone(),
        commits: git.commits.iter().map(commit).collect(),
        files: git.files.iter().map(file).collect(),
        issues: issues(run, &git.rig),
    }
}

fn issues(run: &Run, rig: &str) -> Vec<IssueSummary> {
    let of_rig = |id: &&str| {
        let bead = run.beads.rows.iter().find(|b| b.id == **id).and_then(|b| b.rig.as_deref());
        let delivery = run.deliveries.rows.iter().find(|d| d.issue == **id).map(|d| d.rig.as_str());
        bead.or(delivery) == Some(rig)
    };
    let one = |id: &str| {
        let bead = run.beads.rows.iter().find(|b| b.id == id);
        let delivery = run.deliveries.rows.iter().find(|d| d.issue == id);
        IssueSummary {
            id: id.to_owned(),
            title: bead.map(|b| b.title.clone()).unwrap_or_default(),
            status: bead.map_or_else(|| "unknown".into(), |b| b.status.clone()),
            worker: delivery.and_then(|d| d.worker.clone()).or_else(|| bead.and_then(|b| b.assignee.clone())),
            merged: delivery.map(|d| d.merged),
            merged_as: delivery.and_then(|d| d.merged_as.clone()),
        }
    };
    run.tracked().into_iter().filter(of_rig).map(one).collect()
}

/// Planned exercises in the plan's order, then whatever else was recorded.
fn exercises(run: &Run) -> Vec<ExerciseSummary> {
    let planned = run.plan.as_ref().map_or(&[][..], |p| p.exercises.as_slice());
    let mut all: Vec<ExerciseSummary> = planned
        .iter()
        .map(|p| match run.exercises.get(&p.name) {
            Some((_, record)) => exercise(record),
            None => ExerciseSummary {
                name: p.name.clone(),
                title: p.title.clone(),
                steps: Vec::new(),
                not_done: Some("the run has no record of it".into()),
            },
        })
        .collect();
    let extra = run.exercises.values().filter(|(_, r)| !planned.iter().any(|p| p.name == r.name));
    all.extend(extra.map(|(_, record)| exercise(record)));
    all
}

fn exercise(record: &ExerciseRecord) -> ExerciseSummary {
    let step = |s: &StepRecord| StepSummary {
        name: s.name.clone(),
        command: s.command.join(" "),
        ended: match (s.exit, &s.ended) {
            (Some(code), _) => format!("exit {code}"),
            (None, Some(ended)) => ended.clone(),
            (None, None) => "no exit code".into(),
        },
        duration_ms: round(s.duration_ms),
    };
    ExerciseSummary {
        name: record.name.clone(),
        title: record.title.clone(),
        steps: record.steps.iter().map(step).collect(),
        not_done: record.not_done.clone(),
    }
}

fn totals(run: &Run, telemetry: &Telemetry, mut totals: Totals) -> Totals {
    totals.events = telemetry.logs.len() as u64;
    totals.errors = telemetry.logs.iter().filter(|r| r.severity_number >= 17).count() as u64;
    totals.contradicted = telemetry.contradicted();
    totals.beads = run.beads.rows.len() as u64;
    totals.mails = run.mail.rows.len() as u64;
    totals.exercises_done = run.exercises.values().filter(|(_, r)| r.not_done.is_none()).count() as u64;
    totals.exercises_planned = run.plan.as_ref().map_or(0, |p| p.exercises.len() as u64);
    totals
}

fn count(summary: &mut Summary) {
    let checks = |status| summary.checks.iter().filter(|c| c.status == status).count() as u64;
    let (passed, failed, unknown) = (checks(CheckStatus::Passed), checks(CheckStatus::Failed), checks(CheckStatus::Unknown));
    let findings = |level| summary.findings.iter().filter(|f| f.level == level).count() as u64;
    let (problems, warnings, notes) = (findings(Level::Problem), findings(Level::Warning), findings(Level::Note));
    let totals = &mut summary.totals;
    (totals.checks_passed, totals.checks_failed, totals.checks_unknown) = (passed, failed, unknown);
    (totals.problems, totals.warnings, totals.notes) = (problems, warnings, notes);
}
