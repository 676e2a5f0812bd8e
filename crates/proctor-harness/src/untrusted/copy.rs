//! Copying files and folders to a place of Proctor's own, or to the next exercise.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use proctor_judge::evidence::Skipped;
use rustix::fs::{AtFlags, Mode, OFlags, Stat, mkdirat, openat, symlinkat, unlinkat};
use rustix::io::Errno;

use super::open::{self, Why};
use super::walk::{Regular, Taken, Visit, walk, walk_from};
use super::{LIMITS, shown, size};

const MAKE: OFlags = OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Bytes that are read at once; as many that are all zero stay a hole in the copy.
const CHUNK: usize = 128 << 10;

/// Copies a folder's files, folders and links below `to`, which is made; a missing folder is empty. Links are copied as they are.
/// What is there already is replaced.
///
/// # Errors
/// When `to` cannot be written.
pub fn copy(from: &Path, to: &Path) -> io::Result<Skipped> {
    fs::create_dir_all(to)?;
    walk(from, LIMITS, &mut Copy { links: true }, &open::root(to)?)
}

/// Copies the regular files that lie directly in the folder `path` below `root`, no part of which may be a link; a missing folder is
/// empty.
///
/// # Errors
/// When `to` cannot be written.
pub fn copy_flat(root: &Path, path: &Path, to: &Path) -> io::Result<Skipped> {
    let limits = super::Limits { depth: 0, ..LIMITS };
    walk_from(open::folder_below(root, path), limits, &mut Copy { links: false }, &open::root(to)?)
}

/// Copies the file, or the folder with all its files, at `path` below `root` to `to`, whose folder is made; links are left out, and no
/// part of `path` may be one. What is not there is nothing.
///
/// # Errors
/// When `to` cannot be written.
pub fn copy_below(root: &Path, path: &Path, to: &Path) -> io::Result<Skipped> {
    if let Some(above) = to.parent() {
        fs::create_dir_all(above)?;
    }
    match open::folder_below(root, path) {
        Err(io::ErrorKind::NotFound) => Ok(Skipped::default()),
        Err(_) => copy_file(root, path, to),
        opened => {
            fs::create_dir_all(to)?;
            walk_from(opened, LIMITS, &mut Copy { links: false }, &open::root(to)?)
        }
    }
}

pub(super) struct Copy {
    pub(super) links: bool,
}

impl Visit for Copy {
    type Place = OwnedFd;

    fn folder(&mut self, above: &OwnedFd, name: &CStr, stat: &Stat) -> Taken<OwnedFd> {
        // The copy can always be written to, whatever its folder says.
        let mode = Mode::from_raw_mode(stat.st_mode & 0o777) | Mode::RWXU;
        match mkdirat(above, name, mode) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        match open::folder(above, name) {
            Err(Errno::NOTDIR | Errno::LOOP) => Ok(Err("another file has that name where it goes".into())),
            opened => opened.map(Ok).map_err(io::Error::from),
        }
    }

    fn file(&mut self, place: &OwnedFd, file: &Regular<'_>) -> Taken<()> {
        let content = match file.open() {
            Ok(content) => content,
            Err(why) => return Ok(Err(why)),
        };
        let mode = Mode::from_raw_mode(file.stat.st_mode & 0o777);
        match make(place, file.name, mode)? {
            Ok(target) => pour(content.take(file.most), target).map(|poured| poured.map(drop)),
            Err(why) => Ok(Err(why)),
        }
    }

    fn link(&mut self, place: &OwnedFd, name: &CStr, target: &CStr) -> Taken<()> {
        if !self.links {
            return Ok(Err("a link".into()));
        }
        match symlinkat(target, place, name) {
            Ok(()) => Ok(Ok(())),
            Err(Errno::EXIST) => Ok(Err("another file has that name where it goes".into())),
            Err(error) => Err(error.into()),
        }
    }
}

/// Makes a file that was not there; a file or link of that name is replaced, a folder stays.
fn make(place: &OwnedFd, name: &CStr, mode: Mode) -> Taken<File> {
    let opened = match openat(place, name, MAKE, mode) {
        Err(Errno::EXIST) => match unlinkat(place, name, AtFlags::empty()) {
            Ok(()) => openat(place, name, MAKE, mode),
            Err(Errno::ISDIR | Errno::PERM) => return Ok(Err("a folder has that name where it goes".into())),
            Err(error) => Err(error),
        },
        opened => opened,
    };
    Ok(Ok(File::from(opened?)))
}

/// Copies all that there is to read, and leaves holes where it is zero. A source that cannot be read to its end is left out.
fn pour(mut source: impl Read, mut target: File) -> Taken<u64> {
    let mut buffer = vec![0; CHUNK];
    let mut copied = 0;
    loop {
        let read = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Ok(Err(error.kind().to_string())),
        };
        copied += read as u64;
        if read == CHUNK && buffer.iter().all(|byte| *byte == 0) {
            target.seek(SeekFrom::Current(CHUNK as i64))?;
        } else {
            target.write_all(&buffer[..read])?;
        }
    }
    target.set_len(copied)?;
    Ok(Ok(copied))
}

/// Copies the regular file at `path` below `root` to `to`; no part of `path` may be a link. Of one that is too large the beginning is
/// kept. A file that is not there is no file that was left out.
///
/// # Errors
/// When `to` cannot be written.
pub fn copy_file(root: &Path, path: &Path, to: &Path) -> io::Result<Skipped> {
    let mut skipped = Skipped::default();
    let (file, bytes) = match open::below(root, path) {
        Ok(opened) => opened,
        Err(why) if why == open::why(Errno::NOENT) => return Ok(skipped),
        Err(why) => {
            skipped.add(1, shown(path), why);
            return Ok(skipped);
        }
    };
    match pour(file.take(LIMITS.file_bytes), File::create(to)?)? {
        Err(why) => skipped.add(1, shown(path), why),
        Ok(_) if bytes > LIMITS.file_bytes => skipped.add(1, shown(path), cut(bytes)),
        Ok(_) => {}
    }
    Ok(skipped)
}

fn cut(bytes: u64) -> Why {
    format!("cut: only the first {} of {} are kept", size(LIMITS.file_bytes), size(bytes))
}
