//! Forces a file to the disk some time after it was written, on a thread of its own, so that whoever writes never waits for the disk.

use std::fs::File;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::changes::lock;

/// The thread; it ends when this is dropped. What was written last may then not be forced yet.
#[derive(Debug)]
pub(crate) struct Syncing {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    written: bool,
    ends: bool,
    failed: Option<io::Error>,
}

impl Syncing {
    /// Forces `file` to the disk `delay` after it was written.
    ///
    /// # Errors
    /// When no thread can be had.
    pub(crate) fn begin(file: Arc<File>, delay: Duration) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        let thread = thread::Builder::new().name("sync".to_owned()).spawn(move || own.run(&file, delay))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Says that the file was written.
    pub(crate) fn written(&self) {
        let mut state = lock(&self.shared.state);
        if !state.written {
            state.written = true;
            self.shared.changed.notify_one();
        }
    }

    /// A failure since the last question: what was written before may not be on the disk.
    pub(crate) fn failure(&self) -> Option<io::Error> {
        lock(&self.shared.state).failed.take()
    }
}

impl Drop for Syncing {
    fn drop(&mut self) {
        lock(&self.shared.state).ends = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It cannot panic but by a bug, which its own message tells of.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self, file: &File, delay: Duration) {
        while self.wait_for_a_write(delay) {
            if let Err(error) = file.sync_data() {
                lock(&self.state).failed = Some(error);
            }
        }
    }

    /// Waits for a write and, from then on, for `delay`; `false` when it is over.
    fn wait_for_a_write(&self, delay: Duration) -> bool {
        let state = lock(&self.state);
        let state = self.changed.wait_while(state, |state| !state.written && !state.ends);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(state, delay, |state| !state.ends);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.written = false;
        !state.ends
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;

    /// A file that the kernel refuses to force to a disk: one end of a pipe.
    fn unforceable() -> Arc<File> {
        let (_reader, writer) = io::pipe().unwrap();
        Arc::new(File::from(std::os::fd::OwnedFd::from(writer)))
    }

    #[test]
    fn a_failure_is_told_once_and_only_after_a_write() {
        let syncing = Syncing::begin(unforceable(), Duration::ZERO).unwrap();
        assert!(syncing.failure().is_none());
        syncing.written();
        let failure = loop {
            if let Some(failure) = syncing.failure() {
                break failure;
            }
            thread::yield_now();
        };
        assert_eq!(failure.kind(), io::ErrorKind::InvalidInput);
        assert!(syncing.failure().is_none());
    }

    #[test]
    fn dropping_it_waits_for_no_delay() {
        let syncing = Syncing::begin(unforceable(), Duration::from_secs(3600)).unwrap();
        syncing.written();
        drop(syncing);
    }
}
