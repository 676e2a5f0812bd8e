//! Compares what lies on the disk with a seal.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::num::NonZero;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

use super::{BESIDE, EVIDENCE, SEAL_SCHEMA, SEALED, Seal, SealedFile, SealedKind, hex, sealed_path};

/// Most threads that read.
const MOST_THREADS: usize = 8;
/// A seal longer than this is none: one that lists a million files is shorter.
const LONGEST_SEAL: u64 = 256 << 20;

/// What the judge was told about the seal by somebody who need not ask the disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected<'a> {
    /// The seal as the harness holds it in memory.
    pub seal: Option<&'a Seal>,
    /// A digest that a person wrote down: 64 hexadecimal digits.
    pub digest: Option<&'a str>,
}

/// What can be said of the evidence as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// There is a seal, and it is whole. Single files may still differ from it.
    Sealed {
        /// Its digest.
        digest: String,
    },
    /// There is no seal.
    Unsealed,
    /// The seal itself is damaged, or is another one than the one expected.
    Broken {
        /// Why it cannot be believed.
        why: String,
    },
}

/// How a file differs from what was sealed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// Another number of bytes.
    Size {
        /// Bytes that were sealed.
        was: u64,
        /// Bytes that are there.
        is: u64,
    },
    /// The same number of bytes, and others.
    Content,
    /// It is not there.
    Missing,
    /// Proctor never wrote it.
    Added,
    /// Something else has its place: a link, a folder, a FIFO.
    Kind(String),
    /// It is there and cannot be read, and why.
    Unreadable(String),
}

impl std::fmt::Display for What {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Size { was, is } => write!(out, "has {is} bytes where proctor wrote {was}"),
            Self::Content => out.write_str("has as many bytes as proctor wrote, and others"),
            Self::Missing => out.write_str("is not there any more"),
            Self::Added => out.write_str("was not written by proctor"),
            Self::Kind(kind) => write!(out, "is {kind} where proctor wrote something else"),
            Self::Unreadable(why) => write!(out, "cannot be read: {why}"),
        }
    }
}

/// One file that is not what was sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// As [`super::sealed_path`] writes it.
    pub path: String,
    /// How it differs.
    pub what: What,
}

/// The evidence of a run compared with its seal.
#[derive(Clone, Debug)]
pub struct Verified {
    /// What can be said of the whole.
    pub state: State,
    /// Files that differ, by path. Empty when there is no seal.
    pub changes: Vec<Change>,
    /// The run that the seal names.
    pub run_id: Option<String>,
    /// Number of files that were sealed.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Verified {
    /// Whether every file is what was sealed, by a seal that can be believed.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self.state, State::Sealed { .. }) && self.changes.is_empty()
    }

    /// Whether there is a seal that something does not agree with.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        matches!(self.state, State::Broken { .. }) || !self.changes.is_empty()
    }

    /// How the file of that path (relative to the run's folder) differs, if it does.
    #[must_use]
    pub fn change(&self, path: &str) -> Option<&Change> {
        let at = self.changes.binary_search_by(|change| change.path.as_str().cmp(path)).ok()?;
        self.changes.get(at)
    }

    /// The first change of a file in the folder of that path.
    #[must_use]
    pub fn change_below(&self, folder: &str) -> Option<&Change> {
        self.changes.iter().find(|change| change.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
    }
}

/// Compares the run in `dir` with its seal. Nothing is written. FIFOs, sockets and devices are not opened, links not followed, and of
/// no file more is read than was sealed.
#[must_use]
pub fn verify(dir: &Path, expected: Expected<'_>) -> Verified {
    let own = read_seal(&dir.join(EVIDENCE).join(SEALED));
    let (state, list) = settle(own, expected);
    let Some(list) = list else { return Verified { state, changes: Vec::new(), run_id: None, files: 0, bytes: 0 } };
    let mut changes = compare(dir, &list);
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    let bytes = list.files.iter().map(|file| file.size).sum();
    Verified { state, changes, files: list.files.len(), bytes, run_id: Some(list.run_id) }
}

/// What was found where the seal should lie.
enum Found {
    Whole(Seal),
    Damaged(Option<Seal>, String),
    Nothing,
}

fn read_seal(path: &Path) -> Found {
    let bytes = match open_regular(path).and_then(|(file, size)| read_at_most(file, size.min(LONGEST_SEAL))) {
        Ok(bytes) => bytes,
        Err(Trouble::Missing) => return Found::Nothing,
        Err(trouble) => return Found::Damaged(None, format!("evidence/{SEALED} {}", What::from(trouble))),
    };
    let seal: Seal = match serde_json::from_slice(&bytes) {
        Ok(seal) => seal,
        Err(error) => return Found::Damaged(None, format!("evidence/{SEALED} cannot be understood: {error}")),
    };
    if seal.schema != SEAL_SCHEMA {
        let why = format!("evidence/{SEALED} has schema {}, this version reads {SEAL_SCHEMA}", seal.schema);
        return Found::Damaged(None, why);
    }
    if seal.computed() != seal.digest {
        return Found::Damaged(Some(seal), format!("evidence/{SEALED} was changed: its digest is not that of its list"));
    }
    Found::Whole(seal)
}

/// The state, and the list to compare with: the harness's own where there is one, else the disk's.
fn settle(found: Found, expected: Expected<'_>) -> (State, Option<Seal>) {
    let wanted = expected.seal.map(|seal| seal.digest.as_str()).or(expected.digest);
    let memory = expected.seal.cloned();
    match found {
        Found::Whole(seal) => match wanted {
            Some(wanted) if !wanted.eq_ignore_ascii_case(&seal.digest) => {
                let why = format!("evidence/{SEALED} is another seal: its digest is {}, expected was {wanted}", seal.digest);
                (State::Broken { why }, memory.or(Some(seal)))
            }
            _ => (State::Sealed { digest: seal.digest.clone() }, Some(seal)),
        },
        Found::Damaged(seal, why) => (State::Broken { why }, memory.or(seal)),
        Found::Nothing if wanted.is_some() => {
            (State::Broken { why: format!("evidence/{SEALED} is not there, and a digest of it is known") }, memory)
        }
        Found::Nothing => (State::Unsealed, None),
    }
}

fn compare(dir: &Path, seal: &Seal) -> Vec<Change> {
    let sealed: BTreeMap<&str, &SealedFile> = seal.files.iter().map(|file| (file.path.as_str(), file)).collect();
    let mut on_disk = Listing::default();
    on_disk.folder(&dir.join(EVIDENCE), Path::new(EVIDENCE));
    for name in BESIDE {
        if sealed.contains_key(name) {
            on_disk.entry(&dir.join(name), Path::new(name));
        }
    }
    let own = format!("{EVIDENCE}/{SEALED}");
    let mut changes: Vec<Change> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut jobs = Vec::new();
    for (path, place) in &on_disk.files {
        match sealed.get(path.as_str()) {
            Some(file) => {
                seen.insert(path.as_str());
                jobs.push((*file, place.as_path()));
            }
            None if *path == own => {}
            None => changes.push(Change { path: path.clone(), what: What::Added }),
        }
    }
    changes.extend(on_disk.unreadable.into_iter().map(|(path, why)| Change { path, what: What::Unreadable(why) }));
    let missing = sealed.keys().filter(|path| !seen.contains(**path));
    changes.extend(missing.map(|path| Change { path: (*path).to_owned(), what: What::Missing }));
    changes.extend(differing(&jobs));
    changes
}

/// What lies below a folder and is no folder.
#[derive(Default)]
struct Listing {
    files: BTreeMap<String, PathBuf>,
    /// Folders that cannot be read, and why.
    unreadable: Vec<(String, String)>,
}

impl Listing {
    fn folder(&mut self, place: &Path, name: &Path) {
        let mut waiting = vec![(place.to_owned(), name.to_owned())];
        while let Some((place, name)) = waiting.pop() {
            let entries = match fs::read_dir(&place) {
                Ok(entries) => entries,
                Err(error) => {
                    if error.kind() != ErrorKind::NotFound {
                        self.unreadable.push((sealed_path(&name), error.kind().to_string()));
                    }
                    continue;
                }
            };
            for entry in entries.flatten() {
                let (place, name) = (entry.path(), name.join(entry.file_name()));
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => waiting.push((place, name)),
                    _ => _ = self.files.insert(sealed_path(&name), place),
                }
            }
        }
    }

    fn entry(&mut self, place: &Path, name: &Path) {
        if fs::symlink_metadata(place).is_ok() {
            self.files.insert(sealed_path(name), place.to_owned());
        }
    }
}

/// Reads the files on several threads; those that differ.
fn differing(jobs: &[(&SealedFile, &Path)]) -> Vec<Change> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    let work = || {
        let mut own = Vec::new();
        while let Some((file, place)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            own.extend(difference(file, place).map(|what| Change { path: file.path.clone(), what }));
        }
        found.lock().unwrap_or_else(PoisonError::into_inner).extend(own);
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS).min(jobs.len() / 8 + 1);
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn difference(file: &SealedFile, place: &Path) -> Option<What> {
    let outcome = match file.kind {
        SealedKind::Link => link_difference(file, place),
        SealedKind::File | SealedKind::Beginning => content_difference(file, place),
    };
    outcome.unwrap_or_else(|trouble| Some(What::from(trouble)))
}

fn link_difference(file: &SealedFile, place: &Path) -> Result<Option<What>, Trouble> {
    let kind = fs::symlink_metadata(place)?.file_type();
    if !kind.is_symlink() {
        return Err(Trouble::Kind(kind_word(kind)));
    }
    let target = fs::read_link(place)?;
    let same = hex(&Sha256::digest(target.as_os_str().as_bytes())) == file.sha256;
    Ok((!same).then_some(What::Content))
}

fn content_difference(file: &SealedFile, place: &Path) -> Result<Option<What>, Trouble> {
    let (source, size) = open_regular(place)?;
    let grown = size > file.size && file.kind == SealedKind::Beginning;
    if size != file.size && !grown {
        return Ok(Some(What::Size { was: file.size, is: size }));
    }
    let (sum, read) = sum_of(source.take(file.size))?;
    if read != file.size {
        return Ok(Some(What::Size { was: file.size, is: read }));
    }
    Ok((sum != file.sha256).then_some(What::Content))
}

/// SHA-256 and number of the bytes of `source`.
fn sum_of(mut source: impl Read) -> io::Result<(String, u64)> {
    let (mut sum, mut length) = (Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match source.read(&mut buffer)? {
            0 => return Ok((hex(&sum.finalize()), length)),
            read => {
                sum.update(&buffer[..read]);
                length += read as u64;
            }
        }
    }
}

/// Why a file could not be compared.
enum Trouble {
    Missing,
    Kind(String),
    Unreadable(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self::Missing,
            // The kind without the number of the system's error, which differs between systems.
            kind => Self::Unreadable(kind.to_string()),
        }
    }
}

impl From<Trouble> for What {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Missing => Self::Missing,
            Trouble::Kind(kind) => Self::Kind(kind),
            Trouble::Unreadable(why) => Self::Unreadable(why),
        }
    }
}

fn open_regular(path: &Path) -> Result<(File, u64), Trouble> {
    let kind = fs::symlink_metadata(path)?.file_type();
    if !kind.is_file() {
        return Err(Trouble::Kind(kind_word(kind)));
    }
    // A link that took the file's place meanwhile is not followed, and a FIFO does not hold the judge up.
    let safely = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(safely).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(Trouble::Kind(kind_word(meta.file_type())));
    }
    Ok((file, meta.len()))
}

fn read_at_most(file: File, size: u64) -> Result<Vec<u8>, Trouble> {
    let mut bytes = Vec::new();
    file.take(size).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn kind_word(kind: fs::FileType) -> String {
    let word = match kind {
        kind if kind.is_symlink() => "a symbolic link",
        kind if kind.is_dir() => "a folder",
        kind if kind.is_fifo() => "a FIFO",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_file() => "a file",
        _ => "a device",
    };
    word.to_owned()
}
