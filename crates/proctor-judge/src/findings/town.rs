//! What the built-in town says of its own agents and daemon: names that were not theirs, floods, an end that nobody asked for.
//!
//! Only its daemon writes these events, so that an agent cannot speak in them.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::{Finding, Known};
use crate::evidence::path;
use crate::next;
use crate::outcome::Outcome;
use crate::summary::{Evidence, Level};
use crate::wording::{at_path, count, quoted, short_agent};

/// The file of the town's own events.
const EVENTS: &str = "events.jsonl";

/// How much of a text that an agent chose stands in a finding.
const SHOWN: usize = 120;

/// How many refused commands of one agent are shown.
const COMMANDS: usize = 3;

/// One event, and where it stands.
struct Event {
    payload: Value,
    place: Evidence,
}

/// What agents tried.
pub(super) fn all(known: &Known<'_>) -> Vec<Finding> {
    let mut findings = claimed(known);
    findings.extend(floods(known));
    findings
}

fn events(known: &Known<'_>, kind: &str) -> Vec<Event> {
    // Another town's events lie where its agents can write them.
    if known.run.record.town.as_str() != "builtin" {
        return Vec::new();
    }
    let file = format!("evidence/{}/{EVENTS}", path::RAW);
    let text = fs::read(known.run.dir.join(&file)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let event = |(index, line): (usize, &str)| {
        let mut value: Value = serde_json::from_str(line).ok().filter(|value: &Value| value["type"] == kind)?;
        Some(Event { payload: value["payload"].take(), place: at_path(format!("{file}:{}", index + 1)) })
    };
    text.lines().enumerate().filter_map(event).collect()
}

fn word(event: &Event, key: &str) -> String {
    quoted(event.payload[key].as_str().unwrap_or_default(), SHOWN)
}

/// An agent gave commands in another's name; one finding an agent.
fn claimed(known: &Known<'_>) -> Vec<Finding> {
    let mut by_agent: BTreeMap<String, Vec<Event>> = BTreeMap::new();
    for event in events(known, "identity_refused") {
        by_agent.entry(event.payload["agent"].as_str().unwrap_or_default().to_owned()).or_default().push(event);
    }
    let finding = |(agent, events): (&String, &Vec<Event>)| {
        let mut names: Vec<String> = events.iter().map(|event| word(event, "claimed")).collect();
        names.sort();
        names.dedup();
        let (who, commands) = (short_agent(agent), count(events.len(), "command"));
        let title = format!("{who} gave {commands} in the name of {}", names.join(", "));
        let finding = Finding::new(Level::Warning, "identity.claimed", title)
            .expected("an agent acts under its own name")
            .saw(format!("{commands} refused: the process that gave them belongs to {who}"))
            .next(next::view_events(known.run, "identity_refused"));
        let finding = events.iter().take(COMMANDS).fold(finding, |finding, event| {
            finding.detail(event.payload["by"].as_str().unwrap_or_default(), word(event, "command")).at(event.place.clone())
        });
        match events.len().saturating_sub(COMMANDS) {
            0 => finding,
            more => finding.detail("besides", format!("{more} more")),
        }
    };
    by_agent.iter().map(finding).collect()
}

/// The daemon ended though nobody ended it: the cause of whatever did not land.
pub(super) fn lost(known: &Known<'_>) -> Vec<Finding> {
    let level = if known.outcome == Outcome::NotLanded { Level::Problem } else { Level::Warning };
    let finding = |event: Event| {
        let pid = &event.payload["pid"];
        Finding::new(level, "town.daemon_lost", "the town's daemon was killed")
            .expected("a daemon that ends when the town is ended")
            .saw(format!("process {pid} was gone, without having let go of the town"))
            .detail("follows", "sessions that it kept end with it; nothing is merged until it runs again")
            .at(event.place)
            .next(next::view_events(known.run, "daemon_lost"))
    };
    events(known, "daemon_lost").into_iter().map(finding).collect()
}

/// An agent asked the daemon for more at once than one agent may; one finding an agent.
fn floods(known: &Known<'_>) -> Vec<Finding> {
    let mut by_agent: BTreeMap<String, (u64, Evidence)> = BTreeMap::new();
    for event in events(known, "requests_refused") {
        let number = event.payload["count"].as_u64().unwrap_or_default();
        let agent = event.payload["agent"].as_str().unwrap_or_default().to_owned();
        by_agent.entry(agent).or_insert((0, event.place)).0 += number;
    }
    let finding = |(agent, (number, place)): (String, (u64, Evidence))| {
        let requests = count(usize::try_from(number).unwrap_or(usize::MAX), "request");
        let title = format!("{requests} of {} to the town's daemon were refused", short_agent(&agent));
        Finding::new(Level::Warning, "town.requests_refused", title)
            .expected("a few commands at once")
            .saw(format!("{requests} above what one agent may have open; nobody else waited for them"))
            .at(place)
            .next(next::view_events(known.run, "requests_refused"))
    };
    by_agent.into_iter().map(finding).collect()
}
