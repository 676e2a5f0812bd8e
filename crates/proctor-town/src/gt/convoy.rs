//! `gt convoy …`.

use std::fmt::Write as _;

use serde_json::Value;

use crate::Output;
use crate::args::Verb;
use crate::beads::{self, Bead};
use crate::caller::long_address;
use crate::convoys;
use crate::error::{Result, refused, refused_hint};
use crate::invocation::{Invocation, say, say_json};
use crate::render;
use crate::town::Town;

pub(super) const VERBS: &[Verb] = &[
    Verb {
        path: "convoy create",
        usage: "<name> [issue...]",
        about: "Makes a convoy that tracks issues",
        flags: &["owner=AGENT  Who hears of its landing (default: you)", "notify=AGENT  Accepted; the owner is told"],
        run: create,
    },
    Verb { path: "convoy add", usage: "<convoy> <issue...>", about: "Adds issues to a convoy", flags: &[], run: add },
    Verb {
        path: "convoy list",
        usage: "",
        about: "Lists open convoys",
        flags: &["json  Print JSON", "status=STATUS  open or closed", "all  Also closed ones", "tree  Show their issues"],
        run: list,
    },
    Verb { path: "convoy status", usage: "[convoy]", about: "Shows a convoy", flags: &["json  Print JSON"], run: status },
    Verb {
        path: "convoy check",
        usage: "[convoy]",
        about: "Closes convoys that are complete",
        flags: &["dry-run  Only say which"],
        run: check,
    },
    Verb {
        path: "convoy close",
        usage: "<convoy>",
        about: "Closes a convoy",
        flags: &["reason=TEXT  Why", "f|force  Also with open issues", "notify=AGENT  Accepted"],
        run: close,
    },
];

fn create(call: &mut Invocation) -> Result<Output> {
    let mut town = call.town()?;
    let mut words = call.args.words.clone();
    if words.is_empty() {
        return refused_hint("missing argument: <name>", "gt convoy create \"Title\" <issue...>");
    }
    let title = words.remove(0);
    let owner = call.args.value("owner").map(long_address);
    let id = town.change(|change| change.create_convoy(&title, &words, owner.as_deref()))?;
    town.caller.convoy_created(&id);
    let mut text = format!("✓ Created convoy 🚚 {id}\n\n  Name:     {title}\n  Tracking: {} issues\n", words.len());
    if !words.is_empty() {
        let _ = writeln!(text, "  Issues:   {}", words.join(", "));
    }
    let _ = writeln!(text, "  Owner:    {}", owner.unwrap_or_else(|| town.agent()));
    Ok(say(text))
}

fn add(call: &mut Invocation) -> Result<Output> {
    let mut town = call.town()?;
    let convoy = convoys::find(&town.db, &call.need(0, "<convoy>")?)?;
    let issues = call.args.words[1..].to_vec();
    if issues.is_empty() {
        return refused("missing argument: <issue...>");
    }
    let reopened = town.change(|change| change.add_to_convoy(&convoy, &issues))?;
    let mut text = format!("✓ Added {} issue(s) to convoy 🚚 {}\n", issues.len(), convoy.id);
    if reopened {
        text.push_str("  ↻ Reopened the convoy\n");
    }
    Ok(say(text))
}

fn list(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let status = match call.args.value("status") {
        Some("all") => None,
        Some(status) => Some(status),
        None if call.args.has("all") => None,
        None => Some("open"),
    };
    let found = convoys::list(&town.db, status)?;
    let rows = found.iter().map(|convoy| convoys::to_json(&town.db, convoy)).collect::<Result<Vec<_>>>()?;
    if call.args.has("json") {
        return say_json(&rows);
    }
    if rows.is_empty() {
        return Ok(say("No convoys found.\nCreate a convoy with: gt convoy create <name> [issues...]"));
    }
    let mut text = "Convoys\n\n".to_string();
    for (n, row) in rows.iter().enumerate() {
        let _ = writeln!(text, "  {}. 🚚 {}", n + 1, headline(row));
        if call.args.has("tree") {
            text.push_str(&issues(row));
        }
    }
    Ok(say(text))
}

fn word<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_default()
}

fn headline(row: &Value) -> String {
    let icon = if word(row, "status") == "closed" { "✓" } else { "●" };
    format!("{}: {} {icon} {}/{} completed", word(row, "id"), word(row, "title"), row["completed"], row["total"])
}

fn issues(row: &Value) -> String {
    let mut text = String::new();
    for issue in row["tracked"].as_array().into_iter().flatten() {
        let icon = render::icon(word(issue, "status"));
        let _ = write!(text, "    {icon} {}: {} [{}]", word(issue, "id"), word(issue, "title"), word(issue, "status"));
        let worker = word(issue, "worker");
        let _ = if worker.is_empty() { writeln!(text) } else { writeln!(text, "  @{worker}") };
    }
    text
}

fn named(town: &Town, name: &str) -> Result<Bead> {
    match name.parse::<usize>() {
        Ok(n) => match convoys::list(&town.db, Some("open"))?.into_iter().nth(n.saturating_sub(1)) {
            Some(convoy) => Ok(convoy),
            None => refused(format!("convoy {n} not found")),
        },
        Err(_) => convoys::find(&town.db, name),
    }
}

fn status(call: &mut Invocation) -> Result<Output> {
    let Some(name) = call.args.word(0).map(str::to_string) else { return list(call) };
    let town = call.town()?;
    let convoy = named(&town, &name)?;
    let mut row = convoys::to_json(&town.db, &convoy)?;
    if call.args.has("json") {
        if let Some(row) = row.as_object_mut() {
            row.remove("created_at");
        }
        row["owned"] = false.into();
        row["lifecycle"] = "system-managed".into();
        return say_json(&row);
    }
    let mut text = format!("🚚 {}: {}\n\n", convoy.id, convoy.title);
    let _ = writeln!(text, "  Status:    {}\n  Owned:     no\n  Lifecycle: system-managed\n  Merge:     mr", convoy.status);
    let _ = writeln!(text, "  Progress:  {}/{} completed\n  Created:   {}", row["completed"], row["total"], convoy.created_at);
    if let Some(at) = &convoy.closed_at {
        let _ = writeln!(text, "  Closed:    {at}");
    }
    let _ = write!(text, "\n  Tracked Issues:\n{}", issues(&row));
    Ok(say(text))
}

fn check(call: &mut Invocation) -> Result<Output> {
    let mut town = call.town()?;
    let only = call.args.word(0).map(|name| convoys::find(&town.db, name)).transpose()?;
    let closed = match call.args.has("dry-run") {
        true => Vec::new(),
        false => town.change(|change| change.close_finished_convoys(None))?,
    };
    let mut text = String::new();
    for convoy in &closed {
        let _ = writeln!(text, "✓ Auto-closed convoy 🚚 {}: {}", convoy.id, convoy.title);
    }
    for convoy in convoys::list(&town.db, Some("open"))? {
        if only.as_ref().is_some_and(|only| only.id != convoy.id) {
            continue;
        }
        let row = convoys::to_json(&town.db, &convoy)?;
        let open = row["total"].as_u64().unwrap_or_default() - row["completed"].as_u64().unwrap_or_default();
        let _ = writeln!(text, "○ Convoy {} has {open} open issue(s) remaining", convoy.id);
    }
    Ok(say(if text.is_empty() { "No convoys ready to close.".to_string() } else { text }))
}

fn close(call: &mut Invocation) -> Result<Output> {
    let mut town = call.town()?;
    let convoy = convoys::find(&town.db, &call.need(0, "<convoy>")?)?;
    let open = convoys::tracked(&town.db, &convoy.id)?;
    let open: Vec<String> =
        open.into_iter().filter(|id| matches!(beads::get(&town.db, id), Ok(Some(bead)) if bead.status != "closed")).collect();
    if !open.is_empty() && !call.args.has("force") {
        let message = format!("convoy {} has {} open issue(s): {}", convoy.id, open.len(), open.join(", "));
        return refused_hint(message, "close it anyway with --force");
    }
    let reason = call.args.value("reason").unwrap_or("Closed").to_string();
    town.change(|change| change.close_bead(&convoy.id, &reason))?;
    Ok(say(format!("✓ Closed convoy 🚚 {}: {reason}", convoy.id)))
}
