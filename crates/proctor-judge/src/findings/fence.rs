//! The fence around what agents start: what it refused, and what was open.

use std::collections::BTreeMap;

use super::Known;
use crate::evidence::{DISK_FILLED_BY, FenceMode, FenceRecord, Refusal, SIGNAL, SIGNALLED, Session, path};
use crate::next;
use crate::summary::{Finding, Level};
use crate::wording::{after, at_path, count, grouped, short_agent};

/// Refusals that one finding shows; the others stand in the evidence.
const SHOWN: usize = 8;

pub(super) fn all(known: &Known<'_>) -> Vec<Finding> {
    let open = known.run.record.fence.iter().filter_map(|fence| open(known, fence));
    open.chain(filled(known)).chain(refused(known)).chain(signalled(known)).collect()
}

/// What agents could reach. That the kernel lacks a part is worth knowing; without any fence nothing is certain.
fn open(known: &Known<'_>, fence: &FenceRecord) -> Option<Finding> {
    let title = match fence.mode {
        FenceMode::Off => "there was no fence around the agents",
        FenceMode::Warn => "the fence around the agents recorded only and refused nothing",
        FenceMode::On if fence.missing.is_empty() => return None,
        FenceMode::On if fence.is_open() => "there was no fence around the agents on this machine",
        FenceMode::On => "the fence around the agents is not whole on this machine",
    };
    let level = if fence.is_open() { Level::Warning } else { Level::Note };
    let mut finding = Finding::new(level, "fence.open", title)
        .expected("agents that reach nothing but their own work")
        .at(at_path(format!("evidence/{}", path::RUN)))
        .next(if fence.mode == FenceMode::On { "proctor doctor".to_owned() } else { next::repeat(known.run) });
    if !fence.missing.is_empty() {
        finding = finding.saw(count(fence.missing.len(), "part") + " of it missing");
    }
    for gap in &fence.missing {
        finding = finding.detail(&gap.what, format!("{} ({})", gap.open, gap.why));
    }
    Some(finding)
}

/// An agent that filled the disk was ended.
fn filled(known: &Known<'_>) -> Option<Finding> {
    let (agent, size) = known.run.record.notes.get(DISK_FILLED_BY)?.split_once(' ')?;
    let title = format!("{} filled the disk with {size} and was ended", short_agent(agent));
    let finding = Finding::new(Level::Warning, "disk.filled", title).expected("agents that leave room for the others");
    Some(finding.at(at_path(format!("evidence/{}", path::RUN))).next(next::view_agent(known.run, agent, None)))
}

/// One finding for each agent.
fn refused(known: &Known<'_>) -> Vec<Finding> {
    let mut of: BTreeMap<Option<&str>, Vec<&Refusal>> = BTreeMap::new();
    for refusal in known.run.refusals.rows.iter().filter(|refusal| refusal.tried != SIGNALLED) {
        of.entry(refusal.agent.as_deref()).or_default().push(refusal);
    }
    of.into_iter().map(|(agent, refusals)| of_agent(known, agent, &refusals)).collect()
}

/// The name of a program's file.
fn program(file: &str) -> &str {
    file.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("a program")
}

/// `write /x, +2.1 s, 3 times`; of a signal, whose the process is.
fn deed(known: &Known<'_>, refusal: &Refusal) -> String {
    let target = if refusal.target.is_empty() { String::new() } else { format!(" {}", refusal.target) };
    let whose = refusal.whom.as_deref().map_or_else(String::new, |whom| format!(" of {}", short_agent(whom)));
    let times = if refusal.count > 1 { format!(", {} times", grouped(refusal.count)) } else { String::new() };
    format!("{}{target}{whose}, {}{times}", refusal.tried, after(known.run.since_start(refusal.at)))
}

/// Signals that reached another agent, one finding for each of the two: who sent them, and to whom.
fn signalled(known: &Known<'_>) -> Vec<Finding> {
    let mut of: BTreeMap<(Option<&str>, &str), Vec<&Refusal>> = BTreeMap::new();
    for row in known.run.refusals.rows.iter().filter(|row| row.tried == SIGNALLED) {
        of.entry((row.agent.as_deref(), row.whom.as_deref().unwrap_or_default())).or_default().push(row);
    }
    let finding = |((who, whom), rows): ((Option<&str>, &str), Vec<&Refusal>)| {
        let who = who.map_or_else(|| "the town".to_owned(), short_agent);
        let title = format!("{who} signalled {}", short_agent(whom));
        let mut finding = Finding::new(Level::Note, "fence.signalled", title)
            .expected("signals among an agent's own processes, or from the town")
            .at(at_path(format!("evidence/{}", path::REFUSALS)));
        for row in rows.iter().take(SHOWN) {
            finding = finding.detail(program(&row.program), deed(known, row));
        }
        finding.next(next::view_agent(known.run, whom, None))
    };
    of.into_iter().map(finding).collect()
}

fn of_agent(known: &Known<'_>, agent: Option<&str>, refusals: &[&Refusal]) -> Finding {
    let who = agent.map_or_else(|| "the town".to_owned(), short_agent);
    let warned = known.run.record.fence.as_ref().is_some_and(|fence| fence.mode == FenceMode::Warn);
    let what = if warned { "did what the fence would have refused" } else { "was refused by the fence" };
    let sum: u64 = refusals.iter().map(|refusal| refusal.count).sum();
    let times = if sum == 1 { "once".to_owned() } else { format!("{} times", grouped(sum)) };
    let mut finding = Finding::new(Level::Note, "fence.refused", format!("{who} {what} {times}"))
        .expected("programs that reach for their own files and the run's addresses only")
        .at(at_path(format!("evidence/{}", path::REFUSALS)));
    for refusal in refusals.iter().take(SHOWN) {
        finding = finding.detail(program(&refusal.program), deed(known, refusal));
    }
    if refusals.len() > SHOWN {
        finding = finding.detail("more", format!("{} in the evidence", refusals.len() - SHOWN));
    }
    finding.next(next::view(known.run))
}

/// Who sent a signal to an agent before it ended, as far as a fence saw it.
pub(super) fn signalled_by(known: &Known<'_>, ended: &Session) -> Option<String> {
    let reached = |row: &&Refusal| {
        let was_let_through = row.tried == SIGNALLED
            || (row.tried == SIGNAL && known.run.record.fence.as_ref().is_some_and(|fence| fence.mode != FenceMode::On));
        was_let_through && row.whom.as_deref() == Some(ended.agent.as_str()) && ended.ended_at.is_none_or(|end| row.at <= end)
    };
    let last = known.run.refusals.rows.iter().filter(reached).max_by_key(|row| row.at)?;
    let who = last.agent.as_deref().map_or_else(|| "the town".into(), short_agent);
    Some(format!("{who}, {} {}", last.target, after(known.run.since_start(last.at))))
}
