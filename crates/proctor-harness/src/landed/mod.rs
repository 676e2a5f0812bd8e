//! Whether everything has landed: the clauses, read from the town's state and from git, all at the same moment.
//!
//! The town's word is taken for what only the town knows (issues, convoy, sessions); what is merged and pushed, git decides.

mod ancestry;
mod commit;
mod convoys;
pub mod git;
mod keep;
mod materialize;
mod objects;
mod piped;
mod rig;
mod seed;
pub mod signs;
mod standing;
mod touched;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proctor_judge::evidence::{Bead, Delivery, Push, Sign, Time};
use proctor_judge::plan::Clause;

use crate::halt::Halt;
use crate::origins::log::PushLog;
use crate::town::Snapshot;
pub use materialize::{Materialized, materialize};
pub use rig::Wanted;

use convoys::Convoys;
use git::Git;
use signs::{Reading, SignLog};
use standing::{Standing, Submitted};

/// The branch that work is merged to.
pub const TARGET: &str = "main";

/// A standing is a function of these: origin, submitted commit, head of the target branch.
type StandingKey = (PathBuf, String, String);

/// How it is known what the origins' branches were.
#[derive(Clone, Debug)]
pub enum History {
    /// By the log of the server of origins: nobody else can reach them.
    Log(PushLog),
    /// By their reflogs, which everybody in the town can write, as the origins themselves.
    Reflogs,
}

/// Looks at clauses.
pub struct Landed {
    git: Git,
    origins: PathBuf,
    history: History,
    convoys: Convoys,
    clauses: Vec<Clause>,
    log: SignLog,
    known: BTreeMap<StandingKey, Standing>,
    commits: BTreeMap<String, (String, String)>,
    /// Origins that keep a reflog, by themselves or since they were made to.
    logging: BTreeSet<PathBuf>,
}

/// One look at all clauses.
#[derive(Clone, Debug)]
pub struct Look {
    /// Whether all clauses hold.
    pub landed: bool,
    /// The clauses.
    pub readings: Vec<Reading>,
    /// Those that changed since the look before.
    pub changed: Vec<Reading>,
    /// What became of each tracked issue's work.
    pub deliveries: Vec<Delivery>,
}

impl Landed {
    /// Looks for the convoy of that title; `origins` is the folder of bare repositories.
    pub fn new(git: Git, origins: &Path, history: History, convoy: &str, clauses: &[Clause]) -> Self {
        Self {
            git,
            origins: origins.to_owned(),
            history,
            convoys: Convoys::of(convoy),
            clauses: clauses.to_vec(),
            log: SignLog::default(),
            known: BTreeMap::new(),
            commits: BTreeMap::new(),
            logging: BTreeSet::new(),
        }
    }

    /// Notes where the target branches of these rigs stand before anybody can push.
    pub fn begin<'a>(&mut self, rigs: impl Iterator<Item = &'a str>) {
        let heads: Vec<(&str, String)> = rigs.filter_map(|rig| Some((rig, git::head(&self.origin(rig), TARGET)?))).collect();
        if let History::Log(log) = &mut self.history {
            heads.into_iter().for_each(|(rig, head)| log.begins(rig, TARGET, head));
        }
    }

    /// The head of a rig's target branch, as far as it is known how it came there.
    fn head(&self, rig: &str) -> Option<String> {
        match &self.history {
            History::Log(log) => log.head(rig, TARGET),
            History::Reflogs => git::head(&self.origin(rig), TARGET),
        }
    }

    /// Takes what was pushed.
    pub fn pushed(&mut self, push: Push) {
        if let History::Log(log) = &mut self.history {
            log.take(push);
        }
    }

    /// All that was pushed to served origins; nothing is known where they are folders.
    pub fn pushes(&self) -> Option<&[Push]> {
        match &self.history {
            History::Log(log) => Some(log.rows()),
            History::Reflogs => None,
        }
    }

    /// Every head that the target branch of a rig's origin is known to have had, oldest first.
    pub fn heads(&self, rig: &str) -> Vec<String> {
        match &self.history {
            History::Log(log) => log.heads(rig, TARGET),
            History::Reflogs => git::heads(&self.origin(rig), TARGET),
        }
    }

    /// The same for a run that began then: older convoys of the title are none of it.
    #[must_use]
    pub fn since_begun(mut self, at: Time) -> Self {
        self.convoys.since(at);
        self
    }

    /// The signs so far.
    pub fn signs(&self) -> &[Sign] {
        self.log.rows()
    }

    /// Since when a clause has held without a break.
    pub fn since(&self, clause: Clause) -> Option<Time> {
        self.log.since(clause)
    }

    /// The origin of a rig. The town says what its rigs are called, and its agents can change what it says: a name that would lead
    /// elsewhere has none.
    pub fn origin(&self, rig: &str) -> PathBuf {
        let plain = rig.replace('/', "+");
        self.origins.join(format!("{plain}.git"))
    }

    /// Reads all clauses from one state of the town. `merge_repository` gives a rig's repository inside the town.
    ///
    /// # Errors
    /// When git cannot be run.
    pub async fn look(
        &mut self,
        state: &Snapshot,
        merge_repository: impl Fn(&str) -> Option<PathBuf>,
        at: Time,
    ) -> Result<Look, Halt> {
        if matches!(self.history, History::Reflogs) {
            self.keep_reflogs().await?;
        }
        let tracked = self.tracked(state);
        let (deliveries, merged_somewhere) = self.delivered(state, &tracked, merge_repository).await?;
        let readings: Vec<Reading> =
            self.clauses.iter().map(|clause| self.read(*clause, state, &tracked, &deliveries, &merged_somewhere)).collect();
        let changed = self.log.take(&readings, at);
        Ok(Look { landed: readings.iter().all(|reading| reading.value), readings, changed, deliveries })
    }

    /// Lets origins keep every head they have from now on, where the settings of whoever made them do not: those of a live town's owner.
    /// The next line of the log names the head before it, too.
    async fn keep_reflogs(&mut self) -> Result<(), Halt> {
        let entries = std::fs::read_dir(&self.origins).into_iter().flatten().flatten();
        let is_new = |origin: &PathBuf| !self.logging.contains(origin) && git::head(origin, TARGET).is_some();
        let new: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_new).collect();
        for origin in new {
            if !origin.join("logs").is_dir() {
                self.git.keep_reflog(&origin).await?;
            }
            self.logging.insert(origin);
        }
        Ok(())
    }

    /// What git has of every tracked issue, without reading the clauses: for a town that was stopped before it landed. While nobody has
    /// made the convoy, every issue of a rig is looked at: their work may be there nevertheless.
    ///
    /// # Errors
    /// When git cannot be run.
    pub async fn deliveries(
        &mut self,
        state: &Snapshot,
        merge_repository: impl Fn(&str) -> Option<PathBuf>,
    ) -> Result<Vec<Delivery>, Halt> {
        let mut issues = self.tracked(state);
        if issues.is_empty() {
            issues = state.beads.iter().filter(|bead| bead.rig.is_some()).cloned().collect();
        }
        Ok(self.delivered(state, &issues, merge_repository).await?.0)
    }

    /// For each issue its delivery, and whether it is merged at least in the town's own repository.
    async fn delivered(
        &mut self,
        state: &Snapshot,
        tracked: &[Bead],
        merge_repository: impl Fn(&str) -> Option<PathBuf>,
    ) -> Result<(Vec<Delivery>, Vec<bool>), Halt> {
        let (mut deliveries, mut merged_somewhere) = (Vec::new(), Vec::new());
        for issue in tracked {
            let inside = issue.rig.as_deref().and_then(&merge_repository);
            let (delivery, merged) = self.delivery(state, issue, inside.as_deref()).await?;
            deliveries.push(delivery);
            merged_somewhere.push(merged);
        }
        Ok((deliveries, merged_somewhere))
    }

    /// The issues that must land; one that the town does not show counts as open and nameless.
    fn tracked(&mut self, state: &Snapshot) -> Vec<Bead> {
        let bead = |id: &String| state.beads.iter().find(|bead| bead.id == *id).cloned().unwrap_or_else(|| unseen(id));
        self.convoys.required(state).iter().map(bead).collect()
    }

    async fn delivery(&mut self, state: &Snapshot, issue: &Bead, inside: Option<&Path>) -> Result<(Delivery, bool), Halt> {
        let rig = issue.rig.clone().unwrap_or_default();
        let (worker, branch, commit) = self.submission(state, issue, &rig, inside);
        let mut delivery = Delivery {
            issue: issue.id.clone(),
            rig: rig.clone(),
            worker,
            branch,
            submitted: commit.clone(),
            own_commits: 0,
            merged: false,
            merged_as: None,
            how: None,
            conflicts: Vec::new(),
        };
        let Some(commit) = commit else { return Ok((delivery, false)) };
        // Agents can write to the town's own repositories: no object is read there that the origin must have.
        let inside = inside.filter(|_| matches!(self.history, History::Reflogs));
        let (on_origin, on_own) = (self.head(&rig), inside.and_then(|inside| git::head(inside, TARGET)));
        let pushed = self.standing(&rig, inside, &commit, on_origin.as_deref()).await?;
        delivery.own_commits = pushed.own_commits;
        delivery.merged = pushed.merged_as.is_some();
        let mut merged = delivery.merged;
        if !merged && pushed.own_commits > 0 && on_own != on_origin {
            merged = self.standing(&rig, inside, &commit, on_own.as_deref()).await?.merged_as.is_some();
        }
        if let Some((sha, how)) = pushed.merged_as {
            (delivery.merged_as, delivery.how) = (Some(sha), Some(how.to_owned()));
        }
        delivery.conflicts = pushed.conflicts;
        Ok((delivery, merged))
    }

    async fn standing(&mut self, rig: &str, inside: Option<&Path>, commit: &str, head: Option<&str>) -> Result<Standing, Halt> {
        let Some(head) = head else { return Ok(Standing::default()) };
        let origin = self.origin(rig);
        let key = (origin.clone(), commit.to_owned(), head.to_owned());
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let heads = self.heads(rig);
        let submitted = Submitted { git: &self.git, origin: &origin, objects: inside, commit, head, heads: &heads };
        let standing = submitted.standing().await?;
        self.known.insert(key, standing.clone());
        Ok(standing)
    }

    /// Who submitted what for an issue: the newest merge request that counts, else the branch of the newest session that held it.
    fn submission(
        &mut self,
        state: &Snapshot,
        issue: &Bead,
        rig: &str,
        inside: Option<&Path>,
    ) -> (Option<String>, Option<String>, Option<String>) {
        let requests = state.merge_requests.iter().filter(|mr| mr.issue == issue.id);
        let request = requests.max_by_key(|mr| (mr.status == "merged", mr.created_at));
        let session = state.sessions.iter().filter(|s| s.issue.as_deref() == Some(&issue.id)).max_by_key(|s| s.started_at);
        let worker =
            request.map(|mr| mr.worker.clone()).or_else(|| session.map(|s| s.agent.clone())).or_else(|| issue.assignee.clone());
        let branch = request.map(|mr| mr.branch.clone()).or_else(|| session.and_then(|s| s.branch.clone()));
        let mut commit = request.and_then(|mr| mr.commit.clone()).filter(|commit| git::is_name(commit));
        if let (None, Some(branch)) = (&commit, &branch) {
            commit = self.branch_head(&issue.id, branch, rig, inside);
        }
        if let (None, Some(session), History::Log(log)) = (&commit, session, &self.history) {
            commit = log.pushed_by(rig, TARGET, &session.agent, session.started_at);
        }
        (worker, branch, commit)
    }

    /// The head of a worker's branch. Who merges by himself never pushes it: then the town's repository says which commit it is, as a
    /// merge request would, and the origin must have that. Towns delete branches after merging, so the last head seen is remembered.
    fn branch_head(&mut self, issue: &str, branch: &str, rig: &str, inside: Option<&Path>) -> Option<String> {
        if let History::Log(log) = &self.history
            && let Some(head) = log.last_head(rig, branch)
        {
            return Some(head);
        }
        let origin = self.origin(rig);
        for place in inside.into_iter().chain([origin.as_path()]) {
            if let Some(head) = git::head(place, branch) {
                self.commits.insert(issue.to_owned(), (branch.to_owned(), head.clone()));
                return Some(head);
            }
        }
        self.commits.get(issue).filter(|(of, _)| of == branch).map(|(_, head)| head.clone())
    }

    fn read(&self, clause: Clause, state: &Snapshot, tracked: &[Bead], deliveries: &[Delivery], merged: &[bool]) -> Reading {
        let total = tracked.len();
        let counted = |clause, source, missing: Vec<String>| {
            let detail = if missing.is_empty() { String::new() } else { format!("missing: {}", missing.join(", ")) };
            let now = if total == 0 { "no convoy".to_owned() } else { format!("{}/{total}", total - missing.len()) };
            Reading { clause, value: total > 0 && missing.is_empty(), now, source, detail }
        };
        match clause {
            Clause::IssuesClosed => {
                let open =
                    tracked.iter().filter(|bead| bead.status != "closed").map(|bead| format!("{} {}", bead.id, bead.status));
                counted(clause, "bead store", open.collect())
            }
            Clause::Merged => {
                let missing =
                    deliveries.iter().zip(merged).filter(|(_, merged)| !**merged).map(|(delivery, _)| what_is_missing(delivery));
                counted(clause, "git", missing.collect())
            }
            Clause::Pushed => counted(clause, "git", deliveries.iter().filter(|d| !d.merged).map(what_is_missing).collect()),
            Clause::NoWorkerBusy => busy(clause, state),
            Clause::ConvoyClosed => self.convoys.closed(clause, state),
        }
    }
}

fn what_is_missing(delivery: &Delivery) -> String {
    let Delivery { issue, rig, .. } = delivery;
    match (&delivery.branch, &delivery.submitted) {
        (Some(branch), Some(_)) if delivery.own_commits == 0 => format!("{issue} ({branch} has no commit of its own)"),
        (Some(branch), Some(sha)) => format!("{issue} ({branch} at {} is not on {rig} {TARGET})", sha.get(..7).unwrap_or(sha)),
        _ => format!("{issue} (nothing submitted)"),
    }
}

fn busy(clause: Clause, state: &Snapshot) -> Reading {
    let workers = state.agents.iter().filter(|agent| agent.role == "polecat" && agent.state == "working");
    let busy: Vec<String> = workers.map(|agent| agent.agent.replace("/polecats/", "/")).collect();
    let now = if busy.is_empty() { "yes".to_owned() } else { format!("{} busy", busy.join(", ")) };
    Reading { clause, value: busy.is_empty(), now, source: "sessions", detail: busy.join(", ") }
}

fn unseen(id: &str) -> Bead {
    Bead {
        id: id.into(),
        title: String::new(),
        kind: String::new(),
        status: "unknown to the town".into(),
        priority: 0,
        assignee: None,
        rig: None,
        created_by: String::new(),
        created_at: Time::UNIX_EPOCH,
        closed_at: None,
        close_reason: None,
        closed_by: None,
        description: String::new(),
    }
}
