//! What this run has written as evidence, held in memory while it is written.
//!
//! Every evidence file is written or registered through one [`Ledger`]: it knows the size and the SHA-256 of what Proctor wrote,
//! whatever becomes of the file on the disk. When the run has ended the list is written down as `evidence/sealed.json`, and the judge
//! compares it with the disk: what was edited, removed or added by anybody else shows.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proctor_judge::seal::{SEALED, Seal, SealedFile, SealedKind, sealed_path};
use serde::Serialize;
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use crate::digest::{hex, sha256, sha256_of};
use crate::halt::Halt;

/// See the file's head. Clones are the same ledger.
#[derive(Clone, Debug)]
pub struct Ledger(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The run's folder, which holds `evidence/`.
    report: PathBuf,
    entries: Mutex<BTreeMap<String, SealedFile>>,
}

/// A file that another part of the process wrote, with what it summed up while writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where it lies.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of them, lower-case hex.
    pub sha256: String,
    /// Number of records of an append-only file.
    pub records: Option<u64>,
}

impl Ledger {
    /// An empty ledger of the run whose folder is `report`.
    #[must_use]
    pub fn new(report: &Path) -> Self {
        Self(Arc::new(Inner { report: report.to_owned(), entries: Mutex::default() }))
    }

    /// Writes a JSON file by writing a new one and renaming it.
    ///
    /// # Errors
    /// As for [`Ledger::write`].
    pub fn write_json(&self, file: &Path, value: &impl Serialize) -> Result<(), Halt> {
        self.write(file, &json(value)?)
    }

    /// Writes rows, one JSON text a line.
    ///
    /// # Errors
    /// As for [`Ledger::write`].
    pub fn write_rows<T: Serialize>(&self, file: &Path, rows: &[T]) -> Result<(), Halt> {
        let mut bytes = Vec::new();
        for row in rows {
            serde_json::to_writer(&mut bytes, row).map_err(|error| Halt::harness(error.to_string()))?;
            bytes.push(b'\n');
        }
        self.write(file, &bytes)
    }

    /// Writes a file by writing a new one and renaming it.
    ///
    /// # Errors
    /// When the disk refuses. That somebody put something else in the place of the file or of its folder is no error: the ledger has
    /// what was written, so that the judge names it.
    pub fn write(&self, file: &Path, bytes: &[u8]) -> Result<(), Halt> {
        self.enter(Written { path: file.to_owned(), size: bytes.len() as u64, sha256: sha256(bytes), records: None });
        match replace(file, bytes) {
            Err(error) if is_in_the_way(&error, file) => Ok(()),
            written => written.map_err(|error| Halt::io("write", file, &error)),
        }
    }

    /// Enters a file that was written elsewhere; the newest entry of a path counts.
    pub fn enter(&self, written: Written) {
        self.put(SealedFile {
            path: self.name(&written.path),
            kind: SealedKind::File,
            size: written.size,
            sha256: written.sha256,
            records: written.records,
        });
    }

    /// Enters everything at or below `place` that is not entered yet, as it lies there now: what other programs made for Proctor. FIFOs,
    /// sockets and devices are nothing that Proctor keeps, and are not entered.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn adopt(&self, place: &Path) -> Result<(), Halt> {
        for entry in WalkDir::new(place).into_iter().flatten() {
            let path = self.name(entry.path());
            if self.entries().contains_key(&path) {
                continue;
            }
            let failed = |error: io::Error| Halt::io("read", entry.path(), &error);
            if entry.file_type().is_file() {
                let (size, sha256) = sum_of_file(entry.path()).map_err(failed)?;
                self.put(SealedFile { path, kind: SealedKind::File, size, sha256, records: None });
            } else if entry.path_is_symlink() {
                let target = fs::read_link(entry.path()).map_err(failed)?;
                let target = target.as_os_str().as_bytes();
                self.put(SealedFile {
                    path,
                    kind: SealedKind::Link,
                    size: target.len() as u64,
                    sha256: sha256(target),
                    records: None,
                });
            }
        }
        Ok(())
    }

    /// Opens a file that grows by records. `kind` says whether what follows the last record of this ledger may be somebody else's.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn log(&self, path: &Path, kind: SealedKind) -> Result<Log, Halt> {
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(|error| Halt::io("write", path, &error))?;
        let log = Log { ledger: self.clone(), path: path.to_owned(), file, kind, sum: Sha256::new(), size: 0, records: 0 };
        log.enter();
        Ok(log)
    }

    /// The list as it stands.
    #[must_use]
    pub fn list(&self, run_id: &str) -> Seal {
        Seal::of(run_id, self.entries().values().cloned().collect())
    }

    /// Writes the list down as `evidence/sealed.json`. What is written to evidence afterwards is not the run's.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn seal(&self, run_id: &str) -> Result<Seal, Halt> {
        let seal = self.list(run_id);
        let file = self.0.report.join("evidence").join(SEALED);
        replace(&file, &json(&seal)?).map_err(|error| Halt::io("write", &file, &error))?;
        Ok(seal)
    }

    fn name(&self, path: &Path) -> String {
        sealed_path(path.strip_prefix(&self.0.report).unwrap_or(path))
    }

    fn put(&self, file: SealedFile) {
        self.entries().insert(file.path.clone(), file);
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, SealedFile>> {
        // Each entry is put in as a whole, so that a panic elsewhere leaves nothing half done here.
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An append-only file: its sum runs along with what is appended.
#[derive(Debug)]
pub struct Log {
    ledger: Ledger,
    path: PathBuf,
    file: File,
    kind: SealedKind,
    sum: Sha256,
    size: u64,
    records: u64,
}

impl Log {
    /// Appends one record in one write; `record` ends with a newline. What could not be written whole is taken back, so that the file
    /// stays a row of whole records.
    ///
    /// # Errors
    /// What the system said.
    pub fn append(&mut self, record: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all(record) {
            // Where this fails too, the file differs from what is sealed, and the judge says so.
            _ = self.file.set_len(self.size);
            return Err(error);
        }
        self.sum.update(record);
        self.size += record.len() as u64;
        self.records += 1;
        self.enter();
        Ok(())
    }

    fn enter(&self) {
        self.ledger.put(SealedFile {
            path: self.ledger.name(&self.path),
            kind: self.kind,
            size: self.size,
            sha256: hex(&self.sum.clone().finalize()),
            records: Some(self.records),
        });
    }
}

/// Writes a JSON file that is no evidence, by writing a new one and renaming it.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn write_json(file: &Path, value: &impl Serialize) -> Result<(), Halt> {
    replace(file, &json(value)?).map_err(|error| Halt::io("write", file, &error))
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, Halt> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|error| Halt::harness(error.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = file.with_extension("new");
    fs::write(&new, bytes)?;
    fs::rename(&new, file)
}

/// Whether the place of a file is taken by something that Proctor did not put there: a folder where the file belongs, a file where its
/// folder was, nothing where its folder was.
fn is_in_the_way(error: &io::Error, file: &Path) -> bool {
    match error.kind() {
        ErrorKind::NotADirectory | ErrorKind::IsADirectory => true,
        ErrorKind::NotFound => file.parent().is_some_and(|folder| !folder.is_dir()),
        ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists => true,
        _ => false,
    }
}

fn sum_of_file(path: &Path) -> io::Result<(u64, String)> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    Ok((size, sha256_of(file)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking, and tells what it skips")]
    use super::*;
    use proctor_judge::seal::{Expected, What, verify};

    fn report() -> (tempfile::TempDir, Ledger) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("evidence/git")).unwrap();
        let ledger = Ledger::new(folder.path());
        (folder, ledger)
    }

    fn changes(folder: &Path) -> Vec<(String, What)> {
        verify(folder, Expected::default()).changes.into_iter().map(|change| (change.path, change.what)).collect()
    }

    #[test]
    fn what_was_written_registered_and_appended_is_what_was_sealed() {
        let (folder, ledger) = report();
        let at = |name: &str| folder.path().join(name);
        ledger.write_json(&at("evidence/plan.json"), &serde_json::json!({"a": 1})).unwrap();
        ledger.write_rows(&at("evidence/rows.ndjson"), &[1, 2]).unwrap();
        let mut log = ledger.log(&at("run.log"), SealedKind::Beginning).unwrap();
        log.append(b"one\n").unwrap();
        log.append(b"two\n").unwrap();
        fs::write(at("evidence/git/by-git"), "x").unwrap();
        std::os::unix::fs::symlink("nowhere", at("evidence/git/link")).unwrap();
        ledger.adopt(&at("evidence/git")).unwrap();
        let seal = ledger.seal("r").unwrap();
        assert_eq!(seal.files.len(), 5);
        assert_eq!(seal.files.iter().find(|f| f.path == "run.log").unwrap().records, Some(2));
        fs::write(at("run.log"), "one\ntwo\nthree\n").unwrap();
        assert_eq!(changes(folder.path()), []);
    }

    #[test]
    fn what_somebody_else_did_before_the_seal_shows() {
        let (folder, ledger) = report();
        let at = |name: &str| folder.path().join(name);
        ledger.write_rows(&at("evidence/rows.ndjson"), &[1, 2]).unwrap();
        let mut log = ledger.log(&at("timeline.ndjson"), SealedKind::Beginning).unwrap();
        log.append(b"first\n").unwrap();
        fs::write(at("evidence/rows.ndjson"), "1\n3\n").unwrap();
        fs::write(at("evidence/forged"), "x").unwrap();
        fs::write(at("timeline.ndjson"), "").unwrap();
        log.append(b"second\n").unwrap();
        ledger.seal("r").unwrap();
        let found = changes(folder.path());
        let names: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(names, ["evidence/forged", "evidence/rows.ndjson", "timeline.ndjson"]);
        assert_eq!(found[0].1, What::Added);
        assert_eq!(found[1].1, What::Content);
    }

    #[test]
    fn a_folder_that_somebody_replaced_is_named_and_no_fault_of_the_machine() {
        let (folder, ledger) = report();
        let git = folder.path().join("evidence/git");
        fs::remove_dir(&git).unwrap();
        fs::write(&git, "x").unwrap();
        ledger.write_rows(&git.join("rigs.ndjson"), &[1]).unwrap();
        fs::create_dir_all(folder.path().join("evidence/plan.json/x")).unwrap();
        ledger.write_json(&folder.path().join("evidence/plan.json"), &1).unwrap();
        ledger.seal("r").unwrap();
        let names: Vec<String> = changes(folder.path()).into_iter().map(|(path, _)| path).collect();
        assert!(
            names.contains(&"evidence/git".to_owned()) && names.contains(&"evidence/git/rigs.ndjson".to_owned()),
            "{names:?}"
        );
        assert!(names.contains(&"evidence/plan.json".to_owned()), "{names:?}");
    }

    #[test]
    fn a_missing_disk_is_an_error_all_the_same() {
        let (folder, ledger) = report();
        let device = Path::new("/dev/full");
        if !device.exists() {
            println!("skipped: /dev/full not found");
            return;
        }
        std::os::unix::fs::symlink(device, folder.path().join("evidence/plan.new")).unwrap();
        assert!(ledger.write_json(&folder.path().join("evidence/plan.json"), &1).is_err());
    }
}
