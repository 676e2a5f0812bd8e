//! Locks between runs: files that one process holds at a time.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

/// A lock, held until it is dropped or this process ends, even when it is killed.
#[derive(Debug)]
pub(crate) struct FileLock(File);

impl FileLock {
    /// Takes the lock that is the file `path`, which is made where it is missing; `None` while somebody holds it.
    ///
    /// # Errors
    /// When the file can be neither made nor locked.
    pub(crate) fn take(path: &Path) -> io::Result<Option<Self>> {
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Drop for FileLock {
    /// To close the file is not enough: a process that is just being started has it open too, until it has become its program.
    fn drop(&mut self) {
        // What cannot be let go here ends with the process.
        _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn one_holds_it_at_a_time_and_lets_it_go_though_another_process_has_the_file_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        let held = FileLock::take(&path).unwrap().unwrap();
        assert!(FileLock::take(&path).unwrap().is_none());
        let copy = held.0.try_clone().unwrap();
        drop(held);
        assert!(FileLock::take(&path).unwrap().is_some());
        drop(copy);
        assert!(FileLock::take(&folder.path().join("absent/a.lock")).is_err());
    }
}
