//! The list of an environment's files, by which a change of any is noticed.
//!
//! A file whose inode, size and times are those of the list is taken as unchanged: the time of a change (`ctime`) can be set by nobody.
//! Otherwise its content decides, so that a cache that was copied is still good.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use crate::digest::{sha256, sha256_of};
use crate::halt::Halt;
use crate::untrusted::shown;

/// What stands at a path, by relative path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    entries: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// Type and permissions (stat(2)).
    mode: u32,
    /// A file's SHA-256, a link's target; empty for a folder.
    content: String,
    /// Inode, size, `mtime` and `ctime` in seconds and nanoseconds; none for a folder, whose times tell nothing of its files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stamp: Option<Stamp>,
}

/// Inode, size, `mtime`, `ctime`.
type Stamp = (u64, u64, (i64, i64), (i64, i64));

/// How an environment compares with its list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Compared {
    /// What is different: `bin/python is another link`, `lib/x.py is new`.
    pub(super) changes: Vec<String>,
    /// Whether something had to be read because its times were others.
    pub(super) read: bool,
}

/// The stamp of a file, links followed: for programs outside an environment.
pub(super) fn stamp_of(file: &Path) -> Option<(PathBuf, String)> {
    let real = file.canonicalize().ok()?;
    let about = fs::metadata(&real).ok()?;
    Some((real, format!("{:?}", stamp(&about))))
}

fn stamp(about: &Metadata) -> Stamp {
    (about.ino(), about.len(), (about.mtime(), about.mtime_nsec()), (about.ctime(), about.ctime_nsec()))
}

fn beside(place: &Path) -> PathBuf {
    place.with_extension("files.json")
}

impl Manifest {
    /// Lists an environment.
    ///
    /// # Errors
    /// When something in it cannot be read.
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let entries = found(folder)?.into_iter().map(|(path, about)| {
            let content = content(&folder.join(&path), &about)?;
            Ok((shown(&path), Entry { mode: about.mode(), content, stamp: (!about.is_dir()).then(|| stamp(&about)) }))
        });
        Ok(Self { entries: entries.collect::<io::Result<_>>()? })
    }

    /// The list beside an environment; absent when there is none or it cannot be understood.
    pub(super) fn beside(place: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(beside(place)).ok()?).ok()
    }

    /// Writes the list beside an environment, all of it or none.
    pub(super) fn write_beside(&self, place: &Path) -> Result<(), Halt> {
        let file = beside(place);
        let draft = file.with_extension(format!("new-{}", std::process::id()));
        let bytes = serde_json::to_vec(self).map_err(|error| Halt::harness(error.to_string()))?;
        let written = fs::write(&draft, bytes).and_then(|()| fs::rename(&draft, &file));
        written.map_err(|error| Halt::io("write", &file, &error))
    }

    /// How many files, folders and links are listed.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// One sum over all names, permissions and contents.
    pub(super) fn sha256(&self) -> String {
        let line = |(path, entry): (&String, &Entry)| format!("{path}\0{:o}\0{}\n", entry.mode, entry.content);
        sha256(self.entries.iter().map(line).collect::<String>().as_bytes())
    }

    /// Compares an environment with the list.
    pub(super) fn compare(&self, folder: &Path) -> Compared {
        let mut compared = Compared::default();
        let there = match found(folder) {
            Ok(there) => there,
            Err(error) => {
                compared.changes.push(format!("it cannot be read: {error}"));
                return compared;
            }
        };
        let mut gone: BTreeMap<&str, &Entry> = self.entries.iter().map(|(path, entry)| (path.as_str(), entry)).collect();
        for (path, about) in there {
            let name = shown(&path);
            let Some(entry) = gone.remove(name.as_str()) else {
                compared.changes.push(format!("{name} is new"));
                continue;
            };
            if entry.mode == about.mode() && (about.is_dir() || entry.stamp == Some(stamp(&about))) {
                continue;
            }
            compared.read = true;
            if let Some(how) = difference(entry, &about, &folder.join(&path)) {
                compared.changes.push(format!("{name} {how}"));
            }
        }
        compared.changes.extend(gone.keys().map(|name| format!("{name} is gone")));
        compared
    }
}

fn difference(entry: &Entry, about: &Metadata, path: &Path) -> Option<&'static str> {
    const KIND: u32 = 0o170_000;
    if entry.mode & KIND != about.mode() & KIND {
        return Some("is no longer what it was");
    }
    if content(path, about).ok().as_ref() != Some(&entry.content) {
        return Some(if about.is_symlink() { "is another link" } else { "has another content" });
    }
    (entry.mode != about.mode()).then_some("has other permissions")
}

/// Everything below a folder, by relative path, links as themselves. What Proctor writes beside the packages belongs to it.
fn found(folder: &Path) -> io::Result<Vec<(PathBuf, Metadata)>> {
    let entry = |entry: walkdir::Result<walkdir::DirEntry>| {
        let entry = entry?;
        let about = entry.metadata()?;
        Ok((entry.path().strip_prefix(folder).unwrap_or(entry.path()).to_owned(), about))
    };
    WalkDir::new(folder).min_depth(1).sort_by_file_name().into_iter().map(entry).collect()
}

fn content(path: &Path, about: &Metadata) -> io::Result<String> {
    if about.is_dir() {
        Ok(String::new())
    } else if about.is_symlink() {
        Ok(shown(&fs::read_link(path)?))
    } else if about.is_file() {
        sha256_of(fs::File::open(path)?)
    } else {
        Ok("no regular file".into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn environment() -> (tempfile::TempDir, PathBuf, Manifest) {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().join("venv");
        fs::create_dir_all(place.join("bin")).unwrap();
        symlink("/usr/bin/python3", place.join("bin/python")).unwrap();
        fs::write(place.join("a.py"), "a = 1").unwrap();
        let manifest = Manifest::of(&place).unwrap();
        (root, place, manifest)
    }

    #[test]
    fn every_kind_of_change_is_named() {
        let (_root, place, manifest) = environment();
        assert_eq!(manifest.compare(&place), Compared::default());
        fs::remove_file(place.join("bin/python")).unwrap();
        symlink("/tmp/other", place.join("bin/python")).unwrap();
        fs::write(place.join("a.py"), "a = 2").unwrap();
        fs::write(place.join("b.py"), "").unwrap();
        let changes = manifest.compare(&place).changes;
        assert_eq!(changes, ["a.py has another content", "b.py is new", "bin/python is another link"]);
        fs::remove_dir_all(place.join("bin")).unwrap();
        fs::write(place.join("a.py"), "a = 1").unwrap();
        fs::set_permissions(place.join("a.py"), fs::Permissions::from_mode(0o777)).unwrap();
        let changes = manifest.compare(&place).changes;
        assert_eq!(changes, ["a.py has other permissions", "b.py is new", "bin is gone", "bin/python is gone"]);
    }

    #[test]
    fn a_file_with_its_old_size_and_time_is_read_when_it_was_written() {
        let (_root, place, manifest) = environment();
        let file = place.join("a.py");
        let before = fs::metadata(&file).unwrap();
        // The clock of older kernels has a coarse tick.
        while stamp(&fs::metadata(&file).unwrap()).3 == stamp(&before).3 {
            fs::write(&file, "a = 9").unwrap();
            fs::File::options().write(true).open(&file).unwrap().set_modified(before.modified().unwrap()).unwrap();
        }
        assert_eq!(manifest.compare(&place).changes, ["a.py has another content"]);
    }

    #[test]
    fn a_copy_is_as_good_and_the_list_is_found_beside_it() {
        let (root, place, manifest) = environment();
        let copy = root.path().join("copy");
        crate::untrusted::copy(&place, &copy).unwrap();
        let compared = manifest.compare(&copy);
        assert_eq!((compared.changes, compared.read), (Vec::new(), true));
        manifest.write_beside(&copy).unwrap();
        assert_eq!(Manifest::beside(&copy), Some(manifest));
    }
}
