//! Descriptors and watches that a run keeps for itself, so that an agent that uses up what it shares with the run cannot keep it
//! from being judged.

use std::fs::File;

use inotify::Inotify;

use crate::halt::Halt;
use crate::linux;

/// Descriptors without which a run is not begun: the store, the listeners and their clients, the town's calls, the exercises.
const LEAST: u64 = 160;
/// Descriptors kept for phase 7.
const KEPT: usize = 24;
/// Watches kept: one for the wait for landing, the others for exercises.
const WATCHES: usize = 4;

/// What is kept until it is needed.
#[derive(Default)]
pub(crate) struct Kept {
    #[allow(dead_code, reason = "kept open, and that is all")]
    files: Vec<File>,
    watches: Vec<Inotify>,
}

impl Kept {
    /// Keeps what there is.
    ///
    /// # Errors
    /// When a process may open too few files for a run.
    pub(crate) fn take() -> Result<Self, Halt> {
        enough(linux::descriptor_limit())?;
        // Where the system gives no more now, whoever needs them later says so.
        let files = (0..KEPT).map_while(|_| File::open("/dev/null").ok()).collect();
        let watches = (0..WATCHES).map_while(|_| Inotify::init().ok()).collect();
        Ok(Self { files, watches })
    }

    /// Gives one watch back, for whoever makes one now.
    pub(crate) fn give_watch(&mut self) {
        self.watches.pop();
    }

    /// Gives everything back.
    pub(crate) fn give_all(&mut self) {
        *self = Self::default();
    }
}

fn enough(limit: u64) -> Result<(), Halt> {
    if limit >= LEAST {
        return Ok(());
    }
    let message = format!("a process may open {limit} files here, and a run needs {LEAST}");
    Err(Halt::environment(message).hint("raise the limit in this shell: ulimit -n 4096"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn too_few_descriptors_are_said_with_the_command_that_raises_them() {
        assert!(enough(LEAST).is_ok());
        let halt = enough(64).unwrap_err();
        assert_eq!(halt.kind, proctor_judge::evidence::StopKind::Environment);
        assert!(halt.message.contains("64 files") && halt.hint.unwrap().contains("ulimit -n"));
    }

    #[test]
    fn what_is_kept_is_given_back() {
        let mut kept = Kept::take().unwrap();
        assert_eq!(kept.files.len(), KEPT);
        let watches = kept.watches.len();
        kept.give_watch();
        assert_eq!(kept.watches.len(), watches.saturating_sub(1));
        kept.give_all();
        assert!(kept.files.is_empty() && kept.watches.is_empty());
    }
}
