//! What hangs on issues: `bd dep`, `comments`, `comment`, `note`, `label`.

use serde_json::{Value, json};

use crate::Output;
use crate::args::Verb;
use crate::beads;
use crate::error::{Result, refused};
use crate::invocation::{Invocation, say, say_json};
use crate::render;
use crate::town::Change;

pub(super) const VERBS: &[Verb] = &[
    Verb {
        path: "dep add",
        usage: "<issue> <depends-on>",
        about: "Makes an issue wait for another",
        flags: &["t|type=TYPE  Type (default blocks)", "blocked-by=ID  What it waits for", "depends-on=ID  The same"],
        run: add,
    },
    Verb { path: "dep remove", usage: "<issue> <depends-on>", about: "Removes a dependency", flags: &[], run: remove },
    Verb {
        path: "dep list",
        usage: "<issue>",
        about: "Lists what an issue depends on",
        flags: &["direction=D  down (default) or up"],
        run: list,
    },
    Verb { path: "comments", usage: "<id>", about: "Lists comments", flags: &[], run: comments },
    Verb {
        path: "comments add",
        usage: "<id> <text>",
        about: "Adds a comment",
        flags: &["f|file=FILE  Accepted", "a|author=NAME  Accepted"],
        run: comment,
    },
    Verb {
        path: "comment",
        usage: "<id> <text>",
        about: "Adds a comment",
        flags: &["stdin  Read it from standard input"],
        run: comment,
    },
    Verb { path: "note", usage: "<id> <text>", about: "Adds to the notes", flags: &[], run: note },
    Verb { path: "label add", usage: "<id...> <label>", about: "Adds a label", flags: &[], run: label_add },
    Verb { path: "label remove", usage: "<id...> <label>", about: "Removes a label", flags: &[], run: label_remove },
    Verb { path: "label list", usage: "<id>", about: "Lists labels", flags: &[], run: label_list },
];

fn pair(call: &Invocation) -> Result<(String, String)> {
    let on = call.args.value("blocked-by").or_else(|| call.args.value("depends-on"));
    let on = on.map_or_else(|| call.need(1, "<depends-on>"), |on| Ok(on.to_string()))?;
    Ok((call.need(0, "<issue>")?, on))
}

fn add(call: &mut Invocation) -> Result<Output> {
    let mut town = call.town()?;
    let (issue, on) = pair(call)?;
    let kind = call.args.value("type").unwrap_or("blocks").to_string();
    let actor = super::actor(call, &town);
    let (issue, on) = town.change_as(&actor, "bd", |change| {
        let issue = beads::find(&change.tx, &issue)?.id;
        let on = beads::find(&change.tx, &on)?.id;
        if issue == on {
            return refused("an issue cannot depend on itself");
        }
        change.depend(&issue, &on, &kind)?;
        Ok((issue, on))
    })?;
    if call.args.has("json") {
        let row = json!({ "status": "added", "issue_id": issue, "depends_on_id": on, "type": kind, "schema_version": 1 });
        return say_json(&row);
    }
    Ok(say(format!("✓ Added dependency: {issue} depends on {on} ({kind})")))
}

fn remove(call: &mut Invocation) -> Result<Output> {
    let mut town = call.town()?;
    let (issue, on) = pair(call)?;
    let actor = super::actor(call, &town);
    let gone = town.change_as(&actor, "bd", |change| {
        let sql = "DELETE FROM dependencies WHERE issue_id = ?1 AND depends_on_id = ?2 AND type <> 'tracks'";
        Ok(change.tx.execute(sql, [&issue, &on])?)
    })?;
    if gone == 0 {
        return refused(format!("{issue} does not depend on {on}"));
    }
    Ok(say(format!("✓ Removed dependency: {issue} no longer depends on {on}")))
}

fn list(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let bead = beads::find(&town.db, &call.need(0, "<issue>")?)?;
    let found = match call.args.value("direction") {
        Some("up") => {
            let sql = "SELECT issue_id FROM dependencies WHERE depends_on_id = ?1 ORDER BY rowid";
            beads::strings(&town.db, sql, &[&bead.id])?.into_iter().map(|id| (id, String::new())).collect()
        }
        _ => render::depends_on(&town.db, &bead.id)?,
    };
    let (mut rows, mut text) = (Vec::<Value>::new(), String::new());
    for (id, kind) in found {
        let Some(other) = beads::get(&town.db, &id)? else { continue };
        text.push_str(&format!("  {} ({kind})\n", render::line(&other)));
        let mut row = render::issue(&town.db, &other)?;
        row["dependency_type"] = kind.into();
        rows.push(row);
    }
    if call.args.has("json") { say_json(&rows) } else { Ok(say(if text.is_empty() { "No dependencies".into() } else { text })) }
}

fn comments(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let bead = beads::find(&town.db, &call.need(0, "<id>")?)?;
    let rows = render::comments(&town.db, &bead.id)?;
    if call.args.has("json") {
        return say_json(&rows);
    }
    let line = |row: &Value| {
        let part = |key: &str| row[key].as_str().unwrap_or_default().to_string();
        format!("[{}] {}\n  {}\n", part("created_at"), part("author"), part("text"))
    };
    Ok(say(if rows.is_empty() { format!("No comments on {}", bead.id) } else { rows.iter().map(line).collect() }))
}

fn words_after_first(call: &Invocation) -> Result<String> {
    match call.args.words.get(1..).unwrap_or_default().join(" ") {
        text if text.is_empty() => refused("missing argument: <text>"),
        text => Ok(text),
    }
}

fn comment(call: &mut Invocation) -> Result<Output> {
    let text = if call.args.has("stdin") { call.read_stdin()? } else { words_after_first(call)? };
    let mut town = call.town()?;
    let name = call.need(0, "<id>")?;
    let actor = super::actor(call, &town);
    let id = town.change_as(&actor, "bd", |change| {
        let id = beads::find(&change.tx, &name)?.id;
        change.comment(&id, &text)?;
        Ok(id)
    })?;
    if call.args.has("json") {
        return say_json(&render::comments(&town.db, &id)?.pop());
    }
    Ok(say(format!("Comment added to {id}")))
}

fn note(call: &mut Invocation) -> Result<Output> {
    let text = words_after_first(call)?;
    let mut town = call.town()?;
    let name = call.need(0, "<id>")?;
    let actor = super::actor(call, &town);
    let id = town.change_as(&actor, "bd", |change| {
        let bead = beads::find(&change.tx, &name)?;
        let notes = format!("{}\n{text}", bead.notes);
        change.set(&bead.id, "notes", Some(notes.trim_start()))?;
        Ok(bead.id)
    })?;
    Ok(say(format!("✓ Note added to {id}")))
}

fn labelled(call: &Invocation, word: &str, set: impl Fn(&mut Change<'_>, &str, &str) -> Result<()>) -> Result<Output> {
    let mut town = call.town()?;
    let Some((label, names)) = call.args.words.split_last().filter(|(_, names)| !names.is_empty()) else {
        return refused("missing argument: <id...> <label>");
    };
    let actor = super::actor(call, &town);
    let ids = town.change_as(&actor, "bd", |change| {
        let ids = names.iter().map(|name| Ok(beads::find(&change.tx, name)?.id)).collect::<Result<Vec<_>>>()?;
        ids.iter().try_for_each(|id| set(change, id, label))?;
        Ok(ids)
    })?;
    if call.args.has("json") {
        return say_json(&ids.iter().map(|id| json!({ "status": word, "issue_id": id, "label": label })).collect::<Vec<_>>());
    }
    Ok(say(ids.iter().map(|id| format!("✓ Label '{label}' {word}: {id}\n")).collect::<String>()))
}

fn label_add(call: &mut Invocation) -> Result<Output> {
    labelled(call, "added", |change, id, label| change.add_label(id, label))
}

fn label_remove(call: &mut Invocation) -> Result<Output> {
    labelled(call, "removed", |change, id, label| change.remove_label(id, label))
}

fn label_list(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let bead = beads::find(&town.db, &call.need(0, "<id>")?)?;
    let labels = beads::labels(&town.db, &bead.id)?;
    if call.args.has("json") { say_json(&labels) } else { Ok(say(labels.join("\n"))) }
}
