//! `bd create`, `bd q`.

use crate::Output;
use crate::args::Verb;
use crate::beads::{self, NewBead};
use crate::error::{Result, refused};
use crate::invocation::{Invocation, say, say_json};
use crate::render;
use crate::town::{Town, config};

const CREATE: &[&str] = &[
    "title=TEXT  Title (or the first word)",
    "t|type=TYPE  Type (default task)",
    "p|priority=N  0 (critical) to 4, default 2",
    "d|description=TEXT  Description",
    "body-file=FILE  Read the description from a file (- is standard input)",
    "stdin  Read the description from standard input",
    "design=TEXT  Design",
    "acceptance=TEXT  Acceptance criteria",
    "notes=TEXT  Notes",
    "a|assignee=AGENT  Assignee",
    "l|labels=A,B  Labels",
    "id=ID  Id instead of one of the town's",
    "parent=ID  Parent",
    "deps=TYPE:ID,...  What it depends on",
    "rig=RIG  Rig (default: that of the working directory)",
    "repo=RIG  The same",
    "prefix=P  Rig by its prefix",
    "silent  Print the id only",
    "force  Accept an id of another prefix",
    "ephemeral  Accepted",
    "dry-run  Only say what would be made",
];

pub(super) const VERBS: &[Verb] = &[
    Verb { path: "create", usage: "[title]", about: "Makes an issue", flags: CREATE, run: create },
    Verb { path: "q", usage: "<title>", about: "Makes an issue and prints its id only", flags: CREATE, run: quick },
];

fn quick(call: &mut Invocation) -> Result<Output> {
    let (_, bead) = make(call)?;
    Ok(say(bead.id))
}

fn create(call: &mut Invocation) -> Result<Output> {
    if call.args.has("dry-run") {
        let title = title(call)?;
        return Ok(say(format!("Would create: {title}")));
    }
    let (town, bead) = make(call)?;
    if call.args.has("json") {
        let mut row = render::issue(&town.db, &bead)?;
        row["schema_version"] = 1.into();
        return say_json(&row);
    }
    if call.args.has("silent") {
        return Ok(say(bead.id));
    }
    Ok(say(format!("✓ Created issue: {} – {}\n  Priority: P{}\n  Status: {}", bead.id, bead.title, bead.priority, bead.status)))
}

fn make(call: &mut Invocation) -> Result<(Town, beads::Bead)> {
    let new = new_bead(call)?;
    let mut town = call.town()?;
    let (prefix, rig) = home(call, &town, &new)?;
    let new = NewBead { prefix, rig, ..new };
    let dependencies = call.args.list("deps");
    let actor = super::actor(call, &town);
    let id = town.change_as(&actor, "bd", |change| {
        let id = change.create_bead(new)?;
        for dependency in &dependencies {
            let (kind, on) = dependency.split_once(':').unwrap_or(("blocks", dependency));
            let on = beads::find(&change.tx, on)?.id;
            change.depend(&id, &on, kind)?;
        }
        Ok(id)
    })?;
    super::report_counts(&town)?;
    let bead = beads::find(&town.db, &id)?;
    Ok((town, bead))
}

fn title(call: &Invocation) -> Result<String> {
    match call.args.value("title").map(str::to_string).or_else(|| Some(call.args.words.join(" "))) {
        Some(title) if !title.trim().is_empty() => Ok(title),
        _ => refused("title required (or use --title)"),
    }
}

fn description(call: &mut Invocation) -> Result<String> {
    match call.body_file()? {
        Some(text) => Ok(text),
        None => Ok(call.text("description")?.unwrap_or_default()),
    }
}

fn new_bead(call: &mut Invocation) -> Result<NewBead> {
    let description = description(call)?;
    let text = |name: &str| call.args.value(name).unwrap_or_default().to_string();
    Ok(NewBead {
        id: call.args.value("id").map(str::to_string),
        title: title(call)?,
        description,
        design: text("design"),
        acceptance: text("acceptance"),
        notes: text("notes"),
        kind: super::kind(call.args.value("type").unwrap_or("task"))?.to_string(),
        priority: super::priority(call.args.value("priority").unwrap_or("2"))?,
        assignee: call.args.value("assignee").map(str::to_string),
        labels: call.args.list("labels"),
        parent: call.args.value("parent").map(str::to_string),
        ..NewBead::default()
    })
}

/// Prefix and rig: of an explicit id, of `--rig` or `--prefix`, of the parent, of the working directory, else the town's own.
fn home(call: &Invocation, town: &Town, new: &NewBead) -> Result<(String, Option<String>)> {
    let rigs = town.rigs()?;
    let named = call.args.value("rig").or_else(|| call.args.value("repo"));
    let found = match (named, call.args.value("prefix"), new.id.as_deref().or(new.parent.as_deref())) {
        (Some(name), ..) => Some(town.rig(name)?),
        (None, Some(prefix), _) => {
            let prefix = prefix.trim_end_matches('-');
            match rigs.into_iter().find(|rig| rig.prefix == prefix) {
                None if prefix != "hq" => return refused(format!("no rig has the prefix {prefix:?}")),
                found => found,
            }
        }
        (None, None, Some(id)) => {
            let prefix = id.split('-').next().unwrap_or_default();
            let found = rigs.into_iter().find(|rig| rig.prefix == prefix);
            if found.is_none() && prefix != "hq" && !call.args.has("force") {
                return refused(format!("prefix mismatch: {id} belongs to no rig (use --force)"));
            }
            found
        }
        (None, None, None) => town.rig_of_cwd()?,
    };
    match found {
        Some(rig) => Ok((rig.prefix, Some(rig.name))),
        None => Ok((config(&town.db, "issue_prefix")?.unwrap_or_else(|| "hq".to_string()), None)),
    }
}
