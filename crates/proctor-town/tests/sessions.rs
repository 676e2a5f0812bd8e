//! Supervised programs: start, prompt, typing, environment, end, death, what they leave behind.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing step fails the test")]

mod support;

use support::{Town, has_git};

const WAITS: &str = "printf '❯ '; while read -r line; do printf 'got:%s\\n❯ ' \"$line\"; done";

fn first_session(town: &Town) -> serde_json::Value {
    town.json(&["sessions", "--json"])[0].clone()
}

#[test]
fn the_mayor_starts_listens_and_stops() {
    let town = Town::with_agents(WAITS, WAITS);
    assert_eq!(town.ok(&["mayor", "status", "--running"]), "false\n");
    assert!(town.ok(&["mayor", "start"]).contains("✓ Mayor session started"));
    assert_eq!(town.ok(&["mayor", "status", "--running"]), "true\n");
    let twice = town.gt(&["mayor", "start"]);
    assert_eq!((twice.code, twice.stderr.contains("already running")), (1, true));
    town.ok(&["nudge", "mayor", "--mode", "immediate", "hello"]);
    town.until("the text arrives", |town| town.ok(&["peek", "mayor"]).contains("got:hello"));
    town.until("the mayor is idle", |town| town.json(&["agents", "list", "--json"])[0]["state"] == "idle");
    town.ok(&["mayor", "stop"]);
    assert_eq!(first_session(&town)["exit"], "stopped by gt mayor stop");
    assert_eq!(town.json(&["agents", "list", "--json"])[0]["state"], "stopped");
    let again = town.gt(&["mayor", "stop"]);
    assert_eq!(again.code, 1);
}

#[test]
fn a_text_of_many_lines_arrives_whole() {
    let script = "stty raw -echo; printf '❯ '; dd bs=65536 count=1 2>/dev/null | od -An -c; printf '❯ '; cat >/dev/null";
    let town = Town::with_agents(script, WAITS);
    town.ok(&["mayor", "start"]);
    let call = town.call(&["nudge", "mayor", "--mode", "immediate", "--stdin"], &town.root(), &[], "a\nb\n");
    assert_eq!(proctor_town::gt(call).code, 0);
    town.until("it is read at once", |town| town.ok(&["peek", "mayor"]).contains("a  \\n   b  \\r"));
}

#[test]
fn a_mayor_without_prompt_that_dies_is_an_error() {
    let town = Town::with_agents("echo oops; exit 3", WAITS);
    let output = town.gt(&["mayor", "start"]);
    assert_eq!(output.code, 1);
    assert!(output.stderr.contains("died during startup (exit 3)"), "{output:?}");
}

#[test]
fn an_unknown_program_is_named() {
    let town = Town::with_agents(WAITS, WAITS);
    let settings = r#"{"default_agent":"x","agents":{"x":{"command":"/nowhere/agent"}}}"#;
    std::fs::write(town.root().join("settings/config.json"), settings).unwrap();
    let output = town.gt(&["mayor", "start"]);
    assert_eq!((output.code, output.stderr.contains("cannot start /nowhere/agent")), (1, true), "{output:?}");
}

#[test]
fn an_agent_knows_itself_and_gets_its_beacon() {
    if !has_git() {
        return;
    }
    let script =
        "printf 'role=%s rig=%s pwd=%s beacon=%s\\n' \"$GT_ROLE\" \"$GT_RIG\" \"$PWD\" \"$1\"; printf '❯ '; cat >/dev/null";
    let town = Town::with_agents(WAITS, script);
    town.rig("alice");
    let issue = town.issue("alice", "Who");
    town.ok(&["sling", &issue, "alice"]);
    let agent = town.bead(&issue)["assignee"].as_str().unwrap().to_string();
    let text = town.ok(&["peek", &agent]);
    let name = agent.rsplit('/').next().unwrap();
    let dir = town.worktree("alice", name);
    assert!(text.contains(&format!("role={agent} rig=alice pwd={}", dir.display())), "{text}");
    assert!(text.contains(&format!("[GAS TOWN] polecat {name} (rig: alice) <- witness •")), "{text}");
    assert!(text.contains(&format!("• assigned:{issue}")), "{text}");
}

#[test]
fn a_killed_worker_is_stalled_and_can_be_replaced() {
    if !has_git() {
        return;
    }
    let town = Town::with_agents(WAITS, WAITS);
    town.rig("alice");
    let issue = town.issue("alice", "Risky");
    town.ok(&["sling", &issue, "alice"]);
    let pid = first_session(&town)["pid"].to_string();
    std::process::Command::new("kill").args(["-9", &pid]).status().unwrap();
    town.until("the death is told", |town| town.events().contains(&"session_death".to_string()));
    assert_eq!(first_session(&town)["exit"], "signal 9");
    assert_eq!(town.json(&["agents", "list", "--json"])[0]["state"], "stalled");
    assert_eq!(town.bead(&issue)["status"], "hooked");
    town.ok(&["sling", &issue, "alice"]);
    let agents = town.json(&["agents", "list", "--json"]);
    let states: Vec<&str> = agents.as_array().unwrap().iter().map(|row| row["state"].as_str().unwrap()).collect();
    assert_eq!(states.len(), 2);
    assert!(states.contains(&"working") && states.contains(&"stopped"), "{states:?}");
}

#[test]
fn what_an_agent_leaves_behind_is_ended_and_named() {
    let script = "setsid sleep 1000 & (trap '' HUP; exec sleep 1001) & printf '❯ '; read -r line; exit 0";
    let town = Town::with_agents(script, WAITS);
    town.ok(&["mayor", "start"]);
    town.ok(&["nudge", "mayor", "go", "--mode", "immediate"]);
    town.until("the session ends", |town| !first_session(town)["ended_at"].is_null());
    let session = first_session(&town);
    assert_eq!(session["exit"], "exit 0");
    let left = session["leftovers"].as_array().unwrap();
    let commands: Vec<&str> = left.iter().map(|row| row["command"].as_str().unwrap()).collect();
    assert!(commands.contains(&"sleep 1000") && commands.contains(&"sleep 1001"), "{commands:?}");
    for row in left {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", row["pid"])).unwrap_or_default();
        assert!(stat.is_empty() || stat.contains(") Z"), "{stat}");
    }
}

#[test]
fn down_ends_even_those_that_do_not_listen() {
    let mut town = Town::with_agents("trap '' TERM HUP; printf '❯ '; while :; do read -r line || sleep 1; done", WAITS);
    town.ok(&["mayor", "start"]);
    let pid = first_session(&town)["pid"].to_string();
    let output = town.stop_daemon().unwrap();
    assert_eq!(output.code, 0, "{output:?}");
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z"), "{stat}");
    assert!(!town.root().join("daemon/daemon.sock").exists());
}

#[test]
fn a_queued_nudge_waits_for_the_prompt() {
    let script = "printf '❯ '; read -r one; while [ ! -e go ]; do sleep 0.01; done; printf '❯ '; read -r two; printf \
                  'two:%s\\n❯ ' \"$two\"; cat >/dev/null";
    let town = Town::with_agents(script, WAITS);
    town.ok(&["mayor", "start"]);
    town.ok(&["nudge", "mayor", "first", "--mode", "immediate"]);
    let text = town.ok(&["nudge", "mayor", "second", "--mode", "queue"]);
    assert!(text.contains("queued for the next prompt"), "{text}");
    std::fs::write(town.root().join("mayor/go"), "").unwrap();
    town.until("it is typed at the prompt", |town| town.ok(&["peek", "mayor"]).contains("two:second"));
}
