//! What one agent can take of the server, so that the others find it open.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use proctor_harness::origins::{Identity, Trust};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests of one agent that are answered at the same time. Each is a process or two of git.
const PLACES: usize = 4;
/// Agents that have places of their own; all others share one.
const AGENTS: usize = 64;
/// Bytes of one push.
const PUSH_BYTES: u64 = 1 << 30;
/// Bytes of all requests of a run together.
const ALL_BYTES: u64 = 8 << 30;

/// Places, and bytes that were taken in.
#[derive(Default)]
pub(super) struct Limits {
    places: Mutex<BTreeMap<String, Arc<Semaphore>>>,
    bytes: AtomicU64,
}

/// A place among the requests that are answered at the same time.
pub(super) type Place = Option<OwnedSemaphorePermit>;

impl Limits {
    /// Waits for a place of this agent's.
    pub(super) async fn place(&self, agent: &str) -> Place {
        let places = {
            let mut all = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            let name = if all.len() < AGENTS || all.contains_key(agent) { agent } else { "" };
            Arc::clone(all.entry(name.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(PLACES))))
        };
        // It is never closed.
        places.acquire_owned().await.ok()
    }

    /// Counts bytes of a request that has `so_far` already; why they are too many.
    pub(super) fn take(&self, so_far: u64, more: u64) -> Result<(), String> {
        if so_far + more > PUSH_BYTES {
            return Err(format!("more than {} MiB in one request", PUSH_BYTES >> 20));
        }
        if self.bytes.fetch_add(more, Ordering::Relaxed) + more > ALL_BYTES {
            return Err(format!("more than {} MiB in all requests of this run", ALL_BYTES >> 20));
        }
        Ok(())
    }
}

/// How often pushes were refused, so that somebody who tries for ever does not fill the log.
#[derive(Default)]
pub(super) struct Tally(BTreeMap<(String, String), u64>);

impl Tally {
    /// Counts a refusal; how often it has happened when that is worth a line: the first times, then whenever it has doubled.
    pub(super) fn count(&mut self, rig: &str, who: &Identity) -> Option<u64> {
        // A name that nobody vouches for may be another each time.
        let name = match who.trust {
            Trust::Agent | Trust::Town => who.agent.clone(),
            Trust::Wrong | Trust::Absent => format!("{:?}", who.trust),
        };
        let times = self.0.entry((rig.to_owned(), name)).or_default();
        *times += 1;
        (*times <= 8 || times.is_power_of_two()).then_some(*times)
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn somebody_who_tries_for_ever_fills_no_log() {
        let mut tally = Tally::default();
        let who = |n: u64| Identity { agent: format!("claim {n}"), trust: Trust::Wrong };
        let lines = (0..100_000).filter(|n| tally.count("bob", &who(*n)).is_some()).count();
        assert!(lines < 30, "{lines}");
    }

    #[test]
    fn one_request_and_all_together_have_a_limit() {
        let limits = Limits::default();
        assert!(limits.take(0, 1000).is_ok());
        assert!(limits.take(PUSH_BYTES, 1).is_err_and(|why| why.contains("one request")));
        assert!(limits.take(0, 1 << 30).is_ok());
        let times = (0..20).filter(|_| limits.take(0, 1 << 30).is_ok()).count();
        assert!(times < 8, "{times}");
    }
}
