//! The merge queue of a rig: one request at a time is rebased, pushed, verified and recorded; only then its issue closes.
//!
//! All of it happens in the rig's bare repository, which no agent can write, with the identity of the rig's refinery.

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use super::rebase::{self, Rebased};
use super::{Daemon, locked};
use crate::agents;
use crate::caller::short_address;
use crate::error::{Result, TownError};
use crate::git::{self, Git};
use crate::mail::Letter;
use crate::merges::{self, MergeRequest};
use crate::town::Town;

/// How often a push may lose against somebody else's before the request is given back.
const PUSHES: u32 = 5;

enum Merged {
    As(String),
    Conflict(String),
}

/// Pushes the target and, with it, removes the branch that is merged now, so that nothing is left to push once the issue is
/// closed. The branch stays when somebody pushed more to it meanwhile, and when the first attempt failed, since a branch that is
/// gone already lets git refuse all of a push.
fn push(git: &Git<'_>, mr: &MergeRequest, head: &str, with_branch: bool) -> Result<()> {
    let target = format!("{head}:refs/heads/{}", mr.target);
    let lease = format!("--force-with-lease=refs/heads/{}:{}", mr.branch, mr.commit);
    let gone = format!(":refs/heads/{}", mr.branch);
    let args = ["push", "--quiet", &lease, "origin", &target, &gone];
    git.run(if with_branch { &args } else { &args[..5] }).map(drop)
}

/// Believes the origin, not the push.
fn arrived(git: &Git<'_>, mr: &MergeRequest, head: &str) -> Result<bool> {
    let there = git.run(&["ls-remote", "origin", &format!("refs/heads/{}", mr.target)])?;
    if there.split_whitespace().next() == Some(head) {
        return Ok(true);
    }
    let kept = format!("refs/remotes/origin/{}", mr.target);
    git.run(&["fetch", "--quiet", "--no-tags", "origin", &format!("+refs/heads/{}:{kept}", mr.target)])?;
    Ok(git.verdict(&["merge-base", "--is-ancestor", head, &kept])?.0)
}

impl Daemon {
    /// Wakes the merge thread of a rig, making it when there is none.
    pub(crate) fn wake_queue(self: &Arc<Self>, rig: &str) {
        let mut queues = locked(&self.queues);
        let sender = queues.entry(rig.to_string()).or_insert_with(|| {
            let (sender, wake) = mpsc::channel();
            let (daemon, rig) = (Arc::clone(self), rig.to_string());
            std::thread::spawn(move || daemon.keep_queue(&rig, &wake));
            sender
        });
        let _ = sender.send(());
    }

    /// Takes up what was submitted while no daemon ran.
    pub(super) fn resume_queues(self: &Arc<Self>) -> Result<()> {
        let town = self.town()?;
        for rig in town.rigs()? {
            if !merges::waiting(&town.db, &rig.name)?.is_empty() {
                self.wake_queue(&rig.name);
            }
        }
        Ok(())
    }

    fn keep_queue(self: &Arc<Self>, rig: &str, wake: &mpsc::Receiver<()>) {
        while wake.recv().is_ok() {
            if let Err(error) = self.empty_queue(rig) {
                self.log(&format!("merge queue of {rig}: {error}"));
            }
        }
    }

    fn empty_queue(self: &Arc<Self>, rig: &str) -> Result<()> {
        let mut town = self.town()?;
        while let Some(mr) = merges::waiting(&town.db, rig)?.into_iter().next() {
            let refinery = format!("{rig}/refinery");
            town.change_as(&refinery, "gt", |change| {
                change.event("merge_start", serde_json::json!({ "mr": mr.id, "bead": mr.issue, "rig": rig }));
                Ok(())
            })?;
            match self.merge(&town, &mr) {
                Ok(Merged::As(commit)) => self.record_merge(&mut town, &mr, &commit)?,
                Ok(Merged::Conflict(reason)) => self.hand_back(&mut town, &mr, "conflict", &reason)?,
                Err(error) => self.hand_back(&mut town, &mr, "rejected", &error.to_string())?,
            }
        }
        Ok(())
    }

    fn merge(&self, town: &Town, mr: &MergeRequest) -> Result<Merged> {
        let dir: PathBuf = town.rig_repo(&mr.rig);
        let name = format!("{}/refinery", mr.rig);
        let git = Git::of_daemon(&self.caller, &dir, &name);
        let upstream = format!("refs/remotes/origin/{}", mr.target);
        let committer = format!("{name} <{}> {} +0000", git::email(&name), (self.caller.clock)().timestamp());
        let mut last = String::new();
        for attempt in 0..PUSHES {
            git.run(&["fetch", "--quiet", "--no-tags", "origin", &format!("+refs/heads/{}:{upstream}", mr.target)])?;
            let head = match rebase::rebase(&git, &upstream, &mr.commit, &committer)? {
                Rebased::Onto(head) => head,
                Rebased::Conflict(files) => return Ok(Merged::Conflict(format!("conflict in {}", files.join(", ")))),
            };
            let pushed = push(&git, mr, &head, attempt == 0);
            if arrived(&git, mr, &head)? {
                if let Err(error) = pushed {
                    self.log(&format!("branch {} stays: {error}", mr.branch));
                }
                return Ok(Merged::As(head));
            }
            last = pushed.err().map_or_else(|| "the origin does not have it".to_string(), |error| error.to_string());
        }
        Err(TownError::Refused { message: format!("push to {} failed: {last}", mr.target), hint: None })
    }

    fn record_merge(&self, town: &mut Town, mr: &MergeRequest, commit: &str) -> Result<()> {
        let refinery = format!("{}/refinery", mr.rig);
        let began = Instant::now();
        town.change_as(&refinery, "gt", |change| change.merged(mr, commit))?;
        for (bead, reason) in [(&mr.id, "merged".to_string()), (&mr.issue, format!("Merged as {commit} to {}", mr.target))] {
            self.caller.bd_call(&["close", bead, &format!("--reason={reason}")], began.elapsed(), Ok(()));
        }
        self.log(&format!("merged {} ({}) as {commit}", mr.id, mr.issue));
        let dir = town.rig_repo(&mr.rig);
        let git = Git::of_daemon(&self.caller, &dir, &refinery);
        let _ = git.run(&["update-ref", "-d", &git::submitted_ref(&mr.commit)]);
        Ok(())
    }

    /// Gives a request back to its worker: status, mail and a nudge; an issue whose worker is gone is open again.
    fn hand_back(&self, town: &mut Town, mr: &MergeRequest, status: &str, reason: &str) -> Result<()> {
        let session = agents::last_session(&town.db, &mr.worker)?.filter(agents::Session::alive);
        let letter = Letter {
            from: format!("{}/refinery", mr.rig),
            to: short_address(&mr.worker),
            subject: format!("FIX_NEEDED: {}", mr.issue),
            body: format!(
                "{} was not merged: {reason}.\n\ngit fetch origin && git rebase origin/{}\nSolve it, commit, and run `gt done` again.",
                mr.id, mr.target
            ),
            priority: 1,
            kind: "task".to_string(),
            ..Letter::default()
        };
        let alive = session.is_some();
        town.change_as(&letter.from.clone(), "gt", |change| {
            change.not_merged(mr, status, reason, alive)?;
            change.send_mail(&letter)?;
            Ok(())
        })?;
        self.log(&format!("{} {status}: {reason}", mr.id));
        if let Some(life) = session.and_then(|session| self.life(&session.session)) {
            life.send(&format!("{}\n\n{}", letter.subject, letter.body), true)?;
        }
        Ok(())
    }
}
