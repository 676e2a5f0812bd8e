//! The fence around what agents start: what it refused, and what was open.

use std::collections::BTreeMap;

use super::Known;
use crate::evidence::{DISK_FILLED_BY, FenceMode, FenceRecord, Refusal, path};
use crate::next;
use crate::summary::{Finding, Level};
use crate::wording::{after, at_path, count, grouped, short_agent};

/// Refusals that one finding shows; the others stand in the evidence.
const SHOWN: usize = 8;

pub(super) fn all(known: &Known<'_>) -> Vec<Finding> {
    let open = known.run.record.fence.iter().filter_map(|fence| open(known, fence));
    open.chain(filled(known)).chain(refused(known)).collect()
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
    for refusal in &known.run.refusals {
        of.entry(refusal.agent.as_deref()).or_default().push(refusal);
    }
    of.into_iter().map(|(agent, refusals)| of_agent(known, agent, &refusals)).collect()
}

/// The name of a program's file.
fn program(file: &str) -> &str {
    file.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("a program")
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
        let target = if refusal.target.is_empty() { String::new() } else { format!(" {}", refusal.target) };
        let times = if refusal.count > 1 { format!(", {} times", grouped(refusal.count)) } else { String::new() };
        let at = after(known.run.since_start(refusal.at));
        finding = finding.detail(program(&refusal.program), format!("{}{target}, {at}{times}", refusal.tried));
    }
    if refusals.len() > SHOWN {
        finding = finding.detail("more", format!("{} in the evidence", refusals.len() - SHOWN));
    }
    finding.next(next::view(known.run))
}
