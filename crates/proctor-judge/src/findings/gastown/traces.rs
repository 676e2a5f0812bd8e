//! Defects of the town's telemetry: what is derived in its place, and from what.

use std::collections::BTreeMap;

use proctor_store::LogRecord;

use super::Occurrence;
use super::clues::Clues;
use crate::wording::{at_logsql, count, short_agent};

const INSTANTIATE: &str = "agent.instantiate";

/// A started agent's record carries the run id of whoever started it.
pub(super) fn run_id_of_spawner(clues: &Clues<'_>) -> Vec<Occurrence> {
    let run = clues.known.run;
    let owner: BTreeMap<&str, &crate::evidence::Session> = run.sessions.rows.iter().map(|s| (s.run_id.as_str(), s)).collect();
    let records = clues.known.telemetry.logs.iter().filter(|r| r.body == INSTANTIATE);
    let wrong = records.filter_map(|record| {
        let (session, id) = (record.attribute("session_id")?, record.attribute("run.id")?);
        let other = owner.get(id.as_str()).filter(|s| s.session != session)?;
        let started = run.sessions.rows.iter().filter(|s| s.session == session).min_by_key(|s| s.started_at);
        let derived = started.map_or_else(|| format!("session {session}"), |s| short_agent(&s.agent));
        Some(Occurrence {
            text: format!(
                "the record that {session} was started has the run.id of {} ({id}); derived: it is told of {derived}, by its session_id",
                short_agent(&other.agent)
            ),
            at: Some(record.time),
            agent: started.map(|s| s.agent.clone()),
            issues: Vec::new(),
            places: vec![at_logsql(format!("_msg:=\"{INSTANTIATE}\" AND run.id:=\"{id}\""))],
        })
    });
    wrong.collect()
}

/// Texts were typed into panes, and no record says so.
pub(super) fn no_prompt_send(clues: &Clues<'_>) -> Vec<Occurrence> {
    let number = |body: &str| clues.known.telemetry.logs.iter().filter(|r| r.body == body).count();
    let (typed, told) = (number("nudge"), number("prompt.send"));
    if typed == 0 || told > 0 {
        return Vec::new();
    }
    vec![Occurrence {
        text: format!(
            "{} and no prompt.send; derived: a prompt is the model request that holds it",
            count(typed, "nudge record")
        ),
        places: vec![at_logsql("_msg:=\"nudge\"")],
        ..Occurrence::default()
    }]
}

/// Sessions ended, and no record says so.
pub(super) fn no_session_stop(clues: &Clues<'_>) -> Vec<Occurrence> {
    let run = clues.known.run;
    let stops: Vec<String> =
        clues.known.telemetry.logs.iter().filter(|r| r.body == "session.stop").filter_map(of_session).collect();
    let ended = run.sessions.rows.iter().filter(|s| s.ended_at.is_some() && !stops.contains(&s.session));
    let names: Vec<&str> = ended.map(|s| s.session.as_str()).collect();
    if names.is_empty() || clues.known.telemetry.logs.is_empty() {
        return Vec::new();
    }
    vec![Occurrence {
        text: format!(
            "{} without it: {}; derived: the end is when the process was gone",
            count(names.len(), "ended session"),
            names.join(", ")
        ),
        places: vec![at_logsql("_msg:=\"session.stop\"")],
        ..Occurrence::default()
    }]
}

fn of_session(record: &std::sync::Arc<LogRecord>) -> Option<String> {
    record.attribute("session_id")
}
