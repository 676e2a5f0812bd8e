//! The seed's eight numbered reports and the README, in Markdown.

use std::fmt::Write as _;

use super::html::href;
use crate::markup::{RAW, block, cell, code, line, table};
use crate::run::Run;
use crate::summary::{
    AgentSummary, CheckStatus, CheckSummary, EvidenceKind, Finding, Level, LossSummary, QueryAnswer, Summary, TelemetryStatus,
};
use crate::wording::{after, dollars, duration, grouped, milliseconds, quoted, seconds, short_agent, short_sha};

/// Name, title and phase of the numbered files, in order.
pub(super) const FILES: [(&str, &str, u8); 8] = [
    ("01-otel-reset.md", "Reset telemetry", 1),
    ("02-gastown-reset.md", "Reset town", 2),
    ("03-otel-start.md", "Start telemetry", 3),
    ("04-gastown-start.md", "Start town", 4),
    ("05-test-launch.md", "Launch the test", 5),
    ("06-test-results.md", "Results", 6),
    ("07-otel-data.md", "Telemetry", 7),
    ("08-recommendations.md", "Findings and recommendations", 8),
];

/// Every Markdown file: its name and text.
pub(super) fn files(summary: &Summary, run: &Run) -> Vec<(&'static str, String)> {
    let mut files: Vec<(&'static str, String)> =
        FILES.iter().map(|(name, title, phase)| (*name, numbered(summary, run, title, *phase))).collect();
    files.push(("README.md", readme(summary)));
    files
}

fn numbered(summary: &Summary, run: &Run, title: &str, phase: u8) -> String {
    let mut page =
        format!("# {phase}. {title}\n\nRun {} of {}, town {}.\n\n", summary.run.id, summary.run.scenario, summary.run.town);
    if phase < 8 {
        page += &phase_text(run, phase);
    }
    page += &match phase {
        5 => receipt(run),
        6 => results(summary),
        7 => telemetry(summary),
        8 => recommendations(summary),
        _ => String::new(),
    };
    page
}

fn phase_text(run: &Run, number: u8) -> String {
    let Some(phase) = run.record.phases.iter().find(|p| p.number == number) else {
        let why = run.record.stopped.as_ref().map_or_else(String::new, |s| format!(": {}", s.message));
        return format!("This phase was not reached{why}.\n\n");
    };
    let state = match (phase.ended_at, phase.ok) {
        (None, _) => "did not end".to_owned(),
        (Some(end), ok) => {
            let time = duration(crate::wording::seconds(phase.started_at, end));
            format!("{} in {time}", if ok { "done" } else { "not done" })
        }
    };
    let detail = if phase.detail.is_empty() { String::new() } else { format!(": {}", phase.detail) };
    let mut text = format!("**{state}**{detail}\n\n");
    if !phase.facts.is_empty() {
        text += &table(&["", ""], phase.facts.iter().map(|(label, value)| vec![label.clone(), value.clone()]));
    }
    text
}

fn receipt(run: &Run) -> String {
    let Some(receipt) = &run.record.delivery else { return "No prompt was delivered.\n".into() };
    let received = match (receipt.received_at, &receipt.proof) {
        (Some(at), Some(proof)) => format!("{}, proven by {proof}", after(run.since_start(at))),
        (Some(at), None) => after(run.since_start(at)),
        (None, _) => "never seen to be received".into(),
    };
    let received = match receipt.whole {
        Some(true) => format!("{received}, whole"),
        Some(false) => format!("{received}, **not whole**"),
        None => received,
    };
    let rows = [
        vec!["prompt".into(), format!("{} bytes", grouped(receipt.bytes))],
        vec!["sent".into(), after(run.since_start(receipt.sent_at))],
        vec!["received".into(), received],
    ];
    table(&["delivery", ""], rows)
}

fn results(summary: &Summary) -> String {
    let mut text = format!("## {}\n\n{}\n\n", summary.outcome.shout(), summary.headline);
    text += "## Landed clauses\n\n";
    let clause = |c: &crate::summary::ClauseSummary| {
        let since = c.true_after_s.map_or_else(|| "–".to_owned(), after);
        let last = c.last_false.map_or_else(|| "–".to_owned(), |t| after(seconds(summary.run.started_at, t)));
        let at = c.evidence.as_deref().map_or_else(|| "–".to_owned(), |at| RAW.to_owned() + &place(at));
        vec![c.title.clone(), c.now.clone(), since, last, c.source.clone(), at]
    };
    text += &table(&["clause", "now", "true since", "last seen false", "seen in", "evidence"], summary.landed.iter().map(clause));
    text += "## Delivered\n\n";
    text += &delivered(summary);
    text += "## Exercises\n\n";
    text += &exercises(summary);
    text += "## Checks\n\n";
    text += &table(&["check", "status", "expected", "saw"], summary.checks.iter().map(check_row));
    text
}

fn check_row(check: &CheckSummary) -> Vec<String> {
    let title = format!("{}<br>{}", cell(&check.title), code(&check.id));
    let on = check.depends_on.as_ref().map_or_else(String::new, |cause| format!("depends on {cause}: "));
    vec![RAW.to_owned() + &title, status(check.status).into(), check.expected.clone(), format!("{on}{}", check.saw)]
}

/// The words for a check's answer.
pub(super) fn status(status: CheckStatus) -> &'static str {
    match status {
        CheckStatus::Passed => "holds",
        CheckStatus::Failed => "fails",
        CheckStatus::Unknown => "unknown",
    }
}

fn delivered(summary: &Summary) -> String {
    let rows = summary.rigs.iter().map(|rig| {
        let head = rig.head.as_deref().map_or("–", short_sha);
        let files: Vec<&str> = rig.files.iter().map(|f| f.path.as_str()).collect();
        let issues: Vec<String> = rig
            .issues
            .iter()
            .map(|i| format!("{} {}{}", i.id, i.status, if i.merged == Some(true) { ", merged" } else { "" }))
            .collect();
        vec![
            rig.rig.clone(),
            format!("{} {head}", rig.target),
            rig.commits.len().to_string(),
            files.join(", "),
            issues.join("; "),
        ]
    });
    table(&["rig", "head", "commits", "files", "issues"], rows)
}

fn exercises(summary: &Summary) -> String {
    let rows = summary.exercises.iter().map(|exercise| {
        let steps: Vec<String> =
            exercise.steps.iter().map(|s| format!("{}: {} ({})", s.name, s.ended, milliseconds(s.duration_ms))).collect();
        let result = exercise.not_done.as_ref().map_or_else(|| steps.join("; "), |why| format!("not done: {why}"));
        vec![exercise.name.clone(), exercise.title.clone(), result]
    });
    table(&["exercise", "what", "steps"], rows)
}

fn telemetry(summary: &Summary) -> String {
    let totals = &summary.totals;
    let mut text = String::from("## Agents\n\n");
    text += &table(
        &["agent", "sessions", "model calls", "input", "output", "cache read", "cache write", "cost", "telemetry"],
        summary.agents.iter().map(agent_row),
    );
    let _ = writeln!(
        text,
        "{} log records, {} of severity ERROR, {} records that contradict the address they came by. Sum: {} model calls, {} input and {} output tokens, {}.\n",
        grouped(totals.events),
        grouped(totals.errors),
        grouped(totals.contradicted),
        grouped(totals.model_calls),
        grouped(totals.input_tokens),
        grouped(totals.output_tokens),
        dollars(totals.cost_usd)
    );
    text += &losses(summary);
    text += "## OTEL queries reference\n\n";
    for answer in &summary.queries {
        text += &query(answer, "###");
    }
    text
}

/// What was sent and is not in the store, or not as it was sent; nothing when there is none.
fn losses(summary: &Summary) -> String {
    if summary.intake.losses.is_empty() {
        return String::new();
    }
    let row = |loss: &LossSummary| {
        let example = shown_example(&loss.example);
        vec![
            loss_sender(loss),
            loss.kind.replace('_', " "),
            grouped(loss.count),
            loss.signal.clone(),
            loss.reason.clone(),
            example,
        ]
    };
    let rows = table(&["came by", "what", "number", "of", "why", "first"], summary.intake.losses.iter().map(row));
    format!("## Not in the store as it was sent\n\n{rows}")
}

fn shown_example(example: &str) -> String {
    if example.is_empty() { String::new() } else { quoted(example, 80) }
}

/// Whose address a loss came by.
pub(super) fn loss_sender(loss: &LossSummary) -> String {
    match (&loss.agent, &loss.claimed) {
        (Some(agent), _) => short_agent(agent),
        (None, Some(claimed)) => format!("{}, without its token", short_agent(claimed)),
        (None, None) => "the town's own paths".to_owned(),
    }
}

fn agent_row(agent: &AgentSummary) -> Vec<String> {
    vec![
        short_agent(&agent.agent),
        agent.sessions.join(", "),
        grouped(agent.model_calls),
        grouped(agent.input_tokens),
        grouped(agent.output_tokens),
        grouped(agent.cache_read_tokens),
        grouped(agent.cache_creation_tokens),
        dollars(agent.cost_usd),
        whole(agent),
    ]
}

/// `complete`, or what is missing and why.
pub(super) fn whole(agent: &AgentSummary) -> String {
    let telemetry = &agent.telemetry;
    let cause = telemetry.cause.as_deref().map_or_else(String::new, |c| format!(": {c}"));
    match telemetry.status {
        TelemetryStatus::Complete => format!("complete, {} records", grouped(telemetry.events)),
        TelemetryStatus::Incomplete => format!("{}{cause}", telemetry.missing.join(", ")),
        TelemetryStatus::NotExpected => format!("not expected{cause}"),
        TelemetryStatus::Unknown => format!("unknown{cause}"),
    }
}

fn query(answer: &QueryAnswer, heading: &str) -> String {
    let language = if answer.language == EvidenceKind::Logsql { "logsql" } else { "promql" };
    let mut text = format!("{heading} {}\n\n```{language}\n{}\n```\n\n", answer.title, answer.query);
    if let Some(count) = answer.count {
        let what = if answer.language == EvidenceKind::Logsql { "rows" } else { "series" };
        let _ = writeln!(
            text,
            "{} {what}.{}\n",
            grouped(count),
            answer.why_empty.as_ref().map_or_else(String::new, |w| format!(" {w}."))
        );
    } else if let Some(why) = &answer.why_empty {
        let _ = writeln!(text, "No answer: {why}.\n");
    }
    if !answer.answer.is_empty() {
        text += &table(&["", "value"], answer.answer.iter().map(|r| vec![r.label.clone(), r.value.clone()]));
    }
    if let Some(instead) = &answer.instead {
        text += "The query that has the figure:\n\n";
        text += &query(instead, "####");
    }
    text
}

fn recommendations(summary: &Summary) -> String {
    let mut text = format!("**{}**: {}\n\n", summary.outcome.shout(), summary.headline);
    for (level, title) in [(Level::Problem, "Problems"), (Level::Warning, "Warnings"), (Level::Note, "Worth knowing")] {
        let findings: Vec<&Finding> = summary.findings.iter().filter(|f| f.level == level).collect();
        if !findings.is_empty() {
            let _ = writeln!(text, "## {title}\n");
            findings.iter().for_each(|f| text += &finding(f));
        }
    }
    text
}

fn finding(finding: &Finding) -> String {
    let mut text = format!("### {}\n\n{}\n\n", line(&finding.title), code(&finding.id));
    let facts = [("expected", &finding.expected), ("saw", &finding.saw)];
    for (label, value) in facts {
        if let Some(value) = value {
            let _ = writeln!(text, "- **{label}**: {}", line(value));
        }
    }
    for detail in &finding.details {
        let _ = match detail.text.contains('\n') {
            true => writeln!(text, "- **{}**:\n\n{}", line(&detail.label), indented(&block("text", &detail.text))),
            false => writeln!(text, "- **{}**: {}", line(&detail.label), line(&detail.text)),
        };
    }
    for evidence in &finding.evidence {
        let _ = match evidence.kind {
            EvidenceKind::Path => writeln!(text, "- **evidence**: {}", place(&evidence.at)),
            _ => writeln!(text, "- **query**: {}", code(&evidence.at)),
        };
    }
    if let Some(next) = &finding.next {
        let _ = write!(text, "\n```sh\n{next}\n```\n");
    }
    text + "\n"
}

/// A link to a place in the run's folder.
fn place(at: &str) -> String {
    format!("[{}]({})", code(at).replace('|', "\\|"), href(at))
}

/// A block inside a list.
fn indented(block: &str) -> String {
    block.lines().map(|line| format!("  {line}\n")).collect()
}

/// What kept agents to their own work, and what did not.
fn fence(summary: &Summary) -> String {
    let Some(fence) = &summary.fence else { return String::new() };
    let mut text = format!("## Fence\n\nThe fence around what agents start is **{}**.\n\n", fence.mode.word());
    for sentence in &fence.enforced {
        let _ = writeln!(text, "- {}", line(sentence));
    }
    if !fence.enforced.is_empty() {
        text.push('\n');
    }
    if !fence.missing.is_empty() {
        let rows = fence.missing.iter().map(|gap| vec![gap.what.clone(), gap.open.clone(), gap.why.clone()]);
        text += &table(&["missing", "leaves open", "why"], rows);
    }
    text
}

fn readme(summary: &Summary) -> String {
    let run = &summary.run;
    let mut text = format!("# {}: {}\n\n{}\n\n", run.title, summary.outcome.shout(), summary.headline);
    let rows = [
        ("run", run.id.clone()),
        ("scenario", run.scenario.clone()),
        ("town", run.town.clone()),
        ("models", run.models.clone()),
        ("started", run.started_at.format("%Y-%m-%d %H:%M:%S UTC").to_string()),
        ("took", duration(run.duration_s)),
        ("exit code", summary.exit_code.to_string()),
        ("judged", summary.judged()),
        ("sealed", crate::sealing::in_words(&summary.seal)),
    ];
    text += &table(&["", ""], rows.map(|(label, value)| vec![label.to_owned(), value]));
    let _ = writeln!(text, "Repeat it:\n\n```sh\n{}\n```\n\n## Phases\n", run.command);
    let phase = |p: &crate::summary::PhaseSummary| {
        let time = p.duration_s.map_or_else(|| "–".into(), duration);
        vec![p.number.to_string(), p.name.clone(), if p.ok { "done" } else { "not done" }.into(), time, p.detail.clone()]
    };
    text += &table(&["", "phase", "", "time", "detail"], summary.phases.iter().map(phase));
    text += &fence(summary);
    text += "## Files\n\n- [report.html](report.html): everything on one page\n";
    for (name, title, _) in FILES {
        let _ = writeln!(text, "- [{name}]({name}): {title}");
    }
    text += "- [summary.json](summary.json), [junit.xml](junit.xml): for programs\n- [evidence/](evidence/): what all of this is made from\n";
    let _ = writeln!(text, "\nLook at it: `proctor view {}`. Judge it again: `proctor judge {}`.", run.id, run.id);
    text
}
