//! Why the cycle could not go on: early ends, requests without an answer, a provider that refused.

use std::collections::BTreeMap;

use super::Known;
use crate::evidence::{Exchange, Loss, StopKind, path};
use crate::next;
use crate::outcome::Outcome;
use crate::summary::{Detail, Finding, Level};
use crate::verdict::{failed, silent_agents};
use crate::wording::{after, at_path, count, quoted, short_agent};

pub(super) fn all(known: &Known<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(misses(known));
    findings.extend(provider(known));
    findings.extend(losses(known));
    findings.extend(signals(known));
    // A stop is often the harness's view of what the two above explain better; it is told within the first of them then.
    let explained = if is_explained(known) { findings.iter_mut().find(|f| f.level == Level::Problem) } else { None };
    match explained {
        Some(cause) => with_stop(known, cause),
        None => findings.extend(stopped(known)),
    }
    findings
}

/// Whether the run stopped because of what the gateway's journal tells of.
fn is_explained(known: &Known<'_>) -> bool {
    let kind = known.run.record.stopped.as_ref().map(|s| s.kind);
    let missed = known.run.script_failed();
    match kind {
        Some(StopKind::Harness) => missed,
        Some(StopKind::Provider) => !missed && !silent_agents(&known.run.exchanges.rows).is_empty(),
        _ => false,
    }
}

/// Adds to the cause where the run stopped and what to do.
fn with_stop(known: &Known<'_>, cause: &mut Finding) {
    let Some(stopped) = &known.run.record.stopped else { return };
    let phase = known.run.record.phases.iter().find(|p| p.number == stopped.phase).map_or("", |p| p.name.as_str());
    let place = format!("in phase {} {phase}", stopped.phase).trim_end().to_owned();
    let hint = stopped.hint.iter().map(|hint| ("hint", hint.clone()));
    let facts = [("stopped", place)].into_iter().chain(hint);
    cause.details.extend(facts.map(|(label, text)| Detail { label: label.into(), text }));
    cause.evidence.push(at_path("run.log"));
}

/// Signals by which processes of the run asked Proctor to end.
fn signals(known: &Known<'_>) -> Option<Finding> {
    let rows = &known.run.record.signals;
    let first = rows.first()?;
    let who = first.agent.as_deref().map_or_else(|| "a process of the run".to_owned(), short_agent);
    let finding =
        Finding::new(Level::Warning, "run.signalled", format!("{who} sent Proctor {}, which it did not obey", first.signal))
            .expected("no signal to Proctor from what it runs")
            .saw(format!("{}, the first {}", count(rows.len(), "signal"), after(known.run.since_start(first.at))))
            .detail("process", format!("{} ({})", quoted(&first.command, 200), first.pid));
    Some(finding.at(at_path(format!("evidence/{}", path::RUN))).next(next::view(known.run)))
}

/// What of the town could not be read or kept at the end.
fn losses(known: &Known<'_>) -> Vec<Finding> {
    let level = blamed(known, Outcome::Unknown);
    let finding = |loss: &Loss| {
        let who = loss.agent.as_deref().map_or_else(|| "not known; agents can bring it about".to_owned(), short_agent);
        Finding::new(level, "collect.lost", format!("{} failed: {}", loss.what, loss.message))
            .expected("all of what the town held at the end")
            .saw(loss.message.clone())
            .detail("doing of", who)
            .at(at_path(format!("evidence/{}", path::RUN)))
            .at(at_path("run.log"))
            .next(next::repeat(known.run))
    };
    known.run.record.losses.iter().map(finding).collect()
}

fn stopped(known: &Known<'_>) -> Option<Finding> {
    let run = known.run;
    let evidence = at_path(format!("evidence/{}", path::RUN));
    let Some(stopped) = &run.record.stopped else {
        return killed(known).map(|f| f.at(evidence));
    };
    let id = match stopped.kind {
        StopKind::Environment => "run.environment_error",
        StopKind::Provider => "run.provider_error",
        StopKind::Harness => "run.harness_error",
        StopKind::Cancelled => "run.cancelled",
        StopKind::Lost => "run.lost",
        StopKind::Timeout => return None,
    };
    let phase = run.record.phases.iter().find(|p| p.number == stopped.phase).map_or("", |p| p.name.as_str());
    let finding = Finding::new(Level::Problem, id, stopped.message.clone())
        .expected("eight phases, one after the other")
        .saw(format!("the run stopped in phase {} {phase}", stopped.phase).trim_end().to_owned())
        .at(evidence)
        .at(at_path("run.log"))
        .next(next::repeat(run));
    // Where the town or its mayor would not begin, the mayor's terminal may say why.
    let finding = if matches!(stopped.phase, 4 | 5) { super::terminal::of(run, "mayor", finding) } else { finding };
    Some(match &stopped.hint {
        Some(hint) => finding.detail("hint", hint),
        None => finding,
    })
}

/// The record has no end: proctor was killed, or the machine went down.
fn killed(known: &Known<'_>) -> Option<Finding> {
    let record = &known.run.record;
    if record.ended_at.is_some() {
        return None;
    }
    let phase = record.phases.last().map_or_else(|| "before phase 1".into(), |p| format!("in phase {} {}", p.number, p.name));
    let finding = Finding::new(
        Level::Problem,
        "run.killed",
        format!("the record of the run ends {phase}: proctor was killed, or is still running"),
    )
    .expected("an end of phase 7, or the reason of an earlier end")
    .saw("neither")
    .next("proctor clean");
    Some(finding)
}

/// Requests that no rule of a script answered, one finding per agent.
fn misses(known: &Known<'_>) -> Vec<Finding> {
    let mut by_agent: BTreeMap<(&str, bool), Vec<&Exchange>> = BTreeMap::new();
    for exchange in known.run.exchanges.rows.iter().filter(|e| e.miss.is_some()) {
        by_agent.entry((&exchange.agent, known.run.is_stray(exchange))).or_default().push(exchange);
    }
    by_agent.values().filter_map(|rows| Some(miss(known, rows.first()?, rows.len()))).collect()
}

fn miss(known: &Known<'_>, exchange: &Exchange, all: usize) -> Finding {
    let run = known.run;
    let (level, because) = match exchange {
        e if run.is_consequence(e) => (Level::Note, ", after a planned fault"),
        e if !run.has_lived(&e.agent) => (Level::Warning, "; the town never started that agent"),
        e if run.is_stray(e) => (Level::Warning, "; a command of the agent asked, not the agent"),
        _ => (blamed(known, Outcome::HarnessError), ""),
    };
    let who = short_agent(&exchange.agent);
    let why = exchange.miss.as_deref().unwrap_or("no rule matched");
    Finding::new(
        level,
        "gateway.miss",
        format!("the script has no answer for what {who} asked in turn {}{because}", exchange.turn + 1),
    )
    .expected("a rule of the script that matches")
    .saw(why.split_once(": \"").map_or(why, |(rule, _)| rule))
    .detail("agent", &exchange.agent)
    .detail("turn", format!("{} (assistant messages before it: {})", exchange.turn + 1, exchange.turn))
    .detail("asked", quoted(&exchange.asked, 600))
    .detail("when", after(known.run.since_start(exchange.at)))
    .detail("times", count(all, "request"))
    .at(at_path(format!("evidence/{}:{}", path::EXCHANGES, exchange.n)))
    .next(next::view_exchange(known.run, exchange))
}

/// Errors of the provider: a problem where an agent got nothing but errors in the end, else worth knowing.
fn provider(known: &Known<'_>) -> Option<Finding> {
    let rows = &known.run.exchanges.rows;
    let errors: Vec<&Exchange> = rows.iter().filter(|e| failed(e)).collect();
    let first = errors.first()?;
    let silent = silent_agents(rows);
    let level = if silent.is_empty() { Level::Note } else { blamed(known, Outcome::ProviderError) };
    let title = match silent.as_slice() {
        [] => format!("the provider refused {} and answered when asked again", count(errors.len(), "model call")),
        silent => {
            let who: Vec<String> = silent.iter().map(|e| short_agent(&e.agent)).collect();
            format!("the provider answered {} to the last model call of {}", statuses(silent), who.join(", "))
        }
    };
    let injected = errors.iter().filter_map(|e| e.fault.as_deref()).next();
    let mut finding = Finding::new(level, "provider.errors", title)
        .expected("HTTP 200 for every model call")
        .saw(format!("{} with HTTP {}", count(errors.len(), "model call"), statuses(&errors)))
        .detail("first", after(known.run.since_start(first.at)));
    if let Some(fault) = injected {
        finding = finding.detail("planned", format!("the fault `{fault}` of the scenario"));
    }
    let last = silent.first().unwrap_or(first);
    Some(finding.at(at_path(format!("evidence/{}:{}", path::EXCHANGES, first.n))).next(next::view_exchange(known.run, last)))
}

fn statuses(exchanges: &[&Exchange]) -> String {
    let codes: std::collections::BTreeSet<u16> = exchanges.iter().map(|e| e.status).collect();
    codes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A problem where it decided the outcome; else something that went wrong and did no harm.
fn blamed(known: &Known<'_>, outcome: Outcome) -> Level {
    if known.outcome == outcome { Level::Problem } else { Level::Warning }
}
