//! What an agent asks about its own work: `gt hook`, `unsling`, `prime`, `handoff`, `heartbeat`.

use std::fmt::Write as _;
use std::time::Instant;

use opentelemetry::KeyValue;
use serde_json::{Value, json};

use crate::Output;
use crate::agents;
use crate::args::Verb;
use crate::beads::{self, Bead};
use crate::caller::{long_address, short_address};
use crate::convoys;
use crate::error::{Result, refused, refused_hint};
use crate::invocation::{Invocation, say, say_json};
use crate::mail;
use crate::render;
use crate::telemetry::record;
use crate::town::Town;

const HOOK: &[&str] = &["json  Print JSON", "f|force  Replace what hangs there", "n|dry-run  Only say what would be done"];

pub(super) const VERBS: &[Verb] = &[
    Verb { path: "hook", usage: "[bead] [agent]", about: "Shows your hook, or hangs a bead on it", flags: HOOK, run: hook },
    Verb { path: "hook status", usage: "[agent]", about: "Shows what hangs on a hook", flags: HOOK, run: hook_status },
    Verb { path: "hook show", usage: "[agent]", about: "Shows whose hook holds what", flags: HOOK, run: hook_show },
    Verb { path: "hook clear", usage: "[bead]", about: "Takes the bead off the hook", flags: HOOK, run: unsling },
    Verb {
        path: "unsling",
        usage: "[bead] [agent]",
        about: "Takes a bead off a hook and opens it again",
        flags: &["f|force  Also when it is not closed", "n|dry-run  Only say what would be done"],
        run: unsling,
    },
    Verb {
        path: "prime",
        usage: "",
        about: "Tells an agent who it is and what to do",
        flags: &["hook  At the beginning of a session", "dry-run  Accepted", "state  Only the state", "json  Print JSON"],
        run: prime,
    },
    Verb {
        path: "handoff",
        usage: "[bead]",
        about: "Mails yourself what the next session must know",
        flags: &[
            "s|subject=TEXT  Subject",
            "m|message=TEXT  Message",
            "stdin  Read the message from standard input",
            "y|yes  Accepted",
        ],
        run: handoff,
    },
    Verb {
        path: "heartbeat",
        usage: "",
        about: "Says that you live",
        flags: &["state=STATE  working, idle, exiting or stuck"],
        run: heartbeat,
    },
];

fn target(call: &Invocation, town: &Town, word: usize) -> String {
    call.args.word(word).map_or_else(|| town.agent(), long_address)
}

fn hooked_bead(town: &Town, address: &str) -> Result<Option<Bead>> {
    let began = Instant::now();
    let found = agents::hooked(&town.db, address).and_then(|id| match id {
        Some(id) => beads::get(&town.db, &id),
        None => Ok(None),
    });
    let error = found.as_ref().err().map(ToString::to_string);
    let assignee = format!("--assignee={address}");
    let outcome = error.as_deref().map_or(Ok(()), Err);
    town.caller.bd_call(&["list", "--status=hooked", &assignee, "--json"], began.elapsed(), outcome);
    found
}

fn hook(call: &mut Invocation) -> Result<Output> {
    if call.args.words.is_empty() {
        return hook_status(call);
    }
    let mut town = call.town()?;
    let bead = beads::find(&town.db, &call.args.words[0])?;
    let address = target(call, &town, 1);
    if bead.status == "closed" {
        return refused(format!("bead {} is closed", bead.id));
    }
    let other = hooked_bead(&town, &address)?.filter(|held| held.id != bead.id);
    if let Some(held) = other.filter(|_| !call.args.has("force")) {
        return refused_hint(format!("{} already hangs on the hook of {address}", held.id), "replace it with --force");
    }
    town.change(|change| change.hook(&bead.id, &address, None))?;
    Ok(say(format!("✓ Work attached to hook (status=hooked)\n  Bead: {}\n  Agent: {address}", bead.id)))
}

fn hook_status(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let address = target(call, &town, 0);
    let bead = hooked_bead(&town, &address)?;
    if call.args.has("json") {
        return say_json(&hook_json(&town, &address, bead.as_ref())?);
    }
    Ok(say(hook_text(&address, bead.as_ref())))
}

fn hook_json(town: &Town, address: &str, bead: Option<&Bead>) -> Result<Value> {
    let role = address.split('/').nth(1).map_or(address, |kind| if kind == "polecats" { "polecat" } else { kind });
    let mut row =
        json!({ "target": address, "role": role, "agent_bead_id": address.replace('/', "-"), "has_work": bead.is_some() });
    if let Some(bead) = bead {
        row["pinned_bead"] = render::issue(&town.db, bead)?;
        row["next_action"] = "Work on the bead, commit, then run: gt done".into();
    }
    Ok(row)
}

fn hook_text(address: &str, bead: Option<&Bead>) -> String {
    match bead {
        Some(bead) => format!(
            "🪝 Hook: {address}\n\n{} {}: {}\n\n{}\n\nNext: work on it, commit, then run `gt done`\n",
            render::icon(&bead.status),
            bead.id,
            bead.title,
            bead.description
        ),
        None => format!("🪝 Hook: {address}\n\nNothing on your hook\n"),
    }
}

fn hook_show(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let address = target(call, &town, 0);
    let bead = hooked_bead(&town, &address)?;
    if call.args.has("json") {
        let mut row = json!({ "agent": address });
        if let Some(bead) = bead {
            row["bead_id"] = bead.id.into();
            row["title"] = bead.title.into();
            row["status"] = bead.status.into();
        }
        return say_json(&row);
    }
    Ok(say(match bead {
        Some(bead) => format!("{address}: {} '{}' [{}]", bead.id, bead.title, bead.status),
        None => format!("{address}: (empty)"),
    }))
}

fn unsling(call: &mut Invocation) -> Result<Output> {
    let mut town = call.town()?;
    let bead = match call.args.word(0) {
        Some(name) if !name.contains('/') && name != "mayor" => Some(beads::find(&town.db, name)?),
        _ => hooked_bead(&town, &target(call, &town, 0))?,
    };
    let Some(bead) = bead.filter(|bead| bead.assignee.is_some()) else { return Ok(say("Nothing on your hook")) };
    if bead.status != "closed" && !call.args.has("force") {
        return refused_hint(format!("{} is not complete ({})", bead.id, bead.status), "take it off anyway with --force");
    }
    if call.args.has("dry-run") {
        return Ok(say(format!("Would unsling {}", bead.id)));
    }
    if bead.status != "closed" {
        town.change(|change| change.unhook(&bead.id))?;
    }
    Ok(say(format!("✓ Unslung {}", bead.id)))
}

fn prime(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let address = town.agent();
    let at_start = call.args.has("hook");
    town.caller.emit(record("prime").with("role", address.clone()).with("hook_mode", at_start).ended(Ok(())));
    let labels = [KeyValue::new("status", "ok"), KeyValue::new("role", address.clone()), KeyValue::new("hook_mode", at_start)];
    town.caller.count("gastown.prime.total", &labels);
    let bead = hooked_bead(&town, &address)?;
    if call.args.has("json") || call.args.has("state") {
        return say_json(&hook_json(&town, &address, bead.as_ref())?);
    }
    let mut text = String::new();
    if let Some(session) = town.caller.var("GT_SESSION").filter(|_| at_start) {
        let _ = writeln!(text, "[session:{session}]\n");
    }
    text.push_str(&role_text(&town, &address)?);
    let _ = write!(text, "\n{}", hook_text(&address, bead.as_ref()));
    text.push_str(&mail_text(&town, &address)?);
    if town.caller.opted_in("GT_LOG_PRIME_CONTEXT") {
        let event = record("prime.context").with("role", address.clone()).with("hook_mode", at_start);
        town.caller.emit(event.with("formula", text.clone()));
    }
    Ok(say(text))
}

fn role_text(town: &Town, address: &str) -> Result<String> {
    let Some((rig, name)) = address.split_once("/polecats/") else { return mayor_text(town, address) };
    let dir = town.polecat_dir(rig, name);
    Ok(format!(
        "# Polecat {name} of rig {rig}\n\nYou work on one issue in your own worktree, {}, on a branch of your own.\n\
         1. `gt hook` shows the issue.\n2. Do the work in the worktree and commit it there.\n3. `gt done` hands it in: it is \
         rebased, merged to the rig's target branch and pushed; then the issue is closed.\n\n`gt mail inbox` shows mail, `gt mail \
         send <address> -s SUBJECT -m TEXT` sends it.\n",
        dir.display()
    ))
}

fn mayor_text(town: &Town, address: &str) -> Result<String> {
    let mut text = format!(
        "# {address}\n\nYou coordinate. Make issues (`cd <rig> && bd create --title ...`), group them (`gt convoy create NAME \
         ID...`), assign them (`gt sling ID RIG`), and write to workers (`gt mail send <rig>/<name> -s ... -m ...`).\n\nRigs:\n"
    );
    for rig in town.rigs()? {
        let _ = writeln!(text, "  {} (prefix {}-)", rig.name, rig.prefix);
    }
    for convoy in convoys::list(&town.db, Some("open"))? {
        let _ = writeln!(text, "🚚 {}: {}", convoy.id, convoy.title);
    }
    Ok(text)
}

fn mail_text(town: &Town, address: &str) -> Result<String> {
    let unread = mail::inbox(&town.db, &short_address(address), true)?;
    let mut text = String::new();
    if !unread.is_empty() {
        let _ = writeln!(text, "\n📬 {} unread message(s):", unread.len());
    }
    for message in unread {
        let _ = writeln!(text, "  {} from {}: {}", message.id, message.from, message.subject);
    }
    Ok(text)
}

fn handoff(call: &mut Invocation) -> Result<Output> {
    let body = call.text("message")?.unwrap_or_default();
    let mut town = call.town()?;
    let me = short_address(&town.agent());
    let subject = call.args.value("subject").unwrap_or("HANDOFF").to_string();
    let letter = mail::Letter { from: me.clone(), to: me.clone(), subject, body, ..mail::Letter::default() };
    town.change(|change| change.send_mail(&letter))?;
    Ok(say(format!("✓ Handoff mailed to {me}; it is shown by `gt prime` in the next session")))
}

fn heartbeat(call: &mut Invocation) -> Result<Output> {
    let mut town = call.town()?;
    let address = town.agent();
    let state = call.args.value("state").unwrap_or("working").to_string();
    if !["working", "idle", "exiting", "stuck"].contains(&state.as_str()) {
        return refused_hint(format!("invalid state {state:?}"), "working, idle, exiting or stuck");
    }
    let kept = if state == "stuck" { "stuck" } else { "working" };
    town.change(|change| match agents::get(&change.tx, &address)? {
        Some(agent) if agent.state != "done" => change.set_agent_state(&address, kept),
        _ => Ok(()),
    })?;
    super::sling::report_state(&town, &address, &state);
    Ok(say(format!("✓ Heartbeat: {state}")))
}
