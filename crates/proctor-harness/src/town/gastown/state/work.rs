//! Work beads and convoys.

use proctor_judge::evidence::{Bead, Convoy};

use super::address;
use super::close::Closings;
use super::query::TOWN;
use super::row::{self, Rows};

/// Kinds of bead that are the town's own bookkeeping, as an issue type or as a label `gt:<kind>`: `gt` uses both.
const BOOKKEEPING: [&str; 16] = [
    "agent",
    "channel",
    "convoy",
    "escalation",
    "event",
    "gate",
    "group",
    "merge-request",
    "merge-slot",
    "message",
    "molecule",
    "queue",
    "rig",
    "role",
    "sling-context",
    "slot",
];

fn is_work(rows: &Rows, bead: &row::Bead) -> bool {
    let label = |label: &str| label.strip_prefix("gt:").is_some_and(|kind| BOOKKEEPING.contains(&kind));
    !BOOKKEEPING.contains(&bead.issue_type.as_str()) && !rows.labels(bead).any(label)
}

/// Work items of all rigs and of the town, oldest first.
pub(super) fn beads(rows: &Rows, closings: &Closings) -> Vec<Bead> {
    rows.beads.iter().filter(|bead| is_work(rows, bead)).map(|bead| work(bead, closings)).collect()
}

fn work(bead: &row::Bead, closings: &Closings) -> Bead {
    Bead {
        id: bead.id.clone(),
        title: bead.title.clone(),
        kind: bead.issue_type.clone(),
        status: bead.status.clone(),
        priority: bead.priority,
        assignee: said(&bead.assignee).map(|assignee| address::agent(&assignee)),
        rig: (bead.database != TOWN).then(|| bead.database.clone()),
        created_by: bead.created_by.clone(),
        created_at: bead.created_at,
        closed_at: closings.at(bead),
        close_reason: said(&bead.close_reason).filter(|_| bead.closed()),
        closed_by: closings.by(bead).map(str::to_owned),
        description: bead.description.clone(),
    }
}

/// Convoys, oldest first.
pub(super) fn convoys(rows: &Rows, closings: &Closings) -> Vec<Convoy> {
    let convoy = |bead: &row::Bead| Convoy {
        id: bead.id.clone(),
        title: bead.title.clone(),
        status: bead.status.clone(),
        tracked: rows.tracked(&bead.id),
        created_at: bead.created_at,
        closed_at: closings.at(bead),
    };
    rows.beads.iter().filter(|bead| bead.issue_type == "convoy").map(convoy).collect()
}

fn said(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
