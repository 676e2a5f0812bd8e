//! Which commands of the town ran when.
//!
//! The town's programs are not changed for it: the process table is looked at while the run goes on. A command's beginning is exact, its
//! end is known to one look; one that came and went between two looks is not seen. Commands that other commands of the town started are
//! part of those.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;
use proctor_judge::evidence::{AgentId, Time};
use serde::Serialize;

use super::Clock;
use super::ticks::{TICK, tick};
use crate::base::RUN_ID;
use crate::linux::{self, Newcomers, Process, ProcessHandle, ProcessName, Variables};
use crate::lives::Lives;

/// The programs whose calls are commands of the town.
const PROGRAMS: [&str; 2] = ["gt", "bd"];
/// At how many looks a process must have been the same program to stay it: it was forked two looks ago, or earlier.
const GROWN: u8 = 3;
/// Programs that become another one without a new process, at any time.
const SHELLS: [&str; 3] = ["sh", "bash", "dash"];

/// One command.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Command {
    /// When it began.
    pub(crate) at: Time,
    /// How long it ran, in seconds.
    pub(crate) wall_s: f64,
    /// The agent that gave it: the one that its process stems from, where that is known, else the one that its environment names; empty for
    /// the harness.
    pub(crate) agent: AgentId,
    /// Who its environment says it is, when that is not `agent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) claimed: Option<String>,
    /// The command line.
    pub(crate) command: String,
}

impl Command {
    /// When it ended.
    pub(super) fn end(&self) -> Time {
        self.at + TimeDelta::milliseconds((self.wall_s * 1000.0) as i64)
    }
}

/// Looks at the process table until it is dropped.
pub(crate) struct Watching {
    seen: Arc<Mutex<Seen>>,
    task: tokio::task::JoinHandle<()>,
}

impl Watching {
    /// Begins; `id` is the run's short id, which every process of the run carries, `sessions` the file of whom the launcher started.
    pub(crate) fn begin(id: &str, sessions: &Path, clock: Clock) -> Self {
        let seen = Arc::new(Mutex::new(Seen { lives: Some(Lives::of(sessions)), ..Seen::default() }));
        let (table, id) = (Arc::clone(&seen), id.to_owned());
        let task = tokio::spawn(async move {
            loop {
                lock(&table).look(&id, clock());
                tick().await;
            }
        });
        Self { seen, task }
    }

    /// The commands that ended so far, in the order in which they began.
    pub(crate) fn commands(&self) -> Vec<Command> {
        let mut commands = lock(&self.seen).ended.clone();
        commands.sort_by_key(|command| command.at);
        commands
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct Seen {
    /// Who lives; absent in tests of what is seen.
    lives: Option<Lives>,
    newcomers: Newcomers,
    undecided: BTreeMap<u32, Undecided>,
    running: BTreeMap<u32, Running>,
    ended: Vec<Command>,
}

/// A process that may still become a command.
struct Undecided {
    name: ProcessName,
    /// How often it was looked at and no shell.
    looks: u8,
    /// Whether it was a shell at the last look.
    is_shell: bool,
}

impl Undecided {
    fn new(pid: u32) -> Option<Self> {
        ProcessName::of(pid).map(|name| Self { name, looks: 0, is_shell: false })
    }

    /// What it is at this look. Its name alone is asked first: most are no commands.
    fn kind(&mut self, pid: u32, run: &str) -> Kind {
        let Some(name) = self.name.now() else { return Kind::Other };
        let was_shell = std::mem::replace(&mut self.is_shell, SHELLS.contains(&name.as_str()));
        if PROGRAMS.contains(&name.as_str()) {
            return Kind::Command { was_shell };
        }
        if self.is_shell {
            return if !was_shell && is_of_others(pid, run) { Kind::Other } else { Kind::Open };
        }
        // A process that was just forked is not yet the program that it becomes.
        self.looks += 1;
        if self.looks >= GROWN { Kind::Other } else { Kind::Open }
    }
}

/// Whether a process belongs to no run or to another one, which its children inherit.
fn is_of_others(pid: u32, run: &str) -> bool {
    let variables = Variables::of(pid);
    !variables.is_empty() && variables.get(RUN_ID) != Some(run)
}

/// What a process is.
enum Kind {
    /// Whatever it does, it will not be a command.
    Other,
    /// That cannot be told yet.
    Open,
    /// A command; whether it was a shell at the look before.
    Command { was_shell: bool },
}

/// A command that has not ended.
struct Running {
    command: Command,
    process: Process,
    handle: Option<ProcessHandle>,
}

impl Running {
    fn goes_on(&self) -> bool {
        match &self.handle {
            Some(handle) => handle.lives(),
            None => linux::process(self.process.pid).is_some_and(|found| found.started == self.process.started),
        }
    }
}

/// One look: at which run's commands, and when.
#[derive(Clone, Copy)]
struct Look<'a> {
    run: &'a str,
    now: Time,
    uptime: f64,
}

impl Seen {
    fn look(&mut self, run: &str, now: Time) {
        let gone: Vec<u32> = self.running.iter().filter(|(_, running)| !running.goes_on()).map(|(pid, _)| *pid).collect();
        for Running { command, .. } in gone.iter().filter_map(|pid| self.running.remove(pid)) {
            let wall_s = (now - command.at).as_seconds_f64().max(0.0);
            self.ended.push(Command { wall_s, ..command });
        }
        let newcomers = self.newcomers.take();
        self.undecided.extend(newcomers.into_iter().filter_map(|pid| Some((pid, Undecided::new(pid)?))));
        let look = Look { run, now, uptime: linux::uptime() };
        let mut undecided = std::mem::take(&mut self.undecided);
        undecided.retain(|pid, process| match process.kind(*pid, run) {
            Kind::Other => false,
            Kind::Open => true,
            Kind::Command { was_shell } => {
                self.take(*pid, was_shell, look);
                false
            }
        });
        self.undecided = undecided;
    }

    /// Takes a command unless it is part of another one.
    fn take(&mut self, pid: u32, was_shell: bool, look: Look<'_>) {
        let Some(process) = linux::process(pid).filter(|process| !self.running.contains_key(&process.parent)) else { return };
        let age = process.age_at(look.uptime);
        let age = if was_shell { TICK.as_secs_f64().min(age) } else { age };
        self.begin(process, age, look);
    }

    /// Takes a command of the run's; those that last for as long as the town are none.
    fn begin(&mut self, process: Process, age: f64, look: Look<'_>) {
        let variables = Variables::of(process.pid);
        if variables.get(RUN_ID) != Some(look.run) {
            return;
        }
        let arguments = linux::arguments(process.pid);
        // A command that is just starting another program still bears its own name, with the other one's arguments.
        let called = arguments.first().and_then(|path| path.rsplit('/').next());
        let lasts = ["nudge-poller", "daemon"].iter().any(|word| arguments.iter().any(|argument| argument.contains(word)));
        if lasts || called != Some(process.name.as_str()) {
            return;
        }
        let words = std::iter::once(process.name.as_str()).chain(arguments.iter().skip(1).map(String::as_str));
        let named = ["GT_ROLE", "BD_ACTOR"].map(|key| variables.get(key).unwrap_or_default().to_owned());
        let (agent, claimed) = identity(self.lives.as_ref().and_then(|lives| lives.owner(process.pid)), &named);
        let command = Command {
            at: look.now - TimeDelta::milliseconds((age * 1000.0) as i64),
            wall_s: 0.0,
            agent,
            claimed,
            command: super::live::one_line(&words.collect::<Vec<_>>().join(" ")),
        };
        self.running.insert(process.pid, Running { command, handle: ProcessHandle::of(&process), process });
    }
}

/// The agent that gave a command, and the first of the names in its environment that is another's. A town may write a name without
/// `polecats/` or with a slash at its end.
fn identity(owner: Option<AgentId>, named: &[String]) -> (AgentId, Option<String>) {
    let Some(owner) = owner else { return (named.first().cloned().unwrap_or_default(), None) };
    let plain = |name: &str| name.trim_end_matches('/').replacen("/polecats/", "/", 1);
    let other = named.iter().find(|name| !name.is_empty() && plain(name) != plain(&owner)).cloned();
    (owner, other)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_process_says_whose_a_command_is_and_the_environment_only_claims() {
        let names = |role: &str, actor: &str| [role.to_owned(), actor.to_owned()];
        let furiosa = || Some("alice/polecats/furiosa".to_owned());
        let of = |owner, named: [String; 2]| identity(owner, &named);
        assert_eq!(of(furiosa(), names("mayor", "alice/furiosa")).1.as_deref(), Some("mayor"));
        assert_eq!(of(furiosa(), names("alice/polecats/furiosa", "mayor")).1.as_deref(), Some("mayor"));
        assert_eq!(of(furiosa(), names("alice/furiosa", "")), ("alice/polecats/furiosa".into(), None));
        assert_eq!(of(None, names("mayor", "alice/furiosa")), ("mayor".into(), None), "nobody knows better");
    }

    #[test]
    fn a_command_is_seen_from_its_beginning_until_it_is_gone_and_only_that_of_the_run() {
        let bin = tempfile::tempdir().unwrap();
        let sleep = linux::find_program("sleep", "/bin:/usr/bin").unwrap();
        std::os::unix::fs::symlink(sleep, bin.path().join("gt")).unwrap();
        let start = |run: &str| {
            let mut command = std::process::Command::new(bin.path().join("gt"));
            command.arg("600").env_clear().env(RUN_ID, run).env("GT_ROLE", "mayor").spawn().unwrap()
        };
        let (mut own, mut other) = (start("7k3f"), start("aaaa"));
        let mut seen = Seen::default();
        let mut second = 0;
        let mut look = |seen: &mut Seen| {
            second += 1;
            seen.look("7k3f", Time::UNIX_EPOCH + TimeDelta::seconds(second));
        };
        while seen.running.is_empty() {
            look(&mut seen);
        }
        assert_eq!(seen.running.keys().collect::<Vec<_>>(), [&own.id()]);
        own.kill().unwrap();
        own.wait().unwrap();
        look(&mut seen);
        assert!(seen.running.is_empty());
        let ended = &seen.ended[0];
        assert_eq!((ended.command.as_str(), ended.agent.as_str()), ("gt 600", "mayor"));
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
