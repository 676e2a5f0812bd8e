//! Agents that others launch, as the panes of the town's tmux server show them.
//!
//! `gt` gives each pane's program who it plays (`GT_ROLE`, `GT_RIG`, `GT_RUN`, …) in its environment, and tmux starts it as a process of
//! its own: both are read from `/proc`, so that looking starts no process.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use chrono::TimeDelta;
use proctor_judge::evidence::Time;

use crate::launch::{self, Birth, Launch, SessionStart};
use crate::linux::{self, Newcomers, Process};

/// Programs that a pane starts with and that become the agent: tmux itself first.
const BEFORE_THE_AGENT: [&str; 7] = ["sh", "bash", "dash", "zsh", "fish", "env", "tmux"];
/// How long a process may take to become the agent before it is taken for the agent itself, in seconds.
const BECOMING_S: f64 = 3.0;

/// The panes of one tmux server, from the moment on at which its process became known.
#[derive(Debug, Default)]
pub(in crate::town::gastown) struct Panes {
    /// The server's process, once it is known.
    server: Arc<OnceLock<u32>>,
    /// Processes that were there before, by id and start.
    before: BTreeSet<(u32, u64)>,
    newcomers: Newcomers,
    /// Processes of the server's that have not become what they will be.
    becoming: BTreeSet<u32>,
}

impl Panes {
    /// The panes of the server that `server` will name, without those that are there before.
    pub(in crate::town::gastown) fn new(server: Arc<OnceLock<u32>>, before: BTreeSet<(u32, u64)>) -> Self {
        Self { server, before, ..Self::default() }
    }

    /// Agents that began since the last look.
    pub(super) fn begun(&mut self, now: Time) -> Vec<SessionStart> {
        let Some(server) = self.server.get() else { return Vec::new() };
        let looked_at: Vec<u32> = std::mem::take(&mut self.becoming).into_iter().chain(self.newcomers.take()).collect();
        let own = looked_at.into_iter().filter_map(linux::process).filter(|process| is_of(process, *server));
        let mut begun = Vec::new();
        for process in own.filter(|process| !self.before.contains(&(process.pid, process.started))) {
            let age = linux::age(&process);
            let (env, arguments) = (linux::environment(process.pid), linux::arguments(process.pid));
            if is_becoming(&arguments) && age < BECOMING_S {
                self.becoming.insert(process.pid);
                continue;
            }
            begun.extend(start(&process, &env, arguments, now - TimeDelta::milliseconds((age * 1000.0) as i64)));
        }
        begun.sort_by_key(|start| start.started_at);
        begun
    }
}

/// The processes that a tmux server started.
pub(in crate::town::gastown) fn of_server(server: u32) -> Vec<Process> {
    linux::processes().into_iter().filter(|process| is_of(process, server)).collect()
}

fn is_of(process: &Process, server: u32) -> bool {
    process.parent == server && process.state != 'Z'
}

fn is_becoming(arguments: &[String]) -> bool {
    let program = arguments.first().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    program.is_empty() || BEFORE_THE_AGENT.contains(&program.trim_start_matches('-'))
}

/// A pane without a role is no agent's.
fn start(process: &Process, env: &BTreeMap<String, String>, arguments: Vec<String>, at: Time) -> Option<SessionStart> {
    env.get("GT_ROLE").filter(|role| !role.is_empty())?;
    let mut arguments = arguments.into_iter();
    let program = PathBuf::from(arguments.next().unwrap_or_default());
    let launch = Launch { program, args: arguments.collect(), env: BTreeMap::new() };
    Some(launch::session_start(env, &launch, Birth { pid: process.pid, started: process.started, at }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::process::{Child, Command};

    fn pane(role: &str) -> Child {
        Command::new("sleep").args(["600", "1"]).env_clear().env("GT_ROLE", role).env("GT_SESSION", "al-nux").spawn().unwrap()
    }

    #[test]
    fn who_began_after_the_server_was_known_is_an_agent_of_the_run() {
        let (mut before, server) = (pane("mayor"), Arc::new(OnceLock::new()));
        let known = of_server(std::process::id()).iter().map(|p| (p.pid, p.started)).collect();
        let mut panes = Panes::new(Arc::clone(&server), known);
        let mut agent = pane("alice/polecats/nux");
        // Between fork and exec the process has this test's own environment.
        while linux::process(agent.id()).is_none_or(|process| process.name != "sleep") {
            std::thread::yield_now();
        }
        assert!(panes.begun(Time::UNIX_EPOCH).is_empty(), "no server is known");
        server.set(std::process::id()).unwrap();
        let mut begun = panes.begun(Time::UNIX_EPOCH);
        assert!(begun.iter().all(|start| start.pid != before.id()));
        begun.retain(|start| start.pid == agent.id());
        assert_eq!((begun[0].agent.as_str(), begun[0].session.as_deref()), ("alice/polecats/nux", Some("al-nux")));
        assert_eq!((begun[0].command.len(), begun[0].rig.as_deref()), (2, Some("alice")));
        assert!(panes.begun(Time::UNIX_EPOCH).iter().all(|start| start.pid != agent.id()), "told once");
        for child in [&mut before, &mut agent] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    #[test]
    fn a_shell_is_not_yet_the_agent() {
        let line = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert!(is_becoming(&line(&["sh", "-c", "exec env X=1 claude"])) && is_becoming(&line(&["-bash"])) && is_becoming(&[]));
        assert!(!is_becoming(&line(&["/usr/bin/claude", "beacon"])));
    }
}
