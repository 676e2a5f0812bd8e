//! What a program leaves behind: found by descent, which no process can give up below a subreaper.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait, waitpid};

use crate::Leftover;

/// How long a process that was there when the program ended may take to end by itself, with the rest of its group.
const SETTLING: Duration = Duration::from_millis(100);

/// What a program was in the middle of when it was told to end. It ends with the program and is nothing that it left behind: an orphan
/// was that before.
#[derive(Debug)]
pub(crate) struct CutOff {
    at: Instant,
    running: BTreeSet<u32>,
    sessions: BTreeSet<u32>,
    /// What the program had left behind before.
    orphans: BTreeSet<u32>,
    /// When the youngest of all began: whatever these start meanwhile is no older. A tick of this
    /// clock is long enough for a shell to start another command within it.
    youngest: u64,
}

/// How long a program that was told to end may take to do so.
const ENDS: Duration = Duration::from_secs(5);

impl CutOff {
    /// What is below a program now.
    pub(crate) fn now(program: u32) -> Self {
        let running: BTreeSet<u32> = below(program).into_iter().collect();
        let sessions = running.iter().chain([&program]).filter_map(|pid| session(*pid)).collect();
        let youngest = running.iter().map(|pid| started(*pid)).max().unwrap_or(u64::MAX);
        let others = below(std::process::id()).into_iter();
        let orphans = others.filter(|pid| *pid != program && !running.contains(pid)).collect();
        Self { at: Instant::now(), running, sessions, orphans, youngest }
    }

    fn has(&self, pid: u32) -> bool {
        let is_new = !self.orphans.contains(&pid) && started(pid) >= self.youngest;
        self.running.contains(&pid) || (is_new && session(pid).is_some_and(|session| self.sessions.contains(&session)))
    }
}

/// Ends everything below this process: asks first, then kills. Gives what was there and was not cut off, in ascending order of ids. `init`
/// is the first process of a PID namespace, which goes last and is nobody's; `turn` waits a little for something to happen.
pub(crate) fn end_all(grace: Duration, init: Option<u32>, cut_off: Option<&CutOff>, turn: impl Fn()) -> Vec<Leftover> {
    let cut_off = cut_off.filter(|cut_off| cut_off.at.elapsed() <= ENDS);
    let mut named: BTreeMap<u32, (Leftover, bool)> = BTreeMap::new();
    let begun = Instant::now();
    loop {
        // A list of children that was read while some were ending may lack others: that none is left, only wait(2) says.
        let none_left = reap();
        let mut living = if none_left { Vec::new() } else { below(std::process::id()) };
        living.retain(|pid| Some(*pid) != init);
        if none_left || (living.is_empty() && init.is_some()) {
            break;
        }
        if begun.elapsed() >= SETTLING {
            let force = begun.elapsed() >= SETTLING + grace;
            living.into_iter().for_each(|pid| end(pid, force, cut_off, &mut named));
        }
        turn();
    }
    if let Some(init) = init {
        signal(init, Signal::KILL);
        _ = waitpid(i32::try_from(init).ok().and_then(Pid::from_raw), WaitOptions::empty());
    }
    named.into_values().filter(|(_, was_left)| *was_left).map(|(leftover, _)| leftover).collect()
}

/// Asks a process to end when it is seen first, and kills it with `force`.
fn end(pid: u32, force: bool, cut_off: Option<&CutOff>, named: &mut BTreeMap<u32, (Leftover, bool)>) {
    if let Entry::Vacant(new) = named.entry(pid) {
        let was_left = !cut_off.is_some_and(|cut_off| cut_off.has(pid));
        new.insert((Leftover { pid, started: started(pid), command: command_line(pid) }, was_left));
        signal(pid, Signal::TERM);
        // One that is stopped does not hear it.
        signal(pid, Signal::CONT);
    }
    if force {
        signal(pid, Signal::KILL);
    }
}

/// Collects what ended; says whether that was all.
fn reap() -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) => return false,
            Err(error) => return error == Errno::CHILD,
        }
    }
}

/// Signals a process, if it is still there.
pub(crate) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended just now.
        _ = kill_process(pid, signal);
    }
}

/// The living processes below one, zombies left out.
pub(crate) fn below(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(children(parent));
        at += 1;
    }
    let lives = |pid: &u32| parent_and_state(*pid).is_some_and(|(_, state)| !matches!(state, 'Z' | 'X'));
    let mut living: Vec<u32> = found.into_iter().skip(1).filter(lives).collect();
    living.sort_unstable();
    living.dedup();
    living
}

/// The children of a process, as its threads' lists say: looking at every process of the machine takes many times as long.
/// A kernel without these lists makes it necessary.
fn children(of: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{of}/task")).into_iter().flatten().flatten();
    let lists: Vec<_> = threads.map(|thread| fs::read_to_string(thread.path().join("children"))).collect();
    if lists.iter().any(|list| list.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)) && !have_lists() {
        return processes().into_iter().filter(|(pid, parent)| *parent == of && *pid != of).map(|(pid, _)| pid).collect();
    }
    lists.into_iter().flatten().flat_map(|list| list.split_whitespace().flat_map(str::parse).collect::<Vec<u32>>()).collect()
}

fn have_lists() -> bool {
    fs::exists("/proc/thread-self/children").unwrap_or_default()
}

/// Whether a process is below another one.
pub(crate) fn descends(pid: u32, from: u32) -> bool {
    ancestors(pid).any(|ancestor| ancestor == from)
}

/// The process that a thread belongs to; absent when it is gone.
pub(crate) fn process_of(thread: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok())
}

/// The processes that one descends from, the nearest first.
pub(crate) fn ancestors(pid: u32) -> impl Iterator<Item = u32> {
    let parent = |pid: &u32| parent_and_state(*pid).map(|(parent, _)| parent).filter(|parent| *parent != 0);
    std::iter::successors(parent(&pid), parent)
}

/// All processes: id and parent.
fn processes() -> Vec<(u32, u32)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter_map(|pid| parent_and_state(pid).map(|(parent, _)| (pid, parent))).collect()
}

/// A process's parent and state.
fn parent_and_state(pid: u32) -> Option<(u32, char)> {
    let fields = fields(pid)?;
    Some((fields.get(1)?.parse().ok()?, fields.first()?.chars().next()?))
}

/// The session of a process.
fn session(pid: u32) -> Option<u32> {
    fields(pid)?.get(3)?.parse().ok()
}

/// When a process began, in clock ticks since boot; 0 when it is gone.
fn started(pid: u32) -> u64 {
    fields(pid).and_then(|fields| fields.get(19)?.parse().ok()).unwrap_or_default()
}

/// What `/proc/PID/stat` says after the name, which may hold anything: state, parent, … (proc_pid_stat(5)).
fn fields(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    Some(stat.get(stat.rfind(')')? + 1..)?.split_whitespace().map(str::to_owned).collect())
}

/// A process's command line, words separated by spaces; its name in brackets when it has none.
pub(crate) fn command_line(pid: u32) -> String {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = String::from_utf8_lossy(&words).trim_end_matches('\0').replace('\0', " ");
    if !words.is_empty() {
        return words;
    }
    let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    format!("[{}]", String::from_utf8_lossy(&name).trim_end())
}
