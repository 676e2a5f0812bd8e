//! The evidence of one run, read from disk once and as far as it goes.
//!
//! A run can end at any moment. What is absent or cut short is remembered with its path, so that a check can say
//! `unknown` with the reason in place of `failed`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::error::JudgeError;
use crate::evidence::{
    AgentRow, Bead, Convoy, Delivery, Exchange, ExerciseRecord, FaultRow, Mail, MergeRequest, Push, Refusal, RefusedRequests,
    RigGit, RunRecord, RuntimeRecord, SCHEMA_VERSION, Session, Sign, SkippedRow, path,
};
use crate::plan::Plan;
use crate::seal::{self, Change, Expected, State, Verified, What};

/// Rows of one file and how far they could be read.
#[derive(Clone, Debug)]
pub(crate) struct Rows<T> {
    /// The rows, in the file's order.
    pub(crate) rows: Vec<T>,
    /// Whether the file was there at all.
    pub(crate) known: bool,
}

impl<T> Rows<T> {
    /// The rows, or nothing when the file was not there.
    pub(crate) fn when_known(&self) -> Option<&[T]> {
        self.known.then_some(self.rows.as_slice())
    }
}

impl<'a, T> IntoIterator for &'a Rows<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.rows.iter()
    }
}

/// Everything below `evidence/` but the store.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// The folder that holds `evidence/`.
    pub(crate) dir: PathBuf,
    pub(crate) record: RunRecord,
    /// Absent when the run stopped before it was written.
    pub(crate) plan: Option<Plan>,
    pub(crate) signs: Rows<Sign>,
    pub(crate) faults: Rows<FaultRow>,
    pub(crate) beads: Rows<Bead>,
    pub(crate) convoys: Rows<Convoy>,
    pub(crate) mail: Rows<Mail>,
    pub(crate) merge_requests: Rows<MergeRequest>,
    pub(crate) agents: Rows<AgentRow>,
    pub(crate) sessions: Rows<Session>,
    pub(crate) rigs: Rows<RigGit>,
    /// Proctor's own log of pushes; not known where origins were folders.
    pub(crate) pushes: Rows<Push>,
    pub(crate) deliveries: Rows<Delivery>,
    /// What agents asked of their models, each with its line in the journal as `n`.
    pub(crate) exchanges: Rows<Exchange>,
    /// All other rows of the gateway's journal: for what does not exist there, of nobody known, or asking whether somebody is there.
    pub(crate) other_requests: Vec<Exchange>,
    /// What came to the run's listeners and was refused, or counts for nobody.
    pub(crate) requests: Rows<RefusedRequests>,
    /// What the fence refused.
    pub(crate) refusals: Rows<Refusal>,
    /// By name; the path is the record's folder, relative to the run's folder.
    pub(crate) exercises: BTreeMap<String, (String, ExerciseRecord)>,
    /// What the exercises ran with; absent in runs of an older Proctor, and where none was done.
    pub(crate) runtime: Option<RuntimeRecord>,
    /// What was left out when the town's files were collected.
    pub(crate) skipped: Rows<SkippedRow>,
    /// Files that could not be read whole, with the reason.
    pub(crate) unread: Vec<(String, String)>,
    /// The evidence compared with its seal.
    pub(crate) seal: Verified,
}

impl Run {
    /// Reads the run in `dir`.
    pub(crate) fn read(dir: &Path) -> Result<Self, JudgeError> {
        Self::read_expecting(dir, Expected::default())
    }

    /// Reads the run in `dir`, of whose seal something is known. Files that differ from the seal count as not read.
    pub(crate) fn read_expecting(dir: &Path, expected: Expected<'_>) -> Result<Self, JudgeError> {
        let verified = seal::verify(dir, expected);
        let record = match read_record(dir) {
            Err(JudgeError::NotARun { .. } | JudgeError::Read { .. } | JudgeError::Malformed { .. })
                if verified.state != State::Unsealed =>
            {
                nameless(verified.run_id.as_deref())
            }
            record => record?,
        };
        let seal = sealed_as(verified, &record);
        let mut reader = Reader { evidence: dir.join("evidence"), unread: Vec::new(), damaged: Vec::new(), seal: &seal };
        let (exchanges, other_requests) = split(reader.rows(path::EXCHANGES));
        let mut run = Self {
            dir: dir.to_path_buf(),
            record,
            plan: reader.json(path::PLAN),
            signs: reader.rows(path::SIGNS),
            faults: reader.rows(path::FAULTS),
            beads: reader.rows(path::BEADS),
            convoys: reader.rows(path::CONVOYS),
            mail: reader.rows(path::MAIL),
            merge_requests: reader.rows(path::MERGE_REQUESTS),
            agents: reader.rows(path::AGENTS),
            sessions: reader.rows(path::SESSIONS),
            rigs: reader.rows(path::GIT_RIGS),
            pushes: reader.rows(path::PUSHES),
            deliveries: reader.rows(path::DELIVERIES),
            exchanges,
            other_requests,
            requests: reader.optional_rows(path::REQUESTS),
            refusals: reader.optional_rows(path::REFUSALS),
            exercises: reader.exercises(),
            runtime: reader.json(path::RUNTIME),
            skipped: reader.rows(path::SKIPPED),
            unread: std::mem::take(&mut reader.unread),
            seal: seal.clone(),
        };
        let damaged = std::mem::take(&mut reader.damaged);
        run.seal.changes.extend(damaged.into_iter().chain(unsealed_store(dir, &seal)));
        run.seal.changes.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(run)
    }

    /// Whether `run.json`, which says what became of the run, is not what was sealed.
    pub(crate) fn is_record_damaged(&self) -> bool {
        self.seal.change(&format!("evidence/{}", path::RUN)).is_some()
    }

    /// Seconds from the run's beginning to `at`.
    pub(crate) fn since_start(&self, at: crate::evidence::Time) -> f64 {
        crate::wording::seconds(self.record.started_at, at)
    }

    /// Whether a request that no script answered came after a planned fault had hit a program that agents use: then it is a
    /// consequence of that fault, and no defect of the script.
    pub(crate) fn is_consequence(&self, exchange: &Exchange) -> bool {
        let hit = self.faults.rows.iter().filter(|fault| fault.program.is_some()).filter_map(|fault| fault.fired_at);
        hit.min().is_some_and(|at| at <= exchange.at)
    }

    /// Whether no script need foresee a request: its agent never lived, or a command of the agent's sent it and not the agent.
    pub(crate) fn is_stray(&self, exchange: &Exchange) -> bool {
        let by_command = exchange.from.as_ref().is_some_and(|from| from.own == Some(false));
        by_command || !self.has_lived(&exchange.agent)
    }

    /// Whether the town ever started an agent, as far as that is known.
    pub(crate) fn has_lived(&self, agent: &str) -> bool {
        !self.sessions.known || self.sessions.rows.iter().any(|session| session.agent == agent)
    }

    /// What agents asked the gateway for that does not exist there.
    pub(crate) fn unknown_requests(&self) -> impl Iterator<Item = &Exchange> {
        self.other_requests.iter().filter(|e| !e.agent.is_empty() && e.status == 404 && e.fault.is_none())
    }

    /// Whether the run was played in a town that was there before and goes on.
    pub(crate) fn is_live(&self) -> bool {
        self.record.notes.contains_key("live_town")
    }

    /// Whether the origins were reached by Proctor's server only.
    pub(crate) fn has_served_origins(&self) -> bool {
        self.record.notes.get("origins").is_some_and(|how| how.starts_with("http://"))
    }

    /// Whether some request had no answer in any script, for no other reason than the script.
    pub(crate) fn script_failed(&self) -> bool {
        let blames = |exchange: &Exchange| !self.is_consequence(exchange) && !self.is_stray(exchange);
        self.exchanges.rows.iter().any(|exchange| exchange.miss.is_some() && blames(exchange))
    }

    /// The last moment the evidence knows of.
    pub(crate) fn last_moment(&self) -> crate::evidence::Time {
        let phases = self.record.phases.iter().flat_map(|p| [Some(p.started_at), p.ended_at]).flatten();
        let signs = self.signs.rows.iter().map(|s| s.last_seen);
        self.record.ended_at.unwrap_or_else(|| phases.chain(signs).max().unwrap_or(self.record.started_at))
    }

    /// When phase 7 began: from then on the harness ends the town, and what happens is no longer the agents' doing.
    pub(crate) fn collecting_since(&self) -> Option<crate::evidence::Time> {
        self.record.phases.iter().find(|p| p.number == 7).map(|p| p.started_at)
    }

    /// Whether phase `number` of 1 to 6 began. Phase 7 follows whichever phase a run was stopped in.
    pub(crate) fn reached(&self, number: u8) -> bool {
        self.record.phases.iter().any(|p| (number..7).contains(&p.number))
    }

    /// The file `name` of the target branch of `rig`, as it was collected.
    pub(crate) fn tree_file(&self, rig: &str, name: &str) -> PathBuf {
        self.dir.join("evidence").join(path::GIT).join(rig).join("tree").join(name)
    }

    /// What git knows about `rig`.
    pub(crate) fn rig(&self, rig: &str) -> Option<&RigGit> {
        self.rigs.rows.iter().find(|r| r.rig == rig)
    }

    /// The convoys whose landing ends the run, oldest first (see [`crate::convoys`]).
    pub(crate) fn convoys_of_the_run(&self) -> Vec<&Convoy> {
        let title = self.plan.as_ref().map(|plan| plan.convoy.as_str());
        title.map_or_else(Vec::new, |title| crate::convoys::of_title(&self.convoys.rows, title, self.live_since()))
    }

    /// The one of them that tells most.
    pub(crate) fn convoy(&self) -> Option<&Convoy> {
        crate::convoys::telling(&self.convoys_of_the_run())
    }

    /// That there is no convoy of the planned title, and which ones are there in its place.
    pub(crate) fn no_convoy(&self) -> String {
        let title = self.plan.as_ref().map_or("", |plan| plan.convoy.as_str());
        let others = crate::convoys::named(&self.convoys.rows, title, self.live_since());
        let instead = if others.is_empty() { String::new() } else { format!("; there is {others}") };
        format!("there is no convoy {}{instead}", crate::wording::quoted(title, 80))
    }

    /// When the run began, in a town that was there before it.
    fn live_since(&self) -> Option<crate::evidence::Time> {
        self.is_live().then_some(self.record.started_at)
    }

    /// The issues that the run is about: what its convoys track, else every work item of the plan's rigs.
    pub(crate) fn tracked(&self) -> Vec<&str> {
        let mut tracked: Vec<&str> = Vec::new();
        for id in self.convoys_of_the_run().into_iter().flat_map(|c| &c.tracked) {
            if !tracked.contains(&id.as_str()) {
                tracked.push(id);
            }
        }
        if !tracked.is_empty() {
            return tracked;
        }
        let planned = |rig: &Option<String>| match (rig, &self.plan) {
            (Some(rig), Some(plan)) => plan.rigs.contains(rig),
            _ => false,
        };
        self.beads.rows.iter().filter(|b| planned(&b.rig)).map(|b| b.id.as_str()).collect()
    }
}

/// The rows that agents asked of their models, and the others. Rows count from 1 in both, as in the file.
fn split(journal: Rows<Exchange>) -> (Rows<Exchange>, Vec<Exchange>) {
    let Rows { rows, known } = journal;
    let numbered = (1..).zip(rows).map(|(n, row)| Exchange { n, ..row });
    let (asked, others) = numbered.partition(Exchange::is_of_a_model);
    (Rows { rows: asked, known }, others)
}

fn read_record(dir: &Path) -> Result<RunRecord, JudgeError> {
    let file = dir.join("evidence").join(path::RUN);
    let text = fs::read(&file).map_err(|source| match source.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => JudgeError::NotARun { path: dir.to_path_buf() },
        _ => JudgeError::Read { path: file.clone(), source },
    })?;
    // The version is read first: a newer record may lack or change anything else.
    let schema: SchemaOnly =
        serde_json::from_slice(&text).map_err(|source| JudgeError::Malformed { path: file.clone(), source })?;
    if schema.schema != SCHEMA_VERSION {
        return Err(JudgeError::Schema { path: file, found: schema.schema, known: SCHEMA_VERSION });
    }
    serde_json::from_slice(&text).map_err(|source| JudgeError::Malformed { path: file, source })
}

/// What stands in for a record that cannot be read: the seal knows only which run it was.
fn nameless(run_id: Option<&str>) -> RunRecord {
    let unknown = || "unknown".to_owned();
    RunRecord {
        schema: SCHEMA_VERSION,
        id: run_id.map_or_else(unknown, str::to_owned),
        run_id: run_id.map_or_else(unknown, str::to_owned),
        scenario: unknown(),
        title: "a run whose record is damaged".into(),
        town: unknown(),
        models: unknown(),
        seed: 0,
        command: unknown(),
        started_at: crate::evidence::Time::UNIX_EPOCH,
        ended_at: None,
        phases: Vec::new(),
        stopped: None,
        delivery: None,
        leftovers: Vec::new(),
        fence: None,
        losses: Vec::new(),
        signals: Vec::new(),
        versions: BTreeMap::new(),
        notes: BTreeMap::new(),
        seals: true,
    }
}

/// A run that ended and seals its evidence has a seal; and a seal belongs to one run.
fn sealed_as(verified: Verified, record: &RunRecord) -> Verified {
    let why = match (&verified.state, &verified.run_id) {
        (State::Unsealed, _) if record.seals && record.ended_at.is_some() => {
            format!("evidence/{} is not there, although the run ended", path::SEALED)
        }
        (State::Sealed { .. }, Some(run_id)) if *run_id != record.run_id => {
            format!("evidence/{} is the seal of another run, {run_id}", path::SEALED)
        }
        _ => return verified,
    };
    Verified { state: State::Broken { why }, ..verified }
}

/// A journal of telemetry without a seal in which something was changed.
fn unsealed_store(dir: &Path, seal: &Verified) -> Option<Change> {
    if seal.state != State::Unsealed {
        return None;
    }
    let after = proctor_store::Store::damaged_after(&dir.join("evidence").join(path::TELEMETRY))?;
    let what = What::Unreadable(format!("what follows its first {after} bytes is not what proctor writes"));
    Some(Change { path: format!("evidence/{}/journal.bin", path::TELEMETRY), what })
}

#[derive(serde::Deserialize)]
struct SchemaOnly {
    schema: u32,
}

/// Reads files below `evidence/` and remembers what it could not read.
struct Reader<'a> {
    evidence: PathBuf,
    unread: Vec<(String, String)>,
    /// Files without a seal in which something is that nobody writes, with where.
    damaged: Vec<Change>,
    seal: &'a Verified,
}

impl Reader<'_> {
    fn bytes(&mut self, name: &str) -> Option<Vec<u8>> {
        if let Some(change) = self.seal.change(&format!("evidence/{name}")) {
            self.note(name, &change.what.to_string());
            return None;
        }
        match fs::read(self.evidence.join(name)) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.note(name, "is not there");
                None
            }
            Err(error) => {
                self.note(name, &format!("cannot be read: {}", plain(&error)));
                None
            }
        }
    }

    fn note(&mut self, name: &str, why: &str) {
        self.unread.push((format!("evidence/{name}"), why.to_owned()));
    }

    fn json<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let bytes = self.bytes(name)?;
        match serde_json::from_slice(&bytes) {
            Ok(value) => Some(value),
            Err(error) => {
                self.note(name, &format!("cannot be understood: {error}"));
                None
            }
        }
    }

    /// Rows that can be understood do count. A last row without its end was cut off when the run was killed; any other row that cannot
    /// be understood was changed, and where no seal says so already, the file counts as damaged.
    fn rows<T: DeserializeOwned>(&mut self, name: &str) -> Rows<T> {
        let Some(bytes) = self.bytes(name) else { return Rows { rows: Vec::new(), known: false } };
        let mut rows = Vec::new();
        let mut bad = Vec::new();
        for (index, line) in bytes.split(|b| *b == b'\n').enumerate().filter(|(_, l)| !l.trim_ascii().is_empty()) {
            match serde_json::from_slice(line) {
                Ok(row) => rows.push(row),
                Err(error) => bad.push((index + 1, error)),
            }
        }
        let is_cut = bad.len() == 1 && bad[0].0 == bytes.split(|b| *b == b'\n').count() && self.seal.state == State::Unsealed;
        if is_cut {
            self.note(name, "ends in a row that was cut off when the run was killed");
            return Rows { rows, known: true };
        }
        if let Some((line, error)) = bad.first() {
            if self.seal.state == State::Unsealed {
                let what = What::Unreadable(format!("line {line} is not what proctor writes: {error}"));
                self.damaged.push(Change { path: format!("evidence/{name}"), what });
            }
            self.note(name, &format!("has {} rows that cannot be understood, the first in line {line}: {error}", bad.len()));
        }
        Rows { rows, known: true }
    }

    /// Rows of a file that earlier runs do not have.
    fn optional_rows<T: DeserializeOwned>(&mut self, name: &str) -> Rows<T> {
        if self.evidence.join(name).exists() { self.rows(name) } else { Rows { rows: Vec::new(), known: false } }
    }

    fn exercises(&mut self) -> BTreeMap<String, (String, ExerciseRecord)> {
        let mut records = BTreeMap::new();
        let Ok(folders) = fs::read_dir(self.evidence.join(path::EXERCISE)) else { return records };
        let mut names: Vec<String> =
            folders.filter_map(|f| f.ok()?.file_name().into_string().ok()).filter(|n| !n.starts_with('.')).collect();
        names.sort();
        for name in names {
            let file = format!("{}/{name}/record.json", path::EXERCISE);
            if !self.evidence.join(&file).is_file() {
                continue;
            }
            if let Some(record) = self.json::<ExerciseRecord>(&file) {
                records.insert(record.name.clone(), (format!("evidence/{}/{name}/", path::EXERCISE), record));
            }
        }
        records
    }
}

/// The message of `error` without the number of the system's error, which differs between systems.
fn plain(error: &io::Error) -> String {
    error.kind().to_string()
}
