//! The store's part of `gt done`: whose work it is, whether the origin really has it, and the merge request.

use serde_json::json;

use super::{HandIn, Step, Taken, Work, exit_type, nothing};
use crate::Output;
use crate::agents;
use crate::beads;
use crate::daemon::client::{self, Ask};
use crate::error::{Result, refused, refused_hint};
use crate::git::{Git, fetch_submitted, is_branch, is_commit};
use crate::invocation::{Invocation, say};
use crate::merges::{self, MergeRequest, Submission};
use crate::town::Town;

/// Says what is to be handed in, or takes what was.
pub(crate) fn step(call: &mut Invocation) -> Result<Step> {
    let exit_type = exit_type(call)?;
    let mut town = call.town()?;
    let work = work(call, &town)?;
    match (exit_type.as_str(), &call.hand_in) {
        ("COMPLETED", None) => Ok(Step::Work(work)),
        ("COMPLETED", Some(handed_in)) => take(&mut town, &work, handed_in).map(Step::Over),
        _ => given_up(&mut town, &work, &exit_type).map(Step::Over),
    }
}

fn work(call: &Invocation, town: &Town) -> Result<Work> {
    let address = town.agent();
    let Some((rig, name)) = address.split_once("/polecats/") else {
        return refused_hint(format!("gt done is for polecats (you are {address})"), "close a bead with: bd close <id>");
    };
    let rig = town.rig(rig)?;
    let Some(agent) = agents::get(&town.db, &address)? else { return refused(format!("agent '{address}' not found")) };
    let issue = match call.args.value("issue") {
        Some(name) => beads::find(&town.db, name)?.id,
        None => match agents::hooked(&town.db, &address)?.or(agent.issue) {
            Some(issue) => issue,
            None => return refused_hint("nothing on your hook", "name the issue: gt done --issue ID"),
        },
    };
    let target = call.args.value("target").unwrap_or(&rig.branch).to_string();
    if !is_branch(&target) {
        return refused_hint(format!("{target:?} is no name of a branch"), format!("the rig's is {}", rig.branch));
    }
    let dir = town.polecat_dir(&rig.name, name);
    let taken = earlier(town, &issue)?.into_iter().map(|mr| Taken { merged: mr.status == "merged", commit: mr.commit }).collect();
    Ok(Work { address, rig: rig.name, rig_branch: rig.branch, issue, target, dir, taken })
}

/// Requests for an issue that wait or are merged, oldest first.
fn earlier(town: &Town, issue: &str) -> Result<Vec<MergeRequest>> {
    merges::select(&town.db, "issue = ?1 AND status IN ('open', 'merged')", &[&issue])
}

/// ESCALATED keeps the work on the hook for somebody to look at; DEFERRED opens the issue again.
fn given_up(town: &mut Town, work: &Work, exit_type: &str) -> Result<Output> {
    let state = if exit_type == "ESCALATED" { "stuck" } else { "done" };
    town.change(|change| {
        if exit_type == "DEFERRED" {
            change.unhook(&work.issue)?;
        }
        change.comment(&work.issue, &format!("{} gave it back: {exit_type}", work.address))?;
        change.set_agent_state(&work.address, state)?;
        change.event("done", json!({ "bead": work.issue, "exit_type": exit_type, "agent": work.address }));
        Ok(())
    })?;
    crate::gt::sling::report_state(town, &work.address, state);
    Ok(say(format!("✓ {} marked {exit_type}; nothing was submitted", work.issue)))
}

fn take(town: &mut Town, work: &Work, handed_in: &HandIn) -> Result<Output> {
    let HandIn { branch, commit, saved } = handed_in;
    if !is_branch(branch) || !is_commit(commit) {
        return refused("what was handed in names no branch and commit");
    }
    let earlier = earlier(town, &work.issue)?;
    if let Some(mr) = earlier.iter().rev().find(|mr| mr.commit == *commit) {
        return again(town, work, mr);
    }
    let own = at_origin(town, work, handed_in)?;
    if own == 0 {
        return match earlier.iter().rev().find(|mr| mr.status == "merged") {
            Some(mr) => again(town, work, mr),
            None => nothing(branch, &work.target),
        };
    }
    let id = submit(town, work, handed_in)?;
    let merging = client::ask(town, &Ask::Merge { rig: work.rig.clone() }).is_ok();
    let mut text = if *saved { "✓ Uncommitted changes were committed\n".to_string() } else { String::new() };
    text.push_str(&format!(
        "✓ Work submitted to merge queue\n  MR ID: {id}\n  Source: {branch}\n  Target: {}\n  Issue: {}\n  Commits: {own}\n",
        work.target, work.issue
    ));
    let stderr =
        if merging { String::new() } else { "⚠ daemon is not running: the merge waits for `gt daemon start`\n".into() };
    Ok(Output { stderr, ..say(text) })
}

/// Fetches what was handed in and counts its commits above the target; the origin is asked, not the worker.
fn at_origin(town: &Town, work: &Work, handed_in: &HandIn) -> Result<u64> {
    let HandIn { branch, commit, .. } = handed_in;
    if *branch == work.target || *branch == work.rig_branch {
        return refused_hint(format!("cannot submit {branch} itself"), "commit on your own branch (GT_BRANCH)");
    }
    let others = agents::all(&town.db)?;
    let other = others.iter().find(|agent| {
        agent.rig.as_deref() == Some(&work.rig) && agent.agent != work.address && agent.branch.as_deref() == Some(branch)
    });
    if let Some(other) = other {
        return refused_hint(format!("{branch} is the branch of {}", other.agent), "commit on your own branch (GT_BRANCH)");
    }
    let dir = town.rig_repo(&work.rig);
    let git = Git::of_daemon(&town.caller, &dir, "overseer");
    fetch_submitted(&git, &work.target, branch, commit)?;
    let own = git.run(&["rev-list", "--count", &format!("refs/remotes/origin/{}..{commit}", work.target), "--"])?;
    own.parse().or_else(|_| refused(format!("git counts {own:?} commits")))
}

fn again(town: &mut Town, work: &Work, mr: &MergeRequest) -> Result<Output> {
    town.change(|change| change.set_agent_state(&work.address, "done"))?;
    let what = if mr.status == "merged" { "merged" } else { "in the merge queue" };
    Ok(say(format!("✓ Already {what}\n  MR ID: {}\n  Issue: {}", mr.id, work.issue)))
}

fn submit(town: &mut Town, work: &Work, handed_in: &HandIn) -> Result<String> {
    let began = std::time::Instant::now();
    let new = Submission {
        issue: work.issue.clone(),
        prefix: town.rig(&work.rig)?.prefix,
        rig: work.rig.clone(),
        branch: handed_in.branch.clone(),
        target: work.target.clone(),
        worker: work.address.clone(),
        commit: handed_in.commit.clone(),
    };
    let id = town.change(|change| {
        let id = change.submit(&new)?;
        change.set_agent_state(&new.worker, "done")?;
        change.event("done", json!({ "bead": new.issue, "exit_type": "COMPLETED", "agent": new.worker, "mr": id }));
        Ok(id)
    })?;
    let title = format!("--title=Merge: {}", work.issue);
    town.caller.bd_call(&["create", &title, "--type=merge-request", "--json"], began.elapsed(), Ok(()));
    crate::gt::sling::report_state(town, &work.address, "done");
    Ok(id)
}
