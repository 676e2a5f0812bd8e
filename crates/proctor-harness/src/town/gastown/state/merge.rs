//! Merge requests: beads labelled `gt:merge-request` whose description holds one value a line.

use proctor_judge::evidence::MergeRequest;

use super::address;
use super::close::Closings;
use super::row::{Bead, Rows};

/// Merge requests, oldest first.
pub(super) fn requests(rows: &Rows, closings: &Closings) -> Vec<MergeRequest> {
    let own = |bead: &&Bead| rows.has(bead, "gt:merge-request") || bead.issue_type == "merge-request";
    rows.beads.iter().filter(own).map(|bead| request(bead, closings)).collect()
}

fn request(bead: &Bead, closings: &Closings) -> MergeRequest {
    let text = |key: &str| bead.field(key).unwrap_or_default().to_owned();
    let rig = bead.field("rig").map_or_else(|| bead.database.clone(), str::to_owned);
    let (status, reason) = outcome(bead);
    MergeRequest {
        id: bead.id.clone(),
        issue: bead.field("source_issue").or_else(|| bead.title.strip_prefix("Merge: ")).unwrap_or_default().to_owned(),
        worker: worker(bead, &rig),
        rig,
        branch: text("branch"),
        target: text("target"),
        commit: bead.field("commit_sha").map(str::to_owned),
        status,
        merge_commit: bead.field("merge_commit").map(str::to_owned),
        created_at: bead.created_at,
        closed_at: closings.at(bead),
        reason,
    }
}

fn worker(bead: &Bead, rig: &str) -> String {
    match bead.field("worker") {
        Some(worker) if worker.contains('/') => address::agent(worker),
        Some(worker) => format!("{rig}/polecats/{worker}"),
        None => address::agent(&bead.created_by),
    }
}

/// The status in neutral words, and why it was not merged. `gt` states the end as the reason of closing: `merged`,
/// `rejected: <why>`, `superseded by <id>`, `conflict`; another reason is kept as it is under the status `closed`.
fn outcome(bead: &Bead) -> (String, Option<String>) {
    if !bead.closed() {
        return (bead.status.clone(), None);
    }
    let said = Some(bead.close_reason.as_str()).filter(|reason| !reason.is_empty() && *reason != "Closed");
    let reason = said.or_else(|| bead.field("close_reason")).unwrap_or_default();
    let word: String = reason.chars().take_while(char::is_ascii_alphabetic).collect::<String>().to_lowercase();
    let rest = reason.split_once(':').map_or(reason, |(_, rest)| rest.trim());
    match word.as_str() {
        "merged" => (word, None),
        "rejected" | "conflict" | "superseded" => (word, Some(rest.to_owned()).filter(|rest| !rest.is_empty())),
        _ => ("closed".into(), Some(reason.to_owned()).filter(|reason| !reason.is_empty())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_closing_is_the_outcome() {
        for (reason, status, why) in [
            ("merged", "merged", None),
            ("rejected: conflict in README.md", "rejected", Some("conflict in README.md")),
            ("superseded by al-wisp-2", "superseded", Some("superseded by al-wisp-2")),
            ("Closed", "closed", None),
            ("tidied up", "closed", Some("tidied up")),
        ] {
            let bead = Bead { status: "closed".into(), close_reason: reason.into(), ..Bead::default() };
            assert_eq!(outcome(&bead), (status.to_owned(), why.map(str::to_owned)), "{reason}");
        }
    }
}
