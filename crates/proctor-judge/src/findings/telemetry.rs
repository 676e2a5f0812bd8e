//! What the telemetry shows: gaps, contradictions, errors, and agents that read too much.

use super::Known;
use crate::checks::{ERRORS, error_line, gap};
use crate::evidence::path;
use crate::next;
use crate::plan::CheckKind;
use crate::summary::{CheckStatus, Finding, Level, TelemetryStatus};
use crate::wording::{at_logsql, at_path, count, grouped, short_agent};

pub(super) fn all(known: &Known<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(gaps(known));
    findings.extend(contradictions(known));
    findings.extend(errors(known));
    findings.extend(high_input(known));
    findings.extend(unread_store(known));
    findings
}

/// Agents whose telemetry is not whole, unless a check says so already.
fn gaps(known: &Known<'_>) -> Vec<Finding> {
    if known.checks.iter().any(|c| c.summary.kind == "telemetry" && c.summary.status != CheckStatus::Passed) {
        return Vec::new();
    }
    let incomplete = known.agents.iter().filter(|a| a.telemetry.status == TelemetryStatus::Incomplete);
    incomplete
        .map(|agent| {
            Finding::new(
                Level::Warning,
                "telemetry.incomplete",
                format!("the telemetry of {} is not complete", short_agent(&agent.agent)),
            )
            .expected("what its program owes")
            .saw(gap(agent))
            .at(at_logsql(format!("\"proctor.agent\":=\"{}\"", agent.agent)))
            .next(next::view_agent(known.run, &agent.agent, None))
        })
        .collect()
}

/// Records that claim to be another agent's than the one whose address they came by.
fn contradictions(known: &Known<'_>) -> Vec<Finding> {
    let pairs = known.telemetry.contradictions();
    let finding = |((address, claim), number): (&(String, String), &u64)| {
        let records = count(usize::try_from(*number).unwrap_or(usize::MAX), "record");
        let title = format!("{records} that came by {}'s address claim to be {}'s", short_agent(address), short_agent(claim));
        Finding::new(Level::Warning, "identity.contradicted", title)
            .expected("records under the name of the agent that sent them")
            .saw(format!("{records}; they are kept and counted for nobody"))
            .at(at_logsql(format!("\"proctor.agent\":=\"{address}\" AND \"proctor.agent.contradicted\":=\"{claim}\"")))
            .next(next::view_agent(known.run, address, None))
    };
    pairs.iter().map(finding).collect()
}

/// Errors in the logs: a note when a check has looked at them and found them expected.
fn errors(known: &Known<'_>) -> Option<Finding> {
    let answer = known.telemetry.logsql(ERRORS).ok().filter(|a| a.total > 0)?;
    let of_check = known.checks.iter().find(|c| c.summary.kind == "no_errors").map(|c| c.summary.status);
    let level = match of_check {
        Some(CheckStatus::Failed) => return None,
        Some(_) => Level::Note,
        None => Level::Warning,
    };
    let mut kinds: std::collections::BTreeMap<&str, u64> = std::collections::BTreeMap::new();
    for row in &answer.rows {
        *kinds.entry(row.get("_msg").map_or("", String::as_str)).or_insert(0) += 1;
    }
    let kinds: Vec<String> = kinds.iter().map(|(name, n)| format!("{n} {name}")).collect();
    let mut finding =
        Finding::new(level, "errors.logs", format!("{} of severity ERROR in the logs", count(answer.total, "record")))
            .expected("none, or errors that the agents recovered from")
            .saw(kinds.join(", "));
    for (index, row) in answer.rows.iter().take(3).enumerate() {
        finding = finding.detail(if index == 0 { "first" } else { "then" }, error_line(row));
    }
    Some(finding.at(at_logsql(ERRORS)).next(next::view_errors(known.run)))
}

fn high_input(known: &Known<'_>) -> Vec<Finding> {
    let Some(limit) = known.run.plan.as_ref().and_then(|p| p.high_input_tokens) else { return Vec::new() };
    let read = |a: &crate::summary::AgentSummary| a.input_tokens + a.cache_read_tokens + a.cache_creation_tokens;
    let high = known.agents.iter().filter(|a| read(a) > limit);
    high.map(|agent| {
        let who = short_agent(&agent.agent);
        let each = read(agent).checked_div(agent.model_calls).unwrap_or(0);
        Finding::new(Level::Warning, "tokens.high", format!("{who} read {} input tokens", grouped(read(agent))))
            .expected(format!("at most {} (high_input_tokens of the scenario)", grouped(limit)))
            .saw(format!(
                "{} model calls of {} tokens on average; {} read from the cache, {} written to it",
                agent.model_calls,
                grouped(each),
                grouped(agent.cache_read_tokens),
                grouped(agent.cache_creation_tokens)
            ))
            .at(at_logsql(format!("\"claude_code.api_request\" AND \"proctor.agent\":=\"{}\"", agent.agent)))
            .next(next::view_agent(known.run, &agent.agent, None))
    })
    .collect()
}

fn unread_store(known: &Known<'_>) -> Option<Finding> {
    // A journal that is not what was sealed is a finding of its own.
    let told = known.run.seal.change(&format!("evidence/{}/journal.bin", path::TELEMETRY)).is_some();
    let why = known.telemetry.unreadable().filter(|_| known.run.reached(4) && !told)?;
    let asked = known.run.plan.iter().flat_map(|p| &p.checks).any(|c| {
        matches!(c.kind, CheckKind::Promql(_) | CheckKind::Logsql(_) | CheckKind::Telemetry {} | CheckKind::NoErrors(_))
    });
    let level = if asked { Level::Warning } else { Level::Note };
    Some(
        Finding::new(level, "evidence.store", "the run's telemetry cannot be read")
            .expected("a store in evidence/telemetry/")
            .saw(why)
            .at(at_path("evidence/telemetry/"))
            .next(next::repeat(known.run)),
    )
}
