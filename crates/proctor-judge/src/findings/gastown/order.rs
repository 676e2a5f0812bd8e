//! Defects of what is closed when: beads before the merge, convoys without one.

use super::Occurrence;
use super::clues::Clues;
use crate::evidence::path;
use crate::wording::{after, at_path, seconds};

/// Times of the town have whole seconds; closer moments have no order.
const CLEARLY_S: f64 = 1.0;

/// A convoy was closed while work of it was not on the target branch.
pub(super) fn convoy_closed_early(clues: &Clues<'_>) -> Vec<Occurrence> {
    let known = clues.known;
    let run = known.run;
    let Some(convoy) = run.convoy().filter(|c| c.status == "closed") else { return Vec::new() };
    let sign = |name: &str| known.landed.iter().find(|c| c.clause == name);
    let seen = sign("convoy_closed");
    if seen.is_some_and(|c| c.value == Some(false)) {
        return Vec::new();
    }
    let closed = seen.and_then(|c| c.first_true).or(convoy.closed_at);
    let Some(closed) = closed else { return Vec::new() };
    let Some(merged) = sign("merged") else { return Vec::new() };
    let late = match (merged.value, merged.first_true) {
        (Some(false), _) => "never".to_owned(),
        (_, Some(at)) if seconds(closed, at) > 0.0 => after(run.since_start(at)),
        _ => return Vec::new(),
    };
    let unmerged = |id: &&String| run.deliveries.rows.iter().any(|d| d.issue == **id && !d.merged);
    let row = run.convoys.rows.iter().position(|c| c.id == convoy.id).map_or(1, |row| row + 1);
    let mut places = vec![at_path(format!("evidence/{}:{row}", path::CONVOYS))];
    places.extend(merged.evidence.iter().map(at_path));
    vec![Occurrence {
        text: format!("convoy {} was closed {}, merged {late} ({})", convoy.id, after(run.since_start(closed)), merged.now),
        at: Some(closed),
        agent: None,
        issues: convoy.tracked.iter().filter(unmerged).cloned().collect(),
        places,
    }]
}

/// An issue was closed and its work merged later.
pub(super) fn closed_before_merge(clues: &Clues<'_>) -> Vec<Occurrence> {
    let run = clues.known.run;
    let tracked = run.tracked();
    let beads = run.beads.rows.iter().enumerate().filter(|(_, b)| tracked.contains(&b.id.as_str()));
    let early = beads.filter_map(|(row, bead)| {
        let closed = bead.closed_at?;
        let merge = run.merge_requests.rows.iter().position(|m| m.issue == bead.id && m.status == "merged")?;
        let merged = run.merge_requests.rows.get(merge)?.closed_at?;
        (seconds(closed, merged) > CLEARLY_S).then(|| Occurrence {
            text: format!("{} closed {}, merged {}", bead.id, after(run.since_start(closed)), after(run.since_start(merged))),
            at: Some(closed),
            agent: bead.closed_by.clone(),
            // It landed all the same, so that it is told and decides nothing.
            issues: Vec::new(),
            places: vec![
                at_path(format!("evidence/{}:{}", path::BEADS, row + 1)),
                at_path(format!("evidence/{}:{}", path::MERGE_REQUESTS, merge + 1)),
            ],
        })
    });
    early.collect()
}

/// A submission was rejected and its issue stayed closed.
pub(super) fn rejected_stays_closed(clues: &Clues<'_>) -> Vec<Occurrence> {
    let run = clues.known.run;
    let rejected =
        run.merge_requests.rows.iter().enumerate().filter(|(_, m)| matches!(m.status.as_str(), "rejected" | "conflict"));
    let left = rejected.filter_map(|(row, merge)| {
        let bead = run.beads.rows.iter().position(|b| b.id == merge.issue && b.status == "closed")?;
        let merged = run.deliveries.rows.iter().any(|d| d.issue == merge.issue && d.merged);
        let why = merge.reason.as_deref().map_or_else(String::new, |r| format!(": {r}"));
        (!merged).then(|| Occurrence {
            text: format!("merge request {} of {} was {}{why}, and the issue stayed closed", merge.id, merge.issue, merge.status),
            at: merge.closed_at,
            agent: None,
            issues: vec![merge.issue.clone()],
            places: vec![
                at_path(format!("evidence/{}:{}", path::MERGE_REQUESTS, row + 1)),
                at_path(format!("evidence/{}:{}", path::BEADS, bead + 1)),
            ],
        })
    });
    left.collect()
}
