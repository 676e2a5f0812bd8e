//! What the picture is made from: the evidence rows and log records of one run, read as far as they exist.
//!
//! A run in progress has only some files, and its newest line may be half written; both are noted, neither is an error.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::evidence::{AgentId, AgentRow, Exchange, FaultRow, Mail, MergeRequest, RunRecord, Session, Sign, path};

/// One log record of the store, with everything as text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogRow {
    /// The store's number of the record: its place in the order of arrival, from 1.
    pub seq: u64,
    /// When what it tells of ended, in nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// Its body: the event's name, such as `claude_code.api_request` or `sling`.
    pub body: String,
    /// Whether its severity is ERROR or worse.
    pub error: bool,
    /// The agent whose address it came by; empty for the plain paths.
    pub address: AgentId,
    /// The agent it claims to come from, when that contradicts the address.
    pub contradicted: Option<String>,
    /// Attributes of the record.
    pub fields: BTreeMap<String, String>,
    /// Attributes of the process that sent it.
    pub resource: Arc<BTreeMap<String, String>>,
}

impl LogRow {
    /// An attribute of the record, else of its resource, unless it is absent or empty.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let given = |fields: &'_ BTreeMap<String, String>| fields.get(name).is_some_and(|value| !value.is_empty());
        let fields = if given(&self.fields) { &self.fields } else { &*self.resource };
        fields.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// Everything the picture is made from.
#[derive(Clone, Debug, Default)]
pub struct Material {
    /// The run; absent when `run.json` is not there or not readable.
    pub run: Option<RunRecord>,
    /// Landed clauses as they were observed.
    pub signs: Vec<Sign>,
    /// Planned faults.
    pub faults: Vec<FaultRow>,
    /// Mails.
    pub mail: Vec<Mail>,
    /// Submissions to merge queues.
    pub merge_requests: Vec<MergeRequest>,
    /// Agents.
    pub agents: Vec<AgentRow>,
    /// Sessions.
    pub sessions: Vec<Session>,
    /// The gateway's journal.
    pub exchanges: Vec<Exchange>,
    /// Log records, in any order.
    pub logs: Vec<LogRow>,
    /// What could not be read, each with its place.
    pub unreadable: Vec<String>,
}

/// Why nothing of a run could be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no evidence folder.
    #[error("{} holds no run: it has no `evidence` folder", .0.display())]
    NotARun(PathBuf),
}

impl ReadError {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            ReadError::NotARun(_) => "name a run's folder, such as reports/latest, or list them: proctor runs",
        }
    }
}

impl Material {
    /// Reads what lies in the run's folder (the one that holds `evidence/`).
    ///
    /// # Errors
    /// Only when there is no `evidence` folder; anything else that cannot be read is noted in [`Material::unreadable`].
    pub fn read(run_dir: &Path) -> Result<Material, ReadError> {
        let evidence = run_dir.join("evidence");
        if !evidence.is_dir() {
            return Err(ReadError::NotARun(run_dir.to_path_buf()));
        }
        let mut notes = Vec::new();
        let mut material = Material {
            run: read_json(&evidence, path::RUN, &mut notes),
            signs: read_rows(&evidence, path::SIGNS, &mut notes),
            faults: read_rows(&evidence, path::FAULTS, &mut notes),
            mail: read_rows(&evidence, path::MAIL, &mut notes),
            merge_requests: read_rows(&evidence, path::MERGE_REQUESTS, &mut notes),
            agents: read_rows(&evidence, path::AGENTS, &mut notes),
            sessions: read_rows(&evidence, path::SESSIONS, &mut notes),
            exchanges: of_agents(read_rows(&evidence, path::EXCHANGES, &mut notes)),
            ..Material::default()
        };
        material.logs = super::store::read_logs(&evidence.join(path::TELEMETRY), &mut notes);
        material.unreadable = notes;
        Ok(material)
    }
}

fn read_text(evidence: &Path, name: &str, notes: &mut Vec<String>) -> Option<String> {
    match fs::read(evidence.join(name)) {
        Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            notes.push(format!("evidence/{name}: {error}"));
            None
        }
    }
}

fn read_json<T: DeserializeOwned>(evidence: &Path, name: &str, notes: &mut Vec<String>) -> Option<T> {
    let text = read_text(evidence, name, notes)?;
    serde_json::from_str(&text).map_err(|error| notes.push(format!("evidence/{name}: {error}"))).ok()
}

/// What agents asked of their models, and what they asked the gateway for that does not exist there.
fn of_agents(mut rows: Vec<Exchange>) -> Vec<Exchange> {
    rows.retain(|row| row.is_of_a_model() || (!row.agent.is_empty() && row.status == 404));
    rows
}

fn read_rows<T: DeserializeOwned>(evidence: &Path, name: &str, notes: &mut Vec<String>) -> Vec<T> {
    let Some(text) = read_text(evidence, name, notes) else { return Vec::new() };
    let mut rows = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(row) => rows.push(row),
            Err(error) => notes.push(format!("evidence/{name}:{}: {error}", index + 1)),
        }
    }
    rows
}
