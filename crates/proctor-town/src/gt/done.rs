//! `gt done`: a worker hands in its branch.
//!
//! Stricter than `gt`: without a commit of its own it is refused, and the issue stays open until its work is merged.

use std::path::Path;

use opentelemetry::KeyValue;
use serde_json::json;

use crate::Output;
use crate::agents;
use crate::args::Verb;
use crate::beads;
use crate::daemon::client::{self, Ask};
use crate::error::{Result, refused, refused_hint};
use crate::git::Git;
use crate::invocation::{Invocation, say};
use crate::merges::{self, MergeRequest, Submission};
use crate::telemetry::{record, status};
use crate::town::{Rig, Town};

pub(super) const VERBS: &[Verb] = &[Verb {
    path: "done",
    usage: "",
    about: "Hands in a polecat's work to the merge queue",
    flags: &[
        "status=STATUS  COMPLETED (default), ESCALATED or DEFERRED",
        "issue=ID  Issue (default: the one on the hook)",
        "target=BRANCH  Branch to merge to (default: the rig's)",
        "p|priority=N  Accepted; the queue is first come, first served",
        "cleanup-status=S  Accepted",
        "pre-verified  Accepted",
        "resume  Accepted; handing in twice is safe",
    ],
    run: done,
}];

/// The worker that hands in, where, and what.
struct Work {
    address: String,
    rig: Rig,
    issue: String,
    target: String,
}

fn done(call: &mut Invocation) -> Result<Output> {
    let exit_type = call.args.value("status").unwrap_or("COMPLETED").to_uppercase();
    if !["COMPLETED", "ESCALATED", "DEFERRED"].contains(&exit_type.as_str()) {
        return refused_hint(format!("invalid status {exit_type:?}"), "COMPLETED, ESCALATED or DEFERRED");
    }
    let mut town = call.town()?;
    let result = hand_in(call, &mut town, &exit_type);
    let error = result.as_ref().err().map(ToString::to_string);
    let outcome = error.as_deref().map_or(Ok(()), Err);
    town.caller.emit(record("done").with("exit_type", exit_type.clone()).ended(outcome));
    let labels = [KeyValue::new("status", status(&outcome)), KeyValue::new("exit_type", exit_type)];
    town.caller.count("gastown.done.total", &labels);
    result
}

fn hand_in(call: &Invocation, town: &mut Town, exit_type: &str) -> Result<Output> {
    let work = work(call, town)?;
    match exit_type {
        "COMPLETED" => completed(town, &work),
        _ => given_up(town, &work, exit_type),
    }
}

fn work(call: &Invocation, town: &Town) -> Result<Work> {
    let address = town.agent();
    let Some((rig, _)) = address.split_once("/polecats/") else {
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
    Ok(Work { address, rig, issue, target })
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
    super::sling::report_state(town, &work.address, state);
    Ok(say(format!("✓ {} marked {exit_type}; nothing was submitted", work.issue)))
}

fn completed(town: &mut Town, work: &Work) -> Result<Output> {
    let name = work.address.rsplit('/').next().unwrap_or_default();
    let dir = town.polecat_dir(&work.rig.name, name);
    if !dir.is_dir() {
        return refused(format!("worktree {} is gone", dir.display()));
    }
    let caller = town.caller.clone();
    let git = Git::new(&caller, &dir, &work.address);
    let branch = branch(&git, &dir, work)?;
    let saved = save_changes(&git, work)?;
    git.run(&["fetch", "--quiet", "origin"])?;
    let commit = git.run(&["rev-parse", "HEAD"])?;
    let earlier = merges::select(&town.db, "issue = ?1", &[&work.issue])?;
    if let Some(mr) = earlier.iter().rev().find(|mr| mr.commit == commit && matches!(mr.status.as_str(), "open" | "merged")) {
        return again(town, work, mr);
    }
    let own = git.run(&["rev-list", "--count", &format!("origin/{}..HEAD", work.target)])?;
    if own == "0" {
        return match earlier.iter().rev().find(|mr| mr.status == "merged") {
            Some(mr) => again(town, work, mr),
            None => refused_hint(
                format!("nothing to submit: {branch} has no commit of its own above origin/{}", work.target),
                "commit your work first, or give the issue back: gt done --status DEFERRED",
            ),
        };
    }
    git.run(&["push", "--quiet", "--force", "origin", &format!("HEAD:refs/heads/{branch}")])?;
    let id = submit(town, work, &branch, &commit)?;
    let merging = client::ask(town, &Ask::Merge { rig: work.rig.name.clone() }).is_ok();
    let mut text = if saved { "✓ Uncommitted changes were committed\n".to_string() } else { String::new() };
    text.push_str(&format!(
        "✓ Work submitted to merge queue\n  MR ID: {id}\n  Source: {branch}\n  Target: {}\n  Issue: {}\n  Commits: {own}\n",
        work.target, work.issue
    ));
    let stderr =
        if merging { String::new() } else { "⚠ daemon is not running: the merge waits for `gt daemon start`\n".into() };
    Ok(Output { stderr, ..say(text) })
}

fn branch(git: &Git<'_>, dir: &Path, work: &Work) -> Result<String> {
    let branch = git.run(&["rev-parse", "--abbrev-ref", "HEAD"])?;
    if branch == "HEAD" {
        return refused_hint(format!("{} is on no branch", dir.display()), "finish the rebase, or check out your branch");
    }
    if branch == work.target || branch == work.rig.branch {
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

fn again(town: &mut Town, work: &Work, mr: &MergeRequest) -> Result<Output> {
    town.change(|change| change.set_agent_state(&work.address, "done"))?;
    let what = if mr.status == "merged" { "merged" } else { "in the merge queue" };
    Ok(say(format!("✓ Already {what}\n  MR ID: {}\n  Issue: {}", mr.id, work.issue)))
}

fn submit(town: &mut Town, work: &Work, branch: &str, commit: &str) -> Result<String> {
    let began = std::time::Instant::now();
    let new = Submission {
        issue: work.issue.clone(),
        rig: work.rig.name.clone(),
        prefix: work.rig.prefix.clone(),
        branch: branch.to_string(),
        target: work.target.clone(),
        worker: work.address.clone(),
        commit: commit.to_string(),
    };
    let id = town.change(|change| {
        let id = change.submit(&new)?;
        change.set_agent_state(&new.worker, "done")?;
        change.event("done", json!({ "bead": new.issue, "exit_type": "COMPLETED", "agent": new.worker, "mr": id }));
        Ok(id)
    })?;
    let title = format!("--title=Merge: {}", work.issue);
    town.caller.bd_call(&["create", &title, "--type=merge-request", "--json"], began.elapsed(), Ok(()));
    super::sling::report_state(town, &work.address, "done");
    Ok(id)
}
