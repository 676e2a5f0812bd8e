//! The registry of a run: everything that the run makes, entered before it is made.
//!
//! It lies outside the base directory, where nothing of the run may write: what `proctor clean` removes and ends is what the harness
//! itself entered. A run's agents can write nothing into it, so that a file of theirs never names a path or a process to anybody.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use proctor_judge::evidence::Time;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use crate::halt::Halt;
use crate::linux;

/// The folder of registries in Proctor's cache.
pub const REGISTRIES: &str = "registry";
/// Where a version before this one kept the registry, in the base directory itself. Nothing in it is believed.
pub const OLDER: &str = "registry.ndjson";

/// Bytes of a file that are read for its owner, who stands in the first line.
const LONGEST_OWNER: u64 = 1 << 16;

/// One entry of the registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was entered: before the thing was made.
    pub at: Time,
    /// `owner`, `directory`, `link`, `process`, `listener`; outside the base directory `file`, `tmux_socket`, `tmux_variable`, `port`.
    pub kind: String,
    /// The path, command or address.
    pub what: String,
    /// A process's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// When that process began, in clock ticks since boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<u64>,
}

/// A registry that is being written.
#[derive(Debug)]
pub struct Registry {
    path: PathBuf,
    file: File,
}

impl Registry {
    /// Begins the registry of the run whose base directory will be `root`, with `owner` as its first line.
    ///
    /// # Errors
    /// When there is one already, or it cannot be made.
    pub(crate) fn begin(root: &Path, owner: &Entry) -> Result<Self, Halt> {
        let path = file_of(root);
        let folder = path.parent().unwrap_or(root);
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| Halt::io("make", folder, &error))?;
        if !is_ours_alone(folder) {
            let halt = Halt::environment(format!("{} can be written by others", folder.display()));
            return Err(halt.hint(format!("chmod 700 {}", folder.display())));
        }
        let opened = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path);
        let file = opened.map_err(|error| Halt::io("make", &path, &error))?;
        let registry = Self { path, file };
        let begun = registry.enter(owner);
        if begun.is_err() {
            registry.discard();
        }
        begun.map(|()| registry)
    }

    /// Enters what is about to be made. One line is one write, so that entries of several tasks do not mix.
    ///
    /// # Errors
    /// When the registry cannot be written; the thing must not be made then.
    pub fn enter(&self, entry: &Entry) -> Result<(), Halt> {
        let mut line = serde_json::to_string(entry).map_err(|error| Halt::harness(error.to_string()))?;
        line.push('\n');
        (&self.file).write_all(line.as_bytes()).map_err(|error| Halt::io("write", &self.path, &error))
    }

    /// Removes the registry of a run of which nothing was made.
    pub(crate) fn discard(&self) {
        _ = fs::remove_file(&self.path);
    }
}

/// What a registry says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    /// Its entries, oldest first.
    pub entries: Vec<Entry>,
    /// Lines that cannot be understood, a last one that a crash cut off not counted.
    pub garbled: usize,
}

impl Registered {
    /// The process by whose life the run is known to be in progress.
    #[must_use]
    pub fn owner(&self) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.kind == "owner")
    }
}

/// The registry of the run whose base directory is `root`: `<cache>/runs/<id>` has `<cache>/registry/<id>.ndjson`.
#[must_use]
pub fn file_of(root: &Path) -> PathBuf {
    let id = root.file_name().unwrap_or_default().to_string_lossy();
    let cache = root.parent().and_then(Path::parent).unwrap_or(root);
    cache.join(REGISTRIES).join(format!("{id}.ndjson"))
}

/// Reads a registry.
///
/// # Errors
/// When there is none, or it is one that somebody else could have written: no plain file, or not this user's alone.
pub fn read(file: &Path) -> io::Result<Registered> {
    let nofollow = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let mut source = OpenOptions::new().read(true).custom_flags(nofollow).open(file)?;
    let meta = source.metadata()?;
    if !meta.is_file() || !is_private(&meta) || !file.parent().is_some_and(is_ours_alone) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "others than this user can write it: not believed"));
    }
    let mut text = String::new();
    source.read_to_string(&mut text)?;
    Ok(parse(&text))
}

/// The process that a registry names as its owner, read from where programs of the run may write: fit to leave something alone by, and
/// for nothing else.
pub(crate) fn owner_in(file: &Path) -> Option<(u32, u64)> {
    let nofollow = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let source = OpenOptions::new().read(true).custom_flags(nofollow).open(file).ok()?;
    let mut text = String::new();
    source.take(LONGEST_OWNER).read_to_string(&mut text).ok()?;
    let owner = parse(&text).owner()?.clone();
    owner.pid.zip(owner.started)
}

fn parse(text: &str) -> Registered {
    let mut registered = Registered::default();
    let whole = text.ends_with('\n') || text.is_empty();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    for (number, line) in lines.iter().enumerate() {
        let is_cut = !whole && number + 1 == lines.len();
        match serde_json::from_str(line) {
            Ok(entry) => registered.entries.push(entry),
            Err(_) if is_cut => {}
            Err(_) => registered.garbled += 1,
        }
    }
    registered
}

/// Whether a folder is this user's and nobody else may write there.
fn is_ours_alone(folder: &Path) -> bool {
    fs::symlink_metadata(folder).is_ok_and(|meta| meta.is_dir() && is_private(&meta))
}

fn is_private(meta: &fs::Metadata) -> bool {
    meta.uid() == linux::user() && meta.mode() & 0o022 == 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn entry(kind: &str) -> Entry {
        Entry { at: Time::UNIX_EPOCH, kind: kind.into(), what: "x".into(), pid: None, started: None }
    }

    fn begun() -> (tempfile::TempDir, PathBuf) {
        let cache = tempfile::tempdir().unwrap();
        let root = cache.path().join("runs/7k3f");
        Registry::begin(&root, &entry("owner")).unwrap().enter(&entry("link")).unwrap();
        let file = file_of(&root);
        (cache, file)
    }

    #[test]
    fn it_is_the_users_own_and_a_second_run_cannot_have_it() {
        let (cache, file) = begun();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
        assert_eq!(read(&file).unwrap().entries.len(), 2);
        assert!(Registry::begin(&cache.path().join("runs/7k3f"), &entry("owner")).is_err());
    }

    #[test]
    fn a_line_that_a_crash_cut_off_is_passed_over_and_a_spoilt_one_counted() {
        let text = format!("{}\n{{\"at\":\"20", serde_json::to_string(&entry("owner")).unwrap());
        assert_eq!((parse(&text).entries.len(), parse(&text).garbled), (1, 0));
        assert_eq!(parse(&format!("nonsense\n{text}")).garbled, 1);
        assert_eq!(parse(""), Registered::default());
    }

    #[test]
    fn what_others_can_write_is_not_believed() {
        let (_cache, file) = begun();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o622)).unwrap();
        assert!(read(&file).is_err());
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(file.parent().unwrap(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(read(&file).is_err());
        fs::set_permissions(file.parent().unwrap(), fs::Permissions::from_mode(0o700)).unwrap();
        let other = file.with_extension("other");
        fs::rename(&file, &other).unwrap();
        symlink(&other, &file).unwrap();
        assert!(read(&file).is_err());
    }
}
