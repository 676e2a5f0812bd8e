//! SHA-256 sums of programs, remembered from run to run: those of a real town weigh hundreds of megabytes, and seldom change.
//!
//! As in git's index a file counts as the one that was hashed while its place on the disk, size and times are the same. The time of its
//! last change of any kind (`ctime`) is among them, which nobody can set.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::digest::sha256_of;

/// Name of the file in the cache.
const FILE: &str = "sha256.json";
/// A file that changed this recently is not remembered: it could change again within the same tick of the disk's clock.
const SETTLED: Duration = Duration::from_secs(2);

/// See the file's head.
pub(crate) struct Hashes {
    file: PathBuf,
    known: BTreeMap<PathBuf, Known>,
    learned: bool,
}

/// One file as it was when it was hashed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Known {
    identity: Identity,
    sha256: String,
}

/// Device, inode, size, and nanoseconds of the last change of the content and of anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    dev: u64,
    ino: u64,
    size: u64,
    mtime_ns: i128,
    ctime_ns: i128,
}

impl Identity {
    fn of(meta: &fs::Metadata) -> Self {
        let ns = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Self {
            dev: meta.dev(),
            ino: meta.ino(),
            size: meta.size(),
            mtime_ns: ns(meta.mtime(), meta.mtime_nsec()),
            ctime_ns: ns(meta.ctime(), meta.ctime_nsec()),
        }
    }

    /// Whether the last change is long enough ago that another one would show.
    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i128::try_from(now.saturating_sub(SETTLED).as_nanos()).is_ok_and(|before| self.ctime_ns < before)
    }
}

impl Hashes {
    /// What is remembered in Proctor's folder in the user's cache; nothing where that cannot be read.
    pub(crate) fn remembered(cache: &Path) -> Self {
        let file = cache.join(FILE);
        let known = fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Self { file, known, learned: false }
    }

    /// The sum of a file's content, in hexadecimal digits; absent when it cannot be read.
    pub(crate) fn of(&mut self, path: &Path) -> Option<String> {
        let mut file = File::open(path).ok()?;
        let identity = Identity::of(&file.metadata().ok()?);
        if let Some(known) = self.known.get(path).filter(|known| known.identity == identity) {
            return Some(known.sha256.clone());
        }
        let sha256 = sha256_of(&mut file).ok()?;
        let unchanged = file.metadata().is_ok_and(|meta| Identity::of(&meta) == identity);
        if unchanged && identity.is_settled() {
            self.known.insert(path.to_owned(), Known { identity, sha256: sha256.clone() });
            self.learned = true;
        }
        Some(sha256)
    }

    /// Writes down what was learned, without what has changed or gone. A run beside this one may write too: the last one stays whole,
    /// and whoever misses something hashes it again. What cannot be written costs the next run the same time, nothing else.
    pub(crate) fn remember(mut self) {
        if !self.learned {
            return;
        }
        self.known.retain(|path, known| fs::metadata(path).is_ok_and(|meta| Identity::of(&meta) == known.identity));
        let draft = self.file.with_extension(format!("new-{}", std::process::id()));
        // One is there while another run of this process writes: what that one learned is as good.
        let Ok(file) = File::create_new(&draft) else { return };
        if self.write(file, &draft).is_err() {
            _ = fs::remove_file(&draft);
        }
    }

    fn write(&self, mut file: File, draft: &Path) -> io::Result<()> {
        file.write_all(&serde_json::to_vec(&self.known)?)?;
        fs::rename(draft, &self.file)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const OF_ONE: &str = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";
    const OF_TWO: &str = "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3";

    /// A folder for the cache and a program that says `content`, which looks as if it had been there for long: what is remembered of it
    /// is written by hand, since its `ctime` cannot be.
    fn program(content: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        fs::write(&path, content).unwrap();
        (folder, path)
    }

    fn pretend(cache: &Path, path: &Path, sha256: &str) {
        let identity = Identity::of(&fs::metadata(path).unwrap());
        let known = BTreeMap::from([(path.to_owned(), Known { identity, sha256: sha256.into() })]);
        fs::write(cache.join(FILE), serde_json::to_vec(&known).unwrap()).unwrap();
    }

    #[test]
    fn a_file_that_is_the_same_is_not_read_again_and_a_changed_one_is() {
        let (cache, path) = program("one");
        pretend(cache.path(), &path, "remembered");
        assert_eq!(Hashes::remembered(cache.path()).of(&path).as_deref(), Some("remembered"));
        fs::write(&path, "two").unwrap();
        assert_eq!(Hashes::remembered(cache.path()).of(&path).as_deref(), Some(OF_TWO));
    }

    #[test]
    fn another_file_in_the_same_place_with_the_same_size_and_time_is_another_one() {
        let (cache, path) = program("one");
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        pretend(cache.path(), &path, OF_ONE);
        let other = cache.path().join("other");
        fs::write(&other, "two").unwrap();
        File::options().write(true).open(&other).unwrap().set_modified(modified).unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(Hashes::remembered(cache.path()).of(&path).as_deref(), Some(OF_TWO));
    }

    #[test]
    fn what_just_changed_is_not_remembered() {
        let (cache, path) = program("one");
        let mut hashes = Hashes::remembered(cache.path());
        assert_eq!(hashes.of(&path).as_deref(), Some(OF_ONE));
        hashes.remember();
        assert!(!cache.path().join(FILE).exists());
    }

    #[test]
    fn what_has_been_there_is_remembered_and_what_is_gone_forgotten() {
        let (cache, path) = program("one");
        pretend(cache.path(), &path, OF_ONE);
        fs::remove_file(&path).unwrap();
        // A program of the machine that no test made.
        let shell = fs::canonicalize("/bin/sh").unwrap();
        let mut hashes = Hashes::remembered(cache.path());
        let sum = hashes.of(&shell).unwrap();
        hashes.remember();
        let known = Hashes::remembered(cache.path()).known;
        assert_eq!(known.keys().collect::<Vec<_>>(), [&shell]);
        assert_eq!(known[&shell].sha256, sum);
    }

    #[test]
    fn a_spoilt_memory_and_a_cache_that_cannot_be_written_change_no_sum() {
        let (cache, path) = program("one");
        fs::write(cache.path().join(FILE), "{").unwrap();
        assert_eq!(Hashes::remembered(cache.path()).of(&path).as_deref(), Some(OF_ONE));
        let mut hashes = Hashes::remembered(Path::new("/nonexistent"));
        assert_eq!(hashes.of(&path).as_deref(), Some(OF_ONE));
        hashes.learned = true;
        hashes.remember();
        assert_eq!(Hashes::remembered(cache.path()).of(&cache.path().join("absent")), None);
    }
}
