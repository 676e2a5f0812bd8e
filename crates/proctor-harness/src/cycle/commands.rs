//! Which commands of the town ran when, and which of them the landing waited for.
//!
//! The town's programs are not changed for it: the process table is looked at while the run goes on. A command's beginning is exact, its
//! end is known to one look; one that came and went between two looks is not seen. Commands that other commands of the town started are
//! part of those.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use proctor_judge::evidence::{AgentId, Time};
use serde::Serialize;

use super::Clock;
use crate::linux::{self, Newcomers, Process, ProcessHandle};

/// How often the process table is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// The programs whose calls are commands of the town.
const PROGRAMS: [&str; 2] = ["gt", "bd"];
/// At how many looks a process must have been the same program to stay it: it was forked two looks ago, or earlier.
const GROWN: u8 = 3;
/// Programs that become another one without a new process, at any time.
const SHELLS: [&str; 3] = ["sh", "bash", "dash"];
/// Commands by which agents wait instead of working: nothing waits for them.
const WAITING: [&str; 1] = ["gt refinery ready"];

/// One command.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Command {
    /// When it began.
    pub(crate) at: Time,
    /// How long it ran, in seconds.
    pub(crate) wall_s: f64,
    /// The agent that gave it; empty for the harness.
    pub(crate) agent: AgentId,
    /// The command line.
    pub(crate) command: String,
}

impl Command {
    fn end(&self) -> Time {
        self.at + TimeDelta::milliseconds((self.wall_s * 1000.0) as i64)
    }
}

/// Looks at the process table until it is dropped.
pub(crate) struct Watching {
    seen: Arc<Mutex<Seen>>,
    task: tokio::task::JoinHandle<()>,
}

impl Watching {
    /// Begins; `id` is the run's short id, which every process of the run carries.
    pub(crate) fn begin(id: &str, clock: Clock) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (table, id) = (Arc::clone(&seen), id.to_owned());
        let task = tokio::spawn(async move {
            loop {
                lock(&table).look(&id, clock());
                tokio::time::sleep(LOOK).await;
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
    newcomers: Newcomers,
    /// Processes that are not yet decided about.
    undecided: BTreeSet<u32>,
    /// Those of them that were a shell at the last look.
    shells: BTreeSet<u32>,
    /// How often each of the others was looked at.
    young: BTreeMap<u32, u8>,
    running: BTreeMap<u32, Running>,
    ended: Vec<Command>,
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
        // A process that was just forked is not yet the program that it becomes: it is looked at once more.
        let mut undecided = std::mem::take(&mut self.undecided);
        undecided.extend(self.newcomers.take());
        let look = Look { run, now, uptime: linux::uptime() };
        undecided.retain(|pid| !self.take(*pid, look));
        self.shells.retain(|pid| undecided.contains(pid));
        self.young.retain(|pid, _| undecided.contains(pid));
        self.undecided = undecided;
    }

    /// Takes a new process when it is a command; `false` when that cannot be told yet. Its name alone is asked first: most are none.
    fn take(&mut self, pid: u32, look: Look<'_>) -> bool {
        let Some(name) = linux::process_name(pid) else { return true };
        if SHELLS.contains(&name.as_str()) {
            self.shells.insert(pid);
            return false;
        }
        if !PROGRAMS.contains(&name.as_str()) {
            return self.is_grown(pid);
        }
        let Some(process) = linux::process(pid) else { return true };
        let age = process.age_at(look.uptime);
        let age = if self.shells.remove(&pid) { LOOK.as_secs_f64().min(age) } else { age };
        if !self.running.contains_key(&process.parent) {
            self.begin(process, age, look);
        }
        true
    }

    /// Takes a command of the run's; those that last for as long as the town are none.
    fn begin(&mut self, process: Process, age: f64, look: Look<'_>) {
        let (arguments, env) = (linux::arguments(process.pid), linux::environment(process.pid));
        let lasts = ["nudge-poller", "daemon"].iter().any(|word| arguments.iter().any(|argument| argument.contains(word)));
        if lasts || env.get("PROCTOR_RUN_ID").is_none_or(|own| own != look.run) {
            return;
        }
        let words = std::iter::once(process.name.as_str()).chain(arguments.iter().skip(1).map(String::as_str));
        let command = Command {
            at: look.now - TimeDelta::milliseconds((age * 1000.0) as i64),
            wall_s: 0.0,
            agent: env.get("GT_ROLE").cloned().unwrap_or_default(),
            command: super::live::one_line(&words.collect::<Vec<_>>().join(" ")),
        };
        self.running.insert(process.pid, Running { command, handle: ProcessHandle::of(&process), process });
    }

    /// Whether a process has had the time to become another program.
    fn is_grown(&mut self, pid: u32) -> bool {
        let looks = self.young.entry(pid).or_default();
        *looks += 1;
        *looks >= GROWN
    }
}

/// What the landing waited for, from the beginning: going backwards from `landed`, always the command that ended last.
pub(crate) fn critical_path(commands: &[Command], begun: Time, landed: Time) -> Vec<Command> {
    let mut path = Vec::new();
    let mut until = landed;
    let counts = |command: &&Command| !WAITING.iter().any(|waiting| command.command.starts_with(waiting));
    // One look of tolerance: an end is seen that much later than it was.
    let slack = TimeDelta::from_std(LOOK).unwrap_or_default() * 2;
    while let Some(last) = commands
        .iter()
        .filter(counts)
        .filter(|command| command.at >= begun && command.at < until && command.end() <= until + slack)
        .max_by_key(|command| command.end())
    {
        until = last.at;
        path.push(last.clone());
    }
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_command_is_seen_from_its_beginning_until_it_is_gone_and_only_that_of_the_run() {
        let bin = tempfile::tempdir().unwrap();
        let sleep = linux::find_program("sleep", "/bin:/usr/bin").unwrap();
        std::os::unix::fs::symlink(sleep, bin.path().join("gt")).unwrap();
        let start = |run: &str| {
            let mut command = std::process::Command::new(bin.path().join("gt"));
            command.arg("600").env_clear().env("PROCTOR_RUN_ID", run).env("GT_ROLE", "mayor").spawn().unwrap()
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

    fn command(begin: i64, end: i64, agent: &str, line: &str) -> Command {
        let at = Time::UNIX_EPOCH + TimeDelta::seconds(begin);
        Command { at, wall_s: (end - begin) as f64, agent: agent.into(), command: line.into() }
    }

    #[test]
    fn the_path_goes_back_over_what_ended_last() {
        let commands = [
            command(0, 2, "", "gt install"),
            command(2, 3, "", "gt mayor start"),
            command(3, 7, "mayor", "gt sling al-1 alice"),
            command(7, 11, "mayor", "gt sling bo-1 bob"),
            command(8, 12, "alice/polecats/x", "gt done"),
            command(11, 19, "bob/polecats/y", "gt done"),
            command(13, 18, "bob/refinery", "gt refinery ready bob --json"),
            command(19, 25, "bob/refinery", "gt mq post-merge"),
        ];
        let at = |second: i64| Time::UNIX_EPOCH + TimeDelta::seconds(second);
        let path = critical_path(&commands, at(0), at(20));
        let lines: Vec<&str> = path.iter().map(|c| c.command.as_str()).collect();
        assert_eq!(lines, ["gt install", "gt mayor start", "gt sling al-1 alice", "gt sling bo-1 bob", "gt done"]);
        assert_eq!(path.iter().map(|c| c.wall_s).sum::<f64>(), 19.0);
    }
}
