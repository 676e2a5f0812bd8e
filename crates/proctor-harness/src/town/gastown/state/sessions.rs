//! Lives of agents' processes: `B/sessions.ndjson`, one line a life, written by `agent-launch` before it becomes the agent. Where others
//! launch the agents, the panes of the town's tmux server tell of them.
//!
//! `gt` keeps no record of sessions that outlives them. A life goes on while `/proc` has its process under the same start time and not
//! as a zombie; it ended when a read first missed it. How it ended cannot be known from outside: `exit` says `gone`.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use proctor_judge::evidence::{Bead, Session, Time};

use super::panes::Panes;
use crate::halt::Halt;
use crate::launch::SessionStart;
use crate::linux::{self, Process, ProcessHandle};

struct Life {
    launched: SessionStart,
    pid: Option<u32>,
    handle: Option<ProcessHandle>,
    ended_at: Option<Time>,
    issue: Option<String>,
}

/// All lives so far.
pub(super) struct Sessions {
    source: Source,
    lives: Vec<Life>,
}

/// Who tells of lives that began.
enum Source {
    /// `agent-launch`, in a file that was read up to an offset.
    Record { file: PathBuf, offset: u64 },
    /// The panes of a town whose agents others launch.
    Panes(Panes),
}

impl Source {
    fn begun(&mut self, now: Time) -> Result<Vec<SessionStart>, Halt> {
        match self {
            Self::Record { file, offset } => recorded(file, offset),
            Self::Panes(panes) => Ok(panes.begun(now)),
        }
    }
}

fn recorded(file: &Path, offset: &mut u64) -> Result<Vec<SessionStart>, Halt> {
    let lines = new_lines(file, offset).map_err(|error| Halt::io("read", file, &error))?;
    let parse = |line: &str| {
        serde_json::from_str(line)
            .map_err(|error| Halt::harness(format!("{} has a line of another form: {error}", file.display())))
    };
    lines.lines().filter(|line| !line.trim().is_empty()).map(parse).collect()
}

/// The complete lines since `offset`, which moves on. No file: no agent was launched yet.
fn new_lines(file: &Path, offset: &mut u64) -> io::Result<String> {
    let mut file = match File::open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        file => file?,
    };
    file.seek(SeekFrom::Start(*offset))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
    *offset += bytes.len() as u64;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl Sessions {
    pub(super) fn new(file: &Path) -> Self {
        Self { source: Source::Record { file: file.to_owned(), offset: 0 }, lives: Vec::new() }
    }

    pub(super) fn of_panes(panes: Panes) -> Self {
        Self { source: Source::Panes(panes), lives: Vec::new() }
    }

    /// Takes lives that began and looks which processes are still there; whether anything changed.
    pub(super) fn look(&mut self, now: Time) -> Result<bool, Halt> {
        let begun = self.source.begun(now)?;
        let mut changed = !begun.is_empty();
        for launched in begun {
            let process = seen_from_here(&launched);
            let (pid, handle) = (process.as_ref().map(|process| process.pid), process.as_ref().and_then(ProcessHandle::of));
            self.lives.push(Life { issue: None, pid, handle, launched, ended_at: None });
        }
        for life in self.lives.iter_mut().filter(|life| life.ended_at.is_none() && !life.goes_on()) {
            life.ended_at = Some(now);
            life.handle = None;
            changed = true;
        }
        Ok(changed)
    }

    /// The rows, in the order in which the lives began. The issue of a life that names none is the one on its agent's hook.
    pub(super) fn rows(&mut self, beads: &[Bead]) -> Vec<Session> {
        for life in self.lives.iter_mut().filter(|life| life.ended_at.is_none()) {
            let held = |bead: &&Bead| {
                bead.assignee.as_ref() == Some(&life.launched.agent) && matches!(bead.status.as_str(), "hooked" | "in_progress")
            };
            life.issue = beads.iter().find(held).map(|bead| bead.id.clone()).or(life.issue.take());
        }
        self.lives.iter().map(Life::row).collect()
    }
}

impl Life {
    fn goes_on(&self) -> bool {
        if let Some(handle) = &self.handle {
            return handle.lives();
        }
        self.pid.and_then(linux::process).is_some_and(|process| process.started == self.launched.started && process.state != 'Z')
    }

    fn row(&self) -> Session {
        let launched = self.launched.clone();
        Session {
            issue: launched.issue.or_else(|| self.issue.clone()),
            session: launched.session.unwrap_or_default(),
            run_id: launched.run_id.unwrap_or_default(),
            role: launched.role,
            agent: launched.agent,
            rig: launched.rig,
            pid: self.pid.or(Some(launched.pid)),
            command: launched.command,
            started_at: launched.started_at,
            ended_at: self.ended_at,
            exit: self.ended_at.map(|_| "unknown means".to_owned()),
            branch: launched.branch,
        }
    }
}

/// The launched process as this one sees it. A town in a PID namespace of its own states ids that mean other processes
/// out here, or none; the start time, which all namespaces share, and the innermost of its ids name it.
fn seen_from_here(launched: &SessionStart) -> Option<Process> {
    let same = |process: &Process| process.started == launched.started;
    let stated = linux::process(launched.pid).filter(same);
    stated.or_else(|| linux::processes().into_iter().filter(same).find(|process| innermost(process.pid) == Some(launched.pid)))
}

fn innermost(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace().last()?.parse().ok()
}
