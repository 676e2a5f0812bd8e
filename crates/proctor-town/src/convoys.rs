//! Convoys: which issues they track, and closing them in the same transaction as their last issue.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::beads::{self, Bead, NewBead};
use crate::caller::short_address;
use crate::error::{Result, refused};
use crate::mail::Letter;
use crate::town::Change;

/// Ids of the issues a convoy tracks, in the order they were added.
pub(crate) fn tracked(db: &Connection, convoy: &str) -> Result<Vec<String>> {
    let sql = "SELECT depends_on_id FROM dependencies WHERE issue_id = ?1 AND type = 'tracks' ORDER BY rowid";
    beads::strings(db, sql, &[&convoy])
}

/// The open convoy that tracks an issue.
pub(crate) fn of_issue(db: &Connection, issue: &str) -> Result<Option<String>> {
    let sql = "SELECT d.issue_id FROM dependencies d JOIN issues c ON c.id = d.issue_id \
               WHERE d.depends_on_id = ?1 AND d.type = 'tracks' AND c.issue_type = 'convoy' ORDER BY d.rowid LIMIT 1";
    Ok(beads::strings(db, sql, &[&issue])?.pop())
}

/// The convoy a person means.
pub(crate) fn find(db: &Connection, name: &str) -> Result<Bead> {
    let bead = beads::find(db, name)?;
    if bead.kind == "convoy" { Ok(bead) } else { refused(format!("'{name}' is not a convoy (type {})", bead.kind)) }
}

/// All convoys, or those of one status.
pub(crate) fn list(db: &Connection, status: Option<&str>) -> Result<Vec<Bead>> {
    match status {
        Some(status) => beads::select(db, "issue_type = 'convoy' AND status = ?1", &[&status]),
        None => beads::select(db, "issue_type = 'convoy'", &[]),
    }
}

/// A convoy as `gt convoy list --json` writes it.
pub(crate) fn to_json(db: &Connection, convoy: &Bead) -> Result<Value> {
    let mut issues = Vec::new();
    let mut completed = 0;
    for id in tracked(db, &convoy.id)? {
        let Some(issue) = beads::get(db, &id)? else { continue };
        completed += usize::from(issue.status == "closed");
        let mut row = json!({
            "id": issue.id, "title": issue.title, "status": issue.status,
            "dependency_type": "tracks", "issue_type": issue.kind,
        });
        if let Some(assignee) = &issue.assignee {
            row["assignee"] = assignee.as_str().into();
            row["worker"] = short_address(assignee).into();
        }
        if !beads::blockers(db, &issue.id)?.is_empty() {
            row["blocked"] = true.into();
        }
        issues.push(row);
    }
    let total = issues.len();
    Ok(json!({
        "id": convoy.id, "title": convoy.title, "status": convoy.status, "created_at": convoy.created_at,
        "tracked": issues, "completed": completed, "total": total,
    }))
}

impl Change<'_> {
    /// Makes a convoy over issues that exist.
    pub(crate) fn create_convoy(&mut self, title: &str, issues: &[String], owner: Option<&str>) -> Result<String> {
        let ids = self.existing(issues)?;
        let new = NewBead {
            prefix: "hq-cv".to_string(),
            title: title.to_string(),
            kind: "convoy".to_string(),
            priority: 2,
            owner: owner.map(str::to_string),
            ..NewBead::default()
        };
        let id = self.create_bead(new)?;
        for issue in &ids {
            self.depend(&id, issue, "tracks")?;
        }
        self.event("convoy_create", json!({ "convoy": id, "title": title, "issues": ids }));
        Ok(id)
    }

    /// Adds issues to a convoy; a closed one opens again when one of them is not closed.
    pub(crate) fn add_to_convoy(&mut self, convoy: &Bead, issues: &[String]) -> Result<bool> {
        let ids = self.existing(issues)?;
        for issue in &ids {
            self.depend(&convoy.id, issue, "tracks")?;
        }
        let reopened = convoy.status == "closed" && !self.finished(&convoy.id)?;
        if reopened {
            self.set_status(&convoy.id, "open")?;
        }
        Ok(reopened)
    }

    fn existing(&self, issues: &[String]) -> Result<Vec<String>> {
        issues.iter().map(|name| beads::find(&self.tx, name).map(|bead| bead.id)).collect()
    }

    fn finished(&self, convoy: &str) -> Result<bool> {
        let sql = "SELECT i.status FROM dependencies d JOIN issues i ON i.id = d.depends_on_id \
                   WHERE d.issue_id = ?1 AND d.type = 'tracks'";
        let statuses = beads::strings(&self.tx, sql, &[&convoy])?;
        Ok(!statuses.is_empty() && statuses.iter().all(|status| status == "closed"))
    }

    /// Closes every open convoy (of `issue`, or all) whose tracked issues are closed, and mails its owner.
    pub(crate) fn close_finished_convoys(&mut self, issue: Option<&str>) -> Result<Vec<Bead>> {
        let open = match issue {
            Some(issue) => {
                let condition = "issue_type = 'convoy' AND status = 'open' AND id IN \
                     (SELECT issue_id FROM dependencies WHERE depends_on_id = ?1 AND type = 'tracks')";
                beads::select(&self.tx, condition, &[&issue])?
            }
            None => list(&self.tx, Some("open"))?,
        };
        let mut closed = Vec::new();
        for convoy in open {
            if self.finished(&convoy.id)? {
                self.close_bead(&convoy.id, "All tracked issues completed")?;
                self.announce_landing(&convoy)?;
                closed.push(convoy);
            }
        }
        Ok(closed)
    }

    fn announce_landing(&mut self, convoy: &Bead) -> Result<()> {
        let issues = tracked(&self.tx, &convoy.id)?;
        let letter = Letter {
            from: "daemon".to_string(),
            to: short_address(convoy.owner.as_deref().unwrap_or(&convoy.created_by)),
            subject: format!("🚚 Convoy landed: {}", convoy.title),
            body: format!("Convoy {} has completed.\n\nTracked issues: {}", convoy.id, issues.join(", ")),
            ..Letter::default()
        };
        self.send_mail(&letter)?;
        Ok(())
    }
}
