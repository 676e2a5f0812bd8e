//! Hostile folders, made for real.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking, and a skipped one says so")]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mkdirat, mknodat};

use super::*;

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
}

fn names(listing: &Listing) -> Vec<String> {
    listing.files.iter().map(|file| shown(&file.path)).collect()
}

fn reasons(skipped: &proctor_judge::evidence::Skipped) -> Vec<(String, String)> {
    skipped.files.iter().map(|file| (file.path.clone(), file.why.clone())).collect()
}

fn pair(path: &str, why: &str) -> (String, String) {
    (path.to_owned(), why.to_owned())
}

/// A folder with one of everything.
fn hostile(folder: &Path) {
    fs::create_dir_all(folder.join("sub")).unwrap();
    fs::write(folder.join("sub/plain.txt"), "plain").unwrap();
    fs::write(folder.join(OsStr::from_bytes(b"caf\xe9")), "bytes").unwrap();
    fifo(&folder.join("pipe"));
    drop(UnixListener::bind(folder.join("sock")).unwrap());
    symlink("loop", folder.join("loop")).unwrap();
    symlink("..", folder.join("sub/up")).unwrap();
    symlink("/etc/passwd", folder.join("out")).unwrap();
    File::create(folder.join("sparse")).unwrap().set_len(1 << 40).unwrap();
}

const ODD: [(&str, &str); 3] = [("pipe", "a FIFO"), ("sock", "a socket"), ("sparse", "larger than 256 MiB: 1048576 MiB")];

#[test]
fn a_listing_has_regular_files_only_and_counts_the_rest() {
    let root = tempfile::tempdir().unwrap();
    hostile(root.path());
    let listing = list(root.path());
    assert_eq!(names(&listing), ["caf\\xe9", "sub/plain.txt"]);
    assert_eq!(listing.files[1].size, 5);
    assert_eq!(reasons(&listing.skipped), ODD.map(|(path, why)| pair(path, why)));
    assert_eq!(listing.skipped.count, 3);
}

#[test]
fn a_copy_has_files_and_links_as_they_are_and_counts_the_rest() {
    let root = tempfile::tempdir().unwrap();
    let (from, to) = (root.path().join("from"), root.path().join("to"));
    hostile(&from);
    let skipped = copy(&from, &to).unwrap();
    assert_eq!(reasons(&skipped), ODD.map(|(path, why)| pair(path, why)));
    assert_eq!(fs::read_link(to.join("loop")).unwrap(), PathBuf::from("loop"));
    assert_eq!(fs::read_link(to.join("out")).unwrap(), PathBuf::from("/etc/passwd"), "a link is copied, not followed");
    assert_eq!(names(&list(&to)), ["caf\\xe9", "sub/plain.txt"]);
}

#[test]
fn a_device_is_left_out_without_being_opened() {
    let root = tempfile::tempdir().unwrap();
    let null = rustix::fs::makedev(1, 3);
    if mknodat(CWD, root.path().join("null"), FileType::CharacterDevice, Mode::from_raw_mode(0o666), null).is_err() {
        eprintln!("skipped: root not found");
        return;
    }
    assert_eq!(reasons(&list(root.path()).skipped), [pair("null", "a device")]);
    let to = tempfile::tempdir().unwrap();
    assert_eq!(reasons(&copy(root.path(), to.path()).unwrap()), [pair("null", "a device")]);
}

#[test]
fn folders_without_end_are_read_to_the_limit_and_removed_whole() {
    let root = tempfile::tempdir().unwrap();
    let top = root.path().join("top");
    fs::create_dir(&top).unwrap();
    let mut at = open::root(&top).unwrap();
    for _ in 0..2000 {
        mkdirat(&at, "d", Mode::RWXU).unwrap();
        at = open::folder(&at, c"d").unwrap();
    }
    let skipped = list(&top).skipped;
    assert_eq!((skipped.count, skipped.files[0].why.as_str()), (1, "deeper than 64 folders"));
    assert_eq!(copy(&top, &root.path().join("to")).unwrap().count, 1);
    remove(&top).unwrap();
    assert!(!top.exists());
}

#[test]
fn what_its_owner_may_not_read_is_left_out_and_can_be_removed() {
    let root = tempfile::tempdir().unwrap();
    let top = root.path().join("top");
    fs::create_dir_all(top.join("closed/inner")).unwrap();
    fs::write(top.join("secret"), "x").unwrap();
    for (name, mode) in [("secret", 0o000), ("closed/inner", 0o000), ("closed", 0o000)] {
        fs::set_permissions(top.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let skipped = list(&top).skipped;
    if rustix::process::geteuid().is_root() {
        assert!(skipped.is_empty(), "nothing is forbidden to root");
    } else {
        assert_eq!(reasons(&skipped), [pair("closed", "permission denied"), pair("secret", "permission denied")]);
    }
    remove(&top).unwrap();
    assert!(!top.exists());
}

#[test]
fn too_many_files_are_counted() {
    let root = tempfile::tempdir().unwrap();
    for number in 0..120 {
        File::create(root.path().join(number.to_string())).unwrap();
    }
    let (from, to) = (root.path(), tempfile::tempdir().unwrap());
    let limits = Limits { entries: 100, ..LIMITS };
    let skipped = walk::walk(from, limits, &mut copy::Copy { links: true }, &open::root(to.path()).unwrap()).unwrap();
    assert_eq!(reasons(&skipped), [pair("…", "more than 100 files and folders")]);
    assert_eq!((skipped.count, fs::read_dir(to.path()).unwrap().count()), (20, 100));
}

#[test]
fn ten_thousand_files_are_copied() {
    let root = tempfile::tempdir().unwrap();
    let (from, to) = (root.path().join("from"), root.path().join("to"));
    fs::create_dir(&from).unwrap();
    for number in 0..10_000 {
        File::create(from.join(number.to_string())).unwrap();
    }
    assert!(copy(&from, &to).unwrap().is_empty());
    assert_eq!(fs::read_dir(&to).unwrap().count(), 10_000);
}

#[test]
fn a_copy_does_not_go_through_links_that_lie_where_it_goes() {
    let root = tempfile::tempdir().unwrap();
    let (from, to, other) = (root.path().join("from"), root.path().join("to"), root.path().join("other"));
    fs::create_dir_all(from.join("d")).unwrap();
    fs::write(from.join("d/f"), "new").unwrap();
    fs::write(from.join("g"), "new").unwrap();
    fs::create_dir(&to).unwrap();
    fs::create_dir(&other).unwrap();
    fs::write(other.join("g"), "old").unwrap();
    symlink(&other, to.join("d")).unwrap();
    symlink(other.join("g"), to.join("g")).unwrap();
    let skipped = copy(&from, &to).unwrap();
    assert_eq!(reasons(&skipped), [pair("d", "another file has that name where it goes")]);
    assert!(!other.join("f").exists());
    assert_eq!((fs::read(other.join("g")).unwrap(), fs::read(to.join("g")).unwrap()), (b"old".to_vec(), b"new".to_vec()));
}

#[test]
fn one_file_is_read_only_when_no_part_of_its_path_is_a_link() {
    let root = tempfile::tempdir().unwrap();
    let inside = root.path().join("inside");
    fs::create_dir_all(inside.join("logs")).unwrap();
    fs::write(inside.join("logs/a.log"), "text").unwrap();
    fs::write(root.path().join("operator"), "secret").unwrap();
    symlink("..", inside.join("up")).unwrap();
    symlink("../operator", inside.join("linked")).unwrap();
    fifo(&inside.join("pipe"));
    assert_eq!(read(&inside, Path::new("logs/a.log")).unwrap(), b"text");
    for path in ["up/operator", "linked", "../operator", "pipe", "logs", "gone"] {
        let to = root.path().join("copied");
        assert!(read(&inside, Path::new(path)).is_err(), "{path}");
        let skipped = copy_file(&inside, Path::new(path), &to).unwrap();
        assert_eq!((skipped.count, to.exists()), (u64::from(path != "gone"), false), "{path}");
    }
}

#[test]
fn of_evidence_only_the_files_of_one_folder_are_copied() {
    let root = tempfile::tempdir().unwrap();
    let (from, to) = (root.path().join("from"), root.path().join("to"));
    hostile(&from);
    fs::create_dir(&to).unwrap();
    let skipped = copy_flat(root.path(), Path::new("from"), &to).unwrap();
    let left: Vec<String> = skipped.files.iter().map(|file| file.path.clone()).collect();
    assert_eq!(left, ["loop", "out", "pipe", "sock", "sparse", "sub"]);
    assert_eq!(fs::read_dir(&to).unwrap().count(), 1);
}

#[test]
fn a_folder_of_evidence_that_is_a_link_is_left_out() {
    let root = tempfile::tempdir().unwrap();
    let (town, to) = (root.path().join("town"), root.path().join("to"));
    fs::create_dir_all(root.path().join("operator")).unwrap();
    fs::write(root.path().join("operator/key"), "secret").unwrap();
    fs::create_dir_all(town.join("settings")).unwrap();
    fs::write(town.join("settings/config.json"), "{}").unwrap();
    symlink("../operator", town.join("logs")).unwrap();
    for (path, left_out) in [("logs", 1), ("settings", 0), ("settings/config.json", 0), ("gone", 0)] {
        assert_eq!(copy_below(&town, Path::new(path), &to.join(path)).unwrap().count, left_out, "{path}");
    }
    assert_eq!(names(&list(&to)), ["settings/config.json"]);
}

#[test]
fn a_sparse_file_stays_sparse_and_is_measured_by_what_it_takes() {
    let root = tempfile::tempdir().unwrap();
    let (from, to) = (root.path().join("from"), root.path().join("to"));
    fs::create_dir(&from).unwrap();
    File::create(from.join("hole")).unwrap().set_len(64 << 20).unwrap();
    copy(&from, &to).unwrap();
    assert_eq!(fs::metadata(to.join("hole")).unwrap().len(), 64 << 20);
    let taken = measure(&to);
    assert_eq!(taken.files, 1);
    assert!(taken.bytes < 1 << 20, "{} bytes on the disk", taken.bytes);
}
