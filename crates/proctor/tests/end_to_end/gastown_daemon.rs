//! The real Gas Town with its daemon: runs in a PID namespace of their own, what they leave alone, how they end.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;

use super::gastown::{crypto_tales, outside, programs};
use super::sandbox::{Ran, Running, Sandbox, assert_nothing_left};

/// Whether the system grants a namespace; else the test says that it does not.
pub(crate) fn namespaces() -> bool {
    let asked = |args: &[&str]| Command::new("unshare").args(args).args(["--pid", "--fork", "--mount-proc", "true"]).output();
    let granted =
        [&[][..], &["--user", "--map-current-user"]].iter().any(|args| asked(args).is_ok_and(|out| out.status.success()));
    if !granted {
        eprintln!("skipped: namespaces not found");
    }
    granted
}

/// Where the town's programs are, when they and namespaces are there.
fn ground() -> Option<String> {
    programs().filter(|_| namespaces())
}

/// A process as a daemon takes it for an agent that nobody needs any more: called `claude`, without a terminal, below a town.
fn agent_of_another_town(place: &Path) -> Child {
    let town = place.join("other-town");
    fs::create_dir_all(town.join("mayor")).unwrap();
    fs::write(town.join("mayor/town.json"), r#"{"type":"town","version":2,"name":"other"}"#).unwrap();
    let sleep =
        std::env::split_paths(&std::env::var_os("PATH").unwrap()).map(|dir| dir.join("sleep")).find(|file| file.is_file());
    let claude = place.join("claude");
    fs::copy(sleep.unwrap(), &claude).unwrap();
    let mut agent = Command::new("setsid");
    agent.arg(claude).arg("3600").current_dir(town).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    agent.spawn().unwrap()
}

fn daemon_log(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.report().join("evidence/raw/daemon/daemon.log")).unwrap()
}

/// Plays the tales to a pass, and finds that nobody but the daemon looked after the convoy.
fn passes(sandbox: &Sandbox, folder: &str, args: &[&str]) {
    Ran::of(crypto_tales(sandbox, folder, args).output().unwrap()).expect_code(0);
    let evidence = sandbox.report().join("evidence");
    let commands = fs::read_to_string(evidence.join("raw/commands.ndjson")).unwrap();
    assert!(commands.contains(r#""daemon","start""#) && !commands.contains(r#""convoy","check""#), "{commands}");
    let log = daemon_log(sandbox);
    assert!(!log.contains("zombie") && !log.contains("feeding"), "it neither restarted an agent nor slung an issue:\n{log}");
    assert_nothing_left(sandbox);
}

#[test]
fn the_crypto_tales_land_with_the_daemon_beside_a_live_town() {
    let Some(folder) = ground() else { return };
    let sandbox = Sandbox::new();
    let mut other = agent_of_another_town(&sandbox.work());
    passes(&sandbox, &folder, &["--daemon"]);
    assert!(daemon_log(&sandbox).contains("Heartbeat complete (#2)"), "it looked after its town more than once");
    assert!(other.try_wait().unwrap().is_none(), "the other town's agent lives");
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn the_crypto_tales_land_directly_with_the_daemon() {
    let Some(folder) = ground() else { return };
    passes(&Sandbox::new(), &folder, &["--daemon", "--merge", "direct"]);
}

#[test]
fn a_run_with_the_daemon_is_in_progress_until_it_is_killed_and_then_nothing_of_it_lives() {
    let Some(folder) = ground() else { return };
    let sandbox = Sandbox::new();
    let mut running = Running::start(&mut crypto_tales(&sandbox, &folder, &["--daemon"]));
    running.wait_for("alice/");
    let base = sandbox.bases().remove(0);
    let outside = outside(&base);
    let said = sandbox.run(&["clean"]).expect_code(0).stdout;
    assert!(said.contains("is in progress: left alone"), "{said}");
    running.signal(Signal::KILL);
    running.end();
    assert!(super::sandbox::processes_below(&base).is_empty(), "the kernel ends what is in the namespace");
    sandbox.run(&["clean"]).expect_code(0);
    assert_nothing_left(&sandbox);
    assert!(outside.iter().all(|file| !file.exists()), "{outside:?}");
}

#[test]
fn an_interrupted_run_with_the_daemon_ends_in_order() {
    let Some(folder) = ground() else { return };
    let sandbox = Sandbox::new();
    let mut running = Running::start(&mut crypto_tales(&sandbox, &folder, &["--daemon"]));
    running.wait_for("alice/");
    running.signal(Signal::INT);
    let ran = running.end().expect_code(130);
    assert_eq!(sandbox.summary()["outcome"], "cancelled", "{}", ran.stdout);
    assert!(daemon_log(&sandbox).contains("Daemon stopped"));
    assert_nothing_left(&sandbox);
}

#[test]
fn without_a_namespace_a_run_with_the_daemon_is_refused() {
    let sandbox = Sandbox::new();
    let mut command = crypto_tales(&sandbox, "", &["--daemon"]);
    let bare = sandbox.work().join("bin");
    fs::create_dir(&bare).unwrap();
    let git = std::env::split_paths(&std::env::var_os("PATH").unwrap()).map(|place| place.join("git")).find(|git| git.is_file());
    std::os::unix::fs::symlink(git.unwrap(), bare.join("git")).unwrap();
    let ran = Ran::of(command.env("PATH", &bare).output().unwrap()).expect_code(102);
    let said = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("PID namespace") && said.contains("no `unshare` of util-linux was found"), "{said}");
    assert_eq!(sandbox.summary()["outcome"], "environment_error");
    assert_nothing_left(&sandbox);
}

#[test]
fn what_does_not_go_with_the_daemon_is_a_mistake_of_the_command_line() {
    let sandbox = Sandbox::new();
    for (args, says) in [
        (&["run", "crypto-tales", "--daemon"][..], "the built-in town always has its daemon"),
        (&["run", "crypto-tales", "--town", "gastown", "--daemon", "--keep-town"], "--keep-town"),
        (&["selftest", "--clean", "2", "--town", "gastown", "--daemon", "--jobs", "2"], "--jobs"),
    ] {
        let ran = sandbox.run(args).expect_code(2);
        assert!(ran.stderr.contains(says) && ran.stderr.contains("hint:"), "{}", ran.stderr);
    }
}
