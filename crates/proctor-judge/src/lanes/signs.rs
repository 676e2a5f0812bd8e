//! Landed clauses and other moments of the whole run.

use super::{ClauseMark, Mark, PhaseSpan};
use crate::evidence::{FaultRow, RunRecord, Sign, Time};

/// Seconds from `origin` to `time`.
pub(crate) fn seconds(origin: Time, time: Time) -> f64 {
    let span = time.signed_duration_since(origin);
    #[allow(clippy::cast_precision_loss, reason = "a run lasts hours: nanoseconds of a day fit a double")]
    span.num_nanoseconds().map_or_else(|| span.num_milliseconds() as f64 / 1e3, |ns| ns as f64 / 1e9)
}

/// One mark per clause, as its intervals say.
pub(crate) fn clauses(origin: Time, signs: &[Sign]) -> Vec<ClauseMark> {
    let mut names: Vec<&str> = Vec::new();
    for sign in signs {
        if !names.contains(&sign.clause.as_str()) {
            names.push(&sign.clause);
        }
    }
    names.into_iter().filter_map(|name| clause(origin, name, signs)).collect()
}

fn clause(origin: Time, name: &str, signs: &[Sign]) -> Option<ClauseMark> {
    let rows: Vec<&Sign> = signs.iter().filter(|sign| sign.clause == name).collect();
    let last = rows.iter().max_by_key(|sign| sign.last_seen)?;
    let last_false = rows.iter().filter(|sign| !sign.value).map(|sign| sign.last_seen).max();
    // The detail may change while the value stays: the clause holds since the first true row after the last false one.
    let since = rows.iter().filter(|sign| sign.value && last_false.is_none_or(|at| sign.first_seen >= at));
    let since = since.map(|sign| sign.first_seen).min().filter(|_| last.value);
    Some(ClauseMark {
        clause: name.to_owned(),
        label: name.replace('_', " "),
        value: last.value,
        now: last.now.clone(),
        since: since.map(|time| seconds(origin, time)),
        last_false: last_false.map(|time| seconds(origin, time)),
        source: last.source.clone(),
        detail: last.detail.clone(),
    })
}

/// Phases as spans; one that has not ended reaches to `end`.
pub(crate) fn phases(run: &RunRecord, end: f64) -> Vec<PhaseSpan> {
    let span = |phase: &crate::evidence::Phase| {
        let start = seconds(run.started_at, phase.started_at);
        PhaseSpan {
            number: phase.number,
            name: phase.name.clone(),
            start,
            end: phase.ended_at.map_or(end, |time| seconds(run.started_at, time)).max(start),
            ok: phase.ok,
            ended: phase.ended_at.is_some(),
            detail: phase.detail.clone(),
        }
    };
    run.phases.iter().map(span).collect()
}

/// The prompt's receipt, landing, and the faults that fired.
pub(crate) fn marks(run: Option<&RunRecord>, faults: &[FaultRow], origin: Time, landed: Option<f64>) -> Vec<Mark> {
    let receipt = run.and_then(|run| run.delivery.as_ref()).and_then(|delivery| delivery.received_at);
    let prompt = receipt.map(|at| mark("prompt", seconds(origin, at), "prompt received".into()));
    let landed = landed.map(|at| mark("landed", at, "landed".into()));
    let fired = faults.iter().filter_map(|fault| {
        let at = seconds(origin, fault.fired_at?);
        Some(Mark { detail: fault.what.clone(), ..mark("fault", at, format!("fault {}", fault.name)) })
    });
    let mut marks: Vec<Mark> = prompt.into_iter().chain(landed).chain(fired).collect();
    marks.sort_by(|a, b| a.at.total_cmp(&b.at));
    marks
}

fn mark(kind: &str, at: f64, label: String) -> Mark {
    Mark { at, kind: kind.to_owned(), label, detail: String::new() }
}
