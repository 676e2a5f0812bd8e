//! Whether the telemetry that an agent's program owes is in the store, and if not, why.

use crate::evidence::Session;
use crate::intake;
use crate::plan::TelemetryExpectation;
use crate::run::Run;
use crate::summary::{TelemetryStatus, TelemetrySummary};
use crate::telemetry::{API_REQUEST, Telemetry};
use crate::wording::count;

/// The answer for `agent`, whose `own_calls` model calls are in the store and `gateway_calls` in the gateway's journal.
pub(crate) fn of(run: &Run, telemetry: &Telemetry, agent: &str, own_calls: u64, gateway_calls: u64) -> TelemetrySummary {
    let events = telemetry.records_of(agent).count() as u64;
    let metrics = telemetry.metrics_of(agent);
    let series = metrics.values().map(|s| s.len() as u64).sum();
    let mut summary = TelemetrySummary { status: TelemetryStatus::NotExpected, events, series, missing: Vec::new(), cause: None };
    match owed(run, agent) {
        Owed::Nothing(why) => summary.cause = Some(why),
        Owed::NotKnown(why) => (summary.status, summary.cause) = (TelemetryStatus::Unknown, Some(why)),
        Owed::This(expectation) => {
            if let Some(why) = not_judgeable(run, telemetry) {
                (summary.status, summary.cause) = (TelemetryStatus::Unknown, Some(why));
                return summary;
            }
            summary.missing = missing(telemetry, agent, expectation, own_calls, gateway_calls);
            if summary.missing.is_empty() {
                summary.status = TelemetryStatus::Complete;
                return summary;
            }
            // What Proctor did not take may hold what is missing: that is not the sender's gap.
            let taken_from = intake::taken_from(run, telemetry, agent).filter(|_| planned(run, agent).is_none());
            summary.status = if taken_from.is_some() { TelemetryStatus::Unknown } else { TelemetryStatus::Incomplete };
            summary.cause = Some(taken_from.unwrap_or_else(|| cause(run, telemetry, agent, events + series)));
        }
    }
    summary
}

/// What an agent's program owes.
enum Owed<'a> {
    This(&'a TelemetryExpectation),
    Nothing(String),
    NotKnown(String),
}

fn owed<'a>(run: &'a Run, agent: &str) -> Owed<'a> {
    let Some(row) = run.agents.rows.iter().find(|a| a.agent == agent) else {
        return Owed::NotKnown("the town did not name this agent when evidence was collected".into());
    };
    let Some(plan) = &run.plan else { return Owed::NotKnown("evidence/plan.json is not there".into()) };
    match plan.telemetry.get(&row.telemetry) {
        Some(expectation) if expectation.gateway_stands_in => {
            Owed::Nothing("the gateway's journal stands in for this program".into())
        }
        Some(expectation) if owes_nothing(expectation) => Owed::Nothing("this program owes no telemetry".into()),
        Some(expectation) => Owed::This(expectation),
        None if row.telemetry == "none" => Owed::Nothing("this program owes no telemetry".into()),
        None => Owed::NotKnown(format!("the plan does not say what telemetry `{}` owes", row.telemetry)),
    }
}

fn owes_nothing(expectation: &TelemetryExpectation) -> bool {
    expectation.events.is_empty() && expectation.metrics.is_empty() && !expectation.api_requests_match_gateway
}

/// Why nothing can be said of any agent.
fn not_judgeable(run: &Run, telemetry: &Telemetry) -> Option<String> {
    if let Some(why) = telemetry.unreadable() {
        return Some(format!("the store cannot be read: {why}"));
    }
    let flushed = run.record.phases.iter().any(|p| p.number == 7 && p.ended_at.is_some());
    (!flushed).then(|| "the run ended before telemetry was flushed".to_owned())
}

fn missing(
    telemetry: &Telemetry,
    agent: &str,
    expectation: &TelemetryExpectation,
    own_calls: u64,
    gateway_calls: u64,
) -> Vec<String> {
    let mut missing = Vec::new();
    for event in &expectation.events {
        if !telemetry.records_of(agent).any(|r| r.body == *event) {
            missing.push(format!("no event {event}"));
        }
    }
    let metrics = telemetry.metrics_of(agent);
    let has = |name: &String| metrics.keys().any(|m| m == name || m.replace('.', "_") == name.replace('.', "_"));
    missing.extend(expectation.metrics.iter().filter(|m| !has(m)).map(|m| format!("no series of {m}")));
    if expectation.api_requests_match_gateway && own_calls != gateway_calls {
        missing.push(format!(
            "{own_calls} {API_REQUEST} events, and the gateway answered {}",
            count(usize::try_from(gateway_calls).unwrap_or(usize::MAX), "model call")
        ));
    }
    missing
}

/// The likeliest reason for a gap, from the most to the least certain.
fn cause(run: &Run, telemetry: &Telemetry, agent: &str, records: u64) -> String {
    if let Some(fault) = planned(run, agent) {
        return fault;
    }
    let claims: u64 = telemetry.contradictions().iter().filter(|((a, _), _)| a == agent).map(|(_, n)| n).sum();
    if records == 0 && claims > 0 {
        return format!("all {claims} records that came by its address claim to be another agent's");
    }
    let died = run.sessions.rows.iter().rev().find(|s| s.agent == agent).and_then(abrupt);
    match (records, died) {
        (_, Some(exit)) => format!("its session ended by {exit}, so that the last export may not have happened"),
        (0, None) => {
            "nothing arrived at its address: it was started without the telemetry addresses, or its program sends none".into()
        }
        _ => "its program sent some records and not these".into(),
    }
}

/// A telemetry fault that fired and whose text names everybody, this agent, its rig, or its role without a rig.
fn planned(run: &Run, agent: &str) -> Option<String> {
    let rig = agent.split('/').next().unwrap_or(agent);
    let role = run.agents.rows.iter().find(|a| a.agent == agent).map_or("mayor", |a| a.role.as_str());
    let named = |word: &str| match word.split_once(':') {
        Some((of_role, of_rig)) => of_role == role && of_rig == rig,
        None => ["*", agent, role, rig].contains(&word),
    };
    let hit = |what: &str| what.contains("telemetry") && what.split_whitespace().any(named);
    let fault = run.faults.rows.iter().find(|f| f.fired_at.is_some() && hit(&f.what))?;
    Some(format!("the planned fault `{}`: {}", fault.name, fault.what))
}

fn abrupt(session: &Session) -> Option<&str> {
    session.exit.as_deref().filter(|exit| exit.starts_with("signal"))
}
