//! Looking at all of it: `gt snapshot`, `sessions`, `feed`, `trail`, `costs`.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::Output;
use crate::agents;
use crate::args::Verb;
use crate::beads::{self, Bead};
use crate::caller::short_address;
use crate::convoys;
use crate::error::Result;
use crate::git::Git;
use crate::invocation::{Invocation, say, say_json};
use crate::mail::{self, Message};
use crate::merges::{self, MergeRequest};
use crate::town::Town;

pub(super) const VERBS: &[Verb] = &[
    Verb {
        path: "snapshot",
        usage: "",
        about: "Prints all state, read at one moment",
        flags: &["json  Print JSON (always)"],
        run: snapshot,
    },
    Verb { path: "sessions", usage: "", about: "Lists every session the town had", flags: &["json  Print JSON"], run: sessions },
    Verb {
        path: "feed",
        usage: "",
        about: "Prints the town's events",
        flags: &[
            "plain  Plain lines (always)",
            "n|limit=N  Number of events (default 100)",
            "type=TYPE  Only events of this type",
            "rig=RIG  Only events that name this rig",
            "no-follow  Accepted; it never follows",
            "p|print  Accepted",
        ],
        run: feed,
    },
    Verb {
        path: "trail",
        usage: "[commits|beads|hooks]",
        about: "Shows recent commits, beads or hooks",
        flags: &["json  Print JSON", "limit=N  Number of entries (default 20)", "all  Also commits of people"],
        run: trail,
    },
    Verb {
        path: "costs",
        usage: "",
        about: "Shows costs by session: this town does not know any",
        flags: &["json  Print JSON", "today  Accepted", "week  Accepted", "by-role  Accepted", "by-rig  Accepted"],
        run: costs,
    },
];

fn bead(bead: &Bead) -> Value {
    json!({
        "id": bead.id, "title": bead.title, "kind": bead.kind, "status": bead.status, "priority": bead.priority,
        "assignee": bead.assignee, "rig": bead.rig, "created_by": bead.created_by, "created_at": bead.created_at,
        "closed_at": bead.closed_at, "close_reason": bead.close_reason, "closed_by": bead.closed_by,
        "description": bead.description,
    })
}

fn convoy(town: &Town, convoy: &Bead) -> Result<Value> {
    Ok(json!({
        "id": convoy.id, "title": convoy.title, "status": convoy.status,
        "tracked": convoys::tracked(&town.db, &convoy.id)?, "created_at": convoy.created_at, "closed_at": convoy.closed_at,
    }))
}

fn message(message: &Message) -> Value {
    json!({
        "id": message.id, "from": message.from, "to": message.to, "subject": message.subject, "body": message.body,
        "at": message.at, "read": message.read,
    })
}

fn agent(town: &Town, agent: &agents::Agent) -> Result<Value> {
    Ok(json!({
        "agent": agent.agent, "role": agent.role, "rig": agent.rig, "name": agent.name, "program": agent.program,
        "state": agents::state(&town.db, agent)?, "issue": agent.issue,
        // What a program owes is the harness's knowledge, not the town's.
        "telemetry": "none",
    }))
}

fn snapshot(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    // One read transaction: every list is of the same moment.
    let read = town.db.unchecked_transaction()?;
    let beads = beads::select(&town.db, "issue_type <> 'convoy'", &[])?;
    let convoys = convoys::list(&town.db, None)?;
    let agents = agents::all(&town.db)?;
    let sessions = agents::sessions(&town.db)?;
    let row = json!({
        "beads": beads.iter().map(bead).collect::<Vec<_>>(),
        "convoys": convoys.iter().map(|row| convoy(&town, row)).collect::<Result<Vec<_>>>()?,
        "mail": mail::select(&town.db, "1", &[])?.iter().map(message).collect::<Vec<_>>(),
        "merge_requests": merges::select(&town.db, "1", &[])?.iter().map(MergeRequest::to_json).collect::<Vec<_>>(),
        "agents": agents.iter().map(|row| agent(&town, row)).collect::<Result<Vec<_>>>()?,
        "sessions": sessions.iter().map(agents::Session::to_json).collect::<Vec<_>>(),
    });
    read.finish()?;
    say_json(&row)
}

fn sessions(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let rows = agents::sessions(&town.db)?;
    if call.args.has("json") {
        return say_json(&rows.iter().map(agents::Session::to_json).collect::<Vec<_>>());
    }
    let mut text = String::new();
    for session in &rows {
        let end = session.exit.as_deref().unwrap_or(if session.alive() { "running" } else { "lost" });
        let _ = writeln!(text, "{}  {}  {}  {end}", session.started_at, session.session, short_address(&session.agent));
    }
    Ok(say(if text.is_empty() { "No sessions.".to_string() } else { text }))
}

fn events(town: &Town) -> Vec<Value> {
    let text = std::fs::read_to_string(town.root.join(".events.jsonl")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn limit(call: &Invocation, flag: &str, default: usize) -> usize {
    call.args.value(flag).and_then(|n| n.parse().ok()).unwrap_or(default)
}

fn feed(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let (kind, rig) = (call.args.value("type"), call.args.value("rig"));
    let mut found = events(&town);
    found.retain(|event| kind.is_none_or(|kind| event["type"] == kind));
    found.retain(|event| rig.is_none_or(|rig| event["payload"].to_string().contains(&format!("\"{rig}"))));
    let skip = found.len().saturating_sub(limit(call, "limit", 100));
    let mut text = String::new();
    for event in &found[skip..] {
        let part = |key: &str| event[key].as_str().unwrap_or_default().to_string();
        let _ = writeln!(text, "{} {} {} {}", part("ts"), part("type"), part("actor"), event["payload"]);
    }
    Ok(say(if text.is_empty() { "No events.".to_string() } else { text }))
}

fn trail(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let limit = limit(call, "limit", 20);
    let rows = match call.args.word(0).unwrap_or("commits") {
        "beads" => recent_beads(&town, limit)?,
        "hooks" => recent_hooks(&town, limit),
        _ => recent_commits(&town, limit, call.args.has("all"))?,
    };
    if call.args.has("json") {
        return say_json(&rows);
    }
    let mut text = String::new();
    for row in &rows {
        let values = row.as_object().into_iter().flat_map(|row| row.values()).filter_map(Value::as_str);
        let _ = writeln!(text, "{}", values.collect::<Vec<_>>().join("  "));
    }
    Ok(say(if text.is_empty() { "Nothing yet.".to_string() } else { text }))
}

/// Commits on the target branches of all rigs; those of agents only, unless all are wanted.
fn recent_commits(town: &Town, limit: usize, everybody: bool) -> Result<Vec<Value>> {
    let mut rows = Vec::new();
    for rig in town.rigs()? {
        let repo = town.rig_repo(&rig.name);
        let git = Git::of_daemon(&town.caller, &repo, "overseer");
        let (count, head) = (format!("-n{limit}"), format!("origin/{}", rig.branch));
        let log = git.run(&["log", &count, "--format=%H%x1f%an%x1f%ae%x1f%aI%x1f%s", &head])?;
        for line in log.lines() {
            let parts: Vec<&str> = line.split('\u{1f}').collect();
            let [hash, author, email, date, subject] = parts.as_slice() else { continue };
            let is_agent = email.ends_with("@gastown.local");
            if is_agent || everybody {
                rows.push(json!({
                    "date": date, "hash": hash, "short_hash": &hash[..7], "author": author, "email": email,
                    "subject": subject, "is_agent": is_agent, "rig": rig.name,
                }));
            }
        }
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row["date"].as_str().unwrap_or_default().to_string()));
    rows.truncate(limit);
    Ok(rows)
}

fn recent_beads(town: &Town, limit: usize) -> Result<Vec<Value>> {
    let mut found = beads::select(&town.db, "issue_type <> 'convoy'", &[])?;
    found.sort_by(|a, b| b.updated_at.cmp(&a.updated_at));
    found.truncate(limit);
    let row = |bead: &Bead| json!({ "updated_at": bead.updated_at, "id": bead.id, "status": bead.status, "title": bead.title });
    Ok(found.iter().map(row).collect())
}

fn recent_hooks(town: &Town, limit: usize) -> Vec<Value> {
    let hooks = events(town).into_iter().rev().filter(|event| event["type"] == "hook" || event["type"] == "unhook");
    let row = |event: Value| json!({ "timestamp": event["ts"], "type": event["type"], "actor": event["actor"], "bead": event["payload"]["bead"] });
    hooks.take(limit).map(row).collect()
}

fn costs(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let rows = agents::sessions(&town.db)?;
    if call.args.has("json") {
        let rows: Vec<Value> = rows
            .iter()
            .map(|s| {
                let worker = s.agent.rsplit('/').next();
                json!({ "session": s.session, "role": s.role, "rig": s.rig, "worker": worker, "cost_usd": 0.0, "running": s.alive() })
            })
            .collect();
        return say_json(&json!({ "sessions": rows, "total_usd": 0.0, "by_role": {}, "by_rig": {}, "period": "all" }));
    }
    Ok(say("Total: $0.00\nCosts are known to the model gateway and to the agents' telemetry, not to the town."))
}
