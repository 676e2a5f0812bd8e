//! Which files of a folder are opened, told by inotify.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};
use walkdir::WalkDir;

/// Folders and files that are watched at most: each takes memory of the kernel's.
const WATCHES: usize = 8192;
/// How deep folders are watched.
const DEPTH: usize = 64;

/// Records which files of a folder are opened.
pub struct Opens {
    inotify: Inotify,
    /// What a watch stands for: a folder, whose events name files, or a file, which is known by whatever name it is opened.
    watched: BTreeMap<WatchDescriptor, PathBuf>,
    opened: BTreeSet<PathBuf>,
    lost: bool,
}

impl Opens {
    /// Watches a folder and the folders in it, from now on. Files for whose path (relative to the folder) `closely` holds are watched
    /// themselves: whoever renames one or makes another link to it opens the same file.
    ///
    /// # Errors
    /// When the machine allows no further watch.
    pub fn watch(folder: &Path, closely: impl Fn(&Path) -> bool) -> io::Result<Self> {
        let mut opens = Self { inotify: Inotify::init()?, watched: BTreeMap::new(), opened: BTreeSet::new(), lost: false };
        for entry in WalkDir::new(folder).max_depth(DEPTH).into_iter().flatten() {
            let relative = entry.path().strip_prefix(folder).unwrap_or(Path::new(""));
            let kind = entry.file_type();
            if !(kind.is_dir() || kind.is_file() && closely(relative)) {
                continue;
            }
            opens.lost |= opens.watched.len() >= WATCHES || kind.is_dir() && entry.depth() == DEPTH;
            if opens.watched.len() < WATCHES {
                opens.add(entry.path(), relative)?;
            }
        }
        Ok(opens)
    }

    fn add(&mut self, path: &Path, relative: &Path) -> io::Result<()> {
        match self.inotify.watches().add(path, WatchMask::OPEN | WatchMask::DONT_FOLLOW) {
            Ok(watch) => _ = self.watched.insert(watch, relative.to_owned()),
            // What its owner may not read cannot be opened either; whoever changes that is not seen.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => self.lost = true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Takes what the kernel has recorded. It keeps a limited number of openings and drops those that come then.
    ///
    /// # Errors
    /// When the kernel's queue cannot be read.
    pub fn drain(&mut self) -> io::Result<()> {
        let mut buffer = [0_u8; 16384];
        loop {
            let events = match self.inotify.read_events(&mut buffer) {
                Ok(events) => events,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            for event in events {
                self.lost |= event.mask.contains(EventMask::Q_OVERFLOW);
                if let (Some(place), false) = (self.watched.get(&event.wd), event.mask.contains(EventMask::ISDIR)) {
                    self.opened.insert(event.name.map_or_else(|| place.clone(), |name| place.join(name)));
                }
            }
        }
    }

    /// The files opened since the watch began, relative to the folder; `true` when there may be others.
    ///
    /// # Errors
    /// When the kernel's queue cannot be read.
    pub fn take(mut self) -> io::Result<(BTreeSet<PathBuf>, bool)> {
        self.drain()?;
        Ok((self.opened, self.lost))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::fs;

    fn opened(act: impl FnOnce(&Path)) -> (Vec<PathBuf>, bool) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("key.pem"), "k").unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        let opens = Opens::watch(folder.path(), |path| path.extension().is_some_and(|end| end == "pem")).unwrap();
        act(folder.path());
        let (opened, lost) = opens.take().unwrap();
        (opened.into_iter().collect(), lost)
    }

    #[test]
    fn a_file_that_was_not_opened_is_not_told_of() {
        assert_eq!(opened(|folder| fs::rename(folder.join("key.pem"), folder.join("x")).unwrap()), (vec![], false));
    }

    #[test]
    fn another_name_hides_no_file_that_is_watched_closely() {
        let renamed = |folder: &Path| {
            fs::rename(folder.join("key.pem"), folder.join("x")).unwrap();
            _ = fs::read(folder.join("x")).unwrap();
            fs::rename(folder.join("x"), folder.join("key.pem")).unwrap();
        };
        assert!(opened(renamed).0.contains(&PathBuf::from("key.pem")));
        let linked = |folder: &Path| {
            fs::create_dir(folder.join("new")).unwrap();
            fs::hard_link(folder.join("key.pem"), folder.join("new/x")).unwrap();
            _ = fs::read(folder.join("new/x")).unwrap();
        };
        assert!(opened(linked).0.contains(&PathBuf::from("key.pem")));
    }
}
