//! What one log record tells: its kind, one line for people, how long it took, tokens and cost.
//!
//! Names of events and attributes are those of Claude Code (`claude_code.*`) and of Gas Town's `gt`.

use super::Kind;
use super::material::LogRow;

/// Longest title, in characters; the whole text is in the event's detail.
const TITLE_CHARS: usize = 140;

/// A record's own facts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) kind: Kind,
    pub(crate) title: String,
    pub(crate) seconds: f64,
    pub(crate) error: bool,
    pub(crate) cost_usd: Option<f64>,
    pub(crate) input_tokens: Option<u64>,
    pub(crate) output_tokens: Option<u64>,
}

/// Reads a record.
pub(crate) fn tell(row: &LogRow) -> Told {
    let (kind, title) = kind_and_title(row);
    let failed = row.error || row.field("status") == Some("error") || row.field("success") == Some("false");
    Told {
        kind,
        title: one_line(&title),
        seconds: number(row, "duration_ms").map_or(0.0, |ms| (ms / 1000.0).max(0.0)),
        error: failed || row.body == "claude_code.api_error",
        cost_usd: number(row, "cost_usd"),
        input_tokens: number(row, "input_tokens").map(whole),
        output_tokens: number(row, "output_tokens").map(whole),
    }
}

/// The first line with something in it, cut at [`TITLE_CHARS`] with a visible mark.
pub(crate) fn one_line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines.next().unwrap_or_default();
    let more = lines.next().is_some();
    let mut cut: String = line.chars().take(TITLE_CHARS).collect();
    if more || cut.len() < line.len() {
        cut.push('…');
    }
    cut
}

/// The command that a tool call ran, when its input says one.
pub(crate) fn command(row: &LogRow) -> Option<String> {
    ["tool_input", "tool_parameters"].iter().find_map(|name| {
        let value: serde_json::Value = serde_json::from_str(row.field(name)?).ok()?;
        let text = value.get("command").or_else(|| value.get("full_command"))?;
        text.as_str().map(str::to_owned)
    })
}

fn number(row: &LogRow, name: &str) -> Option<f64> {
    row.field(name)?.parse::<f64>().ok().filter(|value| value.is_finite())
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // counts of tokens, checked to be at least 0
fn whole(value: f64) -> u64 {
    value.max(0.0).round() as u64
}

fn kind_and_title(row: &LogRow) -> (Kind, String) {
    if let Some(name) = row.body.strip_prefix("claude_code.") {
        return program_event(row, name);
    }
    town_event(row)
}

fn program_event(row: &LogRow, name: &str) -> (Kind, String) {
    let get = |key: &str| row.field(key).unwrap_or_default().to_owned();
    match name {
        "api_request" => (Kind::ModelCall, get("model")),
        "api_error" => (Kind::ModelCall, format!("{} {}", get("status_code"), get("error")).trim().to_owned()),
        "tool_result" => (Kind::ToolCall, command(row).unwrap_or_else(|| get("tool_name"))),
        "user_prompt" => (Kind::Prompt, row.field("prompt").map_or_else(|| "prompt".into(), str::to_owned)),
        "tool_decision" => (Kind::Other, format!("{} {}", get("tool_name"), get("decision"))),
        "assistant_response" => (Kind::Other, get("response")),
        other => (Kind::Other, other.replace('_', " ")),
    }
}

fn town_event(row: &LogRow) -> (Kind, String) {
    let get = |key: &str| row.field(key).unwrap_or("?").to_owned();
    match row.body.as_str() {
        "mail" => mail_event(row),
        "nudge" => (Kind::Nudge, format!("nudge {}", get("target"))),
        "sling" => (Kind::Sling, format!("sling {} to {}", get("bead"), get("target"))),
        "done" => (Kind::Done, format!("done: {}", get("exit_type"))),
        "prime" | "prime.context" => (Kind::Prime, format!("prime as {}", get("role"))),
        "bd.call" => (Kind::Bd, format!("bd {}", row.field("args").unwrap_or(&get("subcommand")))),
        "convoy.create" => (Kind::Bd, format!("convoy {} made", get("bead_id"))),
        "bead.create" => (Kind::Bd, format!("{} made", get("bead_id"))),
        "session.start" | "session.stop" => (Kind::Lifecycle, format!("{} {}", row.body, get("session_id"))),
        "agent.instantiate" => (Kind::Lifecycle, format!("{} started as {}", get("agent_type"), get("role"))),
        "agent.state_change" => (Kind::Lifecycle, format!("{} is {}", get("agent_id"), get("new_state"))),
        "polecat.spawn" | "polecat.remove" => (Kind::Lifecycle, format!("{} {}", row.body, get("name"))),
        "daemon.restart" => (Kind::Lifecycle, format!("daemon restarted {}", get("agent_type"))),
        name if name.starts_with("mol.") || name.starts_with("formula.") => (Kind::Bd, name.to_owned()),
        name => (Kind::Other, name.to_owned()),
    }
}

fn mail_event(row: &LogRow) -> (Kind, String) {
    let subject = row.field("msg.subject").or(row.field("msg.id")).unwrap_or_default();
    match row.field("operation") {
        Some("send") => (Kind::Mail, format!("mail to {}: {subject}", row.field("msg.to").unwrap_or("?"))),
        Some("read") => (Kind::Mail, format!("reads mail: {subject}")),
        other => (Kind::Bd, format!("mail {}", other.unwrap_or("?"))),
    }
}
