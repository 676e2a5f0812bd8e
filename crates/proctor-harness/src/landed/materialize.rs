//! Writes the files of a commit into a folder, byte for byte as they were merged.

use std::path::Path;

use proctor_judge::evidence::GitFile;

use super::commit::Parsed;
use super::git::Git;
use super::keep::{Links, keep};
use super::objects::{Ask, Kind, Objects};
use super::tree;
use crate::halt::Halt;

/// The largest commit object that is read.
const COMMIT_BYTES: u64 = 64 << 20;

/// What was written of a commit.
#[derive(Clone, Debug, Default)]
pub struct Materialized {
    /// Every file and link of the commit; `not_kept` says why one was not written.
    pub files: Vec<GitFile>,
    /// Why the commit has more than these, where it has.
    pub cut: Vec<String>,
}

/// Writes the files of `commit` (a hash) of `repository` (the folder with git's own files) into the empty `folder`. Nothing is checked out: no
/// attribute, filter, line-ending or encoding has a say. Links that leave the commit's tree are not made. Runs on a thread that may wait.
///
/// # Errors
/// When the commit is not there, git ends, or the disk refuses.
pub async fn materialize(git: &Git, repository: &Path, commit: &str, folder: &Path) -> Result<Materialized, Halt> {
    let (git, repository) = (git.clone(), repository.to_owned());
    let (commit, folder) = (commit.to_owned(), folder.to_owned());
    let writing = tokio::task::spawn_blocking(move || write(&git, &repository, &commit, &folder));
    writing.await.map_err(|error| Halt::harness(error.to_string()))?
}

fn write(git: &Git, repository: &Path, commit: &str, folder: &Path) -> Result<Materialized, Halt> {
    std::fs::create_dir_all(folder).map_err(|error| Halt::io("make", folder, &error))?;
    let mut objects = Objects::open(git, repository, Ask::Contents)?;
    let found = objects.read(commit, COMMIT_BYTES)?.filter(|(kind, _)| *kind == Kind::Commit);
    let parsed = found.and_then(|(_, bytes)| Parsed::read(&bytes));
    let missing = || Halt::harness(format!("{} has no commit {commit}", repository.display()));
    let listing = tree::list(&mut objects, &parsed.ok_or_else(missing)?.tree)?;
    let files = keep(git, repository, &listing.entries, folder, Links::Made)?;
    Ok(Materialized { files, cut: listing.cut })
}
