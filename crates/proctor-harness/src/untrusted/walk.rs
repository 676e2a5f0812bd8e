//! Walking a folder within the limits: names in order, each entry looked at and handed to a visitor, the rest counted.

use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use proctor_judge::evidence::Skipped;
use rustix::fs::{Dir, FileType, Stat, readlinkat};

use super::open::{self, Why};
use super::{Limits, shown, size};

/// What a visitor makes of an entry: outer errors are of Proctor's own side, the inner one says why the entry is left out.
pub(super) type Taken<T> = io::Result<Result<T, Why>>;

/// A regular file as a walk found it, not yet opened.
pub(super) struct Regular<'a> {
    /// Its path relative to the folder that is walked.
    pub(super) path: &'a Path,
    /// Its own name.
    pub(super) name: &'a CStr,
    /// What it is.
    pub(super) stat: &'a Stat,
    /// Bytes that may be read of it.
    pub(super) most: u64,
    at: &'a OwnedFd,
}

impl Regular<'_> {
    /// Opens it, without waiting and without following a link.
    pub(super) fn open(&self) -> Result<File, Why> {
        open::file(self.at, self.name).map(|(file, _)| file)
    }
}

/// Who is told of what a walk finds.
pub(super) trait Visit {
    /// What stands for a folder on the visitor's own side.
    type Place;

    /// A folder begins.
    fn folder(&mut self, above: &Self::Place, name: &CStr, stat: &Stat) -> Taken<Self::Place>;

    /// A regular file.
    fn file(&mut self, place: &Self::Place, file: &Regular<'_>) -> Taken<()>;

    /// A link, with what it says.
    fn link(&mut self, place: &Self::Place, name: &CStr, target: &CStr) -> Taken<()>;
}

/// Walks a folder; one that is not there is empty. What is left out is the answer.
///
/// # Errors
/// Those of the visitor's own side.
pub(super) fn walk<V: Visit>(folder: &Path, limits: Limits, visit: &mut V, place: &V::Place) -> io::Result<Skipped> {
    walk_from(open::root(folder).map_err(|error| error.kind()), limits, visit, place)
}

/// [`walk`] of a folder that was opened, or could not be.
pub(super) fn walk_from<V: Visit>(
    opened: Result<OwnedFd, io::ErrorKind>,
    limits: Limits,
    visit: &mut V,
    place: &V::Place,
) -> io::Result<Skipped> {
    let mut walk = Walk { limits, visit, skipped: Skipped::default(), entries: 0, bytes: 0 };
    match opened {
        Ok(fd) => walk.folder(&fd, Path::new(""), 0, place)?,
        Err(io::ErrorKind::NotFound) => {}
        Err(kind) => walk.skip(Path::new("."), &kind.to_string()),
    }
    Ok(walk.skipped)
}

struct Walk<'a, V> {
    limits: Limits,
    visit: &'a mut V,
    skipped: Skipped,
    entries: u64,
    bytes: u64,
}

impl<V: Visit> Walk<'_, V> {
    fn skip(&mut self, path: &Path, why: &str) {
        self.skipped.add(1, shown(path), why);
    }

    fn folder(&mut self, fd: &OwnedFd, path: &Path, depth: usize, place: &V::Place) -> io::Result<()> {
        for name in self.names(fd, path) {
            let inner = path.join(OsStr::from_bytes(name.to_bytes()));
            if let Err(why) = self.entry(fd, &inner, &name, depth, place)? {
                self.skip(&inner, &why);
            }
        }
        Ok(())
    }

    /// The names in a folder, in order, as many as there is room for; the others are counted.
    fn names(&mut self, fd: &OwnedFd, path: &Path) -> Vec<CString> {
        let (mut names, mut over) = (Vec::new(), 0);
        let entries = match Dir::read_from(fd.as_fd()) {
            Ok(entries) => entries,
            Err(error) => {
                self.skip(path, &open::why(error));
                return names;
            }
        };
        for entry in entries {
            let Ok(entry) = entry else { break };
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            if self.entries < self.limits.entries {
                self.entries += 1;
                names.push(entry.file_name().to_owned());
            } else if over < self.limits.counted {
                over += 1;
            } else {
                break;
            }
        }
        if over > 0 {
            self.skipped.add(over, shown(&path.join("…")), format!("more than {} files and folders", self.limits.entries));
        }
        names.sort();
        names
    }

    fn entry(&mut self, fd: &OwnedFd, path: &Path, name: &CStr, depth: usize, place: &V::Place) -> Taken<()> {
        let stat = match open::about(fd, name) {
            Ok(stat) => stat,
            Err(why) => return Ok(Err(why)),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => self.file(fd, path, name, &stat, place),
            FileType::Directory => self.inner_folder(fd, path, name, &stat, depth, place),
            FileType::Symlink => match readlinkat(fd, name, Vec::new()) {
                Ok(target) => self.visit.link(place, name, &target),
                Err(error) => Ok(Err(open::why(error))),
            },
            other => Ok(Err(open::odd(other).unwrap_or_default().to_owned())),
        }
    }

    fn inner_folder(&mut self, fd: &OwnedFd, path: &Path, name: &CStr, stat: &Stat, depth: usize, place: &V::Place) -> Taken<()> {
        if depth >= self.limits.depth {
            return Ok(Err(format!("deeper than {} folders", self.limits.depth)));
        }
        let inner = match open::folder(fd, name) {
            Ok(inner) => inner,
            Err(error) => return Ok(Err(open::why(error))),
        };
        match self.visit.folder(place, name, stat)? {
            Ok(own) => self.folder(&inner, path, depth + 1, &own).map(Ok),
            Err(why) => Ok(Err(why)),
        }
    }

    fn file(&mut self, fd: &OwnedFd, path: &Path, name: &CStr, stat: &Stat, place: &V::Place) -> Taken<()> {
        let bytes = u64::try_from(stat.st_size).unwrap_or(0);
        if bytes > self.limits.file_bytes {
            return Ok(Err(open::too_large(bytes)));
        }
        let room = self.limits.bytes.saturating_sub(self.bytes);
        if bytes > room {
            return Ok(Err(format!("more than {} in all", size(self.limits.bytes))));
        }
        self.bytes += bytes;
        self.visit.file(place, &Regular { path, name, stat, most: self.limits.file_bytes.min(room), at: fd })
    }
}
