//! What is worth knowing whatever the outcome: workers, processes left behind, deliverables, where to look.

use super::Known;
use crate::agents::STANDING_ROLES;
use crate::evidence::path;
use crate::next;
use crate::outcome::Outcome;
use crate::summary::{CheckStatus, Finding, Level};
use crate::wording::{at_path, at_promql, count, grouped, short_agent};

pub(super) fn all(known: &Known<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(cut_prompt(known));
    findings.extend(leftovers(known));
    findings.extend(super::faults::all(known));
    findings.extend(super::origins::all(known));
    findings.extend(unread(known));
    findings.extend(deliverables(known));
    findings.extend(look(known));
    findings
}

/// Issues were slung, and no worker's session ever began.
pub(super) fn no_worker(known: &Known<'_>) -> Option<Finding> {
    let run = known.run;
    let slung = known.telemetry.logs.iter().filter(|r| r.body == "sling").count();
    let any = run.sessions.rows.iter().any(|s| !STANDING_ROLES.contains(&s.role.as_str()));
    (run.sessions.known && !any && slung > 0).then(|| {
        Finding::new(Level::Problem, "workers.none", "issues were slung and no worker was spawned")
            .expected("a worker's session for every issue that is slung")
            .saw(format!("{} and no session of a worker", count(slung, "sling")))
            .at(at_path(format!("evidence/{}", path::SESSIONS)))
            .at(at_promql("gastown_polecat_spawns_total"))
            .next(next::view_events(run, "sling"))
    })
}

/// The coordinator had the beginning of the prompt and not all of it: what it did may follow from that.
fn cut_prompt(known: &Known<'_>) -> Option<Finding> {
    let delivery = known.run.record.delivery.as_ref().filter(|delivery| delivery.whole == Some(false))?;
    let proof = delivery.proof.as_deref().unwrap_or("no proof");
    let finding = Finding::new(Level::Warning, "prompt.cut", "the mayor did not receive the whole prompt")
        .expected(format!("all {} bytes of the prompt in what the mayor was told", grouped(delivery.bytes)))
        .saw(format!("only its beginning, or a changed text ({proof})"))
        .at(at_path(format!("evidence/{}", path::EXCHANGES)))
        .next(next::view(known.run));
    Some(finding)
}

fn leftovers(known: &Known<'_>) -> Vec<Finding> {
    let rows = known.run.record.leftovers.iter();
    rows.map(|left| {
        let who = left.agent.as_deref().map_or_else(|| "the town".into(), short_agent);
        Finding::new(Level::Warning, "process.left_behind", format!("{who} left a process behind: {}", left.command))
            .expected("no process of the run after its agents and the town ended")
            .saw(match left.ended {
                true => format!("process {} was still there; it was ended", left.pid),
                false => format!("process {} was still there and could not be ended", left.pid),
            })
            .at(at_path(format!("evidence/{}", path::RUN)))
            .next(if left.ended { next::view(known.run) } else { "proctor clean".into() })
    })
    .collect()
}

/// Files that a run without faults, a gateway, exercises, odd files, refusals or served origins has no reason to write.
const OPTIONAL: [&str; 6] = [path::FAULTS, path::EXCHANGES, path::RUNTIME, path::SKIPPED, path::REFUSALS, path::PUSHES];

/// Evidence files that could not be read whole. That files of later phases are absent when a run stopped early is no news.
fn unread(known: &Known<'_>) -> Vec<Finding> {
    let early = crate::checks::incomplete(known.run).is_some();
    let optional = |file: &str| OPTIONAL.iter().any(|o| file.ends_with(o));
    let no_news = |file: &str| early || known.outcome == Outcome::Passed || optional(file);
    let told = |file: &str| known.run.seal.change(file).is_some();
    let no_loss = |why: &str, file: &str| why == "is not there" && no_news(file);
    let rows = known.run.unread.iter().filter(|(file, why)| !no_loss(why, file) && !told(file));
    rows.map(|(file, why)| {
        Finding::new(Level::Warning, "evidence.unread", format!("{file} {why}"))
            .expected("evidence that can be read whole")
            .saw("what it would have shown counts as unknown")
            .at(at_path(file.clone()))
            .next(next::repeat(known.run))
    })
    .collect()
}

/// Whether what was delivered was run at all, and how that went.
fn deliverables(known: &Known<'_>) -> Option<Finding> {
    let planned = known.run.plan.as_ref().map_or(0, |p| p.exercises.len());
    let done = known.run.exercises.values().filter(|(_, r)| r.not_done.is_none()).count();
    if planned == 0 {
        return None;
    }
    let of_exercises: Vec<CheckStatus> =
        known.checks.iter().filter(|c| c.summary.kind == "exercise").map(|c| c.summary.status).collect();
    let held = of_exercises.iter().filter(|s| **s == CheckStatus::Passed).count();
    let finding = if done == planned && held == of_exercises.len() {
        Finding::new(
            Level::Note,
            "deliverables.verified",
            format!("what was merged was run: {}, all {held} checks on them hold", count(done, "exercise")),
        )
    } else if done == 0 {
        // What ended the run early is a finding of its own; that nothing was run follows from it.
        let own = matches!(known.outcome, Outcome::Passed | Outcome::Failed | Outcome::Unknown);
        let level = if own { Level::Warning } else { Level::Note };
        let because = known.run.exercises.values().find_map(|(_, r)| r.not_done.clone());
        Finding::new(level, "deliverables.not_verified", "what was delivered was not run")
            .expected(count(planned, "exercise"))
            .saw(because.unwrap_or_else(|| "none was done".into()))
    } else {
        Finding::new(
            Level::Note,
            "deliverables.judged",
            format!(
                "what was merged was run: {done} of {} done, {held} of {} hold",
                count(planned, "exercise"),
                count(of_exercises.len(), "check")
            ),
        )
    };
    Some(
        finding
            .at(at_path(format!("evidence/{}/", path::EXERCISE)))
            .next(format!("proctor exercise {} --help", known.run.record.id)),
    )
}

fn look(known: &Known<'_>) -> Vec<Finding> {
    let id = &known.run.record.id;
    vec![
        Finding::new(Level::Note, "look.viewer", "the trace of every agent on one time axis, with prompts, commands and mails")
            .saw(format!("served by `proctor view {id}`; nothing leaves this machine"))
            .at(at_path("evidence/"))
            .next(next::view(known.run)),
        Finding::new(Level::Note, "look.queries", "dashboards and queries work on this run's telemetry")
            .saw("while the viewer runs, it answers the Prometheus and VictoriaLogs query APIs; after the run the same records lie in evidence/telemetry/*.parquet")
            .at(at_path("07-otel-data.md"))
            .at(at_path("evidence/telemetry/"))
            .next(next::view(known.run)),
    ]
}
