//! `.events.jsonl`: one line per state change, appended after the change is committed.
//!
//! A line is written with one `write` to a file opened for appending, so that lines of many processes do not mix.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::error::{Result, TownError};

/// One line of the file.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Event {
    /// When, with microseconds.
    pub(crate) ts: String,
    /// `gt` or `bd`.
    pub(crate) source: &'static str,
    /// `sling`, `bead_close`, … (docs/seams.md).
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The agent that caused it.
    pub(crate) actor: String,
    /// What changed.
    pub(crate) payload: Value,
    /// `feed` or `audit`.
    pub(crate) visibility: &'static str,
}

/// Appends events to the file of the town at `root`.
pub(crate) fn append(root: &Path, events: &[Event]) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let path = root.join(".events.jsonl");
    let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(TownError::io(&path))?;
    for event in events {
        let mut line = serde_json::to_vec(event).map_err(TownError::json("event"))?;
        line.push(b'\n');
        file.write_all(&line).map_err(TownError::io(&path))?;
    }
    Ok(())
}
