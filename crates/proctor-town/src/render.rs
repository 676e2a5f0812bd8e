//! Beads as `bd` writes them: JSON of an issue, its line in a list, its whole text.

use std::fmt::Write as _;

use rusqlite::Connection;
use serde_json::{Map, Value, json};

use crate::beads::{self, Bead};
use crate::error::Result;

/// The icon of a status.
pub(crate) fn icon(status: &str) -> &'static str {
    match status {
        "open" => "○",
        "in_progress" => "◐",
        "blocked" => "●",
        "closed" => "✓",
        "deferred" => "❄",
        "pinned" => "📌",
        _ => "◇",
    }
}

/// One line of `bd list`.
pub(crate) fn line(bead: &Bead) -> String {
    format!("{} {} ● P{} [{}] {}", icon(&bead.status), bead.id, bead.priority, bead.kind, bead.title)
}

fn count(db: &Connection, sql: &str, id: &str) -> Result<i64> {
    Ok(db.query_row(sql, [id], |row| row.get(0))?)
}

/// An issue as `bd list --json` has it: its fields, labels and counts.
pub(crate) fn issue(db: &Connection, bead: &Bead) -> Result<Value> {
    let mut row = fields(bead);
    let labels = beads::labels(db, &bead.id)?;
    if !labels.is_empty() {
        row.insert("labels".to_string(), labels.into());
    }
    let depends = count(db, "SELECT count(*) FROM dependencies WHERE issue_id = ?1", &bead.id)?;
    let dependents = count(db, "SELECT count(*) FROM dependencies WHERE depends_on_id = ?1", &bead.id)?;
    let comments = count(db, "SELECT count(*) FROM comments WHERE issue_id = ?1", &bead.id)?;
    row.insert("dependency_count".to_string(), depends.into());
    row.insert("dependent_count".to_string(), dependents.into());
    row.insert("comment_count".to_string(), comments.into());
    Ok(Value::Object(row))
}

fn fields(bead: &Bead) -> Map<String, Value> {
    let mut row = Map::new();
    let texts = [("id", &bead.id), ("title", &bead.title)];
    let optional = [
        ("description", &bead.description),
        ("design", &bead.design),
        ("acceptance_criteria", &bead.acceptance),
        ("notes", &bead.notes),
    ];
    let optional = optional.into_iter().filter(|(_, text)| !text.is_empty());
    for (key, text) in texts.into_iter().chain(optional) {
        row.insert(key.to_string(), text.as_str().into());
    }
    row.insert("status".to_string(), bead.status.as_str().into());
    row.insert("priority".to_string(), bead.priority.into());
    row.insert("issue_type".to_string(), bead.kind.as_str().into());
    let rest = [
        ("assignee", bead.assignee.as_deref()),
        ("owner", bead.owner.as_deref()),
        ("created_at", Some(bead.created_at.as_str())),
        ("created_by", Some(bead.created_by.as_str())),
        ("updated_at", Some(bead.updated_at.as_str())),
        ("started_at", bead.started_at.as_deref()),
        ("closed_at", bead.closed_at.as_deref()),
        ("close_reason", bead.close_reason.as_deref()),
        ("parent", bead.parent.as_deref()),
    ];
    for (key, value) in rest {
        if let Some(value) = value {
            row.insert(key.to_string(), value.into());
        }
    }
    row
}

/// An issue as `bd show --json` has it: also with the issues it depends on.
pub(crate) fn issue_in_full(db: &Connection, bead: &Bead) -> Result<Value> {
    let mut row = issue(db, bead)?;
    let mut dependencies = Vec::new();
    for (id, kind) in depends_on(db, &bead.id)? {
        if let Some(other) = beads::get(db, &id)? {
            let mut other = fields(&other);
            other.insert("dependency_type".to_string(), kind.into());
            dependencies.push(Value::Object(other));
        }
    }
    if !dependencies.is_empty() {
        row["dependencies"] = dependencies.into();
    }
    Ok(row)
}

/// What a bead depends on: id and kind.
pub(crate) fn depends_on(db: &Connection, id: &str) -> Result<Vec<(String, String)>> {
    let mut query = db.prepare("SELECT depends_on_id, type FROM dependencies WHERE issue_id = ?1 ORDER BY rowid")?;
    let rows = query.query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

/// Comments of a bead as `bd comments --json` has them.
pub(crate) fn comments(db: &Connection, id: &str) -> Result<Vec<Value>> {
    let mut query = db.prepare("SELECT id, issue_id, author, text, created_at FROM comments WHERE issue_id = ?1 ORDER BY id")?;
    let rows = query.query_map([id], |row| {
        Ok(json!({
            "id": row.get::<_, i64>(0)?, "issue_id": row.get::<_, String>(1)?, "author": row.get::<_, String>(2)?,
            "text": row.get::<_, String>(3)?, "created_at": row.get::<_, String>(4)?,
        }))
    })?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

/// The whole text of `bd show`.
pub(crate) fn page(db: &Connection, bead: &Bead) -> Result<String> {
    let status = bead.status.to_uppercase();
    let mut text = format!("{} {} · {}   [● P{} · {status}]\n", icon(&bead.status), bead.id, bead.title, bead.priority);
    let owner = bead.assignee.as_deref().or(bead.owner.as_deref()).unwrap_or("-");
    let _ = writeln!(text, "Owner: {owner} · Type: {}", bead.kind);
    let _ = writeln!(text, "Created: {} by {} · Updated: {}", bead.created_at, bead.created_by, bead.updated_at);
    if let (Some(at), Some(reason)) = (&bead.closed_at, &bead.close_reason) {
        let _ = writeln!(text, "Closed: {at} · {reason}");
    }
    let sections =
        [("DESCRIPTION", &bead.description), ("DESIGN", &bead.design), ("NOTES", &bead.notes), ("ACCEPTANCE", &bead.acceptance)];
    for (name, content) in sections.into_iter().filter(|(_, content)| !content.is_empty()) {
        let _ = write!(text, "\n{name}\n{content}\n");
    }
    let depends = depends_on(db, &bead.id)?;
    if !depends.is_empty() {
        text.push_str("\nDEPENDS ON\n");
        for (id, kind) in depends {
            let title = beads::get(db, &id)?.map(|bead| bead.title).unwrap_or_default();
            let _ = writeln!(text, "  → {id}: {title} ({kind})");
        }
    }
    let comments = comments(db, &bead.id)?;
    if !comments.is_empty() {
        text.push_str("\nCOMMENTS\n");
        for comment in comments {
            let part = |key: &str| comment[key].as_str().unwrap_or_default().to_string();
            let _ = writeln!(text, "  {} {}: {}", part("created_at"), part("author"), part("text"));
        }
    }
    Ok(text)
}
