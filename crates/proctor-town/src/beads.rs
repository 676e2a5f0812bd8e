//! Beads in the store: making, reading, changing, closing them. Convoys are beads of type `convoy`.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;

use crate::error::{Result, refused, refused_hint};
use crate::town::Change;

/// A bead as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bead {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) design: String,
    pub(crate) acceptance: String,
    pub(crate) notes: String,
    pub(crate) status: String,
    pub(crate) priority: u8,
    pub(crate) kind: String,
    pub(crate) assignee: Option<String>,
    pub(crate) rig: Option<String>,
    pub(crate) created_by: String,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    pub(crate) started_at: Option<String>,
    pub(crate) closed_at: Option<String>,
    pub(crate) close_reason: Option<String>,
    pub(crate) closed_by: Option<String>,
    pub(crate) parent: Option<String>,
    pub(crate) owner: Option<String>,
}

/// What a new bead is made of; the rest follows.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewBead {
    pub(crate) id: Option<String>,
    pub(crate) prefix: String,
    pub(crate) rig: Option<String>,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) design: String,
    pub(crate) acceptance: String,
    pub(crate) notes: String,
    pub(crate) kind: String,
    pub(crate) priority: u8,
    pub(crate) assignee: Option<String>,
    pub(crate) labels: Vec<String>,
    pub(crate) parent: Option<String>,
    pub(crate) owner: Option<String>,
}

/// Columns of `issues` in the order [`bead`] reads them.
pub(crate) const COLUMNS: &str = "id, title, description, design, acceptance, notes, status, priority, issue_type, assignee, \
     rig, created_by, created_at, updated_at, started_at, closed_at, close_reason, closed_by, parent, owner";

fn bead(row: &Row<'_>) -> rusqlite::Result<Bead> {
    Ok(Bead {
        id: row.get(0)?,
        title: row.get(1)?,
        description: row.get(2)?,
        design: row.get(3)?,
        acceptance: row.get(4)?,
        notes: row.get(5)?,
        status: row.get(6)?,
        priority: row.get(7)?,
        kind: row.get(8)?,
        assignee: row.get(9)?,
        rig: row.get(10)?,
        created_by: row.get(11)?,
        created_at: row.get(12)?,
        updated_at: row.get(13)?,
        started_at: row.get(14)?,
        closed_at: row.get(15)?,
        close_reason: row.get(16)?,
        closed_by: row.get(17)?,
        parent: row.get(18)?,
        owner: row.get(19)?,
    })
}

/// The bead with exactly this id.
pub(crate) fn get(db: &Connection, id: &str) -> Result<Option<Bead>> {
    let sql = format!("SELECT {COLUMNS} FROM issues WHERE id = ?1");
    Ok(db.query_row(&sql, [id], bead).optional()?)
}

/// The bead a person means: exact id, bare hash, or unique part of the hash.
pub(crate) fn find(db: &Connection, name: &str) -> Result<Bead> {
    if let Some(found) = get(db, name)? {
        return Ok(found);
    }
    let part = name.rsplit('-').next().unwrap_or(name);
    let pattern = match name.rsplit_once('-') {
        Some((prefix, part)) => format!("{prefix}-{part}%"),
        None => format!("%-%{part}%"),
    };
    let mut found = select(db, "id LIKE ?1", &[&pattern])?;
    match (found.pop(), found.len()) {
        (Some(only), 0) => Ok(only),
        (Some(_), _) => refused(format!("ambiguous issue id {name:?}")),
        (None, _) => refused_hint(format!("no issue found matching {name:?}"), "list them: bd list --all"),
    }
}

/// Beads that satisfy an SQL condition, oldest first.
pub(crate) fn select(db: &Connection, condition: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Vec<Bead>> {
    let sql = format!("SELECT {COLUMNS} FROM issues WHERE {condition} ORDER BY created_at, id");
    let mut query = db.prepare(&sql)?;
    let rows = query.query_map(values, bead)?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

/// Open beads that block `id`.
pub(crate) fn blockers(db: &Connection, id: &str) -> Result<Vec<String>> {
    let sql = "SELECT d.depends_on_id FROM dependencies d JOIN issues i ON i.id = d.depends_on_id \
               WHERE d.issue_id = ?1 AND d.type IN ('blocks','conditional-blocks','waits-for') AND i.status <> 'closed' \
               ORDER BY 1";
    strings(db, sql, &[&id])
}

/// The one text column of a query.
pub(crate) fn strings(db: &Connection, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Vec<String>> {
    let mut query = db.prepare(sql)?;
    let rows = query.query_map(values, |row| row.get(0))?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

/// Labels of a bead.
pub(crate) fn labels(db: &Connection, id: &str) -> Result<Vec<String>> {
    strings(db, "SELECT label FROM labels WHERE issue_id = ?1 ORDER BY label", &[&id])
}

/// Statuses a bead may be given.
pub(crate) const STATUSES: [&str; 9] =
    ["open", "in_progress", "blocked", "deferred", "closed", "pinned", "hooked", "staged_ready", "staged_warnings"];

impl Change<'_> {
    /// Makes a bead and gives its id.
    pub(crate) fn create_bead(&mut self, new: NewBead) -> Result<String> {
        if new.title.trim().is_empty() {
            return refused("title required");
        }
        let id = self.bead_id(&new)?;
        if get(&self.tx, &id)?.is_some() {
            return refused(format!("issue {id} already exists"));
        }
        let owner = new.owner.as_deref().unwrap_or(&self.actor);
        self.tx.execute(
            "INSERT INTO issues(id, title, description, design, acceptance, notes, status, priority, issue_type, assignee, rig, \
             created_by, created_at, updated_at, parent, owner) \
             VALUES(?1,?2,?3,?4,?5,?6,'open',?7,?8,?9,?10,?11,?12,?12,?13,?14)",
            params![
                id,
                new.title,
                new.description,
                new.design,
                new.acceptance,
                new.notes,
                new.priority,
                new.kind,
                new.assignee,
                new.rig,
                self.actor,
                self.now,
                new.parent,
                owner
            ],
        )?;
        for label in &new.labels {
            self.add_label(&id, label)?;
        }
        if let Some(parent) = &new.parent {
            self.depend(&id, parent, "parent-child")?;
        }
        if new.kind != "convoy" {
            self.event("bead_create", json!({ "bead": id, "title": new.title, "rig": new.rig }));
        }
        Ok(id)
    }

    fn bead_id(&mut self, new: &NewBead) -> Result<String> {
        match (&new.id, &new.parent) {
            (Some(_), Some(_)) => refused("cannot specify both --id and --parent"),
            (Some(id), None) => Ok(id.clone()),
            (None, Some(parent)) => {
                find(&self.tx, parent)?;
                let n = self.count(&format!("children {parent}"))?;
                Ok(format!("{parent}.{n}"))
            }
            (None, None) if new.kind == "convoy" => self.new_id(&new.prefix, 5),
            (None, None) => self.new_id(&new.prefix, 3),
        }
    }

    /// Sets a text column of a bead. `column` is one of this program's own names, never a person's text.
    pub(crate) fn set(&mut self, id: &str, column: &'static str, value: Option<&str>) -> Result<()> {
        let sql = format!("UPDATE issues SET {column} = ?2, updated_at = ?3 WHERE id = ?1");
        self.tx.execute(&sql, params![id, value, self.now])?;
        Ok(())
    }

    /// Sets a bead's status with what follows from it: closing stamps the time, leaving `closed` clears it.
    pub(crate) fn set_status(&mut self, id: &str, status: &str) -> Result<()> {
        if !STATUSES.contains(&status) {
            return refused_hint(format!("invalid status {status:?}"), format!("one of: {}", STATUSES.join(", ")));
        }
        if status == "closed" {
            return self.close_bead(id, "Closed");
        }
        self.tx.execute(
            "UPDATE issues SET status = ?2, updated_at = ?3, closed_at = NULL, close_reason = NULL, closed_by = NULL, \
             started_at = CASE WHEN ?2 = 'in_progress' THEN coalesce(started_at, ?3) ELSE started_at END WHERE id = ?1",
            params![id, status, self.now],
        )?;
        self.event("bead_update", json!({ "bead": id, "status": status }));
        Ok(())
    }

    /// Closes a bead, and in the same step every convoy that only waited for it.
    pub(crate) fn close_bead(&mut self, id: &str, reason: &str) -> Result<()> {
        let changed = self.tx.execute(
            "UPDATE issues SET status = 'closed', closed_at = ?2, updated_at = ?2, close_reason = ?3, closed_by = ?4 \
             WHERE id = ?1 AND status <> 'closed'",
            params![id, self.now, reason, self.actor],
        )?;
        if changed == 0 {
            return Ok(());
        }
        let is_convoy = get(&self.tx, id)?.is_some_and(|bead| bead.kind == "convoy");
        let kind = if is_convoy { "convoy_close" } else { "bead_close" };
        self.event(kind, json!({ "bead": id, "reason": reason }));
        self.close_finished_convoys(Some(id))?;
        Ok(())
    }

    /// Adds a label.
    pub(crate) fn add_label(&mut self, id: &str, label: &str) -> Result<()> {
        self.tx.execute("INSERT OR IGNORE INTO labels(issue_id, label) VALUES(?1, ?2)", [id, label])?;
        Ok(())
    }

    /// Removes a label.
    pub(crate) fn remove_label(&mut self, id: &str, label: &str) -> Result<()> {
        self.tx.execute("DELETE FROM labels WHERE issue_id = ?1 AND label = ?2", [id, label])?;
        Ok(())
    }

    /// Makes `id` depend on `on`.
    pub(crate) fn depend(&mut self, id: &str, on: &str, kind: &str) -> Result<()> {
        self.tx.execute(
            "INSERT OR IGNORE INTO dependencies(issue_id, depends_on_id, type, created_at, created_by) VALUES(?1,?2,?3,?4,?5)",
            params![id, on, kind, self.now, self.actor],
        )?;
        Ok(())
    }

    /// Adds a comment to a bead.
    pub(crate) fn comment(&mut self, id: &str, text: &str) -> Result<i64> {
        self.tx.execute(
            "INSERT INTO comments(issue_id, author, text, created_at) VALUES(?1, ?2, ?3, ?4)",
            params![id, self.actor, text, self.now],
        )?;
        Ok(self.tx.last_insert_rowid())
    }
}
