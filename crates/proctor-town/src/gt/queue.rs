//! The merge queue as people see it: `gt mq …` (alias `mr`), `gt refinery …`.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::Output;
use crate::agents;
use crate::args::Verb;
use crate::beads;
use crate::caller::short_address;
use crate::daemon::client;
use crate::error::{Result, refused};
use crate::invocation::{Invocation, say, say_json};
use crate::mail::Letter;
use crate::merges::{self, MergeRequest};
use crate::town::Town;

pub(super) const VERBS: &[Verb] = &[
    Verb {
        path: "mq list",
        usage: "<rig>",
        about: "Lists merge requests",
        flags: &[
            "json  Print JSON",
            "status=STATUS  open (default), merged, conflict, rejected, superseded or all",
            "ready  Accepted",
        ],
        run: list,
    },
    Verb { path: "mq status", usage: "<id>", about: "Shows a merge request", flags: &["json  Print JSON"], run: status },
    Verb {
        path: "mq reject",
        usage: "<rig> <id>",
        about: "Gives a merge request back to its worker",
        flags: &[
            "r|reason=TEXT  Why",
            "stdin  Read the reason from standard input",
            "notify  Accepted; the worker is always told",
        ],
        run: reject,
    },
    Verb {
        path: "refinery status",
        usage: "[rig]",
        about: "Says whether the merge queue runs",
        flags: &["json  Print JSON"],
        run: refinery,
    },
    Verb {
        path: "refinery queue",
        usage: "<rig>",
        about: "Lists what waits to be merged",
        flags: &["json  Print JSON"],
        run: list,
    },
    Verb {
        path: "refinery ready",
        usage: "<rig>",
        about: "Lists what waits to be merged",
        flags: &["json  Print JSON"],
        run: ready,
    },
];

fn rig_name(call: &Invocation, town: &Town) -> Result<String> {
    match call.args.word(0) {
        Some(name) => Ok(town.rig(name)?.name),
        None => match town.rig_of_cwd()? {
            Some(rig) => Ok(rig.name),
            None => refused("missing argument: <rig>"),
        },
    }
}

fn requests(call: &Invocation, town: &Town) -> Result<Vec<MergeRequest>> {
    let rig = rig_name(call, town)?;
    match call.args.value("status").unwrap_or("open") {
        "all" => merges::select(&town.db, "rig = ?1", &[&rig]),
        status => merges::select(&town.db, "rig = ?1 AND status = ?2", &[&rig, &status]),
    }
}

/// A merge request as `bd` would show its bead.
fn as_issue(mr: &MergeRequest) -> Value {
    let open = mr.status == "open" || mr.status == "conflict";
    json!({
        "id": mr.id, "title": format!("Merge: {}", mr.issue), "status": if open { "open" } else { "closed" },
        "priority": 2, "issue_type": "merge-request", "assignee": Value::Null, "created_at": mr.created_at,
        "closed_at": mr.closed_at, "branch": mr.branch, "target": mr.target, "source_issue": mr.issue, "worker": mr.worker,
        "rig": mr.rig, "commit_sha": mr.commit, "merge_commit": mr.merge_commit, "mr_status": mr.status,
        "close_reason": mr.reason, "depends_on": [], "blocks": [],
    })
}

fn list(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let found = requests(call, &town)?;
    if call.args.has("json") {
        return say_json(&found.iter().map(as_issue).collect::<Vec<_>>());
    }
    let mut text = format!("Merge queue of {}:\n\n", rig_name(call, &town)?);
    for mr in &found {
        let _ = writeln!(text, "  {} {} {} ← {} ({})", mr.id, mr.status, mr.issue, mr.branch, short_address(&mr.worker));
    }
    if found.is_empty() {
        text.push_str("  (empty)\n");
    }
    Ok(say(text))
}

fn ready(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let found = requests(call, &town)?;
    let rows = found.iter().map(|mr| {
        json!({
            "ID": mr.id, "Branch": mr.branch, "Target": mr.target, "SourceIssue": mr.issue, "Worker": mr.worker,
            "Rig": mr.rig, "Title": format!("Merge: {}", mr.issue), "Priority": 2,
        })
    });
    say_json(&json!({ "ready": rows.collect::<Vec<_>>(), "anomalies": [] }))
}

fn status(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let mr = merges::get(&town.db, &call.need(0, "<id>")?)?;
    if call.args.has("json") {
        return say_json(&as_issue(&mr));
    }
    let mut text = format!("{}: Merge: {} [{}]\n", mr.id, mr.issue, mr.status);
    let _ = writeln!(text, "  Branch: {}\n  Target: {}\n  Commit: {}\n  Worker: {}", mr.branch, mr.target, mr.commit, mr.worker);
    if let Some(commit) = &mr.merge_commit {
        let _ = writeln!(text, "  Merged as: {commit}");
    }
    if let Some(reason) = &mr.reason {
        let _ = writeln!(text, "  Reason: {reason}");
    }
    Ok(say(text))
}

fn reject(call: &mut Invocation) -> Result<Output> {
    let reason = call.text("reason")?.unwrap_or_else(|| "rejected".to_string());
    let mut town = call.town()?;
    let (first, second) = (call.need(0, "<rig>")?, call.args.word(1).map(str::to_string));
    let mr = merges::get(&town.db, second.as_deref().unwrap_or(&first))?;
    let alive = agents::last_session(&town.db, &mr.worker)?.is_some_and(|session| session.alive());
    let letter = Letter {
        from: short_address(&town.agent()),
        to: short_address(&mr.worker),
        subject: format!("FIX_NEEDED: {}", mr.issue),
        body: format!("{} was rejected: {reason}", mr.id),
        ..Letter::default()
    };
    town.change(|change| {
        change.not_merged(&mr, "rejected", &reason, alive)?;
        change.send_mail(&letter).map(|_| ())
    })?;
    let issue = beads::get(&town.db, &mr.issue)?.map(|bead| bead.status).unwrap_or_default();
    Ok(say(format!("✓ Rejected {}: {reason}\n  Issue {} is {issue}", mr.id, mr.issue)))
}

fn refinery(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let rig = rig_name(call, &town)?;
    let waiting = merges::waiting(&town.db, &rig)?.len();
    let running = client::running(&town).is_some();
    if call.args.has("json") {
        return say_json(&json!({ "running": running, "rig_name": rig, "session": "daemon", "queue_length": waiting }));
    }
    let state = if running { "running" } else { "not running" };
    Ok(say(format!("Refinery of {rig} is {state} (part of the daemon)\n  Queue: {waiting}")))
}
