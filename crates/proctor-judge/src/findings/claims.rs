//! Commands that were given in another's name, as the process table showed them: the only sign of it in a town that takes names at
//! their word.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Finding, Known};
use crate::evidence::{AgentId, Time, path};
use crate::next;
use crate::summary::Level;
use crate::wording::{after, at_path, count, quoted, short_agent};

/// The commands that the harness saw, written by the harness.
const COMMANDS: &str = "town-commands.ndjson";
/// How many commands are told one by one.
const TOLD: usize = 3;
/// How much of a command that an agent chose is shown.
const SHOWN: usize = 120;

/// What of a row matters here.
#[derive(Deserialize)]
struct Row {
    at: Time,
    agent: AgentId,
    command: String,
    #[serde(default)]
    claimed: Option<String>,
}

/// One finding for each agent whose process gave commands in other names.
pub(super) fn all(known: &Known<'_>) -> Vec<Finding> {
    // The built-in town refuses such commands and says so itself.
    if known.run.record.town == "builtin" {
        return Vec::new();
    }
    let file = format!("evidence/{}/{COMMANDS}", path::RAW);
    let text = std::fs::read(known.run.dir.join(&file)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut by_agent: BTreeMap<AgentId, Vec<(usize, Row, String)>> = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let Ok(row) = serde_json::from_str::<Row>(line) else { continue };
        if let Some(claimed) = row.claimed.clone() {
            by_agent.entry(row.agent.clone()).or_default().push((index + 1, row, claimed));
        }
    }
    by_agent.iter().map(|(agent, rows)| finding(known, &file, agent, rows)).collect()
}

fn finding(known: &Known<'_>, file: &str, agent: &str, rows: &[(usize, Row, String)]) -> Finding {
    let mut names: Vec<String> = rows.iter().map(|(_, _, claimed)| quoted(claimed, SHOWN)).collect();
    names.sort();
    names.dedup();
    let (who, commands) = (short_agent(agent), count(rows.len(), "command"));
    let finding =
        Finding::new(Level::Warning, "identity.claimed", format!("{who} gave {commands} in the name of {}", names.join(", ")))
            .expected("an agent acts under its own name")
            .saw(format!("{commands} whose environment names another; the process that gave them stems from {who}"))
            .next(next::view_agent(known.run, agent, rows.first().map(|(_, row, _)| known.run.since_start(row.at))));
    rows.iter().take(TOLD).fold(finding, |finding, (line, row, _)| {
        let text = format!("{} {}", quoted(&row.command, SHOWN), after(known.run.since_start(row.at)));
        finding.detail("command", text).at(at_path(format!("{file}:{line}")))
    })
}
