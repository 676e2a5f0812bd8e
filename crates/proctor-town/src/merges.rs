//! Merge requests in the store: submitted, merged, in conflict, rejected, superseded.

use rusqlite::{Connection, Row, params};
use serde_json::{Value, json};

use crate::beads;
use crate::error::{Result, refused};
use crate::town::Change;

/// A submission to a merge queue.
#[derive(Clone, Debug)]
pub(crate) struct MergeRequest {
    pub(crate) id: String,
    pub(crate) issue: String,
    pub(crate) rig: String,
    pub(crate) branch: String,
    pub(crate) target: String,
    pub(crate) worker: String,
    pub(crate) commit: String,
    pub(crate) status: String,
    pub(crate) merge_commit: Option<String>,
    pub(crate) created_at: String,
    pub(crate) closed_at: Option<String>,
    pub(crate) reason: Option<String>,
}

fn merge_request(row: &Row<'_>) -> rusqlite::Result<MergeRequest> {
    Ok(MergeRequest {
        id: row.get(0)?,
        issue: row.get(1)?,
        rig: row.get(2)?,
        branch: row.get(3)?,
        target: row.get(4)?,
        worker: row.get(5)?,
        commit: row.get(6)?,
        status: row.get(7)?,
        merge_commit: row.get(8)?,
        created_at: row.get(9)?,
        closed_at: row.get(10)?,
        reason: row.get(11)?,
    })
}

/// Merge requests that satisfy an SQL condition, in the order they were submitted.
pub(crate) fn select(db: &Connection, condition: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Vec<MergeRequest>> {
    let sql = format!(
        "SELECT id, issue, rig, branch, target, worker, commit_sha, status, merge_commit, created_at, closed_at, reason \
         FROM merge_requests WHERE {condition} ORDER BY n"
    );
    let mut query = db.prepare(&sql)?;
    let rows = query.query_map(values, merge_request)?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

/// The merge request with this id.
pub(crate) fn get(db: &Connection, id: &str) -> Result<MergeRequest> {
    match select(db, "id = ?1", &[&id])?.pop() {
        Some(found) => Ok(found),
        None => refused(format!("merge request {id} not found")),
    }
}

/// Requests still to be merged in a rig, oldest first.
pub(crate) fn waiting(db: &Connection, rig: &str) -> Result<Vec<MergeRequest>> {
    select(db, "status = 'open' AND rig = ?1", &[&rig])
}

impl MergeRequest {
    /// As `gt snapshot --json` writes it.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "id": self.id, "issue": self.issue, "rig": self.rig, "branch": self.branch, "target": self.target,
            "worker": self.worker, "commit": self.commit, "status": self.status, "merge_commit": self.merge_commit,
            "created_at": self.created_at, "closed_at": self.closed_at, "reason": self.reason,
        })
    }
}

/// What a worker hands in.
#[derive(Clone, Debug)]
pub(crate) struct Submission {
    pub(crate) issue: String,
    pub(crate) rig: String,
    pub(crate) prefix: String,
    pub(crate) branch: String,
    pub(crate) target: String,
    pub(crate) worker: String,
    pub(crate) commit: String,
}

impl Change<'_> {
    /// Enters a submission; older open ones of the same issue are superseded.
    pub(crate) fn submit(&mut self, new: &Submission) -> Result<String> {
        let id = self.new_id(&format!("{}-mr", new.prefix), 3)?;
        self.tx.execute(
            "UPDATE merge_requests SET status = 'superseded', closed_at = ?2, reason = 'superseded by ' || ?3 \
             WHERE issue = ?1 AND status IN ('open', 'conflict')",
            params![new.issue, self.now, id],
        )?;
        self.tx.execute(
            "INSERT INTO merge_requests(id, issue, rig, branch, target, worker, commit_sha, status, created_at) \
             VALUES(?1,?2,?3,?4,?5,?6,?7,'open',?8)",
            params![id, new.issue, new.rig, new.branch, new.target, new.worker, new.commit, self.now],
        )?;
        self.comment(&new.issue, &format!("Merge request {id}: {} at {}", new.branch, new.commit))?;
        let payload = json!({ "mr": id, "bead": new.issue, "branch": new.branch, "commit": new.commit, "rig": new.rig });
        self.event("merge_submit", payload);
        Ok(id)
    }

    /// Records a merge that git has confirmed, and closes the issue, unless a newer submission took its place meanwhile.
    pub(crate) fn merged(&mut self, mr: &MergeRequest, commit: &str) -> Result<()> {
        let superseded = get(&self.tx, &mr.id)?.status == "superseded";
        self.decide(mr, "merged", Some(commit), None)?;
        self.event("merged", json!({ "mr": mr.id, "bead": mr.issue, "commit": commit, "rig": mr.rig, "worker": mr.worker }));
        if superseded { Ok(()) } else { self.close_bead(&mr.issue, &format!("Merged as {commit} to {}", mr.target)) }
    }

    /// Records that a request could not be merged. Its issue goes back on the worker's hook, or is open again for anybody
    /// when the worker is gone.
    pub(crate) fn not_merged(&mut self, mr: &MergeRequest, status: &str, reason: &str, worker_lives: bool) -> Result<()> {
        self.decide(mr, status, None, Some(reason))?;
        self.event("merge_failed", json!({ "mr": mr.id, "bead": mr.issue, "status": status, "reason": reason, "rig": mr.rig }));
        self.comment(&mr.issue, &format!("Merge request {} {status}: {reason}", mr.id))?;
        if beads::get(&self.tx, &mr.issue)?.is_none_or(|bead| bead.status == "closed") {
            return Ok(());
        }
        if worker_lives {
            self.hook(&mr.issue, &mr.worker, Some(&mr.branch))?;
            return self.set_agent_state(&mr.worker, "working");
        }
        self.unhook(&mr.issue)?;
        self.comment(&mr.issue, &format!("{} is gone; its work lies on {}", mr.worker, mr.branch))?;
        Ok(())
    }

    fn decide(&mut self, mr: &MergeRequest, status: &str, commit: Option<&str>, reason: Option<&str>) -> Result<()> {
        let changed = self.tx.execute(
            "UPDATE merge_requests SET status = ?2, merge_commit = ?3, reason = ?4, closed_at = ?5 \
             WHERE id = ?1 AND status IN ('open', 'conflict', 'superseded')",
            params![mr.id, status, commit, reason, self.now],
        )?;
        if changed == 0 { refused(format!("merge request {} is already decided", mr.id)) } else { Ok(()) }
    }
}
