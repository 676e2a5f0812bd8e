//! The worker's own part of `gt done`: its clone, its git, its credentials.

use std::path::Path;

use super::{HandIn, Work, nothing};
use crate::caller::Caller;
use crate::error::{Result, refused, refused_hint};
use crate::git::Git;

/// Commits what was left uncommitted and pushes the branch; says what there is to take.
pub(super) fn prepare(caller: &Caller, work: &Work) -> Result<HandIn> {
    if !work.dir.is_dir() {
        return refused(format!("worktree {} is gone", work.dir.display()));
    }
    let git = Git::new(caller, &work.dir, &work.address);
    let branch = branch(&git, &work.dir, work)?;
    let saved = save_changes(&git, work)?;
    git.run(&["fetch", "--quiet", "origin"])?;
    let commit = git.run(&["rev-parse", "HEAD"])?;
    if work.taken.iter().any(|taken| taken.commit == commit) {
        return Ok(HandIn { branch, commit, saved });
    }
    let own = git.run(&["rev-list", "--count", &format!("origin/{}..HEAD", work.target)])?;
    if own == "0" {
        return match work.taken.iter().any(|taken| taken.merged) {
            true => Ok(HandIn { branch, commit, saved }),
            false => nothing(&branch, &work.target),
        };
    }
    git.run(&["push", "--quiet", "--force", "origin", &format!("HEAD:refs/heads/{branch}")])?;
    Ok(HandIn { branch, commit, saved })
}

fn branch(git: &Git<'_>, dir: &Path, work: &Work) -> Result<String> {
    let branch = git.run(&["rev-parse", "--abbrev-ref", "HEAD"])?;
    if branch == "HEAD" {
        return refused_hint(format!("{} is on no branch", dir.display()), "finish the rebase, or check out your branch");
    }
    if branch == work.target || branch == work.rig_branch {
        return refused_hint(format!("cannot submit {branch} itself"), "commit on your own branch (GT_BRANCH)");
    }
    Ok(branch)
}

/// Commits what the worker left uncommitted, as `gt done` does; says whether there was anything.
fn save_changes(git: &Git<'_>, work: &Work) -> Result<bool> {
    if git.run(&["status", "--porcelain"])?.is_empty() {
        return Ok(false);
    }
    git.run(&["add", "--all"])?;
    git.run(&["commit", "--quiet", "--no-verify", "-m", &format!("Auto-commit by gt done ({})", work.issue)])?;
    Ok(true)
}
