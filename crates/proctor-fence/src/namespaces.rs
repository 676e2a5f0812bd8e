//! Mount namespaces: folders of the fence's own, and everything else read-only.

use std::ffi::CString;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount, mount_change, move_mount, open_tree,
};

use crate::paths::{self, Own};
use crate::{Fence, FenceError, Namespaces, sys};

/// Empty folders of the fence's own, which may be written.
const OWN: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];
/// Folders that look empty.
const HIDDEN: [&str; 1] = ["/run"];

/// `MOUNT_ATTR_RDONLY`.
const READ_ONLY: u64 = 1;

/// A part of the file system that is kept: where it belongs, and itself, detached.
struct Kept {
    path: PathBuf,
    is_folder: bool,
    tree: OwnedFd,
}

/// The ids of a process before it got a user namespace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ids {
    user: u32,
    group: u32,
}

impl Ids {
    /// This process's.
    pub(crate) fn mine() -> Self {
        Self { user: rustix::process::geteuid().as_raw(), group: rustix::process::getegid().as_raw() }
    }

    /// In a new user namespace: everybody keeps the number that they have.
    pub(crate) fn keep(self) -> Result<(), FenceError> {
        let Self { user, group } = self;
        let write = |file: &str, text: String| fs::write(format!("/proc/self/{file}"), text);
        write("setgroups", "deny".into())
            .and_then(|()| write("uid_map", format!("{user} {user} 1")))
            .and_then(|()| write("gid_map", format!("{group} {group} 1")))
            .map_err(|error| FenceError::step("a user namespace", error))
    }
}

/// Lays out the file system of this process's new mount namespace; gives what may be used of it besides what the fence lists.
///
/// # Errors
/// When a step is refused: the process is then neither here nor there.
pub(crate) fn furnish(fence: &Fence, wanted: &Namespaces, own_processes: bool) -> Result<Own, FenceError> {
    let cwd = std::env::current_dir();
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(|error| FenceError::step("a mount namespace", error))?;
    let own = existing(OWN.iter().map(Path::new));
    let hidden = existing(HIDDEN.iter().map(Path::new).chain(wanted.hide.iter().map(PathBuf::as_path)));
    let covered = outermost(own.iter().chain(&hidden).cloned().collect());
    let mut read = kept("read", paths::readable(fence), &covered)?;
    let listed = fence.write.iter().filter(|path| !own.contains(path)).cloned().collect();
    let mut written = kept("write", listed, &[PathBuf::from("/")])?;
    for one in &wanted.bind {
        let kept = keep("bind", &one.source, one.target.clone())?;
        if one.write { &mut written } else { &mut read }.push(kept);
    }
    let links = links(fence, &covered);
    cover(&own, &covered)?;
    for (link, target) in links {
        // What it leads to is kept, too, if it is listed; a link that is there again was part of a kept folder.
        _ = link.parent().map(fs::create_dir_all);
        _ = std::os::unix::fs::symlink(target, link);
    }
    lay_out(&own, &read, &written)?;
    if own_processes {
        fresh_proc()?;
    }
    if let Ok(cwd) = cwd {
        // The folder may be hidden now; whoever is in it then sees it no longer.
        _ = std::env::set_current_dir(cwd).or_else(|_| std::env::set_current_dir("/"));
    }
    let targets = |write: bool| wanted.bind.iter().filter(move |one| one.write == write).map(|one| one.target.clone());
    Ok(Own { read: targets(false).collect(), write: own.into_iter().chain(targets(true)).collect(), hidden })
}

/// Mounts an empty folder over each covered one.
fn cover(own: &[PathBuf], covered: &[PathBuf]) -> Result<(), FenceError> {
    for folder in covered {
        // What is written there is memory: some bound is better than the kernel's, half of the machine's.
        let mode = if own.contains(folder) { c"mode=1777,size=1g" } else { c"mode=0755,size=1m" };
        mount(c"fence", folder, c"tmpfs", MountFlags::NOSUID | MountFlags::NODEV, mode)
            .map_err(|error| FenceError::step(format!("covering {}", folder.display()), error))?;
    }
    Ok(())
}

/// Puts what is kept at its place; only what is written stays writable.
fn lay_out(own: &[PathBuf], read: &[Kept], written: &[Kept]) -> Result<(), FenceError> {
    for one in read {
        make_place(one)?;
        put_back(one)?;
    }
    for one in written {
        make_place(one)?;
    }
    attributes(Path::new("/"), true, READ_ONLY, 0)?;
    for folder in own {
        attributes(folder, false, 0, READ_ONLY)?;
    }
    written.iter().try_for_each(put_back)
}

/// What shows the processes of this process's namespace, at the place of what shows those of the one outside.
fn fresh_proc() -> Result<(), FenceError> {
    mount(c"proc", c"/proc", c"proc", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, None)
        .map_err(|error| FenceError::step("a /proc of its own", error))
}

/// The folders that exist, with links resolved.
fn existing<'a>(folders: impl Iterator<Item = &'a Path>) -> Vec<PathBuf> {
    let folders = folders.filter_map(|folder| fs::canonicalize(folder).ok());
    folders.filter(|folder| folder.is_dir() && folder != Path::new("/")).collect()
}

/// Those folders that lie in no other one.
fn outermost(mut folders: Vec<PathBuf>) -> Vec<PathBuf> {
    folders.sort();
    let mut kept: Vec<PathBuf> = Vec::new();
    for folder in folders {
        if !kept.iter().any(|outer| folder.starts_with(outer)) {
            kept.push(folder);
        }
    }
    kept
}

/// Takes hold of the listed paths that lie below a covered folder, before it is covered. What is not there is passed over.
fn kept(key: &'static str, listed: Vec<PathBuf>, covered: &[PathBuf]) -> Result<Vec<Kept>, FenceError> {
    let listed = listed.iter().filter_map(|path| fs::canonicalize(path).ok()).collect();
    let is_covered = |path: &PathBuf| covered.iter().any(|folder| path.starts_with(folder) && path != folder);
    outermost(listed).into_iter().filter(is_covered).map(|path| keep(key, &path, path.clone())).collect()
}

/// The listed paths below a covered folder that are links, and what is in them.
fn links(fence: &Fence, covered: &[PathBuf]) -> Vec<(PathBuf, PathBuf)> {
    let listed = fence.read.iter().chain(&fence.write);
    let below = listed.filter(|path| covered.iter().any(|folder| path.starts_with(folder)));
    below.filter_map(|path| Some((path.clone(), fs::read_link(path).ok()?))).collect()
}

/// Takes hold of one path, to be put at `place`.
fn keep(key: &'static str, path: &Path, place: PathBuf) -> Result<Kept, FenceError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(CWD, path, flags).map_err(|error| paths::unopened(key, path, &error))?;
    Ok(Kept { path: place, is_folder: path.is_dir(), tree })
}

/// Makes what a kept path is mounted on, where the folder around it is covered now.
fn make_place(one: &Kept) -> Result<(), FenceError> {
    if fs::symlink_metadata(&one.path).is_ok() {
        return Ok(());
    }
    let parent = one.path.parent().unwrap_or(Path::new("/"));
    let made = if one.is_folder {
        fs::create_dir_all(&one.path)
    } else {
        fs::create_dir_all(parent).and_then(|()| fs::File::create(&one.path).map(drop))
    };
    made.map_err(|error| FenceError::step(format!("a place for {}", one.path.display()), error))
}

fn put_back(one: &Kept) -> Result<(), FenceError> {
    move_mount(&one.tree, c"", CWD, &one.path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|error| FenceError::step(format!("mounting {}", one.path.display()), error))
}

fn attributes(path: &Path, recursive: bool, set: u64, clear: u64) -> Result<(), FenceError> {
    let failed = |error: std::io::Error| FenceError::step(format!("mounting {} anew", path.display()), error);
    let text = CString::new(path.as_os_str().as_bytes()).map_err(|error| failed(error.into()))?;
    sys::mount_setattr(&text, recursive, set, clear).map_err(failed)
}
