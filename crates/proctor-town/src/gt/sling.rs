//! `gt sling`: a bead onto the hook of a new worker, or of an agent that is there.
//!
//! The bead is reserved in one transaction, then clone and session are made; a failure undoes all of it.

use std::fmt::Write as _;
use std::time::Instant;

use opentelemetry::KeyValue;
use serde_json::json;

use crate::Output;
use crate::agents::{self, Session};
use crate::args::Verb;
use crate::beads::{self, Bead};
use crate::caller::{long_address, short_address};
use crate::convoys;
use crate::daemon::client::{self, Ask};
use crate::error::{Result, TownError, refused, refused_hint};
use crate::git::Git;
use crate::ids;
use crate::invocation::{Invocation, say};
use crate::launch::Launch;
use crate::merges;
use crate::telemetry::{record, status};
use crate::town::{Change, Rig, Town};

pub(super) const VERBS: &[Verb] = &[Verb {
    path: "sling",
    usage: "<bead...> [target]",
    about: "Assigns work: a new polecat of a rig, or an agent",
    flags: &[
        "n|dry-run  Only say what would be done",
        "force  Take the bead from whoever holds it",
        "no-convoy  Make no convoy for a bead that has none",
        "no-boot  Accepted; nothing needs to be booted",
        "hook-raw-bead  Accepted; beads are always hooked as they are",
        "agent=AGENT  Agent to play the polecat",
        "a|args=TEXT  Instructions added to the bead",
        "s|subject=TEXT  Subject added to the bead",
        "m|message=TEXT  Message added to the bead",
        "stdin  Read the instructions from standard input",
    ],
    run: sling,
}];

/// What a sling wants besides bead and target.
struct Wishes {
    force: bool,
    convoy: bool,
    agent: Option<String>,
    instructions: Option<String>,
}

/// A worker in the making.
struct Reservation {
    address: String,
    name: String,
    branch: String,
    slot: usize,
    convoy: Option<(String, bool)>,
}

enum Reserved {
    New(Reservation),
    /// The bead is where it should be already.
    Held(String),
}

fn sling(call: &mut Invocation) -> Result<Output> {
    let mut town = call.town()?;
    if town.agent().contains("/polecats/") {
        return refused_hint("polecats cannot sling work", "mail the mayor instead: gt mail send mayor/ -s ... -m ...");
    }
    let instructions = match call.text("args")? {
        Some(text) => Some(text),
        None => call.args.value("message").or_else(|| call.args.value("subject")).map(str::to_string),
    };
    let wishes = Wishes {
        force: call.args.has("force"),
        convoy: !call.args.has("no-convoy"),
        agent: call.args.value("agent").map(str::to_string),
        instructions,
    };
    let (beads, target) = beads_and_target(&town, &call.args.words)?;
    if call.args.has("dry-run") {
        let to = target.as_deref().unwrap_or("the rig of its prefix");
        return Ok(say(format!("Would sling {} to {to}", beads.join(", "))));
    }
    if beads.len() == 1 {
        return one(&mut town, &beads[0], target.as_deref(), &wishes).map(say);
    }
    batch(&mut town, &beads, target.as_deref(), &wishes)
}

/// The last word is the target when it names a rig or an agent.
fn beads_and_target(town: &Town, words: &[String]) -> Result<(Vec<String>, Option<String>)> {
    let Some((last, before)) = words.split_last() else { return refused_hint("nothing to sling", "gt sling <bead> <rig>") };
    let is_rig = town.rigs()?.iter().any(|rig| rig.name == *last);
    let is_agent = last.contains('/') || last == "mayor";
    if before.is_empty() {
        return Ok((words.to_vec(), None));
    }
    if is_rig || is_agent {
        return Ok((before.to_vec(), Some(last.clone())));
    }
    match beads::find(&town.db, last) {
        Ok(_) => Ok((words.to_vec(), None)),
        Err(_) => town.rig(last).map(|rig| (before.to_vec(), Some(rig.name))),
    }
}

fn batch(town: &mut Town, beads: &[String], target: Option<&str>, wishes: &Wishes) -> Result<Output> {
    let mut text = format!("🎯 Batch slinging {} beads...\n", beads.len());
    let (mut done, mut errors) = (0, String::new());
    for bead in beads {
        match one(town, bead, target, wishes) {
            Ok(lines) => {
                done += 1;
                text.push_str(&lines);
            }
            Err(error) => {
                let _ = writeln!(errors, "✗ {bead}: {error}");
            }
        }
    }
    let _ = writeln!(text, "📊 Batch sling complete: {done}/{} succeeded", beads.len());
    Ok(Output { stderr: errors, code: u8::from(done < beads.len()), ..say(text) })
}

fn one(town: &mut Town, name: &str, target: Option<&str>, wishes: &Wishes) -> Result<String> {
    let result = dispatch(town, name, target, wishes);
    let error = result.as_ref().err().map(ToString::to_string);
    let outcome = error.as_deref().map_or(Ok(()), Err);
    let event = record("sling").with("bead", name.to_string()).with("target", target.unwrap_or_default().to_string());
    town.caller.emit(event.ended(outcome));
    town.caller.count("gastown.sling.dispatches.total", &[KeyValue::new("status", status(&outcome))]);
    result
}

fn dispatch(town: &mut Town, name: &str, target: Option<&str>, wishes: &Wishes) -> Result<String> {
    let bead = beads::find(&town.db, name)?;
    let target = match (target, &bead.rig) {
        (Some(target), _) => target.to_string(),
        (None, Some(rig)) => rig.clone(),
        (None, None) => return refused_hint(format!("{} belongs to no rig", bead.id), "name one: gt sling <bead> <rig>"),
    };
    if target == "mayor" || target == "mayor/" || target.contains('/') {
        return to_agent(town, &bead, &long_address(&target));
    }
    let rig = town.rig(&target)?;
    to_new_polecat(town, &bead, &rig, wishes)
}

fn to_agent(town: &mut Town, bead: &Bead, address: &str) -> Result<String> {
    if agents::get(&town.db, address)?.is_none() {
        return refused_hint(format!("agent '{address}' not found"), "gt agents list");
    }
    slingable(bead)?;
    town.change(|change| {
        change.hook(&bead.id, address, None)?;
        change.event("sling", json!({ "bead": bead.id, "target": address }));
        Ok(())
    })?;
    let mut text = format!("🎯 Slinging {} to {address}...\n✓ Work attached to hook (status=hooked)\n", bead.id);
    let session = agents::last_session(&town.db, address)?.filter(Session::alive);
    if let Some(session) = session {
        let note = format!("Work is on your hook: {} {}. Run `gt hook` to see it.", bead.id, bead.title);
        client::ask(town, &Ask::Type { session: session.session, text: note, when_idle: true })?;
        text.push_str("▶ Start prompt sent\n");
    }
    Ok(text)
}

fn slingable(bead: &Bead) -> Result<()> {
    match (bead.status.as_str(), bead.kind.as_str()) {
        ("closed" | "deferred", _) => refused(format!("bead {} is {}", bead.id, bead.status)),
        (_, "convoy") => refused_hint(format!("{} is a convoy", bead.id), "sling its issues"),
        _ => Ok(()),
    }
}

fn to_new_polecat(town: &mut Town, bead: &Bead, rig: &Rig, wishes: &Wishes) -> Result<String> {
    let began = Instant::now();
    let reserved = town.change(|change| reserve(change, &bead.id, rig, wishes))?;
    let new = match reserved {
        Reserved::Held(holder) => return Ok(format!("○ {} is already hooked to {holder}: nothing to do\n", bead.id)),
        Reserved::New(new) => new,
    };
    let assignee = format!("--assignee={}", new.address);
    town.caller.bd_call(&["update", &bead.id, "--status=hooked", &assignee], began.elapsed(), Ok(()));
    report_state(town, &new.address, "spawning");
    report_convoy(town, bead, &new);
    match spawn(town, bead, rig, &new, wishes) {
        Ok(()) => Ok(told(bead, rig, &new)),
        Err(error) => {
            roll_back(town, bead, rig, &new)?;
            Err(error)
        }
    }
}

fn told(bead: &Bead, rig: &Rig, new: &Reservation) -> String {
    let mut text = format!("🎯 Slinging {} to {}...\n", bead.id, rig.name);
    match &new.convoy {
        Some((convoy, true)) => text.push_str(&format!("→ Created convoy 🚚 {convoy}\n")),
        Some((convoy, false)) => text.push_str(&format!("○ Already tracked by convoy {convoy}\n")),
        None => {}
    }
    let _ = writeln!(text, "Created polecat: {}", new.name);
    let _ = writeln!(text, "  Address: {}\n  Branch: {}", short_address(&new.address), new.branch);
    text.push_str("✓ Work attached to hook (status=hooked)\n▶ Start prompt sent\n");
    text
}

/// Everything that must be decided at once: who holds the bead, the new worker's name, its branch, the convoy.
fn reserve(change: &mut Change<'_>, id: &str, rig: &Rig, wishes: &Wishes) -> Result<Reserved> {
    let bead = beads::find(&change.tx, id)?;
    slingable(&bead)?;
    if bead.rig.as_deref() != Some(rig.name.as_str()) && !wishes.force {
        let home = bead.rig.as_deref().unwrap_or("the town");
        return refused_hint(
            format!("bead {id} belongs to {home}, not to rig '{}'", rig.name),
            format!("make it in the rig: cd {} && bd create ...", rig.name),
        );
    }
    if let Some(holder) = held(change, &bead, rig, wishes.force)? {
        return Ok(Reserved::Held(holder));
    }
    let taken = agents::all(&change.tx)?.into_iter().filter(|agent| agent.rig.as_deref() == Some(&rig.name));
    let taken: Vec<String> = taken.map(|agent| agent.name).collect();
    let name = ids::polecat_name(&rig.name, &taken);
    let address = format!("{}/polecats/{name}", rig.name);
    let n = change.count(&format!("slings {id}"))?;
    let branch = format!("polecat/{name}/{id}@{}", ids::base36(n));
    change.enter_agent(&address, "polecat", Some(&rig.name), "spawning")?;
    let convoy = convoy_for(change, &bead, wishes)?;
    if let Some(text) = &wishes.instructions {
        let description = format!("{}\n\nattached_args: {text}", bead.description);
        change.set(id, "description", Some(description.trim_start()))?;
    }
    change.hook(id, &address, Some(&branch))?;
    Ok(Reserved::New(Reservation { address, name, branch, slot: taken.len(), convoy }))
}

fn convoy_for(change: &mut Change<'_>, bead: &Bead, wishes: &Wishes) -> Result<Option<(String, bool)>> {
    match convoys::of_issue(&change.tx, &bead.id)? {
        Some(convoy) => Ok(Some((convoy, false))),
        None if !wishes.convoy => Ok(None),
        None => {
            let title = format!("Work: {}", bead.title);
            change.create_convoy(&title, std::slice::from_ref(&bead.id), None).map(|convoy| Some((convoy, true)))
        }
    }
}

/// Who holds the bead and should keep it. A holder that died or, with `--force`, any holder loses it.
fn held(change: &mut Change<'_>, bead: &Bead, rig: &Rig, force: bool) -> Result<Option<String>> {
    let Some(holder) = bead.assignee.clone().filter(|_| matches!(bead.status.as_str(), "hooked" | "in_progress")) else {
        return Ok(None);
    };
    let Some(agent) = agents::get(&change.tx, &holder)? else { return Ok(None) };
    let session = agents::last_session(&change.tx, &holder)?;
    let alive = agent.state == "spawning" || session.is_some_and(|session| session.alive());
    let submitted = !merges::select(&change.tx, "issue = ?1 AND status = 'open'", &[&bead.id])?.is_empty();
    if (alive || submitted) && !force {
        if agent.rig.as_deref() == Some(&rig.name) {
            return Ok(Some(short_address(&holder)));
        }
        return refused_hint(format!("bead {} is already hooked to {holder}", bead.id), "take it away with --force");
    }
    change.set_agent_state(&holder, "stopped")?;
    Ok(None)
}

fn report_convoy(town: &Town, bead: &Bead, new: &Reservation) {
    if let Some((_, true)) = &new.convoy {
        town.caller.convoy_created(&bead.id);
    }
}

fn spawn(town: &mut Town, bead: &Bead, rig: &Rig, new: &Reservation, wishes: &Wishes) -> Result<()> {
    let dir = town.polecat_dir(&rig.name, &new.name);
    let made = make_clone(town, rig, new);
    let error = made.as_ref().err().map(ToString::to_string);
    let outcome = error.as_deref().map_or(Ok(()), Err);
    town.caller.emit(record("polecat.spawn").with("name", new.name.clone()).ended(outcome));
    town.caller.count("gastown.polecat.spawns.total", &[KeyValue::new("status", status(&outcome))]);
    let commit = made?;
    town.change(|change| {
        change.event("spawn", json!({ "rig": rig.name, "polecat": new.name, "branch": new.branch, "bead": bead.id }));
        Ok(())
    })?;
    client::ensure(town)?;
    let launch = Launch {
        agent: new.address.clone(),
        role: "polecat".to_string(),
        rig: Some(rig.name.clone()),
        session: format!("{}-{}", rig.prefix, new.name),
        dir,
        issue: Some(bead.id.clone()),
        branch: Some(new.branch.clone()),
        commit: Some(commit),
        slot: Some(new.slot),
        explicit: wishes.agent.clone(),
    };
    // Told before the worker runs, so that whoever follows the events sees cause before effect.
    town.change(|change| {
        change.event("sling", json!({ "bead": bead.id, "target": rig.name, "agent": new.address }));
        Ok(())
    })?;
    client::ask(town, &Ask::Start(launch))?;
    report_state(town, &new.address, "working");
    Ok(())
}

/// The log event and metric of an agent's change of state.
pub(super) fn report_state(town: &Town, address: &str, state: &str) {
    town.caller.agent_state(address, state, None);
}

/// Makes the worker's clone on a branch of its own; gives the commit it begins with.
///
/// A clone shares nothing with any other repository: what a worker does to its own reaches nobody's git.
fn make_clone(town: &Town, rig: &Rig, new: &Reservation) -> Result<String> {
    let dir = town.polecat_dir(&rig.name, &new.name);
    let parent = dir.parent().unwrap_or(&dir);
    std::fs::create_dir_all(parent).map_err(TownError::io(parent))?;
    let path = dir.display().to_string();
    let clone = ["clone", "--quiet", "--no-tags", "--template=", "--branch", &rig.branch, "--", &rig.url, &path];
    Git::of_daemon(&town.caller, parent, &new.address).run(&clone)?;
    super::rig::exclude(&dir.join(".git/info"))?;
    let git = Git::of_daemon(&town.caller, &dir, &new.address);
    git.run(&["checkout", "--quiet", "--no-track", "-b", &new.branch])?;
    git.run(&["rev-parse", "HEAD"])
}

fn roll_back(town: &mut Town, bead: &Bead, rig: &Rig, new: &Reservation) -> Result<()> {
    town.change(|change| {
        change.unhook(&bead.id)?;
        change.tx.execute("DELETE FROM agents WHERE agent = ?1", [&new.address])?;
        if let Some((convoy, true)) = &new.convoy {
            change.tx.execute("DELETE FROM dependencies WHERE issue_id = ?1", [convoy])?;
            change.tx.execute("DELETE FROM issues WHERE id = ?1", [convoy])?;
            change.event("convoy_close", json!({ "bead": convoy, "reason": "its sling failed" }));
        }
        Ok(())
    })?;
    remove_clone(town, &rig.name, &new.name);
    Ok(())
}

/// Removes a worker's clone; what is not there is no matter.
pub(super) fn remove_clone(town: &Town, rig: &str, name: &str) {
    if let Some(parent) = town.polecat_dir(rig, name).parent() {
        let _ = std::fs::remove_dir_all(parent);
    }
}
