//! Opening one file or folder without following a link and without waiting.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, fstat, openat, statat};

use super::{LIMITS, size};

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// Why something is left out.
pub(super) type Why = String;

/// Opens the folder where a reading begins. Its own path is Proctor's and may lead through links.
pub(super) fn root(folder: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, folder, flags, Mode::empty()).map_err(io::Error::from)
}

/// Opens a folder in a folder.
pub(super) fn folder(at: impl AsFd, name: &CStr) -> rustix::io::Result<OwnedFd> {
    openat(at, name, FOLDER, Mode::empty())
}

/// What a name stands for; a link stands for itself.
pub(super) fn about(at: impl AsFd, name: &CStr) -> Result<Stat, Why> {
    statat(at, name, AtFlags::SYMLINK_NOFOLLOW).map_err(why)
}

/// Opens a regular file. It is looked at before it is opened, since opening a device can have effects, and once more afterwards.
pub(super) fn file(at: impl AsFd, name: &CStr) -> Result<(File, u64), Why> {
    regular(&about(&at, name)?)?;
    let file = openat(&at, name, FILE, Mode::empty()).map_err(why)?;
    let stat = fstat(&file).map_err(why)?;
    regular(&stat)?;
    let bytes = u64::try_from(stat.st_size).unwrap_or(0);
    Ok((File::from(file), bytes))
}

fn regular(stat: &Stat) -> Result<(), Why> {
    match odd(FileType::from_raw_mode(stat.st_mode)) {
        None => Ok(()),
        Some(what) => Err(what.into()),
    }
}

/// What a thing is that is no regular file.
pub(super) fn odd(kind: FileType) -> Option<&'static str> {
    Some(match kind {
        FileType::RegularFile => return None,
        FileType::Directory => "a folder",
        FileType::Symlink => "a link",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Unknown => "no regular file",
    })
}

/// An error of the system in words that are the same on every system.
pub(super) fn why(error: rustix::io::Errno) -> Why {
    io::Error::from(error).kind().to_string()
}

/// Opens the regular file at `path` below `root`; no part of `path` may be a link.
pub(super) fn below(root: &Path, path: &Path) -> Result<(File, u64), Why> {
    let name = path.file_name().and_then(|name| CString::new(name.as_encoded_bytes()).ok()).ok_or("a folder")?;
    let above = folder_below(root, path.parent().unwrap_or(Path::new(""))).map_err(|kind| kind.to_string())?;
    file(&above, &name)
}

/// Opens the folder at `path` below `root`; no part of `path` may be a link or lead upwards.
pub(super) fn folder_below(root: &Path, path: &Path) -> Result<OwnedFd, io::ErrorKind> {
    let mut at = self::root(root).map_err(|error| error.kind())?;
    for part in path.components() {
        let Component::Normal(name) = part else { return Err(io::ErrorKind::InvalidFilename) };
        let name = CString::new(name.as_encoded_bytes()).map_err(|_| io::ErrorKind::InvalidFilename)?;
        at = folder(&at, &name).map_err(|error| io::Error::from(error).kind())?;
    }
    Ok(at)
}

/// Opens the regular file at `path` below `root`; no part of `path` may be a link. The file and its length.
///
/// # Errors
/// Why it is left out: it is not there, is no regular file, or cannot be opened.
pub fn open(root: &Path, path: &Path) -> Result<(File, u64), String> {
    below(root, path)
}

/// Reads the regular file at `path` below `root`; no part of `path` may be a link.
///
/// # Errors
/// Why it is left out: it is not there, is no regular file, is larger than one file may be, or cannot be read.
pub fn read(root: &Path, path: &Path) -> Result<Vec<u8>, String> {
    let (file, bytes) = below(root, path)?;
    if bytes > LIMITS.file_bytes {
        return Err(too_large(bytes));
    }
    let mut content = Vec::new();
    // It may grow while it is read.
    file.take(LIMITS.file_bytes).read_to_end(&mut content).map_err(|error| error.kind().to_string())?;
    Ok(content)
}

pub(super) fn too_large(bytes: u64) -> Why {
    format!("larger than {}: {}", size(LIMITS.file_bytes), size(bytes))
}
