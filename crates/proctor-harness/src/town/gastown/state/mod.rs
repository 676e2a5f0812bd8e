//! What a real town's state is, read where it appears first: the town's Dolt server and the record of agents' processes.
//!
//! One connection, read only, one statement for the hashes of all databases and one for those that changed. What becomes of the rows is stated beside each kind: `work` for beads and
//! convoys, `merge`, `mail`, `agents`, `sessions`.
//!
//! **Moments.** The town's tables hold whole seconds, and `gt` writes a second closing over the first (`gt done` closes a bead, the
//! merge closes it again). `closed_at` and `ended_at` are therefore the moment of the first read that saw the change, when this
//! reader saw the row before; for what was over already at the first read, what the town itself says. `created_at` and the time of a
//! mail are the town's, in whole seconds.
//!
//! **Cost**, with two rigs and 60 rows on a machine with five times more work than cores: a read in which no database changed takes 1.5 ms
//! and 0.8 ms of the server's CPU (200 reads in a row); each database that changed adds about 3.5 ms of it. Read whole every time, it was
//! 56 ms and 16 ms.

mod address;
mod agents;
mod close;
mod dolt;
mod dump;
mod journals;
mod mail;
mod merge;
pub(super) mod panes;
mod query;
#[cfg(test)]
mod recorded;
mod row;
mod sessions;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proctor_judge::evidence::Time;

use self::close::Closings;
use self::dolt::{Dolt, Failure};
use self::journals::Journals;
use self::panes::Panes;
use self::row::{Row, Rows};
use self::sessions::Sessions;
use crate::halt::Halt;
use crate::launch::SESSIONS_FILE;
use crate::town::{Snapshot, Tempo};
use crate::untrusted;

/// The town's file of events.
pub(super) const EVENTS: &str = ".events.jsonl";

/// How fast a real town is, and when it is read. Dolt writes a change to its journal, and waits for the disk, before others can read it; the end of a process, which no
/// file tells of, is seen by the poll.
pub(super) const TEMPO: Tempo = Tempo {
    poll: Duration::from_millis(120),
    settle: Duration::from_millis(40),
    // Each question is a tmux for every terminal.
    rest: Duration::from_millis(150),
    blind: 200,
    start: Duration::from_secs(180),
    receipt: Duration::from_secs(180),
    quiet: Duration::from_secs(120),
};

/// What tells of changes: the town's file of events, and the folders of the journals to which its Dolt server writes.
pub(super) fn tells(town: &Path) -> Vec<PathBuf> {
    let databases = std::fs::read_dir(town.join(".dolt-data")).into_iter().flatten().flatten();
    let journals = databases.map(|database| database.path().join(".dolt/noms")).filter(|folder| folder.is_dir());
    journals.chain([town.join(EVENTS)]).collect()
}

/// What reading has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Statements sent to the Dolt server.
    pub queries: u64,
    /// How long they took together, as the reader saw it.
    pub wall: Duration,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wall = self.wall.as_secs_f64();
        let each = if self.queries == 0 { 0.0 } else { wall * 1000.0 / self.queries as f64 };
        write!(f, "{} statements to dolt, {wall:.2} s until their answers, {each:.1} ms each", self.queries)
    }
}

/// Reads the state of one real town.
pub struct StateReader {
    town: PathBuf,
    dolt: Dolt,
    catalogue: Catalogue,
    journals: Journals,
    /// Databases that are none of the run's.
    except: BTreeSet<String>,
    cache: BTreeMap<String, Database>,
    /// The rows of all databases in `cache`, while none has changed.
    rows: Option<Arc<Rows>>,
    /// What was read last, and from which rows.
    last: Option<(Arc<Rows>, Arc<Snapshot>)>,
    closings: Closings,
    sessions: Sessions,
    kept: mail::Kept,
    clock: Box<dyn Fn() -> Time + Send + Sync>,
}

/// The databases that were found, and the list of rigs they were found for.
#[derive(Default)]
struct Catalogue {
    rigs: Vec<u8>,
    databases: Vec<String>,
}

/// What was read of one database, and the hash of it then.
struct Database {
    head: Option<String>,
    rows: Vec<Row>,
}

impl StateReader {
    /// A reader of the town below the base directory `root`, whose Dolt server listens on `port`. Connects at the first read.
    pub fn new(root: &Path, port: u16) -> Self {
        Self::with_sessions(&root.join("town"), port, Sessions::new(&root.join(SESSIONS_FILE)))
    }

    /// A reader of a town that others launch the agents of, as the panes of its tmux server show them. Of its databases, those of rigs
    /// in `except` are not read.
    pub(super) fn of_live_town(town: &Path, port: u16, panes: Panes, except: BTreeSet<String>) -> Self {
        Self { except, ..Self::with_sessions(town, port, Sessions::of_panes(panes)) }
    }

    fn with_sessions(town: &Path, port: u16, sessions: Sessions) -> Self {
        Self {
            town: town.to_owned(),
            dolt: Dolt::new(port),
            catalogue: Catalogue::default(),
            journals: Journals::new(town),
            except: BTreeSet::new(),
            cache: BTreeMap::new(),
            rows: None,
            last: None,
            closings: Closings::default(),
            sessions,
            kept: mail::Kept::default(),
            clock: Box::new(|| SystemTime::now().into()),
        }
    }

    /// The same reader with another clock: what it states as the time of observation.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> Time + Send + Sync + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// Reads the town's state. Rigs that were added since the last read are found by themselves; a connection that broke, such as by a
    /// restart of the server, is made anew. While nothing changed, the same state is handed out again. Dropping the future is harmless.
    ///
    /// # Errors
    /// When the server does not answer, or when its tables have another form than `bd` 0.57 to 0.62 makes. A later read may succeed.
    pub async fn read(&mut self) -> Result<Arc<Snapshot>, Halt> {
        let rows = match self.rows().await {
            Err(Failure::Broken(_)) => {
                self.catalogue = Catalogue::default();
                self.cache.clear();
                self.rows = None;
                self.journals.forget();
                self.rows().await
            }
            other => other,
        };
        let rows = rows.map_err(|failure| {
            self.journals.forget();
            failure.halt(self.dolt.port())
        })?;
        let is_same = !self.sessions.look((self.clock)())?;
        if let Some((_, state)) = self.last.as_ref().filter(|(of, _)| is_same && Arc::ptr_eq(of, &rows)) {
            return Ok(Arc::clone(state));
        }
        let state = Arc::new(self.snapshot(&rows));
        self.last = Some((rows, Arc::clone(&state)));
        Ok(state)
    }

    /// Writes every table's rows of every database as `raw/dolt/<database>/<table>.ndjson`, one object a row, columns in the table's
    /// order: numbers as numbers, JSON as JSON, `NULL` as null, times as the server prints them, bytes that are no text as
    /// `{"base64": "…"}`. Views and `dolt_*` tables are left out: they repeat the others.
    ///
    /// # Errors
    /// When the server does not answer or the files cannot be written.
    pub async fn dump(&mut self, raw: &Path) -> Result<(), Halt> {
        self.dump_but(raw, &BTreeSet::new()).await
    }

    /// [`StateReader::dump`] without some databases.
    pub(super) async fn dump_but(&mut self, raw: &Path, except: &BTreeSet<String>) -> Result<(), Halt> {
        dump::dump(&mut self.dolt, &raw.join("dolt"), except).await
    }

    /// What reading has cost so far.
    pub fn cost(&self) -> Cost {
        self.dolt.cost()
    }

    async fn rows(&mut self) -> Result<Arc<Rows>, Failure> {
        self.find_databases().await?;
        self.read_changed().await?;
        let all = || Rows::new(self.cache.values().flat_map(|database| database.rows.iter().cloned()));
        let rows = Arc::clone(self.rows.get_or_insert_with(|| Arc::new(all())));
        if self.last.as_ref().is_some_and(|(of, _)| Arc::ptr_eq(of, &rows)) {
            return Ok(rows);
        }
        let now = (self.clock)();
        let events = match query::closings(&self.closings.unknown(&rows)) {
            Some(statement) => self.dolt.query(&statement).await?,
            None => Vec::new(),
        };
        self.closings.look(&rows, &events, now);
        Ok(rows)
    }

    /// Reads the databases that are not as they were at the last read. The hashes are asked for first: what changes meanwhile is read
    /// again next time.
    async fn read_changed(&mut self) -> Result<(), Failure> {
        let databases = self.catalogue.databases.clone();
        let (stamps, asked_at) = (self.journals.stamps(&databases), SystemTime::now());
        if self.journals.are_as_asked(stamps.as_ref()) {
            return Ok(());
        }
        self.journals.forget();
        let heads = self.heads(&databases).await?;
        let same =
            |name: &String| self.cache.get(name).is_some_and(|old| old.head.is_some() && old.head.as_ref() == heads.get(name));
        let changed: Vec<String> = databases.iter().filter(|name| !same(name)).cloned().collect();
        if let Some(statement) = query::state(&changed) {
            let cells = self.dolt.query(&statement).await?;
            self.keep(changed, &heads, &cells);
        }
        self.journals.answered(stamps, asked_at);
        Ok(())
    }

    fn keep(&mut self, changed: Vec<String>, heads: &BTreeMap<String, String>, cells: &[dolt::Cells]) {
        self.rows = None;
        for name in changed {
            let own = cells.iter().filter(|cells| cells.get(1).is_some_and(|cell| cell.as_ref() == Some(&name)));
            let database = Database { head: heads.get(&name).cloned(), rows: own.filter_map(Row::parse).collect() };
            self.cache.insert(name, database);
        }
    }

    /// What each database holds, as one hash. A server that knows none is read whole every time.
    async fn heads(&mut self, databases: &[String]) -> Result<BTreeMap<String, String>, Failure> {
        let Some(statement) = query::heads(databases) else { return Ok(BTreeMap::new()) };
        let row = match self.dolt.query(&statement).await {
            Err(Failure::Refused(_)) => return Ok(BTreeMap::new()),
            answer => answer?.into_iter().next().unwrap_or_default(),
        };
        Ok(databases.iter().cloned().zip(row).filter_map(|(name, head)| Some((name, head?))).collect())
    }

    /// Looks for databases when the list of rigs is another than the one they were found for.
    async fn find_databases(&mut self) -> Result<(), Failure> {
        let rigs = untrusted::read(&self.town, Path::new("mayor/rigs.json")).unwrap_or_default();
        if !self.catalogue.databases.is_empty() && rigs == self.catalogue.rigs {
            return Ok(());
        }
        let found = self.dolt.query(query::DATABASES).await?;
        let found = found.into_iter().filter_map(|row| row.into_iter().next().flatten());
        let databases: Vec<String> = found.filter(|name| !self.except.contains(name)).collect();
        // A rig is listed before its tables are there for a moment: then the next read looks again.
        self.cache.retain(|name, _| databases.contains(name));
        self.rows = None;
        self.journals.forget();
        let whole = rig_names(&rigs).iter().all(|rig| databases.contains(rig) || self.except.contains(rig));
        self.catalogue = Catalogue { rigs: if whole { rigs } else { Vec::new() }, databases };
        Ok(())
    }

    fn snapshot(&mut self, rows: &Rows) -> Snapshot {
        let beads = work::beads(rows, &self.closings);
        let sessions = self.sessions.rows(&beads);
        let (mail, merge_requests) = self.kept.keep(mail::mail(rows), merge::requests(rows, &self.closings));
        Snapshot {
            convoys: work::convoys(rows, &self.closings),
            agents: agents::agents(rows, &beads, &sessions),
            beads,
            mail,
            merge_requests,
            sessions,
            leftovers: Vec::new(),
        }
    }
}

/// The rigs that `mayor/rigs.json` lists.
pub(super) fn rig_names(rigs: &[u8]) -> Vec<String> {
    let value: serde_json::Value = serde_json::from_slice(rigs).unwrap_or_default();
    value["rigs"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
}
