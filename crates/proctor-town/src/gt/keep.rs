//! Starting and stopping: `gt mayor …`, `gt daemon …`, `gt up`, `gt down`, `gt shutdown`.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::Output;
use crate::agents::{self, Session};
use crate::args::Verb;
use crate::daemon::{self, client, client::Ask};
use crate::error::{Result, TownError, refused, refused_hint};
use crate::invocation::{Invocation, say, say_json};
use crate::launch::Launch;
use crate::processes;
use crate::town::{self, Town};

pub(super) const VERBS: &[Verb] = &[
    Verb { path: "mayor start", usage: "", about: "Starts the mayor", flags: &["agent=AGENT  Agent to play it"], run: start },
    Verb { path: "mayor stop", usage: "", about: "Ends the mayor's session", flags: &[], run: stop },
    Verb {
        path: "mayor restart",
        usage: "",
        about: "Stops and starts the mayor",
        flags: &["agent=AGENT  Agent to play it"],
        run: restart,
    },
    Verb {
        path: "mayor status",
        usage: "",
        about: "Says whether the mayor runs",
        flags: &["running  Print only true or false", "json  Print JSON"],
        run: status,
    },
    Verb { path: "mayor attach", usage: "", about: "Says where the mayor's terminal is recorded", flags: &[], run: attach },
    Verb { path: "daemon start", usage: "", about: "Starts the daemon", flags: &[], run: daemon_start },
    Verb { path: "daemon stop", usage: "", about: "Stops the daemon and every session", flags: &[], run: daemon_stop },
    Verb { path: "daemon status", usage: "", about: "Says whether the daemon runs", flags: &[], run: daemon_status },
    Verb {
        path: "daemon logs",
        usage: "",
        about: "Shows the end of the daemon's log",
        flags: &["n|lines=N  Number of lines (default 50)"],
        run: daemon_logs,
    },
    Verb { path: "daemon run", usage: "", about: "Runs the daemon in the foreground", flags: &[], run: daemon_run },
    Verb {
        path: "up",
        usage: "",
        about: "Starts daemon and mayor",
        flags: &["q|quiet  Say nothing", "json  Print JSON"],
        run: up,
    },
    Verb {
        path: "down",
        usage: "",
        about: "Ends every session and the daemon",
        flags: &["q|quiet  Say nothing", "f|force  Accepted", "p|polecats  Accepted; they are always ended", "a|all  Accepted"],
        run: down,
    },
    Verb {
        path: "shutdown",
        usage: "",
        about: "Ends every session and the daemon; worktrees stay",
        flags: &["y|yes  Accepted; nothing is asked", "f|force  Accepted", "a|all  Accepted", "g|graceful  Accepted"],
        run: down,
    },
];

const MAYOR: &str = "hq-mayor";

fn mayor(town: &Town) -> Result<Option<Session>> {
    Ok(agents::last_session(&town.db, "mayor")?.filter(Session::alive))
}

fn start(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    if mayor(&town)?.is_some() {
        return refused_hint("Mayor session already running", "gt mayor attach");
    }
    client::ensure(&town)?;
    let launch = Launch {
        agent: "mayor".to_string(),
        role: "mayor".to_string(),
        rig: None,
        session: MAYOR.to_string(),
        dir: town.root.join("mayor"),
        issue: None,
        branch: None,
        commit: None,
        slot: None,
        explicit: call.args.value("agent").map(str::to_string),
    };
    client::ask(&town, &Ask::Start(launch))?;
    Ok(say("Starting Mayor session...\n✓ Mayor session started. Attach with: gt mayor attach"))
}

fn stop(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    if mayor(&town)?.is_none() {
        return refused("Mayor session is not running");
    }
    end(&town, MAYOR, "stopped by gt mayor stop")?;
    Ok(say("✓ Mayor session stopped."))
}

fn end(town: &Town, session: &str, reason: &str) -> Result<()> {
    client::ask(town, &Ask::End { session: session.to_string(), reason: reason.to_string() }).map(|_| ())
}

fn restart(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    if mayor(&town)?.is_some() {
        end(&town, MAYOR, "stopped by gt mayor restart")?;
    }
    start(call)
}

fn status(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let session = mayor(&town)?;
    if call.args.has("running") {
        return Ok(say(session.is_some().to_string()));
    }
    if call.args.has("json") {
        let pid = session.as_ref().and_then(|session| session.pid);
        return say_json(&json!({ "running": session.is_some(), "session": MAYOR, "pid": pid }));
    }
    Ok(match session {
        Some(session) => say(format!(
            "● Mayor session is running\n  Session: {MAYOR}\n  PID: {}\n  Started: {}",
            session.pid.unwrap_or_default(),
            session.started_at
        )),
        None => say("○ Mayor session is not running\n\nStart with: gt mayor start"),
    })
}

fn attach(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let Some(session) = mayor(&town)? else { return refused_hint("Mayor session is not running", "gt mayor start") };
    let transcript = town.root.join(session.transcript);
    Ok(say(format!(
        "Sessions of this town have no terminal to attach to.\n  Watch:  tail -f {}\n  Type:   gt nudge mayor --mode immediate \"...\"",
        transcript.display()
    )))
}

fn daemon_start(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let (pid, started) = client::ensure(&town)?;
    Ok(say(if started { format!("✓ Daemon started (PID {pid})") } else { format!("○ Daemon already running (PID {pid})") }))
}

fn root(call: &Invocation) -> Result<PathBuf> {
    town::find(&call.caller).map_or_else(town::nowhere, Ok)
}

fn daemon_stop(call: &mut Invocation) -> Result<Output> {
    let root = root(call)?;
    if client::running_at(&root).is_none() {
        return refused("daemon is not running");
    }
    shutdown(&root, "stopped by gt daemon stop")?;
    Ok(say("✓ Daemon stopped"))
}

/// Ends sessions and daemon, and waits until the daemon has let go of the town.
fn shutdown(root: &Path, reason: &str) -> Result<()> {
    client::ask_at(root, &Ask::Shutdown { reason: reason.to_string() })?;
    let socket = daemon::file(root, "daemon.sock");
    if processes::wait_until(3 * processes::GRACE, || !socket.exists()) {
        return Ok(());
    }
    Err(TownError::Daemon("did not end".to_string()))
}

fn daemon_status(call: &mut Invocation) -> Result<Output> {
    let root = root(call)?;
    Ok(match client::running_at(&root) {
        Some(pid) => say(format!("● Daemon is running (PID {pid})\n  Town: {}", root.display())),
        None => say("○ Daemon is not running\n\nStart with: gt daemon start"),
    })
}

fn daemon_logs(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let path = daemon::file(&town.root, "daemon.log");
    let text = std::fs::read_to_string(&path).map_err(TownError::io(&path))?;
    let wanted = call.args.value("lines").and_then(|n| n.parse().ok()).unwrap_or(50);
    let lines: Vec<&str> = text.lines().collect();
    Ok(say(lines[lines.len().saturating_sub(wanted)..].join("\n")))
}

fn daemon_run(call: &mut Invocation) -> Result<Output> {
    daemon::run(call.town()?)?;
    Ok(Output::default())
}

fn up(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let (pid, _) = client::ensure(&town)?;
    let detail = match mayor(&town)? {
        Some(_) => "already running".to_string(),
        None => start(call).map(|_| "started".to_string())?,
    };
    let services = json!([
        { "name": "daemon", "type": "daemon", "ok": true, "detail": format!("PID {pid}") },
        { "name": "mayor", "type": "mayor", "ok": true, "detail": detail },
    ]);
    if call.args.has("json") {
        let summary = json!({ "total": 2, "started": 2, "failed": 0 });
        return say_json(&json!({ "success": true, "services": services, "summary": summary }));
    }
    let text = format!("✓ daemon: PID {pid}\n✓ mayor: {detail}\nAll services running");
    Ok(if call.args.has("quiet") { Output::default() } else { say(text) })
}

fn down(call: &mut Invocation) -> Result<Output> {
    let root = root(call)?;
    if client::running_at(&root).is_some() {
        shutdown(&root, "stopped by gt down")?;
    }
    Ok(if call.args.has("quiet") { Output::default() } else { say("✓ All services stopped") })
}
