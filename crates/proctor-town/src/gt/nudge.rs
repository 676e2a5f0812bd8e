//! Speaking to sessions: `gt nudge`, `broadcast`, `escalate`.

use opentelemetry::KeyValue;
use serde_json::json;

use crate::Output;
use crate::agents::{self, Session};
use crate::args::Verb;
use crate::beads::NewBead;
use crate::caller::{long_address, short_address};
use crate::daemon::client::{self, Ask};
use crate::error::{Result, refused_hint};
use crate::invocation::{Invocation, say, say_json};
use crate::mail::Letter;
use crate::telemetry::{record, status};
use crate::town::Town;

pub(super) const VERBS: &[Verb] = &[
    Verb {
        path: "nudge",
        usage: "<target> [message]",
        about: "Types a text into an agent's session",
        flags: &[
            "m|message=TEXT  Text",
            "stdin  Read the text from standard input",
            "mode=MODE  wait-idle (default), queue or immediate",
            "f|force  Accepted",
            "if-fresh  Accepted",
            "priority=P  Accepted",
        ],
        run: nudge,
    },
    Verb {
        path: "broadcast",
        usage: "<message>",
        about: "Nudges every running polecat",
        flags: &["rig=RIG  Only this rig's", "all  Also the mayor", "dry-run  Only say whom"],
        run: broadcast,
    },
    Verb {
        path: "escalate",
        usage: "<description>",
        about: "Raises a problem: a bead, and mail to the mayor",
        flags: &[
            "s|severity=S  critical, high, medium (default) or low",
            "r|reason=TEXT  Details",
            "stdin  Read the details from standard input",
            "related=ID  Bead it is about",
            "source=TEXT  Where it comes from",
            "json  Print JSON",
        ],
        run: escalate,
    },
];

fn nudge(call: &mut Invocation) -> Result<Output> {
    let text = match call.text("message")? {
        Some(text) => text,
        None => call.args.words.get(1..).unwrap_or_default().join(" "),
    };
    let target = call.need(0, "<target>")?;
    let mode = call.args.value("mode").unwrap_or("wait-idle").to_string();
    if !["wait-idle", "queue", "immediate"].contains(&mode.as_str()) {
        return refused_hint(format!("invalid mode {mode:?}"), "wait-idle, queue or immediate");
    }
    if text.is_empty() {
        return refused_hint("message required", "gt nudge <target> \"text\", -m TEXT or --stdin");
    }
    let mut town = call.town()?;
    let result = deliver(&mut town, &target, &text, &mode);
    let error = result.as_ref().err().map(ToString::to_string);
    let outcome = error.as_deref().map_or(Ok(()), Err);
    town.caller.emit(record("nudge").with("target", target.clone()).ended(outcome));
    town.caller.count("gastown.nudge.total", &[KeyValue::new("status", status(&outcome))]);
    let typed = result?;
    let how = if typed { mode.as_str() } else { "queued for the next prompt" };
    Ok(say(format!("✓ Nudged {target} ({how})")))
}

/// Types the text or queues it; says whether it was typed.
fn deliver(town: &mut Town, target: &str, text: &str, mode: &str) -> Result<bool> {
    let session = session_of(town, target)?;
    let ask = Ask::Type { session: session.session, text: text.to_string(), when_idle: mode != "immediate" };
    let reply = client::ask(town, &ask)?;
    let typed = reply["typed"].as_bool().unwrap_or_default();
    town.change(|change| {
        change.event("nudge", json!({ "target": session.agent, "mode": mode, "bytes": text.len(), "typed": typed }));
        Ok(())
    })?;
    Ok(typed)
}

/// The living session of an agent, or of a session's name.
pub(super) fn session_of(town: &Town, target: &str) -> Result<Session> {
    let address = long_address(target);
    let sessions = agents::sessions(&town.db)?.into_iter().rev();
    let mut named = sessions.filter(|session| session.agent == address || session.session == target);
    match named.find(Session::alive) {
        Some(session) => Ok(session),
        None => refused_hint(format!("session not found: {target}"), "who runs: gt agents list"),
    }
}

fn broadcast(call: &mut Invocation) -> Result<Output> {
    let text = call.need(0, "<message>")?;
    let mut town = call.town()?;
    let (rig, all) = (call.args.value("rig"), call.args.has("all"));
    let sessions = agents::sessions(&town.db)?.into_iter().filter(Session::alive);
    let wanted = sessions.filter(|session| session.role == "polecat" || all);
    let wanted: Vec<Session> = wanted.filter(|session| rig.is_none() || session.rig.as_deref() == rig).collect();
    let (mut lines, mut failed) = (String::new(), 0);
    for session in &wanted {
        let name = short_address(&session.agent);
        let result = if call.args.has("dry-run") { Ok(true) } else { deliver(&mut town, &session.agent, &text, "wait-idle") };
        failed += u8::from(result.is_err());
        lines.push_str(&result.map_or_else(|error| format!("✗ {name}: {error}\n"), |_| format!("✓ {name}\n")));
    }
    lines.push_str(&format!("Broadcast to {} agent(s)\n", wanted.len()));
    Ok(Output { code: failed.min(1), ..say(lines) })
}

fn escalate(call: &mut Invocation) -> Result<Output> {
    let reason = call.text("reason")?.unwrap_or_default();
    let title = call.need(0, "<description>")?;
    let severity = call.args.value("severity").unwrap_or("medium").to_string();
    let Some(priority) = ["critical", "high", "medium", "low"].iter().position(|known| *known == severity) else {
        return refused_hint(format!("invalid severity {severity:?}"), "critical, high, medium or low");
    };
    let mut town = call.town()?;
    let priority = u8::try_from(priority).unwrap_or(2);
    let related = call.args.value("related").map_or_else(String::new, |id| format!("\n\nrelated: {id}"));
    let description = format!("severity: {severity}\n\n{reason}{related}");
    let letter = Letter {
        from: short_address(&town.agent()),
        to: "mayor".to_string(),
        subject: format!("[{}] {title}", severity.to_uppercase()),
        body: description.clone(),
        priority,
        ..Letter::default()
    };
    let new = NewBead {
        prefix: "hq".to_string(),
        title,
        description,
        kind: "task".to_string(),
        priority,
        labels: vec!["gt:escalation".to_string(), format!("severity:{severity}")],
        ..NewBead::default()
    };
    let id = town.change(|change| {
        let id = change.create_bead(new)?;
        change.send_mail(&letter)?;
        Ok(id)
    })?;
    if call.args.has("json") {
        let row =
            json!({ "id": id, "severity": severity, "actions": ["bead", "mail:mayor"], "targets": ["mayor"], "status": "ok" });
        return say_json(&row);
    }
    Ok(say(format!("✓ Escalation created: {id}\n  Severity: {severity}\n  Mailed: mayor")))
}
