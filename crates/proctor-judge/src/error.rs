//! Why a run could not be judged or its reports not be written.

use std::path::PathBuf;

/// An error that leaves a person without a verdict or without a report.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// The folder holds no run.
    #[error("{} holds no run: evidence/run.json is not there", path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// A file that must be readable is not.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// `run.json` is not what it should be.
    #[error("{} is not a run record: {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What the parser said, with line and column.
        source: serde_json::Error,
    },
    /// The evidence was written by a version with another format.
    #[error("{} has schema {found}, this version reads {known}", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: u32,
        /// The schema version that is known here.
        known: u32,
    },
    /// A report cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A report cannot be put into words, which is a defect of this crate.
    #[error("cannot encode {name}: {source}")]
    Encode {
        /// The report's file name.
        name: &'static str,
        /// What the encoder said.
        source: serde_json::Error,
    },
}

impl JudgeError {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotARun { .. } => "name a folder below reports/, such as reports/latest, or list them: proctor runs",
            Self::Read { .. } => "look at the file's owner and permissions",
            Self::Malformed { .. } => "the run was stopped while the file was written, or it was edited; repeat the run",
            Self::Schema { .. } => "judge the run with the version of proctor that made it",
            Self::Write { .. } => "make room on the disk, or copy the run to a folder that can be written and judge it there",
            Self::Encode { .. } => "please report this with the run's folder",
        }
    }
}
