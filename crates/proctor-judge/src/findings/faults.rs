//! Planned faults: whether each fired, who noticed, what came back after how long, and what was lost.

use super::Known;
use crate::evidence::{FaultRow, Session, Time, path};
use crate::next;
use crate::summary::{Finding, Level};
use crate::wording::{after, at_path, count, duration, seconds, short_agent};

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
    let moment = after(known.run.since_start(at));
    let consequences = match (&fault.program, &fault.agent) {
        (Some(program), _) => Some(of_program(known, fault, program, at)),
        (None, Some(agent)) => Some(of_agent(known, agent, at)),
        (None, None) => received_later(known, at),
    };
    let saw = consequences.map_or_else(|| moment.clone(), |consequences| format!("{moment}: {consequences}"));
    Finding::new(Level::Note, "fault.fired", title).saw(saw).at(place)
}

/// How long the prompt took after a fault that came before its receipt.
fn received_later(known: &Known<'_>, at: Time) -> Option<String> {
    let received = known.run.record.delivery.as_ref()?.received_at.filter(|received| *received > at)?;
    Some(format!("the mayor received the prompt {} later", duration(seconds(at, received))))
}

/// What became of a town one of whose programs was hit.
fn of_program(known: &Known<'_>, fault: &FaultRow, program: &str, at: Time) -> String {
    let taken_back = fault.taken_back_at.map(|back| match known.run.collecting_since() {
        Some(since) if back >= since => format!("{program} was given back for the end state"),
        _ => format!("{program} was given back after {}", duration(seconds(at, back))),
    });
    let parts = [Some(failed_first(known, program, at)), blind(known, fault, at), taken_back, Some(acted(known, at))];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// What programs say of another that does not answer or is not there.
const FAILED: [&str; 9] = [
    "not found",
    "unreachable",
    "circuit breaker",
    "connection refused",
    "no server running",
    "error connecting",
    "invalid connection",
    "bad connection",
    "i/o timeout",
];

/// Which agent was the first whose command failed for it, as the model was told.
fn failed_first(known: &Known<'_>, program: &str, at: Time) -> String {
    let says = |asked: &str| {
        let asked = asked.to_lowercase();
        FAILED.iter().any(|sign| asked.contains(sign))
    };
    match known.run.exchanges.rows.iter().find(|exchange| exchange.at > at && says(&exchange.asked)) {
        Some(exchange) => {
            format!(
                "{} was the first whose command failed, after {}",
                short_agent(&exchange.agent),
                duration(seconds(at, exchange.at))
            )
        }
        None => format!("no agent was told that {program} failed"),
    }
}

/// For how long the harness could not read the town's state.
fn blind(known: &Known<'_>, fault: &FaultRow, at: Time) -> Option<String> {
    let from = fault.blind_from?;
    let gone = format!("the town's state could not be read from {} on", duration(seconds(at, from)));
    let end = fault.blind_to.filter(|to| known.run.collecting_since().is_none_or(|since| *to < since));
    Some(match end {
        Some(to) => format!("{gone}, for {}", duration(seconds(from, to))),
        None => format!("{gone}, until the run ended"),
    })
}

/// What agents did after it, which shows whether the town went on.
fn acted(known: &Known<'_>, at: Time) -> String {
    let run = known.run;
    let before_the_end = |moment: Time| moment > at && run.collecting_since().is_none_or(|since| moment < since);
    let closed = run.beads.rows.iter().filter(|bead| bead.closed_at.is_some_and(before_the_end)).count();
    let ended = run.sessions.rows.iter().filter(|life| life.ended_at.is_some_and(before_the_end)).count();
    let open = run.tracked().iter().filter(|id| run.beads.rows.iter().any(|b| b.id == **id && b.status != "closed")).count();
    format!(
        "after it {} closed and {} ended; {} left open",
        were(count(closed, "issue"), closed),
        count(ended, "session"),
        were(count(open, "issue"), open)
    )
}

fn were(what: String, number: usize) -> String {
    format!("{what} {}", if number == 1 { "was" } else { "were" })
}

/// What became of an agent whose process was hit.
fn of_agent(known: &Known<'_>, agent: &str, at: Time) -> String {
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
