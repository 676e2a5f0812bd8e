//! The town as a whole, and beads through `gt`: `gt status`, `ready`, `show`, `close`.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::Output;
use crate::agents::{self, Agent, Session};
use crate::args::Verb;
use crate::bd;
use crate::beads;
use crate::caller::short_address;
use crate::daemon::client;
use crate::error::Result;
use crate::invocation::{Invocation, say, say_json};
use crate::mail;
use crate::merges;
use crate::render;
use crate::town::{Rig, Town};

pub(super) const VERBS: &[Verb] = &[
    Verb {
        path: "status",
        usage: "",
        about: "Shows the whole town",
        flags: &["json  Print JSON", "fast  Accepted; it is always fast", "v|verbose  Accepted"],
        run: status,
    },
    Verb {
        path: "ready",
        usage: "",
        about: "Lists work that can be begun",
        flags: &["json  Print JSON", "rig=RIG  Only this rig's"],
        run: ready,
    },
    Verb { path: "show", usage: "<id...>", about: "Shows beads", flags: bd::SHOW, run: bd::show },
    Verb { path: "close", usage: "<id...>", about: "Closes beads", flags: bd::CLOSE, run: bd::close },
];

fn agent_row(town: &Town, agent: &Agent) -> Result<Value> {
    let session = agents::last_session(&town.db, &agent.agent)?.filter(Session::alive);
    let hooked = agents::hooked(&town.db, &agent.agent)?;
    let title = match &hooked {
        Some(id) => beads::get(&town.db, id)?.map(|bead| bead.title).unwrap_or_default(),
        None => String::new(),
    };
    let address = short_address(&agent.agent);
    let unread = mail::inbox(&town.db, &address, true)?;
    Ok(json!({
        "name": agent.name, "address": address, "session": agent.session, "role": agent.role, "running": session.is_some(),
        "has_work": hooked.is_some(), "work_title": title, "hook_bead": hooked, "state": agents::state(&town.db, agent)?,
        "unread_mail": unread.len(), "first_subject": unread.last().map(|message| message.subject.clone()),
    }))
}

fn rig_row(town: &Town, rig: &Rig, all: &[Agent]) -> Result<Value> {
    let ours: Vec<&Agent> = all.iter().filter(|agent| agent.rig.as_deref() == Some(&rig.name)).collect();
    let rows = ours.iter().map(|agent| agent_row(town, agent)).collect::<Result<Vec<_>>>()?;
    let waiting = merges::waiting(&town.db, &rig.name)?.len();
    let hooks: Vec<Value> = rows
        .iter()
        .map(|row| json!({ "agent": row["address"], "role": row["role"], "has_work": row["has_work"], "title": row["work_title"] }))
        .collect();
    Ok(json!({
        "name": rig.name, "polecats": ours.iter().map(|agent| agent.name.clone()).collect::<Vec<_>>(),
        "polecat_count": ours.len(), "crews": [], "crew_count": 0, "has_witness": false, "has_refinery": true,
        "hooks": hooks, "agents": rows,
        "mq": { "pending": waiting, "in_flight": 0, "blocked": 0, "state": if waiting == 0 { "idle" } else { "processing" }, "health": "healthy" },
    }))
}

fn whole(town: &Town) -> Result<Value> {
    let all = agents::all(&town.db)?;
    let rigs = town.rigs()?.iter().map(|rig| rig_row(town, rig, &all)).collect::<Result<Vec<_>>>()?;
    let own = all.iter().filter(|agent| agent.rig.is_none()).map(|agent| agent_row(town, agent)).collect::<Result<Vec<_>>>()?;
    let pid = client::running(town);
    let polecats = all.iter().filter(|agent| agent.role == "polecat").count();
    let active = beads::select(&town.db, "status = 'hooked'", &[])?.len();
    let unread = mail::inbox(&town.db, "overseer", true)?.len();
    let name = town.root.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(json!({
        "name": name, "location": town.root, "overseer": { "name": "overseer", "unread_mail": unread },
        "daemon": { "running": pid.is_some(), "pid": pid },
        "agents": own, "rigs": rigs,
        "summary": { "rig_count": rigs.len(), "polecat_count": polecats, "crew_count": 0, "witness_count": 0,
                     "refinery_count": rigs.len(), "active_hooks": active },
    }))
}

fn status(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let row = whole(&town)?;
    if call.args.has("json") {
        return say_json(&row);
    }
    let text_of = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let daemon = if row["daemon"]["running"] == true { "running" } else { "not running" };
    let mut text = format!("Town: {}\n{}\n\nDaemon: {daemon}\n", text_of(&row["name"]), text_of(&row["location"]));
    let line = |agent: &Value| {
        let icon = if agent["running"] == true { "●" } else { "○" };
        format!("  {icon} {}  {}  {}\n", text_of(&agent["address"]), text_of(&agent["state"]), text_of(&agent["work_title"]))
    };
    row["agents"].as_array().into_iter().flatten().for_each(|agent| text.push_str(&line(agent)));
    for rig in row["rigs"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "\n── {} ── (queue: {})", text_of(&rig["name"]), rig["mq"]["pending"]);
        rig["agents"].as_array().into_iter().flatten().for_each(|agent| text.push_str(&line(agent)));
    }
    Ok(say(text))
}

fn ready(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let only = call.args.value("rig");
    let mut sources = vec![None];
    sources.extend(town.rigs()?.into_iter().map(|rig| Some(rig.name)));
    let mut rows = Vec::new();
    let mut by_source = serde_json::Map::new();
    let mut text = String::new();
    for source in sources {
        let name = source.clone().unwrap_or_else(|| "town".to_string());
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let found = bd::ready_beads(&town.db)?.into_iter().filter(|bead| bead.rig == source).collect::<Vec<_>>();
        for bead in &found {
            let _ = writeln!(text, "{}", render::line(bead));
        }
        let issues = found.iter().map(|bead| render::issue(&town.db, bead)).collect::<Result<Vec<_>>>()?;
        by_source.insert(name.clone(), issues.len().into());
        rows.push(json!({ "name": name, "issues": issues }));
    }
    if call.args.has("json") {
        let total: u64 = by_source.values().filter_map(Value::as_u64).sum();
        let summary = json!({ "total": total, "by_source": by_source });
        return say_json(&json!({ "sources": rows, "summary": summary, "town_root": town.root }));
    }
    Ok(say(if text.is_empty() { "No ready work.".to_string() } else { text }))
}
