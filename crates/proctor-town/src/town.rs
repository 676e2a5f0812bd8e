//! A town on disk: where it is, its store, and how a change to it is made.
//!
//! Every change is one IMMEDIATE transaction; the events it causes are appended to `.events.jsonl` after the commit.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use serde_json::Value;

use crate::caller::Caller;
use crate::error::{Result, TownError, refused, refused_hint};
use crate::events::{self, Event};
use crate::ids;
use crate::mail::Message;

/// Waiting for another process's transaction; transactions take milliseconds.
const BUSY: Duration = Duration::from_secs(30);

/// The store of beads, below the town's root.
pub(crate) const STORE: &str = ".beads/beads.db";

/// An open town.
pub(crate) struct Town {
    /// Its root (`GT_TOWN_ROOT`).
    pub(crate) root: PathBuf,
    /// Its store.
    pub(crate) db: Connection,
    /// Who works with it.
    pub(crate) caller: Caller,
}

/// One repository with its workers.
#[derive(Clone, Debug)]
pub(crate) struct Rig {
    /// `alice`.
    pub(crate) name: String,
    /// `al`.
    pub(crate) prefix: String,
    /// Where merged work goes.
    pub(crate) url: String,
    /// `main`.
    pub(crate) branch: String,
}

/// A change in the making: one transaction and the events it will have caused.
pub(crate) struct Change<'t> {
    pub(crate) tx: Transaction<'t>,
    pub(crate) now: String,
    pub(crate) actor: String,
    pub(crate) seed: String,
    pub(crate) source: &'static str,
    events: Vec<Event>,
    /// Messages that are sent with the commit; each is told in an event `mail` afterwards.
    pub(crate) sent: Vec<Message>,
}

/// The town that the caller means: `GT_TOWN_ROOT`, `GT_ROOT`, `BEADS_DIR`, else the nearest one above the working directory.
pub(crate) fn find(caller: &Caller) -> Option<PathBuf> {
    let named = ["GT_TOWN_ROOT", "GT_ROOT"].iter().filter_map(|name| caller.var(name)).map(PathBuf::from);
    let beads = caller.var("BEADS_DIR").and_then(|dir| Path::new(dir).parent()).map(Path::to_path_buf);
    let above = caller.cwd.ancestors().map(Path::to_path_buf);
    let found = named.chain(beads).chain(above).find(|path| is_town(path))?;
    Some(found.canonicalize().unwrap_or(found))
}

/// Whether a town lives at `path`.
pub(crate) fn is_town(path: &Path) -> bool {
    path.join("mayor/town.json").is_file()
}

/// The error of a command outside every town.
pub(crate) fn nowhere<T>() -> Result<T> {
    refused_hint("not in a Gas Town workspace", "run it below a town, or set GT_TOWN_ROOT")
}

fn connect(path: &Path) -> Result<Connection> {
    let db = Connection::open(path)?;
    db.busy_timeout(BUSY)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(db)
}

impl Town {
    /// Opens the town the caller means.
    pub(crate) fn open(caller: &Caller) -> Result<Self> {
        match find(caller) {
            Some(root) => Self::at(root, caller),
            None => nowhere(),
        }
    }

    /// Opens the town at `root`.
    pub(crate) fn at(root: PathBuf, caller: &Caller) -> Result<Self> {
        let path = root.join(STORE);
        if !path.is_file() {
            return refused(format!("{}: no bead store", path.display()));
        }
        let db = connect(&path)?;
        Ok(Self { root, db, caller: caller.clone() })
    }

    /// Makes the store of a new town.
    pub(crate) fn create_store(root: &Path, caller: &Caller) -> Result<Self> {
        let dir = root.join(".beads");
        std::fs::create_dir_all(&dir).map_err(TownError::io(&dir))?;
        let db = connect(&dir.join("beads.db"))?;
        db.execute_batch(include_str!("schema.sql"))?;
        let seed = caller.var("PROCTOR_SEED").map_or_else(|| (caller.run_ids)(), str::to_string);
        db.execute("INSERT OR IGNORE INTO config(key, value) VALUES('seed', ?1)", [seed])?;
        db.execute("INSERT OR IGNORE INTO config(key, value) VALUES('issue_prefix', 'hq')", [])?;
        Ok(Self { root: root.to_path_buf(), db, caller: caller.clone() })
    }

    /// The agent that calls.
    pub(crate) fn agent(&self) -> String {
        self.caller.agent(Some(&self.root))
    }

    /// Makes one change: runs `make` in a transaction, commits, then appends its events.
    pub(crate) fn change<T>(&mut self, make: impl FnOnce(&mut Change<'_>) -> Result<T>) -> Result<T> {
        let actor = self.agent();
        self.change_as(&actor, "gt", make)
    }

    /// [`Town::change`] in the name of `actor`.
    pub(crate) fn change_as<T>(
        &mut self,
        actor: &str,
        source: &'static str,
        make: impl FnOnce(&mut Change<'_>) -> Result<T>,
    ) -> Result<T> {
        let seed = self.seed()?;
        let now = self.caller.now();
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut change = Change { tx, now, actor: actor.to_string(), seed, source, events: Vec::new(), sent: Vec::new() };
        let value = make(&mut change)?;
        let Change { tx, events, sent, .. } = change;
        tx.commit()?;
        events::append(&self.root, &events)?;
        sent.iter().for_each(|message| self.caller.mail("send", message));
        Ok(value)
    }

    fn seed(&self) -> Result<String> {
        match self.caller.var("PROCTOR_SEED") {
            Some(seed) => Ok(seed.to_string()),
            None => Ok(config(&self.db, "seed")?.unwrap_or_default()),
        }
    }

    /// All rigs, by name.
    pub(crate) fn rigs(&self) -> Result<Vec<Rig>> {
        let mut query = self.db.prepare("SELECT name, prefix, url, branch FROM rigs ORDER BY name")?;
        let rows = query
            .query_map([], |row| Ok(Rig { name: row.get(0)?, prefix: row.get(1)?, url: row.get(2)?, branch: row.get(3)? }))?;
        Ok(rows.collect::<std::result::Result<_, _>>()?)
    }

    /// The rig of that name, or an error that lists those there are.
    pub(crate) fn rig(&self, name: &str) -> Result<Rig> {
        let rigs = self.rigs()?;
        let names = rigs.iter().map(|rig| rig.name.clone()).collect::<Vec<_>>().join(", ");
        match rigs.into_iter().find(|rig| rig.name == name) {
            Some(rig) => Ok(rig),
            None if names.is_empty() => refused_hint(format!("rig '{name}' not found"), "add one: gt rig add NAME URL"),
            None => refused_hint(format!("rig '{name}' not found"), format!("rigs: {names}")),
        }
    }

    /// The rig whose folder the caller stands in.
    pub(crate) fn rig_of_cwd(&self) -> Result<Option<Rig>> {
        let cwd = self.caller.cwd.canonicalize().unwrap_or_else(|_| self.caller.cwd.clone());
        let first = cwd.strip_prefix(&self.root).ok().and_then(|inside| inside.iter().next());
        let Some(first) = first.map(|part| part.to_string_lossy().into_owned()) else { return Ok(None) };
        Ok(self.rigs()?.into_iter().find(|rig| rig.name == first))
    }

    /// Folder of a rig.
    pub(crate) fn rig_dir(&self, rig: &str) -> PathBuf {
        self.root.join(rig)
    }

    /// The bare repository that all worktrees of a rig belong to.
    pub(crate) fn rig_repo(&self, rig: &str) -> PathBuf {
        self.root.join(rig).join(".repo.git")
    }

    /// A polecat's worktree.
    pub(crate) fn polecat_dir(&self, rig: &str, name: &str) -> PathBuf {
        self.root.join(rig).join("polecats").join(name).join(rig)
    }
}

/// A value of the store's configuration.
pub(crate) fn config(db: &Connection, key: &str) -> Result<Option<String>> {
    Ok(db.query_row("SELECT value FROM config WHERE key = ?1", [key], |row| row.get(0)).optional()?)
}

impl Change<'_> {
    /// Notes an event for after the commit.
    pub(crate) fn event(&mut self, kind: &str, payload: Value) {
        let (ts, actor) = (self.now.clone(), self.actor.clone());
        let visibility = "feed";
        self.events.push(Event { ts, source: self.source, kind: kind.to_string(), actor, payload, visibility });
    }

    /// Counts up `name` and gives the new value, from 1.
    pub(crate) fn count(&mut self, name: &str) -> Result<i64> {
        let sql = "INSERT INTO counters(name, n) VALUES(?1, 1) ON CONFLICT(name) DO UPDATE SET n = n + 1 RETURNING n";
        Ok(self.tx.query_row(sql, params![name], |row| row.get(0))?)
    }

    /// A new id below `prefix`, of at least `length` digits; longer when a shorter one is taken.
    pub(crate) fn new_id(&mut self, prefix: &str, length: usize) -> Result<String> {
        let actor = self.actor.clone();
        let n = self.count(&format!("ids {actor}"))?;
        for length in length..=16 {
            let id = format!("{prefix}-{}", ids::hash(&self.seed, &actor, n, length));
            let sql = "SELECT EXISTS(SELECT 1 FROM issues WHERE id = ?1) OR EXISTS(SELECT 1 FROM mail WHERE id = ?1) \
                       OR EXISTS(SELECT 1 FROM merge_requests WHERE id = ?1)";
            if !self.tx.query_row(sql, [&id], |row| row.get::<_, bool>(0))? {
                return Ok(id);
            }
        }
        refused(format!("no free id below {prefix}"))
    }
}
