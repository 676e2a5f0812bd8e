//! Planned faults: whether each fired, who noticed, what came back after how long, and what was lost.

use super::Known;
use crate::evidence::{FaultRow, Session, Time, path};
use crate::next;
use crate::summary::{Finding, Level};
use crate::wording::{after, at_path, duration, seconds, short_agent};

pub(super) fn all(known: &Known<'_>) -> Vec<Finding> {
    known.run.faults.rows.iter().map(|fault| one(known, fault)).collect()
}

fn one(known: &Known<'_>, fault: &FaultRow) -> Finding {
    let place = at_path(format!("evidence/{}", path::FAULTS));
    let Some(at) = fault.fired_at else {
        let title = format!("the planned fault `{}` never fired: {}", fault.name, fault.what);
        return Finding::new(Level::Warning, "fault.never_fired", title)
            .expected("a planned fault happens; a run without it shows nothing")
            .saw("nothing that it applies to, or something that undid it")
            .at(place)
            .next(next::repeat(known.run));
    };
    let title = format!("the planned fault `{}` fired: {}", fault.name, fault.what);
    let mut saw = vec![after(known.run.since_start(at))];
    saw.extend(fault.agent.as_deref().map(|agent| consequences(known, agent, at)));
    Finding::new(Level::Note, "fault.fired", title).saw(saw.join(": ")).at(place)
}

/// What became of an agent whose process was hit.
fn consequences(known: &Known<'_>, agent: &str, at: Time) -> String {
    let lives: Vec<&Session> = known.run.sessions.rows.iter().filter(|session| session.agent == agent).collect();
    [noticed(known, &lives, at), told(known, agent, at), recovered(&lives, agent, at), lost(known, &lives, at)].join("; ")
}

/// Whether the end of the life that was hit stands in the town's own records. An end that came with the town's own shows nothing.
fn noticed(known: &Known<'_>, lives: &[&Session], at: Time) -> String {
    let ended = lives.iter().filter(|life| life.started_at <= at).filter_map(|life| Some((life.ended_at?, life)));
    match ended.filter(|(end, _)| *end >= at).min_by_key(|(end, _)| *end) {
        Some((end, _)) if known.run.collecting_since().is_some_and(|since| end >= since) => {
            "nobody ended its session before the town was stopped".into()
        }
        Some((end, life)) => {
            let how = life.exit.as_deref().map(|exit| format!(" ({exit})")).unwrap_or_default();
            format!("its session ended {} later{how}", duration(seconds(at, end)))
        }
        None => "no end of its session is on record".into(),
    }
}

/// Whether another agent wrote of it.
fn told(known: &Known<'_>, agent: &str, at: Time) -> String {
    let name = short_agent(agent);
    let mut mail = known.run.mail.rows.iter().filter(|mail| mail.at > at && mail.from != name);
    match mail.find(|mail| mail.subject.contains(&name) || mail.body.contains(&name)) {
        Some(mail) => format!("{} wrote of it after {}", mail.from, duration(seconds(at, mail.at))),
        None => "no agent wrote of it".into(),
    }
}

fn recovered(lives: &[&Session], agent: &str, at: Time) -> String {
    match lives.iter().map(|life| life.started_at).filter(|start| *start > at).min() {
        Some(start) => format!("{} was started again after {}", short_agent(agent), duration(seconds(at, start))),
        None => format!("{} was not started again", short_agent(agent)),
    }
}

/// Issues that were on the hook of the life that was hit and are still open.
fn lost(known: &Known<'_>, lives: &[&Session], at: Time) -> String {
    let held = lives.iter().filter(|life| life.started_at <= at).filter_map(|life| life.issue.as_deref());
    let is_open = |id: &&str| known.run.beads.rows.iter().any(|bead| bead.id == **id && bead.status != "closed");
    let mut open: Vec<&str> = held.filter(is_open).collect();
    open.sort_unstable();
    open.dedup();
    match open.as_slice() {
        [] => "no issue of its was left open".into(),
        open => format!("left open: {}", open.join(", ")),
    }
}
