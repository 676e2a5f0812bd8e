//! The seam to a town under test: prepare, start, deliver, observe, quiet, collect, stop.
//!
//! A town is processes, files and ports. What differs between towns stays behind [`Town`]; landed, checks and verdict are the same for all.

pub mod builtin;
pub mod gastown;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proctor_judge::evidence::{AgentRow, Bead, Convoy, Leftover, Mail, MergeRequest, Session, Time};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::halt::Halt;

/// One consistent read of a town's state, in neutral rows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// Work items.
    pub beads: Vec<Bead>,
    /// Convoys.
    pub convoys: Vec<Convoy>,
    /// Messages.
    pub mail: Vec<Mail>,
    /// Submissions to merge queues.
    pub merge_requests: Vec<MergeRequest>,
    /// Agents.
    pub agents: Vec<AgentRow>,
    /// Process lives of agents.
    pub sessions: Vec<Session>,
    /// Processes that agents left behind and that the town itself ended.
    #[serde(default)]
    pub leftovers: Vec<Leftover>,
}

/// Something that the town says happened. A hint: what is true is read from the state and from git.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct TownEvent {
    /// When.
    pub ts: Time,
    /// `sling`, `mail`, `session_start`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Who did it.
    #[serde(default)]
    pub actor: String,
    /// The values of the event.
    #[serde(default)]
    pub payload: BTreeMap<String, Value>,
}

/// A town under test.
pub trait Town: Send + Sync {
    /// `builtin`, `gastown`, …
    fn name(&self) -> &'static str;

    /// Makes the town with its configuration; starts nothing that stays. What the phase's report states.
    fn prepare(&self) -> impl Future<Output = Result<Vec<(String, String)>, Halt>> + Send;

    /// Starts the coordinator and returns when it listens.
    fn start(&self, limit: Duration) -> impl Future<Output = Result<(), Halt>> + Send;

    /// Hands a text to the coordinator. That it was received is proven elsewhere.
    fn deliver(&self, text: &str) -> impl Future<Output = Result<(), Halt>> + Send;

    /// Reads the town's state.
    fn observe(&self) -> impl Future<Output = Result<Snapshot, Halt>> + Send;

    /// The file that grows when something happens in the town.
    fn events_file(&self) -> PathBuf;

    /// The repository in the town where a rig's work is merged before it is pushed; absent when there is none (yet).
    fn merge_repository(&self, rig: &str) -> Option<PathBuf>;

    /// Whether every agent has come to rest in this state.
    fn quiet(&self, state: &Snapshot) -> bool;

    /// Copies what the town said of itself to `raw` and what its sessions printed to `transcripts`.
    fn collect(&self, raw: &Path, transcripts: &Path) -> impl Future<Output = Result<(), Halt>> + Send;

    /// Ends every process of the town.
    fn stop(&self) -> impl Future<Output = Result<(), Halt>> + Send;
}

/// The complete lines that a growing file of events got since `offset`, which moves on. Lines of another form are passed over.
pub fn new_events(file: &Path, offset: &mut u64) -> Vec<TownEvent> {
    use std::io::{Read, Seek, SeekFrom};
    let read = || -> std::io::Result<String> {
        let mut file = std::fs::File::open(file)?;
        file.seek(SeekFrom::Start(*offset))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    *offset += whole.len() as u64;
    whole.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
