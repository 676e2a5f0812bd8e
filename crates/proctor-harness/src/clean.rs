//! Finds, ends and removes what runs left behind, and nothing else.

use std::path::{Path, PathBuf};

use crate::halt::Halt;

/// What one run left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Short id of the run.
    pub id: String,
    /// Its base directory.
    pub base: PathBuf,
    /// Whether the proctor that made it still runs; such a run is never touched.
    pub in_progress: bool,
    /// Processes that are the run's.
    pub processes: Vec<LeftProcess>,
    /// Bytes below the base directory.
    pub bytes: u64,
}

/// A process that a run left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftProcess {
    /// Its id.
    pub pid: u32,
    /// Its command line.
    pub command: String,
    /// The agent whose environment it carries.
    pub agent: Option<String>,
}

/// What every run below Proctor's cache folder left, by id.
///
/// # Errors
/// When the cache cannot be read.
pub fn find(cache: &Path) -> Result<Vec<Left>, Halt> {
    let _ = cache;
    Ok(Vec::new())
}

/// Ends the processes and removes the folder of one run.
///
/// # Errors
/// When the run is in progress, a process does not end, or the folder cannot be removed.
pub fn remove(left: &Left) -> Result<(), Halt> {
    let _ = left;
    Ok(())
}

/// [`find`] for one base directory.
pub fn inspect(base: &Path) -> Option<Left> {
    let _ = base;
    None
}
