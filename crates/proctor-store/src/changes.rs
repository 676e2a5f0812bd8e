//! Telling others that rows have arrived: a rising sequence number, a condition variable and callbacks.

use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

type Callback = Box<dyn Fn(u64) + Send + Sync>;

/// The newest sequence number and who wants to know of it.
#[derive(Default)]
pub(crate) struct Changes {
    newest: Mutex<u64>,
    arrived: Condvar,
    callbacks: Mutex<Vec<Callback>>,
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("newest", &self.newest()).finish_non_exhaustive()
    }
}

/// A lock whose holder panicked guards plain counters here, which are whole at every moment.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Changes {
    pub(crate) fn newest(&self) -> u64 {
        *lock(&self.newest)
    }

    pub(crate) fn announce(&self, seq: u64) {
        {
            let mut newest = lock(&self.newest);
            *newest = seq.max(*newest);
        }
        self.arrived.notify_all();
        lock(&self.callbacks).iter().for_each(|callback| callback(seq));
    }

    pub(crate) fn wait_past(&self, seq: u64, timeout: Duration) -> u64 {
        let waited = self.arrived.wait_timeout_while(lock(&self.newest), timeout, |newest| *newest <= seq);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    pub(crate) fn subscribe(&self, callback: Callback) {
        lock(&self.callbacks).push(callback);
    }
}
