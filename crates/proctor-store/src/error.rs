//! What can go wrong with a store, a request or a query.
//!
//! Messages are lower-case and name the file, the field or the place in the query; `hint` says what to do where a person can act.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// A store's folder could not be made, read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The folder already holds a journal; a store is never written over.
    #[error("{} already holds a store", .0.display())]
    Exists(PathBuf),
    /// There is no journal in the folder.
    #[error("{} holds no store: no journal there", .0.display())]
    Missing(PathBuf),
    /// The journal does not begin with the bytes that every journal begins with.
    #[error("{} is not a journal of a store, or of a later version", .0.display())]
    NotAJournal(PathBuf),
    /// The manifest says that the journal was longer when the store was sealed.
    #[error("{} is shorter than when it was sealed: {found} of {sealed} bytes", .path.display())]
    Shortened {
        /// The journal.
        path: PathBuf,
        /// Whole frames found, in bytes.
        found: u64,
        /// Bytes that the manifest states.
        sealed: u64,
    },
    /// The manifest cannot be understood.
    #[error("{}: {source}", .path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What JSON said.
        source: serde_json::Error,
    },
    /// The operating system refused.
    #[error("cannot {what} {}: {source}", .path.display())]
    Io {
        /// What was tried: `read`, `write`, `create`, …
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A Parquet segment could not be written.
    #[error("cannot write {}: {message}", .path.display())]
    Segment {
        /// The file.
        path: PathBuf,
        /// What the writer said.
        message: String,
    },
    /// The store was opened for reading only.
    #[error("the store is open for reading only")]
    ReadOnly,
}

impl StoreError {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Exists(_) => Some("choose an empty folder, or open this one for reading"),
            Self::Missing(_) => Some("is this the telemetry folder of a run's evidence?"),
            Self::Shortened { .. } => Some("copy the run again: its journal was cut"),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => Some("free some disk space"),
            _ => None,
        }
    }

    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}

/// A request was not stored.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IngestError {
    /// The content type is neither protobuf nor JSON.
    #[error("content type {0:?} is neither application/x-protobuf nor application/json")]
    ContentType(String),
    /// The content encoding is neither absent, `identity` nor `gzip`.
    #[error("content encoding {0:?} is neither identity nor gzip")]
    ContentEncoding(String),
    /// The body could not be unpacked.
    #[error("the body is not gzip: {0}")]
    Gzip(io::Error),
    /// The connection ended before the body did.
    #[error("the body ended too early")]
    CutOff,
    /// The body, unpacked, is larger than the store takes.
    #[error("the body is larger than {limit} bytes unpacked")]
    TooLarge {
        /// [`crate::Options::max_body_bytes`].
        limit: u64,
    },
    /// The body is not what its content type says.
    #[error("the body is not an OTLP {signal} request: {message}")]
    Malformed {
        /// `logs`, `metrics`, `traces`.
        signal: &'static str,
        /// What the decoder said.
        message: String,
    },
    /// The journal could not be written: nothing of the request was kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IngestError {
    /// The HTTP status that says the same: 400 and 415 are not retried by senders, 503 is.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match self {
            Self::ContentType(_) | Self::ContentEncoding(_) => 415,
            Self::TooLarge { .. } => 413,
            Self::Gzip(_) | Self::CutOff | Self::Malformed { .. } => 400,
            Self::Store(_) => 503,
        }
    }

    /// Short name of the reason, as [`crate::Stats::rejected`] counts it.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::ContentType(_) => "content type",
            Self::ContentEncoding(_) => "content encoding",
            Self::Gzip(_) => "gzip",
            Self::CutOff => "cut off",
            Self::TooLarge { .. } => "too large",
            Self::Malformed { .. } => "malformed",
            Self::Store(_) => "store",
        }
    }
}

/// A query could not be understood or evaluated.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("column {column}: {message}")]
pub struct QueryError {
    /// What is wrong, in one sentence.
    pub message: String,
    /// Where it begins, in characters, from 1.
    pub column: usize,
    /// How many characters it spans, at least 1.
    pub length: usize,
    /// What to write instead.
    pub hint: Option<String>,
}

impl QueryError {
    /// An error at `column` (from 1) that spans `length` characters.
    #[must_use]
    pub fn at(column: usize, length: usize, message: impl Into<String>) -> Self {
        Self { message: message.into(), column, length: length.max(1), hint: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The message with its line and its column there: `line 2, column 5: …`; of a query of one line, the message as it is.
    #[must_use]
    pub fn in_lines(&self, query: &str) -> String {
        let before: Vec<char> = query.chars().take(self.column.saturating_sub(1)).collect();
        if !query.trim_end().contains('\n') {
            return self.to_string();
        }
        let line = before.iter().filter(|c| **c == '\n').count() + 1;
        let column = before.iter().rev().take_while(|c| **c != '\n').count() + 1;
        format!("line {line}, column {column}: {}", self.message)
    }

    /// The query's line with carets below what is wrong, for terminals and pages.
    #[must_use]
    pub fn caret(&self, query: &str) -> String {
        let before: Vec<char> = query.chars().take(self.column.saturating_sub(1)).collect();
        let start = before.iter().rposition(|c| *c == '\n').map_or(0, |at| at + 1);
        let line: String = query.chars().skip(start).take_while(|c| *c != '\n').collect();
        let pad = " ".repeat(before.len() - start);
        format!("{line}\n{pad}{}", "^".repeat(self.length))
    }
}
