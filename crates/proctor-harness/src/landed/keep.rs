//! Writes the files of a tree byte for byte from its objects: no attribute, filter or setting has a say, no link is followed, and no name
//! leads out of the folder.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use proctor_judge::evidence::GitFile;
use sha2::{Digest, Sha256};

use super::git::Git;
use super::objects::{Ask, Head, Kind, Objects};
use super::tree::{Entry, What, shown};
use crate::digest::hex;
use crate::halt::Halt;

/// The largest file that is kept,
const FILE_BYTES: u64 = 256 << 20;
/// and all files of a tree together.
const ALL_BYTES: u64 = 1 << 30;
/// The longest name of a file that file systems take.
const NAME_BYTES: usize = 255;
/// The longest target of a link.
const LINK_BYTES: u64 = 4096;
/// What is read at once.
const PIECE: usize = 64 << 10;

/// What becomes of links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Links {
    /// They are recorded and not made.
    Recorded,
    /// Those that stay inside are made.
    Made,
}

/// Writes the files of a tree into an empty folder; what became of each entry.
///
/// # Errors
/// When git ends, or the disk refuses.
pub(super) fn keep(git: &Git, repository: &Path, entries: &[Entry], folder: &Path, links: Links) -> Result<Vec<GitFile>, Halt> {
    let ids: Vec<String> = entries.iter().map(|entry| entry.id.clone()).collect();
    let mut heads = Vec::with_capacity(ids.len());
    Objects::open(git, repository, Ask::Heads)?.each(&ids, |_, head, _| {
        heads.push(head);
        Ok(())
    })?;
    let inside: BTreeSet<&[u8]> =
        entries.iter().filter(|entry| entry.what == What::Link).map(|entry| entry.path.as_slice()).collect();
    let mut writer = Writer { folder, links, inside, made: BTreeSet::new(), bytes: 0 };
    let mut rows: Vec<GitFile> = entries.iter().zip(&heads).map(|(entry, head)| writer.row(entry, *head)).collect();
    let wanted: Vec<usize> =
        (0..rows.len()).filter(|at| rows[*at].not_kept.is_none() && entries[*at].what != What::Submodule).collect();
    let asked: Vec<String> = wanted.iter().map(|at| ids[*at].clone()).collect();
    Objects::open(git, repository, Ask::Contents)?.each(&asked, |nth, _, content| {
        let at = wanted[nth];
        writer.take(&entries[at], content, &mut rows[at])
    })?;
    Ok(rows)
}

struct Writer<'a> {
    folder: &'a Path,
    links: Links,
    /// The paths of all links.
    inside: BTreeSet<&'a [u8]>,
    /// Folders that were made.
    made: BTreeSet<PathBuf>,
    bytes: u64,
}

impl Writer<'_> {
    /// The row of an entry, before its content is read.
    fn row(&mut self, entry: &Entry, head: Option<Head>) -> GitFile {
        let size = head.map_or(0, |head| head.size);
        let not_kept = match entry.what {
            What::Submodule => Some("it is a submodule".to_owned()),
            _ => self.refusal(entry, head),
        };
        let size = if entry.what == What::Submodule { 0 } else { size };
        let (mode, path) = (entry.what.mode().to_owned(), shown(&entry.path));
        GitFile { path, mode, size, sha256: String::new(), link: None, not_kept }
    }

    fn refusal(&mut self, entry: &Entry, head: Option<Head>) -> Option<String> {
        let Some(Head { kind: Kind::Blob, size }) = head else { return Some("its content is not there".into()) };
        if entry.what == What::Link {
            return (size > LINK_BYTES).then(|| format!("its target has more than {LINK_BYTES} bytes"));
        }
        if let Some(why) = bad_name(&entry.path) {
            return Some(why.into());
        }
        if size > FILE_BYTES {
            return Some(format!("it has more than {} MiB", FILE_BYTES >> 20));
        }
        if self.bytes + size > ALL_BYTES {
            return Some(format!("the files before it have {} MiB together, of at most {}", self.bytes >> 20, ALL_BYTES >> 20));
        }
        self.bytes += size;
        None
    }

    fn take(&mut self, entry: &Entry, content: &mut dyn Read, row: &mut GitFile) -> Result<(), Halt> {
        let path = self.folder.join(OsStr::from_bytes(&entry.path));
        if entry.what == What::Link {
            return self.take_link(entry, &path, content, row);
        }
        let opened = self.folders_of(&path).and_then(|()| open(&path, entry.what));
        match opened {
            Ok(file) => row.sha256 = copied(content, Some(file)).map_err(|error| Halt::io("write", &path, &error))?,
            Err(error) if is_about_the_name(&error) => {
                row.sha256 = copied(content, None).map_err(|error| Halt::io("read", &path, &error))?;
                row.not_kept = Some(format!("a file of this name cannot be made: {}", error.kind()));
            }
            Err(error) => return Err(Halt::io("write", &path, &error)),
        }
        Ok(())
    }

    fn take_link(&mut self, entry: &Entry, path: &Path, content: &mut dyn Read, row: &mut GitFile) -> Result<(), Halt> {
        let mut target = Vec::new();
        content.read_to_end(&mut target).map_err(|error| Halt::io("read", path, &error))?;
        row.sha256 = hex(&Sha256::digest(&target));
        row.link = Some(shown(&target));
        if bad_name(&entry.path).is_some() || !stays_inside(&entry.path, &target, &self.inside) {
            row.not_kept = Some("it is a link that leaves the repository".into());
            return Ok(());
        }
        if self.links == Links::Made {
            let made = self.folders_of(path).and_then(|()| symlink(OsStr::from_bytes(&target), path));
            row.not_kept = made.err().map(|error| format!("the link cannot be made: {}", error.kind()));
        }
        Ok(())
    }

    fn folders_of(&mut self, path: &Path) -> io::Result<()> {
        let Some(parent) = path.parent().filter(|parent| !self.made.contains(*parent)) else { return Ok(()) };
        fs::create_dir_all(parent)?;
        self.made.insert(parent.to_owned());
        Ok(())
    }
}

fn open(path: &Path, what: What) -> io::Result<File> {
    let mode = if what == What::Program { 0o755 } else { 0o644 };
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

/// Copies a content and gives its SHA-256.
fn copied(content: &mut dyn Read, mut file: Option<File>) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE];
    loop {
        let read = content.read(&mut piece)?;
        if read == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&piece[..read]);
        if let Some(file) = &mut file {
            file.write_all(&piece[..read])?;
        }
    }
}

fn is_about_the_name(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, InvalidFilename, InvalidInput, IsADirectory, NotADirectory};
    matches!(error.kind(), AlreadyExists | InvalidFilename | InvalidInput | IsADirectory | NotADirectory)
}

/// Why nothing can be written under a path of a tree; absent where it can.
fn bad_name(path: &[u8]) -> Option<&'static str> {
    if path.utf8_chunks().any(|chunk| !chunk.invalid().is_empty()) {
        return Some("its name is no UTF-8");
    }
    path.split(|byte| *byte == b'/').find_map(|name| match name {
        b"" | b"." | b".." => Some("its name is that of another folder"),
        _ if name.eq_ignore_ascii_case(b".git") => Some("its name is git's own"),
        _ if name.len() > NAME_BYTES => Some("its name has more than 255 bytes"),
        _ => None,
    })
}

/// Whether a link at `path` points into the tree. Folders on the way that are links themselves could lead anywhere.
fn stays_inside(path: &[u8], target: &[u8], links: &BTreeSet<&[u8]>) -> bool {
    if target.is_empty() || target.starts_with(b"/") || target.contains(&0) {
        return false;
    }
    let mut at: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    at.pop();
    let names: Vec<&[u8]> = target.split(|byte| *byte == b'/').collect();
    for (nth, name) in names.iter().enumerate() {
        match *name {
            b"" | b"." => {}
            b".." if at.pop().is_none() => return false,
            b".." => {}
            name if name.eq_ignore_ascii_case(b".git") => return false,
            name => at.push(name),
        }
        if nth + 1 < names.len() && links.contains(at.join(&b'/').as_slice()) {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inside(path: &str, target: &str, links: &[&str]) -> bool {
        let links = links.iter().map(|link| link.as_bytes()).collect();
        stays_inside(path.as_bytes(), target.as_bytes(), &links)
    }

    #[test]
    fn a_link_that_stays_inside_is_told_from_one_that_leaves() {
        assert!(inside("a", "b", &[]));
        assert!(inside("sub/a", "../b", &[]));
        assert!(inside("sub/a", "./x/../../b/", &[]));
        for (path, target) in
            [("a", "/etc/passwd"), ("a", "../b"), ("sub/a", "../../b"), ("a", "x/../../b"), ("a", ""), ("a", ".git/config")]
        {
            assert!(!inside(path, target, &[]), "{path} -> {target}");
        }
    }

    #[test]
    fn a_link_by_way_of_another_link_is_not_believed() {
        // `sub/d` is the root, so that `sub/d/..` is outside.
        assert!(!inside("sub/l", "d/../x", &["sub/d", "sub/l"]));
        assert!(inside("l", "m", &["m"]), "the last step is judged where it stands");
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused_and_odd_ones_are_not() {
        for name in ["a/../b", "../x", "a//b", "./a", ".git/hooks/x", "sub/.GIT/config"] {
            assert!(bad_name(name.as_bytes()).is_some(), "{name}");
        }
        assert!(bad_name(b"a\xff").is_some());
        assert!(bad_name("x".repeat(256).as_bytes()).is_some());
        for name in ["a", "new\nline", "-rf", "a/b c", ".gitignore", "..."] {
            assert_eq!(bad_name(name.as_bytes()), None, "{name}");
        }
    }
}
