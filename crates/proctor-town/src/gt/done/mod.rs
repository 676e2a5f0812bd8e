//! `gt done`: a worker hands in its branch.
//!
//! Stricter than `gt`: without a commit of its own it is refused, and the issue stays open until its work is merged.
//!
//! Two parts meet here. What touches the worker's repository ([`repository`]) runs in the process that the worker called,
//! with the worker's rights and credentials; what touches the store ([`desk`]) runs wherever the store is, and believes the
//! origin instead of the worker.

mod desk;
mod repository;

use std::path::PathBuf;

use opentelemetry::KeyValue;
use serde::{Deserialize, Serialize};

use crate::Output;
use crate::args::Verb;
use crate::error::{Result, TownError, refused_hint};
use crate::invocation::Invocation;
use crate::telemetry::{record, status};

pub(crate) use desk::step;

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
    run: in_daemon,
}];

/// What is to be handed in: by whom, where from, and where to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Work {
    /// `alice/polecats/furiosa`.
    pub(crate) address: String,
    /// `alice`.
    pub(crate) rig: String,
    /// Branch that the rig merges to.
    pub(crate) rig_branch: String,
    /// The issue.
    pub(crate) issue: String,
    /// Branch to merge to.
    pub(crate) target: String,
    /// The worker's clone.
    pub(crate) dir: PathBuf,
    /// Commits that were handed in for the issue before and wait or are merged, oldest first.
    pub(crate) taken: Vec<Taken>,
}

/// A commit that was handed in before.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Taken {
    /// Which.
    pub(crate) commit: String,
    /// Whether it is merged.
    pub(crate) merged: bool,
}

/// What was handed in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct HandIn {
    /// The branch that the worker pushed.
    pub(crate) branch: String,
    /// The commit that it says is there.
    pub(crate) commit: String,
    /// Whether uncommitted changes were committed before.
    pub(crate) saved: bool,
}

/// How far a hand-in has come.
pub(crate) enum Step {
    /// The worker's repository is to be looked after.
    Work(Work),
    /// Nothing is left to do.
    Over(Output),
}

/// Asks whoever keeps the store: first what is to be handed in, then to take it.
pub(crate) type Desk<'d> = dyn FnMut(&mut Invocation, Option<HandIn>) -> Result<Step> + 'd;

/// The whole of `gt done`, in the process that was called.
pub(crate) fn hand_in(call: &mut Invocation, ask: &mut Desk<'_>) -> Result<Output> {
    let exit_type = exit_type(call)?;
    let result = both_parts(call, ask);
    let error = result.as_ref().err().map(ToString::to_string);
    let outcome = error.as_deref().map_or(Ok(()), Err);
    call.caller.emit(record("done").with("exit_type", exit_type.clone()).ended(outcome));
    let labels = [KeyValue::new("status", status(&outcome)), KeyValue::new("exit_type", exit_type)];
    call.caller.count("gastown.done.total", &labels);
    result
}

fn both_parts(call: &mut Invocation, ask: &mut Desk<'_>) -> Result<Output> {
    let work = match ask(call, None)? {
        Step::Work(work) => work,
        Step::Over(output) => return Ok(output),
    };
    let handed_in = repository::prepare(&call.caller, &work)?;
    match ask(call, Some(handed_in))? {
        Step::Over(output) => Ok(output),
        Step::Work(_) => Err(TownError::Daemon("it did not take what was handed in".to_string())),
    }
}

/// One step, asked for by [`hand_in`] in another process.
fn in_daemon(call: &mut Invocation) -> Result<Output> {
    match step(call)? {
        Step::Over(output) => Ok(output),
        Step::Work(work) => {
            call.work = Some(work);
            Ok(Output::default())
        }
    }
}

fn exit_type(call: &Invocation) -> Result<String> {
    let exit_type = call.args.value("status").unwrap_or("COMPLETED").to_uppercase();
    if ["COMPLETED", "ESCALATED", "DEFERRED"].contains(&exit_type.as_str()) {
        return Ok(exit_type);
    }
    refused_hint(format!("invalid status {exit_type:?}"), "COMPLETED, ESCALATED or DEFERRED")
}

/// The refusal of a branch without a commit of its own.
fn nothing<T>(branch: &str, target: &str) -> Result<T> {
    refused_hint(
        format!("nothing to submit: {branch} has no commit of its own above origin/{target}"),
        "commit your work first, or give the issue back: gt done --status DEFERRED",
    )
}
