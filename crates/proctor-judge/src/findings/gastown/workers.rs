//! Defects of how the town sees its workers.

use serde_json::Value;

use super::Occurrence;
use super::clues::{Clues, Said};
use crate::evidence::{Session, Time, path};
use crate::wording::{after, at_path, short_agent};

const WORKER: &str = "polecat";

/// When an agent said that it was done.
fn done_at(clues: &Clues<'_>, agent: &str) -> Option<Time> {
    clues.known.telemetry.records_of(agent).filter(|r| r.body == "done").map(|r| r.time).min()
}

/// A worker is listed as working after it was done, while its session lives.
pub(super) fn working_after_done(clues: &Clues<'_>) -> Vec<Occurrence> {
    let workers = clues.known.agents.iter().filter(|a| a.role == WORKER);
    let seen = workers.filter_map(|worker| {
        let done = done_at(clues, &worker.agent)?;
        let said = clues.said.iter().find(|said| said.at.is_some_and(|at| at > done) && lists_as_working(said, &worker.agent))?;
        Some(Occurrence {
            text: format!(
                "{} was done {} and listed as working {}",
                short_agent(&worker.agent),
                after(clues.known.run.since_start(done)),
                said.at.map_or_else(|| "later".into(), |at| after(clues.known.run.since_start(at)))
            ),
            at: said.at,
            agent: Some(worker.agent.clone()),
            issues: Vec::new(),
            places: vec![said.place.clone()],
        })
    });
    seen.collect()
}

fn lists_as_working(said: &Said<'_>, agent: &str) -> bool {
    let asks = said.command.contains("gt polecat list") || said.command.contains("gt polecat status");
    let short = short_agent(agent);
    let name = agent.rsplit('/').next().unwrap_or(agent);
    let working = |row: &Value| {
        let field = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default();
        let rig = field("rig");
        field("state") == "working" && field("name") == name && (rig.is_empty() || short.starts_with(&format!("{rig}/")))
    };
    let in_json = |text: &str| match serde_json::from_str::<Value>(text) {
        Ok(Value::Array(rows)) => rows.iter().any(working),
        Ok(row) => working(&row),
        Err(_) => false,
    };
    let in_text = || said.output.lines().any(|line| line.contains(&short) && line.contains("working"));
    asks && (in_json(said.output.trim()) || in_text())
}

/// A worker's session ended with its issue on the hook, and nothing was done about it.
pub(super) fn death_unnoticed(clues: &Clues<'_>) -> Vec<Occurrence> {
    let run = clues.known.run;
    let workers = run.sessions.rows.iter().enumerate().filter(|(_, s)| s.role == WORKER);
    workers.filter_map(|(row, session)| death(clues, row, session)).collect()
}

fn death(clues: &Clues<'_>, row: usize, session: &Session) -> Option<Occurrence> {
    let run = clues.known.run;
    let (ended, issue) = (session.ended_at?, session.issue.as_deref()?);
    let early = run.collecting_since().is_none_or(|since| ended < since);
    let exit = session.exit.as_deref().unwrap_or("an unknown end");
    let held = run.beads.rows.iter().any(|b| b.id == issue && matches!(b.status.as_str(), "hooked" | "in_progress"));
    let taken_over = run.sessions.rows.iter().any(|s| s.issue.as_deref() == Some(issue) && s.started_at > ended);
    let told = clues.events.iter().any(|e| {
        matches!(e.kind.as_str(), "session_death" | "mass_death" | "crash") && e.payload.to_string().contains(&session.session)
    });
    (early && held && !taken_over && !told).then(|| Occurrence {
        text: format!("session {} ended by {exit} with {issue} on its hook; no event of it, nobody took over", session.session),
        at: Some(ended),
        agent: Some(session.agent.clone()),
        issues: vec![issue.to_owned()],
        places: vec![at_path(format!("evidence/{}:{}", path::SESSIONS, row + 1))],
    })
}

/// A second worker was made although the first of the rig was done.
pub(super) fn second_worker(clues: &Clues<'_>) -> Vec<Occurrence> {
    let rows = &clues.known.run.sessions.rows;
    let workers: Vec<(usize, &Session)> = rows.iter().enumerate().filter(|(_, s)| s.role == WORKER).collect();
    let made = workers.iter().filter_map(|(row, later)| {
        let first = workers.iter().map(|(_, s)| s).find(|s| {
            let lives = s.ended_at.is_none_or(|end| end > later.started_at);
            let done = done_at(clues, &s.agent).is_some_and(|done| done < later.started_at);
            s.rig == later.rig && s.agent != later.agent && lives && done
        })?;
        Some(Occurrence {
            text: format!(
                "{} was made {} while {} was done",
                short_agent(&later.agent),
                after(clues.known.run.since_start(later.started_at)),
                short_agent(&first.agent)
            ),
            at: Some(later.started_at),
            agent: Some(later.agent.clone()),
            issues: Vec::new(),
            places: vec![at_path(format!("evidence/{}:{}", path::SESSIONS, row + 1))],
        })
    });
    made.collect()
}
