//! `bd show`, `list`, `ready`, `blocked`, `search`, `count`, `status`.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::Output;
use crate::args::Verb;
use crate::beads::{self, Bead};
use crate::error::Result;
use crate::invocation::{Invocation, say, say_json};
use crate::render;
use crate::town::Town;

/// Flags of `bd show`, also of `gt show`.
pub(crate) const SHOW: &[&str] = &[
    "json  Print JSON",
    "short  One line each",
    "long  Accepted",
    "include-comments  Comments in the JSON",
    "include-dependents  Accepted",
];

const LIST: &[&str] = &[
    "s|status=STATUS,...  Only these statuses, or all",
    "a|assignee=AGENT  Only this agent's",
    "t|type=TYPE  Only this type",
    "l|label=A,B  Only with these labels",
    "p|priority=N  Only this priority",
    "title-contains=TEXT  Only with this in the title",
    "parent=ID  Only children of this",
    "rig=RIG  Only this rig's",
    "n|limit=N  At most so many (default 50, 0: all)",
    "all  Also closed ones, and no limit",
    "no-assignee  Only those of nobody",
    "flat  Accepted",
    "long  Accepted",
];

pub(super) const VERBS: &[Verb] = &[
    Verb { path: "show", usage: "<id...>", about: "Shows issues", flags: SHOW_BD, run: show },
    Verb { path: "list", usage: "", about: "Lists issues that are not closed", flags: LIST, run: list },
    Verb { path: "ready", usage: "", about: "Lists open issues that nothing blocks", flags: LIST, run: ready },
    Verb { path: "blocked", usage: "", about: "Lists issues that others block", flags: &[], run: blocked },
    Verb { path: "search", usage: "<text>", about: "Finds issues", flags: LIST, run: search },
    Verb { path: "count", usage: "", about: "Counts issues", flags: LIST, run: count },
    Verb { path: "status", usage: "", about: "Counts issues by status", flags: &["all  Accepted"], run: status },
];

const SHOW_BD: &[&str] =
    &["short  One line each", "long  Accepted", "include-comments  Comments in the JSON", "include-dependents  Accepted"];

/// `bd show`, also `gt show`.
pub(crate) fn show(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let (found, missing) = super::named(call, &town)?;
    let mut output = if call.args.has("json") {
        let rows = found.iter().map(|bead| shown(call, &town, bead)).collect::<Result<Vec<_>>>()?;
        say_json(&rows)?
    } else if call.args.has("short") {
        say(lines(&found))
    } else {
        let pages = found.iter().map(|bead| render::page(&town.db, bead)).collect::<Result<Vec<_>>>()?;
        say(pages.join("\n"))
    };
    output.stderr = missing;
    Ok(output)
}

fn shown(call: &Invocation, town: &Town, bead: &Bead) -> Result<Value> {
    let mut row = render::issue_in_full(&town.db, bead)?;
    if call.args.has("include-comments") {
        row["comments"] = render::comments(&town.db, &bead.id)?.into();
    }
    Ok(row)
}

fn lines(found: &[Bead]) -> String {
    found.iter().map(|bead| render::line(bead) + "\n").collect()
}

/// Issues that satisfy the filters of a command line.
fn filtered(call: &Invocation, town: &Town) -> Result<Vec<Bead>> {
    let mut found = beads::select(&town.db, "issue_type <> 'convoy' OR ?1", &[&(call.args.value("type") == Some("convoy"))])?;
    let args = &call.args;
    let statuses = args.list("status");
    let everything = args.has("all") || statuses.iter().any(|status| status == "all");
    found.retain(|bead| match statuses.is_empty() {
        true => everything || !matches!(bead.status.as_str(), "closed" | "pinned"),
        false => everything || statuses.contains(&bead.status),
    });
    let is = |flag: &str, value: Option<&str>| args.value(flag).is_none_or(|wanted| value == Some(wanted));
    found.retain(|bead| is("assignee", bead.assignee.as_deref()) && is("type", Some(&bead.kind)));
    found.retain(|bead| is("parent", bead.parent.as_deref()) && is("rig", bead.rig.as_deref()));
    found.retain(|bead| args.value("title-contains").is_none_or(|text| bead.title.contains(text)));
    found.retain(|bead| !args.has("no-assignee") || bead.assignee.is_none());
    if let Some(priority) = args.value("priority") {
        let priority = super::priority(priority)?;
        found.retain(|bead| bead.priority == priority);
    }
    for label in args.list("label") {
        found.retain(|bead| beads::labels(&town.db, &bead.id).is_ok_and(|labels| labels.contains(&label)));
    }
    Ok(found)
}

/// Prints the first issues up to the limit; what is cut is counted on standard error.
fn limited(call: &Invocation, town: &Town, mut found: Vec<Bead>, default: usize) -> Result<Output> {
    let limit = match call.args.value("limit").map(str::parse) {
        Some(Ok(0)) => usize::MAX,
        Some(Ok(n)) => n,
        _ if call.args.has("all") => usize::MAX,
        _ => default,
    };
    let cut = found.len().saturating_sub(limit);
    found.truncate(limit);
    let mut output = if call.args.has("json") {
        say_json(&found.iter().map(|bead| render::issue(&town.db, bead)).collect::<Result<Vec<_>>>()?)?
    } else if found.is_empty() {
        say("No issues found.")
    } else {
        say(lines(&found))
    };
    if cut > 0 {
        output.stderr = format!("{cut} more not shown (use --limit 0)\n");
    }
    Ok(output)
}

fn list(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let mut found = filtered(call, &town)?;
    if let (None, None, Some(rig)) = (call.args.value("rig"), call.args.value("status"), town.rig_of_cwd()?) {
        found.retain(|bead| bead.rig.as_deref() == Some(&rig.name));
    }
    limited(call, &town, found, 50)
}

/// Open issues that nothing blocks, most urgent first.
pub(crate) fn ready_beads(db: &Connection) -> Result<Vec<Bead>> {
    let condition = "status = 'open' AND issue_type NOT IN \
                     ('convoy','merge-request','gate','molecule','message','agent','role','rig')";
    let mut found = beads::select(db, condition, &[])?;
    found.sort_by_key(|bead| bead.priority);
    let mut ready = Vec::new();
    for bead in found {
        if beads::blockers(db, &bead.id)?.is_empty() {
            ready.push(bead);
        }
    }
    Ok(ready)
}

fn ready(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let wanted: Vec<String> = filtered(call, &town)?.into_iter().map(|bead| bead.id).collect();
    let mut found = ready_beads(&town.db)?;
    found.retain(|bead| wanted.contains(&bead.id));
    limited(call, &town, found, 100)
}

fn blocked(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let mut rows = Vec::new();
    let mut text = String::new();
    for bead in filtered(call, &town)? {
        let by = beads::blockers(&town.db, &bead.id)?;
        if by.is_empty() {
            continue;
        }
        text.push_str(&format!("{}  ← {}\n", render::line(&bead), by.join(", ")));
        let mut row = render::issue(&town.db, &bead)?;
        row["blocked_by_count"] = by.len().into();
        row["blocked_by"] = by.into();
        rows.push(row);
    }
    if call.args.has("json") {
        say_json(&rows)
    } else {
        Ok(say(if text.is_empty() { "No blocked issues.".into() } else { text }))
    }
}

fn search(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let text = call.need(0, "<text>")?.to_lowercase();
    let mut found = filtered(call, &town)?;
    found.retain(|bead| [&bead.id, &bead.title, &bead.description].iter().any(|part| part.to_lowercase().contains(&text)));
    limited(call, &town, found, 50)
}

fn count(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let found = beads::select(&town.db, "issue_type <> 'convoy'", &[])?;
    let statuses = call.args.list("status");
    let n = found.iter().filter(|bead| statuses.is_empty() || statuses.contains(&bead.status)).count();
    if call.args.has("json") { say_json(&json!({ "count": n, "schema_version": 1 })) } else { Ok(say(n.to_string())) }
}

fn status(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let all = beads::select(&town.db, "issue_type <> 'convoy'", &[])?;
    let of = |status: &str| all.iter().filter(|bead| bead.status == status).count();
    let mut blocked = 0;
    for bead in all.iter().filter(|bead| bead.status != "closed") {
        blocked += usize::from(!beads::blockers(&town.db, &bead.id)?.is_empty());
    }
    super::report_counts(&town)?;
    let summary = json!({
        "total_issues": all.len(), "open_issues": of("open"), "in_progress_issues": of("in_progress"),
        "hooked_issues": of("hooked"), "closed_issues": of("closed"), "blocked_issues": blocked,
        "deferred_issues": of("deferred"), "ready_issues": ready_beads(&town.db)?.len(), "pinned_issues": of("pinned"),
    });
    if call.args.has("json") {
        return say_json(&json!({ "summary": summary, "schema_version": 1 }));
    }
    let rows = summary.as_object().into_iter().flatten();
    Ok(say(rows.map(|(key, value)| format!("{:<20} {value}\n", key.replace('_', " "))).collect::<String>()))
}
