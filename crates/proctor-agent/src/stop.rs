//! Asking a running agent to end, from a signal handler's thread.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Clones share one request. Once made it stays made.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    /// Nothing asked yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the agent to end: it stops what runs, flushes its telemetry and returns.
    pub fn request(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Whether the end was asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the end is asked for, at most so long; says whether it was.
    #[must_use]
    pub fn wait_for(&self, limit: Duration) -> bool {
        let asked = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (asked, _) = self.0.1.wait_timeout_while(asked, limit, |asked| !*asked).unwrap_or_else(PoisonError::into_inner);
        *asked
    }

    /// Waits until the end is asked for.
    pub fn wait(&self) {
        let asked = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.0.1.wait_while(asked, |asked| !*asked).unwrap_or_else(PoisonError::into_inner));
    }
}
