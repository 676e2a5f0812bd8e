//! What a town without its daemon leaves to whoever runs it: closing convoys. And the probe of the first rig.
//!
//! Both are calls of several seconds, made beside the observation of the town and never in its way.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::calls::Calls;
use super::probe;
use crate::halt::Halt;
use crate::town::Snapshot;

/// How long after a check a convoy may still be open before it is checked again.
const AGAIN: Duration = Duration::from_secs(5);

/// What is under way.
#[derive(Default)]
pub(super) struct Tending {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The convoys that the call under way, or the last one, was made for, with the number of their closed issues.
    checked: BTreeSet<(String, usize)>,
    /// When that call ended.
    ended: Option<Instant>,
    check: Option<JoinHandle<()>>,
    probed: bool,
    probe: Option<JoinHandle<()>>,
    /// What a call found that ends the run.
    failed: Option<Halt>,
}

/// A convoy whose tracked issues are all closed while it is open, with the number of them.
fn ripe(state: &Snapshot) -> BTreeSet<(String, usize)> {
    let closed = |id: &String| state.beads.iter().any(|bead| bead.id == *id && bead.status == "closed");
    let ripe = state.convoys.iter().filter(|c| c.status == "open" && !c.tracked.is_empty() && c.tracked.iter().all(closed));
    ripe.map(|convoy| (convoy.id.clone(), convoy.tracked.len())).collect()
}

/// An issue of a rig, and the rig.
fn first_issue(state: &Snapshot) -> Option<(String, String)> {
    state.beads.iter().find_map(|bead| Some((bead.rig.clone()?, bead.id.clone())))
}

impl Tending {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the calls that this state asks for. Convoys are the daemon's, where there is one: whether it closes them is part of
    /// what is tested.
    ///
    /// # Errors
    /// What an earlier call found that ends the run.
    pub(super) fn look(&self, seen: &Snapshot, calls: &Arc<Calls>, town: &Path, daemon: bool) -> Result<(), Halt> {
        let mut state = self.state();
        if let Some(halt) = &state.failed {
            return Err(halt.clone());
        }
        if !state.probed
            && let Some((rig, issue)) = first_issue(seen)
        {
            state.probed = true;
            state.probe = Some(self.begin_probe(calls, town.to_owned(), rig, issue));
        }
        let ripe = if daemon { BTreeSet::new() } else { ripe(seen) };
        let is_under_way = state.check.as_ref().is_some_and(|check| !check.is_finished());
        let is_due = ripe != state.checked || state.ended.is_some_and(|ended| ended.elapsed() > AGAIN);
        if !is_under_way && !ripe.is_empty() && is_due {
            state.check = Some(self.begin_check(calls, ripe.iter().map(|(convoy, _)| convoy.clone()).collect()));
            state.checked = ripe;
            state.ended = None;
        }
        Ok(())
    }

    fn begin_probe(&self, calls: &Arc<Calls>, town: PathBuf, rig: String, issue: String) -> JoinHandle<()> {
        let (state, calls) = (Arc::clone(&self.state), Arc::clone(calls));
        tokio::spawn(async move {
            if let Err(halt) = probe::rig(&calls, &town, &rig, &issue).await {
                state.lock().unwrap_or_else(PoisonError::into_inner).failed = Some(halt);
            }
        })
    }

    fn begin_check(&self, calls: &Arc<Calls>, convoys: Vec<String>) -> JoinHandle<()> {
        let (state, calls) = (Arc::clone(&self.state), Arc::clone(calls));
        tokio::spawn(async move {
            for convoy in convoys {
                // That it failed stands in the list of calls; while the convoy stays open it is made again.
                _ = calls.gt(&["convoy", "check", &convoy]).await;
            }
            state.lock().unwrap_or_else(PoisonError::into_inner).ended = Some(Instant::now());
        })
    }

    /// Whether no call is under way.
    pub(super) fn rests(&self) -> bool {
        let state = self.state();
        [&state.check, &state.probe].into_iter().flatten().all(JoinHandle::is_finished)
    }

    /// Breaks calls off: the town ends.
    pub(super) fn end(&self) {
        let mut state = self.state();
        for call in [state.check.take(), state.probe.take()].into_iter().flatten() {
            call.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proctor_judge::evidence::{Bead, Convoy, Time};

    fn bead(id: &str, status: &str) -> Bead {
        serde_json::from_value(
            serde_json::json!({"id": id, "title": "", "kind": "task", "status": status, "priority": 2, "assignee": null,
            "rig": "alice", "created_by": "mayor", "created_at": Time::UNIX_EPOCH, "closed_at": null, "close_reason": null,
            "closed_by": null, "description": ""}),
        )
        .unwrap()
    }

    fn state(status: [&str; 2], convoy: &str, tracked: &[&str]) -> Snapshot {
        let tracked = tracked.iter().map(|id| (*id).to_owned()).collect();
        let convoy = Convoy {
            id: "hq-cv-1".into(),
            title: "t".into(),
            status: convoy.into(),
            tracked,
            created_at: Time::UNIX_EPOCH,
            closed_at: None,
        };
        Snapshot { beads: vec![bead("al-1", status[0]), bead("al-2", status[1])], convoys: vec![convoy], ..Snapshot::default() }
    }

    #[test]
    fn a_convoy_is_checked_once_all_it_tracks_is_closed() {
        let both = ["al-1", "al-2"];
        assert_eq!(ripe(&state(["closed", "hooked"], "open", &both)).len(), 0);
        assert_eq!(ripe(&state(["closed", "closed"], "open", &both)).len(), 1);
        assert_eq!(ripe(&state(["closed", "closed"], "closed", &both)).len(), 0, "nothing is left to do");
        assert_eq!(ripe(&state(["closed", "closed"], "open", &[])).len(), 0, "it tracks nothing yet");
        assert_eq!(ripe(&state(["closed", "closed"], "open", &["al-1", "bo-9"])).len(), 0, "one is not to be seen");
    }
}
