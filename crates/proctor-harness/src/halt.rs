//! The one error that ends a run early: its kind decides the outcome and the exit code.
//!
//! Every failure below the cycle becomes a [`Halt`] at the place that knows what a person can do about it.

use std::io;
use std::path::Path;

use proctor_judge::evidence::{StopKind, Stopped};

/// What to do about a full disk.
pub(crate) const FREE_SPACE: &str = "free some disk space: `proctor clean`, `proctor runs --keep N`";

/// Why a run cannot go on.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Halt {
    /// What kind of end it is.
    pub kind: StopKind,
    /// What happened, in one lower-case sentence.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Halt {
    /// A halt of any kind, without a hint.
    pub fn new(kind: StopKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// The machine lacks something.
    pub fn environment(message: impl Into<String>) -> Self {
        Self::new(StopKind::Environment, message)
    }

    /// Proctor, a town program or a script of the scenario is at fault.
    pub fn harness(message: impl Into<String>) -> Self {
        Self::new(StopKind::Harness, message)
    }

    /// A person or a signal ended the run.
    pub fn cancelled() -> Self {
        Self::new(StopKind::Cancelled, "the run was cancelled")
    }

    /// The same failure where it concerns what agents can break: files, repositories and processes of the town, once they have begun. It is
    /// then no fault of the machine's or of Proctor's.
    #[must_use]
    pub fn of_the_town(self) -> Self {
        match self.kind {
            StopKind::Environment | StopKind::Harness => Self { kind: StopKind::Lost, ..self },
            _ => self,
        }
    }

    /// The same halt with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A failed file operation: a full, read-only or forbidden disk is the environment's fault and says so.
    pub fn io(what: &str, path: &Path, error: &io::Error) -> Self {
        let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let cause = if full { "the disk is full: " } else { "" };
        let halt = Self::environment(format!("{cause}cannot {what} {}: {error}", path.display()));
        match error.kind() {
            _ if full => halt.hint(FREE_SPACE),
            io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::AlreadyExists
            | io::ErrorKind::NotFound => {
                halt.hint("name a place that can be written: --reports DIR, or XDG_CACHE_HOME for the town")
            }
            _ => halt,
        }
    }

    /// As the run's record states it.
    pub fn stopped(&self, phase: u8) -> Stopped {
        Stopped { kind: self.kind, phase, message: self.message.clone(), hint: self.hint.clone() }
    }
}
