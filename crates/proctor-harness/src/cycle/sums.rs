//! SHA-256 sums of the programs that took part, taken beside the run: those of a real town weigh hundreds of megabytes.
//!
//! Each run reads the programs itself. A sum that was remembered from run to run would be worth what its file is worth, and a false one
//! in it would stand in the record of every later run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokio::task::JoinHandle;

use crate::digest::file_sum;

/// Sums that are being taken, on a thread of their own.
#[derive(Debug, Default)]
pub(crate) struct Sums(Option<JoinHandle<Known>>);

/// Sums that were taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known(BTreeMap<PathBuf, Option<String>>);

impl Sums {
    /// Begins to read the files.
    pub(crate) fn begin(files: impl IntoIterator<Item = PathBuf>) -> Self {
        let files: Vec<PathBuf> = files.into_iter().collect();
        let read = move || Known(files.into_iter().map(|file| (file.clone(), file_sum(&file).ok())).collect());
        Self(Some(tokio::task::spawn_blocking(read)))
    }

    /// What was read; of files that were not begun with, nothing.
    pub(crate) async fn known(&mut self) -> Known {
        match self.0.take() {
            Some(reading) => reading.await.unwrap_or_default(),
            None => Known::default(),
        }
    }
}

impl Known {
    /// The sum of a file, which is read now when it was not read before; absent when it cannot be read. It may take a while.
    pub(crate) fn of(&self, file: &Path) -> Option<String> {
        self.0.get(file).cloned().unwrap_or_else(|| file_sum(file).ok())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[tokio::test]
    async fn a_program_is_read_once_and_one_that_came_later_when_it_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let (early, late) = (folder.path().join("early"), folder.path().join("late"));
        std::fs::write(&early, "one").unwrap();
        let known = Sums::begin([early.clone()]).known().await;
        std::fs::write(&early, "two").unwrap();
        std::fs::write(&late, "two").unwrap();
        assert_eq!(known.of(&early).unwrap(), crate::digest::sha256(b"one"), "as it was when the run began");
        assert_eq!(known.of(&late).unwrap(), crate::digest::sha256(b"two"));
        assert_eq!(known.of(&folder.path().join("none")), None);
    }
}
