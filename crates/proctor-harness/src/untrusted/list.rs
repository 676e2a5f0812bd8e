//! What lies in a folder: each file with its size and sum, or only how much it is.

use std::ffi::CStr;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use proctor_judge::evidence::Skipped;
use rustix::fs::Stat;

use super::LIMITS;
use super::walk::{Regular, Taken, Visit, walk};
use crate::digest::sha256_of;

/// A regular file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its path relative to the folder.
    pub path: PathBuf,
    /// Bytes that were read.
    pub size: u64,
    /// SHA-256 of them, lower-case hex.
    pub sha256: String,
}

/// The regular files of a folder.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// In the order of their names.
    pub files: Vec<Found>,
    /// What is not among them.
    pub skipped: Skipped,
}

/// Lists a folder's files with their sums. Links are neither files nor left out.
pub fn list(folder: &Path) -> Listing {
    let mut visit = Sums { files: Vec::new() };
    // This visitor has no side of its own on which anything could fail.
    let skipped = walk(folder, LIMITS, &mut visit, &()).unwrap_or_default();
    Listing { files: visit.files, skipped }
}

struct Sums {
    files: Vec<Found>,
}

impl Visit for Sums {
    type Place = ();

    fn folder(&mut self, _above: &(), _name: &CStr, _stat: &Stat) -> Taken<()> {
        Ok(Ok(()))
    }

    fn file(&mut self, _place: &(), file: &Regular<'_>) -> Taken<()> {
        let sum = file.open().and_then(|content| {
            let mut counted = Counted { inner: content.take(file.most), bytes: 0 };
            let sha256 = sha256_of(&mut counted).map_err(|error| error.kind().to_string())?;
            Ok(Found { path: file.path.to_owned(), size: counted.bytes, sha256 })
        });
        Ok(sum.map(|found| self.files.push(found)))
    }

    fn link(&mut self, _place: &(), _name: &CStr, _target: &CStr) -> Taken<()> {
        Ok(Ok(()))
    }
}

struct Counted<R> {
    inner: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes += read as u64;
        Ok(read)
    }
}

/// How much lies in a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// Regular files.
    pub files: u64,
    /// Bytes that they take on the disk: of a sparse file only what was written.
    pub bytes: u64,
    /// What was not measured.
    pub skipped: Skipped,
}

/// Measures a folder without opening a file.
pub fn measure(folder: &Path) -> Measure {
    let mut visit = Amount { files: 0, bytes: 0 };
    let limits = super::Limits { file_bytes: u64::MAX, bytes: u64::MAX, ..LIMITS };
    // This visitor has no side of its own on which anything could fail.
    let skipped = walk(folder, limits, &mut visit, &()).unwrap_or_default();
    Measure { files: visit.files, bytes: visit.bytes, skipped }
}

struct Amount {
    files: u64,
    bytes: u64,
}

impl Visit for Amount {
    type Place = ();

    fn folder(&mut self, _above: &(), _name: &CStr, _stat: &Stat) -> Taken<()> {
        Ok(Ok(()))
    }

    fn file(&mut self, _place: &(), file: &Regular<'_>) -> Taken<()> {
        self.files += 1;
        // Blocks of 512 bytes whatever the file system's own are (stat(2)).
        self.bytes += u64::try_from(file.stat.st_blocks).unwrap_or(0).saturating_mul(512);
        Ok(Ok(()))
    }

    fn link(&mut self, _place: &(), _name: &CStr, _target: &CStr) -> Taken<()> {
        Ok(Ok(()))
    }
}
