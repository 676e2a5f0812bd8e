//! Removing a folder whatever lies in it: folders nested without end, without permission, names of any bytes.

use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;

use super::open;

/// How deep folders are gone into. What lies deeper is first moved to the top: descending takes a descriptor and a frame for each level.
const DEPTH: usize = 64;

/// Removes a folder with all that is in it; one that is not there is fine. A link is removed and not followed.
///
/// # Errors
/// When something cannot be removed.
pub fn remove(folder: &Path) -> io::Result<()> {
    match fs::symlink_metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.is_dir() => return fs::remove_file(folder),
        Ok(_) => {}
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = folder.file_name().map(|name| CString::new(name.as_encoded_bytes())).transpose()?;
    let name = name.ok_or(io::ErrorKind::InvalidInput)?;
    let top = enter(&open::root(parent)?, &name)?;
    let mut moved = 0;
    while empty(&top, &top, 0, &mut moved)? {}
    fs::remove_dir(folder)
}

/// Removes what is in a folder; `true` when something was moved to the top, which is to be emptied once more.
fn empty(at: &OwnedFd, top: &OwnedFd, depth: usize, moved: &mut u64) -> io::Result<bool> {
    let names: Vec<CString> = names(at)?;
    let mut again = false;
    for name in names {
        match unlinkat(at, &name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => continue,
            // What unlink(2) says of a folder differs between file systems.
            Err(Errno::ISDIR | Errno::PERM | Errno::ACCESS) => {}
            Err(error) => return Err(error.into()),
        }
        if depth >= DEPTH {
            again = true;
            *moved += 1;
            move_up(at, &name, top, *moved)?;
            continue;
        }
        let inner = enter(at, &name)?;
        again |= empty(&inner, top, depth + 1, moved)?;
        drop(inner);
        match unlinkat(at, &name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(again)
}

fn names(at: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(at.as_fd())? {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    Ok(names)
}

/// Moves a folder to the top under a name that nothing has there.
fn move_up(at: &OwnedFd, name: &CStr, top: &OwnedFd, number: u64) -> io::Result<()> {
    // A folder can be moved only by who may write to it: its entry `..` changes.
    drop(enter(at, name)?);
    let target = CString::new(format!(".removing-{}-{number}", std::process::id()))?;
    renameat(at, name, top, &target).map_err(io::Error::from)
}

/// Opens a folder; one that its owner may not read or write to is made readable first.
fn enter(at: &OwnedFd, name: &CStr) -> io::Result<OwnedFd> {
    let opened = open::folder(at, name);
    let writable = |fd: &OwnedFd| rustix::fs::fstat(fd).is_ok_and(|stat| Mode::from_raw_mode(stat.st_mode).contains(Mode::RWXU));
    match opened {
        Ok(fd) if writable(&fd) => Ok(fd),
        Ok(_) | Err(Errno::ACCESS) => {
            let path = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let handle = openat(at, name, path, Mode::empty())?;
            // By its descriptor: a name could lead elsewhere by now.
            let by_handle = format!("/proc/self/fd/{}", handle.as_raw_fd());
            // What stays forbidden shows when its entries are removed.
            _ = fs::set_permissions(by_handle, fs::Permissions::from_mode(0o700));
            open::folder(at, name).map_err(io::Error::from)
        }
        Err(error) => Err(error.into()),
    }
}
