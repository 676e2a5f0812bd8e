//! Removes a folder that programs nobody trusts have written to.
//!
//! Links are never followed, and every step goes through an open folder, so that whoever swaps a folder for a link meanwhile gains
//! nothing. Folders are brought up to the top before they are emptied: a tree ten thousand folders deep costs no more than a flat one.
//! What its owner may not read or write is made so first.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, chmod, fstat, open, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

/// Prefix of the names that folders have while they wait at the top. Nobody else may make names there any more: what is removed has no
/// living process.
const WAITING: &str = ".proctor-removes-";

/// Removes the folder `path` with everything in it. One that is not there is fine; something else in its place is an error, and stays.
///
/// # Errors
/// What the system said, or that something is mounted there.
pub(crate) fn folder(path: &Path) -> io::Result<()> {
    let top = match open_folder(None, &name_of(path)?) {
        Err(Errno::NOENT) => return Ok(()),
        Err(Errno::LOOP | Errno::NOTDIR) => {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "it is no folder: left alone"));
        }
        opened => opened?,
    };
    let device = fstat(&top)?.st_dev;
    let mut waiting = 0_u64;
    empty(&top, &top, device, &mut waiting)?;
    // Folders that were brought up are emptied in turn; each can bring up others.
    let mut done = 0;
    while done < waiting {
        let name = waiting_name(done)?;
        let folder = open_folder(Some(top.as_fd()), &name)?;
        if fstat(&folder)?.st_dev != device {
            return Err(is_mount());
        }
        empty(&folder, &top, device, &mut waiting)?;
        unlinkat(&top, &name, AtFlags::REMOVEDIR)?;
        done += 1;
    }
    rustix::fs::rmdir(path)?;
    Ok(())
}

/// Removes the files of `folder` and brings its folders up to `top`.
fn empty(folder: &OwnedFd, top: &OwnedFd, device: u64, waiting: &mut u64) -> io::Result<()> {
    let names = names_in(folder)?;
    for name in names {
        let stat = match statat(folder, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            stat => stat?,
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            unlinkat(folder, &name, AtFlags::empty())?;
            continue;
        }
        if stat.st_dev != device {
            return Err(is_mount());
        }
        // To be moved a folder must be writable: it holds the way back to its parent.
        drop(open_folder(Some(folder.as_fd()), &name)?);
        renameat(folder, &name, top, waiting_name(*waiting)?)?;
        *waiting += 1;
    }
    Ok(())
}

/// The names in a folder but `.`, `..` and those that wait.
fn names_in(folder: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_owned();
        if ![&b"."[..], b".."].contains(&name.to_bytes()) && !name.to_bytes().starts_with(WAITING.as_bytes()) {
            names.push(name);
        }
    }
    Ok(names)
}

fn waiting_name(number: u64) -> io::Result<CString> {
    CString::new(format!("{WAITING}{number}")).map_err(io::Error::other)
}

fn name_of(path: &Path) -> io::Result<CString> {
    use std::os::unix::ffi::OsStrExt;
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)
}

/// Opens a folder that may be read, written and entered by its owner from then on; never through a link.
fn open_folder(at: Option<BorrowedFd<'_>>, name: &CStr) -> rustix::io::Result<OwnedFd> {
    let open_it = |flags: OFlags| {
        let flags = flags | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match at {
            Some(at) => openat(at, name, flags, Mode::empty()),
            None => open(name, flags, Mode::empty()),
        }
    };
    let place = open_it(OFlags::PATH)?;
    let mode = Mode::from_raw_mode(fstat(&place)?.st_mode);
    if !mode.contains(Mode::RWXU) {
        // A folder that is open by its place only has no other way to be changed.
        chmod(format!("/proc/self/fd/{}", place.as_raw_fd()), mode | Mode::RWXU)?;
    }
    openat(&place, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn is_mount() -> io::Error {
    io::Error::new(io::ErrorKind::ResourceBusy, "something is mounted in it: unmount it first")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn everything_goes_and_nothing_that_links_lead_to() {
        let place = tempfile::tempdir().unwrap();
        let (own, other) = (place.path().join("own"), place.path().join("other"));
        for folder in [own.join("a/b"), own.join("c"), other.clone()] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(other.join("file"), "x").unwrap();
        fs::write(own.join("a/b/file"), "x").unwrap();
        symlink(&other, own.join("c/link")).unwrap();
        symlink(&other, own.join("link")).unwrap();
        std::os::unix::net::UnixListener::bind(own.join("socket")).unwrap();
        folder(&own).unwrap();
        assert!(!own.exists() && other.join("file").exists());
        folder(&own).unwrap();
    }

    #[test]
    fn folders_that_nobody_may_enter_go_too() {
        let place = tempfile::tempdir().unwrap();
        let own = place.path().join("own");
        fs::create_dir_all(own.join("shut/inner")).unwrap();
        fs::write(own.join("shut/inner/file"), "x").unwrap();
        for name in ["shut/inner", "shut", ""] {
            fs::set_permissions(own.join(name), fs::Permissions::from_mode(0o0)).unwrap();
        }
        folder(&own).unwrap();
        assert!(!own.exists());
    }

    #[test]
    fn a_very_deep_tree_goes_too() {
        let place = tempfile::tempdir().unwrap();
        let own = place.path().join("own");
        fs::create_dir(&own).unwrap();
        let mut at = open(&own, OFlags::DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..3000 {
            rustix::fs::mkdirat(&at, c"deep", Mode::RWXU).unwrap();
            at = openat(&at, c"deep", OFlags::DIRECTORY, Mode::empty()).unwrap();
        }
        drop(at);
        folder(&own).unwrap();
        assert!(!own.exists());
    }

    #[test]
    fn a_link_in_the_folders_place_stays_and_so_does_what_it_leads_to() {
        let place = tempfile::tempdir().unwrap();
        let other = place.path().join("other");
        fs::create_dir(&other).unwrap();
        symlink(&other, place.path().join("own")).unwrap();
        assert!(folder(&place.path().join("own")).is_err());
        assert!(other.is_dir());
    }
}
