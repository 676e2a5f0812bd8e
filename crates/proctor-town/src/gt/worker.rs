//! Workers as people see them: `gt polecat …`, `gt peek`, `gt agents`.

use std::fmt::Write as _;

use opentelemetry::KeyValue;
use serde_json::{Value, json};

use crate::Output;
use crate::agents::{self, Agent, Session};
use crate::args::Verb;
use crate::caller::{long_address, short_address};
use crate::daemon::client::{self, Ask};
use crate::error::{Result, TownError, refused_hint};
use crate::git::Git;
use crate::invocation::{Invocation, say, say_json};
use crate::telemetry::record;
use crate::town::{Rig, Town};

pub(super) const VERBS: &[Verb] = &[
    Verb {
        path: "polecat list",
        usage: "[rig]",
        about: "Lists polecats",
        flags: &["json  Print JSON", "all  Of all rigs (default)"],
        run: list,
    },
    Verb { path: "polecat status", usage: "<rig>/<name>", about: "Shows a polecat", flags: &["json  Print JSON"], run: status },
    Verb {
        path: "polecat nuke",
        usage: "<rig>/<name>... | <rig> --all",
        about: "Ends a polecat and removes its clone",
        flags: &["all  All of the rig", "f|force  Also with unmerged work", "dry-run  Only say which"],
        run: nuke,
    },
    Verb {
        path: "peek",
        usage: "<agent> [lines]",
        about: "Shows the end of a session's output",
        flags: &["n|lines=N  Number of lines (default 100)"],
        run: peek,
    },
    Verb {
        path: "agents",
        usage: "",
        about: "Lists agents",
        flags: &["json  Print JSON", "a|all  Also stopped ones"],
        run: list_agents,
    },
    Verb {
        path: "agents list",
        usage: "",
        about: "Lists agents",
        flags: &["json  Print JSON", "a|all  Also stopped ones"],
        run: list_agents,
    },
];

fn polecats(town: &Town, rig: Option<&str>) -> Result<Vec<Agent>> {
    let mut found = agents::all(&town.db)?;
    found.retain(|agent| agent.role == "polecat" && (rig.is_none() || agent.rig.as_deref() == rig));
    Ok(found)
}

fn session(town: &Town, agent: &Agent) -> Result<Option<Session>> {
    Ok(agents::last_session(&town.db, &agent.agent)?.filter(Session::alive))
}

fn row(town: &Town, agent: &Agent) -> Result<Value> {
    let running = session(town, agent)?;
    let mut row = json!({ "rig": agent.rig, "name": agent.name, "state": agents::state(&town.db, agent)? });
    if let Some(issue) = &agent.issue {
        row["issue"] = issue.as_str().into();
    }
    row["session_running"] = running.is_some().into();
    row["session_name"] = agent.session.clone().into();
    Ok(row)
}

fn list(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let rig = call.args.word(0).map(|name| town.rig(name)).transpose()?.map(|rig| rig.name);
    let found = polecats(&town, rig.as_deref())?;
    let rows = found.iter().map(|agent| row(&town, agent)).collect::<Result<Vec<_>>>()?;
    if call.args.has("json") {
        return say_json(&rows);
    }
    if rows.is_empty() {
        return Ok(say("No polecats found."));
    }
    let mut text = "Polecats\n\n".to_string();
    for (agent, row) in found.iter().zip(&rows) {
        let icon = if row["session_running"] == true { "●" } else { "○" };
        let issue = agent.issue.as_deref().unwrap_or("-");
        let _ =
            writeln!(text, "  {icon} {}  {}  {issue}", short_address(&agent.agent), row["state"].as_str().unwrap_or_default());
    }
    Ok(say(text))
}

fn named(town: &Town, name: &str) -> Result<Agent> {
    match agents::get(&town.db, &long_address(name))? {
        Some(agent) if agent.role == "polecat" => Ok(agent),
        _ => refused_hint(format!("polecat '{name}' not found"), "gt polecat list"),
    }
}

fn status(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let agent = named(&town, &call.need(0, "<rig>/<name>")?)?;
    let mut row = row(&town, &agent)?;
    let rig = agent.rig.clone().unwrap_or_default();
    row["clone_path"] = town.polecat_dir(&rig, &agent.name).display().to_string().into();
    row["branch"] = agent.branch.clone().into();
    row["session_id"] = agent.session.clone().into();
    row["last_activity"] = agent.updated_at.clone().into();
    if call.args.has("json") {
        return say_json(&row);
    }
    let mut text = format!("{}\n", short_address(&agent.agent));
    for key in ["state", "issue", "branch", "clone_path", "session_id", "session_running"] {
        let value = &row[key];
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_string);
        let _ = writeln!(text, "  {key}: {value}");
    }
    Ok(say(text))
}

fn nuke(call: &mut Invocation) -> Result<Output> {
    let mut town = call.town()?;
    let first = call.need(0, "<rig>/<name>")?;
    let found = match call.args.has("all") {
        true => polecats(&town, Some(&town.rig(&first)?.name))?,
        false => call.args.words.iter().map(|name| named(&town, name)).collect::<Result<Vec<_>>>()?,
    };
    let mut text = String::new();
    for agent in &found {
        if call.args.has("dry-run") {
            let _ = writeln!(text, "Would nuke {}", short_address(&agent.agent));
            continue;
        }
        if !call.args.has("force") {
            nothing_unmerged(&town, agent)?;
        }
        remove(&mut town, agent)?;
        let _ = writeln!(text, "✓ Nuked {}", short_address(&agent.agent));
    }
    Ok(say(text))
}

/// Refuses to throw away what a worker has pushed and nobody has merged. Its clone is not looked at: it is the worker's, and
/// what lies there can be made to harm whoever reads it with git.
fn nothing_unmerged(town: &Town, agent: &Agent) -> Result<()> {
    let rig = town.rig(agent.rig.as_deref().unwrap_or_default())?;
    let hooked = agents::hooked(&town.db, &agent.agent)?.is_some();
    if hooked || pushed_unmerged(town, &rig, agent)? {
        return refused_hint(format!("{} has unmerged work", short_address(&agent.agent)), "nuke it anyway with --force");
    }
    Ok(())
}

fn pushed_unmerged(town: &Town, rig: &Rig, agent: &Agent) -> Result<bool> {
    let Some(branch) = &agent.branch else { return Ok(false) };
    let dir = town.rig_repo(&rig.name);
    let git = Git::of_daemon(&town.caller, &dir, "overseer");
    let pushed = git.run(&["ls-remote", "origin", &format!("refs/heads/{branch}")])?;
    if pushed.is_empty() {
        return Ok(false);
    }
    let (target, kept) = (format!("refs/remotes/origin/{}", rig.branch), format!("refs/looked-at/{branch}"));
    let specs = [format!("+refs/heads/{}:{target}", rig.branch), format!("+refs/heads/{branch}:{kept}")];
    git.run(&["fetch", "--quiet", "--no-tags", "origin", &specs[0], &specs[1]])?;
    // `+` marks commits whose change is not on the target, whatever they are called there.
    Ok(git.run(&["cherry", &target, &kept])?.lines().any(|line| line.starts_with('+')))
}

fn remove(town: &mut Town, agent: &Agent) -> Result<()> {
    if let Some(running) = session(town, agent)? {
        client::ask(town, &Ask::End { session: running.session, reason: "stopped by gt polecat nuke".to_string() })?;
    }
    let rig = agent.rig.clone().unwrap_or_default();
    super::sling::remove_clone(town, &rig, &agent.name);
    town.change(|change| {
        if let Some(issue) = agents::hooked(&change.tx, &agent.agent)? {
            change.unhook(&issue)?;
        }
        change.set_agent_state(&agent.agent, "stopped")?;
        change.event("kill", json!({ "agent": agent.agent, "reason": "nuke" }));
        Ok(())
    })?;
    town.caller.emit(record("polecat.remove").with("name", agent.name.clone()).ended(Ok(())));
    town.caller.count("gastown.polecat.removes.total", &[KeyValue::new("status", "ok")]);
    Ok(())
}

fn peek(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let target = call.need(0, "<agent>")?;
    let Some(session) = agents::last_session(&town.db, &long_address(&target))? else {
        return refused_hint(format!("session not found: {target}"), "gt agents list");
    };
    let path = town.root.join(&session.transcript);
    let bytes = std::fs::read(&path).map_err(TownError::io(&path))?;
    let text = String::from_utf8_lossy(&bytes);
    let wanted = call.args.value("lines").or_else(|| call.args.word(1)).and_then(|n| n.parse().ok()).unwrap_or(100);
    let lines: Vec<&str> = text.lines().collect();
    Ok(say(lines[lines.len().saturating_sub(wanted)..].join("\n")))
}

fn list_agents(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let found = agents::all(&town.db)?;
    let rows = found.iter().map(|agent| agents::to_json(&town.db, agent)).collect::<Result<Vec<_>>>()?;
    if call.args.has("json") {
        return say_json(&rows);
    }
    let mut text = String::new();
    let mut last = None;
    for (agent, row) in found.iter().zip(&rows) {
        if last != Some(&agent.rig) {
            let _ = writeln!(text, "── {} ──", agent.rig.as_deref().unwrap_or("town"));
            last = Some(&agent.rig);
        }
        let issue = agent.issue.as_deref().unwrap_or("-");
        let _ = writeln!(text, "  {}  {}  {issue}", short_address(&agent.agent), row["state"].as_str().unwrap_or_default());
    }
    Ok(say(if text.is_empty() { "No agents.".to_string() } else { text }))
}
