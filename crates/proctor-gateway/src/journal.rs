//! The journal: one row per exchange in `exchanges.ndjson`, whole bodies below `bodies/`.
//!
//! A row is written before its answer ends, so that whoever saw an answer finds its row.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::broadcast;

use crate::caller::Sender;
use crate::conversation::hex;

/// Rows that a subscriber may lag behind before it misses some.
const BACKLOG: usize = 4096;

/// Rows that the journal keeps of one agent.
const ROWS_OF_AN_AGENT: u64 = 50_000;
/// Bytes of whole bodies that it keeps of one agent; rows beyond them have no bodies.
const BODIES_OF_AN_AGENT: u64 = 1 << 30;
/// The same for all requests that count for nobody.
const ROWS_OF_NOBODY: u64 = 500;
const BODIES_OF_NOBODY: u64 = 64 << 20;

/// One exchange. The fields and their meaning are those of `gateway/exchanges.ndjson` in `docs/evidence.md`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// Order in the journal, from 1. The answer's `request-id` header is `req_` and this number in six digits.
    pub n: u64,
    /// The agent whose address the path held, with its token; empty: the row counts for nobody.
    pub agent: String,
    /// The agent that the path named without its token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed: Option<String>,
    /// The process that sent it: of requests that count for nobody, have no answer in a script or ask for what does not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Sender>,
    /// When the request had arrived whole.
    pub at: DateTime<Utc>,
    /// Until the whole answer was ready to leave, in milliseconds.
    pub duration_ms: f64,
    /// `POST /v1/messages`; of what does not exist its method and path, cut at 200 bytes.
    pub request: String,
    /// Model asked for.
    pub model: Option<String>,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// Assistant messages already in the conversation.
    pub turn: u32,
    /// SHA-256 of the request body, lower-case hex.
    pub sha256: String,
    /// HTTP status of the answer.
    pub status: u16,
    /// `end_turn`, `tool_use`; absent for errors.
    pub stop_reason: Option<String>,
    /// What answered: `mayor.toml turn 1 step 3`.
    pub matched: Option<String>,
    /// Why nothing answered, with the text that no rule matched.
    pub miss: Option<String>,
    /// Name of the fault that was injected.
    pub fault: Option<String>,
    /// Input tokens as told to the agent.
    pub input_tokens: u64,
    /// Output tokens as told to the agent.
    pub output_tokens: u64,
    /// The newest user text or tool result of the request, cut at 4 KiB with the cut counted.
    pub asked: String,
    /// Text and commands of the answer, cut likewise.
    pub answered: String,
    /// Folder of the whole `request.json` and `answer.json` or `answer.sse`, relative to the journal's folder.
    pub body: Option<String>,
}

/// A file of the journal as it was written: whoever keeps it can tell later whether the file is still the one that the gateway wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Relative to the journal's folder.
    pub file: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of them, lower-case hex.
    pub sha256: String,
    /// Number of rows of `exchanges.ndjson`.
    pub records: Option<u64>,
}

/// Name of the rows' file.
const ROWS: &str = "exchanges.ndjson";

/// Why the journal is not whole.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A file could not be made or written.
    #[error("cannot write {path}: {message}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        message: String,
    },
    /// The folder has a journal that is not empty.
    #[error("{path} holds a journal already")]
    Occupied {
        /// The journal's file.
        path: PathBuf,
    },
}

impl JournalError {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Write { .. } => Some("check that the disk has room and the folder can be written".into()),
            Self::Occupied { .. } => Some("give every run a folder of its own".into()),
        }
    }

    fn write(path: &Path, error: &std::io::Error) -> Self {
        Self::Write { path: path.to_owned(), message: error.to_string() }
    }
}

/// The whole bodies of an exchange.
pub(crate) struct Bodies {
    pub(crate) request: Vec<u8>,
    pub(crate) answer: Vec<u8>,
    /// `json` or `sse`.
    pub(crate) answer_kind: &'static str,
}

impl Share {
    /// Takes the bodies in where there is room for them.
    fn add(&mut self, bodies: &Bodies, is_nobody: bool) -> bool {
        let limit = if is_nobody { BODIES_OF_NOBODY } else { BODIES_OF_AN_AGENT };
        let after = self.bytes + (bodies.request.len() + bodies.answer.len()) as u64;
        if after <= limit {
            self.bytes = after;
        }
        after <= limit
    }
}

/// See the file's head.
pub(crate) struct Journal {
    dir: PathBuf,
    path: PathBuf,
    state: Mutex<State>,
    rows: broadcast::Sender<Exchange>,
}

/// How much of the journal one agent, or nobody, has filled.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    rows: u64,
    bytes: u64,
    /// Requests that found no room.
    left_out: u64,
}

struct State {
    file: File,
    count: u64,
    misses: Vec<Exchange>,
    /// What is kept of whom.
    shares: BTreeMap<String, Share>,
    failure: Option<String>,
    /// Of the rows.
    sum: Sha256,
    size: u64,
    /// Bodies, by name.
    bodies: BTreeMap<String, Written>,
}

impl Journal {
    /// Makes the folder and the empty journal.
    pub(crate) fn begin(dir: &Path) -> Result<Self, JournalError> {
        let bodies = dir.join("bodies");
        fs::create_dir_all(&bodies).map_err(|e| JournalError::write(&bodies, &e))?;
        let path = dir.join(ROWS);
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(|e| JournalError::write(&path, &e))?;
        let length = file.metadata().map_err(|e| JournalError::write(&path, &e))?.len();
        if length > 0 {
            return Err(JournalError::Occupied { path });
        }
        let (sum, written, shares) = (Sha256::new(), BTreeMap::new(), BTreeMap::new());
        let state = State { file, count: 0, misses: Vec::new(), shares, failure: None, sum, size: 0, bodies: written };
        let (rows, _) = broadcast::channel(BACKLOG);
        Ok(Self { dir: dir.to_owned(), path, state: Mutex::new(state), rows })
    }

    /// Numbers the row, writes bodies and row, and tells the subscribers. `finish` fills in what depends on the number
    /// and the time of writing.
    pub(crate) fn append(
        &self,
        mut row: Exchange,
        bodies: &Bodies,
        finish: impl FnOnce(&mut Exchange),
    ) -> Result<Exchange, JournalError> {
        let mut state = self.lock();
        row.n = state.count + 1;
        let folder = format!("bodies/{:06}", row.n);
        let share = state.shares.entry(row.agent.clone()).or_default();
        share.rows += 1;
        let has_room = share.add(bodies, row.agent.is_empty());
        row.body = has_room.then(|| folder.clone());
        let kept = if has_room { self.write_bodies(&mut state, &folder, bodies) } else { Ok(()) };
        let written = kept.and_then(|()| {
            finish(&mut row);
            self.write_row(&mut state, &row)
        });
        if let Err(error) = written {
            state.failure.get_or_insert_with(|| error.to_string());
            return Err(error);
        }
        state.count = row.n;
        if row.miss.is_some() {
            state.misses.push(row.clone());
        }
        // No subscriber is no error: rows are on disk.
        let _ = self.rows.send(row.clone());
        Ok(row)
    }

    /// Whether a request that counts for `agent` finds room for a row; one that does not is counted.
    pub(crate) fn has_room(&self, agent: &str) -> bool {
        let mut state = self.lock();
        let share = state.shares.entry(agent.to_owned()).or_default();
        let limit = if agent.is_empty() { ROWS_OF_NOBODY } else { ROWS_OF_AN_AGENT };
        share.left_out += u64::from(share.rows >= limit);
        share.rows < limit
    }

    /// Requests that found no room, by the agent that they counted for.
    pub(crate) fn unjournalled(&self) -> BTreeMap<String, u64> {
        let state = self.lock();
        let left = state.shares.iter().filter(|(_, share)| share.left_out > 0);
        left.map(|(agent, share)| (agent.clone(), share.left_out)).collect()
    }

    fn write_bodies(&self, state: &mut State, name: &str, bodies: &Bodies) -> Result<(), JournalError> {
        let folder = self.dir.join(name);
        fs::create_dir_all(&folder).map_err(|e| JournalError::write(&folder, &e))?;
        let files = [("request.json".to_owned(), &bodies.request), (format!("answer.{}", bodies.answer_kind), &bodies.answer)];
        for (file, content) in files {
            let path = folder.join(&file);
            fs::write(&path, content).map_err(|e| JournalError::write(&path, &e))?;
            let file = format!("{name}/{file}");
            let written =
                Written { file: file.clone(), size: content.len() as u64, sha256: hex(&Sha256::digest(content)), records: None };
            state.bodies.insert(file, written);
        }
        Ok(())
    }

    fn write_row(&self, state: &mut State, row: &Exchange) -> Result<(), JournalError> {
        let mut line = serde_json::to_vec(row).map_err(|e| JournalError::write(&self.path, &e.into()))?;
        line.push(b'\n');
        // One write per row: a killed process leaves whole rows.
        state.file.write_all(&line).map_err(|e| JournalError::write(&self.path, &e))?;
        state.sum.update(&line);
        state.size += line.len() as u64;
        Ok(())
    }

    /// Every file as it was written so far.
    pub(crate) fn written(&self) -> Vec<Written> {
        let state = self.lock();
        let sha256 = hex(&state.sum.clone().finalize());
        let rows = Written { file: ROWS.to_owned(), size: state.size, sha256, records: Some(state.count) };
        state.bodies.values().cloned().chain([rows]).collect()
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Exchange> {
        self.rows.subscribe()
    }

    pub(crate) fn misses(&self) -> Vec<Exchange> {
        self.lock().misses.clone()
    }

    pub(crate) fn count(&self) -> u64 {
        self.lock().count
    }

    pub(crate) fn flush(&self) -> Result<(), JournalError> {
        let state = self.lock();
        if let Some(message) = &state.failure {
            return Err(JournalError::Write { path: self.path.clone(), message: message.clone() });
        }
        state.file.sync_all().map_err(|e| JournalError::write(&self.path, &e))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held leaves at worst one row unwritten, which `failure` cannot know; rows stay whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
