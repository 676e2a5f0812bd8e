//! The bare repositories behind the server: made, read before and after each push, one push to a repository at a time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use proctor_judge::evidence::{AgentId, Push, PushKind};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use super::asked::{Command, Commands};
use super::{Identity, OriginsSpec};
use crate::halt::Halt;
use crate::linux;

/// How many repositories pushes may make in one run.
const REPOSITORIES: usize = 64;
/// The files that git's smart HTTP is, below `git --exec-path`.
const BACKEND: &str = "git-http-backend";

/// How many refs of one push that git did not change are told.
const NOT_DONE: usize = 20;
/// The longest reason of git's that is told.
const REASON: usize = 200;

/// Refs of a repository with what they point to.
type Refs = BTreeMap<String, String>;

/// What one push changed of one ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The ref's full name.
    pub refname: String,
    /// What it pointed to before.
    pub from: Option<String>,
    /// What it points to now.
    pub to: Option<String>,
    /// What that is.
    pub kind: PushKind,
}

/// The origins of a run.
pub struct Forge {
    spec: OriginsSpec,
    backend: PathBuf,
    turns: Mutex<BTreeMap<String, Arc<Turn<()>>>>,
}

/// Git's HTTP server in the folder of git's programs.
///
/// # Errors
/// When it is not there, with what to do.
pub(crate) fn backend_of(folder: &Path) -> Result<PathBuf, Halt> {
    let backend = folder.join(BACKEND);
    let path = backend.display().to_string();
    if linux::find_program(&path, "").is_some() {
        return Ok(backend);
    }
    let halt = Halt::environment(format!("git comes without its HTTP server: {path} is not there"));
    Err(halt.hint(
        "install the package that has git-http-backend (Debian: git; Fedora: git-core; Alpine: git-daemon), or write origins = \"file\" in \
         scenario.toml",
    ))
}

impl Forge {
    /// Finds git's `http-backend`.
    ///
    /// # Errors
    /// When git cannot be run or comes without it.
    pub async fn new(spec: OriginsSpec) -> Result<Self, Halt> {
        let backend = backend_of(&spec.git.exec_path().await?)?;
        Ok(Self { spec, backend, turns: Mutex::default() })
    }

    /// What it was made from.
    pub fn spec(&self) -> &OriginsSpec {
        &self.spec
    }

    /// Git's CGI program.
    pub fn backend(&self) -> &PathBuf {
        &self.backend
    }

    /// Where a rig's origin lies, or would.
    pub fn origin(&self, rig: &str) -> PathBuf {
        self.spec.folder.join(format!("{rig}.git"))
    }

    /// Waits until no other push to this origin is under way, and keeps others waiting while the answer lives.
    pub async fn turn(&self, rig: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(rig.to_owned()).or_default())
        };
        turn.lock_owned().await
    }

    /// Makes the origin that a push is for, where that is allowed and there is none. The log's row when it was made.
    ///
    /// # Errors
    /// When git or the disk refuses.
    pub async fn make_for(&self, rig: &str, who: &Identity, address: &str) -> Result<Option<Push>, Halt> {
        let origin = self.origin(rig);
        if !self.spec.may_create || origin.exists() {
            return Ok(None);
        }
        let _turn = self.turn("").await;
        let there = std::fs::read_dir(&self.spec.folder).map_or(REPOSITORIES, Iterator::count);
        if origin.exists() || there >= REPOSITORIES {
            return Ok(None);
        }
        self.spec.git.init_bare(&origin).await?;
        let made = Change { refname: String::new(), from: None, to: None, kind: PushKind::Repository };
        Ok(Some(self.row(rig, who, address, made)))
    }

    /// The refs as they are now.
    ///
    /// # Errors
    /// When git cannot read the repository.
    pub async fn refs(&self, rig: &str) -> Result<Refs, Halt> {
        let listed = self.spec.git.run(&self.origin(rig), &["for-each-ref", "--format=%(objectname) %(refname)"]).await?;
        Ok(listed.lines().filter_map(|line| line.split_once(' ')).map(|(id, name)| (name.to_owned(), id.to_owned())).collect())
    }

    /// The rows of the log for what changed between two readings of the refs.
    pub async fn rows(&self, rig: &str, who: &Identity, address: &str, before: &Refs, after: &Refs) -> Vec<Push> {
        let mut rows = Vec::new();
        for mut change in changes(before, after) {
            if let (PushKind::Updated, Some(from), Some(to)) = (change.kind, &change.from, &change.to)
                && !self.spec.git.is_ancestor(&self.origin(rig), None, from, to).await
            {
                change.kind = PushKind::Rewound;
            }
            rows.push(self.row(rig, who, address, change));
        }
        rows
    }

    fn row(&self, rig: &str, who: &Identity, address: &str, change: Change) -> Push {
        let Change { refname, from, to, kind } = change;
        let (at, agent, rig) = ((self.spec.clock)(), who.agent.clone(), rig.to_owned());
        Push { at, agent, rig, refname, from, to, kind, refused: None, address: address.to_owned(), sender: None }
    }

    /// The log's row for a push that was refused before git saw it; `sender` is whose process it came from.
    pub fn refused(&self, rig: &str, who: &Identity, address: &str, why: String, sender: Option<AgentId>) -> Push {
        let nothing = Change { refname: String::new(), from: None, to: None, kind: PushKind::Refused };
        Push { refused: Some(why), sender, ..self.row(rig, who, address, nothing) }
    }

    /// The log's rows for what a push asked for and git did not do: objects that no git makes, a ref that was somewhere else by then.
    pub fn not_done(&self, rig: &str, who: &Identity, address: &str, wanted: Commands, after: &Refs, said: &str) -> Vec<Push> {
        let is_done = |refname: &str, to: &Option<String>| after.get(refname) == to.as_ref();
        let missed = wanted.into_iter().filter(|(refname, _, to)| !is_done(refname, to)).take(NOT_DONE);
        let row = |(refname, from, to): Command| {
            let why = reason(said, &refname);
            let change = Change { refname, from, to, kind: PushKind::Refused };
            Push { refused: Some(why), ..self.row(rig, who, address, change) }
        };
        missed.map(row).collect()
    }
}

/// What differs, in the order of the refs' names. Whether a ref was rewound is not known yet.
fn changes(before: &Refs, after: &Refs) -> Vec<Change> {
    let gone = before.iter().filter(|(name, _)| !after.contains_key(*name));
    let gone = gone.map(|(name, from)| (name, Some(from), None));
    let there = after.iter().map(|(name, to)| (name, before.get(name), Some(to)));
    let mut all: Vec<Change> = gone.chain(there).filter(|(_, from, to)| from != to).map(change).collect();
    all.sort_by(|a, b| a.refname.cmp(&b.refname));
    all
}

/// What git's answer says of a ref that it did not change: `ng <ref> <reason>`, else `unpack <reason>`.
fn reason(said: &str, refname: &str) -> String {
    let of_ref = said.lines().find_map(|line| line.split_once("ng ")?.1.strip_prefix(refname)?.strip_prefix(' '));
    let unpack = || said.lines().find_map(|line| line.split_once("unpack ").map(|(_, rest)| rest)).filter(|rest| *rest != "ok");
    let why: String = of_ref.or_else(unpack).unwrap_or("without a reason").chars().take(REASON).collect();
    format!("git refused it: {}", why.trim())
}

fn change((name, from, to): (&String, Option<&String>, Option<&String>)) -> Change {
    let kind = match (from, to) {
        (None, _) => PushKind::Created,
        (_, None) => PushKind::Deleted,
        _ => PushKind::Updated,
    };
    Change { refname: name.clone(), from: from.cloned(), to: to.cloned(), kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refs(list: &[(&str, &str)]) -> Refs {
        list.iter().map(|(name, id)| ((*name).to_owned(), (*id).to_owned())).collect()
    }

    #[test]
    fn the_reason_of_a_refusal_is_gits() {
        let said = "0030unpack ok\n0042ng refs/heads/a non-fast-forward\n0019ok refs/heads/b\n";
        assert_eq!(reason(said, "refs/heads/a"), "git refused it: non-fast-forward");
        assert_eq!(reason("unpack index-pack abnormal exit\n", "refs/heads/a"), "git refused it: index-pack abnormal exit");
        assert_eq!(reason("", "refs/heads/a"), "git refused it: without a reason");
    }

    #[test]
    fn what_differs_is_a_change_and_what_does_not_is_none() {
        let before = refs(&[("a", "1"), ("b", "1"), ("d", "1")]);
        let after = refs(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let kinds: Vec<(String, PushKind)> = changes(&before, &after).into_iter().map(|c| (c.refname, c.kind)).collect();
        let wanted = [("b", PushKind::Updated), ("c", PushKind::Created), ("d", PushKind::Deleted)];
        assert_eq!(kinds, wanted.map(|(name, kind)| (name.to_owned(), kind)));
    }
}
