//! A disk that fills up during a run: noticed as what it is, with room kept for saying so.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;

use crate::halt::{FREE_SPACE, Halt};

/// Free bytes below which a disk counts as full: less than one page of a database and its log need.
const LEAST: u64 = 64 << 10;
/// Bytes kept for the run's record and its reports, should the disk be full at the end.
const KEPT: u64 = 1 << 20;

/// The halt for the first of `places` whose disk is full. A place that cannot be asked is passed over.
pub(crate) fn full(places: &[&Path]) -> Option<Halt> {
    places.iter().find_map(|place| {
        let free = free(place).filter(|free| *free < LEAST)?;
        let message = format!("the disk is full: {} kB are free at {}", free / 1000, place.display());
        Some(Halt::environment(message).hint(FREE_SPACE))
    })
}

/// Free bytes of the disk of a place; absent where it cannot be asked.
pub(crate) fn free(place: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(place).ok().filter(|disk| disk.f_blocks > 0)?;
    let blocks = if rustix::process::geteuid().is_root() { disk.f_bfree } else { disk.f_bavail };
    Some(blocks.saturating_mul(disk.f_frsize))
}

/// Space on the reports' disk that is given back just before the end of the run is written.
pub(crate) struct Reserve(PathBuf);

impl Reserve {
    /// Takes the space; where the disk does not allow it there is none.
    pub(crate) fn take(folder: &Path) -> Self {
        let path = folder.join(".reserve");
        if let Ok(file) = File::create(&path) {
            // Some file systems cannot; then a full disk leaves no reports, as it would without this.
            _ = rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, KEPT);
        }
        Self(path)
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        // Whether it was there is all the same.
        _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_disk_with_room_is_not_full_and_what_is_not_there_is_passed_over() {
        assert!(full(&[&std::env::temp_dir(), Path::new("/not/there")]).is_none());
    }

    #[test]
    fn the_reserve_is_gone_when_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::take(folder.path());
        assert!(folder.path().join(".reserve").exists());
        drop(reserve);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
