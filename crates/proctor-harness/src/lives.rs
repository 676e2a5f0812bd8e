//! Which agent a process stems from, as the launcher's record and the process table tell: not as the process says.

use std::path::{Path, PathBuf};

use proctor_judge::evidence::{AgentId, Sender};

use crate::launch::SessionStart;
use crate::linux::{self, Process};

/// How many parents are followed: more than any program nests, few enough that a chain that changes meanwhile ends.
const GENERATIONS: usize = 64;
/// What the built-in agent's program is called.
const BUILTIN_PROGRAM: &str = "proctor-agent";

/// The lives of agents that `agent-launch` began, read anew for each question.
#[derive(Clone, Debug)]
pub struct Lives {
    file: PathBuf,
}

impl Lives {
    /// The lives that stand in `B/sessions.ndjson`.
    pub fn of(file: &Path) -> Self {
        Self { file: file.to_owned() }
    }

    /// The agent that a process stems from: the one whose life is its nearest ancestor, or is the process itself.
    pub fn owner(&self, pid: u32) -> Option<AgentId> {
        self.find(pid).map(|found| found.start.agent)
    }

    /// What is known of a process that sent something: its program, and the agent that it stems from.
    pub fn sender(&self, pid: u32) -> Sender {
        let program = linux::process(pid).map(|process| process.name).unwrap_or_default();
        let found = self.find(pid);
        let own = found.as_ref().and_then(Found::is_own_program);
        Sender { pid, program, agent: found.map(|found| found.start.agent), own }
    }

    fn find(&self, pid: u32) -> Option<Found> {
        let lives = self.read();
        let mut chain = Vec::new();
        let mut next = pid;
        while chain.len() < GENERATIONS && next > 1 {
            let process = linux::process(next)?;
            next = process.parent;
            let start = lives.iter().rev().find(|start| start.pid == process.pid && start.started == process.started);
            chain.push(process);
            if let Some(start) = start {
                return Some(Found { start: start.clone(), chain });
            }
        }
        None
    }

    /// Lines that cannot be read begin no life.
    fn read(&self) -> Vec<SessionStart> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

/// A life with the processes from the one asked for up to its own.
struct Found {
    start: SessionStart,
    chain: Vec<Process>,
}

impl Found {
    /// Whether the process is the agent's program and no command of it. Only the built-in agent's own is known: it is the launcher's
    /// program under another name, with nothing between them.
    fn is_own_program(&self) -> Option<bool> {
        let command = Path::new(self.start.command.first()?);
        if command.file_name()?.to_str()? != BUILTIN_PROGRAM {
            return None;
        }
        let launcher = command.canonicalize().ok()?;
        let runs = |process: &Process| std::fs::read_link(format!("/proc/{}/exe", process.pid)).is_ok_and(|exe| exe == launcher);
        Some(self.chain.iter().all(runs))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::process::{Command, Stdio};

    use super::*;

    fn line(agent: &str, pid: u32, command: &str) -> String {
        let started = linux::process(pid).unwrap().started;
        let row = serde_json::json!({"session": null, "run_id": null, "agent": agent, "role": "polecat", "rig": null, "pid": pid,
            "started": started, "command": [command], "started_at": "2026-01-01T00:00:00Z", "issue": null, "branch": null});
        format!("{row}\n")
    }

    /// A shell with a shell below it, each with its id.
    struct Family {
        shell: std::process::Child,
        child: u32,
    }

    impl Family {
        fn start() -> Self {
            use std::io::{BufRead, BufReader};
            let mut command = Command::new("/bin/sh");
            command.args(["-c", "sh -c 'echo $$; read x; :'; :"]).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut shell = command.spawn().unwrap();
            let mut said = String::new();
            BufReader::new(shell.stdout.take().unwrap()).read_line(&mut said).unwrap();
            Self { shell, child: said.trim().parse().unwrap() }
        }
    }

    impl Drop for Family {
        fn drop(&mut self) {
            drop(self.shell.stdin.take());
            self.shell.wait().unwrap();
        }
    }

    #[test]
    fn the_nearest_life_above_a_process_owns_it_whatever_its_environment_says() {
        let family = Family::start();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sessions.ndjson");
        let lives = Lives::of(&file);
        assert_eq!(lives.owner(family.child), None, "nobody was launched");
        let outer = line("mayor", std::process::id(), "/bin/x");
        std::fs::write(&file, format!("{outer}not a line\n")).unwrap();
        assert_eq!(lives.owner(family.child).as_deref(), Some("mayor"));
        std::fs::write(&file, format!("{outer}{}", line("al/polecats/x", family.shell.id(), "/bin/sh"))).unwrap();
        assert_eq!(lives.owner(family.child).as_deref(), Some("al/polecats/x"));
        assert_eq!(lives.owner(family.shell.id()).as_deref(), Some("al/polecats/x"));
        assert_eq!(lives.owner(std::process::id()).as_deref(), Some("mayor"));
    }

    #[test]
    fn a_command_of_the_built_in_agent_is_told_from_the_agent() {
        let family = Family::start();
        let folder = tempfile::tempdir().unwrap();
        let agent = folder.path().join("proctor-agent");
        std::os::unix::fs::symlink(std::env::current_exe().unwrap(), &agent).unwrap();
        let file = folder.path().join("sessions.ndjson");
        std::fs::write(&file, line("al/polecats/x", std::process::id(), agent.to_str().unwrap())).unwrap();
        let lives = Lives::of(&file);
        assert_eq!(lives.sender(std::process::id()).own, Some(true));
        assert_eq!(lives.sender(family.child).own, Some(false));
        std::fs::write(&file, line("al/polecats/x", std::process::id(), "/usr/bin/node")).unwrap();
        assert_eq!(lives.sender(family.child).own, None);
    }
}
