//! When something was first seen closed, and by whom it was closed.

use std::collections::{BTreeMap, BTreeSet};

use proctor_judge::evidence::Time;

use super::dolt::Cells;
use super::row::{Bead, Rows, time};

#[derive(Clone, Debug, Default)]
struct Closing {
    seen_at: Option<Time>,
    stated_at: Option<Time>,
    by: Option<String>,
}

/// What is known of closings. A bead that is reopened is forgotten.
#[derive(Clone, Debug, Default)]
pub(super) struct Closings {
    known: BTreeMap<String, Closing>,
    looked: bool,
}

impl Closings {
    /// Notes what is closed now; the ids that were not closed at the last look, by database.
    pub(super) fn look(&mut self, rows: &Rows, now: Time) -> BTreeMap<String, Vec<String>> {
        let closed: BTreeMap<&str, &Bead> = rows.beads.iter().filter(|b| b.closed()).map(|b| (b.id.as_str(), b)).collect();
        self.known.retain(|id, _| closed.contains_key(id.as_str()));
        let mut new: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (id, bead) in closed {
            if !self.known.contains_key(id) {
                let seen_at = self.looked.then_some(now);
                self.known.insert(id.to_owned(), Closing { seen_at, stated_at: bead.closed_at, by: None });
                new.entry(bead.database.clone()).or_default().push(id.to_owned());
            }
        }
        self.looked = true;
        new
    }

    /// Takes `(issue, event type, actor, time)` rows, oldest first: the first closing since the last reopening counts, because `gt`
    /// closes again what is closed.
    pub(super) fn learn(&mut self, events: &[Cells]) {
        let mut learnt: BTreeSet<String> = BTreeSet::new();
        for event in events {
            let [Some(id), Some(kind), actor, at] = event.as_slice() else { continue };
            let Some(closing) = self.known.get_mut(id) else { continue };
            if kind == "reopened" {
                learnt.remove(id);
            } else if learnt.insert(id.clone()) {
                closing.by = actor.clone().filter(|actor| !actor.is_empty());
                closing.stated_at = at.as_deref().and_then(time).or(closing.stated_at);
            }
        }
    }

    /// When a closed bead was closed.
    pub(super) fn at(&self, bead: &Bead) -> Option<Time> {
        let known = self.known.get(&bead.id)?;
        known.seen_at.or(known.stated_at)
    }

    /// Who closed it.
    pub(super) fn by(&self, bead: &Bead) -> Option<&str> {
        self.known.get(&bead.id)?.by.as_deref()
    }
}
