//! `manifest.json`: what a sealed store consists of. Replaced atomically: a reader sees the old one or the new one.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::written::{Summing, Written};

/// Name of the manifest in a store's folder.
pub(crate) const FILE: &str = "manifest.json";

/// Raised when an old reader could not read what is written now.
pub(crate) const SCHEMA: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) schema: u32,
    /// The journal's name.
    pub(crate) journal: String,
    /// Bytes of the journal that the segments cover; it may have grown since.
    pub(crate) journal_bytes: u64,
    pub(crate) segments: Vec<Segment>,
    /// [`crate::Stats`] at that moment, for people and other tools.
    pub(crate) stats: serde_json::Value,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Segment {
    pub(crate) file: String,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

impl Manifest {
    /// The manifest in `dir`, if the store was sealed.
    pub(crate) fn read(dir: &Path) -> Result<Option<Self>, StoreError> {
        let path = dir.join(FILE);
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|source| StoreError::Manifest { path, source }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::io("read", &path)(source)),
        }
    }

    /// Replaces the manifest in `dir`.
    pub(crate) fn write(&self, dir: &Path) -> Result<Written, StoreError> {
        let path = dir.join(FILE);
        let text = serde_json::to_vec_pretty(self).map_err(|source| StoreError::Manifest { path: path.clone(), source })?;
        replace(&path, |file| file.write_all(&text).map_err(StoreError::io("write", &path)))
    }
}

/// Writes a file beside `path`, syncs it, and puts it in the place of `path`.
pub(crate) fn replace(
    path: &Path,
    fill: impl FnOnce(&mut Summing<File>) -> Result<(), StoreError>,
) -> Result<Written, StoreError> {
    let beside = path.with_extension("new");
    let mut file = Summing::new(File::create(&beside).map_err(StoreError::io("create", &beside))?);
    fill(&mut file)?;
    let (file, sum) = file.into_parts();
    file.sync_all().map_err(StoreError::io("sync", &beside))?;
    std::fs::rename(&beside, path).map_err(StoreError::io("replace", path))?;
    let dir = path.parent().unwrap_or(path);
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(StoreError::io("sync", dir))?;
    Ok(sum.written(&path.file_name().unwrap_or_default().to_string_lossy(), None))
}
