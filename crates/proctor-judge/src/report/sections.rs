//! The tables of `report.html`: what was delivered, exercises, checks, agents, telemetry, and what exactly ran.

use maud::{Markup, html};

use super::html::{href, place};
use super::markdown::{FILES, loss_sender, status, whole};
use crate::evidence::path;
use crate::run::Run;
use crate::summary::{
    AgentSummary, CheckStatus, CheckSummary, EvidenceKind, ExerciseSummary, QueryAnswer, RigSummary, Summary, TelemetryStatus,
    UsageSource,
};
use crate::wording::{count, dollars, duration, grouped, milliseconds, quoted, short_agent, short_sha};

/// Checks in a table that is not folded.
const OPEN: usize = 12;

pub(super) fn delivered(summary: &Summary) -> Markup {
    html! {
        h2 id="delivered" { "Delivered" }
        @if summary.rigs.is_empty() { p class="soft" { "Git was not collected." } }
        div class="rig" { @for rig in &summary.rigs { (rig_card(rig)) } }
    }
}

fn rig_card(rig: &RigSummary) -> Markup {
    html! {
        div class="card" {
            h3 { (rig.rig) " " span class="soft mono" { (rig.target) " " (rig.head.as_deref().map_or("no head", short_sha)) } }
            ul {
                @for issue in &rig.issues {
                    li {
                        span class=(if issue.merged == Some(true) { "good" } else { "bad" }) { (if issue.merged == Some(true) { "✓ merged " } else { "✗ not merged " }) }
                        code { (issue.id) } " " (issue.title) " · " (issue.status)
                        @if let Some(worker) = &issue.worker { " · " (short_agent(worker)) }
                    }
                }
            }
            details { summary { (count(rig.files.len(), "file")) } ul { @for file in &rig.files { li { a href=(href(&format!("evidence/{}/{}/tree/{}", path::GIT, rig.rig, file.path))) { code { (file.path) } } " " span class="soft" { (grouped(file.size)) " bytes" } } } } }
            details { summary { (count(rig.commits.len(), "commit")) } ul {
                @for commit in &rig.commits { li { code { (short_sha(&commit.sha)) } " " (commit.subject) " · " span class="soft" { (short_agent(&commit.author)) } } }
            } }
        }
    }
}

pub(super) fn exercises(summary: &Summary) -> Markup {
    html! {
        h2 id="exercises" { "Exercises" }
        @if summary.exercises.is_empty() { p class="soft" { "None are planned." } }
        @else { div class="scroll" { table {
            thead { tr { th { "exercise" } th { "what" } th { "steps" } th class="n" { "time" } th { "checks" } } }
            tbody { @for exercise in &summary.exercises { (exercise_row(summary, exercise)) } }
        } } }
    }
}

fn exercise_row(summary: &Summary, exercise: &ExerciseSummary) -> Markup {
    let time: f64 = exercise.steps.iter().map(|s| s.duration_ms).sum();
    let folder = format!("evidence/exercise/{}/", exercise.name);
    let mine = summary.checks.iter().filter(|c| c.evidence.iter().any(|e| e.at == folder));
    html! {
        tr {
            td class="w" { a href=(href(&folder)) { code { (exercise.name) } } }
            td { (exercise.title) }
            td {
                @if let Some(why) = &exercise.not_done { span class="odd" { "not done: " (why) } }
                @for (index, step) in exercise.steps.iter().enumerate() { @if index > 0 { ", " } span title=(step.command) { (step.name) " " span class="soft" { (step.ended) } } }
            }
            td class="n" { @if exercise.steps.is_empty() { "–" } @else { (milliseconds(time)) } }
            td { @for check in mine { (mark(check.status)) " " } }
        }
    }
}

fn mark(status: CheckStatus) -> Markup {
    match status {
        CheckStatus::Passed => html! { span class="good" title="holds" { "✓" } },
        CheckStatus::Failed => html! { span class="bad" title="fails" { "✗" } },
        CheckStatus::Unknown => html! { span class="odd" title="unknown" { "?" } },
    }
}

/// Checks that do not hold, or could not be judged, before anything else is told: each leads to its evidence.
pub(super) fn failed_checks(summary: &Summary) -> Markup {
    let mut wrong: Vec<&CheckSummary> = summary.checks.iter().filter(|c| c.status != CheckStatus::Passed).collect();
    wrong.sort_by_key(|check| check.status != CheckStatus::Failed);
    let fails = wrong.first().is_some_and(|check| check.status == CheckStatus::Failed);
    html! {
        @if !wrong.is_empty() {
            h2 id="failed" { @if fails { "Checks that do not hold" } @else { "Checks that could not be judged" } }
            details open[wrong.len() <= OPEN] {
                summary { (summary.judged()) }
                (check_table(&wrong))
            }
        }
    }
}

fn check_table(checks: &[&CheckSummary]) -> Markup {
    html! {
        div class="scroll" { table class="checks" {
            thead { tr { th { "" } th { "check" } th { "expected" } th { "saw" } th { "evidence" } } }
            tbody { @for check in checks { tr {
                td class="w" { (mark(check.status)) " " (status(check.status)) }
                td { (check.title) br; code { (check.id) } }
                td { (check.expected) }
                td { @if let Some(cause) = &check.depends_on { "depends on " code { (cause) } br; } (check.saw) }
                td { @for (index, evidence) in check.evidence.iter().enumerate() {
                    @if index > 0 { br; }
                    @if evidence.kind == EvidenceKind::Path { (place(&evidence.at)) } @else { a href="evidence/telemetry/" title="the store that it asks" { code { (evidence.at) } } }
                } }
            } } }
        } }
    }
}

pub(super) fn checks(summary: &Summary) -> Markup {
    html! {
        h2 id="checks" { "Checks" }
        details open[summary.totals.checks_passed < 30] {
            summary { (summary.judged()) }
            (check_table(&summary.checks.iter().collect::<Vec<_>>()))
        }
    }
}

pub(super) fn agents(summary: &Summary) -> Markup {
    html! {
        h2 id="agents" { "Agents" }
        div class="scroll" { table {
            thead { tr {
                th { "agent" } th { "program" } th class="n" { "model calls" } th class="n" { "input" } th class="n" { "output" } th class="n" { "cache" } th class="n" { "cost" }
                th class="n" { "alive" } th class="n" { "model" } th class="n" { "tools" } th class="n" { "waiting" } th { "ended" } th { "telemetry" }
            } }
            tbody { @for agent in &summary.agents { (agent_row(agent)) } }
        } }
        p class="soft" { "Figures come from each agent's own claude_code.api_request events; where the program sends none, from the gateway's journal (marked *). "
            "Time: the model's by the gateway's journal, tools' by the agent's events, waiting is the rest." }
    }
}

fn agent_row(agent: &AgentSummary) -> Markup {
    let star = if agent.usage_from == UsageSource::Gateway { "*" } else { "" };
    let class = match agent.telemetry.status {
        TelemetryStatus::Complete => "good",
        TelemetryStatus::Incomplete => "bad",
        TelemetryStatus::NotExpected => "soft",
        TelemetryStatus::Unknown => "odd",
    };
    html! {
        tr {
            td class="w" { b { (short_agent(&agent.agent)) } @if let Some(issue) = &agent.issue { br; code { (issue) } } }
            td { (agent.program) }
            td class="n" { (grouped(agent.model_calls)) (star) }
            td class="n" { (grouped(agent.input_tokens)) }
            td class="n" { (grouped(agent.output_tokens)) }
            td class="n" { (grouped(agent.cache_read_tokens + agent.cache_creation_tokens)) }
            td class="n" { (dollars(agent.cost_usd)) }
            td class="n" { (duration(agent.time.alive_s)) }
            td class="n" { (duration(agent.time.model_s)) }
            td class="n" { (duration(agent.time.tools_s)) }
            td class="n" { (duration(agent.time.other_s)) }
            td { (agent.exit.as_deref().or(agent.state.as_deref()).unwrap_or("–")) }
            td class=(class) { (whole(agent)) }
        }
    }
}

pub(super) fn queries(summary: &Summary) -> Markup {
    html! {
        h2 id="telemetry" { "Telemetry" }
        p class="soft" { (grouped(summary.totals.events)) " log records, " (grouped(summary.totals.errors)) " of severity ERROR, " (grouped(summary.totals.contradicted)) " records that contradict the address they came by." }
        (losses(summary))
        div class="scroll" { table {
            thead { tr { th { "question" } th { "query" } th { "answer" } } }
            tbody { @for answer in &summary.queries { (query_rows(answer, false)) } }
        } }
    }
}

/// What was sent and is not in the store, or not as it was sent.
fn losses(summary: &Summary) -> Markup {
    let losses = &summary.intake.losses;
    html! {
        @if !losses.is_empty() {
            div class="scroll" { table {
                thead { tr { th { "came by" } th { "what" } th class="n" { "number" } th { "of" } th { "why" } th { "first" } } }
                tbody { @for loss in losses { tr {
                    td { (loss_sender(loss)) }
                    td { (loss.kind.replace('_', " ")) }
                    td class="n" { (grouped(loss.count)) }
                    td { (loss.signal) }
                    td { (loss.reason) }
                    td { @if !loss.example.is_empty() { code { (quoted(&loss.example, 80)) } } }
                } } }
            } }
        }
    }
}

fn query_rows(answer: &QueryAnswer, instead: bool) -> Markup {
    let what = if answer.language == EvidenceKind::Logsql { "rows" } else { "series" };
    html! {
        tr {
            td { @if instead { span class="soft" { "instead" } } @else { (answer.title) } }
            td { code { (answer.query) } }
            td {
                @if let Some(count) = answer.count { (grouped(count)) " " (what) } @else { span class="odd" { "no answer" } }
                @if let Some(why) = &answer.why_empty { br; span class="soft" { (why) } }
                @for row in &answer.answer { br; span class="mono" { (row.label) } " " b { (row.value) } }
            }
        }
        @if let Some(other) = &answer.instead { (query_rows(other, true)) }
    }
}

/// What kept agents to their own work, and what did not.
pub(super) fn fence(summary: &Summary) -> Markup {
    html! {
        h2 id="fence" { "Fence" }
        @match &summary.fence {
            None => p class="soft" { "This run does not say whether there was a fence around its agents." },
            Some(fence) => {
                p { "The fence around what agents start is " b { (fence.mode.word()) } "." }
                @if !fence.enforced.is_empty() { ul { @for sentence in &fence.enforced { li { (sentence) } } } }
                @if !fence.missing.is_empty() { div class="scroll" { table {
                    thead { tr { th { "missing" } th { "leaves open" } th { "why" } } }
                    tbody { @for gap in &fence.missing { tr { td class="w" { code { (gap.what) } } td { (gap.open) } td { (gap.why) } } } }
                } } }
            }
        }
    }
}

pub(super) fn what_ran(summary: &Summary, run: &Run) -> Markup {
    let info = &summary.run;
    let facts = [
        ("run", info.id.clone()),
        ("proctor.run.id", info.run_id.clone()),
        ("scenario", info.scenario.clone()),
        ("town", info.town.clone()),
        ("models", info.models.clone()),
        ("seed", info.seed.to_string()),
        ("command", info.command.clone()),
        ("started", info.started_at.format("%Y-%m-%d %H:%M:%S%.3f UTC").to_string()),
        ("took", duration(info.duration_s)),
        ("evidence sealed", crate::sealing::in_words(&summary.seal)),
    ];
    html! {
        h2 id="ran" { "What exactly ran" }
        p { "The whole log: " (place("run.log")) ". What happened, in order: " (place("timeline.ndjson")) ". Every input with its sum: " (place("lock.json")) ". What the run wrote: " (place("evidence/")) "." }
        div class="scroll" { table {
            thead { tr { th { "" } th { "phase" } th { "detail" } th class="n" { "time" } } }
            tbody { @for phase in &summary.phases { tr {
                td class="n" { (phase.number) }
                td class="w" { @if !phase.ok { span class="bad" { "✗ " } } a href=(FILES[usize::from(phase.number.clamp(1, 8)) - 1].0) { (phase.name) } }
                td { (phase.detail) }
                td class="n" { (phase.duration_s.map_or_else(|| "–".into(), duration)) }
            } } }
        } }
        div class="card" style="margin-top:14px" { dl {
            @for (label, value) in &facts { dt { (label) } dd { code { (value) } } }
            @for (name, version) in &summary.versions { dt { (name) } dd { (version) } }
            @for (label, value) in &run.record.notes { dt { (label) } dd { (value) } }
        } }
    }
}
