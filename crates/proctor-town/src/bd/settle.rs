//! `bd update`, `close`, `reopen`, and what concerns the store itself: `init`, `config`, `version`, `prime`.

use rusqlite::params;
use serde_json::{Value, json};

use crate::Output;
use crate::args::Verb;
use crate::beads::{self, Bead};
use crate::error::{Result, refused, refused_hint};
use crate::invocation::{Invocation, say, say_json};
use crate::render;
use crate::town::{Change, Town, config};

/// Flags of `bd close` that `gt close` has too.
pub(crate) const CLOSE: &[&str] = &["r|reason=TEXT  Why", "f|force  Also when open issues block it", "json  Print JSON"];

pub(super) const VERBS: &[Verb] = &[
    Verb {
        path: "update",
        usage: "<id...>",
        about: "Changes issues",
        flags: &[
            "s|status=STATUS  Status",
            "p|priority=N  Priority",
            "t|type=TYPE  Type",
            "title=TEXT  Title",
            "a|assignee=AGENT  Assignee; empty: nobody",
            "d|description=TEXT  Description",
            "body-file=FILE  Read the description from a file",
            "stdin  Read the description from standard input",
            "design=TEXT  Design",
            "acceptance=TEXT  Acceptance criteria",
            "notes=TEXT  Notes",
            "append-notes=TEXT  Add to the notes",
            "add-label=A,B  Add labels",
            "remove-label=A,B  Remove labels",
            "parent=ID  Parent; empty: none",
            "claim  Take it: you work on it now, unless somebody else does",
        ],
        run: update,
    },
    Verb {
        path: "close",
        usage: "<id...>",
        about: "Closes issues",
        flags: &["r|reason=TEXT  Why", "f|force  Also when open issues block it"],
        run: close,
    },
    Verb { path: "reopen", usage: "<id...>", about: "Opens closed issues again", flags: &["r|reason=TEXT  Why"], run: reopen },
];

/// Changes each named bead in one transaction and prints them: `say_one` for people, an array as JSON.
fn each(
    call: &Invocation,
    town: &mut Town,
    change_one: impl Fn(&mut Change<'_>, &Bead, &str) -> Result<()>,
    say_one: impl Fn(&Bead) -> String,
) -> Result<Output> {
    let (found, missing) = super::named(call, town)?;
    let actor = super::actor(call, town);
    town.change_as(&actor, "bd", |change| found.iter().try_for_each(|bead| change_one(change, bead, &actor)))?;
    super::report_counts(town)?;
    let after = found.iter().map(|bead| beads::find(&town.db, &bead.id)).collect::<Result<Vec<_>>>()?;
    let mut output = if call.args.has("json") {
        say_json(&after.iter().map(|bead| render::issue(&town.db, bead)).collect::<Result<Vec<Value>>>()?)?
    } else {
        say(after.iter().map(|bead| say_one(bead) + "\n").collect::<String>())
    };
    output.stderr = missing;
    Ok(output)
}

fn update(call: &mut Invocation) -> Result<Output> {
    let description = match call.body_file()? {
        Some(text) => Some(text),
        None => call.text("description")?,
    };
    let mut town = call.town()?;
    let call = &*call;
    let change_one = |change: &mut Change<'_>, bead: &Bead, actor: &str| {
        if call.args.has("claim") {
            claim(change, bead, actor)?;
        }
        set_texts(change, call, bead, description.as_deref())?;
        set_rest(change, call, bead)
    };
    each(call, &mut town, change_one, |bead| format!("✓ Updated issue: {} – {}", bead.id, bead.title))
}

fn claim(change: &mut Change<'_>, bead: &Bead, actor: &str) -> Result<()> {
    let now = beads::get(&change.tx, &bead.id)?.and_then(|bead| bead.assignee);
    match now {
        Some(holder) if holder != actor => refused(format!("issue {} is already claimed by {holder}", bead.id)),
        _ => {
            change.set(&bead.id, "assignee", Some(actor))?;
            change.set_status(&bead.id, "in_progress")
        }
    }
}

fn set_texts(change: &mut Change<'_>, call: &Invocation, bead: &Bead, description: Option<&str>) -> Result<()> {
    let given = [
        ("title", call.args.value("title")),
        ("description", description),
        ("design", call.args.value("design")),
        ("acceptance", call.args.value("acceptance")),
        ("notes", call.args.value("notes")),
    ];
    for (column, value) in given {
        if value.is_some() {
            change.set(&bead.id, column, value)?;
        }
    }
    if let Some(more) = call.args.value("append-notes") {
        let notes = format!("{}\n{more}", bead.notes);
        change.set(&bead.id, "notes", Some(notes.trim_start()))?;
    }
    for (flag, column) in [("assignee", "assignee"), ("parent", "parent")] {
        if let Some(value) = call.args.value(flag) {
            change.set(&bead.id, column, (!value.is_empty()).then_some(value))?;
        }
    }
    Ok(())
}

fn set_rest(change: &mut Change<'_>, call: &Invocation, bead: &Bead) -> Result<()> {
    if let Some(kind) = call.args.value("type") {
        change.set(&bead.id, "issue_type", Some(super::kind(kind)?))?;
    }
    if let Some(text) = call.args.value("priority") {
        let priority = super::priority(text)?;
        let sql = "UPDATE issues SET priority = ?2, updated_at = ?3 WHERE id = ?1";
        change.tx.execute(sql, params![bead.id, priority, change.now])?;
    }
    for label in call.args.list("add-label") {
        change.add_label(&bead.id, &label)?;
    }
    for label in call.args.list("remove-label") {
        change.remove_label(&bead.id, &label)?;
    }
    match call.args.value("status") {
        Some(status) => change.set_status(&bead.id, status),
        None => Ok(()),
    }
}

/// `bd close`, also `gt close`. Closing by hand is allowed at any time, as in `bd`; whether anything was merged is git's to say.
pub(crate) fn close(call: &mut Invocation) -> Result<Output> {
    let mut town = call.town()?;
    let reason = call.args.value("reason").unwrap_or("Closed").to_string();
    let force = call.args.has("force");
    let change_one = |change: &mut Change<'_>, bead: &Bead, _: &str| {
        if !force {
            closable(change, bead)?;
        }
        change.close_bead(&bead.id, &reason)
    };
    each(call, &mut town, change_one, |bead| format!("✓ Closed {} – {}: {reason}", bead.id, bead.title))
}

fn closable(change: &Change<'_>, bead: &Bead) -> Result<()> {
    let blockers = beads::blockers(&change.tx, &bead.id)?;
    if !blockers.is_empty() {
        return refused_hint(format!("cannot close {}: blocked by open issues {}", bead.id, blockers.join(", ")), "use --force");
    }
    if bead.status == "pinned" {
        return refused_hint(format!("cannot close {}: it is pinned", bead.id), "use --force");
    }
    let children = beads::select(&change.tx, "parent = ?1 AND status <> 'closed'", &[&bead.id])?;
    if bead.kind == "epic" && !children.is_empty() {
        return refused_hint(format!("cannot close epic {}: {} open children", bead.id, children.len()), "use --force");
    }
    Ok(())
}

fn reopen(call: &mut Invocation) -> Result<Output> {
    let mut town = call.town()?;
    let change_one = |change: &mut Change<'_>, bead: &Bead, _: &str| change.set_status(&bead.id, "open");
    each(call, &mut town, change_one, |bead| format!("↻ Reopened {}", bead.id))
}

pub(super) fn init(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    Ok(say(format!("✓ bd is ready: {}", town.root.join(".beads/beads.db").display())))
}

pub(super) fn version(call: &mut Invocation) -> Result<Output> {
    let version = env!("CARGO_PKG_VERSION");
    if call.args.has("json") {
        return say_json(&json!({ "version": version, "build": "proctor", "schema_version": 1 }));
    }
    Ok(say(format!("bd version {version} (built-in town of proctor)")))
}

pub(super) fn prime(call: &mut Invocation) -> Result<Output> {
    if call.town().is_err() {
        return Ok(Output::default());
    }
    Ok(say(
        "# Beads\n\n- `bd ready`: what can be begun\n- `bd show <id>`: an issue\n- `bd create --title ... --description ...`: a new \
         issue, in the rig whose folder you stand in\n- `bd update <id> --claim`: take it\n- `bd close <id> --reason ...`: close it by \
         hand (work that `gt done` hands in is closed when it is merged)\n- `bd dep add A B`: A waits for B\n",
    ))
}

pub(super) fn config_get(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let key = call.need(0, "<key>")?;
    let own = if key == "issue_prefix" { town.rig_of_cwd()?.map(|rig| rig.prefix) } else { None };
    let value = match own {
        Some(prefix) => Some(prefix),
        None => config(&town.db, &key)?,
    };
    if call.args.has("json") {
        return say_json(&json!({ "key": key, "value": value.unwrap_or_default(), "schema_version": 1 }));
    }
    Ok(say(value.unwrap_or_else(|| format!("{key} (not set)"))))
}

pub(super) fn config_set(call: &mut Invocation) -> Result<Output> {
    let mut town = call.town()?;
    let (key, value) = (call.need(0, "<key>")?, call.need(1, "<value>")?);
    town.change(|change| {
        change.tx.execute("INSERT OR REPLACE INTO config(key, value) VALUES(?1, ?2)", [&key, &value])?;
        Ok(())
    })?;
    if call.args.has("json") {
        return say_json(&json!({ "key": key, "value": value, "schema_version": 1 }));
    }
    Ok(say(format!("Set {key} = {value}")))
}

pub(super) fn config_list(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let rows = beads::strings(&town.db, "SELECT key || ' = ' || value FROM config ORDER BY key", &[])?;
    Ok(say(rows.join("\n")))
}
