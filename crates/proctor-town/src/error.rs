//! What can go wrong in a town, as a person reads it.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Result of everything in this crate.
pub(crate) type Result<T> = std::result::Result<T, TownError>;

/// A failure that ends a command with exit code 1.
#[derive(Debug, Error)]
pub(crate) enum TownError {
    /// The command line is wrong; the text is cobra's.
    #[error("{message}")]
    Usage {
        /// What is wrong with it.
        message: String,
        /// Usage text that follows the message.
        usage: String,
    },
    /// A rule of the town forbids it.
    #[error("{message}")]
    Refused {
        /// Which rule.
        message: String,
        /// What to do instead.
        hint: Option<String>,
    },
    /// The store failed.
    #[error("bead store: {0}")]
    Sql(#[from] rusqlite::Error),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A git command failed.
    #[error("git {args}: {stderr}")]
    Git {
        /// Its arguments.
        args: String,
        /// What it said.
        stderr: String,
    },
    /// A JSON file or message could not be read.
    #[error("{what}: {source}")]
    Json {
        /// File or message.
        what: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The daemon did not do it.
    #[error("daemon: {0}")]
    Daemon(String),
}

impl TownError {
    /// What a person can do about it.
    pub(crate) fn hint(&self) -> Option<&str> {
        match self {
            Self::Refused { hint, .. } => hint.as_deref(),
            Self::Daemon(_) => Some("look at daemon/daemon.log, then `gt daemon start`"),
            _ => None,
        }
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| Self::Io { path, source }
    }

    pub(crate) fn json(what: impl Into<String>) -> impl FnOnce(serde_json::Error) -> Self {
        let what = what.into();
        move |source| Self::Json { what, source }
    }
}

/// A refusal without a hint.
pub(crate) fn refused<T>(message: impl Into<String>) -> Result<T> {
    Err(TownError::Refused { message: message.into(), hint: None })
}

/// A refusal that says what to do instead.
pub(crate) fn refused_hint<T>(message: impl Into<String>, hint: impl Into<String>) -> Result<T> {
    Err(TownError::Refused { message: message.into(), hint: Some(hint.into()) })
}
