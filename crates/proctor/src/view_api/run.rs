//! The run being looked at: read on demand, and again when its files have changed.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use proctor_judge::evidence::path;
use proctor_judge::lanes::{Filter, Lanes, Material, ReadError};

/// Selections kept, so that paging and zooming do not filter anew.
const KEPT_SELECTIONS: usize = 8;

/// A run's folder and what was last read from it.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) dir: PathBuf,
    loaded: Mutex<Option<Arc<Loaded>>>,
}

/// One reading of a run.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// Changes whenever a file that was read has changed.
    pub(crate) stamp: String,
    /// When the newest file changed, in milliseconds since the Unix epoch.
    pub(crate) changed_ms: u64,
    pub(crate) material: Material,
    pub(crate) lanes: Lanes,
    /// `summary.json`, when the run was judged.
    pub(crate) summary: Option<serde_json::Value>,
    selections: Mutex<Vec<(Filter, Arc<Vec<u32>>)>>,
}

impl Run {
    pub(crate) fn new(dir: PathBuf) -> Run {
        Run { dir, loaded: Mutex::new(None) }
    }

    /// The newest reading. Reads files: call it where blocking is allowed.
    pub(crate) fn load(&self) -> Result<Arc<Loaded>, ReadError> {
        // Held while reading, so that requests that arrive together read once.
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let (stamp, changed_ms) = stamp(&self.dir);
        if let Some(known) = loaded.as_ref().filter(|known| known.stamp == stamp) {
            return Ok(known.clone());
        }
        let material = Material::read(&self.dir)?;
        let lanes = Lanes::of(&material);
        let summary = fs::read(self.dir.join("summary.json")).ok();
        let fresh = Arc::new(Loaded {
            stamp,
            changed_ms,
            summary: summary.and_then(|bytes| serde_json::from_slice(&bytes).ok()),
            material,
            lanes,
            selections: Mutex::new(Vec::new()),
        });
        *loaded = Some(fresh.clone());
        Ok(fresh)
    }
}

impl Loaded {
    /// The events that match.
    pub(crate) fn select(&self, filter: &Filter) -> Arc<Vec<u32>> {
        let mut kept = self.selections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, selection)) = kept.iter().find(|(known, _)| known == filter) {
            return selection.clone();
        }
        let selection = Arc::new(self.lanes.select(&self.material, filter));
        if kept.len() == KEPT_SELECTIONS {
            kept.remove(0);
        }
        kept.push((filter.clone(), selection.clone()));
        selection
    }
}

/// Sizes and times of change of every file that a reading depends on.
fn stamp(dir: &Path) -> (String, u64) {
    let evidence = dir.join("evidence");
    let rows = [
        path::RUN,
        path::SIGNS,
        path::FAULTS,
        path::MAIL,
        path::MERGE_REQUESTS,
        path::AGENTS,
        path::SESSIONS,
        path::EXCHANGES,
        "telemetry/journal.bin",
    ];
    let files = rows.iter().map(|name| evidence.join(name)).chain([dir.join("summary.json")]);
    let (mut text, mut newest) = (String::new(), 0);
    for file in files {
        let Ok(facts) = fs::metadata(&file) else {
            text.push('-');
            continue;
        };
        let changed = facts.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let nanos = changed.map_or(0, |since| since.as_nanos());
        newest = newest.max(u64::try_from(nanos / 1_000_000).unwrap_or(u64::MAX));
        let _ = write!(text, "{:x}.{nanos:x}-", facts.len());
    }
    (text, newest)
}
