//! What the town's programs said to whom, and what its logs hold: the ground on which defects are recognised.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::Known;
use crate::evidence::{Exchange, Time, path};
use crate::summary::Evidence;
use crate::wording::{at_path, without_ansi};

/// The harness's own calls of the town's programs, one row each: `at`, `command` (its words), `how` it ended, and what it `said`.
const COMMANDS: &str = "commands.ndjson";
/// What `gt` said of the town's polecats at the end.
const POLECATS: &str = "gt-polecats.json";
/// Where the daemon's log lies.
pub(super) const DAEMON: &str = "daemon/daemon.log";

/// Everything that defects are recognised by.
pub(super) struct Clues<'a> {
    pub(super) known: &'a Known<'a>,
    /// Commands with what they printed, in the order in which they were noticed.
    pub(super) said: Vec<Said<'a>>,
    /// Lines of the daemon's log, with their number.
    pub(super) daemon: Vec<(usize, String)>,
    /// The town's own events.
    pub(super) events: Vec<Event>,
}

/// A command and what it printed.
#[derive(Clone, Debug)]
pub(super) struct Said<'a> {
    /// Who ran it; absent for the harness.
    pub(super) agent: Option<&'a str>,
    /// When its output was known.
    pub(super) at: Option<Time>,
    /// The command line, as a shell had it.
    pub(super) command: Cow<'a, str>,
    /// Both streams, without control sequences.
    pub(super) output: String,
    /// How it ended, as far as the output tells.
    pub(super) exit: Option<i64>,
    /// Where the output stands.
    pub(super) place: Evidence,
}

impl Said<'_> {
    /// The line of the output that holds `needle`.
    pub(super) fn line(&self, needle: &str) -> Option<&str> {
        self.output.lines().find(|line| line.contains(needle)).map(str::trim)
    }
}

/// One of the town's own events.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) kind: String,
    pub(super) actor: String,
    pub(super) payload: Value,
    pub(super) place: Evidence,
}

impl<'a> Clues<'a> {
    /// Reads what there is; what is not there gives no clue.
    pub(super) fn gather(known: &'a Known<'a>) -> Self {
        let mut said = of_harness(known);
        said.extend(of_agents(known));
        Self { known, said, daemon: daemon(known), events: events(known) }
    }

    /// Commands whose output has a line that holds `needle`, with that line.
    pub(super) fn lines(&self, needle: &'static str) -> impl Iterator<Item = (&Said<'a>, &str)> {
        self.said.iter().filter_map(move |said| Some((said, said.line(needle)?)))
    }
}

/// What the harness ran itself, and what `gt` said of its polecats when evidence was collected.
fn of_harness<'a>(known: &'a Known<'a>) -> Vec<Said<'a>> {
    let rows = raw(known, COMMANDS);
    let row = |(index, line): (usize, &str)| {
        let value: Value = serde_json::from_str(line).ok()?;
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
        let words: Vec<&str> = value.get("command")?.as_array()?.iter().filter_map(Value::as_str).collect();
        Some(Said {
            agent: None,
            at: text("at").parse().ok(),
            command: Cow::Owned(named(&words)),
            output: without_ansi(&text("said").replace("; ", "\n")),
            exit: text("how").strip_prefix("exit ").and_then(|code| code.parse().ok()),
            place: at_path(format!("evidence/{}/{COMMANDS}:{}", path::RAW, index + 1)),
        })
    };
    let mut said: Vec<Said<'a>> = rows.lines().enumerate().filter_map(row).collect();
    said.extend(polecats(known));
    said
}

/// `gt mayor start`, whatever folder the program lies in.
fn named(words: &[&str]) -> String {
    let program = words.first().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    [&[program], words.get(1..).unwrap_or_default()].concat().join(" ")
}

fn polecats<'a>(known: &'a Known<'a>) -> Option<Said<'a>> {
    let output = raw(known, POLECATS);
    (!output.is_empty()).then(|| Said {
        agent: None,
        at: known.run.collecting_since(),
        command: Cow::Borrowed("gt polecat list --all --json"),
        output,
        exit: None,
        place: at_path(format!("evidence/{}/{POLECATS}", path::RAW)),
    })
}

/// What agents ran: an answer told a command, and the next request of the same agent brings what it printed.
fn of_agents<'a>(known: &'a Known<'a>) -> Vec<Said<'a>> {
    let mut told: BTreeMap<&str, &Exchange> = BTreeMap::new();
    let mut said = Vec::new();
    for exchange in &known.run.exchanges {
        let agent = exchange.agent.as_str();
        let before = told.get(agent).copied().filter(|before| exchange.turn > before.turn);
        if let Some(before) = before {
            told.remove(agent);
            said.extend(result(known, before, exchange, usize::try_from(exchange.n).unwrap_or(usize::MAX)));
        }
        if exchange.status == 200 && exchange.stop_reason.as_deref() == Some("tool_use") {
            told.insert(agent, exchange);
        }
    }
    said
}

fn result<'a>(known: &Known<'_>, before: &'a Exchange, exchange: &'a Exchange, row: usize) -> Option<Said<'a>> {
    let command = command(&before.answered)?;
    let output = without_ansi(&whole(known, exchange));
    Some(Said {
        agent: Some(&exchange.agent),
        at: Some(exchange.at),
        command: Cow::Borrowed(command),
        exit: exit(&output),
        output,
        place: at_path(format!("evidence/{}:{row}", path::EXCHANGES)),
    })
}

/// The command of an answer, which stands after `$ ` on a line of its own.
fn command(answered: &str) -> Option<&str> {
    let inside = answered.find("\n$ ").map(|at| at + 3);
    let at = inside.or_else(|| answered.starts_with("$ ").then_some(2))?;
    answered.get(at..)
}

/// `[exit 1]` at the end of a result.
fn exit(output: &str) -> Option<i64> {
    let last = output.trim_end().lines().last()?.trim();
    last.strip_prefix("[exit ")?.strip_suffix(']')?.parse().ok()
}

/// The newest text of a request: from the journal, and where that was cut, from the request itself.
fn whole<'a>(known: &Known<'_>, exchange: &'a Exchange) -> Cow<'a, str> {
    let cut = exchange.asked.ends_with(" bytes)") && exchange.asked.contains("… (+");
    let body = exchange.body.as_deref().filter(|_| cut);
    let request = body.and_then(|body| {
        let file = known.run.dir.join("evidence/gateway").join(body).join("request.json");
        serde_json::from_slice::<Value>(&fs::read(file).ok()?).ok()
    });
    let newest = request.and_then(|r| Some(texts(r.get("messages")?.as_array()?.last()?.get("content")?)));
    newest.map_or(Cow::Borrowed(exchange.asked.as_str()), Cow::Owned)
}

/// Every text inside a message's content.
fn texts(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(texts).collect::<Vec<_>>().join("\n"),
        Value::Object(part) => part.get("text").or_else(|| part.get("content")).map(texts).unwrap_or_default(),
        _ => String::new(),
    }
}

fn raw(known: &Known<'_>, name: &str) -> String {
    let file = known.run.dir.join("evidence").join(path::RAW).join(name);
    fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn daemon(known: &Known<'_>) -> Vec<(usize, String)> {
    raw(known, DAEMON).lines().enumerate().map(|(index, line)| (index + 1, line.to_owned())).collect()
}

fn events(known: &Known<'_>) -> Vec<Event> {
    let event = |(index, line): (usize, &str)| {
        let value: Value = serde_json::from_str(line).ok()?;
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Some(Event {
            kind: text("type"),
            actor: text("actor"),
            payload: value.get("payload").cloned().unwrap_or_default(),
            place: at_path(format!("evidence/{}/events.jsonl:{}", path::RAW, index + 1)),
        })
    };
    raw(known, "events.jsonl").lines().enumerate().filter_map(event).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_says_how_its_command_ended() {
        assert_eq!(exit("Error: no\n[exit 1]"), Some(1));
        assert_eq!(exit("fine"), None);
        assert_eq!(command("I sling.\n$ gt sling al-1 alice"), Some("gt sling al-1 alice"));
        assert_eq!(command("$ gt done"), Some("gt done"));
        assert_eq!(command("Nothing to do."), None);
    }

    #[test]
    fn texts_are_found_however_a_message_nests_them() {
        let content = serde_json::json!([{"type": "tool_result", "content": [{"type": "text", "text": "a"}]}, {"text": "b"}]);
        assert_eq!(texts(&content), "a\nb");
    }
}
